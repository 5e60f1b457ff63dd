"""Which memory was written in place, and when.

Each write notes its number, drawn from the counter that numbers the steps of the tape, against the
buffer it changed. A backward can so tell that a value saved under a lower number is no longer what
it was, for every view of the buffer, and recording pays nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import MODULES
from .records import Node, Variable, next_number

_writes: dict[int, tuple[weakref.ref[Any], int]] = {}
last_write = 0


def buffer(array: Any) -> Any:
    """The array that owns the memory a view looks into."""
    while type(base := getattr(array, "base", None)) in MODULES:
        array = base
    return array


def mark_written(variable: Variable) -> None:
    """Note that the memory of `variable` has just been changed in place."""
    global last_write
    last_write = number = next_number()
    owners = [buffer(variable._data)]
    if variable._node is not None:  # scalars are saved by value: their node stands for them
        owners.append(variable._node)
    for owner in owners:
        _writes[id(owner)] = (weakref.ref(owner, _forget(id(owner))), number)


def _forget(key: int) -> Callable[[Any], Any]:
    return lambda _: _writes.pop(key, None)


def written_since(value: Any, node: Node | None, number: int) -> bool:
    """Whether a saved value, the output of `node`, was changed in place after step `number`."""
    if isinstance(value, tuple):
        return any(written_since(v, None, number) for v in value if v is not None)
    owner = node if isinstance(value, np.generic) else buffer(value)
    entry = _writes.get(id(owner))
    return entry is not None and entry[0]() is owner and entry[1] > number
