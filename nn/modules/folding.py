"""Images as columns of windows, and back."""

from __future__ import annotations

from tapegrad.autograd import Tensor

from .. import functional as F
from ..functional.windows import Size
from .module import Module


class Unfold(Module):
    """The windows of images (N, C, H, W) as columns (N, C * KH * KW, windows).

    Args:
        kernel_size: height and width of a window, or one number for both.
        dilation: distance between the elements of a window. Default: 1.
        padding: zeros around the image. Default: 0.
        stride: step between windows. Default: 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Unfold(2, stride=2)(tg.randn(1, 3, 4, 6)).shape
    (1, 12, 6)
    """

    def __init__(
        self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """The columns of the images."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Fold(Module):
    """Columns (N, C * KH * KW, windows) added up in images (N, C, *output_size).

    Args:
        output_size: height and width of the images, or one number for both.
        kernel_size, dilation, padding, stride: as those of `Unfold`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Fold((4, 6), 2, stride=2)(tg.randn(1, 12, 6)).shape
    (1, 3, 4, 6)
    """

    def __init__(
        self,
        output_size: Size,
        kernel_size: Size,
        dilation: Size = 1,
        padding: Size = 0,
        stride: Size = 1,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """The images that the columns add up to."""
        window = self.kernel_size, self.dilation, self.padding, self.stride
        return F.fold(input, self.output_size, *window)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
