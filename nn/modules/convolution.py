"""Convolution layers, plain and transposed, in one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

from .. import functional as F
from .. import init
from ..functional.arguments import check_activation
from ..functional.windows import Size, sizes
from ..parameter import Parameter
from .module import Module

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all of them share: the numbers of a window, a weight and maybe a bias."""

    dims: ClassVar[int]
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        output_padding: Size,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name, dims = type(self).__name__, self.dims
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} must be positive and divide in_channels={in_channels} "
                f"and out_channels={out_channels}"
            )
        modes = PADDING_MODES[:1] if self.transposed else PADDING_MODES
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode must be one of {modes}, got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = sizes(name, "kernel_size", kernel_size, dims, 1)
        self.stride = sizes(name, "stride", stride, dims, 1)
        self.padding: tuple[int, ...] | str
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(
                    f"{name}: padding must be numbers, 'valid' or 'same', got {padding!r}"
                )
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(f"{name}: padding='same' needs stride 1, got {stride}")
            self.padding = padding
        else:
            self.padding = sizes(name, "padding", padding, dims, 0)
        self.dilation = sizes(name, "dilation", dilation, dims, 1)
        self.output_padding = sizes(name, "output_padding", output_padding, dims, 0)
        self.groups = groups
        self.padding_mode = padding_mode
        outer, inner = (
            (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        )
        shape = (outer, inner // groups, *self.kernel_size)
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

    def extra_repr(self) -> str:
        nothing, ones = (0,) * self.dims, (1,) * self.dims
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        ]
        if self.padding != nothing:
            parts.append(f"padding={self.padding}")
        if self.dilation != ones:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != nothing:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Direct(_Convolution):
    """A convolution, which pads with zeros by itself and in other modes before."""

    function: ClassVar[Any]
    _activation: str | None = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        activation: str | None = None,
    ) -> None:
        window = kernel_size, stride, padding, 0, dilation, groups
        super().__init__(in_channels, out_channels, *window, bias, padding_mode, device, dtype)
        self._activation = check_activation(type(self).__name__, activation)

    def forward(self, input: Tensor) -> Tensor:
        """The images' responses to every filter, or their activation."""
        padding: Size | str = self.padding
        if self.padding_mode != "zeros" and padding != "valid":
            input, padding = F.pad(input, self._border(), self.padding_mode), 0
        window = self.stride, padding, self.dilation, self.groups
        given = self.weight, self.bias, *window
        return type(self).function(input, *given, activation=self._activation)

    def extra_repr(self) -> str:
        activation = f", activation={self._activation!r}" if self._activation else ""
        return super().extra_repr() + activation

    def _border(self) -> list[int]:
        """The widths of the padding in the order of `pad`, from the last dimension on."""
        if self.padding == "same":
            spans = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            widths = [(span // 2, span - span // 2) for span in spans]
        else:
            widths = [(int(p), int(p)) for p in self.padding]
        return [width for pair in reversed(widths) for width in pair]


class Conv1d(_Direct):
    """Cross-correlates sequences (N, C, L) with learned filters; the arguments are `Conv2d`'s.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Conv1d(3, 8, 5, padding="same", padding_mode="zeros")(tg.randn(4, 3, 32)).shape
    (4, 8, 32)
    """

    dims: ClassVar = 1
    function: ClassVar = staticmethod(F.conv1d)


class Conv2d(_Direct):
    """Cross-correlates images with learned filters and adds a bias to each output channel.

    With k the kernel size, s the stride, p the padding and d the dilation, each spatial size is
    `floor((size + 2p - d (k - 1) - 1) / s) + 1`. Weight and bias start uniform in
    [-1/sqrt(fan_in), 1/sqrt(fan_in)], fan_in being in_channels / groups times the kernel's area.

    Args:
        in_channels: channels of the input.
        out_channels: number of filters.
        kernel_size: height and width of a filter, or one number for both.
        stride: step between windows. Default: 1.
        padding: border around the image; "valid" for none, "same" for an output of the input's size
            (stride 1 only). Default: 0.
        dilation: distance between the elements of a filter. Default: 1.
        groups: into how many groups, convolved apart, the channels are split. Default: 1.
        bias: whether a bias is added. Default: True.
        padding_mode: what the border holds: "zeros", or as in `pad` "reflect", "replicate" or
            "circular". Default: "zeros".
        device, dtype: where the parameters live and what they are.
        activation: "relu" for max(0, the response) in the same gate, on a GPU in the same launch.
            There a kernel of one place may make 0 of a NaN. Default: None.

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

    dims: ClassVar = 2
    function: ClassVar = staticmethod(F.conv2d)


class Conv3d(_Direct):
    """Cross-correlates volumes (N, C, D, H, W) with learned filters; see `Conv2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Conv3d(1, 2, (1, 3, 3))(tg.randn(4, 1, 5, 6, 7)).shape
    (4, 2, 5, 4, 5)
    """

    dims: ClassVar = 3
    function: ClassVar = staticmethod(F.conv3d)


class _Transposed(_Convolution):
    """A transposed convolution, whose `forward` may be told the size of its output."""

    transposed: ClassVar = True
    function: ClassVar[Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        window = kernel_size, stride, padding, output_padding, dilation, groups
        super().__init__(in_channels, out_channels, *window, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """The images laid out anew; `output_size` chooses among the sizes the stride allows."""
        extra = self.output_padding
        if output_size is not None:
            extra = self._output_padding(input, list(output_size))
        window = self.stride, self.padding, extra, self.groups, self.dilation
        return type(self).function(input, self.weight, self.bias, *window)

    def _output_padding(self, input: Tensor, output_size: list[int]) -> tuple[int, ...]:
        name, dims = type(self).__name__, self.dims
        wanted = output_size[-dims:] if len(output_size) == input.ndim else output_size
        window = self.kernel_size, self.stride, self.padding, self.dilation
        axes: Any = zip(input.shape[-dims:], *window, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in axes]
        if len(wanted) != dims or not all(
            a <= n < a + s for n, a, s in zip(wanted, least, self.stride, strict=True)
        ):
            raise ValueError(
                f"{name}: output_size must be {dims} or {input.ndim} numbers, from {least} to less "
                f"than a stride {self.stride} more, got {output_size}"
            )
        return tuple(n - a for n, a in zip(wanted, least, strict=True))


class ConvTranspose1d(_Transposed):
    """The transposed convolution of sequences (N, C, L); the arguments are `ConvTranspose2d`'s.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ConvTranspose1d(3, 8, 4, stride=2, padding=1)(tg.randn(4, 3, 16)).shape
    (4, 8, 32)
    """

    dims: ClassVar = 1
    function: ClassVar = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """The gradient of a convolution as a layer, which enlarges images by learned filters.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of a filter, or one number for both.
        stride: distance between the filters that are laid down. Default: 1.
        padding: what is cut off on every side. Default: 0.
        output_padding: what is added at the far end, less than the stride or the dilation, to
            tell apart the sizes that a convolution would bring to the same one. Default: 0.
        groups: into how many groups, convolved apart, the channels are split. Default: 1.
        bias: whether a bias is added. Default: True.
        dilation: distance between the elements of a filter. Default: 1.
        padding_mode: "zeros", the only one.
        device, dtype: where the parameters live and what they are.

    Shape:
        input (N, in_channels, H, W), output (N, out_channels, H', W') with
        `H' = (H - 1) s - 2p + d (k - 1) + output_padding + 1`;
        weight (in_channels, out_channels / groups, KH, KW), bias (out_channels,).

    Raises:
        ValueError: if the groups do not divide the channels, or a size is not positive.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.ConvTranspose2d(3, 8, 3, stride=2, padding=1)
    >>> layer(tg.randn(4, 3, 8, 8)).shape, layer(tg.randn(4, 3, 8, 8), output_size=(16, 16)).shape
    ((4, 8, 15, 15), (4, 8, 16, 16))
    """

    dims: ClassVar = 2
    function: ClassVar = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """The transposed convolution of volumes (N, C, D, H, W); see `ConvTranspose2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ConvTranspose3d(1, 2, 2, stride=2)(tg.randn(4, 1, 2, 3, 4)).shape
    (4, 2, 4, 6, 8)
    """

    dims: ClassVar = 3
    function: ClassVar = staticmethod(F.conv_transpose3d)
