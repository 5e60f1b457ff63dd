"""Which nodes a module recorded: what lets a drawing put them into one box.

A module call leaves a note on the nodes of its results: the number that recording had reached when
it began. What lies between that number and the result's, and leads to the result, is the module's.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tapegrad.autograd.records import Node, Variable


@dataclass(frozen=True, eq=False)
class ModuleCall:
    """One call of a module: the numbers of its nodes lie between `start` and `end`."""

    start: int
    end: int
    kind: str
    module: weakref.ref[Any]


def note_call(module: Any, start: int, output: Any) -> None:
    """Note on the nodes of `output` that `module`, called at number `start`, recorded them."""
    for node in _nodes(output):
        if node.number > start:
            known = (node.notes or {}).get("calls", ())
            call = ModuleCall(start, node.number, type(module).__name__, weakref.ref(module))
            node.note("calls", (*known, call))


def _nodes(output: Any) -> Iterator[Node]:
    """The nodes of a tensor, or of those in tuples, lists and dicts."""
    if isinstance(output, Variable):
        if output._node is not None:
            yield output._node
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from _nodes(part)
    elif isinstance(output, dict):
        for part in output.values():
            yield from _nodes(part)
