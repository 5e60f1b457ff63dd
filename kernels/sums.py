"""Sums over dimensions and what is made of them: means, products, norms, variances, log-sum-exps.

On a CPU by NumPy, and another way round where its own loop is short and its overhead long; on a
GPU in one kernel each. A `dtype` is that in which a CPU accumulates: at least float32.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from .cuda.reductions import reduce

Array = Any
Dims = tuple[int, ...]

_LARGE = 1 << 12  # elements below which NumPy's sum is as quick
_STRETCH = 1 << 9  # summands that BLAS adds up in turn, few so that rounding stays small
_FEW = 16  # summands, or columns, that count as few


def total(xp: Any, x: Array, dims: Dims, keepdim: bool, dtype: Any) -> Array:
    """The sum over dimensions, in the dtype of x.

    >>> total(np, np.ones((2, 3)), (1,), False, np.float64)
    array([3., 3.])
    """
    if xp is not np:
        return reduce(xp, "sum", x, dims, keepdim)
    summed = np.sum(x, axis=dims, keepdims=keepdim, dtype=dtype)
    return summed.astype(x.dtype, copy=False) if summed.dtype != x.dtype else summed


def mean(xp: Any, x: Array, dims: Dims, keepdim: bool, dtype: Any) -> Array:
    """The mean over dimensions, in the dtype of x; NaN of nothing.

    >>> mean(np, np.array([1.0, 2.0, 6.0]), (0,), False, np.float64)
    np.float64(3.0)
    """
    if xp is not np:
        return reduce(xp, "mean", x, dims, keepdim)
    count = math.prod([x.shape[d] for d in dims])
    return (np.sum(x, axis=dims, keepdims=keepdim, dtype=dtype) / count).astype(x.dtype, copy=False)


def nansum(xp: Any, x: Array, dims: Dims, keepdim: bool, dtype: Any) -> Array:
    """The sum over dimensions of what is not NaN, in the dtype of x.

    >>> nansum(np, np.array([1.0, np.nan]), (0,), False, np.float64)
    np.float64(1.0)
    """
    if xp is not np:
        return reduce(xp, "nansum", x, dims, keepdim)
    wider = x.astype(dtype, copy=False)
    return np.nansum(wider, axis=dims, keepdims=keepdim).astype(x.dtype, copy=False)


def product(xp: Any, x: Array, dim: int, keepdim: bool, dtype: Any) -> Array:
    """The product along a dimension, in the dtype of x.

    >>> product(np, np.array([2.0, 3.0]), 0, False, np.float64)
    np.float64(6.0)
    """
    if xp is not np:
        return reduce(xp, "product", x, (dim,), keepdim)
    return np.prod(x, axis=dim, keepdims=keepdim, dtype=dtype).astype(x.dtype, copy=False)


def norm(xp: Any, x: Array, p: float, dims: Dims, keepdim: bool, dtype: Any) -> Array:
    """(sum |x|^p)^(1/p) over dimensions, in the dtype of x.

    The largest magnitude for p = inf and the smallest for p = -inf; the count of what is not 0 for
    p = 0.

    >>> norm(np, np.array([3.0, -4.0]), 2, (0,), False, np.float64)
    np.float64(5.0)
    """
    if xp is not np:
        if p == 0:
            return reduce(xp, "count", x, dims, keepdim).astype(x.dtype)
        return reduce(xp, _NORMS.get(p, "power norm"), x, dims, keepdim, p)
    wider = x.astype(dtype, copy=False)
    if p == 2:
        out = np.sqrt(sum_of_squares(wider, dims, keepdim))
    elif p == 1:
        out = np.sum(abs(wider), axis=dims, keepdims=keepdim)
    elif p == 0:
        out = np.sum(wider != 0, axis=dims, keepdims=keepdim, dtype=wider.dtype)
    elif p == math.inf:
        out = np.max(abs(wider), axis=dims, keepdims=keepdim)
    elif p == -math.inf:
        out = np.min(abs(wider), axis=dims, keepdims=keepdim)
    else:
        out = np.sum(abs(wider) ** p, axis=dims, keepdims=keepdim) ** (1 / p)
    return out.astype(x.dtype, copy=False)


_NORMS = {
    1: "sum of magnitudes",
    2: "length",
    math.inf: "largest magnitude",
    -math.inf: "smallest magnitude",
}


def variance(xp: Any, x: Array, dims: Dims, keepdim: bool, correction: float, dtype: Any) -> Array:
    """sum((x - mean)^2) / (n - correction) over dimensions, in the dtype of x.

    NaN where n does not exceed the correction. Exactly 0 for a constant, whose mean is rounded:
    where nothing but rounding may be left, the first element is subtracted before.

    >>> variance(np, np.array([1.0, 3.0]), (0,), False, 0, np.float64)
    np.float64(1.0)
    """
    if xp is not np:
        return reduce(xp, "variance", x, dims, keepdim, correction)
    count = math.prod([x.shape[d] for d in dims])
    wider = x.astype(dtype, copy=False)
    squares, middle = _squares(wider, dims, count)
    rounding = count * float(np.finfo(wider.dtype).eps) * middle
    if count and bool((squares <= count * rounding * rounding).any()):
        squares, _ = _squares(wider - first(wider, dims), dims, count)
    squares = squares if keepdim else np.squeeze(squares, axis=dims)
    return (squares / max(count - correction, 0)).astype(x.dtype, copy=False)


def first(x: Array, dims: Dims) -> Array:
    """The first element over dimensions, which are kept.

    >>> first(np.array([[1, 2], [3, 4]]), (1,))
    array([[1],
           [3]])
    """
    return x[tuple(slice(0, 1) if i in dims else slice(None) for i in range(x.ndim))]


def _squares(x: Array, dims: Dims, count: int) -> tuple[Array, Array]:
    """The sum of squared distances from the mean, and the mean; dimensions are kept."""
    middle = np.sum(x, axis=dims, keepdims=True) / (count or 1)
    distance = x - middle
    distance *= distance
    return np.sum(distance, axis=dims, keepdims=True), middle


def logsumexp(xp: Any, x: Array, dims: Dims, keepdim: bool, dtype: Any) -> Array:
    """log(sum(exp(x))) over dimensions, shifted by the largest, in the dtype of x; -inf of nothing.

    >>> float(logsumexp(np, np.array([1000.0, 1000.0]), (0,), False, np.float64))
    1000.6931471805599
    """
    if xp is not np:
        return reduce(xp, "logsumexp", x, dims, keepdim)
    wider = x.astype(dtype, copy=False)
    shift = np.max(wider, axis=dims, keepdims=True, initial=-math.inf)
    shift = np.where(np.isfinite(shift), shift, np.zeros_like(shift))
    out = np.log(np.sum(np.exp(wider - shift), axis=dims, keepdims=True)) + shift
    out = out if keepdim else np.squeeze(out, axis=dims)
    return out.astype(x.dtype, copy=False)


def sum_over(xp: Any, x: Array, dims: Dims, dtype: Any) -> Array:
    """The sum over ascending dimensions, kept as 1: in a dtype, on a GPU in that of x.

    NumPy sums along a short last dimension, or over the rows of a narrow matrix, a few elements at
    a time; adding slices, and a product with ones, take the other way round.

    >>> sum_over(np, np.ones((2, 3)), (1,), np.dtype("float64"))
    array([[3.],
           [3.]])
    """
    if xp is not np:
        return reduce(xp, "sum", x, dims, True)
    if x.size >= _LARGE and dims and x.dtype == dtype:
        last = x.ndim - 1
        count = x.shape[dims[0]]
        if dims == (last,) and count <= _FEW:
            return functools.reduce(operator.add, (x[..., i : i + 1] for i in range(count)))
        narrow = dims == tuple(range(last)) and 1 < x.shape[last] <= _FEW
        if narrow and dtype.kind == "f" and dtype.itemsize > 2 and x.flags.c_contiguous:
            rows = x.reshape(-1, x.shape[last])
            return (np.ones(len(rows), dtype) @ rows).reshape((1,) * last + (-1,))
    return np.sum(x, axis=dims, keepdims=True, dtype=dtype)


def sum_of_squares(x: Array, dims: Dims, keepdim: bool) -> Array:
    """The sum of x * x over dimensions; of all of a large array in stretches, without the squares.

    >>> sum_of_squares(np.array([3.0, 4.0]), (0,), False)
    np.float64(25.0)
    """
    whole = x.size >= _LARGE and len(dims) == x.ndim and x.flags.c_contiguous
    if not whole or x.dtype not in (np.float32, np.float64):
        return np.sum(x * x, axis=dims, keepdims=keepdim)
    flat = x.reshape(-1)
    rest = flat.size % _STRETCH
    rows = flat[: flat.size - rest].reshape(-1, _STRETCH)
    found = np.matmul(rows[:, None], rows[..., None]).sum()  # a dot product each
    if rest:
        found += (flat[-rest:] ** 2).sum()
    return found.reshape((1,) * x.ndim) if keepdim else found
