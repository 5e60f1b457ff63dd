"""Gates: how they are called, and what they leave on the tape (the tape itself is in `records`).

A `Gate` is a differentiable primitive with its forward and its backward side by side. Calling it on
variables runs the forward and, when a gradient is wanted, leaves a `Node` that points to the nodes
of its inputs. Calling it on plain arrays only computes: that is how a backward, written once in
terms of gates, runs at full speed on arrays in first order and is itself recorded under
`create_graph=True`. The walk backwards is in `backward.py`.

What a node keeps is what its gate says the gradient needs, and nothing else.
"""

from __future__ import annotations

import operator
import re
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from tapegrad.kernels.expression import Scalar

from .arrays import (
    DTYPES,
    FLOATS,
    INTEGERS,
    MODULES,
    NUMPY_FLOATS,
    Array,
    bool_,
    device_of,
    get_default_dtype,
    is_traced,
    result_type,
)
from .errors import DtypeError, ShapeError
from .records import Node, Variable, get_mode


class Leaf(Node):
    """Where gradients arrive: a variable the user asked a gradient for, held weakly."""

    __slots__ = ("variable",)

    def __init__(self, variable: Variable) -> None:
        super().__init__(leaf, (), None, {}, variable._data)
        self.variable = weakref.ref(variable)


_new = object.__new__
_variable_class: type[Variable] = Variable


def set_variable_class(cls: type[Variable]) -> None:
    """Make the engine wrap results in `cls` (the tensor floor hands in its class)."""
    global _variable_class
    _variable_class = cls


def wrap(data: Array, node: Node | None = None) -> Any:
    """A variable around an array, at a place on the tape."""
    variable = _new(_variable_class)
    variable._data = data
    variable._node = node
    variable._grad = None
    variable._name = None
    return variable


LARGE = 1 << 21  # elements of a NumPy array from which blocks pay
_SCALARS = {np.float32, np.float64}  # 0-d results, which NumPy computes with quickest
_NO_PARAMS: dict[str, Any] = {}
_MISTAKES: tuple[type[Exception], ...] = (
    IndexError,
    ValueError,
    TypeError,
    OverflowError,
    ZeroDivisionError,
)
_WEAK = (float, int, bool, Scalar)  # Python scalars: they take the dtype of what they meet


class Elsewhere:
    """How gates run on arrays of a GPU, on those of a trace, and on large ones of NumPy.

    The floor above fills it in (`elsewhere`), since to run a gate there takes gates.

    run        (gate, xp, inputs, params) gives the output
    backward   (node, grad, saved) gives the gradients of a gate's inputs, which are not recorded
    detached   (array) gives the same values, from which no gradient flows back
    """

    run: Callable[..., Any]
    backward: Callable[..., Any]
    detached: Callable[[Any], Any]


elsewhere = Elsewhere()


class Gate:
    """A differentiable primitive. Subclasses write `forward` and `backward`; an instance is called.

    `forward(xp, *inputs, **params)` gets the array module and arrays (or Python scalars) and
    returns an array, or a tuple of them. `backward(node, grad, out, *inputs, **params)` returns the
    gradient of each input, None where `node.inputs` has None; of a one-input gate just the
    gradient. It may return gradients of the broadcast shape or another dtype: the walk sums and
    casts them.

    needs      for each differentiable input, which values its gradient reads: names of inputs,
               `out`, or `extra`, the outputs after the first; only those are kept. Inputs not in
               it carry no gradient.
    floats     integer inputs become the default float first
    quiet      when to compute without NumPy's warnings of infinities and NaN: "always", on "arrays"
               only (silence costs a microsecond, which a scalar sum would feel), or "never"
    outputs    how many of a tuple of outputs are differentiable (None: all)
    views      the output may share memory with the input
    booleans   whether booleans may take part
    rewraps    what was saved is (out, *inputs), to be put back on the tape under `create_graph`
    symbol     how a drawing labels it, where that is shorter than the name
    ufunc      the function of NumPy that the forward is, of floats, if it is one
    cuda       of a pointwise gate, the output as a CUDA C++ expression of inputs and params; `T` is
               the type computed with, `R` that of the output
    headers    the files of `kernels/cuda` that the expression needs
    wholes     params that are whole numbers of 64 bits and differ from call to call (a seed):
               arguments of the kernel, where other whole numbers are part of its text
    counts     the expression reads `index`, the place of the element in the order of the shape
    compares   whole numbers with a Python number, which need not be in the range of their dtype
    slopes     for each input, the derivative of the output as a formula of the inputs and `out`
    pointwise  each element of the output depends on one element of each input alone
    blocked    pointwise in several passes: on a CPU large arrays are computed block by block, so
               that what is between the first and the last pass stays in the cache
    fresh      every gradient that backward returns is a new array that nothing else holds, so that
               a leaf may take it without a copy
    passes     the gradient that backward returns is the one that it is given, or a view of that
    """

    needs: ClassVar[dict[str, str]] = {}
    floats: ClassVar[bool] = False
    quiet: ClassVar[str] = "never"
    outputs: ClassVar[int | None] = 1
    views: ClassVar[bool] = False
    booleans: ClassVar[bool] = True
    rewraps: ClassVar[bool] = True
    symbol: ClassVar[str] = ""
    ufunc: ClassVar[str] = ""
    cuda: ClassVar[str] = ""
    headers: ClassVar[tuple[str, ...]] = ()
    wholes: ClassVar[tuple[str, ...]] = ()
    compares: ClassVar[bool] = False
    counts: ClassVar[bool] = False
    slopes: ClassVar[dict[str, str]] = {}
    pointwise: ClassVar[bool] = False
    blocked: ClassVar[bool] = False
    fresh: ClassVar[bool] = False
    passes: ClassVar[bool] = False
    all: ClassVar[dict[str, Gate]] = {}

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    def __init__(self) -> None:
        cls = type(self)
        self.name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        code = cls.forward.__code__
        names = code.co_varnames[2 : code.co_argcount]
        self.variadic = bool(code.co_flags & 0x04)
        self.input_names: tuple[str, ...] = names
        reads = {name: self.needs.get(name, "").split() for name in names}
        # Row w: which of (out, *inputs) to keep when the inputs in the bit mask w want gradients;
        # None for none.
        self.keep: list[tuple[bool, ...] | None] = []
        for wants in range(1 << len(names)):
            read = {r for i, name in enumerate(names) if wants >> i & 1 for r in reads[name]}
            row = (bool({"out", "extra"} & read), *(name in read for name in names))
            self.keep.append(row if any(row) else None)
        self.extra = any("extra" in read for read in reads.values())
        self.nothing = (None,) * (len(names) + 1)
        self.promoted = tuple(name in self.needs or not self.needs for name in names)
        self.alike_inputs = all(self.promoted)
        self.differentiable = tuple(name in self.needs for name in names)
        self.run = self.quietly if self.quiet == "always" else self.forward
        self.run_arrays = self.forward if self.quiet == "never" else self.quietly
        if self.blocked:
            self.run_arrays = self.in_blocks
        Gate.all[self.name] = self

    def __repr__(self) -> str:
        return f"<gate {self.name}>"

    def slope(self, position: int) -> str:
        """The derivative by an input as a formula, where there is a short one."""
        return "" if self.variadic else self.slopes.get(self.input_names[position], "")

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """The CUDA expression at a dtype of the inputs and at params; "" where there is none."""
        return self.cuda

    def compute(self, xp: Any, *inputs: Any, **params: Any) -> Any:
        """The forward on arrays, with an error that names the gate and what it was given."""
        try:
            if xp is not np:
                return elsewhere.run(self, xp, inputs, params)
            return self.run_arrays(xp, *inputs, **params)
        except _MISTAKES as error:
            raise self.mistake(error, inputs) from error

    def quietly(self, xp: Any, *inputs: Any, **params: Any) -> Any:
        """The forward without NumPy's warnings of infinities and NaN."""
        with np.errstate(all="ignore"):
            return self.forward(xp, *inputs, **params)

    def in_blocks(self, xp: Any, *inputs: Any, **params: Any) -> Any:
        """The forward, of large arrays block by block."""
        if xp is np and any(type(v) is np.ndarray and v.size >= LARGE for v in inputs):
            return elsewhere.run(self, np, inputs, params)
        return self.quietly(xp, *inputs, **params)

    def mistake(self, error: Exception, inputs: tuple[Any, ...]) -> Exception:
        """What the array library said, with the gate and its inputs named."""
        if isinstance(error, RuntimeError):  # one of our own
            return type(error)(f"{self.name}({', '.join(map(describe, inputs))}): {error}")
        kind: type[Exception] = next(k for k in _MISTAKES if isinstance(error, k))
        kind = {ValueError: ShapeError, TypeError: DtypeError}.get(kind, kind)
        return kind(f"{self.name}({', '.join(map(describe, inputs))}): {error}")

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        arrays: list[Any] = []
        nodes: list[Node | None] = []
        first = None
        plain = uniform = True
        scalars = False
        wants = 0
        for position, value in enumerate(inputs):
            node = None
            if isinstance(value, Variable):
                plain = False
                node = value._node
                if self.views and isinstance(value._data, np.generic):
                    value._data = np.array(value._data)  # memory that can be shared
                value = value._data
            nodes.append(node)
            arrays.append(value)
            if self.variadic or self.promoted[position]:
                if node is not None and (self.variadic or self.differentiable[position]):
                    wants |= 1 << position
                if type(value) in MODULES:
                    if first is None:
                        first = value
                    elif value.dtype is not first.dtype or type(value) is not type(first):
                        uniform = False
                elif type(value) is float or type(value) is int:
                    scalars = True
                elif value is not None:
                    uniform = False
            else:
                nodes[position] = None
        if plain:  # arrays only: compute
            return self.compute(module_of_inputs(arrays), *arrays, **params)
        if not self.alike_inputs:
            self.check_devices(arrays)
        if (
            not uniform
            or (scalars and (first is None or first.dtype not in NUMPY_FLOATS))
            or (self.floats and first is not None and first.dtype not in FLOATS)
        ):
            prepared = self.prepare(inputs)
            if prepared is not None:
                return self(*prepared, **params)
        out = self.compute(module_of_inputs(arrays), *arrays, **params)
        several = type(out) is tuple
        if (
            not wants
            or not get_mode().recording
            or (out[0] if several else out).dtype not in FLOATS
        ):
            return tuple(map(wrap, out)) if several else wrap(out)
        saved: tuple[Any, ...] = self.nothing
        if not self.variadic and (keep := self.keep[wants]) is not None:
            values = ((None, *out[1:]) if self.extra else out, *arrays)
            saved = tuple(v if k else None for v, k in zip(values, keep, strict=True))
        return self.record(inputs, tuple(nodes), saved, params, arrays, out)

    def record(
        self,
        inputs: tuple[Any, ...],
        nodes: tuple[Node | None, ...],
        saved: tuple[Any, ...],
        params: dict[str, Any],
        arrays: Any,
        out: Any,
    ) -> Any:
        """Leave a node for what was computed; wrap the output, or each of several."""
        several = type(out) is tuple
        node = Node(self, nodes, saved, params, out[0] if several else out)
        watching = get_mode()
        if watching.watched:
            watching.observe(node, inputs, arrays, out)
        if not several:
            return wrap(out, node)
        if self.outputs == 1:
            return (wrap(out[0], node), *map(wrap, out[1:]))
        node.shape, node.value = tuple(part.shape for part in out), None
        return tuple(
            wrap(part, Node(output, (node,), None, {"index": index}, part))
            for index, part in enumerate(out)
        )

    def check_devices(self, values: list[Any]) -> None:
        """Refuse arrays that live on different devices, saying which is where."""
        same_device(self.name, values)

    def prepare(self, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The inputs brought to one dtype and one library; None where they are so already."""
        promoted = [self.variadic or self.promoted[i] for i in range(len(inputs))]
        values = [
            _operand(value, self) if p else value for value, p in zip(inputs, promoted, strict=True)
        ]
        taking = [array_of(v) for v, p in zip(values, promoted, strict=True) if p]
        self.check_devices(taking)
        if not self.booleans and any(
            type(v) is bool or getattr(v, "dtype", None) == bool_ for v in taking
        ):
            given = ", ".join(map(describe, taking))
            raise DtypeError(f"{self.name}({given}): not for booleans; use ^ or ~, or .long()")
        dtype = result_type(*(v for v in taking if v is not None))
        if self.floats and dtype not in FLOATS:
            dtype = get_default_dtype()
        changed = False
        for i, value in enumerate(values):
            data = array_of(value)
            if not promoted[i] or data is None:
                continue
            if type(data) in MODULES:
                if data.dtype != dtype:
                    values[i] = cast(
                        value if isinstance(value, Variable) else wrap(data), dtype=dtype
                    )
                    changed = True
            elif type(data) is Scalar:
                continue
            elif dtype in FLOATS and dtype not in NUMPY_FLOATS and module_of_inputs(taking) is np:
                values[i] = np.asarray(data, dtype)  # a Python number would widen it in NumPy
                changed = True
            elif dtype in FLOATS and type(data) is not float:
                values[i], changed = float(data), True
            elif dtype in INTEGERS and type(data) is not int:
                values[i], changed = int(data), True
        if changed or any(v is not i for v, i in zip(values, inputs, strict=True)):
            return tuple(values)
        return None


class UnaryGate(Gate):
    """A gate of one input and no parameters: the call unrolled, because a loop costs 1 us."""

    pointwise: ClassVar = True

    def __call__(self, x: Any) -> Any:
        if not isinstance(x, Variable):
            return self.compute(module_of_inputs((x,)), x)
        data = x._data
        if self.floats and data.dtype not in FLOATS:
            return self(cast(x, dtype=get_default_dtype()))
        run = self.run if type(data) in _SCALARS else self.run_arrays
        xp = MODULES[type(data)]
        try:
            out = run(xp, data) if xp is np else elsewhere.run(self, xp, (data,), _NO_PARAMS)
        except _MISTAKES as error:
            raise self.mistake(error, (data,)) from error
        before = x._node
        if before is None or not self.differentiable[0]:
            return wrap(out)
        watching = get_mode()
        if not watching.recording:
            return wrap(out)
        keep = self.keep[1]
        saved = (
            self.nothing if keep is None else (out if keep[0] else None, data if keep[1] else None)
        )
        node = Node(self, (before,), saved, _NO_PARAMS, out)
        if watching.watched:
            watching.observe(node, (x,), (data,), out)
        return wrap(out, node)


class BinaryGate(Gate):
    """A gate of two inputs and no parameters, unrolled likewise."""

    pointwise: ClassVar = True

    def __call__(self, x: Any, y: Any) -> Any:
        before_x = before_y = None
        run = self.run_arrays
        if isinstance(x, Variable):
            before_x, a = x._node, x._data
            kind = type(a)
            if isinstance(y, Variable):
                before_y, b = y._node, y._data
                if kind is type(b) and kind in _SCALARS:
                    run = self.run
                elif not self.alike(a, b):
                    return self._prepared(x, y)
            elif type(y) is float or type(y) is int:
                b = y
                if kind in _SCALARS:
                    run = self.run
                elif a.dtype not in NUMPY_FLOATS:
                    return self._prepared(x, y)
            else:
                return self._prepared(x, y)
        elif isinstance(y, Variable):
            before_y, a, b = y._node, x, y._data
            kind = type(b)
            if b.dtype not in NUMPY_FLOATS or (type(x) is not float and type(x) is not int):
                return self._prepared(x, y)
            if kind in _SCALARS:
                run = self.run
        else:
            return self.compute(module_of_inputs((x, y)), x, y)
        xp = MODULES[kind]
        try:
            out = run(xp, a, b) if xp is np else elsewhere.run(self, xp, (a, b), _NO_PARAMS)
        except _MISTAKES as error:
            raise self.mistake(error, (a, b)) from error
        result = _new(_variable_class)
        result._data = out
        result._grad = result._name = None
        wants = (before_x is not None) + 2 * (before_y is not None)
        if wants and self.needs and (watching := get_mode()).recording:
            keep = self.keep[wants]
            saved = (
                self.nothing
                if keep is None
                else (out if keep[0] else None, a if keep[1] else None, b if keep[2] else None)
            )
            result._node = node = Node(self, (before_x, before_y), saved, _NO_PARAMS, out)
            if wants != 3 and not out.shape:
                node.constant = a if wants == 2 else b
            if watching.watched:
                watching.observe(node, (x, y), (a, b), out)
        else:
            result._node = None
        return result

    def alike(self, a: Array, b: Array) -> bool:
        """Whether two arrays can be computed with as they are."""
        return (
            a.dtype is b.dtype
            and MODULES[type(a)] is MODULES[type(b)]
            and not (self.floats and a.dtype not in FLOATS)
        )

    def _prepared(self, x: Any, y: Any) -> Any:
        return super().__call__(*(self.prepare((x, y)) or (x, y)))


def same_device(name: str, values: Sequence[Any]) -> None:
    """Refuse arrays that live on different devices, saying which is where; others may be there."""
    places = {i: device_of(v) for i, v in enumerate(values) if type(v) in MODULES}
    if len(set(places.values())) > 1:
        if any(is_traced(v) for v in values if type(v) in MODULES):
            return  # the trace refuses, and says why
        listed = ", ".join(
            f"input {i} {describe(values[i])} on {place}" for i, place in places.items()
        )
        raise RuntimeError(
            f"{name}: inputs are on different devices ({listed}); move them to one with .to(device)"
        )


def module_of_inputs(values: Any) -> Any:
    for value in values:
        if type(value) in MODULES:
            return MODULES[type(value)]
    return np


def _operand(value: Any, gate: Gate) -> Any:
    """An input as a variable, an array or a Python scalar; TypeError names what else it is."""
    if value is None or isinstance(value, Variable) or type(value) in _WEAK:
        return value
    if isinstance(value, np.generic) and value.dtype in DTYPES:  # widens nothing, like Python's
        return value.item()
    if isinstance(value, np.ndarray):
        value = np.asarray(value)
        value = value.astype(value.dtype.newbyteorder("="), copy=False)
    if type(value) in MODULES and value.dtype in DTYPES:
        return value
    if hasattr(value, "__index__") and not hasattr(value, "dtype"):
        return operator.index(value)
    kind = f"array of {value.dtype}" if type(value) in MODULES else type(value).__name__
    raise TypeError(f"{gate.name}: cannot compute with {kind}; expected a tensor or a number")


def describe(value: Any) -> str:
    """A value in an error message: dtype and shape of an array, else itself.

    >>> describe(np.ones((2, 3), np.float32)), describe(0.5)
    ('float32[2, 3]', '0.5')
    """
    if isinstance(value, Variable):
        value = value._data
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}{list(value.shape)}"
    return repr(value)


class LeafGate(Gate):
    """The beginning of a path: a variable that asked for a gradient. It computes nothing."""

    def forward(self, xp: Any) -> Any:
        raise AssertionError("a leaf computes nothing")


class OutputGate(Gate):
    """One of several outputs of the gate before it. The walk hands its gradient on."""

    def forward(self, xp: Any, x: Any, *, index: int) -> Any:
        raise AssertionError("an output computes nothing")


class Cast(Gate):
    """Another dtype, the same values. The walk casts the gradient back."""

    needs: ClassVar = {"x": ""}
    pointwise: ClassVar = True
    passes: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "x"

    def forward(self, xp: Any, x: Any, *, dtype: np.dtype) -> Any:
        return x.astype(dtype)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, dtype: np.dtype) -> Any:
        return grad


leaf = LeafGate()
output = OutputGate()
cast = Cast()
for _structural, _name in ((leaf, "leaf"), (output, "output")):  # they compute nothing
    del Gate.all[_structural.name]
    _structural.name = _name


def needs_gradient(value: Any) -> bool:
    """Whether `value` is a variable whose operations are to be recorded."""
    return isinstance(value, Variable) and value._node is not None


def array_of(value: Any) -> Any:
    """The array inside a variable; any other value as it is."""
    return value._data if isinstance(value, Variable) else value
