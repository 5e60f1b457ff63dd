"""Combining values at positions that may repeat: sums, products and extremes of segments.

NumPy's `ufunc.at` is quick for single numbers and slow for rows; on a GPU there are kernels of our
own, but for sums of whole numbers, which are the same in any order. All ways give the same bits
each time.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .cuda import bags as on_gpu
from .cuda.rows import FLOATS
from .cuda.segments import combine_rows
from .halves import accumulator
from .selection import select

Array = Any

_MANY = 1 << 14  # numbers from which setting up a sparse product pays


def add_at(xp: Any, count: int, positions: Array, rows: Array, skipped: int | None = None) -> Array:
    """Zeros of `count` rows with `rows[k]` added to row `positions[k]`, in the dtype of `rows`.

    Half precision is added up in float32.

    positions   whole numbers of [0, count), shape (n,)
    rows        shape (n, width)
    skipped     a position to which nothing is added

    >>> add_at(np, 2, np.array([1, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[0., 0.],
           [4., 6.]])
    """
    n, width = rows.shape
    if xp is not np:
        if rows.dtype.kind in "iub":
            return _whole_numbers(xp, count, positions, rows)
        start = xp.zeros((count, width), rows.dtype)
        return combine_rows(xp, "add", start, positions, rows, -1 if skipped is None else skipped)
    if skipped is not None:
        rows = select(np, (positions == skipped)[:, None], 0.0, rows)
    wide = accumulator(rows.dtype)
    if wide != rows.dtype:
        return add_at(np, count, positions, rows.astype(wide)).astype(rows.dtype)
    if width > 1 and rows.size >= _MANY and rows.dtype.kind == "f" and rows.itemsize > 2:
        # One column for each row of the input, with a 1 at the place where that row goes.
        sparse = importlib.import_module("scipy.sparse")  # slow, so only where it is wanted
        ones = np.ones(n, rows.dtype)
        return sparse.csc_array((ones, positions, np.arange(n + 1)), shape=(count, n)) @ rows
    if width != 1:
        positions = (positions[:, None] * width + np.arange(width)).reshape(-1)
    result = np.zeros(count * width, rows.dtype)
    np.add.at(result, positions, rows.reshape(-1))
    return result.reshape(count, width)


def _whole_numbers(xp: Any, count: int, positions: Array, rows: Array) -> Array:
    # CuPy adds atomically in uint64, which wraps as int64 does.
    result = xp.zeros((count, rows.shape[1]), xp.uint64)
    xp.add.at(result, positions, rows.astype(xp.int64).view(xp.uint64))
    return result.view(xp.int64).astype(rows.dtype)


def bag_sums(
    xp: Any,
    table: Array,
    positions: Array,
    starts: Array,
    bags: Array,
    mean: bool,
    padding: int | None,
) -> Array:
    """The sum, or the mean, of the rows of each bag (B, D) of a table (V, D); 0 for an empty one.

    positions   whole numbers of [0, V), bag after bag, shape (n,)
    starts      where each bag begins, shape (B,)
    bags        in which bag each position is, shape (n,)
    padding     a row that is left out

    >>> table, bags = np.array([[1.0], [10.0], [100.0]]), np.array([0, 0, 1])
    >>> bag_sums(np, table, np.array([0, 1, 2]), np.array([0, 2]), bags, True, None)
    array([[  5.5],
           [100. ]])
    """
    if xp is not np and table.dtype in FLOATS:
        return on_gpu.bag_sums(xp, table, positions, starts, mean, padding)
    if padding is not None:
        kept = xp.flatnonzero(positions != padding)
        positions, bags = positions[kept], bags[kept]
    sums = add_at(xp, starts.size, bags, table.take(positions, axis=0))
    if not mean:
        return sums
    sizes = xp.maximum(counted(xp, bags, starts.size), 1)
    return sums / sizes[:, None].astype(sums.dtype)


def combine_at(xp: Any, name: str, start: Array, positions: Array, values: Array) -> Array:
    """A copy of `start` in which `values[k]` is combined into element `positions[k]`.

    name    of the function that combines two: "multiply", "maximum" or "minimum"
    start, positions, values    of one dimension, the positions within [0, len(start))

    >>> combine_at(np, "maximum", np.zeros(2), np.array([1, 1]), np.array([3.0, 2.0]))
    array([0., 3.])
    """
    result = start.copy()
    if xp is not np:
        column = result.reshape(-1, 1)
        return combine_rows(xp, name, column, positions, values.reshape(-1, 1)).reshape(-1)
    getattr(np, name).at(result, positions, values)
    return result


def counted(xp: Any, positions: Array, count: int, weights: Array | None = None) -> Array:
    """How often each of `count` numbers is among `positions`, or what its weights add to.

    `bincount`, for which CuPy would have to learn the largest position.

    >>> counted(np, np.array([0, 2, 2]), 4)
    array([1, 0, 2, 0])
    """
    if xp is np:
        return np.bincount(positions, weights, minlength=count)
    if weights is None:
        rows = xp.ones((positions.size, 1), xp.int64)
    else:
        rows = weights.reshape(-1, 1).astype(xp.float64)
    return add_at(xp, count, positions, rows)[:, 0]


def members(xp: Any, counts: Array) -> Array:
    """For each of sum(counts) elements, segment after segment, the number of its segment.

    >>> members(np, np.array([1, 0, 2]))
    array([0, 2, 2])
    """
    ends = xp.cumsum(counts.astype(xp.int64, copy=False))
    total = int(ends[-1]) if ends.size else 0
    return counted(xp, ends[:-1], total + 1)[:total].cumsum()
