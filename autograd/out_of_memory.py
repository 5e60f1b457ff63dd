"""When a GPU's memory runs out: free what the pool keeps, try once more, then say what fills it.

Nothing here costs anything before memory has run out: which values are saved for backward is then
found among the objects of the process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import arrays
from .arrays import Array, module_of
from .engine import Leaf, describe
from .records import Node


class OutOfMemoryError(RuntimeError, MemoryError):
    """A GPU has no memory left for what a gate needs; says what fills it."""


@dataclass
class Saved:
    """What the recorded uses of one gate keep for backward on a device; sizes in bytes."""

    gate: str
    size: int = 0
    count: int = 0
    largest: Array = field(default=None, repr=False)

    def __str__(self) -> str:
        values = "value" if self.count == 1 else "values"
        return (
            f"{self.gate} {in_words(self.size)} in {self.count} {values}, "
            f"the largest {describe(self.largest)}"
        )


def saved_by_gate(index: int) -> list[Saved]:
    """What is saved for backward on a GPU, by gate, the largest first; memory counts once.

    Values of leaves are left out: they are there whether a gate saved them or not.
    """
    # By type: to ask an object for its class may run code of other libraries.
    nodes = sorted(
        (found for found in gc.get_objects() if issubclass(type(found), Node) and found.saved),
        key=lambda node: node.number,
    )
    seen: set[int] = set()
    table: dict[str, Saved] = {}
    for node in nodes:
        for array in _kept(node):
            memory = array.data.mem
            if array.device.id != index or memory.ptr in seen:
                continue
            seen.add(memory.ptr)
            row = table.setdefault(node.gate.name, Saved(node.gate.name))
            row.size += memory.size
            row.count += 1
            if row.largest is None or array.nbytes > row.largest.nbytes:
                row.largest = array
    return sorted(table.values(), key=lambda row: row.size, reverse=True)


def retry(what: str, run: Callable[..., Any], *args: Any) -> Any:
    """Call `run` once more after memory ran out in it; to be called outside of the `except`.

    There the first error is gone, and with it the arrays that its traceback held.
    OutOfMemoryError, if memory runs out again.
    """
    release()
    try:
        return run(*args)
    except MemoryError as error:
        failure = out_of_memory(what, error)
    raise failure


def release() -> None:
    """Give back what is garbage, and what the pool keeps of the current device for later."""
    gc.collect()
    cupy: Any = arrays.cuda_module()
    cupy.get_default_memory_pool().free_all_blocks()


def out_of_memory(what: str, error: BaseException) -> OutOfMemoryError:
    """The error to raise when `what` found no memory on the current device; made only once."""
    if isinstance(error, OutOfMemoryError):
        return error
    cupy: Any = arrays.cuda_module()
    pool, index = cupy.get_default_memory_pool(), arrays.current_index()
    free, total = cupy.cuda.runtime.memGetInfo()
    asked = getattr(error, "_size", None)  # which CuPy keeps there
    wanted = str(error) if asked is None else f"asked for {in_words(asked)}"
    limit = f", limited to {in_words(pool.get_limit())}" if pool.get_limit() else ""
    rows = saved_by_gate(index)
    saved = "; ".join(map(str, rows[:5])) or "nothing"
    return OutOfMemoryError(
        f"out of memory on cuda:{index} in {what}: {wanted}; {in_words(pool.used_bytes())} are "
        f"allocated of {in_words(pool.total_bytes())} that are reserved{limit}, and "
        f"{in_words(free)} of {in_words(total)} are free. Saved for backward, the largest by gate: "
        f"{saved}. Use smaller batches, tapegrad.no_grad where no gradient is wanted, or half types"
    )


def in_words(size: int) -> str:
    """A number of bytes to read.

    >>> in_words(3 * 2**30 // 2), in_words(100)
    ('1.50 GiB', '100 bytes')
    """
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{size} bytes"


def _kept(node: Node) -> list[Array]:
    """The arrays on GPUs that a node keeps alive, apart from those of leaves."""
    saved = node.saved or ()
    alone = len(saved) == len(node.inputs) + 1
    before = (None, *node.inputs) if alone else (None,) * len(saved)
    values = [v for v, b in zip(saved, before, strict=True) if not isinstance(b, Leaf)]
    values += node.params.values()
    found: list[Array] = []
    for value in values:
        parts = value if isinstance(value, tuple) else (value,)
        found += [p for p in parts if type(p) in arrays.MODULES and module_of(p) is not np]
    return found
