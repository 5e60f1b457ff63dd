"""What convolution and pooling share: sizes per dimension, images with or without a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.autograd.arrays import FLOATS, bool_
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.operations.arguments import check_tensor
from tapegrad.kernels.pooling import pooled_size

Size = int | Sequence[int]
Sizes = tuple[int, ...]

LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def sizes(name: str, what: str, value: Any, dims: int, least: int, strict: bool = False) -> Sizes:
    """An int, or one for each of `dims` dimensions, as a tuple; each is at least `least`.

    A list of one stands for all, unless `strict`.

    >>> sizes("conv2d", "stride", 2, 2, least=1)
    (2, 2)
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * dims
    if not all(hasattr(v, "__index__") and not isinstance(v, bool) for v in values):
        raise TypeError(f"{name}: {what} must be an int or {dims} of them, got {value!r}")
    if len(values) == 1 and not strict:
        values *= dims
    if len(values) != dims:
        raise ArgumentError(f"{name}: {what} must be an int or {dims} of them, got {value!r}")
    if min(values) < least:
        raise ArgumentError(f"{name}: {what} must be at least {least}, got {value!r}")
    return tuple(int(v) for v in values)


def batched(
    name: str, input: Any, dims: int, compute: Callable[[Any], Any], whole: bool = False
) -> Any:
    """`compute` on images with a batch dimension, which is put in and taken out if missing.

    `compute` may return several results; `whole` says whether images may hold whole numbers.
    """
    array = check_tensor(name, input)._data
    shape, layout = array.shape, LAYOUTS[dims]
    if array.dtype not in FLOATS and (array.dtype == bool_ or not whole):
        raise RuntimeError(f"{name}: needs floating images, got {describe(input)}")
    if len(shape) == dims + 2:
        return compute(input)
    if len(shape) != dims + 1:
        raise ShapeError(
            f"{name}: expected images {layout}, or without the N, got {describe(input)}"
        )
    out = compute(reshape(input, shape=(1, *shape)))
    if isinstance(out, tuple):
        return tuple(reshape(part, shape=part._data.shape[1:]) for part in out)
    return reshape(out, shape=out._data.shape[1:])


def check_filled(name: str, images: Any, channels: bool = True) -> None:
    """Refuse images without places, or without channels; the batch alone may be empty."""
    if not all(images._data.shape[1 if channels else 2 :]):
        raise ShapeError(f"{name}: only the batch may be empty, got {describe(images)}")


def window_of(
    name: str, kernel_size: Size, stride: Size | None, padding: Size, dims: int
) -> dict[str, Sizes]:
    """Kernel, stride (the kernel unless given) and padding (at most half of it), per dimension."""
    kernel = sizes(name, "kernel_size", kernel_size, dims, 1)
    paddings = sizes(name, "padding", padding, dims, 0)
    if any(2 * p > k for k, p in zip(kernel, paddings, strict=True)):
        raise ArgumentError(f"{name}: padding {paddings} is more than half of the kernel {kernel}")
    given = stride is not None and not (isinstance(stride, Sequence) and not len(stride))
    strides = sizes(name, "stride", stride, dims, 1) if given else kernel
    return {"kernel": kernel, "stride": strides, "padding": paddings}


def check_fits(
    name: str, images: Any, window: dict[str, Sizes], dilation: Sizes, ceil_mode: bool
) -> None:
    """Refuse images in which not one window fits."""
    check_filled(name, images)
    axes = zip(images._data.shape[2:], *window.values(), dilation, strict=True)
    if any(pooled_size(n, k, s, p, d, ceil_mode) < 1 for n, k, s, p, d in axes):
        raise ShapeError(
            f"{name}: a window of {window['kernel']}, dilation {dilation} and padding "
            f"{window['padding']}, is larger than {describe(images)}"
        )
