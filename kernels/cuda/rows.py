"""How arrays are seen as rows or columns, and how threads are dealt out to them (`rows.cuh`).

An operation along one dimension sees an array as (outer, n, inner), in the order in which its
elements lie in memory, so that neither a permuted array nor a dimension in the middle costs a copy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tapegrad.kernels.strides import order_in_memory

from .launching import pointer
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]
Dim3 = tuple[int, int, int]

FLOATS = {
    np.dtype(np.float16): "float16",
    np.dtype(ml_dtypes.bfloat16): "bfloat16",
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
}
MOST_BLOCKS = 2**31 - 1
ROW_THREADS = 512  # of a block that shares a row, or whose warps have rows of their own
COLUMN_THREADS = 256
_WANTED_BLOCKS = 1024  # enough for any GPU


def wide(dtype: np.dtype) -> np.dtype:
    """The dtype that kernels compute in: float32 for half types."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def address(array: Array | None) -> int:
    """Where an array is; 0, a null pointer, for one that is not given."""
    return 0 if array is None else pointer(array)


def dense(xp: Any, array: Array | None) -> Array | None:
    """The array with its elements side by side, copied if they are not; None stays."""
    return array if array is None else contiguous(xp, array)


class Layout(NamedTuple):
    """An array whose elements fill a stretch of memory, seen along one of its dimensions.

    Attributes:
        order: its dimensions as they lie in memory, outermost first.
        shape: the sizes in that order.
        outer, n, inner: how many elements lie before, along and after the dimension.
    """

    order: Ints
    shape: Ints
    outer: int
    n: int
    inner: int

    def like(self, xp: Any, dtype: np.dtype) -> Array:
        """A new array that lies in memory as this one."""
        made = xp.empty(self.shape, dtype)
        return made if self.order == tuple(range(len(self.order))) else made.transpose(self.back)

    @property
    def back(self) -> Ints:
        """The permutation from memory to the array."""
        return tuple(int(d) for d in np.argsort(self.order))

    def bring(self, xp: Any, other: Array) -> Array:
        """Another array of this shape, copied if it does not lie in memory as this one."""
        return contiguous(xp, other.transpose(self.order))


@functools.lru_cache(maxsize=4096)
def layout(shape: Ints, strides: Ints, itemsize: int, dim: int) -> Layout | None:
    """How an array lies in memory; None where elements are missing or repeated.

    >>> layout((2, 3, 4), (48, 4, 12), 4, 1)
    Layout(order=(0, 2, 1), shape=(2, 4, 3), outer=8, n=3, inner=1)
    >>> layout((2, 3), (0, 4), 4, 1) is None
    True
    """
    several = [d for d in range(len(shape)) if shape[d] != 1 and 0 not in shape]
    by_stride = iter(sorted(several, key=lambda d: -strides[d]))
    order = tuple(next(by_stride) if d in several else d for d in range(len(shape)))
    sizes = tuple(shape[d] for d in order)
    expected = itemsize
    for d in reversed(order):
        if d in several and strides[d] != expected:
            return None
        expected *= shape[d]
    place = order.index(dim)
    return Layout(order, sizes, math.prod(sizes[:place]), shape[dim], math.prod(sizes[place + 1 :]))


def seen_along(xp: Any, x: Array, dim: int) -> tuple[Array, Layout]:
    """`x`, or where that is not dense a copy whose dimensions lie likewise, with its layout."""
    found = layout(x.shape, x.strides, x.itemsize, dim)
    if found is None:
        order = None if 0 in x.strides else order_in_memory(x.shape, x.strides)
        if order is None:
            x = contiguous(xp, x)
        else:
            back = tuple(np.argsort(order).tolist())
            x = contiguous(xp, x.transpose(order)).transpose(back)
        found = layout(x.shape, x.strides, x.itemsize, dim)
        assert found is not None
    return x, found


class Threads(NamedTuple):
    """Grid and block of a kernel of rows, and how many packs a thread keeps."""

    grid: Dim3
    block: Dim3
    packs: int


def row_threads(rows: int, n: int, itemsize: int, most_blocks: int = MOST_BLOCKS) -> Threads:
    """Threads for rows of n elements.

    A thread keeps one pack where part of a warp, or a warp, can so take the row, and else 64 bytes
    (32 of a half type, which take as many registers); what is more is read in batches.
    """
    width = 16 // itemsize
    packs = -(-n // width) + 1  # a row may begin and end within a pack
    kept = 1 if packs <= 32 else most_packs(itemsize)
    lanes = -(-packs // kept)
    lanes = _power(lanes) if lanes <= 32 else min(-(-lanes // 32) * 32, ROW_THREADS)
    rows_of_block = max(128 // lanes, 1) if lanes <= 32 else 1
    blocks = min(-(-rows // rows_of_block), most_blocks)
    return Threads((blocks, 1, 1), (lanes, rows_of_block, 1), kept)


def most_packs(itemsize: int) -> int:
    """How many packs a thread keeps in registers at most."""
    return 2 if itemsize == 2 else 4


def column_width(inner: int, itemsize: int, aligned: bool) -> int:
    """How many neighbouring columns a thread takes: a pack of them, or one."""
    width = 16 // itemsize
    return width if aligned and inner % width == 0 else 1


def column_threads(
    columns: int, n: int, width: int, most_blocks: int = MOST_BLOCKS
) -> tuple[Dim3, Dim3]:
    """Grid and block for columns of n elements, of which a thread takes `width` neighbours.

    Threads along the columns, and more than one to a column where there are few columns.
    """
    groups = -(-columns // width)
    high = 1
    while high < 8 and high * 4 < n and groups * high < _WANTED_BLOCKS * COLUMN_THREADS:
        high *= 2
    wide = COLUMN_THREADS // high
    return (min(-(-groups // wide), most_blocks), 1, 1), (wide, high, 1)


def types_and_packs() -> Iterator[tuple[str, int]]:
    """The instances of a kernel of rows."""
    for dtype, name in FLOATS.items():
        yield from ((name, packs) for packs in (1, most_packs(dtype.itemsize)))


def types_and_widths() -> Iterator[tuple[str, int]]:
    """The instances of a kernel of columns."""
    for dtype, name in FLOATS.items():
        yield from ((name, width) for width in (1, 16 // dtype.itemsize))


def _power(n: int) -> int:
    """The smallest power of 2 that is not less than n."""
    return 1 << max(n - 1, 0).bit_length()
