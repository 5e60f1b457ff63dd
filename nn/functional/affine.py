"""Linear and bilinear maps."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import products
from tapegrad.autograd.gates.shape import permute, reshape
from tapegrad.autograd.operations.arguments import check_tensor, same_dtype

from .arguments import activated

__all__ = [
    "bilinear",
    "linear",
]


def linear(input: Any, weight: Any, bias: Any = None, *, activation: str | None = None) -> Any:
    """y = x W^T + b: (..., in) with weight (out, in) and bias (out,) gives (..., out).

    With `activation="relu"` y = max(0, x W^T + b) is one gate, on a GPU one call of cuBLASLt, which
    may make 0 of a NaN.

    >>> import tapegrad as tg
    >>> tg.linear(tg.tensor([1.0, 2.0]), tg.tensor([[3.0, 4.0]]), tg.tensor([0.5]))
    tensor([11.5000])
    """
    x, w = check_tensor("linear", input)._data, check_tensor("linear", weight)._data
    fits = x.ndim > 0 and w.ndim == 2 and x.shape[-1] == w.shape[1]
    if not fits or (bias is not None and check_tensor("linear", bias)._data.shape != w.shape[:1]):
        with_bias = "" if bias is None else f" and bias {describe(bias)}"
        raise ShapeError(
            f"linear: input {describe(input)} does not fit weight {describe(weight)}{with_bias}; "
            "expected (..., in), (out, in) and (out,)"
        )
    same_dtype("linear", input, weight, bias)
    gate = activated("linear", products.linear, products.linear_relu, activation)
    if x.ndim == 1:
        product = gate(reshape(input, shape=(1, *x.shape)), weight, bias)
        return reshape(product, shape=w.shape[:1])
    return gate(input, weight, bias)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """y_k = x1^T W_k x2 + b_k: (..., I), (..., J), weight (K, I, J), bias (K,) give (..., K).

    >>> import tapegrad as tg
    >>> tg.bilinear(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0]]), tg.tensor([[[1.0], [1.0]]]))
    tensor([[9.]])
    """
    first, second, w = (check_tensor("bilinear", v)._data for v in (input1, input2, weight))
    fits = (
        first.ndim == second.ndim > 0
        and first.shape[:-1] == second.shape[:-1]
        and w.ndim == 3
        and w.shape[1:] == (first.shape[-1], second.shape[-1])
    )
    if not fits or (bias is not None and check_tensor("bilinear", bias)._data.shape != w.shape[:1]):
        with_bias = "" if bias is None else f" and bias {describe(bias)}"
        raise ShapeError(
            f"bilinear: inputs {describe(input1)} and {describe(input2)} do not fit weight "
            f"{describe(weight)}{with_bias}; expected (..., I), (..., J), (K, I, J) and (K,)"
        )
    same_dtype("bilinear", input1, input2, weight, bias)
    count, (outer, left, right) = math.prod(first.shape[:-1]), w.shape
    matrix = reshape(permute(weight, dims=(1, 0, 2)), shape=(left, outer * right))
    half = products.matmul(reshape(input1, shape=(count, left)), matrix)  # x1^T W
    half = reshape(half, shape=(count, outer, right))
    product = products.matmul(half, reshape(input2, shape=(count, right, 1)))
    out = reshape(product, shape=(*first.shape[:-1], outer))
    return out if bias is None else out + bias
