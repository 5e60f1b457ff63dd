"""Sums and means over bags of rows on a GPU: one launch of `bags.cu`, which stores no rows."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from ctypes import c_bool, c_longlong, c_void_p
from typing import Any

import numpy as np

from .compiling import source
from .digits import Divisor
from .launching import Kernel, Launch, pointer
from .rows import FLOATS

Array = Any

_FILENAME = "bags.cu"
_THREADS = 256


class _Bags(ctypes.Structure):
    """`Bags` of `bags.cu`."""

    _fields_ = (
        *((name, c_longlong) for name in ("bags", "n", "padding")),
        ("mean", c_bool),
        ("width", Divisor),
    )


def bag_sums(
    xp: Any, table: Array, positions: Array, starts: Array, mean: bool, padding: int | None
) -> Array:
    """The sum, or the mean, of the rows of each bag (B, D); 0 for an empty one.

    Args:
        xp: CuPy.
        table: floating, (V, D).
        positions: int64 of [0, V), (n,), bag after bag.
        starts: int64, (B,), where in `positions` each bag begins.
        mean: whether the mean is wanted.
        padding: a row that is left out.
    """
    out = xp.empty((starts.size, table.shape[1]), table.dtype)
    if out.size:
        table, positions, starts = map(xp.ascontiguousarray, (table, positions, starts))
        launch = _launch(table.dtype, *out.shape, positions.size, mean, padding)
        launch(*map(pointer, (table, positions, starts, out)))
    return out


@functools.lru_cache(maxsize=1024)
def _launch(
    dtype: np.dtype, bags: int, width: int, n: int, mean: bool, padding: int | None
) -> Launch:
    given = _Bags(bags, n, -1 if padding is None else padding, mean, Divisor.of(width))
    return _kernel(dtype).prepare(
        (-(-bags * width // _THREADS), 1, 1),
        (_THREADS, 1, 1),
        varying=(c_void_p,) * 4,
        constant=(given,),
    )


def _kernel(dtype: np.dtype) -> Kernel:
    return Kernel(source(_FILENAME), f"bag_sums<{FLOATS[dtype]}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that may be asked for."""
    yield from map(_kernel, FLOATS)
