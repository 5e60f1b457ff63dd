"""A run as steps: forward gate by gate, the seed, then backward edge by edge.

The gradients are worked out here, from the values on the wires, in the order in which the engine
walks: they do not touch `.grad`, and a test holds them against the engine's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import FLOATS, MODULES, float64, module_of
from tapegrad.autograd.records import Variable

from .graph import Box, Graph, Wire, handed_back, saved_values

MOST_REPLAYS = 200_000  # gates computed again for the finite differences


@dataclass(frozen=True)
class PlayerStep:
    """One step of the player.

    kind       "forward" (a gate computes), "seed" (dL/dL = 1) or "backward" (one edge)
    box, position, wire   the gate, which of its inputs, and the wire whose number appears
    upstream, local, share, total   of a backward step: the gradient that arrives at the gate, the
               local derivative (scalars), their product, and the sum on the wire so far
    summed     the axes a share was summed over because the input was broadcast
    """

    kind: str
    wire: int
    box: int = -1
    position: int = -1
    upstream: Any = None
    local: Any = None
    share: Any = None
    total: Any = None
    summed: tuple[int, ...] = ()


def steps_of(graph: Graph, loss: Wire) -> list[PlayerStep]:
    """All steps of a run that ends in `loss`."""
    leading = _leading(graph, loss)
    found = [
        PlayerStep("forward", wire=box.outputs[0], box=box.index)
        for box in graph.boxes
        if box.index in leading
    ]
    one = np.ones(loss.shape or (), loss.dtype)
    totals: dict[int, Any] = {loss.index: one}
    found.append(PlayerStep("seed", wire=loss.index, total=one))
    for box in reversed(graph.boxes):
        if box.index not in leading or not any(out in totals for out in box.outputs):
            continue
        upstream = _arrived(graph, box, totals)
        for position, share, local in _edges(graph, box, upstream):
            wire = graph.wires[box.inputs[position]]  # type: ignore[index]
            before = totals.get(wire.index)
            totals[wire.index] = share if before is None else before + share
            found.append(
                PlayerStep(
                    "backward",
                    wire.index,
                    box.index,
                    position,
                    upstream,
                    local,
                    share,
                    totals[wire.index],
                    _broadcast(graph.wires[box.outputs[0]], wire),
                )
            )
    return found


def fill(graph: Graph) -> None:
    """Compute the values that no gate kept again, where all that they come from is known."""
    for box in graph.boxes:
        if len(box.outputs) != 1 or graph.wires[box.outputs[0]].value is not None:
            continue
        values = [None if i is None else graph.wires[i].value for i in box.inputs]
        if all(v is not None or i is None for v, i in zip(values, box.inputs, strict=True)):
            with np.errstate(all="ignore"):
                found = box.gate.compute(_library(values), *values, **box.params)
            graph.wires[box.outputs[0]].value = found[0] if isinstance(found, tuple) else found


def _library(values: list[Any]) -> Any:
    return next((module_of(v) for v in values if type(v) in MODULES), np)


def _leading(graph: Graph, loss: Wire) -> set[int]:
    """The boxes that the loss was computed from."""
    wanted, found = {loss.index}, set()
    for box in reversed(graph.boxes):
        if wanted.intersection(box.outputs):
            found.add(box.index)
            wanted.update(i for i in box.inputs if i is not None)
    return found


def _arrived(graph: Graph, box: Box, totals: dict[int, Any]) -> Any:
    """The gradient at the output of a box; a list of them where it has several."""
    if len(box.outputs) == 1:
        return totals[box.outputs[0]]
    return [totals.get(out) for out in box.outputs]


def _edges(graph: Graph, box: Box, upstream: Any) -> list[tuple[int, Any, Any]]:
    """(which input, its share, the local derivative of a scalar) for each input with a gradient."""
    node = box.node
    assert node is not None
    saved = saved_values(node, box, graph.wires)
    if saved is None:
        raise RuntimeError(
            f"player: backward has freed what gate '{box.gate.name}' (#{box.number}) kept; make "
            "the player before backward, or record under `with tg.Tape() as tape:` and pass tape"
        )
    shares = handed_back(node, upstream, saved)
    scalar = len(box.outputs) == 1 and graph.wires[box.outputs[0]].shape == ()
    locals_ = handed_back(node, node.dtype.type(1), saved) if scalar else [None] * len(shares)
    return [
        (position, share, locals_[position] if graph.wires[index].scalar else None)
        for position, (index, share) in enumerate(zip(box.inputs, shares, strict=True))
        if index is not None and share is not None
    ]


def _broadcast(out: Wire, wire: Wire) -> tuple[int, ...]:
    """The axes of an output along which an input was repeated."""
    if out.shape is None or wire.shape is None or len(wire.shape) > len(out.shape):
        return ()
    padded = (1,) * (len(out.shape) - len(wire.shape)) + wire.shape
    if any(n not in (1, m) for n, m in zip(padded, out.shape, strict=True)):
        return ()
    return tuple(i for i, n in enumerate(padded) if n == 1 and out.shape[i] != 1)


# Finite differences


def differences(graph: Graph, loss: Wire, h: float = 1e-5) -> dict[int, float]:
    """For each leaf, (L(x + h u) - L(x - h u)) / 2h along a direction u, by running again.

    The direction of a scalar is 1; of a tensor it is the same for everybody (see `direction`). A
    graph too large to run again for each leaf, or whose values were not all kept, gives none.
    """
    leading = _leading(graph, loss)
    leaves = [
        wire for wire in graph.wires
        if wire.kind in ("input", "parameter") and wire.value is not None
        and any(box in leading for box, _ in wire.uses)
    ]  # fmt: skip
    boxes = [box for box in graph.boxes if box.index in leading]
    if len(leaves) * len(boxes) > MOST_REPLAYS:
        return {}
    found = {}
    for wire in leaves:
        step = h * direction(wire)
        ahead, behind = (_replayed(graph, boxes, loss, wire, sign * step) for sign in (1, -1))
        if ahead is None or behind is None:
            return {}
        found[wire.index] = (ahead - behind) / (2 * h)
    return found


def direction(wire: Wire) -> Any:
    """The direction along which a leaf is checked: of unit length, the same every time."""
    if not wire.shape:
        return np.float64(1.0)
    drawn = np.random.default_rng(0).standard_normal(wire.shape)
    return drawn / max(math.sqrt(float((drawn * drawn).sum())), 1e-30)


def _replayed(graph: Graph, boxes: list[Box], loss: Wire, moved: Wire, step: Any) -> float | None:
    """The loss in float64 with one leaf moved; None where something needed was not kept."""
    values: dict[int, Any] = {moved.index: np.asarray(moved.value, np.float64) + step}
    for box in boxes:
        arrays = []
        for index in box.inputs:
            value: Any = None if index is None else values.get(index, graph.wires[index].value)
            if index is not None and value is None:
                return None
            value = value._data if isinstance(value, Variable) else value
            if getattr(value, "dtype", None) in FLOATS:
                value = np.asarray(value.get() if hasattr(value, "get") else value, np.float64)
            arrays.append(value)
        params = {
            key: float64 if isinstance(value, np.dtype) and value in FLOATS else value
            for key, value in box.params.items()
        }
        with np.errstate(all="ignore"):
            out = box.gate.compute(np, *arrays, **params)
        parts = out if isinstance(out, tuple) else (out,)
        values.update(zip(box.outputs, parts, strict=False))
    return float(np.asarray(values[loss.index]).reshape(()))
