"""Losses as layers, with their settings; the formulas are in `nn.functional`.

Those with a margin are in `margin_loss`.
"""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module


class Loss(Module):
    """A loss whose terms are averaged ("mean"), added up ("sum") or left as they are ("none")."""

    reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in self.reductions:
            *first, last = map(repr, self.reductions)
            raise ValueError(
                f"{type(self).__name__}: reduction must be {', '.join(first)} or {last}, "
                f"not {reduction!r}"
            )
        self.reduction = reduction


class WeightedLoss(Loss):
    """A loss with a factor per class or term, which moves with the module as a buffer."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(WeightedLoss):
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


class NLLLoss(WeightedLoss):
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


class MSELoss(Loss):
    """Mean squared error, `(x - y)^2`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions against targets of the same shape."""
        return F.mse_loss(input, target, self.reduction)


class L1Loss(Loss):
    """Mean absolute error, `|x - y|`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.L1Loss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    1.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions against targets of the same shape."""
        return F.l1_loss(input, target, self.reduction)


class BCELoss(WeightedLoss):
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


class BCEWithLogitsLoss(WeightedLoss):
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


class SmoothL1Loss(Loss):
    """`d^2 / (2 beta)` for a difference d below beta, `|d| - beta / 2` from there.

    Args:
        reduction: "mean", "sum" or "none". Default: "mean".
        beta: where the square gives way to a line. Default: 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.SmoothL1Loss("none")(tg.tensor([0.5, 3.0]), tg.zeros(2)).tolist()
    [0.125, 2.5]
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions against targets of the same shape."""
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(Loss):
    """`d^2 / 2` for a difference d up to delta, `delta (|d| - delta / 2)` from there.

    Args:
        reduction: "mean", "sum" or "none". Default: "mean".
        delta: where the square gives way to a line, above 0. Default: 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.HuberLoss("none", delta=2.0)(tg.tensor([0.5, 3.0]), tg.zeros(2)).tolist()
    [0.125, 4.0]
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions against targets of the same shape."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence, `p (log p - log q)`, of log q and p.

    Args:
        reduction: "batchmean" (the divergence by its definition), "mean", "sum" or "none".
            Default: "mean".
        log_target: whether the targets are log p. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> p, q = tg.tensor([[0.5, 0.5]]), tg.tensor([[0.25, 0.75]])
    >>> round(nn.KLDivLoss("batchmean")(q.log(), p).item(), 4)
    0.1438
    """

    reductions = ("mean", "sum", "none", "batchmean")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities against probabilities of the same shape."""
        return F.kl_div(input, target, self.reduction, self.log_target)


class PoissonNLLLoss(Loss):
    """`exp(x) - y x`: the negative log-likelihood of counts y under a Poisson rate `exp(x)`.

    Args:
        log_input: False if x is the rate itself. Default: True.
        full: whether to add Stirling's approximation of `log y!`. Default: False.
        eps: added to the rate before its logarithm is taken. Default: 1e-8.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.PoissonNLLLoss()(tg.tensor([0.0]), tg.tensor([3.0])).item()
    1.0
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of (logarithms of) rates against counts."""
        return F.poisson_nll_loss(
            input, target, self.log_input, self.full, self.eps, self.reduction
        )


class GaussianNLLLoss(Loss):
    """`(log v + (x - y)^2 / v) / 2`: the negative log-likelihood under a Gaussian of variance v.

    Args:
        full: whether to add `log(2 pi) / 2`. Default: False.
        eps: no variance counts as less. Default: 1e-6.
        reduction: "mean", "sum" or "none". Default: "mean".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.GaussianNLLLoss()(tg.tensor([1.0]), tg.tensor([3.0]), tg.tensor([1.0])).item()
    2.0
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """The loss of expectations against observations, with variances."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class CTCLoss(Loss):
    """Connectionist temporal classification: `-log p(target)` of a sequence that is not aligned.

    Args:
        blank: the class that stands for no label. Default: 0.
        reduction: "sum", "none", or "mean" over the batch of losses divided by their targets'
            lengths. Default: "mean".
        zero_infinity: whether infinite losses count as 0. Default: False.

    Shape:
        log-probabilities (T, N, C) or (T, C); targets (N, S) or one after another; lengths (N,).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> even = tg.zeros(2, 1, 2).log_softmax(2)
    >>> round(nn.CTCLoss()(even, tg.tensor([[1]]), (2,), (1,)).item(), 4)
    0.2877
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__(reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        """The loss of log-probabilities against targets."""
        return F.ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )
