"""Finding positions, and reading arguments that are positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd import engine
from tapegrad.autograd.arrays import (
    INTEGERS,
    as_dtype,
    bool_,
    int64,
    is_array,
    module_of,
    on,
)
from tapegrad.autograd.engine import array_of, describe, wrap
from tapegrad.autograd.errors import ArgumentError, DtypeError, PositionError
from tapegrad.autograd.records import Variable
from tapegrad.kernels.cuda import ranges
from tapegrad.kernels.sorting import comparable

from .arguments import check_tensor, on_its_gpu, same_device
from .creation import as_tensor

__all__ = [
    "argwhere",
    "isin",
    "nonzero",
    "nonzero_static",
    "tril_indices",
    "triu_indices",
    "unravel_index",
]


def index_array(name: str, input: Any, index: Any, most: int | None = None) -> Any:
    """The array of whole numbers inside an index of `input`, of at most so many dimensions."""
    array = array_of(index)
    if not is_array(array):
        raise TypeError(f"{name}: the index must be a tensor of integers, got {index!r}")
    if array.dtype not in INTEGERS:
        raise PositionError(f"{name}: the index must be integers, got {describe(index)}")
    if most is not None and array.ndim > most:
        raise PositionError(
            f"{name}: the index must have at most {most} dimension, got {describe(index)}"
        )
    engine.same_device(name, (array_of(input), array))
    return array


def in_range(name: str, positions: Any, length: int, where: str, negative: bool = False) -> Any:
    """The positions, refused where one lies outside [0, length); on a GPU, at the next wait for it.

    With `negative` they count from the end below 0, and are returned counted from the start.
    """
    if not positions.size:
        return positions
    allowed = f"{-length if negative else 0} to {length - 1}" if length else "there are none"
    refusal = f"{name}: index {{value}} is out of range for {where} (allowed: {allowed})"
    xp = module_of(positions)
    if xp is not np and length:
        return ranges.positions(xp, positions, length, refusal, PositionError, negative)
    least, most = int(positions.min()), int(positions.max())
    if most >= length or least < (-length if negative else 0):
        wrong = most if most >= length else least
        raise PositionError(refusal.replace("{value}", str(wrong)))
    if least < 0:
        positions = positions + length * (positions < 0)
    return positions


def within(data: Any, least: float, most: float, message: str, error: type[Exception]) -> None:
    """Refuse an array with values not from `least` to `most`; on a GPU, at the next wait for it."""
    xp = module_of(data)
    if xp is not np:
        ranges.within(xp, data, least, most, message, error)
    elif not bool(((data >= least) & (data <= most)).all()):
        raise error(message)


@on_its_gpu
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The positions of the elements that are not 0, a row each; or a tensor per dimension.

    >>> import tapegrad as tg
    >>> tg.nonzero(tg.tensor([[0.0, 2.0], [3.0, 0.0]]))
    tensor([[0, 1],
            [1, 0]])
    >>> tg.nonzero(tg.tensor([0, 1, 1]), as_tuple=True)
    (tensor([1, 2]),)
    """
    data = check_tensor("nonzero", input)._data
    xp = module_of(data)
    if not data.ndim and not as_tuple:
        return wrap(xp.zeros((int(bool(data)), 0), int64))
    flat = (data.reshape(-1) != 0).nonzero()[0]  # three times as quick as data.nonzero()
    found = xp.unravel_index(flat, data.shape or (1,))
    return tuple(map(wrap, found)) if as_tuple else wrap(xp.stack(found, axis=1))


def argwhere(input: Any) -> Any:
    """`nonzero`, by NumPy's name."""
    return nonzero(input)


@on_its_gpu
def nonzero_static(input: Any, *, size: int, fill_value: int = -1) -> Any:
    """The first `size` rows of `nonzero`; rows that are missing hold `fill_value`.

    >>> import tapegrad as tg
    >>> tg.nonzero_static(tg.tensor([0, 1, 1]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise ArgumentError(f"nonzero_static: size must not be negative, got {size}")
    found = nonzero(check_tensor("nonzero_static", input))._data[:size]
    rows = module_of(found).full((size, found.shape[1]), fill_value, int64)
    rows[: len(found)] = found
    return wrap(rows)


@on_its_gpu
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Any:
    """Whether each of `elements` is among `test_elements`; one of the two may be a number.

    >>> import tapegrad as tg
    >>> tg.isin(tg.tensor([[1, 2], [3, 4]]), tg.tensor([2, 3]))
    tensor([[False,  True],
            [ True, False]])
    """
    if not isinstance(elements, (Variable, int, float)):
        check_tensor("isin", elements)
    if not isinstance(elements, Variable):
        check_tensor("isin", test_elements)
    same_device("isin", elements, test_elements)
    x, among = as_tensor(elements)._data, as_tensor(test_elements)._data
    xp = module_of(x if isinstance(elements, Variable) else among)
    given = comparable(xp.asarray(x)), comparable(xp.asarray(among))
    found = xp.isin(*given, assume_unique=assume_unique, invert=invert)
    return wrap(found.reshape(x.shape))


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None
) -> Any:
    """The positions on and below a diagonal of a matrix: rows first, columns second.

    >>> import tapegrad as tg
    >>> tg.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle("tril_indices", row, col, offset, dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None
) -> Any:
    """The positions on and above a diagonal of a matrix: rows first, columns second.

    >>> import tapegrad as tg
    >>> tg.triu_indices(2, 3, 1)
    tensor([[0, 0, 1],
            [1, 2, 2]])
    """
    return _triangle("triu_indices", row, col, offset, dtype, device)


def _triangle(name: str, row: int, col: int, offset: int, dtype: Any, device: Any) -> Any:
    if row < 0 or col < 0:
        raise ArgumentError(f"{name}: row and col must not be negative, got {row} and {col}")
    if as_dtype(dtype) not in INTEGERS:
        raise DtypeError(f"{name}: positions are integers, not {as_dtype(dtype)}")
    with on(device) as xp:
        places = xp.stack(getattr(xp, name)(row, offset, col))
        return wrap(places.astype(as_dtype(dtype), copy=False))


@on_its_gpu
def unravel_index(indices: Any, shape: int | Sequence[int]) -> tuple[Any, ...]:
    """Positions in the flat memory of a shape as a position for each dimension.

    >>> import tapegrad as tg
    >>> tg.unravel_index(tg.tensor([4, 1]), (2, 3))
    (tensor([1, 0]), tensor([1, 1]))
    """
    check_tensor("unravel_index", indices)
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if indices._data.dtype not in INTEGERS:
        raise DtypeError(f"unravel_index: expected integers, got {describe(indices)}")
    if min(sizes, default=0) < 0:
        raise ArgumentError(f"unravel_index: sizes must not be negative, got {sizes}")
    flat = indices._data.astype(int64)
    left = in_range("unravel_index", flat, math.prod(sizes), f"shape {sizes}", True)
    return tuple(map(wrap, module_of(left).unravel_index(left, sizes)))


def mask_array(name: str, mask: Any) -> Any:
    """The array of booleans inside a mask."""
    if check_tensor(name, mask)._data.dtype != bool_:
        raise DtypeError(f"{name}: the mask must be boolean, got {describe(mask)}")
    return mask._data


def zero_of(dtype: np.dtype) -> Any:
    """The Python number 0 that keeps a dtype: False, 0 or 0.0."""
    return False if dtype == bool_ else 0 if dtype in INTEGERS else 0.0
