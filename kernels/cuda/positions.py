"""Reading and writing at positions along a dimension, on a GPU (`positions.cu`).

Reading takes arrays of any strides. Writing gives the same bits each time: of several at a position
all are added in their order (`scatter_add`), or the last stays (`put`).
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator, Sequence
from ctypes import c_int, c_longlong, c_void_p
from typing import Any

import numpy as np

from tapegrad.kernels.strides import channels_last_order, collapse, filled, fills, is_channels_last

from . import images
from .compiling import source
from .digits import Divisor
from .launching import Kernel, Launch, pointer
from .rows import FLOATS
from .segments import combine_rows

Array = Any
Ints = tuple[int, ...]

_FILENAME = "positions.cu"
_INT64 = np.dtype(np.int64)
MOST = 8  # dimensions
ARRAYS = 4  # of positions that name rows together
_THREADS = 256
_FEW = 32  # of a line, through which an element looks sooner than they are sorted
_WORDS = {
    1: "unsigned char",
    2: "unsigned short",
    4: "unsigned",
    8: "unsigned long long",
    16: "Pack<unsigned long long, 2>",
}
_TYPES = {**FLOATS, _INT64: "long long"}


def gather(xp: Any, x: Array, index: Array, dim: int) -> Array:
    """out[i][j] = x[i][index[i][j]] for dim 1, and so on, in the shape of `index`.

    Args:
        xp: CuPy.
        x: of any dtype and strides, of at most 8 dimensions.
        index: whole numbers, negative ones counted from the end; in the other dimensions no longer
            than `x`.
        dim: the dimension to read along.
    """
    index = index.astype(_INT64, copy=False)
    steps = tuple(0 if d == dim else s for d, s in enumerate(x.strides))
    line = x.shape[dim], x.strides[dim]
    return _read(xp, x, index, line, index.shape, steps, index.strides)


def take(xp: Any, x: Array, index: Array, dim: int) -> Array:
    """x[:, index] for dim 1, and so on: the positions of `index` in place of a dimension."""
    index = index.astype(_INT64, copy=False)
    before, after = x.shape[:dim], x.shape[dim + 1 :]
    shape = (*before, *index.shape, *after)
    steps = (*x.strides[:dim], *(0,) * index.ndim, *x.strides[dim + 1 :])
    through = (*(0,) * len(before), *index.strides, *(0,) * len(after))
    return _read(xp, x, index, (x.shape[dim], x.strides[dim]), shape, steps, through)


def gather_from_planes(xp: Any, x: Array, index: Array) -> Array:
    """out[n][c] = x[n][c], flattened, at index[n][c]; the result lies in memory as `index` does.

    Args:
        xp: CuPy.
        x: images (N, C, *size).
        index: whole numbers from 0, (N, C, ...).
    """
    index = index.astype(_INT64, copy=False)
    size, strides = x.shape[2:], x.strides[2:]
    along = next((s for n, s in zip(size[::-1], strides[::-1], strict=True) if n > 1), x.itemsize)
    if not fills(size, strides, None, along):
        x, along = xp.ascontiguousarray(x), x.itemsize
    last = index.ndim > 2 and is_channels_last(index.shape, index.strides)
    order = channels_last_order(index.ndim) if last else tuple(range(index.ndim))
    steps, through = (*x.strides[:2], *(0,) * (index.ndim - 2)), index.strides
    shape, steps, through = (tuple(v[d] for d in order) for v in (index.shape, steps, through))
    out = _read(xp, x, index, (0, along), shape, steps, through)
    return out.transpose(images.to_last(index.ndim)) if last else out


def rows_named(xp: Any, arrays: Sequence[Array], sizes: Ints, before: int) -> Array:
    """The numbers of rows (n,) that positions in several dimensions name, in each of some blocks.

    Args:
        xp: CuPy.
        arrays: whole numbers, at most 4 arrays that broadcast; negative ones count from the end.
        sizes: of the dimensions, one for each array.
        before: how many blocks of all these dimensions there are.
    """
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    rows = xp.empty(before * math.prod(shape), _INT64)
    if rows.size:
        given = [xp.broadcast_to(array.astype(_INT64, copy=False), shape) for array in arrays]
        launch = _naming(before, shape, tuple(array.strides for array in given), sizes)
        pointers = [*map(pointer, given), *(0,) * (ARRAYS - len(given))]
        launch(*pointers, pointer(rows))
    return rows


def scatter_add(xp: Any, x: Array, index: Array, dim: int, shape: Ints) -> Array:
    """Zeros of a shape with x[i][j] added at [i][index[i][j]] for dim 1, and so on.

    Args:
        xp: CuPy.
        x: floating or int64, of any strides.
        index: whole numbers that are not negative, of the shape of `x`.
        dim: the dimension along which the positions count.
        shape: of the result, of at most 8 dimensions.
    """
    index = index.astype(_INT64, copy=False)
    if index.shape[dim] > _FEW:
        rows = x.reshape(-1, 1)
        start = xp.zeros((math.prod(shape), 1), x.dtype)
        return combine_rows(xp, "add", start, _flat(xp, index, dim, shape), rows).reshape(shape)
    out = xp.empty(shape, x.dtype)
    if out.size:
        launch = _scattering(x.dtype, shape, x.shape, x.strides, index.strides, dim)
        launch(pointer(x), pointer(index), pointer(out))
    return out


def put(xp: Any, out: Array, positions: Array, rows: Array) -> Array:
    """`out` (count, width), in place, with `rows[k]` in row `positions[k]`; of several the last.

    Args:
        xp: CuPy.
        out: contiguous.
        positions: whole numbers of [0, count), shape (n,).
        rows: shape (n, width), of the dtype of `out`.
    """
    n, width = rows.shape
    if not rows.size:
        return out
    rows, positions = (
        xp.ascontiguousarray(a) for a in (rows, positions.astype(_INT64, copy=False))
    )
    owners = xp.full(len(out), -1, _INT64)
    size = out.itemsize
    while size < 16 and width % 2 == 0 and not (pointer(rows) | pointer(out)) % (2 * size):
        size, width = 2 * size, width // 2
    claim, write = _putting(size, n, width)
    claim(pointer(positions), pointer(owners))
    write(*map(pointer, (rows, positions, owners, out)))
    return out


def _flat(xp: Any, index: Array, dim: int, shape: Ints) -> Array:
    """Where in an array of a shape each position of `index` is, one after another."""
    steps = filled(shape)
    places = index * steps[dim]
    for d, n in enumerate(index.shape):
        if d != dim and n > 1:
            line = xp.arange(n, dtype=_INT64) * steps[d]
            places = places + line.reshape((n,) + (1,) * (index.ndim - 1 - d))
    return places.reshape(-1)


def _read(
    xp: Any,
    x: Array,
    index: Array,
    line: tuple[int, int],
    shape: Ints,
    steps: Ints,
    through: Ints,
) -> Array:
    """An array of a shape that walks by steps, in bytes, through x and the positions.

    `line` is how many positions there are, and how many bytes apart.
    """
    out = xp.empty(shape, x.dtype)
    if out.size:
        aligned = not (pointer(x) | pointer(out)) % 16
        launch = _reading(x.itemsize, shape, steps, through, *line, aligned)
        launch(pointer(x), pointer(index), pointer(out))
    return out


class _Walk(ctypes.Structure):
    """`Walk` of `positions.cu`."""

    _fields_ = (
        *((name, c_longlong) for name in ("total", "length", "along")),
        ("dims", c_int),
        ("sizes", Divisor * MOST),
        *((name, c_longlong * MOST) for name in ("x_steps", "index_steps")),
    )


class _Keys(ctypes.Structure):
    """`Keys` of `positions.cu`."""

    _fields_ = (
        *((name, c_longlong) for name in ("total", "span")),
        *((name, c_int) for name in ("dims", "arrays")),
        ("sizes", Divisor * MOST),
        ("lengths", c_longlong * ARRAYS),
        ("steps", c_longlong * MOST * ARRAYS),
    )


class _Lines(ctypes.Structure):
    """`Lines` of `positions.cu`."""

    _fields_ = (
        *((name, c_longlong) for name in ("total", "length", "x_along", "index_along")),
        ("dims", c_int),
        ("dim", c_int),
        ("sizes", Divisor * MOST),
        *((name, c_longlong * MOST) for name in ("bounds", "x_steps", "index_steps")),
    )


@functools.lru_cache(maxsize=4096)
def _reading(
    itemsize: int, shape: Ints, steps: Ints, through: Ints, length: int, along: int, aligned: bool
) -> Launch:
    sizes, (own, places) = collapse(shape, [steps, through])
    word = itemsize
    if sizes and own[-1] == itemsize and places[-1] == 0 and aligned:
        bytes_ = (sizes[-1] * itemsize, along, *own[:-1])
        word = next(
            (w for w in (16, 8, 4, 2) if w > itemsize and not any(b % w for b in bytes_)), word
        )
        sizes = (*sizes[:-1], sizes[-1] * itemsize // word)
        own = (*own[:-1], word)
    own = tuple(step // word for step in own)
    places = tuple(step // 8 for step in places)
    total = math.prod(sizes)
    walk = _Walk(
        total, length, along // word, len(sizes), _divisors(sizes), *map(_inside_out, (own, places))
    )
    return _prepared(_kernel("gather", _WORDS[word]), total, 3, walk)


@functools.lru_cache(maxsize=4096)
def _naming(before: int, shape: Ints, strides: tuple[Ints, ...], lengths: Ints) -> Launch:
    sizes, steps = collapse(shape, [tuple(s // 8 for s in own) for own in strides])
    total = before * math.prod(sizes)
    keys = _Keys(
        total,
        math.prod(lengths),
        len(sizes),
        len(lengths),
        _divisors(sizes),
        (c_longlong * ARRAYS)(*lengths),
        (c_longlong * MOST * ARRAYS)(*map(_inside_out, steps)),
    )
    kernel = Kernel(source(_FILENAME), "rows_named", filename=_FILENAME)
    return _prepared(kernel, total, ARRAYS + 1, keys)


@functools.lru_cache(maxsize=4096)
def _scattering(
    dtype: np.dtype, shape: Ints, bounds: Ints, strides: Ints, through: Ints, dim: int
) -> Launch:
    steps = tuple(s // dtype.itemsize for s in strides)
    places = tuple(s // 8 for s in through)
    total, dims = math.prod(shape), len(shape)
    lines = _Lines(
        total,
        bounds[dim],
        steps[dim],
        places[dim],
        dims,
        dims - 1 - dim,
        _divisors(shape),
        *map(_inside_out, (bounds, steps, places)),
    )
    return _prepared(_kernel("scatter_lines", _TYPES[dtype]), total, 3, lines)


@functools.lru_cache(maxsize=4096)
def _putting(size: int, n: int, width: int) -> tuple[Launch, Launch]:
    claim = Kernel(source(_FILENAME), "claim", filename=_FILENAME)
    write = _kernel("put_rows", _WORDS[size])
    return (
        _prepared(claim, n, 2, c_longlong(n)),
        _prepared(write, n * width, 4, c_longlong(n), Divisor.of(width)),
    )


def _divisors(sizes: Ints) -> Any:
    """What splits the number of an output into those of its dimensions, innermost first."""
    return (Divisor * MOST)(*map(Divisor.of, reversed(sizes)))


def _inside_out(values: Ints) -> Any:
    """Numbers of dimensions, innermost first."""
    return (c_longlong * MOST)(*reversed(values))


def _prepared(kernel: Kernel, items: int, pointers: int, *constant: Any) -> Launch:
    blocks = -(-items // _THREADS)
    return kernel.prepare(
        (blocks, 1, 1), (_THREADS, 1, 1), varying=(c_void_p,) * pointers, constant=constant
    )


def _kernel(what: str, kind: str) -> Kernel:
    return Kernel(source(_FILENAME), f"{what}<{kind}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that may be asked for."""
    for word in _WORDS.values():
        yield _kernel("gather", word)
        yield _kernel("put_rows", word)
    yield from (_kernel("scatter_lines", kind) for kind in _TYPES.values())
    for name in ("claim", "rows_named"):
        yield Kernel(source(_FILENAME), name, filename=_FILENAME)
