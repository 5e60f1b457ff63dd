"""Softmax and its logarithm along one dimension of raw arrays, with their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .cuda import softmax as on_gpu
from .halves import wide

Array = Any


def softmax(xp: Any, x: Array, dim: int, logarithm: bool = False) -> Array:
    """exp(x) / sum(exp(x)), or its logarithm, shifted by the largest; half types in float32.

    >>> softmax(np, np.array([0.0, 0.0]), 0)
    array([0.5, 0.5])
    """
    if xp is not np:
        return on_gpu.softmax(xp, x, dim, logarithm)
    shifted = wide(x) - largest(x, dim)
    if logarithm:
        shifted -= np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True))
    else:
        np.exp(shifted, out=shifted)
        shifted /= np.sum(shifted, axis=dim, keepdims=True)
    return shifted.astype(x.dtype, copy=False)


def softmax_gradient(xp: Any, grad: Array, out: Array, dim: int, logarithm: bool = False) -> Array:
    """The gradient from what came out: s (g - sum(g s)), or g - exp(out) sum(g).

    >>> softmax_gradient(np, np.array([1.0, 0.0]), np.array([0.5, 0.5]), 0)
    array([ 0.25, -0.25])
    """
    if xp is not np:
        return on_gpu.softmax_gradient(xp, grad, out, dim, logarithm)
    shared = grad if logarithm else grad * out
    wide = np.float32 if out.dtype.itemsize == 2 else out.dtype
    total = np.sum(shared, axis=dim, keepdims=True, dtype=wide).astype(out.dtype, copy=False)
    return grad - np.exp(out) * total if logarithm else shared - out * total


def largest(x: Array, dim: int) -> Array:
    """The largest along a dimension, which is kept; -inf of none.

    >>> largest(np.array([[1.0, 2.0]]), 1)
    array([[2.]])
    """
    if not x.size:
        return np.full((*x.shape[:dim], 1, *x.shape[dim + 1 :]), -math.inf, x.dtype)
    return np.max(x, axis=dim, keepdims=True)
