"""How far vectors are apart, and how alike their directions are."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import HALVES, float32, module_of, result_type
from tapegrad.autograd.engine import cast, describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates.indexing import index
from tapegrad.autograd.operations.arguments import (
    check_tensors,
    normalize_dim,
    numpy_names,
    on_its_gpu,
    same_device,
)
from tapegrad.kernels.selection import may_hold

from .arguments import float_tensor

__all__ = [
    "cosine_similarity",
    "pairwise_distance",
    "pdist",
]


@on_its_gpu
@numpy_names
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle along a dimension: `x y / (max(|x|, eps) max(|y|, eps))`.

    The gradient passes the bound `eps` as if it were not there; that of the length of 0 is 0.

    Args:
        x1, x2: floating tensors, broadcast.
        dim: of the vectors. Default: 1.
        eps: the least length. Default: 1e-8.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.cosine_similarity(tg.tensor([[3.0, 0.0]]), tg.tensor([[2.0, 2.0]]))
    tensor([0.7071])
    """
    same_device("cosine_similarity", x1, x2)
    x1, x2 = _broadcast("cosine_similarity", *check_tensors("cosine_similarity", x1, x2))
    dim = normalize_dim("cosine_similarity", dim, x1.ndim)
    dtype = result_type(x1._data, x2._data)
    wider = float32 if dtype in HALVES else dtype  # in halves the products overflow
    x1, x2 = (x if x._data.dtype == wider else cast(x, dtype=wider) for x in (x1, x2))
    float_tensor("cosine_similarity", x1)
    lengths = _length(x1, dim, eps) * _length(x2, dim, eps)
    cosine = (x1 * x2).sum(dim) / lengths
    return cast(cosine, dtype=dtype) if dtype in HALVES else cosine


def _length(x: Tensor, dim: int, eps: float) -> Tensor:
    length = ops.norm(x, 2, dim)
    short = eps - length.detach()
    if may_hold(module_of(short._data), short._data > 0):
        length = length + ops.where(short > 0, short, 0.0)
    return length


def _broadcast(name: str, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    if x1.shape == x2.shape:
        return x1, x2
    try:
        shape = ops.broadcast_shapes(x1.shape, x2.shape)
    except RuntimeError:
        raise ShapeError(f"{name}: {describe(x1)} and {describe(x2)} do not broadcast") from None
    return ops.expand(x1, shape), ops.expand(x2, shape)


@numpy_names
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last dimension.

    Args:
        x1, x2: vectors (N, D) or (D,), broadcast.
        p: the power of the norm. Default: 2.
        eps: added to every difference, so that equal vectors are not at the corner. Default: 1e-6.
        keepdim: whether the last dimension stays, as 1. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.pairwise_distance(tg.tensor([[3.0, 0.0]]), tg.tensor([[0.0, 4.0]]))
    tensor([5.])
    """
    x1, x2 = check_tensors("pairwise_distance", x1, x2)
    return ops.norm(x1 - x2 + eps, p, -1, keepdim)


@on_its_gpu
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distances of the rows of a matrix, those of i < j: (0, 1), (0, 2), ..., (1, 2)...

    The gradient of the distance of equal rows is 0.

    Args:
        input: (N, D).
        p: the power, not negative. Default: 2.

    Returns:
        (N (N - 1) / 2,).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.pdist(tg.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])).tolist()
    [5.0, 1.0, 4.242640495300293]
    """
    if float_tensor("pdist", input).ndim != 2:
        raise ShapeError(f"pdist: expected a matrix (N, D), got {describe(input)}")
    if p < 0:
        raise ArgumentError(f"pdist: p must not be negative, not {p}")
    xp: Any = module_of(input._data)
    first, second = xp.triu_indices(len(input), 1)
    return ops.norm(index(input, key=first) - index(input, key=second), p, -1)
