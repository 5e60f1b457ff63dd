"""Order: sorting, the largest few, what differs, where a value belongs, how often it occurs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import (
    FLOATS,
    INTEGERS,
    float32,
    float64,
    int32,
    int64,
    module_of,
)
from tapegrad.autograd.engine import array_of, describe, needs_gradient, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.records import Variable
from tapegrad.kernels import sorting as kernels
from tapegrad.kernels.segments import counted

from .arguments import check_tensor, normalize_dim, numpy_names, on_its_gpu, same_device, whole
from .reductions import ValuesAndIndices, as_shaped, at_positions, line_of

__all__ = [
    "argsort",
    "bincount",
    "bucketize",
    "msort",
    "searchsorted",
    "sort",
    "topk",
    "unique",
    "unique_consecutive",
]


@on_its_gpu
@numpy_names
def sort(
    input: Any, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesAndIndices:
    """The elements along a dimension in order, as (values, indices).

    NaN counts as the largest. Equals stay in the order they are in, whatever `stable` says. The
    gradient goes back to where the values came from.

    >>> import tapegrad as tg
    >>> tg.sort(tg.tensor([3.0, 1.0, 2.0]))
    ValuesAndIndices(values=tensor([1., 2., 3.]), indices=tensor([1, 2, 0]))
    """
    line, position = line_of("sort", input, dim)
    found = at_positions(line, _order(line, position, descending), position)
    return ValuesAndIndices(*(as_shaped(part, input) for part in found))


@on_its_gpu
@numpy_names
def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The indices that `sort` returns.

    >>> import tapegrad as tg
    >>> tg.argsort(tg.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1])
    """
    line, position = line_of("argsort", input, dim)
    return as_shaped(wrap(_order(line, position, descending)), input)


@on_its_gpu
def msort(input: Any) -> Any:
    """The elements along the first dimension in order.

    >>> import tapegrad as tg
    >>> tg.msort(tg.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    data = check_tensor("msort", input)._data
    if needs_gradient(input) or not data.ndim:
        return sort(input, 0).values
    ordered = module_of(data).sort(kernels.comparable(data), axis=0)
    return wrap(ordered.astype(data.dtype, copy=False))


def _order(line: Any, dim: int, descending: bool) -> Any:
    xp = module_of(line._data)
    lines = xp.moveaxis(line._data, dim, -1)
    return xp.moveaxis(kernels.argsort(xp, lines, descending), -1, dim)


@on_its_gpu
@numpy_names
def topk(
    input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesAndIndices:
    """The k largest elements along a dimension, or the smallest, as (values, indices).

    Of equals the first are taken. Without `sorted` they may come in any order.

    >>> import tapegrad as tg
    >>> tg.topk(tg.tensor([3.0, 1.0, 2.0, 4.0]), 2)
    ValuesAndIndices(values=tensor([4., 3.]), indices=tensor([3, 0]))
    """
    line, position = line_of("topk", input, dim)
    k, length = whole("topk", "k", k), line._data.shape[position]
    if not 0 <= k <= length:
        raise ArgumentError(f"topk: k must be from 0 to {length}, got {k}")
    xp = module_of(line._data)
    lines = xp.moveaxis(line._data, position, -1)
    places = xp.moveaxis(kernels.topk(xp, lines, k, largest, sorted), -1, position)
    if not input._data.ndim and not k:
        return at_positions(line, places, position)
    return ValuesAndIndices(*(as_shaped(p, input) for p in at_positions(line, places, position)))


@on_its_gpu
@numpy_names
def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements in order, or the different slices along `dim`.

    Also, if asked for, where each element is found among them, and how often each occurs. They are
    always sorted. No gradient.

    >>> import tapegrad as tg
    >>> tg.unique(tg.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    rows, shape, position = _rows("unique", input, dim)
    xp = module_of(rows)
    inverse = None
    if rows.ndim == 1 and not return_inverse:
        few = rows.dtype.kind in "iu" and not return_counts
        ordered = xp.unique(rows) if few else xp.sort(rows)  # NumPy's hashes whole numbers
    else:
        order = _row_order(xp, rows)
        ordered = rows[order]
    new = kernels.runs(xp, ordered)
    if return_inverse:
        inverse = xp.empty(rows.shape[0], xp.int64)
        inverse[order] = xp.cumsum(new) - 1
    return _distinct(input, ordered, new, inverse, shape, position, return_counts)


@on_its_gpu
@numpy_names
def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements that differ from the one before, or the slices along `dim`.

    Also, if asked for, which of them each element belongs to, and how many do. No gradient.

    >>> import tapegrad as tg
    >>> tg.unique_consecutive(tg.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    rows, shape, position = _rows("unique_consecutive", input, dim)
    xp = module_of(rows)
    new = kernels.runs(xp, rows)
    inverse = xp.cumsum(new) - 1 if return_inverse else None
    return _distinct(input, rows, new, inverse, shape, position, return_counts)


def _rows(name: str, input: Any, dim: int | None) -> tuple[Any, tuple[int, ...], int | None]:
    """What is compared: elements, or rows of a matrix; and the shape of the inverse."""
    data = check_tensor(name, input)._data
    if dim is None:
        return kernels.comparable(data).reshape(-1), data.shape, None
    position = normalize_dim(name, dim, data.ndim)
    if not data.ndim:
        return kernels.comparable(data).reshape(-1), (1,), None
    others = math.prod(data.shape[:position] + data.shape[position + 1 :])
    if not others and data.shape[position]:
        raise RuntimeError(f"{name}: the slices have no elements: {describe(input)}, dim {dim}")
    moved = module_of(data).moveaxis(data, position, 0)
    rows = kernels.comparable(moved).reshape(data.shape[position], others)
    return rows, data.shape[position : position + 1], position


def _row_order(xp: Any, rows: Any) -> Any:
    if rows.ndim == 1 or rows.shape[1] == 1:
        return kernels.argsort(xp, rows.reshape(-1))
    return xp.lexsort(rows.T[::-1]) if rows.shape[1] else xp.arange(rows.shape[0])


def _distinct(
    input: Any,
    rows: Any,
    new: Any,
    inverse: Any,
    shape: tuple[int, ...],
    position: int | None,
    return_counts: bool,
) -> Any:
    """The first of each run, and what else was asked for."""
    data = input._data
    xp = module_of(data)
    found = rows[new].astype(data.dtype, copy=False)
    if position is not None:
        others = data.shape[:position] + data.shape[position + 1 :]
        found = xp.moveaxis(found.reshape(found.shape[0], *others), 0, position)
    results = [wrap(found)]
    if inverse is not None:
        results.append(wrap(inverse.reshape(shape)))
    if return_counts:
        starts = xp.append(new.nonzero()[0], rows.shape[0])
        results.append(wrap(starts[1:] - starts[:-1]))
    return results[0] if len(results) == 1 else tuple(results)


@on_its_gpu
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Where each value of `input` belongs in a sorted sequence.

    sorted_sequence    of one dimension, or (..., n) for values of shape (..., m)
    right, side        after its equals (`right=True`, `side="right"`), or before them
    sorter             the indices that sort the sequence, if it is not sorted

    >>> import tapegrad as tg
    >>> tg.searchsorted(tg.tensor([1, 3, 5]), tg.tensor([3, 4]))
    tensor([1, 2])
    """
    data = check_tensor("searchsorted", sorted_sequence)._data
    xp = module_of(data)
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side={side!r} and right={right} do not agree")
    same_device("searchsorted", sorted_sequence, input, sorter)
    values = array_of(input)
    if not isinstance(input, Variable):
        with np.errstate(all="ignore"):  # beyond what the dtype holds is beyond all
            values = xp.asarray(input, data.dtype if data.dtype in FLOATS else None)
    if not data.ndim:
        raise RuntimeError("searchsorted: the sequence needs a dimension, got a scalar")
    if data.ndim > 1 and values.shape[:-1] != data.shape[:-1]:
        raise ShapeError(
            f"searchsorted: sequences {describe(data)} and values {describe(values)} need the "
            "same shape up to the last dimension"
        )
    if sorter is not None:
        data = kernels.take(xp, data, _sorter(data, sorter))
    found = kernels.search(xp, data, values, right or side == "right")
    return wrap(found.astype(int32 if out_int32 else int64, copy=False))


def _sorter(data: Any, sorter: Any) -> Any:
    places = check_tensor("searchsorted", sorter)._data
    if places.shape != data.shape or places.dtype != int64:
        raise RuntimeError(
            f"searchsorted: the sorter must be int64{list(data.shape)}, got {describe(sorter)}"
        )
    if places.size and (places.min() < 0 or places.max() >= data.shape[-1]):
        raise RuntimeError("searchsorted: the sorter has an index out of range")
    return places


@on_its_gpu
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """Which of the buckets between sorted boundaries each value falls into.

    A value on a boundary belongs below it, or above with `right`.

    >>> import tapegrad as tg
    >>> tg.bucketize(tg.tensor([0, 3, 9]), tg.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    if not isinstance(input, (int, float)):
        check_tensor("bucketize", input)
    data = check_tensor("bucketize", boundaries)._data
    same_device("bucketize", input, boundaries)
    if data.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries need one dimension, got {describe(boundaries)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@on_its_gpu
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each whole number from 0 on occurs, or the sum of its `weights`.

    >>> import tapegrad as tg
    >>> tg.bincount(tg.tensor([0, 2, 2])), tg.bincount(tg.tensor([0, 1]), tg.tensor([0.5, 2.0]))
    (tensor([1, 0, 2]), tensor([0.5000, 2.0000]))
    """
    data = check_tensor("bincount", input)._data
    xp = module_of(data)
    if data.ndim != 1 or data.dtype not in INTEGERS or (data.size and data.min() < 0):
        raise RuntimeError(
            f"bincount: expected whole numbers from 0 on in one dimension, got {describe(input)}"
        )
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength must not be negative, got {minlength}")
    if data.size:
        minlength = max(minlength, int(data.max()) + 1)
    if weights is None:
        return wrap(counted(xp, data, minlength).astype(int64, copy=False))
    given = check_tensor("bincount", weights)._data
    same_device("bincount", input, weights)
    if given.shape != data.shape:
        raise RuntimeError(f"bincount: weights {describe(weights)} do not fit {describe(input)}")
    counts = counted(xp, data, minlength, given.astype(float64))
    return wrap(counts.astype(float32 if given.dtype == float32 else float64, copy=False))
