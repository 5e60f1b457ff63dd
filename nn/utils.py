"""What is done to all parameters of a model at once: clip gradients, flatten to a vector."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tapegrad.autograd import Tensor, foreach, no_grad
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import device
from tapegrad.autograd.versions import mark_written


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor so that their joint norm is at most `max_norm`.

    `g *= min(1, max_norm / (norm + 1e-6))`, the norm being that of all gradients as one vector
    (Pascanu et al., 2013).

    Args:
        parameters: one tensor or several; those without a gradient are skipped.
        max_norm: the bound.
        norm_type: p of the p-norm; infinity for the largest absolute value. Default: 2.
        error_if_nonfinite: whether a norm that is infinite or NaN raises. Default: False.

    Returns:
        The norm before clipping.

    Raises:
        RuntimeError: as `error_if_nonfinite` asks; no gradient has changed then.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> p = nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_(p, 1.0).item(), [round(g, 4) for g in p.grad.tolist()]
    (5.0, [0.6, 0.8])
    """
    parameters = _listed(parameters)
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type)
    if error_if_nonfinite:
        _check_finite("clip_grad_norm_", total)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of all tensors as one vector.

    Args:
        tensors: one tensor or several, mostly gradients.
        norm_type: p of the p-norm; infinity for the largest absolute value. Default: 2.
        error_if_nonfinite: whether a norm that is infinite or NaN raises. Default: False.

    Returns:
        The norm, on the device of the first tensor.

    Raises:
        RuntimeError: as `error_if_nonfinite` asks.
        ValueError: if the norm type is 0 or negative infinity.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.utils.get_total_norm([tg.tensor([3.0]), tg.tensor([[4.0]])]).item()
    5.0
    """
    if norm_type in (0.0, -math.inf):
        raise ValueError(f"get_total_norm: there is no norm of type {norm_type}")
    by_device: defaultdict[device, list[Tensor]] = defaultdict(list)
    for tensor in _listed(tensors):
        by_device[tensor.device].append(tensor)
    if not by_device:
        return ops.zeros(())
    norms = [_norm(group, float(norm_type)) for group in by_device.values()]
    total = norms[0]
    if len(norms) > 1:
        total = _norm([part.to(total.device) for part in norms], float(norm_type))
    if error_if_nonfinite:
        _check_finite("get_total_norm", total)
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor
) -> None:
    """Scale all gradients by `min(1, max_norm / (total_norm + 1e-6))`.

    On a GPU the factor is computed there, and nothing waits for it.

    Args:
        parameters: one tensor or several; those without a gradient are skipped.
        max_norm: the bound.
        total_norm: the norm of the gradients, as `get_total_norm` found it.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> p = nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([3.0, 4.0])
    >>> nn.utils.clip_grads_with_norm_(p, 1.0, tg.tensor(5.0))
    >>> [round(g, 4) for g in p.grad.tolist()]
    [0.6, 0.8]
    """
    by_device: defaultdict[device, list[Tensor]] = defaultdict(list)
    for gradient in _gradients(parameters):
        by_device[gradient.device].append(gradient)
    for place, gradients in by_device.items():
        total = total_norm.to(place)
        tensors = [(gradient,) for gradient in gradients]
        if place.type == "cpu":
            factor = _factor(total, max_norm).item()
            foreach.overwrite(scaled, tensors, {"factor": factor}, {})
        else:
            foreach.overwrite(clipped, tensors, {"max_norm": max_norm}, {}, (total,))
        for gradient in gradients:
            mark_written(gradient)


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clip every element of every gradient to [-clip_value, clip_value].

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> p = nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([3.0, -0.5])
    >>> nn.utils.clip_grad_value_(p, 1.0)
    >>> p.grad.tolist()
    [1.0, -0.5]
    """
    gradients = _gradients(parameters)
    tensors = [(gradient,) for gradient in gradients]
    foreach.overwrite(bounded, tensors, {"clip_value": float(clip_value)}, {})
    for gradient in gradients:
        mark_written(gradient)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after another; gradients flow through.

    >>> from tapegrad import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    return ops.cat([parameter.reshape(-1) for parameter in parameters])


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the stretches of a vector into the parameters, in order.

    Raises:
        ValueError: if the vector has not as many elements as the parameters together.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters(tg.arange(3.0), layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[0.0, 1.0]], [2.0])
    """
    parameters = list(parameters)
    sizes = [math.prod(parameter.shape) for parameter in parameters]
    if vec.shape != (sum(sizes),):
        raise ValueError(
            f"vector_to_parameters: expected {sum(sizes)} elements, "
            f"not the shape {tuple(vec.shape)}"
        )
    for parameter, part in zip(parameters, ops.split(vec, sizes), strict=True):
        parameter.copy_(part.reshape(parameter.shape))


# What is done to each gradient


def scaled(gradient: Tensor, *, factor: float) -> Tensor:
    """The gradient times a number."""
    return gradient * factor


def clipped(total: Tensor, gradient: Tensor, *, max_norm: float) -> Tensor:
    """The gradient, scaled by what the norm of all asks for."""
    return (gradient * _factor(total, max_norm)).to(gradient.dtype)


def bounded(gradient: Tensor, *, clip_value: float) -> Tensor:
    """The gradient with every element between a number and its opposite."""
    return ops.clamp(gradient, -clip_value, clip_value)


def _factor(total: Tensor, max_norm: float) -> Tensor:
    return ops.clamp(max_norm / (total + 1e-6), max=1.0)


# Lists and norms


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def _norm(tensors: Sequence[Tensor], norm_type: float) -> Tensor:
    """The norm of tensors on one device."""
    if tensors[0].device.type == "cuda":
        return foreach.norm(tensors, norm_type)
    if norm_type == math.inf:
        largest = [t.abs().amax() for t in tensors if t.numel()]
        return ops.stack(largest).amax() if largest else tensors[0].sum()
    if norm_type == 2.0:
        return ops.stack([ops.square(t).sum() for t in tensors]).sum().sqrt()
    powers = ops.stack([(t.abs() ** norm_type).sum() for t in tensors])
    return powers.sum() ** (1.0 / norm_type)


def _check_finite(name: str, total: Tensor) -> None:
    if not math.isfinite(total.item()):
        raise RuntimeError(f"{name}: the norm of the gradients is {total.item()}")
