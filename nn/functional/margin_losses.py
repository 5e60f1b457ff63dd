"""Losses with a margin: what is right must win by it, or be nearer by it.

The margins of a multiclass support vector machine are computed in one place and reduced in two
ways, PyTorch's (mean over the classes) and the lectures' (sum over the classes). `reduction` is
"mean" (the default) or "sum" over the terms, or "none" for the terms themselves. At its corner a
hinge has the gradient PyTorch gives it: that of the slope where two things are compared
(`clamp(min=0)`), 0 in the losses of classes (`relu`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import INTEGERS, module_of
from tapegrad.autograd.engine import array_of, describe, wrap
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates.indexing import index_put
from tapegrad.autograd.operations.arguments import (
    check_tensor,
    check_tensors,
    on_its_gpu,
    same_device,
)
from tapegrad.autograd.operations.positions import in_range, within

from .activation import log1p_exp
from .classification_losses import logistic_losses
from .distances import pairwise_distance
from .reduction import check_reduction, reduced

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_class_svm_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _margins(name: str, input: Tensor, target: Tensor, margin: float) -> Tensor:
    """`max(0, s_j - s_y + margin)` of every class j, 0 for the right class y: (N, C)."""
    classes = input.shape[-1] if input.ndim else 1
    batch = input.shape[0] if input.ndim == 2 else 1
    shapes = (input.shape[:-1],) if input.ndim == 2 else ((), (1,))
    if input.ndim > 2 or not classes or target.shape not in shapes:
        raise ShapeError(
            f"{name}: expected scores (N, C) and targets (N,), or (C,) and (), got "
            f"{describe(input)} and {describe(target)}"
        )
    if target.dtype not in INTEGERS:
        raise DtypeError(f"{name}: targets must be integers, got {describe(target)}")
    given = in_range(name, target._data, classes, f"{classes} classes")
    rows, index = input.reshape(batch, classes), wrap(given).reshape(batch, 1)
    wanted = ops.gather(rows, 1, index) - margin
    everyone = module_of(input._data).arange(batch)
    return index_put(ops.relu(rows - wanted), 0.0, key=(everyone, index._data.reshape(-1)))


@on_its_gpu
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
        input: scores (N, C) or (C,).
        target: right classes (N,) or (), integers.
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
    check_reduction("multi_margin_loss", reduction)
    same_device("multi_margin_loss", *check_tensors("multi_margin_loss", input, target), weight)
    if weight is not None and weight.ndim != 1:
        raise ArgumentError(f"multi_margin_loss: weight must be (C,), got {describe(weight)}")
    margins = _margins("multi_margin_loss", input, target, margin)
    terms = margins if p == 1 else ops.square(margins)
    losses = (terms.sum(1) / terms.shape[1]).reshape(target.shape)
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
    return reduced("multi_class_svm_loss", terms.sum(1).reshape(target.shape), reduction)


@on_its_gpu
def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Hinge of every wrong class against every right one: `sum_{y, j} max(0, 1 - s_y + s_j) / C`.

    Args:
        input: scores (N, C) or (C,).
        target: of the same shape, integers: the right classes, then -1; what follows the first -1
            does not count.
        reduction: "mean", "sum" or "none".

    Raises:
        RuntimeError: if the shapes do not fit.
        IndexError: if a target is not a class.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> scores, right = tg.tensor([[0.1, 0.2, 0.4, 0.8]]), tg.tensor([[3, 0, -1, 1]])
    >>> round(F.multilabel_margin_loss(scores, right).item(), 4)
    0.85
    """
    name = "multilabel_margin_loss"
    check_reduction(name, reduction)
    scores, right = check_tensor(name, input)._data, array_of(check_tensor(name, target))
    same_device(name, input, target)
    shape = scores.shape
    if right.shape != shape or len(shape) > 2 or (shape and not shape[-1]):
        raise ShapeError(
            f"{name}: expected scores (N, C) or (C,) and targets of the same shape, got "
            f"{describe(input)} and {describe(target)}"
        )
    if right.dtype not in INTEGERS:
        raise DtypeError(f"{name}: targets must be integers, got {describe(target)}")
    xp = module_of(scores)
    classes = shape[-1] if shape else 1
    right = xp.asarray(right).reshape(-1, classes)
    counts = xp.cumsum(right < 0, axis=1) == 0
    wanted = f"{name}: targets must be classes from 0 to {classes - 1}, or -1"
    within(right * (counts | (right < -1)), 0, classes - 1, wanted, IndexError)
    most = classes  # on a GPU, to look for the longest costs more
    if xp is np:
        most = int(counts.sum(axis=1).max()) if counts.size else 0
    right, counts = xp.where(counts, right, 0)[:, :most], counts[:, :most]
    named = (right[:, :, None] == xp.arange(classes)) & counts[:, :, None]
    is_wrong = ~named.any(axis=1)
    rows_of_scores = input.reshape(-1, classes)
    lead = 1 - ops.gather(rows_of_scores, 1, wrap(right)).unsqueeze(2)
    counted = wrap(counts[:, :, None] & is_wrong[:, None, :])
    terms = ops.where(counted, ops.relu(lead + rows_of_scores.unsqueeze(1)), 0.0)
    return reduced(name, (terms.sum((1, 2)) / classes).reshape(shape[:-1]), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of the logits of C labels, averaged over the labels.

    Args:
        input: logits (..., C).
        target: 0 or 1 for every label, of the same shape.
        weight: multiplies the terms. Default: none.
        reduction: "mean", "sum" or "none" over all but the last dimension.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.multilabel_soft_margin_loss(tg.zeros(1, 3), tg.tensor([[0.0, 1.0, 1.0]])).item(), 4)
    0.6931
    """
    check_reduction("multilabel_soft_margin_loss", reduction)
    check_tensors("multilabel_soft_margin_loss", input, target)
    losses = logistic_losses(input, target)
    losses = losses if weight is None else losses * weight
    last = max(input.ndim - 1, 0)
    classes = input.shape[last] if input.ndim else 1
    return reduced("multilabel_soft_margin_loss", ops.sum(losses, last) / classes, reduction)


def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """`log(1 + exp(-y x))` of scores x and answers y of 1 or -1; finite however far out x is.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.soft_margin_loss(tg.tensor([1e4, 1e4]), tg.tensor([1.0, -1.0]), "none").tolist()
    [0.0, 10000.0]
    """
    check_reduction("soft_margin_loss", reduction)
    check_tensors("soft_margin_loss", input, target)
    return reduced("soft_margin_loss", log1p_exp(-target * input), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Distances x of pairs that are alike (y = 1) or not (y = -1): x, or `max(0, margin - x)`.

    Args:
        input: distances, any shape.
        target: 1 or -1 for each.
        margin: how far apart the unlike should be. Default: 1.
        reduction: "mean", "sum" or "none".

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> x, y = tg.tensor([0.5, 0.25, 2.0]), tg.tensor([1, -1, -1])
    >>> F.hinge_embedding_loss(x, y, reduction="none").tolist()
    [0.5, 0.75, 0.0]
    """
    check_reduction("hinge_embedding_loss", reduction)
    check_tensors("hinge_embedding_loss", input, target)
    apart = ops.where(target != 1, ops.clamp(margin - input, min=0), 0.0)
    alike = ops.where(target != -1, input, 0.0)
    return reduced("hinge_embedding_loss", apart + alike, reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """`max(0, -y (x1 - x2) + margin)`: x1 is to rank above x2 where y is 1, below where it is -1.

    Raises:
        RuntimeError: if the tensors are not of the same number of dimensions.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> x1, x2 = tg.tensor([3.0, 1.0]), tg.tensor([1.0, 2.0])
    >>> F.margin_ranking_loss(x1, x2, tg.tensor([1, 1]), reduction="none").tolist()
    [0.0, 1.0]
    """
    check_reduction("margin_ranking_loss", reduction)
    check_tensors("margin_ranking_loss", input1, input2, target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(
            "margin_ranking_loss: expected as many dimensions in all, got "
            f"{describe(input1)}, {describe(input2)} and {describe(target)}"
        )
    losses = ops.clamp(-target * (input1 - input2) + float(margin), min=0)
    return reduced("margin_ranking_loss", losses, reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """`1 - cos` of pairs that are alike (y = 1), `max(0, cos - margin)` of those not (y = -1).

    Args:
        input1, input2: vectors (N, D) or (D,), broadcast.
        target: 1 or -1, shape (N,) or ().
        margin: from -1 to 1. Default: 0.
        reduction: "mean", "sum" or "none".

    Raises:
        RuntimeError: if the numbers of dimensions do not fit.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> x, y = tg.tensor([[1.0, 0.0], [1.0, 0.0]]), tg.tensor([[0.0, 2.0], [3.0, 0.0]])
    >>> F.cosine_embedding_loss(x, y, tg.tensor([1, -1]), reduction="none").tolist()
    [1.0, 1.0]
    """
    check_reduction("cosine_embedding_loss", reduction)
    check_tensors("cosine_embedding_loss", input1, input2, target)
    ndim = target.ndim
    if ndim > 1 or input1.ndim != ndim + 1 or input2.ndim != ndim + 1:
        raise ShapeError(
            "cosine_embedding_loss: expected vectors (N, D) with targets (N,), or (D,) with (), "
            f"got {describe(input1)}, {describe(input2)} and {describe(target)}"
        )
    tiny = 1e-12  # where a vector is 0 its cosine is 0
    lengths = (ops.square(input1).sum(-1) + tiny) * (ops.square(input2).sum(-1) + tiny)
    cosine = (input1 * input2).sum(-1) / ops.sqrt(lengths)
    apart = ops.where(target == -1, ops.clamp(cosine - margin, min=0), 0.0)
    losses = ops.where(target == 1, 1 - cosine, 0.0) + apart
    return reduced("cosine_embedding_loss", losses, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, d(a, p) - d(a, n) + margin)`: the alike are to be nearer than the unlike.

    Args:
        anchor, positive, negative: vectors (N, D) or (D,).
        margin: by how much, above 0. Default: 1.
        p, eps: of the distance, see `pairwise_distance`.
        swap: whether the negative's distance is the smaller of that to the anchor and that to the
            positive (Balntas et al., 2016). Default: False.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: if the margin is not above 0.
        RuntimeError: if the tensors are not of the same number of dimensions.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> a, near, far = tg.tensor([[0.0, 0.0]]), tg.tensor([[0.0, 1.0]]), tg.tensor([[0.0, 1.5]])
    >>> round(F.triplet_margin_loss(a, near, far).item(), 4)
    0.5
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    return _triplet_loss(
        "triplet_margin_loss", (anchor, positive, negative), distance, margin, swap, reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of one's own, `pairwise_distance` unless given.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> a, near, far = tg.tensor([[0.0]]), tg.tensor([[1.0]]), tg.tensor([[1.5]])
    >>> distance = lambda x, y: (x - y).abs().sum(-1)
    >>> F.triplet_margin_with_distance_loss(a, near, far, distance_function=distance).item()
    0.5
    """
    return _triplet_loss(
        "triplet_margin_with_distance_loss",
        (anchor, positive, negative),
        distance_function or pairwise_distance,
        margin,
        swap,
        reduction,
    )


def _triplet_loss(
    name: str,
    triplet: tuple[Tensor, Tensor, Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    check_reduction(name, reduction)
    if not margin > 0:
        raise ValueError(f"{name}: margin must be above 0, not {margin}")
    anchor, positive, negative = check_tensors(name, *triplet)
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(
            f"{name}: anchor, positive and negative must have as many dimensions, got "
            + ", ".join(map(describe, triplet))
        )
    apart = distance(anchor, negative)
    if swap:
        apart = ops.minimum(apart, distance(positive, negative))
    return reduced(name, ops.clamp(distance(anchor, positive) - apart + margin, min=0), reduction)
