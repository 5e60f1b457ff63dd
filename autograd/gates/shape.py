"""The same values in another arrangement: each gate's backward is the way back.

Reshape, permute, flip, split and basic slices give views where NumPy does.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.engine import Gate
from tapegrad.autograd.memory_formats import inverse, kept_order
from tapegrad.autograd.records import Node
from tapegrad.kernels import copies

from .broadcasting import sum_to
from .indexing import index


class Reshape(Gate):
    """Another shape for the same elements in the same order."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True
    passes: ClassVar = True

    def forward(self, xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
        return x.reshape(shape) if xp is np else copies.reshaped(xp, x, shape)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, shape: tuple[int, ...]) -> Any:
        return reshape(grad, shape=node.inputs[0].shape)  # type: ignore[union-attr]


class Permute(Gate):
    """Dimensions in another order; back by the inverse permutation."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True
    passes: ClassVar = True

    def forward(self, xp: Any, x: Any, *, dims: tuple[int, ...]) -> Any:
        return x.transpose(dims)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, dims: tuple[int, ...]) -> Any:
        return permute(grad, dims=tuple(sorted(range(len(dims)), key=dims.__getitem__)))


class Flip(Gate):
    """Dimensions reversed; its own way back."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

    def forward(self, xp: Any, x: Any, *, dims: tuple[int, ...]) -> Any:
        return xp.flip(x, dims)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, dims: tuple[int, ...]) -> Any:
        return flip(grad, dims=dims)


class Roll(Gate):
    """Elements moved along dimensions, those pushed out coming back at the other end."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Any:
        return xp.roll(x, shifts, dims)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: None,
        *,
        shifts: tuple[int, ...],
        dims: tuple[int, ...],
    ) -> Any:
        return roll(grad, shifts=tuple(-n for n in shifts), dims=dims)


class Tile(Gate):
    """The whole repeated along each dimension; the gradient is the sum over the copies."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, times: tuple[int, ...]) -> Any:
        return xp.tile(x, times)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, times: tuple[int, ...]) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        sizes = (1,) * (len(times) - len(shape)) + shape
        apart = tuple(n for pair in zip(times, sizes, strict=True) for n in pair)
        one = tuple(n for size in sizes for n in (1, size))
        return reshape(sum_to(reshape(grad, shape=apart), shape=one), shape=shape)


class Repeat(Gate):
    """Each element repeated next to itself along a dimension; the gradient is the sum again."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, times: int, dim: int) -> Any:
        return xp.repeat(x, times, axis=dim)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, times: int, dim: int) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        before, after = shape[: dim + 1], shape[dim + 1 :]
        apart = reshape(grad, shape=(*before, times, *after))
        return reshape(sum_to(apart, shape=(*before, 1, *after)), shape=shape)


class Pad(Gate):
    """A border of a constant around x; the gradient of the border is dropped."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, widths: tuple[tuple[int, int], ...], value: float) -> Any:
        order = kept_order(x)
        if order is None:
            return xp.pad(x, widths, constant_values=value)
        ordered = tuple(widths[d] for d in order)
        return xp.pad(x.transpose(order), ordered, constant_values=value).transpose(inverse(order))

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: None,
        *,
        widths: tuple[tuple[int, int], ...],
        value: float,
    ) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        inner = tuple(slice(a, a + n) for (a, _), n in zip(widths, shape, strict=True))
        return index(grad, key=inner)


class Cat(Gate):
    """Several after one another along a dimension: each receives its own stretch."""

    def forward(self, xp: Any, *inputs: Any, sizes: tuple[int, ...], dim: int) -> Any:
        order = None if inputs[0].flags.c_contiguous else kept_order(inputs[0])
        if order is None or any(kept_order(x) != order for x in inputs[1:]):
            return xp.concatenate(inputs, axis=dim)
        ordered = [x.transpose(order) for x in inputs]
        return xp.concatenate(ordered, axis=order.index(dim)).transpose(inverse(order))

    def backward(
        self, node: Node, grad: Any, *saved: None, sizes: tuple[int, ...], dim: int
    ) -> Any:
        return split(grad, sizes=sizes, dim=dim)


class Split(Gate):
    """Stretches of given lengths along a dimension, as views; back by cat."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True
    outputs: ClassVar = None

    def forward(self, xp: Any, x: Any, *, sizes: tuple[int, ...], dim: int) -> Any:
        parts, start = [], 0
        for size in sizes:
            parts.append(x[(*(slice(None),) * dim, slice(start, start + size))])
            start += size
        return tuple(parts)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, sizes: tuple[int, ...], dim: int
    ) -> Any:
        return cat(*grad, sizes=sizes, dim=dim)


class Stack(Gate):
    """Several of one shape side by side along a new dimension: each receives its own slice."""

    def forward(self, xp: Any, *inputs: Any, dim: int) -> Any:
        return xp.stack(inputs, axis=dim)

    def backward(self, node: Node, grad: Any, *saved: None, dim: int) -> Any:
        return unbind(grad, dim=dim)


class Unbind(Gate):
    """The slices along a dimension, as views; back by stack."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True
    outputs: ClassVar = None

    def forward(self, xp: Any, x: Any, *, dim: int) -> Any:
        slices = xp.moveaxis(x, dim, 0)
        return tuple(slices[i, ...] for i in range(len(slices)))

    def backward(self, node: Node, grad: Any, out: None, x: None, *, dim: int) -> Any:
        return stack(*grad, dim=dim)


class BlockDiag(Gate):
    """Matrices along the diagonal of one that is 0 elsewhere: each receives its own block."""

    def forward(self, xp: Any, *inputs: Any, shapes: tuple[tuple[int, int], ...]) -> Any:
        rows, columns = (sum(sizes) for sizes in zip(*shapes, strict=True))
        result = xp.zeros((rows, columns), inputs[0].dtype)
        for block, key in zip(inputs, _blocks(shapes), strict=True):
            result[key] = block
        return result

    def backward(
        self, node: Node, grad: Any, *saved: None, shapes: tuple[tuple[int, int], ...]
    ) -> Any:
        return tuple(index(grad, key=key) for key in _blocks(shapes))


def _blocks(shapes: tuple[tuple[int, int], ...]) -> list[tuple[slice, slice]]:
    """Where each block lies."""
    keys, row, column = [], 0, 0
    for height, width in shapes:
        keys.append((slice(row, row + height), slice(column, column + width)))
        row, column = row + height, column + width
    return keys


reshape = Reshape()
permute = Permute()
flip = Flip()
roll = Roll()
tile = Tile()
repeat = Repeat()
pad = Pad()
cat = Cat()
split = Split()
stack = Stack()
unbind = Unbind()
block_diag = BlockDiag()
