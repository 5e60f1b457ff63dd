"""`tg.player`: one HTML file that steps through a run, forward and edge by edge backward.

The file is made from the user's own tape: the picture's places, the steps and their numbers are
JSON inside it; `player.js` draws and moves through them. Nothing is fetched.
"""

from __future__ import annotations

import html
import json
import linecache
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.records import Variable
from tapegrad.autograd.tape import Tape

from .circuit import Placed, Sheet, Style, sheet
from .graph import Graph, Wire, read
from .picture import compose, host, norm, shape_of
from .steps import PlayerStep, differences, direction, fill, steps_of

HERE = Path(__file__).parent
AGREE = 1e-3  # relative, between a gradient in float32 and its finite difference


class Player:
    """Steps through a run: `.save("p.html")` writes the page, a notebook shows it.

    `steps` is the list of `PlayerStep`s, `differences` the finite difference at each leaf that
    could be checked, by the index of its wire in `graph`.
    """

    def __init__(self, graph: Graph, loss: Wire, title: str) -> None:
        self.graph = graph
        self.loss = loss
        self.title = title
        fill(graph)
        self.steps: list[PlayerStep] = steps_of(graph, loss)
        self.differences = differences(graph, loss)

    def save(self, path: str | Path) -> Path:
        """Write the page; the suffix must be .html.

        >>> import tapegrad as tg, tempfile
        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> path = tg.player(x * x).save(tempfile.mkdtemp() + "/square.html")
        >>> path.read_text().startswith("<!doctype html>")
        True
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ArgumentError(f"player: cannot save {path.name!r}; the suffix must be .html")
        path.write_text(self.html(), encoding="utf-8")
        return path

    def html(self) -> str:
        """The page as text."""
        return (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f'<meta name="color-scheme" content="light dark"><title>{html.escape(self.title)}'
            f"</title>\n{self.fragment()}</html>\n"
        )

    def fragment(self) -> str:
        """What goes into the body of a page: style, picture, controls, data and script."""
        data = json.dumps(self.data(), separators=(",", ":"), ensure_ascii=False)
        data = data.replace("</", "<\\/")  # a text must not end the script it stands in
        size = f"-16 -16 {self.width} {self.height}"
        return f"""<div class="player"><style>{_packed("player.css")}</style>
<p class="says" aria-live="polite"></p>
<div class="frame"><svg class="graph" viewBox="{size}" width="{self.width}" role="img" \
aria-label="{html.escape(self.title)}"></svg></div>
<p class="rule"></p><p class="source"></p><p class="chain"></p>
<p class="bar"><button class="first">«</button><button class="back">←</button>\
<button class="play">play</button><button class="next">→</button><button class="last">»</button>\
<input class="slider" type="range" max="{len(self.steps)}" aria-label="step">\
<span class="count"></span> <label><input type="checkbox" class="predict">predict</label>\
<button class="smaller">A−</button><button class="larger">A+</button>\
<button class="save">save step</button></p>
<form class="asks" hidden><span class="question"></span> <input class="guess" type="text" \
aria-label="your number"><button>show</button></form><p class="verdict" aria-live="polite"></p>
<p class="badge{"" if self.agrees else " bad"}" hidden>{html.escape(self.badge())}</p>
<script type="application/json" class="data">{data}</script>
<script>{_packed("player.js")}</script></div>
"""

    @property
    def agrees(self) -> bool:
        """Whether every finite difference agrees with its gradient."""
        return all(self._agrees(index) for index in self.differences)

    def _agrees(self, index: int) -> bool:
        found, expected = self.slope(index), self.differences[index]
        return abs(found - expected) <= AGREE * max(1.0, abs(expected))

    def slope(self, index: int) -> float:
        """The gradient of a leaf along the direction in which it is checked."""
        total = next(
            s.total for s in reversed(self.steps) if s.wire == index and s.kind != "forward"
        )
        return float(np.sum(host(total) * direction(self.graph.wires[index])))

    def badge(self) -> str:
        """What the gradient check says."""
        if not self.differences:
            return "Gradient check: not run (too large, or values were not kept)."
        checked = sorted(self.differences)
        lines = [
            f"{_name(self.graph.wires[i])} {self.slope(i):.4g} (by difference "
            f"{self.differences[i]:.4g})"
            if not self._agrees(i)
            else f"{_name(self.graph.wires[i])} {self.slope(i):.4g} ≈ {self.differences[i]:.4g}"
            for i in checked[:8]
        ]
        more = f" and {len(checked) - 8} more" if len(checked) > 8 else ""
        verdict = "passed" if self.agrees else "FAILED"
        return f"Gradient check {verdict}: {', '.join(lines)}{more}"

    # The data of the page

    def data(self) -> dict[str, Any]:
        """Items, wires, lines, steps and source lines, as short lists of numbers and texts."""
        picture = compose(self.graph, 10**9)
        drawn = sheet(picture, Style("LR", reserve=True))
        self.width, self.height = math.ceil(drawn.width + 32), math.ceil(drawn.height + 32)
        sources, rules = _Listed(), _Listed()
        item_of = {
            p.item.box.index: i for i, p in enumerate(drawn.placed) if p.item.box is not None
        }
        line_of = {(line.box, line.position): i for i, line in enumerate(picture.lines)}
        steps: list[list[Any]] = []
        for step in self.steps:
            if step.kind == "forward":
                steps.append(["f", item_of[step.box]])
            elif step.kind == "seed":
                steps.append(["s", step.wire])
            else:
                upstream = step.upstream[0] if isinstance(step.upstream, list) else step.upstream
                numbers = [_shown(upstream), None if step.local is None else _round(step.local)]
                numbers += [_shown(step.share), _shown(step.total)]
                steps.append(["b", line_of[step.box, step.position], *numbers, *_note(step)])
        return {
            "title": self.title,
            "items": [self._item(placed, drawn, sources) for placed in drawn.placed],
            "wires": [[_name(wire), _shown(wire.value)] for wire in self.graph.wires],
            "forks": [wire.index for wire in self.graph.wires if len(wire.uses) > 1],
            "lines": [self._line(drawn, i, rules) for i in range(len(picture.lines))],
            "steps": steps,
            "sources": sources.texts,
            "rules": rules.texts,
        }

    def _item(self, placed: Placed, drawn: Sheet, sources: _Listed) -> list[Any]:
        """A gate, a leaf or a block: where it stands, what it is called, what goes into it."""
        item, (x, y) = placed.item, placed.centre
        wire, box = item.wire, item.box
        facts: list[Any] = []
        if box is not None:
            facts = [sources.add(_source(box.origin)), [-1 if i is None else i for i in box.inputs]]
        if wire is not None and self.graph.scalar:
            end = x + placed.width / 2
            middle = x - placed.width / 2 + placed.body / 2
            kind = 0 if item.kind == "gate" else 1
            shape = [_i(middle), _i(y), _i(placed.body), item.title, wire.index, _i(end)]
            return [kind, *shape, *facts]
        lines = [text for text, _ in item.lines]
        title = "\n".join([item.title, *lines, *([shape_of(wire)] if wire is not None else [])])
        index = -1 if wire is None else wire.index
        shape = [_i(x), _i(y), _i(placed.width), title, index, _i(placed.height)]
        heat = drawn.heat(item)
        if heat is None:
            return [2, *shape, *facts]
        cells = [[_round(v) for v in row] for row in heat]
        return [2, *shape, *(facts or [-1, []]), cells]

    def _line(self, drawn: Sheet, index: int, rules: _Listed) -> list[Any]:
        """From where to where, on which wire, by which rule, and the points on the way."""
        line = drawn.picture.lines[index]
        gate = self.graph.boxes[line.box].gate
        rule = ""
        if line.slope:
            rule = f"d {gate.name}/d{gate.input_names[line.position]} = {line.slope}"
        points = [_i(v) for point in drawn.route(index) for v in point]
        return [line.start, line.end, line.wire.index, line.position, rules.add(rule), *points]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            page = html.escape(self.html())
            frame = (
                f'<iframe sandbox="allow-scripts allow-downloads" srcdoc="{page}" '
                f'style="width:100%;height:{min(self.height, 600) + 260}px;border:0"></iframe>'
            )
            return {"text/plain": repr(self), "text/html": frame}
        except Exception as error:  # a page that fails must not take the notebook's cell down
            return {"text/plain": f"{self!r} could not be shown: {error}"}

    def __repr__(self) -> str:
        return f"<Player of {len(self.graph.boxes)} gates in {len(self.steps)} steps>"


def player(
    loss: Any, *, names: dict[str, Any] | None = None, title: str = "Backpropagation"
) -> Player:
    """Make a page that steps through how `loss` was computed and differentiated.

    Forward gate by gate, then dL/dL = 1, then backward edge by edge: "upstream 0.1966 x local 2 =
    0.3932 (sum so far 0.3932)". The numbers are those of the run; `.grad` is not touched. A run
    recorded under `with tg.Tape() as tape:` shows the line of the program beside each step.

    Args:
        loss: a tensor of one element, or a `Tape` whose last step made one.
        names: names for tensors, `names=locals()` for all variables. Default: their own.
        title: what the page is called. Default: "Backpropagation".

    Returns:
        A `Player`, which shows itself in a notebook; `.save("p.html")` writes the page.

    Raises:
        ArgumentError: if the loss has more than one element.
        RuntimeError: if nothing was recorded, or backward has freed what the steps need.

    >>> import tapegrad as tg
    >>> x, y, z = (tg.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> tg.player((x + y) * z, names=locals())
    <Player of 2 gates in 7 steps>
    """
    if not isinstance(loss, (Variable, Tape)):
        raise TypeError(f"player: expected a tensor or a Tape, got {type(loss).__name__}")
    graph = read(loss, names)
    if not graph.boxes:
        raise RuntimeError("player: nothing was recorded on the way to this tensor")
    last = graph.wires[graph.boxes[-1].outputs[0]]
    if math.prod(last.shape or ()) != 1:
        raise ArgumentError(
            f"player: the loss has shape {last.shape}; reduce it to one element (.sum(), .mean())"
        )
    return Player(graph, last, title)


class _Listed:
    """Texts that steps refer to by their place in a list."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.places: dict[str, int] = {}

    def add(self, text: str) -> int:
        if not text:
            return -1
        if text not in self.places:
            self.places[text] = len(self.texts)
            self.texts.append(text)
        return self.places[text]


def _packed(name: str) -> str:
    """A file beside this one without its indentation and comments."""
    lines = (line.strip() for line in (HERE / name).read_text(encoding="utf-8").splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("//"))
    if name.endswith(".css"):
        return re.sub(r"\s*([{}:;,])\s*", r"\1", text)
    return text.replace(" => ", "=>")


def _round(value: Any) -> float | str:
    """Five significant digits; what JSON has no number for, as text."""
    number = float(np.asarray(host(value)).reshape(()))
    if not math.isfinite(number):
        return str(number)
    return int(number) if number == int(number) and abs(number) < 1e5 else float(f"{number:.5g}")


def _shown(value: Any) -> float | str | None:
    """A number as it is, of a tensor its length."""
    if value is None:
        return None
    return _round(value) if np.size(value) == 1 else f"|{norm(value):.4g}|"


def _name(wire: Wire) -> str:
    if wire.name:
        return wire.name
    if wire.kind == "constant" and wire.value is not None and np.size(wire.value) == 1:
        return f"{float(np.asarray(host(wire.value)).reshape(())):.6g}"
    return f"#{wire.number}" if wire.number else wire.kind


def _source(origin: str) -> str:
    """`file:line` with the line itself, where it can still be read."""
    file, _, line = origin.rpartition(":")
    if not file:
        return ""
    text = linecache.getline(file, int(line)).strip()
    return f"{Path(file).name}:{line}  {text}".rstrip()


def _note(step: PlayerStep) -> list[str]:
    if not step.summed:
        return []
    return [f"summed over axis {', '.join(map(str, step.summed))}: it was broadcast"]


def _i(value: float) -> int:
    return round(value)
