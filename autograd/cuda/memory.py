"""How much memory of a GPU is in use, by whom, and giving it back.

Arrays take memory from CuPy's pool, which keeps what is freed for the next one: "allocated" is what
arrays hold, "reserved" what the pool has from the device. As in PyTorch both are 0 where there is
no GPU, and emptying the cache does nothing, so a script may ask for them on any machine.
"""

from __future__ import annotations

import threading
from typing import Any

from tapegrad.autograd.out_of_memory import OutOfMemoryError, in_words, saved_by_gate

from .devices import device_count, index_of, is_available, on, runtime

__all__ = [
    "OutOfMemoryError",
    "empty_cache",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_summary",
    "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays hold on a GPU; 0 where there is none.

    >>> import tapegrad as tg
    >>> before = tg.cuda.memory_allocated()
    >>> if tg.cuda.is_available():
    ...     x = tg.zeros(1024, device="cuda")
    ...     assert tg.cuda.memory_allocated() - before == 4096
    """
    if not is_available():
        return 0
    with on(device) as cupy:
        return int(cupy.get_default_memory_pool().used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool has from a GPU: what arrays hold, and what is kept for the next ones.

    0 where there is no GPU.
    """
    if not is_available():
        return 0
    with on(device) as cupy:
        return int(cupy.get_default_memory_pool().total_bytes())


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Bytes of a GPU that are free, of all processes, and how many there are."""
    with on(device):
        free, total = runtime().memGetInfo()
    return int(free), int(total)


def empty_cache() -> None:
    """Give back to the GPUs what the pool keeps and no array holds; nothing where there is none.

    >>> import tapegrad as tg
    >>> tg.cuda.empty_cache()
    """
    for index in range(device_count()):
        with on(index) as cupy:
            cupy.get_default_memory_pool().free_all_blocks()


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Let the pool take no more than a fraction, from 0 to 1, of a GPU's memory."""
    if not 0 <= fraction <= 1:
        raise ValueError(
            f"set_per_process_memory_fraction: expected a fraction from 0 to 1, got {fraction}"
        )
    with on(device) as cupy:
        cupy.get_default_memory_pool().set_limit(fraction=fraction)


_peaks: dict[int, Any] = {}  # by device: what watches its allocations
_watching = threading.Lock()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin to watch a GPU, for `max_memory_allocated` and `max_memory_reserved` of this thread.

    Unlike PyTorch nothing is watched before the first call, for watching costs every allocation
    about two microseconds; and other threads are not watched.
    """
    index = index_of(device)
    with _watching:
        if index in _peaks:
            _peaks[index].restart()
            return
        with on(index) as cupy:
            _peaks[index] = _watch(cupy, index)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that arrays held on a GPU at once since `reset_peak_memory_stats`.

    0 where there is no GPU.

    Raises:
        RuntimeError: if `reset_peak_memory_stats` was not called before.
    """
    return int(_peak("max_memory_allocated", device).allocated) if is_available() else 0


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that the pool had from a GPU at once since `reset_peak_memory_stats`.

    0 where there is no GPU.

    Raises:
        RuntimeError: if `reset_peak_memory_stats` was not called before.

    >>> import tapegrad as tg
    >>> if tg.cuda.is_available():
    ...     tg.cuda.reset_peak_memory_stats()
    >>> tg.cuda.max_memory_reserved() >= tg.cuda.memory_reserved()
    True
    """
    return int(_peak("max_memory_reserved", device).reserved) if is_available() else 0


def _peak(name: str, device: Any) -> Any:
    """What watches a GPU, for the function `name`."""
    index = index_of(device)
    if index not in _peaks:
        raise RuntimeError(
            f"{name}: nothing was watched; call tapegrad.cuda.reset_peak_memory_stats before what "
            "is to be measured"
        )
    return _peaks[index]


def _watch(cupy: Any, index: int) -> Any:
    """A hook of CuPy's, entered, that adds up what is allocated and freed on a device.

    `malloc` and `free` are those of arrays, `alloc` is the pool's when it takes more from the GPU.
    """

    class Peak(cupy.cuda.MemoryHook):
        name = f"tapegrad: the peak of cuda:{index}"

        def restart(self) -> None:
            self.held = self.allocated = memory_allocated(index)
            self.reserved = memory_reserved(index)

        def alloc_postprocess(self, **event: Any) -> None:
            if event["device_id"] == index and event["mem_ptr"]:
                self.reserved = max(self.reserved, memory_reserved(index))

        def malloc_postprocess(self, **event: Any) -> None:
            if event["device_id"] == index and event["mem_ptr"]:
                self.held += event["mem_size"]
                self.allocated = max(self.allocated, self.held)

        def free_postprocess(self, **event: Any) -> None:
            if event["device_id"] == index:
                self.held -= event["mem_size"]

    hook = Peak()
    hook.restart()
    return hook.__enter__()


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """A text of what fills a GPU's memory, with what gates have saved for backward.

    Args:
        device: a number or a device. Default: the current one.
        abbreviated: only the five gates that save most. Default: False.
    """
    index = index_of(device)
    allocated, reserved = memory_allocated(index), memory_reserved(index)
    free, total = mem_get_info(index)
    lines = [
        f"memory of cuda:{index}",
        f"  allocated  {in_words(allocated):>12}  by arrays",
        f"  kept       {in_words(reserved - allocated):>12}  by the pool, for the next arrays",
        f"  elsewhere  {in_words(max(total - free - reserved, 0)):>12}  CUDA and other processes",
        f"  free       {in_words(free):>12}  of {in_words(total)}",
    ]
    if index in _peaks:
        lines.insert(
            2, f"  at most    {in_words(max_memory_allocated(index)):>12}  since the reset"
        )
    rows = saved_by_gate(index)
    lines.append("saved for backward, by gate" if rows else "nothing is saved for backward")
    lines += [f"  {row}" for row in (rows[:5] if abbreviated else rows)]
    return "\n".join(lines)
