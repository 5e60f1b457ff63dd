"""Writing at positions, out of place: into a dimension, a mask, a key, the flat memory.

What is overwritten receives no gradient; what is combined receives its share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import FLOATS, bool_, module_of
from tapegrad.autograd.engine import array_of, cast, describe, wrap
from tapegrad.autograd.errors import ArgumentError, DtypeError, PositionError, ShapeError
from tapegrad.autograd.gates import indexing as gates
from tapegrad.autograd.gates.shape import reshape as reshape_gate
from tapegrad.autograd.records import Variable
from tapegrad.kernels.positions import flat as flat_positions

from . import combining
from .arguments import (
    check_tensor,
    normalize_dim,
    number_that_fits,
    numpy_names,
    on_its_gpu,
    same_device,
)
from .indexing import key_of, position, positions_along, put_at
from .positions import in_range, index_array, mask_array
from .selection import where
from .shape import expand, reshape

__all__ = [
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_reduce",
    "masked_fill",
    "masked_scatter",
    "put",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "select_scatter",
    "slice_scatter",
]


@on_its_gpu
@numpy_names
def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None
) -> Any:
    """`input` with src[i][j], or one value, written at [i][index[i][j]] for dim 1.

    Where positions repeat the last stays, and it alone receives the gradient.

    reduce  "add" or "multiply": combine with what is there instead of overwriting it

    >>> import tapegrad as tg
    >>> tg.scatter(tg.zeros(2, 2), 1, tg.tensor([[1], [0]]), tg.tensor([[5.0], [6.0]]))
    tensor([[0., 5.],
            [6., 0.]])
    """
    if reduce not in (None, "add", "multiply"):
        raise ArgumentError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    if (src is None) == (value is None):
        raise TypeError("scatter: expected either src or value")
    if isinstance(src, Variable):
        flat = _Flat("scatter", input, dim, index, src)
    else:
        number = _one_value(
            "scatter", check_tensor("scatter", input), value if src is None else src
        )
        shape, xp = index_array("scatter", input, index).shape, module_of(input.data)
        src = wrap(xp.full(shape, array_of(number), input._data.dtype))
        flat = _Flat("scatter", input, dim, index, src)
    if reduce == "add":
        return flat.shaped(combining.total(flat.input, flat.src, flat.places))
    if reduce == "multiply":
        return flat.shaped(combining.product(flat.input, flat.src, flat.places))
    return flat.shaped(gates.index_put(flat.input, flat.src, key=flat.places))


@on_its_gpu
@numpy_names
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """`input` with src[i][j] added at [i][index[i][j]] for dim 1: the adjoint of `gather`.

    >>> import tapegrad as tg
    >>> tg.scatter_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    flat = _Flat("scatter_add", input, dim, index, src)
    return flat.shaped(combining.total(flat.input, flat.src, flat.places))


@on_its_gpu
@numpy_names
def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """src[i][j] combined at [i][index[i][j]] for dim 1, with what `input` has there or without.

    reduce        "sum", "prod", "mean", "amax" or "amin"; of a tie, all receive an equal share
    include_self  whether the element of `input` takes part; where nothing arrives it stays

    >>> import tapegrad as tg
    >>> x, i, src = tg.tensor([1.0, 2.0]), tg.tensor([0, 0]), tg.tensor([3.0, 5.0])
    >>> tg.scatter_reduce(x, 0, i, src, "mean"), tg.scatter_reduce(x, 0, i, src, "amin")
    (tensor([3., 2.]), tensor([1., 2.]))
    >>> tg.scatter_reduce(x, 0, i, src, "prod", include_self=False)
    tensor([15.,  2.])
    """
    combine = combining.named("scatter_reduce", reduce, ("sum", "prod", "mean", "amax", "amin"))
    flat = _Flat("scatter_reduce", input, dim, index, src)
    return flat.shaped(combine(flat.input, flat.src, flat.places, include_self))


class _Flat:
    """The arguments of a scatter in one dimension: what to write into, what, and where."""

    def __init__(self, name: str, input: Any, dim: int, index: Any, src: Any) -> None:
        positions, dim = positions_along(name, input, dim, index)
        _alike(name, input, src)
        self.sizes = input._data.shape
        self.input = reshape(input, (-1,))
        self.src = reshape(src, (-1,))
        xp, given = module_of(positions), src._data.shape
        if not positions.size:
            self.places, self.src = xp.zeros(0, np.int64), self.src[:0]
            return
        if max(len(given), 1) != max(positions.ndim, 1) or any(
            n > m for n, m in zip(positions.shape, given, strict=False)
        ):
            raise ShapeError(f"{name}: index {describe(index)} does not fit src {describe(src)}")
        if positions.shape != given:
            part = src[tuple(slice(n) for n in positions.shape)] if given else src
            self.src = reshape(part, (-1,))
        flat = flat_positions(xp, positions, dim, self.sizes)
        if flat.ndim < 2:  # the user's own, who may change it
            flat = xp.array(flat, copy=True)
        self.places = flat.reshape(-1)

    def shaped(self, result: Any) -> Any:
        return reshape_gate(result, shape=self.sizes)


def _alike(name: str, input: Any, src: Any) -> None:
    """Refuse a source of another dtype, or on another device."""
    if check_tensor(name, src)._data.dtype != check_tensor(name, input)._data.dtype:
        raise DtypeError(
            f"{name}: the source {describe(src)} must have the dtype of {describe(input)}; "
            "convert with .to(dtype)"
        )
    same_device(name, input, src)


# Along a dimension, at the positions of a vector


def _rows(name: str, input: Any, dim: int, index: Any, negative: bool = False) -> Any:
    """A vector of the positions along a dimension, and the dimension; both checked."""
    data, positions = check_tensor(name, input)._data, index_array(name, input, index, most=1)
    dim = normalize_dim(name, dim, data.ndim)
    length = data.shape[dim] if data.ndim else 1
    place = f"dim {dim} of {describe(input)}"
    counted = in_range(name, positions, length, place, negative)
    if counted is positions:  # the user's own, who may change it
        counted = module_of(positions).array(positions, copy=True)
    return counted.reshape(-1), dim


def _fitting(name: str, input: Any, dim: int, rows: Any, source: Any, error: Any) -> Any:
    """The source, if it has the shape of `input` but for the number of rows in `dim`."""
    shape, given = input._data.shape or (1,), check_tensor(name, source)._data.shape or (1,)
    if given != (*shape[:dim], rows.size, *shape[dim + 1 :]):
        raise error(
            f"{name}: source {describe(source)} does not fit {rows.size} positions along dim "
            f"{dim} of {describe(input)}"
        )
    return reshape(source, given)


def _written(input: Any, dim: int, rows: Any, source: Any) -> Any:
    """`input` with the source at rows of a dimension; of no dimensions, it has one row."""
    shape = input._data.shape
    key = (*(slice(None),) * dim, rows)
    return reshape(gates.index_put(reshape(input, shape or (1,)), source, key=key), shape)


@on_its_gpu
@numpy_names
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """`input` with `alpha` times the slices of `source` added at the positions of a vector.

    >>> import tapegrad as tg
    >>> tg.index_add(tg.zeros(3), 0, tg.tensor([0, 2, 0]), tg.ones(3), alpha=2)
    tensor([4., 0., 2.])
    """
    rows, dim = _rows("index_add", input, dim, index)
    _alike("index_add", input, source)
    source = _fitting("index_add", input, dim, rows, source, ShapeError)
    shape = input._data.shape
    if isinstance(alpha, float) and input._data.dtype not in FLOATS:
        raise DtypeError(f"index_add: alpha {alpha} would make {describe(input)} a float")
    if alpha != 1:
        if input._data.dtype in FLOATS:
            number_that_fits("index_add", alpha, input._data.dtype)
        xp = module_of(rows)
        source = source * wrap(xp.asarray(alpha).astype(source._data.dtype))
    added = gates.index_add(
        source,
        key=(*(slice(None),) * dim, rows),
        shape=shape or (1,),
    )
    added = reshape(added, shape)
    return input | added if input._data.dtype == bool_ else input + added


@on_its_gpu
@numpy_names
def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """`input` with the slices of `source` written at the positions of a vector.

    Where positions repeat the last stays, and it alone receives the gradient.

    >>> import tapegrad as tg
    >>> tg.index_copy(tg.zeros(3), 0, tg.tensor([2, 0]), tg.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    rows, dim = _rows("index_copy", input, dim, index)
    _alike("index_copy", input, source)
    return _written(
        input, dim, rows, _fitting("index_copy", input, dim, rows, source, PositionError)
    )


@on_its_gpu
@numpy_names
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """`input` with one value, a number or a tensor of one, at the positions of a vector.

    >>> import tapegrad as tg
    >>> tg.index_fill(tg.zeros(3), 0, tg.tensor([0, 2]), 5.0)
    tensor([5., 0., 5.])
    """
    rows, dim = _rows("index_fill", input, dim, index, negative=True)
    return _written(input, dim, rows, _one_value("index_fill", input, value))


def _one_value(name: str, input: Any, value: Any) -> Any:
    """A number or a tensor of no dimensions, in the dtype of `input`."""
    dtype = input._data.dtype
    if isinstance(value, Variable):
        if value._data.ndim:
            raise ShapeError(f"{name}: the value must be a single one, got {describe(value)}")
        return cast(value, dtype=dtype) if value._data.dtype != dtype else value
    if isinstance(value, (bool, int, float, np.generic)):
        value = number_that_fits(name, value, dtype)
        return dtype.type(value).item() if dtype not in FLOATS else float(value)
    raise TypeError(f"{name}: the value must be a number or a tensor of one, got {value!r}")


@on_its_gpu
@numpy_names
def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """The slices of `source` combined at the positions of a vector; as `scatter_reduce`.

    reduce        "prod", "mean", "amax" or "amin"
    include_self  whether the slice of `input` takes part

    >>> import tapegrad as tg
    >>> tg.index_reduce(tg.ones(2), 0, tg.tensor([1, 1]), tg.tensor([2.0, 3.0]), "prod")
    tensor([1., 6.])
    """
    combine = combining.named("index_reduce", reduce, ("prod", "mean", "amax", "amin"))
    rows, dim = _rows("index_reduce", input, dim, index)
    _alike("index_reduce", input, source)
    source = _fitting("index_reduce", input, dim, rows, source, ShapeError)
    xp, sizes = module_of(rows), source._data.shape
    wide_rows = rows.reshape((-1,) + (1,) * (len(sizes) - 1 - dim))
    positions = xp.broadcast_to(wide_rows, sizes)
    flat = _Flat("index_reduce", reshape(input, input._data.shape or (1,)), dim, positions, source)
    combined = combine(flat.input, flat.src, flat.places, include_self)
    return reshape(combined, input._data.shape)


# By a mask, a key, the flat memory, a slice


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`input` with `value` wherever the mask holds; no gradient comes from there.

    >>> import tapegrad as tg
    >>> tg.masked_fill(tg.tensor([1.0, 2.0]), tg.tensor([True, False]), 0.0)
    tensor([0., 2.])
    """
    check_tensor("masked_fill", input)
    mask_array("masked_fill", mask)
    try:
        return where(mask, _one_value("masked_fill", input, value), input)
    except ShapeError as error:
        if isinstance(value, Variable) and value._data.ndim:
            raise
        raise ShapeError(
            f"masked_fill: mask {describe(mask)} does not fit {describe(input)}"
        ) from error


@on_its_gpu
def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """`input` with the elements of `source`, in their order, where the mask holds.

    >>> import tapegrad as tg
    >>> tg.masked_scatter(tg.zeros(3), tg.tensor([True, False, True]), tg.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 2.])
    """
    _alike("masked_scatter", input, source)
    chosen = mask_array("masked_scatter", mask)
    same_device("masked_scatter", input, mask)
    try:
        shape = np.broadcast_shapes(input._data.shape, chosen.shape)
    except ValueError:
        raise ShapeError(
            f"masked_scatter: mask {describe(mask)} does not fit {describe(input)}"
        ) from None
    xp = module_of(chosen)
    places = xp.broadcast_to(chosen, shape).reshape(-1).nonzero()[0]
    if places.size > source._data.size:
        raise ShapeError(
            f"masked_scatter: the mask holds at {places.size} places, but source "
            f"{describe(source)} has fewer elements"
        )
    if input._data.shape != shape:
        input = expand(input, shape)
    values = reshape(source, (-1,))[: places.size]
    return reshape(gates.index_put(reshape(input, (-1,)), values, key=places), shape)


@on_its_gpu
def index_put(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """`input` with `values`, which broadcast, at input[indices], or added there.

    >>> import tapegrad as tg
    >>> rows, ones = tg.tensor([0, 0]), tg.ones(2)
    >>> tg.index_put(tg.zeros(2), (rows,), ones, accumulate=True)
    tensor([2., 0.])
    """
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put: indices must be a tuple of tensors, got {indices!r}")
    _alike("index_put", input, values)
    xp = module_of(input.data)
    whole = (slice(None) if part is None else key_of(part, input._data) for part in indices)
    # Scalar tensors stay arrays: PyTorch broadcasts them with the others.
    key = tuple(xp.asarray(part) if isinstance(part, int) else part for part in whole)
    if not accumulate:
        return put_at(input, values, key)
    shape = gates.index(input.detach(), key=key)._data.shape
    return input + gates.index_add(expand(values, shape), key=key, shape=input._data.shape)


@on_its_gpu
def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """`input` with the elements of `source` at positions in its flat memory, or added there.

    >>> import tapegrad as tg
    >>> tg.put(tg.zeros(2, 2), tg.tensor([3, 0]), tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 1.]])
    """
    _alike("put", input, source)
    positions = index_array("put", input, index)
    if positions.size != source._data.size:
        raise PositionError(
            f"put: index {describe(index)} and source {describe(source)} need as many elements"
        )
    shape = input._data.shape
    place = f"the elements of {describe(input)}"
    positions = in_range("put", positions, math.prod(shape), place, negative=True)
    places = module_of(positions).array(positions, copy=True).reshape(-1)
    flat, values = reshape(input, (-1,)), reshape(source, (-1,))
    if accumulate:
        return reshape(combining.total(flat, values, places), shape)
    return reshape(gates.index_put(flat, values, key=places), shape)


@numpy_names
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """`input` with `src` written into the slice at one position along a dimension.

    >>> import tapegrad as tg
    >>> tg.select_scatter(tg.zeros(2, 2), tg.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    data = check_tensor("select_scatter", input)._data
    if not data.ndim:
        raise IndexError("select_scatter: a tensor of no dimensions has no slices")
    dim = normalize_dim("select_scatter", dim, data.ndim)
    place = position("select_scatter", input, dim, index)
    return _into("select_scatter", input, src, (*(slice(None),) * dim, place))


@numpy_names
def slice_scatter(
    input: Any,
    src: Any,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Any:
    """`input` with `src` written into the slice start:end:step of a dimension.

    >>> import tapegrad as tg
    >>> tg.slice_scatter(tg.zeros(4), tg.ones(2), start=1, step=2)
    tensor([0., 1., 0., 1.])
    """
    data = check_tensor("slice_scatter", input)._data
    if not data.ndim:
        raise IndexError("slice_scatter: a tensor of no dimensions has no slices")
    if step < 1:
        raise ArgumentError(f"slice_scatter: step must be positive, got {step}")
    dim = normalize_dim("slice_scatter", dim, data.ndim)
    return _into("slice_scatter", input, src, (*(slice(None),) * dim, slice(start, end, step)))


def _into(name: str, input: Any, src: Any, key: Any) -> Any:
    shape, given = input._data[key].shape, check_tensor(name, src)._data.shape
    if shape != given:
        raise ShapeError(
            f"{name}: src {describe(src)} does not have the shape {shape} of the slice"
        )
    return gates.index_put(input, src.to(input._data.dtype), key=key)
