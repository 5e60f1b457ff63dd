"""Choices: max and min route, where selects, clamp and relu cut.

A gradient that is not chosen is never multiplied by 0: it is selected away, so that an infinity or
a NaN in the branch not taken stays there.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import INTEGERS, NUMPY_FLOATS
from tapegrad.autograd.engine import BinaryGate, Gate, UnaryGate
from tapegrad.autograd.records import Node
from tapegrad.kernels.selection import select

_MANY = 1 << 15  # elements


class Where(Gate):
    """x where the condition holds, else y: the gradient goes to whichever was taken."""

    needs: ClassVar = {"x": "condition", "y": "condition"}
    pointwise: ClassVar = True
    cuda: ClassVar = "condition ? x : y"

    def forward(self, xp: Any, condition: Any, x: Any, y: Any) -> Any:
        return select(xp, condition, x, y)

    def backward(self, node: Node, grad: Any, out: None, condition: Any, x: None, y: None) -> Any:
        _, wants_x, wants_y = node.inputs
        to_x = wants_x and where(condition, grad, 0.0)
        return None, to_x, wants_y and where(condition, 0.0, grad)


class Maximum(BinaryGate):
    """The larger of two: max routes the gradient to the winner, half to each in a tie."""

    needs: ClassVar = {"x": "x y", "y": "x y"}
    symbol: ClassVar = "max"
    slopes: ClassVar = {"x": "1 if x > y", "y": "1 if y > x"}
    quiet: ClassVar = "arrays"
    ufunc: ClassVar = "maximum"
    cuda: ClassVar = "maximum(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.maximum(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return _routed(node, grad, x, y, x < y, x > y)


class Minimum(BinaryGate):
    """The smaller of two: min routes the gradient likewise."""

    needs: ClassVar = {"x": "x y", "y": "x y"}
    symbol: ClassVar = "min"
    slopes: ClassVar = {"x": "1 if x < y", "y": "1 if y < x"}
    quiet: ClassVar = "arrays"
    ufunc: ClassVar = "minimum"
    cuda: ClassVar = "minimum(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.minimum(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return _routed(node, grad, x, y, x > y, x < y)


def _routed(node: Node, grad: Any, x: Any, y: Any, x_loses: Any, y_loses: Any) -> Any:
    """The gradient to whichever does not lose: half each in a tie, both with a NaN, as PyTorch."""
    wants_x, wants_y = node.inputs
    share = where(x == y, grad * 0.5, grad)
    return wants_x and where(x_loses, 0.0, share), wants_y and where(y_loses, 0.0, share)


class Fmax(BinaryGate):
    """The larger of two, a number before NaN; routes the gradient to the winner, x in a tie."""

    needs: ClassVar = {"x": "x y", "y": "x y"}
    quiet: ClassVar = "arrays"
    cuda: ClassVar = "x >= y || y != y ? x : y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.fmax(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return _won(node, grad, (x >= y) | (y != y))


class Fmin(BinaryGate):
    """The smaller of two, a number before NaN; routes the gradient likewise."""

    needs: ClassVar = {"x": "x y", "y": "x y"}
    quiet: ClassVar = "arrays"
    cuda: ClassVar = "x <= y || y != y ? x : y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.fmin(x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        return _won(node, grad, (x <= y) | (y != y))


def _won(node: Node, grad: Any, x_wins: Any) -> Any:
    wants_x, wants_y = node.inputs
    return wants_x and where(x_wins, grad, 0.0), wants_y and where(x_wins, 0.0, grad)


class ClampBetween(Gate):
    """x kept between two tensors (or None), the upper one before the lower.

    The gradient passes to x inside and at a bound, and outside to the bound that is taken.
    """

    needs: ClassVar = {"x": "x least most", "least": "x least most", "most": "x least most"}
    quiet: ClassVar = "arrays"
    pointwise: ClassVar = True
    cuda: ClassVar = "clip(x, least, most)"
    headers: ClassVar = ("math.cuh",)

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """The expression without the bounds that `params` has as None."""
        return _clipped("least", "most", params)

    def forward(self, xp: Any, x: Any, least: Any, most: Any) -> Any:
        out = x if least is None else xp.maximum(x, least)
        return out if most is None else xp.minimum(out, most)

    def backward(self, node: Node, grad: Any, out: None, x: Any, least: Any, most: Any) -> Any:
        wants_x, wants_least, wants_most = node.inputs
        inside, below, above = True, False, False
        if least is not None:
            inside, below = x >= least, x < least
        if most is not None:
            inside, above = inside & (x <= most), x > most
        if least is not None and most is not None:
            above = above | (least > most)
        to_least = wants_least and where(above, 0.0, where(below, grad, 0.0))
        to_most = wants_most and where(above, grad, 0.0)
        return wants_x and where(inside, grad, 0.0), to_least, to_most


class Clamp(Gate):
    """x kept between two numbers (or None); the gradient passes inside and at a bound."""

    needs: ClassVar = {"x": "x"}
    pointwise: ClassVar = True
    cuda: ClassVar = "clip(x, T(least), T(most))"
    headers: ClassVar = ("math.cuh",)

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """The expression without the bounds that bound nothing."""
        least, most = _bounds(dtype, **params)
        return _clipped("T(least)", "T(most)", {"least": least, "most": most})

    def forward(self, xp: Any, x: Any, *, least: float | None, most: float | None) -> Any:
        least, most = _bounds(x.dtype, least, most)
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


def _bounds(dtype: np.dtype, least: Any, most: Any) -> tuple[Any, Any]:
    """The bounds of a clamp, None for one that whole numbers of this dtype cannot reach."""
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        least = None if least is None or least < info.min else least
        most = None if most is None or most > info.max else most
    return least, most


def _clipped(least: str, most: str, bounds: dict[str, Any]) -> str:
    """x between two bounds as a CUDA expression, without one that `bounds` has as None."""
    out = "x" if bounds.get("least", 0) is None else f"maximum(x, {least})"
    return out if bounds.get("most", 0) is None else f"minimum({out}, {most})"


class Relu(UnaryGate):
    """max(0, x): passes the gradient where x is above 0, none at 0."""

    needs: ClassVar = {"x": "out"}
    slopes: ClassVar = {"x": "1 if x > 0"}
    cuda: ClassVar = "maximum(x, T(0))"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any) -> Any:
        if x.size >= _MANY and x.dtype in NUMPY_FLOATS:
            return xp.clip(x, 0, math.inf)  # starts more slowly than maximum and runs faster
        return xp.maximum(x, 0)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return relu_gradient(grad, out)


class ReluGradient(Gate):
    """What y = max(0, x) hands on to x: the gradient where y is above 0, or NaN."""

    needs: ClassVar = {"grad": "y"}
    pointwise: ClassVar = True
    cuda: ClassVar = "y <= T(0) ? T(0) : grad"

    def forward(self, xp: Any, grad: Any, y: Any) -> Any:
        return select(xp, y <= 0, 0.0, grad)

    def backward(self, node: Node, grads: Any, out: None, grad: None, y: Any) -> Any:
        return relu_gradient(grads, y), None


class NanToNum(Gate):
    """x with other numbers for NaN and the infinities: passes the gradient of the finite."""

    needs: ClassVar = {"x": "x"}
    pointwise: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "x - x == T(0) ? x : x != x ? T(nan) : x > T(0) ? T(posinf) : T(neginf)"

    def forward(self, xp: Any, x: Any, *, nan: float, posinf: float, neginf: float) -> Any:
        out = xp.array(x)
        xp.copyto(out, nan, where=xp.isnan(x))
        for infinity, number in ((math.inf, posinf), (-math.inf, neginf)):
            xp.copyto(out, number, where=x == infinity)
        return out

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, *, nan: float, posinf: float, neginf: float
    ) -> Any:
        return where(abs(x) < math.inf, grad, 0.0)


where = Where()
maximum = Maximum()
minimum = Minimum()
fmax = Fmax()
fmin = Fmin()
clamp = Clamp()
clamp_between = ClampBetween()
relu = Relu()
relu_gradient = ReluGradient()
nan_to_num = NanToNum()
