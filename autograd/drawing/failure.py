"""Recording a function that may fail half-way: what came before the failure is still a graph."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.records import Variable
from tapegrad.autograd.tape import Tape

from .graph import Failure, Graph, read


def recorded(function: Callable[..., Any], inputs: tuple[Any, ...], names: Any = None) -> Graph:
    """The graph of `function(*inputs)`; with the failure in it, where it raises one."""
    failure, output = None, None
    with Tape() as tape:
        try:
            output = function(*inputs)
        except Exception as error:
            failure = _failure(error)
    if hasattr(function, "named_parameters"):
        names = {**dict(function.named_parameters()), **(names or {})}
    tensors = _tensors(output)
    if failure is None and not len(tape):
        raise RuntimeError(
            f"draw: {getattr(function, '__name__', type(function).__name__)} recorded nothing; "
            "call it on tensors that require a gradient"
        )
    graph = read(tape, names)
    for tensor in tensors:
        for wire in graph.wires:
            if tensor._node is not None and wire.number == tensor._node.number:
                wire.value = tensor._data
    if failure is not None:
        graph.failure = failure
    return graph


def _tensors(output: Any) -> list[Variable]:
    if isinstance(output, Variable):
        return [output]
    if isinstance(output, (list, tuple)):
        return [tensor for part in output for tensor in _tensors(part)]
    return []


def _failure(error: BaseException) -> Failure:
    """The operation that raised, and the tensors it was given."""
    frame, found = error.__traceback__, None
    while frame is not None:
        if frame.tb_frame.f_globals.get("__name__", "").startswith(
            ("tapegrad.autograd.operations", "tapegrad.autograd.engine", "tapegrad.nn.functional")
        ):
            found = frame.tb_frame
            break
        frame = frame.tb_next
    name = type(error).__name__ if found is None else found.f_code.co_name
    given = _given(found)
    if found is not None and name.startswith("__"):
        name = getattr(found.f_locals.get("self"), "name", name)
    return Failure(
        name,
        str(error),
        [tensor._node.number for tensor in given if tensor._node is not None],
        [describe(tensor) for tensor in given],
    )


def _given(frame: FrameType | None) -> list[Variable]:
    """The tensors among the arguments of a frame, in order."""
    if frame is None:
        return []
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)
    return _tensors([frame.f_locals.get(name) for name in code.co_varnames[:count]])
