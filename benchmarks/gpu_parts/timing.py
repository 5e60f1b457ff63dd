"""How long work takes on a device: events of CUDA in the stream, or a clock where there is no GPU.

Both libraries launch into the default stream, so the same events time either. A sample is the time
from the event before a run to the event after it; runs follow each other without a wait, so that
the host is ahead of the GPU unless its own time is what limits.
"""

import gc
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from cpu import quartiles

Samples = list[float]  # seconds
Sampler = Callable[[Callable[[], Any], int], Samples]
WARM_UP = 2
LEAST, MOST = 5, 200  # samples of a round


def sampler(device: str) -> Sampler:
    """What takes samples on a device."""
    return by_events if device == "cuda" else by_clock


def by_clock(run: Callable[[], Any], count: int) -> Samples:
    samples = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        samples.append(time.perf_counter() - start)
    return samples


def by_events(run: Callable[[], Any], count: int) -> Samples:
    import cupy

    events = [cupy.cuda.Event() for _ in range(count + 1)]
    stream = cupy.cuda.Stream.null
    events[0].record(stream)
    for event in events[1:]:
        run()
        event.record(stream)
    events[-1].synchronize()
    elapsed = cupy.cuda.get_elapsed_time
    return [elapsed(a, b) / 1e3 for a, b in pairwise(events)]


def measured(
    runs: dict[str, Callable[[], Any]], sample: Sampler, seconds: float, rounds: int = 2
) -> dict[str, dict[str, float]]:
    """The quartiles of the seconds that each run takes; sides take turns, round by round.

    seconds   how long the samples of a side may take, all together; 0 takes as few as can be
    """
    counts, least = {}, LEAST if seconds else 1
    for side, run in runs.items():
        sample(run, WARM_UP)
        took = min(sample(run, 2))
        counts[side] = int(min(max(seconds / rounds / max(took, 1e-7), least), MOST))
    samples: dict[str, Samples] = {side: [] for side in runs}
    gc.collect()
    for _ in range(rounds):
        for side, run in runs.items():
            samples[side] += sample(run, counts[side])
    return {side: quartiles(values) for side, values in samples.items()}
