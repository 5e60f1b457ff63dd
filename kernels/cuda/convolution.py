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
from typing import Any, NamedTuple

import numpy as np

from tapegrad.kernels import cache
from tapegrad.kernels.precision import tf32_convolution_allowed
from tapegrad.kernels.strides import channels_last_order, is_channels_last

from . import convolution_direct as direct
from . import convolution_points as points
from . import images
from .choosing import Choice
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
from .launching import Kernel, Launch, backend, pointer
from .rows import FLOATS, address, wide
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]

_WANTED_BLOCKS = 528  # twice as many as large GPUs have at once
_LEAST_PLACES = 256  # of a part of a gradient to filters
_MANY, _MUCH = 1 << 16, 64  # values of images, and products of each, that are worth a conversion


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
    if points.are_all(w.shape, window) and points.has_rows(x) and points.has_rows(w):
        return points.convolve(xp, x, w, bias, relu)
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
    if points.are_all(w.shape, window) and points.has_rows(grad) and points.has_rows(w):
        return points.input_gradient(xp, grad, w)
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
    if points.are_all(shape, window) and points.has_rows(x) and points.has_rows(grad):
        return points.weight_gradient(xp, grad, x)
    to_w = images.new(xp, last, shape, grad.dtype)
    if not to_w.size:
        return to_w
    if not grad.size:
        to_w.fill(0)
        return to_w
    if direct.has_few(shape, window):
        packed, grad, x = False, _whole_steps(xp, grad), _whole_steps(xp, x)
    else:
        work = math.prod(shape)
        grad, packed = _packs(xp, grad, shape[0] // window.groups, work)
        x, also = _packs(xp, x, shape[1], work)
        packed = packed and also
    shapes = x.shape, x.strides, shape, to_w.strides, grad.shape, grad.strides
    kind = _kind(x.dtype, packed)
    parts, launch, combine = _weight_launch(kind, shapes, window, last)
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
    if bias is not None:
        bias = contiguous(xp, bias)
    if direct.has_few(w.shape, window):
        x = _whole_steps(xp, x)
        packed = direct.is_depthwise(w.shape, window) and _is_last(y) and _is_packed(x, len(w))
        w = _arranged(xp, w, 0) if packed else _whole_steps(xp, w)
        direct.walk(what, packed, x, w, bias, y, window, relu)
        return
    backward = what == DATA_GRADIENT
    x, packed = _packs(xp, x, w.shape[0] // window.groups if backward else w.shape[1], w.size)
    w = _arranged(xp, w, 0 if backward else 1) if packed else _whole_steps(xp, w)
    shapes = x.shape, x.strides, w.shape, w.strides, y.shape, y.strides
    kind = _kind(x.dtype, packed)
    launch = _launch(what, kind, shapes, window, relu)
    launch(pointer(x), pointer(w), address(bias), pointer(y))


def _is_last(array: Array) -> bool:
    return is_channels_last(array.shape, array.strides)


def _whole_steps(xp: Any, array: Array) -> Array:
    """The array, copied where its strides are not whole numbers of elements."""
    uneven = any(stride % array.itemsize for stride in array.strides)
    return contiguous(xp, array) if uneven else array


def _packs(xp: Any, x: Array, channels: int, work: int) -> tuple[Array, bool]:
    """Images, and whether packs of 16 bytes hold channels of one place and one group.

    Planes are converted if there is enough to do for each place of them.
    """
    if x.itemsize == 8:
        return _whole_steps(xp, x), False
    if _is_packed(x, channels):
        return x, True
    if channels * x.itemsize % 16 or x.size < _MANY or work < _MUCH * x.shape[1]:
        return _whole_steps(xp, x), False
    order = channels_last_order(x.ndim)
    return contiguous(xp, x.transpose(order)).transpose(images.to_last(x.ndim)), True


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


class Kind(NamedTuple):
    """What of operands decides on a kernel, beside their sizes."""

    dtype: np.dtype
    packed: bool  # packs of 16 bytes hold neighbouring channels
    unit: str  # what multiplies, see `Tile`


class Tile(NamedTuple):
    """Which part of a product a block makes, and how.

    The unit is a template of the kernels' text: "Fma" multiplies exactly (tiles.cuh), "Tensor" on
    tensor cores (tensor_tiles.cuh), "Warpgroup" on Hopper's (warpgroup_tiles.cuh).
    """

    unit: str
    down: int
    across: int

    @property
    def threads(self) -> int:
        """Of a block."""
        return 128 if self.unit == "Tensor" or self.down == 64 else 256

    def shared(self, itemsize: int) -> int:
        """Bytes of shared memory: a table of the rows, and stages of lines or in the end the sums.

        >>> Tile("Tensor", 128, 128).shared(4)
        86016
        """
        line, stages = _STAGES[self.unit]
        if self.unit == "Warpgroup" and self.down == self.across:
            stages = 3  # so that a multiprocessor has two blocks
        sums = self.down * (self.across + 8) * max(itemsize, 4)
        return max(self.down, self.across) * _ROW + max(
            stages * (self.down + self.across) * line, sums
        )

    def tiles(self, rows: int, columns: int) -> int:
        """How many there are of a product of so many rows and columns."""
        return -(-rows // self.down) * -(-columns // self.across)


_ROW = 32  # bytes, of windows.cuh
_STAGES = {"Fma": (80, 3), "Tensor": (80, 4), "Warpgroup": (128, 4)}  # bytes of a line; how many
_ENOUGH_BLOCKS = 128  # about as many as a large GPU has multiprocessors


def _kind(dtype: np.dtype, packed: bool) -> Kind:
    if dtype.itemsize == 2:
        hopper = packed and backend().architecture() == "sm_90a"
        return Kind(dtype, packed, "Warpgroup" if hopper else "Tensor")
    rounded = dtype == np.float32 and tf32_convolution_allowed()
    return Kind(dtype, packed, "Tensor" if rounded else "Fma")


@functools.lru_cache(maxsize=4096)
def _launch(what: str, kind: Kind, shapes: Shapes, window: Window, relu: bool) -> Launch:
    given = windows(what, kind.dtype.itemsize, shapes, window, relu)
    classes = math.prod(given.classes)
    places = (-(-n // s) for n, s in zip(given.count, given.classes, strict=True))
    rows = given.images * math.prod(places)
    products = classes * given.groups
    launches, names = [], []
    for tile in _suited(kind, rows, given.outputs, products):
        blocks = tile.tiles(rows, given.outputs) * products
        if blocks > MOST:
            raise ValueError(f"convolution on a GPU: {rows} places are too many")
        kernel = _kernel("convolve", kind, tile)
        names.append(kernel.name)
        launches.append(
            kernel.prepare(
                (blocks, 1, 1),
                (tile.threads, 1, 1),
                shared=tile.shared(kind.dtype.itemsize),
                varying=(c_void_p,) * 4,
                constant=(given, c_longlong(rows)),
            )
        )
    if len(launches) == 1:
        return launches[0]
    return Choice(cache.key(names, kernel.text, bytes(given)), launches)


@functools.lru_cache(maxsize=4096)
def _weight_launch(
    kind: Kind, shapes: Shapes, window: Window, last: bool
) -> tuple[int, Launch, Launch | None]:
    """In how many parts the gradient to the filters is made, and the launches for that.

    The second is to add the parts up; None if there is nothing to do, and the first one makes it.
    """
    if direct.has_few(shapes[2], window):
        parts, launch = direct.weight_launch(kind.dtype, shapes, window)
    else:
        parts, launch = _tiled_weight_launch(kind, shapes, window)
    outputs, channels, *kernel = shapes[2]
    taps, high = math.prod(kernel), 1
    whole = last or taps == 1 or channels == 1
    if parts == 1 and whole and kind.dtype.itemsize > 2:
        return parts, launch, None
    while high < min(parts, 16):
        high *= 2
    sizes = c_longlong(outputs), c_int(taps), c_int(channels), c_int(parts)
    combine = _combine(kind.dtype).prepare(
        (min(-(-outputs * taps * channels // 32), MOST), 1, 1),
        (32, high, 1),
        varying=(c_void_p,) * 2,
        constant=(*sizes, c_bool(not whole)),
    )
    return parts, launch, combine


def _tiled_weight_launch(kind: Kind, shapes: Shapes, window: Window) -> tuple[int, Launch]:
    given = windows(WEIGHT_GRADIENT, kind.dtype.itemsize, shapes, window, relu=False)
    places, width = given.images * math.prod(given.count), given.channels * math.prod(given.kernel)
    tile = _weight_tile(kind, given.outputs, width)
    tiles = tile.tiles(given.outputs, width) * given.groups
    parts = max(1, min(_WANTED_BLOCKS // tiles, places // _LEAST_PLACES))
    length = -(-places // parts)
    parts = -(-places // length)
    if tiles * parts > MOST or length > MOST:
        raise ValueError(f"convolution on a GPU: {places} places are too many")
    launch = _kernel("weight_gradient", kind, tile).prepare(
        (tiles * parts, 1, 1),
        (tile.threads, 1, 1),
        shared=tile.shared(kind.dtype.itemsize),
        varying=(c_void_p,) * 3,
        constant=(given, c_int(length)),
    )
    return parts, launch


def _suited(kind: Kind, rows: int, outputs: int, products: int) -> list[Tile]:
    """The tiles worth a try, that to start with first.

    Large ones read less, if they are filled and enough for all of a GPU's multiprocessors.
    """
    tiles = _tiles("convolve", kind)
    filled = [t for t in tiles if outputs > t.across - 64 and rows > t.down - 64]
    enough = [t for t in filled if t.tiles(rows, outputs) * products >= _ENOUGH_BLOCKS]
    first = enough[0] if enough else filled[-1]
    # Another unit might add in another order, and results are not to hang on what is fastest.
    return [first, *(tile for tile in filled if tile != first and tile.unit == first.unit)]


def _weight_tile(kind: Kind, outputs: int, width: int) -> Tile:
    """Blocks are as many as one wants, of parts."""
    for tile in _tiles("weight_gradient", kind):
        if outputs > tile.down - 64 and width > tile.across - 64:
            return tile
    return tile


_LARGE = {
    ("convolve", "Fma"): ((128, 128),),
    ("convolve", "Tensor"): ((128, 128), (128, 64)),
    ("convolve", "Warpgroup"): ((256, 128), (128, 128), (128, 64)),
    ("weight_gradient", "Fma"): (),
    ("weight_gradient", "Tensor"): ((128, 128),),
    ("weight_gradient", "Warpgroup"): ((128, 128),),
}


def _tiles(what: str, kind: Kind) -> list[Tile]:
    """The tiles there are kernels for, from the largest to the smallest."""
    large = _LARGE[what, kind.unit] if kind.packed else ()
    small = Tile("Fma" if kind.unit == "Fma" else "Tensor", 64, 64)
    return [*(Tile(kind.unit, *size) for size in large), small]


def _kernel(what: str, kind: Kind, tile: Tile) -> Kernel:
    filename = "convolution.cu" if what == "convolve" else "convolution_weight.cu"
    deep = "true" if what == "convolve" or not kind.packed else "false"
    width = 16 // kind.dtype.itemsize if kind.packed else 1
    name = FLOATS[kind.dtype]
    full = f"{what}<{tile.unit}<{name}, {tile.down}, {tile.across}, {deep}>, {width}>"
    return Kernel(source(filename), full, filename=filename)


def _combine(dtype: np.dtype) -> Kernel:
    filename = "convolution_weight.cu"
    return Kernel(source(filename), f"combine<{FLOATS[dtype]}>", filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for dtype in FLOATS:
        yield _combine(dtype)
        found = {}
        for packed, unit in _UNITS[dtype.name]:
            kind = Kind(dtype, packed, unit)
            for what in ("convolve", "weight_gradient"):
                for tile in _tiles(what, kind):
                    kernel = _kernel(what, kind, tile)
                    found[kernel.name] = kernel
        yield from found.values()


_HALF = ((False, "Tensor"), (True, "Tensor"), (True, "Warpgroup"))
_UNITS = {
    "float16": _HALF,
    "bfloat16": _HALF,
    "float32": ((False, "Fma"), (True, "Fma"), (False, "Tensor"), (True, "Tensor")),
    "float64": ((False, "Fma"),),
}
