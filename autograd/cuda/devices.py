"""Which GPUs there are, which one is current, and waiting for it.

Every question is answered without CuPy too: there are then no GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapegrad.autograd import arrays
from tapegrad.kernels.cuda import checks
from tapegrad.kernels.cuda.compiling import OLDEST


def is_available() -> bool:
    """Whether `device="cuda"` can be used: CuPy is installed and works, and there is a GPU.

    >>> import tapegrad as tg
    >>> isinstance(tg.cuda.is_available(), bool)
    True
    """
    return device_count() > 0


def why_unavailable() -> str | None:
    """What is missing for `device="cuda"` and how to get it, in a sentence; None if nothing is."""
    try:
        arrays.cuda_module()
    except RuntimeError as error:
        return str(error)
    return None


def device_count() -> int:
    """How many GPUs there are; 0 where CuPy, the driver or the GPU is missing.

    >>> import tapegrad as tg
    >>> tg.cuda.device_count() >= 0
    True
    """
    if why_unavailable() is not None:
        return 0
    return int(runtime().getDeviceCount())


def is_initialized() -> bool:
    """Whether this process has taken up CUDA: there is a GPU, and CuPy has been imported for it.

    The first array on a GPU does so, and so does asking `is_available` where there is one.

    >>> import tapegrad as tg
    >>> x = tg.zeros(2, device="cuda" if tg.cuda.is_available() else "cpu")
    >>> tg.cuda.is_initialized() == tg.cuda.is_available()
    True
    """
    return arrays.loaded_cupy() is not None and is_available()


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current GPU computes with bfloat16; False where there is none.

    Args:
        including_emulation: changes nothing: the kernels need an Ampere GPU or a newer one, and
            those have its instructions.

    >>> import tapegrad as tg
    >>> dtype = tg.bfloat16 if tg.cuda.is_bf16_supported() else tg.float32
    """
    return is_available() and get_device_capability() >= OLDEST


def current_device() -> int:
    """The number of the GPU that "cuda" means in this thread."""
    arrays.cuda_module()
    return arrays.current_index()


def set_device(device: Any) -> None:
    """Make a GPU the current one of this thread; `with tapegrad.cuda.device(...)` is better.

    Args:
        device: a number or a device; a negative number does nothing.
    """
    number = index_of(device)
    if number >= 0:
        with arrays.on(f"cuda:{number}"):  # which says what GPUs there are
            pass
        runtime().setDevice(number)


class device:
    """A context in which a GPU is the current one: where "cuda" is, and what streams are made for.

    Args:
        device: a number or a device. None or a negative number changes nothing.

    >>> import tapegrad as tg
    >>> if tg.cuda.device_count() > 1:
    ...     with tg.cuda.device(1):
    ...         assert tg.zeros(2, device="cuda").device == "cuda:1"
    """

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None else index_of(device)
        self._context: Any = None

    def __enter__(self) -> device:
        if self.idx >= 0:
            self._context = arrays.gpu(self.idx)
            self._context.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._context is not None:
            self._context.__exit__(*exception)
            self._context = None


class device_of(device):
    """A context in which the GPU of a tensor is current; a tensor on the CPU changes nothing."""

    def __init__(self, tensor: Any) -> None:
        super().__init__(tensor.get_device())


def synchronize(device: Any = None) -> None:
    """Wait until a GPU has done all it was given, on every stream.

    IndexError, if a kernel met an index out of range; it names the operation.

    Args:
        device: a number or a device. Default: the current one.
    """
    with on(device):
        runtime().deviceSynchronize()
    checks.raise_pending()


@dataclass(frozen=True)
class DeviceProperties:
    """What a GPU is, as `get_device_properties` gives it; memory in bytes."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    max_threads_per_multi_processor: int
    regs_per_multiprocessor: int
    shared_memory_per_block: int
    shared_memory_per_block_optin: int
    shared_memory_per_multiprocessor: int
    L2_cache_size: int
    is_integrated: bool
    is_multi_gpu_board: bool
    uuid: str
    pci_bus_id: int
    pci_device_id: int
    pci_domain_id: int


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Name, memory and limits of a GPU.

    Args:
        device: a number or a device. Default: the current one.
    """
    with on(device):
        found: dict[str, Any] = runtime().getDeviceProperties(arrays.current_index())
    digits = bytes(found["uuid"])[:16].hex()
    return DeviceProperties(
        name=found["name"].decode(),
        major=found["major"],
        minor=found["minor"],
        total_memory=found["totalGlobalMem"],
        multi_processor_count=found["multiProcessorCount"],
        warp_size=found["warpSize"],
        max_threads_per_multi_processor=found["maxThreadsPerMultiProcessor"],
        regs_per_multiprocessor=found["regsPerMultiprocessor"],
        shared_memory_per_block=found["sharedMemPerBlock"],
        shared_memory_per_block_optin=found["sharedMemPerBlockOptin"],
        shared_memory_per_multiprocessor=found["sharedMemPerMultiprocessor"],
        L2_cache_size=found["l2CacheSize"],
        is_integrated=bool(found["integrated"]),
        is_multi_gpu_board=bool(found["isMultiGpuBoard"]),
        uuid="-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))),
        pci_bus_id=found["pciBusID"],
        pci_device_id=found["pciDeviceID"],
        pci_domain_id=found["pciDomainID"],
    )


def get_device_name(device: Any = None) -> str:
    """The name of a GPU, such as "NVIDIA H100 80GB HBM3"."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a GPU, such as (9, 0)."""
    found = get_device_properties(device)
    return found.major, found.minor


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether one GPU can read the memory of another without the host."""
    one, other = index_of(device), index_of(peer_device)
    return one != other and bool(runtime().deviceCanAccessPeer(one, other))


def index_of(device: Any) -> int:
    """The number of a GPU given as a number, a device or its name; RuntimeError for the CPU."""
    if isinstance(device, int) and not isinstance(device, bool):
        return device
    if device is None:
        return current_device()
    if not isinstance(device, str):
        raise TypeError(f"expected a GPU's number or a device, got {type(device).__name__}")
    found = arrays.device(device)
    if found.index is None:
        raise RuntimeError(f"expected a GPU, got device {str(found)!r}")
    return found.index


def on(device: Any) -> Any:
    """A context in which a GPU, by number or device, is current; it gives CuPy."""
    return arrays.on(f"cuda:{index_of(device)}")


def runtime() -> Any:
    """CUDA's runtime as CuPy has it; RuntimeError says what is missing."""
    cupy: Any = arrays.cuda_module()
    return cupy.cuda.runtime
