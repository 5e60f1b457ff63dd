"""A tape as wires and gates: every value, the gate it comes from, its gradient and its shares.

Drawings, the player and explanations all read this. What backward has freed is rebuilt where it can
be: scalars keep their values, an open tape keeps everything.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapegrad.autograd import engine
from tapegrad.autograd.arrays import MODULES
from tapegrad.autograd.engine import Gate, Leaf, array_of
from tapegrad.autograd.records import Node, Variable
from tapegrad.autograd.shares import hand_back, read_by
from tapegrad.autograd.tape import Step, Tape

from .calls import ModuleCall


@dataclass
class Wire:
    """A value on its way from a gate, or from outside, to the gates that use it.

    kind   "input" (a leaf that asks for a gradient), "parameter" (one that a module owns),
           "constant", "stopped" (another wire's value, detached), or "value"
    value, grad   arrays, or None where they are not known (yet)
    """

    index: int
    kind: str
    shape: tuple[int, ...] | None
    dtype: Any
    number: int = 0  # of its node on the tape
    name: str = ""
    value: Any = None
    grad: Any = None
    source: int | None = None
    uses: list[tuple[int, int]] = field(default_factory=list)  # (gate, which of its inputs)

    @property
    def scalar(self) -> bool:
        """Whether it is a single number without dimensions."""
        return self.shape == ()


@dataclass
class Box:
    """A gate at work: its wires, and what it hands back to each of its inputs.

    shares   of gates of scalars, the gradient contributed to each input; None where not known
    locals   likewise, the derivative of the output by each input
    """

    index: int
    number: int
    gate: Gate
    node: Node | None
    inputs: list[int | None]  # None: not given
    outputs: list[int]
    params: dict[str, Any] = field(default_factory=dict)
    origin: str = ""
    path: tuple[str, ...] = ()
    shares: list[Any] = field(default_factory=list)
    locals: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """An operation that raised: its name, the message, the nodes and the tensors it was given."""

    operation: str
    message: str
    nodes: list[int]
    given: list[str]


@dataclass
class Graph:
    """All wires and gates, in the order of recording, and what a failure left unfinished."""

    wires: list[Wire]
    boxes: list[Box]
    calls: list[ModuleCall]
    failure: Failure | None = None

    @functools.cached_property
    def scalar(self) -> bool:
        """Whether it computes with single numbers alone."""
        return all(wire.shape == () for wire in self.wires)


def read(what: Any, names: dict[str, Any] | None = None) -> Graph:
    """The graph of a tensor, of several, or of a tape; `names` labels tensors by identity."""
    if isinstance(what, Tape):
        return _Reader(what, (), names or {}).graph()
    tensors: tuple[Any, ...] = tuple(what) if isinstance(what, (list, tuple)) else (what,)
    for tensor in tensors:
        if not isinstance(tensor, Variable):
            raise TypeError(
                f"draw: expected a tensor, several, or a Tape, got {type(tensor).__name__}"
            )
    recorded = [tensor for tensor in tensors if tensor._node is not None]
    tape = Tape.of(*recorded) if recorded else Tape()
    return _Reader(tape, tensors, names or {}).graph()


class _Reader:
    """Wires and boxes, found step by step."""

    def __init__(self, tape: Tape, kept: Sequence[Variable], names: dict[str, Any]) -> None:
        self.tape = tape
        self.kept = kept
        self.wires: list[Wire] = []
        self.boxes: list[Box] = []
        self.of_number: dict[int, Box] = {}
        self.of_node: dict[int, Wire] = {}
        self.of_constant: dict[int, Wire] = {}
        self.parts: dict[int, Any] = {}  # the values of gates with several outputs
        self.labels = {
            value._node.number if value._node is not None else -id(value): name
            for name, value in names.items()
            if isinstance(value, Variable) and not name.startswith("_")
        }
        self.alive: dict[int, Variable] = {
            tensor._node.number: tensor for tensor in kept if tensor._node is not None
        }

    def graph(self) -> Graph:
        calls = _calls(step.node for step in self.tape)
        for step in self.tape:
            if step.node.gate is not engine.output:
                self.take(step)
        for tensor in self.kept:
            if tensor._node is None or isinstance(tensor._node, Leaf):
                self.alone(tensor)
        for box in self.boxes:
            _shares(box, self.wires)
        self.stop()
        return Graph(self.wires, self.boxes, calls)

    def stop(self) -> None:
        """Tell constants that are a recorded value, taken off the tape, from the others."""
        recorded = {id(w.value): w for w in self.wires if w.kind != "constant" and w.number}
        for wire in self.wires:
            origin = recorded.get(id(wire.value))
            if wire.kind == "constant" and wire.value is not None and origin is not None:
                wire.kind = "stopped"
                wire.name = wire.name or f"{origin.name or f'#{origin.number}'} detached"

    def take(self, step: Step) -> None:
        """Add the box of a step, and the wires into and out of it."""
        node = step.node
        box = Box(len(self.boxes), node.number, node.gate, node, [], [], step.params, step.origin)
        self.boxes.append(box)
        self.of_number[box.number] = box
        for position, (before, value) in enumerate(zip(node.inputs, step.values, strict=True)):
            if before is None:
                value = node.constant if value is None else value
                if value is None and "bias" in node.gate.input_names[position : position + 1]:
                    box.inputs.append(None)
                    continue
                wire = self.constant(value, step.inputs[position])
            else:
                wire = self.wire(before)
                if wire.value is None and value is not None:
                    wire.value = value
            wire.uses.append((box.index, position))
            box.inputs.append(wire.index)
        several = bool(node.shape) and isinstance(node.shape[0], tuple)
        value = step.value
        if several:
            box.outputs = [-1] * len(node.shape)
            self.parts[node.number] = value
            return
        wire = self.wire(node)
        wire.source = box.index
        box.outputs = [wire.index]
        if value is not None:  # what comes after a first output is not differentiated
            wire.value = value[0] if isinstance(value, tuple) else value

    def wire(self, node: Node) -> Wire:
        """The wire of a node's value."""
        if node.number in self.of_node:
            return self.of_node[node.number]
        kind, name, value, grad = "value", (node.notes or {}).get("name", ""), node.value, None
        if isinstance(node, Leaf):
            variable = node.variable()
            kind = "input"
            if variable is not None:
                name, value = variable._name or "", variable._data
                grad = array_of(variable._grad)
        else:
            grad = array_of(node.grad)
        wire = self.add(kind, node.shape, node.dtype)
        wire.number = node.number
        wire.name = name or self.labels.get(node.number, "")
        wire.value, wire.grad = value, grad
        tensor = self.alive.get(node.number)
        if tensor is not None:
            wire.value = tensor._data
            wire.grad = array_of(tensor._grad) if tensor._grad is not None else grad
        self.of_node[node.number] = wire
        if node.gate is engine.output:
            parent = node.inputs[0]
            box = self.of_number.get(parent.number) if parent is not None else None
            if box is not None:
                wire.source = box.index
                box.outputs[node.params["index"]] = wire.index
                parts = self.parts[box.number]
                if parts is not None:
                    wire.value = parts[node.params["index"]]
        return wire

    def constant(self, value: Any, label: str) -> Wire:
        """The wire of something without a gradient: one for each tensor, one for each number."""
        data = array_of(value)
        known = self.of_constant.get(id(data)) if type(data) in MODULES and data.ndim else None
        if known is not None:
            return known
        shape = tuple(data.shape) if type(data) in MODULES else () if data is not None else None
        wire = self.add("constant", shape, getattr(data, "dtype", None))
        wire.value = data
        if label.isidentifier() and label not in ("constant", "none", "True", "False"):
            wire.name = label
        if type(data) in MODULES and data.ndim:
            self.of_constant[id(data)] = wire
        return wire

    def alone(self, tensor: Variable) -> None:
        """A tensor that no step of the tape made: drawn as it stands."""
        if tensor._node is not None and tensor._node.number in self.of_node:
            return
        if tensor._node is not None:
            self.wire(tensor._node)
            return
        wire = self.constant(tensor, tensor._name or "")
        wire.name = tensor._name or self.labels.get(-id(tensor), "")

    def add(self, kind: str, shape: Any, dtype: Any) -> Wire:
        wire = Wire(len(self.wires), kind, shape, dtype)
        self.wires.append(wire)
        return wire


def _calls(nodes: Iterable[Node]) -> list[ModuleCall]:
    """The module calls noted on nodes, outer ones first."""
    found: dict[int, ModuleCall] = {}
    for node in nodes:
        for call in (node.notes or {}).get("calls", ()):
            known = found.get(call.start)
            if known is None or call.end > known.end:
                found[call.start] = call
    return sorted(found.values(), key=lambda call: (call.start, -call.end))


def _shares(box: Box, wires: list[Wire]) -> None:
    """What a gate of scalars hands back to each input, at the values that are still known.

    Of tensors nothing is drawn on the edges, and running their backward again would be dear.
    """
    box.shares = [None] * len(box.inputs)
    box.locals = [None] * len(box.inputs)
    node = box.node
    if node is None or len(box.outputs) != 1:
        return
    out = wires[box.outputs[0]]
    if not out.scalar or not all(i is None or wires[i].scalar for i in box.inputs):
        return
    saved = saved_values(node, box, wires)
    if saved is None:
        return
    if out.grad is not None:
        box.shares = handed_back(node, out.grad, saved)
    box.locals = handed_back(node, out.dtype.type(1), saved)


def saved_values(node: Node, box: Box, wires: list[Wire]) -> tuple[Any, ...] | None:
    """What the backward of a node reads: as it was kept, or put together from the wires."""
    if node.saved is not None or node.gate.variadic:
        return node.saved or (None,) * (len(node.inputs) + 1)
    out = wires[box.outputs[0]].value if len(box.outputs) == 1 else None
    inputs = [None if i is None else wires[i].value for i in box.inputs]
    wants = sum(1 << i for i, before in enumerate(node.inputs) if before is not None)
    row = node.gate.keep[wants] or ()
    known = [
        out is not None,
        *(v is not None or i is None for v, i in zip(inputs, box.inputs, strict=True)),
    ]
    if (node.gate.extra and row) or any(k and not v for k, v in zip(row, known, strict=False)):
        return None
    return read_by(node, out, inputs)


def handed_back(node: Node, grad: Any, saved: tuple[Any, ...]) -> list[Any]:
    """The gradients for the inputs of a node; none where what was kept does not fit any more."""
    try:
        return hand_back(node, grad, saved)
    except (RuntimeError, TypeError, ValueError):
        return [None] * len(node.inputs)
