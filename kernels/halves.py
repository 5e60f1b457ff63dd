"""Half types on a CPU are computed in float32, which NumPy does several times as fast as in halves,
and rounded once at the end."""

from typing import Any

import numpy as np

Array = Any


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which values of `dtype` are summed: float32 for half precision, else itself.

    >>> accumulator(np.dtype(np.float16)), accumulator(np.dtype(np.int16))
    (dtype('float32'), dtype('int16'))
    """
    return np.dtype(np.float32) if is_half(dtype) else dtype


def is_half(dtype: np.dtype) -> bool:
    """Whether a dtype is float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind not in "iu"


def wide(x: Array) -> Array:
    """An array in the dtype in which its values are summed; itself, if it is so."""
    return x.astype(np.float32) if is_half(x.dtype) else x
