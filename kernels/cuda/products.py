"""Products of matrices on a GPU: of floats by cuBLAS (`blas.py`), of whole numbers by a kernel."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapegrad.kernels.strides import broadcast_strides, collapse

from . import blas
from .compiling import source
from .launching import Kernel, Launch, pointer
from .pointwise import STORED, stored_type

Array = Any
Ints = tuple[int, ...]

_TILE, _MOST_DIMS = 16, 8  # of products.cu
_MOST_BLOCKS = 2**31 - 1


def matmul(xp: Any, a: Array, b: Array) -> Array:
    """The product of matrices, or of stacks of them that broadcast; half types add in float32.

    Sums of whole numbers wrap around, and those of booleans are whether one is true.

    Args:
        xp: CuPy.
        a: (..., m, k), of any strides.
        b: (..., k, n), of the same dtype and any strides.
    """
    if a.dtype in blas.TYPES:
        return blas.matmul(xp, a, b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = xp.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    if not out.size:
        return out
    launch = _launch(a.dtype, a.shape, a.strides, b.shape, b.strides)
    if launch is None:
        a, b = (xp.ascontiguousarray(xp.broadcast_to(x, (*batch, *x.shape[-2:]))) for x in (a, b))
        launch = _launch(a.dtype, a.shape, a.strides, b.shape, b.strides)
        assert launch is not None
    launch(pointer(a), pointer(b), pointer(out))
    return out


class _Sizes(ctypes.Structure):
    """`Sizes` of products.cu."""

    _fields_ = [
        *((name, ctypes.c_longlong) for name in ("m", "n", "k")),
        *((name, ctypes.c_longlong) for name in ("a_row", "a_column", "b_row", "b_column")),
        ("count", ctypes.c_longlong),
        ("dims", ctypes.c_int),
        *((name, ctypes.c_longlong * _MOST_DIMS) for name in ("shape", "a_step", "b_step")),
    ]


@functools.lru_cache(maxsize=1024)
def _launch(
    dtype: np.dtype, a_shape: Ints, a_strides: Ints, b_shape: Ints, b_strides: Ints
) -> Launch | None:
    """A product's launch; None if the stacks lie in too many dimensions."""
    batch = np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
    (*a_lead, a_row, a_column), (*b_lead, b_row, b_column) = (
        tuple(stride // dtype.itemsize for stride in strides) for strides in (a_strides, b_strides)
    )
    steps = (
        broadcast_strides(a_shape[:-2], tuple(a_lead), batch),
        broadcast_strides(b_shape[:-2], tuple(b_lead), batch),
    )
    shape, (a_step, b_step) = collapse(batch, steps)
    if len(shape) > _MOST_DIMS:
        return None
    m, k, n = a_shape[-2], a_shape[-1], b_shape[-1]
    count, dims = math.prod(batch), ctypes.c_longlong * _MOST_DIMS
    inward = (dims(*walk[::-1]) for walk in (shape, a_step, b_step))
    sizes = _Sizes(m, n, k, a_row, a_column, b_row, b_column, count, len(shape), *inward)
    blocks = min(count * -(-m // _TILE) * -(-n // _TILE), _MOST_BLOCKS)
    return _kernel(dtype).prepare(
        (blocks, 1, 1), (_TILE, _TILE, 1), varying=(ctypes.c_void_p,) * 3, constant=(sizes,)
    )


def _kernel(dtype: np.dtype) -> Kernel:
    filename = "products.cu"
    name = f"whole_product<{stored_type(dtype)}>"
    return Kernel(source(filename), name, filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    return (_kernel(np.dtype(name)) for name in STORED if "float" not in name)
