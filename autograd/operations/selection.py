"""Choices, element by element: where, the larger of two, bounds."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from tapegrad.autograd.arrays import (
    FLOATS,
    INTEGERS,
    bool_,
    is_traced,
    module_of,
    result_type,
    uint8,
)
from tapegrad.autograd.engine import array_of, cast, describe, wrap
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import comparison, copies, selection
from tapegrad.autograd.records import Variable
from tapegrad.kernels.expression import Scalar

from .arguments import (
    check_tensor,
    check_tensors,
    number_tensor,
    number_that_fits,
    number_to_write,
    operands,
    same_dtype,
)
from .creation import full_like, tensor

__all__ = [
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "fmax",
    "fmin",
    "heaviside",
    "maximum",
    "minimum",
    "nan_to_num",
    "relu",
    "where",
]


def relu(input: Any) -> Any:
    """`max(input, 0)`; the gradient at 0 is 0.

    >>> import tapegrad as tg
    >>> tg.relu(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return selection.relu(number_tensor("relu", input))


def maximum(input: Any, other: Any) -> Any:
    """The larger of two, element by element. Max routes the gradient; a tie halves it.

    One of the two may be a number, as in `maximum(0, x)`.

    >>> import tapegrad as tg
    >>> tg.maximum(tg.tensor([1.0, 5.0]), tg.tensor([3.0, 4.0]))
    tensor([3., 5.])
    """
    return selection.maximum(*operands("maximum", input, other))


def minimum(input: Any, other: Any) -> Any:
    """The smaller of two, element by element. A tie halves the gradient; one may be a number.

    >>> import tapegrad as tg
    >>> tg.minimum(tg.tensor([1.0, 5.0]), tg.tensor([3.0, 4.0]))
    tensor([1., 4.])
    """
    return selection.minimum(*operands("minimum", input, other))


def fmax(input: Any, other: Any) -> Any:
    """The larger of two, a number rather than NaN; in a tie `input` receives the gradient.

    >>> import tapegrad as tg
    >>> tg.fmax(tg.tensor([1.0, float("nan")]), tg.tensor([3.0, 4.0]))
    tensor([3., 4.])
    """
    return selection.fmax(*check_tensors("fmax", input, other))


def fmin(input: Any, other: Any) -> Any:
    """The smaller of two, a number rather than NaN; in a tie `input` receives the gradient.

    >>> import tapegrad as tg
    >>> tg.fmin(tg.tensor([1.0, float("nan")]), tg.tensor([3.0, 4.0]))
    tensor([1., 4.])
    """
    return selection.fmin(*check_tensors("fmin", input, other))


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """`input` kept between `min` and `max`, numbers or tensors, at least one of them given.

    The gradient passes inside and at the bounds; outside, a bound that is a tensor receives it.

    >>> import tapegrad as tg
    >>> tg.clamp(tg.tensor([-2.0, 0.5, 3.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    check_tensor("clamp", input)
    if min is None and max is None:
        raise ArgumentError("clamp: give min=, max= or both")
    min, max = _bound("min", min), _bound("max", max)
    dtype = result_type(
        input._data, *(array_of(bound) for bound in (min, max) if bound is not None)
    )
    if dtype in FLOATS:  # of whole numbers, a bound beyond them all bounds nothing
        number_that_fits("clamp", min, dtype)
        number_that_fits("clamp", max, dtype)
    if isinstance(min, Variable) or isinstance(max, Variable):
        return selection.clamp_between(input, min, max)
    if input._data.dtype != dtype:
        input = cast(input, dtype=dtype)
    return selection.clamp(input, least=min, most=max)


def clamp_min(input: Any, min: Any) -> Any:
    """`input`, or `min` where it is below.

    >>> import tapegrad as tg
    >>> tg.clamp_min(tg.tensor([-2.0, 0.5]), 0)
    tensor([0.0000, 0.5000])
    """
    return clamp(input, min)


def clamp_max(input: Any, max: Any) -> Any:
    """`input`, or `max` where it is above.

    >>> import tapegrad as tg
    >>> tg.clamp_max(tg.tensor([-2.0, 0.5]), 0)
    tensor([-2., 0.])
    """
    return clamp(input, None, max)


def nan_to_num(
    input: Any,
    nan: float | None = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Any:
    """`input` with `nan`, `posinf` and `neginf` for NaN and the infinities.

    Where no number is given, the largest and the least of the dtype. The gradient is 0 where a
    number was put in.

    >>> import tapegrad as tg
    >>> tg.nan_to_num(tg.tensor([1.0, float("nan"), float("inf")]), posinf=9.0)
    tensor([1., 0., 9.])
    """
    dtype = check_tensor("nan_to_num", input)._data.dtype
    if dtype not in FLOATS:
        return copies.clone(input)
    most = float(ml_dtypes.finfo(dtype).max)
    return selection.nan_to_num(
        input,
        nan=0.0 if nan is None else float(nan),
        posinf=most if posinf is None else float(posinf),
        neginf=-most if neginf is None else float(neginf),
    )


def heaviside(input: Any, values: Any) -> Any:
    """0 where `input` is below 0, 1 where above, `values` at 0; without a gradient.

    >>> import tapegrad as tg
    >>> tg.heaviside(tg.tensor([-2.0, 0.0, 3.0]), tg.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    same_dtype("heaviside", *check_tensors("heaviside", input, values))
    return comparison.heaviside(input, values)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, else `other`; with the condition alone, the indices.

    The gradient goes only to the branch taken; yet a branch whose own derivative is infinite there,
    as `where(x > 0, sqrt(x), 0)` at 0, must be computed at a harmless value: `sqrt(where(x > 0, x,
    1))`.

    >>> import tapegrad as tg
    >>> x = tg.tensor([-1.0, 2.0])
    >>> tg.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None and other is None:
        condition = check_tensor("where", condition)._data
        xp = module_of(condition)
        return tuple(wrap(part) for part in xp.atleast_1d(condition).nonzero())
    if isinstance(condition, Variable) and condition._data.dtype == uint8:
        condition = comparison.not_equal(condition, 0)
    if isinstance(condition, Variable) and condition._data.dtype != bool_:
        raise RuntimeError(
            f"where: the condition must be a boolean tensor, got {describe(condition)}"
        )
    if not isinstance(input, Variable) or not isinstance(other, Variable):
        input, other = _numbers(input, other)
    if not isinstance(input, Variable) and not isinstance(other, Variable):
        condition = check_tensor("where", condition)
        if is_traced(condition._data):
            kind = other.kind if isinstance(other, Scalar) else other
            other = full_like(condition, other, dtype=tensor(kind).dtype)
        else:
            other = tensor(other, device=condition.device)
    return selection.where(condition, input, other)


def _numbers(x: Any, y: Any) -> tuple[Any, Any]:
    """The branches of `where`, numbers among them as the dtype of both holds them."""
    if isinstance(x, Variable):
        return x, _number(y, x._data)
    if isinstance(y, Variable):
        return _number(x, y._data), y
    if isinstance(x, (int, float)) and isinstance(y, (int, float)):
        dtype = result_type(x, y)
        return number_to_write("where", x, dtype), number_to_write("where", y, dtype)
    return x, y


def _number(value: Any, data: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (int, float)):
        return value
    dtype = data.dtype
    if dtype not in FLOATS and not (dtype in INTEGERS and isinstance(value, int)):
        dtype = result_type(data, value)
    return number_to_write("where", value, dtype)


def _bound(name: str, bound: Any) -> Any:
    """A bound as a Python number or a tensor."""
    if isinstance(bound, np.generic) or (isinstance(bound, np.ndarray) and not bound.ndim):
        return bound.item()
    if bound is None or isinstance(bound, (Variable, int, float, Scalar)):
        return bound
    raise TypeError(f"clamp: {name} must be a number or a tensor, got {type(bound).__name__}")


clip = clamp
