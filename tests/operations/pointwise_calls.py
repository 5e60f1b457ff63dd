"""Calls of what is computed element by element."""

from __future__ import annotations

from collections.abc import Callable

from drawing import Call, Draw, call


def unary(low: float, high: float) -> Callable[[Draw], Call]:
    """An operation of one tensor with values of [low, high)."""
    return lambda d: call(d.tensor(low=low, high=high))


def binary(*ranges: tuple[float, float]) -> Callable[[Draw], Call]:
    """An operation of as many tensors as ranges, which broadcast."""
    return lambda d: call(
        *(d.tensor(s, *r) for s, r in zip(d.shapes(len(ranges)), ranges, strict=True))
    )


CALLS: dict[str, Callable[[Draw], Call]] = {
    "add": lambda d: call(*(d.tensor(shape) for shape in d.shapes()), alpha=d.one_of(1, 2, -0.5)),
    "abs": unary(-3, 3),
    "div": binary((-3, 3), (0.5, 3)),
}
