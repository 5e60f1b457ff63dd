"""Pooling layers that are told how many windows there shall be."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module

Output = int | None | tuple[int | None, ...]


class _Adaptive(Module):
    function: ClassVar[Any]

    def __init__(self, output_size: Output) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveAvgPool(_Adaptive):
    def forward(self, input: Tensor) -> Tensor:
        """The mean of every window."""
        return type(self).function(input, self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of `output_size` windows of sequences (N, C, L).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AdaptiveAvgPool1d(3)(tg.randn(1, 2, 7)).shape
    (1, 2, 3)
    """

    function: ClassVar = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of `output_size` windows of images (N, C, H, W), whatever their size.

    Args:
        output_size: the height and width of the output, or one number for both; None keeps a
            dimension as it is.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AdaptiveAvgPool2d((1, None))(tg.randn(1, 2, 7, 5)).shape
    (1, 2, 1, 5)
    """

    function: ClassVar = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of `output_size` windows of volumes (N, C, D, H, W).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AdaptiveAvgPool3d(2)(tg.randn(1, 2, 7, 5, 4)).shape
    (1, 2, 2, 2, 2)
    """

    function: ClassVar = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_Adaptive):
    def __init__(self, output_size: Output, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        """The maximum of every window; with `return_indices`, its flat position too."""
        return type(self).function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of each of `output_size` windows of sequences (N, C, L).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AdaptiveMaxPool1d(2)(tg.arange(5.0).reshape(1, 5)).tolist()
    [[2.0, 4.0]]
    """

    function: ClassVar = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of each of `output_size` windows of images (N, C, H, W), whatever their size.

    Args:
        output_size: the height and width of the output, or one number for both; None keeps a
            dimension as it is.
        return_indices: whether the winners' positions in their plane come too. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AdaptiveMaxPool2d(1)(tg.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[15.0]]]
    """

    function: ClassVar = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of each of `output_size` windows of volumes (N, C, D, H, W).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AdaptiveMaxPool3d(2)(tg.randn(1, 2, 7, 5, 4)).shape
    (1, 2, 2, 2, 2)
    """

    function: ClassVar = staticmethod(F.adaptive_max_pool3d)
