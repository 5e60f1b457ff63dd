"""Exponentials and what is made of them: exp, log, roots, tanh, sigmoid, sine, the error function.

Where the derivative is shortest in terms of the output, the output is what is kept: tanh and
sigmoid never overflow on the way back.
"""

from __future__ import annotations

import importlib
import math
from typing import Any, ClassVar

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import Node, UnaryGate


class _Smooth(UnaryGate):
    """What these gates share: integer inputs become floats, infinities are quiet."""

    floats: ClassVar = True
    quiet: ClassVar = "always"


class Exp(_Smooth):
    """e to the x: its own derivative."""

    needs: ClassVar = {"x": "out"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.exp(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * out


class Expm1(_Smooth):
    """exp(x) - 1, exact near 0."""

    needs: ClassVar = {"x": "out"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.expm1(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (out + 1)


class Log(_Smooth):
    """The natural logarithm: 1/x."""

    needs: ClassVar = {"x": "x"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / x


class Log1p(_Smooth):
    """log(1 + x), exact near 0."""

    needs: ClassVar = {"x": "x"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log1p(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad / (x + 1)


class Sqrt(_Smooth):
    """The square root: 1/(2 sqrt(x)), which is infinity at 0."""

    needs: ClassVar = {"x": "out"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sqrt(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad / (out * 2)


class Tanh(_Smooth):
    """The hyperbolic tangent: 1 - tanh(x)^2."""

    needs: ClassVar = {"x": "out"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.tanh(x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (1 - out * out)


class Sigmoid(_Smooth):
    """1 / (1 + exp(-x)): s (1 - s). Both sides come from exp(-|x|), which cannot overflow."""

    needs: ClassVar = {"x": "out"}

    def forward(self, xp: Any, x: Any) -> Any:
        small = xp.exp(-abs(x))
        return xp.where(x >= 0, 1, small) / (1 + small)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (out * (1 - out))


class Sin(_Smooth):
    """The sine: cos(x)."""

    needs: ClassVar = {"x": "x"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sin(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * cos(x)


class Cos(_Smooth):
    """The cosine: -sin(x)."""

    needs: ClassVar = {"x": "x"}

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.cos(x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return -grad * sin(x)


class Erf(_Smooth):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

    needs: ClassVar = {"x": "x"}

    def forward(self, xp: Any, x: Any) -> Any:
        library = "scipy" if xp.__name__ == "numpy" else "cupyx.scipy"
        special = importlib.import_module(f"{library}.special")  # slow to import: at first use
        return special.erf(x.astype(wide(x.dtype))).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * (exp(-(x * x)) * (2 / math.sqrt(math.pi)))


exp = Exp()
expm1 = Expm1()
log = Log()
log1p = Log1p()
sqrt = Sqrt()
tanh = Tanh()
sigmoid = Sigmoid()
sin = Sin()
cos = Cos()
erf = Erf()
