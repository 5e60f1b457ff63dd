"""The back end that runs kernels on the CPU where CuPy's would run them on a GPU."""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import TYPE_CHECKING, Any

from tapegrad.kernels.emulator.blas import EmulatedBlas
from tapegrad.kernels.emulator.building import build_library
from tapegrad.kernels.emulator.module import Dim3, EmulatedModule

if TYPE_CHECKING:
    from tapegrad.kernels.cuda.launching import Kernel, Run
    from tapegrad.kernels.cuda.libraries import BlasLt

_modules: dict[tuple[str, str], EmulatedModule] = {}
_loading = threading.Lock()


class EmulatedBackend:
    """Launches kernels on the memory of NumPy arrays; a `Backend` of `kernels/cuda/launching.py`.

    Args:
        order: in which order the threads of a block take turns (`EmulatedModule.launch`).
        arch: of the GPU that it stands for; on "sm_90a" kernels may be chosen that are for Hopper.
    """

    def __init__(self, order: int = 0, arch: str = "sm_80") -> None:
        self.order = order
        self.arch = arch
        self._blas = EmulatedBlas()

    def prepare(self, kernel: Kernel, grid: Dim3, block: Dim3, shared: int) -> Run:
        """A function that launches `kernel` with the argument block at an address."""
        module: EmulatedModule | None = None

        def run(address: int) -> None:
            nonlocal module
            if module is None:
                module = _module(kernel)
            module.launch(kernel.name, grid, block, shared, address, self.order)

        return run

    def device(self) -> int:
        """The number of the only device, 0."""
        return 0

    def architecture(self) -> str:
        """The architecture that was asked for."""
        return self.arch

    def host_memory(self, size: int) -> Any:
        """Memory of the process, which is the kernels' memory too."""
        return (ctypes.c_char * size)()

    def blas(self) -> EmulatedBlas:
        """cuBLAS, computed by NumPy."""
        return self._blas

    def blas_lt(self) -> BlasLt:
        """cuBLASLt, computed by a library of the emulator that is bound as NVIDIA's is."""
        return _blas_lt()

    def stopwatch(self) -> None:
        """None: the emulator's times say nothing of a GPU's."""
        return None


@functools.cache
def _blas_lt() -> BlasLt:
    from tapegrad.kernels.cuda.libraries import BlasLt

    return BlasLt(str(build_library("cublas_lt.cc")), lambda: 0, lambda: 0)


def _module(kernel: Kernel) -> EmulatedModule:
    key = (kernel.text, kernel.name)
    with _loading:
        if key not in _modules:
            _modules[key] = EmulatedModule(kernel.text, [kernel.name], filename=kernel.filename)
        return _modules[key]
