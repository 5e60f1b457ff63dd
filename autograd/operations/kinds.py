"""Questions about tensors and dtypes: what is one, how many, which dtype comes out."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from tapegrad.autograd import arrays
from tapegrad.autograd.arrays import FLOATS, INTEGERS, as_dtype, bool_, get_default_dtype
from tapegrad.autograd.engine import array_of, describe
from tapegrad.autograd.records import Variable

from .arguments import check_tensor

__all__ = [
    "can_cast",
    "finfo",
    "iinfo",
    "is_floating_point",
    "is_nonzero",
    "is_tensor",
    "numel",
    "promote_types",
    "result_type",
]


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor.

    >>> import tapegrad as tg
    >>> tg.is_tensor(tg.zeros(2)), tg.is_tensor([0.0, 0.0])
    (True, False)
    """
    return isinstance(obj, Variable)


def numel(input: Any) -> int:
    """How many elements a tensor has.

    >>> import tapegrad as tg
    >>> tg.numel(tg.zeros(2, 3))
    6
    """
    return int(check_tensor("numel", input)._data.size)


def is_floating_point(input: Any) -> bool:
    """Whether the elements of a tensor are floats."""
    return check_tensor("is_floating_point", input)._data.dtype in FLOATS


def is_nonzero(input: Any) -> bool:
    """Whether a tensor of one element holds something other than 0.

    >>> import tapegrad as tg
    >>> tg.is_nonzero(tg.tensor([0.0]))
    False
    """
    if check_tensor("is_nonzero", input)._data.size != 1:
        raise RuntimeError(f"is_nonzero: needs exactly one element, got {describe(input)}")
    return bool(input._data.item())


def result_type(tensor1: Any, tensor2: Any) -> np.dtype:
    """The dtype of an operation on two tensors or numbers.

    Tensors with dimensions decide over those without, and these over numbers, unless the latter
    are of a higher category: booleans, integers, floats.

    >>> import tapegrad as tg
    >>> tg.result_type(tg.ones(2, dtype=tg.int32), 1.5)
    dtype('float32')
    """
    return arrays.result_type(array_of(tensor1), array_of(tensor2))


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The smallest dtype that both can be converted to without leaving their category.

    >>> import tapegrad as tg
    >>> tg.promote_types(tg.int32, tg.float16), tg.promote_types(tg.uint8, tg.int8)
    (dtype('float16'), dtype('int16'))
    """
    return arrays.result_type(np.empty(1, as_dtype(type1)), np.empty(1, as_dtype(type2)))


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a dtype can be converted to another without leaving its category downwards.

    >>> import tapegrad as tg
    >>> tg.can_cast(tg.float64, tg.float32), tg.can_cast(tg.float32, tg.int64)
    (True, False)
    """
    source, target = as_dtype(from_), as_dtype(to)
    if source in FLOATS and target in INTEGERS:
        return False
    return target != bool_ or source == bool_


class finfo:
    """The limits of a floating dtype, the default one unless given.

    >>> import tapegrad as tg
    >>> tg.finfo(tg.float16).max, tg.finfo(tg.float32).bits
    (65504.0, 32)
    """

    def __init__(self, type: Any = None) -> None:
        dtype = get_default_dtype() if type is None else as_dtype(type)
        if dtype not in FLOATS:
            raise TypeError(f"finfo: expected a floating dtype, got {dtype}; use iinfo")
        found: Any = ml_dtypes.finfo(dtype)
        self.dtype = str(dtype)
        self.bits = int(found.bits)
        self.eps = float(found.eps)
        self.max = float(found.max)
        self.min = float(found.min)
        self.tiny = self.smallest_normal = float(found.smallest_normal)
        self.resolution = 10.0 ** -int(found.precision)

    def __repr__(self) -> str:
        return f"finfo(min={self.min}, max={self.max}, eps={self.eps}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer dtype.

    >>> import tapegrad as tg
    >>> tg.iinfo(tg.int8).max
    127
    """

    def __init__(self, type: Any) -> None:
        dtype = as_dtype(type)
        if dtype not in INTEGERS:
            raise TypeError(f"iinfo: expected an integer dtype, got {dtype}; use finfo")
        found = np.iinfo(dtype)
        self.dtype = str(dtype)
        self.bits, self.max, self.min = found.bits, int(found.max), int(found.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
