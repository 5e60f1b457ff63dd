"""How gates run on the symbols of a trace, on a GPU, and on large arrays of a CPU.

On a GPU a pointwise gate is one generated kernel forward and one backward: its own `cuda`
expression, and its `backward` run once on symbols. What is not pointwise computes by its `forward`
with the functions of the array library and the kernels of `tapegrad.kernels`.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.kernels import blocks
from tapegrad.kernels.cuda import pointwise
from tapegrad.kernels.expression import FusionError, Program, Scalar

from . import guards
from .arrays import DEVICE_TYPES, INTEGERS, MODULES
from .engine import Gate, cast, elsewhere
from .gates.arithmetic import pow_
from .modes import no_grad
from .records import Node
from .tracing import Symbol, Trace, detached, run, symbolic
from .whole_numbers import DIVISIONS, settled

_LITERALS = (0.0, 1.0, -1.0, 2.0, float("inf"), float("-inf"))  # params that a text may spell out
_EXPONENTS = frozenset(n / 2 for n in range(-16, 17))  # those for which powers have short forms


def _run(gate: Gate, xp: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """The output of a gate."""
    if xp is symbolic:
        return run(gate, inputs, params)
    if gate.pointwise:
        if not params and xp is not np:
            out = _launched_before(gate, xp, inputs)
            if out is not None:
                return out
        key = _key(gate, inputs, params)
        try:
            call = _forward[key]
        except KeyError:
            call = _forward[key] = _make_forward(gate, inputs, params)
        if call is not None:
            if xp is not np:
                inputs, out = settled(gate, xp, inputs)
                if out is not None:
                    return out
            out = call.run(xp, inputs, params)[0]
            if not params and xp is not np:
                _remember(gate, call, inputs)
            return out
    return gate.run_arrays(xp, *inputs, **params)


# Launches by gate and layouts of its inputs: one look-up, where the way by a program takes several.
_launches: dict[Any, Any] = {}
_MOST_LAUNCHES = 1 << 14
_DEPENDING = {pow_, *DIVISIONS}  # whose kernel, or refusal, is a matter of values


def _layouts(gate: Gate, inputs: Sequence[Any]) -> tuple[Any, ...] | None:
    """What a launch of a gate without params depends on, but for the addresses; None if on more."""
    if gate in _DEPENDING:
        return None
    key: list[Any] = [gate]
    dtype, large = None, False
    for value in inputs:
        kind = type(value)
        if kind in DEVICE_TYPES:
            dtype = value.dtype
            key.append((dtype, value.shape, value.strides))
        elif kind is float or kind is int:
            large = large or (kind is int and not 0 <= value < 128)  # not of every dtype
            key.append(kind)
        else:
            return None
    return None if large and dtype in INTEGERS else tuple(key)


def _launched_before(gate: Gate, xp: Any, inputs: Sequence[Any]) -> Any:
    """The output, by a launch for inputs of the same layouts; None where there is none."""
    plan = _launches.get(_layouts(gate, inputs))
    if plan is None:
        return None
    pointers, numbers, low = [], [], 0
    for value in inputs:
        if type(value) in DEVICE_TYPES:
            pointer = value.data.ptr
            pointers.append(pointer)
            low |= pointer
        else:
            numbers.append(value)
    return None if low % pointwise.ACCESS_BYTES else plan.run(xp, pointers, numbers)[0]


def _remember(gate: Gate, call: _Call, inputs: Sequence[Any]) -> None:
    """Keep the launch that was just made, if its arrays were aligned, for `_launched_before`."""
    key = _layouts(gate, inputs)
    plan = key and pointwise.aligned_plan(call.program, [inputs[i] for i in call.arrays])
    if plan is not None:
        if len(_launches) >= _MOST_LAUNCHES:
            _launches.clear()
        _launches[key] = plan


def _backward(node: Node, grad: Any, saved: Sequence[Any]) -> Any:
    """The gradients of a gate's inputs, which are not recorded."""
    gate, params = node.gate, node.params
    if gate.pointwise:
        values = (grad, *saved)
        wants = tuple([before and before.dtype for before in node.inputs])
        key = (_key(gate, values, params), wants)
        try:
            call = _gradients[key]
        except KeyError:
            call = _gradients[key] = _make_backward(gate, values, params, wants)
        if call is not None:
            found = call.run(MODULES[type(grad)], values, params) if call.program.outputs else ()
            return tuple([place and place(found, values) for place in call.places])
    return gate.backward(node, grad, *saved, **params)


class _Call:
    """A program, and where its arrays and numbers are among the inputs and params of a gate.

    places      of a backward: for each input of the gate what takes its gradient from the outputs
                and the values, None where it has none
    """

    def __init__(self, program: Program, arrays: list[int], numbers: list[int | str]) -> None:
        self.program = program
        self.arrays = arrays
        self.numbers = numbers
        self.places: list[Callable[[Any, Any], Any] | None] = []

    def run(self, xp: Any, inputs: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """The outputs of the program."""
        scalars: Sequence[Any] = ()
        if self.numbers:
            given = [inputs[n] if isinstance(n, int) else params[n] for n in self.numbers]
            scalars = [scalar.value(given) for scalar in self.program.scalars]
        runner = blocks if xp is np else pointwise
        return runner.run(xp, self.program, [inputs[i] for i in self.arrays], scalars)


_forward: dict[Any, _Call | None] = {}  # None: by the gate's own forward or backward
_gradients: dict[Any, _Call | None] = {}


def _key(gate: Gate, inputs: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    """What a call's program depends on: dtypes, and the values that its text spells out."""
    key: list[Any] = [gate]
    for value in inputs:
        kind = type(value)
        if kind in DEVICE_TYPES or kind is np.ndarray:
            key.append(value.dtype)
        elif (kind is float or kind is int) and not _spelled(gate, value):
            key.append(kind)
        else:
            key.append((kind, value))
    for name, value in params.items():
        if _varies(gate, name, value):
            key.append(name)
        else:
            key.append((name, type(value), value))
    return tuple(key)


def _varies(gate: Gate, name: str, value: Any) -> bool:
    """Whether a param is an argument of the kernel."""
    return (type(value) is float and value not in _LITERALS) or name in gate.wholes


def _spelled(gate: Gate, value: float) -> bool:
    """Whether a number that is an input is part of the text, for which there is a short form."""
    return gate is pow_ and value in _EXPONENTS


def _make_forward(gate: Gate, inputs: Sequence[Any], params: dict[str, Any]) -> _Call | None:
    trace = Trace()
    try:
        bound, settings, call = _bind(trace, gate, inputs, params)
        call.program = trace.program([trace.apply(gate, bound, settings)], gate.name)
        pointwise.element_function(call.program)
    except FusionError:
        return None
    return call


def _make_backward(
    gate: Gate, values: Sequence[Any], params: dict[str, Any], wants: tuple[Any, ...]
) -> _Call | None:
    """The gate's own backward on symbols; gradients that pass as they are need no kernel."""
    trace = Trace()
    try:
        (grad, *saved), settings, call = _bind(trace, gate, values, params)
        inputs = tuple(dtype and types.SimpleNamespace(dtype=dtype) for dtype in wants)
        node: Any = types.SimpleNamespace(inputs=inputs, shape=grad.shape, dtype=grad.dtype)
        with no_grad():
            gradients = gate.backward(node, grad, *saved, **settings)
        gradients = gradients if type(gradients) is tuple else (gradients,)
        outputs: list[Symbol] = []
        for gradient, dtype in zip(gradients, wants, strict=True):
            if gradient is None or dtype is None:
                call.places.append(None)
                continue
            if gradient.dtype != dtype:
                gradient = cast(gradient, dtype=dtype)
            if gradient.number < len(trace.inputs):
                call.places.append(_value(call.arrays[gradient.number]))
            else:
                call.places.append(_output(len(outputs)))
                outputs.append(gradient)
        arriving = int(type(values[0]) in DEVICE_TYPES or type(values[0]) is np.ndarray)
        call.program = trace.program(outputs, f"{gate.name}_backward", arriving)
        pointwise.element_function(call.program)
    except FusionError:
        return None
    return call


def _value(position: int) -> Callable[[Any, Any], Any]:
    return lambda found, values: values[position]


def _output(position: int) -> Callable[[Any, Any], Any]:
    return lambda found, values: found[position]


def _bind(
    trace: Trace, gate: Gate, inputs: Sequence[Any], params: dict[str, Any]
) -> tuple[list[Any], dict[str, Any], _Call]:
    """Symbols and scalars in the place of arrays and numbers; the call knows where these are."""
    call = _Call(trace.program((), ""), [], [])

    def scalar(where: int | str, value: Any) -> Scalar:
        position = len(call.numbers)
        call.numbers.append(where)
        return Scalar(operator.itemgetter(position), str(where), True, type(value) is int)

    bound: list[Any] = []
    for i, value in enumerate(inputs):
        if type(value) in DEVICE_TYPES or type(value) is np.ndarray:
            call.arrays.append(i)
            bound.append(trace.input(value.dtype, 1))
        elif type(value) in (float, int) and not _spelled(gate, value):
            bound.append(scalar(i, value))
        elif value is None or type(value) in (float, int, bool):
            bound.append(value)
        else:
            raise FusionError(f"{gate.name}: {type(value).__name__} is no input of a kernel")
    settings = {
        name: scalar(name, value) if _varies(gate, name, value) else value
        for name, value in params.items()
    }
    return bound, settings, call


def install() -> None:
    """Let the engine run gates here."""
    elsewhere.run = guards.forward(_run)
    elsewhere.backward = guards.backward(_backward)
    elsewhere.detached = detached
