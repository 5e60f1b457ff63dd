"""Products of matrices and vectors; `kernels/products.py` multiplies."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import BinaryGate, Gate, array_of, cast
from tapegrad.autograd.records import Node
from tapegrad.kernels import products
from tapegrad.kernels.cuda.blas import lies_evenly

from .copies import arrange
from .reductions import sum_
from .selection import relu_gradient, where
from .shape import permute, reshape


def swap(x: Any) -> Any:
    """The last two dimensions exchanged."""
    return permute(x, dims=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _rows(x: Any) -> Any:
    """A stack of matrices as one, of the rows of all."""
    return reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def evenly_stacked(x: Any) -> Any:
    """A stack on a GPU whose matrices lie evenly apart, copied where they do not.

    What several products take, such as heads of attention, each of them would copy.
    """
    data = array_of(x)
    if data.ndim < 4 or module_of(data) is np or lies_evenly(data.shape, data.strides):
        return x
    return arrange(x, order=None)


class Matmul(BinaryGate):
    """The product of matrices, or of stacks of them: each input receives the gradient times the
    other, transposed. For out = x y: dx = g y^T and dy = x^T g."""

    needs: ClassVar = {"x": "y", "y": "x"}
    pointwise: ClassVar = False
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return products.matmul(xp, x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        if wants_x and wants_y and len(grad.shape) > 3:
            grad = evenly_stacked(grad)
        to_x = wants_x and matmul(grad, swap(y))
        if wants_y and len(wants_y.shape) == 2 < x.ndim:
            x, grad = _rows(x), _rows(grad)  # one product adds up what a stack of them would
        return to_x, wants_y and matmul(swap(x), grad)


class ScaledMatmul(Gate):
    """The product of matrices times a number; `wide` leaves that of a half type in float32.

    The gradient of a wide product is rounded to the half type, as its factors are.
    """

    needs: ClassVar = {"x": "y", "y": "x"}
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any, *, factor: float, wide: bool) -> Any:
        return products.scaled_matmul(xp, x, y, factor, wide)

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, y: Any, *, factor: float, wide: bool
    ) -> Any:
        wants_x, wants_y = node.inputs
        dtype = (y if x is None else x).dtype
        grad = grad if grad.dtype == dtype else cast(grad, dtype=dtype)
        to_x = wants_x and scaled_matmul(grad, swap(y), factor=factor, wide=False)
        return to_x, wants_y and scaled_matmul(swap(x), grad, factor=factor, wide=False)


class Linear(Gate):
    """x W^T + b for x of any rank: dx = g W, dW = g^T x and db = sum g over all but the last."""

    needs: ClassVar = {"x": "weight", "weight": "x", "bias": ""}
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, weight: Any, bias: Any) -> Any:
        return products.linear(xp, x, weight, bias)

    def backward(self, node: Node, grad: Any, out: None, x: Any, weight: Any, bias: None) -> Any:
        wants_x, wants_weight, wants_bias = node.inputs
        to_x = wants_x and matmul(grad, weight)
        rows = _rows(grad)
        if wants_weight and wants_bias:
            return to_x, *linear_gradient(rows, _rows(x))
        to_weight = wants_weight and matmul(swap(rows), _rows(x))
        return to_x, to_weight, wants_bias and sum_(rows, dims=(0,), keepdim=False)


class LinearRelu(Linear):
    """max(0, x W^T + b), which hands on to x W^T + b the gradient where it is above 0."""

    needs: ClassVar = {"x": "weight out", "weight": "x out", "bias": "out"}

    def forward(self, xp: Any, x: Any, weight: Any, bias: Any) -> Any:
        return products.linear(xp, x, weight, bias, relu=True)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, weight: Any, bias: None) -> Any:
        return super().backward(node, relu_gradient(grad, out), None, x, weight, bias)


class LinearGradient(Gate):
    """What a linear layer's weight and bias receive: g^T x, and the rows of g added up.

    It is a linear layer backward as well: dg = x W^T + b and dx = g W for the gradients W and b.
    """

    needs: ClassVar = {"grad": "x", "x": "grad"}
    outputs: ClassVar = None
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, grad: Any, x: Any) -> Any:
        return products.linear_gradient(xp, grad, x)

    def backward(self, node: Node, grads: Any, out: None, grad: Any, x: Any) -> Any:
        (weight, bias), (wants_grad, wants_x) = grads, node.inputs
        return wants_grad and linear(x, weight, bias), wants_x and matmul(grad, weight)


class Cross(Gate):
    """The vector product along a dimension of 3: dx = y cross g and dy = g cross x."""

    needs: ClassVar = {"x": "y", "y": "x"}
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any, *, dim: int) -> Any:
        return xp.cross(x, y, axis=dim)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any, *, dim: int) -> Any:
        wants_x, wants_y = node.inputs
        return wants_x and cross(y, grad, dim=dim), wants_y and cross(grad, x, dim=dim)


class Cdist(Gate):
    """The Euclidean distances between rows of x and rows of y, by way of their products.

    For w = g / out, 0 where the distance is 0, dx = sum(w) x - w y, and so for y.
    """

    needs: ClassVar = {"x": "x y out", "y": "x y out"}
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        out = products.matmul(xp, x, xp.swapaxes(y, -1, -2))
        out *= -2
        out += xp.sum(x * x, axis=-1, keepdims=True)
        out += xp.sum(y * y, axis=-1)[..., None, :]
        return xp.sqrt(xp.maximum(out, 0, out=out), out=out)

    def backward(self, node: Node, grad: Any, out: Any, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        equal = out == 0
        weights = where(equal, 0.0, grad / where(equal, 1.0, out))
        to_x = wants_x and _toward(weights, x, y)
        return to_x, wants_y and _toward(swap(weights), y, x)


def _toward(weights: Any, x: Any, y: Any) -> Any:
    return x * sum_(weights, dims=(weights.ndim - 1,), keepdim=True) - matmul(weights, y)


matmul = Matmul()
scaled_matmul = ScaledMatmul()
linear = Linear()
linear_relu = LinearRelu()
linear_gradient = LinearGradient()
cross = Cross()
cdist = Cdist()
