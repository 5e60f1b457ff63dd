"""Convolution on a GPU in one to three dimensions: products of matrices that are never made.

Images (N, C, *size) and filters (O, C/groups, *kernel) may have any strides. What is made has its
channels next to each other in memory where the images or the filters have; then a thread copies a
pack of channels at once, else it takes planes as they lie (`convolution.cu`).
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator
from ctypes import c_int, c_longlong, c_void_p
from typing import Any, NamedTuple

import numpy as np

from tapegrad.kernels.strides import is_channels_last

from . import images
from .compiling import source
from .launching import Kernel, Launch, pointer
from .rows import FLOATS, address

Array = Any
Ints = tuple[int, ...]

_FILENAME = "convolution.cu"
_AXES = 3
_STAGES, _LINE, _PADDED_LINE, _ROW = 3, 64, 80, 32  # of `tiles.cuh` and `windows.cuh`, in bytes
_MOST = 2**31 - 1


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


def _is_last(array: Array) -> bool:
    return is_channels_last(array.shape, array.strides)


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
    """Write y, from images x of channels that are summed and filters w (written, summed, taps)."""
    itemsize = x.itemsize
    if any(stride % itemsize for stride in x.strides):
        x = xp.ascontiguousarray(x)
    packed = (
        x.dtype == np.float32
        and _is_packed(x.shape, x.strides, itemsize, w.shape[1])
        and images.aligned(x)
    )
    if packed:
        w = images.dense(xp, w, last=True)
    elif any(stride % itemsize for stride in w.strides):
        w = xp.ascontiguousarray(w)
    if bias is not None:
        bias = xp.ascontiguousarray(bias)
    shapes = x.shape, x.strides, w.shape, w.strides, y.shape, y.strides
    launch = _launch(what, x.dtype, packed, shapes, window, relu)
    launch(pointer(x), pointer(w), address(bias), pointer(y))


@functools.lru_cache(maxsize=4096)
def _is_packed(shape: Ints, strides: Ints, itemsize: int, channels: int) -> bool:
    """Whether packs of 16 bytes hold channels of one place and one group."""
    width = 16 // itemsize
    steps = (strides[0], *strides[2:])
    return (
        (strides[1] == itemsize or shape[1] == 1)
        and channels % width == 0
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


Shapes = tuple[Ints, Ints, Ints, Ints, Ints, Ints]  # of what is read, the filters, what is written


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
        shared=_STAGES * 2 * size * _PADDED_LINE + size * _ROW,
        varying=(c_void_p,) * 4,
        constant=(given, c_longlong(rows)),
    )


def _tile(dtype: np.dtype, packed: bool, rows: int, outputs: int, groups: int) -> int:
    """How large tiles are: large ones read less, if they are enough for all of a GPU's parts."""
    large = -(-rows // 128) * -(-outputs // 128) * groups >= 128 and outputs > 64
    return 128 if dtype == np.float32 and packed and large else 64


def _threads(size: int) -> int:
    return 256 if size == 128 else 128


def _kernel(what: str, dtype: np.dtype, size: int, packed: bool) -> Kernel:
    width = 16 // dtype.itemsize if packed else 1
    name = f"{what}<FmaDeep<{FLOATS[dtype]}, {size}>, {width}>"
    return Kernel(source(_FILENAME), name, filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for dtype in FLOATS:
        yield _kernel("convolve", dtype, 64, False)
    for size in (64, 128):
        yield _kernel("convolve", np.dtype(np.float32), size, True)
