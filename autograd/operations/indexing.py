"""Reading and writing at positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from tapegrad.autograd.arrays import INTEGERS, bool_, module_of
from tapegrad.autograd.engine import ShapeError, Variable, array_of, describe, wrap
from tapegrad.autograd.gates import indexing as gates
from tapegrad.autograd.operations.arguments import check_tensor, normalize_dim, numpy_names
from tapegrad.autograd.operations.pointwise import where
from tapegrad.autograd.operations.shape import expand


def key_of(key: Any) -> Any:
    """What stands between the brackets, with arrays in place of tensors and lists."""
    if isinstance(key, tuple):
        return tuple(map(key_of, key))
    if isinstance(key, Variable):
        if key._data.dtype not in INTEGERS and key._data.dtype != bool_:
            raise IndexError(f"indices must be integers or booleans, got {describe(key)}")
        return np.asarray(key._data) if isinstance(key._data, np.generic) else key._data
    if isinstance(key, list):
        return np.asarray(key) if key else np.zeros(0, np.int64)
    if isinstance(key, range):
        return np.asarray(key)
    return key


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
        data = input.data  # a key may ask for a view
    return gates.index(input, key=key_of(key))


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
        raise IndexError(
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
    dim = normalize_dim("index_select", dim, check_tensor("index_select", input)._data.ndim)
    return gates.index(input, key=(*(slice(None),) * dim, key_of(index)))


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`input` with `value` wherever the mask holds; no gradient comes from there.

    >>> import tapegrad as tg
    >>> tg.masked_fill(tg.tensor([1.0, 2.0]), tg.tensor([True, False]), 0.0)
    tensor([0., 2.])
    """
    filled = where(mask, value, check_tensor("masked_fill", input))
    if filled._data.shape != input._data.shape:
        raise ShapeError(f"masked_fill: mask {describe(mask)} does not fit {describe(input)}")
    return filled


def masked_select(input: Any, mask: Any) -> Any:
    """The elements where the mask holds, in one dimension."""
    data = check_tensor("masked_select", input)._data
    shape = np.broadcast_shapes(data.shape, mask._data.shape)
    return getitem(expand(input, shape), expand(mask, shape))


@numpy_names
def take_along_dim(input: Any, indices: Any, dim: int) -> Any:
    """`gather` with the arguments in NumPy's order (`take_along_axis`)."""
    return gather(input, dim, indices)


def one_hot(target: Any, num_classes: int = -1) -> Any:
    """Integers as rows with a single 1; by default as many columns as the largest needs.

    >>> import tapegrad as tg
    >>> tg.one_hot(tg.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    data = check_tensor("one_hot", target)._data
    if data.dtype not in INTEGERS:
        raise RuntimeError(f"one_hot: needs integers, got {describe(target)}")
    classes = int(data.max()) + 1 if num_classes == -1 else num_classes
    if data.size and (data.min() < 0 or data.max() >= classes):
        raise RuntimeError(f"one_hot: classes must be from 0 to {classes - 1}")
    xp = module_of(data)
    return wrap((xp.asarray(data)[..., None] == xp.arange(classes)).astype(np.int64))


def diag(input: Any) -> Any:
    """The main diagonal of a matrix, or the matrix with a vector as its main diagonal."""
    data = check_tensor("diag", input)._data
    if data.ndim == 2:
        rows = np.arange(min(data.shape))
        return gates.index(input, key=(rows, rows))
    if data.ndim == 1:
        rows = np.arange(data.shape[0])
        return gates.index_add(input, key=(rows, rows), shape=data.shape * 2)
    raise RuntimeError(f"diag: expected a vector or a matrix, got {describe(input)}")


__all__ = [
    "diag",
    "gather",
    "getitem",
    "index_select",
    "key_of",
    "masked_fill",
    "masked_select",
    "one_hot",
    "scatter_add",
    "take_along_dim",
]
