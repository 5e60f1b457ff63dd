"""Lengths: the p-norm over dimensions. Half types are accumulated in float32."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import Gate, cast
from tapegrad.autograd.records import Node
from tapegrad.kernels.sums import norm

from .arithmetic import abs_, sign
from .reductions import Dims, sum_
from .selection import where
from .shape import reshape

INFINITY = float("inf")


class VectorNorm(Gate):
    """(sum |x|^p)^(1/p): the gradient is sign(x) (|x| / out)^(p-1), and 0 where the norm is 0.

    The largest magnitude for p = inf and the smallest for p = -inf, shared evenly by several; the
    count of what is not 0 for p = 0, which is flat.
    """

    needs: ClassVar = {"x": "x out"}
    floats: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, p: float, dims: Dims, keepdim: bool) -> Any:
        return norm(xp, x, p, dims, keepdim, wide(x.dtype))

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, *, p: float, dims: Dims, keepdim: bool
    ) -> Any:
        kept = tuple(1 if i in dims else n for i, n in enumerate(x.shape))
        grad, out = reshape(grad, shape=kept), reshape(out, shape=kept)
        if p == 0:
            return where(False, x, 0.0)
        if p == 1:
            return grad * sign(x)
        if p in (INFINITY, -INFINITY):
            won = abs_(x) == out
            winners = sum_(cast(won, dtype=grad.dtype), dims=dims, keepdim=True)
            return sign(x) * where(won, grad / winners, 0.0)
        at_zero = out == 0  # neither the quotient nor its derivative is taken there
        share = where(at_zero, 0.0, grad / where(at_zero, 1.0, out) ** (p - 1))
        if p == 2:
            return x * share
        if p >= 3:
            return x * abs_(x) ** (p - 2) * share
        flat = x == 0  # |x|^(p-1) has no derivative there, or no value
        return where(flat, 0.0, sign(x) * abs_(where(flat, 1.0, x)) ** (p - 1)) * share


vector_norm = VectorNorm()
