"""Dropout: noise that keeps units from relying on one another."""

from __future__ import annotations

from tapegrad.autograd import Tensor

from .. import functional as F
from ..functional.regularization import check_probability
from .module import Module


class Dropout(Module):
    """Zeroes each element with probability p in training and scales the rest by `1 / (1 - p)`.

    In evaluation the input passes through unchanged (Srivastava et al., 2014).

    Args:
        p: the probability of a zero. Default: 0.5.

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

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_probability("Dropout", p)
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        """The same shape, with zeros while training."""
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
