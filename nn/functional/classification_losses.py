"""Losses of scores against classes, and of probabilities against probabilities.

Every loss takes `reduction`: "mean" (the default) or "sum" over its terms, or "none" for the terms
themselves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import FLOATS, INTEGERS, module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import losses as gates
from tapegrad.autograd.gates.indexing import gather
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.operations import log_softmax, mean, sum, where
from tapegrad.autograd.operations.arguments import (
    check_tensor,
    check_tensors,
    on_its_gpu,
    same_device,
)
from tapegrad.autograd.operations.positions import within
from tapegrad.kernels.cuda import ranges
from tapegrad.kernels.selection import may_hold

from .activation import log1p_exp
from .affine import linear
from .reduction import check_reduction, reduced

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "kl_div",
    "linear_cross_entropy",
    "nll_loss",
]


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
    check_tensors("binary_cross_entropy", input, target)
    if input.shape != target.shape:
        raise ValueError(
            f"binary_cross_entropy: the input's shape {tuple(input.shape)} and the target's "
            f"{tuple(target.shape)} differ"
        )
    wanted = "binary_cross_entropy: every input must be between 0 and 1"
    within(input._data, 0, 1, wanted, RuntimeError)
    losses = gates.binary_cross_entropy(input, target)
    return reduced("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


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
    check_tensors("binary_cross_entropy_with_logits", input, target)
    if input.shape != target.shape:
        raise ValueError(
            f"binary_cross_entropy_with_logits: the input's shape {tuple(input.shape)} and the "
            f"target's {tuple(target.shape)} differ"
        )
    losses = logistic_losses(input, target, pos_weight)
    losses = losses if weight is None else losses * weight
    return reduced("binary_cross_entropy_with_logits", losses, reduction)


def logistic_losses(input: Tensor, target: Tensor, pos_weight: Tensor | None = None) -> Tensor:
    """The terms of binary cross-entropy of logits."""
    positive = log1p_exp(-input)
    if pos_weight is not None:
        positive = positive * ((pos_weight - 1) * target + 1)
    return (1 - target) * input + positive


def kl_div(
    input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """Kullback-Leibler divergence of q from p, `p (log p - log q)`; 0 where p is 0.

    Args:
        input: log q, any shape.
        target: p of the same shape, or log p with `log_target`.
        reduction: "batchmean", the sum divided by the first dimension, is the divergence by its
            definition; "mean" divides by the number of elements; "sum" or "none".
        log_target: see `target`. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> p, q = tg.tensor([[0.5, 0.5, 0.0]]), tg.tensor([[0.25, 0.5, 0.25]])
    >>> round(F.kl_div(q.log(), p, reduction="batchmean").item(), 4)
    0.3466
    """
    if reduction != "batchmean":
        check_reduction("kl_div", reduction)
    check_tensor("kl_div", input)
    check_tensor("kl_div", target)
    losses = ops.exp(target) * (target - input) if log_target else gates.kl_div(input, target)
    if reduction != "batchmean":
        return reduced("kl_div", losses, reduction)
    return sum(losses) / input.shape[0] if input.ndim else sum(losses)


@on_its_gpu
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """The last layer and its loss: `cross_entropy(linear(input, linear_weight, linear_bias), y)`.

    Args:
        input: (N, in) or (in,).
        linear_weight: (C, in) or (C, d1, ..., in), for scores (N, C) or (N, C, d1, ...).
        target: as in `cross_entropy`, and likewise the arguments after `linear_bias`.
        linear_bias: of the shape of `linear_weight` without its last dimension. Default: none.
        options: how PyTorch divides the work; of no consequence here.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.linear_cross_entropy(tg.ones(2, 3), tg.zeros(4, 3), tg.tensor([0, 1])).item(), 4)
    1.3863
    """
    name = "linear_cross_entropy"
    check_tensors(name, input, linear_weight, target)
    check_reduction(name, reduction)
    features, weights = input.shape, linear_weight.shape
    fits = len(features) in (1, 2) and len(weights) >= 2 and features[-1] == weights[-1]
    if not fits or (len(weights) > 2 and len(features) == 1):
        raise ShapeError(
            f"{name}: expected input (N, in) or (in,) and linear_weight (C, in), or for a batch "
            f"(C, d1, ..., in), got {describe(input)} and {describe(linear_weight)}"
        )
    if linear_bias is not None and linear_bias.shape != weights[:-1]:
        raise ShapeError(
            f"{name}: linear_bias {describe(linear_bias)} must have the shape {weights[:-1]}"
        )
    shape = (*features[:-1], *weights[:-1])
    if target.shape == shape and ignore_index is not None:
        raise RuntimeError(f"{name}: with probabilities as targets there is no ignore_index")
    rows = math.prod(weights[:-1])
    bias = None if linear_bias is None else linear_bias.reshape(rows)
    scores = linear(input, linear_weight.reshape(rows, weights[-1]), bias).reshape(shape)
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(scores, target, weight, ignored, reduction, label_smoothing)


@on_its_gpu
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
    if check_tensor("cross_entropy", target)._data.dtype in FLOATS:
        scores = log_softmax(logits, classes)
        return _against_probabilities(scores, target, classes, weight, reduction, label_smoothing)
    check_reduction("cross_entropy", reduction)
    _check_classes("cross_entropy", logits, target, weight, classes)
    dtype = logits._data.dtype
    if weight is not None and (weight._node is not None or weight._data.dtype != dtype):
        return _composed(logits, target, weight, ignore_index, reduction, label_smoothing, classes)
    return gates.cross_entropy(
        logits,
        target,
        weight,
        dim=classes,
        ignored=ignore_index,
        reduction=reduction,
        smoothing=label_smoothing,
    )[0]


def _composed(
    logits: Any,
    target: Any,
    weight: Any,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    classes: int,
) -> Any:
    """Cross-entropy of smaller gates, with gradients for the class weights."""
    scores = log_softmax(logits, classes)
    exact = nll_loss(scores, target, weight, ignore_index, reduction, name="cross_entropy")
    if not label_smoothing:
        return exact
    kept, _, factor = _counted("cross_entropy", scores, target, weight, ignore_index, classes)
    spread = -scores * _per_class("cross_entropy", weight, scores, classes)
    uniform = where(kept, mean(spread, classes), 0.0)
    if reduction == "mean":
        uniform = sum(uniform) / _at_least(sum(where(kept, factor, 0.0)))
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
) -> tuple[Any, Any, Any]:
    """Which targets count, the targets with 0 for the others, and the weight of each; checked."""
    _check_classes(name, scores, target, weight, classes)
    xp, count, labels = module_of(scores._data), scores._data.shape[classes], target._data
    kept = labels != ignore_index
    refusal = f"{name}: target {{value}} is out of range for {count} classes"
    safe = xp.where(kept, labels, 0)
    if xp is not np and count:
        safe = ranges.positions(xp, safe, count, refusal, IndexError)
    else:
        wrong = kept & ((labels < 0) | (labels >= count))
        if wrong.any():
            raise IndexError(refusal.replace("{value}", str(xp.asarray(labels)[wrong].flat[0])))
    return wrap(kept), safe, None if weight is None else weight[wrap(safe)]


def _check_classes(name: str, scores: Any, target: Any, weight: Any, classes: int) -> None:
    """Whether targets and class weights fit the scores."""
    shape, labels = scores._data.shape, target._data
    if labels.dtype not in INTEGERS or labels.shape != shape[:classes] + shape[classes + 1 :]:
        raise ShapeError(
            f"{name}: targets {describe(target)} must be integers of the shape of the scores "
            f"{describe(scores)} without the classes (dim {classes})"
        )
    if weight is not None and check_tensor(name, weight)._data.shape != (shape[classes],):
        raise ShapeError(f"{name}: {shape[classes]} classes, but weight {describe(weight)}")


def _at_least(total: Any) -> Any:
    """A divisor that is never 0, so that nothing divided by nothing is 0."""
    return where(total == 0, 1, total)


@on_its_gpu
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
    same_device(name, input, target, weight)
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    classes = 1 if data.ndim > 1 else 0
    kept, labels, factor = _counted(name, input, target, weight, ignore_index, classes)
    xp = module_of(data)
    everyone = not may_hold(xp, ~kept._data)
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
        return total / wrap(xp.maximum(xp.count_nonzero(kept._data), 1))
    return total / _at_least(sum(factor if everyone else where(kept, factor, 0.0)))
