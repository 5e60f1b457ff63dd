"""Raw arrays in C order, copied where they are not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .cuda import transpose as on_gpu
from .strides import collapse

Array = Any
Ints = tuple[int, ...]


def contiguous(xp: Any, array: Array) -> Array:
    """The array in C order, copied if it is not.

    >>> contiguous(np, np.ones((2, 3)).T).strides
    (16, 8)
    """
    return np.ascontiguousarray(array) if xp is np else on_gpu.contiguous(xp, array)


def copied(xp: Any, array: Array) -> Array:
    """A copy in C order.

    >>> copied(np, np.ones((2, 3)).T).strides
    (16, 8)
    """
    return np.array(array, copy=True, order="C") if xp is np else on_gpu.copied(xp, array)


def reshaped(xp: Any, array: Array, shape: Ints) -> Array:
    """The array in another shape, as a view where its strides allow one.

    >>> reshaped(np, np.ones((2, 3)), (6,)).shape
    (6,)
    """
    if xp is not np and not array.flags.c_contiguous and not _is_view(array, shape):
        array = on_gpu.copied(xp, array)
    return array.reshape(shape)


def _is_view(array: Array, shape: Ints) -> bool:
    """Whether an array has another shape without a copy: where its steps change, a dimension ends.

    >>> _is_view(np.ones((4, 6))[:, :3], (2, 2, 3)), _is_view(np.ones((4, 6))[:, :3], (12,))
    (True, False)
    """
    runs, _ = collapse(array.shape, (array.strides,))
    return _ends(runs) <= _ends(shape)


def _ends(shape: Ints) -> set[int]:
    return {math.prod(shape[d:]) for d in range(len(shape))}
