"""Reading and writing at positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import INTEGERS, bool_, is_array, module_of
from tapegrad.autograd.engine import Variable, array_of, describe
from tapegrad.autograd.errors import DtypeError, PositionError, ShapeError
from tapegrad.autograd.gates import indexing as gates

from .arguments import check_tensor, normalize_dim, numpy_names
from .selection import where
from .shape import expand, reshape

__all__ = [
    "diag",
    "gather",
    "index_select",
    "masked_fill",
    "masked_select",
    "scatter_add",
    "take_along_dim",
]


def key_of(key: Any) -> Any:
    """What stands between the brackets, with arrays in place of tensors and lists.

    The arrays are copies: a node may keep the key, and the user may change theirs.
    """
    if isinstance(key, tuple):
        return tuple(map(key_of, key))
    if isinstance(key, Variable):
        if key._data.dtype not in INTEGERS and key._data.dtype != bool_:
            raise IndexError(f"indices must be integers or booleans, got {describe(key)}")
        key = key._data
    if is_array(key):
        if not key.ndim and key.dtype in INTEGERS:
            return int(key)
        return module_of(key).array(key, copy=True)
    if isinstance(key, list):
        return np.asarray(key) if key else np.zeros(0, np.int64)
    if isinstance(key, range):
        return np.asarray(key)
    return key


def in_turn(key: Any, ndim: int) -> tuple[Any, Any]:
    """A key as two, one after the other: integers before arrays.

    NumPy takes `x[0, :, rows]` for two arrays with a slice between, and puts the dimension of the
    rows first. PyTorch selects by the integer and leaves the rest in place; so do we.
    """
    if not isinstance(key, tuple):
        return ..., key
    arrays = [part for part in key if is_array(part)]
    if not arrays or not any(type(part) is int for part in key):
        return ..., key
    spans = [part.ndim if is_array(part) and part.dtype == bool_ else 1 for part in key]
    used = sum(
        n for part, n in zip(key, spans, strict=True) if part is not None and part is not ...
    )
    first: list[Any] = []
    second: list[Any] = []
    for part, span in zip(key, spans, strict=True):
        if is_array(part):
            first += [slice(None)] * span
            second.append(part)
        elif part is ...:
            first += [slice(None)] * (ndim - used)
            second += [slice(None)] * (ndim - used)
        else:
            first.append(part)
            if type(part) is not int:
                second.append(slice(None))
    return tuple(first), tuple(second)


def put(input: Any, value: Any, key: Any) -> Any:
    """A copy of `input` with `value` at `key` (of arrays), recorded."""
    first, second = in_turn(key, input._data.ndim)
    if first is ...:
        return gates.index_put(input, value, key=second)
    part = gates.index_put(gates.index(input, key=first), value, key=second)
    return gates.index_put(input, part, key=first)


def getitem(input: Any, key: Any) -> Any:
    """`input[key]`, with every kind of key that NumPy takes; basic keys give views.

    >>> import tapegrad as tg
    >>> x = tg.arange(6).reshape(2, 3)
    >>> x[1, ::2], x[x > 3], x[:, [0, 0]]
    (tensor([3, 5]), tensor([4, 5]), tensor([[0, 0],
            [3, 3]]))
    """
    data = check_tensor("index", input)._data
    if isinstance(data, np.generic):
        data = input.data  # an array: a key may ask for a view
    first, second = in_turn(key_of(key), data.ndim)
    if first is not ...:
        input = gates.index(input, key=first)
    return gates.index(input, key=second)


@numpy_names
def gather(input: Any, dim: int, index: Any) -> Any:
    """out[i][j] = input[i][index[i][j]] for dim 1, and so on; `index` may be smaller elsewhere.

    >>> import tapegrad as tg
    >>> tg.gather(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    data, positions = _positions("gather", input, dim, index)
    dim = normalize_dim("gather", dim, data.ndim)
    return gates.gather(input, positions, dim=dim)


def _positions(name: str, input: Any, dim: int, index: Any) -> tuple[Any, Any]:
    """The arrays of `input` and `index`, checked: no position may be out of range."""
    data = check_tensor(name, input)._data
    positions = array_of(index)
    dim = normalize_dim(name, dim, data.ndim)
    if positions.dtype not in INTEGERS:
        raise RuntimeError(f"{name}: the index must be integers, got {describe(index)}")
    fits = positions.ndim == data.ndim and all(
        i == dim or n <= m for i, (n, m) in enumerate(zip(positions.shape, data.shape, strict=True))
    )
    if not fits:
        raise ShapeError(f"{name}: index {describe(index)} does not fit {describe(input)}")
    length = data.shape[dim] if data.ndim else 1
    if positions.size and (positions.min() < 0 or positions.max() >= length):
        raise PositionError(
            f"{name}: index {int(positions.min())} to {int(positions.max())} is out of range for "
            f"dim {dim} of {describe(input)}"
        )
    return data, positions


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """`input` with src[i][j] added at [i][index[i][j]] for dim 1: the adjoint of `gather`.

    >>> import tapegrad as tg
    >>> tg.scatter_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    data, positions = _positions("scatter_add", input, dim, index)
    given = check_tensor("scatter_add", src)._data
    if given.dtype != data.dtype:
        raise DtypeError(f"scatter_add: src is {given.dtype}, but input {data.dtype}")
    if given.ndim != positions.ndim or any(
        n > m for n, m in zip(positions.shape, given.shape, strict=True)
    ):
        raise ShapeError(f"scatter_add: index {describe(index)} does not fit src {describe(src)}")
    part = src[tuple(slice(0, n) for n in positions.shape)] if positions.ndim else src
    dim = normalize_dim("scatter_add", dim, data.ndim)
    return input + gates.scatter_add(part, positions, dim=dim, shape=data.shape)


@numpy_names
def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of `input` along `dim` that a vector of indices names.

    >>> import tapegrad as tg
    >>> tg.index_select(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([1]))
    tensor([[2],
            [4]])
    """
    data, positions = check_tensor("index_select", input)._data, array_of(index)
    dim = normalize_dim("index_select", dim, data.ndim)
    if positions.ndim > 1 or positions.dtype not in INTEGERS:
        raise PositionError(
            f"index_select: the index must be integers in a vector, got {describe(index)}"
        )
    if not data.ndim:
        return input
    length = data.shape[dim]
    if positions.size and (positions.min() < 0 or positions.max() >= length):
        raise PositionError(
            f"index_select: index {int(positions.min())} to {int(positions.max())} is out of "
            f"range for dim {dim} of {describe(input)}"
        )
    rows = module_of(data).array(positions, copy=True).reshape(-1)
    return gates.index(input, key=(*(slice(None),) * dim, rows))


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`input` with `value` wherever the mask holds; no gradient comes from there.

    >>> import tapegrad as tg
    >>> tg.masked_fill(tg.tensor([1.0, 2.0]), tg.tensor([True, False]), 0.0)
    tensor([0., 2.])
    """
    check_tensor("masked_fill", input)
    _check_mask("masked_fill", mask)
    if isinstance(value, Variable) and value._data.ndim:
        raise ShapeError(f"masked_fill: the value must be a single one, got {describe(value)}")
    try:
        return where(mask, value, input)
    except ShapeError:
        raise ShapeError(
            f"masked_fill: mask {describe(mask)} does not fit {describe(input)}"
        ) from None


def _check_mask(name: str, mask: Any) -> None:
    if check_tensor(name, mask)._data.dtype != bool_:
        raise DtypeError(f"{name}: the mask must be boolean, got {describe(mask)}")


def masked_select(input: Any, mask: Any) -> Any:
    """The elements where the mask holds, in one dimension.

    >>> import tapegrad as tg
    >>> tg.masked_select(tg.tensor([1, 2, 3]), tg.tensor([True, False, True]))
    tensor([1, 3])
    """
    data = check_tensor("masked_select", input)._data
    _check_mask("masked_select", mask)
    try:
        shape = np.broadcast_shapes(data.shape, mask._data.shape)
    except ValueError:
        raise ShapeError(
            f"masked_select: mask {describe(mask)} does not fit {describe(input)}"
        ) from None
    return getitem(expand(input, shape), expand(mask, shape))


@numpy_names
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """`gather` as NumPy's `take_along_axis`: the other dimensions broadcast; None flattens.

    >>> import tapegrad as tg
    >>> tg.take_along_dim(tg.tensor([[3, 1], [2, 4]]), tg.tensor([[0]]), dim=1)
    tensor([[3],
            [2]])
    """
    data = check_tensor("take_along_dim", input)._data
    positions = array_of(indices)
    if dim is None:
        return gates.gather(
            reshape(input, (-1,)),
            in_range("take_along_dim", positions.reshape(-1), data.size),
            dim=0,
        )
    dim = normalize_dim("take_along_dim", dim, data.ndim)
    if positions.ndim != data.ndim:
        raise ShapeError(
            f"take_along_dim: indices {describe(indices)} and {describe(input)} need as many "
            "dimensions"
        )
    shapes = [list(data.shape), list(positions.shape)]
    shapes[0][dim] = shapes[1][dim] = 1
    common = list(np.broadcast_shapes(*map(tuple, shapes)))
    xp = module_of(data)
    common[dim] = positions.shape[dim]
    positions = xp.broadcast_to(positions, common)
    common[dim] = data.shape[dim]
    input = expand(input, common)
    return gates.gather(input, in_range("take_along_dim", positions, common[dim]), dim=dim)


def in_range(name: str, positions: Any, length: int) -> Any:
    if positions.dtype not in INTEGERS:
        raise DtypeError(f"{name}: the indices must be integers, got {positions.dtype}")
    if positions.size and (positions.min() < 0 or positions.max() >= length):
        raise PositionError(
            f"{name}: index {int(positions.min())} to {int(positions.max())} is out of range for "
            f"{length} elements"
        )
    return positions


def diag(input: Any, diagonal: int = 0) -> Any:
    """A diagonal of a matrix, or the matrix with a vector as that diagonal; above 0 is upper.

    >>> import tapegrad as tg
    >>> tg.diag(tg.tensor([1, 2])), tg.diag(tg.tensor([[1, 2], [3, 4]]), 1)
    (tensor([[1, 0],
            [0, 2]]), tensor([2]))
    """
    data = check_tensor("diag", input)._data
    down, right = max(-diagonal, 0), max(diagonal, 0)
    if data.ndim == 2:
        count = max(min(data.shape[0] - down, data.shape[1] - right), 0)
    elif data.ndim == 1:
        count = data.shape[0]
    else:
        raise ShapeError(f"diag: expected a vector or a matrix, got {describe(input)}")
    places = module_of(data).arange(count)
    key = (places + down, places + right)
    if data.ndim == 2:
        return gates.index(input, key=key)
    side = count + abs(diagonal)
    return gates.index_add(input, key=key, shape=(side, side))
