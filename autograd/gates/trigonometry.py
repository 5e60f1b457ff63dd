"""Circular and hyperbolic functions, their inverses, and what angles and lengths are made of.

Where the derivative is shortest in terms of the output, the output is what is kept: tanh never
overflows on the way back.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import BinaryGate, Gate
from tapegrad.autograd.records import Node
from tapegrad.kernels import sinc as kernel

from .exponential import Smooth, sqrt
from .selection import where


class Sin(Smooth):
    """The sine: cos(x)."""

    needs: ClassVar = {"x": "x"}
    slopes: ClassVar = {"x": "cos x"}
    ufunc: ClassVar = "sin"
    cuda: ClassVar = "sin(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sin(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * cos(x)


class Cos(Smooth):
    """The cosine: -sin(x)."""

    needs: ClassVar = {"x": "x"}
    slopes: ClassVar = {"x": "-sin x"}
    ufunc: ClassVar = "cos"
    cuda: ClassVar = "cos(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.cos(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return -grad * sin(x)


class Tan(Smooth):
    """The tangent: 1 + tan(x)^2."""

    needs: ClassVar = {"x": "out"}
    ufunc: ClassVar = "tan"
    cuda: ClassVar = "tan(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.tan(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (out * out + 1)


class Asin(Smooth):
    """The angle whose sine is x: 1 / sqrt(1 - x^2)."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "asin(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arcsin(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / sqrt((1 - x) * (x + 1))


class Acos(Smooth):
    """The angle whose cosine is x: -1 / sqrt(1 - x^2)."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "acos(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arccos(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return -grad / sqrt((1 - x) * (x + 1))


class Atan(Smooth):
    """The angle whose tangent is x: 1 / (1 + x^2)."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "atan(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arctan(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / (x * x + 1)


class Sinh(Smooth):
    """The hyperbolic sine: cosh(x)."""

    needs: ClassVar = {"x": "x"}
    ufunc: ClassVar = "sinh"
    cuda: ClassVar = "sinh(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sinh(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * cosh(x)


class Cosh(Smooth):
    """The hyperbolic cosine: sinh(x)."""

    needs: ClassVar = {"x": "x"}
    ufunc: ClassVar = "cosh"
    cuda: ClassVar = "cosh(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.cosh(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * sinh(x)


class Tanh(Smooth):
    """The hyperbolic tangent: 1 - tanh(x)^2."""

    needs: ClassVar = {"x": "out"}
    slopes: ClassVar = {"x": "1 - tanh² x"}
    ufunc: ClassVar = "tanh"
    cuda: ClassVar = "tanh(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.tanh(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (1 - out * out)


class Asinh(Smooth):
    """What sinh undoes: 1 / sqrt(x^2 + 1)."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "asinh(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arcsinh(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / sqrt(x * x + 1)


class Acosh(Smooth):
    """What cosh undoes: 1 / sqrt(x^2 - 1)."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "acosh(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arccosh(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / sqrt((x - 1) * (x + 1))


class Atanh(Smooth):
    """What tanh undoes: 1 / (1 - x^2)."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "atanh(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arctanh(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / ((1 - x) * (x + 1))


class Atan2(BinaryGate):
    """The angle of the point (y, x): x/r^2 to y and -y/r^2 to x, r its distance; 0 at the origin.

    The first input is y, as in every library.
    """

    needs: ClassVar = {"y": "y x", "x": "y x"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "atan2(y, x)"

    def forward(self, xp: Any, y: Any, x: Any) -> Any:
        return xp.arctan2(y, x)

    def backward(self, node: Node, grad: Any, out: None, y: Any, x: Any) -> Any:
        wants_y, wants_x = node.inputs
        origin = (x == 0) & (y == 0)
        r = where(origin, 1.0, hypot(where(origin, 1.0, x), y))  # divided by twice: no square
        to_y = wants_y and where(origin, 0.0, grad * (x / r) / r)
        return to_y, wants_x and where(origin, 0.0, -grad * (y / r) / r)


class Hypot(BinaryGate):
    """sqrt(x^2 + y^2) without overflow: x/r and y/r, 0 at the origin."""

    needs: ClassVar = {"x": "x out", "y": "y out"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "hypot(x, y)"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.hypot(x, y)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        origin = out == 0
        r = where(origin, 1.0, out)
        to_x = wants_x and where(origin, 0.0, grad * (x / r))
        return to_x, wants_y and where(origin, 0.0, grad * (y / r))


class Sinc(Gate):
    """The derivative of some order of sin(pi x) / (pi x); that of order 0 is 1 at 0.

    Its derivative is the next, exact at 0 and near it too, where dividing by x would not be.
    """

    needs: ClassVar = {"x": "x"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "sinc(x, order)"
    headers: ClassVar = ("special.cuh",)

    def forward(self, xp: Any, x: Any, *, order: int) -> Any:
        angle = x.astype(wide(x.dtype), copy=False) * math.pi
        out = kernel.derivative(xp, angle, order)
        return (out * math.pi**order if order else out).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any, *, order: int) -> Any:
        return grad * sinc(x, order=order + 1)


sin = Sin()
cos = Cos()
tan = Tan()
asin = Asin()
acos = Acos()
atan = Atan()
sinh = Sinh()
cosh = Cosh()
tanh = Tanh()
asinh = Asinh()
acosh = Acosh()
atanh = Atanh()
atan2 = Atan2()
hypot = Hypot()
sinc = Sinc()
