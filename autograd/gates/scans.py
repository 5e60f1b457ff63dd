"""Running sums, products, extremes and log-sum-exps, and the recurrence behind their gradients.

The product of the others, which a product's gradient needs, is made of running products from both
ends; no division, so that zeros are exact in every order. Half types are accumulated in float32.
"""

from __future__ import annotations

from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from tapegrad.autograd.arrays import module_of, wide
from tapegrad.autograd.engine import Gate, array_of
from tapegrad.autograd.records import Node
from tapegrad.kernels import scans
from tapegrad.kernels.selection import may_hold

from .exponential import exp
from .indexing import index, scatter_add
from .selection import where
from .shape import flip, pad

INFINITY = float("inf")


def cut(x: Any, dim: int, part: slice) -> Any:
    """A stretch of a dimension."""
    return index(x, key=(*(slice(None),) * dim, part))


def padded(x: Any, dim: int, width: tuple[int, int], fill: float) -> Any:
    """A dimension made longer at its ends."""
    return pad(x, widths=((0, 0),) * dim + (width,) + ((0, 0),) * (x.ndim - dim - 1), value=fill)


def shifted(x: Any, dim: int, fill: float, back: bool = False) -> Any:
    """Everything one place later along a dimension (or one earlier), `fill` in the gap."""
    if back:
        return padded(cut(x, dim, slice(1, None)), dim, (0, 1), fill)
    return padded(cut(x, dim, slice(0, -1)), dim, (1, 0), fill)


def divisible(x: Any) -> bool:
    """Whether products may be divided by: none is 0, lost in underflow or overflow, or NaN.

    Never on a GPU, for which the answer would have to be waited.
    """
    x = array_of(x)
    if not x.size:
        return True
    if module_of(x) is not np:
        return False
    size = abs(x.astype(wide(x.dtype), copy=False))
    limits = ml_dtypes.finfo(x.dtype)
    return bool(size.min() >= float(limits.smallest_normal) and size.max() <= float(limits.max))


class Cumsum(Gate):
    """The sum of everything up to each element, or from it on; the gradient sums the other way."""

    needs: ClassVar = {"x": ""}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, dim: int, reverse: bool) -> Any:
        x = xp.flip(x, dim) if reverse else x
        out = xp.cumsum(x, axis=dim, dtype=wide(x.dtype)).astype(x.dtype, copy=False)
        return xp.flip(out, dim) if reverse else out

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, dim: int, reverse: bool
    ) -> Any:
        return cumsum(grad, dim=dim, reverse=not reverse)


class Cummax(Gate):
    """The largest up to each element and where it is, of several the last, which is routed to."""

    needs: ClassVar = {"x": "extra"}
    best: ClassVar = "maximum"

    def forward(self, xp: Any, x: Any, *, dim: int) -> tuple[Any, Any]:
        wider = x.astype(wide(x.dtype), copy=False)
        values = scans.accumulate(xp, self.best, wider, dim)
        reached = wider == values
        lost = values != values
        if may_hold(xp, lost):  # a NaN stays, and the next takes its place
            reached |= lost & (wider != wider)
        positions = scans.last_true(xp, xp.moveaxis(reached, dim, -1))
        return values.astype(x.dtype, copy=False), xp.moveaxis(positions, -1, dim)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, dim: int) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        return scatter_add(grad, out[1], dim=dim, shape=shape)


class Cummin(Cummax):
    """The smallest up to each element and where it is, likewise."""

    best: ClassVar = "minimum"


class Recurrence(Gate):
    """s[t] = a[t] s[t-1] + b[t], or backwards with s[t+1]: its gradient is one the other way."""

    needs: ClassVar = {"a": "a out", "b": "a"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, a: Any, b: Any, *, dim: int, reverse: bool) -> Any:
        dtype = b.dtype
        a, b = (part.astype(wide(dtype), copy=False) for part in (a, b))
        if reverse:
            a, b = xp.flip(a, dim), xp.flip(b, dim)
        out = scans.recurrence(xp, a, b, dim).astype(dtype, copy=False)
        return xp.flip(out, dim) if reverse else out

    def backward(
        self, node: Node, grad: Any, out: Any, a: Any, b: None, *, dim: int, reverse: bool
    ) -> Any:
        factors = shifted(a, dim, 0.0, back=not reverse)
        to_b = recurrence(factors, grad, dim=dim, reverse=not reverse)
        return node.inputs[0] and to_b * shifted(out, dim, 0.0, back=reverse), to_b


class Cumprod(Gate):
    """The product of everything up to each element; exact with zeros, in every order."""

    needs: ClassVar = {"x": "x out"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, *, dim: int) -> Any:
        return xp.cumprod(x, axis=dim, dtype=wide(x.dtype)).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, *, dim: int) -> Any:
        if divisible(out):
            return cumsum(grad * out, dim=dim, reverse=True) / x
        factors = shifted(x, dim, 0.0, back=True)
        later = recurrence(factors, grad, dim=dim, reverse=True)
        return products_before(x, dim) * later


def products_before(x: Any, dim: int) -> Any:
    """The product of everything before each element along a dimension."""
    return cumprod(shifted(x, dim, 1.0), dim=dim)


def products_of_others(x: Any, dim: int) -> Any:
    """The product of all the others along a dimension, for each element."""
    after = flip(products_before(flip(x, dims=(dim,)), dim), dims=(dim,))
    return products_before(x, dim) * after


_NEAR = 30.0  # exp(-30) is far from underflow, in float32 too


class Logcumsumexp(Gate):
    """log(cumsum(exp(x))) without overflow; 0 gradient where all so far are -inf.

    The gradient to x[k] is exp(x[k] - out[k]) times s[k] = g[k] + exp(out[k] - out[k+1]) s[k+1],
    in which no exponent is above 0.
    """

    needs: ClassVar = {"x": "x out"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, *, dim: int) -> Any:
        wider = x.astype(wide(x.dtype), copy=False)
        if x.size and xp is np:  # on a GPU, to look costs more
            largest = xp.max(wider, axis=dim, keepdims=True)
            first = wider[(*(slice(None),) * dim, slice(0, 1))]
            if bool(xp.all((largest - first <= _NEAR) & (abs(largest) < INFINITY))):
                out = xp.exp(wider - largest)
                out = xp.log(xp.cumsum(out, axis=dim)) + largest
                return out.astype(x.dtype, copy=False)
        return scans.accumulate(xp, "logaddexp", wider, dim).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, *, dim: int) -> Any:
        before, after = cut(out, dim, slice(0, -1)), cut(out, dim, slice(1, None))
        values = array_of(before)
        finite = module_of(values).isfinite(values)
        decay = exp(where(finite, before, 0.0) - where(finite, after, 0.0))
        decay = where(finite, decay, (values > 0).astype(values.dtype))
        later = recurrence(padded(decay, dim, (0, 1), 0.0), grad, dim=dim, reverse=True)
        empty = array_of(out) == -INFINITY
        return where(empty, 0.0, exp(x - where(empty, 0.0, out))) * later


cumsum = Cumsum()
cummax = Cummax()
cummin = Cummin()
recurrence = Recurrence()
cumprod = Cumprod()
logcumsumexp = Logcumsumexp()
