"""Images read along several dimensions by tables of taps, on a GPU, in one launch."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator, Sequence
from ctypes import c_longlong, c_void_p
from typing import TYPE_CHECKING, Any

import numpy as np

from . import images, rows
from .compiling import source
from .digits import Divisor
from .images import Layout
from .launching import Kernel, Launch
from .rows import FLOATS

if TYPE_CHECKING:
    from tapegrad.kernels.resampling import Taps

Array = Any
Ints = tuple[int, ...]

_FILENAME = "resampling.cu"


def resample(xp: Any, x: Array, plan: Sequence[tuple[int, Taps]]) -> Array | None:
    """x read along the axes of a plan, each by its taps, in the layout of x.

    None where no kernel takes it: of whole numbers, or where a plan reaches over more than three
    dimensions from its first axis to the last of x.

    Args:
        xp: CuPy.
        x: images (N, C, *size), or what has fewer or more dimensions before its size.
        plan: axes, not negative, with the taps of each.
    """
    first = min(axis for axis, _ in plan)
    if first > 2 and x.ndim <= 5:
        first = 2  # images, whose layout is kept
    if x.dtype not in FLOATS or x.ndim - first > 3:
        return None
    taps: list[Taps | None] = [None] * 3
    for axis, along in plan:
        taps[axis - x.ndim] = along
    if first != 2:
        lead = x.shape[:first]
        out = resample(
            xp,
            x.reshape(math.prod(lead), 1, *x.shape[first:]),
            [(axis - first + 2, along) for axis, along in plan],
        )
        return out.reshape(*lead, *out.shape[2:])  # type: ignore[union-attr]
    x, seen = images.seen(xp, x)
    size = tuple(
        n if along is None else along.count
        for n, along in zip(x.shape[2:], taps[5 - x.ndim :], strict=True)
    )
    out = images.new(xp, seen.last, (*x.shape[:2], *size), x.dtype)
    if out.size:
        wide = rows.wide(x.dtype)
        tables = [None if along is None else table(xp, along, wide) for along in taps]
        starts = tuple(0 if along is None else _taps_at(along.count) for along in taps)
        width = seen.width(x.itemsize, images.aligned(x))
        launch = _launch(x.dtype, width, seen, size, starts)
        launch(*map(rows.address, (x, out, *tables)))
    return out


def table(xp: Any, taps: Taps, dtype: np.dtype) -> Array:
    """Taps as the kernel reads them, on the current device; made once for each stream.

    Where the taps of each output start, as int32, and behind them at the next 16 bytes the taps:
    an input and its weight each.
    """
    stream = xp.cuda.get_current_stream()
    key = xp.cuda.runtime.getDevice(), stream.ptr, dtype
    found = taps.tables.get(key)
    if found is None:
        starts, inputs, weights = taps.by_output
        made = np.zeros(len(inputs), [("input", f"i{dtype.itemsize}"), ("weight", dtype)])
        made["input"], made["weight"] = inputs, weights
        behind = _taps_at(taps.count)
        whole = np.zeros(behind + made.nbytes, np.uint8)
        whole[: starts.size * 4] = starts.astype(np.int32).view(np.uint8)
        whole[behind:] = made.view(np.uint8)
        found = taps.tables[key] = xp.asarray(whole)
    return found


def _taps_at(count: int) -> int:
    return -(-4 * (count + 1) // 16) * 16


class _Axis(ctypes.Structure):
    """`Axis` of `resampling.cu`."""

    _fields_ = (("count", Divisor), ("step", c_longlong), ("taps_at", c_longlong))


class _Resampling(ctypes.Structure):
    """`Resampling` of `resampling.cu`."""

    _fields_ = (
        ("axes", _Axis * 3),
        ("total", c_longlong),
        ("inner", Divisor),
        ("outer_step", c_longlong),
    )


@functools.lru_cache(maxsize=4096)
def _launch(dtype: np.dtype, width: int, seen: Layout, size: Ints, starts: Ints) -> Launch:
    missing = 3 - len(size)
    counts, steps = (1,) * missing + size, (0,) * missing + seen.steps
    inner = seen.inner // width
    total = seen.outer * math.prod(size) * inner
    axes = zip(map(Divisor.of, counts), steps, starts, strict=True)
    given = _Resampling(
        (_Axis * 3)(*(_Axis(*axis) for axis in axes)), total, Divisor.of(inner), seen.outer_step
    )
    return _kernel(dtype, width).prepare(
        (images.blocks(total), 1, 1),
        (images.THREADS, 1, 1),
        varying=(c_void_p,) * 5,
        constant=(given,),
    )


def _kernel(dtype: np.dtype, width: int) -> Kernel:
    return Kernel(source(_FILENAME), f"resample<{FLOATS[dtype]}, {width}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that may be asked for."""
    for dtype in FLOATS:
        for width in (1, 16 // dtype.itemsize):
            yield _kernel(dtype, width)
