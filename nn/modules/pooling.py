"""Pooling layers: one number for each window of an image."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module

IntOrPair = int | tuple[int, int]


class MaxPool2d(Module):
    """The largest value of each window; of equal ones, the first receives the gradient.

    Args:
        kernel_size: height and width of a window, or one number for both.
        stride: step between windows. Default: the kernel size.
        padding: minus infinity around the image, at most half the kernel. Default: 0.
        dilation: distance between the elements of a window. Default: 1.
        return_indices: whether the winners' positions in their plane come too. Default: False.
        ceil_mode: whether a last, partial window counts. Default: False.

    Shape:
        input (N, C, H, W), output (N, C, H', W').

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MaxPool2d(2)(tg.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        """The maximum of every window; with `return_indices`, its flat position too."""
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window.

    Args:
        kernel_size: height and width of a window, or one number for both.
        stride: step between windows. Default: the kernel size.
        padding: zeros around the image, at most half the kernel. Default: 0.
        ceil_mode: whether a last, partial window counts. Default: False.
        count_include_pad: whether the padding counts in the mean. Default: True.

    Shape:
        input (N, C, H, W), output (N, C, H', W').

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AvgPool2d(2)(tg.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The mean of every window."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
