"""Cross-entropy of classes on a GPU: one read of the logits forward, one pass backward.

Nothing waits for the device: a target that is no class is raised where the host waits next.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from ctypes import c_bool, c_double, c_int, c_longlong, c_void_p
from typing import Any, NamedTuple

import numpy as np

from . import checks, rows
from .compiling import source
from .launching import Kernel, Launch, pointer
from .rows import FLOATS, Layout

Array = Any

_MOST_BLOCKS = 2048  # forward, each of which leaves a sum
_FILENAME = "cross_entropy.cu"


class Settings(NamedTuple):
    """What a loss is made of besides arrays.

    Attributes:
        dim: the dimension of the classes.
        ignored: the target that counts for nothing.
        reduction: "mean", "sum" or "none".
        smoothing: how much of each target is spread over all classes.
    """

    dim: int
    ignored: int
    reduction: str
    smoothing: float


class _Classes(ctypes.Structure):
    """`Classes` of `cross_entropy.cu`."""

    _fields_ = (
        ("n", c_longlong),
        ("ignored", c_longlong),
        ("kind", c_int),
        ("smoothing", c_double),
    )


def cross_entropy(
    xp: Any, x: Array, target: Array, weight: Array | None, settings: Settings
) -> tuple[Array, Array, Array, Array]:
    """The loss; and for the gradient, of each row the largest logit and the sum of exponentials,
    and of all the divisor of the loss and the sum of the weights.

    Args:
        xp: CuPy.
        x: logits, floating, of any shape and strides.
        target: classes, whole numbers, of the shape of `x` without the dimension of the classes.
        weight: one number for each class, of the dtype of `x`, or None.
        settings: the rest.
    """
    x, seen = rows.seen_along(xp, x, settings.dim)
    target = _in_order(xp, target, seen, settings.dim)
    weight = rows.dense(xp, weight)
    wide = rows.wide(x.dtype)
    largest, sums = xp.empty(target.shape, wide), xp.empty(target.shape, wide)
    each = settings.reduction == "none"
    if not target.size:
        loss = xp.empty(_shape(x, settings.dim), x.dtype) if each else xp.zeros((), x.dtype)
        return loss, largest, sums, xp.ones(2, wide)
    total = xp.empty(2, wide)
    losses = xp.empty(target.shape, x.dtype) if each else None
    aligned = pointer(x) % 16 == 0
    launch, blocks = _forward(x.dtype, seen, target.dtype, settings, aligned)
    parts = None if each else xp.empty((blocks, 2), wide)
    message = f"cross_entropy: target {{value}} is out of range for {seen.n} classes"
    launch(
        *map(rows.address, (x, target, weight, losses, largest, sums, total, parts)),
        *checks.watch(message),
    )
    if losses is not None:
        return _out_of_order(losses, seen, settings.dim), largest, sums, total
    loss = xp.empty((), x.dtype)
    finish = _total(x.dtype, blocks, settings.reduction == "mean")
    finish(pointer(parts), pointer(loss), pointer(total))
    return loss, largest, sums, total


def cross_entropy_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    statistics: tuple[Array, Array, Array],
    settings: Settings,
) -> Array:
    """(softmax(x) sum(q) - q) grad, q what `target`, `weight` and smoothing ask of each class."""
    x, seen = rows.seen_along(xp, x, settings.dim)
    to_x = seen.like(xp, x.dtype)
    if not x.size:
        return to_x
    target = _in_order(xp, target, seen, settings.dim)
    grad = grad.astype(x.dtype, copy=False)
    if settings.reduction == "none":
        grad = _in_order(xp, grad, seen, settings.dim)
    weight = rows.dense(xp, weight)
    aligned = pointer(x) % 16 == 0
    launch = _backward(x.dtype, seen, target.dtype, settings, aligned)
    launch(*map(rows.address, (grad, x, target, weight, *statistics, to_x)))
    return to_x


def _shape(x: Array, dim: int) -> tuple[int, ...]:
    return (*x.shape[:dim], *x.shape[dim + 1 :])


def _across(seen: Layout, dim: int) -> tuple[int, ...]:
    """The dimensions but for the classes as they lie in memory, numbered without the classes."""
    return tuple(d - (d > dim) for d in seen.order if d != dim)


def _in_order(xp: Any, values: Array, seen: Layout, dim: int) -> Array:
    """What is one for each row, in the order of the rows in memory."""
    order = _across(seen, dim)
    if order != tuple(range(len(order))):
        values = values.transpose(order)
    return xp.ascontiguousarray(values) if order else values


def _out_of_order(values: Array, seen: Layout, dim: int) -> Array:
    order = _across(seen, dim)
    if order == tuple(range(len(order))):
        return values
    return values.transpose([order.index(d) for d in range(len(order))])


@functools.lru_cache(maxsize=4096)
def _forward(
    dtype: np.dtype, seen: Layout, kind: np.dtype, settings: Settings, aligned: bool
) -> tuple[Launch, int]:
    """The launch, and how many blocks leave a sum."""
    most = rows.MOST_BLOCKS if settings.reduction == "none" else _MOST_BLOCKS
    kernel, grid, block, sizes = _threads("", dtype, seen, aligned, most)
    launch = kernel.prepare(
        grid,
        block,
        varying=(c_void_p,) * 9 + (c_int,),
        constant=(_classes(seen, kind, settings), *map(c_longlong, sizes)),
    )
    return launch, grid[0]


@functools.lru_cache(maxsize=4096)
def _backward(
    dtype: np.dtype, seen: Layout, kind: np.dtype, settings: Settings, aligned: bool
) -> Launch:
    kernel, grid, block, sizes = _threads("_gradient", dtype, seen, aligned, rows.MOST_BLOCKS)
    each = c_bool(settings.reduction == "none")
    return kernel.prepare(
        grid,
        block,
        varying=(c_void_p,) * 8,
        constant=(_classes(seen, kind, settings), each, *map(c_longlong, sizes)),
    )


@functools.lru_cache(maxsize=256)
def _total(dtype: np.dtype, blocks: int, mean: bool) -> Launch:
    return _total_kernel(FLOATS[dtype]).prepare(
        (1, 1, 1), (256, 1, 1), varying=(c_void_p,) * 3, constant=(c_int(blocks), c_bool(mean))
    )


def _classes(seen: Layout, kind: np.dtype, settings: Settings) -> _Classes:
    size = kind.itemsize if kind.kind == "i" else -kind.itemsize
    return _Classes(seen.n, settings.ignored, size, settings.smoothing)


def _threads(
    suffix: str, dtype: np.dtype, seen: Layout, aligned: bool, most: int
) -> tuple[Kernel, rows.Dim3, rows.Dim3, tuple[int, ...]]:
    """The kernel for a layout, its grid and block, and the sizes it wants to know."""
    name, size = FLOATS[dtype], dtype.itemsize
    if seen.inner == 1:
        threads = rows.row_threads(seen.outer, seen.n, size, most)
        kernel = _kernel(f"rows{suffix}", name, threads.packs)
        return kernel, threads.grid, threads.block, (seen.outer,)
    width = rows.column_width(seen.inner, size, aligned)
    grid, block = rows.column_threads(seen.outer * seen.inner, seen.n, width, most)
    return _kernel(f"columns{suffix}", name, width), grid, block, (seen.outer, seen.inner)


def _kernel(kind: str, name: str, number: int) -> Kernel:
    full = f"cross_entropy_{kind}<{name}, {number}>"
    return Kernel(source(_FILENAME), full, filename=_FILENAME)


def _total_kernel(name: str) -> Kernel:
    return Kernel(source(_FILENAME), f"cross_entropy_total<{name}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for suffix in ("", "_gradient"):
        for name, packs in rows.types_and_packs():
            yield _kernel(f"rows{suffix}", name, packs)
        for name, width in rows.types_and_widths():
            yield _kernel(f"columns{suffix}", name, width)
    yield from map(_total_kernel, FLOATS.values())
