"""Many tensors at once: pointwise formulas that overwrite them, and their norm as one vector.

A formula is a function of tensors and numbers, traced once for each dtype and each set of options.
On a CPU it is computed block by block (`tapegrad.kernels.in_place`), on a GPU by one launch for all
tensors of a dtype (`tapegrad.kernels.cuda.multi_tensor`). Nothing here is recorded.
"""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from tapegrad.kernels import in_place
from tapegrad.kernels.cuda import multi_tensor
from tapegrad.kernels.cuda.launching import on_device_of
from tapegrad.kernels.expression import Program, Scalar

from . import tracing
from .arrays import Array, device_of, module_of, result_type
from .engine import wrap
from .records import Variable


def overwrite(
    formula: Callable[..., Any],
    tensors: Sequence[Sequence[Variable]],
    numbers: Mapping[str, float],
    options: Mapping[str, Any],
    shared: Sequence[Variable] = (),
) -> None:
    """Replace the last tensors of each tuple by what a formula makes of the tuple.

    Args:
        formula: of those in `shared`, of the tensors of a tuple, and of the numbers and
            options by name. It returns as many tensors as it overwrites, of their dtypes.
        tensors: tuples of tensors of one shape, dtype and device each.
        numbers: may have other values at each call.
        options: what the formula branches on; each set of them is traced.
        shared: tensors without dimensions on the same GPU; a CPU has no use for them.
    """
    groups: defaultdict[Any, list[list[Array]]] = defaultdict(list)
    for members in tensors:
        arrays = [member._data for member in members]
        first = arrays[0]
        if module_of(first) is np:
            groups[first.dtype].append(arrays if first.ndim else _with_memory(members))
        else:
            groups[first.dtype, device_of(first)].append(arrays)
    others = tuple([tensor._data for tensor in shared])
    names, chosen = tuple(numbers), tuple(options.items())
    given = tuple(numbers.values())
    for group in groups.values():
        first = group[0][0]
        dtypes = tuple([array.dtype for array in (*others, *group[0])])
        program = traced(formula, dtypes, len(others), names, chosen)
        scalars = [scalar.value(given) for scalar in program.scalars]
        xp = module_of(first)
        if xp is np:
            in_place.run(xp, program, group, scalars)
            continue
        with on_device_of(first):
            multi_tensor.run(xp, program, group, scalars, others)


def _with_memory(members: Sequence[Variable]) -> list[Array]:
    """The arrays of tensors without dimensions, of which some are NumPy's scalars."""
    for member in members:
        if isinstance(member._data, np.generic):
            member._data = np.array(member._data)
    return [member._data for member in members]


@functools.cache
def traced(
    formula: Callable[..., Any],
    dtypes: tuple[np.dtype, ...],
    shared: int,
    numbers: tuple[str, ...],
    options: tuple[tuple[str, Any], ...],
) -> Program:
    """The program of a formula, of which the first inputs are shared."""
    scalars = {name: Scalar(operator.itemgetter(i), name) for i, name in enumerate(numbers)}

    def function(*tensors: Any) -> Any:
        return formula(*tensors, **scalars, **dict(options))

    inputs = [(dtype, int(i >= shared)) for i, dtype in enumerate(dtypes)]
    return tracing.traced(function, inputs, formula.__name__)[0]


def unscale(tensors: Sequence[Variable], scale: Variable, found: Variable) -> None:
    """Divide tensors on one device by a scale, in place: on a GPU a launch for each dtype.

    Args:
        tensors: of floats.
        scale: float32 without dimensions, on their device.
        found: likewise; becomes 1 where a value is infinite or NaN, and else stays as it is.
    """
    groups: defaultdict[np.dtype, list[Array]] = defaultdict(list)
    for tensor in tensors:
        groups[tensor._data.dtype].append(_with_memory((tensor,))[0])
    xp = module_of(scale._data)
    kernels: Any = in_place if xp is np else multi_tensor
    with nullcontext() if xp is np else on_device_of(scale._data):
        for arrays in groups.values():
            kernels.unscale(xp, arrays, scale._data, found._data)


def norm(tensors: Sequence[Variable], p: float) -> Any:
    """The p-norm of all elements of tensors on one GPU: a launch for each dtype, and one more."""
    groups: defaultdict[np.dtype, list[Array]] = defaultdict(list)
    for tensor in tensors:
        groups[tensor._data.dtype].append(tensor._data)
    first = tensors[0]._data
    with on_device_of(first):
        found = multi_tensor.norm(
            module_of(first),
            list(groups.values()),
            p,
            result_type(*(arrays[0] for arrays in groups.values())),
        )
    return wrap(found)
