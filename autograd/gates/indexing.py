"""Reading and writing at positions: `x[key]`, gather, and their adjoints, which accumulate.

A `key` is what NumPy takes between brackets, with arrays in place of tensors.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tapegrad.autograd.arrays import bool_, is_array, module_of
from tapegrad.autograd.engine import Gate, array_of
from tapegrad.autograd.records import Node
from tapegrad.kernels import positions as kernels
from tapegrad.kernels.positions import take
from tapegrad.kernels.segments import add_at

from .selection import where

Key = Any


class Index(Gate):
    """x[key]: the gradient goes back to where the values were read, adding up where twice."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

    def forward(self, xp: Any, x: Any, *, key: Key) -> Any:
        if type(key) is int or type(key) is slice:
            return x[key]
        x, key = unmasked(x, key)
        parts = _parts(key)
        if _is_one_array(parts) and (x.flags.c_contiguous or xp is not np):
            return take(xp, x, parts[-1], len(parts) - 1)  # twice as quick as x[key] or more
        if xp is not np and x.flags.c_contiguous:
            found = _read(xp, x, key)
            if found is not None:
                return found
        return x[key]

    def backward(self, node: Node, grad: Any, out: None, x: None, *, key: Key) -> Any:
        return index_add(grad, key=key, shape=node.inputs[0].shape)  # type: ignore[union-attr]


class IndexAdd(Gate):
    """Zeros of a shape with x added at `key`: the adjoint of reading there."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, key: Key, shape: tuple[int, ...]) -> Any:
        return _added(xp, x, key, shape)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, key: Key, shape: tuple[int, ...]
    ) -> Any:
        return index(grad, key=key)


class IndexPut(Gate):
    """A copy of x with `value` written at `key`: what was overwritten receives no gradient.

    Where a key names a position twice the last value stays, and it alone receives the gradient.
    """

    needs: ClassVar = {"x": "", "value": ""}

    def forward(self, xp: Any, x: Any, value: Any, *, key: Key) -> Any:
        result = xp.array(x, copy=True, order="C")
        write(xp, result, key, value)
        return result

    def backward(self, node: Node, grad: Any, out: None, x: None, value: None, *, key: Key) -> Any:
        wants_x, wants_value = node.inputs
        to_value = None
        if wants_value:
            to_value = index(grad, key=key)
            xp = module_of(array_of(grad))
            if _repeats(xp, key, grad.shape, math.prod(to_value.shape)):
                order = xp.arange(math.prod(to_value.shape)).reshape(to_value.shape)
                last = xp.full(grad.shape, -1)
                write(xp, last, key, order)
                to_value = where(last[key] == order, to_value, 0.0)
            missing = len(wants_value.shape) - to_value.ndim
            if missing > 0:  # leading dimensions of size 1, which an assignment drops
                to_value = index(to_value, key=(None,) * missing + (...,))
        return wants_x and index_put(grad, 0.0, key=key), to_value


class Gather(Gate):
    """out[i][j] = x[i][index[i][j]] for dim 1, and so on: reads one position per element."""

    needs: ClassVar = {"x": "index"}

    def forward(self, xp: Any, x: Any, index: Any, *, dim: int) -> Any:
        return kernels.gather(xp, x, index, dim)

    def backward(self, node: Node, grad: Any, out: None, x: None, index: Any, *, dim: int) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        return scatter_add(grad, index, dim=dim, shape=shape), None


class ScatterAdd(Gate):
    """Zeros of a shape with x[i][j] added at [i][index[i][j]]: the adjoint of gather."""

    needs: ClassVar = {"x": "index"}

    def forward(self, xp: Any, x: Any, index: Any, *, dim: int, shape: tuple[int, ...]) -> Any:
        return kernels.scatter_add(xp, x, index, dim, shape)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: None,
        index: Any,
        *,
        dim: int,
        shape: tuple[int, ...],
    ) -> Any:
        return gather(grad, index, dim=dim), None


index = Index()
index_add = IndexAdd()
index_put = IndexPut()
gather = Gather()
scatter_add = ScatterAdd()


def _parts(key: Key) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _is_whole(part: Any) -> bool:
    return isinstance(part, slice) and part == slice(None)


def _is_positions(part: Any) -> bool:
    return is_array(part) and part.dtype.kind in "iu"


def unmasked(x: Any, key: Key) -> tuple[Any, Key]:
    """An array and its key; of a mask alone, a view and the places, which is much quicker."""
    mask = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    if not is_array(mask) or mask.dtype != bool_ or not mask.ndim:
        return x, key
    if mask.shape != x.shape[: mask.ndim] or not x.flags.c_contiguous:
        return x, key  # where they do not fit, the library says so
    return x.reshape(mask.size, *x.shape[mask.ndim :]), mask.reshape(-1).nonzero()[0]


def write(xp: Any, x: Any, key: Key, value: Any) -> None:
    """x[key] = value: an array that broadcasts, or a number; of several at a position the last."""
    x, key = unmasked(x, key)
    found = _rows(xp, key, x.shape) if xp is not np and is_array(value) else None
    if found is None:
        if type(value) is float or getattr(value, "dtype", None) == x.dtype:
            x[key] = value
        else:
            with np.errstate(all="ignore"):  # what a smaller dtype cannot hold becomes an infinity
                x[key] = value
        return
    value = value.reshape(value.shape[max(value.ndim - len(found.shape), 0) :])
    rows = xp.broadcast_to(value, found.shape).astype(x.dtype, copy=False)
    rows = rows.reshape(found.read.size, found.width)
    whole = x.flags.c_contiguous
    memory = x if whole else xp.ascontiguousarray(x)
    kernels.put(xp, memory.reshape(found.height, found.width), found.read, rows)
    if not whole:
        x[...] = memory


def _repeats(xp: Any, key: Key, shape: tuple[int, ...], count: int) -> bool:
    """Whether a key, which reads so many elements of a shape, may read one twice."""
    if not any(map(_is_positions, _parts(key))):
        return False
    if xp is not np:  # to look would make the host wait
        return True
    read = xp.zeros(shape, bool)
    read[key] = True
    return int(xp.count_nonzero(read)) < count


def _is_one_array(parts: tuple[Any, ...]) -> bool:
    """Whether a key is one array of positions after whole dimensions."""
    return bool(parts) and _is_positions(parts[-1]) and all(map(_is_whole, parts[:-1]))


class _Rows(NamedTuple):
    """What a key reads as rows of a matrix, whose rows are the dimensions up to the last array.

    Attributes:
        read: which rows, in order.
        height, width: the shape of the matrix.
        shape: that of what is read.
    """

    read: Any
    height: int
    width: int
    shape: tuple[int, ...]


def _rows(xp: Any, key: Key, shape: tuple[int, ...]) -> _Rows | None:
    """The rows of a key, if it is arrays of positions side by side among whole dimensions."""
    parts = _parts(key)
    dots = [i for i, part in enumerate(parts) if part is ...]
    if dots:
        whole = (slice(None),) * (len(shape) + 1 - len(parts))
        parts = (*parts[: dots[0]], *whole, *parts[dots[0] + 1 :])
    chosen = [i for i, part in enumerate(parts) if _is_positions(part)]
    others = [part for part in parts if not _is_positions(part)]
    if not chosen or chosen[-1] - chosen[0] >= len(chosen) or not all(map(_is_whole, others)):
        return None
    first, end = chosen[0], chosen[-1] + 1
    before, span = math.prod(shape[:first]), math.prod(shape[first:end])
    arrays = [parts[i] for i in chosen]
    rows = kernels.rows_named(xp, arrays, shape[first:end], before)
    named = np.broadcast_shapes(*(array.shape for array in arrays))
    return _Rows(
        rows, before * span, math.prod(shape[end:]), (*shape[:first], *named, *shape[end:])
    )


def _added(xp: Any, x: Any, key: Key, shape: tuple[int, ...]) -> Any:
    """Zeros of a shape with x added at `key`."""
    if not any(map(_is_positions, _parts(key))):  # no position twice
        result = xp.zeros(shape, x.dtype)
        write(xp, result, key, x)
        return result
    found = _rows(xp, key, shape)
    if found is None:
        places = xp.arange(math.prod(shape)).reshape(shape)[key]
        found = _Rows(places.reshape(-1), math.prod(shape), 1, x.shape)
    brought = x.reshape(found.read.size, found.width)
    return add_at(xp, found.height, found.read, brought).reshape(shape)


def _read(xp: Any, x: Any, key: Key) -> Any:
    """x[key] for a key of positions next to each other; None for other keys."""
    found = _rows(xp, key, x.shape)
    if found is None:
        return None
    rows = take(xp, x.reshape(found.height, found.width), found.read, 0)
    return rows.reshape(found.shape)
