"""sin(u) / u and its derivatives, on raw arrays."""

from __future__ import annotations

import math
from typing import Any

from .selection import select

Array = Any
TINY = 1e-30  # whose sine is itself


def derivative(xp: Any, u: Array, order: int) -> Array:
    """The derivative of some order of sin(u) / u.

    As u f(u) = sin(u), the derivatives f_n of f follow from each other: u f_n + n f_(n-1) is the
    n-th derivative of the sine. For u smaller than n that loses digits, and the Taylor series is
    summed instead.

    >>> import numpy as np
    >>> [round(float(derivative(np, np.array(0.0), n)), 4) for n in (0, 2, 4)]
    [1.0, -0.3333, 0.2]
    """
    if not order:
        u = xp.maximum(abs(u), TINY)
        return xp.sin(u) / u
    near = abs(u) <= order + 1
    safe = select(xp, near, 1.0, u)
    out = xp.sin(safe) / safe
    for n in range(1, order + 1):
        turned = (xp.sin, xp.cos)[n % 2](safe)
        out = ((-turned if n % 4 > 1 else turned) - n * out) / safe
    return select(xp, near, _series(xp, u, order), out)


def _series(xp: Any, u: Array, order: int) -> Array:
    """The Taylor series around 0, for |u| up to order + 1.

    Its terms are (-1)^k u^(2k - n) / ((2k + 1) (2k - n)!) for an order n.
    """
    near = select(xp, abs(u) <= order + 1, u, 0.0)
    odd = order % 2
    first = (order + odd) // 2  # the first k whose power is not below 0
    square, out = near * near, near * 0
    for k in reversed(range(first, first + 12 + 2 * order)):
        out *= square
        out += (-1) ** k / ((2 * k + 1) * math.factorial(2 * k - order))
    return out * near if odd else out
