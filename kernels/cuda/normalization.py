"""Layer, RMS, group and instance norm on a GPU: one launch of `normalization.cu` each way.

The elements that share a mean lie side by side in memory: a row. Batch norm, whose do not, and the
gradients of weights and biases are in `channels`, groups of channels that lie last in `groups`.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator
from ctypes import c_double, c_longlong, c_void_p
from typing import Any, NamedTuple

import numpy as np

from . import channels, groups, rows
from .compiling import source
from .launching import Kernel, Launch
from .rows import FLOATS
from .transpose import contiguous

Array = Any
Dims = tuple[int, ...]
Statistics = tuple[Array | None, Array | None, Array]

_FILENAME = "normalization.cu"


class _Spread(ctypes.Structure):
    """`Spread` of `normalization.cu`."""

    _fields_ = (("groups", c_longlong), ("each", c_longlong), ("inner", c_longlong))


class Rows(NamedTuple):
    """An array as rows, and where each row's weights are.

    Attributes:
        rows: how many.
        n: how many elements a row has.
        groups: after how many rows the weights repeat.
        each: how many weights a row has, each for n / each neighbours.
    """

    rows: int
    n: int
    groups: int
    each: int


@functools.lru_cache(maxsize=4096)
def seen_as_rows(shape: Dims, dims: Dims, spread: Dims | None) -> Rows | None:
    """How an array is normalised over its last dimensions; None where `dims` are not those.

    Args:
        shape: of the array.
        dims: the dimensions that share a mean.
        spread: the shape of weights and biases, which broadcast; None without any.

    >>> seen_as_rows((2, 3, 4, 5), (2, 3), (1, 3, 4, 1))
    Rows(rows=6, n=20, groups=3, each=4)
    >>> seen_as_rows((2, 3, 5), (0, 2), (1, 3, 1)) is None
    True
    """
    first = len(shape) - len(dims)
    if dims != tuple(range(first, len(shape))):
        return None
    count, n = math.prod(shape[:first]), math.prod(shape[first:])
    if spread is None:
        return Rows(count, n, 1, n)
    return Rows(count, n, math.prod(spread[:first]), math.prod(spread[first:]))


def normalize(
    xp: Any,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    dims: Dims,
    eps: float,
    moving: channels.Moving | None = None,
) -> tuple[Array, Array, Array, Array]:
    """(x - mean) / sqrt(var + eps) * weight + bias; and mean, rest and biased variance.

    Args:
        xp: CuPy.
        x: floating, of any strides.
        weight, bias: of the dtype of `x`, broadcasting to it, or None; of float32 as well where `x`
            is half and all dimensions but the second share a mean.
        dims: the dimensions that share a mean: the last ones, or all but the second.
        eps: added to the variance.
        moving: running statistics that those of a batch move.
    """
    seen = seen_as_rows(x.shape, dims, _spread_of(weight, bias))
    if seen is None:
        return channels.normalize(xp, x, weight, bias, eps, moving)
    wide, kept = rows.wide(x.dtype), _kept(x.shape, dims)
    mean, rest, var = (xp.empty(kept, wide) for _ in range(3))
    last = groups.seen_as_groups(x.shape, x.strides, x.itemsize, dims)
    if last is not None:
        out = groups.normalize(xp, x, weight, bias, (mean, rest, var), last, eps)
    else:
        out = _forward(xp, x, weight, bias, (mean, rest, var), seen, eps)
    return out, mean, rest, var


def normalize_square(
    xp: Any, x: Array, weight: Array | None, dims: Dims, eps: float
) -> tuple[Array, Array]:
    """x / sqrt(mean(x^2) + eps) * weight, with the mean square; over the last dimensions."""
    seen = seen_as_rows(x.shape, dims, _spread_of(weight, None))
    assert seen is not None
    square = xp.empty(_kept(x.shape, dims), rows.wide(x.dtype))
    return _forward(xp, x, weight, None, (None, None, square), seen, eps), square


def normalize_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    weight: Array | None,
    statistics: Statistics,
    dims: Dims,
    eps: float,
    wants: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of x, weight and bias, of those that `wants` says; of `normalize_square` too.

    That of the bias has the shape of the weight, so that there is none without a weight.
    """
    seen = seen_as_rows(x.shape, dims, _spread_of(weight, None))
    grad = grad.astype(x.dtype, copy=False)
    if seen is None:
        return channels.normalize_gradient(xp, grad, x, weight, statistics, eps, wants)
    last = groups.seen_as_groups(x.shape, x.strides, x.itemsize, dims)
    if last is None:
        x, grad = contiguous(xp, x), contiguous(xp, grad)
    else:
        grad = last.bring(xp, grad)
    to_x = None
    if wants[0] and last is not None:
        to_x = groups.normalize_gradient(xp, grad, x, weight, statistics, last, eps)
    elif wants[0]:
        to_x = xp.empty(x.shape, x.dtype)
        if x.size:
            threads = rows.row_threads(seen.rows, seen.n, x.itemsize)
            launch = _launch("normalize_rows_gradient", x.dtype, seen, eps, threads)
            launch(*map(rows.address, (grad, x, rows.dense(xp, weight), *statistics, to_x)))
    if weight is None or not any(wants[1:]):
        return to_x, None, None
    count, all_channels = seen.rows // seen.groups, seen.groups * seen.each
    inner = seen.n // max(seen.each, 1)
    sizes = (count, all_channels, inner) if last is None else (count * inner, all_channels, 1)
    spread = channels.Spread(seen.groups, seen.each, 1 if last is None else inner)
    sums = channels.sums(xp, grad, x, statistics, sizes, spread, eps, wants[1:])
    to_weight, to_bias = (total if total is None else total.reshape(weight.shape) for total in sums)
    return to_x, to_weight, to_bias


def _forward(
    xp: Any,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    statistics: Statistics,
    seen: Rows,
    eps: float,
) -> Array:
    out = xp.empty(x.shape, x.dtype)
    if x.size:
        x = contiguous(xp, x)
        threads = rows.row_threads(seen.rows, seen.n, x.itemsize)
        launch = _launch("normalize_rows", x.dtype, seen, eps, threads)
        scales = rows.dense(xp, weight), rows.dense(xp, bias)
        launch(*map(rows.address, (x, *scales, out, *statistics)))
    else:
        for part in statistics:
            if part is not None:
                part.fill(math.nan)
    return out


def _kept(shape: Dims, dims: Dims) -> Dims:
    return tuple(1 if d in dims else n for d, n in enumerate(shape))


def _spread_of(weight: Array | None, bias: Array | None) -> Dims | None:
    given = bias if weight is None else weight
    return None if given is None else given.shape


@functools.lru_cache(maxsize=4096)
def _launch(name: str, dtype: np.dtype, seen: Rows, eps: float, threads: rows.Threads) -> Launch:
    inner = seen.n // max(seen.each, 1)
    return _kernel(name, FLOATS[dtype], threads.packs).prepare(
        threads.grid,
        threads.block,
        varying=(c_void_p,) * 7,
        constant=(
            c_longlong(seen.rows),
            c_longlong(seen.n),
            _Spread(seen.groups, seen.each, inner),
            c_double(eps),
        ),
    )


def _kernel(name: str, dtype: str, packs: int) -> Kernel:
    return Kernel(source(_FILENAME), f"{name}<{dtype}, {packs}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for name in ("normalize_rows", "normalize_rows_gradient"):
        for dtype, packs in rows.types_and_packs():
            yield _kernel(name, dtype, packs)
