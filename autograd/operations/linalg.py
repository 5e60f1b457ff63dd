"""What `tapegrad.linalg` consists of, gathered.

Some of these have other arguments than the functions of the same name in `tapegrad` itself, where
they do not appear.
"""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import FLOATS, int64
from tapegrad.autograd.engine import cast, describe
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates.shape import cat, reshape
from tapegrad.kernels.lapack import LinAlgError

from . import diagonals, factorizations, norms, powers, products, solving
from .arguments import number_tensor, numpy_names
from .creation import ones_like
from .factorizations import *  # noqa: F403
from .norms import *  # noqa: F403
from .powers import *  # noqa: F403
from .products import matmul
from .solving import *  # noqa: F403

__all__ = [
    *factorizations.__all__,
    *norms.__all__,
    *powers.__all__,
    *solving.__all__,
    "LinAlgError",
    "cross",
    "diagonal",
    "matmul",
    "vander",
]


@numpy_names
def cross(input: Any, other: Any, *, dim: int = -1) -> Any:
    """The vector product along a dimension of size 3; the other dimensions broadcast.

    >>> import tapegrad as tg
    >>> tg.linalg.cross(tg.tensor([1.0, 0.0, 0.0]), tg.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return products.cross_along("linalg.cross", input, other, dim)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices that lie along two dimensions; above 0 `offset` is upper.

    >>> import tapegrad as tg
    >>> tg.linalg.diagonal(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return diagonals.diagonal(A, offset, dim1, dim2)


def vander(x: Any, *, N: int | None = None) -> Any:
    """The powers 0 to N - 1 of every number, along a new last dimension; N is its length if None.

    >>> import tapegrad as tg
    >>> tg.linalg.vander(tg.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    data = number_tensor("linalg.vander", x)._data
    count = (data.shape[-1] if data.ndim else 1) if N is None else N
    if count < 2:
        raise ArgumentError(f"linalg.vander: N must be more than 1, got {count} for {describe(x)}")
    base = reshape(x, shape=(*(data.shape or (1,)), 1))
    if data.dtype not in FLOATS:
        base = cast(base, dtype=int64)
    powers, largest = ones_like(base), base
    while (known := powers._data.shape[-1]) < count:  # twice as many each time
        new = powers[..., : count - known] * largest
        powers = cat(powers, new, sizes=(known, new._data.shape[-1]), dim=base._data.ndim - 1)
        largest = largest * largest
    return powers[..., :count]
