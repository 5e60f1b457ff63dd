"""`Optimizer`, the base class: parameter groups, state, saving and the walk of a step.

A subclass says which settings it takes, checks them, and by which formula a parameter is updated;
what is common to all updates is here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from tapegrad.autograd import Tensor, enable_grad
from tapegrad.autograd.arrays import device
from tapegrad.autograd.foreach import overwrite
from tapegrad.autograd.versions import mark_written

from .updates import Update, unless_overflowed

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer:
    """Updates parameters from their gradients.

    `param_groups` is a list of dictionaries with the settings of the parameters under "params";
    changing a setting there takes effect at the next step. `state` holds what the rule remembers
    of each parameter.

    Args:
        params: tensors, or dictionaries with "params" and settings of their own.
        defaults: the settings of groups that do not say otherwise.

    Attributes:
        found_inf: while a `GradScaler` steps, for each device whether its gradients overflowed, a
            tensor that is then not 0; those parameters are not updated.

    Raises:
        ValueError: if there are no parameters, one appears twice, one is not a leaf, or a setting
            is out of range.
        TypeError: if something else than tensors is given.
    """

    found_inf: dict[device, Tensor] | None = None

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"{type(self).__name__}: params must be an iterable of tensors, not one tensor; "
                "put it into a list"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        given = list(params)
        if not given:
            raise ValueError(f"{type(self).__name__}: got an empty parameter list")
        if not isinstance(given[0], dict):
            given = [{"params": given}]
        for group in given:
            self.add_param_group(group)  # type: ignore[arg-type]

    # What a subclass says

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if a setting of the group is out of range."""
        raise NotImplementedError

    def prepare(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Hashable:
        """Make a parameter's state ready for its next step.

        Returns:
            What the update depends on beside the group, such as the number of the step; parameters
            for which it is the same are updated together.
        """
        raise NotImplementedError

    def update(self, group: dict[str, Any], prepared: Hashable) -> Update:
        """How parameters of a group are updated, by what `prepare` returned."""
        raise NotImplementedError

    # What is common

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss anew, with its gradients, before the update. Default: none.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step(group)
        return loss

    def _step(self, group: dict[str, Any]) -> None:
        """Update the parameters of a group, at once those with the same update."""
        batches: defaultdict[tuple[Hashable, device | None], list[Tensor]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                prepared = self.prepare(parameter, self.state[parameter], group)
                where = None if self.found_inf is None else parameter.device
                batches[prepared, where].append(parameter)
        for (prepared, where), parameters in batches.items():
            formula, names, numbers, options, steps = self.update(group, prepared)
            tensors = [(p.grad, p, *map(self.state[p].__getitem__, names)) for p in parameters]
            shared = () if steps is None else (steps,)
            if self.found_inf is not None and where is not None:
                formula, shared = unless_overflowed(formula), (self.found_inf[where], *shared)
            overwrite(formula, tensors, numbers, options, shared)
            for parameter in parameters:
                mark_written(parameter)
                if steps is not None:
                    self.state[parameter]["step"] = steps

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every gradient, or fill it with zeros if `set_to_none` is False."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach().zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own, such as a layer that was frozen so far.

        Args:
            param_group: "params", a tensor or several, and any settings; the rest is as in
                `defaults`.
        """
        name = type(self).__name__
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(f"{name}: parameters need an order; pass a list, not a set")
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: can only optimize tensors, not {_kind(parameter)}")
            if not parameter.is_leaf:
                raise ValueError(f"{name}: cannot optimize a tensor that was computed from others")
            if id(parameter) in known:
                raise ValueError(f"{name}: a parameter appears more than once")
            known.add(id(parameter))
        group = {**self.defaults, **param_group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def state_dict(self) -> dict[str, Any]:
        """The settings and the state, with parameters replaced by their numbers.

        Returns:
            "state", by number, and "param_groups", where "params" lists numbers.
        """
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers[id(parameter)] = len(numbers)
            packed = {key: value for key, value in group.items() if key != "params"}
            groups.append({**packed, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(p)]: dict(value) for p, value in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over settings and state; the values are copied, to each parameter's device.

        Raises:
            ValueError: if the groups differ in number or size.
        """
        saved = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved]
        if sizes != saved_sizes:
            raise ValueError(
                f"{type(self).__name__}: the state_dict has groups of {saved_sizes} parameters, "
                f"the optimizer of {sizes}"
            )
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        groups = []
        for group, saved_group in zip(self.param_groups, saved, strict=True):
            merged = {**group, **saved_group, "params": group["params"]}
            self.check(merged)
            groups.append(merged)
            for parameter, number in zip(group["params"], saved_group["params"], strict=True):
                if number in state_dict["state"]:
                    state[parameter] = _restored(state_dict["state"][number], parameter)
        self.param_groups, self.state = groups, state

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _kind(value: object) -> str:
    return type(value).__name__


def _restored(saved: dict[str, Any], parameter: Tensor) -> dict[str, Any]:
    """One parameter's state, copied: numbers stay numbers, arrays become like the parameter."""
    state: dict[str, Any] = {}
    for key, value in saved.items():
        if key == "step":
            state[key] = int(value)
        elif value is None:
            state[key] = None
        else:
            state[key] = Tensor(value).detach().to(parameter).clone()
    return state


def check_at_least_zero(name: str, group: dict[str, Any], *keys: str) -> None:
    """Raise ValueError unless every setting is a number that is 0 or more; NaN is not."""
    for key in keys:
        if not group[key] >= 0.0:
            raise ValueError(f"{name}: {key} must be 0 or more, not {group[key]}")
