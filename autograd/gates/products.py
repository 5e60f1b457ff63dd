"""Matrix products. Half types are multiplied in float32, for which BLAS has routines."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tapegrad.autograd.arrays import HALVES, float32
from tapegrad.autograd.engine import BinaryGate, Gate, Node

from .reductions import sum_
from .shape import permute, reshape


def _multiply(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype in HALVES:
        return xp.matmul(x.astype(float32), y.astype(float32)).astype(x.dtype)
    return xp.matmul(x, y)


def swap(x: Any) -> Any:
    """The last two dimensions exchanged."""
    return permute(x, dims=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


class Matmul(BinaryGate):
    """The product of matrices, or of stacks of them: each input receives the gradient times the
    other, transposed. For out = x y: dx = g y^T and dy = x^T g."""

    needs: ClassVar = {"x": "y", "y": "x"}
    pointwise: ClassVar = False
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return _multiply(xp, x, y)

    def backward(self, node: Node, grad: Any, out: None, x: Any, y: Any) -> Any:
        wants_x, wants_y = node.inputs
        return wants_x and matmul(grad, swap(y)), wants_y and matmul(swap(x), grad)


class Linear(Gate):
    """x W^T + b for x of any rank: dx = g W, dW = g^T x and db = sum g over all but the last."""

    needs: ClassVar = {"x": "weight", "weight": "x", "bias": ""}
    fresh: ClassVar = True
    quiet: ClassVar = "arrays"

    def forward(self, xp: Any, x: Any, weight: Any, bias: Any) -> Any:
        product = _multiply(xp, x, weight.T)
        if bias is not None:
            product += bias
        return product

    def backward(self, node: Node, grad: Any, out: None, x: Any, weight: Any, bias: None) -> Any:
        wants_x, wants_weight, wants_bias = node.inputs
        to_x = wants_x and matmul(grad, weight)
        count = math.prod(grad.shape[:-1])
        rows = reshape(grad, shape=(count, grad.shape[-1]))
        to_weight = wants_weight and matmul(swap(rows), reshape(x, shape=(count, x.shape[-1])))
        return to_x, to_weight, wants_bias and sum_(rows, dims=(0,), keepdim=False)


matmul = Matmul()
linear = Linear()
