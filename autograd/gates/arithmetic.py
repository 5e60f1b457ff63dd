"""Sums, products, quotients and powers.

Add distributes its gradient, mul swaps its inputs, and the rest follow from these. A backward here
returns a gradient only for the inputs that want one (`node.inputs` has None for the others).
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import INTEGERS, bool_
from tapegrad.autograd.engine import BinaryGate, Node, UnaryGate
from tapegrad.autograd.errors import DivisionError

from .exponential import log
from .selection import where


class Add(BinaryGate):
    """Addition distributes: each input receives the gradient as it is."""

    needs: ClassVar = {"x": "", "y": ""}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x + y

    def backward(self, node: Node, grad: Any, out: None, x: None, y: None) -> Any:
        return grad, grad


class Sub(BinaryGate):
    """Subtraction distributes too, with the sign turned for what is taken away."""

    needs: ClassVar = {"x": "", "y": ""}
    booleans: ClassVar = False
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x - y

    def backward(self, node: Node, grad: Any, out: None, x: None, y: None) -> Any:
        return grad, node.inputs[1] and -grad


class Mul(BinaryGate):
    """Multiplication swaps: each input receives the gradient times the other input."""

    needs: ClassVar = {"x": "y", "y": "x"}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x * y

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        return wants_x and grad * y, wants_y and grad * x


class Div(BinaryGate):
    """True division: d(x/y)/dx = 1/y and d(x/y)/dy = -(x/y)/y."""

    needs: ClassVar = {"x": "y", "y": "y out"}
    floats: ClassVar = True
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x / y

    def backward(self, node: Node, grad: Any, out: Any, x: None, y: Any) -> Any:
        return grad / y, node.inputs[1] and -grad * (out / y)


class Pow(BinaryGate):
    """x to the power y. The exponent's gradient, out log(x), is 0 where x is 0 and y is not below.

    A zero exponent gives the base the gradient 0, also at 0; no log is taken when the exponent
    wants no gradient, so that whole powers of negative numbers are exact.
    """

    needs: ClassVar = {"x": "x y", "y": "x y out"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        _refuse_booleans(x, y)
        return x**y

    def backward(self, node: Node, grad: Any, out: Any, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        to_x = to_y = None
        if wants_x:
            if type(y) in (float, int):
                to_x = grad * (y * x ** (y - 1)) if y else grad * 0
            else:
                to_x = grad * where(y == 0, 0.0, y * x ** (y - 1))
        if wants_y:
            flat = (x == 0) & (y >= 0)
            to_y = grad * where(flat, 0.0, out * log(where(flat, 1.0, x)))
        return to_x, to_y


def _refuse_booleans(x: Any, y: Any) -> None:
    if getattr(x, "dtype", bool_) == bool_ and getattr(y, "dtype", bool_) == bool_:
        raise TypeError("booleans have no powers and quotients; convert them with .long()")


def _refuse_zero(xp: Any, x: Any, y: Any) -> None:
    """Whole numbers have no infinity: dividing them by zero is an error, as in Python."""
    floats = type(x) is float or type(y) is float
    dtypes = [v.dtype for v in (x, y) if hasattr(v, "dtype")]
    if not floats and INTEGERS.issuperset(dtypes) and not xp.all(y):
        raise DivisionError("division of whole numbers by zero")


class Neg(UnaryGate):
    """The opposite: the gradient changes sign."""

    needs: ClassVar = {"x": ""}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any) -> Any:
        return -x

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return -grad


class Sign(UnaryGate):
    """-1, 0 or 1, and 0 for NaN; flat, so that its gradient is 0."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any) -> Any:
        if x.dtype == bool_:
            return x
        return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return where(False, grad, 0.0)


class Abs(UnaryGate):
    """|x|: the gradient times the sign of x, 0 at 0."""

    needs: ClassVar = {"x": "x"}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any) -> Any:
        return abs(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * sign(x)


class Floor(UnaryGate):
    """The largest whole number not above x; flat, so that its gradient is 0."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.floor(x)

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return where(False, grad, 0.0)


class FloorDivide(BinaryGate):
    """floor(x / y); flat, so that its gradients are 0."""

    needs: ClassVar = {"x": "", "y": ""}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        _refuse_booleans(x, y)
        _refuse_zero(xp, x, y)
        return x // y

    def backward(self, node: Node, grad: Any, out: None, x: None, y: None) -> Any:
        none = where(False, grad, 0.0)
        return none, none


class Remainder(BinaryGate):
    """x - floor(x / y) y, with the sign of y: the gradient of y is -floor(x / y)."""

    needs: ClassVar = {"x": "", "y": "x y"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        _refuse_booleans(x, y)
        _refuse_zero(xp, x, y)
        return xp.remainder(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return grad, node.inputs[1] and -grad * floor_divide(x, y)


add = Add()
sub = Sub()
mul = Mul()
div = Div()
pow_ = Pow()
neg = Neg()
sign = Sign()
abs_ = Abs()
floor = Floor()
floor_divide = FloorDivide()
remainder = Remainder()
