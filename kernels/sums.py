"""Sums over dimensions where NumPy's own loop is short and its overhead long."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

Array = Any

_LARGE = 1 << 12  # elements below which NumPy's sum is as quick
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
