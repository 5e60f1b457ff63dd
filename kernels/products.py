"""Products of matrices of raw arrays: NumPy's on a CPU, cuBLAS's on a GPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import halves
from .cuda import products as on_gpu
from .sums import total

Array = Any


def matmul(xp: Any, a: Array, b: Array) -> Array:
    """The product of matrices, or of stacks of them that broadcast; half types add in float32.

    Args:
        xp: NumPy or CuPy.
        a: (..., m, k).
        b: (..., k, n), of the same dtype.

    >>> matmul(np, np.ones((5, 2, 3)), np.ones((3, 4))).shape
    (5, 2, 4)
    """
    if xp is not np:
        return on_gpu.matmul(xp, a, b)
    if halves.is_half(a.dtype):
        return np.matmul(halves.wide(a), halves.wide(b)).astype(a.dtype)
    return np.matmul(a, b)


def scaled_matmul(xp: Any, a: Array, b: Array, factor: float, wide: bool) -> Array:
    """The product of matrices of floats, or of stacks of them, times a number.

    Args:
        xp: NumPy or CuPy.
        a: (..., m, k).
        b: (..., k, n), of the same dtype.
        factor: of the result.
        wide: whether the product of a half type stays in float32, in which it was added up.

    >>> scaled_matmul(np, np.ones((2, 4)), np.ones((4, 2)), 0.5, False)[0]
    array([2., 2.])
    """
    dtype = halves.accumulator(a.dtype) if wide else a.dtype
    if xp is not np:
        return on_gpu.matmul(xp, a, b, factor, dtype)
    a, b = halves.wide(a), halves.wide(b)
    size = math.prod(a.shape[:-1]) * b.shape[-1]
    if size <= min(a.size, b.size):  # the least of the three takes the factor
        out = np.matmul(a, b)
        out *= factor
    else:
        out = np.matmul(a * factor, b) if a.size <= b.size else np.matmul(a, b * factor)
    return out.astype(dtype, copy=False)


def linear(xp: Any, x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Array:
    """x W^T + b, or max(0, x W^T + b); on a GPU in one call.

    Args:
        xp: NumPy or CuPy.
        x: (..., k).
        weight: (n, k).
        bias: (n,), or None.
        relu: whether negative results become 0.

    >>> linear(np, np.ones((2, 3)), np.ones((4, 3)), np.ones(4))[0]
    array([4., 4., 4., 4.])
    """
    if xp is not np:
        return on_gpu.linear(xp, x, weight, bias, relu)
    product = matmul(np, x, weight.T) if x.itemsize == 2 else np.matmul(x, weight.T)
    if bias is not None:
        product += bias
    return np.maximum(product, product.dtype.type(0), out=product) if relu else product


def linear_gradient(xp: Any, grad: Array, x: Array) -> tuple[Array, Array]:
    """g^T x and the rows of g added up: what the weight and the bias of a linear layer receive.

    Args:
        xp: NumPy or CuPy.
        grad: (m, n).
        x: (m, k), of the same dtype.

    >>> linear_gradient(np, np.ones((5, 2)), np.ones((5, 3)))[1]
    array([5., 5.])
    """
    if xp is not np:
        return on_gpu.linear_gradient(xp, grad, x)
    sums = total(np, grad, (0,), False, halves.accumulator(grad.dtype))
    return matmul(np, grad.T, x), sums
