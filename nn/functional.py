"""Layers as functions, under PyTorch's names.

Gathered from the gates and fused functions of `tapegrad.autograd.operations` and from what is
composed of them in `activations.py` and `losses.py`.
"""

from __future__ import annotations

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.operations import (
    avg_pool2d,
    conv2d,
    cross_entropy,
    linear,
    log_softmax,
    max_pool2d,
    nll_loss,
    one_hot,
    pad,
    relu,
    sigmoid,
    softmax,
    tanh,
)

from .activations import elu, gelu, leaky_relu, silu, softplus
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    l1_loss,
    mse_loss,
    multi_class_svm_loss,
    multi_margin_loss,
)


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


__all__ = [
    "avg_pool2d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "multi_class_svm_loss",
    "multi_margin_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
