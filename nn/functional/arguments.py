"""What the functions of layers share in reading their arguments."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

from tapegrad.autograd.arrays import FLOATS
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import DtypeError
from tapegrad.autograd.operations.arguments import check_tensor


def float_tensor(name: str, value: Any) -> Any:
    """`value`, if it is a floating tensor; what a layer computes has no meaning in integers."""
    if check_tensor(name, value)._data.dtype not in FLOATS:
        raise DtypeError(
            f"{name}: expected a floating tensor, got {describe(value)}; convert it with .float()"
        )
    return value


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
