"""Products of matrices on a GPU, by cuBLAS: no copies of transposed or strided views.

cuBLAS takes matrices in the order of columns. A matrix in the order of rows is, read so, its own
transpose, and out^T = b^T a^T; so b comes first, and what lies in rows counts as not transposed. A
stack of matrices that lie evenly apart is one call, with a distance of 0 where one repeats. A
layout that BLAS has no words for (neither rows nor columns without gaps) is copied once.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import operator
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tapegrad.kernels.precision import tensor_float32
from tapegrad.kernels.strides import broadcast_strides, collapse, filled

from .launching import backend, pointer
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]

FLOAT32, FLOAT64, FLOAT16, BFLOAT16 = 0, 1, 2, 14  # cudaDataType
TYPES = {
    np.dtype(np.float32): FLOAT32,
    np.dtype(np.float64): FLOAT64,
    np.dtype(np.float16): FLOAT16,
    np.dtype(ml_dtypes.bfloat16): BFLOAT16,
}
COMPUTE_32, COMPUTE_64, COMPUTE_TF32 = 68, 70, 77  # cublasComputeType_t
AS_IT_IS, TRANSPOSED = 0, 1  # cublasOperation_t
_DEFAULT = -1  # CUBLAS_GEMM_DEFAULT
_ANY_MATH, _SUMS_IN_FLOAT32 = 0, 16  # CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION
MOST = 2**31 - 1  # sizes are ints
_MOST_CALLS = 4  # of stacks that lie unevenly; more, and a copy is cheaper


@functools.lru_cache(maxsize=256)
def number(value: float, wide: bool) -> tuple[int, Any]:
    """The address of a factor in the memory of the host, where cuBLAS reads it, and its owner."""
    owner = (ctypes.c_double if wide else ctypes.c_float)(value)
    return ctypes.addressof(owner), owner


def matmul(
    xp: Any,
    a: Array,
    b: Array,
    factor: float = 1.0,
    dtype: np.dtype | None = None,
    tf32: bool | None = None,
) -> Array:
    """The product of matrices, or of stacks of them that broadcast; half types add in float32.

    Args:
        xp: CuPy.
        a: (..., m, k), floating, of any strides.
        b: (..., k, n), of the same dtype and any strides.
        factor: of the result.
        dtype: of the result: that of `a`, or float32 for a half type.
        tf32: whether float32 is multiplied in TF32, if not as the setting says.
    """
    dtype = a.dtype if dtype is None else dtype
    if a.shape[-1] > MOST:
        parts = slice(None, MOST), slice(MOST, None)
        first, rest = (matmul(xp, a[..., p], b[..., p, :], factor, dtype, tf32) for p in parts)
        return xp.add(first, rest, out=first)
    plan = product_plan(a.shape, a.strides, b.shape, b.strides, a.itemsize)
    if not plan.calls:
        return xp.zeros(plan.shape, dtype)
    if plan.copied[0]:
        a = contiguous(xp, a)
    if plan.copied[1]:
        b = contiguous(xp, b)
    out = xp.empty(plan.shape, dtype)
    compute = compute_type(TYPES[a.dtype], tf32)
    _multiply(plan, a.dtype, dtype, compute, factor, pointer(a), pointer(b), pointer(out))
    return out


def lies_evenly(shape: Ints, strides: Ints) -> bool:
    """Whether few calls take all matrices of a stack: where they lie evenly apart, one does.

    >>> lies_evenly((9, 6, 3, 5), (360, 60, 20, 4)), lies_evenly((9, 6, 3, 5), (360, 20, 120, 4))
    (True, False)
    """
    lengths, _ = collapse(shape[:-2], (strides[:-2],))
    return math.prod(sorted(lengths)[:-1]) <= _MOST_CALLS


def compute_type(kind: int, tf32: bool | None = None) -> int:
    """In which type cuBLAS multiplies: as `set_float32_matmul_precision` says, of float32.

    `tf32` says it in place of that setting.
    """
    if kind == FLOAT64:
        return COMPUTE_64
    if kind != FLOAT32:
        return COMPUTE_32
    return COMPUTE_TF32 if (tensor_float32() if tf32 is None else tf32) else COMPUTE_32


class Operand(NamedTuple):
    """A stack of matrices as BLAS takes it, in elements."""

    op: int  # AS_IT_IS or TRANSPOSED
    leading: int
    distance: int  # of two matrices of the stack


class Call(NamedTuple):
    """One call of BLAS: where it begins, and how many rows it has."""

    a: int  # in bytes from the first element
    b: int
    out: int  # in elements
    m: int


class Plan(NamedTuple):
    """How a product is computed, for arrays of certain shapes and strides.

    Attributes:
        copied: whether `a`, and `b`, are copied first.
        shape: of the result.
        n, k: columns of the result, and how many products each sum has.
        a, b: the factors.
        length: of the stack that a call multiplies.
        distance: of two matrices of the result.
        calls: the calls; none where nothing is to be added up.
        products: what cuBLASLt has been asked to make ready of it, and did.
    """

    copied: tuple[bool, bool]
    shape: Ints
    n: int
    k: int
    a: Operand
    b: Operand
    length: int
    distance: int
    calls: tuple[Call, ...]
    products: dict[Any, Any]


def _multiply(
    plan: Plan,
    dtype: np.dtype,
    made: np.dtype,
    compute: int,
    factor: float,
    a: int,
    b: int,
    out: int,
) -> None:
    """Compute a product from the addresses of its factors and of its result."""
    blas = backend().blas()
    handle, kind, to_kind, size = blas.handle(), TYPES[dtype], TYPES[made], made.itemsize
    wide, half = kind == FLOAT64, kind > FLOAT64
    (by, _), (zero, _) = number(factor, wide), number(0.0, wide)
    _, _, n, k, left, right, length, distance, calls, _ = plan
    if half:
        blas.setMathMode(handle, _SUMS_IN_FLOAT32)
    for from_a, from_b, to, m in calls:
        if length == 1:
            blas.gemmEx(
                handle, right.op, left.op, n, m, k,
                by, b + from_b, kind, right.leading, a + from_a, kind, left.leading,
                zero, out + size * to, to_kind, n, compute, _DEFAULT,
            )  # fmt: skip
        else:
            blas.gemmStridedBatchedEx(
                handle, right.op, left.op, n, m, k,
                by, b + from_b, kind, right.leading, right.distance,
                a + from_a, kind, left.leading, left.distance,
                zero, out + size * to, to_kind, n, distance, length, compute, _DEFAULT,
            )  # fmt: skip
    if half:
        blas.setMathMode(handle, _ANY_MATH)  # the handle is CuPy's as well


@functools.lru_cache(maxsize=4096)
def product_plan(
    a_shape: Ints, a_strides: Ints, b_shape: Ints, b_strides: Ints, itemsize: int
) -> Plan:
    """The plan of a product of arrays, their strides in bytes.

    Raises:
        ValueError: if a size is more than BLAS takes.

    >>> plan = product_plan((5, 2, 3), (24, 12, 4), (3, 4), (4, 12), 4)  # b is transposed
    >>> plan.copied, plan.length, plan.calls  # one product of 10 rows
    ((False, False), 1, (Call(a=0, b=0, out=0, m=10),))
    >>> plan.b
    Operand(op=1, leading=3, distance=0)
    """
    m, k, n = a_shape[-2], a_shape[-1], b_shape[-1]
    batch = np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
    shape = (*batch, m, n)
    if not math.prod(shape) or not k:
        nothing = Operand(AS_IT_IS, 1, 0)
        return Plan((False, False), shape, n, k, nothing, nothing, 1, 0, (), {})
    if max(n, k) > MOST:
        raise ValueError(f"matmul: {n} columns of {k} products are more than BLAS takes ({MOST})")
    steps = _in_elements(a_strides, itemsize), _in_elements(b_strides, itemsize)
    copies = [(False, False), (True, False), (False, True), (True, True)]
    sizes = math.prod(a_shape), math.prod(b_shape)
    copies.sort(key=lambda copied: copied[0] * sizes[0] + copied[1] * sizes[1])
    found: list[_Layout] = []
    for copied in copies:
        a = filled(a_shape) if copied[0] else steps[0]
        b = filled(b_shape) if copied[1] else steps[1]
        layout = a and b and _layout(copied, batch, (m, n, k), (a_shape, a), (b_shape, b))
        if layout:
            found.append(layout)
            if layout.number <= _MOST_CALLS:
                break
    best = min(found, key=lambda layout: layout.number)
    calls = _calls(best, n, itemsize)
    return Plan(best.copied, shape, n, k, *best.operands, best.length, best.distance, calls, {})


def _in_elements(strides: Ints, itemsize: int) -> Ints | None:
    """Strides in elements; None if one is no multiple of them, or leads backward."""
    if any(stride % itemsize or stride < 0 for stride in strides):
        return None
    return tuple(stride // itemsize for stride in strides)


class _Layout(NamedTuple):
    """How the stacks of a product lie: each call takes one dimension of them, or none."""

    copied: tuple[bool, bool]
    operands: tuple[Operand, Operand]
    rows: int
    row: int  # from one row of `a` to the next
    length: int
    distance: int
    sizes: Ints  # of the dimensions that are walked by calls
    steps: tuple[Ints, ...]  # through a, b and the result

    @property
    def number(self) -> int:
        return math.prod(self.sizes)


def _layout(
    copied: tuple[bool, bool],
    batch: Ints,
    sizes: tuple[int, int, int],
    a: tuple[Ints, Ints],
    b: tuple[Ints, Ints],
) -> _Layout | None:
    """How BLAS takes factors of these shapes and steps; None if it does not."""
    rows, n, k = sizes
    (*_, row, column), b_matrix = a[1], b[1][-2:]
    a_steps, b_steps = (broadcast_strides(s[:-2], steps[:-2], batch) for s, steps in (a, b))
    out_steps = tuple(rows * n * step for step in filled(batch))
    lengths, walks = collapse(batch, (a_steps, b_steps, out_steps))
    stack = list(zip(lengths, *walks, strict=True))
    # Products with the same b are one product of more rows, where the rows of a go on evenly.
    while stack and stack[-1][1] and not stack[-1][2] and (rows == 1 or rows * row == stack[-1][1]):
        size, step, *_ = stack.pop()
        row, rows = (step if rows == 1 else row), rows * size
    left, right = _operand(rows, k, row, column), _operand(k, n, *b_matrix)
    if left is None or right is None:
        return None
    stack.sort()  # one call for the longest
    length, *distances = stack.pop() if stack else (1, 0, 0, 0)
    operands = left._replace(distance=distances[0]), right._replace(distance=distances[1])
    rest: Any = tuple(zip(*stack, strict=True)) if stack else ((), (), (), ())
    return _Layout(copied, operands, rows, row, length, distances[2], rest[0], rest[1:])


def _operand(rows: int, columns: int, row: int, column: int) -> Operand | None:
    """A matrix as BLAS takes it, where one of its dimensions has no gaps."""
    in_rows = (column == 1 or columns == 1) and (rows == 1 or row >= columns)
    in_columns = (row == 1 or rows == 1) and (columns == 1 or column >= rows)
    if in_columns and (not in_rows or (columns == 1 and rows > 1)):
        leading, op = rows if columns == 1 else column, TRANSPOSED
    elif in_rows:
        leading, op = columns if rows == 1 else row, AS_IT_IS
    else:
        return None
    return Operand(op, leading, 0) if leading <= MOST else None


def _calls(layout: _Layout, n: int, itemsize: int) -> tuple[Call, ...]:
    """A call for each place in the dimensions that are walked, and for as many rows as it takes."""
    calls = []
    for place in itertools.product(*map(range, layout.sizes)):
        a, b, out = (sum(map(operator.mul, place, steps)) for steps in layout.steps)
        for first in range(0, layout.rows, MOST):
            m = min(layout.rows - first, MOST)
            from_a, to = a + first * layout.row, out + first * n
            calls.append(Call(itemsize * from_a, itemsize * b, to, m))
    return tuple(calls)
