"""Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd.arrays import Array, module_of

from .optimizer import Optimizer, Params, check_at_least_zero, descent


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

    scratch_count = 2
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

    def update(
        self, parameter: Array, gradient: Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        xp = module_of(parameter)
        if not state:
            state["step"] = 0
            for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if group["amsgrad"] else 2]:
                state[key] = Tensor(xp.zeros_like(parameter))
        state["step"] += 1
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        penalty, maximize = group["weight_decay"], group["maximize"]
        kept = 1 - lr * penalty if self.decoupled else 1
        penalty = 0 if self.decoupled else penalty
        # Both corrections as factors of the whole array's scalars: one pass each less.
        correction = math.sqrt(1 - beta2 ** state["step"])
        size = lr * correction / (1 - beta1 ** state["step"])
        floor = eps * correction
        averages = [value.data for key, value in state.items() if key != "step"]
        for w, g, m, v, *largest, step, work in self._scratch.blocks(
            parameter, gradient, *averages
        ):
            g = descent(xp, w, g, work, penalty, maximize)
            xp.subtract(g, m, out=step)
            xp.multiply(step, 1 - beta1, out=step)
            xp.add(m, step, out=m)
            xp.multiply(g, g, out=step)
            xp.multiply(step, 1 - beta2, out=step)
            xp.multiply(v, beta2, out=v)
            xp.add(v, step, out=v)
            xp.sqrt(xp.maximum(largest[0], v, out=largest[0]) if largest else v, out=step)
            xp.add(step, floor, out=step)
            xp.divide(m, step, out=step)
            xp.multiply(step, size, out=step)
            if kept != 1:
                xp.multiply(w, kept, out=w)
            xp.subtract(w, step, out=w)


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
