"""Convolution in groups of few channels, and of whole numbers, on a GPU, without tiles.

Every thread makes its sums by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from ctypes import c_bool, c_int, c_longlong, c_void_p

import numpy as np

from . import images
from .compiling import source
from .convolution_windows import MOST, WEIGHT_GRADIENT, Shapes, Window, windows
from .launching import Kernel, Launch
from .rows import FLOATS

Ints = tuple[int, ...]

_FILENAME = "convolution_direct.cu"
_FEW = 4  # channels; with more of them, tiles are full enough
_TAPS = 9  # of convolution_direct.cu
_WANTED_BLOCKS, _LEAST_PLACES = 1056, 1024


def has_few(filters: Ints, window: Window) -> bool:
    """Whether the groups have so few channels that tiles would be mostly empty."""
    return window.groups > 1 and max(filters[0] // window.groups, filters[1]) <= _FEW


def is_depthwise(filters: Ints, window: Window) -> bool:
    """Whether every channel makes one, by a filter of its own."""
    return filters[0] == window.groups and filters[1] == 1


def launch(
    what: str, dtype: np.dtype, packed: bool, shapes: Shapes, window: Window, relu: bool
) -> Launch:
    """What writes a convolution, or a data gradient, from images, filters and a bias or 0.

    `packed` means that packs of channels lie side by side in images, and in filters that are
    depthwise.
    """
    given = windows(what, dtype.itemsize, shapes, window, relu)
    width = 16 // dtype.itemsize if packed else 1
    last = given.out_channel == 1
    items = math.prod(shapes[4]) // width
    return _kernel("convolve_directly", dtype, width).prepare(
        (images.blocks(items), 1, 1),
        (images.THREADS, 1, 1),
        varying=(c_void_p,) * 4,
        constant=(given, c_longlong(items), c_bool(last)),
    )


def weight_launch(dtype: np.dtype, shapes: Shapes, window: Window) -> tuple[int, Launch]:
    """In how many parts the gradient to the filters is made, and the launch for that."""
    given = windows(WEIGHT_GRADIENT, dtype.itemsize, shapes, window, relu=False)
    outputs, places = given.groups * given.outputs, given.images * math.prod(given.count)
    wide = min(outputs, 32) if given.out_channel == 1 else 1
    width = 1 << (wide - 1).bit_length()
    chunks = -(-math.prod(given.kernel) // _TAPS) * given.channels * -(-outputs // width)
    parts = max(1, min(_WANTED_BLOCKS // chunks, places // _LEAST_PLACES))
    length = -(-places // parts)
    parts = -(-places // length)
    if chunks * parts > MOST or length > MOST:
        raise ValueError(f"convolution on a GPU: {places} places are too many")
    made = _kernel("weight_gradient_directly", dtype).prepare(
        (chunks * parts, 1, 1),
        (width, images.THREADS // width, 1),
        varying=(c_void_p,) * 3,
        constant=(given, c_int(length)),
    )
    return parts, made


def _kernel(what: str, dtype: np.dtype, *numbers: int) -> Kernel:
    name = f"{what}<{', '.join((FLOATS.get(dtype, 'long long'), *map(str, numbers)))}>"
    return Kernel(source(_FILENAME), name, filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for dtype in FLOATS:
        yield _kernel("weight_gradient_directly", dtype)
        for width in (1, 16 // dtype.itemsize):
            yield _kernel("convolve_directly", dtype, width)
    yield _kernel("convolve_directly", np.dtype(np.int64), 1)
