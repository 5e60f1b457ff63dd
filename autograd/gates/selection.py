"""Choices: max and min route, where selects, clamp and relu cut; and the comparisons they rest on.

A gradient that is not chosen is never multiplied by 0: it is selected away, so that an infinity or
a NaN in the branch not taken stays there.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import BinaryGate, Gate, Node, UnaryGate
from tapegrad.kernels.selection import select


class Where(Gate):
    """x where the condition holds, else y: the gradient goes to whichever was taken."""

    needs: ClassVar = {"x": "condition", "y": "condition"}
    pointwise: ClassVar = True

    def forward(self, xp: Any, condition: Any, x: Any, y: Any) -> Any:
        return select(xp, condition, x, y)

    def backward(self, node: Node, grad: Any, out: None, condition: Any, x: None, y: None) -> Any:
        _, wants_x, wants_y = node.inputs
        to_x = wants_x and where(condition, grad, 0.0)
        return None, to_x, wants_y and where(condition, 0.0, grad)


class Maximum(BinaryGate):
    """The larger of two: max routes the gradient to the winner, half to each in a tie."""

    needs: ClassVar = {"x": "x y", "y": "x y"}

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.maximum(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return _routed(node, grad, x, y, x < y, x > y)


class Minimum(BinaryGate):
    """The smaller of two: min routes the gradient likewise."""

    needs: ClassVar = {"x": "x y", "y": "x y"}

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.minimum(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return _routed(node, grad, x, y, x > y, x < y)


def _routed(node: Node, grad: Any, x: Any, y: Any, x_loses: Any, y_loses: Any) -> Any:
    """The gradient to whichever does not lose: half each in a tie, both with a NaN, as PyTorch."""
    wants_x, wants_y = node.inputs
    share = where(x == y, grad * 0.5, grad)
    return wants_x and where(x_loses, 0.0, share), wants_y and where(y_loses, 0.0, share)


class Clamp(Gate):
    """x kept between two numbers (or None); the gradient passes inside and at a bound."""

    needs: ClassVar = {"x": "x"}
    pointwise: ClassVar = True

    def forward(self, xp: Any, x: Any, *, least: float | None, most: float | None) -> Any:
        return xp.clip(x, least, most).astype(x.dtype, copy=False)

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, *, least: float | None, most: float | None
    ) -> Any:
        inside = True
        if least is not None:
            inside = x >= least
        if most is not None:
            inside = (x <= most) & inside
        return where(inside, grad, 0.0)


class Relu(UnaryGate):
    """max(0, x): passes the gradient where x is above 0, none at 0."""

    needs: ClassVar = {"x": "out"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.maximum(x, 0)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return where(out <= 0, 0.0, grad)


class Equal(BinaryGate):
    """x == y, a boolean."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x == y


class NotEqual(BinaryGate):
    """x != y, a boolean."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x != y


class Less(BinaryGate):
    """x < y, a boolean."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x < y


class LessEqual(BinaryGate):
    """x <= y, a boolean."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x <= y


class Greater(BinaryGate):
    """x > y, a boolean."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x > y


class GreaterEqual(BinaryGate):
    """x >= y, a boolean."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x >= y


class BitAnd(BinaryGate):
    """x & y, bit by bit; of booleans, the logical and."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x & y


class BitOr(BinaryGate):
    """x | y, bit by bit; of booleans, the logical or."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x | y


class BitXor(BinaryGate):
    """x ^ y, bit by bit; of booleans, whether they differ."""

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x ^ y


class BitNot(UnaryGate):
    """~x, bit by bit; of booleans, the logical not."""

    def forward(self, xp: Any, x: Any) -> Any:
        return ~x


where = Where()
maximum = Maximum()
minimum = Minimum()
clamp = Clamp()
relu = Relu()
equal = Equal()
not_equal = NotEqual()
less = Less()
less_equal = LessEqual()
greater = Greater()
greater_equal = GreaterEqual()
bit_and = BitAnd()
bit_or = BitOr()
bit_xor = BitXor()
bit_not = BitNot()
