"""Learning-rate schedules: how `lr` of every group changes from epoch to epoch.

A scheduler is stepped once an epoch, after the optimizer. The first value is set when it is made.
Each rate follows from the base rate and the epoch alone, so that it can be read off the formula; a
rate that is changed by hand lasts until the next step.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from .optimizer import Optimizer


class LRScheduler:
    """The base class of schedules: `rate(base, epoch)` is the learning rate of an epoch.

    Args:
        optimizer: whose groups are scheduled. Each group's "initial_lr", set here to its "lr" if it
            is not there yet, is the base.
        last_epoch: the epoch to go on after. Default: -1, from the start.

    Raises:
        TypeError: if `optimizer` is not an `Optimizer`.
        KeyError: if `last_epoch` is given for an optimizer that was never scheduled.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self._watch(optimizer)
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: group {number} has no 'initial_lr'")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def _watch(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: expected an Optimizer, not {optimizer!r}")
        self.optimizer = optimizer

    def rate(self, base: float, epoch: int, group: int) -> float:
        """The learning rate of a group in an epoch, from its rate at the start."""
        raise NotImplementedError

    def step(self) -> None:
        """Go to the next epoch."""
        self.last_epoch += 1
        for number, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.rate(self.base_lrs[number], self.last_epoch, number)

    def get_last_lr(self) -> list[float]:
        """The learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions."""
        return {
            key: value
            for key, value in self.__dict__.items()
            if key != "optimizer" and not key.startswith("_")
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the state_dict was taken; the optimizer's own holds the rates."""
        self.__dict__.update(state_dict)


class LambdaLR(LRScheduler):
    """`base * lr_lambda(epoch)`.

    Args:
        optimizer: whose groups are scheduled.
        lr_lambda: a function of the epoch, or one for each group.
        last_epoch: the epoch to go on after. Default: -1.

    Raises:
        ValueError: if there are not as many functions as groups.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter(tg.zeros(1))], lr=1.0)
    >>> scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Iterable[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        self._lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self._lambdas) != groups:
            raise ValueError(f"LambdaLR: {len(self._lambdas)} functions for {groups} groups")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """`base * lr_lambda(epoch)`."""
        return base * self._lambdas[group](epoch)


class StepLR(LRScheduler):
    """`base * gamma^(epoch // step_size)`: a drop every `step_size` epochs.

    Args:
        optimizer: whose groups are scheduled.
        step_size: epochs between drops.
        gamma: the factor of a drop. Default: 0.1.
        last_epoch: the epoch to go on after. Default: -1.

    Raises:
        ValueError: if `step_size` is not positive.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter(tg.zeros(1))], lr=1.0)
    >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size must be positive, not {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """`base * gamma^(epoch // step_size)`."""
        return base * self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """`base * gamma^k` after k of the milestones: a drop at each given epoch.

    Args:
        optimizer: whose groups are scheduled.
        milestones: the epochs, in any order.
        gamma: the factor of a drop. Default: 0.1.
        last_epoch: the epoch to go on after. Default: -1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter(tg.zeros(1))], lr=1.0)
    >>> scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for epoch in range(2):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """`base * gamma^k`, k the number of milestones reached."""
        return base * self.gamma ** bisect_right(self.milestones, epoch)


class ExponentialLR(LRScheduler):
    """`base * gamma^epoch`.

    Args:
        optimizer: whose groups are scheduled.
        gamma: the factor of an epoch.
        last_epoch: the epoch to go on after. Default: -1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter(tg.zeros(1))], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """`base * gamma^epoch`."""
        return base * self.gamma**epoch


class CosineAnnealingLR(LRScheduler):
    """`eta_min + (base - eta_min) (1 + cos(pi epoch / T_max)) / 2`.

    Half a cosine from the base down to `eta_min`, without the restarts of the paper (Loshchilov and
    Hutter, 2017).

    Args:
        optimizer: whose groups are scheduled.
        T_max: the epoch of the minimum.
        eta_min: the minimum. Default: 0.
        last_epoch: the epoch to go on after. Default: -1.

    Raises:
        ValueError: if `T_max` is not positive.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter(tg.zeros(1))], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> for epoch in range(2):
    ...     scheduler.step()
    >>> round(scheduler.get_last_lr()[0], 4)
    0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max must be positive, not {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        """The value of the cosine."""
        share = (1 + math.cos(math.pi * epoch / self.T_max)) / 2
        return self.eta_min + (base - self.eta_min) * share


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the learning rate by `factor` when a measure stops improving.

    Each `step` takes the measure, such as the validation loss; after more than `patience` steps
    without a new best one the rate falls.

    Args:
        optimizer: whose groups are scheduled.
        mode: "min" if smaller measures are better, "max" if larger ones are. Default: "min".
        factor: by what the rate is multiplied, below 1. Default: 0.1.
        patience: how many steps without improvement are borne. Default: 10.
        threshold: what counts as an improvement. Default: 1e-4.
        threshold_mode: "rel" if the threshold is a share of the best measure, "abs" if it is a
            difference. Default: "rel".
        cooldown: steps after a fall that do not count. Default: 0.
        min_lr: the least rate. Default: 0.
        eps: a fall by less than this is not made. Default: 1e-8.

    Raises:
        ValueError: if `factor` is not below 1, or a mode is unknown.

    >>> import tapegrad as tg
    >>> from tapegrad import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter(tg.zeros(1))], lr=0.1)
    >>> scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, not {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', not {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', not {threshold_mode!r}"
            )
        self._watch(optimizer)
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Take the measure of an epoch, and lower the rate if it is time."""
        measure = float(metrics)
        self.last_epoch += 1
        if self._improves(measure):
            self.best = measure
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                lowered = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - lowered > self.eps:
                    group["lr"] = lowered
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def _improves(self, measure: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1)
        return (math.isinf(self.best) and not math.isnan(measure)) or (
            sign * measure < sign * self.best - margin
        )
