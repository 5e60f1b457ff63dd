"""Linear maps."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import products
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.operations.arguments import check_tensor, same_dtype

__all__ = [
    "linear",
]


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """y = x W^T + b: (..., in) with weight (out, in) and bias (out,) gives (..., out).

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
    if x.ndim == 1:
        product = products.linear(reshape(input, shape=(1, *x.shape)), weight, bias)
        return reshape(product, shape=w.shape[:1])
    return products.linear(input, weight, bias)
