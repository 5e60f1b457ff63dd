"""Comparisons and logic, element by element: booleans out, no gradients."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.gates import arithmetic, selection

from .arguments import check_tensor
from .arithmetic import abs, add, mul, sub

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "eq",
    "ge",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "logical_and",
    "logical_not",
    "logical_or",
    "lt",
    "ne",
]


def eq(input: Any, other: Any) -> Any:
    """`input == other`, boolean. Also `ne`, `lt`, `le`, `gt`, `ge`.

    >>> import tapegrad as tg
    >>> tg.eq(tg.tensor([1, 2]), 2)
    tensor([False, True])
    """
    return selection.equal(input, other)


def ne(input: Any, other: Any) -> Any:
    """`input != other`, boolean."""
    return selection.not_equal(input, other)


def lt(input: Any, other: Any) -> Any:
    """`input < other`, boolean."""
    return selection.less(input, other)


def le(input: Any, other: Any) -> Any:
    """`input <= other`, boolean."""
    return selection.less_equal(input, other)


def gt(input: Any, other: Any) -> Any:
    """`input > other`, boolean."""
    return selection.greater(input, other)


def ge(input: Any, other: Any) -> Any:
    """`input >= other`, boolean."""
    return selection.greater_equal(input, other)


def bitwise_and(input: Any, other: Any) -> Any:
    """`input & other`, of integers or booleans."""
    return selection.bit_and(input, other)


def bitwise_or(input: Any, other: Any) -> Any:
    """`input | other`, of integers or booleans."""
    return selection.bit_or(input, other)


def bitwise_xor(input: Any, other: Any) -> Any:
    """`input ^ other`, of integers or booleans."""
    return selection.bit_xor(input, other)


def bitwise_not(input: Any) -> Any:
    """`~input`, of integers or booleans."""
    return selection.bit_not(check_tensor("bitwise_not", input))


def logical_and(input: Any, other: Any) -> Any:
    """Whether both are not 0."""
    return selection.bit_and(ne(input, 0), ne(other, 0))


def logical_or(input: Any, other: Any) -> Any:
    """Whether one or both are not 0."""
    return selection.bit_or(ne(input, 0), ne(other, 0))


def logical_not(input: Any) -> Any:
    """Whether `input` is 0."""
    return eq(check_tensor("logical_not", input), 0)


def isnan(input: Any) -> Any:
    """Whether each element is NaN, which is the one value unequal to itself."""
    return ne(check_tensor("isnan", input), input)


def isinf(input: Any) -> Any:
    """Whether each element is an infinity of either sign."""
    return eq(arithmetic.abs_(check_tensor("isinf", input)), float("inf"))


def isfinite(input: Any) -> Any:
    """Whether each element is neither an infinity nor NaN."""
    return lt(arithmetic.abs_(check_tensor("isfinite", input)), float("inf"))


def isclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """`|input - other| <= atol + rtol |other|`, or equal; NaN equal to NaN if `equal_nan`."""
    near = le(abs(sub(input, other)), add(mul(abs(other), rtol), atol))
    near = bitwise_or(bitwise_and(near, isfinite(other)), eq(input, other))
    if equal_nan:
        near = bitwise_or(near, bitwise_and(isnan(input), isnan(other)))
    return near


def allclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close.

    >>> import tapegrad as tg
    >>> tg.allclose(tg.tensor([1.0]), tg.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())
