"""The same values in another arrangement: each gate's backward is the way back.

Reshape, permute, flip, split and basic slices give views where NumPy does.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate, Node

from .indexing import index


class Reshape(Gate):
    """Another shape for the same elements in the same order."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

    def forward(self, xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
        return x.reshape(shape)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, shape: tuple[int, ...]) -> Any:
        return reshape(grad, shape=node.inputs[0].shape)  # type: ignore[union-attr]


class Permute(Gate):
    """Dimensions in another order; back by the inverse permutation."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

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


class Pad(Gate):
    """A border of a constant around x; the gradient of the border is dropped."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, widths: tuple[tuple[int, int], ...], value: float) -> Any:
        return xp.pad(x, widths, constant_values=value)

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
        return xp.concatenate(inputs, axis=dim)

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


reshape = Reshape()
permute = Permute()
flip = Flip()
pad = Pad()
cat = Cat()
split = Split()
