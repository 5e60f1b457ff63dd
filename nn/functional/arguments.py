"""What the functions of layers share in reading their arguments."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

from tapegrad.autograd.arrays import FLOATS
from tapegrad.autograd.engine import Gate, describe
from tapegrad.autograd.errors import ArgumentError, DtypeError
from tapegrad.autograd.operations.arguments import check_tensor


def float_tensor(name: str, value: Any) -> Any:
    """`value`, if it is a floating tensor; what a layer computes has no meaning in integers."""
    if check_tensor(name, value)._data.dtype not in FLOATS:
        raise DtypeError(
            f"{name}: expected a floating tensor, got {describe(value)}; convert it with .float()"
        )
    return value


def check_activation(name: str, activation: str | None) -> str | None:
    """`activation`, if the gates of layers compute it."""
    if activation not in (None, "relu"):
        raise ArgumentError(f"{name}: activation must be None or 'relu', got {activation!r}")
    return activation


def activated(name: str, plain: Gate, with_relu: Gate, activation: str | None) -> Gate:
    """The gate of a layer that also computes its `activation`."""
    return with_relu if check_activation(name, activation) else plain


def computed(name: str, input: Any, inplace: bool, compute: Callable[[Any], Any]) -> Any:
    """`compute(input)`; with `inplace`, `input` then holds it, by the rules of writing in place."""
    return input._write(name, lambda: compute(input)) if inplace else compute(input)


def warn(message: str) -> None:
    """Warn, and point at the line outside of this package that the call came from."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("tapegrad."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def check_probability(name: str, p: float) -> None:
    """Refuse what is not a probability, NaN included."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: p must be between 0 and 1, not {p}")
