"""The kernels that the generator writes for pointwise gates and for fused functions.

They come from the calls a user makes: gates run forward and backward on the stand-in for CuPy, with
a back end that keeps every kernel it is asked for and runs none.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import standin
from gate_calls import Call, calls

import tapegrad as tg
from tapegrad.autograd import arrays
from tapegrad.autograd.arrays import FLOATS, bfloat16, float16, float32, float64
from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Variable
from tapegrad.kernels.cuda.launching import Kernel, Run, use_backend
from tapegrad.kernels.emulator.blas import EmulatedBlas

ROWS, COLUMNS = 4, 16  # a row is whole accesses of 16 bytes at every dtype

# Gates that are compiled at every dtype they take; the others in float32, in which half types are
# computed too. (`tests/kernels/test_cuda_gates.py` compiles the expressions of all in all others.)
AT_EVERY_DTYPE = ("add", "gelu", "where")


class Collecting:
    """A back end that keeps kernels instead of running them."""

    def __init__(self) -> None:
        self.kernels: dict[tuple[str, str], Kernel] = {}

    def prepare(self, kernel: Kernel, *_: object) -> Run:
        self.kernels.setdefault((kernel.text, kernel.name), kernel)
        return lambda address: None

    def device(self) -> int:
        return 0

    def architecture(self) -> str:
        return "sm_80"

    def host_memory(self, size: int) -> bytearray:
        return bytearray(size)

    def blas(self) -> EmulatedBlas:
        return EmulatedBlas()

    def blas_lt(self) -> None:
        return None

    def stopwatch(self) -> None:
        return None


@contextlib.contextmanager
def collecting() -> Iterator[dict[tuple[str, str], Kernel]]:
    """The kernels that everything inside the block asks for, by text and name."""
    backend = Collecting()
    with pytest.MonkeyPatch.context() as patch, use_backend(backend):
        standin.put(lambda name, module: patch.setitem(sys.modules, name, module))
        try:
            yield backend.kernels
        finally:
            arrays.MODULES.pop(standin.FakeArray, None)


def generated() -> list[Kernel]:
    """Every pointwise gate forward and backward, and fused functions in every walk."""
    with collecting() as kernels:
        for gate in Gate.all.values():
            if gate.pointwise and type(gate).__module__.startswith("tapegrad."):
                for call in calls(gate):
                    if call.dtype == float32 or gate.name in AT_EVERY_DTYPE:
                        run(call)
        for dtype in (float32, float16, bfloat16, float64):
            for function, inputs in lines(dtype):
                differentiated(tg.fused(function), inputs)
        for dtype in (float32, float16):
            for inputs in walks(dtype):
                differentiated(tg.fused(mixture), inputs)
    return [kernel for kernel in kernels.values() if kernel.name.startswith("fused_")]


def run(call: Call) -> None:
    """A gate's call on the device, forward and backward."""
    rest = iter(call.arrays())
    inputs = [on_device(next(rest)) if type(kind) is str else kind for kind in call.inputs]
    differentiated(lambda *tensors: call.gate(*tensors, **call.params), inputs)


def differentiated(function, inputs) -> None:
    """A function of tensors and numbers, and the gradients of what can be differentiated."""
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    outputs = [out for out in outputs if isinstance(out, Variable) and out.requires_grad]
    if outputs:
        tg.autograd.backward(outputs, [tg.ones_like(out) for out in outputs])


def on_device(column: np.ndarray) -> tg.Tensor:
    """A column of elements as an array of whole accesses."""
    values = np.resize(column, (ROWS, COLUMNS))
    return tg.tensor(values, device="cuda", requires_grad=values.dtype in FLOATS)


def mixture(x, y):
    return tg.tanh(x * y) + tg.where(x > y, x, y * 0.3)


def chain(x):
    for _ in range(3):
        x = tg.sigmoid(x * 1.5) * tg.exp(-x) + tg.log1p(x * x)
    return x


def several(x, y, rate=0.5):
    return x - rate * y, tg.sqrt(x * x + y * y), x > y


def lines(dtype):
    """Fused functions of whole arrays, which are walked in one line."""
    x, y = (on_device(np.linspace(-2, 2, 7).astype(dtype)) for _ in range(2))
    yield chain, (x,)
    yield several, (x, y)


def walks(dtype):
    """Two inputs in all the other ways that arrays are walked."""
    x, y = (on_device(np.linspace(-2, 2, 7).astype(dtype)) for _ in range(2))
    cube = tg.ones(2, 3, COLUMNS, device="cuda", dtype=dtype, requires_grad=True)
    yield x.reshape(-1)[1:], y.reshape(-1)[1:]  # unaligned
    yield x, y[0, 0]  # one for all
    yield x, y[0]  # rows side by side
    yield x, y[:, :1]  # columns, one for a row
    yield x[:, :1], y[0]
    yield x, y.reshape(COLUMNS, ROWS).T  # one by one
    yield x[:, ::2], y[:, 1::2]
    yield cube, cube.reshape(3, 2, COLUMNS).transpose(0, 1)  # in three dimensions
    yield cube[:, :, 1:], y[0, 1:]  # ragged rows
