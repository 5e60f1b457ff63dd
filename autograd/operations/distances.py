"""Distances between tensors and between the rows of two."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import FLOATS, HALVES
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates import products as gates
from tapegrad.autograd.gates.shape import reshape

from .arguments import check_tensor
from .arithmetic import sub
from .norms import vector_norm

__all__ = [
    "cdist",
    "dist",
]

MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of `input - other`, which broadcast. The gradient of the distance 0 is 0.

    >>> import tapegrad as tg
    >>> tg.dist(tg.tensor([3.0, 0.0]), tg.tensor([0.0, 4.0]))
    tensor(5.)
    """
    return vector_norm(sub(check_tensor("dist", input), check_tensor("dist", other)), p)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = MODES[0]) -> Any:
    """The p-norm of the difference of every row of `x1` (..., P, M) and of `x2` (..., R, M).

    The gradient of the distance 0 is 0. Euclidean distances of more than 25 rows are computed by
    way of matrix products, quicker and less exact where rows are close: `compute_mode` may demand
    it ("use_mm_for_euclid_dist") or forbid it ("donot_use_mm_for_euclid_dist").

    >>> import tapegrad as tg
    >>> tg.cdist(tg.tensor([[0.0, 0.0], [3.0, 0.0]]), tg.tensor([[3.0, 4.0]]))
    tensor([[5.],
            [4.]])
    """
    x, y = check_tensor("cdist", x1)._data, check_tensor("cdist", x2)._data
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeError(
            f"cdist: needs matrices with as many columns, got {describe(x1)} and {describe(x2)}"
        )
    if x.dtype not in FLOATS - HALVES or y.dtype not in FLOATS - HALVES:
        raise DtypeError(f"cdist: needs float32 or float64, got {describe(x1)} and {describe(x2)}")
    if p < 0:
        raise ArgumentError(f"cdist: p must not be negative, got {p}")
    if compute_mode not in MODES:
        raise ArgumentError(f"cdist: compute_mode must be one of {MODES}, got {compute_mode!r}")
    rows = max(x.shape[-2], y.shape[-2])
    if p == 2 and (compute_mode == MODES[1] or (compute_mode == MODES[0] and rows > 25)):
        return gates.cdist(x1, x2)
    left = reshape(x1, shape=(*x.shape[:-1], 1, x.shape[-1]))
    right = reshape(x2, shape=(*y.shape[:-2], 1, *y.shape[-2:]))
    if not x.shape[-1]:
        p = 2  # of no columns there is no largest difference: all distances are 0
    return vector_norm(left - right, p, dim=-1)
