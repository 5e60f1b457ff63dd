"""Broadcasting, in one place: expand to a shape, and its adjoint, the sum back to a shape.

Every gate may broadcast its inputs as NumPy does; the walk backwards calls `sum_to` on the gradient
of each input, over leading dimensions and dimensions of size 1 alike.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node
from tapegrad.kernels.sums import sum_over


class Expand(Gate):
    """Repeat size-1 and missing leading dimensions; its gradient is the sum over the copies."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

    def forward(self, xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
        return xp.broadcast_to(x, shape)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
        return sum_to(grad, shape=node.inputs[0].shape)  # type: ignore[union-attr]


class SumTo(Gate):
    """Sum over the dimensions in which `shape` would broadcast to x; its gradient is expanded."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
        lead = x.ndim - len(shape)
        dims = (
            *range(lead),
            *(lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1),
        )
        summed = sum_over(xp, x, dims, wide(x.dtype))
        return summed.reshape(shape).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
        return expand(grad, shape=node.inputs[0].shape)  # type: ignore[union-attr]


expand = Expand()
sum_to = SumTo()
