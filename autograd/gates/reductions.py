"""Many to few: sum, mean, product, variance, extremes, log-sum-exp, softmax.

`dims` is always a tuple of normalised dimensions. Half types are accumulated in float32.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import module_of, wide
from tapegrad.autograd.engine import Gate, array_of, cast
from tapegrad.autograd.records import Node, Variable
from tapegrad.kernels import extremes, sorting, sums
from tapegrad.kernels import softmax as softmaxes

from .arithmetic import div
from .broadcasting import expand
from .comparison import same
from .exponential import exp
from .scans import divisible, products_of_others
from .selection import where
from .shape import reshape

Dims = tuple[int, ...]
NAN = float("nan")


def _count(shape: tuple[int, ...], dims: Dims) -> int:
    """How many elements are reduced to one."""
    return math.prod(shape[d] for d in dims)


def _kept(shape: tuple[int, ...], dims: Dims) -> tuple[int, ...]:
    """The shape with the reduced dimensions kept as 1."""
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


class Sum(Gate):
    """The sum over dimensions distributes: every summand receives the gradient."""

    needs: ClassVar = {"x": ""}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return sums.total(xp, x, dims, keepdim, wide(x.dtype))

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, dims: Dims, keepdim: bool
    ) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        return expand(reshape(grad, shape=_kept(shape, dims)), shape=shape)


class Mean(Gate):
    """The mean over dimensions: every element receives its part of the gradient."""

    needs: ClassVar = {"x": ""}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return sums.mean(xp, x, dims, keepdim, wide(x.dtype))

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, dims: Dims, keepdim: bool
    ) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        part = grad / (_count(shape, dims) or 1)
        return expand(reshape(part, shape=_kept(shape, dims)), shape=shape)


class Var(Gate):
    """sum((x - mean)^2) / (n - correction), NaN where n does not exceed the correction.

    Exactly 0 for a constant, whose mean is rounded.
    """

    needs: ClassVar = {"x": "x"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool, correction: float) -> Any:
        return sums.variance(xp, x, dims, keepdim, correction, wide(x.dtype))

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: Any,
        *,
        dims: Dims,
        keepdim: bool,
        correction: float,
    ) -> Any:
        degrees = max(_count(x.shape, dims) - correction, 0)
        share = reshape(grad, shape=_kept(x.shape, dims)) * (2 / degrees if degrees else NAN)
        distance = x - sums.first(array_of(x), dims) if x.size else x
        return (distance - mean(distance, dims=dims, keepdim=True)) * share


class Nansum(Gate):
    """The sum over dimensions of what is not NaN, which alone receives the gradient."""

    needs: ClassVar = {"x": "x"}

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return sums.nansum(xp, x, dims, keepdim, wide(x.dtype))

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, *, dims: Dims, keepdim: bool
    ) -> Any:
        return where(x == x, reshape(grad, shape=_kept(x.shape, dims)), 0.0)


class Prod(Gate):
    """The product along a dimension: every factor receives the product of the others.

    That is the product divided by the factor where this is exact, and else, as with zeros among
    the factors, products from both ends.
    """

    needs: ClassVar = {"x": "x out"}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, dim: int, keepdim: bool) -> Any:
        return sums.product(xp, x, dim, keepdim, wide(x.dtype))

    def backward(self, node: Node, grad: Any, out: Any, x: Any, *, dim: int, keepdim: bool) -> Any:
        kept = _kept(x.shape, (dim,))
        if divisible(out):
            return reshape(grad * out, shape=kept) / x
        return reshape(grad, shape=kept) * products_of_others(x, dim)


def _shared(grad: Any, out: Any, x: Any, dims: Dims) -> Any:
    """The gradient to the elements that are what came out, evenly; NaN is NaN here."""
    kept = _kept(x.shape, dims)
    grad, out = reshape(grad, shape=kept), reshape(out, shape=kept)
    values = array_of(out)
    xp = module_of(values)
    if xp is not np:  # whether there is a NaN is not asked, which would wait for the GPU
        won = same(x, out)
        winners = cast(extremes.count(xp, array_of(won), dims, True), dtype=grad.dtype)
        return where(won, div(grad, winners), 0.0)
    won = x == out
    if bool((values != values).any()):
        won = won | ((x != x) & (values != values))
    winners = sum_(cast(won, dtype=grad.dtype), dims=dims, keepdim=True)
    return where(won, grad / winners, 0.0)


class Amax(Gate):
    """The largest along dimensions routes the gradient to the winner, evenly to several."""

    needs: ClassVar = {"x": "x out"}

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return extremes.largest(xp, x, dims, keepdim)

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, *, dims: Dims, keepdim: bool
    ) -> Any:
        return _shared(grad, out, x, dims)


class Amin(Amax):
    """The smallest along dimensions routes the gradient likewise."""

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return extremes.smallest(xp, x, dims, keepdim)


class Median(Gate):
    """The middle of all elements, the lower of two, which share the gradient with their equals.

    NaN if there is one, or with `skip` the median of the others.
    """

    needs: ClassVar = {"x": "x out"}

    def forward(self, xp: Any, x: Any, *, skip: bool) -> Any:
        flat = x.reshape(-1)
        if not flat.size:
            return xp.full((), NAN, x.dtype)
        return flat[sorting.median_position(xp, flat, skip)[0]]

    def backward(self, node: Node, grad: Any, out: Any, x: Any, *, skip: bool) -> Any:
        return _shared(grad, out, x, tuple(range(x.ndim)))


class Argmax(Gate):
    """The index of the first of the largest along a dimension (None: of all, flattened)."""

    def forward(self, xp: Any, x: Any, *, dim: int | None, keepdim: bool) -> Any:
        return extremes.place_of_largest(xp, x, dim, keepdim)


class Argmin(Gate):
    """The index of the first of the smallest along a dimension (None: of all, flattened)."""

    def forward(self, xp: Any, x: Any, *, dim: int | None, keepdim: bool) -> Any:
        return extremes.place_of_smallest(xp, x, dim, keepdim)


class Any_(Gate):
    """Whether any element is not 0."""

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return extremes.any_(xp, x, dims, keepdim)


class All_(Gate):
    """Whether no element is 0."""

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return extremes.all_(xp, x, dims, keepdim)


class Logsumexp(Gate):
    """log(sum(exp(x))), shifted by the largest; its derivative is the softmax, 0 for all -inf."""

    needs: ClassVar = {"x": "x out"}
    floats: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return sums.logsumexp(xp, x, dims, keepdim, wide(x.dtype))

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, *, dims: Dims, keepdim: bool
    ) -> Any:
        kept = _kept(x.shape, dims)
        out = reshape(out, shape=kept)
        empty = out == -float("inf")
        share = where(empty, 0.0, exp(x - where(empty, 0.0, out)))
        return reshape(grad, shape=kept) * share


class Softmax(Gate):
    """exp(x) / sum(exp(x)) along a dimension: s (g - sum(g s)). No gradient through the shift."""

    needs: ClassVar = {"x": "out"}
    floats: ClassVar = True
    quiet: ClassVar = "arrays"
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, *, dim: int) -> Any:
        return softmaxes.softmax(xp, x, dim)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, dim: int) -> Any:
        if not isinstance(grad, Variable):
            return softmaxes.softmax_gradient(module_of(out), grad, out, dim)
        shared = grad * out
        return shared - out * sum_(shared, dims=(dim,), keepdim=True)


class LogSoftmax(Gate):
    """x - log(sum(exp(x))) along a dimension: g - softmax(x) sum(g)."""

    needs: ClassVar = {"x": "out"}
    floats: ClassVar = True
    quiet: ClassVar = "arrays"
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, *, dim: int) -> Any:
        return softmaxes.softmax(xp, x, dim, logarithm=True)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, dim: int) -> Any:
        if not isinstance(grad, Variable):
            return softmaxes.softmax_gradient(module_of(out), grad, out, dim, logarithm=True)
        return grad - exp(out) * sum_(grad, dims=(dim,), keepdim=True)


sum_ = Sum()
mean = Mean()
nansum = Nansum()
var = Var()
prod = Prod()
median = Median()
amax = Amax()
amin = Amin()
argmax = Argmax()
argmin = Argmin()
any_ = Any_()
all_ = All_()
logsumexp = Logsumexp()
softmax = Softmax()
log_softmax = LogSoftmax()
