"""Many to few: sum, largest and smallest, log-sum-exp, softmax.

`dims` is always a tuple of normalised dimensions. Half types are accumulated in float32.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import bool_, wide
from tapegrad.autograd.engine import Gate, Node, cast

from .broadcasting import expand
from .exponential import exp
from .selection import where
from .shape import reshape

Dims = tuple[int, ...]


def _kept(shape: tuple[int, ...], dims: Dims) -> tuple[int, ...]:
    """The shape with the reduced dimensions kept as 1."""
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


class Sum(Gate):
    """The sum over dimensions distributes: every summand receives the gradient."""

    needs: ClassVar = {"x": ""}
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        summed = xp.sum(x, axis=dims, keepdims=keepdim, dtype=wide(x.dtype))
        return summed.astype(x.dtype, copy=False) if summed.dtype != x.dtype else summed

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, dims: Dims, keepdim: bool
    ) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        return expand(reshape(grad, shape=_kept(shape, dims)), shape=shape)


class Amax(Gate):
    """The largest along dimensions routes the gradient to the winner, evenly to several."""

    needs: ClassVar = {"x": "x out"}

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return xp.max(x, axis=dims, keepdims=keepdim)

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, *, dims: Dims, keepdim: bool
    ) -> Any:
        kept = _kept(x.shape, dims)
        won = x == reshape(out, shape=kept)
        winners = sum_(cast(won, dtype=grad.dtype), dims=dims, keepdim=True)
        return where(won, reshape(grad, shape=kept) / winners, 0.0)


class Amin(Amax):
    """The smallest along dimensions routes the gradient likewise."""

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return xp.min(x, axis=dims, keepdims=keepdim)


class Argmax(Gate):
    """The index of the first of the largest along a dimension (None: of all, flattened)."""

    def forward(self, xp: Any, x: Any, *, dim: int | None, keepdim: bool) -> Any:
        return xp.argmax(x, axis=dim, keepdims=keepdim)


class Argmin(Gate):
    """The index of the first of the smallest along a dimension (None: of all, flattened)."""

    def forward(self, xp: Any, x: Any, *, dim: int | None, keepdim: bool) -> Any:
        return xp.argmin(x, axis=dim, keepdims=keepdim)


class Any_(Gate):
    """Whether any element is not 0."""

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return xp.any(x.astype(bool_), axis=dims, keepdims=keepdim)


class All_(Gate):
    """Whether no element is 0."""

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        return xp.all(x.astype(bool_), axis=dims, keepdims=keepdim)


class Logsumexp(Gate):
    """log(sum(exp(x))), shifted by the largest; its derivative is the softmax, 0 for all -inf."""

    needs: ClassVar = {"x": "x out"}
    floats: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, dims: Dims, keepdim: bool) -> Any:
        wider = x.astype(wide(x.dtype), copy=False)
        shift = xp.max(wider, axis=dims, keepdims=True, initial=-xp.inf)
        shift = xp.where(xp.isfinite(shift), shift, xp.zeros_like(shift))
        out = xp.log(xp.sum(xp.exp(wider - shift), axis=dims, keepdims=True)) + shift
        out = out if keepdim else xp.squeeze(out, axis=dims)
        return out.astype(x.dtype, copy=False)

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

    def forward(self, xp: Any, x: Any, *, dim: int) -> Any:
        shifted = x.astype(wide(x.dtype), copy=False) - xp.max(
            x, axis=dim, keepdims=True, initial=-xp.inf
        )
        xp.exp(shifted, out=shifted)
        shifted /= xp.sum(shifted, axis=dim, keepdims=True)
        return shifted.astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, dim: int) -> Any:
        shared = grad * out
        return shared - out * sum_(shared, dims=(dim,), keepdim=True)


class LogSoftmax(Gate):
    """x - log(sum(exp(x))) along a dimension: g - softmax(x) sum(g)."""

    needs: ClassVar = {"x": "out"}
    floats: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, *, dim: int) -> Any:
        shifted = x.astype(wide(x.dtype), copy=False) - xp.max(
            x, axis=dim, keepdims=True, initial=-xp.inf
        )
        shifted -= xp.log(xp.sum(xp.exp(shifted), axis=dim, keepdims=True))
        return shifted.astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, dim: int) -> Any:
        return grad - exp(out) * sum_(grad, dims=(dim,), keepdim=True)


sum_ = Sum()
amax = Amax()
amin = Amin()
argmax = Argmax()
argmin = Argmin()
any_ = Any_()
all_ = All_()
logsumexp = Logsumexp()
softmax = Softmax()
log_softmax = LogSoftmax()
