"""Copies of permuted arrays on a GPU (`transpose.cu`).

Where the elements of an array lie side by side along another dimension than those of the copy, one
of both would be read or written with gaps: it goes by way of shared memory. Where they lie so along
the same one, words of up to 16 bytes are copied. Everything else is left to CuPy's copy.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

from tapegrad.kernels.strides import collapse, filled

from .compiling import source
from .launching import Kernel, Launch, pointer

Array = Any
Ints = tuple[int, ...]

_WORDS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}
_WIDEST = "Pack<unsigned int, 4>"
_INDICES = ("unsigned int", "long long")
_MOST_DIMS = 6  # of transpose.cu
_THREADS = 256
_LINES = 8
_FEWEST = 8  # rows and columns; of fewer, most of a tile would be empty
_MOST_BLOCKS = 2**31 - 1


def contiguous(xp: Any, array: Array) -> Array:
    """The array in C order, copied if it is not."""
    return array if array.flags.c_contiguous else copied(xp, array)


def copied(xp: Any, array: Array) -> Array:
    """A copy in C order."""
    layout = array.shape, array.strides, array.itemsize
    lines = _lines(*layout)
    transposition = _transposition(*layout) if lines is None else None
    if lines is None and transposition is None:
        return xp.array(array, copy=True, order="C")
    out = xp.empty(array.shape, array.dtype)
    source, target = pointer(array), pointer(out)
    if lines is not None:
        lines((source | target) % 16)(source, target)
    elif transposition is not None:
        transposition(source, target)
    return out


class _Places(ctypes.Structure):
    """`Places` of transpose.cu."""

    _fields_ = [
        *((name, ctypes.c_longlong) for name in ("rows", "columns", "from_column", "to_row")),
        ("count", ctypes.c_longlong),
        ("dims", ctypes.c_int),
        *((name, ctypes.c_longlong * _MOST_DIMS) for name in ("shape", "from", "to")),
    ]


class _Lines(ctypes.Structure):
    """`Lines` of transpose.cu."""

    _fields_ = [
        ("count", ctypes.c_longlong),
        ("dims", ctypes.c_int),
        *((name, ctypes.c_longlong * _MOST_DIMS) for name in ("shape", "from")),
    ]


@functools.lru_cache(maxsize=4096)
def _lines(shape: Ints, strides: Ints, itemsize: int) -> Callable[[int], Launch] | None:
    """The launch that copies an array's lines, by its address modulo 16; None if it has none."""
    if itemsize not in _WORDS or any(s % itemsize for s in strides) or not math.prod(shape):
        return None
    sizes, (steps,) = collapse(shape, (strides,))
    if not sizes or steps[-1] != itemsize or sizes[-1] == 1 or not 1 < len(sizes) <= _MOST_DIMS:
        return None
    line = sizes[-1] * itemsize

    @functools.cache
    def launch(address: int) -> Launch:
        word = math.gcd(16, line, address, *steps[:-1])
        dims = ctypes.c_longlong * _MOST_DIMS
        lengths = (line // word, *sizes[-2::-1])
        lines = _Lines(
            math.prod(lengths), len(lengths), dims(*lengths),
            dims(1, *(step // word for step in steps[-2::-1])),
        )  # fmt: skip
        blocks = -(-lines.count // _THREADS)
        # Beyond the last element the index must not wrap around before it ends the loop.
        index = _INDICES[(blocks + 1) * _THREADS >= 2**31]
        return _line_kernel(word, index).prepare(
            (min(blocks, _MOST_BLOCKS), 1, 1),
            (_THREADS, 1, 1),
            varying=(ctypes.c_void_p,) * 2,
            constant=(lines,),
        )

    return launch


@functools.lru_cache(maxsize=4096)
def _transposition(shape: Ints, strides: Ints, itemsize: int) -> Launch | None:
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


def _line_kernel(word: int, index: str) -> Kernel:
    filename = "transpose.cu"
    name = f"copy_lines<{_WORDS.get(word, _WIDEST)}, {index}>"
    return Kernel(source(filename), name, filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    yield from map(_kernel, _WORDS)
    for word in (*_WORDS, 16):
        for index in _INDICES:
            yield _line_kernel(word, index)
