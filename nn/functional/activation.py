"""Activation functions that are not gates, composed so that they stay finite and smooth."""

from __future__ import annotations

import math

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

__all__ = [
    "elu",
    "gelu",
    "leaky_relu",
    "silu",
    "softplus",
]


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`x` where positive, `negative_slope * x` elsewhere; the slope holds at 0 too.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.leaky_relu(tg.tensor([-1.0, 2.0]), 0.5).tolist()
    [-0.5, 2.0]
    """
    return ops.where(input > 0, input, input * negative_slope)


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.elu(tg.tensor([-1e4, 2.0])).tolist()
    [-1.0, 2.0]
    """
    # The branch not taken is kept from overflowing: infinity times a zero gradient is NaN.
    return ops.where(input > 0, input, ops.expm1(ops.clamp(input, max=0.0)) * alpha)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`x Phi(x)`, Phi the standard normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        input: any shape.
        approximate: "none" for `Phi(x) = (1 + erf(x / sqrt(2))) / 2`, "tanh" for
            `Phi(x) = (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`. Default: "none".

    Raises:
        ValueError: for another `approximate`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.gelu(tg.tensor(1.0)).item(), 4)
    0.8413
    """
    if approximate == "none":
        twice_phi = ops.erf(input * math.sqrt(0.5)) + 1
    elif approximate == "tanh":
        near = ops.clamp(input, -10.0, 10.0)  # beyond, tanh is 1 and a half-precision cube infinite
        cubic = near + ops.square(near) * near * 0.044715
        twice_phi = ops.tanh(cubic * math.sqrt(2 / math.pi)) + 1
    else:
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return input * twice_phi * 0.5


def silu(input: Tensor) -> Tensor:
    """`x sigmoid(x)`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.silu(tg.tensor(1.0)).item(), 4)
    0.7311
    """
    return input * ops.sigmoid(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.softplus(tg.tensor(0.0)).item(), 4)
    0.6931
    """
    scaled = input * beta
    return ops.where(scaled > threshold, input, log1p_exp(scaled) / beta)


def log1p_exp(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`, exact for any x, with the right slope (1/2) and curvature at 0."""
    # The branch for x = 0 is x itself, not |x|, whose slope there is 0.
    return ops.relu(x) + ops.log1p(ops.exp(ops.where(x > 0, -x, x)))
