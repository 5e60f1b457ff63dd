"""Losses with a margin as layers, and the distances that some of them measure."""

from __future__ import annotations

from collections.abc import Callable

from tapegrad.autograd import Tensor

from .. import functional as F
from .loss import Loss, WeightedLoss
from .module import Module


class MultiMarginLoss(WeightedLoss):
    """`sum_{j != y} max(0, margin - x_y + x_j)^p / C` of scores x and the right class y.

    Args:
        p: 1, or 2 for the squared hinge. Default: 1.
        margin: by how much the right class must win. Default: 1.
        weight: one factor per right class (C,). Default: none.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> round(nn.MultiMarginLoss()(tg.tensor([[1.0, 0.2, -0.5]]), tg.tensor([0])).item(), 4)
    0.0667
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, not {p}")
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores against classes."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


class MultiClassSVMLoss(Loss):
    """`sum_{j != y} max(0, x_j - x_y + margin)` of scores x and the right class y.

    The form lectures use, summed over the classes; `MultiMarginLoss` is its C-th part.

    Args:
        margin: by how much the right class must win. Default: 1.
        squared: whether each term is squared. Default: False.
        reduction: "mean" or "sum" over the batch, or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> scores = tg.tensor([[1.0, 0.2, -0.5], [2.5, 3.1, -0.1]])
    >>> round(nn.MultiClassSVMLoss()(scores, tg.tensor([0, 0])).item(), 4)
    0.9
    """

    def __init__(self, margin: float = 1.0, squared: bool = False, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin
        self.squared = squared

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores against classes."""
        return F.multi_class_svm_loss(input, target, self.margin, self.squared, self.reduction)


class MultiLabelMarginLoss(Loss):
    """Hinge of every wrong class against every right one: `sum_{y, j} max(0, 1 - x_y + x_j) / C`.

    Args:
        reduction: "mean", "sum" or "none". Default: "mean".

    Shape:
        scores (N, C) or (C,); targets of the same shape: the right classes, then -1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> scores, right = tg.tensor([[0.1, 0.2, 0.4, 0.8]]), tg.tensor([[3, 0, -1, 1]])
    >>> round(nn.MultiLabelMarginLoss()(scores, right).item(), 4)
    0.85
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores against lists of classes."""
        return F.multilabel_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """Binary cross-entropy of the logits of C labels, averaged over the labels.

    Args:
        weight: a factor for every label (C,). Default: none.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> loss = nn.MultiLabelSoftMarginLoss()
    >>> round(loss(tg.zeros(1, 3), tg.tensor([[0.0, 1.0, 1.0]])).item(), 4)
    0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against 0 or 1 for every label."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, self.reduction)


class SoftMarginLoss(Loss):
    """`log(1 + exp(-y x))` of scores x and answers y of 1 or -1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> round(nn.SoftMarginLoss()(tg.tensor([0.0]), tg.tensor([1.0])).item(), 4)
    0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores against answers of the same shape."""
        return F.soft_margin_loss(input, target, self.reduction)


class _MarginLoss(Loss):
    """A loss with a margin before its reduction."""

    def __init__(self, margin: float, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin


class HingeEmbeddingLoss(_MarginLoss):
    """Distances x of pairs that are alike (y = 1) or not (y = -1): x, or `max(0, margin - x)`.

    Args:
        margin: how far apart the unlike should be. Default: 1.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.HingeEmbeddingLoss(reduction="none")(tg.tensor([0.5, 0.25]), tg.tensor([1, -1])).tolist()
    [0.5, 0.75]
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of distances against 1 or -1."""
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class MarginRankingLoss(_MarginLoss):
    """`max(0, -y (x1 - x2) + margin)`: x1 is to rank above x2 where y is 1, below where it is -1.

    Args:
        margin: by how much. Default: 0.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MarginRankingLoss()(tg.tensor([1.0]), tg.tensor([2.0]), tg.tensor([1])).item()
    1.0
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss of pairs of scores against 1 or -1."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """`1 - cos` of pairs that are alike (y = 1), `max(0, cos - margin)` of those not (y = -1).

    Args:
        margin: from -1 to 1. Default: 0.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> x, y = tg.tensor([[1.0, 0.0]]), tg.tensor([[0.0, 2.0]])
    >>> nn.CosineEmbeddingLoss()(x, y, tg.tensor([1])).item()
    1.0
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss of pairs of vectors against 1 or -1."""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(_MarginLoss):
    """`max(0, d(a, p) - d(a, n) + margin)`: the alike are to be nearer than the unlike.

    Args:
        margin: by how much, above 0. Default: 1.
        p: the power of the distance. Default: 2.
        eps: added to every difference. Default: 1e-6.
        swap: whether the negative's distance is the smaller of that to the anchor and that to the
            positive. Default: False.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> a, near, far = tg.tensor([[0.0]]), tg.tensor([[1.0]]), tg.tensor([[1.5]])
    >>> round(nn.TripletMarginLoss()(a, near, far).item(), 4)
    0.5
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(_positive("TripletMarginLoss", margin), reduction)
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of three vectors, or of as many of each."""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


class TripletMarginWithDistanceLoss(_MarginLoss):
    """`TripletMarginLoss` with a distance of one's own.

    Args:
        distance_function: of two tensors. Default: `PairwiseDistance()`.
        margin, swap, reduction: as in `TripletMarginLoss`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(1.0))
    >>> round(loss(tg.tensor([[0.0]]), tg.tensor([[1.0]]), tg.tensor([[1.5]])).item(), 4)
    0.5
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(_positive("TripletMarginWithDistanceLoss", margin), reduction)
        self.distance_function = distance_function or PairwiseDistance()
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of three vectors, or of as many of each."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


def _positive(name: str, margin: float) -> float:
    if not margin > 0:
        raise ValueError(f"{name}: margin must be above 0, not {margin}")
    return margin


class PairwiseDistance(Module):
    """The p-norm of `x1 - x2 + eps` along the last dimension.

    Args:
        p: the power of the norm. Default: 2.
        eps: added to every difference. Default: 1e-6.
        keepdim: whether the last dimension stays, as 1. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.PairwiseDistance()(tg.tensor([[3.0, 0.0]]), tg.tensor([[0.0, 4.0]]))
    tensor([5.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The distance of vectors."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle of vectors along a dimension.

    Args:
        dim: of the vectors. Default: 1.
        eps: the least length. Default: 1e-8.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.CosineSimilarity()(tg.tensor([[3.0, 0.0]]), tg.tensor([[2.0, 2.0]]))
    tensor([0.7071])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The cosine of vectors."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
