"""Diagonals, triangles and windows."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import diagonals as gates
from tapegrad.autograd.gates.indexing import index_put

from .arguments import check_tensor, normalize_dim, on_its_gpu
from .positions import zero_of
from .selection import where
from .shape import movedim, reshape

__all__ = [
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "diagonal_scatter",
    "tril",
    "triu",
    "unfold",
]


def diag(input: Any, diagonal: int = 0) -> Any:
    """A diagonal of a matrix, or the matrix with a vector as that diagonal; above 0 is upper.

    >>> import tapegrad as tg
    >>> tg.diag(tg.tensor([1, 2])), tg.diag(tg.tensor([[1, 2], [3, 4]]), 1)
    (tensor([[1, 0],
            [0, 2]]), tensor([2]))
    """
    ndim = check_tensor("diag", input)._data.ndim
    if ndim not in (1, 2):
        raise ShapeError(f"diag: expected a vector or a matrix, got {describe(input)}")
    if ndim == 1:
        return diag_embed(input, diagonal)
    return gates.diagonal(input, offset=diagonal)


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A diagonal of the matrices in two dimensions, as the last dimension: a view.

    >>> import tapegrad as tg
    >>> tg.diagonal(tg.tensor([[1, 2, 3], [4, 5, 6]]), 1)
    tensor([2, 6])
    """
    return gates.diagonal(_matrices("diagonal", input, dim1, dim2), offset=offset)


def _matrices(name: str, input: Any, dim1: int, dim2: int) -> Any:
    """`input` with two dimensions moved to the end."""
    ndim = check_tensor(name, input)._data.ndim
    a, b = _pair(name, input, dim1, dim2, ndim)
    return input if (a, b) == (ndim - 2, ndim - 1) else movedim(input, (a, b), (-2, -1))


def _pair(name: str, input: Any, dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    a, b = normalize_dim(name, dim1, ndim), normalize_dim(name, dim2, ndim)
    if a == b:
        raise RuntimeError(f"{name}: two dimensions of {describe(input)} are needed, got {a} twice")
    return a, b


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices, in dimensions `dim1` and `dim2`, with the last dimension as a diagonal of each.

    >>> import tapegrad as tg
    >>> tg.diag_embed(tg.tensor([1, 2]), 1)
    tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]])
    """
    shape = check_tensor("diag_embed", input)._data.shape
    if not shape:
        raise IndexError("diag_embed: a tensor of no dimensions has no last dimension")
    a, b = _pair("diag_embed", input, dim1, dim2, len(shape) + 1)
    side = shape[-1] + abs(offset)
    embedded = gates.diag_embed(input, offset=offset, size=(side, side))
    if (a, b) == (len(shape) - 1, len(shape)):
        return embedded
    return movedim(embedded, (-2, -1), (a, b))


def diagflat(input: Any, offset: int = 0) -> Any:
    """The matrix with the elements of `input`, flattened, on a diagonal.

    >>> import tapegrad as tg
    >>> tg.diagflat(tg.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(reshape(check_tensor("diagflat", input), (-1,)), offset)


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """`input` with `src` written into a diagonal of the matrices in two dimensions.

    >>> import tapegrad as tg
    >>> tg.diagonal_scatter(tg.zeros(2, 2), tg.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    matrices = _matrices("diagonal_scatter", input, dim1, dim2)
    *batch, rows, columns = matrices._data.shape
    shape = (*batch, gates.diagonal_length(rows, columns, offset))
    if check_tensor("diagonal_scatter", src)._data.shape != shape:
        raise ShapeError(
            f"diagonal_scatter: src {describe(src)} does not have the shape {shape} of the diagonal"
        )
    start = offset if offset >= 0 else -offset * columns
    stop = start + shape[-1] * (columns + 1) if shape[-1] else start
    places = (..., slice(start, stop, columns + 1))  # of the diagonal in a flattened matrix
    flat = reshape(matrices, (*batch, rows * columns))
    written = index_put(flat, src.to(input._data.dtype), key=places)
    return movedim(reshape(written, matrices._data.shape), (-2, -1), (dim1, dim2))


@on_its_gpu
def tril(input: Any, diagonal: int = 0) -> Any:
    """Matrices with 0 above a diagonal.

    >>> import tapegrad as tg
    >>> tg.tril(tg.tensor([[1, 2], [3, 4]]))
    tensor([[1, 0],
            [3, 4]])
    """
    return _triangle("tril", input, diagonal, True)


@on_its_gpu
def triu(input: Any, diagonal: int = 0) -> Any:
    """Matrices with 0 below a diagonal.

    >>> import tapegrad as tg
    >>> tg.triu(tg.tensor([[1, 2], [3, 4]]), 1)
    tensor([[0, 2],
            [0, 0]])
    """
    return _triangle("triu", input, diagonal, False)


def _triangle(name: str, input: Any, offset: int, lower: bool) -> Any:
    data = check_tensor(name, input)._data
    if data.ndim < 2:
        raise RuntimeError(f"{name}: expected at least 2 dimensions, got {describe(input)}")
    zero = zero_of(data.dtype)
    mask = wrap(module_of(data).tri(*data.shape[-2:], offset if lower else offset - 1, bool))
    return where(mask, input, zero) if lower else where(mask, zero, input)


def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """Stretches of `size` every `step` along a dimension, in a new last dimension: a view.

    >>> import tapegrad as tg
    >>> tg.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    shape = check_tensor("unfold", input)._data.shape
    dim = normalize_dim("unfold", dimension, len(shape))
    if step <= 0:
        raise RuntimeError(f"unfold: step must be positive, got {step}")
    length = shape[dim] if shape else 1
    if not 0 <= size <= length:
        raise RuntimeError(f"unfold: size {size} does not fit dim {dim} of {describe(input)}")
    if not shape:
        return reshape(input, (1,))[:size]
    return gates.windows(input, dim=dim, size=size, step=step)
