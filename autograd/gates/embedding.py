"""Rows of a table looked up by number, with the two ways PyTorch weighs their gradients."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node
from tapegrad.kernels.segments import add_at, bag_sums, counted

from .indexing import index
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
        if counts is not None:
            grad = grad / counts[..., None].astype(grad.dtype)
        rows = node.inputs[0].shape[0]  # type: ignore[union-attr]
        return embedding_gradient(grad, positions=positions, padding=padding, rows=rows)


class EmbeddingGradient(Gate):
    """Zeros of a table with each row of x added at its position, unless that is `padding`."""

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, *, positions: Any, padding: int | None, rows: int) -> Any:
        width = x.shape[-1]
        lines = x.reshape(positions.size, width)
        return add_at(xp, rows, positions.reshape(-1), lines, padding)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, positions: Any, padding: Any, rows: int
    ) -> Any:
        read = index(grad, key=positions)
        return read if padding is None else where((positions == padding)[..., None], 0.0, read)


class EmbeddingBag(Gate):
    """Sums or means over bags of rows: each row of a bag receives the bag's gradient, or its share.

    `positions` are bag after bag, which begin at `starts`; `bags` says in which each of them is.
    """

    needs: ClassVar = {"table": ""}
    fresh: ClassVar = True

    def forward(
        self,
        xp: Any,
        table: Any,
        *,
        positions: Any,
        starts: Any,
        bags: Any,
        mean: bool,
        padding: int | None,
    ) -> Any:
        return bag_sums(xp, table, positions, starts, bags, mean, padding)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        table: None,
        *,
        positions: Any,
        starts: Any,
        bags: Any,
        mean: bool,
        padding: int | None,
    ) -> Any:
        if mean:
            xp = module_of(positions)
            kept = None if padding is None else positions != padding
            sizes = xp.maximum(counted(xp, bags, starts.size, kept), 1)
            grad = grad / sizes[:, None].astype(grad.dtype)
        rows = node.inputs[0].shape[0]  # type: ignore[union-attr]
        brought = index(grad, key=bags)
        return embedding_gradient(brought, positions=positions, padding=padding, rows=rows)


embedding = Embedding()
embedding_bag = EmbeddingBag()
embedding_gradient = EmbeddingGradient()
