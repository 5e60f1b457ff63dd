"""Every pointwise gate's CUDA expression computes what its forward does.

A kernel is generated for each gate, each way of calling it and each dtype it takes. The emulator
runs them, and NumPy's forward in float64 says what is right; NVRTC compiles them for two GPUs.
"""

import ctypes
import functools
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gate_calls import Call, calls, wider

from tapegrad.autograd import arrays
from tapegrad.autograd.arrays import FLOATS, HALVES, bfloat16, bool_, float16, float32, float64
from tapegrad.autograd.engine import Gate
from tapegrad.kernels.cuda import compiling, pointwise
from tapegrad.kernels.cuda.launching import Kernel, pointer
from tapegrad.kernels.emulator import EmulatedModule
from tapegrad.kernels.expression import Program, Scalar, ScalarValue, Step, Value

TOLERANCE = {float32: 1e-5, float64: 1e-12, float16: 1e-2, bfloat16: 1e-2}

# Of what size the numbers are that a formula, NumPy's too, subtracts to make a smaller one.
SUBTRACTS = {"gelu": 1, "gelu_tanh": 1, "sinc": 1}

GATES = [
    gate
    for gate in Gate.all.values()
    if gate.pointwise and type(gate).__module__.startswith("tapegrad.")  # not those of other tests
]
CALLS = [call for gate in GATES for call in calls(gate)]
ARGUMENTS = {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "long long": ctypes.c_longlong,
    "unsigned long long": ctypes.c_ulonglong,
}
THREADS = 256
PER_UNIT = 60  # kernels of one translation unit


# Kernels


def program(call: Call, name: str) -> tuple[Program, list[float]]:
    """The program of a call, and the numbers that its kernel is given as arguments."""
    scalars: list[float] = []
    dtypes: list[np.dtype] = []

    def number(value):
        scalars.append(value)
        return ScalarValue(len(scalars) - 1)

    def operand(kind):
        if type(kind) is str:
            dtypes.append({"mask": bool_, "power": np.dtype(int)}.get(kind, call.dtype))
            return Value(len(dtypes) - 1)
        return kind if kind is None or call.gate.name == "pow" else number(kind)

    operands = tuple(map(operand, call.inputs))
    params = {
        key: number(v) if type(v) is float and call.dtype in FLOATS else v
        for key, v in call.params.items()
    }
    step = Step(call.gate, operands, params, call.result)
    places = [Scalar(lambda values, i=i: values[i]) for i in range(len(scalars))]
    return Program(tuple(dtypes), tuple(places), (step,), (len(dtypes),), name), scalars


@functools.cache
def kernel(number: int) -> tuple[Program, list[float], str]:
    """The program of a call, its arguments, and the kernel's text without its headers."""
    made, scalars = program(CALLS[number], f"call_{number}")
    walk = pointwise.Walk(1, 0, ("linear",) * len(made.inputs))
    text = re.sub(r"#include .*\n", "", pointwise.text(made, walk))
    return made, scalars, f"namespace call_{number} {{\n{text}}}\n"


def kernel_name(number: int) -> str:
    return f"call_{number}::{pointwise.kernel_name(kernel(number)[0])}"


def unit(numbers) -> str:
    """Several kernels as one text."""
    headers = {h for n in numbers for h in pointwise.headers(kernel(n)[0])}
    lines = [f'#include "{header}"\n' for header in sorted(headers)]
    return compiling.expand("".join([*lines, *(kernel(n)[2] for n in numbers)]), "gates.cu")


_builders = ThreadPoolExecutor(2)
_modules = {}


def module(number: int) -> EmulatedModule:
    """The module that has the kernel of a call; the next one is built meanwhile."""
    for start in (number // PER_UNIT * PER_UNIT, (number // PER_UNIT + 1) * PER_UNIT):
        numbers = range(start, min(start + PER_UNIT, len(CALLS)))
        if start not in _modules and numbers:
            text, names = unit(numbers), [*map(kernel_name, numbers)]
            _modules[start] = _builders.submit(EmulatedModule, text, names, filename="gates.cu")
    return _modules[number // PER_UNIT * PER_UNIT].result()


def emulated(number: int, given: list[np.ndarray], order: int = 0) -> np.ndarray:
    """What the kernel of a call makes of arrays."""
    made, _, _ = kernel(number)
    out = np.full(given[0].size * made.steps[0].dtype.itemsize, 0xA5, np.uint8)
    arguments = [ctypes.c_void_p(array.ctypes.data) for array in (*given, out)]
    arguments += others(number, given[0].size)
    block = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
    grid = (-(-given[0].size // THREADS), 1, 1)
    module(number).launch(
        kernel_name(number), grid, (THREADS, 1, 1), 0, ctypes.addressof(block), order
    )
    return out.view(made.steps[0].dtype)


def others(number: int, size: int) -> list:
    """The arguments of the kernel of a call that follow the pointers."""
    made, scalars, _ = kernel(number)
    types = [ARGUMENTS[kind] for kind in pointwise.scalar_types(made)]
    numbers = [kind(value) for kind, value in zip(types, scalars, strict=True)]
    return [*numbers, ctypes.c_longlong(size)]


def on_hardware(number: int, given: list[np.ndarray]) -> np.ndarray:
    """The same on a GPU."""
    cupy = arrays.cuda_module()
    made, size = kernel(number)[0], given[0].size
    there = [cupy.asarray(array) for array in given]
    there.append(cupy.full(size * made.steps[0].dtype.itemsize, 0xA5, np.uint8))
    launch = Kernel(unit([number]), kernel_name(number), filename="gates.cu").prepare(
        (-(-size // THREADS), 1, 1),
        (THREADS, 1, 1),
        varying=(ctypes.c_void_p,) * len(there),
        constant=others(number, size),
    )
    launch(*map(pointer, there))
    return there[-1].get().view(made.steps[0].dtype)


# Claims


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_every_pointwise_gate_has_an_expression(gate):
    found = calls(gate)
    assert found
    assert all(gate.cuda_for(call.dtype, dict(call.params)) for call in found)


def test_a_power_of_a_number_is_written_as_products_or_a_root():
    pow_ = Gate.all["pow"]
    assert pow_.cuda_for(float32, {"y": 3}) == "(x * x) * x"
    assert pow_.cuda_for(float32, {"y": 0.5}) == "sqrt(x)"
    assert pow_.cuda_for(float32, {"x": 2}) == "exp2(y)"
    assert pow_.cuda_for(float32, {"y": 2.3}) == pow_.cuda


needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")


@needs_compiler
@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda n: str(CALLS[n]))
def test_a_gates_expression_computes_what_its_forward_does(number):
    call = CALLS[number]
    given = call.arrays()
    assert_right(call, given, emulated(number, given))


@pytest.mark.gpu
@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_gates_expression_computes_on_a_gpu_what_its_forward_does(gate):
    for number, call in enumerate(CALLS):
        if call.gate is gate:
            given = call.arrays()
            assert_right(call, given, on_hardware(number, given))


def assert_right(call, given, out):
    if out.dtype not in FLOATS:
        exact = call.computed(wider(call, given, None) if call.dtype in FLOATS else given)
        assert_same(call, given, out, exact, out == exact)
        return
    right = call.computed(wider(call, given, float64)).astype(float64)
    with np.errstate(over="ignore"):
        right = right.astype(out.dtype).astype(float64)
        own = call.computed(wider(call, given, None)).astype(out.dtype).astype(float64)
    agrees = close(call, out, right) | close(call, out, own)
    assert_same(call, given, out, right, agrees)


@needs_compiler
@pytest.mark.parametrize("order", [1, 7])
@pytest.mark.parametrize("name", ["add", "gelu", "polygamma", "sinc", "gcd"])
def test_a_kernel_computes_the_same_in_any_order_of_its_threads(name, order):
    number = next(n for n, call in enumerate(CALLS) if call.gate.name == name)
    given = CALLS[number].arrays()
    np.testing.assert_array_equal(emulated(number, given, order), emulated(number, given))


@needs_compiler
@pytest.mark.parametrize("name", ["floor_divide", "trunc_divide", "remainder", "fmod"])
def test_whole_numbers_over_zero_stop_no_kernel(name):
    wanted = (name, np.dtype(np.int32), ("x", "x"))
    number = next(n for n, c in enumerate(CALLS) if (c.gate.name, c.dtype, c.inputs) == wanted)
    x = np.array([-7, 0, 7], np.int32)
    assert not emulated(number, [x, np.zeros(3, np.int32)]).any()


def close(call, out, right):
    """Whether results are as near as their dtype allows; infinities and NaN must be the same."""
    tolerance = TOLERANCE[out.dtype]
    limits = np.finfo(np.float32 if out.dtype == bfloat16 else out.dtype)
    floor = max(tolerance * SUBTRACTS.get(call.gate.name, 0), limits.smallest_normal)
    out = out.astype(float64)
    with np.errstate(invalid="ignore", over="ignore"):
        near = abs(out - right) <= tolerance * abs(right) + floor
    return (near & np.isfinite(right)) | (out == right) | (np.isnan(out) & np.isnan(right))


def assert_same(call, given, out, right, agrees):
    wrong = np.flatnonzero(~agrees)[:5]
    shown = [(*(array[i] for array in given), out[i], right[i]) for i in wrong]
    assert not wrong.size, f"{call}: (inputs, result, right) {shown}"


@pytest.mark.parametrize("arch", compiling.ARCHITECTURES)
def test_every_expression_compiles_for_a_gpu_without_spills(arch):
    try:
        compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))
    # Half types are computed with in float32, so that one gate stands for all; and those of float32
    # are compiled with their backward (`test_compile.py`).
    left = (*HALVES, float32)
    numbers = [n for n, c in enumerate(CALLS) if c.dtype not in left or c.gate.name == "add"]
    parts = [numbers[i : i + PER_UNIT] for i in range(0, len(numbers), PER_UNIT)]

    def spilling(part):
        binary = compiling.compiled(unit(part), [*map(kernel_name, part)], arch, "gates.cu")
        taken = compiling.resources(binary).values()
        return [(str(CALLS[n]), r) for n, r in zip(part, taken, strict=True) if r.spills]

    with ThreadPoolExecutor(2) as threads:
        assert [found for some in threads.map(spilling, parts) for found in some] == []
