"""Update formulas, written once as functions of tensors and numbers, and how they are run.

A formula gets the gradient, then what it overwrites (the parameter, its averages), then numbers by
name, and returns the new values of what it overwrites. It is traced once for each dtype and each
set of options. On a CPU it is computed block by block (`tapegrad.kernels.in_place`), on a GPU by
one launch for all parameters (`tapegrad.kernels.cuda.multi_tensor`).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from tapegrad.autograd import Tensor, tracing
from tapegrad.autograd.arrays import Array, module_of
from tapegrad.kernels import in_place
from tapegrad.kernels.cuda import multi_tensor
from tapegrad.kernels.cuda.launching import on_device_of
from tapegrad.kernels.expression import Program, Scalar


class Update(NamedTuple):
    """What is done to a parameter in a step.

    formula     the function
    state       the names of the arrays of the state that it overwrites, after the parameter
    numbers     its numbers, which may change from step to step
    options     what else it takes, and branches on
    """

    formula: Callable[..., Any]
    state: tuple[str, ...]
    numbers: dict[str, float]
    options: dict[str, Any]


def apply(update: Update, tensors: Sequence[Sequence[Array]]) -> None:
    """Update parameters of one dtype and device: their gradients, values and state, in place."""
    first = tensors[0]
    program = traced(
        update.formula,
        tuple([array.dtype for array in first]),
        tuple(update.numbers),
        tuple(update.options.items()),
    )
    given = tuple(update.numbers.values())
    scalars = [scalar.value(given) for scalar in program.scalars]
    if module_of(first[0]) is np:
        in_place.run(np, program, tensors, scalars)
        return
    with on_device_of(first[0]):
        multi_tensor.run(module_of(first[0]), program, tensors, scalars)


@functools.cache
def traced(
    formula: Callable[..., Any],
    dtypes: tuple[np.dtype, ...],
    numbers: tuple[str, ...],
    options: tuple[tuple[str, Any], ...],
) -> Program:
    """The program of a formula."""
    scalars = {name: Scalar(operator.itemgetter(i), name) for i, name in enumerate(numbers)}

    def function(*tensors: Any) -> Any:
        return formula(*tensors, **scalars, **dict(options))

    return tracing.traced(function, [(dtype, 1) for dtype in dtypes], formula.__name__)[0]


def descent(
    gradient: Tensor, weight: Tensor, weight_decay: float, decays: bool, maximize: bool
) -> Tensor:
    """What to go down: `gradient + weight_decay * weight`, the gradient negated to maximize."""
    if decays:
        penalty = weight * weight_decay
        return penalty - gradient if maximize else penalty + gradient
    return -gradient if maximize else gradient


def zeros_like(parameter: Tensor) -> Tensor:
    """Zeros in the layout of a parameter, so that both are walked in one line."""
    data = parameter._data
    with on_device_of(data) if module_of(data) is not np else nullcontext():
        return Tensor(module_of(data).zeros_like(data))
