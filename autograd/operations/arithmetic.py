"""Arithmetic, element by element, by PyTorch's names.

Operands broadcast as in NumPy and meet in PyTorch's dtype; either may be a Python number, which
never widens the other. A gradient is summed back to its operand's shape and dtype.
"""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.engine import cast
from tapegrad.autograd.gates import arithmetic

from .arguments import check_tensor, number_tensor

__all__ = [
    "abs",
    "add",
    "div",
    "floor",
    "floor_divide",
    "mul",
    "neg",
    "pow",
    "reciprocal",
    "remainder",
    "sign",
    "square",
    "sub",
]


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
