"""Losses that a composition would make slower or less exact: Huber's, and the cross-entropies."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import module_of, wide
from tapegrad.autograd.engine import BinaryGate, Gate, array_of
from tapegrad.autograd.records import Node, Variable
from tapegrad.kernels import cross_entropy as entropies
from tapegrad.kernels.selection import select

from .activation import hardtanh
from .exponential import log, log1p
from .precision import widened
from .reductions import softmax, sum_
from .selection import clamp, where
from .shape import reshape

LEAST_LOG = -100.0  # of a probability, as in PyTorch
LEAST_VARIANCE = 1e-12  # p (1 - p), the divisor of the gradient, likewise


class Huber(Gate):
    """x^2 / 2 up to delta and delta (|x| - delta / 2) from there: x kept within +-delta."""

    needs: ClassVar = {"x": "x"}
    pointwise: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "(x - clip(x, -T(delta), T(delta)) * T(0.5)) * clip(x, -T(delta), T(delta))"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, *, delta: float) -> Any:
        wider = x.astype(wide(x.dtype), copy=False)
        near = xp.clip(wider, -delta, delta)
        out = wider - near * 0.5
        out = out * near
        return out.astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any, *, delta: float) -> Any:
        return grad * hardtanh(x, least=-delta, most=delta)


class BinaryCrossEntropy(BinaryGate):
    """-(y log p + (1 - y) log(1 - p)): (p - y) / (p (1 - p)), and log(1 - p) - log p for y.

    No logarithm is less than -100, and no divisor than 1e-12.
    """

    needs: ClassVar = {"p": "p y", "y": "p"}
    quiet: ClassVar = "always"
    cuda: ClassVar = (
        f"-(y * maximum(log(p), T({LEAST_LOG})) + (T(1) - y) * maximum(log1p(-p), T({LEAST_LOG})))"
    )
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, p: Any, y: Any) -> Any:
        wider = p.astype(wide(p.dtype), copy=False)
        right = xp.maximum(xp.log(wider), LEAST_LOG)
        wrong = xp.maximum(xp.log1p(-wider), LEAST_LOG)
        return ((wrong - right) * y - wrong).astype(p.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, p: Any, y: Any) -> Any:
        to_p = to_y = None
        if node.inputs[0]:
            to_p = grad * (p - y) / clamp(p * (1 - p), least=LEAST_VARIANCE, most=None)
        if node.inputs[1]:
            wrong = clamp(log1p(-p), least=LEAST_LOG, most=None)
            to_y = grad * (wrong - clamp(log(p), least=LEAST_LOG, most=None))
        return to_p, to_y


class KlDiv(BinaryGate):
    """p (log p - x), and 0 where p is 0: -p to x and log p + 1 - x to p.

    The logarithm of 0 is never taken, and its slope is 0 there: p receives -x alone.
    """

    needs: ClassVar = {"x": "p", "p": "x p"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "(log(p == T(0) ? T(1) : p) - x) * p"

    def forward(self, xp: Any, x: Any, p: Any) -> Any:
        nothing = p == 0
        wider = p.astype(wide(p.dtype), copy=False)
        out = xp.log(select(xp, nothing, 1.0, wider) if nothing.any() else wider) - x
        return (out * p).astype(p.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any, p: Any) -> Any:
        nothing = p == 0
        slope = where(nothing, 0.0, log(where(nothing, 1.0, p)) + 1)
        return node.inputs[0] and -grad * p, node.inputs[1] and grad * (slope - x)


class CrossEntropy(Gate):
    """-log softmax(x)[target]: softmax(x), less 1 at the target.

    `weight` holds one number for each class and has no gradient. In first order the backward is one
    pass over the logits; under `create_graph` it is the same formula composed of gates.
    """

    needs: ClassVar = {"x": "x target weight extra"}
    floats: ClassVar = True
    quiet: ClassVar = "always"
    fresh: ClassVar = True

    def forward(
        self, xp: Any, x: Any, target: Any, weight: Any, **settings: Any
    ) -> tuple[Any, ...]:
        weight = weight if weight is None else weight.astype(x.dtype, copy=False)
        return entropies.cross_entropy(xp, x, target, weight, entropies.Settings(**settings))

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, target: Any, weight: Any, **settings: Any
    ) -> Any:
        given = entropies.Settings(**settings)
        x_data, target, weight = map(array_of, (x, target, weight))
        weight = weight if weight is None else weight.astype(x.dtype, copy=False)
        xp = module_of(x_data)
        if not isinstance(grad, Variable):
            to_x = entropies.cross_entropy_gradient(
                xp, grad, x_data, target, weight, out[1:], given
            )
            return to_x, None, None
        share, kept = entropies.demand(xp, x_data, target, weight, given)
        if given.reduction == "none":
            grad = reshape(grad, shape=kept.shape)
        whole = sum_(share, dims=(given.dim,), keepdim=True)
        to_x = softmax(widened(x), dim=given.dim) * whole - share
        return where(kept, to_x, 0.0) * (widened(grad) / out[3][0]), None, None


huber = Huber()
binary_cross_entropy = BinaryCrossEntropy()
cross_entropy = CrossEntropy()
kl_div = KlDiv()
