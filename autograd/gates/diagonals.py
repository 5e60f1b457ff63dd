"""Diagonals of matrices and windows along a dimension: views that meet elements unevenly.

Each gate is the adjoint of the other of its pair.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node


def diagonal_length(rows: int, columns: int, offset: int) -> int:
    """How many elements the diagonal of a matrix has that starts `offset` columns to the right.

    >>> diagonal_length(2, 3, 1), diagonal_length(2, 3, -2)
    (2, 0)
    """
    return max(min(rows - max(-offset, 0), columns - max(offset, 0)), 0)


def _diagonal_view(xp: Any, x: Any, offset: int) -> Any:
    """The diagonal of the last two dimensions, in the same memory and writable."""
    down, right = max(-offset, 0), max(offset, 0)
    count = diagonal_length(x.shape[-2], x.shape[-1], offset)
    if not count:
        return x[..., :0, 0] if x.shape[-1] else x[..., :0].reshape((*x.shape[:-2], 0))
    return xp.einsum("...ii->...i", x[..., down : down + count, right : right + count])


class Diagonal(Gate):
    """A diagonal of the last two dimensions, as a view; the rest receives no gradient."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

    def forward(self, xp: Any, x: Any, *, offset: int) -> Any:
        return _diagonal_view(xp, x, offset)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, offset: int) -> Any:
        size = node.inputs[0].shape[-2:]  # type: ignore[union-attr]
        return diag_embed(grad, offset=offset, size=size)


class DiagEmbed(Gate):
    """Matrices of zeros, of a size, with x on a diagonal."""

    needs: ClassVar = {"x": ""}

    def forward(self, xp: Any, x: Any, *, offset: int, size: tuple[int, int]) -> Any:
        result = xp.zeros((*x.shape[:-1], *size), x.dtype)
        _diagonal_view(xp, result, offset)[...] = x
        return result

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, offset: int, size: tuple[int, int]
    ) -> Any:
        return diagonal(grad, offset=offset)


class Windows(Gate):
    """Stretches of `size` every `step` along a dimension, in a new last dimension: a view."""

    needs: ClassVar = {"x": ""}
    views: ClassVar = True

    def forward(self, xp: Any, x: Any, *, dim: int, size: int, step: int) -> Any:
        shape, strides = [*x.shape, size], [*x.strides, x.strides[dim]]
        shape[dim] = (x.shape[dim] - size) // step + 1
        strides[dim] *= step
        view = xp.lib.stride_tricks.as_strided(x, tuple(shape), tuple(strides))
        if step < size and xp is np:
            view.flags.writeable = False  # windows that overlap cannot be told apart by a write
        return view

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, dim: int, size: int, step: int
    ) -> Any:
        shape = node.inputs[0].shape  # type: ignore[union-attr]
        return overlap_add(grad, dim=dim, size=size, step=step, shape=shape)


class OverlapAdd(Gate):
    """Windows put back where they came from, adding up where they overlap."""

    needs: ClassVar = {"x": ""}

    def forward(
        self, xp: Any, x: Any, *, dim: int, size: int, step: int, shape: tuple[int, ...]
    ) -> Any:
        result = xp.zeros(shape, wide(x.dtype))
        before, count = (slice(None),) * dim, x.shape[dim]
        if size < count:
            for k in range(size):
                result[(*before, slice(k, k + step * (count - 1) + 1, step))] += x[..., k]
        else:
            moved = xp.moveaxis(result, dim, -1)
            for k in range(count):
                moved[..., k * step : k * step + size] += x[(*before, k)]
        return result.astype(x.dtype, copy=False)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: None,
        *,
        dim: int,
        size: int,
        step: int,
        shape: tuple[int, ...],
    ) -> Any:
        return windows(grad, dim=dim, size=size, step=step)


diagonal = Diagonal()
diag_embed = DiagEmbed()
windows = Windows()
overlap_add = OverlapAdd()
