"""Sine, cosine and their relatives; angles are in radians."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.gates import exponential

from .arguments import check_tensor

__all__ = [
    "cos",
    "sin",
    "tanh",
]


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
