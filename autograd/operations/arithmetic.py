"""Arithmetic, element by element, by PyTorch's names.

Operands broadcast as in NumPy and meet in PyTorch's dtype; either may be a Python number, which
never widens the other. A gradient is summed back to its operand's shape and dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import FLOATS, HALVES, INTEGERS, bool_, float64, result_type
from tapegrad.autograd.engine import array_of, cast, describe
from tapegrad.autograd.errors import DtypeError
from tapegrad.autograd.gates import arithmetic, comparison, rounding
from tapegrad.autograd.records import Variable
from tapegrad.kernels.expression import Scalar

from .arguments import check_tensor, check_tensors, number_tensor, operands, same_dtype

__all__ = [
    "abs",
    "absolute",
    "add",
    "addcdiv",
    "addcmul",
    "copysign",
    "div",
    "divide",
    "float_power",
    "gcd",
    "lcm",
    "ldexp",
    "lerp",
    "mul",
    "multiply",
    "neg",
    "negative",
    "positive",
    "pow",
    "reciprocal",
    "rsub",
    "sgn",
    "sign",
    "square",
    "sub",
    "subtract",
    "true_divide",
]


def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """`input + alpha * other`. Add distributes: both receive the gradient as it is.

    >>> import tapegrad as tg
    >>> tg.add(tg.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    if type(alpha) in (int, float) and alpha != 1 and _floats_alike(input, other):
        return arithmetic.addcmul(input, other, float(alpha), value=1)  # in one buffer
    return arithmetic.add(*_scaled("add", input, other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """`input - alpha * other`.

    >>> import tapegrad as tg
    >>> tg.sub(tg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    return arithmetic.sub(*_scaled("sub", input, other, alpha))


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """`other - alpha * input`.

    >>> import tapegrad as tg
    >>> tg.rsub(tg.tensor([1.0, 2.0]), 1)
    tensor([ 0., -1.])
    """
    return sub(other, check_tensor("rsub", input), alpha=alpha)


def _floats_alike(input: Any, other: Any) -> bool:
    """Whether both are tensors of one floating dtype, of which none is of no dimensions."""
    if not (isinstance(input, Variable) and isinstance(other, Variable)):
        return False
    x, y = input._data, other._data
    return x.dtype in FLOATS - HALVES and x.dtype == y.dtype and x.ndim > 0 and y.ndim > 0


def _scaled(name: str, input: Any, other: Any, alpha: Any) -> tuple[Any, Any]:
    """The operands of a sum, the second times alpha in the dtype of the result."""
    operands(name, input, other)
    if type(alpha) is not bool and alpha == 1:
        return input, other
    if not isinstance(other, Variable):
        return input, other * alpha
    dtype = result_type(array_of(input), other._data)
    if type(alpha) is bool and dtype != bool_:
        raise RuntimeError(f"{name}: a boolean alpha is for booleans, not for {dtype}")
    if type(alpha) is float and dtype not in FLOATS:
        raise RuntimeError(f"{name}: whole numbers of {dtype} need a whole alpha, got {alpha}")
    if other._data.dtype not in FLOATS:
        other = cast(other, dtype=dtype)
    return input, arithmetic.mul(other, bool(alpha) if dtype == bool_ else alpha)


def mul(input: Any, other: Any) -> Any:
    """`input * other`. Mul swaps: each receives the gradient times the other.

    >>> import tapegrad as tg
    >>> x, y = tg.tensor(3.0, requires_grad=True), tg.tensor(-4.0, requires_grad=True)
    >>> tg.mul(x, y).backward()
    >>> x.grad, y.grad
    (tensor(-4.), tensor(3.))
    """
    return arithmetic.mul(*operands("mul", input, other))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """`input / other`; integers give floats. `rounding_mode` "floor" or "trunc" rounds, flat.

    >>> import tapegrad as tg
    >>> tg.div(tg.tensor([7, -7]), 2), tg.div(tg.tensor([7, -7]), 2, rounding_mode="floor")
    (tensor([ 3.5000, -3.5000]), tensor([ 3, -4]))
    """
    operands("div", input, other)
    if rounding_mode is None:
        return arithmetic.div(input, other)
    if rounding_mode == "floor":
        return rounding.floor_divide(input, other)
    if rounding_mode == "trunc":
        return rounding.trunc_divide(input, other)
    raise RuntimeError(
        f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}"
    )


def true_divide(input: Any, other: Any) -> Any:
    """`input / other`; integers give floats.

    >>> import tapegrad as tg
    >>> tg.true_divide(tg.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    """
    return arithmetic.div(*operands("true_divide", input, other))


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """`input + value * tensor1 * tensor2`.

    >>> import tapegrad as tg
    >>> tg.addcmul(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]), tg.tensor(10.0), value=0.5)
    tensor([16., 22.])
    """
    for tensor in (input, tensor1, tensor2):
        check_tensor("addcmul", tensor)
    dtype = result_type(input._data, tensor1._data, tensor2._data)
    if dtype not in FLOATS:
        value = np.asarray(int(value)).astype(dtype).item()
    return arithmetic.addcmul(input, tensor1, tensor2, value=value)


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """`input + value * tensor1 / tensor2`, not of whole numbers alone.

    >>> import tapegrad as tg
    >>> tg.addcdiv(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]), tg.tensor(10.0), value=5)
    tensor([2.5000, 4.0000])
    """
    for tensor in (input, tensor1, tensor2):
        check_tensor("addcdiv", tensor)
    if not FLOATS & {tensor1._data.dtype, tensor2._data.dtype}:
        raise DtypeError(
            f"addcdiv: {describe(tensor1)} over {describe(tensor2)} would not be whole numbers; "
            "convert one with .float(), or use div(..., rounding_mode='trunc')"
        )
    return arithmetic.addcdiv(input, tensor1, tensor2, value=value)


def lerp(input: Any, end: Any, weight: Any) -> Any:
    """`input + weight * (end - input)`, exactly `end` where `weight`, a number or tensor, is 1.

    >>> import tapegrad as tg
    >>> tg.lerp(tg.tensor([1.0, 2.0]), tg.tensor([5.0, 10.0]), 0.25)
    tensor([2., 4.])
    """
    if not isinstance(weight, (Variable, int, float, Scalar)):
        raise TypeError(f"lerp: weight must be a number or a tensor, got {type(weight).__name__}")
    ranked = isinstance(weight, Variable) and weight._data.ndim > 0
    same_dtype(
        "lerp",
        check_tensor("lerp", input),
        check_tensor("lerp", end),
        *((weight,) if ranked else ()),
    )
    if input._data.dtype not in FLOATS:
        raise DtypeError(f"lerp: expected floating tensors, got {describe(input)}")
    return arithmetic.lerp(input, end, weight)


def pow(input: Any, exponent: Any) -> Any:
    """`input ** exponent`; either may be a number. At 0: see the gate `pow`.

    >>> import tapegrad as tg
    >>> tg.pow(tg.tensor([-2.0, 3.0]), 3)
    tensor([-8., 27.])
    """
    return arithmetic.pow_(*operands("pow", input, exponent))


def float_power(input: Any, exponent: Any) -> Any:
    """`input ** exponent` in float64; either may be a number.

    >>> import tapegrad as tg
    >>> tg.float_power(tg.tensor([2, 3]), -1)
    tensor([0.5000, 0.3333], dtype=float64)
    """
    values = operands("float_power", input, exponent)
    return arithmetic.pow_(
        *(cast(v, dtype=float64) if isinstance(v, Variable) else float(v) for v in values)
    )


def ldexp(input: Any, other: Any) -> Any:
    """`input * 2 ** other`, exact where `other` is whole.

    >>> import tapegrad as tg
    >>> tg.ldexp(tg.tensor([1.0, 3.0]), tg.tensor([4, -1]))
    tensor([16.0000,  1.5000])
    """
    check_tensors("ldexp", input, other)
    if other._data.dtype in INTEGERS:
        return arithmetic.ldexp(input, other)
    return arithmetic.mul(input, arithmetic.pow_(2.0, other))


def neg(input: Any) -> Any:
    """`-input`.

    >>> import tapegrad as tg
    >>> tg.neg(tg.tensor([1.0, -2.0]))
    tensor([-1., 2.])
    """
    return arithmetic.neg(number_tensor("neg", input))


def positive(input: Any) -> Any:
    """`input` itself.

    >>> import tapegrad as tg
    >>> tg.positive(tg.tensor([1.0, -2.0]))
    tensor([ 1., -2.])
    """
    return number_tensor("positive", input)


def abs(input: Any) -> Any:
    """`|input|`; the gradient at 0 is 0.

    >>> import tapegrad as tg
    >>> tg.abs(tg.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return arithmetic.abs_(number_tensor("abs", input))


def sign(input: Any) -> Any:
    """-1, 0 or 1; its gradient is 0. `sgn`, of real numbers, is the same.

    >>> import tapegrad as tg
    >>> tg.sign(tg.tensor([3.0, 0.0, -2.0]))
    tensor([ 1., 0., -1.])
    """
    return arithmetic.sign(check_tensor("sign", input))


def copysign(input: Any, other: Any) -> Any:
    """`|input|` with the sign of `other`, a tensor or a number; the gradient at 0 is 0.

    >>> import tapegrad as tg
    >>> tg.copysign(tg.tensor([1.0, -2.0]), tg.tensor([-0.0, 3.0]))
    tensor([-1., 2.])
    """
    return arithmetic.copysign(check_tensor("copysign", input), other)


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


def gcd(input: Any, other: Any) -> Any:
    """The greatest common divisor of whole numbers.

    >>> import tapegrad as tg
    >>> tg.gcd(tg.tensor([12, 7]), tg.tensor([18, 21]))
    tensor([6, 7])
    """
    return comparison.gcd(*check_tensors("gcd", input, other))


def lcm(input: Any, other: Any) -> Any:
    """The least common multiple of whole numbers.

    >>> import tapegrad as tg
    >>> tg.lcm(tg.tensor([12, 7]), tg.tensor([18, 21]))
    tensor([36, 21])
    """
    return comparison.lcm(*check_tensors("lcm", input, other))


absolute, divide, multiply, negative, sgn, subtract = abs, div, mul, neg, sign, sub
