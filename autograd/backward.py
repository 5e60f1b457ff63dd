"""The walk backwards: visit recorded nodes in descending number, each once, without recursion.

A node's number is larger than those of all its inputs, so when the largest pending number is taken
from the heap, every contribution to its gradient has arrived. Gradients travel as plain arrays;
only under `create_graph` do they travel as variables, and then the gates that a backward is written
with are recorded like any others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from . import engine, versions
from .arrays import (
    DEVICE_TYPES,
    FLOATS,
    MODULES,
    device_of,
    kept_device,
    module_of,
    several_gpus,
    stand_at,
)
from .engine import LARGE, Leaf, cast, describe, elsewhere, leaf, output, wrap
from .errors import ShapeError
from .gates.arithmetic import add
from .gates.broadcasting import sum_to
from .gates.copies import clone
from .memory_formats import copied, is_in, kept_order
from .records import Mode, Node, Variable, get_mode, mode
from .versions import mark_written, written_since


def backward(
    tensors: Variable | Sequence[Variable],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Variable | Sequence[Variable] | None = None,
) -> None:
    """Add to `.grad` of every leaf (or of `inputs` only) the gradient of `tensors`.

    Each output that is not a single element needs its entry in `grad_tensors`, the vector of the
    vector-Jacobian product. What the walk has consumed is freed unless `retain_graph`, which
    defaults to `create_graph`. Threads may walk graphs of their own at once; where they add to the
    same leaf, hold a lock.

    >>> import tapegrad as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> tg.autograd.backward((x * x).sum())
    >>> x.grad
    tensor([2., 4.])
    """
    roots = _roots("backward", tensors, grad_tensors, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        _walk(roots, retain, create_graph, None)
        return
    targets = list({id(target): target for target in _as_list(inputs)}.values())
    if not targets:
        raise RuntimeError("backward: inputs= is empty; name at least one tensor")
    for target, gradient in zip(
        targets, gradients_of("backward", roots, targets, retain, create_graph), strict=True
    ):
        if gradient is not None:
            accumulate(target, gradient, create_graph, own=True)


def grad(
    outputs: Variable | Sequence[Variable],
    inputs: Variable | Sequence[Variable],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, as new tensors; `.grad` is not touched.

    With `create_graph` the gradients are recorded, so that they can be differentiated again, to any
    order. An input the outputs do not depend on is a RuntimeError, or None under `allow_unused`,
    or zeros under `materialize_grads`.

    >>> import tapegrad as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> (dx,) = tg.autograd.grad(x**3, x, create_graph=True)
    >>> dx.item(), tg.autograd.grad(dx, x)[0].item()
    (27.0, 18.0)
    """
    roots = _roots("grad", outputs, grad_outputs, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    targets = _as_list(inputs)
    found = gradients_of("grad", roots, targets, retain, create_graph)
    if materialize_grads:
        allow_unused = True
    results: list[Any] = []
    for position, (target, gradient) in enumerate(zip(targets, found, strict=True)):
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {position} ({describe(target)}); "
                "pass allow_unused=True to get None for it"
            )
        if gradient is None:
            data = target._data
            zeros = module_of(data).zeros(data.shape, data.dtype)
            results.append(wrap(zeros) if materialize_grads else None)
        else:
            if any(target is earlier for earlier in targets[:position]):
                gradient = clone(gradient)
            results.append(gradient if create_graph else wrap(gradient))
    return tuple(results)


def _as_list(tensors: Variable | Sequence[Variable]) -> list[Variable]:
    return [tensors] if isinstance(tensors, Variable) else list(tensors)


def _roots(
    name: str, tensors: Variable | Sequence[Variable], gradients: Any, create_graph: bool
) -> list[tuple[Node, Any]]:
    """The nodes to start from with their gradients, checked."""
    outputs = _as_list(tensors)
    if gradients is None or isinstance(gradients, Variable) or hasattr(gradients, "dtype"):
        given = [gradients] * len(outputs) if gradients is None else [gradients]
    elif isinstance(gradients, (list, tuple)):
        given = list(gradients)
    else:
        raise TypeError(
            f"{name}: the gradient must be a tensor or an array, not {type(gradients).__name__}"
        )
    if len(given) != len(outputs):
        raise RuntimeError(f"{name}: {len(outputs)} outputs but {len(given)} gradients")
    roots = []
    for tensor, gradient in zip(outputs, given, strict=True):
        node = tensor._node
        if node is None:
            raise RuntimeError(
                f"{name}: the tensor {describe(tensor)} was not recorded: nothing it depends on "
                "requires a gradient, or it was computed under no_grad or detached"
            )
        roots.append((node, _seed(name, tensor, gradient, create_graph)))
    return roots


def _seed(name: str, tensor: Variable, gradient: Any, create_graph: bool) -> Any:
    data = tensor._data
    if gradient is None:
        if data.size != 1:
            raise RuntimeError(
                f"{name}: the output has shape {tuple(data.shape)}; only a single element has a "
                "gradient of its own. Reduce it (.sum(), .mean()), or pass its gradient"
            )
        scalar = isinstance(data, np.generic)
        gradient = data.dtype.type(1) if scalar else module_of(data).ones_like(data)
    given = gradient._data if isinstance(gradient, Variable) else gradient
    if type(given) not in MODULES:
        given = gradient = np.asarray(given, dtype=data.dtype)
    if given.shape != data.shape:
        raise RuntimeError(
            f"{name}: the gradient has shape {tuple(given.shape)}, the output {tuple(data.shape)}"
        )
    if device_of(given) != device_of(data):
        raise RuntimeError(
            f"{name}: the gradient is on {device_of(given)} but the output on {device_of(data)}"
        )
    if given.dtype != data.dtype:
        gradient = cast(gradient, dtype=data.dtype)
    if create_graph:
        return gradient if isinstance(gradient, Variable) else wrap(gradient)
    return gradient._data if isinstance(gradient, Variable) else gradient


def gradients_of(
    name: str,
    roots: list[tuple[Node, Any]],
    inputs: list[Variable],
    retain: bool,
    create_graph: bool,
) -> list[Any]:
    """The gradient that arrives at each of `inputs` (None where none does)."""
    captured: dict[int, Any] = {}
    for position, variable in enumerate(inputs):
        if variable._node is None:
            raise RuntimeError(
                f"{name}: input {position} ({describe(variable)}) does not require a gradient; "
                "set requires_grad before computing the outputs"
            )
        captured[variable._node.number] = None
    _walk(roots, retain, create_graph, captured)
    return [captured[variable._node.number] for variable in inputs]  # type: ignore[union-attr]


def reachable(nodes: Iterable[Node], least: int = 0) -> list[Node]:
    """Every node the given ones were computed from, numbers ascending, from `least` on."""
    seen: dict[int, Node] = {}
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node.number < least or node.number in seen:
            continue
        seen[node.number] = node
        stack.extend(node for node in node.inputs if node is not None)
    return [seen[number] for number in sorted(seen)]


def _leading(roots: list[tuple[Node, Any]], targets: dict[int, Any]) -> set[int]:
    """The numbers of the nodes on a path from the roots to a target."""
    leading = set(targets)
    for node in reachable((node for node, _ in roots), min(targets, default=0)):
        if _leads(node, leading):
            leading.add(node.number)
    return leading


def _walk(
    roots: list[tuple[Node, Any]], retain: bool, create_graph: bool, captured: dict[int, Any] | None
) -> None:
    """Carry gradients from the roots to the leaves, or to the nodes numbered in `captured`."""
    # number -> [node, gradient so far, whether the gradient is a buffer of our own]
    pending: dict[int, list[Any]] = {}
    for node, gradient in roots:
        if node.number in pending:
            _meet(pending[node.number], gradient)
        else:
            pending[node.number] = [node, gradient, False]
    wanted = None if captured is None else _leading(roots, captured)
    found = get_mode()
    mode.set(Mode(create_graph, (), found.anomaly))
    try:
        with np.errstate(all="ignore"), kept_device():
            _visit(pending, retain, create_graph, captured, wanted, found.anomaly)
    finally:
        mode.set(found)


def _visit(
    pending: dict[int, list[Any]],
    retain: bool,
    create_graph: bool,
    captured: dict[int, Any] | None,
    wanted: set[int] | None,
    anomaly: bool,
) -> None:
    """Take the pending node of the largest number, until there is none."""
    heap = [-number for number in pending]
    heapify(heap)
    last_write = versions.last_write
    several = several_gpus()
    while heap:
        node, gradient, own = pending.pop(-heappop(heap))
        gate = node.gate
        if several:
            stand_at(gradient)
        if node.notes is not None:
            gradient, own = _attend(node, gradient), False
            last_write = versions.last_write
        if captured is not None and node.number in captured:
            captured[node.number] = gradient if create_graph or own else _private(gradient)
            own = False
        elif gate is leaf:
            variable = node.variable()
            if captured is None and variable is not None and variable._node is not None:
                accumulate(variable, gradient, create_graph, own)
            continue
        if gate is output:
            _hand_over(node, gradient, pending, heap)
            continue
        if wanted is not None and not _leads(node, wanted):
            continue
        if not node.shape:  # scalars keep theirs, to be printed and drawn
            node.grad = gradient._data if create_graph else gradient
            own = False
        saved = node.saved
        if saved is None or create_graph or last_write > node.number or type(gradient) is list:
            saved, gradient = _ready(node, gradient, create_graph)
        try:
            if type(gradient) in DEVICE_TYPES or (
                gate.blocked and type(gradient) is np.ndarray and gradient.size >= LARGE
            ):
                gradients = elsewhere.backward(node, gradient, saved)
            elif node.params:
                gradients = gate.backward(node, gradient, *saved, **node.params)
            else:
                gradients = gate.backward(node, gradient, *saved)
        except Exception as error:
            error.add_note(f"in the backward of {place(node)}")
            raise
        if type(gradients) is not tuple:
            gradients = (gradients,)
        if anomaly or len(gradients) != len(node.inputs):
            _check_result(node, gradients)
        if not retain and node.saved is not gate.nothing:
            node.saved = None
        for before, arriving in zip(node.inputs, gradients):  # noqa: B905 - checked; strict is slow
            if before is None or arriving is None:
                continue
            if arriving.shape != before.shape:
                arriving = fit(node, arriving, before)
            if arriving.dtype is not before.dtype and arriving.dtype != before.dtype:
                arriving = cast(arriving, dtype=before.dtype)
            number = before.number
            entry = pending.get(number)
            if entry is None:
                if wanted is None or number in wanted:
                    ours = gate.fresh or (own and gate.passes)
                    pending[number] = [before, arriving, ours and not create_graph]
                    heappush(heap, -number)
                continue
            if several:
                stand_at(arriving)
            if entry[2] and type(arriving) not in DEVICE_TYPES:
                entry[1] += arriving
            else:  # by a kernel of ours, which knows layouts
                _meet(entry, arriving)


def _leads(node: Node, wanted: set[int]) -> bool:
    """Whether the way to a wanted node goes on through the inputs of this one."""
    return any(before is not None and before.number in wanted for before in node.inputs)


def _meet(entry: list[Any], arriving: Any) -> None:
    """Gradients that meet add up; the sum is a buffer of our own, so that more add in place."""
    entry[1] = _sum(entry[1], arriving)
    entry[2] = not isinstance(arriving, Variable)


def _sum(x: Any, y: Any) -> Any:
    """x + y; on a GPU by the gate's kernel, which costs a fraction of the array library's."""
    return add(x, y) if type(y) in DEVICE_TYPES else x + y


def _hand_over(node: Node, gradient: Any, pending: dict[int, list[Any]], heap: list[int]) -> None:
    """One of several outputs hands its gradient to its gate, which waits for the others'."""
    parent: Node = node.inputs[0]  # type: ignore[assignment]
    if parent.number not in pending:
        heappush(heap, -parent.number)
        pending[parent.number] = [parent, [None] * len(parent.shape), False]
    parts, index = pending[parent.number][1], node.params["index"]
    parts[index] = gradient if parts[index] is None else _sum(parts[index], gradient)


def place(node: Node) -> str:
    """A gate as errors name it: by name, number and, where known, the user's line."""
    recorded = f", recorded at {node.origin}" if node.origin else ""
    return f"gate '{node.gate.name}' (#{node.number}){recorded}"


def _ready(node: Node, gradient: Any, create_graph: bool) -> tuple[tuple[Any, ...], Any]:
    """What a backward is called with, where it is not simply what was saved."""
    saved = node.saved
    if saved is None:
        raise RuntimeError(
            f"backward: {place(node)} was consumed by an earlier backward, which freed the values "
            "it needs. Pass retain_graph=True to that one, or run the forward pass again"
        )
    if versions.last_write > node.number:
        check_overwritten(node, saved)
    if type(gradient) is list:
        gradient = complete(node, gradient, create_graph)
    if create_graph and node.gate.rewraps:
        saved = _rewrapped(node, saved)
    return saved, gradient


def fit(node: Node, gradient: Any, before: Node) -> Any:
    """A gradient of the broadcast shape summed back to the shape of the input."""
    lead = gradient.ndim - len(before.shape)
    if lead < 0 or any(
        n not in (1, m) for n, m in zip(before.shape, gradient.shape[lead:], strict=True)
    ):
        raise RuntimeError(
            f"backward: {place(node)} gave a gradient of shape {tuple(gradient.shape)} to an "
            f"input of shape {tuple(before.shape)}"
        )
    return sum_to(gradient, shape=before.shape)


def complete(node: Node, gradients: list[Any], create_graph: bool) -> list[Any]:
    """Zeros for the outputs that died unused."""
    known = next(g for g in gradients if g is not None)
    xp = module_of(engine.array_of(known))
    for i, gradient in enumerate(gradients):
        if gradient is None:
            zeros = xp.zeros(node.shape[i], node.dtype)
            gradients[i] = wrap(zeros) if create_graph else zeros
    return gradients


def _rewrapped(node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """The saved arrays as variables at their places on the tape, so that reading them records."""
    if saved is node.gate.nothing:
        return saved
    out = saved[0]
    if type(out) is tuple:
        outputs = node.gate.outputs
        if outputs == 1:
            out = (None if out[0] is None else wrap(out[0], node), *out[1:])
        else:
            out = tuple(
                wrap(part, Node(output, (node,), None, {"index": i}, part))
                for i, part in enumerate(out)
            )
    elif type(out) in MODULES:
        out = wrap(out, node)
    values = (
        wrap(value, before) if type(value) in MODULES and value.dtype in FLOATS else value
        for value, before in zip(saved[1:], node.inputs, strict=True)
    )
    return (out, *values)


def _attend(node: Node, gradient: Any) -> Any:
    """Hooks, retained gradients, and those an open tape asked to keep."""
    notes: dict[str, Any] = node.notes  # type: ignore[assignment]
    for hook in list(notes.get("hooks", {}).values()):
        recorded = isinstance(gradient, Variable)
        replaced = hook(gradient if recorded else wrap(gradient))
        if replaced is None:
            continue
        if type(replaced) in MODULES:
            replaced = wrap(replaced)
        if not isinstance(replaced, Variable):
            raise TypeError(
                f"a hook on {place(node)} returned {type(replaced).__name__}; expected a tensor "
                "to replace the gradient, or None to leave it"
            )
        if replaced._data.shape != node.shape:
            raise ShapeError(
                f"a hook on {place(node)} returned {describe(replaced)} for a gradient of shape "
                f"{tuple(node.shape)}"
            )
        if replaced._data.dtype != node.dtype:
            replaced = cast(replaced, dtype=node.dtype)
        gradient = replaced if recorded else replaced._data
    if "kept" in notes:
        node.grad = engine.array_of(gradient)
    if "retained" in notes and (variable := notes["retained"]()) is not None:
        accumulate(variable, gradient, isinstance(gradient, Variable))
    return gradient


def accumulate(variable: Variable, gradient: Any, create_graph: bool, own: bool = False) -> None:
    """Add a gradient to `.grad`, which stays a private, writable array that aliases nothing."""
    before = variable._grad
    if create_graph:
        variable._grad = clone(gradient) if before is None else before + gradient
    elif before is None:
        variable._grad = wrap(_as_the_leaf(gradient, variable._data, own))
    elif before._node is not None:
        variable._grad = wrap(before._data + gradient)
    elif isinstance(before._data, np.generic):
        before._data = before._data + gradient
    else:
        before._data += gradient
        mark_written(before)


def _private(gradient: Any) -> Any:
    if isinstance(gradient, np.generic):
        return gradient
    return module_of(gradient).array(
        gradient, copy=True, order="C" if 0 in gradient.strides else "K"
    )


def _as_the_leaf(gradient: Any, data: Any, own: bool) -> Any:
    """A gradient of our own in the layout of its leaf, so that both are walked in one line."""
    if isinstance(gradient, np.generic):
        return gradient
    if gradient.strides != data.strides:
        order = None if data.flags.c_contiguous else kept_order(data)
        if not (own and is_in(gradient, order)):
            return copied(module_of(gradient), gradient, order)
    return gradient if own else _private(gradient)


def check_overwritten(node: Node, saved: tuple[Any, ...]) -> None:
    names: tuple[str, ...] = ("its output", *(f"its input {n}" for n in node.gate.input_names))
    sources: tuple[Node | None, ...] = (node, *node.inputs)
    if not node.gate.rewraps:
        names, sources = ("a tensor it saved",) * len(saved), (None,) * len(saved)
    for value, what, source in zip(saved, names, sources, strict=False):
        if value is not None and written_since(value, source, node.number):
            raise RuntimeError(
                f"backward: {place(node)} needs {what}, which was overwritten in place after it "
                "was recorded. Write into a clone, or write after backward"
            )


def _check_result(node: Node, gradients: Sequence[Any]) -> None:
    if len(gradients) != len(node.inputs):
        raise RuntimeError(
            f"backward: {place(node)} gave {len(gradients)} gradients for {len(node.inputs)} inputs"
        )
    for gradient in gradients:
        if gradient is not None:
            data = engine.array_of(gradient)
            if bool(module_of(data).isnan(data).any()):
                raise RuntimeError(f"backward: {place(node)} gave NaN")


__all__ = ["Leaf", "backward", "grad", "reachable"]
