"""The part of the stand-in that plays `cupy.cuda`: devices, streams, events, memory.

Two devices that compute at once, except that a copy to the host which does not block arrives when
its stream is waited for, as late as hardware may. What streams were told is in `FakeStream.log`.
"""

from __future__ import annotations

import itertools
import types
import weakref

import numpy as np
import recording

GIBIBYTE = 2**30
PINNED = weakref.WeakValueDictionary()  # by address
_numbers = itertools.count(1)


class FakeError(RuntimeError):
    """`cupy.cuda.runtime.CUDARuntimeError`: an error of CUDA with its number."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class OutOfMemoryError(MemoryError):
    """`cupy.cuda.memory.OutOfMemoryError`."""

    def __init__(self, size, total, limit=0):
        self._size, self._total, self._limit = size, total, limit
        super().__init__(f"Out of memory allocating {size:,} bytes")


class Pinned(bytearray):
    """Pinned memory, known by its address while it lives."""

    __hash__ = object.__hash__


class FakeEvent:
    """An event, which has passed once its stream was waited for."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.block, self.disable_timing, self.interprocess = block, disable_timing, interprocess
        self.ptr, self.stream, self.mark = next(_numbers), None, 0

    def record(self, stream=None):
        self.stream = stream or FakeStream.cuda.get_current_stream()
        self.stream.log.append(("record", self))
        self.mark = len(self.stream.queue) + self.stream.ran

    @property
    def done(self):
        return self.stream is None or self.stream.ran >= self.mark

    def synchronize(self):
        recording.synchronised("event")
        if self.stream is not None:
            self.stream.run(self.mark - self.stream.ran)


class FakeStream:
    """A stream: work that was left for later is in `queue`, what it was told in `log`."""

    cuda = None  # the FakeCuda that is in use
    null = None

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr = 0 if null else next(_numbers)
        self.device_id = -1 if null else self.cuda.current()
        self.is_non_blocking, self.priority = non_blocking, priority or 0
        self.queue, self.ran, self.log = [], 0, []

    def __eq__(self, other):
        return isinstance(other, FakeStream) and self.ptr == other.ptr

    def __hash__(self):
        return self.ptr

    def __enter__(self):
        if self.device_id not in (-1, self.cuda.current()):
            raise RuntimeError("The device that the stream is created on does not match")
        self.cuda.streams[self.cuda.current()].append(self)
        return self

    def __exit__(self, *exception):
        self.cuda.streams[self.cuda.current()].pop()

    def use(self):
        self.cuda.streams[self.cuda.current()][-1] = self
        return self

    def record(self, event=None):
        event = event or FakeEvent()
        event.record(self)
        return event

    @staticmethod
    def from_external(stream):
        version, handle = stream.__cuda_stream__()
        assert version == 0
        return ExternalStream(handle)

    def wait_event(self, event):
        self.log.append(("wait", event))

    def begin_capture(self, mode=None):
        self.log.append(("begin capture",))

    def end_capture(self):
        """A graph, which has no effect when it is launched: what was captured was done at once."""
        return types.SimpleNamespace(launch=lambda stream: stream.log.append(("launch graph",)))

    @property
    def done(self):
        return not self.queue

    def later(self, work):
        self.queue.append(work)

    def run(self, count):
        for _ in range(count):
            self.queue.pop(0)()
            self.ran += 1

    def synchronize(self):
        recording.synchronised("stream")
        self.log.append(("synchronize",))
        self.run(len(self.queue))


class ExternalStream(FakeStream):
    def __init__(self, ptr):
        super().__init__()
        self.ptr, self.device_id = ptr, -1


class FakePool:
    """The memory pool, which has no memory for as many allocations as `failing` says."""

    def __init__(self):
        self.used, self.kept, self.limit = 5 * GIBIBYTE, GIBIBYTE, 0
        self.failing = self.freed = 0  # how often its free blocks were given back

    def take(self, *arrays):
        if self.failing:
            self.failing -= 1
            raise OutOfMemoryError(sum(array.nbytes for array in arrays), self.total_bytes())

    def used_bytes(self):
        return self.used

    def total_bytes(self):
        return self.used + self.kept

    def free_bytes(self):
        return self.kept

    def free_all_blocks(self, stream=None):
        self.freed += 1
        self.kept = 0

    def set_limit(self, size=None, fraction=None):
        self.limit = size if size is not None else int((fraction or 0) * 8 * GIBIBYTE)

    def get_limit(self):
        return self.limit


class FakeCuda(types.SimpleNamespace):
    """`cupy.cuda`."""

    def __init__(self, cupy, device):
        self.current = device.current
        null = FakeStream.__new__(FakeStream)
        null.ptr, null.device_id, null.is_non_blocking, null.priority = 0, -1, False, 0
        null.queue, null.ran, null.log = [], 0, []
        self.streams = {index: [null] for index in range(8)}
        self.seen = [null]  # every stream, as `Device.synchronize` waits for them
        self.pool = FakePool()

        class Stream(FakeStream):
            cuda = self

            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.cuda.seen.append(self)

        Stream.null = null
        null.__class__ = Stream
        FakeStream.cuda = self
        self.Device = device
        self.Stream, self.Event = Stream, FakeEvent
        self.memory = types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
        self.nvrtc = types.SimpleNamespace(getVersion=lambda: (13, 0))
        self.runtime = types.SimpleNamespace(
            CUDARuntimeError=FakeError,
            memoryTypeHost=1,
            getDeviceCount=lambda: cupy.count,
            getDevice=device.current,
            setDevice=self.set_device,
            deviceSynchronize=self.synchronize,
            deviceGetAttribute=lambda attribute, device: {75: 9, 76: 0}[attribute],
            driverGetVersion=lambda: 13000,
            runtimeGetVersion=lambda: 13000,
            memGetInfo=lambda: (6 * GIBIBYTE, 8 * GIBIBYTE),
            getDeviceProperties=self.properties,
            pointerGetAttributes=lambda address: types.SimpleNamespace(
                type=int(any(start <= address < start + len(m) for start, m in PINNED.items()))
            ),
            deviceCanAccessPeer=lambda one, other: 1,
        )

    def set_device(self, index):
        if index >= self.runtime.getDeviceCount():
            raise FakeError(101, "cudaErrorInvalidDevice: invalid device ordinal")
        self.Device(index).use()

    def synchronize(self):
        recording.synchronised("device")
        for stream in self.seen:
            if stream.device_id in (-1, self.current()):
                stream.run(len(stream.queue))

    def properties(self, device):
        return {
            "name": f"Stand-in {device}".encode(),
            "major": 9,
            "minor": 0,
            "totalGlobalMem": 8 * GIBIBYTE,
            "multiProcessorCount": 132,
            "warpSize": 32,
            "regsPerMultiprocessor": 65536,
            "maxThreadsPerMultiProcessor": 2048,
            "sharedMemPerBlock": 49152,
            "sharedMemPerBlockOptin": 232448,
            "sharedMemPerMultiprocessor": 233472,
            "l2CacheSize": 50 * 2**20,
            "uuid": bytes(16),
            "pciBusID": 1,
            "pciDeviceID": 0,
            "pciDomainID": 0,
            "integrated": 0,
            "isMultiGpuBoard": 0,
        }

    def get_current_stream(self, device=-1):
        return self.streams[self.current() if device < 0 else device][-1]

    def get_elapsed_time(self, start, end):
        return 1.5

    def alloc_pinned_memory(self, size):
        memory = Pinned(size)
        PINNED[np.frombuffer(memory, np.uint8).ctypes.data] = memory
        return memory

    def is_available(self):
        return True
