"""Element by element: arithmetic, exponentials, choices and comparisons, by PyTorch's names.

Operands broadcast as in NumPy and meet in PyTorch's dtype; either may be a Python number, which
never widens the other. A gradient is summed back to its operand's shape and dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import FLOATS, bool_, module_of
from tapegrad.autograd.engine import Variable, cast, describe, wrap
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import arithmetic, exponential, selection

from .arguments import check_tensor, number_tensor
from .creation import tensor


def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """`input + alpha * other`. Add distributes: both receive the gradient as it is.

    >>> import tapegrad as tg
    >>> tg.add(tg.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    return arithmetic.add(input, other if alpha == 1 else mul(other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """`input - alpha * other`.

    >>> import tapegrad as tg
    >>> tg.sub(tg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    other = other if alpha == 1 else mul(other, alpha)
    return arithmetic.sub(input, other)


def mul(input: Any, other: Any) -> Any:
    """`input * other`. Mul swaps: each receives the gradient times the other.

    >>> import tapegrad as tg
    >>> x, y = tg.tensor(3.0, requires_grad=True), tg.tensor(-4.0, requires_grad=True)
    >>> tg.mul(x, y).backward()
    >>> x.grad, y.grad
    (tensor(-4.), tensor(3.))
    """
    return arithmetic.mul(input, other)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """`input / other`; integers give floats. `rounding_mode` "floor" or "trunc" rounds, flat.

    >>> import tapegrad as tg
    >>> tg.div(tg.tensor([7, -7]), 2), tg.div(tg.tensor([7, -7]), 2, rounding_mode="floor")
    (tensor([ 3.5000, -3.5000]), tensor([ 3, -4]))
    """
    if rounding_mode is None:
        return arithmetic.div(input, other)
    if rounding_mode == "floor":
        return arithmetic.floor_divide(input, other)
    if rounding_mode == "trunc":
        quotient = arithmetic.div(input, other)
        toward_zero = sign(quotient) * arithmetic.floor(abs(quotient))
        whole = arithmetic.floor_divide(input, other).dtype
        return cast(toward_zero, dtype=whole)
    raise RuntimeError(
        f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}"
    )


def floor_divide(input: Any, other: Any) -> Any:
    """`floor(input / other)`, without a gradient.

    >>> import tapegrad as tg
    >>> tg.floor_divide(tg.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return arithmetic.floor_divide(input, other)


def remainder(input: Any, other: Any) -> Any:
    """`input - floor(input / other) * other`, with the sign of `other`, as Python's `%`.

    >>> import tapegrad as tg
    >>> tg.remainder(tg.tensor([7, -7]), 4)
    tensor([3, 1])
    """
    return arithmetic.remainder(input, other)


def pow(input: Any, exponent: Any) -> Any:
    """`input ** exponent`; either may be a number. At 0: see the gate `pow`.

    >>> import tapegrad as tg
    >>> tg.pow(tg.tensor([-2.0, 3.0]), 3)
    tensor([-8., 27.])
    """
    return arithmetic.pow_(input, exponent)


def neg(input: Any) -> Any:
    """`-input`.

    >>> import tapegrad as tg
    >>> tg.neg(tg.tensor([1.0, -2.0]))
    tensor([-1., 2.])
    """
    return arithmetic.neg(number_tensor("neg", input))


def abs(input: Any) -> Any:
    """`|input|`; the gradient at 0 is 0.

    >>> import tapegrad as tg
    >>> tg.abs(tg.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return arithmetic.abs_(number_tensor("abs", input))


def sign(input: Any) -> Any:
    """-1, 0 or 1; its gradient is 0.

    >>> import tapegrad as tg
    >>> tg.sign(tg.tensor([3.0, 0.0, -2.0]))
    tensor([ 1., 0., -1.])
    """
    return arithmetic.sign(check_tensor("sign", input))


def floor(input: Any) -> Any:
    """The largest whole number not above `input`; its gradient is 0.

    >>> import tapegrad as tg
    >>> tg.floor(tg.tensor([1.5, -1.5]))
    tensor([ 1., -2.])
    """
    return arithmetic.floor(number_tensor("floor", input))


def reciprocal(input: Any) -> Any:
    """`1 / input`.

    >>> import tapegrad as tg
    >>> tg.reciprocal(tg.tensor([2.0, 4.0]))
    tensor([0.5000, 0.2500])
    """
    return arithmetic.div(1, check_tensor("reciprocal", input))


def square(input: Any) -> Any:
    """`input * input`.

    >>> import tapegrad as tg
    >>> tg.square(tg.tensor([2.0, -3.0]))
    tensor([4., 9.])
    """
    return arithmetic.pow_(check_tensor("square", input), 2)


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


def sin(input: Any) -> Any:
    """The sine of an angle in radians.

    >>> import tapegrad as tg
    >>> tg.sin(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4794])
    """
    return exponential.sin(check_tensor("sin", input))


def cos(input: Any) -> Any:
    """The cosine of an angle in radians.

    >>> import tapegrad as tg
    >>> tg.cos(tg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.8776])
    """
    return exponential.cos(check_tensor("cos", input))


def tanh(input: Any) -> Any:
    """The hyperbolic tangent.

    >>> import tapegrad as tg
    >>> tg.tanh(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return exponential.tanh(check_tensor("tanh", input))


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


def _bound(name: str, bound: Any) -> Any:
    """A bound as a Python number or a tensor."""
    if isinstance(bound, np.generic) or (isinstance(bound, np.ndarray) and not bound.ndim):
        return bound.item()
    if bound is None or isinstance(bound, (Variable, int, float)):
        return bound
    raise TypeError(f"clamp: {name} must be a number or a tensor, got {type(bound).__name__}")


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
