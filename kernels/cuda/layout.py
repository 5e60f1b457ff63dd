"""How a reduction sees an array: the dimensions it keeps and those it reduces, as few as possible.

The order of the dimensions that are reduced is free, and so is the order in which outputs are
computed; both follow the memory, the closest elements innermost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tapegrad.kernels.strides import collapse

Ints = tuple[int, ...]


class Layout(NamedTuple):
    """Sizes and strides, in elements and innermost first, of what is kept and what is reduced.

    Attributes:
        kept: sizes of the kept dimensions.
        kept_strides: their steps through the input.
        out_strides: their steps through the output, which is contiguous.
        reduced: sizes of the reduced dimensions.
        reduced_strides: their steps through the input.
    """

    kept: Ints
    kept_strides: Ints
    out_strides: Ints
    reduced: Ints
    reduced_strides: Ints


def layout(shape: Ints, strides: Ints, dims: Sequence[int], ordered: bool = False) -> Layout:
    """The layout of a reduction over `dims`.

    Args:
        shape: of the input.
        strides: of the input, in elements; 0 where it is broadcast, negative where it is flipped.
        dims: what is reduced, not negative.
        ordered: number the reduced elements as they stand in the array, which a position needs.

    >>> layout((2, 3, 4), (12, 4, 1), (1, 2))
    Layout(kept=(2,), kept_strides=(12,), out_strides=(1,), reduced=(12,), reduced_strides=(1,))
    >>> layout((2, 3, 4), (12, 4, 1), (0,))
    Layout(kept=(12,), kept_strides=(1,), out_strides=(1,), reduced=(2,), reduced_strides=(12,))
    """
    kept = [d for d in range(len(shape)) if d not in dims]
    reduced = [d for d in range(len(shape)) if d in dims]
    steps, size = {}, 1
    for d in reversed(kept):
        steps[d] = size
        size *= shape[d]

    def outermost_first(d: int) -> float:
        return -abs(strides[d]) or -float("inf")

    kept.sort(key=outermost_first)
    if not ordered:
        reduced.sort(key=outermost_first)
    sizes, (own, out) = collapse(
        tuple(shape[d] for d in kept),
        [tuple(strides[d] for d in kept), tuple(steps[d] for d in kept)],
    )
    lengths, (along,) = collapse(
        tuple(shape[d] for d in reduced), [tuple(strides[d] for d in reduced)]
    )
    return Layout(sizes[::-1], own[::-1], out[::-1], lengths[::-1], along[::-1])
