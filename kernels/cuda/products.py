"""Products of matrices on a GPU: of floats by cuBLAS (`blas.py`), of whole numbers by a kernel.

A linear layer is one call of cuBLASLt (`blas_lt.py`), which adds the bias and may compute
ReLU as it writes; where the library cannot, a kernel does so after the product.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapegrad.kernels.strides import broadcast_strides, collapse

from . import blas, blas_lt
from .compiling import source
from .launching import Kernel, Launch, backend, pointer
from .pointwise import STORED, stored_type
from .reductions import reduce
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]

_TILE, _MOST_DIMS = 16, 8  # of products.cu
_MOST_BLOCKS = 2**31 - 1
_THREADS = 256


def matmul(
    xp: Any,
    a: Array,
    b: Array,
    factor: float = 1.0,
    dtype: np.dtype | None = None,
    tf32: bool | None = None,
) -> Array:
    """The product of matrices, or of stacks of them that broadcast; half types add in float32.

    Sums of whole numbers wrap around, and those of booleans are whether one is true.

    Args:
        xp: CuPy.
        a: (..., m, k), of any strides.
        b: (..., k, n), of the same dtype and any strides.
        factor: of the result, of floats.
        dtype: of the result: that of `a`, or float32 for a half type.
        tf32: whether float32 is multiplied in TF32, if not as the setting says.
    """
    if a.dtype in blas.TYPES:
        return blas.matmul(xp, a, b, factor, dtype, tf32)
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


def linear(
    xp: Any,
    x: Array,
    weight: Array,
    bias: Array | None,
    relu: bool = False,
    tf32: bool | None = None,
) -> Array:
    """x W^T + b, or max(0, x W^T + b), in one call where cuBLASLt can.

    Args:
        xp: CuPy.
        x: (..., k), of any strides.
        weight: (n, k), of the same dtype.
        bias: (n,), or None.
        relu: whether negative results become 0; a NaN stays, or is for cuBLASLt to decide.
        tf32: whether float32 is multiplied in TF32, if not as the setting says.
    """
    if x.dtype in blas.TYPES and (bias is not None or relu):
        vector = None if bias is None else contiguous(xp, bias)
        epilogue = blas_lt.epilogue(bias is not None, relu)
        out = _with_epilogue(xp, x, weight.T, epilogue, vector, tf32)
        if out is not None:
            return out
    out = matmul(xp, x, weight.T, tf32=tf32)
    if x.dtype not in blas.TYPES:
        out = out if bias is None else xp.add(out, bias, out=out)
        return xp.maximum(out, out.dtype.type(0), out=out) if relu else out
    if out.size and (bias is not None or relu):
        _add_bias(xp, out, bias, relu)
    return out


def linear_gradient(xp: Any, grad: Array, x: Array) -> tuple[Array, Array]:
    """g^T x and the rows of g added up, in one call where cuBLASLt can.

    Args:
        xp: CuPy.
        grad: (m, n), of any strides.
        x: (m, k), of the same dtype.
    """
    if x.dtype in blas.TYPES and grad.size:
        to_bias = xp.empty(grad.shape[1:], grad.dtype)
        to_weight = _with_epilogue(xp, grad.T, x, blas_lt.SUMS_OF_B, to_bias)
        if to_weight is not None:
            return to_weight, to_bias
    return matmul(xp, grad.T, x), reduce(xp, "sum", grad, (0,), False)


def _with_epilogue(
    xp: Any,
    a: Array,
    b: Array,
    epilogue: int,
    vector: Array | None,
    tf32: bool | None = None,
) -> Array | None:
    """A product and what follows it in one call; None if the library cannot.

    Args:
        xp: CuPy.
        a: (..., m, k).
        b: (k, n).
        epilogue: what follows.
        vector: what it adds or writes, contiguous.
        tf32: whether float32 is multiplied in TF32, if not as the setting says.
    """
    library = backend().blas_lt()
    if library is None or a.shape[-1] > blas.MOST:
        return None
    plan = blas.product_plan(a.shape, a.strides, b.shape, b.strides, a.itemsize)
    if len(plan.calls) != 1:
        return None
    a = contiguous(xp, a) if plan.copied[0] else a
    b = contiguous(xp, b) if plan.copied[1] else b
    out = xp.empty(plan.shape, a.dtype)
    to, at = pointer(out), 0 if vector is None else pointer(vector)
    first, second = pointer(b), pointer(a)  # the second factor comes first: out is in rows
    kind = blas.TYPES[a.dtype]
    varying = (
        library.handle(),
        kind,
        blas.compute_type(kind, tf32),
        epilogue,
        blas_lt.alignments(first, second, to, at),
    )
    ready = plan.products.get((library, varying))
    if ready is None:
        ready = plan.products[library, varying] = blas_lt.Product(
            library,
            blas_lt.Key(
                *varying,
                sizes=(plan.n, plan.calls[0].m, plan.k),
                a=plan.b,
                b=plan.a,
                length=plan.length,
                distance=plan.distance,
            ),
        )
    if not ready.found:
        return None
    ready(xp, first, second, at, to)
    return out


def _add_bias(xp: Any, out: Array, bias: Array | None, relu: bool) -> None:
    """Add a bias to rows that lie one after another, and compute ReLU, in place."""
    to, at = pointer(out), 0 if bias is None else pointer(contiguous(xp, bias))
    _bias_launch(out.dtype, out.size, out.shape[-1], relu, (to | at) % 16 == 0)(to, at)


@functools.lru_cache(maxsize=4096)
def _bias_launch(dtype: np.dtype, size: int, columns: int, relu: bool, aligned: bool) -> Launch:
    width = 16 // dtype.itemsize
    width = width if aligned and columns % width == 0 else 1
    packs = size // width
    constant = (
        ctypes.c_longlong(packs),
        ctypes.c_longlong(columns // width),
        ctypes.c_int(relu),
    )
    blocks = min(-(-packs // _THREADS), _MOST_BLOCKS)
    return _bias_kernel(dtype, width).prepare(
        (blocks, 1, 1), (_THREADS, 1, 1), varying=(ctypes.c_void_p,) * 2, constant=constant
    )


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


def _bias_kernel(dtype: np.dtype, width: int) -> Kernel:
    filename = "bias.cu"
    return Kernel(source(filename), f"add_bias<{stored_type(dtype)}, {width}>", filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for name in STORED:
        if "float" not in name:
            yield _kernel(np.dtype(name))
    for dtype in blas.TYPES:
        for width in (1, 16 // dtype.itemsize):
            yield _bias_kernel(dtype, width)
