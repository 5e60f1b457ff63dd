"""Max and average pooling of raw arrays (N, C, *size) in any number of dimensions.

Average pooling is separable, a sum along one axis after the other. Max pooling visits the places of
a small kernel one after another, each a strided slice of the images; large and uneven windows are
searched along one axis after the other. It returns which place of the image won, and
`scatter_to_plane` and `gather_from_plane` carry gradients there and back.

Adaptive pooling has a number of windows in place of their size: window i of n along an axis of
length m holds the places from floor(i m / n) up to ceil((i + 1) m / n).

Every function takes the array library first (NumPy or CuPy), leaves its inputs alone and returns
the dtype it was given; half precision accumulates in float32. Arguments are not validated here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from .convolution import Array, Sizes, output_size, taps
from .cuda import pooling as on_gpu
from .cuda.positions import gather_from_planes, put
from .halves import accumulator
from .segments import add_at, counted

MOST_PLACES = 100  # in a window whose places are visited one after another
BLOCK_BYTES = 1 << 20  # of the places' values at a time


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


def max_pool(
    xp: Any,
    x: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """The largest value of each window of x (N, C, *size), and where it stands.

    Returns y (N, C, *counts) in x's dtype and int64 indices, likewise, into each flattened plane.
    The first of equals wins, in row-major order; so does the first NaN. Padding is never chosen.

    >>> import numpy as np
    >>> y, indices = max_pool(np, np.ones((1, 1, 2, 4)), (2, 2), (2, 2), (0, 0), (1, 1))
    >>> indices
    array([[[[0, 2]]]])
    """
    if xp is not np:
        return on_gpu.max_pool(
            xp, x, _axes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
        )
    axes = list(zip(x.shape[2:], kernel, stride, padding, dilation, strict=True))
    counts = tuple(pooled_size(*axis, ceil_mode) for axis in axes)
    if math.prod(kernel) > MOST_PLACES:
        pairs = zip(axes, counts, strict=True)
        return _largest_along(x, [_places(*axis, count) for axis, count in pairs])

    planes = x.reshape(-1, *x.shape[2:]) if x.size else x.reshape(0, *x.shape[2:])
    y = np.empty((len(planes), *counts), x.dtype)
    indices = np.empty(y.shape, np.int64)
    dtype = accumulator(x.dtype)  # comparing in float32 is exact, and quicker than in halves
    values = math.prod(kernel) * math.prod(counts) * dtype.itemsize
    step = max(1, BLOCK_BYTES // max(1, values))
    search = _Places(dtype, axes, counts)
    for start in range(0, len(planes), step):
        block = slice(start, start + step)
        y[block], indices[block] = search(planes[block])
    shape = *x.shape[:2], *counts
    return y.reshape(shape), indices.reshape(shape)


def max_pool_gradient(
    xp: Any,
    grad: Array,
    indices: Array,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool = False,
) -> Array:
    """The gradient of `sum(grad * max_pool(x))` to x: dx (N, C, *size) in grad's dtype.

    The indices are those of `max_pool`.
    """
    if xp is not np:
        axes = _axes(size, kernel, stride, padding, dilation, ceil_mode)
        return on_gpu.max_pool_gradient(xp, grad, indices, axes)
    reach = (d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    overlap = any(s < r for s, r in zip(stride, reach, strict=True))
    return scatter_to_plane(xp, grad, indices, size, adds=overlap)


def _axes(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> on_gpu.Axes:
    """The windows as the kernels of a GPU take them."""
    axes = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple(
        on_gpu.Axis(n, pooled_size(n, k, s, p, d, ceil_mode), k, s, p, d) for n, k, s, p, d in axes
    )


class _Places:
    """Max pooling of planes (n, *size) by the places of the kernel, one after another."""

    def __init__(self, dtype: Any, axes: Sequence[tuple[int, ...]], counts: Sizes) -> None:
        self.dtype, self.counts = dtype, counts
        along = [
            taps(n, k, count, s, m, d) for (n, k, s, m, d), count in zip(axes, counts, strict=True)
        ]
        self.moves = [
            ((..., *(places for places, _ in move)), (..., *(windows for _, windows in move)))
            for move in product(*along)
        ]
        # A winner's index is where its window starts plus the offset of its place.
        strides = [math.prod(n for n, *_ in axes[axis + 1 :]) for axis in range(len(axes))]
        offsets = product(*(range(0, k * d, d) for _, k, _, _, d in axes))
        steps = [sum(i * s for i, s in zip(at, strides, strict=True)) for at in offsets]
        self.offsets = np.asarray(steps, np.int64)
        self.starts: Array = np.zeros((), np.int64)
        for (_, _, s, m, _), count, stride in zip(axes, counts, strides, strict=True):
            self.starts = self.starts[..., None] + (np.arange(count) * s - m) * stride

    def __call__(self, planes: Array) -> tuple[Array, Array]:
        values = [np.ascontiguousarray(planes[source], self.dtype) for source, _ in self.moves]
        y = np.empty((len(planes), *self.counts), self.dtype)
        winner = _first_largest(values, [window for _, window in self.moves], y)
        indices = self.offsets.take(winner)
        indices += self.starts
        return y, indices


def _first_largest(values: list[Array], windows: list[Any], y: Array) -> Array:
    """The number of the value that is largest in each window, after y is set to that value.

    Each array of values takes part in some windows, `y[window]`; there are 255 of them at most.
    """
    y[...] = np.iinfo(y.dtype).min if y.dtype.kind in "iu" else -math.inf
    for value, window in zip(values, windows, strict=True):
        np.maximum(y[window], value, out=y[window])

    # The winner is the least number of a value that equals the maximum, or, being unequal to
    # itself, a NaN. A test minus one is 0 where it holds and all ones elsewhere, so that `|`
    # gives the number or the largest code, several times quicker than `where`.
    winner = np.full(y.shape, 255, np.uint8)
    for number, (value, window) in enumerate(zip(values, windows, strict=True)):
        hit = (value == y[window]) | (value != value)
        candidate = (hit.astype(np.uint8) - np.uint8(1)) | np.uint8(number)
        np.minimum(winner[window], candidate, out=winner[window])
    return winner


def adaptive_max_pool(xp: Any, x: Array, output: Sizes) -> tuple[Array, Array]:
    """The largest value of each of `output` windows of x (N, C, *size), and where it stands.

    >>> import numpy as np
    >>> adaptive_max_pool(np, np.array([[[0, 3, 1, 2, 3]]]), (2,))
    (array([[[3, 3]]]), array([[[1, 4]]]))
    """
    size = x.shape[2:]
    if xp is not np:
        return on_gpu.max_pool(xp, x, on_gpu.adaptive(size, output))
    if all(m and n % m == 0 for n, m in zip(size, output, strict=True)):
        kernel = tuple(n // m for n, m in zip(size, output, strict=True))
        return max_pool(xp, x, kernel, kernel, (0,) * len(size), (1,) * len(size))
    places = []
    for n, count in zip(size, output, strict=True):
        starts, ends = _adaptive_windows(n, count)
        width = max((b - a for a, b in zip(starts, ends, strict=True)), default=1)
        place = np.asarray(starts, np.int64)[:, None] + np.arange(width)
        places.append(np.minimum(place, np.asarray(ends, np.int64)[:, None] - 1))
    return _largest_along(x, places)


def adaptive_max_pool_gradient(xp: Any, grad: Array, indices: Array, size: Sizes) -> Array:
    """The gradient of `sum(grad * adaptive_max_pool(x))` to x: dx (N, C, *size)."""
    output = grad.shape[2:]
    if xp is not np:
        return on_gpu.max_pool_gradient(xp, grad, indices, on_gpu.adaptive(size, output))
    overlap = any(not m or n % m for n, m in zip(size, output, strict=True))
    return scatter_to_plane(xp, grad, indices, size, adds=overlap)


def _places(size: int, kernel: int, stride: int, padding: int, dilation: int, count: int) -> Array:
    """The places of every window along an axis (count, kernel).

    Those outside the image become the nearest of the window inside: to find a maximum, a place may
    come twice.
    """
    starts = np.arange(count) * stride - padding
    first = starts + -(np.minimum(starts, 0) // dilation) * dilation
    last = starts + np.minimum(kernel - 1, (size - 1 - starts) // dilation) * dilation
    places = starts[:, None] + np.arange(kernel) * dilation
    return np.clip(places, first[:, None], last[:, None])


def _largest_along(x: Array, places: list[Array]) -> tuple[Array, Array]:
    """The largest of each window and its index, from places (count, width) along each axis.

    The last axis is searched first: of the winners in their lines, the first line's then wins,
    which is the first of all in row-major order.
    """
    y = x.astype(accumulator(x.dtype), copy=False)
    indices, stride = None, 1
    for dim in reversed(range(2, x.ndim)):
        place = places[dim - 2]
        count, width = place.shape
        if width <= MOST_PLACES:
            values = [np.take(y, place[:, i], axis=dim) for i in range(width)]
            winner = _first_largest(values, [...] * width, np.empty_like(values[0]))
        else:
            winner = np.take(y, place, axis=dim).argmax(axis=dim + 1)
        rows = np.arange(count).reshape(count, *(1,) * (x.ndim - dim - 1)) * width
        winner = place.ravel().take(rows + winner)
        y = np.take_along_axis(y, winner, axis=dim)
        index = winner * stride
        if indices is not None:
            index += np.take_along_axis(indices, winner, axis=dim)
        indices, stride = index, stride * x.shape[dim]
    return y.astype(x.dtype, copy=False), indices


def fractional_winners(xp: Any, x: Array, samples: Array, kernel: Sizes, output: Sizes) -> Array:
    """Where the largest of each window of x stands; windows lie at random, as `samples` says.

    samples (N, C, axes) in [0, 1); with u one of them, n windows of k along an axis of length m
    start at floor((i + u) a) - floor(u a), a = (m - k) / (n - 1), and the last one at m - k.
    """
    size = x.shape[2:]
    u = samples.astype(accumulator(x.dtype))
    starts = xp.zeros(x.shape[:2], xp.int64)
    for axis, (m, k, n) in enumerate(zip(size, kernel, output, strict=True)):
        alpha = u.dtype.type((m - k) / max(n - 1, 1))
        first = u[..., axis, None]
        start = xp.floor((xp.arange(n) + first).astype(u.dtype) * alpha) - xp.floor(first * alpha)
        start = start.astype(xp.int64)
        start[..., n - 1] = m - k
        starts = starts[..., None] * m + start.reshape(*x.shape[:2], *(1,) * axis, n)

    y = winners = None
    for place in product(*map(range, kernel)):
        offset = sum(i * math.prod(size[axis + 1 :]) for axis, i in enumerate(place))
        indices = starts + offset
        values = gather_from_plane(xp, x, indices)
        if y is None:
            y, winners = values, indices
            continue
        better = (values > y) | ((values != values) & (y == y))
        y, winners = xp.where(better, values, y), xp.where(better, indices, winners)
    return winners


def scatter_to_plane(xp: Any, x: Array, indices: Array, size: Sizes, adds: bool = True) -> Array:
    """Put x (N, C, ...) at indices (N, C, ...) of flattened planes of zeros (N, C, *size).

    Places named several times add up, on a CPU in float64. Without `adds` the last value stays,
    which is quicker and the same where no place is named twice.
    """
    planes, plane = math.prod(x.shape[:2]), math.prod(size)
    places = indices + xp.arange(planes).reshape(*x.shape[:2], *(1,) * (x.ndim - 2)) * plane
    if xp is not np:
        positions, rows, count = places.reshape(-1), x.reshape(-1, 1), planes * plane
        if adds:
            result = add_at(xp, count, positions, rows)
        else:
            result = put(xp, xp.zeros((count, 1), x.dtype), positions, rows)
    elif not adds:
        result = np.zeros(planes * plane, x.dtype)
        result[places] = x
    else:
        # Unlike add.at this is one compiled loop; a sum rounded once from float64 is exact enough.
        result = counted(np, places.ravel(), planes * plane, x.ravel().astype(np.float64))
    return result.astype(x.dtype, copy=False).reshape(*x.shape[:2], *size)


def gather_from_plane(xp: Any, x: Array, indices: Array) -> Array:
    """The values of x (N, C, *size) at indices (N, C, ...): the adjoint of `scatter_to_plane`."""
    if xp is not np:
        return gather_from_planes(xp, x, indices)
    flat, places = (a.reshape(*a.shape[:2], math.prod(a.shape[2:])) for a in (x, indices))
    return xp.take_along_axis(flat, places, axis=2).reshape(indices.shape)


def avg_pool(
    xp: Any,
    x: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Array:
    """The mean of each window of x (N, C, *size): y (N, C, *counts) in x's dtype.

    The divisor counts the places of the window inside the image, with `count_include_pad` those on
    the padding too, but never those that hang over beyond it; `divisor` stands in for it. Means of
    integers are rounded towards 0.

    >>> import numpy as np
    >>> avg_pool(np, np.ones((1, 1, 2, 2)), (2, 2), (2, 2), (1, 1), False, True)[0, 0]
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    if xp is not np:
        once = (1,) * len(kernel)
        places = _axes(x.shape[2:], kernel, stride, padding, once, ceil_mode)
        return on_gpu.avg_pool(xp, x, places, count_include_pad, divisor)
    axes = _windows(x.shape[2:], kernel, stride, padding, ceil_mode, count_include_pad)
    sums = _sums(xp, x, axes)
    counts = divisor or _counts(xp, axes, sums.dtype)
    if sums.dtype.kind in "iu":
        return xp.sign(sums) * xp.sign(counts) * (abs(sums) // abs(counts))
    sums /= counts
    return sums.astype(x.dtype, copy=False)


def avg_pool_gradient(
    xp: Any,
    grad: Array,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Array:
    """The gradient of `sum(grad * avg_pool(x))` to x: dx (N, C, *size) in grad's dtype."""
    if xp is not np:
        places = _axes(size, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
        return on_gpu.avg_pool_gradient(xp, grad, places, count_include_pad, divisor)
    axes = _windows(size, kernel, stride, padding, ceil_mode, count_include_pad)
    return _spread(xp, grad, axes, divisor)


def adaptive_avg_pool(xp: Any, x: Array, output: Sizes) -> Array:
    """The mean of each of `output` windows of x (N, C, *size): y (N, C, *output) in x's dtype.

    >>> import numpy as np
    >>> adaptive_avg_pool(np, np.arange(5.0).reshape(1, 1, 5), (3,))
    array([[[0.5, 2. , 3.5]]])
    """
    if xp is not np:
        return on_gpu.avg_pool(xp, x, on_gpu.adaptive(x.shape[2:], output))
    if set(output) == {1}:
        spatial = tuple(range(2, x.ndim))
        return x.mean(spatial, accumulator(x.dtype), keepdims=True).astype(x.dtype, copy=False)
    axes = [_adaptive(xp, n, count) for n, count in zip(x.shape[2:], output, strict=True)]
    sums = _sums(xp, x, axes)
    sums /= _counts(xp, axes, sums.dtype)
    return sums.astype(x.dtype, copy=False)


def adaptive_avg_pool_gradient(xp: Any, grad: Array, size: Sizes) -> Array:
    """The gradient of `sum(grad * adaptive_avg_pool(x))` to x: dx (N, C, *size)."""
    if xp is not np:
        return on_gpu.avg_pool_gradient(xp, grad, on_gpu.adaptive(size, grad.shape[2:]))
    if set(grad.shape[2:]) == {1}:
        return xp.broadcast_to(grad / math.prod(size), (*grad.shape[:2], *size)).copy()
    axes = [_adaptive(xp, n, count) for n, count in zip(size, grad.shape[2:], strict=True)]
    return _spread(xp, grad, axes, None)


@dataclass(frozen=True)
class _Axis:
    """The windows along an axis: how long each is, and the moves that visit all their places.

    A move is some places and the windows that they are added to. With `summed` there is a move for
    each window, which takes a sum; without, one for each place of the kernel. Uneven windows are
    given by arrays of positions, in which a place may come twice.
    """

    size: int
    lengths: list[int]
    moves: list[tuple[Any, Any]]
    summed: bool = False
    uneven: bool = False


def _windows(
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
) -> list[_Axis]:
    axes = []
    for n, k, s, m in zip(size, kernel, stride, padding, strict=True):
        count = pooled_size(n, k, s, m, 1, ceil_mode)
        starts = np.arange(count) * s - m
        first, last = np.maximum(starts, 0), np.minimum(starts + k, n)
        if count_include_pad:
            lengths = (np.minimum(starts + k, n + m) - starts).tolist()
        else:
            lengths = (last - first).tolist()
        summed = k >= 32 * count  # then a long sum is quicker than many short additions
        inside = zip(first.tolist(), last.tolist(), strict=True) if summed else ()
        moves = _one_by_one(list(inside)) if summed else taps(n, k, count, s, m, 1)
        axes.append(_Axis(n, lengths, moves, summed))
    return axes


def _adaptive(xp: Any, size: int, count: int) -> _Axis:
    if count and size % count == 0:
        return _windows((size,), (size // count,), (size // count,), (0,), False, True)[0]
    starts, ends = _adaptive_windows(size, count)
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    if max(lengths, default=0) >= 32 * count:
        inside = list(zip(starts, ends, strict=True))
        return _Axis(size, lengths, _one_by_one(inside), summed=True)
    moves = []
    for step in range(max(lengths, default=0)):
        windows = [i for i, length in enumerate(lengths) if step < length]
        places = xp.asarray([starts[i] + step for i in windows])
        moves.append((places, xp.asarray(windows)))
    return _Axis(size, lengths, moves, uneven=True)


def _adaptive_windows(size: int, count: int) -> tuple[list[int], list[int]]:
    """Where each of `count` windows along an axis starts, and where it ends."""
    starts = [i * size // count for i in range(count)]
    return starts, [-(-(i + 1) * size // count) for i in range(count)]


def _one_by_one(inside: list[tuple[int, int]]) -> list[tuple[Any, Any]]:
    return [(slice(a, b), slice(i, i + 1)) for i, (a, b) in enumerate(inside)]


def _sums(xp: Any, x: Array, axes: list[_Axis]) -> Array:
    """The sum of each window of x, in the dtype to sum in, as a new array."""
    sums = x.astype(accumulator(x.dtype), copy=False)
    for dim, axis in enumerate(axes, 2):
        sums = _sum_along(xp, sums, dim, axis)
    return sums


def _sum_along(xp: Any, x: Array, dim: int, axis: _Axis) -> Array:
    lead = (slice(None),) * dim
    total = xp.zeros((*x.shape[:dim], len(axis.lengths), *x.shape[dim + 1 :]), x.dtype)
    for places, windows in axis.moves:
        part = x[(*lead, places)]
        total[(*lead, windows)] += part.sum(axis=dim, keepdims=True) if axis.summed else part
    return total


def _spread(xp: Any, grad: Array, axes: list[_Axis], divisor: int | None) -> Array:
    """The adjoint of the means: each window's share added to all its places."""
    dtype = accumulator(grad.dtype)
    shares = grad.astype(dtype, copy=False) / (divisor or _counts(xp, axes, dtype))
    for dim, axis in reversed(list(enumerate(axes, 2))):
        if axis.uneven:  # the windows that hold a place are those of the opposite pooling
            shares = _sum_along(xp, shares, dim, _adaptive(xp, len(axis.lengths), axis.size))
            continue
        lead = (slice(None),) * dim
        total = xp.zeros((*shares.shape[:dim], axis.size, *shares.shape[dim + 1 :]), dtype)
        for places, windows in axis.moves:
            total[(*lead, places)] += shares[(*lead, windows)]
        shares = total
    return shares.astype(grad.dtype, copy=False)


def _counts(xp: Any, axes: list[_Axis], dtype: Any) -> Array:
    """How many places each window counts: (*counts,)."""
    counts = xp.ones((), dtype)
    for axis in axes:
        counts = counts[..., None] * xp.asarray(axis.lengths, dtype)
    return counts
