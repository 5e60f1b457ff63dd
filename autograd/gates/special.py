"""Functions with names of their own: the error function, the gamma function, Bessel's.

They are computed by SciPy (CuPy has the same), in float32 at least.
"""

from __future__ import annotations

import importlib
import math
from typing import Any, ClassVar

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node
from tapegrad.kernels import error_function
from tapegrad.kernels.selection import select

from .exponential import Smooth, exp
from .selection import where


def _special(xp: Any, name: str, *inputs: Any) -> Any:
    """SciPy's function of a name, on inputs of which the last is the array."""
    library = "scipy" if xp.__name__ == "numpy" else "cupyx.scipy"
    special = importlib.import_module(f"{library}.special")  # slow to import: at first use
    *first, x = inputs
    out = getattr(special, name)(*first, x.astype(wide(x.dtype), copy=False))
    return out.astype(x.dtype, copy=False)


class Erf(Smooth):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "erf(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        wider = x.astype(wide(x.dtype), copy=False)
        return error_function.erf(xp, wider).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * (exp(-(x * x)) * (2 / math.sqrt(math.pi)))


class Erfc(Smooth):
    """1 - erf(x), exact where erf is nearly 1."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "erfc(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return _special(xp, "erfc", x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * (exp(-(x * x)) * (-2 / math.sqrt(math.pi)))


class Erfinv(Smooth):
    """What erf undoes: sqrt(pi)/2 exp(out^2)."""

    needs: ClassVar = {"x": "out"}
    cuda: ClassVar = "erfinv(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return _special(xp, "erfinv", x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return grad * (exp(out * out) * (math.sqrt(math.pi) / 2))


class Lgamma(Smooth):
    """The logarithm of |gamma(x)|: digamma(x)."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "lgamma(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        out = _special(xp, "gammaln", x)
        return select(xp, x == -math.inf, math.inf, out).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * polygamma(x, n=0)


class Polygamma(Gate):
    """The derivative of order n + 1 of the logarithm of gamma(x); that of n = 0 is digamma."""

    needs: ClassVar = {"x": "x"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "polygamma(x, n)"
    headers: ClassVar = ("special.cuh",)

    def forward(self, xp: Any, x: Any, *, n: int) -> Any:
        if n == 0:
            return _special(xp, "digamma", x)
        wider = x.astype(wide(x.dtype), copy=False)
        out = _special(xp, "zeta", float(n + 1), wider) * ((-1.0) ** (n + 1) * math.factorial(n))
        return out.astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any, *, n: int) -> Any:
        return grad * polygamma(x, n=n + 1)


class I0(Smooth):
    """Bessel's modified function of the first kind and order 0: the one of order 1."""

    needs: ClassVar = {"x": "x"}
    cuda: ClassVar = "cyl_bessel_i0(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return _special(xp, "i0", x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * i1(x)


class I1(Smooth):
    """Bessel's modified function of the first kind and order 1: I0(x) - I1(x)/x, 1/2 at 0."""

    needs: ClassVar = {"x": "x out"}
    cuda: ClassVar = "cyl_bessel_i1(x)"

    def forward(self, xp: Any, x: Any) -> Any:
        return _special(xp, "i1", x)

    def backward(self, node: Node, grad: Any, out: Any, x: Any) -> Any:
        ratio = where(x == 0, 0.5, out / where(x == 0, 1.0, x))
        return grad * (i0(x) - ratio)


erf = Erf()
erfc = Erfc()
erfinv = Erfinv()
lgamma = Lgamma()
polygamma = Polygamma()
i0 = I0()
i1 = I1()
