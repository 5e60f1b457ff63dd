"""What is done to all parameters of a model at once: clip gradients, flatten to a vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tapegrad.autograd import Tensor, no_grad
from tapegrad.autograd import operations as ops


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in parameters if p.grad is not None]


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
    gradients = _gradients(parameters)
    if not gradients:
        return ops.zeros(())
    if norm_type == math.inf:
        total = ops.stack([g.abs().amax() for g in gradients]).amax()
    elif norm_type == 2.0:
        total = ops.stack([ops.square(g).sum() for g in gradients]).sum().sqrt()
    else:
        powers = ops.stack([(g.abs() ** norm_type).sum() for g in gradients])
        total = powers.sum() ** (1.0 / norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {total.item()}")
    factor = ops.clamp(max_norm / (total + 1e-6), max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)
    return total


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
    for gradient in _gradients(parameters):
        gradient.clamp_(-clip_value, clip_value)


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
