"""One kernel text, compiled for the CPU and ready to launch."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.kernels.emulator.building import SANITIZERS, Build, EmulatorError, build

Dim3 = tuple[int, int, int]

_Three = ctypes.c_uint * 3
_turn = threading.Lock()  # the runtime runs one launch at a time


class EmulatedModule:
    """The kernels of a CUDA C++ text, run on the CPU by one fiber per CUDA thread.

    Args:
        text: CUDA C++ that needs no header, as NVRTC takes it.
        names: the kernels to be launched: template instances such as `"scale<float, 4>"`, or
            `extern "C"` names.
        filename: what messages call the text.
        sanitizer: `"address"`, `"thread"` or None; by default what the environment variable
            TAPEGRAD_SANITIZER says. The process must have been started for it (`sanitizing`).
        debug: compile without optimisation and with all that a debugger wants to know.

    Raises:
        EmulatorError: if g++ is missing or rejects the text.
    """

    def __init__(
        self,
        text: str,
        names: Sequence[str],
        *,
        filename: str = "kernel.cu",
        sanitizer: str | None = None,
        debug: bool = False,
    ) -> None:
        sanitizer = sanitizer or os.environ.get("TAPEGRAD_SANITIZER") or None
        _check_loaded(sanitizer)
        library = ctypes.CDLL(str(build(Build(text, names, filename, sanitizer, debug))))
        self._entries = {}
        for i, name in enumerate(names):
            entry = getattr(library, f"kernel_{i}")
            entry.restype = ctypes.c_char_p
            entry.argtypes = (ctypes.c_void_p, _Three, _Three, ctypes.c_uint, ctypes.c_uint)
            self._entries[name] = entry

    def launch(
        self, name: str, grid: Dim3, block: Dim3, shared: int, arguments: int, order: int = 0
    ) -> None:
        """Runs a kernel to its end.

        Args:
            name: one of the names that the module was made with.
            grid: blocks along x, y and z.
            block: threads of a block along x, y and z.
            shared: bytes of dynamic shared memory.
            arguments: the address of a `void*[]` with the addresses of the arguments, as
                `cuLaunchKernel` takes it.
            order: in which order the threads of a block take turns: 0 ascending, 1 descending,
                any larger number a shuffle of its own.

        Raises:
            EmulatorError: if the kernel makes a mistake; it says where.
        """
        with _turn:
            error = self._entries[name](arguments, _Three(*grid), _Three(*block), shared, order)
        if error:
            raise EmulatorError(f"{name}: {error.decode()}")

    def run(
        self,
        name: str,
        grid: Dim3,
        block: Dim3,
        *arguments: Any,
        shared: int = 0,
        order: int = 0,
    ) -> None:
        """Runs a kernel on NumPy arrays and numbers: `launch` with an argument block made of them.

        Args:
            name, grid, block, shared, order: as `launch` takes them.
            *arguments: an array stands for the address of its first element; a NumPy number or a
                value of ctypes for itself; of Python's numbers, True is a bool, 1 an int and 1.0 a
                float.

        >>> text = "template <class T> __global__ void fill(T* x, T y) { x[threadIdx.x] = y; }"
        >>> x = np.empty(3, np.float32)
        >>> module = EmulatedModule(text, ["fill<float>"])  # doctest: +SKIP
        >>> module.run("fill<float>", (1, 1, 1), (3, 1, 1), x, 7.0)  # doctest: +SKIP
        >>> x  # doctest: +SKIP
        array([7., 7., 7.], dtype=float32)
        """
        values = [_as_parameter(argument) for argument in arguments]
        table = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        self.launch(name, grid, block, shared, ctypes.addressof(table), order)


def _as_parameter(argument: Any) -> Any:
    """The memory of a kernel's parameter."""
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, np.generic):
        return ctypes.create_string_buffer(argument.tobytes(), argument.nbytes)
    kinds: Any = ((bool, ctypes.c_bool), (int, ctypes.c_int), (float, ctypes.c_float))
    return next((c(argument) for python, c in kinds if isinstance(argument, python)), argument)


def _check_loaded(sanitizer: str | None) -> None:
    if sanitizer is None:
        return
    if sanitizer not in SANITIZERS:
        raise ValueError(f"the sanitizers are {' and '.join(SANITIZERS)}, got {sanitizer!r}")
    symbol = {"address": "__asan_init", "thread": "__tsan_init"}[sanitizer]
    if not hasattr(ctypes.CDLL(None), symbol):
        raise EmulatorError(
            f"this process was not started under the {sanitizer} sanitizer: start it with "
            f"python -m tapegrad.kernels.emulator.sanitizing {sanitizer} COMMAND ..."
        )
