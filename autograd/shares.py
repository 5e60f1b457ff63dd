"""What one gate hands back to each of its inputs: the backward of a single step, on request.

The walk in `backward.py` does this for a whole graph at once and keeps no shares. Explanations and
profiles need them one by one, also after the walk has freed what it read: a scalar's derivative is
then put together again from the numbers that its neighbours still know.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import versions
from .arrays import MODULES
from .backward import check_overwritten, complete, fit, place
from .engine import Leaf, cast
from .modes import no_grad
from .records import Node


def hand_back(node: Node, gradient: Any, saved: tuple[Any, ...] | None = None) -> list[Any]:
    """The share of `gradient` that each input of a node receives; None where it wants none.

    `gradient` is an array, of a gate with several outputs a list of them (None for some). `saved`
    is what the backward reads, and defaults to what the node has kept or can put together.
    """
    if saved is None:
        saved = saved_of(node)
    if type(gradient) is list:
        gradient = complete(node, list(gradient), False)
    with np.errstate(all="ignore"), no_grad():
        found = node.gate.backward(node, gradient, *saved, **node.params)
        shares: list[Any] = []
        for before, share in zip(
            node.inputs, found if type(found) is tuple else (found,), strict=True
        ):
            if before is None or share is None:
                shares.append(None)
                continue
            if share.shape != before.shape:
                share = fit(node, share, before)
            shares.append(cast(share, dtype=before.dtype) if share.dtype != before.dtype else share)
    return shares


def saved_of(node: Node) -> tuple[Any, ...]:
    """What the backward of a node reads: as kept or, of scalars, put together from what is known.

    RuntimeError where it was freed, or overwritten in place.
    """
    saved = _rebuilt(node) if node.saved is None else node.saved
    if versions.last_write > node.number:
        check_overwritten(node, saved)
    return saved


def read_by(node: Node, out: Any, inputs: list[Any]) -> tuple[Any, ...]:
    """What the gate of a node keeps, of its output and inputs, for the gradients it is to give."""
    gate = node.gate
    wants = sum(1 << i for i, before in enumerate(node.inputs) if before is not None)
    row = None if gate.variadic else gate.keep[wants]
    if row is None:
        return gate.nothing
    values = ((None, *out[1:]) if gate.extra else out, *inputs)
    return tuple(v if kept else None for v, kept in zip(values, row, strict=True))


def _rebuilt(node: Node) -> tuple[Any, ...]:
    gate = node.gate
    if gate.rewraps and not gate.variadic and not gate.extra:
        wants = sum(1 << i for i, before in enumerate(node.inputs) if before is not None)
        values = (node.value, *(_number_in(node, before) for before in node.inputs))
        row = gate.keep[wants] or (False,) * len(values)
        saved = tuple(v if kept else None for v, kept in zip(values, row, strict=True))
        if all(v is not None for v, kept in zip(saved, row, strict=True) if kept):
            return saved
    raise RuntimeError(
        f"{place(node)} was consumed by backward, which freed the values its derivative needs: "
        "ask before calling backward, or call backward(retain_graph=True)"
    )


def _number_in(node: Node, before: Node | None) -> Any:
    """The number that came in from `before`, or from outside; None where it is not certain."""
    if before is None:
        return node.constant
    if isinstance(before, Leaf) and before.value is not None:
        variable = before.variable()
        data = before.value if variable is None else variable._data
        if type(data) not in MODULES or data.shape or not bool(data == before.value):
            return None  # it was given other data, before or after the step
    return before.value
