"""Element by element, next to PyTorch: values, dtypes, gradients, broadcasting, infinities."""

from __future__ import annotations

import itertools
import warnings

import ml_dtypes
import numpy as np
import pytest
from comparing import PARITY, Run, Theirs, agree, kind, pairs, views
from hypothesis import given
from hypothesis import strategies as st

UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "clone", "cos", "cosh",
    "deg2rad", "digamma", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "floor", "frac", "i0",
    "isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal", "lgamma", "log", "log10",
    "log1p", "log2", "logical_not", "logit", "nan_to_num", "neg", "positive", "rad2deg",
    "reciprocal", "relu", "round", "rsqrt", "sgn", "sigmoid", "sign", "signbit", "sin", "sinc",
    "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip
BINARY = (
    "add", "atan2", "copysign", "div", "eq", "float_power", "floor_divide", "fmax", "fmin",
    "fmod", "ge", "gt", "heaviside", "hypot", "isclose", "ldexp", "le", "logaddexp", "logaddexp2",
    "logical_and", "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "ne", "pow",
    "remainder", "rsub", "sub", "true_divide", "xlogy",
)  # fmt: skip
WHOLE = ("bitwise_and", "bitwise_or", "bitwise_xor")
# Every other way to say it: numbers on either side, operators, each argument of each signature.
ONE = {
    "x+2": lambda m, x: x + 2,
    "2+x": lambda m, x: 2 + x,
    "x+2.5": lambda m, x: x + 2.5,
    "x+True": lambda m, x: x + True,
    "x-1.5": lambda m, x: x - 1.5,
    "1.5-x": lambda m, x: 1.5 - x,
    "x*3": lambda m, x: x * 3,
    "3.5*x": lambda m, x: 3.5 * x,
    "x/4": lambda m, x: x / 4,
    "4/x": lambda m, x: 4 / x,
    "x**2": lambda m, x: x**2,
    "x**3": lambda m, x: x**3,
    "x**0": lambda m, x: x**0,
    "x**-1": lambda m, x: x**-1,
    "x**-1.5": lambda m, x: x**-1.5,
    "2**x": lambda m, x: 2**x,
    "1.5**x": lambda m, x: 1.5**x,
    "x//0.3": lambda m, x: x // 0.3,
    "2//x": lambda m, x: 2 // x,
    "x%0.7": lambda m, x: x % 0.7,
    "x%-0.7": lambda m, x: x % -0.7,
    "2%x": lambda m, x: 2 % x,
    "-x": lambda m, x: -x,
    "+x": lambda m, x: +x,
    "abs(x)": lambda m, x: abs(x),
    "x<0.5": lambda m, x: x < 0.5,
    "0.5<=x": lambda m, x: x >= 0.5,
    "x>1": lambda m, x: x > 1,
    "x>=1": lambda m, x: x >= 1,
    "x==1": lambda m, x: x == 1,
    "x!=1": lambda m, x: x != 1,
    "x*x": lambda m, x: x * x,
    "x/x": lambda m, x: x / x,
    "add a number, alpha": lambda m, x: m.add(x, 2, alpha=3),
    "sub a number, alpha": lambda m, x: m.sub(x, 2, alpha=0.5),
    "mul a number": lambda m, x: m.mul(x, 2.5),
    "div a number": lambda m, x: m.div(x, 2.5),
    "div floor": lambda m, x: m.div(x, 0.3, rounding_mode="floor"),
    "div trunc": lambda m, x: m.div(x, 0.3, rounding_mode="trunc"),
    "pow, a number below": lambda m, x: m.pow(1.7, x),
    "pow, a number above": lambda m, x: m.pow(x, 2.5),
    "remainder of a number": lambda m, x: m.remainder(2.0, x),
    "floor_divide by a number": lambda m, x: m.floor_divide(x, 0.3),
    "clamp, both": lambda m, x: m.clamp(x, 0.7, 1.4),
    "clamp, whole bounds": lambda m, x: m.clamp(x, 1, 2),
    "clamp, min": lambda m, x: m.clamp(x, min=0.7),
    "clamp, max": lambda m, x: m.clamp(x, max=1.4),
    "clamp, crossed": lambda m, x: m.clamp(x, 1.4, 0.7),
    "where, a number second": lambda m, x: m.where(x > 1, x, 0.0),
    "where, a number first": lambda m, x: m.where(x > 1, 2, x),
    "where, two numbers": lambda m, x: m.where(x > 1, 1.0, 0.0),
    "where, two whole numbers": lambda m, x: m.where(x > 1, 1, 0),
    "where, positions": lambda m, x: m.where(x > 1),
    "logical_and a number": lambda m, x: m.logical_and(x > 1, x < 1.5),
    "eq a number": lambda m, x: m.eq(x, 1),
    "~": lambda m, x: ~(x > 1),
    "&|^": lambda m, x: ((x > 1) & (x < 1.5)) | ((x < 0.6) ^ (x > 0.8)),
    "isclose, loose": lambda m, x: m.isclose(x, x + 0.1, rtol=0.1, atol=0.01),
    "allclose": lambda m, x: m.allclose(x, x + 1e-9),
    "allclose, not": lambda m, x: m.allclose(x, x + 1, atol=0.5),
}
TWO = {
    "add, alpha": lambda m, x, y: m.add(x, y, alpha=2),
    "sub, alpha": lambda m, x, y: m.sub(x, y, alpha=-0.5),
    "div, floor": lambda m, x, y: m.div(x, y, rounding_mode="floor"),
    "div, trunc": lambda m, x, y: m.div(x, y, rounding_mode="trunc"),
    "clamp below a tensor": lambda m, x, y: m.clamp(x, max=y),
    "clamp above a tensor": lambda m, x, y: m.clamp(x, y),
    "clamp between tensors": lambda m, x, y: m.clamp(x, y, y + 0.5),
    "where": lambda m, x, y: m.where(x > y, x, y * 2),
    "where, a narrow condition": lambda m, x, y: m.where(y > 1, x, y),
    "max of two": lambda m, x, y: m.max(x, y),
    "min of two": lambda m, x, y: m.min(x, y),
    "x-y/x": lambda m, x, y: x - y / x,
    "x**y": lambda m, x, y: x**y,
    "x//y": lambda m, x, y: x // y,
    "x%y": lambda m, x, y: x % y,
}
# PyTorch refuses to differentiate these; ours have no gradient, or the right one.
VALUES_ONLY = ("floor_divide", "//", "2%x", "remainder of a number", "heaviside")


def order(name, otherwise=2):
    return 0 if any(word in name for word in VALUES_ONLY) else otherwise


@pytest.mark.parametrize("name", ONE)
@PARITY
@given(x=views())
def test_numbers_operators_and_arguments(same, name, x):
    same(ONE[name], x.between(0.5, 2), order=order(name))


@pytest.mark.parametrize("name", TWO)
@PARITY
@given(xy=pairs())
def test_arguments_of_functions_of_two_tensors(same, name, xy):
    same(TWO[name], *(v.between(0.5, 2) for v in xy), order=order(name))


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
@PARITY
@given(xy=pairs())
def test_bits(same, name, dtype, xy):
    x, y = (
        v.between(0, 9).map(lambda base: (base % 2 if dtype is np.bool_ else base).astype(dtype))
        for v in xy
    )
    same(lambda m, x, y: [getattr(m, name)(x, y), m.bitwise_not(x)], x, y)


@PARITY
@given(x=views())
def test_nan_is_close_to_nan_on_request(same, x):
    x = x.map(lambda base: np.where(base > 0.5, np.nan, base))
    same(lambda m, x: [m.isclose(x, x), m.isclose(x, x, equal_nan=True)], x)
    same(lambda m, x: [m.allclose(x, x), m.allclose(x, x, equal_nan=True)], x)


@PARITY
@given(xy=pairs(), wide=st.booleans())
def test_gradients_keep_the_dtype_of_their_tensor(same, xy, wide):
    x, y = (v.between(0.5, 2) for v in xy)
    x = x.map(lambda base: base.astype(np.float32 if wide else np.float16))
    for call in (
        lambda m, x, y: x * y,
        lambda m, x, y: x**y,
        lambda m, x, y: m.where(x > y, x, y),
        lambda m, x, y: m.maximum(x, y),
    ):
        same(call, x, y.map(lambda base: base.astype(np.float32)), order=1, tolerance=4e-3)


# Dtypes that meet: every pair, as tensors with and without dimensions and as Python numbers.

DTYPES = [
    np.dtype(d)
    for d in (
        np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64,
        np.float16, ml_dtypes.bfloat16, np.float32, np.float64,
    )
]  # fmt: skip
MEETING = {
    **{name: (lambda m, x, y, name=name: getattr(m, name)(x, y)) for name in (*BINARY, *WHOLE)},
    "where": lambda m, x, y: m.where(m.tensor([True, False]), x, y),
    "cat": lambda m, x, y: m.cat([x.reshape(-1), y.reshape(-1)]),
    "stack": lambda m, x, y: m.stack([x.reshape(-1), y.reshape(-1)]),
    "floor div": lambda m, x, y: m.div(x, y, rounding_mode="floor"),
    "trunc div": lambda m, x, y: m.div(x, y, rounding_mode="trunc"),
}
for name in ("isclose", "heaviside"):  # PyTorch wants equal dtypes there
    del MEETING[name]
ALONE = [*UNARY, "bitwise_not"]
TENSORS_ONLY = (
    "cat", "stack", "maximum", "minimum", "fmax", "fmin", "logical_and", "logical_or",
    "logical_xor", "atan2", "hypot", "ldexp", "logaddexp", "logaddexp2",
)  # fmt: skip
FLOATS_ONLY = ("hypot", "logaddexp", "logaddexp2")  # in PyTorch; here of whole numbers too
NUMBERS = (True, 2, 2.5)


def outcome(side, call, args):
    """What a call gives: an array, or the exception."""
    try:
        with warnings.catch_warnings():
            if isinstance(side, Theirs):
                warnings.simplefilter("ignore")
            return Run(side, call, args, 0).outputs[0]
    except Exception as error:
        return error


def disagreement(same, call, args):
    """A line that says how the sides differ; None if they do not."""
    ours, theirs = outcome(same.ours, call, args), outcome(same.theirs, call, args)
    shown = ", ".join(f"{a.dtype}{list(a.shape)}" if hasattr(a, "dtype") else repr(a) for a in args)
    if isinstance(theirs, Exception) and isinstance(ours, kind(theirs)):
        return None
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        return f"({shown}): {ours!r}, PyTorch {theirs!r}"
    try:
        agree("value", ours, theirs)
    except AssertionError:
        return f"({shown}): {ours.dtype} {ours}, PyTorch {theirs.dtype} {theirs}"
    return None


@pytest.mark.parametrize("name", MEETING)
def test_dtypes_meet_as_in_pytorch(same, name):
    lines = []
    for a, b in itertools.product(DTYPES, DTYPES):
        if name in FLOATS_ONLY and {a.kind, b.kind} & set("biu"):
            continue
        if name == "ldexp" and b == np.bool_:
            continue  # PyTorch has no kernel for it
        x, y = np.array([3, 1]).astype(a), np.array([2, 1]).astype(b)
        lines += [
            disagreement(same, MEETING[name], args)
            for args in ((x, y), (x, y[0].reshape(())), (x[0].reshape(()), y))
        ]
    if name not in TENSORS_ONLY:
        for a, number in itertools.product(DTYPES, NUMBERS):
            if name == "pow" and a == np.bool_ and number is True:
                continue  # the one power of booleans PyTorch has
            x = np.array([3, 1]).astype(a)
            lines.append(disagreement(same, MEETING[name], (x, number)))
            if name in ("add", "sub", "mul", "div", "pow", "remainder", "where", "xlogy"):
                lines.append(disagreement(same, MEETING[name], (number, x)))
    assert not (found := [line for line in lines if line]), "\n".join(found)


@pytest.mark.parametrize("name", ALONE)
def test_dtypes_of_functions_of_one_tensor(same, name):
    lines = [
        disagreement(same, lambda m, x: getattr(m, name)(x), (np.array(values).astype(dtype),))
        for dtype in DTYPES
        for values in ([1, 0, 2], 1)
    ]
    assert not (found := [line for line in lines if line]), "\n".join(found)


# Infinities, NaN, zeros of both signs, and numbers whose products overflow.

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300]
)


# Where ours is 0, half, finite or exact, PyTorch's gradient is NaN or lost to an overflow.
OUR_OWN = ("atan2", "copysign", "digamma", "hypot", "logaddexp", "logaddexp2", "logit", "xlogy")


@pytest.mark.parametrize("name", UNARY)
def test_special_values_of_one_tensor(same, name):
    values = SPECIAL[SPECIAL != -1] if name == "acosh" else SPECIAL  # 1 / -0.0, below its domain
    same(lambda m, x: getattr(m, name)(x), values, order=0 if name in OUR_OWN else 1, single=False)


@pytest.mark.parametrize("name", BINARY)
def test_special_values_of_two_tensors(same, name):
    # PyTorch's remainders overflow in the quotient of a large number by a tiny one.
    values = SPECIAL[:-1] if name in ("remainder", "fmod") else SPECIAL
    x, y = np.meshgrid(values, values)
    first = 0 if name in OUR_OWN else order(name, 1)
    same(lambda m, x, y: getattr(m, name)(x, y), x, y, order=first, single=False)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_whole_numbers_wrap_around_silently(same, dtype, shape):
    least, most = (np.full(shape, end, dtype) for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    same(lambda m, x, y: [x - 1, x - y, -x, y + 1, y + y, y * 3, y * y, y**2], least, most)
    same(lambda m, x, y: [m.square(y), m.abs(x), m.sum(x), m.clamp(y, max=3)], least, most)


@pytest.mark.parametrize("name", ONE)
def test_special_values_with_numbers(same, name):
    if "positions" not in name:
        same(ONE[name], SPECIAL, order=order(name, 1), single=False)


# Mistakes

A, B = np.zeros((2, 3)), np.zeros((4,))
FLAGS, COUNTS = np.array([True, False]), np.array([1, 2])
MISTAKES = {
    **{
        f"{name}: shapes": (
            (lambda m, x, y, name=name: getattr(m, name)(x, y)),
            (A, B),
            [name, "float64[2, 3]", "float64[4]"],
        )
        for name in (
            "add",
            "sub",
            "mul",
            "div",
            "pow",
            "maximum",
            "minimum",
            "remainder",
            "floor_divide",
        )
    },
    "lt: shapes": (lambda m, x, y: x < y, (A, B), ["less", "float64[2, 3]", "float64[4]"]),
    "eq: shapes": (lambda m, x, y: x == y, (A, B), ["equal", "float64[2, 3]", "float64[4]"]),
    "where: shapes": (
        lambda m, x, y: m.where(x > 0, x, y),
        (A, B),
        ["where", "float64[2, 3]", "float64[4]"],
    ),
    "clamp: no bounds": (lambda m, x: m.clamp(x), (A,), ["clamp", "min"]),
    "div: rounding": (
        lambda m, x: m.div(x, 2, rounding_mode="up"),
        (A,),
        ["div", "rounding_mode", "up"],
    ),
    "sub: booleans": (lambda m, x: m.sub(x, x), (FLAGS,), ["sub", "bool"]),
    "-: booleans": (lambda m, x: x - x, (FLAGS,), ["sub", "bool"]),
    "neg: booleans": (lambda m, x: m.neg(x), (FLAGS,), ["neg", "bool"]),
    "bitwise_and: floats": (lambda m, x: m.bitwise_and(x, x), (B,), ["bit", "and", "float64"]),
    "bitwise_not: floats": (lambda m, x: m.bitwise_not(x), (B,), ["bit", "not", "float64"]),
    "where: condition": (lambda m, x: m.where(x, x, x), (B,), ["where", "bool", "float64"]),
    "exp: a number": (lambda m: m.exp(2.0), (), ["exp", "Tensor", "float"]),
    "add: a string": (lambda m, x: m.add(x, "1"), (B,), ["add", "str"]),
    "+: a string": (lambda m, x: x + "1", (B,), ["add", "str"]),
    "+: None": (lambda m, x: x + None, (B,), ["add", "None"]),
    "//: whole zero": (lambda m, x: x // 0, (COUNTS,), ["floor_divide", "zero"]),
    "%: whole zero": (lambda m, x: x % 0, (COUNTS,), ["remainder", "zero"]),
    "**: below zero": (lambda m, x: x**-1, (COUNTS,), ["pow", "negative"]),
    "requires_grad: whole": (
        lambda m, x: x.requires_grad_(),
        (COUNTS,),
        ["requires_grad", "int64"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)
