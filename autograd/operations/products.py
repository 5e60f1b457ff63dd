"""Products of vectors and matrices."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import products as gates
from tapegrad.autograd.gates.shape import reshape

from .arguments import check_tensor, same_dtype

__all__ = [
    "bmm",
    "dot",
    "matmul",
    "mm",
    "mv",
    "outer",
]


def _matrices(name: str, x: Any, y: Any) -> None:
    if not x._data.ndim or not y._data.ndim:
        raise RuntimeError(
            f"{name}: both need at least 1 dimension, got {describe(x)} and {describe(y)}"
        )
    inner = y._data.shape[-2] if y._data.ndim > 1 else y._data.shape[0]
    if x._data.shape[-1] != inner:
        raise ShapeError(
            f"{name}: {describe(x)} and {describe(y)} cannot be multiplied: "
            f"{x._data.shape[-1]} columns meet {inner} rows"
        )


def matmul(input: Any, other: Any) -> Any:
    """The product of vectors, matrices, or stacks of matrices whose leading dimensions broadcast.

    >>> import tapegrad as tg
    >>> a = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> a @ a, a @ tg.tensor([1.0, 1.0])
    (tensor([[ 7., 10.],
            [15., 22.]]), tensor([3., 7.]))
    """
    return _product("matmul", input, other)


def _product(name: str, input: Any, other: Any) -> Any:
    x, y = check_tensor(name, input), check_tensor(name, other)
    _matrices(name, x, y)
    same_dtype(name, x, y)
    vector_x, vector_y = x._data.ndim == 1, y._data.ndim == 1
    if not vector_x and not vector_y:
        return gates.matmul(x, y)
    if vector_x:
        x = reshape(x, shape=(1, *x._data.shape))
    if vector_y:
        y = reshape(y, shape=(*y._data.shape, 1))
    product = gates.matmul(x, y)
    shape = product._data.shape
    if vector_y:
        shape = shape[:-1]
    if vector_x:
        shape = shape[:-1] if vector_y else (*shape[:-2], shape[-1])
    return reshape(product, shape=shape)


def _of_ranks(name: str, x: Any, y: Any, ranks: tuple[int, int]) -> Any:
    if (check_tensor(name, x)._data.ndim, check_tensor(name, y)._data.ndim) != ranks:
        raise RuntimeError(
            f"{name}: expected {ranks[0]} and {ranks[1]} dimensions, "
            f"got {describe(x)} and {describe(y)}; matmul takes any"
        )
    if ranks == (3, 3) and x._data.shape[0] != y._data.shape[0]:
        raise ShapeError(f"{name}: {describe(x)} and {describe(y)} are stacks of different length")
    return _product(name, x, y)


def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""
    return _of_ranks("mm", input, mat2, (2, 2))


def bmm(input: Any, mat2: Any) -> Any:
    """The products of two stacks of matrices, pair by pair."""
    return _of_ranks("bmm", input, mat2, (3, 3))


def mv(input: Any, vec: Any) -> Any:
    """The product of a matrix and a vector."""
    return _of_ranks("mv", input, vec, (2, 1))


def dot(input: Any, tensor: Any) -> Any:
    """The inner product of two vectors.

    >>> import tapegrad as tg
    >>> tg.dot(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return _of_ranks("dot", input, tensor, (1, 1))


def outer(input: Any, vec2: Any) -> Any:
    """All products of the elements of two vectors."""
    for value in (input, vec2):
        if check_tensor("outer", value)._data.ndim != 1:
            raise RuntimeError(f"outer: expected vectors, got {describe(value)}")
    return reshape(input, shape=(-1, 1)) * vec2
