"""Factorizations of matrices, by the names of `linalg`: Cholesky, QR, eigenvalues, singular values.

All take stacks of matrices, (..., m, n), of float32 or float64. The derivatives of eigenvectors and
singular vectors are infinite where eigenvalues or singular values coincide, and those vectors are
determined only up to their sign: a loss should not depend on it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tapegrad.autograd.arrays import int32, module_of
from tapegrad.autograd.engine import array_of, needs_gradient, wrap
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import factorizations as gates
from tapegrad.autograd.gates.products import swap
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.records import get_mode
from tapegrad.kernels import lapack

from .arguments import check_matrices, on_its_gpu

__all__ = [
    "cholesky",
    "cholesky_ex",
    "eigh",
    "eigvalsh",
    "matrix_rank",
    "qr",
    "svd",
    "svdvals",
]


class LAndInfo(NamedTuple):
    """A Cholesky factor, and for each matrix 0 or the order of the minor that is not positive."""

    L: Any
    info: Any


class EigenvaluesAndEigenvectors(NamedTuple):
    """Eigenvalues, ascending, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class QAndR(NamedTuple):
    """An orthogonal and an upper triangular factor."""

    Q: Any
    R: Any


class Svd(NamedTuple):
    """Left singular vectors as columns, singular values, right singular vectors as rows."""

    U: Any
    S: Any
    Vh: Any


def cholesky(A: Any, *, upper: bool = False) -> Any:
    """The lower triangular L with L L^T = A for a symmetric, positive-definite A.

    With `upper`, U with U^T U = A. One triangle of A is read, the one that is asked for; the
    gradient is that of a symmetric A. LinAlgError if A is not positive-definite.

    >>> import tapegrad as tg
    >>> tg.linalg.cholesky(tg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return factor("linalg.cholesky", A, upper)


def factor(name: str, A: Any, upper: bool) -> Any:
    """The Cholesky factor, for a function called `name`."""
    check_matrices(name, A, square=True)
    return swap(gates.cholesky(swap(A))) if upper else gates.cholesky(A)


@on_its_gpu
def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> LAndInfo:
    """`cholesky` and an integer for each matrix: 0, or which leading minor is not positive.

    If one is not, the factors are NaN; with `check_errors` that is an error.

    >>> import tapegrad as tg
    >>> tg.linalg.cholesky_ex(-tg.eye(2)).info
    tensor(1, dtype=int32)
    """
    name = "linalg.cholesky_ex"
    data = check_matrices(name, A, square=True)._data
    xp = module_of(data)
    try:
        return LAndInfo(factor(name, A, upper), wrap(xp.zeros(data.shape[:-2], int32)))
    except lapack.LinAlgError:
        if check_errors:
            raise
    info = lapack.not_positive(xp, xp.swapaxes(data, -1, -2) if upper else data)
    failed = (info != 0)[..., None, None]
    unit = xp.eye(data.shape[-1], dtype=data.dtype)
    found = factor(name, where(failed, unit, A), upper)
    return LAndInfo(where(failed, math.nan, found), wrap(info))


def eigh(A: Any, UPLO: str = "L") -> EigenvaluesAndEigenvectors:
    """A = V diag(w) V^T for a symmetric A, of which only the lower triangle ("L") or "U" is read.

    >>> import tapegrad as tg
    >>> tg.linalg.eigh(tg.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    check_matrices("linalg.eigh", A, square=True)
    return EigenvaluesAndEigenvectors(*gates.eigh(A, triangle=_triangle("linalg.eigh", UPLO)))


def eigvalsh(A: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric A, ascending; their gradient is finite even if some coincide.

    >>> import tapegrad as tg
    >>> tg.linalg.eigvalsh(tg.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([-1.,  1.])
    """
    check_matrices("linalg.eigvalsh", A, square=True)
    triangle = _triangle("linalg.eigvalsh", UPLO)
    if _recorded(A):
        return gates.eigh(A, triangle=triangle)[0]
    return gates.eigvalsh(A, triangle=triangle)


def _recorded(A: Any) -> bool:
    """Whether the vectors are needed too, for the gradient of the values."""
    return needs_gradient(A) and get_mode().recording


def _triangle(name: str, UPLO: str) -> str:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise ArgumentError(f"{name}: UPLO must be 'L' or 'U', got {UPLO!r}")
    return UPLO.upper()


def qr(A: Any, mode: str = "reduced") -> QAndR:
    """A = Q R with orthogonal Q and upper triangular R.

    mode           "reduced": Q is (m, k) and R (k, n) for k = min(m, n); "complete": (m, m) and
                   (m, n), without gradient if m > n; "r": R alone, Q is empty, without gradient

    >>> import tapegrad as tg
    >>> q, r = tg.linalg.qr(tg.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> tg.allclose(q @ r, tg.tensor([[3.0, 1.0], [4.0, 2.0]]), atol=1e-6)
    True
    """
    return orthogonalized("linalg.qr", A, mode)


def orthogonalized(name: str, A: Any, mode: str) -> QAndR:
    """Q and R, for a function called `name`."""
    data = check_matrices(name, A)._data
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"{name}: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    if mode == "r":
        return QAndR(wrap(module_of(data).empty((0,), data.dtype)), gates.upper_factor(A))
    return QAndR(*gates.qr(A, complete=mode == "complete"))


def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> Svd:
    """A = U diag(S) Vh with orthogonal U and Vh, and singular values S >= 0, descending.

    With `full_matrices` U is (m, m) and Vh (n, n), else they have k = min(m, n) columns and rows;
    what is beyond k receives no gradient. `driver` is accepted and does not matter.

    >>> import tapegrad as tg
    >>> tg.linalg.svd(tg.tensor([[3.0, 0.0], [0.0, -2.0]])).S
    tensor([3., 2.])
    """
    check_matrices("linalg.svd", A)
    return Svd(*gates.svd(A, full=full_matrices))


def svdvals(A: Any, *, driver: str | None = None) -> Any:
    """The singular values, descending; their gradient is finite even if some coincide.

    >>> import tapegrad as tg
    >>> tg.linalg.svdvals(tg.tensor([[3.0, 0.0], [0.0, -2.0]]))
    tensor([3., 2.])
    """
    check_matrices("linalg.svdvals", A)
    return gates.svd(A, full=False)[1] if _recorded(A) else gates.svdvals(A)


@on_its_gpu
def matrix_rank(
    A: Any,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Any:
    """How many singular values exceed max(atol, rtol times the largest).

    `rtol` is max(m, n) times the dtype's precision unless a tolerance is given. `hermitian` takes
    the magnitudes of the eigenvalues of a symmetric A instead. `tol` is an older name of `atol`.

    >>> import tapegrad as tg
    >>> tg.linalg.matrix_rank(tg.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    data = check_matrices("linalg.matrix_rank", A, square=hermitian)._data
    xp = module_of(data)
    atol, rtol = tolerances(data, tol if atol is None else atol, rtol)
    values = abs(lapack.eigvalsh(xp, data, "L")) if hermitian else lapack.singular_values(xp, data)
    return wrap(xp.sum(lapack.above_tolerance(xp, values, atol, rtol), axis=-1))


def tolerances(data: Any, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """An absolute and a relative tolerance, this one by default of the dtype's precision."""
    atol, rtol = array_of(atol), array_of(rtol)
    if rtol is None:
        precision = max(data.shape[-2:]) * float(module_of(data).finfo(data.dtype).eps)
        if atol is None:
            rtol = precision
        elif hasattr(atol, "shape"):
            rtol = module_of(data).where(atol > 0, 0.0, precision)
        else:
            rtol = 0.0 if atol > 0 else precision
    return 0.0 if atol is None else atol, rtol
