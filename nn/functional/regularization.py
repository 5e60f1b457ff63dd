"""Dropout: noise in training, of elements or of whole channels, and none in evaluation."""

from __future__ import annotations

import math

import numpy as np

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import activation as gates
from tapegrad.autograd.operations.arguments import check_tensor
from tapegrad.autograd.operations.generators import reserve

from .arguments import check_probability, computed, float_tensor
from .rectifiers import SELU_ALPHA, SELU_SCALE

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p and scale the rest by `1 / (1 - p)`.

    The expectation is the input, so that nothing is to be done in evaluation (Srivastava et al.,
    2014, with the scaling moved to training).

    Args:
        input: any shape.
        p: the probability of a zero. Default: 0.5.
        training: False returns the input. Default: True.
        inplace: whether `input` holds the result. Default: False.

    Raises:
        ValueError: if p is not between 0 and 1.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> set(F.dropout(tg.ones(1000), 0.75).tolist()) == {0.0, 4.0}
    True
    """
    return _dropped("dropout", input, p, training, inplace)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (N, C, L) or (C, L).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> y = F.dropout1d(tg.ones(4, 25, 2))
    >>> bool((y[..., 0] == y[..., 1]).all())
    True
    """
    if check_tensor("dropout1d", input).ndim not in (2, 3):
        raise ShapeError(f"dropout1d: expected (N, C, L) or (C, L), got {describe(input)}")
    return _dropped("dropout1d", input, p, training, inplace, input.ndim - 1)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (N, C, H, W) (Tompson et al., 2015).

    As in PyTorch, three dimensions are read as (N, C, L).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> y = F.dropout2d(tg.ones(4, 25, 2, 2)).flatten(2)
    >>> bool((y[..., :1] == y).all())
    True
    """
    return _dropped("dropout2d", input, p, training, inplace, 2)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> set(F.dropout3d(tg.ones(99, 2, 2, 2), 0.75)[:, 0, 0, 0].tolist()) == {0.0, 4.0}
    True
    """
    lead = 1 if check_tensor("dropout3d", input).ndim == 4 else 2
    return _dropped("dropout3d", input, p, training, inplace, lead)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout to the value of SELU at minus infinity, which keeps mean 0 and variance 1.

    The result is scaled and shifted for that; for layers between SELUs (Klambauer et al., 2017).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> y = F.alpha_dropout(tg.randn(100_000), 0.2, training=True)
    >>> abs(y.mean().item()) < 0.03, abs(y.std().item() - 1) < 0.03
    (True, True)
    """
    return _masked("alpha_dropout", input, p, training, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Alpha dropout of whole channels, the second dimension.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> y = F.feature_alpha_dropout(tg.ones(4, 25, 2), training=True)
    >>> bool((y[..., 0] == y[..., 1]).all())
    True
    """
    return _masked("feature_alpha_dropout", input, p, training, inplace, 2)


def _channels(name: str, input: Tensor, lead: int) -> tuple[int, ...]:
    """The shape of one number for each channel: the sizes of the first `lead` dimensions."""
    if input.ndim < 2:
        raise ShapeError(f"{name}: expected channels of several elements, got {describe(input)}")
    return (*input.shape[:lead], *(1 for _ in input.shape[lead:]))


def _kept(name: str, input: Tensor, p: float, lead: int | None) -> Tensor:
    """Which elements stay, or which channels."""
    shape = float_tensor(name, input).shape if lead is None else _channels(name, input, lead)
    return ops.rand(*shape, device=input.device) >= p


def _dropped(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, lead: int | None = None
) -> Tensor:
    check_probability(name, p)
    if not training or p == 0.0:
        return check_tensor(name, input)
    scale = 1 / (1 - p) if p < 1.0 else 1.0
    if lead is None and module_of(float_tensor(name, input)._data) is not np:
        return computed(name, input, inplace, lambda x: _at_random(x, p, scale))
    # Selecting keeps one byte an element for the backward, a multiplied mask would keep four; and
    # an infinite element that is dropped becomes 0, not NaN.
    kept = _kept(name, input, p, lead)
    return computed(name, input, inplace, lambda x: gates.dropout(x, kept, scale=scale))


def _masked(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, lead: int | None = None
) -> Tensor:
    check_probability(name, p)
    if not training or p == 0.0:
        return check_tensor(name, input)
    floor = -SELU_ALPHA * SELU_SCALE
    scale = 1 / math.sqrt((1 - p) * (1 + p * floor * floor)) if p < 1.0 else 0.0
    shift = -scale * floor * p
    low = floor * scale + shift
    if lead is None and module_of(float_tensor(name, input)._data) is not np:
        return computed(name, input, inplace, lambda x: _at_random(x - floor, p, scale) + low)
    kept = _kept(name, input, p, lead)
    return computed(name, input, inplace, lambda x: ops.where(kept, x * scale + shift, low))


def _at_random(x: Tensor, p: float, scale: float) -> Tensor:
    """Dropout on a GPU: the backward draws the same numbers again, so that no mask is kept."""
    seed, offset = reserve(x)
    return gates.dropout_at_random(x, p=p, scale=scale, seed=seed, offset=offset)
