"""Rounding, and quotients and remainders of whole steps."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import FLOATS
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import DtypeError
from tapegrad.autograd.gates import rounding

from .arguments import check_tensor, number_tensor, operands

__all__ = [
    "ceil",
    "fix",
    "floor",
    "floor_divide",
    "fmod",
    "frac",
    "remainder",
    "round",
    "trunc",
]


def floor(input: Any) -> Any:
    """The largest whole number not above `input`; its gradient is 0.

    >>> import tapegrad as tg
    >>> tg.floor(tg.tensor([1.5, -1.5]))
    tensor([ 1., -2.])
    """
    return rounding.floor(number_tensor("floor", input))


def ceil(input: Any) -> Any:
    """The smallest whole number not below `input`; its gradient is 0.

    >>> import tapegrad as tg
    >>> tg.ceil(tg.tensor([1.5, -1.5]))
    tensor([ 2., -1.])
    """
    return rounding.ceil(number_tensor("ceil", input))


def trunc(input: Any) -> Any:
    """`input` without its fraction, towards 0; its gradient is 0. Also `fix`.

    >>> import tapegrad as tg
    >>> tg.trunc(tg.tensor([1.5, -1.5]))
    tensor([ 1., -1.])
    """
    return rounding.trunc(number_tensor("trunc", input))


def frac(input: Any) -> Any:
    """`input - trunc(input)`, with the sign of `input`; passes the gradient.

    >>> import tapegrad as tg
    >>> tg.frac(tg.tensor([1.5, -1.25]))
    tensor([ 0.5000, -0.2500])
    """
    if number_tensor("frac", input)._data.dtype not in FLOATS:
        raise DtypeError(f"frac: expected a floating tensor, got {describe(input)}")
    return rounding.frac(input)


def round(input: Any, *, decimals: int = 0) -> Any:
    """`input` rounded to `decimals` places (before the point if negative), halves to even.

    Its gradient is 0.

    >>> import tapegrad as tg
    >>> tg.round(tg.tensor([0.5, 1.5])), tg.round(tg.tensor([1.234, 5.678]), decimals=1)
    (tensor([0., 2.]), tensor([1.2000, 5.7000]))
    """
    if number_tensor("round", input)._data.dtype not in FLOATS and decimals:
        raise DtypeError(f"round: decimals are for floating tensors, got {describe(input)}")
    return rounding.rint(input) if not decimals else rounding.round_to(input, decimals=decimals)


def floor_divide(input: Any, other: Any) -> Any:
    """`floor(input / other)`, without a gradient.

    >>> import tapegrad as tg
    >>> tg.floor_divide(tg.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return rounding.floor_divide(*operands("floor_divide", input, other))


def remainder(input: Any, other: Any) -> Any:
    """`input - floor(input / other) * other`, with the sign of `other`, as Python's `%`.

    >>> import tapegrad as tg
    >>> tg.remainder(tg.tensor([7, -7]), 4)
    tensor([3, 1])
    """
    return rounding.remainder(*operands("remainder", input, other))


def fmod(input: Any, other: Any) -> Any:
    """`input - trunc(input / other) * other`, with the sign of `input`, as in C.

    >>> import tapegrad as tg
    >>> tg.fmod(tg.tensor([7, -7]), 4)
    tensor([ 3, -3])
    """
    return rounding.fmod(check_tensor("fmod", input), other)


fix = trunc
