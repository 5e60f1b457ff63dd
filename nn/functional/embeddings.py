"""Rows looked up by number, and numbers as rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import INTEGERS, module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError, PositionError, ShapeError
from tapegrad.autograd.gates import embedding as gates
from tapegrad.autograd.gates.indexing import index
from tapegrad.autograd.modes import no_grad
from tapegrad.autograd.operations import norm, where
from tapegrad.autograd.operations.arguments import check_tensor

__all__ = ["embedding", "one_hot"]


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """The rows of a table by their numbers: (...) of integers and (V, D) give (..., D).

    Args:
        input: integers from 0 to V - 1.
        weight: the table.
        padding_idx: a row that receives no gradient; negative ones count from the end.
        max_norm: rows that are looked up and longer are first shortened to it, in the table itself.
        norm_type: the p of the p-norm that is meant. Default: 2.
        scale_grad_by_freq: divide a row's gradient by how often it is looked up here.
        sparse: changes nothing; the gradient is dense.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> table = tg.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    >>> F.embedding(tg.tensor([1, 1]), table).sum().backward()
    >>> table.grad.tolist()
    [[0.0, 0.0], [2.0, 2.0]]
    """
    table, positions = check_tensor("embedding", weight)._data, _positions("embedding", input)
    if table.ndim != 2:
        raise ShapeError(f"embedding: expected a table (V, D), got {describe(weight)}")
    count = table.shape[0]
    if positions.size and not 0 <= positions.min().item() <= positions.max().item() < count:
        raise PositionError(
            f"embedding: positions from {positions.min()} to {positions.max()} are out "
            f"of range for a table of {count} rows"
        )
    if padding_idx is not None:
        if not -count <= padding_idx < count:
            raise ArgumentError(f"embedding: padding_idx {padding_idx} is not one of {count} rows")
        padding_idx %= count
    xp = module_of(positions)
    if max_norm is not None:
        _shorten(weight, xp.unique(positions), max_norm, norm_type)
    uses = None
    if scale_grad_by_freq and positions.size:
        uses = xp.bincount(positions.reshape(-1), minlength=count)[positions]
    return gates.embedding(weight, positions=positions, padding=padding_idx, counts=uses)


def _positions(name: str, input: Any) -> Any:
    """An array of integers, for a scalar too."""
    data = check_tensor(name, input)._data
    if data.dtype not in INTEGERS:
        raise RuntimeError(f"{name}: needs integers, got {describe(input)}")
    return module_of(data).asarray(data).astype(np.int64, copy=False)


def _shorten(table: Any, positions: Any, longest: float, p: float) -> None:
    """Scale rows longer than `longest` down to it, in place."""
    with no_grad():
        rows = index(table.detach(), key=positions)
        lengths = norm(rows, p, dim=1, keepdim=True)
        table[wrap(positions)] = where(lengths > longest, rows * (longest / (lengths + 1e-7)), rows)


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
    if not data.size and num_classes == -1:
        raise ArgumentError("one_hot: no target to count classes from; give num_classes=")
    classes = data.max().item() + 1 if num_classes == -1 else num_classes
    if data.size and not 0 <= data.min().item() <= data.max().item() < classes:
        raise ArgumentError(
            f"one_hot: targets must be from 0 to {classes - 1}, got {data.min()} to {data.max()}"
        )
    xp = module_of(data)
    return wrap((xp.asarray(data)[..., None] == xp.arange(classes)).astype(np.int64))
