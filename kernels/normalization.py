"""Normalising raw arrays: mean 0 and variance 1, or mean square 1, over some dimensions.

`weight` and `bias` broadcast to `x`; statistics keep their dimensions. The variance is the mean
square of what remains after the mean is taken away, so that a large mean costs no digits; and as
the mean is itself rounded, what remains has a mean too, `rest`, which is taken away likewise.

All arrays are of one dtype, but that a batch norm of a half type may have its weight and bias in
float32: in this half types are computed, and their statistics have it. Few passes over memory, most
of them in place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .cuda import normalization as on_gpu
from .cuda.channels import Moving
from .halves import wide

Array = Any
Dims = tuple[int, ...]


def total(xp: Any, dims: Dims, x: Array, y: Array | None = None) -> Array:
    """The sum of x, or of x times y, over dimensions, which are kept as 1.

    The last of them is summed by itself, so that sums are of few numbers and rounding does not add
    up; products are not written down.

    >>> import numpy as np
    >>> total(np, (1,), np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([[11.]])
    """
    if not dims:
        return x if y is None else x * y
    places = list(range(x.ndim))
    kept = [place for place in places if place != dims[-1]]
    operands = (x, places) if y is None else (x, places, y, places)
    summed = xp.expand_dims(xp.einsum(*operands, kept), dims[-1])
    return xp.sum(summed, axis=dims[:-1], keepdims=True) if len(dims) > 1 else summed


def normalize(
    xp: Any,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    dims: Dims,
    eps: float,
    moving: Moving | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(x - mean) / sqrt(var + eps) * weight + bias; and mean, rest and biased variance.

    On a GPU the statistics of a batch may move running ones in the same launch.
    """
    if xp is not np:
        return on_gpu.normalize(xp, x, weight, bias, dims, eps, moving)
    dtype = x.dtype
    x, weight, bias = map(_wide, (x, weight, bias))
    count = math.prod(x.shape[d] for d in dims)
    mean = total(xp, dims, x) / count
    out = x - mean
    rest = total(xp, dims, out) / count
    var = total(xp, dims, out, out) / count - rest * rest
    if _matters(rest, var):
        out -= rest
    scale = 1 / xp.sqrt(var + eps)
    if weight is not None and weight.shape == scale.shape:
        scale, weight = scale * weight, None
    out *= scale
    if weight is not None:
        out *= weight
    if bias is not None:
        out += bias
    return out.astype(dtype, copy=False), mean, rest, var


def _wide(x: Array | None) -> Array | None:
    return None if x is None else wide(x)


def _matters(rest: Array, var: Array) -> bool:
    """Whether `rest` is more than rounding."""
    negligible = np.finfo(var.dtype).eps ** 2
    return not bool((rest * rest <= var * negligible).all())


def normalize_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    weight: Array | None,
    statistics: tuple[Array, Array, Array],
    dims: Dims,
    eps: float,
    wants: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of x, weight and bias, at least those that `wants` says; without a weight of x.

    With h the normalised x, n elements to a mean and u the gradient times the weight:
    dx = (u - sum(u) / n - h sum(u h) / n) / sqrt(var + eps).
    """
    if xp is not np:
        return on_gpu.normalize_gradient(xp, grad, x, weight, statistics, dims, eps, wants)
    grad, x, weight = map(_wide, (grad, x, weight))
    mean, rest, var = statistics
    count = math.prod(x.shape[d] for d in dims)
    root = 1 / xp.sqrt(var + eps)
    normal = x - mean
    if _matters(rest, var):
        normal -= rest
    normal *= root
    shared = () if weight is None else tuple(i for i, n in enumerate(weight.shape) if n == 1)
    if weight is None or all(d in shared for d in dims):  # one weight for all that share a mean
        to_bias, to_weight = total(xp, dims, grad), total(xp, dims, grad, normal)
        factor = root if weight is None else root * weight
        normal *= to_weight / -count
        normal += grad
        normal -= to_bias / count
        normal *= factor
        return normal, to_weight, to_bias
    to_bias, to_weight = total(xp, shared, grad), total(xp, shared, grad, normal)
    grad = grad * weight
    means = total(xp, dims, grad) / count, total(xp, dims, grad, normal) / -count
    normal *= means[1]
    normal += grad
    normal -= means[0]
    normal *= root
    return normal, to_weight, to_bias


def normalize_square(
    xp: Any, x: Array, weight: Array | None, dims: Dims, eps: float
) -> tuple[Array, Array]:
    """x / sqrt(mean(x^2) + eps) * weight, with the mean square."""
    if xp is not np:
        return on_gpu.normalize_square(xp, x, weight, dims, eps)
    dtype = x.dtype
    x, weight = map(_wide, (x, weight))
    square = total(xp, dims, x, x) / math.prod(x.shape[d] for d in dims)
    out = x * (1 / xp.sqrt(square + eps))
    if weight is not None:
        out *= weight
    return out.astype(dtype, copy=False), square


def normalize_square_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    weight: Array | None,
    square: Array,
    dims: Dims,
    eps: float,
    wants: tuple[bool, bool],
) -> tuple[Array | None, Array | None]:
    """The gradients: dx = r (u - h sum(u h) / n) with h = r x and r = 1 / sqrt(square + eps)."""
    if xp is not np:
        found = on_gpu.normalize_gradient(
            xp, grad, x, weight, (None, None, square), dims, eps, (*wants, False)
        )
        return found[:2]
    grad, x, weight = map(_wide, (grad, x, weight))
    root = 1 / xp.sqrt(square + eps)
    normal = x * root
    to_weight = None
    if weight is not None:
        shared = tuple(i for i, n in enumerate(weight.shape) if n == 1)
        to_weight = total(xp, shared, grad, normal)
        grad = grad * weight
    normal *= total(xp, dims, grad, normal) / -math.prod(x.shape[d] for d in dims)
    normal += grad
    normal *= root
    return normal, to_weight
