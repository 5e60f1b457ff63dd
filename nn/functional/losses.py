"""Losses as functions: how far predictions are from targets.

Every loss takes `reduction`: "mean" (the default) or "sum" over its terms, or "none" for the terms
themselves. Cross-entropy is a fused function of `tapegrad.autograd.operations`; the margins of a
multiclass support vector machine are computed in one place and reduced in two ways, PyTorch's
(mean over the classes) and the lectures' (sum over the classes).
"""

from __future__ import annotations

import warnings
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import FLOATS, INTEGERS, module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates.indexing import gather
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.operations import log_softmax, mean, sum, where
from tapegrad.autograd.operations.arguments import check_tensor

from .activation import log1p_exp

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "l1_loss",
    "mse_loss",
    "multi_class_svm_loss",
    "multi_margin_loss",
    "nll_loss",
]


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


def reduced(name: str, losses: Any, reduction: str) -> Any:
    """Losses as they are ("none"), their mean or their sum."""
    if reduction == "none":
        return losses
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-log softmax(input)[target]: softmax loss of logits (N, C, ...) against classes (N, ...).

    `target` may also hold probabilities of the shape of `input`. `weight` (C,) scales classes, and
    the mean is the weighted one; `label_smoothing` mixes in the uniform distribution. Targets equal
    to `ignore_index` do not count; if all are ignored the loss is 0 (PyTorch gives NaN).

    >>> import tapegrad as tg
    >>> tg.cross_entropy(tg.tensor([[2.5, 3.1, -0.1]]), tg.tensor([0]))
    tensor(1.0635)
    """
    logits = check_tensor("cross_entropy", input)
    shape = logits._data.shape
    if not shape:
        raise ShapeError("cross_entropy: expected logits of at least 1 dimension, got a scalar")
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(
            f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing}"
        )
    classes = 1 if len(shape) > 1 else 0
    scores = log_softmax(logits, classes)
    if check_tensor("cross_entropy", target)._data.dtype in FLOATS:
        return _against_probabilities(scores, target, classes, weight, reduction, label_smoothing)
    if not label_smoothing:
        return nll_loss(scores, target, weight, ignore_index, reduction, name="cross_entropy")
    exact = nll_loss(scores, target, weight, ignore_index, reduction, name="cross_entropy")
    kept, factor = _counted("cross_entropy", scores, target, weight, ignore_index, classes)
    spread = (
        -scores
        if weight is None
        else -scores * _per_class("cross_entropy", weight, scores, classes)
    )
    uniform = where(kept, mean(spread, classes), 0.0)
    if reduction == "mean":
        total = sum(kept if factor is None else where(kept, factor, 0.0))
        uniform = sum(uniform) / _at_least(total)
    elif reduction == "sum":
        uniform = sum(uniform)
    return exact * (1 - label_smoothing) + uniform * label_smoothing


def _per_class(name: str, weight: Any, scores: Any, classes: int) -> Any:
    """Class weights shaped to multiply scores."""
    count = scores._data.shape[classes]
    if check_tensor(name, weight)._data.shape != (count,):
        raise ShapeError(f"{name}: {count} classes, but weight {describe(weight)}")
    return reshape(weight, shape=(count,) + (1,) * (scores._data.ndim - classes - 1))


def _against_probabilities(
    scores: Any, target: Any, classes: int, weight: Any, reduction: str, smoothing: float
) -> Any:
    if target._data.shape != scores._data.shape:
        raise ShapeError(
            f"cross_entropy: probabilities {describe(target)} must have the shape of the logits "
            f"{describe(scores)}"
        )
    if smoothing:
        target = target * (1 - smoothing) + smoothing / scores._data.shape[classes]
    products = scores * target
    if weight is not None:
        products = products * _per_class("cross_entropy", weight, scores, classes)
    losses = -sum(products, classes)
    if reduction != "mean":
        return reduced("cross_entropy", losses, reduction)
    return sum(losses) / max(losses._data.size, 1)


def _counted(
    name: str, scores: Any, target: Any, weight: Any, ignore_index: int, classes: int
) -> tuple[Any, Any]:
    """Which targets count, and the weight of each; the targets are checked."""
    data, labels = scores._data, target._data
    if (
        labels.dtype not in INTEGERS
        or labels.shape != data.shape[:classes] + data.shape[classes + 1 :]
    ):
        raise ShapeError(
            f"{name}: targets {describe(target)} must be integers of the shape of the scores "
            f"{describe(scores)} without the classes (dim {classes})"
        )
    kept = labels != ignore_index
    wrong = kept & ((labels < 0) | (labels >= data.shape[classes]))
    if wrong.any():
        worst = int(module_of(data).asarray(labels)[wrong].reshape(-1)[0])
        raise IndexError(
            f"{name}: target {worst} is out of range for {data.shape[classes]} classes"
        )
    if weight is None:
        return wrap(kept), None
    _per_class(name, weight, scores, classes)
    safe = module_of(data).where(kept, labels, 0)
    return wrap(kept), weight[wrap(safe)]


def _at_least(total: Any) -> Any:
    """A divisor that is never 0, so that nothing divided by nothing is 0."""
    return where(total == 0, 1, total)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    *,
    name: str = "nll_loss",
) -> Any:
    """-input[target]: the negative log-likelihood of classes from log-probabilities (N, C, ...).

    Arguments as in `cross_entropy`.

    >>> import tapegrad as tg
    >>> tg.nll_loss(tg.tensor([[-0.5, -1.0]]), tg.tensor([1]))
    tensor(1.)
    """
    data = check_tensor(name, input)._data
    check_tensor(name, target)
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    classes = 1 if data.ndim > 1 else 0
    kept, factor = _counted(name, input, target, weight, ignore_index, classes)
    xp = module_of(data)
    labels = target._data
    everyone = bool(kept._data.all())
    if not everyone:
        labels = xp.where(kept._data, labels, 0)
    shape = (*data.shape[:classes], 1, *data.shape[classes + 1 :])
    picked = gather(input, xp.asarray(labels).reshape(shape), dim=classes)
    losses = -reshape(picked, shape=target._data.shape)
    if factor is not None:
        losses = losses * factor
    if not everyone:
        losses = where(kept, losses, 0.0)
    if reduction == "none":
        return losses
    total = sum(losses)
    if reduction == "sum":
        return total
    if factor is None:
        return total / max(int(kept._data.sum()), 1)
    return total / _at_least(sum(factor if everyone else where(kept, factor, 0.0)))
