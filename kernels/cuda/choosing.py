"""Which of several launches that make the same results is the fastest, found out by timing.

Where a kernel has variants (sizes of tiles), a rule names the one to start with. On a GPU the
others that fit are timed beside it at the first call with new sizes; the answer is kept in memory,
for all GPUs of the process, and by `kernels/cache.py` on disk, for GPUs of that name, so that a
program that has run before times nothing. Nothing is timed in the emulator or while a stream is
captured. Variants are only chosen from where they add in the same order, so that results do not
hang on the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.kernels import cache

from .launching import Backend, Launch, Stopwatch, backend

_ROUNDS, _TOGETHER = 3, 4  # how often a launch is timed, and how many of it at once
_WORTH = 0.97  # of the time of the first one, below which another one is taken

_measuring = True


def measure_variants(enabled: bool = True) -> None:
    """Whether kernels with variants are timed at the first call with new sizes; they are at first.

    PyTorch asks the same by `torch.backends.cudnn.benchmark`. Without it a rule chooses.

    >>> measure_variants(False)
    >>> measure_variants()
    """
    global _measuring
    _measuring = bool(enabled)


class Choice:
    """A launch that is the fastest of several, which write the same from the same arguments.

    Args:
        key: what, beside the GPU, the answer depends on.
        launches: the one to start with first.
    """

    __slots__ = ("_chosen", "_key", "_launches", "_owner")

    def __init__(self, key: str, launches: Sequence[Launch]) -> None:
        self._key, self._launches = key, launches
        self._owner: Backend | None = None  # for which the choice is made
        self._chosen = launches[0]

    def __call__(self, *values: Any) -> None:
        if self._owner is not backend():
            self._choose(values)
        self._chosen(*values)

    def _choose(self, values: Sequence[Any]) -> None:
        self._chosen = self._launches[0]
        stopwatch = backend().stopwatch() if _measuring else None
        if stopwatch is None:  # perhaps another time
            return
        name = cache.key("choice", self._key, stopwatch.device)
        stored = cache.read(name)
        if stored is None:
            stored = bytes([_fastest(stopwatch, self._launches, values)])
            cache.write(name, stored)
        self._chosen, self._owner = self._launches[stored[0]], backend()


def _fastest(stopwatch: Stopwatch, launches: Sequence[Launch], values: Sequence[Any]) -> int:
    """The number of the fastest launch; the first one, unless another is clearly faster."""
    times = [float("inf")] * len(launches)
    for launch in launches:
        launch(*values)  # compiled and loaded now
    for _ in range(_ROUNDS):
        for number, launch in enumerate(launches):

            def work(launch: Launch = launch) -> None:
                for _ in range(_TOGETHER):
                    launch(*values)

            times[number] = min(times[number], stopwatch.milliseconds(work))
    best = min(range(len(times)), key=times.__getitem__)
    return best if times[best] < _WORTH * times[0] else 0
