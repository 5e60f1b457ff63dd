"""Exponentials, logarithms and roots, and what is made of them: sigmoid, logit, logaddexp.

Where the derivative is shortest in terms of the output, the output is what is kept: exp and sigmoid
never overflow on the way back.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import HALVES, wide
from tapegrad.autograd.engine import BinaryGate, UnaryGate
from tapegrad.autograd.records import Node
from tapegrad.kernels.selection import select

from .selection import where

NAN = float("nan")


class Smooth(UnaryGate):
    """What these gates share: integer inputs become floats, infinities are quiet."""

    floats: ClassVar = True
    quiet: ClassVar = "always"


class Exp(Smooth):
    """e to the x: its own derivative."""

    needs: ClassVar = {"x": "out"}
    slopes: ClassVar = {"x": "exp x"}
    ufunc: ClassVar = "exp"
    cuda: ClassVar = "exp(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.exp(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * out


class Exp2(Smooth):
    """2 to the x: itself times log(2)."""

    needs: ClassVar = {"x": "out"}
    ufunc: ClassVar = "exp2"
    cuda: ClassVar = "exp2(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.exp2(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (out * math.log(2))


class Expm1(Smooth):
    """exp(x) - 1, exact near 0."""

    needs: ClassVar = {"x": "out"}
    ufunc: ClassVar = "expm1"
    cuda: ClassVar = "expm1(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.expm1(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (out + 1)


class Log(Smooth):
    """The natural logarithm: 1/x."""

    needs: ClassVar = {"x": "x"}
    symbol: ClassVar = "ln"
    slopes: ClassVar = {"x": "1/x"}
    ufunc: ClassVar = "log"
    cuda: ClassVar = "log(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / x


class Log2(Smooth):
    """The logarithm to base 2: 1/(x log(2))."""

    needs: ClassVar = {"x": "x"}
    ufunc: ClassVar = "log2"
    cuda: ClassVar = "log2(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log2(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / (x * math.log(2))


class Log10(Smooth):
    """The logarithm to base 10: 1/(x log(10))."""

    needs: ClassVar = {"x": "x"}
    ufunc: ClassVar = "log10"
    cuda: ClassVar = "log10(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log10(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / (x * math.log(10))


class Log1p(Smooth):
    """log(1 + x), exact near 0."""

    needs: ClassVar = {"x": "x"}
    ufunc: ClassVar = "log1p"
    cuda: ClassVar = "log1p(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log1p(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / (x + 1)


class Sqrt(Smooth):
    """The square root: 1/(2 sqrt(x)), which is infinity at 0."""

    needs: ClassVar = {"x": "out"}
    symbol: ClassVar = "√"
    slopes: ClassVar = {"x": "1/(2√x)"}
    ufunc: ClassVar = "sqrt"
    cuda: ClassVar = "sqrt(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sqrt(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad / (out * 2)


class Rsqrt(Smooth):
    """1 / sqrt(x): minus half its cube."""

    needs: ClassVar = {"x": "out"}
    cuda: ClassVar = "rsqrt(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return 1 / xp.sqrt(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (out * out * out * -0.5)


class Sigmoid(Smooth):
    """1 / (1 + exp(-x)): s (1 - s). Far below, exp(-x) is infinite and the quotient 0, as it is."""

    needs: ClassVar = {"x": "out"}
    symbol: ClassVar = "σ"
    slopes: ClassVar = {"x": "σ(x)(1 - σ(x))"}
    cuda: ClassVar = "T(1) / (T(1) + exp(-x))"

    def forward(self, xp: Any, x: Any) -> Any:
        if x.dtype in HALVES:  # exp(-x) is infinite before the quotient is 0
            return self.forward(xp, x.astype(wide(x.dtype))).astype(x.dtype)
        out = xp.expm1(-x)  # quicker than exp, and as exact where 2 is added
        out += 2
        return 1 / out

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (out * (1 - out))


class Logit(Smooth):
    """log(x / (1 - x)), what sigmoid undoes: 1/(x (1 - x)), and NaN beyond 0 and 1."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "log(x / (T(1) - x))"

    def forward(self, xp: Any, x: Any) -> Any:
        odds = x / (1 - x)
        return xp.log(odds)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return where((x < 0) | (x > 1), NAN, grad / (x * (1 - x)))


class Logaddexp(BinaryGate):
    """log(exp(x) + exp(y)): sigmoid(x - y) of the gradient to x, the rest to y.

    Where both are minus infinity there is nothing to share: 0 to each, as in `logsumexp`; where
    both are infinity, half to each.
    """

    needs: ClassVar = {"x": "x y", "y": "x y"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "log_add_exp(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.logaddexp(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return self.shares(node, grad, x, y, x - y)

    def shares(self, node: Node, grad: Any, x: Any, y: Any, ahead: Any) -> Any:
        wants_x, wants_y = node.inputs
        same = x == y
        nothing = same & (x == -math.inf)
        ahead = where(same & (abs(x) == math.inf), 0.0, ahead)
        to_x = wants_x and where(nothing, 0.0, grad * sigmoid(ahead))
        return to_x, wants_y and where(nothing, 0.0, grad * sigmoid(-ahead))


class Logaddexp2(Logaddexp):
    """log2(2^x + 2^y): shared likewise."""

    cuda: ClassVar = "log_add_exp2(x, y)"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.logaddexp2(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return self.shares(node, grad, x, y, (x - y) * math.log(2))


class Xlogy(BinaryGate):
    """x log(y), and 0 where x is 0 unless y is NaN: log(y) to x, x/y to y.

    Where x is 0 and y not above it, both gradients are 0.
    """

    needs: ClassVar = {"x": "x y", "y": "x y"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "x == T(0) && y == y ? T(0) : x * log(y)"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        out = x * (xp.log(y) if hasattr(y, "dtype") else float(np.log(y)))
        return select(xp, (x == 0) & (y == y), 0.0, out).astype(out.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        if type(y) in (float, int) and y > 0:
            return grad * math.log(y), None
        flat = (x == 0) & (y <= 0)
        safe = where(flat, 1.0, y)
        return wants_x and grad * log(safe), wants_y and where(flat, 0.0, grad * (x / safe))


exp = Exp()
exp2 = Exp2()
expm1 = Expm1()
log = Log()
log2 = Log2()
log10 = Log10()
log1p = Log1p()
sqrt = Sqrt()
rsqrt = Rsqrt()
sigmoid = Sigmoid()
logit = Logit()
logaddexp = Logaddexp()
logaddexp2 = Logaddexp2()
xlogy = Xlogy()
