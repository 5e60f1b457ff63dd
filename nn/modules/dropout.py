"""Dropout: noise that keeps units from relying on one another."""

from __future__ import annotations

from tapegrad.autograd import Tensor

from .. import functional as F
from ..functional.arguments import check_probability
from .module import Module


class _Noise(Module):
    """A layer that drops something with probability p in training."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_probability(type(self).__name__, p)
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Noise):
    """Zeroes each element with probability p in training and scales the rest by `1 / (1 - p)`.

    In evaluation the input passes through unchanged (Srivastava et al., 2014).

    Args:
        p: the probability of a zero. Default: 0.5.
        inplace: whether the input holds the result. Default: False.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> dropout = nn.Dropout(0.5)
    >>> set(dropout(tg.ones(1000)).tolist()) == {0.0, 2.0}
    True
    >>> dropout.eval()(tg.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """The same shape, with noise while training."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Noise):
    """Dropout of whole channels of sequences.

    Args:
        p: the probability of a zero. Default: 0.5.
        inplace: whether the input holds the result. Default: False.

    Shape:
        (N, C, L) or (C, L), in and out.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> y = nn.Dropout1d()(tg.ones(4, 25, 2))
    >>> bool((y[..., 0] == y[..., 1]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """The same shape, with noise while training."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Noise):
    """Dropout of whole channels of images (Tompson et al., 2015).

    Args:
        p: the probability of a zero. Default: 0.5.
        inplace: whether the input holds the result. Default: False.

    Shape:
        (N, C, H, W), in and out.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> y = nn.Dropout2d()(tg.ones(4, 25, 2, 2)).flatten(2)
    >>> bool((y[..., :1] == y).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """The same shape, with noise while training."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Noise):
    """Dropout of whole channels of volumes.

    Args:
        p: the probability of a zero. Default: 0.5.
        inplace: whether the input holds the result. Default: False.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), in and out.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> y = nn.Dropout3d()(tg.ones(4, 25, 1, 2, 2)).flatten(2)
    >>> bool((y[..., :1] == y).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """The same shape, with noise while training."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Noise):
    """Dropout between SELUs, which keeps mean 0 and variance 1 (Klambauer et al., 2017).

    Args:
        p: the probability of a zero. Default: 0.5.
        inplace: whether the input holds the result. Default: False.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> y = nn.AlphaDropout(0.2)(tg.randn(100_000))
    >>> abs(y.mean().item()) < 0.03, abs(y.std().item() - 1) < 0.03
    (True, True)
    """

    def forward(self, input: Tensor) -> Tensor:
        """The same shape, with noise while training."""
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Noise):
    """Alpha dropout of whole channels, the second dimension.

    Args:
        p: the probability of a zero. Default: 0.5.
        inplace: whether the input holds the result. Default: False.

    Shape:
        (N, C, ...), in and out.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> y = nn.FeatureAlphaDropout()(tg.ones(4, 25, 2))
    >>> bool((y[..., 0] == y[..., 1]).all())
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """The same shape, with noise while training."""
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
