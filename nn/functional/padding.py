"""Padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import shape as gates
from tapegrad.autograd.operations.arguments import check_tensor

__all__ = ["pad"]


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """A border around the last dimensions: (left, right, top, bottom, ...) from the last one on.

    The border holds `value` (0 unless given); negative widths crop. `mode` is "constant".

    >>> import tapegrad as tg
    >>> tg.pad(tg.ones(1, 2), (1, 1), value=5.0)
    tensor([[5., 1., 1., 5.]])
    """
    shape = check_tensor("pad", input)._data.shape
    if mode != "constant":
        raise NotImplementedError(f"pad: mode {mode!r} is not available; use 'constant'")
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ArgumentError(f"pad: {tuple(pad)} does not give pairs for {describe(input)}")
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)]
    widths = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]
    if any(n + a + b < 0 for n, (a, b) in zip(shape, widths, strict=True)):
        raise ShapeError(f"pad: {describe(input)} cannot be cropped by {tuple(pad)}")
    if any(a < 0 or b < 0 for a, b in widths):
        input = input[
            tuple(
                slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(shape, widths, strict=True)
            )
        ]
    widths = [(max(a, 0), max(b, 0)) for a, b in widths]
    return gates.pad(input, widths=tuple(widths), value=0 if value is None else value)
