"""Shorter steps with the same bits, for what a trace is about to note.

Derivatives turn signs that then turn back: -(-x), x + (-y), (-x) y. Signs are moved outwards until
they meet and cancel; every rule here is exact in floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .engine import Gate
from .gates.arithmetic import add, div, mul, neg, sub

Negated = Callable[[Any], Any]  # what a value is the opposite of, None if it is of nothing


def rewritten(gate: Gate, inputs: Sequence[Any], negated: Negated) -> Any:
    """The value of a gate by a shorter way, None where there is none."""
    if gate is neg:
        return negated(inputs[0])
    if gate not in (add, sub, mul, div):
        return None
    x, y = inputs
    opposite_x, opposite_y = negated(x), negated(y)
    if gate is add:
        if opposite_y is not None:
            return sub(x, opposite_y)
        return None if opposite_x is None else sub(y, opposite_x)
    if gate is sub:
        return None if opposite_y is None else add(x, opposite_y)
    if gate is mul and (x is y) and opposite_x is not None:
        return mul(opposite_x, opposite_x)
    for one, other, swapped in ((x, y, False), (y, x, True)):
        opposite = negated(one)
        if opposite is None:
            continue
        number = type(other) in (int, float)
        moved = -other if number else other
        product = gate(moved, opposite) if swapped else gate(opposite, moved)
        return product if number else neg(product)
    return None
