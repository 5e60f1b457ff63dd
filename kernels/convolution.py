"""Convolution of raw arrays in any number of spatial dimensions, with its two gradients.

Images are (N, C, *size), filters (O, C/groups, *kernel), and "convolution" is the cross-correlation
of the field; along one axis, with stride s, dilation d and margin (padding) m,

    y[n, o, p] = sum over c, i of  w[o, c, i] * x[n, c, p*s + i*d - m]

On a CPU all three functions are matrix products with a matrix whose columns are the windows of a
few images at a time; `_Windows` lays these out, and `taps` says where a place of the kernel meets
the image. On a GPU they are kernels that never make that matrix (`cuda.convolution`).

Every function takes the array library first (NumPy or CuPy), leaves its inputs alone and returns
the dtype it was given; half precision accumulates in float32. Arguments are not validated here.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from .cuda import convolution as on_gpu
from .cuda.convolution_windows import Window
from .halves import accumulator

Array = Any
Sizes = tuple[int, ...]

# Bytes of columns made at a time: the cache should hold them.
BLOCK_BYTES = 4 << 20
# The fewest rows of a matrix for which a product per place of the kernel is worth its addition.
LEAST_ROWS = 16
# The fewest windows of an image that are worth a product by themselves.
LEAST_WINDOWS = 64


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """The number of windows along one axis.

    `(size + 2 padding - dilation (kernel - 1) - 1) // stride + 1`

    >>> output_size(28, kernel=5, stride=1, padding=2, dilation=1)
    28
    """
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def taps(
    size: int, kernel: int, count: int, stride: int, padding: int, dilation: int
) -> list[tuple[slice, slice]]:
    """For each place of a kernel along an axis: the image places it meets, and in which windows.

    Two slices of equal length, of an image line of `size` and of the `count` windows along it.
    What falls on the padding is left out.

    >>> taps(4, kernel=2, count=3, stride=2, padding=1, dilation=1)
    [(slice(1, 4, 2), slice(1, 3, None)), (slice(0, 3, 2), slice(0, 2, None))]
    """
    pairs = []
    for offset in range(-padding, kernel * dilation - padding, dilation):
        first = max(0, -(offset // stride))
        last = max(first, min(count, (size - 1 - offset) // stride + 1))
        start, stop = first * stride + offset, (last - 1) * stride + offset + 1
        pairs.append((slice(start, max(start, stop), stride), slice(first, last)))
    return pairs


def convolve(
    xp: Any,
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    relu: bool = False,
) -> Array:
    """Cross-correlate x (N, C, *size) with w (O, C/groups, *kernel), plus bias: y (N, O, *counts).

    With `relu` negative results become 0.

    >>> import numpy as np
    >>> x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> convolve(np, x, w, None, (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    if xp is not np:
        return on_gpu.convolve(xp, x, w, bias, Window(stride, padding, dilation, groups), relu)
    outputs = len(w) // groups
    window = w.shape[2:], stride, padding, dilation
    windows = _Windows(x.dtype, x.shape, *window, groups)
    weights = windows.matrices(w)
    offsets = None if bias is None else bias.astype(windows.dtype).reshape(groups, outputs, 1)
    y = np.empty((len(x), groups, outputs, math.prod(windows.output)), windows.dtype)
    for block, columns in windows.columns(x):
        total = np.matmul(weights[0], columns[0], out=None if windows.merged else y[block])
        for weight, column in zip(weights[1:], columns[1:], strict=True):
            total += np.matmul(weight, column)
        if offsets is not None:
            total += offsets
        if relu:
            np.maximum(total, 0, out=total)
        if windows.merged:
            y[block] = np.moveaxis(total.reshape(groups, outputs, -1, y.shape[3]), 2, 0)
    return y.astype(x.dtype, copy=False).reshape(len(x), len(w), *windows.output)


def convolve_weight_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to w.

    From grad (N, O, *counts) and x (N, C, *size) to dw (O, C/groups, *kernel) in grad's dtype.
    """
    if xp is not np:
        over = Window(stride, padding, dilation, groups)
        return on_gpu.weight_gradient(xp, grad, x, kernel, over)
    outputs = grad.shape[1] // groups
    window = kernel, stride, padding, dilation
    windows = _Windows(grad.dtype, x.shape, *window, groups)
    if not len(x):
        return np.zeros((grad.shape[1], x.shape[1] // groups, *kernel), grad.dtype)
    # OpenBLAS is quicker at columns times grad than at grad times columns, by up to a half.
    parts: list[Array] = [None] * windows.parts
    for block, columns in windows.columns(x):
        rows = np.ascontiguousarray(grad[block], windows.dtype)
        rows = rows.reshape(len(rows), groups, outputs, math.prod(windows.output))
        if windows.merged:
            rows = np.moveaxis(rows, 0, 2).reshape(1, groups, outputs, -1)
        rows = rows.swapaxes(2, 3)
        for part, column in enumerate(columns):
            product = np.matmul(column, rows)
            product = product[0] if len(product) == 1 else product.sum(axis=0)
            if parts[part] is None:
                parts[part] = product
            else:
                parts[part] += product
    return windows.filters(parts).astype(grad.dtype, copy=False)


def convolve_input_gradient(
    xp: Any,
    grad: Array,
    w: Array,
    input_size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    bias: Array | None = None,
) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to x, the transposed convolution of grad.

    From grad (N, O, *counts) and w (O, C/groups, *kernel) to dx (N, C, *input_size), grad's dtype.
    A bias (C,) is added to it.
    """
    if xp is not np:
        over = Window(stride, padding, dilation, groups)
        return on_gpu.input_gradient(xp, grad, w, input_size, over, bias)
    inputs, kernel = w.shape[1], w.shape[2:]
    margin = tuple(d * (k - 1) - m for d, k, m in zip(dilation, kernel, padding, strict=True))
    # With stride 1 the adjoint is itself a convolution, by the filters turned round. That copies
    # windows where the general way adds them up, and wins unless there are many more to copy.
    copied, added = len(w) * math.prod(input_size), groups * inputs * math.prod(grad.shape[2:])
    turns = (len(grad) * copied >= w.size and copied <= 1.5 * added) or max(kernel) == 1
    if turns and max(stride) == 1 and min(margin) >= 0:
        turned = w.reshape(groups, len(w) // groups, inputs, *kernel).swapaxes(1, 2)
        turned = turned[(..., *(slice(None, None, -1) for _ in kernel))]
        turned = turned.reshape(groups * inputs, len(w) // groups, *kernel)
        return convolve(np, grad, turned, bias, stride, margin, dilation, groups)

    moves, output = _moves(input_size, kernel, stride, padding, dilation)
    dtype = accumulator(grad.dtype)
    weight = np.ascontiguousarray(w, dtype).reshape(groups, len(w) // groups, -1).swapaxes(1, 2)
    offsets = None if bias is None else bias.astype(dtype).reshape(-1, *(1,) * (w.ndim - 1))
    dx = np.empty((len(grad), groups * inputs, *input_size), grad.dtype)
    # Images stand last here, so that each addition runs along the whole block of them; a handful
    # would be a run too short, and one image has the lines of its planes to run along.
    values = dx.shape[1] * math.prod(kernel) * math.prod(output)
    for block in _blocks(len(grad), values * dtype.itemsize, least=8):
        rows = grad[block].astype(dtype, copy=False).reshape(block.stop - block.start, -1)
        rows = _transposed(rows)
        count = rows.shape[-1]
        rows = rows.reshape(groups, len(w) // groups, math.prod(output) * count)
        columns = np.matmul(weight, rows).reshape(dx.shape[1], *kernel, *output, count)
        total = np.zeros((*dx.shape[1:], count), dtype)
        for place, places, windows in moves:
            total[(slice(None), *places)] += columns[(slice(None), *place, *windows)]
        if offsets is not None:
            total += offsets
        dx[block] = np.moveaxis(total, -1, 0)
    return dx


def im2col(
    xp: Any, x: Array, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> Array:
    """The windows of x (N, C, *size) as columns (N, C * places of the kernel, windows).

    >>> import numpy as np
    >>> im2col(np, np.arange(4).reshape(1, 1, 4), (2,), (1,), (0,), (1,))
    array([[[0, 1, 2],
            [1, 2, 3]]])
    """
    moves, output = _moves(x.shape[2:], kernel, stride, padding, dilation)
    images, channels = x.shape[:2]
    columns = xp.zeros((images, channels, *kernel, *output), x.dtype)
    for place, places, windows in moves:
        columns[(slice(None), slice(None), *place, *windows)] = x[(..., *places)]
    return columns.reshape(images, channels * math.prod(kernel), math.prod(output))


def col2im(
    xp: Any,
    columns: Array,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
) -> Array:
    """The adjoint of `im2col`: columns (N, C * places, windows) added up in images (N, C, *size).

    >>> import numpy as np
    >>> col2im(np, np.array([[[0, 1, 2], [1, 2, 3]]]), (4,), (2,), (1,), (0,), (1,))
    array([[[0, 2, 4, 3]]])
    """
    moves, output = _moves(size, kernel, stride, padding, dilation)
    images, channels = len(columns), columns.shape[1] // math.prod(kernel)
    columns = columns.reshape(images, channels, *kernel, *output)
    total = xp.zeros((images, channels, *size), accumulator(columns.dtype))
    for place, places, windows in moves:
        total[(..., *places)] += columns[(slice(None), slice(None), *place, *windows)]
    return total.astype(columns.dtype, copy=False)


Move = tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]


def _moves(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> tuple[list[Move], Sizes]:
    """For each place of a kernel, where it meets the image and in which windows; their counts."""
    axes = list(zip(size, kernel, stride, padding, dilation, strict=True))
    counts = tuple(output_size(*axis) for axis in axes)
    along = [
        enumerate(taps(n, k, count, s, m, d))
        for (n, k, s, m, d), count in zip(axes, counts, strict=True)
    ]
    moves = []
    for move in product(*along):
        place, pairs = zip(*move, strict=True)
        places, windows = zip(*pairs, strict=True)
        moves.append((place, places, windows))
    return moves, counts


def _blocks(images: int, image_bytes: int, least: int = 1) -> Iterator[slice]:
    """The images in order, as many at a time as BLOCK_BYTES allows: `least` or more, or one."""
    step = BLOCK_BYTES // max(1, image_bytes)
    step = step if step >= least else 1
    for start in range(0, images, step):
        yield slice(start, min(start + step, images))


def _transposed(matrix: Array) -> Array:
    """The last two axes exchanged, in memory too.

    Lines a power of two apart fall on the same few places of a cache; a copy with wider lines,
    read across, costs a third.
    """
    columns = matrix.shape[-1]
    wider = np.empty((*matrix.shape[:-1], columns + 64 // matrix.itemsize), matrix.dtype)
    wider[..., :columns] = matrix
    return np.ascontiguousarray(wider[..., :columns].swapaxes(-1, -2))


def _shift(planes: Array, to: Array, source: slice, seen: slice) -> None:
    """Copy `planes[..., source]` to `to[..., seen]`, of the same shape, and zeros beside it.

    Whole planes are copied in one run, and then cleared where a line has run over into the next.
    """
    lead, size = planes.shape[:-2], planes.shape[-2] * planes.shape[-1]
    flat, flat_to = planes.reshape(*lead, size), to.reshape(*lead, size)
    distance = source.start - seen.start
    if distance >= 0:
        flat_to[..., : size - distance] = flat[..., distance:]
    else:
        flat_to[..., -distance:] = flat[..., :distance]
    to[..., : seen.start] = 0
    to[..., seen.stop :] = 0


class _Windows:
    """The windows that a kernel sees on images of a shape (N, C, *size), block by block.

    `output` counts the windows along each axis, `dtype` is for summing. The matrix of windows has a
    row for each place of the kernel in each channel of a group. Where the first axis has stride 1
    and the others make rows enough, the places along it are `parts`, matrices of their own: they
    are overlapping views of one buffer, so that a 3x3 kernel copies 3 values and not 9. Where an
    image alone would make a small product, those of a block are `merged` into one matrix.
    """

    def __init__(
        self,
        dtype: Any,
        shape: Sequence[int],
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        groups: int,
    ) -> None:
        self.dtype, self.groups = accumulator(dtype), groups
        self.images, self.channels, *size = shape
        self.kernel, self.dilation = tuple(kernel), dilation
        axes = list(zip(size, kernel, stride, padding, dilation, strict=True))
        self.output = tuple(output_size(*axis) for axis in axes)
        self.inside = [slice(m, m + n) for m, n in zip(padding, size, strict=True)]
        self.padded = [n + 2 * m for m, n in zip(padding, size, strict=True)]

        inputs = self.channels // groups
        self.merged = math.prod(self.output) < LEAST_WINDOWS
        split = stride[0] == 1 and kernel[0] > 1 and inputs * math.prod(kernel[1:]) >= LEAST_ROWS
        split = split and not self.merged
        self.parts = kernel[0] if split else 1
        self.rows = inputs * math.prod(kernel) // self.parts
        # How windows are laid out along each axis: how many places and windows, and the moves.
        # Padding is added with the moves along the last axis.
        self.laid = []
        for axis, (n, k, s, m, d) in enumerate(axes):
            last = axis == len(axes) - 1
            if split and axis == 0:
                self.laid.append((1, self.padded[0], [(slice(None), self.inside[0])]))
                continue
            n, m = (n, m) if last else (n + 2 * m, 0)
            self.laid.append((k, self.output[axis], taps(n, k, self.output[axis], s, m, d)))
        self.bare = dtype == self.dtype and not any(padding)
        self.buffers: dict[int, Array] = {}

    def matrices(self, w: Array) -> Array:
        """Filters (O, C/groups, *kernel) as matrices (parts, groups, O/groups, rows)."""
        groups, parts = self.groups, self.parts
        outputs, inputs, first, *rest = w.shape
        w = w.reshape(groups, outputs // groups, inputs, parts, first // parts, *rest)
        w = np.ascontiguousarray(np.moveaxis(w, 3, 0), self.dtype)
        return w.reshape(parts, groups, outputs // groups, self.rows)

    def filters(self, matrices: Sequence[Array]) -> Array:
        """Matrices (groups, rows, O/groups), one a part, as filters (O, C/groups, *kernel)."""
        groups, parts = self.groups, self.parts
        first, *rest = self.kernel
        inputs, outputs = self.channels // groups, matrices[0].shape[-1]
        w = np.stack([_transposed(matrix) for matrix in matrices])
        w = w.reshape(parts, groups, outputs, inputs, first // parts, *rest)
        w = np.ascontiguousarray(np.moveaxis(w, 0, 4))
        return w.reshape(groups * outputs, inputs, *self.kernel)

    def columns(self, x: Array) -> Iterator[tuple[slice, list[Array]]]:
        """Blocks of images, each with its matrices (n, groups, rows, windows), one for each part.

        Merged images make one matrix for each group, (1, groups, rows, n * windows).
        The buffers are reused: matrices are valid until the next ones are asked for.
        """
        plane = math.prod(self.output[1:])
        lines, windows = self.laid[0][1] * plane, self.output[0] * plane
        starts = [part * self.dilation[0] * plane for part in range(self.parts)]
        values = self.groups * self.rows * lines
        for block in _blocks(self.images, values * self.dtype.itemsize):
            laid, count = self._laid_out(x[block]), block.stop - block.start
            if self.merged:
                yield block, [laid.reshape(1, self.groups, self.rows, count * lines)]
                continue
            laid = laid.reshape(count, self.groups, self.rows, lines)
            yield block, [laid[..., start : start + windows] for start in starts]

    def _laid_out(self, images: Array) -> Array:
        """Images (n, C, *size) as (n, C, *kernel, *output), merged as (C, *kernel, n, *output).

        One axis is laid out after the other, from the last. Moves along the last axis copy short
        runs, for each line of the images; those along an axis before it copy longer ones, at
        stride 1 whole planes.
        """
        whole, last = slice(None), len(self.padded) - 1
        rows, at = (np.swapaxes(images, 0, 1), 1) if self.merged else (images, 2)
        places: Sizes = ()  # the kernel's, along the axes laid out so far
        for axis in reversed(range(last + 1)):
            count, windows, moves = self.laid[axis]
            places = (count, *places)
            if count == 1 and windows == self.padded[axis] and (self.bare or axis < last):
                rows = np.expand_dims(rows, at)
                continue
            after = [self.laid[later][1] for later in range(axis + 1, last + 1)]
            shape = [len(images), self.channels, *self.padded[:axis], windows, *after]
            if self.merged:
                shape[:2] = shape[1::-1]
            inside = self.inside[:axis] if axis == last else (whole,) * axis
            target = self._buffer(axis, (*shape[:at], *places, *shape[at:]))
            others = (whole,) * (len(places) + 1)
            planes = axis == last > 0 and rows.shape[-1] == windows
            for place, (source, seen) in enumerate(moves):
                to = target[(*others[:at], place, *others[at:], *inside)]
                axes = (*others, *(whole,) * axis)
                if planes and source.step == 1 and source.start < source.stop:
                    _shift(rows, to, source, seen)
                else:
                    to[(*axes, seen)] = rows[(*axes, source)]
            rows = target
        return rows

    def _buffer(self, axis: int, shape: Sizes) -> Array:
        """Room for the windows along an axis, zeros at first; the last block may need less."""
        buffer = self.buffers.get(axis)
        if buffer is None or buffer.shape != shape:
            buffer = self.buffers[axis] = np.zeros(shape, self.dtype)
        return buffer
