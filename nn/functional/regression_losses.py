"""Losses of numbers against numbers: squared, absolute, Huber's, Gaussian and Poisson likelihoods.

Every loss takes `reduction`: "mean" (the default) or "sum" over its terms, or "none" for the terms
themselves.
"""

from __future__ import annotations

import math

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import losses as gates
from tapegrad.autograd.operations.arguments import check_tensor, on_its_gpu, same_device
from tapegrad.autograd.operations.positions import within
from tapegrad.kernels.selection import may_hold

from .arguments import float_tensor
from .reduction import check_reduction, check_same_shape, reduced, weighed

__all__ = [
    "gaussian_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]


def _reduced(
    name: str, losses: Tensor, input: Tensor, reduction: str, weight: Tensor | None
) -> Tensor:
    """Reduced losses, the mean a weighted one where there is a weight."""
    if weight is None:
        return reduced(name, losses, reduction)
    losses = weighed(name, losses, input, weight)
    if reduction == "mean":
        return ops.sum(losses) / ops.sum(weight)
    return reduced(name, losses, reduction)


def mse_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """Mean squared error: `(x - y)^2`, reduced.

    Minimising it is maximum likelihood under Gaussian noise.

    Args:
        input: predictions, any shape.
        target: of the same shape.
        reduction: "mean", "sum" or "none".
        weight: multiplies the terms, of the shape of the input; the mean is then the weighted one.
            Default: none.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.mse_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    2.0
    """
    check_same_shape("mse_loss", input, target)
    return _reduced("mse_loss", ops.square(input - target), input, reduction, weight)


def l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """Mean absolute error: `|x - y|`, reduced; the gradient is 0 where both are equal.

    Minimising it is maximum likelihood under Laplace noise. Arguments as in `mse_loss`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.l1_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    1.0
    """
    check_same_shape("l1_loss", input, target)
    return _reduced("l1_loss", ops.abs(input - target), input, reduction, weight)


def smooth_l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """`d^2 / (2 beta)` for a difference d below beta, `|d| - beta / 2` from there (Girshick, 2015).

    `huber_loss` divided by beta; with beta 0, `l1_loss`.

    Raises:
        RuntimeError: if beta is negative.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.smooth_l1_loss(tg.tensor([0.5, 3.0]), tg.zeros(2), reduction="none").tolist()
    [0.125, 2.5]
    """
    check_same_shape("smooth_l1_loss", input, target)
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: beta must not be negative, not {beta}")
    difference = input - target
    if beta == 0:
        return reduced("smooth_l1_loss", ops.abs(difference), reduction)
    losses = gates.huber(float_tensor("smooth_l1_loss", difference), delta=float(beta))
    return reduced("smooth_l1_loss", losses if beta == 1 else losses / beta, reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """`d^2 / 2` for a difference d up to delta, `delta (|d| - delta / 2)` from there (Huber, 1964).

    Args:
        input: predictions, any shape.
        target: of the same shape.
        reduction: "mean", "sum" or "none".
        delta: where the square gives way to a line, above 0. Default: 1.
        weight: multiplies the terms, of the shape of the input. Default: none.

    Raises:
        RuntimeError: if delta is not above 0.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.huber_loss(tg.tensor([0.5, 3.0]), tg.zeros(2), reduction="none", delta=2.0).tolist()
    [0.125, 4.0]
    """
    check_same_shape("huber_loss", input, target)
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta must be above 0, not {delta}")
    losses = gates.huber(float_tensor("huber_loss", input - target), delta=float(delta))
    losses = losses if weight is None else weighed("huber_loss", losses, input, weight)
    return reduced("huber_loss", losses, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of counts y under a Poisson rate: `exp(x) - y x`.

    Args:
        input: logarithms x of the rates, any shape; the rates themselves unless `log_input`.
        target: counts of the same shape.
        log_input: False for `x - y log(x + eps)`. Default: True.
        full: whether to add Stirling's `y log y - y + log(2 pi y) / 2` where y > 1. Default: False.
        eps: see `log_input`.
        reduction: "mean", "sum" or "none".

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.poisson_nll_loss(tg.tensor([0.0]), tg.tensor([3.0])).item()
    1.0
    """
    check_reduction("poisson_nll_loss", reduction)
    check_tensor("poisson_nll_loss", input)
    check_tensor("poisson_nll_loss", target)
    rate, log_rate = (ops.exp(input), input) if log_input else (input, ops.log(input + eps))
    losses = rate - target * log_rate
    if full:
        many = target > 1
        count = ops.where(many, target, 1.0)
        stirling = count * ops.log(count) - count + ops.log(count * (2 * math.pi)) * 0.5
        losses = losses + ops.where(many, stirling, 0.0)
    return reduced("poisson_nll_loss", losses, reduction)


@on_its_gpu
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood under a Gaussian: `(log v + (x - y)^2 / v) / 2`.

    Args:
        input: expectations x, any shape.
        target: observations y of the same shape.
        var: variances v: a float, or a tensor of the shape of the input, or of one that has 1 in
            one dimension of it, or lacks the last.
        full: whether to add `log(2 pi) / 2`. Default: False.
        eps: no variance counts as less; the gradient passes this bound as if it were not there.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: if a variance is negative or `var` has another shape.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.gaussian_nll_loss(tg.tensor([1.0]), tg.tensor([3.0]), tg.tensor([1.0])).item()
    2.0
    """
    check_reduction("gaussian_nll_loss", reduction)
    check_tensor("gaussian_nll_loss", input)
    variance = ops.full_like(input, float(var)) if isinstance(var, (int, float)) else var
    same_device("gaussian_nll_loss", input, target, variance)
    values = variance._data
    too_small = may_hold(module_of(values), values < eps)
    if too_small:  # NaN is left to the sum, as anywhere
        wanted = "gaussian_nll_loss: var must not be negative"
        real = module_of(values).where(values == values, values, 0)
        within(real, 0, math.inf, wanted, ArgumentError)
    shape = input.shape
    if variance.shape != shape:
        if variance.shape == shape[:-1]:
            variance = variance.unsqueeze(-1)
        elif variance.ndim != len(shape) or [
            m for n, m in zip(shape, variance.shape, strict=True) if n != m
        ] != [1]:
            raise ArgumentError(
                f"gaussian_nll_loss: var {describe(variance)} does not fit {describe(input)}"
            )
    if too_small:  # what is missing is added as a constant, so that the gradient passes
        short = eps - variance.detach()
        variance = variance + ops.where(short > 0, short, 0.0)
    losses = ops.addcdiv(ops.log(variance), ops.square(input - target), variance)
    if full:
        losses = losses + math.log(2 * math.pi)
    return reduced("gaussian_nll_loss", losses, reduction) * 0.5
