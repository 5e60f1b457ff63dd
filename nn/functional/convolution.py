"""Convolution. Images are (N, C, H, W) or, without a batch, (C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import convolution
from tapegrad.autograd.operations.arguments import check_tensor, pair, same_dtype

from .windows import Size, batched

__all__ = [
    "conv2d",
]


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, H, W) with filters (O, C/groups, KH, KW) plus a bias (O,).

    The output is (N, O, P, Q) with P = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1.
    `padding` may be "valid" (none) or "same" (the input's size, stride 1).

    >>> import tapegrad as tg
    >>> tg.conv2d(tg.ones(1, 1, 3, 3), tg.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    strides = pair("conv2d", "stride", stride, 1)
    dilations = pair("conv2d", "dilation", dilation, 1)
    w = check_tensor("conv2d", weight)._data
    if w.ndim != 4:
        raise ShapeError(f"conv2d: expected filters (O, C/groups, KH, KW), got {describe(weight)}")
    crop = (0, 0)
    if isinstance(padding, str):
        paddings, crop = _named_padding(padding, w.shape[2:], strides, dilations)
    else:
        paddings = pair("conv2d", "padding", padding, 0)

    def compute(images: Any) -> Any:
        shape = images._data.shape
        if groups < 1 or shape[1] != w.shape[1] * groups or w.shape[0] % groups:
            raise ShapeError(
                f"conv2d: input {describe(input)} does not fit filters {describe(weight)} in "
                f"{groups} groups: it needs {w.shape[1] * groups} channels, and filters in "
                "multiples of groups"
            )
        if bias is not None and check_tensor("conv2d", bias)._data.shape != w.shape[:1]:
            raise ShapeError(f"conv2d: {w.shape[0]} filters, but bias {describe(bias)}")
        same_dtype("conv2d", images, weight, bias)
        for n, k, p, d in zip(shape[2:], w.shape[2:], paddings, dilations, strict=True):
            if n + 2 * p < d * (k - 1) + 1:
                raise ShapeError(
                    f"conv2d: filters {describe(weight)} with dilation {dilations} are larger than "
                    f"the padded input {describe(input)}, padding {paddings}"
                )
        out = convolution.conv2d(
            images,
            weight,
            bias,
            stride=strides,
            padding=paddings,
            dilation=dilations,
            groups=groups,
        )
        if crop != (0, 0):  # an even span pads one more at the end
            out = out[:, :, crop[0] :, crop[1] :]
        return out

    return batched("conv2d", input, compute)


def _named_padding(
    padding: str, kernel: Sequence[int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding for a name, and how much to crop in front where the span is even."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ArgumentError(f"conv2d: padding must be numbers, 'valid' or 'same', got {padding!r}")
    if stride != (1, 1):
        raise RuntimeError("conv2d: padding='same' needs stride 1")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return (-(-total[0] // 2), -(-total[1] // 2)), (total[0] % 2, total[1] % 2)
