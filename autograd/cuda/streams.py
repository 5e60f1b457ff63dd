"""Streams and events: queues of work that a GPU may run side by side, and marks in them.

They are PyTorch's: a new stream does not wait for the default one, so work that needs what another
stream computes waits for it, with `wait_stream` or an event. What CuPy does inside `with
tapegrad.cuda.stream(s)` goes into the same stream, for it is CuPy's stream that is set.
"""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import arrays
from tapegrad.kernels.cuda import checks

from .devices import on


class Event:
    """A mark in a stream, to wait for or to take the time of.

    Args:
        enable_timing: whether `elapsed_time` can be asked. Default: False.
        blocking: whether `synchronize` lets the processor sleep instead of spin. Default: False.
        interprocess: whether other processes may use it; not together with timing.

    >>> import tapegrad as tg
    >>> if tg.cuda.is_available():
    ...     start, end = (tg.cuda.Event(enable_timing=True) for _ in range(2))
    ...     start.record()
    ...     x = tg.ones(1000, 1000, device="cuda") * 2
    ...     end.record()
    ...     end.synchronize()
    ...     assert start.elapsed_time(end) >= 0
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        arrays.cuda_module()
        self.enable_timing = enable_timing
        self._flags = (blocking, not enable_timing, interprocess)
        self._event: Any = None  # made on the device where it is recorded first

    def record(self, stream: Stream | None = None) -> None:
        """Set the mark behind what a stream, by default the current one, was given so far."""
        where = current_stream() if stream is None else stream
        with on(where.device):
            if self._event is None:
                self._event = _cuda().Event(*self._flags)
            self._event.record(where.cupy_stream)

    def wait(self, stream: Stream | None = None) -> None:
        """Make a stream, by default the current one, wait for the mark; the host goes on."""
        (current_stream() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether all before the mark is done."""
        return self._event is None or bool(self._event.done)

    def synchronize(self) -> None:
        """Wait until all before the mark is done."""
        if self._event is not None:
            self._event.synchronize()
        checks.raise_pending()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to another; both have been recorded and are done."""
        if not (self.enable_timing and end_event.enable_timing):
            raise RuntimeError("elapsed_time: both events must have enable_timing=True")
        if self._event is None or end_event._event is None:
            raise RuntimeError("elapsed_time: both events must be recorded first")
        return float(_cuda().get_elapsed_time(self._event, end_event._event))

    @property
    def cuda_event(self) -> int:
        """CUDA's handle; 0 before the event was recorded."""
        return 0 if self._event is None else int(self._event.ptr)

    def __repr__(self) -> str:
        return f"<tapegrad.cuda.Event {self.cuda_event:#x}>"


class Stream:
    """A queue of work on a GPU: in order within itself, beside the work of other streams.

    Args:
        device: the GPU it is for. Default: the current one.
        priority: lower goes first: 0, or -1 and less down to what the GPU has. Default: 0.

    Attributes:
        device: the GPU.
        cupy_stream: CuPy's stream, which it is around.

    >>> import tapegrad as tg
    >>> if tg.cuda.is_available():
    ...     side = tg.cuda.Stream()
    ...     with tg.cuda.stream(side):
    ...         x = tg.ones(2, device="cuda")
    ...     tg.cuda.current_stream().wait_stream(side)
    """

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        with on(device) as cupy:
            self.device = arrays.device("cuda")
            self.cupy_stream: Any = cupy.cuda.Stream(
                non_blocking=True, priority=None if priority == 0 else priority
            )
        self._entered: list[stream] = []

    def wait_event(self, event: Event) -> None:
        """Do what comes next only when the mark is reached."""
        if event._event is not None:
            self.cupy_stream.wait_event(event._event)

    def wait_stream(self, stream: Stream) -> None:
        """Do what comes next only when all that another stream was given so far is done."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        """Set a mark behind what this stream was given so far, and return it."""
        mark = Event() if event is None else event
        mark.record(self)
        return mark

    def query(self) -> bool:
        """Whether all it was given is done."""
        return bool(self.cupy_stream.done)

    def synchronize(self) -> None:
        """Wait until all it was given is done."""
        self.cupy_stream.synchronize()
        checks.raise_pending()

    @property
    def priority(self) -> int:
        """Its priority; lower goes first."""
        return int(self.cupy_stream.priority)

    @property
    def cuda_stream(self) -> int:
        """CUDA's handle, 0 for the default stream."""
        return int(self.cupy_stream.ptr)

    @property
    def ptr(self) -> int:
        """CUDA's handle, by CuPy's name."""
        return int(self.cupy_stream.ptr)

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.ptr

    def __enter__(self) -> Stream:
        self._entered.append(stream(self))
        self._entered[-1].__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._entered.pop().__exit__(*exception)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.ptr, self.device) == (other.ptr, other.device)

    def __hash__(self) -> int:
        return hash((self.ptr, self.device))

    def __repr__(self) -> str:
        return f"<tapegrad.cuda.Stream {self.ptr:#x} on {self.device}>"


class ExternalStream(Stream):
    """The stream of another library by CUDA's handle, such as PyTorch's `stream.cuda_stream`.

    Args:
        stream_ptr: the handle. Whoever made the stream keeps it alive.
        device: the GPU it is for. Default: the current one.
    """

    def __init__(self, stream_ptr: int, device: Any = None) -> None:
        with on(device) as cupy:
            self.device = arrays.device("cuda")
            self.cupy_stream = cupy.cuda.Stream.from_external(_Handle(stream_ptr))
        self._entered = []


class _Handle:
    """The handle of a stream, by the protocol of CUDA in Python."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.handle


class stream:
    """A context in which a stream takes what its GPU is given; that GPU is current.

    Args:
        stream: a stream; None changes nothing.
    """

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self._device: Any = None

    def __enter__(self) -> stream:
        if self.stream is not None:
            self._device = arrays.gpu(self.stream.device.index)
            self._device.__enter__()
            self.stream.cupy_stream.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.stream is not None:
            self.stream.cupy_stream.__exit__(*exception)
            self._device.__exit__(*exception)


def current_stream(device: Any = None) -> Stream:
    """The stream that takes what a GPU is given in this thread."""
    with on(device) as cupy:
        return _around(cupy.cuda.get_current_stream())


def default_stream(device: Any = None) -> Stream:
    """The stream that is current where no other was made so."""
    with on(device) as cupy:
        return _around(cupy.cuda.Stream.null)


def set_stream(stream: Stream) -> None:
    """Make a stream the current one of its GPU in this thread; `with` is better."""
    with on(stream.device):
        stream.cupy_stream.use()


def _around(found: Any) -> Stream:
    """A stream of CuPy's on the current device, as ours."""
    made = Stream.__new__(Stream)
    made.device, made.cupy_stream, made._entered = arrays.device("cuda"), found, []
    return made


def _cuda() -> Any:
    cupy: Any = arrays.cuda_module()
    return cupy.cuda
