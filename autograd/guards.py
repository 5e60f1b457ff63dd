"""Around gates on a GPU: their device is made current, and memory that ran out is tried again.

CuPy computes on the current device, where the arrays of a gate need not be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from . import arrays
from .arrays import DEVICE_TYPES
from .engine import Gate
from .out_of_memory import OutOfMemoryError, retry
from .records import Node


def forward(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run(gate, xp, inputs, params)`, guarded."""

    def guarded(gate: Gate, xp: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
        try:
            if not arrays.several_gpus():
                return run(gate, xp, inputs, params)
            with _where(inputs, gate):
                return run(gate, xp, inputs, params)
        except MemoryError as error:
            on_gpu = getattr(xp, "ndarray", None) in DEVICE_TYPES
            if isinstance(error, OutOfMemoryError) or not on_gpu:
                raise
        with _where(inputs, gate):
            return retry(f"gate '{gate.name}'", run, gate, xp, inputs, params)

    return guarded


def backward(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run(node, grad, saved)`, guarded; the walk has made the device current."""

    def guarded(node: Node, grad: Any, saved: Sequence[Any]) -> Any:
        try:
            return run(node, grad, saved)
        except MemoryError as error:
            if isinstance(error, OutOfMemoryError):
                raise
        return retry(f"the backward of gate '{node.gate.name}'", run, node, grad, saved)

    return guarded


def _where(inputs: Sequence[Any], gate: Gate) -> AbstractContextManager[Any]:
    """The context of the device on which the inputs are; RuntimeError if they are on several."""
    found = None
    for value in inputs:
        if type(value) in DEVICE_TYPES:
            if found is None:
                found = value.device
            elif value.device.id != found.id:
                gate.check_devices(list(inputs))
    return nullcontext() if found is None or found.id == arrays.current_index() else found
