"""Linear equations, inverses and determinants, by the names of `linalg`.

All take stacks of matrices, (..., m, n), of float32 or float64, whose leading dimensions broadcast.
A singular matrix where a regular one is needed is a LinAlgError that says which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import array_of, describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import determinants
from tapegrad.autograd.gates import solving as gates
from tapegrad.autograd.gates.products import matmul, swap
from tapegrad.autograd.gates.reductions import sum_
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.gates.shape import permute, reshape
from tapegrad.kernels import lapack

from .arguments import check_matrices, check_tensor, normalize_dim, on_its_gpu, same_dtype
from .factorizations import svdvals, tolerances
from .norms import matrix_norm

__all__ = [
    "cond",
    "det",
    "inv",
    "inv_ex",
    "lstsq",
    "pinv",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "tensorinv",
    "tensorsolve",
]


class InverseAndInfo(NamedTuple):
    """Inverses, and for each matrix 0 or which pivot is 0."""

    inverse: Any
    info: Any


class ResultAndInfo(NamedTuple):
    """Solutions, and for each matrix 0 or which pivot is 0."""

    result: Any
    info: Any


class SignAndLogabsdet(NamedTuple):
    """The sign of a determinant and the logarithm of its magnitude."""

    sign: Any
    logabsdet: Any


class LeastSquares(NamedTuple):
    """A solution of least squares and what else the driver computes, or nothing."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def inv(A: Any) -> Any:
    """The inverse: A^-1 A = 1. LinAlgError if A is singular; `solve` is quicker and more exact.

    >>> import tapegrad as tg
    >>> tg.linalg.inv(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return gates.inverse(check_matrices("linalg.inv", A, square=True))


@on_its_gpu
def inv_ex(A: Any, *, check_errors: bool = False) -> InverseAndInfo:
    """`inv` and an integer for each matrix: 0, or which pivot is 0; its inverse is then NaN.

    >>> import tapegrad as tg
    >>> tg.linalg.inv_ex(tg.zeros(2, 2)).info
    tensor(1, dtype=int32)
    """
    check_matrices("linalg.inv_ex", A, square=True)
    if check_errors:
        inverted = gates.inverse(A)
        return InverseAndInfo(inverted, _no_fault(A))
    return InverseAndInfo(*_where_regular(A, gates.inverse))


def _no_fault(A: Any) -> Any:
    data = array_of(A)
    return wrap(module_of(data).zeros(data.shape[:-2], "int32"))


def _where_regular(A: Any, function: Any) -> tuple[Any, Any]:
    """`function(A)`, NaN for matrices that are singular, and their faults."""
    data = array_of(A)
    xp = module_of(data)
    info = lapack.zero_pivots(xp, data)
    singular = (info != 0)[..., None, None]
    if not bool(singular.any()):
        return function(A), wrap(info)
    found = function(where(singular, xp.eye(data.shape[-1], dtype=data.dtype), A))
    return where(singular, math.nan, found), wrap(info)


def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """The X of A X = B, or of X A = B if not `left`. LinAlgError if A is singular.

    B is a vector if it has one dimension, or the shape of A without the last; else a matrix. Stacks
    broadcast.

    >>> import tapegrad as tg
    >>> tg.linalg.solve(tg.tensor([[2.0, 0.0], [0.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([0.5000, 0.2500])
    """
    A, B, shape = _system("linalg.solve", A, B, left)
    return _solution(gates.solve(A, B), left, shape)


@on_its_gpu
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> ResultAndInfo:
    """`solve` and an integer for each matrix: 0, or which pivot is 0; its solution is then NaN.

    >>> import tapegrad as tg
    >>> tg.linalg.solve_ex(tg.eye(2), tg.ones(2))
    ResultAndInfo(result=tensor([1., 1.]), info=tensor(0, dtype=int32))
    """
    A, B, shape = _system("linalg.solve_ex", A, B, left)
    if check_errors:
        return ResultAndInfo(_solution(gates.solve(A, B), left, shape), _no_fault(A))
    found, info = _where_regular(A, lambda regular: gates.solve(regular, B))
    return ResultAndInfo(_solution(found, left, shape), info)


def _system(name: str, A: Any, B: Any, left: bool) -> tuple[Any, Any, Any]:
    """A and B of A X = B with matrices, and the shape of X where that is a vector."""
    a, b = check_matrices(name, A, square=True)._data, check_tensor(name, B)._data
    same_dtype(name, A, B)
    if _is_vector(a.shape, b.shape):
        if not left:
            raise ShapeError(f"{name}: X A = B needs a matrix for B, got {describe(B)}")
        if b.shape[-1] != a.shape[-1]:
            raise ShapeError(f"{name}: {describe(A)} and {describe(B)} do not fit")
        batch = _batch(name, A, B, a.shape[:-2], b.shape[:-1])
        return A, reshape(B, shape=(*b.shape, 1)), (*batch, b.shape[-1])
    if b.ndim < 2 or b.shape[-2 if left else -1] != a.shape[-1]:
        raise ShapeError(f"{name}: {describe(A)} and {describe(B)} do not fit")
    _batch(name, A, B, a.shape[:-2], b.shape[:-2])
    return (A, B, None) if left else (swap(A), swap(B), None)


def _is_vector(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return len(b) == 1 or (len(a) - 1 == len(b) and a[:-1] == b)


def _batch(
    name: str, A: Any, B: Any, first: tuple[int, ...], second: tuple[int, ...]
) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        raise ShapeError(
            f"{name}: the leading dimensions of {describe(A)} and {describe(B)} do not broadcast"
        ) from None


def _solution(X: Any, left: bool, shape: Any) -> Any:
    if shape is not None:
        return reshape(X, shape=shape)
    return X if left else swap(X)


def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """The X of A X = B, or of X A = B if not `left`, for a triangular A. Stacks broadcast.

    Only the triangle that `upper` names is read, and the diagonal is taken for ones if
    `unitriangular`; what is not read receives no gradient. A zero on the diagonal gives infinities.

    >>> import tapegrad as tg
    >>> a, b = tg.tensor([[2.0, 1.0], [0.0, 4.0]]), tg.tensor([[4.0], [4.0]])
    >>> tg.linalg.solve_triangular(a, b, upper=True)
    tensor([[1.5000],
            [1.0000]])
    """
    name = "linalg.solve_triangular"
    a, b = check_matrices(name, A, square=True)._data, check_matrices(name, B)._data
    same_dtype(name, A, B)
    if b.shape[-2 if left else -1] != a.shape[-1]:
        raise ShapeError(f"{name}: {describe(A)} and {describe(B)} do not fit")
    _batch(name, A, B, a.shape[:-2], b.shape[:-2])
    if left:
        return gates.solve_triangular(A, B, upper=upper, unit=unitriangular)
    return swap(gates.solve_triangular(swap(A), swap(B), upper=not upper, unit=unitriangular))


def det(A: Any) -> Any:
    """The determinant. Its gradient, the cofactors, is right for singular matrices too.

    >>> import tapegrad as tg
    >>> x = tg.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    >>> tg.linalg.det(x).backward()
    >>> x.grad
    tensor([[ 4., -2.],
            [-2.,  1.]])
    """
    return determinants.det(check_matrices("linalg.det", A, square=True))


def slogdet(A: Any) -> SignAndLogabsdet:
    """The sign of the determinant and the logarithm of its magnitude: 0 and -inf if it is 0.

    >>> import tapegrad as tg
    >>> tg.linalg.slogdet(tg.tensor([[0.0, 1.0], [1.0, 0.0]]))
    SignAndLogabsdet(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    found = determinants.slogdet(check_matrices("linalg.slogdet", A, square=True))
    return SignAndLogabsdet(*found)


@on_its_gpu
def cond(A: Any, p: Any = None) -> Any:
    """How much an error in B may grow in the solution of A X = B: |A| |A^-1| in the norm `p`.

    `p` is as in `matrix_norm`; None and 2 divide the largest by the smallest singular value, of
    matrices that need not be square. Infinite if A is singular.

    >>> import tapegrad as tg
    >>> tg.linalg.cond(tg.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2.)
    """
    data = check_matrices("linalg.cond", A, square=p not in (None, 2, -2))._data
    if p in (None, 2, -2):
        values = svdvals(A)
        if not values._data.shape[-1]:
            raise ArgumentError(f"linalg.cond: there are no singular values of {describe(A)}")
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest
    if not data.shape[-1]:
        return sum_(A, dims=(data.ndim - 2, data.ndim - 1), keepdim=False)
    inverted, info = _where_regular(A, gates.inverse)
    found = matrix_norm(A, p) * matrix_norm(inverted, p)
    return where(info._data != 0, math.inf, found)


def pinv(
    A: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """The pseudo-inverse of Moore and Penrose, by singular values above max(atol, rtol largest).

    Tolerances are as in `matrix_rank`; `hermitian` takes A for symmetric; `rcond` is an older name
    of `rtol`. Differentiable where the rank stays what it is.

    >>> import tapegrad as tg
    >>> tg.linalg.pinv(tg.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    return pseudo_inverse("linalg.pinv", A, atol, rcond if rtol is None else rtol, hermitian)


def pseudo_inverse(name: str, A: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    """The pseudo-inverse, for a function called `name`."""
    data = check_matrices(name, A, square=hermitian)._data
    atol, rtol = tolerances(data, atol, rtol)
    return gates.pinv(A, atol=atol, rtol=rtol, symmetric=hermitian)


@on_its_gpu
def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """The X of least length among those with the least |A X - B|; its gradient needs a full rank.

    B is a vector or a matrix, as in `solve`. `driver` says what else is computed: the rank
    ("gelsy", the default), or rank, singular values and squared residuals ("gelsd", "gelss"), or
    residuals alone ("gels"); residuals only for m > n and full rank.

    >>> import tapegrad as tg
    >>> a, b = tg.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), tg.tensor([1.0, 2.0, 3.0])
    >>> tg.linalg.lstsq(a, b).solution
    tensor([1.0000, 1.0000])
    """
    name = "linalg.lstsq"
    a, b = check_matrices(name, A)._data, check_tensor(name, B)._data
    same_dtype(name, A, B)
    driver = "gelsy" if driver is None else driver
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise ArgumentError(
            f"{name}: driver must be 'gels', 'gelsy', 'gelsd' or 'gelss', got {driver!r}"
        )
    vector = _is_vector(a.shape, b.shape)
    if b.shape[-1 if vector else -2] != a.shape[-2]:
        raise ShapeError(f"{name}: {describe(A)} and {describe(B)} do not fit")
    right = reshape(B, shape=(*b.shape, 1)) if vector else B
    _batch(name, A, B, a.shape[:-2], right._data.shape[:-2])
    inverted = pseudo_inverse(name, A, None, rcond, False)
    solution = matmul(inverted, right)
    xp = module_of(a)
    values = lapack.singular_values(xp, a)
    rank = xp.sum(lapack.above_tolerance(xp, values, *tolerances(a, None, rcond)), axis=-1)
    nothing = wrap(xp.empty((0,), a.dtype))
    residuals = solution[..., 0, 0].reshape(-1)[:0] if solution._data.size else nothing
    if driver != "gelsy" and a.shape[-2] > a.shape[-1] and bool((rank == a.shape[-1]).all()):
        missed = matmul(A, solution) - right
        residuals = sum_(missed * missed, dims=(missed._data.ndim - 2,), keepdim=False)
    if vector:
        solution = reshape(solution, shape=solution._data.shape[:-1])
    return LeastSquares(
        solution,
        residuals,
        wrap(xp.empty((0,), "int64") if driver == "gels" else rank),
        wrap(values) if driver in ("gelsd", "gelss") else nothing,
    )


def tensorinv(A: Any, ind: int = 2) -> Any:
    """The B with tensordot(B, A, ind) the identity: the first `ind` dimensions are its rows.

    >>> import tapegrad as tg
    >>> tg.linalg.tensorinv(tg.eye(6).reshape(2, 3, 6), ind=2).shape
    (6, 2, 3)
    """
    shape = check_tensor("linalg.tensorinv", A)._data.shape
    if ind <= 0:
        raise ArgumentError(f"linalg.tensorinv: ind must be positive, got {ind}")
    rows, columns = shape[:ind], shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise ShapeError(
            f"linalg.tensorinv: {describe(A)} is not square: its first {ind} dimensions have "
            f"{math.prod(rows)} elements and the others {math.prod(columns)}"
        )
    inverted = inv(reshape(A, shape=(math.prod(rows), math.prod(columns))))
    return reshape(inverted, shape=(*columns, *rows))


def tensorsolve(A: Any, B: Any, dims: Sequence[int] | None = None) -> Any:
    """The X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end before.

    >>> import tapegrad as tg
    >>> tg.linalg.tensorsolve(tg.eye(6).reshape(2, 3, 2, 3), tg.ones(2, 3)).shape
    (2, 3)
    """
    name = "linalg.tensorsolve"
    ndim, b = check_tensor(name, A)._data.ndim, check_tensor(name, B)._data
    if dims is not None:
        last = [normalize_dim(name, d, ndim) for d in dims]
        A = permute(A, dims=(*(d for d in range(ndim) if d not in last), *last))
    shape = A._data.shape[b.ndim :]
    if math.prod(shape) != math.prod(A._data.shape[: b.ndim]) or math.prod(shape) != b.size:
        raise ShapeError(f"{name}: {describe(A)} and {describe(B)} do not fit")
    solved = solve(reshape(A, shape=(b.size, b.size)), reshape(B, shape=(b.size,)))
    return reshape(solved, shape=shape)
