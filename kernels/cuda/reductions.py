"""Reductions on a GPU: which kernel of `reductions.cu`, how many threads, and the launch, kept.

`reduce` is one launch. Where few outputs are made of many elements it is two, since one block for
each output would leave most of a GPU idle. How the work is divided follows from the shape alone, so
that every GPU finds the same bits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from ctypes import Structure, c_double, c_int, c_longlong, c_ulonglong, c_void_p
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from .compiling import source
from .launching import Kernel, Launch, pointer
from .layout import Ints, Layout, layout
from .transpose import contiguous

Array = Any

KEPT, REDUCED, THREADS = 6, 4, 512  # as in reductions.cu
_WANTED_THREADS = 1 << 17  # enough to have the memory of any GPU busy
_WANTED_BLOCKS = 1 << 10
_SINGLE = 1 << 15  # elements that one block reads in the time a second launch takes
_MOST_BLOCKS = 2**31 - 1

_FLOATS = {
    np.dtype(np.float16): "float16",
    np.dtype(ml_dtypes.bfloat16): "bfloat16",
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
}
_INTEGERS = {1: "signed char", 2: "short", 4: "int", 8: "long long"}  # by size in bytes
_WORDS = {n: f"unsigned {name.removeprefix('signed ')}" for n, name in _INTEGERS.items()}
_HALVES = ("float16", "bfloat16")
_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)


class _Reducer(NamedTuple):
    """A struct of `reducers.cuh`: the types it is instantiated for, and how many numbers it holds.

    ordered    whether it asks for the place of an element
    """

    types: tuple[str, ...]
    numbers: int = 1
    ordered: bool = False


_REDUCERS = {
    "SumOf": _Reducer((*_FLOATS.values(), "int", "long long")),
    "SumOfEach": _Reducer((*_FLOATS.values(),)),
    "PowerNormOf": _Reducer((*_FLOATS.values(),)),
    "ProductOf": _Reducer((*_FLOATS.values(), "long long")),
    "LargestOf": _Reducer((*_FLOATS.values(), *_INTEGERS.values())),
    "PlaceOfLargest": _Reducer((*_FLOATS.values(), *_INTEGERS.values()), 2, True),
    "CountOf": _Reducer((*_WORDS.values(),)),
    "LogSumExpOf": _Reducer((*_FLOATS.values(),), 2),
    "VarianceOf": _Reducer((*_FLOATS.values(),), 3),
}


class _Kind(NamedTuple):
    """What a name of `reduce` stands for.

    mode        the reducer's mode
    dtype       of the output; None for the input's
    magnitude   whether elements lose their sign
    smallest    whether their order is turned round
    empty       whether there is a result of nothing
    """

    reducer: str
    mode: int = 0
    dtype: np.dtype | None = None
    magnitude: bool = False
    smallest: bool = False
    empty: bool = True


_KINDS = {
    "sum": _Kind("SumOf"),
    "mean": _Kind("SumOf"),
    "nansum": _Kind("SumOfEach", 0),
    "sum of magnitudes": _Kind("SumOfEach", 1),
    "sum of squares": _Kind("SumOfEach", 2),
    "length": _Kind("SumOfEach", 3),
    "power norm": _Kind("PowerNormOf"),
    "product": _Kind("ProductOf"),
    "largest": _Kind("LargestOf", empty=False),
    "smallest": _Kind("LargestOf", smallest=True, empty=False),
    "largest magnitude": _Kind("LargestOf", magnitude=True, empty=False),
    "smallest magnitude": _Kind("LargestOf", magnitude=True, smallest=True, empty=False),
    "place of the largest": _Kind("PlaceOfLargest", dtype=_INT64, empty=False),
    "place of the smallest": _Kind("PlaceOfLargest", dtype=_INT64, smallest=True, empty=False),
    "count": _Kind("CountOf", 0, _INT64),
    "any": _Kind("CountOf", 1, _BOOL),
    "all": _Kind("CountOf", 2, _BOOL),
    "logsumexp": _Kind("LogSumExpOf"),
    "variance": _Kind("VarianceOf"),
}


def reduce(xp: Any, kind: str, x: Array, dims: Ints, keepdim: bool, number: float = 1.0) -> Array:
    """`x` reduced over dimensions: a new, contiguous array on the device.

    Half types are computed in float32. Sums and products of integers wrap around; those of booleans
    are "any" and "all". NaN is the largest and the smallest, and of equals the first counts.

    Args:
        xp: CuPy.
        kind: "sum", "mean", "nansum", "sum of magnitudes", "sum of squares", "length" (the root of
            the sum of squares), "power norm", "product", "largest", "smallest", "largest
            magnitude", "smallest magnitude", "place of the largest", "place of the smallest" (in
            int64, counted through the reduced dimensions), "count" (of what is not 0, in int64),
            "any", "all", "logsumexp" or "variance".
        x: of any shape and strides; floating for means, norms, logsumexp and variances.
        dims: the dimensions to reduce, not negative.
        keepdim: keep them with size 1.
        number: the p of a "power norm"; of a "variance" what to subtract from the count.

    Raises:
        ValueError: if there is nothing of which to find the largest or smallest.
    """
    aligned = pointer(x) % 16 == 0
    plan = _plan(kind, x.dtype, x.shape, x.strides, dims, keepdim, aligned, number)
    if plan is None:
        return _by_way(xp, kind, x, dims, keepdim, number)
    out = xp.empty(plan.shape, plan.dtype)
    if plan.second is not None:
        partials = xp.empty(plan.partials, np.uint8)
        plan.first(pointer(x), pointer(out), pointer(partials))  # type: ignore[misc]
        plan.second(pointer(partials), pointer(out))
    elif plan.first is not None:
        plan.first(pointer(x), pointer(out), 0)
    return out


def _by_way(xp: Any, kind: str, x: Array, dims: Ints, keepdim: bool, number: float) -> Array:
    """What no kernel takes as it is: small integers to add, and more dimensions than one walks."""
    if _input_type(_KINDS[kind].reducer, x.dtype) is None:
        found = reduce(xp, kind, x.astype(np.int64), dims, keepdim, number)
        return found.astype(x.dtype)
    order = tuple(d for d in range(x.ndim) if d not in dims) + tuple(sorted(dims))
    kept = x.ndim - len(dims)
    line = contiguous(xp, x.transpose(order))
    found = reduce(xp, kind, line, tuple(range(kept, x.ndim)), False, number)
    return found.reshape(_kept(x.shape, dims)) if keepdim else found


def variants() -> Iterator[Kernel]:
    """Every kernel that `reduce` can ask for."""
    for reducer, known in _REDUCERS.items():
        for kind in known.types:
            for kernel in ("reduce_rows", "reduce_columns", "combine_partials"):
                yield _kernel(kernel, reducer, kind)


def _kernel(kernel: str, reducer: str, kind: str) -> Kernel:
    filename = "reductions.cu"
    return Kernel(source(filename), f"{kernel}<{reducer}<{kind}>>", filename=filename)


def _input_type(reducer: str, dtype: np.dtype) -> str | None:
    """The C++ type with which a reducer reads a dtype: integers by size, whatever their sign."""
    size = dtype.itemsize
    kind = _WORDS[size] if reducer == "CountOf" else _FLOATS.get(dtype, _INTEGERS[size])
    return kind if kind in _REDUCERS[reducer].types else None


class _Shape(Structure):
    """`Shape` of reductions.cu."""

    _fields_ = (
        ("outputs", c_longlong),
        ("length", c_longlong),
        ("chunk", c_longlong),
        ("kept", c_int),
        ("reduced", c_int),
        ("packed", c_int),
        ("rest", c_int),
        ("neighbour", c_longlong),
        ("kept_size", c_longlong * KEPT),
        ("kept_stride", c_longlong * KEPT),
        ("out_stride", c_longlong * KEPT),
        ("size", c_longlong * REDUCED),
        ("stride", c_longlong * REDUCED),
        ("digit", c_longlong * REDUCED),
        ("wrap", c_longlong * REDUCED),
        ("jump", c_longlong),
    )


class _Options(Structure):
    """`Options` of reducers.cuh."""

    _fields_ = (("mode", c_int), ("keep", c_ulonglong), ("flip", c_ulonglong), ("number", c_double))


class _Plan(NamedTuple):
    """The shape and dtype of an output, and the launches that fill it."""

    shape: Ints
    dtype: np.dtype
    first: Launch | None = None
    second: Launch | None = None
    partials: int = 0  # bytes between the two


@functools.lru_cache(maxsize=4096)
def _plan(
    kind: str,
    dtype: np.dtype,
    shape: Ints,
    strides: Ints,
    dims: Ints,
    keepdim: bool,
    aligned: bool,
    number: float,
) -> _Plan | None:
    """The plan of a reduction; None where no kernel takes the array as it is."""
    if dtype == _BOOL and kind in ("sum", "product"):
        kind = {"sum": "any", "product": "all"}[kind]
    what = _KINDS[kind]
    count = math.prod(shape[d] for d in dims)
    if not count and not what.empty:
        raise ValueError(f"there is no {kind} of nothing, and the array has shape {shape}")
    kept = tuple(n for d, n in enumerate(shape) if d not in dims)
    plan = _Plan(_kept(shape, dims) if keepdim else kept, what.dtype or dtype)
    if not math.prod(kept):
        return plan
    reducer = _REDUCERS[what.reducer]
    element = _input_type(what.reducer, dtype)
    if element is None or any(s % dtype.itemsize for s in strides):
        return None
    steps = tuple(s // dtype.itemsize for s in strides)
    seen = layout(shape, steps, dims, reducer.ordered)
    if len(seen.kept) > KEPT or len(seen.reduced) > REDUCED:
        return None
    options = _options(what, dtype, count, number)
    pack = 8 if dtype.itemsize == 1 else 16 // dtype.itemsize
    pack = pack if aligned and what.reducer != "PowerNormOf" else 1
    division = _columns(seen, pack) if _in_columns(seen) else _rows(seen, pack)
    kernel = _kernel(division.kernel, what.reducer, element)
    blocks = (min(division.blocks, _MOST_BLOCKS), division.splits, 1)
    first = kernel.prepare(
        blocks,
        division.threads,
        varying=(c_void_p, c_void_p, c_void_p),
        constant=(division.shape, options),
    )
    if division.splits == 1:
        return plan._replace(first=first)
    outputs = math.prod(kept)
    size = _state_bytes(what.reducer, element)
    return plan._replace(
        first=first,
        second=_second(what.reducer, element, outputs, division.splits, options),
        partials=size * outputs * division.splits,
    )


def _second(reducer: str, element: str, outputs: int, splits: int, options: _Options) -> Launch:
    """The launch that brings the states of the splits together."""
    width = min(32, _power(outputs))
    height = min(THREADS // width, _power(splits))
    return _kernel("combine_partials", reducer, element).prepare(
        (min(-(-outputs // width), _MOST_BLOCKS), 1, 1),
        (width, height, 1),
        varying=(c_void_p, c_void_p),
        constant=(c_longlong(outputs), c_int(splits), options),
    )


def _state_bytes(reducer: str, element: str) -> int:
    """The size of a reducer's state."""
    if reducer == "PlaceOfLargest":
        return 16  # a value, aligned, and a place
    whole = ("signed char", "short", "int") if reducer == "LargestOf" else ()
    narrow = (*_HALVES, "float", *whole)
    return _REDUCERS[reducer].numbers * (4 if element in narrow else 8)


def _options(what: _Kind, dtype: np.dtype, count: int, number: float) -> _Options:
    bits = 8 * dtype.itemsize
    every, sign = 2**bits - 1, 2 ** (bits - 1)
    real = dtype in _FLOATS
    keep, flip = every, 0
    if what.reducer == "CountOf":
        keep = every - sign if real else every  # a zero may have a sign
        number = count
    elif what.reducer == "VarianceOf":
        number = max(count - number, 0)
    elif what.reducer == "SumOf":
        number = count if what is _KINDS["mean"] else 1
    if what.magnitude:
        keep -= sign
    if what.smallest:
        flip = sign if real else every
    if dtype.kind == "u":
        flip ^= sign
    return _Options(what.mode, keep, flip, number)


# How the work is divided


class _Division(NamedTuple):
    kernel: str
    shape: _Shape
    blocks: int  # for all outputs, each split into
    splits: int
    threads: tuple[int, int, int]


def _kept(shape: Ints, dims: Ints) -> Ints:
    """The shape with the reduced dimensions kept as 1."""
    return tuple(1 if d in dims else n for d, n in enumerate(shape))


def _power(n: int) -> int:
    """The smallest power of 2 that is not less than n."""
    return 1 << max(n - 1, 0).bit_length()


def _in_columns(seen: Layout) -> bool:
    """Whether neighbours in memory belong to different outputs."""
    kept = [abs(s) for s in seen.kept_strides if s]
    reduced = [abs(s) for s in seen.reduced_strides if s]
    return bool(kept) and (not reduced or min(kept) < min(reduced))


def _packs(pack: int, inner: int, strides: Ints, others: Ints) -> bool:
    """Whether all of a walk is made of whole packs, which lie along the first of `strides`."""
    return (
        pack > 1
        and bool(strides)
        and strides[0] == 1
        and inner % pack == 0
        and not any(s % pack for s in (*strides[1:], *others))
    )


def _rows(seen: Layout, pack: int) -> _Division:
    """Threads along the elements of an output."""
    outputs, count = math.prod(seen.kept), math.prod(seen.reduced)
    inner = seen.reduced[0] if len(seen.reduced) > 1 else 0  # of one dimension, a rest is allowed
    packed = count >= pack and _packs(pack, inner, seen.reduced_strides, seen.kept_strides)
    pack = pack if packed else 1
    length = count // pack
    most = min(THREADS, _power(length))
    least = min(most, _power(-(-length // 8)))  # few threads have enough to read, and little to add
    lanes = min(most, max(least, _power(_WANTED_THREADS // outputs)))
    rows = max(32 // lanes, min(_power(outputs), 256 // lanes), 1)
    blocks = -(-outputs // rows)
    splits = 1
    if count > _SINGLE:
        splits = max(min(count // (_SINGLE // 4), _WANTED_BLOCKS // blocks), 1)
    chunk = _multiple(-(-length // splits), lanes)
    shape = _shape(seen, lanes, pack, 1)
    shape.outputs, shape.length, shape.chunk = outputs, length, chunk
    shape.packed, shape.rest = packed, count % pack
    splits = max(-(-length // chunk), 1)
    return _Division("reduce_rows", shape, blocks, splits, (lanes, rows, 1))


def _columns(seen: Layout, pack: int) -> _Division:
    """Threads along the outputs."""
    outputs, length = math.prod(seen.kept), math.prod(seen.reduced)
    packed = outputs * length >= pack * _WANTED_THREADS and _packs(
        pack, seen.kept[0], seen.kept_strides, seen.reduced_strides
    )
    pack = pack if packed else 1
    units = outputs // pack
    width = min(32, _power(units))
    height = min(THREADS // width, _power(length), _power(_WANTED_THREADS // units))
    width = max(width, min(_power(units), 256 // height))
    blocks = -(-units // width)
    splits = 1
    if length > 64 * height and blocks < _WANTED_BLOCKS // 2:
        splits = min(length // (16 * height), _WANTED_BLOCKS // blocks)
    chunk = _multiple(-(-length // splits), height)
    shape = _shape(seen, height, 1, pack)
    shape.outputs, shape.length, shape.chunk = units, length, chunk
    shape.packed, shape.neighbour = packed, seen.out_strides[0] if seen.out_strides else 1
    splits = max(-(-length // chunk), 1)
    return _Division("reduce_columns", shape, blocks, splits, (width, height, 1))


def _multiple(n: int, of: int) -> int:
    return max(-(-n // of), 1) * of


def _shape(seen: Layout, step: int, along: int, across: int) -> _Shape:
    """Sizes and strides for threads that go `step` units on.

    along, across   how many elements are one unit of the reduced, and of the kept dimensions
    """
    shape = _Shape(kept=len(seen.kept), reduced=len(seen.reduced))
    for d, n in enumerate(seen.kept):
        pack = across if d == 0 else 1
        shape.kept_size[d] = n // pack
        shape.kept_stride[d] = seen.kept_strides[d] * pack
        shape.out_stride[d] = seen.out_strides[d] * pack
    if 0 in seen.reduced:  # nobody walks
        shape.reduced = 0
        return shape
    for d, n in enumerate(seen.reduced):
        pack = along if d == 0 else 1
        shape.size[d], shape.stride[d] = n // pack, seen.reduced_strides[d] * pack
    last = len(seen.reduced) - 1
    for d in range(len(seen.reduced)):
        digit, step = (step % shape.size[d], step // shape.size[d]) if d < last else (step, 0)
        shape.digit[d] = digit
        shape.jump += digit * shape.stride[d]
        if d < last:
            shape.wrap[d] = shape.stride[d + 1] - shape.size[d] * shape.stride[d]
    return shape
