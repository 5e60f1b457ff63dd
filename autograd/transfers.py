"""Copies between devices, in order with the work on their streams; pinned memory of the host.

A copy goes into the queue of the current stream. `non_blocking` says that the host does not wait
for it; then what is copied is kept alive here until the device has passed the copy.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from tapegrad.kernels.cuda import checks

from . import arrays
from .arrays import Array, device, device_of, loaded_cupy, on
from .memory_formats import inverse, kept_order
from .out_of_memory import retry

_in_flight: deque[tuple[Any, Any]] = deque()  # an event, and what must live until it has passed


def move(array: Array, where: device | str, non_blocking: bool = False) -> Array:
    """`array` on a device; the same array where it is there already.

    non_blocking   do not wait for the copy. From the host that is so for pinned memory only, as
                   any other is copied by the driver before it returns; to the host the result is
                   pinned, and not there until the stream has been synchronised
    """
    target, source = device(where), device_of(array)
    if source == target:
        return array
    if array.ndim > 1 and not array.flags.c_contiguous:
        order = kept_order(array)  # bytes are copied as they lie, and lie there as here
        if order is not None:
            return move(array.transpose(order), where, non_blocking).transpose(inverse(order))
    if target.type == "cpu":
        return _to_host(array, non_blocking)
    if source.type == "cpu":
        return _to_gpu(np.asarray(array), target, non_blocking)
    return _between_gpus(array, source, target)


def pinned_empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Memory of the host that devices copy from and to by themselves; not set."""
    cupy: Any = arrays.cuda_module()
    size = math.prod(shape) * dtype.itemsize
    if not size:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=cupy.cuda.alloc_pinned_memory(size))


def is_pinned(array: Array) -> bool:
    """Whether an array of the host is in pinned memory."""
    cupy: Any = loaded_cupy()
    if cupy is None or cupy.ndarray not in arrays.MODULES or not isinstance(array, np.ndarray):
        return False
    runtime = cupy.cuda.runtime
    return runtime.pointerGetAttributes(array.ctypes.data).type == runtime.memoryTypeHost


def keep_until_passed(stream: Any, *values: Any) -> None:
    """Keep values alive until all that `stream` (CuPy's) has been given so far is done."""
    while _in_flight and _in_flight[0][0].done:
        _in_flight.popleft()
    _in_flight.append((stream.record(), values))


def _to_host(array: Array, non_blocking: bool) -> np.ndarray:
    if not non_blocking:
        host = array.get()
        checks.raise_pending()
        return host
    host = pinned_empty(array.shape, array.dtype)
    with on(device_of(array)) as xp:
        stream = xp.cuda.get_current_stream()
        array.get(stream=stream, out=host, blocking=False)
        keep_until_passed(stream, array, host)
    return host


def _to_gpu(array: np.ndarray, target: device, non_blocking: bool) -> Array:
    with on(target) as xp:
        out = _room(xp, array)
        if not array.size:
            return out
        flat = np.asarray(array, order="C")  # a 0-d array stays one
        stream = xp.cuda.get_current_stream()
        out.set(flat, stream=stream)
        if is_pinned(flat):
            if non_blocking:
                keep_until_passed(stream, flat, out)
            else:
                stream.synchronize()
    return out


def _between_gpus(array: Array, source: device, target: device) -> Array:
    """A copy that waits for the streams of both devices, and that both wait for."""
    with on(source) as xp:
        sending = xp.cuda.get_current_stream()
        flat = xp.ascontiguousarray(array)
        ready = sending.record()
    with on(target) as xp:
        receiving = xp.cuda.get_current_stream()
        receiving.wait_event(ready)
        out = _room(xp, array)  # not like `flat`, which has a dimension even where `array` has none
        out.data.copy_from_device_async(flat.data, flat.nbytes, receiving)
        done = receiving.record()
    with on(source):
        sending.wait_event(done)  # the memory of `flat` may be used again behind the copy
    return out


def _room(xp: Any, array: Array) -> Array:
    """Memory on the current GPU for a copy of an array."""
    try:
        return xp.empty(array.shape, array.dtype)
    except MemoryError:
        pass  # tried once more outside, where no traceback keeps memory alive
    return retry("a copy to it", xp.empty, array.shape, array.dtype)
