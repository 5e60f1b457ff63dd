"""Convolution on a GPU in one to three dimensions: products of matrices that are never made.

Images (N, C, *size) and filters (O, C/groups, *kernel) may have any strides. What is made has its
channels next to each other in memory where the images or the filters have. Where these are packs of
16 bytes a thread copies one at once, else it takes planes as they lie (`convolution.cu`).
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator
from ctypes import c_bool, c_int, c_longlong, c_void_p
from typing import Any, NamedTuple

import numpy as np

from tapegrad.kernels.strides import is_channels_last

from . import images
from .compiling import source
from .launching import Kernel, Launch, pointer
from .rows import FLOATS, address, wide

Array = Any
Ints = tuple[int, ...]

_AXES = 3
_STAGES, _LINE, _PADDED_LINE, _ROW = 3, 64, 80, 32  # of `tiles.cuh` and `windows.cuh`, in bytes
_MOST = 2**31 - 1
_WANTED_BLOCKS = 528  # twice as many as large GPUs have at once
_LEAST_PLACES = 256  # of a part of a gradient to filters


class Window(NamedTuple):
    """How the filters go over the images: for each dimension a number, but for the groups."""

    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int


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
        _walk(xp, "forward", x, w, bias, y, window, relu)
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
        _walk(xp, "data gradient", grad, w, None, to_x, window)
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
        and _is_packed(x.shape, x.strides, x.itemsize, shape[1])
        and _is_packed(grad.shape, grad.strides, x.itemsize, shape[0] // window.groups)
        and images.aligned(x, grad)
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


def _is_last(array: Array) -> bool:
    return is_channels_last(array.shape, array.strides)


def _whole_steps(xp: Any, array: Array) -> Array:
    """The array, copied where its strides are not whole numbers of elements."""
    uneven = any(stride % array.itemsize for stride in array.strides)
    return xp.ascontiguousarray(array) if uneven else array


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
    x, backward = _whole_steps(xp, x), what == "data gradient"
    summed = w.shape[0] // window.groups if backward else w.shape[1]
    packed = (
        x.dtype == np.float32
        and _is_packed(x.shape, x.strides, x.itemsize, summed)
        and images.aligned(x)
    )
    if packed:
        w = _arranged(xp, w, 0 if backward else 1)
    w = _whole_steps(xp, w)
    if bias is not None:
        bias = xp.ascontiguousarray(bias)
    shapes = x.shape, x.strides, w.shape, w.strides, y.shape, y.strides
    launch = _launch(what, x.dtype, packed, shapes, window, relu)
    launch(pointer(x), pointer(w), address(bias), pointer(y))


def _arranged(xp: Any, w: Array, summed: int) -> Array:
    """Filters with the elements that are summed next to each other, copied if they are not so."""
    order = [d for d in range(w.ndim) if d not in (0, 1)]
    order = [1 - summed, *order, summed]
    moved = w.transpose(order)
    if moved.flags.c_contiguous and images.aligned(w):
        return w
    back = sorted(range(w.ndim), key=order.__getitem__)
    return xp.ascontiguousarray(moved).transpose(back)


@functools.lru_cache(maxsize=4096)
def _is_packed(shape: Ints, strides: Ints, itemsize: int, channels: int) -> bool:
    """Whether packs of 16 bytes hold channels of one place and one group."""
    steps = (strides[0], *strides[2:])
    return (
        strides[1] == itemsize
        and channels % (16 // itemsize) == 0
        and not any(step % 16 for step in steps)
    )


class _Windows(ctypes.Structure):
    """`Windows` of `windows.cuh`."""

    _fields_ = (
        ("image_step", c_longlong),
        ("channel_step", c_longlong),
        ("step", c_longlong * _AXES),
        ("weight_group", c_longlong),
        ("weight_output", c_longlong),
        ("weight_channel", c_longlong),
        ("weight_step", c_longlong * _AXES),
        ("out_image", c_longlong),
        ("out_channel", c_longlong),
        ("out_step", c_longlong * _AXES),
        ("images", c_int),
        ("groups", c_int),
        ("channels", c_int),
        ("outputs", c_int),
        ("size", c_int * _AXES),
        ("count", c_int * _AXES),
        ("kernel", c_int * _AXES),
        ("stride", c_int * _AXES),
        ("padding", c_int * _AXES),
        ("dilation", c_int * _AXES),
        ("classes", c_int * _AXES),
        ("tap_step", c_int * _AXES),
        ("tap_move", c_int * _AXES),
        ("backward", c_int),
        ("relu", c_int),
        ("pairs", c_int),
    )


Shapes = tuple[Ints, Ints, Ints, Ints, Ints, Ints]  # of images read, filters, images written


def _windows(what: str, itemsize: int, shapes: Shapes, window: Window, relu: bool) -> _Windows:
    """What a kernel is told; strides are in bytes here."""
    shape, strides, filters, filter_strides, out, out_strides = shapes
    groups, backward = window.groups, what == "data gradient"
    _check(shape, out, filters, window)

    def spread(values: Any, missing: int = 1) -> Any:
        values = tuple(values)
        return (missing,) * (_AXES - len(values)) + values

    def steps(of: Ints) -> list[int]:
        return [stride // itemsize for stride in of]

    image_step, channel_step, *step = steps(strides)
    out_image, out_channel, *out_step = steps(out_strides)
    first, second, *weight_step = steps(filter_strides)
    if backward:  # the filters' channels are written, and their outputs summed
        channels, outputs = filters[0] // groups, filters[1]
        weight_group, weight_output, weight_channel = channels * first, second, first
    else:
        channels, outputs = filters[1], filters[0] // groups
        weight_group, weight_output, weight_channel = outputs * first, first, second
    stride, padding, dilation = window.stride, window.padding, window.dilation
    common = [s // math.gcd(s, d) if backward else 1 for s, d in zip(stride, dilation, strict=True)]
    move = [
        -(t * d // s) if backward else d for t, s, d in zip(common, stride, dilation, strict=True)
    ]
    neighbours = out_channel == 1 and not any(n % 2 for n in (out_image, *out_step, outputs))
    return _Windows(
        image_step, channel_step, spread(step, 0),
        weight_group, weight_output, weight_channel, spread(weight_step, 0),
        out_image, out_channel, spread(out_step, 0),
        shape[0], groups, channels, outputs,
        spread(shape[2:]), spread(out[2:]), spread(filters[2:]),
        spread(stride), spread(padding, 0), spread(dilation),
        spread(stride if backward else ()), spread(common), spread(move),
        backward, relu, neighbours,
    )  # fmt: skip


def _check(shape: Ints, out: Ints, filters: Ints, window: Window) -> None:
    """Refuse what the kernels' whole numbers of 32 bits do not hold."""
    for n, m, k, s, p, d in zip(shape[2:], out[2:], filters[2:], *window[:3], strict=True):
        if max(n, m) + 2 * p + k * d + s >= 1 << 30:
            raise ValueError(f"convolution on a GPU: images of {n} places and {m} are too large")
    if max(*shape[:2], math.prod(filters)) > _MOST:
        raise ValueError(
            f"convolution on a GPU: {shape[0]} images and filters {filters} are too many"
        )


@functools.lru_cache(maxsize=4096)
def _launch(
    what: str, dtype: np.dtype, packed: bool, shapes: Shapes, window: Window, relu: bool
) -> Launch:
    given = _windows(what, dtype.itemsize, shapes, window, relu)
    classes = math.prod(given.classes)
    places = (-(-n // s) for n, s in zip(given.count, given.classes, strict=True))
    rows = given.images * math.prod(places)
    size = _tile(dtype, packed, rows * classes, given.outputs, given.groups)
    blocks = -(-rows // size) * -(-given.outputs // size) * classes * given.groups
    if blocks > _MOST:
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
    given = _windows("weight gradient", dtype.itemsize, shapes, window, relu=False)
    size, places = 64, given.images * math.prod(given.count)
    taps = math.prod(given.kernel)
    tiles = -(-given.outputs // size) * -(-(given.channels * taps) // size) * given.groups
    parts = max(1, min(_WANTED_BLOCKS // tiles, places // _LEAST_PLACES))
    length = -(-places // parts)
    parts = -(-places // length)
    if tiles * parts > _MOST or length > _MOST:
        raise ValueError(f"convolution on a GPU: {places} places are too many")
    launch = _kernel("weight_gradient", dtype, size, packed).prepare(
        (tiles * parts, 1, 1),
        (_threads(size), 1, 1),
        shared=_shared(size),
        varying=(c_void_p,) * 3,
        constant=(given, c_int(length)),
    )
    whole = last or taps == 1 or given.channels == 1
    if parts == 1 and whole and dtype.itemsize > 2:
        return parts, launch, None
    outputs, high = given.outputs * given.groups, 1
    while high < min(parts, 16):
        high *= 2
    combine = _combine(dtype).prepare(
        (min(-(-outputs * taps * given.channels // 32), _MOST), 1, 1),
        (32, high, 1),
        varying=(c_void_p,) * 2,
        constant=(
            c_longlong(outputs), c_int(taps), c_int(given.channels), c_int(parts), c_bool(not whole)
        ),
    )  # fmt: skip
    return parts, launch, combine


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
