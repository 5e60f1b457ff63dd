"""A pointwise program on NumPy arrays, as one pass over the data in blocks that stay in the cache.

Computed gate by gate, each step would stream whole arrays through main memory and fault in fresh
pages for its result. Here all steps are done on one block before the next is begun, so that only
inputs are read and outputs written; threads share the blocks, since NumPy releases the interpreter
lock while it computes.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from .expression import Program, ScalarValue, Step, Value
from .threads import share

Array = Any
Key = tuple[slice, ...]

BLOCK_BYTES = 1 << 19  # of one value in a block; smaller ones leave threads waiting for another
_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def run(xp: Any, program: Program, arrays: Sequence[Array], scalars: Sequence[Any]) -> list[Array]:
    """The outputs of a program, each of the shape that the inputs it depends on broadcast to.

    Args:
        xp: NumPy.
        arrays: one for each input, of its dtype.
        scalars: one number for each scalar.

    Raises:
        ValueError: if the shapes do not broadcast.
    """
    plan = _plan(program)
    steps = plan.bound(scalars)
    values = [*arrays, *plan.constants, *plan.numbers(scalars)]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    # What counts its elements is computed whole: a block would begin to count anew.
    block = math.prod(shape) if program.counted else BLOCK_BYTES // plan.itemsize
    if math.prod(shape) <= block:
        with np.errstate(all="ignore"):
            results = plan.evaluate(steps, values, {})
        found = zip(results, program.outputs, strict=True)
        return [_owned(r, program.dtype(n), n < len(arrays)) for r, n in found]
    shapes = [np.broadcast_shapes(*(arrays[i].shape for i in s)) for s in program.sources]
    outputs = [np.empty(s, program.dtype(n)) for s, n in zip(shapes, program.outputs, strict=True)]
    if all(a.ndim == 0 or (a.shape == shape and a.flags.c_contiguous) for a in arrays) and all(
        s in (shape, ()) for s in shapes
    ):
        shape = (math.prod(shape),)
        values = [v.reshape(-1) if isinstance(v, np.ndarray) and v.ndim else v for v in values]
        parts = [o.reshape(-1) if o.ndim else o for o in outputs]
    else:
        parts = outputs
    work = functools.partial(_work, plan, steps, values, parts, len(shape))
    share(work, list(_keys(shape, block)))
    return outputs


def _owned(result: Any, dtype: np.dtype, copied: bool) -> Any:
    """A result as an array of its own: an input that comes out as it went in is copied."""
    if copied:
        return np.array(result, dtype)
    return result if result.dtype == dtype else result.astype(dtype)


def _work(
    plan: _Plan,
    steps: list[Any],
    values: list[Any],
    outputs: list[Array],
    ndim: int,
    keys: Sequence[Key],
) -> None:
    """Evaluate some of the blocks."""
    with np.errstate(all="ignore"):
        for key in keys:
            parts = [_part(out, key, ndim) for out in outputs]
            targets = dict(zip(plan.outputs, parts, strict=True))
            results = plan.evaluate(steps, [_part(v, key, ndim) for v in values], targets)
            for part, result in zip(parts, results, strict=True):
                if result is not part:
                    part[...] = result


def _keys(shape: tuple[int, ...], block: int) -> Iterator[Key]:
    """Slices of every dimension that cut a shape into blocks, whole in its last dimensions."""
    axis, inner = len(shape), 1
    while axis and inner * shape[axis - 1] <= block:
        axis -= 1
        inner *= shape[axis]
    if axis == 0:
        yield (slice(None),) * len(shape)
        return
    step = max(block // inner, 1)
    rest = (slice(None),) * (len(shape) - axis)
    stretches = [slice(i, i + step) for i in range(0, shape[axis - 1], step)]
    for outer in itertools.product(*(range(n) for n in shape[: axis - 1])):
        lead = tuple(slice(i, i + 1) for i in outer)
        for stretch in stretches:
            yield (*lead, stretch, *rest)


def _part(value: Any, key: Key, ndim: int) -> Any:
    """The block of a value that broadcasts to `ndim` dimensions; numbers are the same in all."""
    if not isinstance(value, np.ndarray) or not value.ndim:
        return value
    lead = ndim - value.ndim
    return value[
        tuple(slice(None) if n == 1 else k for n, k in zip(value.shape, key[lead:], strict=True))
    ]


class _Plan:
    """A program with every operand a place in one list: inputs, constants, scalars, results."""

    def __init__(self, program: Program) -> None:
        inputs = len(program.inputs)
        self.constants: list[Any] = []
        self.scalars: list[tuple[int, np.dtype | None]] = []
        keys: dict[Any, None] = {}
        for step in program.steps:
            keys.update(
                (_key(o, step, program), None) for o in step.operands if type(o) is not Value
            )
        order = sorted(keys, key=lambda key: key[0] is ScalarValue)
        for kind, what, dtype in order:
            if kind is ScalarValue:
                self.scalars.append((what, dtype))
            else:
                self.constants.append(what if dtype is None else np.asarray(what, dtype))
        places = {key: inputs + i for i, key in enumerate(order)}

        def place(operand: Any, step: Step) -> int:
            if type(operand) is not Value:
                return places[_key(operand, step, program)]
            number: int = operand.number
            return number if number < inputs else number + len(order)

        self.steps: list[Any] = [
            (_function(s), tuple(place(o, s) for o in s.operands), s.params) for s in program.steps
        ]
        self.variable = any(
            type(v) is ScalarValue for s in program.steps for v in s.params.values()
        )
        self.outputs = tuple(n if n < inputs else n + len(order) for n in program.outputs)
        dtypes = [program.dtype(n) for n in range(inputs + len(program.steps))]
        self.itemsize = max(dtype.itemsize for dtype in dtypes)
        last = {n: i for i, (_, operands, _) in enumerate(self.steps) for n in operands}
        # For each step, the values that no later one reads, and of these the result of an earlier
        # step in whose memory its own fits.
        self.memory: list[tuple[list[int], int | None]] = []
        for i, step in enumerate(program.steps):
            dying = [n for n, at in last.items() if at == i and n not in self.outputs]
            fitting = (
                n
                for n in dying
                if n >= inputs + len(order)
                and program.dtype(n - len(order)) == step.dtype
                and program.depends[n - len(order)] == program.depends[inputs + i]
            )
            self.memory.append((dying, next(fitting, None)))

    def numbers(self, scalars: Sequence[Any]) -> list[Any]:
        """The scalars that are operands, as their steps take them."""
        return [scalars[i] if d is None else np.asarray(scalars[i], d) for i, d in self.scalars]

    def bound(self, scalars: Sequence[Any]) -> list[Any]:
        """The steps with the scalars among their params filled in."""
        if not self.variable:
            return self.steps
        return [
            (f, o, {k: scalars[v.number] if type(v) is ScalarValue else v for k, v in p.items()})
            for f, o, p in self.steps
        ]

    def evaluate(self, steps: list[Any], values: list[Any], targets: dict[int, Array]) -> list[Any]:
        """All steps on one block, into `targets` where a step can write there.

        What no later step reads is overwritten or freed, so that few blocks are in use at a time.
        """
        ufunc, array = np.ufunc, np.ndarray
        for (function, operands, params), (dying, reused) in zip(steps, self.memory, strict=True):
            given = [values[o] for o in operands]
            if type(function) is ufunc:
                if (out := targets.get(len(values))) is not None:
                    given.append(out)
                elif reused is not None and type(values[reused]) is array:
                    given.append(values[reused])
                values.append(function(*given))
            else:
                values.append(function(np, *given, **params))
            for number in dying:
                values[number] = None
        return [values[n] for n in self.outputs]


def _function(step: Step) -> Any:
    """NumPy's function where the gate is no more than that, which writes where it is told; else the
    gate's forward."""
    name = step.gate.ufunc if step.dtype.kind == "f" else ""
    return getattr(np, name) if name else step.gate.forward


def _key(operand: Any, step: Step, program: Program) -> tuple[Any, Any, np.dtype | None]:
    """What makes two operands the same; beside bfloat16 a number is one too, else it widens."""
    narrow = any(program.dtype(n) == _BFLOAT16 for n in step.reads)
    dtype = _BFLOAT16 if narrow and operand is not None else None
    if type(operand) is ScalarValue:
        return ScalarValue, operand.number, dtype
    return type(operand), operand, dtype


def _plan(program: Program) -> _Plan:
    plan = program.plans.get("numpy")
    if plan is None:
        plan = program.plans["numpy"] = _Plan(program)
    return plan
