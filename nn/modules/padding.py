"""Borders around images as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module

Padding = int | Sequence[int]


class _Pad(Module):
    """A border around the last `dims` dimensions, held by `mode`."""

    dims: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: Padding) -> None:
        super().__init__()
        both = 2 * self.dims
        self.padding = tuple(padding) if isinstance(padding, Sequence) else (padding,) * both

    def forward(self, input: Tensor) -> Tensor:
        """The image with its border."""
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Padding, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The image with its border."""
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """The widths and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A border of a constant around a signal (N, C, W) or (C, W).

    Args:
        padding: its widths (left, right), or one for all; negative ones crop.
        value: what the border holds.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ConstantPad1d(1, 5.0)(tg.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[5.0, 1.0, 2.0, 3.0, 5.0]]
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """A border of a constant around an image (N, C, H, W) or (C, H, W).

    Args:
        padding: its widths (left, right, top, bottom), or one for all; negative ones crop.
        value: what the border holds.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ConstantPad2d((1, 0, 0, 1), 5.0)(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[5.0, 1.0, 2.0], [5.0, 3.0, 4.0], [5.0, 5.0, 5.0]]]
    """

    dims = 2


class ConstantPad3d(_ConstantPad):
    """A border of a constant around a volume (N, C, D, H, W) or (C, D, H, W).

    Args:
        padding: its widths (left, right, top, bottom, front, back), or one for all.
        value: what the border holds.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ConstantPad3d(1, 5.0)(tg.ones(1, 2, 2, 2)).shape
    (1, 4, 4, 4)
    """

    dims = 3


class ZeroPad1d(_Pad):
    """A border of zeros around a signal (N, C, W) or (C, W).

    Args:
        padding: its widths (left, right), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ZeroPad1d(1)(tg.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[0.0, 1.0, 2.0, 3.0, 0.0]]
    """

    dims = 1
    mode = "constant"


class ZeroPad2d(_Pad):
    """A border of zeros around an image (N, C, H, W) or (C, H, W).

    Args:
        padding: its widths (left, right, top, bottom), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ZeroPad2d((1, 0, 0, 1))(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[0.0, 1.0, 2.0], [0.0, 3.0, 4.0], [0.0, 0.0, 0.0]]]
    """

    dims = 2
    mode = "constant"


class ZeroPad3d(_Pad):
    """A border of zeros around a volume (N, C, D, H, W) or (C, D, H, W).

    Args:
        padding: its widths (left, right, top, bottom, front, back), or one for all.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ZeroPad3d(1)(tg.ones(1, 2, 2, 2)).shape
    (1, 4, 4, 4)
    """

    dims = 3
    mode = "constant"


class ReflectionPad1d(_Pad):
    """A mirror image, the edge not repeated, around a signal (N, C, W) or (C, W).

    Args:
        padding: its widths (left, right), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReflectionPad1d(1)(tg.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0]]
    """

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A mirror image, the edge not repeated, around an image (N, C, H, W) or (C, H, W).

    Args:
        padding: its widths (left, right, top, bottom), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReflectionPad2d((1, 0, 0, 1))(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[2.0, 1.0, 2.0], [4.0, 3.0, 4.0], [2.0, 1.0, 2.0]]]
    """

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A mirror image, the edge not repeated, around a volume (N, C, D, H, W) or (C, D, H, W).

    Args:
        padding: its widths (left, right, top, bottom, front, back), or one for all.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReflectionPad3d(1)(tg.ones(1, 2, 2, 2)).shape
    (1, 4, 4, 4)
    """

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """The edge repeated around a signal (N, C, W) or (C, W).

    Args:
        padding: its widths (left, right), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReplicationPad1d(1)(tg.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0]]
    """

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """The edge repeated around an image (N, C, H, W) or (C, H, W).

    Args:
        padding: its widths (left, right, top, bottom), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReplicationPad2d((1, 0, 0, 1))(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[1.0, 1.0, 2.0], [3.0, 3.0, 4.0], [3.0, 3.0, 4.0]]]
    """

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """The edge repeated around a volume (N, C, D, H, W) or (C, D, H, W).

    Args:
        padding: its widths (left, right, top, bottom, front, back), or one for all.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReplicationPad3d(1)(tg.ones(1, 2, 2, 2)).shape
    (1, 4, 4, 4)
    """

    dims = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """The other end as a border around a signal (N, C, W) or (C, W).

    Args:
        padding: its widths (left, right), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.CircularPad1d(1)(tg.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 1.0, 2.0, 3.0, 1.0]]
    """

    dims = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """The other end as a border around an image (N, C, H, W) or (C, H, W).

    Args:
        padding: its widths (left, right, top, bottom), or one for all; negative ones crop.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.CircularPad2d((1, 0, 0, 1))(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[2.0, 1.0, 2.0], [4.0, 3.0, 4.0], [2.0, 1.0, 2.0]]]
    """

    dims = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """The other end as a border around a volume (N, C, D, H, W) or (C, D, H, W).

    Args:
        padding: its widths (left, right, top, bottom, front, back), or one for all.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.CircularPad3d(1)(tg.ones(1, 2, 2, 2)).shape
    (1, 4, 4, 4)
    """

    dims = 3
    mode = "circular"
