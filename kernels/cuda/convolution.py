"""Convolution on a GPU in one to three dimensions: products of matrices that are never made.

Images (N, C, *size) and filters (O, C/groups, *kernel) may have any strides. What is made has its
channels next to each other in memory where the images or the filters have. Where these are packs of
16 bytes a thread copies one at once, else it takes planes as they lie (`convolution.cu`). What can
be known from shapes and strides is found once, and kept as a plan.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from tapegrad.kernels.strides import channels_last_order, fills, is_channels_last

from . import convolution_direct as direct
from . import convolution_points as points
from . import convolution_tiles as tiles
from . import images
from .convolution_tiles import Kind, unit_of
from .convolution_windows import DATA_GRADIENT, FORWARD, Window
from .launching import Launch, pointer
from .rows import FLOATS, address, wide
from .transpose import contiguous

Array = Any
Ints = tuple[int, ...]

_INT64 = np.dtype(np.int64)
_MANY, _MUCH = 1 << 16, 64  # values of images, and products of each, that are worth a conversion


def convolve(
    xp: Any, x: Array, w: Array, bias: Array | None, window: Window, relu: bool = False
) -> Array:
    """Cross-correlate x (N, C, *size) with w (O, C/groups, *kernel): y (N, O, *counts).

    Args:
        xp: CuPy.
        x: the images, of any strides; sums of whole numbers wrap around.
        w: the filters, of the same dtype.
        bias: what is added to each of the O channels, or None.
        window: how the filters go over the images.
        relu: whether negative results become 0, NaN staying.
    """
    if x.dtype not in FLOATS and x.dtype != _INT64:
        x64, w64, bias64 = (a if a is None else a.astype(_INT64) for a in (x, w, bias))
        return convolve(xp, x64, w64, bias64, window, relu).astype(x.dtype)
    plan = _plan(FORWARD, x.dtype, _lies(x), _lies(w), (), window, relu, unit_of(x.dtype))
    if plan.rows:
        return points.convolve(xp, x, w, bias, relu)
    return _made(xp, plan, x, w, bias)


def input_gradient(
    xp: Any, grad: Array, w: Array, size: Ints, window: Window, bias: Array | None = None
) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to x (N, C, *size); transposed convolution.

    Args:
        xp: CuPy.
        grad: (N, O, *counts), of any strides.
        w: the filters (O, C/groups, *kernel), of the same dtype.
        size: of the images.
        window: how the filters go over the images.
        bias: what is added to each of the C channels, or None.
    """
    if grad.dtype not in FLOATS and grad.dtype != _INT64:
        grad64, w64, bias64 = (a if a is None else a.astype(_INT64) for a in (grad, w, bias))
        return input_gradient(xp, grad64, w64, size, window, bias64).astype(grad.dtype)
    unit = unit_of(grad.dtype)
    plan = _plan(DATA_GRADIENT, grad.dtype, _lies(grad), _lies(w), size, window, False, unit)
    if plan.rows:
        return points.input_gradient(xp, grad, w, bias)
    return _made(xp, plan, grad, w, bias)


def weight_gradient(xp: Any, grad: Array, x: Array, kernel: Ints, window: Window) -> Array:
    """The gradient of `sum(grad * convolve(x, w))` to w (O, C/groups, *kernel).

    Args:
        xp: CuPy.
        grad: (N, O, *counts), of any strides.
        x: the images (N, C, *size), of the same dtype.
        kernel: the size of the filters.
        window: how the filters go over the images.
    """
    plan = _weight_plan(x.dtype, _lies(grad), _lies(x), kernel, window, unit_of(x.dtype))
    if plan.rows:
        return points.weight_gradient(xp, grad, x)
    to_w = images.new(xp, plan.last, plan.shape, x.dtype)
    if plan.launch is None:
        if to_w.size:
            to_w.fill(0)
        return to_w
    grad, x = _brought(xp, grad, plan.orders[0]), _brought(xp, x, plan.orders[1])
    if plan.combine is None:
        plan.launch(pointer(grad), pointer(x), pointer(to_w))
        return to_w
    sums = xp.empty(plan.parts * to_w.size, wide(x.dtype))
    plan.launch(pointer(grad), pointer(x), pointer(sums))
    plan.combine(pointer(sums), pointer(to_w))
    return to_w


class Lies(NamedTuple):
    """Where the elements of an array lie."""

    shape: Ints
    strides: Ints  # in bytes
    aligned: bool  # to 16 bytes


def _lies(array: Array) -> Lies:
    return Lies(array.shape, array.strides, pointer(array) % 16 == 0)


class _Plan(NamedTuple):
    """What is done with arrays of certain shapes and strides.

    Attributes:
        shape: of the result.
        last: whether it has its channels next to each other.
        rows: whether it is left to a product of matrices.
        orders: for both operands, in which order of dimensions they have to lie; None: as they do.
        launch: what writes the result, or its parts; None if there is nothing to write or to add.
        parts: how many there are.
        combine: what adds them up; None if the launch writes the result.
    """

    shape: Ints
    last: bool
    rows: bool = False
    orders: tuple[Ints | None, Ints | None] = (None, None)
    launch: Launch | None = None
    parts: int = 1
    combine: Launch | None = None


def _made(xp: Any, plan: _Plan, x: Array, w: Array, bias: Array | None) -> Array:
    y = images.new(xp, plan.last, plan.shape, x.dtype)
    if plan.launch is not None:
        x, w = _brought(xp, x, plan.orders[0]), _brought(xp, w, plan.orders[1])
        bias = None if bias is None else contiguous(xp, bias)
        plan.launch(pointer(x), pointer(w), address(bias), pointer(y))
    return y


def _brought(xp: Any, array: Array, order: Ints | None) -> Array:
    """The array with its dimensions in an order in memory; as it is if that is None."""
    if order is None:
        return array
    return contiguous(xp, array.transpose(order)).transpose(_inverse(order))


@functools.cache
def _inverse(order: Ints) -> Ints:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


@functools.lru_cache(maxsize=4096)
def _plan(
    what: str, dtype: np.dtype, x: Lies, w: Lies, size: Ints, window: Window, relu: bool, unit: str
) -> _Plan:
    """The plan of a convolution or of its data gradient, whose images have a `size`."""
    backward, groups = what == DATA_GRADIENT, window.groups
    last = is_channels_last(*x[:2]) or is_channels_last(*w[:2])
    if backward:
        shape = x.shape[0], w.shape[1] * groups, *size
    else:
        axes = zip(x.shape[2:], w.shape[2:], *window[:3], strict=True)
        counts = ((n + 2 * m - d * (k - 1) - 1) // s + 1 for n, k, s, m, d in axes)
        shape = x.shape[0], w.shape[0], *counts
    if points.are_all(w.shape, window) and points.have_rows(dtype, x, w):
        return _Plan(shape, last, rows=True)
    if not math.prod(shape):
        return _Plan(shape, last)
    itemsize = dtype.itemsize
    few = dtype == _INT64 or direct.has_few(w.shape, window)
    if few:
        x_order, x_strides = _whole_steps(x, itemsize)
        depthwise = last and dtype != _INT64 and direct.is_depthwise(w.shape, window)
        packed = depthwise and _is_packed(x, itemsize, w.shape[0])
    else:
        summed = w.shape[0] // groups if backward else w.shape[1]
        x_order, x_strides, packed = _packs(x, itemsize, summed, math.prod(w.shape))
    # A data gradient may read channels-last filters as they are, by kernels of tensor cores.
    across = packed and backward and not few and unit != "Fma" and _lie_across(w, itemsize)
    if across:
        w_order, w_strides = None, w.strides
    elif packed:
        w_order, w_strides = _arranged(w, itemsize, 0 if backward or few else 1)
    else:
        w_order, w_strides = _whole_steps(w, itemsize)
    order = channels_last_order(len(shape)) if last else tuple(range(len(shape)))
    shapes = x.shape, x_strides, w.shape, w_strides, shape, _filled(shape, order, itemsize)
    if few:
        launch = direct.launch(what, dtype, packed, shapes, window, relu)
    else:
        kind = _kind(dtype, packed, unit)._replace(across=across)
        launch = tiles.launch(what, kind, shapes, window, relu)
    return _Plan(shape, last, orders=(x_order, w_order), launch=launch)


@functools.lru_cache(maxsize=4096)
def _weight_plan(
    dtype: np.dtype, grad: Lies, x: Lies, kernel: Ints, window: Window, unit: str
) -> _Plan:
    shape = grad.shape[1], x.shape[1] // window.groups, *kernel
    last = is_channels_last(*x[:2]) or is_channels_last(*grad[:2])
    if points.are_all(shape, window) and points.have_rows(dtype, grad, x):
        return _Plan(shape, last, rows=True)
    work, itemsize = math.prod(shape), dtype.itemsize
    if not work or not math.prod(grad.shape):
        return _Plan(shape, last)
    if direct.has_few(shape, window):
        packed = False
        grad_order, grad_strides = _whole_steps(grad, itemsize)
        x_order, x_strides = _whole_steps(x, itemsize)
    else:
        grad_order, grad_strides, first = _packs(grad, itemsize, shape[0] // window.groups, work)
        x_order, x_strides, second = _packs(x, itemsize, shape[1], work)
        packed = first and second
    order = channels_last_order(len(shape)) if last else tuple(range(len(shape)))
    own = _filled(shape, order, itemsize)
    shapes = x.shape, x_strides, shape, own, grad.shape, grad_strides
    kind = _kind(dtype, packed, unit)
    parts, launch, combine = tiles.weight_launch(kind, shapes, window, last)
    return _Plan(shape, last, False, (grad_order, x_order), launch, parts, combine)


def _kind(dtype: np.dtype, packed: bool, unit: str) -> Kind:
    return Kind(dtype, packed, "Tensor" if unit == "Warpgroup" and not packed else unit)


def _filled(shape: Ints, order: Ints, itemsize: int) -> Ints:
    """The strides of an array that fills its memory with its dimensions in an order."""
    strides, step = [0] * len(shape), itemsize
    for d in reversed(order):
        strides[d] = step
        step *= shape[d]
    return tuple(strides)


def _whole_steps(lies: Lies, itemsize: int) -> tuple[Ints | None, Ints]:
    """Any order, but strides that are whole numbers of elements."""
    if not any(stride % itemsize for stride in lies.strides):
        return None, lies.strides
    order = tuple(range(len(lies.shape)))
    return order, _filled(lies.shape, order, itemsize)


def _packs(x: Lies, itemsize: int, channels: int, work: int) -> tuple[Ints | None, Ints, bool]:
    """The order and strides of images, and if packs of 16 bytes hold channels of place and group.

    Planes are converted if there is enough to do for each place of them.
    """
    if itemsize < 8 and _is_packed(x, itemsize, channels):
        return None, x.strides, True
    few = math.prod(x.shape) < _MANY or work < _MUCH * x.shape[1]
    if itemsize == 8 or few or channels * itemsize % 16:
        return *_whole_steps(x, itemsize), False
    order = channels_last_order(len(x.shape))
    return order, _filled(x.shape, order, itemsize), True


def _is_packed(x: Lies, itemsize: int, channels: int) -> bool:
    """Whether packs of 16 bytes hold channels of one place and one group."""
    strides = x.strides
    return (
        x.aligned
        and strides[1] == itemsize
        and channels * itemsize % 16 == 0
        and not any(step % 16 for step in (strides[0], *strides[2:]))
    )


def _lie_across(w: Lies, itemsize: int) -> bool:
    """Whether packs of 16 bytes hold channels of filters, and offsets 32 bits."""
    whole = fills(w.shape, w.strides, channels_last_order(len(w.shape)), itemsize)
    return whole and math.prod(w.shape) < 1 << 30 and _is_packed(w, itemsize, w.shape[1])


def _arranged(w: Lies, itemsize: int, inner: int) -> tuple[Ints | None, Ints]:
    """The order and strides of filters with outputs (0) or channels (1) next to each other."""
    order = (1 - inner, *range(2, len(w.shape)), inner)
    if w.aligned and fills(w.shape, w.strides, order, itemsize):
        return None, w.strides
    return order, _filled(w.shape, order, itemsize)
