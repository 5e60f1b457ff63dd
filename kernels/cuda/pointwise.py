"""One CUDA kernel from a pointwise program: the text is generated, the launches are kept.

Every step becomes one line of a function that computes one element; around it a loop reads and
writes 16 bytes at a time where the arrays allow it. Arrays of any strides are walked in as few
dimensions as they have between them; broadcast ones repeat by a stride of 0. Numbers are arguments
of the kernel, so that a new value compiles nothing.
"""

from __future__ import annotations

import ctypes
import math
import re
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tapegrad.kernels.expression import (
    FusionError,
    Program,
    ScalarValue,
    Step,
    Value,
    compact,
)
from tapegrad.kernels.strides import broadcast_strides, collapse, filled, order_in_memory

from .compiling import expand
from .launching import Kernel

Array = Any
Ints = tuple[int, ...]

THREADS = 256
FEWEST_BLOCKS = 1  # at a time per multiprocessor; unless told, ptxas spills to make room for more
MOST_BLOCKS = 1 << 16
MOST_PLANS = 1 << 12  # that a program keeps, where shapes never repeat
ACCESS_BYTES = 16  # the widest load and store there is

STORED = {
    "bool": "bool",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float",
    "float64": "double",
}
_WHOLE = "unsigned long long"
# Whole numbers that are compared as `long long`, with numbers that they cannot hold themselves.
_WITHIN_64 = {STORED[f"{sign}int{bits}"] for sign in ("", "u") for bits in (8, 16, 32)}
_ARGUMENTS = {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "long long": ctypes.c_longlong,
    _WHOLE: ctypes.c_ulonglong,
}


def stored_type(dtype: np.dtype) -> str:
    """The C++ type of an array's elements."""
    return STORED[dtype.name]


def computed_type(dtype: np.dtype) -> str:
    """The C++ type in which values of a dtype are computed with."""
    return "float" if dtype.name in ("float16", "bfloat16") else STORED[dtype.name]


def conversion(kind: str) -> str:
    """A type as it stands before `(x)` to convert: `float(x)`, but `(long long)(x)`."""
    return f"({kind})" if " " in kind or kind == "short" else kind


# From steps to C++


def literal(value: Any, kind: str) -> str:
    """A Python number as a C++ literal of a type.

    >>> literal(0.1, "float"), literal(-2, "double"), literal(float("inf"), "float")
    ('0.1f', '(-2.0)', '__int_as_float(0x7f800000)')
    >>> literal(3, "int"), literal(3, "signed char")
    ('3', '((signed char)3)')
    """
    if kind == "bool" or isinstance(value, bool):
        return "true" if value else "false"
    if kind not in ("float", "double"):
        whole = int(value)
        if whole == -(2**63):
            return "(-9223372036854775807LL - 1)"
        text = f"{whole}" + ("" if abs(whole) < 2**31 else "LL" if whole < 2**63 else "ULL")
        text = f"({text})" if whole < 0 else text
        return text if kind == "int" else f"({conversion(kind)}{text})"
    single = kind == "float"
    with np.errstate(over="ignore"):
        number: Any = np.float32(value) if single else np.float64(value)
    if not np.isfinite(number):
        bits = int(number.view(np.uint32 if single else np.uint64))
        return f"__int_as_float({bits:#x})" if single else f"__longlong_as_double({bits:#x}LL)"
    text = str(number)
    text += "" if any(mark in text for mark in ".e") else ".0"
    text += "f" if single else ""
    return f"({text})" if text.startswith("-") else text


def scalar_types(program: Program) -> list[str]:
    """The C++ types of a program's scalars: double where a step wants it, float or long long."""
    found: list[set[str]] = [set() for _ in program.scalars]
    for step in program.steps:
        kind = _arguments_type(program, step)
        for name, what in [*(("", o) for o in step.operands), *step.params.items()]:
            if type(what) is ScalarValue:
                real = kind in ("float", "double")
                other = "long long" if program.scalars[what.number].whole else "double"
                whole = name in step.gate.wholes
                found[what.number].add(_WHOLE if whole else kind if real else other)
    order = (_WHOLE, "double", "float", "long long")
    return [next((t for t in order if t in kinds), "float") for kinds in found]


def argument_types(program: Program) -> list[Any]:
    """The ctypes types of a program's scalars."""
    return [_ARGUMENTS[t] for t in scalar_types(program)]


def _arguments_type(program: Program, step: Step) -> str:
    """The type in which a step computes: that of the inputs its gate brings to one dtype."""
    return computed_type(np.result_type(*_promoted(program, step) or [step.dtype]))


def _promoted(program: Program, step: Step) -> list[np.dtype]:
    """The dtypes in which the inputs that a gate brings to one dtype are computed with."""
    pairs = zip(step.operands, step.gate.promoted, strict=False)
    found = [program.dtype(o.number) for o, counts in pairs if counts and type(o) is Value]
    return [np.dtype(np.float32) if computed_type(d) == "float" else d for d in found]


def _line(program: Program, step: Step, number: int, scalars: Sequence[str]) -> str:
    """The statement of one step."""
    kind = _arguments_type(program, step)
    names: dict[str, str] = {"T": conversion(kind), "R": conversion(computed_type(step.dtype))}

    def spelled(what: Any, wanted: str) -> str:
        if type(what) is Value:
            text = f"v{what.number}"
            return f"{conversion(kind)}({text})" if mixed and what.number in of_kind else text
        if type(what) is ScalarValue:
            text = f"s{what.number}"
            return text if scalars[what.number] == wanted else f"{conversion(wanted)}({text})"
        return literal(what, wanted)

    pairs = zip(step.operands, step.gate.promoted, strict=False)
    of_kind = {o.number for o, counts in pairs if counts and type(o) is Value}
    mixed = len(set(_promoted(program, step))) > 1
    params: dict[str, Any] = {}
    for name, what in zip(step.gate.input_names, step.operands, strict=True):
        if what is None:
            params[name] = None
        else:
            if type(what) in (int, float):
                params[name] = what  # a gate may know a shorter way for it
            beyond = step.gate.compares and type(what) in (ScalarValue, int)
            names[name] = spelled(what, "long long" if beyond and kind in _WITHIN_64 else kind)
    for name, what in step.params.items():
        params[name] = what
        if type(what) in (ScalarValue, bool, int, float):
            real = kind if kind in ("float", "double") else "double"
            whole = _WHOLE if name in step.gate.wholes else "int" if type(what) is int else real
            names[name] = spelled(what, whole)
    first = next((program.dtype(o.number) for o in step.operands if type(o) is Value), step.dtype)
    text = step.gate.cuda_for(first, params)
    if not text:
        raise FusionError(f"'{step.gate.name}' has no CUDA expression, so no kernel can contain it")
    text = re.sub(r"\b[A-Za-z_]\w*\b", lambda m: names.get(m[0], m[0]), text)
    return f"    const {computed_type(step.dtype)} v{number} = {text};"


def headers(program: Program) -> list[str]:
    """The files that the expressions of a program need."""
    return sorted({"types.cuh", *(h for step in program.steps for h in step.gate.headers)})


def element_function(program: Program) -> str:
    """The C++ function `element`: from one element of each input, one of each output."""
    count = len(program.inputs)
    scalars = scalar_types(program)
    given = [f"const {computed_type(d)} v{i}" for i, d in enumerate(program.inputs)]
    given += [f"const {t} s{i}" for i, t in enumerate(scalars)]
    given += ["const unsigned long long index"]
    given += [f"{stored_type(program.dtype(n))}& r{i}" for i, n in enumerate(program.outputs)]
    lines = [f"static __device__ __forceinline__ void element({', '.join(given)}) {{"]
    lines += [_line(program, s, n, scalars) for n, s in enumerate(program.steps, count)]
    lines += [
        f"    r{i} = store<{stored_type(program.dtype(n))}>(v{n});"
        for i, n in enumerate(program.outputs)
    ]
    return "\n".join([*lines, "}"])


# Around it: how arrays are walked


class Walk(NamedTuple):
    """What of the arrays' layouts is part of a kernel's text.

    width   how many elements a thread computes at a time
    dims    in how many dimensions the arrays are walked; 0 where one index is for all
    kinds   for each input, how a thread reads its elements: "linear" at the index itself,
            "splat" one for all, "vector" side by side, "gather" one by one
    counts  whether the elements are counted in another order than that of the walk, by one more
            row of strides
    """

    width: int
    dims: int
    kinds: tuple[str, ...]
    counts: bool = False


def _parameters(program: Program, walk: Walk) -> list[str]:
    parameters = [
        f"const {stored_type(d)}* __restrict__ x{i}" for i, d in enumerate(program.inputs)
    ]
    parameters += [
        f"{stored_type(program.dtype(n))}* __restrict__ y{i}" for i, n in enumerate(program.outputs)
    ]
    parameters += [f"{t} s{i}" for i, t in enumerate(scalar_types(program))]
    parameters += ["long long n"]
    return parameters + (["Layout layout"] if walk.dims else [])


def _reads(program: Program, walk: Walk) -> tuple[list[str], list[str]]:
    """How a thread reads: what it does once for its elements, and the element j of each input."""
    before: list[str] = []
    elements: list[str] = []
    for i, (dtype, kind) in enumerate(zip(program.inputs, walk.kinds, strict=True)):
        at = "i" if kind == "linear" or not walk.dims else f"o{i}"
        if kind == "splat":
            before.append(
                f"const {computed_type(dtype)} a{i} = load(x{i}[{at if walk.dims else 0}]);"
            )
            elements.append(f"a{i}")
        elif kind == "gather":
            elements.append(f"load(x{i}[{at} + j * layout.stride[{i}][{walk.dims - 1}]])")
        elif walk.width == 1:
            elements.append(f"load(x{i}[{at}])")
        else:
            pack = f"Pack<{stored_type(dtype)}, {walk.width}>"
            before.append(f"const {pack} a{i} = *reinterpret_cast<const {pack}*>(x{i} + {at});")
            elements.append(f"load(a{i}.at[j])")
    return before, elements


def _offsets(walk: Walk) -> list[str]:
    """Where the thread's first element lies in what is not walked linearly, inputs or the count."""
    apart = [i for i, kind in enumerate(walk.kinds) if kind != "linear"]
    apart += [len(walk.kinds)] * walk.counts
    if not walk.dims or not apart:
        return []
    lines = ["long long rest = i;"]
    lines += [f"long long o{i} = 0;" for i in apart]
    for d in range(walk.dims - 1, -1, -1):
        if d:
            lines += [
                "{",
                f"    const long long place = remainder_of(rest, layout.size[{d}]);",
                *(f"    o{i} += place * layout.stride[{i}][{d}];" for i in apart),
                "}",
            ]
        else:
            lines += [f"o{i} += rest * layout.stride[{i}][0];" for i in apart]
    return lines


_REMAINDER = """\
// The remainder of `rest` over `size`, and `rest` becomes the quotient; in 32 bits where they fit.
static __device__ __forceinline__ long long remainder_of(long long& rest, long long size) {
    if ((rest | size) >> 31 == 0) {
        const unsigned quotient = (unsigned)rest / (unsigned)size;
        const unsigned remainder = (unsigned)rest - quotient * (unsigned)size;
        rest = quotient;
        return remainder;
    }
    const long long quotient = rest / size, remainder = rest - quotient * size;
    rest = quotient;
    return remainder;
}
"""


def text(program: Program, walk: Walk) -> str:
    """The kernel of a program for a walk, with its headers still to be included."""
    before, elements = _reads(program, walk)
    outputs = [stored_type(program.dtype(n)) for n in program.outputs]
    scalars = [f"s{i}" for i in range(len(program.scalars))]
    lines = [f'#include "{header}"' for header in headers(program)]
    lines += [
        "",
        *(f"// {line}" for line in str(program).split("\n")),
        element_function(program),
        "",
    ]
    if walk.dims:
        lines += [
            _REMAINDER,
            f"struct Layout {{\n    long long size[{walk.dims}];",
            f"    long long stride[{len(program.inputs) + walk.counts}][{walk.dims}];\n}};\n",
        ]
    lines += [
        f'extern "C" __global__ void __launch_bounds__({THREADS}, {FEWEST_BLOCKS})',
        f"{kernel_name(program)}({', '.join(_parameters(program, walk))}) {{",
        f"    const long long step = (long long)gridDim.x * {THREADS * walk.width};",
        f"    long long i = ((long long)blockIdx.x * {THREADS} + threadIdx.x) * {walk.width};",
    ]
    count = len(program.inputs)
    number = f"o{count} + j * layout.stride[{count}][{walk.dims - 1}]" if walk.counts else "i + j"
    if walk.width == 1:
        reads_j = "gather" in walk.kinds or walk.counts
        lines += ["    const int j = 0;"] if reads_j else []
        stores = [f"y{i}[i]" for i in range(len(outputs))]
        call = ", ".join([*elements, *scalars, number if walk.counts else "i", *stores])
        body = [*_offsets(walk), *before, f"element({call});"]
        lines += ["    for (; i < n; i += step) {", *(f"        {b}" for b in body), "    }", "}"]
        return "\n".join(lines) + "\n"
    stores = [f"b{i}.at[j]" for i in range(len(outputs))]
    call = ", ".join([*elements, *scalars, number, *stores])
    packs = [f"Pack<{t}, {walk.width}>" for t in outputs]
    body = [
        *_offsets(walk),
        *before,
        *(f"{pack} b{i};" for i, pack in enumerate(packs)),
        "#pragma unroll",
        f"for (int j = 0; j < {walk.width}; ++j) element({call});",
        *(f"*reinterpret_cast<{pack}*>(y{i} + i) = b{i};" for i, pack in enumerate(packs)),
    ]
    lines += [
        f"    for (; i + {walk.width} <= n; i += step) {{",
        *(b if b.startswith("#") else f"        {b}" for b in body),
        "    }",
    ]
    if not walk.dims:  # the elements that fill no access; with dimensions there are none
        single = [
            f"load(x{i}[{0 if kind == 'splat' else 'i'}])" for i, kind in enumerate(walk.kinds)
        ]
        call = ", ".join([*single, *scalars, "i", *(f"y{i}[i]" for i in range(len(outputs)))])
        lines += [f"    for (; i < n; ++i) element({call});"]
    return "\n".join([*lines, "}"]) + "\n"


def kernel_name(program: Program) -> str:
    """The name of a program's kernel: its own, as far as C++ allows."""
    return "fused_" + (re.sub(r"\W+", "_", program.name).strip("_") or "function")


def source(program: Program) -> str:
    """The kernel of a program for contiguous arrays of one shape, as a person reads it."""
    return text(program, Walk(_width(program), 0, ("linear",) * len(program.inputs)))


def kernel(program: Program, walk: Walk) -> Kernel:
    """The kernel of a program for a walk, ready to be prepared."""
    name = kernel_name(program)
    filename = f"{name}.cu"
    return Kernel(expand(text(program, walk), filename), name, filename=filename)


def _width(program: Program) -> int:
    """How many elements make a 16-byte access of the largest type."""
    dtypes = [*program.inputs, *(program.dtype(n) for n in program.outputs)]
    return max(ACCESS_BYTES // max(d.itemsize for d in dtypes), 1)


# Running


def run(xp: Any, program: Program, arrays: Sequence[Array], scalars: Sequence[Any]) -> list[Array]:
    """The outputs of a program, each of the shape that the inputs it depends on broadcast to.

    One launch; as many as there are shapes of outputs, if these differ.

    Args:
        xp: the library of the arrays.
        arrays: one for each input, of its dtype.
        scalars: one number for each scalar.

    Raises:
        ValueError: if the shapes do not broadcast.
        OverflowError: if a whole number has more than 64 bits.
    """
    pointers = [array.data.ptr for array in arrays]
    plans = _plans(program, arrays, pointers)
    outputs: list[Array] = [None] * len(program.outputs)
    try:
        if len(plans) == 1:
            return plans[0].run(xp, pointers, scalars)
        for plan in plans:
            for place, out in zip(plan.places, plan.run(xp, pointers, scalars), strict=True):
                outputs[place] = out
    except struct.error:
        numbers = ", ".join(map(repr, scalars))
        raise OverflowError(f"{program.name}: a number has more than 64 bits: {numbers}") from None
    return outputs


def aligned_plan(program: Program, arrays: Sequence[Array]) -> _Plan | None:
    """The launch for arrays of these layouts, if it is one alone and they are aligned."""
    pointers = [array.data.ptr for array in arrays]
    plans = _plans(program, arrays, pointers)
    return plans[0] if len(plans) == 1 and not _low_bits(pointers) % ACCESS_BYTES else None


def _low_bits(pointers: Sequence[int]) -> int:
    low = 0
    for pointer in pointers:
        low |= pointer
    return low


def _plans(program: Program, arrays: Sequence[Array], pointers: Sequence[int]) -> list[_Plan]:
    """The launches for arrays of these layouts: one for each shape among the outputs."""
    aligned = not _low_bits(pointers) % ACCESS_BYTES
    key = (aligned, *[(a.shape, a.strides) for a in arrays])
    plans = program.plans.get(key)
    if plans is None:
        places: dict[Ints, list[int]] = {}
        for place, sources in enumerate(program.sources):
            shape = np.broadcast_shapes(*(arrays[i].shape for i in sources))
            places.setdefault(shape, []).append(place)
        plans = [_Plan(program, tuple(some), arrays, aligned) for some in places.values()]
        if len(program.plans) >= MOST_PLANS:
            program.plans.clear()
        program.plans[key] = plans
    return plans


class _Plan:
    """A prepared launch for arrays of certain shapes and strides.

    places      which of the program's outputs it computes
    """

    def __init__(self, program: Program, places: Ints, arrays: Sequence[Array], aligned: bool):
        part = program if len(places) == len(program.outputs) else program.only(places)
        self.program, self.inputs = compact(part)
        self.every = self.inputs == tuple(range(len(arrays)))
        self.places = places
        used = [arrays[i] for i in self.inputs]
        shape = np.broadcast_shapes(*(a.shape for a in used))
        elements = [tuple(s // a.itemsize for s in a.strides) for a in used]
        strides = [
            broadcast_strides(a.shape, s, shape) for a, s in zip(used, elements, strict=True)
        ]
        _check_counted(self.program, [a.shape for a in used], shape)
        arriving = sum(i < program.arriving for i in self.inputs)
        self.order = _memory_order(shape, [*used[arriving:], *used[:arriving]])
        self.shape = shape
        self.counts = self.order is not None and bool(self.program.counted)
        if self.order is not None:
            if self.counts:  # as the elements stand in the shape, so that layouts are all the same
                strides.append(filled(shape))
            self.shape = tuple(shape[d] for d in self.order)
            strides = [tuple(s[d] for d in self.order) for s in strides]
            self.inverse = tuple(np.argsort(self.order).tolist())
        self.dtypes = [self.program.dtype(n) for n in self.program.outputs]
        self.size = math.prod(shape)
        self.launch: Any = self._prepare(strides, aligned) if self.size else None
        self.alone = self.launch is not None and self.every and len(self.dtypes) == 1
        self.alone = self.alone and self.order is None

    def _prepare(self, strides: list[Ints], aligned: bool) -> Any:
        sizes, steps = collapse(self.shape, [filled(self.shape), *strides])
        walk = _walk(self.program, sizes, steps[1:], aligned, self.counts)
        constant: list[Any] = [ctypes.c_longlong(self.size)]
        if walk.dims:
            count = walk.dims * (1 + len(strides))
            flat = [*sizes, *(s for step in steps[1:] for s in step)]
            constant.append((ctypes.c_longlong * count)(*flat))
        pointers = len(self.program.inputs) + len(self.program.outputs)
        types: list[Any] = [ctypes.c_void_p] * pointers
        types += argument_types(self.program)
        blocks = min(-(-self.size // (THREADS * walk.width)), MOST_BLOCKS)
        made = kernel(self.program, walk)
        return made.prepare((blocks, 1, 1), (THREADS, 1, 1), varying=types, constant=constant)

    def run(self, xp: Any, pointers: Sequence[int], scalars: Sequence[Any]) -> list[Array]:
        if self.alone:
            out = xp.empty(self.shape, self.dtypes[0])
            self.launch(*pointers, out.data.ptr, *scalars)
            return [out]
        outputs = [xp.empty(self.shape, dtype) for dtype in self.dtypes]
        if self.launch is not None:
            given = pointers if self.every else [pointers[i] for i in self.inputs]
            self.launch(*given, *[out.data.ptr for out in outputs], *scalars)
        if self.order is not None:
            return [out.transpose(self.inverse) for out in outputs]
        return outputs


def _check_counted(program: Program, shapes: Sequence[Ints], shape: Ints) -> None:
    """Refuse to count the elements of a value that is broadcast to the shape of the kernel."""
    for number in program.counted:
        own = np.broadcast_shapes(*(shapes[i] for i in program.depends[number]))
        if own != shape:
            name = program.steps[number - len(program.inputs)].gate.name
            raise FusionError(
                f"{program.name}: '{name}' of a value of shape {own}, which is broadcast to "
                f"{shape}, cannot be part of a fused function; call it outside of one"
            )


def _memory_order(shape: Ints, arrays: Sequence[Array]) -> Ints | None:
    """The order of dimensions in which the first input of the whole shape lies in memory.

    The output is laid out likewise, so that what is transposed or has its channels last is read and
    written in one line and stays so; None where the dimensions lie as they stand. Gradients that
    arrive come last, as what is made of them belongs to the others.
    """
    for array in arrays:
        strides = array.strides
        if array.shape == shape and (
            0 not in strides or all(s or n == 1 for s, n in zip(strides, shape, strict=True))
        ):
            return order_in_memory(shape, strides)
    return None


def _walk(
    program: Program, sizes: Ints, steps: Sequence[Ints], aligned: bool, counts: bool
) -> Walk:
    """How to walk through collapsed dimensions; the last steps are those of the count, if any."""
    width = _width(program) if aligned else 1
    contiguous = filled(sizes)
    if all(s == contiguous or not any(s) for s in steps):
        kinds = tuple("splat" if not any(s) and sizes else "linear" for s in steps)
        return Walk(width, 0, kinds[: len(program.inputs)])
    last = sizes[-1]
    steps = steps[: len(program.inputs)]
    inner_ok = last % width == 0 and all(
        s[-1] != 1 or s == contiguous or all(t % width == 0 for t in s[:-1]) for s in steps
    )
    width = width if inner_ok else 1
    found: list[str] = []
    for s in steps:
        if s == contiguous:
            found.append("linear")
        elif s[-1] == 0:
            found.append("splat")
        else:
            found.append("vector" if s[-1] == 1 else "gather")
    return Walk(width, len(sizes), tuple(found), counts)
