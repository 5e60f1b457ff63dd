"""Calls of what makes tensors of numbers that are not drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drawing import Call, Draw, Name, call

Row = Callable[[Draw], Call]

DTYPES = ("float16", "bfloat16", "float32", "float64", "int64", "int32", "uint8")


def typed(d: Draw, *dtypes: str) -> dict[str, Any]:
    """A dtype, or none."""
    return {"dtype": Name(d.one_of(*(dtypes or DTYPES)))} if d.flag() else {}


def number(d: Draw) -> float:
    return d.one_of(0, 1, 2, 5, 0.5, 2.25)


def sizes(d: Draw) -> tuple[Any, ...]:
    """A shape, as several numbers or as one sequence."""
    shape = d.shape()
    return d.one_of((shape,), (list(shape),), shape or ((),))


def filled(d: Draw) -> Call:
    return call(*sizes(d), **typed(d))


def arange(d: Draw) -> Call:
    if d.flag():
        return call(number(d), **typed(d))
    start, step = number(d), d.one_of(1, 2, 0.5, -1, -0.75)
    end = start + d.integer(0, 5) * step
    return call(start, end, step, **typed(d, *(DTYPES[:4] if step in (0.5, -0.75) else DTYPES[:6])))


def spaced(d: Draw) -> Call:
    return call(number(d), d.one_of(-3, 4, 7.5), d.integer(0, 7), **typed(d, *DTYPES[:6]))


def powers(d: Draw) -> Call:
    base = {"base": d.one_of(2.0, 3, 0.5)} if d.flag() else {}
    return call(
        d.integer(-1, 1), d.integer(1, 3), d.integer(0, 5), **base, **typed(d, *DTYPES[2:4])
    )


def like(d: Draw, *fill: Any) -> Call:
    return call(d.tensor(), *fill, **typed(d), order=1)


def method(d: Draw) -> Call:
    return call(d.tensor(), *sizes(d), **typed(d), order=1)


CALLS: dict[str, Row] = {
    "arange": arange,
    "eye": lambda d: call(*d.one_of((3,), (0,), (2, 4), (3, 1)), **typed(d)),
    "fill": lambda d: call(d.tensor(), d.one_of(2, -1.5, d.tensor(()))),
    "full": lambda d: call(d.shape(), d.one_of(2, 1.5, True), **typed(d)),
    "full_like": lambda d: like(d, d.one_of(2, 1.5, True)),
    "linspace": spaced,
    "logspace": powers,
    "new_full": lambda d: call(d.tensor(), d.shape(), d.one_of(2, 1.5), **typed(d), order=1),
    "new_ones": method,
    "new_zeros": method,
    "ones": filled,
    "ones_like": like,
    "scalar_tensor": lambda d: call(d.one_of(3, 0.5, True), **typed(d)),
    "zeros": filled,
    "zeros_like": like,
}
