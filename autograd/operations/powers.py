"""Matrices multiplied one after the other, by the names of `linalg`: products, powers, exp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.arrays import HALVES, float32, module_of
from tapegrad.autograd.engine import cast, describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import solving as gates
from tapegrad.autograd.gates.copies import clone
from tapegrad.autograd.gates.products import matmul
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.gates.shape import reshape

from .arguments import check_matrices, check_tensor, same_dtype

__all__ = [
    "matrix_exp",
    "matrix_power",
    "multi_dot",
]


def multi_dot(tensors: Sequence[Any]) -> Any:
    """The product of several matrices, in the order that takes the fewest multiplications.

    The first and the last may be vectors.

    >>> import tapegrad as tg
    >>> a, v = tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0])
    >>> tg.linalg.multi_dot([v, a, a, v])
    tensor(54.)
    """
    return chained("linalg.multi_dot", list(tensors), vectors=True)


def chained(name: str, tensors: list[Any], vectors: bool) -> Any:
    """The product of matrices, for a function called `name`."""
    if len(tensors) < (2 if vectors else 1):
        raise ArgumentError(f"{name}: expected at least 2 tensors, got {len(tensors)}")
    for i, tensor in enumerate(tensors):
        ranks = (1, 2) if vectors and i in (0, len(tensors) - 1) else (2,)
        if check_tensor(name, tensor)._data.ndim not in ranks:
            raise ShapeError(f"{name}: tensor {i} is {describe(tensor)}, which is not a matrix")
    same_dtype(name, *tensors)
    first, last = tensors[0]._data.shape, tensors[-1]._data.shape
    if len(first) == 1:
        tensors[0] = reshape(tensors[0], shape=(1, *first))
    if len(last) == 1:
        tensors[-1] = reshape(tensors[-1], shape=(*last, 1))
    sizes = [tensor._data.shape[0] for tensor in tensors] + [tensors[-1]._data.shape[1]]
    for i, tensor in enumerate(tensors):
        if tensor._data.shape[1] != sizes[i + 1]:
            given = ", ".join(map(describe, tensors))
            raise ShapeError(f"{name}: {given} cannot be multiplied one after the other")
    product = _in_order(tensors, _best_splits(sizes), 0, len(tensors) - 1)
    shape = (*first[:-1], *last[1:])
    return product if product._data.shape == shape else reshape(product, shape=shape)


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split the product of matrices i to j (Cormen et al., "Matrix-chain
    multiplication")."""
    count = len(sizes) - 1
    cost, splits = {(i, i): 0 for i in range(count)}, {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], splits[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return splits


def _in_order(tensors: list[Any], splits: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return tensors[i]
    k = splits[i, j]
    return matmul(_in_order(tensors, splits, i, k), _in_order(tensors, splits, k + 1, j))


def matrix_power(A: Any, n: int) -> Any:
    """A multiplied with itself, n times in all; of the inverse for a negative n.

    >>> import tapegrad as tg
    >>> tg.linalg.matrix_power(tg.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    return powered("linalg.matrix_power", A, n)


def powered(name: str, A: Any, n: int) -> Any:
    """A power of A, for a function called `name`."""
    data = check_matrices(name, A, square=True)._data
    if not n:  # selects: a NaN stays where it is
        return where(True, module_of(data).eye(data.shape[-1], dtype=data.dtype), A)
    square = gates.inverse(A) if n < 0 else A
    left, result = abs(n), None
    while left:
        if left & 1:
            result = square if result is None else matmul(result, square)
        left >>= 1
        square = matmul(square, square) if left else square
    return clone(result) if n == 1 else result


def matrix_exp(A: Any) -> Any:
    """The exponential of a matrix: 1 + A + A^2 / 2 + A^3 / 6 + ...

    By Pade approximation, scaling and squaring: Higham, "The scaling and squaring method for the
    matrix exponential revisited" (2005).

    >>> import tapegrad as tg
    >>> tg.linalg.matrix_exp(tg.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return exponential("linalg.matrix_exp", A)


def exponential(name: str, A: Any) -> Any:
    """The exponential, for a function called `name`; of half types by way of float32."""
    dtype = check_tensor(name, A)._data.dtype
    if dtype in HALVES:
        return cast(exponential(name, cast(A, dtype=float32)), dtype=dtype)
    return gates.matrix_exp(check_matrices(name, A, square=True))
