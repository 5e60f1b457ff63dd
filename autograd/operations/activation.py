"""Activations that are methods of a tensor too; the others are in `tapegrad.nn.functional`."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import FLOATS
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import DtypeError, ShapeError
from tapegrad.autograd.gates import activation
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.gates.shape import reshape

from .arguments import check_tensor, number_that_fits, same_dtype

__all__ = ["hardshrink", "prelu"]


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """`x` where `|x| > lambd`, 0 elsewhere; the gradient at `lambd` and `-lambd` is 0.

    >>> import tapegrad as tg
    >>> tg.hardshrink(tg.tensor([-2.0, 0.5, 0.6]))
    tensor([-2.0000,  0.0000,  0.6000])
    """
    if check_tensor("hardshrink", input)._data.dtype not in FLOATS:
        raise DtypeError(f"hardshrink: expected a floating tensor, got {describe(input)}")
    number_that_fits("hardshrink", lambd, input._data.dtype)
    return where((input >= -lambd) & (input <= lambd), 0.0, input)


def prelu(input: Any, weight: Any) -> Any:
    """`x` above 0, `weight * x` from there down (He et al., 2015).

    `weight` is one number, or one for each channel, which is the second dimension of `input`. At 0
    the gradient is `weight`.

    >>> import tapegrad as tg
    >>> tg.prelu(tg.tensor([[-2.0, -2.0, 3.0]]), tg.tensor([0.5, 0.25, 0.1]))
    tensor([[-1.0000, -0.5000,  3.0000]])
    """
    x, w = check_tensor("prelu", input)._data, check_tensor("prelu", weight)._data
    if x.dtype not in FLOATS:
        raise DtypeError(f"prelu: expected a floating tensor, got {describe(input)}")
    same_dtype("prelu", input, weight)
    channels = 1 if w.size == 1 else x.shape[1] if x.ndim > 1 else 0
    if w.ndim > 1 or w.size != channels:
        raise ShapeError(
            f"prelu: weight {describe(weight)} does not fit {describe(input)}; expected one "
            "number, or one for each channel (the second dimension)"
        )
    spread = (1, -1, *(1 for _ in x.shape[2:])) if x.ndim > 1 else (1,) * x.ndim
    if w.shape != spread:
        weight = reshape(weight, shape=tuple(w.size if n == -1 else n for n in spread))
    return activation.leaky_relu(input, weight)
