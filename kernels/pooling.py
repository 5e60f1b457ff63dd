"""Two-dimensional max and average pooling of raw arrays (N, C, H, W), with their gradients.

Both visit the places of the kernel one after another, each a strided slice of the images, so that
no window is ever laid out. Max pooling returns which place of the image won, and `scatter_to_plane`
and `gather_from_plane` carry gradients there and back; average pooling is separable, a sum down
and a sum across.

Every function takes the array library first (NumPy or CuPy), leaves its inputs alone and returns
the dtype it was given; half precision accumulates in float32. Arguments are not validated here.
"""

import math
from itertools import product
from typing import Any

from .convolution import Array, Pair, accumulator, output_size, taps


def pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """The number of windows along one axis.

    With `ceil_mode` a last window may hang over the far end, if it starts inside the image or the
    near padding, as in PyTorch.

    >>> pooled_size(5, kernel=2, stride=2, padding=0, dilation=1, ceil_mode=True)
    3
    """
    if not ceil_mode:
        return output_size(size, kernel, stride, padding, dilation)
    count = output_size(size + stride - 1, kernel, stride, padding, dilation)
    return count - 1 if (count - 1) * stride >= size + padding else count


def max_pool2d(
    xp: Any,
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """The largest value of each window of x (N, C, H, W), and where it stands.

    Returns y (N, C, P, Q) in x's dtype and int64 indices (N, C, P, Q) into each H * W plane. The
    first of equals wins, in row-major order; so does the first NaN. Padding is never chosen.

    >>> import numpy as np
    >>> y, indices = max_pool2d(np, np.ones((1, 1, 2, 4)), (2, 2), (2, 2), (0, 0), (1, 1))
    >>> indices
    array([[[[0, 2]]]])
    """
    axes = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    (p, down), (q, across) = (_windows(*axis, ceil_mode) for axis in axes)
    dtype = accumulator(xp, x.dtype)  # comparing in float32 is exact, and quicker than in halves
    images = product(down, across)
    values = [xp.ascontiguousarray(x[..., i, j], dtype) for (i, _), (j, _) in images]
    windows = [(..., i, j) for (_, i), (_, j) in product(down, across)]

    lowest = xp.iinfo(dtype).min if dtype.kind in "iu" else -math.inf
    y = xp.full((*x.shape[:2], p, q), lowest, dtype)
    for value, window in zip(values, windows, strict=True):
        xp.maximum(y[window], value, out=y[window])

    # The winner is the least number of a place that holds the maximum, or, being unequal to
    # itself, a NaN. A test minus one is 0 where it holds and all ones elsewhere, so that `|` gives
    # the number or the largest code, several times quicker than `where`.
    code = xp.uint8 if len(values) < 256 else xp.uint32
    winner = xp.full(y.shape, xp.iinfo(code).max, code)
    for number, (value, window) in enumerate(zip(values, windows, strict=True)):
        hit = (value == y[window]) | (value != value)
        candidate = (hit.astype(code) - code(1)) | code(number)
        xp.minimum(winner[window], candidate, out=winner[window])

    moves = product(range(kernel[0]), range(kernel[1]))
    offsets = [i * dilation[0] * x.shape[3] + j * dilation[1] for i, j in moves]
    indices = xp.asarray(offsets, xp.int64).take(winner)
    lines = xp.arange(p)[:, None] * stride[0] - padding[0]
    indices += lines * x.shape[3] + (xp.arange(q) * stride[1] - padding[1])
    return y.astype(x.dtype, copy=False), indices


def scatter_to_plane(
    xp: Any, grad: Array, indices: Array, input_size: Pair, disjoint: bool = False
) -> Array:
    """Add grad (N, C, P, Q) at indices (N, C, P, Q) into planes of zeros (N, C, *input_size).

    The gradient of max pooling. Places named several times add up, in float64; `disjoint` promises
    that there are none, which holds where windows do not overlap, and is quicker.
    """
    planes, plane = math.prod(grad.shape[:2]), math.prod(input_size)
    places = indices + xp.arange(planes).reshape(*grad.shape[:2], 1, 1) * plane
    if disjoint:
        dx = xp.zeros(planes * plane, grad.dtype)
        dx[places] = grad
    else:
        # Unlike add.at this is one compiled loop; a sum rounded once from float64 is exact enough.
        dx = xp.bincount(places.ravel(), grad.ravel().astype(xp.float64), minlength=planes * plane)
    return dx.astype(grad.dtype, copy=False).reshape(*grad.shape[:2], *input_size)


def gather_from_plane(xp: Any, x: Array, indices: Array) -> Array:
    """The values of x (N, C, H, W) at indices (N, C, P, Q): the adjoint of `scatter_to_plane`."""
    flat, places = (a.reshape(*a.shape[:2], math.prod(a.shape[2:])) for a in (x, indices))
    return xp.take_along_axis(flat, places, axis=2).reshape(indices.shape)


def avg_pool2d(
    xp: Any,
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Array:
    """The mean of each window of x (N, C, H, W): y (N, C, P, Q) in x's dtype.

    The divisor counts the places of the window inside the image, with `count_include_pad` those on
    the padding too, but never those that hang over beyond it; `divisor` stands in for it.

    >>> import numpy as np
    >>> avg_pool2d(np, np.ones((1, 1, 2, 2)), (2, 2), (2, 2), (1, 1), False, True)[0, 0]
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    axes = zip(x.shape[2:], kernel, stride, padding, (1, 1), strict=True)
    (p, down), (q, across) = (_windows(*axis, ceil_mode) for axis in axes)
    dtype = accumulator(xp, x.dtype)
    sums = xp.zeros((*x.shape[:2], p, x.shape[3]), dtype)
    for lines, windows in down:
        sums[..., windows, :] += x[..., lines, :]
    y = xp.zeros((*x.shape[:2], p, q), dtype)
    for columns, windows in across:
        y[..., windows] += sums[..., columns]
    y /= divisor or _counts(xp, x.shape[2:], (p, q), kernel, stride, padding, count_include_pad)
    return y.astype(x.dtype, copy=False)


def avg_pool2d_gradient(
    xp: Any,
    grad: Array,
    input_size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Array:
    """The gradient of `sum(grad * avg_pool2d(x))` to x: dx (N, C, *input_size) in grad's dtype."""
    axes = zip(input_size, kernel, stride, padding, (1, 1), strict=True)
    (p, down), (q, across) = (_windows(*axis, ceil_mode) for axis in axes)
    counts = _counts(xp, input_size, (p, q), kernel, stride, padding, count_include_pad)
    dtype = accumulator(xp, grad.dtype)
    shares = grad.astype(dtype) / (divisor or counts.astype(dtype))
    sums = xp.zeros((*grad.shape[:3], input_size[1]), dtype)
    for columns, windows in across:
        sums[..., columns] += shares[..., windows]
    dx = xp.zeros((*grad.shape[:2], *input_size), dtype)
    for lines, windows in down:
        dx[..., lines, :] += sums[..., windows, :]
    return dx.astype(grad.dtype, copy=False)


def _windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> tuple[int, list[tuple[slice, slice]]]:
    """The number of windows along one axis, and its `taps`."""
    count = pooled_size(size, kernel, stride, padding, dilation, ceil_mode)
    return count, taps(size, kernel, count, stride, padding, dilation)


def _counts(
    xp: Any,
    size: Pair,
    output: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
) -> Array:
    """How many places each window counts: (P, Q)."""
    counts = []
    for n, count, k, s, m in zip(size, output, kernel, stride, padding, strict=True):
        start = xp.arange(count) * s - m
        end = xp.minimum(start + k, n + m)
        if not count_include_pad:
            start, end = xp.maximum(start, 0), xp.minimum(end, n)
        counts.append(end - start)
    return counts[0][:, None] * counts[1]
