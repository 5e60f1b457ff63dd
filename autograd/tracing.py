"""Tracing: a function of gates, run once on symbols, becomes a pointwise `Program`.

A `Symbol` stands where an array would: variables hold it, gates meet it, the walk backwards carries
it. Whatever a gate does with symbols is noted as one step of the trace. So the backward of a traced
function comes from the engine itself: its own walk, run on symbols, leaves the steps of the
gradients (`derivative`).

A symbol knows its dtype and how many dimensions it has, and no sizes: a pointwise function is the
same for all of them.
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

import numpy as np

from tapegrad.kernels.expression import Program, Scalar, ScalarValue, Step, Value, pruned

from .arrays import FLOATS, INTEGERS, MODULES, as_dtype, bfloat16, float64, int64
from .backward import gradients_of
from .engine import Gate, Leaf, UnaryGate, array_of, cast, wrap
from .errors import FusionError
from .gates.arithmetic import Wrapping, neg, pow_, refuse_negative_power
from .records import Mode, Variable, get_mode, mode
from .rewriting import rewritten


class SizeNotKnownWhileTraced:
    """The size of a symbol's dimension: like itself, and no number."""

    def _refuse(self, *_: Any) -> Any:
        raise FusionError(
            "fused: sizes are not known while the function is traced; pass what depends on them as "
            "a number"
        )

    __index__ = __int__ = __float__ = __bool__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __pow__ = __mod__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __repr__(self) -> str:
        return "?"


ANY_SIZE = SizeNotKnownWhileTraced()


class _Flags:
    """How a symbol lies in memory: as one wishes; and nothing may be written there."""

    c_contiguous = True

    @property
    def writeable(self) -> bool:
        raise FusionError("fused: the function writes into a tensor; compute a new one instead")


class Symbol:
    """What stands for an array while a function is traced: one value of the trace.

    Operators and comparisons are those of arrays, and go to the gates; everything that would need
    the values is refused.
    """

    __slots__ = ("dtype", "number", "shape", "trace")
    strides = ()  # a symbol lies nowhere
    flags = _Flags()
    __array_ufunc__ = None

    def __init__(self, trace: Trace, number: int, dtype: np.dtype, shape: tuple[Any, ...]) -> None:
        self.trace = trace
        self.number = number
        self.dtype = dtype
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Any:
        return ANY_SIZE if self.shape else 1

    @property
    def device(self) -> types.SimpleNamespace:
        """Where the arrays are that it stands for."""
        return self.trace.device

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        return self if self.dtype == dtype else cast(self, dtype=as_dtype(dtype))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("get", "item"):
            self._no_number()
        raise FusionError(
            f"fused: the function needs '{name}' of a tensor, not known while it is traced; only "
            "pointwise operations can be fused"
        )

    def _no_number(self) -> NoReturn:
        raise FusionError(
            "fused: a tensor's value is not known while the function is traced; choose with "
            "tapegrad.where"
        )

    __bool__ = __int__ = __float__ = __index__ = _no_number
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<v{self.number}: {self.dtype}>"


def _operator(gate: Gate, swapped: bool = False) -> Callable[..., Any]:
    def apply(self: Any, other: Any) -> Any:
        if isinstance(other, Variable):
            return NotImplemented
        return gate(other, self) if swapped else gate(self, other)

    return apply


def _install_operators() -> None:
    """The operators of symbols: each is a gate."""
    from .gates import arithmetic, comparison, rounding

    for name, gate in {
        "add": arithmetic.add,
        "sub": arithmetic.sub,
        "mul": arithmetic.mul,
        "truediv": arithmetic.div,
        "pow": arithmetic.pow_,
        "floordiv": rounding.floor_divide,
        "mod": rounding.remainder,
        "and": comparison.bitwise_and,
        "or": comparison.bitwise_or,
        "xor": comparison.bitwise_xor,
    }.items():
        setattr(Symbol, f"__{name}__", _operator(gate))
        setattr(Symbol, f"__r{name}__", _operator(gate, swapped=True))
    for name, gate in {
        "lt": comparison.less,
        "le": comparison.less_equal,
        "gt": comparison.greater,
        "ge": comparison.greater_equal,
        "eq": comparison.equal,
        "ne": comparison.not_equal,
    }.items():
        setattr(Symbol, f"__{name}__", _operator(gate))
    setattr(Symbol, "__neg__", lambda self: arithmetic.neg(self))  # noqa: B010 - as the others
    setattr(Symbol, "__abs__", lambda self: arithmetic.abs_(self))  # noqa: B010
    setattr(Symbol, "__invert__", lambda self: comparison.bitwise_not(self))  # noqa: B010


_install_operators()


class _Symbolic(types.ModuleType):
    """The array library of symbols, which has no functions but what the walk asks of one."""

    array = staticmethod(lambda x, copy=True, order="C": x)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise FusionError(
            f"fused: the function needs '{name}' of arrays, which is not pointwise; call what asks "
            "for it outside of a fused function"
        )


symbolic = _Symbolic("symbolic")
MODULES[Symbol] = symbolic


class Number(Gate):
    """A number as a value of a dtype."""

    pointwise: ClassVar = True
    cuda: ClassVar = "x"

    def forward(self, xp: Any, x: Any, *, dtype: np.dtype) -> Any:
        return dtype.type(x)


class Detach(UnaryGate):
    """The same values, from which no gradient flows back."""

    cuda: ClassVar = "x"

    def forward(self, xp: Any, x: Any) -> Any:
        return x.copy()


number = Number()
detach = Detach()
for _traced in (number, detach):
    del Gate.all[_traced.name]  # they are of traces only


class Trace:
    """The steps noted so far; `apply` adds one, or finds the same one noted before.

    One that `detaches` is of a user's function, where what is detached or computed under `no_grad`
    has no gradient; the engine's own walk records nothing and means no such thing. `device` is the
    number of the GPU that the arrays are on, None on a CPU.
    """

    def __init__(
        self,
        scalars: Sequence[Scalar] = (),
        detaches: bool = False,
        numbers: int = 0,
        device: int | None = None,
    ) -> None:
        self.device = types.SimpleNamespace(id=device)
        self.detaches = detaches
        self.numbers = numbers  # that a call brings
        self.draws = 0
        self.inputs: list[np.dtype] = []
        self.steps: list[Step] = []
        self.scalars: list[Scalar] = list(scalars)
        self._numbers: dict[Any, tuple[int, np.dtype]] = {}

    def input(self, dtype: np.dtype, ndim: int) -> Symbol:
        """A further input; all of them come before the first step."""
        assert not self.steps
        self.inputs.append(dtype)
        return Symbol(self, len(self.inputs) - 1, dtype, (ANY_SIZE,) * ndim)

    def draw(self) -> tuple[Scalar, Scalar]:
        """The seed and the offset of random numbers, which every call brings after its numbers."""
        first = self.numbers + 2 * self.draws
        self.draws += 1
        seed, offset = (operator.itemgetter(n) for n in (first, first + 1))
        return Scalar(seed, "seed", whole=True), Scalar(offset, "offset", whole=True)

    def operand(self, value: Any) -> Any:
        """A value as a step refers to it."""
        if type(value) is Symbol:
            if value.trace is not self:
                raise FusionError("fused: a tensor of another trace leaked into this one")
            return Value(value.number)
        if type(value) is Scalar:
            if all(value is not known for known in self.scalars):
                self.scalars.append(value)
            return ScalarValue(next(i for i, s in enumerate(self.scalars) if s is value))
        if value is None or isinstance(value, (bool, int, float)):
            return value
        raise FusionError(
            "fused: the function computes with a tensor that is not among its arguments; pass it "
            "as one, so that it can be an input of the kernel"
        )

    def apply(self, gate: Gate, inputs: Sequence[Any], params: dict[str, Any]) -> Symbol:
        """The result of a pointwise gate."""
        if all(i.dtype in FLOATS for i in inputs if type(i) is Symbol):
            shorter = rewritten(gate, inputs, self._negated)
            if shorter is not None:
                return shorter
        ndim = max((i.ndim for i in inputs if type(i) is Symbol), default=0)
        if any(type(i) is Scalar and i.whole for i in inputs):
            inputs = _whole(gate, inputs)
        if gate is pow_:  # what it compares with 0 must be compared element by element
            dtype = next(i.dtype for i in inputs if type(i) is Symbol)
            inputs = [self.number(i, dtype) if type(i) is Scalar else i for i in inputs]
        operands = tuple(map(self.operand, inputs))
        bound = {k: self.operand(v) if type(v) is Scalar else v for k, v in params.items()}
        key = (
            gate,
            tuple((type(o), o) for o in operands),
            tuple((k, type(v), v) for k, v in bound.items()),
        )
        found = self._numbers.get(key)
        if found is None:
            dtype = _result_dtype(gate, inputs, params)
            self.steps.append(Step(gate, operands, bound, dtype))
            found = self._numbers[key] = (len(self.inputs) + len(self.steps) - 1, dtype)
        return Symbol(self, *found, (ANY_SIZE,) * ndim)

    def _negated(self, value: Any) -> Symbol | None:
        """What a symbol is the opposite of, if it is the result of that gate."""
        if type(value) is not Symbol or value.number < len(self.inputs):
            return None
        step = self.steps[value.number - len(self.inputs)]
        if step.gate is not neg or type(step.operands[0]) is not Value:
            return None
        return Symbol(self, step.operands[0].number, value.dtype, value.shape)

    def number(self, scalar: Scalar, dtype: np.dtype) -> Symbol:
        """A scalar as a value of a dtype."""
        self.steps.append(Step(number, (self.operand(scalar),), {"dtype": dtype}, dtype))
        return Symbol(self, len(self.inputs) + len(self.steps) - 1, dtype, ())

    def replace(self, result: Symbol, given: Symbol) -> None:
        """Let the steps read an input where they read the result of a step."""
        old, new = Value(result.number), Value(given.number)
        self.steps = [
            Step(s.gate, tuple(new if o == old else o for o in s.operands), s.params, s.dtype)
            for s in self.steps
        ]

    def program(self, outputs: Sequence[Symbol], name: str, arriving: int = 0) -> Program:
        """What was traced, without what the outputs do not need."""
        return pruned(
            Program(
                tuple(self.inputs),
                tuple(self.scalars),
                tuple(self.steps),
                tuple(s.number for s in outputs),
                name,
                arriving,
            )
        )


def _whole(gate: Gate, inputs: Sequence[Any]) -> list[Any]:
    """The inputs with whole numbers as gates take them that meet whole tensors."""
    dtype = next(i.dtype for i in inputs if type(i) is Symbol)
    if dtype in FLOATS or not isinstance(gate, Wrapping):
        return list(inputs)

    def wrapped(scalar: Scalar, is_power: bool) -> Scalar:
        def value(numbers: Sequence[Any]) -> int:
            found = scalar.value(numbers)
            if is_power:
                refuse_negative_power(found)
            return int(np.asarray(found).astype(dtype if dtype in INTEGERS else int64))

        return Scalar(value, scalar.name, scalar.general, whole=True)

    return [
        wrapped(i, gate is pow_ and place == 1) if type(i) is Scalar and i.whole else i
        for place, i in enumerate(inputs)
    ]


def _result_dtype(gate: Gate, inputs: Sequence[Any], params: dict[str, Any]) -> np.dtype:
    """The dtype of a gate's output, found by computing one element on a CPU."""
    kinds = tuple(
        (Scalar, i.kind) if type(i) is Scalar else (type(i), getattr(i, "dtype", i)) for i in inputs
    )
    chosen = tuple(
        (k, type(v), v if type(v) is not Scalar else 1 if k in gate.wholes else 1.5)
        for k, v in params.items()
    )
    return _tried(gate, kinds, chosen)


@functools.lru_cache(maxsize=4096)
def _tried(gate: Gate, kinds: tuple[Any, ...], params: tuple[Any, ...]) -> np.dtype:
    ones = [np.ones(1, what) if kind is Symbol else what for kind, what in kinds]
    if any(what == bfloat16 for kind, what in kinds if kind is Symbol):
        ones = [np.asarray(v, bfloat16) if type(v) is float else v for v in ones]  # else it widens
    with np.errstate(all="ignore"):
        return np.dtype(gate.forward(np, *ones, **{k: v for k, _, v in params}).dtype)


def run(gate: Gate, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """What a gate does with symbols: one step of their trace, or a refusal."""
    trace = next(i.trace for i in inputs if type(i) is Symbol)
    if gate.name in ("sum_to", "expand"):  # of sizes: the kernel broadcasts, the walk outside sums
        x = inputs[0]
        return Symbol(trace, x.number, x.dtype, (ANY_SIZE,) * len(params["shape"]))
    if gate.name == "clone":
        return inputs[0]
    if not gate.pointwise:
        raise FusionError(
            f"fused: '{gate.name}' is not pointwise, so it cannot be part of a fused function; "
            "call it outside of one"
        )
    result = trace.apply(gate, inputs, params)
    return detached(result) if trace.detaches and not get_mode().recording else result


def detached(array: Any) -> Any:
    """An array, or where it is a symbol one that is no longer differentiated."""
    if type(array) is not Symbol or not array.trace.detaches:
        return array
    return array.trace.apply(detach, (array,), {})


def replay(program: Program, inputs: Sequence[Any], scalars: Sequence[Any]) -> list[Any]:
    """All values of a program by its gates, one after another, on symbols."""
    values = list(inputs)
    trace = next(array_of(i).trace for i in inputs if type(array_of(i)) is Symbol)

    def operand(what: Any) -> Any:
        if type(what) is Value:
            return values[what.number]
        return scalars[what.number] if type(what) is ScalarValue else what

    for step in program.steps:
        operands = list(map(operand, step.operands))
        params = {k: operand(v) for k, v in step.params.items()}
        if step.gate is number and type(operands[0]) is Scalar:
            values.append(trace.number(operands[0], step.dtype))
        else:
            values.append(step.gate(*operands, **params))
    return values


def retyped(program: Program, dtypes: Sequence[np.dtype], ndims: Sequence[int]) -> Program:
    """The program for inputs of other dtypes; of float64 throughout if all their floats are."""
    trace = Trace(program.scalars)
    symbols = [trace.input(d, n) for d, n in zip(dtypes, ndims, strict=True)]
    if {d for d in dtypes if d in FLOATS} == {float64}:
        steps = tuple(
            replace(step, params={k: _widest(v) for k, v in step.params.items()})
            for step in program.steps
        )
        program = replace(program, steps=steps)
    values = replay(program, symbols, program.scalars)
    return trace.program([values[n] for n in program.outputs], program.name)


def _widest(param: Any) -> Any:
    return float64 if isinstance(param, np.dtype) and param in FLOATS else param


def rebased(scalar: Scalar, numbers: Sequence[Any]) -> Any:
    """The scalar of a program that is traced as part of another: of the numbers it gets there."""
    if not any(type(number) is Scalar for number in numbers):
        return scalar.value(numbers)
    known = [n.value if type(n) is Scalar else (lambda _, n=n: n) for n in numbers]
    return Scalar(
        lambda v: scalar.value([f(v) for f in known]), scalar.name, scalar.general, scalar.whole
    )


def derivative(
    program: Program,
    ndims: Sequence[int],
    wants: Sequence[bool],
    places: Sequence[int],
    given: Sequence[int],
) -> tuple[Program, tuple[int, ...]]:
    """The gradients of a program as a program, by the engine's walk over symbols.

    They are those of the outputs at `places`, which have one shape: where inputs are broadcast to
    it, the gradients are of that shape, still to be summed.

    Args:
        ndims: of the inputs.
        wants: for each input, whether its gradient is wanted.
        given: numbers of values of the program that are kept, not to be computed again.

    Returns:
        The program, whose inputs are the gradients of those outputs, the inputs of the program and
        the given values; and the numbers of the inputs that its outputs are the gradients of: an
        input that nothing depends on has none.
    """
    scalars = [Scalar(s.value, s.name, True, s.whole) for s in program.scalars]
    trace = Trace(scalars)
    roots = [program.outputs[i] for i in places]
    gradients = [trace.input(program.dtype(n), rank(program, ndims, n)) for n in roots]
    symbols = [trace.input(d, ndim) for d, ndim in zip(program.inputs, ndims, strict=True)]
    known = [trace.input(program.dtype(n), rank(program, ndims, n)) for n in given]
    variables = [wrap(symbol) for symbol in symbols]
    targets = [i for i, wanted in enumerate(wants) if wanted]
    for i in targets:
        variables[i]._node = Leaf(variables[i])
    with _recording():
        values = replay(program, variables, scalars)
        nodes = [values[n]._node for n in roots]
        starts = [(n, g) for n, g in zip(nodes, gradients, strict=True) if n is not None]
        wanted = [variables[i] for i in targets]
        found = gradients_of(program.name, starts, wanted, retain=False, create_graph=False)
    for n, symbol in zip(given, known, strict=True):
        trace.replace(array_of(values[n]), symbol)
    have = [(i, g) for i, g in zip(targets, found, strict=True) if g is not None]
    gradient = trace.program([g for _, g in have], f"{program.name}_backward", len(gradients))
    return gradient, tuple(i for i, _ in have)


def rank(program: Program, ndims: Sequence[int], number: int) -> int:
    """How many dimensions a value has."""
    return max((ndims[s] for s in program.depends[number]), default=0)


class _recording:
    """A mode in which what is done with symbols is recorded, and no open tape sees it."""

    def __enter__(self) -> None:
        self.found = mode.get()
        mode.set(Mode(True))

    def __exit__(self, *exception: object) -> None:
        mode.set(self.found)


def traced(
    function: Callable[..., Any],
    inputs: Sequence[tuple[np.dtype, int]],
    name: str,
    numbers: int = 0,
    device: int | None = None,
) -> tuple[Program, bool, int]:
    """The program of a function of tensors, given their dtypes and numbers of dimensions.

    Args:
        numbers: how many Python numbers a call brings.
        device: the number of the GPU that the tensors are on, None on a CPU.

    Returns:
        The program, whether the function returns several tensors, and how often it draws random
        numbers: for each time a call brings a seed and an offset after its numbers.

    Raises:
        FusionError: if it does something that is not pointwise.
    """
    trace = Trace(detaches=True, numbers=numbers, device=device)
    tensors = [wrap(trace.input(dtype, ndim)) for dtype, ndim in inputs]
    with _recording():
        returned = function(*tensors)
    several = isinstance(returned, (tuple, list))
    outputs = [array_of(value) for value in (returned if several else [returned])]
    for value in outputs:
        if type(value) is not Symbol:
            raise FusionError(
                f"fused: {name} returned {type(value).__name__}; expected a tensor computed from "
                "its arguments, or a tuple of them"
            )
    return trace.program(outputs, name), several, trace.draws
