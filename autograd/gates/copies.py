"""The same values in other memory: copied, in another order, on another device, or pinned."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate, UnaryGate
from tapegrad.autograd.memory_formats import copied
from tapegrad.autograd.records import Node
from tapegrad.autograd.transfers import move as move_array
from tapegrad.autograd.transfers import pinned_empty


class Clone(UnaryGate):
    """A copy of the values in memory of its own, without gaps; the gradient passes."""

    needs: ClassVar = {"x": ""}
    cuda: ClassVar = "x"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.array(x, copy=True, order="C" if 0 in x.strides else "K")

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return grad


class Arrange(Gate):
    """A copy whose dimensions lie in memory in a given order; the gradient passes.

    `order` names them outermost first; None is the order in which they stand.
    """

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, order: tuple[int, ...] | None) -> Any:
        return copied(xp, x, order)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, order: tuple[int, ...] | None
    ) -> Any:
        return grad


class Pin(UnaryGate):
    """The values in pinned memory of the host; the gradient passes."""

    needs: ClassVar = {"x": ""}
    pointwise: ClassVar = False

    def forward(self, xp: Any, x: Any) -> Any:
        pinned = pinned_empty(x.shape, x.dtype)
        pinned[...] = x
        return pinned

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return grad


class Move(Gate):
    """The values on another device; the gradient moves back."""

    needs: ClassVar = {"x": ""}

    def forward(
        self, xp: Any, x: Any, *, source: str, target: str, non_blocking: bool = False
    ) -> Any:
        return move_array(x, target, non_blocking)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: None,
        *,
        source: str,
        target: str,
        non_blocking: bool = False,
    ) -> Any:
        return move(grad, source=target, target=source)


clone = Clone()
arrange = Arrange()
pin = Pin()
move = Move()
