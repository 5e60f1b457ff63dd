"""Elements in other places: reversed, rolled, turned, repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.arrays import INTEGERS, module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import shape as gates
from tapegrad.autograd.gates.indexing import index as index_gate
from tapegrad.autograd.records import Variable
from tapegrad.kernels.segments import members

from .arguments import (
    check_tensor,
    normalize_dim,
    normalize_dims,
    numpy_names,
    on_its_gpu,
    same_device,
    shape_of,
    sizes_of,
)
from .shape import reshape, transpose

__all__ = [
    "flip",
    "fliplr",
    "flipud",
    "repeat",
    "repeat_interleave",
    "roll",
    "rot90",
    "tile",
]

Dims = int | Sequence[int]


def flip(input: Any, dims: Dims) -> Any:
    """The named dimensions reversed.

    >>> import tapegrad as tg
    >>> tg.flip(tg.arange(3), 0)
    tensor([2, 1, 0])
    """
    ndim = check_tensor("flip", input)._data.ndim
    named = tuple(dims) if isinstance(dims, Sequence) else (dims,)
    return gates.flip(input, dims=normalize_dims("flip", named, ndim) if named else ())


def fliplr(input: Any) -> Any:
    """The second dimension reversed.

    >>> import tapegrad as tg
    >>> tg.fliplr(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if check_tensor("fliplr", input)._data.ndim < 2:
        raise RuntimeError(f"fliplr: expected at least 2 dimensions, got {describe(input)}")
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """The first dimension reversed.

    >>> import tapegrad as tg
    >>> tg.flipud(tg.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if not check_tensor("flipud", input)._data.ndim:
        raise RuntimeError(f"flipud: expected at least 1 dimension, got {describe(input)}")
    return flip(input, 0)


def roll(input: Any, shifts: Dims, dims: Dims | None = None) -> Any:
    """Elements moved by `shifts` along `dims`, those pushed out coming back at the other end.

    dims  one for each shift; None rolls the flattened tensor by one shift

    >>> import tapegrad as tg
    >>> tg.roll(tg.arange(5), 2), tg.roll(tg.tensor([[1, 2], [3, 4]]), 1, 1)
    (tensor([3, 4, 0, 1, 2]), tensor([[2, 1],
            [4, 3]]))
    """
    shape = check_tensor("roll", input)._data.shape
    by = tuple(shifts) if isinstance(shifts, Sequence) else (shifts,)
    along = () if dims is None else tuple(dims) if isinstance(dims, Sequence) else (dims,)
    if not by:
        raise RuntimeError("roll: expected at least one shift")
    if not along and len(by) == 1:
        rolled = gates.roll(reshape(input, (-1,)), shifts=by, dims=(0,))
        return reshape(rolled, shape)
    if len(by) != len(along):
        raise RuntimeError(f"roll: {len(by)} shifts {by} need as many dims, got {along}")
    if not shape:
        raise IndexError(f"roll: {describe(input)} has no dimension {along[0]}")
    along = tuple(normalize_dim("roll", dim, len(shape)) for dim in along)
    return gates.roll(input, shifts=by, dims=along)


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """The plane of two dimensions turned `k` times by 90 degrees, from the first to the second.

    >>> import tapegrad as tg
    >>> tg.rot90(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    ndim = check_tensor("rot90", input)._data.ndim
    if len(dims) != 2 or ndim < 2:
        raise RuntimeError(f"rot90: needs two dimensions to turn, got {dims} of {describe(input)}")
    a, b = (normalize_dim("rot90", dim, ndim) for dim in dims)
    if a == b:
        raise RuntimeError(f"rot90: the two dimensions must differ, got {tuple(dims)}")
    turns = k % 4
    if turns == 0:
        return input.clone()
    if turns == 2:
        return flip(input, (a, b))
    return transpose(flip(input, b), a, b) if turns == 1 else flip(transpose(input, a, b), b)


def repeat(input: Any, *repeats: Any, **named: Any) -> Any:
    """The whole tensor repeated so many times along each dimension; more numbers add dimensions.

    >>> import tapegrad as tg
    >>> tg.repeat(tg.tensor([1, 2]), 2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    shape = check_tensor("repeat", input)._data.shape
    times = shape_of("repeat", (sizes_of("repeat", "repeats", repeats, named),))
    if len(times) < len(shape):
        raise RuntimeError(f"repeat: {times} gives fewer numbers than {describe(input)} dimensions")
    if min(times, default=0) < 0:
        raise RuntimeError(f"repeat: numbers of repeats must not be negative, got {times}")
    return gates.tile(input, times=times)


def tile(input: Any, dims: Dims) -> Any:
    """The whole tensor repeated so many times along the last dimensions.

    >>> import tapegrad as tg
    >>> tg.tile(tg.tensor([[1], [2]]), (3,))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    ndim = check_tensor("tile", input)._data.ndim
    times = shape_of("tile", (dims,))
    if min(times, default=0) < 0:
        raise RuntimeError(f"tile: numbers of repeats must not be negative, got {times}")
    return gates.tile(input, times=(1,) * (ndim - len(times)) + times)


@on_its_gpu
@numpy_names
def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each element repeated so many times next to itself, along `dim` or in the flattened tensor.

    repeats      a number for all, or a vector of one for each position; given a single tensor
                 alone, it is the repeats of the positions 0, 1, 2, ...
    output_size  the size that results, which is checked

    >>> import tapegrad as tg
    >>> tg.repeat_interleave(tg.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    >>> tg.repeat_interleave(tg.tensor([[1], [2]]), tg.tensor([1, 2]), dim=0)
    tensor([[1],
            [2],
            [2]])
    """
    if repeats is None:
        counts = _counts(check_tensor("repeat_interleave", input))
        places = _places(counts, output_size)
        return wrap(places.astype(input._data.dtype, copy=False))
    data = check_tensor("repeat_interleave", input)._data
    same_device("repeat_interleave", input, repeats)
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    dim = normalize_dim("repeat_interleave", dim, data.ndim)
    shape = input._data.shape or (1,)
    input, length = reshape(input, shape), shape[dim]
    if isinstance(repeats, Variable) and repeats._data.size != 1:
        counts = _counts(repeats)
        if counts.size != length:
            raise ShapeError(
                f"repeat_interleave: {describe(repeats)} repeats for {length} positions along dim "
                f"{dim} of {describe(input)}"
            )
        return index_gate(input, key=(*(slice(None),) * dim, _places(counts, output_size)))
    times = repeats if not isinstance(repeats, Variable) else int(_counts(repeats)[0])
    if times < 0:
        raise RuntimeError(f"repeat_interleave: repeats must not be negative, got {times}")
    if output_size is not None and output_size != length * times:
        raise _wrong_size(output_size, length * times)
    return gates.repeat(input, times=times, dim=dim)


def _counts(repeats: Any) -> Any:
    data = repeats._data
    if data.ndim > 1 or data.dtype not in INTEGERS:
        raise RuntimeError(
            f"repeat_interleave: repeats must be integers in a vector, got {describe(repeats)}"
        )
    if data.size and int(data.min()) < 0:
        raise RuntimeError("repeat_interleave: repeats must not be negative")
    return data.reshape(-1)


def _places(counts: Any, output_size: int | None) -> Any:
    """The position that each element of the result comes from."""
    places = members(module_of(counts), counts)
    if output_size is not None and output_size != places.size:
        raise _wrong_size(output_size, places.size)
    return places


def _wrong_size(given: int, size: int) -> Exception:
    return ArgumentError(
        f"repeat_interleave: output_size is {given}, but the repeats add up to {size}"
    )
