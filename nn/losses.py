"""Losses as functions: how far predictions are from targets.

Every loss takes `reduction`: "mean" (the default) or "sum" over its terms, or "none" for the terms
themselves. Cross-entropy is a fused function of `tapegrad.autograd.operations`; the margins of a
multiclass support vector machine are computed in one place and reduced in two ways, PyTorch's
(mean over the classes) and the lectures' (sum over the classes).
"""

from __future__ import annotations

import warnings

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.operations.networks import reduced

from .activations import log1p_exp


def _same_shape(name: str, input: Tensor, target: Tensor) -> None:
    """Warn where broadcasting is likely to be a mistake, (N, 1) against (N,) above all."""
    if input.shape != target.shape:
        warnings.warn(
            f"{name}: the input's shape {tuple(input.shape)} and the target's "
            f"{tuple(target.shape)} differ and are broadcast; this is rarely meant",
            stacklevel=3,
        )


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Mean squared error: `(x - y)^2`, reduced.

    Minimising it is maximum likelihood under Gaussian noise.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.mse_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    2.0
    """
    _same_shape("mse_loss", input, target)
    return reduced("mse_loss", ops.square(input - target), reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Mean absolute error: `|x - y|`, reduced.

    Minimising it is maximum likelihood under Laplace noise.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.l1_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    1.0
    """
    _same_shape("l1_loss", input, target)
    return reduced("l1_loss", ops.abs(input - target), reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """`-(y log p + (1 - y) log(1 - p))` of probabilities p, each logarithm at least -100.

    `binary_cross_entropy_with_logits` is more exact, and needs no bound.

    Args:
        input: probabilities, any shape.
        target: numbers in [0, 1] of the same shape.
        weight: multiplies the terms. Default: none.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: if the shapes differ.
        RuntimeError: if a probability is not in [0, 1].

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.binary_cross_entropy(tg.tensor([0.5, 0.0]), tg.tensor([1.0, 0.0])).item(), 4)
    0.3466
    """
    if input.shape != target.shape:
        raise ValueError(
            f"binary_cross_entropy: the input's shape {tuple(input.shape)} and the target's "
            f"{tuple(target.shape)} differ"
        )
    if not bool(((input >= 0) & (input <= 1)).all()):
        raise RuntimeError("binary_cross_entropy: every input must be between 0 and 1")
    losses = -(target * _bounded_log(input) + (1 - target) * _bounded_log(1 - input))
    return reduced("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


def _bounded_log(p: Tensor) -> Tensor:
    """`max(log p, -100)`; where p is 0 the gradient is 0."""
    # The logarithm of 0 is never taken: its infinite slope times 0 would be NaN.
    zero = p == 0
    return ops.where(zero, -100.0, ops.clamp(ops.log(ops.where(zero, 1.0, p)), min=-100.0))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of `p = sigmoid(x)`, computed from x: `(1 - y) x + log(1 + exp(-x))`.

    Args:
        input: logits, any shape.
        target: numbers in [0, 1] of the same shape.
        weight: multiplies the terms. Default: none.
        reduction: "mean", "sum" or "none".
        pos_weight: multiplies the part of positive targets. Default: none.

    Raises:
        ValueError: if the shapes differ.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.binary_cross_entropy_with_logits(tg.tensor([-1e4]), tg.tensor([1.0])).item()
    10000.0
    """
    if input.shape != target.shape:
        raise ValueError(
            f"binary_cross_entropy_with_logits: the input's shape {tuple(input.shape)} and the "
            f"target's {tuple(target.shape)} differ"
        )
    positive = log1p_exp(-input)
    if pos_weight is not None:
        positive = positive * ((pos_weight - 1) * target + 1)
    losses = (1 - target) * input + positive
    losses = losses if weight is None else losses * weight
    return reduced("binary_cross_entropy_with_logits", losses, reduction)


def _margins(name: str, input: Tensor, target: Tensor, margin: float) -> Tensor:
    """`max(0, s_j - s_y + margin)` of every class j, 0 for the right class y."""
    if input.ndim != 2 or target.shape != input.shape[:1]:
        raise ValueError(
            f"{name}: expected scores (N, C) and targets (N,), "
            f"not {tuple(input.shape)} and {tuple(target.shape)}"
        )
    index = target.unsqueeze(1)
    right = ops.gather(input, 1, index)
    is_right = index == ops.arange(input.shape[1], device=input.device)
    return ops.where(is_right, 0.0, ops.relu(input - right + margin))


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Multiclass hinge, averaged over the classes: `sum_{j != y} max(0, margin - s_y + s_j)^p / C`.

    Args:
        input: scores (N, C).
        target: right classes (N,), integers.
        p: 1, or 2 for the squared hinge. Default: 1.
        margin: by how much the right class must win. Default: 1.
        weight: one factor (C,) by right class. Default: none.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: if p is neither 1 nor 2, or the shapes do not fit.
        IndexError: if a target is not a class.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> scores = tg.tensor([[1.0, 0.2, -0.5]])
    >>> round(F.multi_margin_loss(scores, tg.tensor([0])).item(), 4)
    0.0667
    """
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p must be 1 or 2, not {p}")
    margins = _margins("multi_margin_loss", input, target, margin)
    terms = margins if p == 1 else ops.square(margins)
    losses = terms.sum(1) / input.shape[1]
    losses = losses if weight is None else losses * weight[target]
    return reduced("multi_margin_loss", losses, reduction)


def multi_class_svm_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    squared: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Multiclass hinge, summed over the classes: `sum_{j != y} max(0, s_j - s_y + margin)`.

    The loss of Weston and Watkins (1999); C times `multi_margin_loss`.

    Args:
        input: scores (N, C).
        target: right classes (N,), integers.
        margin: by how much the right class must win. Default: 1.
        squared: whether each term is squared. Default: False.
        reduction: "mean" or "sum" over the batch, or "none".

    Raises:
        ValueError: if the shapes do not fit.
        IndexError: if a target is not a class.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> scores = tg.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    >>> round(F.multi_class_svm_loss(scores, tg.arange(3)).item(), 4)
    5.2667
    """
    margins = _margins("multi_class_svm_loss", input, target, margin)
    terms = ops.square(margins) if squared else margins
    return reduced("multi_class_svm_loss", terms.sum(1), reduction)
