"""Exponentials and logarithms, roots, and what is made of them."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import FLOATS
from tapegrad.autograd.gates import exponential

from .arguments import check_tensor, check_tensors, number_that_fits, operands
from .selection import clamp

__all__ = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logit",
    "rsqrt",
    "sigmoid",
    "sqrt",
    "xlogy",
]


def exp(input: Any) -> Any:
    """e to the power `input`.

    >>> import tapegrad as tg
    >>> tg.exp(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return exponential.exp(check_tensor("exp", input))


def exp2(input: Any) -> Any:
    """2 to the power `input`.

    >>> import tapegrad as tg
    >>> tg.exp2(tg.tensor([0.0, 0.5]))
    tensor([1.0000, 1.4142])
    """
    return exponential.exp2(check_tensor("exp2", input))


def expm1(input: Any) -> Any:
    """`exp(input) - 1`, exact near 0.

    >>> import tapegrad as tg
    >>> tg.expm1(tg.tensor(1e-10)).item()  # doctest: +ELLIPSIS
    1.00000...e-10
    """
    return exponential.expm1(check_tensor("expm1", input))


def log(input: Any) -> Any:
    """The natural logarithm; -inf at 0, NaN below.

    >>> import tapegrad as tg
    >>> tg.log(tg.tensor([1.0, 0.0]))
    tensor([  0., -inf])
    """
    return exponential.log(check_tensor("log", input))


def log2(input: Any) -> Any:
    """The logarithm to base 2; -inf at 0, NaN below.

    >>> import tapegrad as tg
    >>> tg.log2(tg.tensor([1.0, 3.0]))
    tensor([0.0000, 1.5850])
    """
    return exponential.log2(check_tensor("log2", input))


def log10(input: Any) -> Any:
    """The logarithm to base 10; -inf at 0, NaN below.

    >>> import tapegrad as tg
    >>> tg.log10(tg.tensor([1.0, 2.0]))
    tensor([0.0000, 0.3010])
    """
    return exponential.log10(check_tensor("log10", input))


def log1p(input: Any) -> Any:
    """`log(1 + input)`, exact near 0.

    >>> import tapegrad as tg
    >>> tg.log1p(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    return exponential.log1p(check_tensor("log1p", input))


def logaddexp(input: Any, other: Any) -> Any:
    """`log(exp(input) + exp(other))`, without overflow.

    The gradient is shared as by a softmax of the two; 0 to both where both are minus infinity.

    >>> import tapegrad as tg
    >>> tg.logaddexp(tg.tensor([0.0, 100.0]), tg.tensor([0.0, 100.0]))
    tensor([  0.6931, 100.6931])
    """
    return exponential.logaddexp(*check_tensors("logaddexp", input, other))


def logaddexp2(input: Any, other: Any) -> Any:
    """`log2(2^input + 2^other)`, without overflow; the gradient as that of `logaddexp`.

    >>> import tapegrad as tg
    >>> tg.logaddexp2(tg.tensor([0.5, 100.5]), tg.tensor([0.5, 100.5]))
    tensor([  1.5000, 101.5000])
    """
    return exponential.logaddexp2(*check_tensors("logaddexp2", input, other))


def sqrt(input: Any) -> Any:
    """The square root; its gradient at 0 is infinity.

    >>> import tapegrad as tg
    >>> tg.sqrt(tg.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """
    return exponential.sqrt(check_tensor("sqrt", input))


def rsqrt(input: Any) -> Any:
    """`1 / sqrt(input)`.

    >>> import tapegrad as tg
    >>> tg.rsqrt(tg.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """
    return exponential.rsqrt(check_tensor("rsqrt", input))


def sigmoid(input: Any) -> Any:
    """`1 / (1 + exp(-input))`, without overflow.

    >>> import tapegrad as tg
    >>> tg.sigmoid(tg.tensor([-1e4, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.7311])
    """
    return exponential.sigmoid(check_tensor("sigmoid", input))


def logit(input: Any, eps: float | None = None) -> Any:
    """`log(input / (1 - input))`, what `sigmoid` undoes; `input` is clamped to [eps, 1 - eps].

    Without `eps` the gradient below 0 and above 1 is NaN; with it, 0 where `input` was clamped.

    >>> import tapegrad as tg
    >>> tg.logit(tg.tensor([0.5, 0.9])), tg.logit(tg.tensor([0.0, 1.0]), eps=0.1)
    (tensor([0.0000, 2.1972]), tensor([-2.1972,  2.1972]))
    """
    dtype = check_tensor("logit", input)._data.dtype
    if eps is not None:
        if dtype in FLOATS:
            number_that_fits("logit", eps, dtype)
        input = clamp(input, float(eps), 1 - float(eps))
    return exponential.logit(input)


def xlogy(input: Any, other: Any) -> Any:
    """`input * log(other)`, and 0 where `input` is 0, unless `other` is NaN; one may be a number.

    The gradients, `log(other)` and `input / other`, are 0 where `input` is 0 and `other` not above.

    >>> import tapegrad as tg
    >>> tg.xlogy(tg.tensor([0.0, 2.0]), tg.tensor([0.0, 3.0]))
    tensor([0.0000, 2.1972])
    """
    return exponential.xlogy(*operands("xlogy", input, other))
