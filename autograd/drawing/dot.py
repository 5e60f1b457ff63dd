"""The same picture in the DOT language, and rendered by Graphviz where its program is installed."""

from __future__ import annotations

from .circuit import PALETTES, Style
from .picture import WITHOUT, Item, Picture, number, shape_of

SHAPES = {"gate": "circle", "group": "box3d", "more": "box", "failed": "octagon"}


def source(picture: Picture, style: Style) -> str:
    """DOT: one node for each item, one edge for each wire; values and gradients in the labels."""
    from graphviz import Digraph  # what people call it with; slow to import

    (value, _), (grad, _), *_ = PALETTES[style.palette]
    graph = Digraph(
        "tape", graph_attr={"rankdir": style.direction or "LR"}, node_attr={"fontsize": "11"}
    )
    graph.attr("edge", fontsize="10")
    for index, item in enumerate(picture.items):
        graph.node(f"n{index}", _label(item, style), shape=SHAPES.get(item.kind, "box"))
    for line in picture.lines:
        parts = []
        wire = line.wire
        if wire.scalar and "value" in style.show and wire.value is not None:
            parts.append(f'<font color="{value}">{number(wire.value)}</font>')
        if wire.scalar and "grad" in style.show and wire.kind not in WITHOUT:
            share = line.share if line.share is not None else wire.grad
            if share is not None:
                parts.append(f'<font color="{grad}">{number(share)}</font>')
        label = f"<{'<br/>'.join(parts)}>" if parts else ""
        graph.edge(f"n{line.start}", f"n{line.end}", label)
    return str(graph.source)


def _label(item: Item, style: Style) -> str:
    """The lines of text in a node."""
    parts = [item.title + (f" × {item.times}" if item.times > 1 else "")]
    parts += [text for text, _ in item.lines]
    wire = item.wire
    if wire is not None and not wire.scalar and "shape" in style.show:
        parts.append(shape_of(wire))
    if wire is not None and wire.scalar and not wire.uses and wire.value is not None:
        parts.append(number(wire.value))
    if wire is not None and wire.kind == "constant" and wire.scalar and not item.title:
        parts[0] = "constant"
    return "\n".join(part for part in parts if part)


def rendered(text: str, kind: str) -> bytes:
    """PNG or PDF, by the `dot` program; RuntimeError says how to get it."""
    import graphviz

    try:
        return bytes(graphviz.Source(text).pipe(format=kind))
    except graphviz.ExecutableNotFound:
        raise RuntimeError(
            f"draw: saving .{kind} needs the 'dot' program of Graphviz, which is not installed: "
            "apt install graphviz, brew install graphviz or https://graphviz.org/download; "
            ".svg and .html need nothing"
        ) from None
