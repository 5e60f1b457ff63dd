"""Rounding, and quotients and remainders of whole steps.

A rounded number is flat: its gradient is 0. So is that of a whole quotient, and a remainder passes
its gradient on.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import FLOATS, INTEGERS, wide
from tapegrad.autograd.engine import Gate, UnaryGate
from tapegrad.autograd.errors import DivisionError
from tapegrad.autograd.records import Node

from .arithmetic import Wrapping, refuse_booleans
from .selection import where


class _Flat(UnaryGate):
    """What these gates share: whole numbers stay, and no gradient gets through."""

    needs: ClassVar = {"x": ""}
    rounding: ClassVar[str]

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """The expression, at whole numbers the number itself."""
        return self.cuda if dtype in FLOATS else "x"

    def forward(self, xp: Any, x: Any) -> Any:
        return getattr(xp, self.rounding)(x) if x.dtype in FLOATS else x.copy()

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return where(False, grad, 0.0)


class Floor(_Flat):
    """The largest whole number not above x; flat, so that its gradient is 0."""

    rounding: ClassVar = "floor"
    cuda: ClassVar = "floor(x)"


class Ceil(_Flat):
    """The smallest whole number not below x; flat, so that its gradient is 0."""

    rounding: ClassVar = "ceil"
    cuda: ClassVar = "ceil(x)"


class Trunc(_Flat):
    """The whole number next to x on the side of 0; flat, so that its gradient is 0."""

    rounding: ClassVar = "trunc"
    cuda: ClassVar = "trunc(x)"


class Rint(_Flat):
    """The nearest whole number, of two the even one; flat, so that its gradient is 0."""

    rounding: ClassVar = "rint"
    cuda: ClassVar = "rint(x)"


class RoundTo(Gate):
    """x rounded to so many places, or before the point so many; flat, so that its gradient is 0."""

    needs: ClassVar = {"x": ""}
    quiet: ClassVar = "always"
    pointwise: ClassVar = True

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """rint(x scale) / scale; whole numbers go through double precision."""
        scale = f"{'T' if dtype in FLOATS else 'double'}({10.0 ** abs(params['decimals'])})"
        if params["decimals"] < 0:
            return f"rint(x / {scale}) * {scale}"
        return f"rint(x * {scale}) / {scale}"

    def forward(self, xp: Any, x: Any, *, decimals: int) -> Any:
        scale = 10.0 ** abs(decimals)
        wider = x.astype(wide(x.dtype), copy=False)
        if decimals < 0:
            return (xp.rint(wider / scale) * scale).astype(x.dtype, copy=False)
        return (xp.rint(wider * scale) / scale).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, decimals: int) -> Any:
        return where(False, grad, 0.0)


class Frac(UnaryGate):
    """What trunc leaves, with the sign of x: passes the gradient."""

    needs: ClassVar = {"x": ""}
    quiet: ClassVar = "always"
    cuda: ClassVar = "x - trunc(x)"

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """The expression; whole numbers leave nothing."""
        return self.cuda if dtype in FLOATS else "T(0)"

    def forward(self, xp: Any, x: Any) -> Any:
        return x - xp.trunc(x)

    def backward(self, node: Node, grad: Any, out: None, x: None) -> Any:
        return grad


class _Quotient(Wrapping):
    """What these gates share: flat, so that their gradients are 0."""

    needs: ClassVar = {"x": "", "y": ""}
    quiet: ClassVar = "always"

    def backward(self, node: Node, grad: Any, out: None, x: None, y: None) -> Any:
        none = where(False, grad, 0.0)
        return none, none


class FloorDivide(_Quotient):
    """floor(x / y); flat, so that its gradients are 0."""

    cuda: ClassVar = "floor_divide(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        _refuse(xp, x, y)
        return x // y


class TruncDivide(_Quotient):
    """trunc(x / y), towards 0; flat, so that its gradients are 0."""

    cuda: ClassVar = "trunc_divide(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        if not _refuse(xp, x, y):
            return xp.trunc(x / y)
        out = x // y
        return out + ((out < 0) & (out * y != x))


class Remainder(Wrapping):
    """x - floor(x / y) y, with the sign of y: the gradient of y is -floor(x / y)."""

    needs: ClassVar = {"x": "", "y": "x y"}
    quiet: ClassVar = "always"
    cuda: ClassVar = "floor_remainder(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        _refuse(xp, x, y)
        return xp.remainder(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return grad, node.inputs[1] and -grad * floor_divide(x, y)


class Fmod(Wrapping):
    """x - trunc(x / y) y, with the sign of x: the gradient of y is -trunc(x / y)."""

    needs: ClassVar = {"x": "", "y": "x y"}
    quiet: ClassVar = "always"
    cuda: ClassVar = "trunc_remainder(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        _refuse(xp, x, y)
        return xp.fmod(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return grad, node.inputs[1] and -grad * trunc_divide(x, y)


def _refuse(xp: Any, x: Any, y: Any) -> bool:
    """Refuse booleans, and whole numbers over zero; say whether the numbers are whole."""
    refuse_booleans(x, y)
    floats = type(x) is float or type(y) is float
    dtypes = [v.dtype for v in (x, y) if hasattr(v, "dtype")]
    whole = not floats and INTEGERS.issuperset(dtypes)
    if whole and not xp.all(y):
        raise DivisionError("division of whole numbers by zero")
    return whole


floor = Floor()
ceil = Ceil()
trunc = Trunc()
rint = Rint()
round_to = RoundTo()
frac = Frac()
floor_divide = FloorDivide()
trunc_divide = TruncDivide()
remainder = Remainder()
fmod = Fmod()
