"""Choices, element by element: where, the larger of two, bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import FLOATS, bool_, module_of
from tapegrad.autograd.engine import Variable, describe, wrap
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import selection

from .arguments import check_tensor, number_tensor
from .arithmetic import add
from .creation import tensor

__all__ = [
    "clamp",
    "maximum",
    "minimum",
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

    >>> import tapegrad as tg
    >>> tg.maximum(tg.tensor([1.0, 5.0]), tg.tensor([3.0, 4.0]))
    tensor([3., 5.])
    """
    return selection.maximum(input, other)


def minimum(input: Any, other: Any) -> Any:
    """The smaller of two, element by element. A tie halves the gradient.

    >>> import tapegrad as tg
    >>> tg.minimum(tg.tensor([1.0, 5.0]), tg.tensor([3.0, 4.0]))
    tensor([1., 4.])
    """
    return selection.minimum(input, other)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """`input` kept between `min` and `max`, numbers or tensors, at least one of them given.

    The gradient passes inside and at the bounds.

    >>> import tapegrad as tg
    >>> tg.clamp(tg.tensor([-2.0, 0.5, 3.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    check_tensor("clamp", input)
    if min is None and max is None:
        raise ArgumentError("clamp: give min=, max= or both")
    min, max = _bound("min", min), _bound("max", max)
    if isinstance(min, Variable) or isinstance(max, Variable):
        if min is not None:
            input = where(input < min, min, input)
        return input if max is None else where(input > max, max, input)
    if input._data.dtype not in FLOATS and float in (type(min), type(max)):
        input = add(input, 0.0)
    return selection.clamp(input, least=min, most=max)


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
    if isinstance(condition, Variable) and condition._data.dtype != bool_:
        raise RuntimeError(
            f"where: the condition must be a boolean tensor, got {describe(condition)}"
        )
    if not isinstance(input, Variable) and not isinstance(other, Variable):
        condition = check_tensor("where", condition)
        other = tensor(other, device=condition.device)
    return selection.where(condition, input, other)


def _bound(name: str, bound: Any) -> Any:
    """A bound as a Python number or a tensor."""
    if isinstance(bound, np.generic) or (isinstance(bound, np.ndarray) and not bound.ndim):
        return bound.item()
    if bound is None or isinstance(bound, (Variable, int, float)):
        return bound
    raise TypeError(f"clamp: {name} must be a number or a tensor, got {type(bound).__name__}")
