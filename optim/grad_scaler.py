"""`GradScaler`: gradients of float16 kept from vanishing, by a loss that is scaled up.

The scale, what is found of the gradients and the decision whether to step stay on the GPU: it is
told to skip the step if a gradient overflowed, and the host never waits to learn whether it did.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tapegrad.autograd import Tensor, foreach, no_grad
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import CPU, device, float16, float32
from tapegrad.autograd.autocast import check_kind
from tapegrad.autograd.cuda import is_available
from tapegrad.autograd.versions import mark_written

from .optimizer import Optimizer

_LARGEST = 3.4028234663852886e38  # of float32


@dataclass
class _Progress:
    """How far an optimizer is since the last update, and where its gradients overflowed."""

    unscaled: bool = False
    stepped: bool = False
    found: dict[device, Tensor] = field(default_factory=dict)


class GradScaler:
    """Scales the loss so that gradients of float16 do not vanish, and adapts the scale.

    With scale s, the gradients of `s * loss` are divided by s before the step. If one of them is
    infinite or NaN, the step is skipped and s becomes `s * backoff_factor`; after `growth_interval`
    steps in a row that were not, it becomes `s * growth_factor`. bfloat16 has the range of float32
    and needs none of this.

        for x, y in batches:
            optimizer.zero_grad()
            with tg.autocast("cuda"):
                loss = F.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

    On a GPU nothing here waits for the device, but for `get_scale` and `state_dict`. A step is two
    launches more for each dtype of gradients, one that unscales them all and one that updates the
    scale, and with Adam one that counts the steps that were not skipped; then "step" in its state
    is a tensor. An optimizer with a `step` of its own, or with parameters on a CPU, is skipped by
    the host, which waits. Where SGD's first step is skipped, its velocity begins at zero, which
    with `dampening` is another start than the gradient.

    Args:
        device: "cuda" or "cpu", as for PyTorch; the scale is kept where the first loss is.
            Default: "cuda", which where there is no GPU warns, and disables the scaler.
        init_scale: the first scale. Default: 65536.
        growth_factor: above 1. Default: 2.
        backoff_factor: below 1. Default: 0.5.
        growth_interval: steps. Default: 2000.
        enabled: if False, nothing is scaled, and `step` is the optimizer's. Default: True.

    Raises:
        ValueError: if a factor is on the wrong side of 1, and the scaler enabled.

    >>> import tapegrad as tg
    >>> w = tg.nn.Parameter(tg.tensor([1.0]))
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> scaler = tg.amp.GradScaler("cpu", init_scale=8.0)
    >>> for factor in (2.0, float("inf")):
    ...     optimizer.zero_grad()
    ...     scaler.scale((w * factor).sum()).backward()
    ...     scaler.step(optimizer)
    ...     scaler.update()
    ...     print(round(w.item(), 4), scaler.get_scale())
    0.8 8.0
    0.8 4.0
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._enabled = bool(enabled)
        if check_kind("GradScaler", device) == "cuda" and enabled and not is_available():
            warnings.warn(
                "GradScaler: CUDA is not available (tapegrad.cuda.why_unavailable() says why); it "
                "is disabled",
                stacklevel=2,
            )
            self._enabled = False
        if self._enabled and not growth_factor > 1.0:
            raise ValueError(f"GradScaler: growth_factor must be above 1, not {growth_factor}")
        if self._enabled and not backoff_factor < 1.0:
            raise ValueError(f"GradScaler: backoff_factor must be below 1, not {backoff_factor}")
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._begin(float(init_scale), 0)

    def _begin(self, scale: float, tracker: int) -> None:
        """Start with a scale, which becomes a tensor where the first loss is."""
        self._scale: Tensor | float = scale
        self._growth_tracker: Tensor | int = tracker
        self._progress: defaultdict[Optimizer, _Progress] = defaultdict(_Progress)

    def scale(self, outputs: Any) -> Any:
        """A loss, or losses in lists, tuples and other iterables, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            scale, place = self._scale, outputs.device
            if not isinstance(scale, Tensor):
                scale = self._scale = ops.full((), scale, dtype=float32, device=place)
                waiting = float(self._growth_tracker)
                self._growth_tracker = ops.full((), waiting, dtype=float32, device=place)
            return outputs * scale.to(place)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(part) for part in outputs])
        if isinstance(outputs, Iterable):
            return map(self.scale, outputs)
        raise ValueError(f"scale: expected tensors, got {type(outputs).__name__}")

    @no_grad()
    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimizer by the scale, to clip or look at them before `step`.

        Raises:
            RuntimeError: if they are already, or nothing was scaled since the last `update`.
            ValueError: if a gradient is of float16, so that it may have vanished already.
        """
        if not self._enabled:
            return
        scale, progress = self._started("unscale_")[0], self._progress[optimizer]
        if progress.unscaled or progress.stepped:
            done = "step()" if progress.stepped else "it"
            raise RuntimeError(f"unscale_: {done} has already been called since the last update()")
        gradients: defaultdict[device, list[Tensor]] = defaultdict(list)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    if parameter.grad.dtype == float16:
                        raise ValueError(
                            "unscale_: got gradients of float16; keep the parameters in float32 "
                            "and let autocast cast them"
                        )
                    gradients[parameter.grad.device].append(parameter.grad)
        for place, tensors in gradients.items():
            progress.found[place] = found = ops.zeros((), dtype=float32, device=place)
            foreach.unscale(tensors, scale.to(place), found)
            for tensor in tensors:
                mark_written(tensor)
        if len(progress.found) > 1:
            total = {place: _total(progress.found, place) for place in progress.found}
            progress.found = total
        progress.unscaled = True

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` on unscaled gradients, unless one of them overflowed.

        Returns:
            What the optimizer returned; None where the host skipped the step.

        Raises:
            RuntimeError: if it has already been called since the last `update`, the optimizer has
                no gradients, or a closure is given.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if args or "closure" in kwargs:
            raise RuntimeError("step: a GradScaler takes no closure")
        self._started("step")
        progress = self._progress[optimizer]
        if progress.stepped:
            raise RuntimeError("step: it has already been called since the last update()")
        if not progress.unscaled:
            self.unscale_(optimizer)
        if not progress.found:
            raise RuntimeError("step: the optimizer has no gradients")
        progress.stepped = True
        if CPU in progress.found or type(optimizer).step is not Optimizer.step:
            overflowed = any(found.item() for found in progress.found.values())
            return None if overflowed else optimizer.step(**kwargs)
        optimizer.found_inf = progress.found
        try:
            return optimizer.step(**kwargs)
        finally:
            optimizer.found_inf = None

    @no_grad()
    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the scale to what was found since the last update, or set it.

        Args:
            new_scale: a number, or a tensor of one element. Default: none; by the rule.

        Raises:
            RuntimeError: if no gradients were unscaled since then.
        """
        if not self._enabled:
            return
        scale, tracker = self._started("update")
        if new_scale is not None:
            given: Any = new_scale
            scale.copy_(given.detach().reshape(()) if isinstance(given, Tensor) else given)
        else:
            found = {
                (optimizer, place): found
                for optimizer, progress in self._progress.items()
                for place, found in progress.found.items()
            }
            if not found:
                raise RuntimeError("update: no gradients were unscaled since the last update()")
            numbers = {
                "growth": self._growth_factor,
                "backoff": self._backoff_factor,
                "interval": float(self._growth_interval),
            }
            foreach.overwrite(adapted, [(_total(found, scale.device), scale, tracker)], numbers, {})
        self._progress.clear()

    def _started(self, name: str) -> tuple[Tensor, Tensor]:
        """The scale and the tracker, once a loss was scaled."""
        scale, tracker = self._scale, self._growth_tracker
        if not isinstance(scale, Tensor) or not isinstance(tracker, Tensor):
            raise RuntimeError(f"{name}: no loss was scaled yet; call scale(loss) first")
        return scale, tracker

    # What PyTorch calls its settings

    def get_scale(self) -> float:
        """The scale, 1 if disabled; waits for the GPU."""
        if not self._enabled:
            return 1.0
        return self._scale.item() if isinstance(self._scale, Tensor) else self._scale

    def get_growth_factor(self) -> float:
        """What the scale is multiplied with after steps without an overflow."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Another growth factor."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied with after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Another backoff factor."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many steps in a row without an overflow let the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Another growth interval."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Scale, settings and the steps since it last changed, as numbers; empty if disabled."""
        if not self._enabled:
            return {}
        tracker = self._growth_tracker
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": int(tracker.item() if isinstance(tracker, Tensor) else tracker),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; it may be PyTorch's.

        Raises:
            RuntimeError: if it is empty, from a scaler that was disabled.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("load_state_dict: the state is empty, from a GradScaler not enabled")
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        place = self._scale.device if isinstance(self._scale, Tensor) else None
        self._begin(float(state_dict["scale"]), int(state_dict["_growth_tracker"]))
        if place is not None:
            self.scale(ops.zeros((), device=place))

    def __getstate__(self) -> dict[str, Any]:
        if self._progress:
            raise RuntimeError("a GradScaler is pickled after update(), not within an iteration")
        found = self.state_dict()
        kept = dict(self.__dict__)
        if found:
            kept.update(_scale=found["scale"], _growth_tracker=found["_growth_tracker"])
        return kept


def adapted(
    found: Tensor, scale: Tensor, tracker: Tensor, *, growth: float, backoff: float, interval: float
) -> tuple[Tensor, Tensor]:
    """The scale after a step, and how many steps in a row had no overflow; as in `GradScaler`."""
    clean, due = found == 0, tracker + 1 == interval
    larger = scale * growth
    grown = ops.where(ops.logical_and(due, larger <= _LARGEST), larger, scale)
    waiting = ops.where(due, 0.0, tracker + 1)
    return ops.where(clean, grown, scale * backoff), ops.where(clean, waiting, 0.0)


def _total(found: dict[Any, Tensor], place: device) -> Tensor:
    """How many of these are not 0, on a device."""
    first, *others = (value.to(place) for value in found.values())
    for other in others:
        first = first + other
    return first
