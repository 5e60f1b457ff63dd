"""Launching kernels: what can be built once is built once, and a launch only writes its values.

A `Kernel` is a text and a name; `Kernel.prepare` fixes grid, block and the arguments that stay, and
returns a function that takes those that change:

    kernel = Kernel(source("softmax.cu"), "softmax_rows<float, 4>", filename="softmax.cu")
    pointers = (c_void_p, c_void_p)
    launch = kernel.prepare((rows, 1, 1), (256, 1, 1), varying=pointers, constant=(c_int(n),))
    launch(pointer(x), pointer(out))

What runs the kernel is a `Backend`: CuPy on a GPU, the emulator in tests (`use_backend`). Both get
the same text and the same `void*[]` of addresses, as `cuLaunchKernel` takes it.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from tapegrad.kernels.cuda import compiling
from tapegrad.kernels.cuda.libraries import (
    Blas,
    BlasLt,
    Cublas,
    RecordingBlas,
    find_blas_lt,
    recording_lt,
)

Dim3 = tuple[int, int, int]
Launch = Callable[..., None]
Run = Callable[[int], None]  # launches with the argument block at an address

_GRID_LIMITS = (2**31 - 1, 65535, 65535)
_BLOCK_LIMITS = (1024, 1024, 64)
_THREADS = 1024
_SHARED_WITHOUT_ASKING = 48 * 1024
_MAX_DYNAMIC_SHARED_SIZE = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
# cudaDevAttrComputeCapabilityMajor and cudaDevAttrComputeCapabilityMinor, which CuPy does not name
_COMPUTE_CAPABILITY = 75, 76
_INVALID_CONTEXT = 201  # CUDA_ERROR_INVALID_CONTEXT
_INVALID_VALUE, _OUT_OF_RESOURCES = 1, 701


class Kernel:
    """One `__global__` function of a text, compiled at its first launch on a device.

    Args:
        text: CUDA C++ with nothing left to include (`compiling.source`, `compiling.expand`).
        name: a template instance such as `"softmax_rows<float, 4>"`, or an `extern "C"` name.
        filename: what error messages call the text.
        stack: bytes of local memory that it may use per thread, held by the compile test.
    """

    __slots__ = ("filename", "name", "stack", "text")

    def __init__(
        self, text: str, name: str, *, filename: str = "kernel.cu", stack: int = 0
    ) -> None:
        self.text, self.name, self.filename, self.stack = text, name, filename, stack

    def __repr__(self) -> str:
        return f"Kernel({self.name!r}, filename={self.filename!r})"

    def prepare(
        self,
        grid: Dim3,
        block: Dim3,
        *,
        shared: int = 0,
        varying: Sequence[type[Any]] = (),
        constant: Sequence[Any] = (),
    ) -> Launch:
        """A function that launches the kernel on the current stream with the values it is given.

        Args:
            grid: blocks along x, y and z.
            block: threads of a block along x, y and z.
            shared: bytes of dynamic shared memory per block.
            varying: ctypes types of the kernel's first parameters, whose values each launch brings
                (a pointer as an int; a structure as the structure).
            constant: ctypes values of the parameters that follow.

        Raises:
            ValueError: if no GPU could launch this grid or block.
        """
        self._check(grid, block)
        blocks = _Blocks(varying, constant)
        take, give, new = blocks.free.pop, blocks.free.append, blocks.new
        owner: object = blocks  # no back end yet
        run: Run

        def launch(*values: Any) -> None:
            nonlocal owner, run
            if owner is not _backend:
                current = backend()
                run = current.prepare(self, grid, block, shared)
                owner = current
            try:
                taken = take()
            except IndexError:
                taken = new()
            write, address = taken
            write(*values)
            run(address)
            give(taken)

        return launch

    def _check(self, grid: Dim3, block: Dim3) -> None:
        threads = block[0] * block[1] * block[2]
        within = all(
            0 < size <= limit
            for sizes, limits in ((grid, _GRID_LIMITS), (block, _BLOCK_LIMITS))
            for size, limit in zip(sizes, limits, strict=True)
        )
        if not within or threads > _THREADS:
            raise ValueError(
                f"{self.name}: {grid} blocks of {block} threads cannot be launched; the limits are "
                f"{_GRID_LIMITS} blocks and {_BLOCK_LIMITS} threads, {_THREADS} of them in a block"
            )


Block = tuple[Callable[..., None], int]  # writes the varying values; the address of the table


class _Blocks:
    """Argument blocks of one prepared launch: as many as threads launch it at the same time.

    A block is the table of the addresses of all parameters, followed by the varying ones. The
    driver copies the parameters during the call, so a block is free again right after it.
    """

    def __init__(self, varying: Sequence[type[Any]], constant: Sequence[Any]) -> None:
        self.free: list[Block] = []
        self.constant = tuple(constant)  # kept alive: the tables point into them
        self.table = ctypes.c_void_p * (len(varying) + len(self.constant))
        self.offsets: list[int] = []
        self.structures: list[int] = []
        self.size, form = -(-ctypes.sizeof(self.table) // 16) * 16, "@"
        self.start = self.size
        for index, kind in enumerate(varying):
            padding, size = -self.size % ctypes.alignment(kind), ctypes.sizeof(kind)
            code = kind.__dict__.get("_type_")
            if not isinstance(code, str):  # a structure or an array, packed as its bytes
                code = f"{size}s"
                self.structures.append(index)
            form += f"{padding}x{code}" if padding else code
            self.offsets.append(self.size + padding)
            self.size += padding + size
        self.pack = struct.Struct(form).pack_into

    def new(self) -> Block:
        memory = ctypes.create_string_buffer(self.size)
        first = ctypes.addressof(memory)
        addresses: list[Any] = [first + offset for offset in self.offsets]
        addresses += map(ctypes.addressof, self.constant)
        self.table.from_buffer(memory)[:] = addresses
        write = functools.partial(self.pack, memory, self.start)
        return (self._with_structures(write) if self.structures else write), first

    def _with_structures(self, write: Callable[..., None]) -> Callable[..., None]:
        def with_structures(*values: Any) -> None:
            plain = list(values)
            for index in self.structures:
                plain[index] = bytes(plain[index])
            write(*plain)

        return with_structures


class Stopwatch(Protocol):
    """What times kernels on the current device and stream.

    Attributes:
        device: which GPU this is.
    """

    device: str

    def milliseconds(self, work: Callable[[], None]) -> float:
        """How long the GPU takes for what `work` launches; the host waits for that."""
        ...


class Backend(Protocol):
    """What runs kernels."""

    def prepare(self, kernel: Kernel, grid: Dim3, block: Dim3, shared: int) -> Run:
        """A function that launches `kernel` with the argument block (`void*[]`) at an address."""
        ...

    def device(self) -> int:
        """The number of the current device."""
        ...

    def architecture(self) -> str:
        """What kernels are compiled for on the current device, such as "sm_90a"."""
        ...

    def host_memory(self, size: int) -> Any:
        """`size` bytes that kernels and the host both read and write, as a writable buffer."""
        ...

    def blas(self) -> Blas:
        """What multiplies matrices on the current device."""
        ...

    def blas_lt(self) -> BlasLt | None:
        """What also adds a bias and computes an activation, if the library is there."""
        ...

    def stopwatch(self) -> Stopwatch | None:
        """What times kernels; None where times say nothing, or the host may not wait now."""
        ...


_backend: Backend | None = None
_making = threading.Lock()


def backend() -> Backend:
    """What runs kernels now: CuPy, unless `use_backend` says otherwise."""
    global _backend
    if _backend is None:
        with _making:
            if _backend is None:
                _backend = CupyBackend()
    return _backend


@contextmanager
def use_backend(other: Backend) -> Iterator[Backend]:
    """Run kernels with `other` inside the block, in every thread."""
    global _backend
    before, _backend = _backend, other
    try:
        yield other
    finally:
        _backend = before


class RecordingBackend:
    """Another back end, with the names of the kernels that it launched, in order.

    Args:
        inner: what runs the kernels.
        launches: the list to append to, such as `["softmax_rows<float, 4>"]`; a new one if none.
    """

    def __init__(self, inner: Backend, launches: list[str] | None = None) -> None:
        self.inner = inner
        self.launches = [] if launches is None else launches
        self._blas_lt: BlasLt | None = None  # kept, as products are made ready for one

    def prepare(self, kernel: Kernel, grid: Dim3, block: Dim3, shared: int) -> Run:
        run = self.inner.prepare(kernel, grid, block, shared)
        record, name = self.launches.append, kernel.name

        def recorded(address: int) -> None:
            record(name)
            run(address)

        return recorded

    def device(self) -> int:
        return self.inner.device()

    def architecture(self) -> str:
        return self.inner.architecture()

    def host_memory(self, size: int) -> Any:
        return self.inner.host_memory(size)

    def blas(self) -> Blas:
        return RecordingBlas(self.inner.blas(), self.launches.append)

    def blas_lt(self) -> BlasLt | None:
        inner = self.inner.blas_lt()
        if self._blas_lt is None and inner is not None:
            self._blas_lt = recording_lt(inner, self.launches.append)
        return self._blas_lt

    def stopwatch(self) -> Stopwatch | None:
        return self.inner.stopwatch()


class CupyBackend:
    """Launches on the current device and stream of CuPy, through the driver."""

    def __init__(self) -> None:
        import cupy
        from cupy_backends.cuda.api import driver, runtime

        self._driver, self._runtime = driver, runtime
        self._stream = cupy.cuda.get_current_stream
        self._pinned = cupy.cuda.alloc_pinned_memory
        self._blas: Blas | None = None
        self._modules: dict[tuple[str, str, int], tuple[int, str]] = {}
        self._architectures: dict[int, str] = {}  # by device
        self._loading = threading.Lock()

    def prepare(self, kernel: Kernel, grid: Dim3, block: Dim3, shared: int) -> Run:
        functions: dict[int, int] = {}  # by device
        (gx, gy, gz), (bx, by, bz) = grid, block
        device, stream, launch = self._runtime.getDevice, self._stream, self._driver.launchKernel
        failure = self._driver.CUDADriverError

        def run(address: int) -> None:
            number = device()
            if number not in functions:
                functions[number] = self._function(kernel, number, shared)
            function = functions[number]
            try:
                launch(function, gx, gy, gz, bx, by, bz, shared, stream().ptr, address, 0)
            except failure as error:
                if error.status != _INVALID_CONTEXT:
                    raise _explained(error, kernel, grid, block, shared) from None
                self._enter(number)
                launch(function, gx, gy, gz, bx, by, bz, shared, stream().ptr, address, 0)

        return run

    def device(self) -> int:
        return self._runtime.getDevice()

    def architecture(self) -> str:
        return self._architecture(self._runtime.getDevice())

    def host_memory(self, size: int) -> Any:
        # Page-locked memory has the same address on the host and on every device.
        return self._pinned(size)

    def blas(self) -> Blas:
        if self._blas is None:
            self._blas = Cublas()
        return self._blas

    @functools.cached_property
    def _blas_lt(self) -> BlasLt | None:
        path, stream = find_blas_lt(), self._stream
        return BlasLt(path, self.device, lambda: stream().ptr) if path else None

    def blas_lt(self) -> BlasLt | None:
        return self._blas_lt

    def stopwatch(self) -> Stopwatch | None:
        stream = self._stream()
        if stream.is_capturing():
            return None
        return _Events(self._runtime, stream.ptr)

    def _function(self, kernel: Kernel, device: int, shared: int) -> int:
        """The handle of `kernel` on `device`, which is current."""
        if not self._driver.ctxGetCurrent():
            self._enter(device)
        key = (kernel.text, kernel.name, device)
        with self._loading:
            if key not in self._modules:
                # Modules stay loaded: unloading one would have to wait for its launches.
                self._modules[key] = self._load(kernel, device)
        module, lowered = self._modules[key]
        function = self._driver.moduleGetFunction(module, lowered)
        if shared > _SHARED_WITHOUT_ASKING:
            self._driver.funcSetAttribute(function, _MAX_DYNAMIC_SHARED_SIZE, shared)
        return function

    def _enter(self, device: int) -> None:
        """Make the context of `device` current in a thread that has not used the GPU before."""
        self._runtime.setDevice(device)
        self._runtime.memGetInfo()  # the driver's calls expect a context, which this makes

    def _load(self, kernel: Kernel, device: int) -> tuple[int, str]:
        arch = self._architecture(device)
        binary = compiling.compiled(kernel.text, (kernel.name,), arch, kernel.filename)
        return self._driver.moduleLoadData(binary.cubin), binary.lowered[kernel.name]

    def _architecture(self, device: int) -> str:
        if device not in self._architectures:
            major, minor = (
                self._runtime.deviceGetAttribute(attribute, device)
                for attribute in _COMPUTE_CAPABILITY
            )
            self._architectures[device] = compiling.architecture(major, minor)
        return self._architectures[device]


class _Events:
    """A `Stopwatch` of CuPy's events."""

    def __init__(self, runtime: Any, stream: int) -> None:
        self._runtime, self._stream = runtime, stream
        properties = runtime.getDeviceProperties(runtime.getDevice())
        name, processors = properties["name"].decode(), properties["multiProcessorCount"]
        self.device = f"{name}, {processors} multiprocessors, driver {runtime.driverGetVersion()}"

    def milliseconds(self, work: Callable[[], None]) -> float:
        runtime = self._runtime
        start, stop = runtime.eventCreate(), runtime.eventCreate()
        try:
            runtime.eventRecord(start, self._stream)
            work()
            runtime.eventRecord(stop, self._stream)
            runtime.eventSynchronize(stop)
            return float(runtime.eventElapsedTime(start, stop))
        finally:
            runtime.eventDestroy(start)
            runtime.eventDestroy(stop)


def _explained(error: Any, kernel: Kernel, grid: Dim3, block: Dim3, shared: int) -> RuntimeError:
    """The driver's error, with what was launched."""
    message = (
        f"{kernel.name}: a grid of {grid} blocks of {block} threads with {shared} bytes of shared "
        f"memory could not be launched: {error}"
    )
    if error.status not in (_INVALID_VALUE, _OUT_OF_RESOURCES):
        message += " (if an earlier launch failed, CUDA_LAUNCH_BLOCKING=1 shows which)"
    return RuntimeError(message)


def pointer(array: Any) -> int:
    """The address of the first element of a CuPy array (or of the tests' stand-in for one)."""
    return array.data.ptr


_HERE = nullcontext()


def on_device_of(array: Any) -> Any:
    """A context in which the device of `array` is the current one; nothing to do if it is."""
    import cupy

    device = array.device
    return _HERE if device.id == cupy.cuda.runtime.getDevice() else device
