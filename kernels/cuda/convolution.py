"""Convolution on a GPU in one to three dimensions: products of matrices that are never made.

Images (N, C, *size) and filters (O, C/groups, *kernel) may have any strides. What is made has its
channels next to each other in memory where the images or the filters have. Where these are packs of
16 bytes a thread copies one at once, else it takes planes as they lie (`convolution.cu`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from ctypes import c_bool, c_int, c_longlong, c_void_p
from typing import Any

import numpy as np

from tapegrad.kernels.strides import is_channels_last

from . import convolution_direct as direct
from . import images
from .compiling import source
from .convolution_windows import (
    DATA_GRADIENT,
    FORWARD,
    MOST,
    WEIGHT_GRADIENT,
    Shapes,
    Window,
    windows,
)
from .launching import Kernel, Launch, pointer
from .rows import FLOATS, address, wide
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]

_STAGES, _PADDED_LINE, _ROW = 3, 80, 32  # of tiles.cuh and windows.cuh, in bytes
_WANTED_BLOCKS = 528  # twice as many as large GPUs have at once
_LEAST_PLACES = 256  # of a part of a gradient to filters


def convolve(
    xp: Any, x: Array, w: Array, bias: Array | None, window: Window, relu: bool = False
) -> Array:
    """Cross-correlate x (N, C, *size) with w (O, C/groups, *kernel): y (N, O, *counts).

    Args:
        xp: CuPy.
        x: the images, floating, of any strides.
        w: the filters, of the same dtype.
        bias: what is added to each of the O channels, or None.
        window: how the filters go over the images.
        relu: whether negative results become 0, NaN staying.
    """
    axes = zip(x.shape[2:], w.shape[2:], *window[:3], strict=True)
    counts = tuple((n + 2 * m - d * (k - 1) - 1) // s + 1 for n, k, s, m, d in axes)
    last = _is_last(x) or _is_last(w)
    y = images.new(xp, last, (len(x), len(w), *counts), x.dtype)
    if y.size:
        _walk(xp, FORWARD, x, w, bias, y, window, relu)
    return y


def input_gradient(xp: Any, grad: Array, w: Array, size: Ints, window: Window) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to x (N, C, *size); transposed convolution.

    Args:
        xp: CuPy.
        grad: (N, O, *counts), of any strides.
        w: the filters (O, C/groups, *kernel), of the same dtype.
        size: of the images.
        window: how the filters go over the images.
    """
    last = _is_last(grad) or _is_last(w)
    to_x = images.new(xp, last, (len(grad), w.shape[1] * window.groups, *size), grad.dtype)
    if to_x.size:
        _walk(xp, DATA_GRADIENT, grad, w, None, to_x, window)
    return to_x


def weight_gradient(xp: Any, grad: Array, x: Array, kernel: Ints, window: Window) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to w (O, C/groups, *kernel).

    Args:
        xp: CuPy.
        grad: (N, O, *counts), of any strides.
        x: the images (N, C, *size), of the same dtype.
        kernel: the size of the filters.
        window: how the filters go over the images.
    """
    shape = grad.shape[1], x.shape[1] // window.groups, *kernel
    last = _is_last(x) or _is_last(grad)
    to_w = images.new(xp, last, shape, grad.dtype)
    if not to_w.size:
        return to_w
    if not grad.size:
        to_w.fill(0)
        return to_w
    grad, x = _whole_steps(xp, grad), _whole_steps(xp, x)
    packed = (
        x.dtype == np.float32
        and _is_packed(x, shape[1])
        and _is_packed(grad, shape[0] // window.groups)
    )
    shapes = x.shape, x.strides, shape, to_w.strides, grad.shape, grad.strides
    parts, launch, combine = _weight_launch(x.dtype, packed, shapes, window, last)
    if combine is None:
        launch(pointer(grad), pointer(x), pointer(to_w))
        return to_w
    sums = xp.empty(parts * to_w.size, wide(x.dtype))
    launch(pointer(grad), pointer(x), pointer(sums))
    combine(pointer(sums), pointer(to_w))
    return to_w


def _walk(
    xp: Any,
    what: str,
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    window: Window,
    relu: bool = False,
) -> None:
    """Write y, from images x of the channels that are summed, and filters."""
    x, backward = _whole_steps(xp, x), what == DATA_GRADIENT
    if bias is not None:
        bias = contiguous(xp, bias)
    if direct.has_few(w.shape, window):
        packed = direct.is_depthwise(w.shape, window) and _is_last(y) and _is_packed(x, len(w))
        w = _arranged(xp, w, 0) if packed else _whole_steps(xp, w)
        direct.walk(what, packed, x, w, bias, y, window, relu)
        return
    summed = w.shape[0] // window.groups if backward else w.shape[1]
    packed = x.dtype == np.float32 and _is_packed(x, summed)
    w = _arranged(xp, w, 0 if backward else 1) if packed else _whole_steps(xp, w)
    shapes = x.shape, x.strides, w.shape, w.strides, y.shape, y.strides
    launch = _launch(what, x.dtype, packed, shapes, window, relu)
    launch(pointer(x), pointer(w), address(bias), pointer(y))


def _is_last(array: Array) -> bool:
    return is_channels_last(array.shape, array.strides)


def _whole_steps(xp: Any, array: Array) -> Array:
    """The array, copied where its strides are not whole numbers of elements."""
    uneven = any(stride % array.itemsize for stride in array.strides)
    return contiguous(xp, array) if uneven else array


def _is_packed(x: Array, channels: int) -> bool:
    """Whether packs of 16 bytes hold channels of one place and one group."""
    strides, itemsize = x.strides, x.itemsize
    return (
        strides[1] == itemsize
        and channels * itemsize % 16 == 0
        and not any(step % 16 for step in (strides[0], *strides[2:]))
        and images.aligned(x)
    )


def _arranged(xp: Any, w: Array, inner: int) -> Array:
    """Filters with outputs (0) or channels (1) next to each other, copied if they are not so."""
    order = (1 - inner, *range(2, w.ndim), inner)
    back = (w.ndim - 1, 0, *range(1, w.ndim - 1)) if inner == 0 else images.to_last(w.ndim)
    moved = w.transpose(order)
    if moved.flags.c_contiguous and images.aligned(w):
        return w
    return contiguous(xp, moved).transpose(back)


@functools.lru_cache(maxsize=4096)
def _launch(
    what: str, dtype: np.dtype, packed: bool, shapes: Shapes, window: Window, relu: bool
) -> Launch:
    given = windows(what, dtype.itemsize, shapes, window, relu)
    classes = math.prod(given.classes)
    places = (-(-n // s) for n, s in zip(given.count, given.classes, strict=True))
    rows = given.images * math.prod(places)
    size = _tile(dtype, packed, rows * classes, given.outputs, given.groups)
    blocks = -(-rows // size) * -(-given.outputs // size) * classes * given.groups
    if blocks > MOST:
        raise ValueError(f"convolution on a GPU: {rows} places are too many")
    return _kernel("convolve", dtype, size, packed).prepare(
        (blocks, 1, 1),
        (_threads(size), 1, 1),
        shared=_shared(size),
        varying=(c_void_p,) * 4,
        constant=(given, c_longlong(rows)),
    )


@functools.lru_cache(maxsize=4096)
def _weight_launch(
    dtype: np.dtype, packed: bool, shapes: Shapes, window: Window, last: bool
) -> tuple[int, Launch, Launch | None]:
    """In how many parts the gradient to the filters is made, and the launches for that.

    The second is to add the parts up; None if there is nothing to do, and the first one makes it.
    """
    if direct.has_few(shapes[2], window):
        parts, launch = direct.weight_launch(dtype, shapes, window)
    else:
        parts, launch = _tiled_weight_launch(dtype, packed, shapes, window)
    outputs, channels, *kernel = shapes[2]
    taps, high = math.prod(kernel), 1
    whole = last or taps == 1 or channels == 1
    if parts == 1 and whole and dtype.itemsize > 2:
        return parts, launch, None
    while high < min(parts, 16):
        high *= 2
    sizes = c_longlong(outputs), c_int(taps), c_int(channels), c_int(parts)
    combine = _combine(dtype).prepare(
        (min(-(-outputs * taps * channels // 32), MOST), 1, 1),
        (32, high, 1),
        varying=(c_void_p,) * 2,
        constant=(*sizes, c_bool(not whole)),
    )
    return parts, launch, combine


def _tiled_weight_launch(
    dtype: np.dtype, packed: bool, shapes: Shapes, window: Window
) -> tuple[int, Launch]:
    given = windows(WEIGHT_GRADIENT, dtype.itemsize, shapes, window, relu=False)
    size, places = 64, given.images * math.prod(given.count)
    width = given.channels * math.prod(given.kernel)
    tiles = -(-given.outputs // size) * -(-width // size) * given.groups
    parts = max(1, min(_WANTED_BLOCKS // tiles, places // _LEAST_PLACES))
    length = -(-places // parts)
    parts = -(-places // length)
    if tiles * parts > MOST or length > MOST:
        raise ValueError(f"convolution on a GPU: {places} places are too many")
    launch = _kernel("weight_gradient", dtype, size, packed).prepare(
        (tiles * parts, 1, 1),
        (_threads(size), 1, 1),
        shared=_shared(size),
        varying=(c_void_p,) * 3,
        constant=(given, c_int(length)),
    )
    return parts, launch


def _tile(dtype: np.dtype, packed: bool, rows: int, outputs: int, groups: int) -> int:
    """How large tiles are: large ones read less, if they are enough for all of a GPU's parts."""
    large = -(-rows // 128) * -(-outputs // 128) * groups >= 128 and outputs > 64
    return 128 if dtype == np.float32 and packed and large else 64


def _threads(size: int) -> int:
    return 256 if size == 128 else 128


def _shared(size: int) -> int:
    """Bytes of shared memory: what is copied ahead of `size` rows of both matrices, and a table."""
    return _STAGES * 2 * size * _PADDED_LINE + size * _ROW


def _kernel(what: str, dtype: np.dtype, size: int, packed: bool) -> Kernel:
    width = 16 // dtype.itemsize if packed else 1
    filename = "convolution.cu" if what == "convolve" else "convolution_weight.cu"
    tile = "FmaWide" if packed and what == "weight_gradient" else "FmaDeep"
    name = f"{what}<{tile}<{FLOATS[dtype]}, {size}>, {width}>"
    return Kernel(source(filename), name, filename=filename)


def _combine(dtype: np.dtype) -> Kernel:
    filename = "convolution_weight.cu"
    return Kernel(source(filename), f"combine<{FLOATS[dtype]}>", filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for dtype in FLOATS:
        yield _combine(dtype)
        for what in ("convolve", "weight_gradient"):
            yield _kernel(what, dtype, 64, packed=False)
    float32 = np.dtype(np.float32)
    yield _kernel("convolve", float32, 64, packed=True)
    yield _kernel("convolve", float32, 128, packed=True)
    yield _kernel("weight_gradient", float32, 64, packed=True)
