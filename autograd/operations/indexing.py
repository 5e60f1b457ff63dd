"""Reading at positions: `x[key]`, and the functions that pick along a dimension or by a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd import engine
from tapegrad.autograd.arrays import DEVICE_TYPES, INTEGERS, bool_, is_array, module_of
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import indexing as gates
from tapegrad.autograd.records import Variable

from .arguments import check_tensor, normalize_dim, numpy_names, on_its_gpu, same_device, whole
from .positions import in_range, index_array, mask_array
from .shape import expand, reshape

__all__ = [
    "as_strided",
    "gather",
    "index_select",
    "masked_select",
    "narrow",
    "narrow_copy",
    "select",
    "take",
    "take_along_dim",
]


def key_of(key: Any, data: Any) -> Any:
    """What stands between the brackets of `data`, with arrays in place of tensors and lists.

    The arrays are copies: a node may keep the key, and the user may change theirs. Those of a CPU
    may be positions in what is on a GPU, as in PyTorch.
    """
    if isinstance(key, tuple):
        return tuple(key_of(part, data) for part in key)
    xp = module_of(data)
    if isinstance(key, Variable):
        if key._data.dtype not in INTEGERS and key._data.dtype != bool_:
            raise IndexError(f"indices must be integers or booleans, got {describe(key)}")
        key = key._data
        if type(key) in DEVICE_TYPES:
            engine.same_device("index", (data, key))
    if is_array(key):
        if not key.ndim and key.dtype in INTEGERS:
            return int(key)
        return xp.array(key, copy=True)
    if isinstance(key, (list, range)):
        return xp.asarray(np.asarray(key)) if len(key) else xp.zeros(0, np.int64)
    return key


def _span(part: Any) -> int:
    """How many dimensions a part of a key reads."""
    if part is None or part is ... or isinstance(part, bool):
        return 0
    return part.ndim if is_array(part) and part.dtype == bool_ else 1


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
    used = sum(map(_span, key))
    first: list[Any] = []
    second: list[Any] = []
    for part in key:
        if is_array(part):
            first += [slice(None)] * _span(part)
            second.append(part)
        elif part is ...:
            first += [slice(None)] * (ndim - used)
            second += [slice(None)] * (ndim - used)
        else:
            first.append(part)
            if type(part) is not int:
                second.append(slice(None))
    return tuple(first), tuple(second)


def checked(key: Any, data: Any) -> Any:
    """A key whose positions out of range are refused also where the library would wrap them around.

    CuPy does, NumPy does not. Only for keys without integers, as `in_turn` leaves those that hold
    arrays.
    """
    if module_of(data) is np:
        return key
    parts = key if isinstance(key, tuple) else (key,)
    found, dim = [], 0
    for part in parts:
        if part is ...:
            dim += data.ndim - sum(map(_span, parts))
        span = _span(part)
        if is_array(part) and part.dtype in INTEGERS and dim < data.ndim:
            place = f"dim {dim} of {describe(data)}"
            part = in_range("index", part, data.shape[dim], place, negative=True)
        found.append(part)
        dim += span
    return tuple(found) if isinstance(key, tuple) else found[0]


def put_at(input: Any, value: Any, key: Any) -> Any:
    """A copy of `input` with `value` at `key` (of arrays), recorded."""
    first, second = in_turn(key, input._data.ndim)
    if first is ...:
        return gates.index_put(input, value, key=checked(second, input._data))
    part = gates.index(input, key=first)
    written = gates.index_put(part, value, key=checked(second, part._data))
    return gates.index_put(input, written, key=first)


@on_its_gpu
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
    if type(key) is int or type(key) is slice:
        return gates.index(input, key=key)
    first, second = in_turn(key_of(key, data), data.ndim)
    if first is not ...:
        input = gates.index(input, key=first)
    return gates.index(input, key=checked(second, input._data))


@numpy_names
def select(input: Any, dim: int, index: Any) -> Any:
    """The slice at one position along a dimension, without the dimension: a view.

    >>> import tapegrad as tg
    >>> tg.select(tg.tensor([[1, 2], [3, 4]]), 1, -1)
    tensor([2, 4])
    """
    data = check_tensor("select", input)._data
    if not data.ndim:
        raise IndexError("select: a tensor of no dimensions has no slices")
    dim = normalize_dim("select", dim, data.ndim)
    return gates.index(input, key=(*(slice(None),) * dim, position("select", input, dim, index)))


def position(name: str, input: Any, dim: int, index: Any) -> int:
    """One position along a dimension, negative ones counted from the end, as an int from 0."""
    place, length = whole(name, "index", index), input._data.shape[dim]
    if not -length <= place < length:
        raise IndexError(
            f"{name}: index {place} is out of range for dim {dim} of {describe(input)}"
        )
    return place % length


@numpy_names
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """`length` positions along a dimension from `start` (an int or a tensor of one): a view.

    >>> import tapegrad as tg
    >>> tg.narrow(tg.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    data = check_tensor("narrow", input)._data
    if not data.ndim:
        raise RuntimeError("narrow: a tensor of no dimensions has no slices")
    dim = normalize_dim("narrow", dim, data.ndim)
    if isinstance(start, Variable) and (start._data.ndim or start._data.dtype not in INTEGERS):
        raise RuntimeError(f"narrow: start must be one integer, got {describe(start)}")
    start, length = whole("narrow", "start", start), whole("narrow", "length", length)
    size = data.shape[dim]
    if not -size <= start <= size:
        raise IndexError(
            f"narrow: start {start} is out of range for dim {dim} of {describe(input)}"
        )
    start += size * (start < 0)
    if length < 0 or start + length > size:
        raise RuntimeError(
            f"narrow: a length of {length} from {start} on does not fit dim {dim} of "
            f"{describe(input)}"
        )
    return gates.index(input, key=(*(slice(None),) * dim, slice(start, start + length)))


@numpy_names
def narrow_copy(input: Any, dim: int, start: Any, length: int) -> Any:
    """`narrow`, in memory of its own."""
    return narrow(input, dim, start, length).clone()


@on_its_gpu
@numpy_names
def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    """out[i][j] = input[i][index[i][j]] for dim 1, and so on; `index` may be smaller elsewhere.

    The gradient is always dense, whatever `sparse_grad` says.

    >>> import tapegrad as tg
    >>> tg.gather(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    positions, dim = positions_along("gather", input, dim, index)
    if not positions.size:  # of any shape
        return gates.index(reshape(input, (-1,)), key=module_of(positions).array(positions))
    return gates.gather(input, positions, dim=dim)


def positions_along(name: str, input: Any, dim: int, index: Any) -> tuple[Any, int]:
    """The positions in `index` along a dimension of `input`, checked, and the dimension."""
    data, positions = check_tensor(name, input)._data, index_array(name, input, index)
    dim = normalize_dim(name, dim, data.ndim)
    if not positions.size:
        return positions, dim
    rank = max(positions.ndim, 1)
    sizes = zip(positions.shape, data.shape, strict=False)
    if rank != max(data.ndim, 1) or any(i != dim and n > m for i, (n, m) in enumerate(sizes)):
        raise ShapeError(f"{name}: index {describe(index)} does not fit {describe(input)}")
    length = data.shape[dim] if data.ndim else 1
    return in_range(name, positions, length, f"dim {dim} of {describe(input)}"), dim


@on_its_gpu
@numpy_names
def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of `input` along `dim` that a vector of indices names.

    >>> import tapegrad as tg
    >>> tg.index_select(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([1]))
    tensor([[2],
            [4]])
    """
    data = check_tensor("index_select", input)._data
    dim = normalize_dim("index_select", dim, data.ndim)
    positions = index_array("index_select", input, index, most=1)
    length = data.shape[dim] if data.ndim else 1
    positions = in_range("index_select", positions, length, f"dim {dim} of {describe(input)}")
    if not data.ndim:
        if positions.size != 1:
            raise RuntimeError(
                f"index_select: {describe(input)} has one element to select, not {positions.size}"
            )
        return reshape(input, ())
    rows = module_of(positions).array(positions, copy=True).reshape(-1)
    return gates.index(input, key=(*(slice(None),) * dim, rows))


@on_its_gpu
def take(input: Any, index: Any) -> Any:
    """The elements of the flattened `input` at `index`, in the shape of `index`.

    >>> import tapegrad as tg
    >>> tg.take(tg.tensor([[4, 3], [2, 1]]), tg.tensor([[0, -1]]))
    tensor([[4, 1]])
    """
    data, positions = check_tensor("take", input)._data, index_array("take", input, index)
    place = f"the elements of {describe(input)}"
    places = in_range("take", positions, data.size, place, negative=True)
    taken = gates.gather(reshape(input, (-1,)), places.reshape(-1), dim=0)
    return reshape(taken, positions.shape)


@on_its_gpu
def masked_select(input: Any, mask: Any) -> Any:
    """The elements where the mask holds, in one dimension.

    >>> import tapegrad as tg
    >>> tg.masked_select(tg.tensor([1, 2, 3]), tg.tensor([True, False, True]))
    tensor([1, 3])
    """
    data = check_tensor("masked_select", input)._data
    chosen = mask_array("masked_select", mask)
    same_device("masked_select", input, mask)
    try:
        shape = np.broadcast_shapes(data.shape, chosen.shape)
    except ValueError:
        raise ShapeError(
            f"masked_select: mask {describe(mask)} does not fit {describe(input)}"
        ) from None
    return getitem(expand(input, shape), expand(mask, shape))


@on_its_gpu
@numpy_names
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """`gather` as NumPy's `take_along_axis`: the other dimensions broadcast; None flattens.

    >>> import tapegrad as tg
    >>> tg.take_along_dim(tg.tensor([[3, 1], [2, 4]]), tg.tensor([[0]]), dim=1)
    tensor([[3],
            [2]])
    """
    data = check_tensor("take_along_dim", input)._data
    positions = index_array("take_along_dim", input, indices)
    if dim is None:
        return _along(reshape(input, (-1,)), positions.reshape(-1), 0, input)
    dim = normalize_dim("take_along_dim", dim, data.ndim)
    if positions.ndim != data.ndim:
        raise ShapeError(
            f"take_along_dim: indices {describe(indices)} and {describe(input)} need as many "
            "dimensions"
        )
    shapes = [list(data.shape), list(positions.shape)]
    for shape in shapes:
        shape[dim : dim + 1] = [1] if data.ndim else []
    try:
        common = list(np.broadcast_shapes(*map(tuple, shapes)))
    except ValueError:
        raise ShapeError(
            f"take_along_dim: indices {describe(indices)} do not broadcast with {describe(input)} "
            f"around dim {dim}"
        ) from None
    wanted = [*common[:dim], *positions.shape[dim : dim + 1], *common[dim + 1 :]]
    given = [*common[:dim], *data.shape[dim : dim + 1], *common[dim + 1 :]]
    positions = module_of(positions).broadcast_to(positions, wanted)
    return _along(expand(input, given), positions, dim, input)


def _along(values: Any, positions: Any, dim: int, input: Any) -> Any:
    length = values._data.shape[dim] if values._data.ndim else 1
    place = f"dim {dim} of {describe(input)}"
    positions = in_range("take_along_dim", positions, length, place, negative=True)
    return gates.gather(values, positions, dim=dim)


@on_its_gpu
def as_strided(
    input: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """The elements of the flattened `input` at steps of `stride`, in a shape: a copy.

    Where PyTorch addresses memory, which a view may share with more, this is about elements.

    >>> import tapegrad as tg
    >>> tg.as_strided(tg.arange(6), (2, 2), (1, 2), 1)
    tensor([[1, 3],
            [2, 4]])
    """
    places = _strided("as_strided", input, size, stride, storage_offset)
    return gates.index(reshape(input, (-1,)), key=places)


def _strided(name: str, input: Any, size: Any, stride: Any, offset: int | None) -> Any:
    data = check_tensor(name, input)._data
    if len(size) != len(stride) or min((*size, *stride, 0)) < 0:
        raise ShapeError(f"{name}: size {tuple(size)} and stride {tuple(stride)} do not match")
    xp = module_of(data)
    places = xp.asarray(offset or 0)
    for length, step in zip(size, stride, strict=True):
        places = places[..., None] + xp.arange(length) * step
    return in_range(name, places, data.size, f"the elements of {describe(input)}")
