"""What a picture shows of a graph: boxes and lines, with what modules recorded folded together.

A small graph is shown gate by gate. A large one is grouped by module, to the depth that still fits
a page; equal blocks in a row become one box "x 12"; what no module recorded is cut in the middle,
and says so.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import MODULES

from .calls import ModuleCall
from .graph import Box, Failure, Graph, Wire

MOST_ITEMS = 150  # shown one by one
MOST_OF_MODULES = 60  # where there are modules to group them by
MOST_BOXES = 20  # shown when grouped
KEPT_AT_ENDS = 40  # gates at either end of a long graph without modules


LEAVES = ("input", "parameter", "constant", "stopped")  # the kinds of wires from outside
WITHOUT = ("constant", "stopped")  # those of them that no gradient comes to


@dataclass
class Item:
    """One thing in the picture: a gate, a value from outside, or a folded group of gates.

    `wire` is the value that comes out of it, where there is just one.
    """

    kind: str  # that of a wire from outside, or "gate", "group", "more", "failed"
    title: str
    lines: list[tuple[str, str]] = field(default_factory=list)  # (text, class)
    wire: Wire | None = None
    box: Box | None = None
    tooltip: str = ""
    times: int = 1
    members: list[int] = field(default_factory=list)  # the boxes folded into it


@dataclass
class Line:
    """A wire from one item to another, with the share of the gradient that comes back on it."""

    start: int
    end: int
    wire: Wire
    box: int = -1  # the gate it leads to, and as which of its inputs
    position: int = -1
    share: Any = None
    local: Any = None
    slope: str = ""  # the local derivative as a formula


@dataclass
class Picture:
    """Items, lines, and a note on what was left out."""

    items: list[Item]
    lines: list[Line]
    note: str = ""
    scalar: bool = False


def compose(graph: Graph, depth: int | None = None) -> Picture:
    """The picture of a graph, groups open down to `depth` modules (None: what fits)."""
    tree = _Modules(graph)
    if depth is not None:
        return _picture(graph, tree, depth, cut=False)
    count = len(graph.boxes) + sum(wire.source is None for wire in graph.wires)
    if count <= (MOST_OF_MODULES if tree.deepest > 0 else MOST_ITEMS):
        return _picture(graph, tree, None, cut=False)
    picture = None
    for level in range(1, tree.deepest + 1):
        deeper = _picture(graph, tree, level, cut=True)
        if picture is not None and len(deeper.items) > MOST_BOXES:
            break
        picture = deeper
    return picture or _picture(graph, tree, None, cut=True)


class _Modules:
    """The module calls that enclose each box, outermost first, and the names modules give."""

    def __init__(self, graph: Graph) -> None:
        self.names: dict[int, str] = {}  # of calls, by where they start
        self.parameters: dict[int, str] = {}  # of leaves, by the number of their node
        self.paths: list[tuple[ModuleCall, ...]] = []
        open_calls: list[ModuleCall] = []
        waiting = sorted(graph.calls, key=lambda call: (call.start, -call.end))
        place = 0
        for box in graph.boxes:
            while open_calls and open_calls[-1].end < box.number:
                open_calls.pop()
            while place < len(waiting) and waiting[place].start < box.number:
                call = waiting[place]
                place += 1
                while open_calls and open_calls[-1].end < call.end:
                    open_calls.pop()
                if call.end >= box.number:
                    self.name(call, open_calls)
                    open_calls.append(call)
            self.paths.append(tuple(open_calls))
        whole = {path[0] for path in self.paths if path}
        # A model that is called once is the page, not a box on it.
        self.skipped = 1 if len(whole) == 1 else 0
        self.deepest = max((len(path) for path in self.paths), default=0) - self.skipped
        self.own_parameters(graph)

    def name(self, call: ModuleCall, outer: list[ModuleCall]) -> None:
        """The name of the module within the one that called it; else that of its class."""
        module = call.module()
        self.names[call.start] = call.kind
        for above in outer:
            owner = above.module()
            if owner is None or module is None:
                continue
            for name, child in owner.named_modules():
                if child is module and name:
                    self.names[call.start] = name
                    return

    def own_parameters(self, graph: Graph) -> None:
        """Name the leaves that the modules own."""
        seen = set()
        for path in self.paths:
            for call in path[:1]:
                module = call.module()
                if module is None or id(module) in seen:
                    continue
                seen.add(id(module))
                for name, parameter in module.named_parameters():
                    if parameter._node is not None:
                        self.parameters[parameter._node.number] = name
        for wire in graph.wires:
            if wire.kind == "input" and wire.number in self.parameters:
                wire.kind = "parameter"
                wire.name = wire.name or self.parameters[wire.number]

    def group(self, box: int, depth: int | None) -> ModuleCall | None:
        """The call whose box a gate disappears into, if groups open `depth` modules deep."""
        path = self.paths[box]
        if depth is None or not path:
            return None
        if not depth:
            return path[0]
        path = path[self.skipped :]
        return path[depth - 1] if len(path) >= depth else None


def _picture(graph: Graph, tree: _Modules, depth: int | None, cut: bool) -> Picture:
    keys: list[Any] = []
    for box in graph.boxes:
        call = tree.group(box.index, depth)
        keys.append(("group", call.start) if call is not None else ("gate", box.index))
    alone = [key for key in keys if key[0] == "gate"]
    if cut and len(alone) > 2 * KEPT_AT_ENDS:
        kept = {*alone[:KEPT_AT_ENDS], *alone[-KEPT_AT_ENDS:]}
        keys = [key if key[0] == "group" or key in kept else ("more",) for key in keys]
    members: dict[Any, list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(key, []).append(index)
    calls = {call.start: call for path in tree.paths for call in path}
    items: list[Item] = []
    place: dict[Any, int] = {}
    for key, boxes in members.items():
        place[key] = len(items)
        if key[0] == "gate":
            items.append(_gate(graph, graph.boxes[boxes[0]]))
        elif key[0] == "group":
            items.append(_group(graph, boxes, calls[key[1]], tree.names[key[1]]))
        else:
            items.append(_more(boxes))
    of_box = [place[key] for key in keys]
    lines = _lines(graph, items, of_box)
    picture = Picture(items, lines, scalar=graph.scalar)
    _fold(picture)
    _order(picture)
    hidden = sum(len(item.members) for item in picture.items)
    if hidden:
        picture.note = (
            f"{len(graph.boxes):,} gates, {hidden:,} of them folded into boxes; depth= opens them"
        )
    if graph.failure is not None:
        _fail(picture, graph.failure, graph)
    return picture


def _gate(graph: Graph, box: Box) -> Item:
    wire = graph.wires[box.outputs[0]] if len(box.outputs) == 1 and box.outputs[0] >= 0 else None
    item = Item("gate", box.gate.symbol or box.gate.name, wire=wire, box=box)
    params = ", ".join(f"{k}={v}" for k, v in box.params.items())
    item.tooltip = f"#{box.number} {box.gate.name}({params})"
    if box.origin:
        item.tooltip += f"\n{Path(box.origin).name}"  # file:line; where the file lies is nobody's
    return item


def _group(graph: Graph, boxes: list[int], call: ModuleCall, name: str) -> Item:
    item = Item("group", name, members=boxes)
    if name != call.kind:
        item.lines.append((call.kind, "kind"))
    sizes = {
        index: math.prod(graph.wires[index].shape or ())
        for box in boxes
        for index in graph.boxes[box].inputs
        if index is not None and graph.wires[index].kind == "parameter"
    }
    item.lines.append((many(len(boxes), "gate"), "fact"))
    if sizes:
        item.lines.append((many(sum(sizes.values()), "parameter"), "fact"))
    return item


def _more(boxes: list[int]) -> Item:
    return Item("more", f"{len(boxes):,} more gates", members=boxes)


def _fail(picture: Picture, failure: Failure, graph: Graph) -> None:
    """The operation that failed, at the end of the wires it was given."""
    item = Item("failed", f"{failure.operation} failed")
    item.lines = [(line, "grad") for line in textwrap.wrap(failure.message, 44)[:5]]
    picture.items.append(item)
    for wire in graph.wires:
        if wire.number and wire.number in failure.nodes:
            start = next((i for i, it in enumerate(picture.items) if it.wire is wire), None)
            if start is None:
                start = len(picture.items)
                picture.items.append(Item(wire.kind, _label(wire, graph.scalar), wire=wire))
            picture.lines.append(Line(start, picture.items.index(item), wire))


def many(count: int, what: str) -> str:
    """A count with its noun: "1 gate", "1,000 gates"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _lines(graph: Graph, items: list[Item], of_box: list[int]) -> list[Line]:
    """The wires between items; values from outside become items where they are not folded in."""
    lines: list[Line] = []
    for wire in graph.wires:
        start = None if wire.source is None else of_box[wire.source]
        users = dict.fromkeys(of_box[box] for box, _ in wire.uses)
        if start is None:
            if wire.kind == "constant" and not graph.scalar and not wire.shape and not wire.name:
                for user in users:  # a number, or what is not known any more: no box of its own
                    if wire.value is not None and not items[user].members:
                        items[user].lines.append((f"with {number(wire.value)}", "fact"))
                continue
            folded = len(users) == 1 and items[next(iter(users))].members
            if folded and wire.kind in ("parameter", "constant"):
                continue
            start = len(items)
            items.append(Item(wire.kind, _label(wire, graph.scalar), wire=wire))
        seen: set[int] = set()
        for box, position in wire.uses:
            end = of_box[box]
            if end == start or (items[end].members and end in seen):
                continue
            seen.add(end)
            at = graph.boxes[box]
            line = Line(start, end, wire, box, position)
            if not items[end].members:
                line.share, line.local = at.shares[position], at.locals[position]
                line.slope = at.gate.slope(position)
            lines.append(line)
        if items[start].members and (not wire.uses or seen):
            items[start].wire = wire if items[start].wire is None else items[start].wire
    return lines


def _label(wire: Wire, scalar: bool) -> str:
    """What a value from outside is called: its name; on a circuit a number speaks for itself."""
    return wire.name or ("" if scalar else wire.kind)


def _fold(picture: Picture) -> None:
    """Equal groups in a row, each leading to the next alone, become one box."""
    into: dict[int, set[int]] = {}
    out: dict[int, set[int]] = {}
    for line in picture.lines:
        out.setdefault(line.start, set()).add(line.end)
        into.setdefault(line.end, set()).add(line.start)
    gone: dict[int, int] = {}
    for index, item in enumerate(picture.items):
        if item.kind != "group" or index in gone:
            continue
        last, last_title = index, item.title
        while True:
            following = out.get(last, set())
            after = next(iter(following)) if len(following) == 1 else None
            if after is None or into.get(after) != {last}:
                break
            other = picture.items[after]
            if other.kind != "group" or other.lines != item.lines:
                break
            gone[after] = index
            item.times += 1
            item.members = [*item.members, *other.members]
            item.wire = other.wire
            last, last_title = after, other.title
        if item.times > 1:
            item.title = f"{item.title} ... {last_title}"
    if not gone:
        return
    kept = [i for i in range(len(picture.items)) if i not in gone]
    place = {old: new for new, old in enumerate(kept)}
    picture.items = [picture.items[i] for i in kept]
    lines = []
    for line in picture.lines:
        line.start = place[gone.get(line.start, line.start)]
        line.end = place[gone.get(line.end, line.end)]
        if line.start != line.end:
            lines.append(line)
    picture.lines = lines


def _order(picture: Picture) -> None:
    """Lines in the order of their ends, so that the same program gives the same picture."""
    picture.lines.sort(key=lambda line: (line.start, line.end, line.position))


# Numbers as they are shown


def number(value: Any) -> str:
    """A scalar with four significant digits, as on a blackboard.

    >>> number(0.196612), number(-12.0), number(1e-7), number(123456.0)
    ('0.1966', '-12', '1e-07', '1.235e+05')
    """
    value = float(np.asarray(value.get() if hasattr(value, "get") else value).reshape(()))
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    shown = f"{value:.4g}"
    if 1e-4 <= abs(value) < 1 and "e" not in shown:
        shown = f"{value:.4f}".rstrip("0") if abs(value) >= 0.1 else f"{value:.4g}"
    return shown


def shape_of(wire: Wire) -> str:
    """`(2, 3) float32`; float32 goes without saying."""
    if wire.shape is None:
        return ""
    kind = "" if wire.dtype is None or str(wire.dtype) == "float32" else f" {wire.dtype}"
    return f"({', '.join(map(str, wire.shape))}){kind}"


def host(value: Any) -> Any:
    """An array on the CPU in float64, or None."""
    if value is None or (type(value) in MODULES and value.dtype.kind not in "fiubV"):
        return None
    value = value.get() if hasattr(value, "get") else value
    return np.asarray(value).astype(np.float64)


def norm(value: Any) -> float:
    """The Euclidean length of an array."""
    return float(np.sqrt(np.sum(np.square(host(value)))))
