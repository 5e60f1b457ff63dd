"""Rows looked up by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import INTEGERS, module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.operations.arguments import check_tensor

__all__ = ["one_hot"]


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
    classes = int(data.max()) + 1 if num_classes == -1 else num_classes
    if data.size and (data.min() < 0 or data.max() >= classes):
        raise ArgumentError(
            f"one_hot: targets must be from 0 to {classes - 1}, got {int(data.min())} to "
            f"{int(data.max())}"
        )
    xp = module_of(data)
    return wrap((xp.asarray(data)[..., None] == xp.arange(classes)).astype(np.int64))
