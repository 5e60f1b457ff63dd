"""What optimizers say to have parameters updated: a formula, and what it takes.

A formula gets the gradient, then what it overwrites (the parameter, its averages), then numbers by
name, and returns the new values of what it overwrites. It is written once for a CPU and a GPU
(`tapegrad.autograd.foreach`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from tapegrad.autograd import Tensor, fused
from tapegrad.autograd import operations as ops


class Update(NamedTuple):
    """What is done to a parameter in a step.

    formula     the function
    state       the names of the tensors of the state that it overwrites, after the parameter
    numbers     its numbers, which may change from step to step
    options     what else it takes, and branches on
    steps       their number, on the parameter's GPU: the formula takes it first, and it is the new
                "step" of the state. None where the host counts, or nothing does
    """

    formula: Callable[..., Any]
    state: tuple[str, ...]
    numbers: dict[str, float]
    options: dict[str, Any]
    steps: Tensor | None = None


def descent(
    gradient: Tensor, weight: Tensor, weight_decay: float, decays: bool, maximize: bool
) -> Tensor:
    """What to go down: `gradient + weight_decay * weight`, the gradient negated to maximize."""
    if decays:
        penalty = weight * weight_decay
        return penalty - gradient if maximize else penalty + gradient
    return -gradient if maximize else gradient


@functools.cache
def unless_overflowed(formula: Callable[..., Any]) -> Callable[..., Any]:
    """A formula that keeps what it would overwrite where its first tensor is not 0.

    That is how a GPU skips a step without the host knowing.
    """

    @functools.wraps(formula)
    def kept(found: Tensor, *tensors: Tensor, **numbers: Any) -> tuple[Tensor, ...]:
        results = formula(*tensors, **numbers)
        results = results if isinstance(results, tuple) else (results,)
        before = tensors[len(tensors) - len(results) :]
        return tuple(
            ops.where(found == 0, new, old) for new, old in zip(results, before, strict=True)
        )

    return kept


@fused
def counted(steps: Tensor, found: Tensor) -> Tensor:
    """One step more, unless it was skipped."""
    return ops.where(found == 0, steps + 1, steps)
