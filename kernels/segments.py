"""Combining values at positions that may repeat: sums, products and extremes of segments.

NumPy's `ufunc.at` is quick for single numbers and slow for rows, and CuPy has it for a few dtypes
and functions only; which way is taken where is decided here. All ways but the sums on a GPU, whose
order is the hardware's, give the same bits each time.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

Array = Any

_MANY = 1 << 14  # numbers from which setting up a sparse product pays


def add_at(xp: Any, count: int, positions: Array, rows: Array) -> Array:
    """Zeros of `count` rows with `rows[k]` added to row `positions[k]`, in the dtype of `rows`.

    positions   whole numbers of [0, count), shape (n,)
    rows        shape (n, width)

    >>> add_at(np, 2, np.array([1, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[0., 0.],
           [4., 6.]])
    """
    n, width = rows.shape
    if xp is not np:
        return _add_at_on_device(xp, count, positions, rows)
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


def _add_at_on_device(xp: Any, count: int, positions: Array, rows: Array) -> Array:
    dtype = rows.dtype
    if dtype.kind != "f":  # CuPy adds atomically in uint64, which wraps as int64 does
        rows = rows.astype(xp.int64).view(xp.uint64)
    result = xp.zeros((count, rows.shape[1]), rows.dtype)
    xp.add.at(result, positions, rows)
    return result if result.dtype == dtype else result.view(xp.int64).astype(dtype)


def combine_at(xp: Any, name: str, start: Array, positions: Array, values: Array) -> Array:
    """A copy of `start` in which `values[k]` is combined into element `positions[k]`.

    name    of the function that combines two: "multiply", "maximum" or "minimum"
    start, positions, values    of one dimension, the positions within [0, len(start))

    >>> combine_at(np, "maximum", np.zeros(2), np.array([1, 1]), np.array([3.0, 2.0]))
    array([0., 3.])
    """
    combine = getattr(xp, name)
    result = start.copy()
    if xp is np:
        combine.at(result, positions, values)
        return result
    # Sorted by position, every element takes in its neighbours 1, 2, 4, ... places before it.
    order = xp.argsort(positions)
    at, values = positions[order], values[order]
    step = 1
    while step < at.size:
        same = at[step:] == at[:-step]
        if not bool(same.any()):
            break
        joined = xp.where(same, combine(values[step:], values[:-step]), values[step:])
        values = xp.concatenate((values[:step], joined))
        step *= 2
    if at.size:
        last = xp.concatenate((at[1:] != at[:-1], xp.ones(1, bool)))
        at, values = at[last], values[last]
        result[at] = combine(result[at], values)
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
