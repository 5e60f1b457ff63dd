"""Max pooling over windows whose places are drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tapegrad.autograd import Tensor

from .. import functional as F
from ..functional.windows import Size, sizes
from .module import Module


class _FractionalMaxPool(Module):
    dims: ClassVar[int]
    function: ClassVar[Any]

    def __init__(
        self,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name, dims = type(self).__name__, self.dims
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{name}: give output_size or output_ratio and not both, got {output_size} and "
                f"{output_ratio}"
            )
        self.kernel_size = sizes(name, "kernel_size", kernel_size, dims, 1)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None
        self.output_ratio = None
        if output_size is not None:
            self.output_size = sizes(name, "output_size", output_size, dims, 1)
        if output_ratio is not None:
            ratios = output_ratio if isinstance(output_ratio, Sequence) else (output_ratio,) * dims
            if not all(0 < ratio < 1 for ratio in ratios):
                raise ValueError(f"{name}: output_ratio must be in (0, 1), got {output_ratio}")
            self.output_ratio = tuple(ratios)

    def forward(self, input: Tensor) -> Any:
        """The maximum of every window; with `return_indices`, its flat position too."""
        output = self.output_size, self.output_ratio
        return type(self).function(
            input, self.kernel_size, *output, self.return_indices, self._random_samples
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest of each of a number of windows, which lie at random (Graham, 2014).

    Args:
        kernel_size: height and width of a window, or one number for both.
        output_size: how many windows along each axis, or one number for both; or else
        output_ratio: their number as a part of the image's size, in (0, 1).
        return_indices: whether the winners' positions in their plane come too. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(tg.randn(1, 3, 10, 20)).shape
    (1, 3, 7, 14)
    """

    dims: ClassVar = 2
    function: ClassVar = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest of each of a number of windows of volumes; see `FractionalMaxPool2d`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.FractionalMaxPool3d(2, output_size=3)(tg.randn(1, 3, 6, 7, 8)).shape
    (1, 3, 3, 3, 3)
    """

    dims: ClassVar = 3
    function: ClassVar = staticmethod(F.fractional_max_pool3d)
