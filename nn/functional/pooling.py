"""Pooling. Images are (N, C, H, W) or, without a batch, (C, H, W)."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import pooling
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.operations.arguments import pair
from tapegrad.kernels.pooling import pooled_size

from .windows import Size, batched, check_fits, window_of

__all__ = [
    "avg_pool2d",
    "max_pool2d",
]


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

    `stride` is the kernel's size unless given; padding counts as -inf.

    >>> import tapegrad as tg
    >>> tg.max_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5., 7.],
              [13., 15.]]]])
    """
    window = window_of("max_pool2d", kernel_size, stride, padding)
    dilations = pair("max_pool2d", "dilation", dilation, 1)
    found = []

    def compute(images: Any) -> Any:
        check_fits("max_pool2d", images, window, dilations)
        if any(
            _misses(n, k, s, p, d, ceil_mode)
            for n, k, s, p, d in zip(
                images._data.shape[2:], *window.values(), dilations, strict=True
            )
        ):
            raise ShapeError(
                f"max_pool2d: a window of {window} with dilation {dilations} holds nothing but "
                f"padding of {describe(input)}"
            )
        values, indices = pooling.max_pool2d(
            images, dilation=dilations, ceil_mode=ceil_mode, **window
        )
        found.append(indices)
        return values

    values = batched("max_pool2d", input, compute)
    if not return_indices:
        return values
    return values, reshape(found[0], shape=values._data.shape)


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

    `divisor_override` divides each sum by that instead of by the size of its window.

    >>> import tapegrad as tg
    >>> tg.avg_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    window = window_of("avg_pool2d", kernel_size, stride, padding)
    if divisor_override == 0:
        raise ArgumentError("avg_pool2d: divisor_override must not be 0")

    def compute(images: Any) -> Any:
        check_fits("avg_pool2d", images, window, (1, 1))
        return pooling.avg_pool2d(
            images,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor=divisor_override,
            **window,
        )

    return batched("avg_pool2d", input, compute)


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
