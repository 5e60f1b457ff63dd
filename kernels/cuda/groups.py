"""Group and instance norm on a GPU of images whose channels lie last (`groups.cu`).

One launch each way reads and writes them as they lie; where the elements of a group lie side by
side, as in images whose channels come first, they are rows (`normalization`).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from ctypes import c_double, c_longlong, c_void_p
from typing import Any, NamedTuple

import numpy as np

from . import rows
from .compiling import source
from .launching import Kernel, Launch
from .rows import FLOATS
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]

_FILENAME = "groups.cu"
_LANES, _HIGH = 32, 8  # threads of a block along channels and along places


class _Groups(ctypes.Structure):
    """`Groups` of `groups.cu`."""

    _fields_ = (
        *((name, c_longlong) for name in ("inner", "channels", "each", "of_block", "of_image")),
        ("eps", c_double),
    )


class Groups(NamedTuple):
    """Images (outer, inner, groups * each) in memory, as arrays see them.

    Attributes:
        order: the dimensions of the array as they lie in memory.
        outer, inner, groups, each: how many images, places, groups and channels of a group.
    """

    order: Ints
    outer: int
    inner: int
    groups: int
    each: int

    def like(self, xp: Any, dtype: np.dtype) -> Array:
        """A new array that lies in memory as these images."""
        if len(self.order) == 3:
            return xp.empty((self.outer, self.inner, self.groups), dtype).transpose(0, 2, 1)
        made = xp.empty((self.outer, self.inner, self.groups, self.each), dtype)
        return made.transpose(0, 2, 3, 1)

    def bring(self, xp: Any, other: Array) -> Array:
        """Another array of the same shape, as this one in memory, copied if it is not so."""
        return contiguous(xp, other.transpose(self.order))


@functools.lru_cache(maxsize=4096)
def seen_as_groups(shape: Ints, strides: Ints, itemsize: int, dims: Ints) -> Groups | None:
    """Images whose groups share a mean, if their channels lie last and side by side.

    Args:
        shape: (N, groups, channels of a group, places), or (N, channels, places).
        strides: in bytes.
        itemsize: bytes of an element.
        dims: the dimensions that share a mean, which are those after the groups.

    >>> seen_as_groups((2, 3, 4, 9), (432, 16, 4, 48), 4, (2, 3))
    Groups(order=(0, 3, 1, 2), outer=2, inner=9, groups=3, each=4)
    >>> seen_as_groups((2, 3, 4, 9), (432, 144, 36, 4), 4, (2, 3)) is None
    True
    """
    if len(shape) not in (3, 4) or dims != tuple(range(2, len(shape))) or 0 in shape:
        return None
    order = (0, len(shape) - 1, *range(1, len(shape) - 1))
    sizes = tuple(shape[d] for d in order)
    expected = itemsize
    for d in reversed(order):
        if shape[d] > 1 and strides[d] != expected:
            return None
        expected *= shape[d]
    if sizes[1] == 1 or sizes[2:] == (1,) * len(sizes[2:]):  # which lie both ways
        return None
    return Groups(order, *sizes, *(1,) * (4 - len(sizes)))


def normalize(
    xp: Any,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    statistics: tuple[Array, Array, Array],
    seen: Groups,
    eps: float,
) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias; mean, rest and variance are written."""
    out = seen.like(xp, x.dtype)
    scales = rows.dense(xp, weight), rows.dense(xp, bias)
    launch = _launch("group_statistics", x.dtype, seen, eps)
    launch(*map(rows.address, (x, *scales, out, *statistics)))
    return out


def normalize_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    weight: Array | None,
    statistics: tuple[Array | None, Array | None, Array],
    seen: Groups,
    eps: float,
) -> Array:
    """The gradient of x, whose layout that of the output, `grad`, has already."""
    to_x = seen.like(xp, x.dtype)
    launch = _launch("group_gradients", x.dtype, seen, eps)
    launch(*map(rows.address, (grad, x, rows.dense(xp, weight), *statistics, to_x)))
    return to_x


@functools.lru_cache(maxsize=4096)
def _launch(name: str, dtype: np.dtype, seen: Groups, eps: float) -> Launch:
    of_block = min(max(_LANES // seen.each, 1), seen.groups)
    of_image = -(-seen.groups // of_block)
    channels = seen.groups * seen.each
    given = _Groups(seen.inner, channels, seen.each, of_block, of_image, eps)
    return _kernel(name, FLOATS[dtype]).prepare(
        (seen.outer * of_image, 1, 1),
        (_LANES, _HIGH, 1),
        varying=(c_void_p,) * 7,
        constant=(given,),
    )


def _kernel(name: str, dtype: str) -> Kernel:
    return Kernel(source(_FILENAME), f"{name}<{dtype}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for name in ("group_statistics", "group_gradients"):
        for dtype in FLOATS.values():
            yield _kernel(name, dtype)
