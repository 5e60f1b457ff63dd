"""Pooling over windows of a size. Images are (N, C, *size) or, without a batch, (C, *size)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.arrays import int64
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import pooling as gates
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.operations.arguments import check_tensor, on_its_gpu, same_device
from tapegrad.autograd.operations.positions import in_range
from tapegrad.kernels.pooling import pooled_size

from .windows import Size, Sizes, batched, check_filled, check_fits, sizes, window_of

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]


def max_pool1d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window of (N, C, L); see `max_pool2d`.

    >>> import tapegrad as tg
    >>> tg.max_pool1d(tg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool1d", 1, input, *window, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window; the gradient goes to it, in a tie to the first.

    `stride` is the kernel's size unless given; padding counts as -inf. With `ceil_mode` a last,
    partial window counts. With `return_indices` also where each stands in its flattened plane.

    >>> import tapegrad as tg
    >>> tg.max_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5., 7.],
              [13., 15.]]]])
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool2d", 2, input, *window, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window of (N, C, D, H, W); see `max_pool2d`.

    >>> import tapegrad as tg
    >>> tg.max_pool3d(tg.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool3d", 3, input, *window, return_indices)


def avg_pool1d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of (N, C, L); see `avg_pool2d`.

    >>> import tapegrad as tg
    >>> tg.avg_pool1d(tg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    window = kernel_size, stride, padding, ceil_mode, count_include_pad
    return _avg_pool("avg_pool1d", 1, input, *window, None)


def avg_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window; padding counts as zeros unless `count_include_pad` is False.

    `stride` is the kernel's size unless given. With `ceil_mode` a last, partial window counts; what
    hangs over is not counted. `divisor_override` divides each sum instead of its window's size.

    >>> import tapegrad as tg
    >>> tg.avg_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    window = kernel_size, stride, padding, ceil_mode, count_include_pad
    return _avg_pool("avg_pool2d", 2, input, *window, divisor_override)


def avg_pool3d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window of (N, C, D, H, W); see `avg_pool2d`.

    >>> import tapegrad as tg
    >>> tg.nn.functional.avg_pool3d(tg.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    window = kernel_size, stride, padding, ceil_mode, count_include_pad
    return _avg_pool("avg_pool3d", 3, input, *window, divisor_override)


def lp_pool1d(
    input: Any,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Any:
    """The p-norm of each window of (N, C, L), without absolute values; see `lp_pool2d`.

    >>> import tapegrad as tg
    >>> tg.nn.functional.lp_pool1d(tg.tensor([[3.0, 4.0, 0.0, 0.0]]), 2, 2)
    tensor([[5., 0.]])
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Any,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Any:
    """`(sum of x**p)**(1/p)` over each window, p = `norm_type`; the gradient at a sum of 0 is 0.

    As in PyTorch there are no absolute values, and a partial window of `ceil_mode` is scaled up to
    a whole one. An infinite p gives the largest absolute value, -inf the smallest.

    >>> import tapegrad as tg
    >>> tg.nn.functional.lp_pool2d(tg.ones(1, 4, 4), 2, 2)
    tensor([[[2., 2.],
             [2., 2.]]])
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Any,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Any:
    """The p-norm of each window of (N, C, D, H, W), without absolute values; see `lp_pool2d`.

    >>> import tapegrad as tg
    >>> tg.nn.functional.lp_pool3d(tg.ones(1, 2, 2, 2), 3, 2)
    tensor([[[[2.]]]])
    """
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


@on_its_gpu
def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Zeros (N, C, L) with the values of a max pooling put back; see `max_unpool2d`.

    >>> import tapegrad as tg
    >>> y, indices = tg.max_pool1d(tg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2, return_indices=True)
    >>> tg.nn.functional.max_unpool1d(y, indices, 2)
    tensor([[0., 3., 2., 0.]])
    """
    window = kernel_size, stride, padding, output_size
    return _max_unpool("max_unpool1d", 1, input, indices, *window)


@on_its_gpu
def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Zeros with the values of a max pooling put back at their `indices`: a partial inverse.

    Several sizes pool to the same one; `output_size`, with or without (N, C), says which is meant.
    Where an index comes twice the last value stays, and each receives the gradient from there.

    >>> import tapegrad as tg
    >>> y, indices = tg.max_pool2d(tg.arange(4.0).reshape(1, 2, 2), 2, return_indices=True)
    >>> tg.nn.functional.max_unpool2d(y, indices, 2)
    tensor([[[0., 0.],
             [0., 3.]]])

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014).
    """
    window = kernel_size, stride, padding, output_size
    return _max_unpool("max_unpool2d", 2, input, indices, *window)


@on_its_gpu
def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Zeros (N, C, D, H, W) with the values of a max pooling put back; see `max_unpool2d`.

    >>> import tapegrad as tg
    >>> y, indices = tg.max_pool3d(tg.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    >>> tg.nn.functional.max_unpool3d(y, indices, 2).sum()
    tensor(7.)
    """
    window = kernel_size, stride, padding, output_size
    return _max_unpool("max_unpool3d", 3, input, indices, *window)


def _max_pool(
    name: str,
    dims: int,
    input: Any,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    window = window_of(name, kernel_size, stride, padding, dims)
    dilations = sizes(name, "dilation", dilation, dims, 1)

    def compute(images: Any) -> Any:
        check_fits(name, images, window, dilations, ceil_mode)
        axes = zip(images._data.shape[2:], *window.values(), dilations, strict=True)
        if any(_misses(n, k, s, p, d, ceil_mode) for n, k, s, p, d in axes):
            raise ShapeError(
                f"{name}: a window of {window} with dilation {dilations} holds nothing but "
                f"padding of {describe(input)}"
            )
        return gates.max_pool(images, dilation=dilations, ceil_mode=ceil_mode, **window)

    values, indices = batched(name, input, dims, compute, whole=True)
    return (values, indices) if return_indices else values


def _misses(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> bool:
    """Whether some window along an axis lies in the padding altogether, as dilation makes it."""
    if not padding or dilation == 1:
        return False
    count = pooled_size(size, kernel, stride, padding, dilation, ceil_mode)
    return any(
        not any(0 <= at * stride - padding + i * dilation < size for i in range(kernel))
        for at in range(count)
    )


def _avg_pool(
    name: str,
    dims: int,
    input: Any,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Any:
    window = window_of(name, kernel_size, stride, padding, dims)
    if divisor == 0:
        raise ArgumentError(f"{name}: divisor_override must not be 0")

    def compute(images: Any) -> Any:
        check_fits(name, images, window, (1,) * dims, ceil_mode)
        return gates.avg_pool(
            images,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor=divisor,
            **window,
        )

    return batched(name, input, dims, compute, whole=True)


def _lp_pool(
    name: str,
    dims: int,
    input: Any,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None,
    ceil_mode: bool,
) -> Any:
    places = math.prod(sizes(name, "kernel_size", kernel_size, dims, 1))
    if math.isinf(norm_type):
        size, window = abs(check_tensor(name, input)), (kernel_size, stride, 0, 1, ceil_mode, False)
        if norm_type > 0:
            return _max_pool(name, dims, size, *window)
        return -_max_pool(name, dims, -size, *window)
    exponent = 1.0 / norm_type
    powers = check_tensor(name, input) ** norm_type
    means = _avg_pool(name, dims, powers, kernel_size, stride, 0, ceil_mode, True, None)
    # The root's slope at 0 is infinite: such a mean is taken out before, and what is put in its
    # place has no gradient.
    zero = means._data == 0
    roots = (where(zero, 1.0, means) * places) ** exponent
    return where(zero, 0.0**exponent if exponent >= 0 else math.inf, roots)


def _max_unpool(
    name: str,
    dims: int,
    input: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Any:
    window = window_of(name, kernel_size, stride, padding, dims)
    places = check_tensor(name, indices)._data
    same_device(name, input, indices)
    if places.dtype != int64:
        raise ArgumentError(f"{name}: indices must be int64, got {describe(indices)}")
    if places.shape != check_tensor(name, input)._data.shape:
        raise ShapeError(f"{name}: input {describe(input)}, but indices {describe(indices)}")

    def compute(images: Any) -> Any:
        check_filled(name, images)
        size = _unpooled_size(name, images, window, output_size)
        positions = places.reshape(images._data.shape)
        positions = in_range(name, positions, math.prod(size), f"planes of {size}")
        return gates.scatter_to_plane(images, positions, size=size, adds=False)

    return batched(name, input, dims, compute)


def _unpooled_size(
    name: str, images: Any, window: dict[str, Sizes], output_size: Sequence[int] | None
) -> Sizes:
    axes = zip(images._data.shape[2:], *window.values(), strict=True)
    default = tuple((n - 1) * s + k - 2 * p for n, k, s, p in axes)
    if output_size is None:
        return default
    size, dims = tuple(output_size), len(default)
    size = size[2:] if len(size) == dims + 2 else size
    if len(size) != dims:
        raise ArgumentError(
            f"{name}: output_size must be {dims} or {dims + 2} numbers, got {output_size}"
        )
    for n, wanted, s in zip(default, size, window["stride"], strict=True):
        if not n - s < wanted < n + s:
            raise ArgumentError(
                f"{name}: {describe(images)} was not pooled from {size}; with stride "
                f"{window['stride']} it was from less than a stride around {default}"
            )
    return size
