"""Calling an operation of the tables, with its tensors on a device: results and gradients."""

from __future__ import annotations

from typing import Any

from drawing import Call, found, made, with_elements
from tables import CALLS

import tapegrad as tg


def of_elements(name: str) -> Call:
    """A call of an operation with something to differentiate by."""
    return with_elements(CALLS[name], tg.tensor)


def parts(result: Any) -> list[tg.Tensor]:
    """The tensors that an operation returned."""
    found = result if isinstance(result, (tuple, list)) else (result,)
    return [part for part in found if isinstance(part, tg.Tensor)]


def gradients(outputs: Any, inputs: Any, create_graph: bool = False) -> list[tg.Tensor]:
    """The gradients there are of outputs, each weighed with ones."""
    if not outputs:
        return []
    ones = [tg.ones_like(part) for part in outputs]
    found = tg.autograd.grad(outputs, inputs, ones, create_graph=create_graph, allow_unused=True)
    return [g for g in found if g is not None]


def count_of_tensors(drawn: Call) -> int:
    """How many tensors a call takes."""
    seen: list[Any] = []
    made((drawn.args, drawn.kwargs), lambda array: seen.append(array) or tg.tensor(array), tg)
    return len(seen)


def on(device: str, name: str, drawn: Call) -> list[tg.Tensor]:
    """The results of a call and its gradients, with the tensors of the call on a device."""
    leaves = []

    def placed(array: Any) -> tg.Tensor:
        leaves.append(tg.tensor(array, device=device))
        return leaves[-1].requires_grad_() if leaves[-1].is_floating_point() else leaves[-1]

    args, kwargs = made((drawn.args, drawn.kwargs), placed, tg)
    results = parts(drawn.of(found(tg, name)(*args, **kwargs)))
    outputs = [part for part in results if part.requires_grad]
    if not outputs or not drawn.order:
        return results
    return results + gradients(outputs, [x for x in leaves if x.requires_grad])
