"""Normalisation, one gate for batch, layer, group and instance norm, which differ in `dims` only.

In first order the backward is fused (`kernels.normalization`); under `create_graph` it is the same
formula composed of gates, starting from x, so that the statistics are differentiated too.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import Gate, Node, Variable
from tapegrad.kernels import normalization

from .arithmetic import pow_
from .precision import widened
from .reductions import sum_

Dims = tuple[int, ...]


def _mean(x: Any, dims: Dims) -> Any:
    return sum_(x, dims=dims, keepdim=True) / math.prod(x.shape[d] for d in dims)


class Normalize(Gate):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance over `dims`."""

    needs: ClassVar = {"x": "x weight extra", "weight": "x weight extra", "bias": ""}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, weight: Any, bias: Any, *, dims: Dims, eps: float) -> Any:
        out, *statistics = normalization.normalize(
            xp, widened(x), widened(weight), widened(bias), dims, eps
        )
        return (out.astype(x.dtype, copy=False), *statistics)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: Any,
        x: Any,
        weight: Any,
        bias: None,
        *,
        dims: Dims,
        eps: float,
    ) -> Any:
        wants_x, wants_weight, wants_bias = node.inputs
        if x is None:
            return None, None, grad
        if not isinstance(grad, Variable):
            to_x, to_weight, to_bias = normalization.normalize_gradient(
                module_of(x), widened(grad), widened(x), widened(weight), out[1:], dims, eps
            )
            if weight is None:
                to_bias = grad
            return wants_x and to_x, wants_weight and to_weight, wants_bias and to_bias
        x, weight, grad = widened(x), widened(weight), widened(grad)
        left = x - _mean(x, dims)
        root = pow_(_mean(left * left, dims) + eps, -0.5)
        normal = left * root
        weighed = grad if weight is None else grad * weight
        to_x = root * (weighed - _mean(weighed, dims) - normal * _mean(weighed * normal, dims))
        return wants_x and to_x, wants_weight and grad * normal, wants_bias and grad


class NormalizeSquare(Gate):
    """x / sqrt(mean(x^2) + eps) * weight, the mean over `dims`."""

    needs: ClassVar = {"x": "x weight extra", "weight": "x weight extra"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, weight: Any, *, dims: Dims, eps: float) -> Any:
        out, square = normalization.normalize_square(xp, widened(x), widened(weight), dims, eps)
        return out.astype(x.dtype, copy=False), square

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, weight: Any, *, dims: Dims, eps: float
    ) -> Any:
        wants_x, wants_weight = node.inputs
        if not isinstance(grad, Variable):
            to_x, to_weight = normalization.normalize_square_gradient(
                module_of(x), widened(grad), widened(x), widened(weight), out[1], dims, eps
            )
            return wants_x and to_x, wants_weight and to_weight
        x, weight, grad = widened(x), widened(weight), widened(grad)
        root = pow_(_mean(x * x, dims) + eps, -0.5)
        normal = x * root
        weighed = grad if weight is None else grad * weight
        to_x = root * (weighed - normal * _mean(weighed * normal, dims))
        return wants_x and to_x, wants_weight and grad * normal


normalize = Normalize()
normalize_square = NormalizeSquare()
