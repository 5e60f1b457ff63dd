"""A pointwise program that overwrites its inputs, on NumPy arrays, in blocks that fit the cache.

An optimizer's step reads and writes a parameter, its gradient and its averages a dozen times. On a
CPU each pass over a large array would come from main memory, and each temporary would be fresh
pages; so all passes are made over one block before the next is begun, and each result lands in
memory that is no longer read.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .expression import Program, ScalarValue, Step, Value

Array = Any

BLOCK = 1 << 16  # elements: five float32 blocks fill a second-level cache


def run(
    xp: Any, program: Program, tensors: Sequence[Sequence[Array]], scalars: Sequence[Any]
) -> None:
    """Compute a program for many tensors, and write its outputs over its last inputs.

    Args:
        xp: NumPy.
        program: its outputs have the dtypes of its last inputs, one each.
        tensors: for each tensor its arrays, of one shape and of the dtypes of the inputs.
        scalars: one number for each scalar.
    """
    plan = _plan(program)
    numbers = [*scalars, *plan.constants]
    size = min(max((arrays[0].size for arrays in tensors), default=0), BLOCK)
    scratch = [np.empty(size, dtype) for dtype in plan.scratch]
    with np.errstate(all="ignore"):
        for arrays in tensors:
            first = arrays[0]
            if first.size <= BLOCK:
                work = [memory[: first.size].reshape(first.shape) for memory in scratch]
                plan.run_block([*arrays, *work, *numbers])
            elif all(array.flags.c_contiguous for array in arrays):
                plan.run([array.reshape(-1) for array in arrays], scratch, numbers)
            else:
                work = [np.empty_like(first, dtype) for dtype in plan.scratch]
                plan.run_block([*arrays, *work, *numbers])


def unscale(xp: Any, arrays: Sequence[Array], scale: Array, found: Array) -> None:
    """Divide arrays by a scale in place; `found` becomes 1 where a value is infinite or NaN.

    Args:
        xp: NumPy.
        arrays: of floats.
        scale: float32 without dimensions.
        found: likewise; it stays as it is where all values are finite.
    """
    factor = np.float32(1.0 / np.float64(scale))
    with np.errstate(all="ignore"):
        for array in arrays:
            if not np.isfinite(array).all():
                found[...] = 1.0
            np.multiply(array, factor, out=array, casting="unsafe")


class _Plan:
    """A program whose values have places: the arrays, scratch memory, and then the numbers.

    code        for each step its function, and what picks the values it reads and the one it writes
    scratch     the dtypes of the scratch memory
    copies      places of results that could not be written where they belong, with where they do
    """

    def __init__(self, program: Program) -> None:
        self.count = len(program.inputs)
        self.constants: list[Any] = []
        layout = _Layout(program)
        self.scratch = layout.scratch
        start = self.count + len(self.scratch)  # of the numbers
        first_constant = start + len(program.scalars)

        def place(operand: Any) -> int:
            if type(operand) is Value:
                return layout.places[operand.number]
            if type(operand) is ScalarValue:
                return start + operand.number
            self.constants.append(operand)
            return first_constant + len(self.constants) - 1

        self.code: list[tuple[Callable[..., Any], Callable[[list[Any]], Any]]] = []
        for number, step in enumerate(program.steps, self.count):
            varying = [v for v in step.params.values() if type(v) is ScalarValue]
            reads = map(place, (*step.operands, *varying))
            picked = operator.itemgetter(*reads, layout.places[number])
            self.code.append((_function(step), picked))
        self.copies = [
            (layout.places[number], target)
            for number, target in layout.targets
            if layout.places[number] != target
        ]

    def run(self, arrays: list[Array], scratch: list[Array], numbers: list[Any]) -> None:
        """Compute flat arrays, block by block."""
        for start in range(0, arrays[0].size, BLOCK):
            parts = [array[start : start + BLOCK] for array in arrays]
            count = parts[0].size
            self.run_block([*parts, *[memory[:count] for memory in scratch], *numbers])

    def run_block(self, values: list[Any]) -> None:
        """Compute what is in all places."""
        for function, picked in self.code:
            function(*picked(values))
        results = [values[source].copy() for source, _ in self.copies]
        for result, (_, target) in zip(results, self.copies, strict=True):
            values[target][...] = result


class _Layout:
    """Where the values of a program lie: in an array that is to be overwritten and is not read
    again, or in scratch memory, which is used again.

    places      of each value
    targets     for each output its number and the place where it belongs
    scratch     the dtype of each place behind the arrays
    """

    def __init__(self, program: Program) -> None:
        self.count = count = len(program.inputs)
        first = count - len(program.outputs)
        self.targets = [(number, first + i) for i, number in enumerate(program.outputs)]
        self.last: dict[int, int] = {}  # the last step that reads a value
        for number, step in enumerate(program.steps, count):
            self.last.update(dict.fromkeys(step.reads, number))
        self.places = list(range(count))
        self.scratch: list[np.dtype] = []
        self._taken: set[int] = set()
        self._free: list[int] = []
        for number, step in enumerate(program.steps, count):
            target = self._target(number, step, program)
            self._free += [
                self.places[n]
                for n in set(step.reads)
                if self.last[n] == number and self.places[n] >= count and n not in program.outputs
            ]
            self.places.append(self._scratch(step.dtype) if target is None else target)

    def _target(self, number: int, step: Step, program: Program) -> int | None:
        """The array that the result of a step may overwrite: its own if it is an output, or that of
        the output whose computation is the last to read it."""
        outputs, end = program.outputs, self.last.get(number)
        for output, target in self.targets:
            if self.last.get(target, 0) > number or target in outputs:
                continue
            if output == number:
                return target
            free = target not in self._taken and step.dtype == program.inputs[target]
            if output == end and free and number not in outputs:
                self._taken.add(target)
                return target
        return None

    def _scratch(self, dtype: np.dtype) -> int:
        for place in self._free:
            if self.scratch[place - self.count] == dtype:
                self._free.remove(place)
                return place
        self.scratch.append(dtype)
        return self.count + len(self.scratch) - 1


def _function(step: Step) -> Callable[..., Any]:
    """What computes a step: of its operands, its varying params and the array to write."""
    function: Callable[..., Any]
    if step.gate.ufunc and step.dtype.kind != "i":
        function = getattr(np, step.gate.ufunc)
        if function in (np.maximum, np.minimum):  # they want the name
            return lambda x, y, out: function(x, y, out=out)
        return function
    forward, given = step.gate.forward, len(step.operands)
    varying = [name for name, value in step.params.items() if type(value) is ScalarValue]

    def write(*values: Any) -> None:
        params = {**step.params, **dict(zip(varying, values[given:-1], strict=True))}
        values[-1][...] = forward(np, *values[:given], **params)

    return write


@functools.cache
def _plan(program: Program) -> _Plan:
    return _Plan(program)
