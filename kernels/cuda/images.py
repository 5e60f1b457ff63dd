"""How kernels of pooling and resizing see images (N, C, *size): planes, or channels side by side.

Where an array has its channels next to each other in memory, so has what a kernel makes of it, and
a thread takes a pack of them at once.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tapegrad.kernels.strides import channels_last_order, is_channels_last

from .launching import pointer
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]

THREADS = 256


class Layout(NamedTuple):
    """Images as (outer, *size, inner).

    Attributes:
        last: whether channels lie next to each other, and `inner` counts them; else it is 1.
        outer: how many images, or planes, there are.
        inner: how many elements lie next to each other at a place.
        outer_step: from one image, or plane, to the next, in elements.
        steps: from one place to the next along each dimension of an image, in elements.
    """

    last: bool
    outer: int
    inner: int
    outer_step: int
    steps: Ints

    def width(self, itemsize: int, aligned: bool) -> int:
        """How many channels a thread takes: a pack of 16 bytes, or one."""
        width = 16 // itemsize
        fits = aligned and not any(n % width for n in (self.inner, self.outer_step, *self.steps))
        return width if self.last and fits else 1


@functools.lru_cache(maxsize=4096)
def layout(shape: Ints, strides: Ints, itemsize: int) -> Layout | None:
    """The layout of images; None where planes do not lie evenly in memory.

    >>> layout((2, 3, 4, 5), (240, 80, 20, 4), 4)
    Layout(last=False, outer=6, inner=1, outer_step=20, steps=(5, 1))
    >>> layout((2, 3, 4, 5), (240, 4, 60, 12), 4)
    Layout(last=True, outer=2, inner=3, outer_step=60, steps=(15, 3))
    """
    if any(stride % itemsize for stride in strides):
        return None
    image, plane, *steps = (stride // itemsize for stride in strides)
    count, channels = shape[:2]
    if (plane == 1 or channels == 1) and is_channels_last(shape, strides):
        return Layout(True, count, channels, image, tuple(steps))
    if channels == 1:
        plane = image
    elif count > 1 and image != channels * plane:
        return None
    return Layout(False, count * channels, 1, plane, tuple(steps))


def seen(xp: Any, x: Array) -> tuple[Array, Layout]:
    """Images, copied where their planes do not lie evenly in memory, with their layout."""
    found = layout(x.shape, x.strides, x.itemsize)
    if found is None:
        x = contiguous(xp, x)
        found = layout(x.shape, x.strides, x.itemsize)
        assert found is not None
    return x, found


def new(xp: Any, last: bool, shape: Ints, dtype: Any) -> Array:
    """New images of a shape, without gaps, and if `last` with channels next to each other."""
    if not last:
        return xp.empty(shape, dtype)
    return xp.empty((shape[0], *shape[2:], shape[1]), dtype).transpose(to_last(len(shape)))


def dense(xp: Any, x: Array, last: bool) -> Array:
    """Images as `new` makes them, copied where they are not so."""
    if not last:
        return contiguous(xp, x)
    order = channels_last_order(x.ndim)
    return contiguous(xp, x.transpose(order)).transpose(to_last(x.ndim))


def to_last(ndim: int) -> Ints:
    """The permutation from (N, *size, C) to (N, C, *size).

    >>> to_last(4)
    (0, 3, 1, 2)
    """
    return (0, ndim - 1, *range(1, ndim - 1))


def blocks(items: int) -> int:
    """Of how many blocks a grid is whose threads make an item each."""
    return -(-items // THREADS)


def aligned(*arrays: Array) -> bool:
    """Whether arrays begin on 16-byte boundaries."""
    return not any(pointer(array) % 16 for array in arrays)
