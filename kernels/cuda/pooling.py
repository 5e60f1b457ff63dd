"""Max and average pooling on a GPU, forward and backward: one launch of `pooling.cu` each."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator, Sequence
from ctypes import c_bool, c_int, c_longlong, c_void_p
from typing import Any, NamedTuple

import numpy as np

from tapegrad.kernels.strides import channels_last_order

from . import images
from .compiling import source
from .digits import Divisor
from .images import Layout
from .launching import Kernel, Launch, pointer
from .positions import gather_from_planes
from .reductions import reduce
from .rows import FLOATS

Array = Any
Ints = tuple[int, ...]

_FILENAME = "pooling.cu"
_INT64 = np.dtype(np.int64)
_LARGE = 64  # places of a window


class Axis(NamedTuple):
    """The places of images along one dimension, and the windows there.

    Attributes:
        size, windows: how many places and windows there are.
        kernel: places of a window; 0 for windows as even as they can be, of adaptive pooling.
        stride, padding, dilation: as of a convolution.
    """

    size: int = 1
    windows: int = 1
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1


Axes = tuple[Axis, ...]


def adaptive(size: Sequence[int], output: Sequence[int]) -> Axes:
    """The axes of adaptive pooling.

    >>> adaptive((6, 5), (3, 2))[0]
    Axis(size=6, windows=3, kernel=2, stride=2, padding=0, dilation=1)
    """
    pairs = zip(size, output, strict=True)
    return tuple(
        Axis(n, m, n // m, n // m) if m and n % m == 0 else Axis(n, m, kernel=0) for n, m in pairs
    )


def max_pool(xp: Any, x: Array, axes: Axes) -> tuple[Array, Array]:
    """The largest of each window of images (N, C, *size), and where it stands in its plane.

    The first of equals and the first NaN win; padding never does. Both results lie in memory as the
    images: with channels next to each other where theirs are.
    """
    if x.dtype not in FLOATS and x.dtype != _INT64:
        largest, places = max_pool(xp, x.astype(np.int64), axes)
        return largest.astype(x.dtype), places
    whole = all((axis.windows, axis.kernel, axis.padding) == (1, axis.size, 0) for axis in axes)
    if whole and x.size and math.prod(axis.size for axis in axes) >= _LARGE:
        places = _reduced(xp, "place of the largest", x, axes)
        return gather_from_planes(xp, x, places), places
    x, seen = images.seen(xp, x)
    y, places = (images.new(xp, seen.last, _pooled(x, axes), t) for t in (x.dtype, _INT64))
    if y.size:
        width = seen.width(x.itemsize, images.aligned(x))
        launch = _launch("max_pool", x.dtype, width, seen, axes)
        launch(pointer(x), pointer(y), pointer(places))
    return y, places


def max_pool_gradient(xp: Any, grad: Array, places: Array, axes: Axes) -> Array:
    """Each element of `grad` at its place of a plane of zeros, (N, C, *size); what meets adds up.

    Args:
        xp: CuPy.
        grad: floating, (N, C, *counts).
        places: of each window, which of its places; as `max_pool` finds them.
        axes: the windows.
    """
    places, last = _dense(xp, places)
    grad = images.dense(xp, grad, last)
    return _gradient(xp, "max_pool_gradient", grad, (places,), last, axes)


def avg_pool(
    xp: Any, x: Array, axes: Axes, counts_padding: bool = True, divisor: int | None = None
) -> Array:
    """The mean of each window of images (N, C, *size); of whole numbers rounded towards 0.

    Args:
        xp: CuPy.
        x: the images.
        axes: the windows.
        counts_padding: whether places on the padding count as zeros.
        divisor: by what to divide the sums in place of the number of places.
    """
    if x.dtype not in FLOATS and x.dtype != _INT64:
        return avg_pool(xp, x.astype(np.int64), axes, counts_padding, divisor).astype(x.dtype)
    if divisor is None and x.dtype in FLOATS and x.size and _is_reduction(axes):
        return _reduced(xp, "mean", x, axes)
    x, seen = images.seen(xp, x)
    y = images.new(xp, seen.last, _pooled(x, axes), x.dtype)
    if y.size:
        width = seen.width(x.itemsize, images.aligned(x))
        launch = _launch("avg_pool", x.dtype, width, seen, axes, counts_padding, divisor or 0)
        launch(pointer(x), pointer(y))
    return y


def avg_pool_gradient(
    xp: Any, grad: Array, axes: Axes, counts_padding: bool = True, divisor: int | None = None
) -> Array:
    """The gradient of `sum(grad * avg_pool(x))` to x, (N, C, *size)."""
    grad, last = _dense(xp, grad)
    return _gradient(xp, "avg_pool_gradient", grad, (), last, axes, counts_padding, divisor or 0)


def _check(axes: Axes) -> None:
    """Refuse what the kernels' whole numbers of 32 bits do not hold."""
    for axis in axes:
        reach = axis.size + 2 * axis.padding + axis.kernel * axis.dilation + axis.stride
        parts = max(
            (axis.size % max(axis.windows, 1) + 1) * axis.windows,
            (axis.windows % axis.size + 1) * axis.size,
        )
        if max(reach, axis.windows) >= 1 << 31 or (not axis.kernel and parts > 1 << 32):
            raise ValueError(
                f"pooling on a GPU: {axis.windows} windows over {axis.size} places are too many"
            )


def _is_reduction(axes: Axes) -> bool:
    """Whether windows are side by side and so large that several threads should share one."""
    side_by_side = all(
        (a.windows * a.kernel, a.kernel, a.padding) == (a.size, a.stride, 0) for a in axes
    )
    whole = all(axis.windows == 1 for axis in axes)
    return side_by_side and (whole or math.prod(axis.kernel for axis in axes) >= _LARGE)


def _reduced(xp: Any, kind: str, x: Array, axes: Axes) -> Array:
    """What windows side by side are reduced to, as dimensions of their own."""
    found = images.layout(x.shape, x.strides, x.itemsize)
    split = [n for axis in axes for n in (axis.windows, axis.kernel)]
    if found is None or not found.last:
        dims = tuple(range(3, 3 + len(split), 2))
        return reduce(xp, kind, x.reshape(*x.shape[:2], *split), dims, keepdim=False)
    # The strides of the result say that channels come last even where its sizes are 1.
    count, channels = x.shape[:2]
    rows = x.transpose(channels_last_order(x.ndim)).reshape(count, *split, channels)
    out = reduce(xp, kind, rows, tuple(range(2, 2 + len(split), 2)), keepdim=False)
    return out.transpose(images.to_last(x.ndim))


def _pooled(x: Array, axes: Axes) -> Ints:
    return (*x.shape[:2], *(axis.windows for axis in axes))


def _dense(xp: Any, x: Array) -> tuple[Array, bool]:
    """Images without gaps, and whether their channels lie next to each other."""
    found = images.layout(x.shape, x.strides, x.itemsize)
    last = found is not None and found.last
    return images.dense(xp, x, last), last


def _gradient(
    xp: Any,
    what: str,
    grad: Array,
    more: tuple[Array, ...],
    last: bool,
    axes: Axes,
    counts_padding: bool = True,
    divisor: int = 0,
) -> Array:
    count, channels = grad.shape[:2]
    to_x = images.new(xp, last, (count, channels, *(axis.size for axis in axes)), grad.dtype)
    if to_x.size:
        outer, inner = (count, channels) if last else (count * channels, 1)
        seen = Layout(last, outer, inner, 0, (0,) * len(axes))
        width = seen.width(grad.itemsize, images.aligned(grad, *more))
        launch = _launch(what, grad.dtype, width, seen, axes, counts_padding, divisor)
        launch(*map(pointer, (grad, *more, to_x)))
    return to_x


class _Axis(ctypes.Structure):
    """`Axis` of `pooling.cu`."""

    _fields_ = (*((name, c_int) for name in Axis._fields), ("step", c_longlong))


class _Pooling(ctypes.Structure):
    """`Pooling` of `pooling.cu`."""

    _fields_ = (
        ("axes", _Axis * 3),
        ("total", c_longlong),
        ("inner", Divisor),
        ("digits", Divisor * 3),
        ("outer_step", c_longlong),
        ("counts_padding", c_bool),
        ("divisor", c_int),
    )


@functools.lru_cache(maxsize=4096)
def _launch(
    what: str,
    dtype: np.dtype,
    width: int,
    seen: Layout,
    axes: Axes,
    counts_padding: bool = True,
    divisor: int = 0,
) -> Launch:
    _check(axes)
    missing = 3 - len(axes)
    all_axes, steps = (Axis(),) * missing + axes, (0,) * missing + seen.steps
    made = [axis.size if what.endswith("gradient") else axis.windows for axis in all_axes]
    inner = seen.inner // width
    total = seen.outer * math.prod(made) * inner
    given = _Pooling(
        (_Axis * 3)(*(_Axis(*axis, step) for axis, step in zip(all_axes, steps, strict=True))),
        total,
        Divisor.of(inner),
        (Divisor * 3)(*map(Divisor.of, made)),
        seen.outer_step,
        counts_padding,
        divisor,
    )
    pointers = {"max_pool": 3, "max_pool_gradient": 3, "avg_pool": 2, "avg_pool_gradient": 2}
    return _kernel(what, dtype, width).prepare(
        (images.blocks(total), 1, 1),
        (images.THREADS, 1, 1),
        varying=(c_void_p,) * pointers[what],
        constant=(given,),
    )


def _kernel(what: str, dtype: np.dtype, width: int) -> Kernel:
    name = FLOATS.get(dtype, "long long")
    return Kernel(source(_FILENAME), f"{what}<{name}, {width}>", filename=_FILENAME)


def variants() -> Iterator[Kernel]:
    """Every kernel that these functions can ask for."""
    for what in ("max_pool", "avg_pool"):
        yield _kernel(what, _INT64, 1)
        for dtype in FLOATS:
            for width in (1, 16 // dtype.itemsize):
                yield _kernel(what, dtype, width)
                yield _kernel(f"{what}_gradient", dtype, width)
