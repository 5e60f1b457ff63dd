"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

from .optimizer import Optimizer, Params, check_at_least_zero
from .updates import Update, descent


def sgd(
    g: Tensor,
    w: Tensor,
    v: Tensor | None = None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    first: bool,
    dampens: bool,
    decays: bool,
    nesterov: bool,
    maximize: bool,
) -> Tensor | tuple[Tensor, Tensor]:
    """The weights and the velocity after a step, from a gradient; formulas as in `SGD`."""
    g = descent(g, w, weight_decay, decays, maximize)
    if v is None:
        return w - g * lr
    v = g if first else v * momentum + (g * (1 - dampening) if dampens else g)
    return w - (g + v * momentum if nesterov else v) * lr, v


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

    def prepare(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Hashable:
        """Whether the velocity begins with this step."""
        first = bool(group["momentum"]) and state.get("momentum_buffer") is None
        if first:
            state["momentum_buffer"] = ops.zeros_like(parameter)
        return first

    def update(self, group: dict[str, Any], prepared: Any) -> Update:
        names = ("lr", "momentum", "dampening", "weight_decay")
        options = {
            "first": prepared,
            "dampens": group["dampening"] != 0,
            "decays": group["weight_decay"] != 0,
            "nesterov": group["nesterov"],
            "maximize": group["maximize"],
        }
        state = ("momentum_buffer",) if group["momentum"] else ()
        return Update(sgd, state, {name: group[name] for name in names}, options)
