"""Rows combined at positions that may repeat, on a GPU: in their order, so the same bits each time.

The positions are sorted (by CuPy, stably), then each segment of equal ones is combined by two
launches of `segments.cu`.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from ctypes import c_int, c_longlong, c_void_p
from typing import Any

import numpy as np

from . import rows as layouts
from .compiling import source
from .digits import Divisor
from .launching import Kernel, Launch, pointer
from .rows import FLOATS

Array = Any

_FILENAME = "segments.cu"
_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)
_TYPES = {**FLOATS, _INT64: "long long"}
_WAYS = {"add": 0, "multiply": 1, "maximum": 2, "minimum": 3}
_SIGN = np.uint64(1 << 63)
_THREADS = 256
_WANTED_THREADS = 1 << 17  # enough to have the memory of any GPU busy
_LONGEST, _SHORTEST = 32, 8  # chunks


def combine_rows(
    xp: Any, name: str, start: Array, positions: Array, rows: Array, skipped: int = -1
) -> Array:
    """`start` (count, width), which is overwritten, with rows[k] combined into row positions[k].

    Half types are combined in float32 and rounded once; integers in int64, and wrap around.

    Args:
        xp: CuPy.
        name: "add", "multiply", "maximum" or "minimum"; the last two propagate NaN.
        start: contiguous, of the dtype of `rows`.
        positions: whole numbers of [0, count), shape (n,).
        rows: shape (n, width).
        skipped: a position whose rows are left out.
    """
    if start.dtype not in _TYPES:
        flips = start.dtype == _UINT64 and name in ("maximum", "minimum")
        wide = tuple((a ^ _SIGN).view(_INT64) if flips else a.astype(_INT64) for a in (start, rows))
        found = combine_rows(xp, name, wide[0], positions, wide[1], skipped)
        return found.view(_UINT64) ^ _SIGN if flips else found.astype(start.dtype)
    (n, width), count = rows.shape, len(start)
    if not rows.size:
        return start
    rows = xp.ascontiguousarray(rows)
    positions = xp.ascontiguousarray(positions)
    # Half as many passes sort keys of half as many bits.
    order = xp.argsort(positions.astype(np.int32) if count < 1 << 31 else positions)
    positions, order = (a.astype(_INT64, copy=False) for a in (positions, order))
    chunk = min(max(n * width // _WANTED_THREADS, _SHORTEST), _LONGEST)
    chunks = -(-n // chunk)
    parts = xp.empty((chunks, 2, width), layouts.wide(rows.dtype))
    first, second = _launches(rows.dtype, n, width, chunk, skipped, _WAYS[name])
    first(*map(pointer, (rows, positions, order, start, parts)))
    if second is not None:
        second(*map(pointer, (positions, order, start, parts)))
    return start


class _Segments(ctypes.Structure):
    """`Segments` of `segments.cu`."""

    _fields_ = (
        ("n", c_longlong),
        ("chunks", c_longlong),
        ("width", Divisor),
        ("chunk", Divisor),
        ("skipped", c_longlong),
        ("way", c_int),
    )


@functools.lru_cache(maxsize=1024)
def _launches(
    dtype: np.dtype, n: int, width: int, chunk: int, skipped: int, way: int
) -> tuple[Launch, Launch | None]:
    """Within chunks, and across them where there are several."""
    chunks = -(-n // chunk)
    given = _Segments(n, chunks, Divisor.of(width), Divisor.of(chunk), skipped, way)

    def prepared(what: str, items: int, pointers: int) -> Launch:
        blocks = -(-items // _THREADS)
        return _kernel(what, dtype).prepare(
            (blocks, 1, 1), (_THREADS, 1, 1), varying=(c_void_p,) * pointers, constant=(given,)
        )

    first = prepared("combine_chunks", chunks * width, 5)
    if chunks == 1:
        return first, None
    return first, prepared("combine_across", (chunks - 1) * width, 4)


def _kernel(what: str, dtype: np.dtype) -> Kernel:
    return Kernel(source(_FILENAME), f"{what}<{_TYPES[dtype]}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that may be asked for."""
    for dtype in _TYPES:
        yield _kernel("combine_chunks", dtype)
        yield _kernel("combine_across", dtype)
