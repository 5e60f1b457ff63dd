"""What every loss does with its terms: weigh them, then leave, average or add them up."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.operations import mean, sum
from tapegrad.autograd.operations.arguments import check_tensor

from .arguments import warn

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(name: str, reduction: str) -> None:
    """Refuse what is none of the three ways."""
    if reduction not in REDUCTIONS:
        raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', not {reduction!r}")


def reduced(name: str, losses: Any, reduction: str) -> Any:
    """Losses as they are ("none"), their mean or their sum."""
    check_reduction(name, reduction)
    if reduction == "none":
        return losses
    return mean(losses) if reduction == "mean" else sum(losses)


def check_same_shape(name: str, input: Any, target: Any) -> None:
    """Warn where broadcasting is likely to be a mistake, (N, 1) against (N,) above all."""
    ours, theirs = check_tensor(name, input).shape, check_tensor(name, target).shape
    if ours != theirs:
        warn(
            f"{name}: the input's shape {tuple(ours)} and the target's {tuple(theirs)} differ and "
            "are broadcast; this is rarely meant"
        )


def weighed(name: str, losses: Any, input: Any, weight: Any) -> Any:
    """Losses times a weight of the shape of the input; ArgumentError if it has another."""
    if check_tensor(name, weight).shape != input.shape:
        raise ArgumentError(
            f"{name}: weight {describe(weight)} must have the shape of the input {describe(input)}"
        )
    return losses * weight
