"""Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import device, float32

from .optimizer import Optimizer, Params, check_at_least_zero
from .updates import Update, counted, descent


def adam(
    g: Tensor,
    w: Tensor,
    m: Tensor,
    v: Tensor,
    largest: Tensor | None = None,
    *,
    beta1: float,
    beta2: float,
    step: int,
    **settings: Any,
) -> tuple[Tensor, ...]:
    """The weights and averages after a step, from a gradient; formulas as in `Adam` and `AdamW`."""
    left = 1 - beta1**step, 1 - beta2**step
    return _updated(g, w, m, v, largest, left, beta1=beta1, beta2=beta2, **settings)


def adam_of_count(
    step: Tensor,
    g: Tensor,
    w: Tensor,
    m: Tensor,
    v: Tensor,
    largest: Tensor | None = None,
    *,
    log_beta1: float,
    log_beta2: float,
    **settings: Any,
) -> tuple[Tensor, ...]:
    """`adam` where a GPU counts the steps, since it alone knows which were skipped."""
    left = -ops.expm1(step * log_beta1), -ops.expm1(step * log_beta2)
    return _updated(g, w, m, v, largest, left, **settings)


def _updated(
    g: Tensor,
    w: Tensor,
    m: Tensor,
    v: Tensor,
    largest: Tensor | None,
    left: tuple[Any, Any],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decays: bool,
    decoupled: bool,
    maximize: bool,
) -> tuple[Tensor, ...]:
    """A step; `left` is what the averages' starting at zero has left of them, 1 - beta^t."""
    g = descent(g, w, weight_decay, decays and not decoupled, maximize)
    m = m + (g - m) * (1 - beta1)
    v = v * beta2 + g * g * (1 - beta2)
    if largest is not None:
        largest = ops.maximum(largest, v)
    # Both corrections as factors of numbers: one pass over the arrays each less.
    correction = left[1] ** 0.5
    size = lr * correction / left[0]
    change = m / (ops.sqrt(v if largest is None else largest) + eps * correction) * size
    w = (w * (1 - lr * weight_decay) if decays and decoupled else w) - change
    return (w, m, v) if largest is None else (w, m, v, largest)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015).

    With g the gradient plus `weight_decay * w`, at step t:

        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        w = w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    Args:
        params: parameters, or groups of them.
        lr: the learning rate. Default: 1e-3.
        betas: how much of the averages m and v is kept at each step. Default: (0.9, 0.999).
        eps: keeps the divisor from zero. Default: 1e-8.
        weight_decay: the factor of the L2 penalty `weight_decay / 2 * |w|^2`. Default: 0.
        amsgrad: whether the largest v so far is used (Reddi et al., 2018). Default: False.
        maximize: whether to go up instead of down. Default: False.

    Raises:
        ValueError: if lr, eps or weight_decay is negative, or a beta is not in [0, 1).

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> w = nn.Parameter(tg.tensor([1.0, -2.0]))
    >>> optimizer = optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in w.tolist()]
    [0.9, -1.9]
    """

    decoupled = False  # whether the decay is taken off the weights, apart from the gradient

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        name = type(self).__name__
        check_at_least_zero(name, group, "lr", "eps", "weight_decay")
        if not all(0.0 <= beta < 1.0 for beta in group["betas"]):
            raise ValueError(f"{name}: betas must be in [0, 1), not {group['betas']}")

    def prepare(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Hashable:
        if not state:
            state["step"] = 0
        for name in _averages(group):
            if name not in state:
                state[name] = ops.zeros_like(parameter)
        if self.found_inf is None and type(state["step"]) is int:
            state["step"] += 1
            return state["step"]
        return state["step"], parameter.device  # counted there: in `update`

    def update(self, group: dict[str, Any], prepared: Any) -> Update:
        beta1, beta2 = group["betas"]
        numbers = {name: group[name] for name in ("lr", "eps", "weight_decay")}
        options = {
            "decays": group["weight_decay"] != 0,
            "decoupled": self.decoupled,
            "maximize": group["maximize"],
        }
        numbers.update(beta1=beta1, beta2=beta2)
        if type(prepared) is int:
            numbers.update(step=prepared)
            return Update(adam, _averages(group), numbers, options)
        numbers.update(log_beta1=_log(beta1), log_beta2=_log(beta2))
        steps = self._counted(*prepared)
        return Update(adam_of_count, _averages(group), numbers, options, steps)

    def _counted(self, steps: int | Tensor, where: device) -> Tensor:
        """The number of steps with this one, on a GPU; a new tensor, since many share the old."""
        before = steps
        if not isinstance(before, Tensor):
            before = ops.full((), float(before), dtype=float32, device=where)
        return before + 1 if self.found_inf is None else counted(before, self.found_inf[where])


def _log(x: float) -> float:
    return math.log(x) if x else -math.inf


def _averages(group: dict[str, Any]) -> tuple[str, ...]:
    averages = ("exp_avg", "exp_avg_sq")
    return (*averages, "max_exp_avg_sq") if group["amsgrad"] else averages


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019).

    Each step first takes `lr * weight_decay * w` off the weights; m and v see the gradient alone.

    Args:
        params: parameters, or groups of them.
        lr: the learning rate. Default: 1e-3.
        betas: how much of the averages is kept at each step. Default: (0.9, 0.999).
        eps: keeps the divisor from zero. Default: 1e-8.
        weight_decay: the part of the weights taken off, times lr. Default: 1e-2.
        amsgrad: whether the largest v so far is used. Default: False.
        maximize: whether to go up instead of down. Default: False.

    Raises:
        ValueError: as `Adam`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> w = nn.Parameter(tg.tensor([1.0]))
    >>> optimizer = optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> round(w.item(), 4)
    0.85
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
