"""Switches: whether operations are recorded, and whether backward watches for NaN.

All are context managers and decorators (of generators and coroutines too), hold per thread and per
async task, nest, and put back what they found, after exceptions as well.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from .records import Mode, get_mode, mode

F = TypeVar("F", bound=Callable[..., Any])


class Switch:
    """Enters a changed `Mode` and returns to the one outside it; `changed` says what changes."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        switch = super().__new__(cls)
        if len(args) == 1 and callable(args[0]):  # @no_grad, without parentheses
            switch.__init__()  # type: ignore[misc]
            return switch(args[0])
        return switch

    def changed(self, found: Mode) -> Mode:
        raise NotImplementedError

    def __enter__(self) -> Any:
        mode.set(self.changed(get_mode()))
        return self

    def __exit__(self, *exception: object) -> None:
        outer = get_mode().outer
        assert outer is not None, "a switch is left that was not entered"
        mode.set(outer)

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            wrapper = self._generator(function)
        elif inspect.isasyncgenfunction(function):
            wrapper = self._async_generator(function)
        elif inspect.iscoroutinefunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)
        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return function(*args, **kwargs)

        return functools.wraps(function)(wrapper)  # type: ignore[return-value]

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Between two `yield`s the switch holds; outside the generator it does not."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            step, value = generator.send, None
            try:
                while True:
                    with self:
                        produced = step(value)
                    value = None  # an exception kept here would hold this frame in a cycle
                    try:
                        value = yield produced
                        step = generator.send
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        step, value = generator.throw, error
            except StopIteration as stop:
                return stop.value
            finally:
                with self:
                    generator.close()

        return wrapper

    def _async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            step, value = generator.asend, None
            try:
                while True:
                    with self:
                        produced = await step(value)
                    value = None
                    try:
                        value = yield produced
                        step = generator.asend
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        step, value = generator.athrow, error
            except StopAsyncIteration:
                return
            finally:
                with self:
                    await generator.aclose()

        return wrapper


class no_grad(Switch):
    """Operations inside are not recorded, and writes in place are real.

    >>> import tapegrad as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     (x * x).requires_grad
    False
    """

    def changed(self, found: Mode) -> Mode:
        return Mode(False, found.tapes, found.anomaly, found)


class inference_mode(Switch):
    """`no_grad` by another name: operations inside are not recorded, with `mode=True`.

    PyTorch's also marks the tensors made inside, and refuses to record with them later; here they
    are like any others, and within it `enable_grad` records, as within `no_grad`.

    Args:
        mode: False records inside, also within `no_grad`. Default: True.

    >>> import tapegrad as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> @tg.inference_mode()
    ... def squared(x):
    ...     return x * x
    >>> squared(x).requires_grad
    False
    """

    def __init__(self, mode: bool = True) -> None:
        self.mode = bool(mode)

    def changed(self, found: Mode) -> Mode:
        return Mode(not self.mode, found.tapes, found.anomaly, found)


class enable_grad(Switch):
    """Operations inside are recorded, also within `no_grad`."""

    def changed(self, found: Mode) -> Mode:
        return Mode(True, found.tapes, found.anomaly, found)


class set_grad_enabled(Switch):
    """Recording on or off: at once when called, and until the end of the block in a `with`.

    >>> import tapegrad as tg
    >>> with tg.set_grad_enabled(False):
    ...     tg.is_grad_enabled()
    False
    """

    def __init__(self, recording: bool) -> None:
        self.recording = bool(recording)
        self._before: Mode | None = get_mode()
        now = self.changed(self._before)
        now.outer = self._before.outer  # a call replaces the mode it finds, it nests nothing
        mode.set(now)

    def changed(self, found: Mode) -> Mode:
        return Mode(self.recording, found.tapes, found.anomaly, found)

    def _undo(self) -> None:
        """As a `with` or a decorator, what the call has switched already is taken back first."""
        if self._before is not None:
            mode.set(self._before)
            self._before = None

    def __enter__(self) -> Any:
        self._undo()
        return super().__enter__()

    def __call__(self, function: F) -> F:
        self._undo()
        return super().__call__(function)


class detect_anomaly(Switch):
    """Backward stops at the first gate that gives a NaN, and says where it was recorded.

    Recording notes the line of the user's code for each gate, which costs a few microseconds.

    >>> import tapegrad as tg
    >>> x = tg.tensor(0.0, requires_grad=True)
    >>> with tg.autograd.detect_anomaly():
    ...     y = tg.sqrt(x) * 0.0
    ...     y.backward()
    Traceback (most recent call last):
        ...
    RuntimeError: backward: gate 'sqrt' (#...), recorded at ... gave NaN
    """

    def changed(self, found: Mode) -> Mode:
        return Mode(found.recording, found.tapes, True, found)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread or task."""
    return get_mode().recording
