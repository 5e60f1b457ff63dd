"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd.arrays import Array, module_of

from .optimizer import Optimizer, Params, check_at_least_zero, descent


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    With g the gradient plus `weight_decay * w`, v the momentum buffer and mu the momentum:

        v = mu v + (1 - dampening) g      (the first time v = g)
        w = w - lr v                      (Nesterov: w - lr (g + mu v); no momentum: w - lr g)

    Args:
        params: parameters, or groups of them.
        lr: the learning rate. Default: 1e-3.
        momentum: mu. Default: 0.
        dampening: how much of a new gradient is left out of v. Default: 0.
        weight_decay: the factor of the L2 penalty `weight_decay / 2 * |w|^2`. Default: 0.
        nesterov: whether to look ahead (Sutskever et al., 2013). Default: False.
        maximize: whether to go up instead of down. Default: False.

    Raises:
        ValueError: if lr, momentum or weight_decay is negative, or Nesterov momentum is asked for
            without momentum or with dampening.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> w = nn.Parameter(tg.tensor([1.0, -2.0]))
    >>> optimizer = optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in w.tolist()]
    [0.8, -1.6]
    """

    scratch_count = 2

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        check_at_least_zero("SGD", group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: Nesterov momentum needs a momentum and zero dampening")

    def update(
        self, parameter: Array, gradient: Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        xp = module_of(parameter)
        lr, momentum, nesterov = group["lr"], group["momentum"], group["nesterov"]
        penalty, maximize = group["weight_decay"], group["maximize"]
        if not momentum:
            for w, g, step, work in self._scratch.blocks(parameter, gradient):
                g = descent(xp, w, g, work, penalty, maximize)
                xp.multiply(g, lr, out=step)
                xp.subtract(w, step, out=w)
            return
        share = 1 - group["dampening"]
        first = state.get("momentum_buffer") is None
        if first:
            state["momentum_buffer"] = Tensor(xp.zeros_like(parameter))
            share = 1
        buffer = state["momentum_buffer"].data
        for w, g, v, step, work in self._scratch.blocks(parameter, gradient, buffer):
            g = descent(xp, w, g, work, penalty, maximize)
            xp.multiply(v, momentum, out=v)
            xp.add(v, g if share == 1 else xp.multiply(g, share, out=step), out=v)
            if nesterov:
                xp.multiply(v, momentum, out=step)
                xp.add(step, g, out=step)
                xp.multiply(step, lr, out=step)
            else:
                xp.multiply(v, lr, out=step)
            xp.subtract(w, step, out=w)
