"""Circular and hyperbolic functions and their inverses; angles are in radians."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd.gates import arithmetic, trigonometry

from .arguments import check_tensor, check_tensors

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
]


def sin(input: Any) -> Any:
    """The sine of an angle in radians.

    >>> import tapegrad as tg
    >>> tg.sin(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4794])
    """
    return trigonometry.sin(check_tensor("sin", input))


def cos(input: Any) -> Any:
    """The cosine of an angle in radians.

    >>> import tapegrad as tg
    >>> tg.cos(tg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.8776])
    """
    return trigonometry.cos(check_tensor("cos", input))


def tan(input: Any) -> Any:
    """The tangent of an angle in radians.

    >>> import tapegrad as tg
    >>> tg.tan(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5463])
    """
    return trigonometry.tan(check_tensor("tan", input))


def asin(input: Any) -> Any:
    """The angle whose sine is `input`, of [-pi/2, pi/2]; its gradient at 1 and -1 is infinite.

    >>> import tapegrad as tg
    >>> tg.asin(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])
    """
    return trigonometry.asin(check_tensor("asin", input))


def acos(input: Any) -> Any:
    """The angle whose cosine is `input`, of [0, pi]; its gradient at 1 and -1 is infinite.

    >>> import tapegrad as tg
    >>> tg.acos(tg.tensor([0.0, 1.0]))
    tensor([1.5708, 0.0000])
    """
    return trigonometry.acos(check_tensor("acos", input))


def atan(input: Any) -> Any:
    """The angle whose tangent is `input`, of (-pi/2, pi/2).

    >>> import tapegrad as tg
    >>> tg.atan(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
    """
    return trigonometry.atan(check_tensor("atan", input))


def atan2(input: Any, other: Any) -> Any:
    """The angle of the point with x = `other` and y = `input`, of [-pi, pi].

    The gradient, `other / r^2` and `-input / r^2`, is 0 at the origin.

    >>> import tapegrad as tg
    >>> tg.atan2(tg.tensor([1.0, 1.0]), tg.tensor([1.0, -1.0]))
    tensor([0.7854, 2.3562])
    """
    return trigonometry.atan2(*check_tensors("atan2", input, other))


def sinh(input: Any) -> Any:
    """The hyperbolic sine, `(exp(input) - exp(-input)) / 2`.

    >>> import tapegrad as tg
    >>> tg.sinh(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
    """
    return trigonometry.sinh(check_tensor("sinh", input))


def cosh(input: Any) -> Any:
    """The hyperbolic cosine, `(exp(input) + exp(-input)) / 2`.

    >>> import tapegrad as tg
    >>> tg.cosh(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
    """
    return trigonometry.cosh(check_tensor("cosh", input))


def tanh(input: Any) -> Any:
    """The hyperbolic tangent, `sinh(input) / cosh(input)`.

    >>> import tapegrad as tg
    >>> tg.tanh(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return trigonometry.tanh(check_tensor("tanh", input))


def asinh(input: Any) -> Any:
    """What `sinh` undoes.

    >>> import tapegrad as tg
    >>> tg.asinh(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    return trigonometry.asinh(check_tensor("asinh", input))


def acosh(input: Any) -> Any:
    """What `cosh` undoes, from 0 on; its gradient at 1 is infinite.

    >>> import tapegrad as tg
    >>> tg.acosh(tg.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    return trigonometry.acosh(check_tensor("acosh", input))


def atanh(input: Any) -> Any:
    """What `tanh` undoes; infinite at 1 and -1.

    >>> import tapegrad as tg
    >>> tg.atanh(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """
    return trigonometry.atanh(check_tensor("atanh", input))


def hypot(input: Any, other: Any) -> Any:
    """`sqrt(input^2 + other^2)` without overflow; the gradient is 0 where both are 0.

    >>> import tapegrad as tg
    >>> tg.hypot(tg.tensor([3.0, 0.0]), tg.tensor([4.0, 0.0]))
    tensor([5., 0.])
    """
    return trigonometry.hypot(*check_tensors("hypot", input, other))


def sinc(input: Any) -> Any:
    """`sin(pi input) / (pi input)`, 1 at 0; exact at 0 in every order of derivative.

    >>> import tapegrad as tg
    >>> tg.sinc(tg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    return trigonometry.sinc(check_tensor("sinc", input), order=0)


def deg2rad(input: Any) -> Any:
    """Degrees in radians, `input * pi / 180`.

    >>> import tapegrad as tg
    >>> tg.deg2rad(tg.tensor([180.0, 90.0]))
    tensor([3.1416, 1.5708])
    """
    return arithmetic.mul(check_tensor("deg2rad", input), math.pi / 180)


def rad2deg(input: Any) -> Any:
    """Radians in degrees, `input * 180 / pi`.

    >>> import tapegrad as tg
    >>> tg.rad2deg(tg.tensor([1.0, 0.5]))
    tensor([57.2958, 28.6479])
    """
    return arithmetic.mul(check_tensor("rad2deg", input), 180 / math.pi)


arccos, arccosh, arcsin, arcsinh = acos, acosh, asin, asinh
arctan, arctan2, arctanh = atan, atan2, atanh
