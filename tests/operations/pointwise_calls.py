"""Calls of what is computed element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, View, call

Row = Callable[[Draw], Call]


def option(d: Draw, **values: Any) -> dict[str, Any]:
    """Some of the keyword arguments, the others left at their default."""
    return {key: value for key, value in values.items() if d.flag()}


def unary(low: float, high: float) -> Row:
    """An operation of one tensor with values of [low, high)."""
    return lambda d: call(d.tensor(low=low, high=high))


def tensors(d: Draw, *ranges: tuple[float, float]) -> list[View]:
    """As many tensors as ranges, which broadcast."""
    return [d.tensor(s, *r) for s, r in zip(d.shapes(len(ranges)), ranges, strict=True)]


def binary(*ranges: tuple[float, float], order: int = 2) -> Row:
    """An operation of several tensors, which broadcast."""
    return lambda d: call(*tensors(d, *ranges), order=order)


def either(x: tuple[float, float], y: tuple[float, float], order: int = 2) -> Row:
    """An operation of two tensors, or a tensor and a number, or a number and a tensor."""

    def row(d: Draw) -> Call:
        first, second = tensors(d, x, y)
        numbers = [round(low + (high - low) * 0.7, 1) for low, high in (x, y)]
        return d.one_of(
            call(first, second, order=order),
            call(first, numbers[1], order=order),
            call(numbers[0], second, order=order),
        )

    return row


def then_number(x: tuple[float, float], y: tuple[float, float], order: int = 2) -> Row:
    """An operation of two tensors, or a tensor and a number."""

    def row(d: Draw) -> Call:
        first, second = tensors(d, x, y)
        number = round(y[0] + (y[1] - y[0]) * 0.7, 1)
        return call(first, d.one_of(second, number), order=order)

    return row


def meeting(number: bool = True) -> Row:
    """A comparison of two tensors with equal elements among them, or with a number."""

    def row(d: Draw) -> Call:
        first, second = (v.map(np.round) for v in tensors(d, (-3, 3), (-3, 3)))
        return call(first, d.one_of(second, 1, 2.0) if number else second)

    return row


def scaled(d: Draw) -> Call:
    x, y = tensors(d, (-3, 3), (-3, 3))
    return call(x, d.one_of(y, 1.5), **option(d, alpha=d.one_of(2, -0.5)))


def divided(d: Draw) -> Call:
    x, y = tensors(d, (-3, 3), (0.5, 3))
    mode = option(d, rounding_mode=d.one_of(None, "trunc", "floor"))
    return call(x, d.one_of(y, -0.7), **mode)


def added(low: float) -> Row:
    """`input + value * x * y`, or over y."""
    return lambda d: call(
        *tensors(d, (-3, 3), (-3, 3), (low, 3)), **option(d, value=d.one_of(2, -0.5))
    )


def lerp(d: Draw) -> Call:
    x, y, weight = tensors(d, (-3, 3), (-3, 3), (-0.5, 1.5))
    return call(x, y, d.one_of(weight, 0.3, 1, d.tensor((), 0, 1)))


def ldexp(d: Draw) -> Call:
    x, power = tensors(d, (-3, 3), (-2, 2))
    # Whole powers from 0 on: PyTorch's gradient for those below is 0, which is wrong.
    return call(x, d.one_of(power, power.map(lambda b: np.abs(np.round(b)).astype(np.int64))))


def powers(d: Draw) -> Call:
    if d.flag():
        return either((0.3, 2), (-2, 3))(d)
    return call(d.tensor(low=-2, high=2), d.one_of(0, 1, 2, 3, 4, 5))


def rounded(d: Draw) -> Call:
    return call(d.tensor(low=-300, high=300), **option(d, decimals=d.one_of(0, 1, 2, -1, -2)))


def logit(d: Draw) -> Call:
    return call(d.tensor(low=0.05, high=0.95), **option(d, eps=d.one_of(None, 0.2, 1e-6)))


def bounds(d: Draw) -> Call:
    x, low, high = tensors(d, (-3, 3), (-2, 1), (-1, 2))
    low, high = d.one_of((low, high), (-1, 1.5), (0.5, -0.5))
    return d.one_of(call(x, low, high), call(x, low), call(x, max=high), call(x, min=low, max=high))


def where(d: Draw) -> Call:
    condition, x, y = d.shapes(3)
    x, y = d.one_of((d.tensor(x), d.tensor(y)), (d.tensor(x), 0.5), (2, d.tensor(y)))
    return call(d.mask(condition), x, y)


def infinite(d: Draw) -> View:
    """Numbers, NaN and infinities."""
    stream = d.values()
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    return d.tensor(low=-2, high=2).map(
        lambda b: np.where(stream.random(b.shape) < 0.6, odd[stream.integers(0, 5, b.shape)], b)
    )


def nan_to_num(d: Draw) -> Call:
    return call(infinite(d), **option(d, nan=1.5, posinf=3, neginf=d.one_of(None, -7.0)))


def extremes(d: Draw) -> Call:
    """The larger of two, with ties and NaN."""
    x, y = tensors(d, (-2, 2), (-2, 2))
    return call(*(v.map(lambda b: np.where(b > 1.5, np.nan, np.round(b))) for v in (x, y)))


def close(d: Draw) -> Call:
    x, y = tensors(d, (0, 1), (0, 1))
    return call(x, y, **option(d, rtol=0.3, atol=0.1, equal_nan=d.flag()))


def equal(d: Draw) -> Call:
    x = d.tensor()
    return call(x, d.one_of(x, d.tensor(d.shape()), x.map(lambda b: b + 1)))


def whole(low: int, high: int, number: int | None = None, flags: bool = True) -> Row:
    """An operation of two whole tensors, or booleans, or a tensor and a number on either side."""

    def row(d: Draw) -> Call:
        x, y = (d.whole(shape, low, high) for shape in d.shapes())
        if flags and d.flag():
            x, y = x % 2 == 0, y % 2 == 0
        return call(x, y) if number is None else d.one_of(call(x, y), call(x, number))

    return row


def logical(d: Draw) -> Call:
    return call(*(v.map(np.round) for v in tensors(d, (-1, 1), (-1, 1))))


def polygamma(d: Draw) -> Call:
    return call(d.integer(0, 3), d.tensor(low=0.5, high=4))


def mvlgamma(d: Draw) -> Call:
    return call(d.tensor(low=1.6, high=4), d.integer(1, 4))


BELOW, ABOVE = (-3.0, 3.0), (0.5, 3.0)

CALLS: dict[str, Row] = {
    "abs": unary(-3, 3),
    "acos": unary(-0.9, 0.9),
    "acosh": unary(1.2, 4),
    "add": scaled,
    "addcdiv": added(0.5),
    "addcmul": added(-3),
    "allclose": close,
    "asin": unary(-0.9, 0.9),
    "asinh": unary(-3, 3),
    "atan": unary(-3, 3),
    "atan2": binary((-3, 3), (-3, 3)),
    "atanh": unary(-0.9, 0.9),
    "bitwise_and": whole(-9, 9, 5),
    "bitwise_left_shift": whole(0, 9, 2, flags=False),
    "bitwise_not": lambda d: call(d.one_of(d.whole(d.shape(), -9, 9), d.mask(d.shape()))),
    "bitwise_or": whole(-9, 9, 5),
    "bitwise_right_shift": whole(0, 9, 2, flags=False),
    "bitwise_xor": whole(-9, 9, 5),
    "ceil": unary(-3, 3),
    "clamp": bounds,
    "clamp_max": then_number(BELOW, BELOW),
    "clamp_min": then_number(BELOW, BELOW),
    "copysign": then_number(BELOW, BELOW),
    "cos": unary(-3, 3),
    "cosh": unary(-3, 3),
    "deg2rad": unary(-300, 300),
    "digamma": unary(0.5, 4),
    "div": divided,
    "eq": meeting(),
    "equal": equal,
    "erf": unary(-2, 2),
    "erfc": unary(-2, 2),
    "erfinv": unary(-0.8, 0.8),
    "exp": unary(-2, 2),
    "exp2": unary(-2, 2),
    "expm1": unary(-2, 2),
    "float_power": either((0.3, 2), (-2, 3)),
    "floor": unary(-3, 3),
    "floor_divide": either(BELOW, ABOVE, order=0),
    "fmax": extremes,
    "fmin": extremes,
    "fmod": then_number(BELOW, ABOVE),
    "frac": unary(-3, 3),
    "gcd": whole(-12, 12, flags=False),
    "ge": meeting(),
    "gt": meeting(),
    "heaviside": lambda d: call(*(v.map(np.round) for v in tensors(d, (-1, 1), (-3, 3))), order=0),
    "hypot": binary((-3, 3), (-3, 3)),
    "i0": unary(-3, 3),
    "isclose": close,
    "isfinite": lambda d: call(infinite(d)),
    "isinf": lambda d: call(infinite(d)),
    "isnan": lambda d: call(infinite(d)),
    "isneginf": lambda d: call(infinite(d)),
    "isposinf": lambda d: call(infinite(d)),
    "isreal": unary(-3, 3),
    "lcm": whole(-12, 12, flags=False),
    "ldexp": ldexp,
    "le": meeting(),
    "lerp": lerp,
    "lgamma": unary(0.5, 4),
    "log": unary(0.2, 3),
    "log10": unary(0.2, 3),
    "log1p": unary(-0.7, 3),
    "log2": unary(0.2, 3),
    "logaddexp": binary((-3, 3), (-3, 3)),
    "logaddexp2": binary((-3, 3), (-3, 3)),
    "logical_and": logical,
    "logical_not": lambda d: call(d.tensor().map(np.round)),
    "logical_or": logical,
    "logical_xor": logical,
    "logit": logit,
    "lt": meeting(),
    "maximum": extremes,
    "minimum": extremes,
    "mul": then_number(BELOW, BELOW),
    "mvlgamma": mvlgamma,
    "nan_to_num": nan_to_num,
    "ne": meeting(),
    "neg": unary(-3, 3),
    "polygamma": polygamma,
    "positive": unary(-3, 3),
    "pow": powers,
    "rad2deg": unary(-3, 3),
    "reciprocal": unary(0.4, 3),
    "relu": unary(-3, 3),
    "remainder": then_number(BELOW, ABOVE),
    "round": rounded,
    "rsqrt": unary(0.4, 3),
    "rsub": scaled,
    "sigmoid": unary(-3, 3),
    "sign": unary(-3, 3),
    "signbit": lambda d: call(infinite(d)),
    "sin": unary(-3, 3),
    "sinc": unary(-3, 3),
    "sinh": unary(-3, 3),
    "sqrt": unary(0.2, 3),
    "square": unary(-3, 3),
    "sub": scaled,
    "tan": unary(-1.3, 1.3),
    "tanh": unary(-2, 2),
    "true_divide": then_number(BELOW, ABOVE),
    "trunc": unary(-3, 3),
    "where": where,
    "xlogy": either(BELOW, ABOVE),
}
ALIASES = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "clip": "clamp",
    "divide": "div",
    "fix": "trunc",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "sgn": "sign",
    "subtract": "sub",
}
CALLS.update((alias, CALLS[name]) for alias, name in ALIASES.items())
