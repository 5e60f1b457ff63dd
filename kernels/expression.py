"""Pointwise expressions as data: what is computed from which inputs, in what order.

A `Program` is a list of steps, each a pointwise function of values before it; tracing a function of
gates makes one (`autograd.tracing`). It runs as one blocked pass on a CPU (`blocks`) and as one
kernel on a GPU (`cuda.pointwise`), from the same steps.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

Dtype = np.dtype


class FusionError(RuntimeError):
    """Something that cannot be part of a fused expression."""


class Scalar:
    """A Python number that is known only when a program runs: an argument of its kernel.

    Arithmetic on it is done on the host, once a run, in double precision. To branch on its value is
    refused, since the trace would hold for one value only. Not so within the library, which
    compares numbers with 0, 1 or infinity to take a short way: there it takes the long way, which
    is right for every value. One that is `general` does so everywhere. One that is `whole` is of
    whole numbers, as an int is, and makes no float of them.

    >>> rate = Scalar(lambda values: values[0])
    >>> (1 - rate ** 2).value((0.5,))
    0.75
    """

    __slots__ = ("general", "name", "value", "whole")

    def __init__(
        self,
        value: Callable[[Sequence[Any]], Any],
        name: str = "",
        general: bool = False,
        whole: bool = False,
    ) -> None:
        self.value = value
        self.name = name
        self.general = general
        self.whole = whole

    @property
    def kind(self) -> int | float:
        """A number of its kind."""
        return 1 if self.whole else 1.5

    def _combined(self, other: Any, function: Callable[..., Any], swapped: bool = False) -> Any:
        mine, whole = self.value, self.whole
        if type(other) is Scalar:
            theirs = other.value
            whole = whole and other.whole
        elif isinstance(other, (int, float)):
            whole = whole and isinstance(other, int)

            def theirs(values: Sequence[Any], number: Any = other) -> Any:
                return number
        else:
            return NotImplemented
        if swapped:
            mine, theirs = theirs, mine
        name = f"{function.__name__} of {self.name or 'a number'}"
        whole = whole and function not in (operator.truediv, operator.pow)
        return Scalar(lambda v: function(mine(v), theirs(v)), name, self.general, whole)

    def __add__(self, other: Any) -> Any:
        return self._combined(other, operator.add)

    def __radd__(self, other: Any) -> Any:
        return self._combined(other, operator.add, True)

    def __sub__(self, other: Any) -> Any:
        return self._combined(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._combined(other, operator.sub, True)

    def __mul__(self, other: Any) -> Any:
        return self._combined(other, operator.mul)

    def __rmul__(self, other: Any) -> Any:
        return self._combined(other, operator.mul, True)

    def __truediv__(self, other: Any) -> Any:
        return self._combined(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Any:
        return self._combined(other, operator.truediv, True)

    def __pow__(self, other: Any) -> Any:
        return self._combined(other, operator.pow)

    def __rpow__(self, other: Any) -> Any:
        return self._combined(other, operator.pow, True)

    def __neg__(self) -> Any:
        return self * -1

    def _refuse(self, what: str) -> FusionError:
        return FusionError(
            f"fused: cannot {what} the number {self.name!r}, which may change from call to call; "
            "name it in @fused(static=...), so that each of its values is compiled on its own"
        )

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, (int, float)) and (self.general or _asked_by_the_library()):
            return False
        raise self._refuse("compare")

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__

    def _ordered(self, other: Any, below: bool) -> bool:
        if self.general and other in (float("inf"), float("-inf")):
            return (other > 0) is below
        raise self._refuse("compare")

    def __lt__(self, other: Any) -> bool:
        return self._ordered(other, True)

    def __le__(self, other: Any) -> bool:
        return self._ordered(other, True)

    def __gt__(self, other: Any) -> bool:
        return self._ordered(other, False)

    def __ge__(self, other: Any) -> bool:
        return self._ordered(other, False)

    def __bool__(self) -> bool:
        if self.general:
            return True
        raise self._refuse("branch on")

    def __float__(self) -> float:
        raise self._refuse("take a Python float of")

    def __int__(self) -> int:
        raise self._refuse("take a Python int of")

    def __index__(self) -> int:
        raise self._refuse("index with")

    def __repr__(self) -> str:
        return f"<number {self.name}>"


def _asked_by_the_library() -> bool:
    """Whether what compares a scalar is code of this package, not of its user."""
    frame = sys._getframe(1)
    while frame.f_globals["__name__"] == __name__ and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals["__name__"].startswith("tapegrad.")


@dataclass(frozen=True, slots=True)
class Value:
    """An operand that is an input or the result of a step: its number in the program."""

    number: int


@dataclass(frozen=True, slots=True)
class ScalarValue:
    """An operand or a param that is the program's scalar of a number."""

    number: int


Operand = Any  # a Value, a ScalarValue, a Python number, or None


@dataclass(frozen=True)
class Step:
    """One pointwise function of values before it.

    gate        what computes it: `forward(np, *operands, **params)` on a CPU, `cuda_for` on a GPU
    operands    its inputs in order
    params      its parameters, of which numbers may be a `ScalarValue`
    dtype       of the result
    """

    gate: Any
    operands: tuple[Operand, ...]
    params: dict[str, Any]
    dtype: Dtype

    @property
    def reads(self) -> tuple[int, ...]:
        """The numbers of the values it reads."""
        return tuple(o.number for o in self.operands if type(o) is Value)


@dataclass(frozen=True, eq=False)
class Program:
    """Steps from inputs to outputs.

    inputs      the dtypes of the arrays that go in; they are the values 0, 1, ...
    scalars     numbers that go in, computed from what the caller has
    steps       in order; their results are the values after the inputs
    outputs     the numbers of the values that come out
    name        in the names of kernels and in errors
    arriving    how many of the inputs, the first ones, are gradients of what the others made
    """

    inputs: tuple[Dtype, ...]
    scalars: tuple[Scalar, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    name: str = "pointwise"
    arriving: int = 0
    plans: dict[Any, Any] = field(default_factory=dict, repr=False)  # of the library that runs it

    def dtype(self, number: int) -> Dtype:
        """The dtype of a value."""
        count = len(self.inputs)
        return self.inputs[number] if number < count else self.steps[number - count].dtype

    @cached_property
    def depends(self) -> tuple[frozenset[int], ...]:
        """For each value, the numbers of the inputs it depends on: they make its shape."""
        found: list[frozenset[int]] = [frozenset((i,)) for i in range(len(self.inputs))]
        for step in self.steps:
            found.append(frozenset().union(*(found[n] for n in step.reads)))
        return tuple(found)

    @property
    def sources(self) -> tuple[frozenset[int], ...]:
        """The same for each output."""
        return tuple(self.depends[n] for n in self.outputs)

    @cached_property
    def counted(self) -> tuple[int, ...]:
        """The numbers of the values that hang on the place of their element, as random ones do."""
        first = len(self.inputs)
        return tuple(n for n, step in enumerate(self.steps, first) if step.gate.counts)

    def only(self, positions: Sequence[int]) -> Program:
        """The program of some of the outputs, which keeps all inputs and scalars."""
        outputs = tuple(self.outputs[p] for p in positions)
        return pruned(
            Program(self.inputs, self.scalars, self.steps, outputs, self.name, self.arriving)
        )

    def __str__(self) -> str:
        """The steps, one a line.

        >>> print(Program((np.dtype("float32"),), (), (), (0,)))
        pointwise(v0: float32) -> v0
        """
        names = [f"v{i}" for i in range(len(self.inputs) + len(self.steps))]
        given = [f"{n}: {d}" for n, d in zip(names, self.inputs, strict=False)]
        given += [f"s{i}: {s.name or 'number'}" for i, s in enumerate(self.scalars)]
        results = ", ".join(names[n] for n in self.outputs)
        lines = [f"{self.name}({', '.join(given)}) -> {results}"]
        for name, step in zip(names[len(self.inputs) :], self.steps, strict=True):
            shown = [_shown(o) for o in step.operands]
            shown += [f"{key}={_shown(value)}" for key, value in step.params.items()]
            lines.append(f"    {name} = {step.gate.name}({', '.join(shown)})  # {step.dtype}")
        return "\n".join(lines)


def compact(program: Program) -> tuple[Program, tuple[int, ...]]:
    """The program without the inputs that nothing reads, and the numbers of those that stay."""
    count = len(program.inputs)
    read = {n for step in program.steps for n in step.reads} | set(program.outputs)
    kept = tuple(i for i in range(count) if i in read)
    if len(kept) == count:
        return program, kept
    places = {n: i for i, n in enumerate((*kept, *range(count, count + len(program.steps))))}
    steps = tuple(
        Step(
            step.gate,
            tuple(Value(places[o.number]) if type(o) is Value else o for o in step.operands),
            step.params,
            step.dtype,
        )
        for step in program.steps
    )
    inputs = tuple(program.inputs[i] for i in kept)
    outputs = tuple(places[n] for n in program.outputs)
    return Program(inputs, program.scalars, steps, outputs, program.name), kept


def _shown(operand: Operand) -> str:
    if type(operand) is Value:
        return f"v{operand.number}"
    return f"s{operand.number}" if type(operand) is ScalarValue else str(operand)


def pruned(program: Program) -> Program:
    """The program without the steps that no output needs."""
    count = len(program.inputs)
    needed = set(program.outputs)
    for number in range(count + len(program.steps) - 1, count - 1, -1):
        if number in needed:
            needed.update(program.steps[number - count].reads)
    places = {i: i for i in range(count)}
    steps: list[Step] = []
    for number, step in enumerate(program.steps, count):
        if number not in needed:
            continue
        places[number] = count + len(steps)
        operands = tuple(Value(places[o.number]) if type(o) is Value else o for o in step.operands)
        steps.append(Step(step.gate, operands, step.params, step.dtype))
    outputs = tuple(places[n] for n in program.outputs)
    return Program(
        program.inputs, program.scalars, tuple(steps), outputs, program.name, program.arriving
    )
