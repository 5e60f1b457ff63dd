"""Calls of what rearranges elements."""

from __future__ import annotations

from collections.abc import Callable

from drawing import Call, Draw, call


def reshape_as(d: Draw) -> Call:
    shape = d.shape()
    return call(d.tensor(shape), d.tensor(shape[::-1]))


CALLS: dict[str, Callable[[Draw], Call]] = {
    "expand_as": lambda d: call(d.tensor((1,)), d.tensor(d.shape(1))),
    "reshape_as": reshape_as,
}
