"""NVIDIA's library of matrix products, as a back end offers it: cuBLAS, as CuPy wraps it.

`blas.py` makes the calls. The emulator has a stand-in that computes them with NumPy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
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


class RecordingBlas:
    """Another cuBLAS, with each product handed to `record` by the name of its function."""

    def __init__(self, inner: Blas, record: Record) -> None:
        self.handle, self.setMathMode = inner.handle, inner.setMathMode
        self.gemmEx = _recorded(inner.gemmEx, "gemmEx", record)
        self.gemmStridedBatchedEx = _recorded(
            inner.gemmStridedBatchedEx, "gemmStridedBatchedEx", record
        )


def _recorded(function: Callable[..., None], name: str, record: Record) -> Callable[..., None]:
    @functools.wraps(function)
    def recorded(*arguments: Any) -> None:
        record(name)
        function(*arguments)

    return recorded
