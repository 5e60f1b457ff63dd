"""The same values in other memory: a clone, or a move to another device."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import move as move_array
from tapegrad.autograd.engine import Gate, Node, UnaryGate


class Clone(UnaryGate):
    """A copy of the values in memory of its own; the gradient passes."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.array(x, copy=True, order="C")

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return grad


class Move(Gate):
    """The values on another device; the gradient moves back."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, source: str, target: str) -> Any:
        return move_array(x, target)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, source: str, target: str
    ) -> Any:
        return move(grad, source=target, target=source)


clone = Clone()
move = Move()
