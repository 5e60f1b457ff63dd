"""Exponentials and logarithms, roots, and what is made of them."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.gates import exponential

from .arguments import check_tensor
from .arithmetic import reciprocal

__all__ = [
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "rsqrt",
    "sigmoid",
    "sqrt",
]


def exp(input: Any) -> Any:
    """e to the power `input`.

    >>> import tapegrad as tg
    >>> tg.exp(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return exponential.exp(check_tensor("exp", input))


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


def log1p(input: Any) -> Any:
    """`log(1 + input)`, exact near 0.

    >>> import tapegrad as tg
    >>> tg.log1p(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    return exponential.log1p(check_tensor("log1p", input))


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
    return reciprocal(sqrt(input))


def sigmoid(input: Any) -> Any:
    """`1 / (1 + exp(-input))`, without overflow.

    >>> import tapegrad as tg
    >>> tg.sigmoid(tg.tensor([-1e4, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.7311])
    """
    return exponential.sigmoid(check_tensor("sigmoid", input))


def erf(input: Any) -> Any:
    """The error function.

    >>> import tapegrad as tg
    >>> tg.erf(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return exponential.erf(check_tensor("erf", input))
