"""The order in which the elements of a tensor lie in memory: PyTorch's memory formats.

A format changes strides, never shapes or values. Images (N, C, H, W) whose channels lie side by
side, `channels_last`, suit the convolutions of a GPU: converted once, where they enter a network,
they stay so through its gates, and so do the gradients on the way back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.kernels import copies
from tapegrad.kernels.strides import (
    channels_last_order,
    fills,
    is_channels_last,
    order_in_memory,
)

from .arrays import Array

Ints = tuple[int, ...]


class memory_format:
    """An order of elements in memory; see the names in this file, which are all there are.

    >>> import tapegrad as tg
    >>> tg.channels_last
    tapegrad.channels_last
    """

    __slots__ = ("name", "ndim")

    def __init__(self, name: str, ndim: int | None = None) -> None:
        self.name = name
        self.ndim = ndim  # of the tensors that have it, where not all do

    def __repr__(self) -> str:
        return f"tapegrad.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last", 4)
channels_last_3d = memory_format("channels_last_3d", 5)


def order_of(name: str, wanted: Any, ndim: int) -> Ints | None:
    """The dimensions of a format as they lie in memory, outermost first; None if as they stand.

    Raises:
        TypeError: if `wanted` is no format.
        RuntimeError: if it is `preserve_format`, which orders nothing, or is of images of another
            number of dimensions.

    >>> order_of("contiguous", channels_last, 4)
    (0, 2, 3, 1)
    """
    check(name, wanted)
    if wanted is preserve_format:
        raise RuntimeError(f"{name}: preserve_format says nothing where nothing is copied")
    if wanted.ndim is None:
        return None
    if ndim != wanted.ndim:
        raise RuntimeError(
            f"{name}: {wanted!r} is for tensors of {wanted.ndim} dimensions, this has {ndim}"
        )
    return channels_last_order(ndim)


def check(name: str, wanted: Any) -> None:
    """Refuse what is no format."""
    if type(wanted) is not memory_format:
        raise TypeError(
            f"{name}: memory_format must be one of tapegrad.channels_last, channels_last_3d, "
            f"contiguous_format and preserve_format, not {wanted!r}"
        )


def has(name: str, array: Array, wanted: Any) -> bool:
    """Whether the elements of an array fill its memory in the order of a format."""
    check(name, wanted)
    if wanted.ndim not in (None, array.ndim):
        return False
    return is_in(array, None if wanted is preserve_format else order_of(name, wanted, array.ndim))


def is_meant(array: Array, order: Ints | None) -> bool:
    """Whether an array is of a format as far as its strides tell, which may leave gaps."""
    return is_channels_last(array.shape, array.strides) == (order is not None)


def kept_order(array: Array) -> Ints | None:
    """The dimensions of an array as they lie in memory; None if as they stand, or some repeat.

    >>> kept_order(np.zeros((2, 3)).T), kept_order(np.broadcast_to(np.zeros(3), (2, 3)))
    ((1, 0), None)
    """
    shape, strides = array.shape, array.strides
    if 0 in strides and any(n > 1 and not s for n, s in zip(shape, strides, strict=True)):
        return None
    return order_in_memory(shape, strides)


def made(xp: Any, fill: str, shape: Ints, dtype: np.dtype, order: Ints | None) -> Array:
    """What a function of the array library, such as `zeros`, makes, in memory of an order."""
    make = getattr(xp, fill)
    if order is None:
        return make(shape, dtype)
    return make(tuple(shape[d] for d in order), dtype).transpose(inverse(order))


def copied(xp: Any, array: Array, order: Ints | None) -> Array:
    """A copy in memory of an order."""
    if order is None:
        return copies.copied(xp, array)
    return copies.copied(xp, array.transpose(order)).transpose(inverse(order))


def dense(xp: Any, array: Array) -> Array:
    """A copy without gaps, in the order in which the elements lie."""
    return copied(xp, array, kept_order(array))


def is_in(array: Array, order: Ints | None) -> bool:
    """Whether the elements fill their memory in an order."""
    return fills(array.shape, array.strides, order, array.dtype.itemsize)


def inverse(order: Ints) -> Ints:
    """The permutation that undoes one.

    >>> inverse((0, 2, 3, 1))
    (0, 3, 1, 2)
    """
    return tuple(sorted(range(len(order)), key=order.__getitem__))


__all__ = [
    "channels_last",
    "channels_last_3d",
    "contiguous_format",
    "memory_format",
    "preserve_format",
]
