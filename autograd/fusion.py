"""`fused`: a function of pointwise operations as one gate, forward and backward one pass each.

The function is traced once for each combination of dtypes and ranks. What it does becomes one
blocked pass over the data on a CPU and one generated kernel on a GPU; its gradient is derived by
the engine's own walk (`tracing.derivative`) and is a gate of the same kind, so that it can be
differentiated again, to any order.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tapegrad.kernels import blocks
from tapegrad.kernels.cuda import pointwise
from tapegrad.kernels.expression import FusionError, Program, Scalar, compact

from . import tracing
from .arrays import FLOATS, MODULES, device_of, is_array, several_gpus
from .autocast import lower_dtype
from .engine import Gate, module_of_inputs, wrap
from .gates.arithmetic import pow_
from .gates.broadcasting import sum_to
from .gates.exponential import Smooth
from .operations.generators import reserved
from .records import Variable, get_mode

Number = int | float


class FusedGate(Gate):
    """A whole pointwise program as one gate. Its backward is the program's derivative.

    It is called with arrays or variables and with `numbers`, what the program's scalars are
    computed from. On a CPU a recorded forward keeps the values that are slow to compute and that
    backward reads; a GPU computes faster than it reads, so there all but inputs is computed again.
    """

    outputs = None
    quiet = "always"
    fresh = True

    def __init__(
        self, program: Program, ndims: Sequence[int], several: bool, draws: int = 0
    ) -> None:
        # Not `Gate.__init__`: the inputs are those of the program, not of a signature.
        self.program = program
        self.ndims = tuple(ndims)
        self.several = several
        self.draws = draws
        self.name = program.name
        self.variadic = False
        self.extra = False
        self.input_names = tuple(f"x{i}" for i in range(len(ndims)))
        self.promoted = self.differentiable = (True,) * len(ndims)
        self.nothing = (None,) * (len(ndims) + 1)
        self.run = self.run_arrays = self.forward
        self.floating = tuple(
            i for i, n in enumerate(program.outputs) if program.dtype(n) in FLOATS
        )
        self._derivatives: dict[Any, _Derivative] = {}
        self._keeping: dict[tuple[int, ...], Program] = {(): program}
        self._retyped: dict[tuple[np.dtype, ...], FusedGate] = {}

    def forward(
        self, xp: Any, *inputs: Any, numbers: Sequence[Number], kept: tuple[int, ...] = ()
    ) -> Any:
        """The outputs, and the values to be kept: as one blocked pass or one kernel."""
        if not self._fits(inputs):
            return self.retyped(inputs).forward(xp, *inputs, numbers=numbers, kept=kept)
        program = self._keeping.get(kept)
        if program is None:
            outputs = (*self.program.outputs, *kept)
            program = self._keeping[kept] = replace(self.program, outputs=outputs, plans={})
        scalars = [scalar.value(numbers) for scalar in program.scalars] if numbers else ()
        runner = blocks if xp is np else pointwise
        found = runner.run(xp, program, inputs, scalars)
        return tuple(found) if self.several or kept else found[0]

    def __call__(self, *inputs: Any, numbers: Sequence[Number]) -> Any:
        nodes: list[Any] = []
        arrays: list[Any] = []
        plain = True
        for value in inputs:
            if isinstance(value, Variable):
                plain = False
                nodes.append(value._node)
                value = value._data
            else:
                nodes.append(None)
            arrays.append(value)
        kinds = set(map(type, arrays))
        if tracing.Symbol in kinds:
            return self._inlined(inputs, numbers)
        if not self._fits(arrays):
            return self.retyped(arrays)(*inputs, numbers=numbers)
        if len(kinds) > 1 or several_gpus():
            self.check_devices(arrays)
        xp = module_of_inputs(arrays)
        wants = tuple([node is not None for node in nodes])
        if not (True in wants and self.floating and get_mode().recording):
            out = self.compute(xp, *arrays, numbers=numbers)
            if plain:
                return out
            return tuple(map(wrap, out)) if self.several else wrap(out)
        derived = self.derivative(wants, self.floating, xp is np)
        out = self.compute(xp, *arrays, numbers=numbers, kept=derived.kept)
        extras = None
        if derived.kept:
            count = len(self.program.outputs)
            out, extras = (out[:count] if self.several else out[0]), out[count:]
        again = self.derivative(wants, self.floating, False).inputs
        saved = (extras, *(a if i in again else None for i, a in enumerate(arrays)))
        results = self.record(inputs, tuple(nodes), saved, {"numbers": numbers}, arrays, out)
        for place in derived.outside:
            (results[place] if self.several else results)._node = None
        return results

    def _fits(self, arrays: Sequence[Any]) -> bool:
        """Whether arrays have the dtypes that the program is for."""
        return all(a.dtype == d for a, d in zip(arrays, self.program.inputs, strict=True))

    def retyped(self, arrays: Sequence[Any]) -> FusedGate:
        """The same gate for other dtypes: a tape checks its gates in float64."""
        dtypes = tuple(array.dtype for array in arrays)
        found = self._retyped.get(dtypes)
        if found is None:
            program = tracing.retyped(self.program, dtypes, self.ndims)
            found = FusedGate(program, self.ndims, self.several, self.draws)
            self._retyped[dtypes] = found
        return found

    def _inlined(self, inputs: Sequence[Any], numbers: Sequence[Number]) -> Any:
        """Within another fused function: the gates of this one become gates of that."""
        scalars = [tracing.rebased(s, numbers) for s in self.program.scalars]
        values = tracing.replay(self.program, inputs, scalars)
        found = tuple(values[n] for n in self.program.outputs)
        return found if self.several else found[0]

    def derivative(
        self, wants: tuple[bool, ...], places: tuple[int, ...], keeps: bool
    ) -> _Derivative:
        """What computes the wanted gradients of some outputs, traced when it is first asked for.

        Args:
            wants: for each input, whether its gradient is wanted.
            places: the outputs, all of one shape.
            keeps: whether values that forward computed are at hand.
        """
        key = (wants, places, keeps)
        found = self._derivatives.get(key)
        if found is None:
            found = self._derivatives[key] = _Derivative(self, *key)
        return found

    def backward(
        self, node: Any, grad: Any, extras: Any, *inputs: Any, numbers: Sequence[Number]
    ) -> Any:
        """The gradients that the engine derived, in one pass for each shape of the outputs."""
        gradients = grad if isinstance(grad, list) else [grad]
        shapes: dict[Any, list[int]] = {}
        for place in self.floating:
            shapes.setdefault(gradients[place].shape, []).append(place)
        wants = tuple(before is not None for before in node.inputs)
        # Kept values are constants: where the gradients are recorded, all is computed from inputs.
        keeps = len(shapes) == 1 and type(gradients[self.floating[0]]) in _NUMPY
        results: list[Any] = [None] * len(inputs)
        for places in shapes.values():
            derived = self.derivative(wants, tuple(places), keeps)
            for i, found in derived(gradients, inputs, extras, numbers):
                if len(shapes) > 1 and found.shape != node.inputs[i].shape:
                    found = sum_to(found, shape=node.inputs[i].shape)
                results[i] = found if results[i] is None else results[i] + found
        return tuple(results)


_NUMPY = {kind for kind, module in MODULES.items() if module is np}


class _Derivative:
    """The gradients of a fused gate: the gate that computes them, and from what.

    gate        None where nothing depends on what is wanted
    gradients   of which outputs it reads the gradient
    inputs      which inputs it reads
    kept        the numbers of the values that it reads and forward is to keep
    results     of which inputs it computes the gradient
    outside     which outputs have no gradient that is wanted, and so are not on the tape
    """

    def __init__(
        self, gate: FusedGate, wants: tuple[bool, ...], places: tuple[int, ...], keeps: bool
    ) -> None:
        program = gate.program
        self.outside = tuple(
            place
            for place, n in enumerate(program.outputs)
            if program.dtype(n) not in FLOATS or not any(wants[i] for i in program.depends[n])
        )
        given = _worth_keeping(program) if keeps else []
        traced, self.results = tracing.derivative(program, gate.ndims, wants, places, given)
        derived, read = compact(traced)
        first, last = len(places), len(places) + len(gate.ndims)
        self.gradients = tuple(places[k] for k in read if k < first)
        self.inputs = tuple(k - first for k in read if first <= k < last)
        self.kept = tuple(given[k - last] for k in read if k >= last)
        numbers = [program.outputs[p] for p in places]
        ndims = [
            *(tracing.rank(program, gate.ndims, n) for n in numbers),
            *gate.ndims,
            *(tracing.rank(program, gate.ndims, n) for n in given),
        ]
        self.gate = FusedGate(derived, [ndims[k] for k in read], True) if self.results else None

    def __call__(
        self,
        gradients: Sequence[Any],
        inputs: Sequence[Any],
        extras: Sequence[Any] | None,
        numbers: Sequence[Number],
    ) -> Iterable[tuple[int, Any]]:
        """The number of each input that has a gradient, with it."""
        if self.gate is None:
            return ()
        found = self.gate(
            *(gradients[i] for i in self.gradients),
            *(inputs[i] for i in self.inputs),
            *(extras if self.kept and extras else ()),
            numbers=numbers,
        )
        return zip(self.results, found, strict=True)


def _worth_keeping(program: Program) -> list[int]:
    """The numbers of the values that take longer to compute than to write and read."""
    first = len(program.inputs)
    gates = [step.gate for step in program.steps]
    slow = [isinstance(gate, Smooth) or gate.blocked or gate is pow_ for gate in gates]
    found = {n for n, is_slow in enumerate(slow, first) if is_slow}
    return sorted(found | {n for n in program.outputs if n >= first})


class Fused:
    """A function that `fused` was applied to: call it like the function.

    Its gates, one for each combination of dtypes, ranks, static arguments and device it was called
    with, are traced at the first such call. A method has gates of its own for each instance, which
    go with it.
    """

    def __init__(self, function: Callable[..., Any], static: Sequence[str]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.statics = tuple(static)
        self.methods: weakref.WeakKeyDictionary[Any, Fused] = weakref.WeakKeyDictionary()
        self.signature = inspect.signature(function)
        parameters = self.signature.parameters
        self.name = getattr(function, "__name__", "function")
        unknown = [name for name in static if name not in parameters]
        if unknown:
            raise TypeError(f"fused: {self.name} has no parameter {unknown[0]!r} to be static")
        kinds = [parameter.kind for parameter in parameters.values()]
        self.variadic = inspect.Parameter.VAR_POSITIONAL in kinds
        if inspect.Parameter.VAR_KEYWORD in kinds or (self.variadic and len(kinds) > 1):
            raise TypeError(
                f"fused: {self.name}{self.signature} takes arguments without a name; give each "
                "one, or take *args alone"
            )
        self.positional = inspect.Parameter.KEYWORD_ONLY not in kinds
        self.static = [name in static for name in parameters]
        self.gates: dict[Any, FusedGate] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        gate, tensors, numbers = self._bound(args, kwargs)
        for _ in range(gate.draws):
            numbers += _drawn(tensors)
        return gate(*tensors, numbers=numbers)

    def _bound(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[FusedGate, list[Any], tuple[Number, ...]]:
        """The gate of a call, traced if it is the first of its kind, and what the gate takes."""
        static = self.static
        if self.variadic:
            static = [False] * len(args)
        elif kwargs or len(args) != len(static) or not self.positional:
            try:
                bound = self.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"fused: {self.name}{self.signature}: {error}") from None
            bound.apply_defaults()
            args = tuple(bound.arguments.values())
        key: list[Any] = []
        tensors: list[Any] = []
        numbers: list[Number] = []
        for value, fixed in zip(args, static, strict=True):
            kind = type(value)
            if isinstance(value, Variable):
                data = value._data
                tensors.append(value)
                key.append((data.dtype, data.ndim))
            elif kind in (float, int, Scalar) and not fixed:
                numbers.append(value)
                key.append(int if kind is int or (kind is Scalar and value.whole) else float)
            elif is_array(value) and not (isinstance(value, np.generic) or fixed):
                tensors.append(wrap(value))
                key.append((value.dtype, value.ndim))
            elif isinstance(value, np.generic) and not fixed:
                numbers.append(value.item())
                key.append(type(value.item()))
            else:
                key.append(_frozen(self.name, value))
        if not tensors:
            raise TypeError(f"fused: {self.name} was called without a tensor")
        first = tensors[0]._data
        gpu = None if type(first) in _NUMPY else first.device.id
        whole = (*key, gpu, lower_dtype("cpu" if gpu is None else "cuda"))
        try:
            gate = self.gates.get(whole)
        except TypeError:
            raise TypeError(
                f"fused: {self.name} takes tensors, numbers and what can be hashed, not "
                f"{', '.join(type(value).__name__ for value in args)}"
            ) from None
        if gate is None:
            gate = self.gates[whole] = self._trace(key, args, gpu)
        return gate, tensors, tuple(numbers)

    def _trace(self, key: Sequence[Any], args: Sequence[Any], gpu: int | None) -> FusedGate:
        """The gate for arguments of some kinds, on a GPU or on a CPU."""
        inputs = [k for k in key if isinstance(k, tuple) and isinstance(k[0], np.dtype)]
        names = list(self.signature.parameters)
        if self.variadic:
            names = [f"{names[0]}[{i}]" for i in range(len(key))]

        def function(*tensors: Any) -> Any:
            given = iter(tensors)
            count = iter(range(len(key)))
            arguments: list[Any] = []
            for name, kind, argument in zip(names, key, args, strict=True):
                if isinstance(kind, tuple):
                    is_tensor = isinstance(kind[0], np.dtype)
                    arguments.append(next(given) if is_tensor else argument)
                else:
                    value = operator.itemgetter(next(count))
                    arguments.append(Scalar(value, name, whole=kind is int))
            parameters = self.signature.parameters.values()
            by_name = {
                p.name: a
                for p, a in zip(parameters, arguments, strict=False)
                if p.kind is p.KEYWORD_ONLY
            }
            return self.function(*arguments[: len(arguments) - len(by_name)], **by_name)

        count = len(key) - sum(isinstance(kind, tuple) for kind in key)
        program, several, draws = tracing.traced(function, inputs, self.name, count, gpu)
        return FusedGate(program, [ndim for _, ndim in inputs], several, draws)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        try:
            found = self.methods.get(instance)
        except TypeError:  # an instance that cannot be hashed, or not be referred to weakly
            return functools.partial(self, instance)
        if found is None:
            found = self.methods[instance] = self._method(weakref.ref(instance))
        return Method(found, instance)

    def _method(self, instance: weakref.ref[Any]) -> Fused:
        """The function as a method of an instance, which it does not keep alive."""

        @functools.wraps(self.function)
        def method(*args: Any, **kwargs: Any) -> Any:
            return self.function(instance(), *args, **kwargs)

        _, *parameters = self.signature.parameters.values()
        method.__signature__ = self.signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return Fused(method, self.statics)

    def __reduce__(self) -> str:
        return str(self.__qualname__)  # type: ignore[attr-defined]

    def program(self, *args: Any, backward: bool = False, **kwargs: Any) -> Program:
        """What is computed, step by step; of the backward with respect to every floating input.

        Args:
            args: the arguments of a call; without any, those of the last new kind of call.
            backward: whether the gradient's program is wanted. Default: False.

        >>> import tapegrad as tg
        >>> square = tg.fused(lambda x: x * x)
        >>> print(square.program(tg.ones(3)))
        <lambda>(v0: float32) -> v1
            v1 = mul(v0, v0)  # float32
        """
        if args or kwargs:
            gate = self._bound(args, kwargs)[0]
        elif self.gates:
            gate = next(reversed(self.gates.values()))
        else:
            raise FusionError(
                f"fused: {self.name} has not been traced; call it, or give the arguments of a call"
            )
        if not backward:
            return gate.program
        wants = tuple(dtype in FLOATS for dtype in gate.program.inputs)
        derived = gate.derivative(wants, gate.floating, False).gate
        if derived is None:
            raise FusionError(f"fused: no output of {self.name} depends on a floating input")
        return derived.program

    def cuda_source(self, *args: Any, backward: bool = False, **kwargs: Any) -> str:
        """The CUDA kernel of the function, as it is compiled for contiguous arrays.

        No GPU is needed to read it. Arguments as for `program`.

        >>> import tapegrad as tg
        >>> square = tg.fused(lambda x: x * x)
        >>> "const float v1 = v0 * v0;" in square.cuda_source(tg.ones(3))
        True
        """
        return pointwise.source(self.program(*args, backward=backward, **kwargs))


class Method:
    """A fused method of an instance."""

    def __init__(self, fused: Fused, instance: Any) -> None:
        self.__self__ = instance
        self.__func__ = fused
        self.program = fused.program
        self.cuda_source = fused.cuda_source

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(*args, **kwargs)

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self.__func__.name)


def _frozen(name: str, value: Any) -> tuple[Any, ...]:
    """A static argument as part of a key: of equal values, those that compute otherwise differ."""
    kind = type(value)
    if isinstance(value, (tuple, list, dict)):
        items = value.values() if isinstance(value, dict) else value
        if any(isinstance(item, Variable) for item in items):
            raise TypeError(f"fused: {name} takes each tensor by itself, not in a {kind.__name__}")
        if kind is tuple:
            return kind, tuple(_frozen(name, item) for item in value)
    return (kind, value.hex()) if kind is float else (kind, value)


def _drawn(tensors: Sequence[Any]) -> tuple[Any, Any]:
    """The seed and the offset of a random number for each element of what tensors broadcast to."""
    first = tensors[0]._data
    if type(first) is tracing.Symbol:
        return first.trace.draw()
    shape = np.broadcast_shapes(*(tensor._data.shape for tensor in tensors))
    return reserved(device_of(first), math.prod(shape))


def fused(function: Callable[..., Any] | None = None, *, static: str | Sequence[str] = ()) -> Any:
    """Make one gate of a function of pointwise operations: one pass forward, one backward.

    On a GPU both become one generated CUDA kernel, on a CPU one pass over blocks that stay in the
    cache. Gradients are derived by the engine, to any order. Arrays broadcast as usual. Half types
    are computed in float32 within the kernel on a GPU.

    Python numbers among the arguments are arguments of the kernel: a changing learning rate
    compiles nothing anew. Booleans, strings and None, and what `static` names, are part of the
    function instead, each value of them with a kernel of its own. Numbers that the function takes
    from elsewhere are constants from its first call on. Within, tensors have no sizes and require
    no gradient; `autocast` holds as outside.

    Args:
        function: of tensors and numbers; it returns a tensor or several. It is run once for each
            combination of dtypes and ranks, to trace it.
        static: names of parameters whose value the function branches on. Default: none.

    Returns:
        A callable with the function's arguments, and with `program()` and `cuda_source()`.

    Raises:
        FusionError: at the first call, if the function does something that is not pointwise (a sum,
            a product of matrices), branches on a tensor's value, or uses a tensor that is not an
            argument.

    >>> import tapegrad as tg
    >>> @tg.fused
    ... def swish(x, beta=1.0):
    ...     return x * tg.sigmoid(beta * x)
    >>> x = tg.tensor([0.0, 1.0], requires_grad=True)
    >>> y = swish(x, 2.0)
    >>> y.sum().backward()
    >>> x.grad
    tensor([0.5000, 1.0908])
    """
    names = (static,) if isinstance(static, str) else tuple(static)
    if function is None:
        return lambda f: Fused(f, names)
    return Fused(function, names)
