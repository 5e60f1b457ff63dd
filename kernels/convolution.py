"""Two-dimensional convolution of raw arrays, with its two gradients.

Images are NCHW, filters OIHW, and "convolution" is the cross-correlation of the field,

    y[n, o, p, q] = sum over c, i, j of  w[o, c, i, j] * x[n, c, p*s + i*d - m, q*s + j*d - m]

with stride s, dilation d and margin (padding) m per axis. All three functions are matrix products
with a matrix whose columns are the windows of a few images at a time; `_Windows` lays these out,
and `taps` says where each place of the kernel meets the image.

Every function takes the array library first (NumPy or CuPy), leaves its inputs alone and returns
the dtype it was given; half precision accumulates in float32. Arguments are not validated here.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

Array = Any
Pair = tuple[int, int]

# Bytes of columns made at a time: a CPU's cache should hold them, a GPU wants few, large launches.
BLOCK_BYTES = {"numpy": 4 << 20, "cupy": 256 << 20}


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


def accumulator(xp: Any, dtype: Any) -> Any:
    """The dtype in which values of `dtype` are summed: float32 for half precision, else itself."""
    half = dtype.itemsize == 2 and dtype.kind not in "iu"
    return xp.dtype(xp.float32) if half else dtype


def conv2d(
    xp: Any, x: Array, w: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Cross-correlate x (N, C, H, W) with w (O, C/groups, KH, KW): y (N, O, P, Q) in x's dtype.

    >>> import numpy as np
    >>> x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> conv2d(np, x, w, (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    windows = _Windows(xp, x.dtype, x.shape, w.shape[2:], stride, padding, dilation)
    weight = _matrices(xp, w, groups)
    y = xp.empty((len(x), len(w), *windows.output), x.dtype)
    for block, columns in windows.columns(x, groups):
        y[block] = xp.matmul(weight, columns).reshape(-1, *y.shape[1:])
    return y


def conv2d_weight_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """The gradient of `sum(grad * conv2d(x, w))` to w.

    From grad (N, O, P, Q) and x (N, C, H, W) to dw (O, C/groups, KH, KW) in grad's dtype.
    """
    windows = _Windows(xp, grad.dtype, x.shape, kernel_size, stride, padding, dilation)
    outputs, inputs = grad.shape[1] // groups, x.shape[1] // groups
    # OpenBLAS is quicker at columns times grad than at grad times columns, by up to a half.
    dw = xp.zeros((groups, inputs * math.prod(kernel_size), outputs), windows.dtype)
    for block, columns in windows.columns(x, groups):
        rows = xp.ascontiguousarray(grad[block], windows.dtype)
        rows = rows.reshape(len(rows), groups, outputs, -1).swapaxes(2, 3)
        dw += xp.matmul(columns, rows).sum(axis=0)
    dw = dw.swapaxes(1, 2).reshape(groups * outputs, inputs, *kernel_size)
    return xp.ascontiguousarray(dw, grad.dtype)


def conv2d_input_gradient(
    xp: Any,
    grad: Array,
    w: Array,
    input_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """The gradient of `sum(grad * conv2d(x, w))` to x, which is the transposed convolution of grad.

    From grad (N, O, P, Q) and w (O, C/groups, KH, KW) to dx (N, C, *input_size) in grad's dtype.
    """
    inputs, kernel = w.shape[1], w.shape[2:]
    margin = tuple(d * (k - 1) - m for d, k, m in zip(dilation, kernel, padding, strict=True))
    # With stride 1 the adjoint is itself a convolution, by the filters turned round. That copies
    # windows where the general way adds them up, and wins unless there are many more to copy.
    copied, added = len(w) * math.prod(input_size), groups * inputs * math.prod(grad.shape[2:])
    if tuple(stride) == (1, 1) and min(margin) >= 0 and copied <= 1.5 * added:
        turned = w[:, :, ::-1, ::-1].reshape(groups, -1, inputs, *kernel).swapaxes(1, 2)
        turned = turned.reshape(groups * inputs, -1, *kernel)
        return conv2d(xp, grad, turned, stride, margin, dilation, groups)

    shape = len(grad), groups * inputs, *input_size
    windows = _Windows(xp, grad.dtype, shape, kernel, stride, padding, dilation)
    weight = _matrices(xp, w, groups).swapaxes(1, 2)
    dx = xp.empty(shape, grad.dtype)
    # Images stand last here, so that each addition runs along the whole block of them; a handful
    # of them would be a run too short, and one image has the lines of its planes to run along.
    for block in windows.blocks(least=16):
        rows = xp.ascontiguousarray(grad[block].transpose(1, 2, 3, 0), windows.dtype)
        columns = xp.matmul(weight, rows.reshape(groups, len(w) // groups, -1))
        columns = columns.reshape(shape[1], *kernel, *rows.shape[1:])
        total = xp.zeros((*shape[1:], rows.shape[3]), windows.dtype)
        for (i, (lines, p)), (j, (places, q)) in product(*map(enumerate, windows.taps)):
            total[:, lines, places] += columns[:, i, j, p, q]
        dx[block] = total.transpose(3, 0, 1, 2)
    return dx


class _Windows:
    """The windows that a kernel sees on images of a shape (N, C, H, W), block by block.

    `output` is (P, Q), `taps` holds the pairs of slices of both axes, `dtype` is for summing.
    """

    def __init__(
        self,
        xp: Any,
        dtype: Any,
        shape: Sequence[int],
        kernel: Sequence[int],
        stride: Pair,
        padding: Pair,
        dilation: Pair,
    ) -> None:
        axes = list(zip(shape[2:], kernel, stride, padding, dilation, strict=True))
        self.output = p, q = tuple(output_size(*axis) for axis in axes)
        self.taps = [taps(n, k, output_size(n, k, s, m, d), s, m, d) for n, k, s, m, d in axes]
        self.xp, self.dtype = xp, accumulator(xp, dtype)
        self.images, channels, height, _ = shape
        self.shape = channels, *kernel, p, q

        # `columns` makes the horizontal moves first, on lines with the vertical padding added.
        self.inside = slice(padding[0], padding[0] + height)
        self.height = height + 2 * padding[0]
        self.down = taps(self.height, kernel[0], p, stride[0], 0, dilation[0])

    def blocks(self, least: int = 1) -> Iterator[slice]:
        """The images in order, as many at a time as BLOCK_BYTES allows: `least` or more, or one."""
        image = math.prod(self.shape) * self.dtype.itemsize
        step = BLOCK_BYTES[self.xp.__name__] // max(1, image)
        step = step if step >= least else 1
        for start in range(0, self.images, step):
            yield slice(start, min(start + step, self.images))

    def columns(self, x: Array, groups: int) -> Iterator[tuple[slice, Array]]:
        """Blocks of images, each with its windows (n, groups, C/groups * KH * KW, P * Q).

        The buffer is reused: columns are valid until the next ones are asked for.
        """
        channels, kh, kw, p, q = self.shape
        buffers: tuple[Array, ...] = ()
        for block in self.blocks():
            images = x[block]
            if not buffers:
                buffers = (
                    self.xp.zeros((len(images), channels, kw, self.height, q), self.dtype),
                    self.xp.empty((len(images), channels, kh, kw, p, q), self.dtype),
                )
            rows, columns = (buffer[: len(images)] for buffer in buffers)
            # First the horizontal moves of the kernel, KW short copies for each image row; then
            # the vertical ones, which at stride 1 copy whole planes.
            for j, (places, windows) in enumerate(self.taps[1]):
                rows[:, :, j, self.inside, windows] = images[..., places]
            for i, (lines, _) in enumerate(self.down):
                columns[:, :, i] = rows[:, :, :, lines]
            yield block, columns.reshape(len(images), groups, -1, p * q)


def _matrices(xp: Any, w: Array, groups: int) -> Array:
    """Filters (O, C/groups, KH, KW) as matrices (groups, O/groups, C/groups * KH * KW)."""
    shape = groups, len(w) // groups, math.prod(w.shape[1:])
    return xp.ascontiguousarray(w, accumulator(xp, w.dtype)).reshape(shape)
