"""Linear algebra by the names that PyTorch keeps outside `linalg`: `det`, `inverse`, `svd`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import determinants, solving
from tapegrad.autograd.gates import factorizations as gates
from tapegrad.autograd.gates.broadcasting import expand
from tapegrad.autograd.gates.products import swap
from tapegrad.autograd.gates.selection import where

from .arguments import check_matrices, on_its_gpu, same_dtype
from .factorizations import QAndR, factor, orthogonalized, svdvals
from .powers import chained, exponential, powered
from .solving import SignAndLogabsdet, pseudo_inverse

__all__ = [
    "chain_matmul",
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "det",
    "inverse",
    "logdet",
    "matrix_exp",
    "matrix_power",
    "pinverse",
    "qr",
    "slogdet",
    "svd",
    "triangular_solve",
]


class USV(NamedTuple):
    """Left singular vectors as columns, singular values, right singular vectors as columns."""

    U: Any
    S: Any
    V: Any


class TriangularSolution(NamedTuple):
    """A solution and the coefficients it was found with."""

    solution: Any
    cloned_coefficient: Any


def chain_matmul(*matrices: Any) -> Any:
    """The product of several matrices; `linalg.multi_dot` takes vectors at the ends too."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    return chained("chain_matmul", list(matrices), vectors=False)


def cholesky(input: Any, upper: bool = False) -> Any:
    """`linalg.cholesky`: the L of L L^T = input, or the U of U^T U."""
    return factor("cholesky", input, upper)


@on_its_gpu
def cholesky_solve(input: Any, L: Any, upper: bool = False) -> Any:
    """The X of A X = input for the A whose Cholesky factor is L, lower or `upper` triangular.

    >>> import tapegrad as tg
    >>> tg.cholesky_solve(tg.tensor([[4.0], [9.0]]), tg.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor([[1.],
            [1.]])
    """
    b = check_matrices("cholesky_solve", input)._data
    factors = check_matrices("cholesky_solve", L, square=True)._data
    same_dtype("cholesky_solve", input, L)
    if b.shape[-2] != factors.shape[-1]:
        raise ShapeError(f"cholesky_solve: {describe(input)} and {describe(L)} do not fit")
    return solving.cholesky_solve(input, L, upper=upper)


@on_its_gpu
def cholesky_inverse(L: Any, upper: bool = False) -> Any:
    """The inverse of the matrix whose Cholesky factor is L, lower or `upper` triangular.

    >>> import tapegrad as tg
    >>> tg.cholesky_inverse(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.2500, 0.0000],
            [0.0000, 0.0625]])
    """
    data = check_matrices("cholesky_inverse", L, square=True)._data
    unit = module_of(data).eye(data.shape[-1], dtype=data.dtype)
    return solving.cholesky_solve(wrap(unit), L, upper=upper)


def triangular_solve(
    b: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> TriangularSolution:
    """The X of A X = b, or of A^T X = b, and A; `linalg.solve_triangular` in an older form."""
    name = "triangular_solve"
    data = check_matrices(name, A, square=True)._data
    same_dtype(name, A, check_matrices(name, b))
    if b._data.shape[-2] != data.shape[-1]:
        raise ShapeError(f"{name}: {describe(A)} and {describe(b)} do not fit")
    turned, above = (swap(A), not upper) if transpose else (A, upper)
    found = solving.solve_triangular(turned, b, upper=above, unit=unitriangular)
    return TriangularSolution(found, expand(A, shape=(*found._data.shape[:-2], *data.shape[-2:])))


def det(input: Any) -> Any:
    """`linalg.det`: the determinant."""
    return determinants.det(check_matrices("det", input, square=True))


@on_its_gpu
def logdet(input: Any) -> Any:
    """The logarithm of the determinant: -inf if that is 0, NaN if it is negative.

    >>> import tapegrad as tg
    >>> tg.logdet(tg.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor(0.)
    """
    sign, logarithm = slogdet(input)
    return where(sign._data < 0, math.nan, logarithm)


def slogdet(input: Any) -> SignAndLogabsdet:
    """`linalg.slogdet`: the sign of the determinant and the logarithm of its magnitude."""
    found = determinants.slogdet(check_matrices("slogdet", input, square=True))
    return SignAndLogabsdet(*found)


def inverse(input: Any) -> Any:
    """`linalg.inv`: the inverse."""
    return solving.inverse(check_matrices("inverse", input, square=True))


def pinverse(input: Any, rcond: Any = 1e-15) -> Any:
    """`linalg.pinv`: the pseudo-inverse, by singular values above `rcond` times the largest."""
    return pseudo_inverse("pinverse", input, None, rcond, False)


def matrix_power(input: Any, n: int) -> Any:
    """`linalg.matrix_power`: a whole power, of the inverse if n is negative."""
    return powered("matrix_power", input, n)


def matrix_exp(input: Any) -> Any:
    """`linalg.matrix_exp`: the exponential of a matrix."""
    return exponential("matrix_exp", input)


def qr(input: Any, some: bool = True) -> QAndR:
    """`linalg.qr`, "reduced" if `some` and "complete" if not."""
    return orthogonalized("qr", input, "reduced" if some else "complete")


@on_its_gpu
def svd(input: Any, some: bool = True, compute_uv: bool = True) -> USV:
    """input = U diag(S) V^T, with as many columns as there are singular values, or all if not
    `some`; U and V are zeros unless `compute_uv`.

    >>> import tapegrad as tg
    >>> tg.svd(tg.tensor([[3.0, 0.0], [0.0, 2.0]])).S
    tensor([3., 2.])
    """
    data = check_matrices("svd", input)._data
    if compute_uv:
        u, s, vt = gates.svd(input, full=not some)
        return USV(u, s, swap(vt))
    xp, (*batch, m, n) = module_of(data), data.shape
    zeros = [wrap(xp.zeros((*batch, side, side), data.dtype)) for side in (m, n)]
    return USV(zeros[0], svdvals(input), zeros[1])
