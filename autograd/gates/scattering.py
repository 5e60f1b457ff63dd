"""Products and extremes of what meets at a position, in one dimension.

Sums are in `indexing`, because they are the adjoint of reading.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import Gate, cast
from tapegrad.autograd.records import Node
from tapegrad.kernels.segments import combine_at

from .indexing import gather, scatter_add
from .selection import where


def _combined(xp: Any, name: str, start: Any, positions: Any, values: Any) -> Any:
    dtype = start.dtype
    start, values = (array.astype(wide(dtype), copy=False) for array in (start, values))
    return combine_at(xp, name, start, positions, values).astype(dtype, copy=False)


class ScatterProd(Gate):
    """Ones with src[k] multiplied in at positions[k]; exact where no src is 0."""

    needs: ClassVar = {"src": "src positions out"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, src: Any, positions: Any, *, size: int) -> Any:
        return _combined(xp, "multiply", xp.ones(size, src.dtype), positions, src)

    def backward(
        self, node: Node, grad: Any, out: Any, src: Any, positions: Any, *, size: int
    ) -> Any:
        return gather(grad * out, positions, dim=0) / src, None


class _ScatterExtreme(Gate):
    """The gradient is shared evenly by all that reach the extreme."""

    needs: ClassVar = {"x": "x src positions out", "src": "x src positions out"}
    quiet: ClassVar = "always"
    name_of_best: ClassVar[str]

    def forward(self, xp: Any, x: Any, src: Any, positions: Any) -> Any:
        return _combined(xp, self.name_of_best, x, positions, src)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, src: Any, positions: Any) -> Any:
        wants_x, wants_src, _ = node.inputs
        x_won = x == out
        src_won = src == gather(out, positions, dim=0)
        winners = scatter_add(cast(src_won, dtype=node.dtype), positions, dim=0, shape=node.shape)
        share = grad / (winners + x_won)
        to_src = wants_src and where(src_won, gather(share, positions, dim=0), 0.0)
        return wants_x and where(x_won, share, 0.0), to_src, None


class ScatterMax(_ScatterExtreme):
    """The largest of x and of what src brings to its place, shared evenly by those that tie."""

    name_of_best = "maximum"


class ScatterMin(_ScatterExtreme):
    """The smallest of x and of what src brings to its place, shared likewise."""

    name_of_best = "minimum"


scatter_prod = ScatterProd()
scatter_max = ScatterMax()
scatter_min = ScatterMin()
