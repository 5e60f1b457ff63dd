"""Batch norm, and the gradients of weights and biases of every norm, on a GPU (`channels.cu`).

A channel of many elements is divided among blocks, whose results a second launch puts together in a
fixed order, or a third where they are many; one of few is done in one launch.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from ctypes import c_double, c_int, c_longlong, c_void_p
from typing import Any, NamedTuple

import numpy as np

from . import rows
from .compiling import source
from .launching import Kernel, Launch, pointer
from .rows import FLOATS, Dim3

Array = Any
Sizes = tuple[int, int, int]  # outer, channels, inner

_FILENAME = "channels.cu"
_WHOLE, _GATHER, _APPLY, _SETTLED = range(4)
_WANTED_BLOCKS = 1024
_MOST_CHUNKS = 512
_MOST_SHARED = 64  # chunks that every block puts together by itself
_STATISTICS = (*(c_void_p,) * 11, c_double, c_double)
_TOTAL_BLOCK = (8, 32, 1)  # threads along channels and along chunks
_LEAST_ELEMENTS = 16384  # of a channel that a block gets, if there are so many


class _Channels(ctypes.Structure):
    """`Channels` of `channels.cu`."""

    _fields_ = (
        *((name, c_longlong) for name in ("outer", "channels", "inner", "tile", "tiles", "chunk")),
        *((name, c_longlong) for name in ("of_outer", "of_channel", "of_place")),
        ("eps", c_double),
        ("stage", c_int),
    )


class Spread(NamedTuple):
    """Where the statistics of (outer, channel) are: o // of_place * of_outer + c // of_channel."""

    of_outer: int
    of_channel: int
    of_place: int = 1


_OF_CHANNELS = Spread(0, 1)


@dataclasses.dataclass
class Moving:
    """Running statistics that a batch norm is to move, once: computed anew, it moves nothing.

    Attributes:
        mean, var: contiguous, C numbers each of the dtype computed in, or None.
        batches: a number in int64 that becomes greater by 1, or None.
        momentum: the weight of the batch.
        unbiased: by what to multiply the variance of the batch.
    """

    mean: Array | None
    var: Array | None
    batches: Array | None
    momentum: float
    unbiased: float
    done: bool = False

    def __repr__(self) -> str:
        return "running statistics"

    def take(self) -> tuple[Any, ...]:
        """What a kernel takes of it; nothing the second time."""
        if self.done:
            return _STILL
        self.done = True
        pointers = map(rows.address, (self.mean, self.var, self.batches))
        return (*pointers, self.momentum, self.unbiased)


_STILL = (0, 0, 0, 0.0, 0.0)  # where nothing is to be moved


class Plan(NamedTuple):
    """How blocks share an array (outer, channels, inner).

    Attributes:
        kind: "columns" or "planes", the two ways of `channels.cu`.
        number: the template's: packs of a thread, or channels of one.
        grid, block: as a kernel takes them; `grid[1]` is how many blocks share a channel.
        tile, tiles: how many elements of a plane are taken at once, and how many of those it has.
        chunk: how many tiles or rows a block has.
    """

    kind: str
    number: int
    grid: Dim3
    block: Dim3
    tile: int
    tiles: int
    chunk: int


@functools.lru_cache(maxsize=4096)
def plan(sizes: Sizes, itemsize: int, aligned: bool) -> Plan:
    """The way to share an array; `aligned` says whether it lies on 16-byte boundaries.

    >>> plan((128, 64, 56 * 56), 4, True)[:4]
    ('planes', 4, (64, 16, 1), (224, 1, 1))
    >>> plan((32, 100, 1), 4, True)[:4]
    ('columns', 4, (1, 1, 1), (32, 8, 1))
    """
    outer, channels, inner = sizes
    if inner == 1:
        width = rows.column_width(channels, itemsize, aligned)
        groups = -(-channels // width)
        wide = min(1 << (groups - 1).bit_length(), 32)
        high = rows.COLUMN_THREADS // wide
        blocks = -(-groups // wide)
        chunk = _chunk(outer, blocks, outer // (high * 16))
        grid = (blocks, -(-outer // chunk), 1)
        return Plan("columns", width, grid, (wide, high, 1), 1, 1, chunk)
    tile = min(inner, rows.ROW_THREADS * rows.most_packs(itemsize) * 16 // itemsize)
    tiles = -(-inner // tile)
    threads = rows.row_threads(outer, tile, itemsize)
    chunk = _chunk(outer * tiles, channels, outer * inner // _LEAST_ELEMENTS)
    grid = (channels, -(-outer * tiles // chunk), 1)
    return Plan("planes", threads.packs, grid, threads.block, tile, tiles, chunk)


def _chunk(parts: int, blocks: int, most: int) -> int:
    """How many parts a block gets, where `blocks` blocks have none in common."""
    chunks = max(min(_MOST_CHUNKS, -(-_WANTED_BLOCKS // blocks), most, parts), 1)
    return max(-(-parts // chunks), 1)


def normalize(
    xp: Any,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
    moving: Moving | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(x - mean) / sqrt(var + eps) * weight + bias with statistics over all but dimension 1.

    Args:
        xp: CuPy.
        x: floating, (N, C, ...) of any strides.
        weight, bias: C numbers, or None.
        eps: added to the variance.
        moving: what the statistics move, in the same launch; not where `x` is empty.

    Returns:
        The result, and mean, rest and biased variance of shape (1, C, 1, ...).
    """
    x, seen = rows.seen_along(xp, x, 1)
    sizes = (seen.outer, seen.n, seen.inner)
    out, wide = seen.like(xp, x.dtype), rows.wide(x.dtype)
    shape = (1, seen.n) + (1,) * (x.ndim - 2)
    mean, rest, var = (xp.empty(shape, wide) for _ in range(3))
    if not x.size:
        for part in (mean, rest, var):
            part.fill(math.nan)
        return out, mean, rest, var
    shared = plan(sizes, x.itemsize, pointer(x) % 16 == 0)
    parts = _parts(xp, shared, sizes, wide, 4)
    given = [
        *map(
            rows.address,
            (x, _scale(xp, weight, wide), _scale(xp, bias, wide), out, mean, rest, var, parts),
        )
    ]
    for stage in _stages(shared):
        if stage == _SETTLED:
            settle = _settle(wide, seen.n, shared.grid[1])
            settle(*map(pointer, (parts, mean, rest, var)))
        moved = _STILL if moving is None or stage == _GATHER else moving.take()
        _launch("statistics", x.dtype, shared, sizes, _OF_CHANNELS, eps, stage)(*given, *moved)
    return out, mean, rest, var


def normalize_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    weight: Array | None,
    statistics: tuple[Array | None, Array | None, Array],
    eps: float,
    wants: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of x, weight and bias that are wanted; without a weight only that of x.

    Those of weight and bias are of the dtype computed in.
    """
    x, seen = rows.seen_along(xp, x, 1)
    grad = seen.bring(xp, grad)
    sizes = (seen.outer, seen.n, seen.inner)
    to_x = seen.like(xp, x.dtype) if wants[0] else None
    to_weight, to_bias = (
        xp.empty(weight.shape, rows.wide(x.dtype)) if want and weight is not None else None
        for want in wants[1:]
    )
    _gradients(
        xp, grad, x, weight, statistics, to_x, (to_weight, to_bias), sizes, _OF_CHANNELS, eps
    )
    return to_x, to_weight, to_bias


def sums(
    xp: Any,
    grad: Array,
    x: Array,
    statistics: tuple[Array | None, Array | None, Array],
    sizes: Sizes,
    spread: Spread,
    eps: float,
    wants: tuple[bool, ...],
) -> tuple[Array | None, ...]:
    """For each channel the sum of grad times the normalised x, and that of grad, if wanted.

    They are of the dtype computed in.

    Args:
        xp: CuPy.
        grad, x: contiguous, of one dtype.
        statistics: mean, rest and variance; without mean and rest they are taken to be 0.
        sizes: outer, channels and inner of `x`.
        spread: where the statistics are.
        eps: added to the variance.
        wants: which of the two.
    """
    totals = tuple(xp.empty(sizes[1], rows.wide(x.dtype)) if want else None for want in wants)
    _gradients(xp, grad, x, None, statistics, None, totals, sizes, spread, eps)
    return totals


def track(
    xp: Any,
    running: Sequence[Array | None],
    found: Sequence[Array],
    momentum: float,
    unbiased: float,
    batches: Array | None = None,
) -> None:
    """Move running mean and variance, in place, towards those of a batch.

    Args:
        xp: CuPy.
        running: mean and variance, contiguous, C numbers each of one dtype; or None.
        found: mean, rest and variance of the batch, or of several parts of it (N, C, ...), whose
            average is taken; of the dtype that the others are computed in.
        momentum: the weight of the batch.
        unbiased: by what to multiply the variance.
        batches: a number in int64 that becomes greater by 1, if given.
    """
    mine = next(part for part in running if part is not None)
    outer = found[0].size // max(mine.size, 1)
    if outer:
        launch = _move(mine.dtype, outer, mine.size)
        launch(*map(rows.address, (*found, *running, batches)), momentum, unbiased)


def _gradients(
    xp: Any,
    grad: Array,
    x: Array,
    weight: Array | None,
    statistics: tuple[Array | None, Array | None, Array],
    to_x: Array | None,
    totals: tuple[Array | None, ...],
    sizes: Sizes,
    spread: Spread,
    eps: float,
) -> None:
    """Write the gradients that are given."""
    if not x.size:
        for total in totals:
            if total is not None:
                total.fill(0)
        return
    shared = plan(sizes, x.itemsize, (pointer(x) | pointer(grad)) % 16 == 0)
    wide = rows.wide(x.dtype)
    parts = _parts(xp, shared, sizes, wide, 2)
    arrays = (grad, x, _scale(xp, weight, wide), *statistics, to_x, *totals, parts)
    given = [*map(rows.address, arrays)]
    for stage in _stages(shared):
        if stage == _SETTLED or (stage == _APPLY and to_x is None):
            total = _total(wide, sizes[1], shared.grid[1])
            total(*map(rows.address, (parts, *totals)))
        if stage < _APPLY or to_x is not None:
            _launch("gradients", x.dtype, shared, sizes, spread, eps, stage)(*given)


def _scale(xp: Any, values: Array | None, wide: np.dtype) -> Array | None:
    return None if values is None else rows.dense(xp, values.astype(wide, copy=False))


def _stages(shared: Plan) -> tuple[int, ...]:
    chunks = shared.grid[1]
    if chunks == 1:
        return (_WHOLE,)
    return (_GATHER, _APPLY if chunks <= _MOST_SHARED else _SETTLED)


def _parts(xp: Any, shared: Plan, sizes: Sizes, wide: np.dtype, each: int) -> Array | None:
    chunks = shared.grid[1]
    return None if chunks == 1 else xp.empty((chunks, sizes[1], each), wide)


@functools.lru_cache(maxsize=4096)
def _launch(
    what: str,
    dtype: np.dtype,
    shared: Plan,
    sizes: Sizes,
    spread: Spread,
    eps: float,
    stage: int,
) -> Launch:
    given = _Channels(*sizes, shared.tile, shared.tiles, shared.chunk, *spread, eps, stage)
    return _kernel(what, shared.kind, FLOATS[dtype], shared.number).prepare(
        shared.grid,
        shared.block,
        varying=_STATISTICS if what == "statistics" else (c_void_p,) * 10,
        constant=(given,),
    )


@functools.lru_cache(maxsize=1024)
def _total(dtype: np.dtype, channels: int, chunks: int) -> Launch:
    return _by_channel(_totals_kernel(FLOATS[dtype]), 3, channels, chunks)


@functools.lru_cache(maxsize=1024)
def _settle(dtype: np.dtype, channels: int, chunks: int) -> Launch:
    return _by_channel(_settle_kernel(FLOATS[dtype]), 4, channels, chunks)


def _by_channel(kernel: Kernel, arrays: int, channels: int, chunks: int) -> Launch:
    return kernel.prepare(
        (-(-channels // _TOTAL_BLOCK[0]), 1, 1),
        _TOTAL_BLOCK,
        varying=(c_void_p,) * arrays,
        constant=(c_longlong(channels), c_int(chunks)),
    )


@functools.lru_cache(maxsize=1024)
def _move(dtype: np.dtype, outer: int, channels: int) -> Launch:
    return _move_kernel(FLOATS[dtype]).prepare(
        (-(-channels // 256), 1, 1),
        (256, 1, 1),
        varying=(*(c_void_p,) * 6, c_double, c_double),
        constant=(c_longlong(outer), c_longlong(channels)),
    )


def _kernel(what: str, kind: str, dtype: str, number: int) -> Kernel:
    full = f"channel_{what}_{kind}<{dtype}, {number}>"
    return Kernel(source(_FILENAME), full, filename=_FILENAME)


def _totals_kernel(dtype: str) -> Kernel:
    return Kernel(source(_FILENAME), f"channel_totals<{dtype}>", filename=_FILENAME)


def _settle_kernel(dtype: str) -> Kernel:
    return Kernel(source(_FILENAME), f"settle_statistics<{dtype}>", filename=_FILENAME)


def _move_kernel(dtype: str) -> Kernel:
    return Kernel(source(_FILENAME), f"move_statistics<{dtype}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for what in ("statistics", "gradients"):
        for dtype, packs in rows.types_and_packs():
            yield _kernel(what, "planes", dtype, packs)
        for dtype, width in rows.types_and_widths():
            yield _kernel(what, "columns", dtype, width)
    for dtype in ("float", "double"):
        yield _totals_kernel(dtype)
        yield _settle_kernel(dtype)
    yield from map(_move_kernel, FLOATS.values())
