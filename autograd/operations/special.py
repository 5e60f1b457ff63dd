"""Functions with names of their own: the error function, the gamma function, Bessel's."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd.arrays import bool_
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import DtypeError
from tapegrad.autograd.gates import special
from tapegrad.autograd.records import Variable

from .arguments import check_tensor

__all__ = [
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "i0",
    "lgamma",
    "mvlgamma",
    "polygamma",
]


def erf(input: Any) -> Any:
    """The error function, `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `input`.

    >>> import tapegrad as tg
    >>> tg.erf(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return special.erf(check_tensor("erf", input))


def erfc(input: Any) -> Any:
    """`1 - erf(input)`, exact where `erf` is nearly 1.

    >>> import tapegrad as tg
    >>> tg.erfc(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """
    return special.erfc(check_tensor("erfc", input))


def erfinv(input: Any) -> Any:
    """What `erf` undoes; infinite at 1 and -1, NaN beyond.

    >>> import tapegrad as tg
    >>> tg.erfinv(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
    """
    return special.erfinv(check_tensor("erfinv", input))


def lgamma(input: Any) -> Any:
    """The logarithm of the absolute value of the gamma function.

    >>> import tapegrad as tg
    >>> tg.lgamma(tg.tensor([1.0, 5.0]))
    tensor([0.0000, 3.1781])
    """
    return special.lgamma(check_tensor("lgamma", input))


def digamma(input: Any) -> Any:
    """The derivative of `lgamma`.

    >>> import tapegrad as tg
    >>> tg.digamma(tg.tensor([1.0, 5.0]))
    tensor([-0.5772,  1.5061])
    """
    return special.polygamma(check_tensor("digamma", input), n=0)


def polygamma(n: int, input: Any) -> Any:
    """The derivative of order `n` of `digamma`.

    >>> import tapegrad as tg
    >>> tg.polygamma(1, tg.tensor([1.0, 5.0]))
    tensor([1.6449, 0.2213])
    """
    if isinstance(n, Variable) or not hasattr(n, "__index__"):
        raise TypeError(f"polygamma: n must be a whole number, got {type(n).__name__}")
    if n < 0:
        raise RuntimeError(f"polygamma: n must not be negative, got {n}")
    return special.polygamma(check_tensor("polygamma", input), n=n.__index__())


def mvlgamma(input: Any, p: int) -> Any:
    """The logarithm of the gamma function of `p` dimensions.

    `p (p - 1) / 4 log(pi)` and the sum of `lgamma(input - j / 2)` for j from 0 to `p` - 1.

    >>> import tapegrad as tg
    >>> tg.mvlgamma(tg.tensor([1.0, 5.0]), 2)
    tensor([1.1447, 6.2042])
    """
    if check_tensor("mvlgamma", input)._data.dtype == bool_:
        raise DtypeError(f"mvlgamma: expected numbers, got {describe(input)}")
    if p < 1:
        raise RuntimeError(f"mvlgamma: p must be at least 1, got {p}")
    out = special.lgamma(input)
    for j in range(1, p):
        out = out + special.lgamma(input - j / 2)
    return out + p * (p - 1) / 4 * math.log(math.pi)


def i0(input: Any) -> Any:
    """Bessel's modified function of the first kind and order 0.

    >>> import tapegrad as tg
    >>> tg.i0(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return special.i0(check_tensor("i0", input))
