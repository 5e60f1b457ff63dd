"""`tg.draw`: the graph of what was computed, as a picture that saves and shows itself."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.tape import Tape

from . import dot
from .circuit import DIRECTIONS, PALETTES, SHOWS, Style, svg
from .failure import recorded
from .graph import Graph, read
from .picture import Picture, compose, many


class Drawing:
    """A picture of a graph: `.save(path)`, `.svg()`, `.to_dot()`; a notebook shows it.

    `graph` holds what is drawn as data: its wires with values and gradients, its gates.
    """

    def __init__(self, graph: Graph, style: Style, depth: int | None) -> None:
        self.graph = graph
        self.style = style
        self.picture: Picture = compose(graph, depth)

    def svg(self) -> str:
        """The picture as SVG text."""
        return svg(self.picture, self.style)

    def to_dot(self) -> str:
        """The same boxes and wires in the DOT language, for Graphviz to lay out."""
        return dot.source(self.picture, self.style)

    def html(self) -> str:
        """A page with nothing on it but the picture."""
        return (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
            f"<title>{html.escape(str(self))}</title>\n"
            '<meta name="color-scheme" content="light dark">'
            f"<body>\n{self.svg()}</body></html>\n"
        )

    def save(self, path: str | Path) -> Path:
        """Write the picture; the suffix says how: .svg, .html, .dot, .png or .pdf.

        PNG and PDF are drawn by the `dot` program of Graphviz; the others need nothing.

        >>> import tapegrad as tg, tempfile
        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> path = tg.draw(x * x).save(tempfile.mkdtemp() + "/square.svg")
        >>> path.read_text().startswith("<svg")
        True
        """
        path = Path(path)
        writers = {".svg": self.svg, ".html": self.html, ".dot": self.to_dot, ".gv": self.to_dot}
        kind = path.suffix.lower()
        if kind in writers:
            path.write_text(writers[kind](), encoding="utf-8")
        elif kind in (".png", ".pdf"):
            path.write_bytes(dot.rendered(self.to_dot(), kind[1:]))
        else:
            raise ArgumentError(
                f"draw: cannot save {path.name!r}; the suffix must be .svg, .html, .dot, .png "
                "or .pdf"
            )
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"text/plain": repr(self), "image/svg+xml": self.svg()}
        except Exception as error:  # a picture that fails must not take the notebook's cell down
            return {"text/plain": f"{self!r} could not be drawn: {error}"}

    def __repr__(self) -> str:
        gates, values = many(len(self.graph.boxes), "gate"), many(len(self.graph.wires), "value")
        return f"<Drawing of {gates} and {values}>"


def draw(
    value: Any,
    *inputs: Any,
    names: dict[str, Any] | None = None,
    direction: str | None = None,
    palette: str = "lecture",
    show: tuple[str, ...] | list[str] | str = ("value", "grad", "shape"),
    depth: int | None = None,
) -> Drawing:
    """Draw how `value` was computed: wires with value above and gradient below, gates as circles.

    Gradients appear once `backward` has run; before, the picture says so. Where a wire forks, each
    branch shows the share of the gradient that comes back on it, and the wire their sum. Networks
    are drawn as boxes with shapes, and large ones grouped by module.

    Args:
        value: a tensor, a list of them, a `Tape`; or a module (or any function of tensors), which
            is called with `inputs`, and drawn as far as it came if it fails.
        names: names for tensors, `names=locals()` for all variables. Default: their own.
        direction: "LR" (left to right) or "TB" (top to bottom). Default: "LR", or "TB" for a
            network that would be wider than a page.
        palette: "lecture" (green values, red gradients, the default) or "colour-blind".
        show: any of "value", "grad", "shape" and "local" (the local derivatives at the gates).
            Default: all but "local".
        depth: how many modules deep boxes are opened; 0 is the whole model as one box. Default:
            every gate of a small graph, of a large one what fits a page.

    Returns:
        A `Drawing`, which shows itself in a notebook; `.save("graph.svg")` writes it.

    Raises:
        ArgumentError: for an unknown direction, palette or thing to show.

    >>> import tapegrad as tg
    >>> x, y, z = (tg.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> f = (x + y) * z
    >>> f.backward()
    >>> tg.draw(f, names=locals())
    <Drawing of 2 gates and 5 values>
    """
    show = (show,) if isinstance(show, str) else tuple(show)
    if direction is not None:
        _one_of("direction", direction, DIRECTIONS)
    _one_of("palette", palette, tuple(PALETTES))
    for part in show:
        _one_of("show", part, SHOWS)
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 0):
        raise ArgumentError(f"draw: depth must be None or a number from 0, got {depth!r}")
    if callable(value) and not isinstance(value, Tape):
        graph = recorded(value, inputs, names)
    elif inputs:
        raise ArgumentError(
            "draw: inputs are for a module or function; to draw several, pass a list"
        )
    else:
        graph = read(value, names)
    return Drawing(graph, Style(direction, palette, show), depth)


def _one_of(what: str, given: Any, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ArgumentError(f"draw: {what} must be one of {', '.join(known)}, got {given!r}")
