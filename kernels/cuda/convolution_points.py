"""Convolution by filters of one place on a GPU, which is a product of matrices and left to cuBLAS.

The rows are the places of all images, which takes channels that lie next to each other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapegrad.kernels.precision import tf32_convolution_allowed
from tapegrad.kernels.strides import channels_last_order, fills

from . import blas, images, products
from .convolution_windows import Window

Array = Any
Ints = tuple[int, ...]


def are_all(filters: Ints, window: Window) -> bool:
    """Whether every place is made from itself, by filters (O, C, 1, ...) of all channels."""
    return (
        window.groups == 1
        and max(filters[2:]) == max(window.stride) == 1
        and max(window.padding) == 0
        and math.prod(filters) > 0
    )


def have_rows(dtype: np.dtype, *arrays: tuple[Ints, Ints, bool]) -> bool:
    """Whether arrays (N, C, *size) are matrices, a row for each place, without a copy.

    Of each are given its shape, strides, and whether it is aligned.
    """
    return dtype in blas.TYPES and all(
        math.prod(shape) and fills(shape, strides, channels_last_order(len(shape)), dtype.itemsize)
        for shape, strides, _ in arrays
    )


def convolve(xp: Any, x: Array, w: Array, bias: Array | None, relu: bool) -> Array:
    """Each place of x (N, C, *size) by filters w (O, C, 1, ...), in one call."""
    y = products.linear(xp, _rows(x), _rows(w), bias, relu, tf32_convolution_allowed())
    return _images(y, x.shape)


def input_gradient(xp: Any, grad: Array, w: Array, bias: Array | None) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to x, plus a bias."""
    tf32 = tf32_convolution_allowed()
    to_x = products.linear(xp, _rows(grad), _rows(w).T, bias, tf32=tf32)
    return _images(to_x, grad.shape)


def weight_gradient(xp: Any, grad: Array, x: Array) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to w."""
    to_w = products.matmul(xp, _rows(grad).T, _rows(x), tf32=tf32_convolution_allowed())
    return _images(to_w, (*to_w.shape, *(1,) * (x.ndim - 2)))


def _rows(array: Array) -> Array:
    return array.transpose(channels_last_order(array.ndim)).reshape(-1, array.shape[1])


def _images(rows: Array, shape: Ints) -> Array:
    """Rows of channels as images (N, O, *size) of a shape."""
    places = rows.reshape(shape[0], *shape[2:], rows.shape[1])
    return places.transpose(images.to_last(len(shape)))
