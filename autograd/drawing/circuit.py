"""A picture as SVG: wires with the value above and the gradient below, gates as circles.

Pure text out of the layout's numbers: no fonts are measured, nothing is fetched, and the same
picture gives the same bytes. Colours follow the reader's light or dark page.
"""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .layout import Layout, Point, layered
from .picture import LEAVES, WITHOUT, Item, Line, Picture, host, norm, number, shape_of

CHARACTER = 7.2  # the width of a character of 12 px, on the safe side
RADIUS = 17.0
MARGIN = 16.0
CELLS = 400  # elements of a tensor shown as colours
CELLS_OF_STEPS = 64  # in the player, whose page should stay small
SHOWS = ("value", "grad", "shape", "local")
DIRECTIONS = ("LR", "TB")
PAGE = 1280.0  # a wider network is drawn from top to bottom, unless the caller says otherwise

# Colours (light page, dark page) of values, gradients, local derivatives and parameters. The
# second palette is that of Okabe and Ito, "Color universal design" (2008).
PALETTES = {
    "lecture": (("#15803d", "#4ade80"), ("#c62828", "#ff8a80"), ("#6d28d9", "#c4b5fd"),
                ("#1d4ed8", "#93c5fd")),
    "colour-blind": (("#0072b2", "#56b4e9"), ("#b84700", "#e69f00"), ("#8a4a75", "#cc79a7"),
                     ("#00694d", "#2fbf9b")),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """What the caller asked for."""

    direction: str | None = None
    palette: str = "lecture"
    show: tuple[str, ...] = ("value", "grad", "shape")
    reserve: bool = False  # room for value and gradient in every box, known or not


@dataclass
class Placed:
    """An item with its size, where its centre lies, and where its wire leaves it."""

    item: Item
    width: float
    height: float
    lines: list[tuple[str, str]]
    centre: Point = (0.0, 0.0)
    body: float = 0.0  # the width of the gate or box; the rest is for the labels on its wire


def svg(picture: Picture, style: Style, *, prefix: str = "") -> str:
    """The picture as an SVG document; `prefix` keeps two on one page apart."""
    return sheet(picture, style, prefix).document()


def sheet(picture: Picture, style: Style, prefix: str = "") -> Sheet:
    """The picture laid out."""
    if style.direction is not None:
        return Sheet(picture, style, prefix)
    found = Sheet(picture, replace(style, direction="LR"), prefix)
    if found.width > PAGE and not picture.scalar:
        down = Sheet(picture, replace(style, direction="TB"), prefix)
        return down if down.width < found.width else found
    return found


class Sheet:
    """One drawing: sizes, places, then the text."""

    def __init__(self, picture: Picture, style: Style, prefix: str) -> None:
        self.picture = picture
        self.style = style
        self.prefix = prefix
        self.down = style.direction == "TB"
        self.placed = [self.sized(item) for item in picture.items]
        forks = any(len(line.wire.uses) > 1 for line in picture.lines)
        local = "local" in style.show
        # Straight on before a gate, so that what is written there does not meet a bend.
        self.lead = 0.0
        if picture.scalar and (forks or local):
            self.lead = 14.0 if self.down else 30.0 + 24.0 * (forks and local) + 10.0 * local
        sizes = [(p.height, p.width) if self.down else (p.width, p.height) for p in self.placed]
        layout = layered(
            sizes,
            [(line.start, line.end) for line in picture.lines],
            layer_gap=28.0 + self.lead,
            node_gap=20.0 if self.down else 14.0,
        )
        self.place(layout)

    # Sizes and places

    def sized(self, item: Item) -> Placed:
        """How large an item is, with the labels on the wire that leaves it."""
        labels = self.labels(item)
        wide = max((len(text) for text, _ in labels), default=0) * CHARACTER
        title = len(_title(item)) * CHARACTER * 1.08
        if item.kind == "gate" and self.picture.scalar:
            body = max(2 * RADIUS, title + 14 if len(item.title) > 4 else 0.0)
            high = 2 * RADIUS
        elif self.picture.scalar and item.kind in LEAVES:
            body, high = max(title + 10, 12.0), 34.0
        else:
            texts = [*item.lines, *labels]
            count = len(texts) + 1
            body = max([title, *(len(text) * CHARACTER for text, _ in texts)]) + 22
            high = 15.0 * count + 14
            heat = self.heat(item)
            if heat is not None:
                body = max(body, 84.0)
                high += 8 + min(44.0, (body - 16) * heat.shape[0] / heat.shape[1])
            return Placed(item, body, high, labels, body=body)
        if self.down:
            return Placed(
                item, max(body, wide + 16), high + (30 if labels else 0), labels, body=high
            )
        return Placed(item, body + (wide + 12 if labels else 0.0), high, labels, body=body)

    def labels(self, item: Item) -> list[tuple[str, str]]:
        """The value and the gradient of the wire that leaves an item."""
        wire, show = item.wire, self.style.show
        if wire is None:
            return []
        found: list[tuple[str, str]] = []
        if self.picture.scalar:
            if "value" in show and wire.value is not None:
                found.append((number(wire.value), "value"))
            if "grad" in show and wire.kind not in WITHOUT:
                found.append(
                    (number(wire.grad), "grad")
                    if wire.grad is not None
                    else ("no grad yet", "none")
                )
            return found
        if "shape" in show and wire.shape is not None:
            found.append((shape_of(wire), "shape"))
        if self.style.reserve:
            return [*found, ("|-0.0000|", "value"), ("|-0.0000|", "grad")]
        value = host(wire.value) if "value" in show else None
        if value is not None and value.size == 1:
            found.append((number(value), "value"))
        elif value is not None and value.size and item.kind != "constant":
            found.append((f"{number(value.mean())} ± {number(value.std())}", "value"))
        if "grad" in show and wire.kind not in WITHOUT:
            if wire.grad is None:
                if not wire.shape or wire.kind != "value":
                    found.append(("no gradient yet", "none"))
            elif np.size(wire.grad) == 1:
                found.append((number(wire.grad), "grad"))
            else:
                found.append((f"|grad| {number(norm(wire.grad))}", "grad"))
        return found

    def heat(self, item: Item) -> Any:
        """The values of a small matrix or vector from outside, to be shown as colours."""
        wire, reserve = item.wire, self.style.reserve
        if wire is None or (item.kind == "gate" and not reserve) or item.kind == "group":
            return None
        value = host(wire.value)
        if "value" not in self.style.show or value is None or value.ndim not in (1, 2):
            return None
        if not 1 < value.size <= (CELLS if not reserve else CELLS_OF_STEPS):
            return None
        return np.atleast_2d(value) if np.isfinite(value).all() else None

    def place(self, layout: Layout) -> None:
        """Take over the layout's places, turned where the picture runs down."""
        turn = (lambda p: (p[1], p[0])) if self.down else (lambda p: p)
        for placed, centre in zip(self.placed, layout.centres, strict=True):
            placed.centre = turn(centre)
        self.routes = [[turn(point) for point in route] for route in layout.routes]
        self.width, self.height = turn((layout.width, layout.height))
        self.ports = self.entries()
        self.spans: dict[str, float] = {}  # half the extent of each layer, by where its middle is
        for placed in self.placed:
            middle, size = placed.centre[self.down], placed.height if self.down else placed.width
            self.spans[_n(middle)] = max(self.spans.get(_n(middle), 0.0), size / 2)

    # Text

    def document(self) -> str:
        note = self.picture.note
        width = max(self.width, len(note) * CHARACTER * 0.9) + 2 * MARGIN
        height = self.height + 2 * MARGIN + (20 if note else 0)
        gates = sum(item.kind == "gate" for item in self.picture.items)
        title = f"Computational graph: {gates} gates, {len(self.picture.lines)} wires"
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tapegrad" role="img" '
            f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}">',
            f"<title>{_escaped(title)}</title>",
            f"<style>{self.rules()}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            f'<g transform="translate({_n(MARGIN)} {_n(MARGIN)})">',
            *(self.wire(i, line) for i, line in enumerate(self.picture.lines)),
            *(self.item(i, placed) for i, placed in enumerate(self.placed)),
        ]
        if note:
            parts.append(
                f'<text class="note" x="0" y="{_n(self.height + 18)}">{_escaped(note)}</text>'
            )
        return "\n".join([*parts, "</g>", "</svg>"]) + "\n"

    def rules(self) -> str:
        """The style sheet: one for light pages, the differences for dark ones."""
        names = ("value", "grad", "local", "parameter")
        light, dark = zip(*PALETTES[self.style.palette], strict=True)
        colours = "".join(f"--{n}:{c};" for n, c in zip(names, light, strict=True))
        night = "".join(f"--{n}:{c};" for n, c in zip(names, dark, strict=True))
        return (
            f"svg.tapegrad{{--ink:#1f2328;--paper:#fff;--soft:#f3f5f8;--line:#57606a;{colours}"
            "font:12px ui-sans-serif,system-ui,'DejaVu Sans',sans-serif}"
            "@media(prefers-color-scheme:dark){svg.tapegrad{--ink:#e6edf3;--paper:#0d1117;"
            f"--soft:#1b222c;--line:#9aa4af;{night}}}}}"
            ".tapegrad .paper{fill:var(--paper)}.tapegrad text{fill:var(--ink)}"
            ".tapegrad .value{fill:var(--value)}.tapegrad .grad,.tapegrad .share{fill:var(--grad)}"
            ".tapegrad .local{fill:var(--local)}.tapegrad .none,.tapegrad .note,.tapegrad .fact,"
            ".tapegrad .kind,.tapegrad .shape{fill:var(--line)}.tapegrad .none{font-style:italic}"
            ".tapegrad .wire{fill:none;stroke:var(--line);stroke-width:1.3}"
            ".tapegrad .gate,.tapegrad .group,.tapegrad .leaf{fill:var(--soft);stroke:var(--ink);"
            "stroke-width:1.3}.tapegrad .group{stroke-width:2}"
            ".tapegrad .leaf.parameter{stroke:var(--parameter)}"
            ".tapegrad .leaf.constant{stroke-dasharray:4 3}.tapegrad .leaf.stopped{"
            "stroke:var(--grad);stroke-dasharray:1 3}.tapegrad .more{stroke-dasharray:2 3}"
            ".tapegrad .failed{stroke:var(--grad);stroke-width:2.5}"
            ".tapegrad .symbol{font-size:14px;font-weight:600}.tapegrad .title{font-weight:600}"
            ".tapegrad .share,.tapegrad .local{font-size:11px}.tapegrad .paper{stroke:none}"
        )

    def item(self, index: int, placed: Placed) -> str:
        item = placed.item
        x, y = placed.centre
        tip = f"<title>{_escaped(item.tooltip)}</title>" if item.tooltip else ""
        head = f'<g id="{self.prefix}n{index}" class="item">{tip}'
        if self.picture.scalar and (item.kind == "gate" or item.kind in LEAVES):
            return head + self.element(placed, x, y) + "</g>"
        return head + self.block(placed, x, y) + "</g>"

    def element(self, placed: Placed, x: float, y: float) -> str:
        """A gate as a circle, or a name from outside, and the labels on the wire it sends on."""
        item = placed.item
        if self.down:
            cx, cy = x, y - placed.height / 2 + placed.body / 2
        else:
            cx, cy = x - placed.width / 2 + placed.body / 2, y
        parts = []
        end = (x, y + placed.height / 2) if self.down else (x + placed.width / 2, y)
        if item.kind == "gate":
            if (placed.body > 2 * RADIUS and not self.down) or len(item.title) > 4:
                wide = max(2 * RADIUS, len(item.title) * CHARACTER * 1.08 + 14)
                parts.append(
                    f'<rect class="gate" x="{_n(cx - wide / 2)}" y="{_n(cy - RADIUS)}" '
                    f'width="{_n(wide)}" height="{_n(2 * RADIUS)}" rx="{_n(RADIUS)}"/>'
                )
                start = (cx + wide / 2, cy)
            else:
                parts.append(f'<circle class="gate" cx="{_n(cx)}" cy="{_n(cy)}" r="{_n(RADIUS)}"/>')
                start = (cx + RADIUS, cy)
            parts.append(_text(cx, cy + 5, item.title, "symbol", "middle"))
        else:
            parts.append(_text(cx, cy + 4, item.title, "title", "middle"))
            start = (cx + placed.body / 2, cy)
        if self.down:
            start = (x, cy + placed.body / 2)
        if placed.lines:
            parts.append(f'<path class="wire" d="M{_p(start)}L{_p(end)}"/>')
        for text, kind in placed.lines:
            above = kind == "value"
            if self.down:
                at = (x - 5, end[1] - 10) if above else (x + 5, end[1] - 10)
                parts.append(_text(*at, text, kind, "end" if above else "start"))
            else:
                middle = (start[0] + end[0]) / 2
                parts.append(_text(middle, y - 5 if above else y + 14, text, kind, "middle"))
        return "".join(parts)

    def block(self, placed: Placed, x: float, y: float) -> str:
        """A box with its title and what is known of its value."""
        item = placed.item
        left, top = x - placed.width / 2, y - placed.height / 2
        leaf = item.kind in LEAVES
        kind = f"leaf {item.kind}" if leaf else f"group {item.kind}"
        round_ = 4 if item.kind != "gate" else 14
        shadow = ""
        if item.times > 1:
            shadow = (
                f'<rect class="{kind}" x="{_n(left + 5)}" y="{_n(top - 5)}" '
                f'width="{_n(placed.width)}" height="{_n(placed.height)}" rx="{round_}"/>'
            )
        parts = [
            shadow,
            f'<rect class="{"gate" if item.kind == "gate" else kind}" x="{_n(left)}" '
            f'y="{_n(top)}" width="{_n(placed.width)}" height="{_n(placed.height)}" '
            f'rx="{round_}"/>',
        ]
        title = _title(item)
        line = top + 18
        parts.append(_text(x, line, title, "title", "middle"))
        for text, what in [*item.lines, *placed.lines]:
            line += 15
            parts.append(_text(x, line, text, what, "middle"))
        heat = self.heat(item)
        if heat is not None:
            room = top + placed.height - line - 14
            parts.append(_heat_map(heat, left + 8, line + 7, placed.width - 16, room))
        return "".join(parts)

    def wire(self, index: int, line: Line) -> str:
        """A smooth line through its points; at its end, what the gradient does on it."""
        points = self.route(index)
        drawn = f'<path id="{self.prefix}w{index}" class="wire" d="{self.path(points)}"/>'
        return drawn + self.marks(line, points[-1], self.ports[index])

    def route(self, index: int) -> list[Point]:
        """The points of a line: its beginning, then two for each bend between layers, its end."""
        line = self.picture.lines[index]
        source, target = self.placed[line.start], self.placed[line.end]
        points = list(self.routes[index])
        offset = self.ports[index]
        inward = 0.0
        if self.picture.scalar and target.item.kind == "gate" and target.body <= 2 * RADIUS:
            inward = RADIUS - math.sqrt(RADIUS * RADIUS - offset * offset)
        if self.down:
            first = (points[0][0], source.centre[1] + source.height / 2)
            last = (points[-1][0] + offset, target.centre[1] - target.height / 2 + inward)
            points[-1] = (last[0], points[-1][1])
        else:
            first = (source.centre[0] + source.width / 2, points[0][1])
            last = (target.centre[0] - target.width / 2 + inward, points[-1][1] + offset)
            points[-1] = (points[-1][0], last[1])
        along = 1 if self.down else 0
        passed = [first]
        for here, after in itertools.pairwise(points):
            for point, sign in ((here, 1), (after, -1)):
                edge = point[along] + sign * self.spans[_n(point[along])]
                edge -= self.lead if sign < 0 else 0.0
                passed.append((point[0], edge) if self.down else (edge, point[1]))
        return [*passed, last]

    def path(self, points: Sequence[Point]) -> str:
        """Straight across the layers, smooth between them."""
        parts = [f"M{_p(points[0])}"]
        for start, end in zip(points[1:-1:2], points[2:-1:2], strict=True):
            half = (start[1] + end[1]) / 2 if self.down else (start[0] + end[0]) / 2
            bend = [(p[0], half) if self.down else (half, p[1]) for p in (start, end)]
            parts.append(f"L{_p(start)}C{_p(bend[0])} {_p(bend[1])} {_p(end)}")
        return "".join([*parts, f"L{_p(points[-1])}"])

    def marks(self, line: Line, end: Point, offset: float) -> str:
        """At the end of a wire: the local derivative, and at forks the share that comes back."""
        if not self.picture.scalar:
            return ""
        parts = []
        if "local" in self.style.show and line.local is not None:
            shown = number(line.local)
            formula = f"{line.slope} = " if line.slope and line.slope != shown else ""
            parts.append(f'<tspan class="local">{_escaped(formula)}{shown}</tspan>')
        if "grad" in self.style.show and line.share is not None and len(line.wire.uses) > 1:
            parts.append(f'<tspan class="share">{number(line.share)}</tspan>')
        if not parts:
            return ""
        if self.down:
            right = offset > 0
            x, y, anchor = end[0] + (5 if right else -5), end[1] - 6, "start" if right else "end"
        else:
            x, y, anchor = end[0] - 3, end[1] + (13 if offset > 0 else -5), "end"
        return f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{"  ".join(parts)}</text>'

    def entries(self) -> list[float]:
        """Where each line meets its target, off its middle: in the order they come from."""
        arriving: dict[int, list[int]] = {}
        for i, line in enumerate(self.picture.lines):
            arriving.setdefault(line.end, []).append(i)
        offsets = [0.0] * len(self.picture.lines)
        across = 0 if self.down else 1
        for end, found in arriving.items():
            found.sort(key=lambda i: (self.routes[i][-2][across], i))
            room = self.placed[end].height if not self.down else self.placed[end].width
            circle = self.picture.scalar and self.placed[end].item.kind == "gate"
            step = min(14.0, (1.4 * RADIUS if circle else 0.7 * room) / max(len(found) - 1, 1))
            for place, i in enumerate(found):
                offsets[i] = (place - (len(found) - 1) / 2) * step
        return offsets


def _heat_map(values: Any, x: float, y: float, width: float, height: float) -> str:
    """A matrix as cells: blue below zero, red above."""
    rows, columns = values.shape
    step = min(width / columns, height / rows)
    largest = float(np.abs(values).max()) or 1.0
    left = x + (width - step * columns) / 2
    cells = []
    for i in range(rows):
        for j in range(columns):
            part = float(values[i, j]) / largest
            pale = round(255 - 175 * abs(part))
            colour = f"#ff{pale:02x}{pale:02x}" if part > 0 else f"#{pale:02x}{pale:02x}ff"
            cells.append(
                f'<rect x="{_n(left + j * step)}" y="{_n(y + i * step)}" width="{_n(step)}" '
                f'height="{_n(step)}" fill="{colour}"/>'
            )
    return "".join(cells)


def _title(item: Item) -> str:
    times = f"  × {item.times}" if item.times > 1 else ""
    return item.title + times


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}"{place}>{_escaped(text)}</text>'


def _n(value: float) -> str:
    """A number with one decimal, always written alike."""
    return f"{value:.1f}"


def _p(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
