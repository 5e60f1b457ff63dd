"""The kernels of convolution that multiply tiles: which there are, and which one is launched."""

from __future__ import annotations

import math
from collections.abc import Iterator
from ctypes import c_bool, c_int, c_longlong, c_void_p
from typing import NamedTuple

import numpy as np

from tapegrad.kernels import cache
from tapegrad.kernels.precision import tf32_convolution_allowed

from . import convolution_direct as direct
from .choosing import Choice
from .compiling import source
from .convolution_windows import MOST, WEIGHT_GRADIENT, Shapes, Window, windows
from .launching import Kernel, Launch, backend
from .rows import FLOATS

WANTED_BLOCKS = 528  # twice as many as large GPUs have at once
ENOUGH_BLOCKS = 128  # about as many as a large GPU has multiprocessors
LEAST_PLACES = 256  # of a part of a gradient to filters


class Kind(NamedTuple):
    """What of operands decides on a kernel, beside their sizes."""

    dtype: np.dtype
    packed: bool  # packs of 16 bytes hold neighbouring channels
    unit: str  # what multiplies, see `Tile`
    across: bool = False  # filters are packs too, of what is written and not of what is summed


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


def unit_of(dtype: np.dtype) -> str:
    """What multiplies, where channels are packed."""
    if dtype.itemsize == 2:
        return "Warpgroup" if backend().architecture() == "sm_90a" else "Tensor"
    return "Tensor" if dtype == np.float32 and tf32_convolution_allowed() else "Fma"


def launch(what: str, kind: Kind, shapes: Shapes, window: Window, relu: bool) -> Launch:
    """What writes a convolution, or a data gradient, from images, filters and a bias or 0."""
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


def weight_launch(
    kind: Kind, shapes: Shapes, window: Window, last: bool
) -> tuple[int, Launch, Launch | None]:
    """In how many parts the gradient to the filters is made, and the launches for that.

    The second is to add the parts up; None if there is nothing to do, and the first one makes it.
    """
    if direct.has_few(shapes[2], window):
        parts, first = direct.weight_launch(kind.dtype, shapes, window)
    else:
        parts, first = _parts_launch(kind, shapes, window)
    outputs, channels, *kernel = shapes[2]
    taps, high = math.prod(kernel), 1
    whole = last or taps == 1 or channels == 1
    if parts == 1 and whole and kind.dtype.itemsize > 2:
        return parts, first, None
    while high < min(parts, 16):
        high *= 2
    sizes = c_longlong(outputs), c_int(taps), c_int(channels), c_int(parts)
    combine = _combine(kind.dtype).prepare(
        (min(-(-outputs * taps * channels // 32), MOST), 1, 1),
        (32, high, 1),
        varying=(c_void_p,) * 2,
        constant=(*sizes, c_bool(not whole)),
    )
    return parts, first, combine


def _parts_launch(kind: Kind, shapes: Shapes, window: Window) -> tuple[int, Launch]:
    given = windows(WEIGHT_GRADIENT, kind.dtype.itemsize, shapes, window, relu=False)
    places, width = given.images * math.prod(given.count), given.channels * math.prod(given.kernel)
    tile = _weight_tile(kind, given.outputs, width)
    tiles = tile.tiles(given.outputs, width) * given.groups
    parts = max(1, min(WANTED_BLOCKS // tiles, places // LEAST_PLACES))
    length = -(-places // parts)
    parts = -(-places // length)
    if tiles * parts > MOST or length > MOST:
        raise ValueError(f"convolution on a GPU: {places} places are too many")
    made = _kernel("weight_gradient", kind, tile).prepare(
        (tiles * parts, 1, 1),
        (tile.threads, 1, 1),
        shared=tile.shared(kind.dtype.itemsize),
        varying=(c_void_p,) * 3,
        constant=(given, c_int(length)),
    )
    return parts, made


def _suited(kind: Kind, rows: int, outputs: int, products: int) -> list[Tile]:
    """The tiles worth a try, that to start with first.

    Large ones read less, if they are filled and enough for all of a GPU's multiprocessors.
    """
    tiles = _tiles("convolve", kind)
    filled = [t for t in tiles if outputs > t.across - 64 and rows > t.down - 64]
    enough = [t for t in filled if t.tiles(rows, outputs) * products >= ENOUGH_BLOCKS]
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
    ("weight_gradient", "Warpgroup"): ((128, 128), (64, 128)),
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
    deep += ", false" if kind.across else ""
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
                    if packed and tile.unit != "Fma" and what == "convolve":
                        kernel = _kernel(what, kind._replace(across=True), tile)
                        found[kernel.name] = kernel
        yield from found.values()


_HALF = ((False, "Tensor"), (True, "Tensor"), (True, "Warpgroup"))
_UNITS = {
    "float16": _HALF,
    "bfloat16": _HALF,
    "float32": ((False, "Fma"), (True, "Fma"), (False, "Tensor"), (True, "Tensor")),
    "float64": ((False, "Fma"),),
}
