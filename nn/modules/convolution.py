"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.operations.arguments import pair

from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

IntOrPair = int | tuple[int, int]


class Conv2d(Module):
    """Cross-correlates images with learned filters and adds a bias to each output channel.

    With k the kernel size, s the stride, p the padding and d the dilation, each spatial size is
    `floor((size + 2p - d (k - 1) - 1) / s) + 1`. Weight and bias start uniform in
    [-1/sqrt(fan_in), 1/sqrt(fan_in)], fan_in being in_channels / groups times the kernel's area.

    Args:
        in_channels: channels of the input.
        out_channels: number of filters.
        kernel_size: height and width of a filter, or one number for both.
        stride: step between windows. Default: 1.
        padding: zeros around the image; "valid" for none, "same" for an output of the input's size
            (stride 1 only). Default: 0.
        dilation: distance between the elements of a filter. Default: 1.
        groups: into how many groups, convolved apart, the channels are split. Default: 1.
        bias: whether a bias is added. Default: True.
        device, dtype: where the parameters live and what they are.

    Shape:
        input (N, in_channels, H, W), output (N, out_channels, H', W');
        weight (out_channels, in_channels / groups, KH, KW), bias (out_channels,).

    Raises:
        ValueError: if the groups do not divide the channels, or a size is not positive.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Conv2d(3, 8, 5, stride=2, padding=2)(tg.randn(4, 3, 32, 32)).shape
    (4, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups={groups} must be positive and divide in_channels={in_channels} "
                f"and out_channels={out_channels}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.padding = (
            padding if isinstance(padding, str) else pair("Conv2d", "padding", padding, 0)
        )
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        self.groups = groups
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(ops.empty(shape, dtype=dtype, device=device))
        if bias:
            self.bias = Parameter(ops.empty(out_channels, dtype=dtype, device=device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        fan_in = math.prod(self.weight.shape[1:])
        bound = 1 / math.sqrt(max(fan_in, 1))
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The images' responses to every filter."""
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        ]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
