"""Calls of what reads and writes positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, call

Row = Callable[[Draw], Call]


def along(d: Draw, once: bool = False, most: int = 3) -> tuple[tuple[int, ...], int, np.ndarray]:
    """A shape, a dimension, and positions along it, at most as many as the shape has elsewhere.

    With `once` no position is named twice, because which of two writes stays is open in PyTorch.
    """
    shape = d.shape(0, most, 3)
    dim = d.dim(len(shape))
    at = dim % max(len(shape), 1)
    length = shape[at] if shape else 1
    size = [d.integer(0, n) for n in shape]
    if shape:
        size[at] = d.integer(0, length if once else 4) if length else 0
    stream = d.values()
    if once:
        orders = np.argsort(stream.random((*size[:at], length, *size[at + 1 :])), axis=at)
        return shape, dim, orders[tuple(slice(n) for n in size)] if shape else np.asarray(0)
    return shape, dim, np.asarray(stream.integers(0, max(length, 1), size))


def smaller_type(d: Draw, index: np.ndarray) -> np.ndarray:
    """The positions, in one of the two types that PyTorch takes."""
    return index.astype(d.one_of(np.int64, np.int32))


def gather(d: Draw) -> Call:
    shape, dim, index = along(d)
    return call(d.tensor(shape), dim, smaller_type(d, index))


def scatter(d: Draw) -> Call:
    shape, dim, index = along(d, once=True)
    if d.flag():
        value = d.one_of(2, -0.5)
        named = d.flag()
        return call(
            d.tensor(shape), dim, index, *[value][named:], **{"value": value} if named else {}
        )
    return call(d.tensor(shape), dim, index, d.tensor(index.shape))


def scatter_add(d: Draw) -> Call:
    shape, dim, index = along(d)
    return call(d.tensor(shape), dim, index, d.tensor(index.shape))


def scatter_reduce(d: Draw) -> Call:
    shape, dim, index = along(d)
    reduce = d.one_of("sum", "prod", "mean", "amax", "amin")
    return call(d.apart(shape), dim, index, d.apart(index.shape), reduce, include_self=d.flag())


def rows(d: Draw, once: bool = False, negative: bool = False) -> Any:
    """A shape, a dimension, a vector of positions along it."""
    shape = d.shape(1)
    dim = d.dim(len(shape))
    n = shape[dim]
    if once:
        index = d.values().permutation(n)[: d.integer(0, n)]
    else:
        index = d.whole((d.integer(0, 4) if n else 0,), 0, n)
    if negative and n and d.flag():
        index = np.where(d.values().random(index.shape) < 0.5, index - n, index)
    return shape, dim, index


def of_rows(d: Draw, once: bool = False) -> Any:
    """Those, and a tensor with a slice for each position."""
    shape, dim, index = rows(d, once)
    source = list(shape)
    source[dim] = index.size
    return d.tensor(shape), dim, index, d.tensor(tuple(source))


def index_select(d: Draw) -> Call:
    shape, dim, index = rows(d)
    return call(d.tensor(shape), dim, smaller_type(d, index))


def index_fill(d: Draw) -> Call:
    value = d.one_of(2, -0.5, np.asarray(0.25))
    # PyTorch has no gradient of a tensor at positions counted from the end.
    shape, dim, index = rows(d, negative=not isinstance(value, np.ndarray))
    return call(d.tensor(shape), dim, index, value)


def index_reduce(d: Draw) -> Call:
    shape, dim, index = rows(d)
    source = list(shape)
    source[dim] = index.size
    reduce = d.one_of("prod", "mean", "amax", "amin")
    x, y = d.apart(shape), d.apart(tuple(source))
    return call(x, dim, index, y, reduce, include_self=d.flag())


def index_put(d: Draw) -> Call:
    shape = d.shape(1, smallest=1)
    accumulate = d.flag()
    count = d.integer(1, len(shape))
    if accumulate:
        key = tuple(d.whole((3,), -n, n) for n in shape[:count])
        target = (3, *shape[count:])
    elif d.flag():
        key = (d.mask(shape[:count]),)
        target = np.zeros(shape)[key].shape
    else:
        first = d.values().permutation(shape[0])
        key = (first, *(np.asarray(0) for _ in shape[1:count]))
        target = (shape[0], *shape[count:])
    value = d.one_of(target, target[1:], (1,) * len(target), ())
    return call(d.tensor(shape), key, d.tensor(value), accumulate)


def put(d: Draw) -> Call:
    shape = d.shape(0, 3, smallest=1)
    size = int(np.prod(shape))
    accumulate = d.flag()
    if accumulate:
        index = d.whole(d.shape(1, 2), -size, size)
    else:
        index = d.values().permutation(size)[: d.integer(0, size)]
    return call(d.tensor(shape), index, d.tensor(index.shape), accumulate=accumulate)


def take(d: Draw) -> Call:
    shape = d.shape(0, 3, smallest=1)
    size = int(np.prod(shape))
    return call(d.tensor(shape), d.whole(d.shape(0, 2), -size, size))


def take_along_dim(d: Draw) -> Call:
    shape = d.shape(1, 3, 3, smallest=1)
    if not d.integer(0, 3):
        size = int(np.prod(shape))
        return call(d.values().random(shape), d.whole((d.integer(0, 4),), 0, size))
    dim = d.dim(len(shape))
    index = [d.one_of(n, 1) for n in shape]
    index[dim] = d.integer(0, 4)
    given = tuple(n if i == dim % len(shape) else d.one_of(n, 1) for i, n in enumerate(shape))
    return call(d.tensor(given), d.whole(index, -shape[dim], shape[dim]), dim)


def masked_fill(d: Draw) -> Call:
    x, mask = d.shapes(2)
    return call(d.tensor(x), d.mask(mask), d.one_of(2, -0.5, np.asarray(0.25)))


def masked_select(d: Draw) -> Call:
    x, mask = d.shapes(2)
    return call(d.tensor(x), d.mask(mask))


def masked_scatter(d: Draw) -> Call:
    shape, mask = d.shapes(2)
    shape = np.broadcast_shapes(shape, mask)
    return call(d.tensor(shape), d.mask(mask), d.tensor((int(np.prod(shape)) + d.integer(0, 2),)))


def select(d: Draw) -> Call:
    shape = d.shape(1, smallest=1)
    dim = d.dim(len(shape))
    return call(d.tensor(shape), dim, d.integer(-shape[dim], shape[dim] - 1))


def select_scatter(d: Draw) -> Call:
    shape = d.shape(1, smallest=1)
    dim = d.dim(len(shape))
    source = tuple(np.delete(shape, dim))
    index = d.integer(-shape[dim], shape[dim] - 1)
    return call(d.tensor(shape), d.tensor(source), dim, index)


def slice_scatter(d: Draw) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    bounds = {
        "start": d.one_of(None, d.integer(-5, 5)),
        "end": d.one_of(None, d.integer(-5, 5)),
        "step": d.integer(1, 3),
    }
    source = list(shape)
    source[dim] = len(range(shape[dim])[slice(*bounds.values())])
    return call(d.tensor(shape), d.tensor(source), dim, **bounds)


def narrow(d: Draw, negative: bool = True) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    n = shape[dim]
    start = d.integer(0, n)
    length = d.integer(0, n - start)
    if negative and n and start < n and d.flag():
        start = d.one_of(start - n, np.asarray(start))
    return call(d.tensor(shape), dim, start, length)


def sparse(d: Draw) -> Any:
    """Numbers of which many are 0."""
    return d.whole(d.shape(), -1, 2) * 0.5


def nonzero_static(d: Draw) -> Call:
    return call(d.whole(d.shape(1), 0, 2), size=d.integer(0, 6), fill_value=d.integer(-2, 2))


def isin(d: Draw) -> Call:
    among = d.one_of(d.whole(d.shape(), 0, 4), d.whole((), 0, 4), 2)
    return call(d.whole(d.shape(), 0, 6), among, invert=d.flag())


def unravel_index(d: Draw) -> Call:
    shape = d.shape(1, smallest=1)
    return call(d.whole(d.shape(0, 2), 0, int(np.prod(shape))), shape)


def strided(d: Draw) -> Any:
    """A contiguous tensor, a size, strides and an offset within it."""
    shape = d.shape(1, 3, smallest=1)
    total = int(np.prod(shape))
    size, stride, left = [], [], total - 1
    for _ in range(d.integer(0, 3)):
        step = d.integer(0, 3)
        length = d.integer(0, min(left // step, 2) + 1 if step else 3)
        size.append(length)
        stride.append(step)
        left -= step * max(length - 1, 0)
    return d.values().random(shape), size, stride, d.integer(0, left)


CALLS: dict[str, Row] = {
    "argwhere": lambda d: call(sparse(d)),
    "as_strided": lambda d: call(*strided(d)),
    "gather": gather,
    "index_add": lambda d: call(*of_rows(d), alpha=d.one_of(1, 2, -0.5)),
    "index_copy": lambda d: call(*of_rows(d, once=True)),
    "index_fill": index_fill,
    "index_put": index_put,
    "index_reduce": index_reduce,
    "index_select": index_select,
    "isin": isin,
    "masked_fill": masked_fill,
    "masked_scatter": masked_scatter,
    "masked_select": masked_select,
    "narrow": narrow,
    "narrow_copy": lambda d: narrow(d, negative=False),  # where PyTorch's gradient is lost
    "nonzero": lambda d: call(sparse(d), as_tuple=d.flag()),
    "nonzero_static": nonzero_static,
    "put": put,
    "scatter": scatter,
    "scatter_add": scatter_add,
    "scatter_reduce": scatter_reduce,
    "select": select,
    "select_scatter": select_scatter,
    "slice_scatter": slice_scatter,
    "take": take,
    "take_along_dim": take_along_dim,
    "unravel_index": unravel_index,
}
