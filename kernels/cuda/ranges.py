"""Checks of values on a GPU without waiting for it: one launch of `ranges.cu` each.

What is out of range is raised where the host waits next (`checks`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from ctypes import c_bool, c_double, c_int, c_longlong, c_void_p
from typing import Any

import numpy as np

from . import checks
from .compiling import source
from .launching import Kernel, Launch, on_device_of, pointer
from .pointwise import STORED

Array = Any

_THREADS = 256
_BLOCKS = 1024
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def positions(
    xp: Any, given: Array, length: int, message: str, error: type[Exception], negative: bool = False
) -> Array:
    """Positions in a dimension as int64, counted from its start; 0 in place of wrong ones.

    Args:
        xp: CuPy.
        given: whole numbers, of any shape.
        length: how many positions there are, at least 1.
        message: what the error says, with `{value}` for the wrong position.
        error: the exception to raise where the host waits next.
        negative: whether -1 is the last, and so on.
    """
    with on_device_of(given):
        found = xp.empty(given.shape, np.int64)
        if given.size:
            given = xp.ascontiguousarray(given)
            launch = _launch("positions", given.dtype, given.size)
            report, number = checks.watch(message, error)
            launch(pointer(given), pointer(found), given.size, length, negative, report, number)
        return found


def within(
    xp: Any, given: Array, least: float, most: float, message: str, error: type[Exception]
) -> None:
    """Report an element that is not from `least` to `most`; `{value}` is its place in the array.

    Args:
        xp: CuPy.
        given: numbers, of any shape.
        least: the smallest that is right.
        most: the largest that is right.
        message: what the error says, with `{value}` for where the element is in flat memory.
        error: the exception to raise where the host waits next.
    """
    _look("within", xp, given, (least, most), message, error)


def nonzero(xp: Any, given: Array, message: str, error: type[Exception]) -> None:
    """Report an element that is 0; `{value}` is its place in the array.

    Args:
        xp: CuPy.
        given: whole numbers, of any shape.
        message: what the error says, with `{value}` for where the element is in flat memory.
        error: the exception to raise where the host waits next.
    """
    _look("nonzero", xp, given, (), message, error)


def _look(
    what: str,
    xp: Any,
    given: Array,
    limits: tuple[float, ...],
    message: str,
    error: type[Exception],
) -> None:
    if not given.size:
        return
    with on_device_of(given):
        given = xp.ascontiguousarray(given)
        launch = _launch(what, given.dtype, given.size)
        report, number = checks.watch(message, error)
        launch(pointer(given), given.size, *limits, report, number)


_PARAMETERS = {
    "nonzero": (c_void_p, c_longlong, c_void_p, c_int),
    "positions": (c_void_p, c_void_p, c_longlong, c_longlong, c_bool, c_void_p, c_int),
    "within": (c_void_p, c_longlong, c_double, c_double, c_void_p, c_int),
}


def _launch(what: str, dtype: np.dtype, size: int) -> Launch:
    return _prepared(what, dtype.name, min(-(-size // _THREADS), _BLOCKS))


@functools.cache
def _prepared(what: str, dtype: str, blocks: int) -> Launch:
    return _kernel(what, dtype).prepare((blocks, 1, 1), (_THREADS, 1, 1), varying=_PARAMETERS[what])


@functools.cache
def _kernel(what: str, dtype: str) -> Kernel:
    return Kernel(source("ranges.cu"), f"{what}<{STORED[dtype]}>", filename="ranges.cu")


def variants() -> Iterator[Kernel]:
    """Every kernel that may be asked for."""
    for dtype in _INTEGERS:
        yield _kernel("positions", dtype)
        yield _kernel("nonzero", dtype)
    yield from (_kernel("within", dtype) for dtype in (*_FLOATS, *_INTEGERS))
