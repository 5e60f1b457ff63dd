"""Pooling layers: one number for each window of an image; and max pooling undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tapegrad.autograd import Tensor

from .. import functional as F
from ..functional.windows import Size, sizes
from .module import Module


class _MaxPool(Module):
    function: ClassVar[Any]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
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
        window = self.kernel_size, self.stride, self.padding, self.dilation
        return type(self).function(input, *window, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest value of each window of sequences (N, C, L); the arguments are `MaxPool2d`'s.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MaxPool1d(2)(tg.arange(6.0).reshape(1, 1, 6)).tolist()
    [[[1.0, 3.0, 5.0]]]
    """

    function: ClassVar = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
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

    function: ClassVar = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest value of each window of volumes (N, C, D, H, W); see `MaxPool2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MaxPool3d(2)(tg.arange(8.0).reshape(1, 1, 2, 2, 2)).tolist()
    [[[[[7.0]]]]]
    """

    function: ClassVar = staticmethod(F.max_pool3d)


class AvgPool1d(Module):
    """The mean of each window of sequences (N, C, L); the arguments are `AvgPool2d`'s.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AvgPool1d(2)(tg.arange(6.0).reshape(1, 1, 6)).tolist()
    [[[0.5, 2.5, 4.5]]]
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = sizes("AvgPool1d", "kernel_size", kernel_size, 1, 1)
        self.stride = (
            self.kernel_size if stride is None else sizes("AvgPool1d", "stride", stride, 1, 1)
        )
        self.padding = sizes("AvgPool1d", "padding", padding, 1, 0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The mean of every window."""
        window = self.kernel_size, self.stride, self.padding
        return F.avg_pool1d(input, *window, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    function: ClassVar[Any]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The mean of every window."""
        window = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return type(self).function(input, *window, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window.

    Args:
        kernel_size: height and width of a window, or one number for both.
        stride: step between windows. Default: the kernel size.
        padding: zeros around the image, at most half the kernel. Default: 0.
        ceil_mode: whether a last, partial window counts. Default: False.
        count_include_pad: whether the padding counts in the mean. Default: True.
        divisor_override: divides the sums in place of the windows' sizes. Default: None.

    Shape:
        input (N, C, H, W), output (N, C, H', W').

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AvgPool2d(2)(tg.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    function: ClassVar = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of volumes (N, C, D, H, W); see `AvgPool2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.AvgPool3d(2)(tg.arange(8.0).reshape(1, 1, 2, 2, 2)).tolist()
    [[[[[3.5]]]]]
    """

    function: ClassVar = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    function: ClassVar[Any]

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """The norm of every window."""
        norm_type = float(self.norm_type)
        window = self.kernel_size, self.stride, self.ceil_mode
        return type(self).function(input, norm_type, *window)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """`(sum of x**p)**(1/p)` over each window of sequences (N, C, L); see `LPPool2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LPPool1d(2, 2)(tg.tensor([[3.0, 4.0]])).tolist()
    [[5.0]]
    """

    function: ClassVar = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """`(sum of x**p)**(1/p)` over each window; the gradient where the sum is 0 is 0.

    Args:
        norm_type: the exponent p.
        kernel_size: height and width of a window, or one number for both.
        stride: step between windows. Default: the kernel size.
        ceil_mode: whether a last, partial window counts. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LPPool2d(2, 2)(tg.ones(1, 2, 2)).tolist()
    [[[2.0]]]
    """

    function: ClassVar = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """`(sum of x**p)**(1/p)` over each window of volumes (N, C, D, H, W); see `LPPool2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LPPool3d(3, 2)(tg.ones(1, 2, 2, 2)).tolist()
    [[[[2.0]]]]
    """

    function: ClassVar = staticmethod(F.lp_pool3d)


class _MaxUnpool(Module):
    function: ClassVar[Any]
    dims: ClassVar[int]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        name, dims = type(self).__name__, self.dims
        stride = kernel_size if stride is None else stride
        self.kernel_size = sizes(name, "kernel_size", kernel_size, dims, 1)
        self.stride = sizes(name, "stride", stride, dims, 1)
        self.padding = sizes(name, "padding", padding, dims, 0)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Zeros with the values of the pooling put back where they were."""
        window = self.kernel_size, self.stride, self.padding
        return type(self).function(input, indices, *window, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """`MaxPool1d` undone as far as it can be; see `MaxUnpool2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MaxUnpool1d(2)(tg.tensor([[5.0]]), tg.tensor([[1]])).tolist()
    [[0.0, 5.0]]
    """

    dims: ClassVar = 1
    function: ClassVar = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """`MaxPool2d` undone as far as it can be: winners back in their places, zeros elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    >>> unpool(*pool(tg.arange(4.0).reshape(1, 2, 2))).tolist()
    [[[0.0, 0.0], [0.0, 3.0]]]
    """

    dims: ClassVar = 2
    function: ClassVar = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """`MaxPool3d` undone as far as it can be; see `MaxUnpool2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MaxUnpool3d(2)(tg.ones(1, 1, 1, 1), tg.full((1, 1, 1, 1), 7)).sum().item()
    1.0
    """

    dims: ClassVar = 3
    function: ClassVar = staticmethod(F.max_unpool3d)
