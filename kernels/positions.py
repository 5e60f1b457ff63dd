"""Reading and writing at positions along a dimension: take, gather, and their adjoints.

Positions are whole numbers within the dimension. What is added or written at one position comes in
the order in which it stands, on a GPU too, so that results are the same each time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cuda import positions as on_gpu
from .segments import add_at
from .selection import may_hold

Array = Any
Ints = tuple[int, ...]


def take(xp: Any, x: Array, places: Array, dim: int) -> Array:
    """The positions `places` of a dimension, in its stead.

    >>> take(np, np.array([[1, 2], [3, 4]]), np.array([1, 1, 0]), 1)
    array([[2, 2, 1],
           [4, 4, 3]])
    """
    if xp is np or x.ndim + places.ndim - 1 > on_gpu.MOST:
        return x.take(places, axis=dim)
    return on_gpu.take(xp, x, places, dim)


def gather(xp: Any, x: Array, index: Array, dim: int) -> Array:
    """out[i][j] = x[i][index[i][j]] for dim 1, and so on.

    >>> gather(np, np.array([[1, 2], [3, 4]]), np.array([[0], [1]]), 1)
    array([[1],
           [4]])
    """
    if xp is not np and 0 < x.ndim <= on_gpu.MOST and x.ndim == index.ndim:
        return on_gpu.gather(xp, x, index, dim)
    places = flat(xp, index, dim, x.shape)
    if not x.flags.c_contiguous and 4 * places.size < x.size:  # spare the copy of reshape
        return x[xp.unravel_index(places, x.shape)]
    return x.reshape(-1).take(places)


def scatter_add(xp: Any, x: Array, index: Array, dim: int, shape: Ints) -> Array:
    """Zeros of a shape with x[i][j] added at [i][index[i][j]] for dim 1, and so on.

    >>> scatter_add(np, np.array([[1, 2]]), np.array([[2, 2]]), 1, (1, 3))
    array([[0, 0, 3]])
    """
    fits = 0 < len(shape) <= on_gpu.MOST and len(shape) == x.ndim == index.ndim
    if xp is not np and x.dtype.kind not in "iub" and fits:
        return on_gpu.scatter_add(xp, x, index, dim, shape)
    places = flat(xp, index, dim, shape).reshape(-1)
    rows = x.reshape(-1, 1)
    return add_at(xp, math.prod(shape), places, rows).reshape(shape)


def rows_named(xp: Any, arrays: Sequence[Array], sizes: Ints, before: int = 1) -> Array:
    """The numbers of rows (n,) that positions in several dimensions name, in each of some blocks.

    arrays  positions that broadcast, one array for each dimension; negative ones count from the end
    sizes   of the dimensions, whose elements are the rows of a block
    before  how many blocks there are

    >>> rows_named(np, [np.array([0, -1]), np.array([2])], (2, 3))
    array([2, 5])
    """
    if xp is not np and len(arrays) <= on_gpu.ARRAYS and max(a.ndim for a in arrays) <= on_gpu.MOST:
        return on_gpu.rows_named(xp, arrays, sizes, before)
    rows: Any = 0
    for places, size in zip(arrays, sizes, strict=True):
        places = places.astype(xp.int64, copy=False)
        negative = places < 0
        if may_hold(xp, negative):
            places = places + size * negative
        rows = rows * size + places
    if before != 1:
        rows = xp.arange(before)[:, None] * math.prod(sizes) + rows.reshape(1, -1)
    return rows.reshape(-1)


def put(xp: Any, x: Array, places: Array, rows: Array) -> Array:
    """x (count, width), in place, with rows[k] in row places[k]; of several the last stays.

    >>> put(np, np.zeros((2, 1)), np.array([1, 1]), np.array([[3.0], [4.0]]))
    array([[0.],
           [4.]])
    """
    if xp is not np:
        return on_gpu.put(xp, x, places, rows)
    x[places] = rows
    return x


def flat(xp: Any, index: Array, dim: int, shape: Ints) -> Array:
    """Where in the flat memory of a shape each element of `index` points, along `dim`.

    >>> flat(np, np.array([[1], [0]]), 1, (2, 3))
    array([[1],
           [3]])
    """
    places = index.astype(xp.int64, copy=False)
    if min(len(shape), index.ndim) < 1 or len(shape) == 1:
        return places
    stride = 1
    start: Any = 0
    for d in reversed(range(len(shape))):
        if d == dim:
            if stride > 1:
                places = places * stride
        else:
            line = xp.arange(index.shape[d]) * stride
            start = start + line.reshape((-1,) + (1,) * (len(shape) - 1 - d))
        stride *= shape[d]
    return places + start
