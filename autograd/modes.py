"""Switches: whether operations are recorded, and whether backward watches for NaN.

All are context managers and decorators (of generators and coroutines too), hold per thread and per
async task, nest, and put back what they found, after exceptions as well.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from tapegrad.autograd.engine import Mode, get_mode, mode

F = TypeVar("F", bound=Callable[..., Any])


class _Switch:
    """Enters a changed `Mode` and restores the one it found; `changed` says what changes."""

    def __init__(self) -> None:
        self._found: list[Mode] = []

    def changed(self, found: Mode) -> Mode:
        raise NotImplementedError

    def __enter__(self) -> Any:
        found = get_mode()
        self._found.append(found)
        mode.set(self.changed(found))
        return self

    def __exit__(self, *exception: object) -> None:
        mode.set(self._found.pop())

    def again(self) -> _Switch:
        """A fresh switch of the same setting, for each call of a decorated function."""
        return type(self)()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            wrapper = self._generator(function)
        elif inspect.iscoroutinefunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self.again():
                    return await function(*args, **kwargs)
        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self.again():
                    return function(*args, **kwargs)

        return functools.wraps(function)(wrapper)  # type: ignore[return-value]

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Between two `yield`s the switch holds; outside the generator it does not."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            step, value = generator.send, None
            try:
                while True:
                    with self.again():
                        produced = step(value)
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
                generator.close()

        return wrapper


class no_grad(_Switch):
    """Operations inside are not recorded, and writes in place are real.

    >>> import tapegrad as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     (x * x).requires_grad
    False
    """

    def changed(self, found: Mode) -> Mode:
        return Mode(False, found.tapes, found.anomaly)


class enable_grad(_Switch):
    """Operations inside are recorded, also within `no_grad`."""

    def changed(self, found: Mode) -> Mode:
        return Mode(True, found.tapes, found.anomaly)


class set_grad_enabled(_Switch):
    """Recording on or off: at once when called, and until the end of the block in a `with`.

    >>> import tapegrad as tg
    >>> with tg.set_grad_enabled(False):
    ...     tg.is_grad_enabled()
    False
    """

    def __init__(self, recording: bool) -> None:
        super().__init__()
        self.recording = bool(recording)
        self._before: Mode | None = get_mode()
        mode.set(self.changed(self._before))

    def changed(self, found: Mode) -> Mode:
        return Mode(self.recording, found.tapes, found.anomaly)

    def __enter__(self) -> Any:
        if self._before is not None:  # the call has switched already: remember what was before it
            mode.set(self._before)
            self._before = None
        return super().__enter__()

    def again(self) -> _Switch:
        return set_grad_enabled(self.recording)

    def __call__(self, function: F) -> F:
        if self._before is not None:  # as a decorator it must not switch where it is written
            mode.set(self._before)
            self._before = None
        return super().__call__(function)


class detect_anomaly(_Switch):
    """Backward stops at the first gate that gives a NaN, and says where it was recorded.

    Recording notes the line of the user's code for each gate, which costs a few microseconds.

    >>> import tapegrad as tg
    >>> x = tg.tensor(0.0, requires_grad=True)
    >>> with tg.autograd.detect_anomaly():
    ...     y = tg.sqrt(x) * 0.0
    ...     y.backward()
    Traceback (most recent call last):
        ...
    RuntimeError: backward: gate 'sqrt' (#...) gave NaN...
    """

    def changed(self, found: Mode) -> Mode:
        return Mode(found.recording, found.tapes, True)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread or task."""
    return get_mode().recording
