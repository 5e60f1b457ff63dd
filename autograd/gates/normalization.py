"""Normalisation, one gate for batch, layer, group and instance norm, which differ in `dims` only;
one for the mean square, and one for statistics that are known.

In first order the backward is fused (`kernels.normalization`); under `create_graph` it is the same
formula composed of gates, starting from x, so that the statistics are differentiated too.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tapegrad.autograd.arrays import HALVES, float32, module_of, wide
from tapegrad.autograd.engine import Gate, array_of
from tapegrad.autograd.records import Node, Variable
from tapegrad.kernels import normalization

from .arithmetic import pow_
from .exponential import rsqrt
from .precision import widened
from .reductions import sum_

Dims = tuple[int, ...]


def _mean(x: Any, dims: Dims) -> Any:
    return sum_(x, dims=dims, keepdim=True) / math.prod(x.shape[d] for d in dims)


class Normalize(Gate):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance over `dims`.

    `moving` are running statistics that a GPU moves in the same launch.
    """

    needs: ClassVar = {"x": "x weight extra", "weight": "x weight extra", "bias": ""}
    quiet: ClassVar = "always"
    fresh: ClassVar = True

    def prepare(self, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Half inputs take a weight and a bias of float32 as they are: those of a batch norm.

        For other norms `nn.functional` brings all to one dtype.
        """
        x, *scales = map(array_of, inputs)
        if x.dtype not in HALVES or any(v is not None and v.dtype != float32 for v in scales):
            return super().prepare(inputs)
        self.check_devices([x, *scales])
        return None

    def forward(
        self,
        xp: Any,
        x: Any,
        weight: Any,
        bias: Any,
        *,
        dims: Dims,
        eps: float,
        moving: normalization.Moving | None = None,
    ) -> Any:
        return normalization.normalize(xp, x, weight, bias, dims, eps, moving)

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
        moving: normalization.Moving | None = None,
    ) -> Any:
        wants_x, wants_weight, wants_bias = node.inputs
        if x is None:
            return None, None, grad if isinstance(grad, Variable) else grad.copy()
        if not isinstance(grad, Variable):
            wants = (wants_x is not None, wants_weight is not None, wants_bias is not None)
            to_x, to_weight, to_bias = normalization.normalize_gradient(
                module_of(x), grad, x, weight, out[1:], dims, eps, wants
            )
            if weight is None or to_bias is grad:
                to_bias = wants_bias and grad.copy()
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
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, weight: Any, *, dims: Dims, eps: float) -> Any:
        return normalization.normalize_square(xp, x, weight, dims, eps)

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, weight: Any, *, dims: Dims, eps: float
    ) -> Any:
        wants_x, wants_weight = node.inputs
        if not isinstance(grad, Variable):
            wants = (wants_x is not None, wants_weight is not None)
            to_x, to_weight = normalization.normalize_square_gradient(
                module_of(x), grad, x, weight, out[1], dims, eps, wants
            )
            return wants_x and to_x, wants_weight and to_weight
        x, weight, grad = widened(x), widened(weight), widened(grad)
        root = pow_(_mean(x * x, dims) + eps, -0.5)
        normal = x * root
        weighed = grad if weight is None else grad * weight
        to_x = root * (weighed - normal * _mean(weighed * normal, dims))
        return wants_x and to_x, wants_weight and grad * normal


class Standardize(Gate):
    """(x - mean) / sqrt(var + eps) * weight + bias of a mean and a variance from elsewhere."""

    needs: ClassVar = {
        "x": "var weight",
        "mean": "var weight",
        "var": "x mean var weight",
        "weight": "x mean var",
        "bias": "",
    }
    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "(x - mean) * (rsqrt(var + T(eps)) * weight) + bias"

    def forward(
        self, xp: Any, x: Any, mean: Any, var: Any, weight: Any, bias: Any, *, eps: float
    ) -> Any:
        dtype = x.dtype
        x, mean, var, weight, bias = (
            v if type(v) is float else v.astype(wide(dtype), copy=False)
            for v in (x, mean, var, weight, bias)
        )
        out = x - mean
        out *= 1 / xp.sqrt(var + eps) * weight
        out += bias
        return out.astype(dtype, copy=False)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: Any,
        mean: Any,
        var: Any,
        weight: Any,
        bias: None,
        *,
        eps: float,
    ) -> Any:
        wants_x, wants_mean, wants_var, wants_weight, wants_bias = node.inputs
        to_x: Any = None
        to_var: Any = None
        to_weight: Any = None
        scale: Any = None if var is None else rsqrt(widened(var) + eps)
        if wants_x is not None or wants_mean is not None:
            to_x = grad * (scale * weight)
        if wants_var is not None or wants_weight is not None:
            to_weight = grad * ((widened(x) - mean) * scale)
        if wants_var is not None:
            to_var = to_weight * weight * (scale * scale * -0.5)
        return (
            wants_x and to_x,
            wants_mean and -to_x,
            wants_var and to_var,
            wants_weight and to_weight,
            wants_bias and grad,
        )


normalize = Normalize()
normalize_square = NormalizeSquare()
standardize = Standardize()
