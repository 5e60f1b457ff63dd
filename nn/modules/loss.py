"""Losses as layers, with their settings; the formulas are in `nn.functional`."""

from __future__ import annotations

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module


class _Loss(Module):
    """A loss whose terms are averaged ("mean"), added up ("sum") or left as they are ("none")."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(
                f"{type(self).__name__}: reduction must be 'mean', 'sum' or 'none', "
                f"not {reduction!r}"
            )
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a factor per class or term, which moves with the module as a buffer."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """`-log softmax(x)_y` of logits x and the right class y.

    Args:
        weight: one factor per class (C,); the mean is then the weighted one. Default: none.
        ignore_index: targets of this value count nothing. Default: -100.
        reduction: "mean", "sum" or "none". Default: "mean".
        label_smoothing: the share of the target spread evenly over the classes. Default: 0.

    Shape:
        logits (N, C) or (N, C, d1, ...); targets (N,) or (N, d1, ...) of integers, or
        probabilities of the logits' shape.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> loss = nn.CrossEntropyLoss()
    >>> round(loss(tg.tensor([[2.5, 3.1, -0.1]]), tg.tensor([0])).item(), 4)
    1.0635
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against classes."""
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(_WeightedLoss):
    """`-x_y` of log-probabilities x and the right class y.

    Args:
        weight: one factor per class (C,); the mean is then the weighted one. Default: none.
        ignore_index: targets of this value count nothing. Default: -100.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.NLLLoss()(tg.tensor([[-0.5, -1.0]]), tg.tensor([1])).item()
    1.0
    """

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities against classes."""
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MultiMarginLoss(_WeightedLoss):
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


class MultiClassSVMLoss(_Loss):
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


class MSELoss(_Loss):
    """Mean squared error, `(x - y)^2`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions against targets of the same shape."""
        return F.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """Mean absolute error, `|x - y|`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.L1Loss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    1.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions against targets of the same shape."""
        return F.l1_loss(input, target, self.reduction)


class BCELoss(_WeightedLoss):
    """`-(y log p + (1 - y) log(1 - p))` of probabilities p.

    Args:
        weight: a factor for every term. Default: none.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> round(nn.BCELoss()(tg.tensor([0.5]), tg.tensor([1.0])).item(), 4)
    0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities against targets of the same shape."""
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """Binary cross-entropy of `sigmoid(x)`, computed from the logits x.

    Args:
        weight: a factor for every term. Default: none.
        reduction: "mean", "sum" or "none". Default: "mean".
        pos_weight: a factor for the part of positive targets. Default: none.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> round(nn.BCEWithLogitsLoss()(tg.tensor([0.0]), tg.tensor([1.0])).item(), 4)
    0.6931
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against targets of the same shape."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )
