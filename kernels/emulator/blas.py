"""cuBLAS on a CPU: the calls that tapegrad makes of it, computed by NumPy from the same arguments.

Matrices are given as cuBLAS takes them: by addresses, in the order of columns, with an operation
and a leading dimension. What cuBLAS does not accept is refused, so that a layout is proven without
a GPU. Functions have the names and arguments of CuPy's `cupy_backends.cuda.libs.cublas`.
"""

from __future__ import annotations

import ctypes
from typing import Any

import ml_dtypes
import numpy as np

from tapegrad.kernels.emulator.building import EmulatorError

TYPES = {  # cudaDataType
    0: np.dtype(np.float32),
    1: np.dtype(np.float64),
    2: np.dtype(np.float16),
    14: np.dtype(ml_dtypes.bfloat16),
}
FLOAT32, FLOAT64, TF32 = 68, 70, 77  # cublasComputeType_t
_MATH_MODES = (0, 16)  # CUBLAS_DEFAULT_MATH, ..._DISALLOW_REDUCED_PRECISION_REDUCTION
_HANDLE = 1


class EmulatedBlas:
    """cuBLAS, for arrays in the memory of the host."""

    def handle(self) -> int:
        """The handle that its functions want."""
        return _HANDLE

    def setMathMode(self, handle: int, mode: int) -> None:
        """Whether sums of half types may be added in half precision: never, here."""
        _require(handle == _HANDLE and mode in _MATH_MODES, f"math mode {mode}")

    def gemmEx(
        self,
        handle: int,
        transa: int,
        transb: int,
        m: int,
        n: int,
        k: int,
        alpha: int,
        A: int,
        Atype: int,
        lda: int,
        B: int,
        Btype: int,
        ldb: int,
        beta: int,
        C: int,
        Ctype: int,
        ldc: int,
        computeType: int,
        algo: int,
    ) -> None:
        """C = alpha op(A) op(B) + beta C."""
        a, b, c = (A, Atype, lda, 0), (B, Btype, ldb, 0), (C, Ctype, ldc, 0)
        _multiply(handle, (transa, transb), (m, n, k), alpha, a, b, beta, c, 1, computeType)

    def gemmStridedBatchedEx(
        self,
        handle: int,
        transa: int,
        transb: int,
        m: int,
        n: int,
        k: int,
        alpha: int,
        A: int,
        Atype: int,
        lda: int,
        strideA: int,
        B: int,
        Btype: int,
        ldb: int,
        strideB: int,
        beta: int,
        C: int,
        Ctype: int,
        ldc: int,
        strideC: int,
        batchCount: int,
        computeType: int,
        algo: int,
    ) -> None:
        """C_i = alpha op(A_i) op(B_i) + beta C_i, with the matrices of a stack evenly apart."""
        a, b, c = (A, Atype, lda, strideA), (B, Btype, ldb, strideB), (C, Ctype, ldc, strideC)
        ops, sizes = (transa, transb), (m, n, k)
        _multiply(handle, ops, sizes, alpha, a, b, beta, c, batchCount, computeType)


Stack = tuple[int, int, int, int]  # address, type, leading dimension, distance of two matrices


def _multiply(
    handle: int,
    ops: tuple[int, int],
    sizes: tuple[int, int, int],
    alpha: int,
    a: Stack,
    b: Stack,
    beta: int,
    c: Stack,
    count: int,
    compute: int,
) -> None:
    m, n, k = sizes
    _require(handle == _HANDLE, "handle")
    _require(all(op in (0, 1) for op in ops), f"operations {ops}")
    _require(min(m, n, k, count) >= 0, f"sizes {sizes} and count {count}")
    _require(max(m, n, k, count, a[2], b[2], c[2]) < 2**31, "sizes that are no int")
    wide = np.dtype(np.float64 if compute == FLOAT64 else np.float32)
    same = a[1] == b[1] and c[1] in (a[1], 0 if TYPES[a[1]].itemsize == 2 else a[1])
    _require(compute in (FLOAT32, FLOAT64, TF32), f"compute type {compute}")
    _require(same and (TYPES.get(a[1]) == wide or (compute == FLOAT32 and a[1] != 1)), "types")
    first = matrices(a, *((m, k) if ops[0] == 0 else (k, m)), count)
    second = matrices(b, *((k, n) if ops[1] == 0 else (n, k)), count)
    out = matrices(c, m, n, count)
    _require(count <= 1 or c[3] >= n * c[2] or not m * n, "results that overlap")
    x, y = (operand.astype(wide) for operand in (first, second))
    if compute == TF32:
        x, y = tensor_float32(x), tensor_float32(y)
    x, y = (z.swapaxes(1, 2) if op else z for z, op in ((x, ops[0]), (y, ops[1])))
    product = np.matmul(x, y) * scalar(alpha, wide)
    if scalar(beta, wide):
        product += scalar(beta, wide) * out.astype(wide)
    out[...] = product.astype(out.dtype)


def matrices(stack: Stack, rows: int, columns: int, count: int) -> np.ndarray:
    """A stack of matrices, given in the order of columns, as an array (count, rows, columns)."""
    address, kind, leading, distance = stack
    dtype = TYPES[kind]
    _require(leading >= max(rows, 1), f"leading dimension {leading} of {rows} rows")
    _require(address % dtype.itemsize == 0, f"address {address:#x}")
    _require(distance >= 0, f"distance {distance}")
    if not count * rows * columns:
        return np.empty((count, rows, columns), dtype)
    last = (count - 1) * distance + (columns - 1) * leading + rows
    memory: Any = (ctypes.c_char * (last * dtype.itemsize)).from_address(address)
    line = np.frombuffer(memory, dtype)
    steps = tuple(step * dtype.itemsize for step in (distance, 1, leading))
    return np.lib.stride_tricks.as_strided(line, (count, rows, columns), steps)


def tensor_float32(x: np.ndarray) -> np.ndarray:
    """float32 with the 10 bits after the point that TF32 keeps, to the nearest.

    >>> tensor_float32(np.array([1.0 + 2**-10, 1.0 + 2**-12], np.float32)).tolist()
    [1.0009765625, 1.0]
    """
    bits = x.view(np.uint32)
    rounded = ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
    return np.where(np.isfinite(x), rounded, x)


def scalar(address: int, dtype: np.dtype) -> Any:
    """The number at an address of the host."""
    memory: Any = (ctypes.c_char * dtype.itemsize).from_address(address)
    return np.frombuffer(memory, dtype)[0]


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise EmulatorError(f"cuBLAS does not take these {what}")
