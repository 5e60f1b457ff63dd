"""Products with Jacobians and Hessians, and the matrices themselves, of functions of tensors.

As in `torch.autograd.functional`: `func` takes tensors and gives a tensor or a tuple of them,
`inputs` is a tensor or a tuple, and the results have the same structure. With `create_graph` the
results can be differentiated again, also with respect to `inputs`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .backward import grad
from .engine import describe, wrap
from .errors import ShapeError
from .modes import enable_grad
from .operations.creation import ones_like, require_gradient, zeros, zeros_like
from .operations.joining import stack
from .operations.shape import reshape
from .records import Variable

Tensors = Any  # a tensor or a tuple of tensors


def vjp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors = None, create_graph: bool = False
) -> tuple[Tensors, Tensors]:
    """(func(inputs), v^T J): the vector-Jacobian product, which one backward gives.

    `v` has the shape of the outputs; it may be left out for a single element.

    >>> import tapegrad as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> tg.autograd.functional.vjp(lambda x: (x * x).sum(), x)
    (tensor(5.), tensor([2., 4.]))
    """
    with enable_grad():
        starts, outputs = _evaluated("vjp", func, inputs, create_graph)
        seeds = _matching("vjp", v, outputs, "outputs")
        gradients = _gradients(outputs, starts, seeds, create_graph)
    return _result(outputs, create_graph), _like(inputs, gradients)


def jvp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors = None, create_graph: bool = False
) -> tuple[Tensors, Tensors]:
    """(func(inputs), J v): the Jacobian-vector product, by differentiating a backward by its seed.

    `v` has the shape of the inputs; it may be left out for a single element.

    >>> import tapegrad as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> tg.autograd.functional.jvp(lambda x: x * x, x, tg.tensor([1.0, 0.0]))[1]
    tensor([2., 0.])
    """
    with enable_grad():
        starts, outputs = _evaluated("jvp", func, inputs, create_graph)
        directions = _matching("jvp", v, starts, "inputs")
        seeds = [require_gradient(wrap(zeros_like(output)._data)) for output in outputs]
        pulled = _gradients(outputs, starts, seeds, True)
        recorded = [(g, d) for g, d in zip(pulled, directions, strict=True) if g._node is not None]
        pushed: list[Any] = [zeros_like(output) for output in outputs]
        if recorded:
            pulled, directions = map(list, zip(*recorded, strict=True))
            pushed = _gradients(pulled, seeds, directions, create_graph)
    return _result(outputs, create_graph), _single(outputs, pushed)


def jacobian(func: Callable[..., Tensors], inputs: Tensors, create_graph: bool = False) -> Tensors:
    """The Jacobian of every output by every input, of shape (*output, *input), row by row.

    A tuple of outputs gives a tuple, and a tuple of inputs a tuple within.

    >>> import tapegrad as tg
    >>> tg.autograd.functional.jacobian(lambda x: x * x, tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    with enable_grad():
        starts, outputs = _evaluated("jacobian", func, inputs, create_graph)
        blocks = []
        for output in outputs:
            shape, rows = output._data.shape, []
            for position in range(math.prod(shape)):
                seed = zeros_like(output)
                seed.data.reshape(-1)[position] = 1
                rows.append(_gradients([output], starts, [seed], create_graph))
            if rows:
                columns = [stack(column) for column in zip(*rows, strict=True)]
            else:
                columns = [zeros(0, *s.shape, dtype=s.dtype, device=s.device) for s in starts]
            columns = [reshape(c, (*shape, *c.shape[1:])) for c in columns]
            blocks.append(_like(inputs, columns))
    return _single(outputs, blocks)


def hessian(func: Callable[..., Any], inputs: Tensors, create_graph: bool = False) -> Tensors:
    """The second derivatives of a function of one element, of shape (*input, *input).

    >>> import tapegrad as tg
    >>> tg.autograd.functional.hessian(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*starts: Any) -> Tensors:
        output = _one("hessian", func(*starts))
        gradients = _gradients([output], list(starts), [ones_like(output)], True)
        return _like(inputs, gradients)

    return jacobian(gradient, inputs, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False
) -> tuple[Any, Tensors]:
    """(func(inputs), v^T H) of a function of one element, by a backward of a backward.

    >>> import tapegrad as tg
    >>> x, v = tg.tensor([1.0, 2.0]), tg.tensor([1.0, 1.0])
    >>> tg.autograd.functional.vhp(lambda x: (x**3).sum(), x, v)[1]
    tensor([ 6., 12.])
    """
    with enable_grad():
        starts, outputs = _evaluated("vhp", func, inputs, create_graph)
        output = _one("vhp", outputs[0] if len(outputs) == 1 else outputs)
        directions = _matching("vhp", v, starts, "inputs")
        first = _gradients([output], starts, [ones_like(output)], True)
        recorded = [(g, d) for g, d in zip(first, directions, strict=True) if g._node is not None]
        second: list[Any] = [zeros_like(start) for start in starts]
        if recorded:
            first, directions = map(list, zip(*recorded, strict=True))
            second = _gradients(first, starts, directions, create_graph)
    return _result([output], create_graph), _like(inputs, second)


def hvp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False
) -> tuple[Any, Tensors]:
    """(func(inputs), H v) of a function of one element. A Hessian is symmetric: the same as `vhp`.

    >>> import tapegrad as tg
    >>> x, v = tg.tensor([1.0, 2.0]), tg.tensor([1.0, 0.0])
    >>> tg.autograd.functional.hvp(lambda x: (x**3).sum(), x, v)[1]
    tensor([6., 0.])
    """
    return vhp(func, inputs, v, create_graph)


def _evaluated(
    name: str, func: Callable[..., Tensors], inputs: Tensors, create_graph: bool
) -> tuple[list[Any], list[Any]]:
    """The inputs as the start of a graph of their own, and the outputs of the function there."""
    starts = []
    for given in inputs if isinstance(inputs, tuple) else (inputs,):
        if not isinstance(given, Variable):
            raise TypeError(f"{name}: inputs must be tensors, got {type(given).__name__}")
        if create_graph and given._node is not None:
            starts.append(reshape(given, given._data.shape))
        else:
            starts.append(require_gradient(wrap(given._data)))
    outputs = func(*starts)
    listed = list(outputs) if isinstance(outputs, tuple) else [outputs]
    for output in listed:
        if not isinstance(output, Variable):
            raise TypeError(f"{name}: the function gave {describe(output)}, expected a tensor")
    return starts, listed


def _matching(name: str, v: Tensors, values: list[Any], what: str) -> list[Any]:
    """`v` as a list of tensors of the shapes of `values`; ones for a single element."""
    if v is None:
        if len(values) != 1 or values[0]._data.size != 1:
            raise RuntimeError(f"{name}: v may be left out only where the {what} are one element")
        return [ones_like(values[0])]
    listed = list(v) if isinstance(v, tuple) else [v]
    if len(listed) != len(values) or any(
        given.shape != value.shape for given, value in zip(listed, values, strict=True)
    ):
        shown, wanted = ", ".join(map(describe, listed)), ", ".join(map(describe, values))
        raise ShapeError(f"{name}: v ({shown}) must have the shapes of the {what} ({wanted})")
    return listed


def _gradients(
    outputs: list[Any], inputs: list[Any], seeds: list[Any], create_graph: bool
) -> list[Any]:
    """Gradients with zeros where nothing depends; outputs without a place on the tape add none.

    The graph is kept: it belongs to the call, which may walk it again, and goes when that returns.
    """
    recorded = [(o, s) for o, s in zip(outputs, seeds, strict=True) if o._node is not None]
    if not recorded:
        return [zeros_like(tensor) for tensor in inputs]
    outs, given = zip(*recorded, strict=True)
    return list(
        grad(
            outs,
            inputs,
            given,
            retain_graph=True,
            create_graph=create_graph,
            materialize_grads=True,
        )
    )


def _one(name: str, output: Any) -> Any:
    if not isinstance(output, Variable) or output._data.size != 1:
        raise RuntimeError(f"{name}: the function must give a single element, not {output!r}")
    return output


def _single(outputs: list[Any], results: list[Any]) -> Tensors:
    """One result for one output, a tuple for several."""
    return results[0] if len(outputs) == 1 else tuple(results)


def _like(inputs: Tensors, results: list[Any]) -> Tensors:
    """Results in the structure of the inputs."""
    return tuple(results) if isinstance(inputs, tuple) else results[0]


def _result(outputs: list[Any], create_graph: bool) -> Tensors:
    return _single(outputs, outputs if create_graph else [output.detach() for output in outputs])
