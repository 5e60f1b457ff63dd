"""Softmax and its logarithm on a GPU, forward and backward: one launch of `softmax.cu` each."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from ctypes import c_bool, c_longlong, c_void_p
from typing import Any

import numpy as np

from . import rows
from .compiling import source
from .launching import Kernel, Launch, pointer
from .rows import FLOATS, Layout

Array = Any


def softmax(xp: Any, x: Array, dim: int, logarithm: bool) -> Array:
    """exp(x) / sum(exp(x)) along a dimension, or its logarithm; NaN where no element is finite.

    Args:
        xp: CuPy.
        x: floating, of any shape and strides.
        dim: the dimension, not negative.
        logarithm: whether the logarithm is wanted.
    """
    x, seen = rows.seen_along(xp, x, dim)
    out = seen.like(xp, x.dtype)
    if x.size:
        aligned = pointer(x) % 16 == 0
        _launch("softmax", x.dtype, seen, logarithm, aligned)(pointer(x), pointer(out))
    return out


def softmax_gradient(xp: Any, grad: Array, out: Array, dim: int, logarithm: bool) -> Array:
    """s (g - sum(g s)) for a softmax s, or g - exp(out) sum(g) for its logarithm."""
    out, seen = rows.seen_along(xp, out, dim)
    grad = seen.bring(xp, grad)
    to_x = seen.like(xp, out.dtype)
    if out.size:
        aligned = (pointer(out) | pointer(grad)) % 16 == 0
        launch = _launch("softmax gradient", out.dtype, seen, logarithm, aligned)
        launch(pointer(grad), pointer(out), pointer(to_x))
    return to_x


@functools.lru_cache(maxsize=4096)
def _launch(what: str, dtype: np.dtype, seen: Layout, logarithm: bool, aligned: bool) -> Launch:
    gradient = what == "softmax gradient"
    name, size = FLOATS[dtype], dtype.itemsize
    if seen.inner == 1:
        threads = rows.row_threads(seen.outer, seen.n, size)
        grid, block = threads.grid, threads.block
        kernel = _kernel("rows", gradient, name, threads.packs)
        sizes: tuple[int, ...] = (seen.outer, seen.n)
    else:
        width = rows.column_width(seen.inner, size, aligned)
        grid, block = rows.column_threads(seen.outer * seen.inner, seen.n, width)
        kernel = _kernel("columns", gradient, name, width)
        sizes = (seen.outer, seen.n, seen.inner)
    return kernel.prepare(
        grid,
        block,
        varying=(c_void_p,) * (3 if gradient else 2),
        constant=(*map(c_longlong, sizes), c_bool(logarithm)),
    )


def _kernel(kind: str, gradient: bool, name: str, number: int) -> Kernel:
    filename = "softmax.cu"
    full = f"softmax_{kind}{'_gradient' if gradient else ''}<{name}, {number}>"
    return Kernel(source(filename), full, filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for gradient in (False, True):
        for name, packs in rows.types_and_packs():
            yield _kernel("rows", gradient, name, packs)
        for name, width in rows.types_and_widths():
            yield _kernel("columns", gradient, name, width)
