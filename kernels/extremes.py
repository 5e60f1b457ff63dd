"""The largest and the smallest over dimensions, where they are, and whether any or all are not 0.

NaN is larger than the largest and smaller than the smallest, as in NumPy; of equals the first
counts. On a GPU each is one kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cuda.reductions import reduce

Array = Any
Dims = tuple[int, ...]


def largest(xp: Any, x: Array, dims: Dims, keepdim: bool) -> Array:
    """The largest over dimensions.

    >>> largest(np, np.array([[1, 5], [7, 2]]), (0,), False)
    array([7, 5])
    """
    if xp is not np:
        return reduce(xp, "largest", x, dims, keepdim)
    return np.max(x, axis=dims, keepdims=keepdim)


def smallest(xp: Any, x: Array, dims: Dims, keepdim: bool) -> Array:
    """The smallest over dimensions.

    >>> smallest(np, np.array([[1, 5], [7, 2]]), (0,), False)
    array([1, 2])
    """
    if xp is not np:
        return reduce(xp, "smallest", x, dims, keepdim)
    return np.min(x, axis=dims, keepdims=keepdim)


def place_of_largest(xp: Any, x: Array, dim: int | None, keepdim: bool) -> Array:
    """Where the largest is along a dimension (None: in the flattened array).

    >>> place_of_largest(np, np.array([[1, 5], [7, 2]]), 1, False)
    array([1, 0])
    """
    if xp is not np:
        return reduce(xp, "place of the largest", x, _along(x, dim), keepdim)
    return np.argmax(x, axis=dim, keepdims=keepdim)


def place_of_smallest(xp: Any, x: Array, dim: int | None, keepdim: bool) -> Array:
    """Where the smallest is along a dimension (None: in the flattened array).

    >>> place_of_smallest(np, np.array([[1, 5], [7, 2]]), None, False)
    np.int64(0)
    """
    if xp is not np:
        return reduce(xp, "place of the smallest", x, _along(x, dim), keepdim)
    return np.argmin(x, axis=dim, keepdims=keepdim)


def any_(xp: Any, x: Array, dims: Dims, keepdim: bool) -> Array:
    """Whether any element over dimensions is not 0.

    >>> any_(np, np.array([[0, 0], [0, 2]]), (1,), False)
    array([False,  True])
    """
    if xp is not np:
        return reduce(xp, "any", x, dims, keepdim)
    return np.any(x.astype(bool), axis=dims, keepdims=keepdim)


def all_(xp: Any, x: Array, dims: Dims, keepdim: bool) -> Array:
    """Whether no element over dimensions is 0.

    >>> all_(np, np.array([[0, 0], [1, 2]]), (1,), False)
    array([False,  True])
    """
    if xp is not np:
        return reduce(xp, "all", x, dims, keepdim)
    return np.all(x.astype(bool), axis=dims, keepdims=keepdim)


def count(xp: Any, x: Array, dims: Dims, keepdim: bool = False) -> Array:
    """How many elements over dimensions are not 0, in int64.

    >>> count(np, np.array([[0, 0], [1, 2]]), (1,))
    array([0, 2])
    """
    if xp is not np:
        return reduce(xp, "count", x, dims, keepdim)
    return np.sum(x.astype(bool), axis=dims, keepdims=keepdim, dtype=np.int64)


def _along(x: Array, dim: int | None) -> Dims:
    return tuple(range(x.ndim)) if dim is None else (dim,)
