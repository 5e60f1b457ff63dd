"""Sums over dimensions where NumPy's own loop is short and its overhead long."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

Array = Any

_LARGE = 1 << 12  # elements below which NumPy's sum is as quick
_STRETCH = 1 << 9  # summands that BLAS adds up in turn, few so that rounding stays small
_FEW = 16  # summands, or columns, that count as few


def sum_over(xp: Any, x: Array, dims: tuple[int, ...], dtype: Any) -> Array:
    """The sum over ascending dimensions, kept as 1, in a dtype.

    NumPy sums along a short last dimension, or over the rows of a narrow matrix, a few elements at
    a time; adding slices, and a product with ones, take the other way round.

    >>> sum_over(np, np.ones((2, 3)), (1,), np.dtype("float64"))
    array([[3.],
           [3.]])
    """
    if xp is np and x.size >= _LARGE and dims and x.dtype == dtype:
        last = x.ndim - 1
        count = x.shape[dims[0]]
        if dims == (last,) and count <= _FEW:
            return functools.reduce(operator.add, (x[..., i : i + 1] for i in range(count)))
        narrow = dims == tuple(range(last)) and 1 < x.shape[last] <= _FEW
        if narrow and dtype.kind == "f" and dtype.itemsize > 2 and x.flags.c_contiguous:
            rows = x.reshape(-1, x.shape[last])
            return (np.ones(len(rows), dtype) @ rows).reshape((1,) * last + (-1,))
    return xp.sum(x, axis=dims, keepdims=True, dtype=dtype)


def sum_of_squares(xp: Any, x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
    """The sum of x * x over dimensions; of all of a large array in stretches, without the squares.

    >>> sum_of_squares(np, np.array([3.0, 4.0]), (0,), False)
    np.float64(25.0)
    """
    whole = xp is np and x.size >= _LARGE and len(dims) == x.ndim and x.flags.c_contiguous
    if not whole or x.dtype not in (np.float32, np.float64):
        return xp.sum(x * x, axis=dims, keepdims=keepdim)
    flat = x.reshape(-1)
    rest = flat.size % _STRETCH
    rows = flat[: flat.size - rest].reshape(-1, _STRETCH)
    found = np.matmul(rows[:, None], rows[..., None]).sum()  # a dot product each
    if rest:
        found += (flat[-rest:] ** 2).sum()
    return found.reshape((1,) * x.ndim) if keepdim else found
