"""Images in another size as layers, and channels dealt out anew."""

from __future__ import annotations

from collections.abc import Sequence

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module

Sizes = int | Sequence[int] | None
Factors = float | Sequence[float] | None


class Upsample(Module):
    """Images in another size, by `size` or by `scale_factor`.

    Args:
        size: the spatial size of the result, one number or one for each dimension.
        scale_factor: by how much the size is multiplied, and rounded down.
        mode, align_corners, recompute_scale_factor: see `functional.interpolate`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Upsample(scale_factor=2)(tg.tensor([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """

    def __init__(
        self,
        size: Sizes = None,
        scale_factor: Factors = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.scale_factor: Factors = None
        if isinstance(scale_factor, Sequence):
            self.scale_factor = tuple(map(float, scale_factor))
        elif scale_factor is not None:
            self.scale_factor = float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The images in their new size."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """The size or the factor, and the mode."""
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor}, mode={self.mode!r}"
        return f"size={self.size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.UpsamplingNearest2d(size=(1, 4))(tg.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(self, size: Sizes = None, scale_factor: Factors = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and aligned corners.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.UpsamplingBilinear2d(size=(1, 3))(tg.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.5, 2.0]]]]
    """

    def __init__(self, size: Sizes = None, scale_factor: Factors = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


class PixelShuffle(Module):
    """(..., C r^2, H, W) to (..., C, H r, W r): r^2 channels become a square of pixels.

    Args:
        upscale_factor: r.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.PixelShuffle(2)(tg.arange(4).reshape(4, 1, 1)).tolist()
    [[[0, 1], [2, 3]]]
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The larger images."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(..., C, H r, W r) to (..., C r^2, H, W): the way back from `PixelShuffle`.

    Args:
        downscale_factor: r.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.PixelUnshuffle(2)(tg.arange(4).reshape(1, 2, 2)).tolist()
    [[[0]], [[1]], [[2]], [[3]]]
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The smaller images."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of several groups dealt out in turn.

    Args:
        groups: how many.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ChannelShuffle(2)(tg.arange(4).reshape(1, 4, 1)).tolist()
    [[[0], [2], [1], [3]]]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """The channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """The groups."""
        return f"groups={self.groups}"
