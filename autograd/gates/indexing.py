"""Reading and writing at positions: `x[key]`, gather, and their adjoints, which accumulate.

A `key` is what NumPy takes between brackets, with arrays in place of tensors.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tapegrad.autograd.arrays import is_array, module_of
from tapegrad.autograd.engine import Gate, Node, array_of

from .selection import where

Key = Any


def _repeats(xp: Any, key: Key) -> bool:
    """Whether a key may name a position twice: only integer arrays can."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [part for part in parts if is_array(part) and part.dtype.kind in "iu" and part.ndim]
    if len(arrays) == 1:  # a negative position may name the same element as a positive one
        return arrays[0].size != xp.unique(arrays[0]).size or bool((arrays[0] < 0).any())
    return len(arrays) > 1


class Index(Gate):
    """x[key]: the gradient goes back to where the values were read, adding up where twice."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

    def forward(self, xp: Any, x: Any, *, key: Key) -> Any:
        return x[key]

    def backward(self, node: Node, grad: Any, out: None, x: None, *, key: Key) -> Any:
        return index_add(grad, key=key, shape=node.inputs[0].shape)  # type: ignore[union-attr]


class IndexAdd(Gate):
    """Zeros of a shape with x added at `key`: the adjoint of reading there."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, key: Key, shape: tuple[int, ...]) -> Any:
        result = xp.zeros(shape, x.dtype)
        if not _repeats(xp, key):
            result[key] = x
        else:
            xp.add.at(result, key, x)
        return result

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
        result = xp.array(x, copy=True)
        result[key] = value
        return result

    def backward(self, node: Node, grad: Any, out: None, x: None, value: None, *, key: Key) -> Any:
        wants_x, wants_value = node.inputs
        to_value = None
        if wants_value:
            to_value = index(grad, key=key)
            xp = module_of(array_of(grad))
            if _repeats(xp, key):
                order = xp.arange(math.prod(to_value.shape))
                order = order.reshape(to_value.shape)
                last = xp.full(grad.shape, -1)
                last[key] = order
                to_value = where(last[key] == order, to_value, 0.0)
            missing = len(wants_value.shape) - to_value.ndim
            if missing > 0:  # leading dimensions of size 1, which an assignment drops
                to_value = index(to_value, key=(None,) * missing + (...,))
        return wants_x and index_put(grad, 0.0, key=key), to_value


def _along(xp: Any, positions: Any, dim: int) -> tuple[Any, ...]:
    """The key that reads, at every place of `positions`, the position written there along `dim`."""
    grid = [
        xp.arange(n).reshape((1,) * i + (n,) + (1,) * (positions.ndim - i - 1))
        for i, n in enumerate(positions.shape)
    ]
    grid[dim] = positions
    return tuple(grid)


class Gather(Gate):
    """out[i][j] = x[i][index[i][j]] for dim 1, and so on: reads one position per element."""

    needs: ClassVar = {"x": "index"}

    def forward(self, xp: Any, x: Any, index: Any, *, dim: int) -> Any:
        return x[_along(xp, index, dim)] if x.ndim else x.reshape(index.shape)

    def backward(self, node: Node, grad: Any, out: None, x: None, index: Any, *, dim: int) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        return scatter_add(grad, index, dim=dim, shape=shape), None


class ScatterAdd(Gate):
    """Zeros of a shape with x[i][j] added at [i][index[i][j]]: the adjoint of gather."""

    needs: ClassVar = {"x": "index"}

    def forward(self, xp: Any, x: Any, index: Any, *, dim: int, shape: tuple[int, ...]) -> Any:
        result = xp.zeros(shape, x.dtype)
        if not shape:
            return x.reshape(shape)
        key = _along(xp, index, dim)
        if index.shape[dim] == 1:
            result[key] = x
        else:
            xp.add.at(result, key, x)
        return result

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
