"""Comparisons and tests of single numbers, element by element: booleans out, no gradients."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.gates import comparison

from .arguments import check_tensor, check_tensors, on_its_gpu, same_device, same_dtype

__all__ = [
    "allclose",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "le",
    "less",
    "less_equal",
    "lt",
    "ne",
    "not_equal",
    "signbit",
]


def eq(input: Any, other: Any) -> Any:
    """`input == other`, boolean. Also `ne`, `lt`, `le`, `gt`, `ge`.

    >>> import tapegrad as tg
    >>> tg.eq(tg.tensor([1, 2]), 2)
    tensor([False, True])
    """
    return comparison.equal(check_tensor("eq", input), other)


def ne(input: Any, other: Any) -> Any:
    """`input != other`, boolean."""
    return comparison.not_equal(check_tensor("ne", input), other)


def lt(input: Any, other: Any) -> Any:
    """`input < other`, boolean."""
    return comparison.less(check_tensor("lt", input), other)


def le(input: Any, other: Any) -> Any:
    """`input <= other`, boolean."""
    return comparison.less_equal(check_tensor("le", input), other)


def gt(input: Any, other: Any) -> Any:
    """`input > other`, boolean."""
    return comparison.greater(check_tensor("gt", input), other)


def ge(input: Any, other: Any) -> Any:
    """`input >= other`, boolean."""
    return comparison.greater_equal(check_tensor("ge", input), other)


@on_its_gpu
def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and the same elements.

    >>> import tapegrad as tg
    >>> tg.equal(tg.tensor([1, 2]), tg.tensor([1, 2])), tg.equal(tg.tensor([1]), tg.tensor([1, 1]))
    (True, False)
    """
    same_device("equal", input, other)
    if check_tensor("equal", input)._data.shape != check_tensor("equal", other)._data.shape:
        return False
    return bool(comparison.equal(input, other)._data.all())


def isnan(input: Any) -> Any:
    """Whether each element is NaN.

    >>> import tapegrad as tg
    >>> tg.isnan(tg.tensor([1.0, float("nan")]))
    tensor([False, True])
    """
    return comparison.isnan(check_tensor("isnan", input))


def isinf(input: Any) -> Any:
    """Whether each element is an infinity of either sign.

    >>> import tapegrad as tg
    >>> tg.isinf(tg.tensor([1.0, float("-inf")]))
    tensor([False, True])
    """
    return comparison.isinf(check_tensor("isinf", input))


def isfinite(input: Any) -> Any:
    """Whether each element is neither an infinity nor NaN.

    >>> import tapegrad as tg
    >>> tg.isfinite(tg.tensor([1.0, float("inf")]))
    tensor([ True, False])
    """
    return comparison.isfinite(check_tensor("isfinite", input))


def isposinf(input: Any) -> Any:
    """Whether each element is infinity.

    >>> import tapegrad as tg
    >>> tg.isposinf(tg.tensor([float("inf"), float("-inf")]))
    tensor([ True, False])
    """
    return comparison.equal(check_tensor("isposinf", input), math.inf)


def isneginf(input: Any) -> Any:
    """Whether each element is minus infinity.

    >>> import tapegrad as tg
    >>> tg.isneginf(tg.tensor([float("inf"), float("-inf")]))
    tensor([False, True])
    """
    return comparison.equal(check_tensor("isneginf", input), -math.inf)


@on_its_gpu
def isreal(input: Any) -> Any:
    """Whether each element is real, which here it is.

    >>> import tapegrad as tg
    >>> tg.isreal(tg.tensor([1.0, 2.0]))
    tensor([ True,  True])
    """
    data = check_tensor("isreal", input)._data
    return wrap(module_of(data).ones(data.shape, bool))


def signbit(input: Any) -> Any:
    """Whether each element has a minus sign, -0.0 included.

    >>> import tapegrad as tg
    >>> tg.signbit(tg.tensor([1.0, -1.0, -0.0]))
    tensor([False, True, True])
    """
    return comparison.signbit(check_tensor("signbit", input))


def isclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """`|input - other| <= atol + rtol |other|`, or equal; NaN equal to NaN if `equal_nan`.

    >>> import tapegrad as tg
    >>> tg.isclose(tg.tensor([1.0, 2.0]), tg.tensor([1.0 + 1e-7, 2.1]))
    tensor([ True, False])
    """
    same_dtype("isclose", *check_tensors("isclose", input, other))
    if rtol < 0 or atol < 0:
        raise RuntimeError(
            f"isclose: rtol and atol must not be negative, got {rtol} and {atol} "
            f"({describe(input)}, {describe(other)})"
        )
    return comparison.isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


@on_its_gpu
def allclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close.

    >>> import tapegrad as tg
    >>> tg.allclose(tg.tensor([1.0]), tg.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())


greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
