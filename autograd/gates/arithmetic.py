"""Sums, products, quotients and powers.

Add distributes its gradient, mul swaps its inputs, and the rest follow from these. A backward here
returns a gradient only for the inputs that want one (`node.inputs` has None for the others).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import HALVES, INTEGERS, NUMPY_FLOATS, bool_, int8, int32, wide
from tapegrad.autograd.engine import BinaryGate, Gate, UnaryGate
from tapegrad.autograd.records import Node

from .exponential import log
from .selection import where


class Wrapping(BinaryGate):
    """Of whole numbers: a Python number too large for their dtype wraps around, as they do."""

    def compute(self, xp: Any, *inputs: Any, **params: Any) -> Any:
        """The forward on arrays."""
        try:
            return super().compute(xp, *inputs)
        except OverflowError:
            dtype = next(v.dtype for v in inputs if hasattr(v, "dtype"))
            wrapped = (np.asarray(v).astype(dtype).item() if type(v) is int else v for v in inputs)
            return super().compute(xp, *wrapped)


class Add(Wrapping):
    """Addition distributes: each input receives the gradient as it is."""

    needs: ClassVar = {"x": "", "y": ""}
    symbol: ClassVar = "+"
    slopes: ClassVar = {"x": "1", "y": "1"}
    quiet: ClassVar = "arrays"
    ufunc: ClassVar = "add"
    cuda: ClassVar = "x + y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x + y

    def backward(self, node: Node, grad: Any, out: None, x: None, y: None) -> Any:
        return grad, grad


class Sub(Wrapping):
    """Subtraction distributes too, with the sign turned for what is taken away."""

    needs: ClassVar = {"x": "", "y": ""}
    symbol: ClassVar = "−"
    slopes: ClassVar = {"x": "1", "y": "-1"}
    booleans: ClassVar = False
    quiet: ClassVar = "arrays"
    ufunc: ClassVar = "subtract"
    cuda: ClassVar = "x - y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x - y

    def backward(self, node: Node, grad: Any, out: None, x: None, y: None) -> Any:
        return grad, node.inputs[1] and -grad


class Mul(Wrapping):
    """Multiplication swaps: each input receives the gradient times the other input."""

    needs: ClassVar = {"x": "y", "y": "x"}
    symbol: ClassVar = "×"
    slopes: ClassVar = {"x": "y", "y": "x"}
    quiet: ClassVar = "arrays"
    ufunc: ClassVar = "multiply"
    cuda: ClassVar = "x * y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x * y

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        return wants_x and grad * y, wants_y and grad * x


class Div(BinaryGate):
    """True division: d(x/y)/dx = 1/y and d(x/y)/dy = -(x/y)/y."""

    needs: ClassVar = {"x": "y", "y": "y out"}
    symbol: ClassVar = "÷"
    slopes: ClassVar = {"x": "1/y", "y": "-x/y²"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    ufunc: ClassVar = "true_divide"
    cuda: ClassVar = "x / y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x / y

    def backward(self, node: Node, grad: Any, out: Any, x: None, y: Any) -> Any:
        return grad / y, node.inputs[1] and -grad * (out / y)


# By the exponent: `pow` takes a hundred instructions.
SHORT_POWERS: dict[Any, str] = {
    **{float(n): " * ".join(["(x * x)"] * (n // 2) + ["x"] * (n % 2)) for n in range(1, 9)},
    0: "T(1)",
    0.5: "sqrt(x)",
    -1: "T(1) / x",
    -2: "T(1) / (x * x)",
}


def refuse_negative_power(power: int) -> None:
    """Refuse what whole numbers cannot be raised to."""
    if power < 0:
        raise ValueError("whole numbers have no negative powers; convert them with .float()")


class Pow(Wrapping):
    """x to the power y. The exponent's gradient, out log(x), is 0 where x is 0 and y is not below.

    A zero exponent gives the base the gradient 0, also at 0; no log is taken when the exponent
    wants no gradient, so that whole powers of negative numbers are exact.
    """

    needs: ClassVar = {"x": "x y", "y": "x y out"}
    symbol: ClassVar = "^"
    slopes: ClassVar = {"x": "y x^(y-1)", "y": "x^y ln x"}
    quiet: ClassVar = "always"
    cuda: ClassVar = "raise_to(x, y)"
    headers: ClassVar = ("math.cuh",)

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """The expression, or that of products, a root or exp2 where one input is their number."""
        if dtype in INTEGERS:
            return self.cuda
        if params.get("x") == 2:
            return "exp2(y)"
        return SHORT_POWERS.get(params.get("y"), self.cuda)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        refuse_booleans(x, y)
        if type(y) in (float, int) and y in (3, 4, 5, 6, 8) and x.dtype not in HALVES:
            return _few_factors(x, int(y))
        if type(x) in (float, int) and x == 2 and y.dtype in NUMPY_FLOATS:
            return xp.exp2(y)
        if getattr(y, "dtype", None) in INTEGERS and getattr(x, "dtype", y.dtype) in INTEGERS:
            return _whole_power(xp, x, y)
        if type(y) is int and x.dtype in INTEGERS:  # bytes would wrap the number around
            refuse_negative_power(y)
        return x**y

    def backward(self, node: Node, grad: Any, out: Any, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        to_x = to_y = None
        if wants_x and type(y) in (float, int):
            slope = x * 2 if y == 2 else y * x ** (y - 1)
            to_x = grad * slope if y else where(False, grad, 0.0)
        elif wants_x:
            flat = (y == 0) & ((x == 0) | (x != x))
            to_x = where(flat, 0.0, grad * (y * where(flat, 1.0, x) ** (y - 1)))
        if wants_y and type(x) in (float, int) and x > 0:
            to_y = grad * (out * math.log(x))
        elif wants_y:
            flat = (x == 0) & (y >= 0)
            base = x if type(x) not in (float, int) else where(True, x, out)
            to_y = where(flat, 0.0, grad * (out * log(where(flat, 1.0, base))))
        return to_x, to_y


def _few_factors(x: Any, y: int) -> Any:
    """x to the power 3, 4, 5, 6 or 8: NumPy's own takes a hundred times as long."""
    out = x * x
    if y != 3 and y != 6:
        out *= out
    if y == 8:
        out *= out
    elif y != 4:
        out *= x
    if y == 6:
        out *= out
    return out


def _whole_power(xp: Any, x: Any, y: Any) -> Any:
    """Powers of whole numbers, those below zero rounded to 0 but for the bases 1 and -1."""
    below = y < 0
    if not below.any():
        return x**y
    out = x ** xp.where(below, y & 1, y)
    return xp.where(below & (x != 1) & (x != -1), out * 0, out)


def refuse_booleans(x: Any, y: Any) -> None:
    """Booleans among themselves have no powers, quotients and remainders."""
    if getattr(x, "dtype", bool_) == bool_ and getattr(y, "dtype", bool_) == bool_:
        raise TypeError("booleans have no powers and quotients; convert them with .long()")


class Neg(UnaryGate):
    """The opposite: the gradient changes sign."""

    needs: ClassVar = {"x": ""}
    slopes: ClassVar = {"x": "-1"}
    quiet: ClassVar = "arrays"
    ufunc: ClassVar = "negative"
    cuda: ClassVar = "-x"

    def forward(self, xp: Any, x: Any) -> Any:
        return -x

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return -grad


class Sign(UnaryGate):
    """-1, 0 or 1, and 0 for NaN; flat, so that its gradient is 0."""

    needs: ClassVar = {"x": ""}
    cuda: ClassVar = "(x > T(0)) - (x < T(0))"

    def forward(self, xp: Any, x: Any) -> Any:
        if x.dtype == bool_:
            return x
        above, below = (x > 0).view(int8), (x < 0).view(int8)
        return (above - below).astype(x.dtype)

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return where(False, grad, 0.0)


class Abs(UnaryGate):
    """|x|: the gradient times the sign of x, 0 at 0."""

    needs: ClassVar = {"x": "x"}
    symbol: ClassVar = "|x|"
    slopes: ClassVar = {"x": "sign x"}
    quiet: ClassVar = "arrays"
    ufunc: ClassVar = "absolute"
    cuda: ClassVar = "absolute(x)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any) -> Any:
        return abs(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * sign(x)


class Copysign(BinaryGate):
    """|x| with the sign of y: the gradient goes to x, turned where the sign is; none where x is 0.

    y gets the gradient 0.
    """

    needs: ClassVar = {"x": "x y", "y": ""}
    floats: ClassVar = True
    quiet: ClassVar = "arrays"
    cuda: ClassVar = "copysign(x, y)"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.copysign(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        to_x = None
        if wants_x:
            one = 1.0 if hasattr(y, "dtype") else where(False, x, 1.0)  # y may be a fused scalar
            sign_of_y = math.copysign(1.0, y) if type(y) in (float, int) else copysign(one, y)
            to_x = where(x == 0, 0.0, where((x < 0) != (sign_of_y < 0), -grad, grad))
        return to_x, wants_y and where(False, grad, 0.0)


class Ldexp(Gate):
    """x times 2 to a whole power, exact: the gradient times the same."""

    needs: ClassVar = {"x": "power"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "scale_by_power(x, power)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, power: Any) -> Any:
        power = xp.clip(power, -4000, 4000).astype(int32)  # beyond there is 0 and infinity only
        return xp.ldexp(x.astype(wide(x.dtype), copy=False), power).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: None, power: Any) -> Any:
        return ldexp(grad, power), None


class Addcmul(Gate):
    """x + value a b: the gradient to x as it is, value b of it to a and value a to b."""

    needs: ClassVar = {"x": "", "a": "b", "b": "a"}
    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "a * b * T(value) + x"

    def forward(self, xp: Any, x: Any, a: Any, b: Any, *, value: float) -> Any:
        wider = wide(x.dtype)
        out = a.astype(wider, copy=False) * b
        if value != 1:
            out *= value
        return _plus(out, x).astype(x.dtype, copy=False)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, a: Any, b: Any, *, value: float
    ) -> Any:
        _, wants_a, wants_b = node.inputs
        scaled = grad * value if value != 1 else grad
        return grad, wants_a and scaled * b, wants_b and scaled * a


class Addcdiv(Gate):
    """x + value a / b: the gradient to x as it is, value / b of it to a and -value a / b^2 to b."""

    needs: ClassVar = {"x": "", "a": "b", "b": "a b"}
    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "a / b * T(value) + x"

    def forward(self, xp: Any, x: Any, a: Any, b: Any, *, value: float) -> Any:
        wider = wide(x.dtype)
        out = a.astype(wider, copy=False) / b
        if value != 1:
            out *= value
        return _plus(out, x).astype(x.dtype, copy=False)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, a: Any, b: Any, *, value: float
    ) -> Any:
        to_a = (grad * value if value != 1 else grad) / b
        return grad, to_a, node.inputs[2] and -to_a * (a / b)


class Lerp(Gate):
    """(1 - weight) x + weight y, exact at both ends: parted by the weight, whose own is y - x."""

    needs: ClassVar = {"x": "weight", "y": "weight", "weight": "x y"}
    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "weight * y + (T(1) - weight) * x"

    def forward(self, xp: Any, x: Any, y: Any, weight: Any) -> Any:
        wider = wide(x.dtype)
        if type(weight) not in (float, int):
            weight = weight.astype(wider, copy=False)
        out = weight * y.astype(wider, copy=False)
        rest = _times(1 - weight, x.astype(wider, copy=False))
        return _plus(out, rest).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any, weight: Any) -> Any:
        wants_x, wants_y, wants_weight = node.inputs
        to_weight = wants_weight and grad * (y - x)
        return wants_x and grad * (1 - weight), wants_y and grad * weight, to_weight


def _plus(own: Any, other: Any) -> Any:
    """The sum, in the memory of the first where it fits: a new array costs as much as adding."""
    if getattr(own, "shape", None) != other.shape:
        return own + other
    own += other
    return own


def _times(own: Any, other: Any) -> Any:
    """The product likewise."""
    if getattr(own, "shape", None) != other.shape:
        return own * other
    own *= other
    return own


add = Add()
sub = Sub()
mul = Mul()
div = Div()
pow_ = Pow()
neg = Neg()
sign = Sign()
abs_ = Abs()
copysign = Copysign()
ldexp = Ldexp()
addcmul = Addcmul()
addcdiv = Addcdiv()
lerp = Lerp()
