"""What optimizers say to have parameters updated: a formula, and what it takes.

A formula gets the gradient, then what it overwrites (the parameter, its averages), then numbers by
name, and returns the new values of what it overwrites. It is written once for a CPU and a GPU
(`tapegrad.autograd.foreach`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tapegrad.autograd import Tensor


class Update(NamedTuple):
    """What is done to a parameter in a step.

    formula     the function
    state       the names of the tensors of the state that it overwrites, after the parameter
    numbers     its numbers, which may change from step to step
    options     what else it takes, and branches on
    """

    formula: Callable[..., Any]
    state: tuple[str, ...]
    numbers: dict[str, float]
    options: dict[str, Any]


def descent(
    gradient: Tensor, weight: Tensor, weight_decay: float, decays: bool, maximize: bool
) -> Tensor:
    """What to go down: `gradient + weight_decay * weight`, the gradient negated to maximize."""
    if decays:
        penalty = weight * weight_decay
        return penalty - gradient if maximize else penalty + gradient
    return -gradient if maximize else gradient
