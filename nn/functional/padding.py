"""Borders around the last dimensions: of a constant, a mirror image, the edge, or the other end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import shape as gates
from tapegrad.autograd.gates.resampling import resample
from tapegrad.autograd.operations.arguments import check_tensor, number_that_fits
from tapegrad.kernels import resampling
from tapegrad.kernels.resampling import Taps

__all__ = ["constant_pad_nd", "pad"]

Widths = Sequence[tuple[int, int]]

_BORDERS: dict[str, Callable[[int, int, int], Taps]] = {
    "reflect": resampling.reflected,
    "replicate": resampling.replicated,
    "circular": resampling.wrapped,
}


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """A border around the last dimensions: (left, right, top, bottom, ...) from the last one on.

    Args:
        input: any shape; for modes other than "constant" images, (N, C, d1, ...) or (C, d1, ...)
            with as many spatial dimensions as there are pairs, 1 to 3.
        pad: widths in pairs; negative ones crop.
        mode: "constant", "reflect" (a mirror image, the edge not repeated), "replicate" (the edge
            repeated) or "circular" (from the other end). Default: "constant".
        value: what a constant border holds. Default: 0.

    Raises:
        RuntimeError: if the widths do not fit.
        NotImplementedError: for another mode, or other numbers of dimensions.

    >>> import tapegrad as tg
    >>> tg.pad(tg.ones(1, 2), (1, 1), value=5.0)
    tensor([[5., 1., 1., 5.]])
    >>> tg.nn.functional.pad(tg.tensor([[1, 2, 3]]), (1, 2), mode="reflect")
    tensor([[2, 1, 2, 3, 2, 1]])
    """
    return _padded(input, pad, mode, value)


def _padded(input: Any, pad: Sequence[int], mode: str, value: float | None) -> Any:
    shape = check_tensor("pad", input)._data.shape
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ArgumentError(f"pad: {tuple(pad)} does not give pairs for {describe(input)}")
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)][::-1]
    if mode == "constant":
        return _constant(input, [(0, 0)] * (len(shape) - len(pairs)) + pairs, value)
    if mode not in _BORDERS:
        raise NotImplementedError(
            f"pad: mode {mode!r} is not one of 'constant', 'reflect', 'replicate', 'circular'"
        )
    if value:
        raise RuntimeError(f"pad: mode {mode!r} takes no value")
    if not 1 <= len(pairs) <= 3 or len(shape) - len(pairs) not in (1, 2):
        raise NotImplementedError(
            f"pad: mode {mode!r} needs a pair for each of 1 to 3 spatial dimensions, got "
            f"{tuple(pad)} for {describe(input)}"
        )
    first = len(shape) - len(pairs)
    for axis, widths in enumerate(pairs, first):
        _check_border(input, mode, shape[axis], widths)
    if mode != "circular" and 0 in shape[len(shape) - len(pairs) - 1 :]:
        raise ShapeError(f"pad: mode {mode!r} needs pixels, got {describe(input)}")
    plan = tuple(
        (axis, _BORDERS[mode](shape[axis], *widths))
        for axis, widths in enumerate(pairs, first)
        if widths != (0, 0)
    )
    listed = mode == "replicate" or (mode == "reflect" and len(pairs) < 3)
    return (bordered if listed else resample)(input, plan=plan)


def bordered(input: Any, plan: Any) -> Any:
    """The borders that `autocast` on a CPU makes of float32; the others are of what is given."""
    return resample(input, plan=plan)


def constant_pad_nd(input: Any, pad: Sequence[int], value: float = 0) -> Any:
    """`pad` with a constant.

    >>> import tapegrad as tg
    >>> tg.constant_pad_nd(tg.ones(2), (0, 1))
    tensor([1., 1., 0.])
    """
    return _padded(input, pad, "constant", value)


def _constant(input: Any, widths: Widths, value: float | None) -> Any:
    sized = list(zip(input._data.shape, widths, strict=True))
    if any(n - max(-a, 0) - max(-b, 0) < 0 for n, (a, b) in sized):
        raise ShapeError(f"pad: {describe(input)} cannot be cropped by {list(widths)}")
    if any(a < 0 or b < 0 for a, b in widths):
        input = input[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in sized)]
    around = tuple((max(a, 0), max(b, 0)) for a, b in widths)
    filled = value is not None and any(a or b for a, b in around)
    value = number_that_fits("pad", value, input._data.dtype) if filled else 0
    return gates.pad(input, widths=around, value=value)


def _check_border(input: Any, mode: str, size: int, widths: tuple[int, int]) -> None:
    """Refuse a border that the dimension is too small for."""
    most = {"reflect": size - 1, "circular": size}.get(mode)
    left = size + sum(widths)
    cropped = size + sum(min(width, 0) for width in widths)
    if (
        (most is not None and max(widths) > most)
        or left < (mode != "circular")
        or (mode == "circular" and cropped < max(*widths, 0))
    ):
        raise ShapeError(f"pad: mode {mode!r} cannot pad {size} of {describe(input)} by {widths}")
