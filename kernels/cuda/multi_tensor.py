"""One launch for all tensors of a list: a step, a clipping, the norm of gradients, their unscaling.

Where the tensors lie is a table of addresses in device memory, which is copied there, without
waiting, when an address has changed. Each block of a launch works on one chunk of one tensor; which
one stands in a second table, which depends on the sizes alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_double, c_longlong, c_void_p
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tapegrad.kernels.expression import Program

from . import pointwise
from .compiling import expand, source
from .launching import Kernel, Launch, backend, pointer

Array = Any
Ints = tuple[int, ...]

THREADS = 256
_FINISHING_THREADS = 512
_WANTED_BLOCKS = 2048  # enough to keep any GPU busy
_LEAST, _MOST = 1 << 12, 1 << 16  # elements of a chunk
_FLOATS = tuple(map(np.dtype, (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)))


def run(
    xp: Any,
    program: Program,
    tensors: Sequence[Sequence[Array]],
    scalars: Sequence[Any],
    shared: Sequence[Array] = (),
) -> None:
    """Compute a program for many tensors and write its outputs over its last inputs, in one launch.

    Args:
        xp: CuPy.
        program: its inputs are those that are shared and then the arrays of a tensor; its outputs
            have the dtypes of the last of these, one each.
        tensors: for each tensor its arrays, of one shape and of the dtypes of the inputs. Sizes,
            strides and the number of tensors are any; arrays whose memory is not alike and without
            gaps are computed on copies.
        scalars: one number for each scalar.
        shared: inputs that are the same for all elements, arrays of one element.
    """
    flat, copies = _side_by_side(xp, tensors, len(program.outputs))
    if flat:
        tables = _tables(xp, flat)
        launch = _update(program, len(shared), tables.blocks)
        launch(pointer(tables.addresses), pointer(tables.chunks), *map(pointer, shared), *scalars)
    for array, copy in copies:
        array[...] = copy


def norm(xp: Any, groups: Sequence[Sequence[Array]], p: float, dtype: np.dtype) -> Array:
    """The p-norm of all elements of all arrays as one vector: a launch for each group, and one.

    Args:
        xp: CuPy.
        groups: arrays of one dtype each.
        p: above 0; infinity for the largest magnitude.
        dtype: of the result, which has no dimensions.
    """
    kind = "Squares" if p == 2 else "Magnitudes" if p == math.inf else "Powers"
    tables = []
    for arrays in groups:
        flat, _ = _side_by_side(xp, [(array,) for array in arrays], 0)
        if flat:
            tables.append((arrays[0].dtype, _tables(xp, flat), flat))
    count = sum(table.blocks for _, table, _ in tables)
    partials, out = xp.empty(count, np.float64), xp.empty((), dtype)
    first = pointer(partials)
    for name, table, _ in tables:
        launch = _partials(kind, name, table.blocks)
        launch(pointer(table.addresses), pointer(table.chunks), first, p)
        first += 8 * table.blocks
    _finish(kind, dtype)(pointer(partials), pointer(out), p, count)
    return out


def unscale(xp: Any, arrays: Sequence[Array], scale: Array, found: Array) -> None:
    """Divide arrays of one dtype by a scale, and note whether a value is not finite: one launch.

    Args:
        xp: CuPy.
        arrays: overwritten.
        scale: float32 without dimensions.
        found: likewise; becomes 1 where a value is infinite or NaN, and else stays.
    """
    flat, copies = _side_by_side(xp, [(array,) for array in arrays], 1)
    if flat:
        tables = _tables(xp, flat)
        launch = _unscaling(arrays[0].dtype, tables.blocks)
        launch(pointer(tables.addresses), pointer(tables.chunks), pointer(scale), pointer(found))
    for array, copy in copies:
        array[...] = copy


# The tables


class _Tables(NamedTuple):
    """What a launch reads first, in device memory, and of how many blocks it is."""

    addresses: Array
    chunks: Array
    blocks: int


def _tables(xp: Any, tensors: Sequence[Sequence[Array]]) -> _Tables:
    # Each stream has its own: what another one copies may not have arrived.
    where = (backend().device(), xp.cuda.get_current_stream().ptr)
    addresses = tuple([pointer(array) for arrays in tensors for array in arrays])
    chunks, blocks = _chunks(xp, where, tuple([arrays[0].size for arrays in tensors]))
    return _Tables(_addresses(xp, where, addresses), chunks, blocks)


@functools.lru_cache(maxsize=64)
def _addresses(xp: Any, where: Ints, addresses: Ints) -> Array:
    return xp.asarray(np.array(addresses, np.int64))  # by pinned memory: the host does not wait


@functools.lru_cache(maxsize=64)
def _chunks(xp: Any, where: Ints, sizes: Ints) -> tuple[Array, int]:
    """The chunks of tensors of these sizes, and how many there are."""
    size = chunk_size(sum(sizes))
    each = np.array([-(-n // size) for n in sizes])
    tensor = np.repeat(np.arange(len(sizes)), each)
    start = (np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)) * size
    end = np.minimum(start + size, np.array(sizes)[tensor])
    table = np.stack([tensor, start, end], axis=1).astype(np.int64)
    return xp.asarray(table), len(table)


def chunk_size(elements: int) -> int:
    """How many elements a block works on: a power of 2, so that accesses stay aligned.

    >>> chunk_size(100), chunk_size(10**8)
    (4096, 65536)
    """
    wanted = 1 << max(-(-elements // _WANTED_BLOCKS) - 1, 0).bit_length()
    return min(max(wanted, _LEAST), _MOST)


def _side_by_side(
    xp: Any, tensors: Sequence[Sequence[Array]], written: int
) -> tuple[list[Sequence[Array]], list[tuple[Array, Array]]]:
    """The tensors that have elements, each of arrays whose elements lie in one order without gaps.

    Where they do not, copies take their place, and those of the last `written` arrays of a tensor
    are returned, each behind the array that it is to be written to.
    """
    flat: list[Sequence[Array]] = []
    copies: list[tuple[Array, Array]] = []
    for arrays in tensors:
        first = arrays[0]
        if not first.size:
            continue
        size, strides = first.itemsize, first.strides
        if not _without_gaps(first.shape, strides, size) or any(
            array.itemsize != size or not _alike(first.shape, array.strides, strides)
            for array in arrays[1:]
        ):
            replaced = [xp.ascontiguousarray(array) for array in arrays]
            for array, copy in list(zip(arrays, replaced, strict=True))[len(arrays) - written :]:
                if pointer(copy) != pointer(array):
                    copies.append((array, copy))
            arrays = replaced
        flat.append(arrays)
    return flat, copies


def _alike(shape: Ints, strides: Ints, others: Ints) -> bool:
    """Whether two arrays lie likewise; the stride of a dimension of size 1 does not matter."""
    return strides == others or all(
        a == b or n == 1 for n, a, b in zip(shape, strides, others, strict=True)
    )


@functools.lru_cache(maxsize=4096)
def _without_gaps(shape: Ints, strides: Ints, itemsize: int) -> bool:
    step = itemsize
    for stride, n in sorted((s, n) for s, n in zip(strides, shape, strict=True) if n > 1):
        if stride != step:
            return False
        step *= n
    return True


# The kernels


@functools.lru_cache(maxsize=1024)
def _update(program: Program, shared: int, blocks: int) -> Launch:
    types = [c_void_p] * (2 + shared) + pointwise.argument_types(program)
    return kernel(program, shared).prepare((blocks, 1, 1), (THREADS, 1, 1), varying=types)


@functools.lru_cache(maxsize=1024)
def _partials(kind: str, dtype: np.dtype, blocks: int) -> Launch:
    types = (c_void_p, c_void_p, c_void_p, c_double)
    made = _norm_kernel("norm_partials", kind, dtype)
    return made.prepare((blocks, 1, 1), (THREADS, 1, 1), varying=types)


@functools.cache
def _finish(kind: str, dtype: np.dtype) -> Launch:
    types = (c_void_p, c_void_p, c_double, c_longlong)
    made = _norm_kernel("norm_of_partials", kind, dtype)
    return made.prepare((1, 1, 1), (_FINISHING_THREADS, 1, 1), varying=types)


@functools.lru_cache(maxsize=1024)
def _unscaling(dtype: np.dtype, blocks: int) -> Launch:
    return _unscale_kernel(dtype).prepare((blocks, 1, 1), (THREADS, 1, 1), varying=(c_void_p,) * 4)


def _unscale_kernel(dtype: np.dtype) -> Kernel:
    filename = "multi_tensor.cu"
    name = f"unscale<{pointwise.stored_type(dtype)}>"
    return Kernel(source(filename), name, filename=filename)


def _norm_kernel(name: str, kind: str, dtype: np.dtype) -> Kernel:
    filename = "multi_tensor.cu"
    full = f"{name}<{pointwise.stored_type(dtype)}, {kind}>"
    return Kernel(source(filename), full, filename=filename)


def variants() -> Iterator[Kernel]:
    """Every kernel of a norm and of unscaling; of programs there are as many as programs."""
    yield from map(_unscale_kernel, _FLOATS)
    for name in ("norm_partials", "norm_of_partials"):
        for kind in ("Squares", "Magnitudes", "Powers"):
            for dtype in _FLOATS:
                yield _norm_kernel(name, kind, dtype)


@functools.cache
def kernel(program: Program, shared: int = 0) -> Kernel:
    """The kernel that writes a program's outputs over its last inputs.

    Args:
        shared: how many inputs, the first ones, are the same for all elements.
    """
    name = pointwise.kernel_name(program).replace("fused_", "multi_", 1)
    return Kernel(expand(_text(program, shared, name), f"{name}.cu"), name, filename=f"{name}.cu")


def _text(program: Program, shared: int, name: str) -> str:
    """CUDA C++: the program's function of one element, and the walk over a chunk around it."""
    inputs = [pointwise.stored_type(dtype) for dtype in program.inputs]
    own = range(shared, len(inputs))
    first = len(inputs) - len(program.outputs)  # of those that are written
    width = max(pointwise.ACCESS_BYTES // max(program.inputs[i].itemsize for i in own), 1)
    scalars = [f"s{i}" for i in range(len(program.scalars))]
    parameters = ["const long long* tensors", "const Chunk* chunks"]
    parameters += [f"const {inputs[i]}* shared{i}" for i in range(shared)]
    parameters += [
        f"{kind} {s}" for kind, s in zip(pointwise.scalar_types(program), scalars, strict=True)
    ]

    def call(element: Callable[[int], str], index: str) -> str:
        values = [f"a{i}" for i in range(shared)] + [f"load({element(i)})" for i in own]
        results = [element(i) for i in range(first, len(inputs))]
        return f"element({', '.join([*values, *scalars, index, *results])});"

    packs = {i: f"Pack<{inputs[i]}, {width}>" for i in own}
    return "\n".join(
        [
            *(f'#include "{header}"' for header in pointwise.headers(program)),
            '#include "multi_tensor.cuh"',
            "",
            *(f"// {line}" for line in str(program).split("\n")),
            pointwise.element_function(program),
            "",
            f'extern "C" __global__ void __launch_bounds__({THREADS}, {pointwise.FEWEST_BLOCKS})',
            f"{name}({', '.join(parameters)}) {{",
            "    const Chunk chunk = chunks[blockIdx.x];",
            f"    const long long* const row = tensors + chunk.tensor * {len(own)};",
            *(
                f"    {inputs[i]}* const x{i} = reinterpret_cast<{inputs[i]}*>(row[{n}]);"
                for n, i in enumerate(own)
            ),
            *(
                f"    const {pointwise.computed_type(program.inputs[i])} a{i} = load(*shared{i});"
                for i in range(shared)
            ),
            f"    const bool packs = aligned({' | '.join(f'row[{n}]' for n in range(len(own)))});",
            "    const long long count = packs ? chunk.end - chunk.start : 0;",
            f"    const long long packed = chunk.start + count / {width} * {width};",
            f"    long long i = chunk.start + threadIdx.x * {width};",
            f"    for (; i < packed; i += {THREADS * width}) {{",
            *(
                f"        {packs[i]} b{i} = *reinterpret_cast<const {packs[i]}*>(x{i} + i);"
                for i in own
            ),
            "#pragma unroll",
            f"        for (int j = 0; j < {width}; ++j) {call(lambda i: f'b{i}.at[j]', 'i + j')}",
            *(
                f"        *reinterpret_cast<{packs[i]}*>(x{i} + i) = b{i};"
                for i in range(first, len(inputs))
            ),
            "    }",
            f"    for (i = packed + threadIdx.x; i < chunk.end; i += {THREADS}) {{",
            f"        {call(lambda i: f'x{i}[i]', 'i')}",
            "    }",
            "}",
            "",
        ]
    )
