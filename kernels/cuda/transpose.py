"""Copies of permuted arrays on a GPU, by way of shared memory (`transpose.cu`).

Where the elements of an array lie side by side along another dimension than those of the copy, one
of both would be read or written with gaps. Everything else is left to CuPy's copy.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator
from typing import Any

from tapegrad.kernels.strides import collapse, filled

from .compiling import source
from .launching import Kernel, Launch, pointer

Array = Any
Ints = tuple[int, ...]

_WORDS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}
_MOST_DIMS = 6  # of transpose.cu
_LINES = 8
_FEWEST = 8  # rows and columns; of fewer, most of a tile would be empty
_MOST_BLOCKS = 2**31 - 1


def contiguous(xp: Any, array: Array) -> Array:
    """The array in C order, copied if it is not."""
    return array if array.flags.c_contiguous else copied(xp, array)


def copied(xp: Any, array: Array) -> Array:
    """A copy in C order."""
    launch = _launch(array.shape, array.strides, array.itemsize)
    if launch is None:
        return xp.array(array, copy=True, order="C")
    out = xp.empty(array.shape, array.dtype)
    launch(pointer(array), pointer(out))
    return out


class _Places(ctypes.Structure):
    """`Places` of transpose.cu."""

    _fields_ = [
        *((name, ctypes.c_longlong) for name in ("rows", "columns", "from_column", "to_row")),
        ("count", ctypes.c_longlong),
        ("dims", ctypes.c_int),
        *((name, ctypes.c_longlong * _MOST_DIMS) for name in ("shape", "from", "to")),
    ]


@functools.lru_cache(maxsize=4096)
def _launch(shape: Ints, strides: Ints, itemsize: int) -> Launch | None:
    """The launch that copies an array; None where that is no transposition."""
    if itemsize not in _WORDS or any(s % itemsize for s in strides) or not math.prod(shape):
        return None
    steps = tuple(s // itemsize for s in strides)
    sizes, (source_steps, target_steps) = collapse(shape, (steps, filled(shape)))
    column = len(sizes) - 1
    row = source_steps.index(1) if 1 in source_steps else column
    stack = [d for d in reversed(range(len(sizes))) if d not in (row, column)]
    if row == column or min(sizes[row], sizes[column]) < _FEWEST or len(stack) > _MOST_DIMS:
        return None
    count = math.prod(sizes[d] for d in stack)
    dims = ctypes.c_longlong * _MOST_DIMS
    places = _Places(
        sizes[row], sizes[column], source_steps[column], target_steps[row], count, len(stack),
        *(dims(*(values[d] for d in stack)) for values in (sizes, source_steps, target_steps)),
    )  # fmt: skip
    tile = _tile(itemsize)
    tiles = count * -(-sizes[row] // tile) * -(-sizes[column] // tile)
    return _kernel(itemsize).prepare(
        (min(tiles, _MOST_BLOCKS), 1, 1),
        (32, _LINES, 1),
        varying=(ctypes.c_void_p,) * 2,
        constant=(places,),
    )


def _tile(itemsize: int) -> int:
    """The side of a tile: lines of 128 bytes, or 64 elements."""
    return 64 if itemsize < 4 else 32


def _kernel(itemsize: int) -> Kernel:
    filename = "transpose.cu"
    name = f"transpose<{_WORDS[itemsize]}, {_tile(itemsize)}>"
    return Kernel(source(filename), name, filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    return map(_kernel, _WORDS)
