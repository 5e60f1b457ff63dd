"""Work on NumPy arrays dealt out to threads: NumPy releases the interpreter lock as it computes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_pool: ThreadPoolExecutor | None = None


def get_num_threads() -> int:
    """How many threads share the blocks of a fused pass (at first, one for each core)."""
    return _threads


def set_num_threads(count: int) -> None:
    """Let `count` threads share the blocks of a fused pass.

    Matrix products have the threads of NumPy's BLAS (OPENBLAS_NUM_THREADS and the like).

    Raises:
        ValueError: if count is below 1.

    >>> before = get_num_threads()
    >>> set_num_threads(1); get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _threads
    if count < 1:
        raise ValueError(f"set_num_threads: expected a number of 1 or more, got {count}")
    _threads = int(count)
    _forget_pool()


def share(work: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
    """Deal items out to the threads in equal stretches; what `work` returns for each, in order."""
    global _pool
    count = min(_threads, len(items))
    if count <= 1:
        return [work(items)]
    if _pool is None:
        _pool = ThreadPoolExecutor(_threads - 1, "tapegrad")
    bounds = [len(items) * i // count for i in range(count + 1)]
    mine, *others = [items[a:b] for a, b in itertools.pairwise(bounds)]
    elsewhere = [_pool.submit(work, stretch) for stretch in others]
    try:
        here = work(mine)
    finally:
        wait(elsewhere)
    return [here, *(future.result() for future in elsewhere)]


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)  # threads do not live on in a child
