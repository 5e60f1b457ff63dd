"""What is recorded: variables, the nodes they leave on the tape, and the mode that says whether.

A node points to the nodes before it, never to a variable, so that there are no reference cycles and
dropping a result frees its graph.
"""

from __future__ import annotations

import itertools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .arrays import Array

if TYPE_CHECKING:
    from .engine import Gate

next_number = itertools.count(1).__next__  # the order of recording, which is a topological order


class Variable:
    """A value and its place on the tape; `Tensor` adds the methods people use.

    `_data` is an array or, for a 0-d result on a CPU, a NumPy scalar (ten times quicker to compute
    with); `_node` is None unless a gradient is wanted.
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_name", "_node")
    _data: Array
    _node: Node | None
    _name: str | None
    _grad: Any


class Node:
    """One step of the tape: a gate, the nodes of its inputs, and what its backward needs."""

    __slots__ = (
        "__weakref__",
        "constant",
        "dtype",
        "gate",
        "grad",
        "inputs",
        "notes",
        "number",
        "params",
        "saved",
        "shape",
        "value",
    )

    def __init__(
        self,
        gate: Gate,
        inputs: tuple[Node | None, ...],
        saved: tuple[Any, ...] | None,
        params: dict[str, Any],
        out: Array,
    ) -> None:
        self.gate = gate
        self.number = next_number()
        self.inputs = inputs
        self.saved = saved  # (out, *inputs), None where not needed; None once consumed
        self.params = params
        self.shape = shape = out.shape
        self.dtype = out.dtype
        self.value = None if shape else out  # scalars stay to be printed and drawn: they are free
        self.grad: Any = None  # likewise, once backward has passed
        self.constant: Any = None  # likewise, the number that was the other input
        self.notes: dict[str, Any] | None = None  # name, origin, hooks: what few nodes have

    def note(self, key: str, value: Any) -> None:
        """Attach a rarely used fact (a name, where it was recorded, hooks)."""
        if self.notes is None:
            self.notes = {}
        self.notes[key] = value

    @property
    def origin(self) -> str:
        """Where the user's code recorded this node, if that was being noted."""
        return (self.notes or {}).get("origin", "")

    def __repr__(self) -> str:
        return f"<{self.gate.name} #{self.number}>"


class Mode:
    """What this thread or task records: whether at all, onto which open tapes, with origins.

    `outer` is the mode that leaving this one returns to.
    """

    __slots__ = ("anomaly", "outer", "recording", "tapes", "watched")

    def __init__(
        self,
        recording: bool,
        tapes: tuple[Any, ...] = (),
        anomaly: bool = False,
        outer: Mode | None = None,
    ) -> None:
        self.recording = recording
        self.tapes = tapes
        self.anomaly = anomaly
        self.outer = outer
        self.watched = bool(tapes or anomaly)

    def observe(self, node: Node, inputs: Any, arrays: Any, out: Any) -> None:
        """Tell the open tapes of a new node, and note the line of the user's code it came from."""
        if not self.watched:
            return
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
            "tapegrad."
        ):
            frame = frame.f_back
        node.note("origin", f"{frame.f_code.co_filename}:{frame.f_lineno}")
        for tape in self.tapes:
            tape.observe(node, inputs, arrays, out)


mode: ContextVar[Mode] = ContextVar("tapegrad.mode", default=Mode(True))  # noqa: B039 - immutable
get_mode = mode.get
