"""What convolution and pooling share: images with or without a batch, windows that must fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.autograd.arrays import FLOATS
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.operations.arguments import check_tensor, pair

Size = int | Sequence[int]


def batched(name: str, input: Any, compute: Callable[[Any], Any]) -> Any:
    """`compute` on images with a batch dimension, which is put in and taken out if missing."""
    shape = check_tensor(name, input)._data.shape
    if input._data.dtype not in FLOATS:
        raise RuntimeError(f"{name}: needs floating images, got {describe(input)}")
    if len(shape) == 4:
        return compute(input)
    if len(shape) == 3:
        out = compute(reshape(input, shape=(1, *shape)))
        return reshape(out, shape=out._data.shape[1:])
    raise ShapeError(f"{name}: expected images (N, C, H, W) or (C, H, W), got {describe(input)}")


def window_of(
    name: str, kernel_size: Size, stride: Size | None, padding: Size
) -> dict[str, tuple[int, int]]:
    """Kernel, stride (the kernel unless given) and padding (at most half of it) as pairs."""
    kernel = pair(name, "kernel_size", kernel_size, 1)
    paddings = pair(name, "padding", padding, 0)
    if any(2 * p > k for k, p in zip(kernel, paddings, strict=True)):
        raise RuntimeError(f"{name}: padding {paddings} is more than half of the kernel {kernel}")
    strides = kernel if stride is None else pair(name, "stride", stride, 1)
    return {"kernel": kernel, "stride": strides, "padding": paddings}


def check_fits(name: str, images: Any, window: dict[str, tuple[int, int]], dilation: Any) -> None:
    for n, k, p, d in zip(
        images._data.shape[2:], window["kernel"], window["padding"], dilation, strict=True
    ):
        if n + 2 * p < d * (k - 1) + 1:
            raise ShapeError(
                f"{name}: a window of {window['kernel']} is larger than {describe(images)}"
            )
