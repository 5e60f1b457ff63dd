"""Products of matrices with a bias and ReLU in the same call, by cuBLASLt.

A `Product` is what can be made once for products of certain sizes: descriptors, layouts, and the
algorithm that the library's heuristic chooses for them. The numbers are those of NVIDIA's
`cublasLt.h`.
"""

from __future__ import annotations

import weakref
from ctypes import byref, c_int, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any, NamedTuple

import numpy as np

from .blas import COMPUTE_64, FLOAT32, FLOAT64, Operand, number
from .launching import pointer
from .libraries import Algorithm, BlasLt, Heuristic

# cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t and
# cublasLtMatmulPreferenceAttributes_t, each with the type of its value
OP_A, OP_B, EPILOGUE, BIAS = (3, c_int32), (4, c_int32), (7, c_uint32), (8, c_void_p)
LENGTH, DISTANCE = (5, c_int32), (6, c_int64)
MOST_BYTES, REDUCTION = (1, c_uint64), (3, c_uint32)
ALIGNMENTS = tuple((number, c_uint32) for number in range(5, 9))  # of A, B, C and D

_NONE, _RELU, _WITH_BIAS = 1, 2, 4  # of cublasLtEpilogue_t; a bias is added first
SUMS_OF_B = 512  # of its columns, written where else a bias is read

_IN_COMPUTE_TYPE = 2  # of cublasLtReductionScheme_t: parts of a sum are not rounded to half types
_MOST_WORKSPACE = 32 << 20  # bytes; what NVIDIA recommends for Hopper
_BEST_ALIGNMENT = 256


class Key(NamedTuple):
    """What decides how a product is computed: A is (m, k), B (k, n), in the order of columns.

    Attributes:
        handle: of the device.
        kind: the cudaDataType of all matrices and of the bias.
        compute: the type multiplied in.
        epilogue: what follows, of `epilogue`.
        alignments: of the addresses of A, B, D and the bias, in bytes.
        sizes: m, n, k.
        a, b: the factors.
        length: of the stack.
        distance: of two results; they lie without gaps.
    """

    handle: int
    kind: int
    compute: int
    epilogue: int
    alignments: tuple[int, int, int, int]
    sizes: tuple[int, int, int]
    a: Operand
    b: Operand
    length: int
    distance: int


def epilogue(biased: bool, relu: bool) -> int:
    """What follows a product.

    >>> epilogue(True, True), epilogue(False, False)
    (6, 1)
    """
    return _WITH_BIAS * biased | _RELU * relu or _NONE


def alignments(a: int, b: int, d: int, bias: int) -> tuple[int, int, int, int]:
    """The powers of two that addresses are multiples of, as far as they matter.

    >>> alignments(0x7F00, 0x7F10, 0x7F04, 0)
    (256, 16, 4, 0)
    """
    most = _BEST_ALIGNMENT
    if not (a | b | d | bias) % most:
        return most, most, most, most
    return min(a & -a, most), min(b & -b, most), min(d & -d, most), min(bias & -bias, most)


class _Operation:
    """A descriptor of a product, of which each thread wants its own while it holds an address."""

    def __init__(self, address: int) -> None:
        self.address, self.bias = address, 0


class Product:
    """Descriptors and the algorithm of a product; calling it computes one, if one was `found`.

    The library reads descriptors during the call only, so that one serves again right after it.
    """

    def __init__(self, library: BlasLt, key: Key) -> None:
        self.library, self.key = library, key
        kind = key.kind
        m, n, k = key.sizes
        wide = kind == FLOAT64
        self.one, self.zero = number(1.0, wide), number(0.0, wide)
        self.a = self._layout(kind, *((k, m) if key.a.op else (m, k)), key.a)
        self.b = self._layout(kind, *((n, k) if key.b.op else (k, n)), key.b)
        self.d = self._layout(kind, m, n, Operand(0, m, key.distance))
        self.free = [self._operation()]
        self.found, self.algorithm, self.workspace = self._chosen()

    def __call__(self, xp: Any, a: int, b: int, bias: int, out: int) -> None:
        """Compute the product of matrices at addresses, on the current stream."""
        library = self.library
        # Freed to the pool of the stream, where the next to take it waits its turn.
        workspace = xp.empty(self.workspace, np.uint8) if self.workspace else None
        try:
            operation = self.free.pop()
        except IndexError:
            operation = self._operation()
        if operation.bias != bias:
            self._point_at(operation, bias)
        status = library.matmul(
            self.key.handle, operation.address, self.one[0], a, self.a, b, self.b,
            self.zero[0], out, self.d, out, self.d, byref(self.algorithm),
            pointer(workspace) if self.workspace else None, self.workspace, library.stream(),
        )  # fmt: skip
        library.check(status)
        self.free.append(operation)

    def _layout(self, kind: int, rows: int, columns: int, operand: Operand) -> int:
        made = self._new("MatrixLayout", kind, rows, columns, operand.leading)
        if self.key.length > 1:
            self.library.set("MatrixLayout", made, LENGTH, self.key.length)
            self.library.set("MatrixLayout", made, DISTANCE, operand.distance)
        return made

    def _operation(self) -> _Operation:
        key, library = self.key, self.library
        scale = FLOAT64 if key.compute == COMPUTE_64 else FLOAT32
        made = self._new("MatmulDesc", key.compute, scale)
        library.set("MatmulDesc", made, OP_A, key.a.op)
        library.set("MatmulDesc", made, OP_B, key.b.op)
        library.set("MatmulDesc", made, EPILOGUE, key.epilogue)
        return _Operation(made)

    def _point_at(self, operation: _Operation, bias: int) -> None:
        self.library.set("MatmulDesc", operation.address, BIAS, bias)
        operation.bias = bias

    def _new(self, what: str, *arguments: int) -> int:
        library = self.library
        made = library.new(f"cublasLt{what}Create", *arguments)
        end = weakref.finalize(self, library.functions[f"cublasLt{what}Destroy"], made)
        end.atexit = False
        return made

    def _chosen(self) -> tuple[bool, Algorithm, int]:
        """Whether there is an algorithm, the best by the heuristic, and its bytes of workspace."""
        library, key = self.library, self.key
        preference = self._new("MatmulPreference")
        library.set("MatmulPreference", preference, MOST_BYTES, _MOST_WORKSPACE)
        library.set("MatmulPreference", preference, REDUCTION, _IN_COMPUTE_TYPE)
        of_a, of_b, of_d, of_bias = key.alignments
        for attribute, least in zip(ALIGNMENTS, (of_a, of_b, of_d, of_d), strict=True):
            library.set("MatmulPreference", preference, attribute, least)
        if key.epilogue & (_WITH_BIAS | SUMS_OF_B):  # of the address only the alignment counts here
            self._point_at(self.free[0], of_bias)
        found, count = Heuristic(), c_int()
        status = library.functions["cublasLtMatmulAlgoGetHeuristic"](
            key.handle, self.free[0].address, self.a, self.b, self.d, self.d, preference,
            1, byref(found), byref(count),
        )  # fmt: skip
        ready = not (status or found.state) and count.value == 1
        return ready, found.algorithm, found.workspace
