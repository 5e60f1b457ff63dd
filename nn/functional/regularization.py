"""Dropout: zeros at random in training."""

from __future__ import annotations

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

__all__ = ["dropout"]


def check_probability(name: str, p: float) -> None:
    """Refuse what is not a probability, NaN included."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: p must be between 0 and 1, not {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the rest by `1 / (1 - p)`.

    The expectation is the input, so that nothing is to be done in evaluation (Srivastava et al.,
    2014, with the scaling moved to training).

    Args:
        input: any shape.
        p: the probability of a zero. Default: 0.5.
        training: False returns the input. Default: True.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> set(F.dropout(tg.ones(1000), 0.75).tolist()) == {0.0, 4.0}
    True
    """
    check_probability("dropout", p)
    if not training or p == 0.0:
        return input
    # Selecting keeps one byte an element for the backward, a multiplied mask would keep four; and
    # an infinite element that is dropped becomes 0, not NaN.
    kept = ops.rand(input.shape, device=input.device) >= p
    return ops.where(kept, input * (1 / (1 - p) if p < 1.0 else 1.0), 0.0)
