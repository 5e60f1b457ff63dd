"""`Function`: a gate of the user's own, in PyTorch's form of a forward and a backward on tensors.

Inside, the forward is not recorded; the backward is, under `create_graph`, so that a function whose
backward is made of tensor operations can be differentiated again.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .arrays import FLOATS, is_array
from .engine import Gate, array_of, describe, output, wrap
from .modes import no_grad
from .records import Node, Variable, get_mode


class Context:
    """What the forward of a `Function` leaves for its backward. Attributes may be set freely."""

    needs_input_grad: tuple[bool, ...]
    _saved: tuple[Variable, ...] = ()
    _constant: tuple[Variable, ...] = ()
    _places: list[tuple[str, int]]
    _tensors: tuple[Any, ...] | None = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs or outputs; overwriting one before backward is then an error."""
        for tensor in tensors:
            if not isinstance(tensor, Variable) and tensor is not None:
                raise TypeError(f"save_for_backward: expected tensors, got {describe(tensor)}")
        self._saved = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say which outputs carry no gradient (those that are not floating carry none anyway)."""
        self._constant = outputs

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors saved, in order; to be read in backward."""
        if self._tensors is None:
            raise RuntimeError("saved_tensors: there are none outside backward")
        return self._tensors


class Function:
    """A differentiable function with a backward of your own. Call it by `apply`.

    Write two static methods: `forward(ctx, *args)` gives a tensor or a tuple of them, and
    `backward(ctx, *grad_outputs)` gives a gradient, or None, for each argument of the forward.

    >>> import tapegrad as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    _gate: ClassVar[FunctionGate]

    def __init_subclass__(cls) -> None:
        cls._gate = FunctionGate(cls)

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """The value, computed with tensors and not recorded."""
        raise NotImplementedError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of every argument from those of the outputs."""
        raise NotImplementedError("a Function defines backward(ctx, *grad_outputs)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run the forward and leave one step on the tape."""
        return cls._gate(*args)


class FunctionGate(Gate):
    """The gate behind a `Function`: it keeps what the forward saved and calls the backward."""

    rewraps: ClassVar = False
    outputs: ClassVar = None

    def __init__(self, function: type[Function]) -> None:
        super().__init__()
        del Gate.all[self.name]
        self.name, self.function = function.__name__, function

    def forward(self, xp: Any, *inputs: Any, context: Any) -> Any:
        """The function on arrays, as a check of the tape runs it again."""
        with no_grad():
            args = (wrap(value) if is_array(value) else value for value in inputs)
            outputs = self.function.forward(Context(), *args)
        return tuple(map(array_of, outputs)) if isinstance(outputs, tuple) else array_of(outputs)

    def __call__(self, *args: Any, **params: Any) -> Any:
        nodes = tuple(arg._node if isinstance(arg, Variable) else None for arg in args)
        context = Context()
        context.needs_input_grad = tuple(node is not None for node in nodes)
        with no_grad():
            outputs = self.function.forward(context, *args)
        several = isinstance(outputs, tuple)
        listed = outputs if several else (outputs,)
        for value in listed:
            if not isinstance(value, Variable):
                raise TypeError(f"{self.name}: forward gave {describe(value)}, expected a tensor")
        if not any(context.needs_input_grad) or not get_mode().recording:
            return outputs
        data = tuple(value._data for value in listed)
        saved = tuple(array_of(tensor) for tensor in context._saved)
        node = Node(self, nodes, saved or self.nothing, {"context": context}, data[0])
        # Where each saved tensor stands on the tape: at an argument, at an output, or nowhere.
        context._places = [_place_of(tensor, args, listed) for tensor in context._saved]
        constant = [
            value._data.dtype not in FLOATS or any(value is c for c in context._constant)
            for value in listed
        ]
        context._saved = context._constant = ()
        get_mode().observe(node, args, [array_of(arg) for arg in args], data[0])
        if not several:
            return wrap(data[0], None if constant[0] else node)
        node.shape, node.value = tuple(part.shape for part in data), None
        return tuple(
            wrap(part) if fixed else wrap(part, Node(output, (node,), None, {"index": index}, part))
            for index, (part, fixed) in enumerate(zip(data, constant, strict=True))
        )

    def backward(self, node: Node, grad: Any, *saved: Any, context: Any) -> Any:
        recorded = get_mode().recording
        tensors = []
        for array, (kind, index) in zip(saved, context._places, strict=False):
            place = None
            if recorded and kind == "input":
                place = node.inputs[index]
            elif recorded and kind == "output":
                several = isinstance(grad, list)
                place = Node(output, (node,), None, {"index": index}, array) if several else node
            tensors.append(None if array is None else wrap(array, place))
        context._tensors = tuple(tensors)
        grads = grad if isinstance(grad, list) else [grad]
        try:
            result = self.function.backward(
                context, *(g if isinstance(g, Variable) else wrap(g) for g in grads)
            )
        finally:
            context._tensors = None
        result = result if isinstance(result, tuple) else (result,)
        return result if recorded else tuple(map(array_of, result))


def _place_of(tensor: Any, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> tuple[str, int]:
    for kind, values in (("input", args), ("output", outputs)):
        for index, value in enumerate(values):
            if value is tensor:
                return kind, index
    return "constant", 0
