"""Rows of a table looked up by number, with the two ways PyTorch weighs their gradients."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node

from .indexing import index, index_add
from .selection import where


class Embedding(Gate):
    """table[positions]: a row receives the gradients of all its uses, divided by `counts`.

    `counts`, if not None, is by how much to divide, for each position; a position equal to
    `padding` gives no gradient.
    """

    needs: ClassVar = {"table": ""}

    def forward(
        self, xp: Any, table: Any, *, positions: Any, padding: int | None, counts: Any
    ) -> Any:
        return index.forward(xp, table, key=positions)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        table: None,
        *,
        positions: Any,
        padding: int | None,
        counts: Any,
    ) -> Any:
        if padding is not None:
            grad = where((positions == padding)[..., None], 0.0, grad)
        if counts is not None:
            grad = grad / counts[..., None].astype(grad.dtype)
        return index_add(grad, key=positions, shape=node.inputs[0].shape)  # type: ignore[union-attr]


embedding = Embedding()
