"""NVIDIA's libraries of matrix products, as a back end offers them.

cuBLAS is wrapped by CuPy, and called by `blas.py`. cuBLASLt, which can do more in one call, is not;
but CuPy loads it, for cuBLAS needs it, so that ctypes finds it here for `blas_lt.py`. The emulator
has stand-ins that compute what they are asked to.
"""

from __future__ import annotations

import copy
import ctypes
import functools
from collections.abc import Callable
from ctypes import (
    POINTER,
    byref,
    c_float,
    c_int,
    c_int64,
    c_size_t,
    c_uint64,
    c_void_p,
)
from typing import Any, Protocol

Record = Callable[[str], None]


class Blas(Protocol):
    """cuBLAS: functions with the names and arguments of `cupy_backends.cuda.libs.cublas`."""

    gemmEx: Callable[..., None]
    gemmStridedBatchedEx: Callable[..., None]
    setMathMode: Callable[[int, int], None]

    def handle(self) -> int:
        """The handle of the current device and thread."""
        ...


class Cublas:
    """cuBLAS on a GPU, with CuPy's handles and on its current stream.

    Raises:
        RuntimeError: if CuPy does not find the library.
    """

    def __init__(self) -> None:
        try:
            from cupy.cuda.device import get_cublas_handle
            from cupy_backends.cuda.libs import cublas
        except ImportError as error:
            raise RuntimeError(
                f"products of matrices need the cuBLAS library, which CuPy does not find ({error}):"
                " pip install nvidia-cublas, or CuPy with [ctk]"
            ) from None
        self.handle: Callable[[], int] = get_cublas_handle
        self.gemmEx = cublas.gemmEx
        self.gemmStridedBatchedEx = cublas.gemmStridedBatchedEx
        self.setMathMode = cublas.setMathMode


class Algorithm(ctypes.Structure):
    """cublasLtMatmulAlgo_t."""

    _fields_ = [("data", c_uint64 * 8)]


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = [
        ("algorithm", Algorithm),
        ("workspace", c_size_t),
        ("state", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    ]


_MADE = POINTER(c_void_p)
_SET_ATTRIBUTE = (c_void_p, c_int, c_void_p, c_size_t)
PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "cublasLtCreate": (_MADE,),
    "cublasLtMatmulDescCreate": (_MADE, c_int, c_int),
    "cublasLtMatmulDescDestroy": (c_void_p,),
    "cublasLtMatmulDescSetAttribute": _SET_ATTRIBUTE,
    "cublasLtMatrixLayoutCreate": (_MADE, c_int, c_uint64, c_uint64, c_int64),
    "cublasLtMatrixLayoutDestroy": (c_void_p,),
    "cublasLtMatrixLayoutSetAttribute": _SET_ATTRIBUTE,
    "cublasLtMatmulPreferenceCreate": (_MADE,),
    "cublasLtMatmulPreferenceDestroy": (c_void_p,),
    "cublasLtMatmulPreferenceSetAttribute": _SET_ATTRIBUTE,
    "cublasLtMatmulAlgoGetHeuristic": (
        *(c_void_p,) * 7,
        c_int,
        POINTER(Heuristic),
        POINTER(c_int),
    ),
    "cublasLtMatmul": (*(c_void_p,) * 12, POINTER(Algorithm), c_void_p, c_size_t, c_void_p),
}


class BlasLt:
    """The functions of a library with cuBLASLt's interface, by their names.

    Args:
        path: of the library.
        device: says which device is current.
        stream: says the address of the current stream.
    """

    def __init__(self, path: str, device: Callable[[], int], stream: Callable[[], int]) -> None:
        library = ctypes.CDLL(path)
        self.functions: dict[str, Any] = {}
        for name, arguments in PROTOTYPES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, c_int
            self.functions[name] = function
        self._explain = library.cublasLtGetStatusString
        self._explain.argtypes, self._explain.restype = (c_int,), ctypes.c_char_p
        self._device, self.stream = device, stream
        self._handles: dict[int, int] = {}
        self.matmul: Callable[..., int] = self.functions["cublasLtMatmul"]

    def handle(self) -> int:
        """The handle of the current device, which all threads share."""
        device = self._device()
        if device not in self._handles:
            made = self.new("cublasLtCreate")
            self._handles.setdefault(device, made)
        return self._handles[device]

    def new(self, function: str, *arguments: Any) -> int:
        """What a function makes, by its address."""
        made = c_void_p()
        self.check(self.functions[function](byref(made), *arguments))
        return made.value or 0

    def set(self, what: str, address: int, attribute: tuple[int, Any], value: int) -> None:
        """Set an attribute of what `new` made."""
        number, kind = attribute
        field = kind(value)
        function = self.functions[f"cublasLt{what}SetAttribute"]
        self.check(function(address, number, byref(field), ctypes.sizeof(field)))

    def check(self, status: int) -> None:
        """Raise what a function reports."""
        if status:
            raise RuntimeError(f"cuBLASLt: {self._explain(status).decode()} ({status})")


def find_blas_lt() -> str | None:
    """The path of cuBLASLt as CuPy loads it; None if it is not installed."""
    try:
        from cuda import pathfinder  # which comes with CuPy 14
    except ImportError:
        return None
    try:
        return pathfinder.load_nvidia_dynamic_lib("cublasLt").abs_path
    except pathfinder.DynamicLibNotFoundError:
        return None


class RecordingBlas:
    """Another cuBLAS, with each product handed to `record` by the name of its function."""

    def __init__(self, inner: Blas, record: Record) -> None:
        self.handle, self.setMathMode = inner.handle, inner.setMathMode
        self.gemmEx = _recorded(inner.gemmEx, "gemmEx", record)
        self.gemmStridedBatchedEx = _recorded(
            inner.gemmStridedBatchedEx, "gemmStridedBatchedEx", record
        )


def recording_lt(inner: BlasLt, record: Record) -> BlasLt:
    """Another cuBLASLt, with each product handed to `record` as "cublasLtMatmul"."""
    recording = copy.copy(inner)
    recording.matmul = _recorded(inner.matmul, "cublasLtMatmul", record)
    return recording


def _recorded(function: Callable[..., Any], name: str, record: Record) -> Callable[..., Any]:
    @functools.wraps(function)
    def recorded(*arguments: Any) -> Any:
        record(name)
        return function(*arguments)

    return recorded
