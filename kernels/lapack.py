"""Factorizations and solutions of stacks of matrices, by whichever LAPACK the arrays come with.

NumPy's functions do for most of it and CuPy has them under the same names; triangular systems are
solved by SciPy's BLAS or by CuPy's. A matrix that cannot be factorized is a `LinAlgError` that says
which one of the stack it is, on a GPU too, where CuPy would go on with whatever came out.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .products import matmul

Array = Any


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix that cannot be factorized: singular, or not positive-definite, or not finite."""


def cholesky(xp: Any, x: Array) -> Array:
    """The lower triangular L with L L^T = x, of which only the lower triangle is read."""
    return _checked(xp, xp.linalg.cholesky, x, "is not positive-definite")


def inverse(xp: Any, x: Array) -> Array:
    """The inverse of each matrix."""
    return _checked(xp, xp.linalg.inv, x, "is singular")


def determinant(xp: Any, x: Array) -> Array:
    """The determinant of each matrix."""
    return _raising(xp, xp.linalg.det, x)


def sign_and_logarithm(xp: Any, x: Array) -> tuple[Array, Array]:
    """The sign of the determinant of each matrix, and the logarithm of its magnitude."""
    sign, logarithm = _raising(xp, xp.linalg.slogdet, x)
    return sign, logarithm


def eigh(xp: Any, x: Array, triangle: str) -> tuple[Array, Array]:
    """Ascending eigenvalues and eigenvectors, of symmetric matrices given by one triangle."""
    values, vectors = _checked(
        xp, lambda matrix: xp.linalg.eigh(matrix, triangle), x, "has no eigenvalues: not finite"
    )
    return values, vectors


def eigvalsh(xp: Any, x: Array, triangle: str) -> Array:
    """Ascending eigenvalues alone."""
    return _checked(
        xp, lambda matrix: xp.linalg.eigvalsh(matrix, triangle), x, "has no eigenvalues: not finite"
    )


def svd(xp: Any, x: Array, full: bool) -> tuple[Array, Array, Array]:
    """U, descending singular values, and V^T; square U and V if `full`."""
    u, values, vt = _checked(
        xp,
        lambda matrix: xp.linalg.svd(matrix, full_matrices=full),
        x,
        "has no singular values: not finite",
    )
    return u, values, vt


def singular_values(xp: Any, x: Array) -> Array:
    """Descending singular values alone."""
    return _checked(
        xp,
        lambda matrix: xp.linalg.svd(matrix, compute_uv=False),
        x,
        "has no singular values: not finite",
    )


def qr(xp: Any, x: Array, mode: str) -> tuple[Array, Array]:
    """Orthogonal Q and upper triangular R, "reduced" or "complete"."""
    q, r = xp.linalg.qr(x, mode)
    return q, r


def upper_factor(xp: Any, x: Array) -> Array:
    """The R of QR alone, reduced."""
    return xp.linalg.qr(x, "r")


def solve(xp: Any, a: Array, b: Array) -> Array:
    """The x of a x = b, where the stacks of matrices broadcast."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = xp.broadcast_to(a, (*batch, *a.shape[-2:]))
    b = xp.broadcast_to(b, (*batch, *b.shape[-2:]))
    if not b.size:
        return xp.empty(b.shape, b.dtype)
    return _checked(xp, lambda matrix: xp.linalg.solve(matrix, b), a, "is singular", xp.linalg.inv)


def solve_triangular(xp: Any, a: Array, b: Array, upper: bool, unit: bool) -> Array:
    """The x of a x = b, reading one triangle of a; a zero on its diagonal gives infinities."""
    _known(a)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = xp.broadcast_to(a, (*batch, *a.shape[-2:]))
    b = xp.broadcast_to(b, (*batch, *b.shape[-2:]))
    if not b.size:
        return xp.empty(b.shape, b.dtype)
    if xp is not np:
        library = importlib.import_module("cupyx.scipy.linalg")
        return library.solve_triangular(a, b, lower=not upper, unit_diagonal=unit)
    if math.prod(batch) > a.shape[-1]:
        return _substitute(a, b, upper, unit)
    blas = importlib.import_module("scipy.linalg.blas")  # slow to import: at first use
    trsm = blas.dtrsm if a.dtype == np.float64 else blas.strsm
    x = np.empty(b.shape, b.dtype)
    for index in np.ndindex(batch):  # x^T a^T = b^T, because BLAS counts by columns
        x[index] = trsm(1.0, a[index].T, b[index].T, side=1, lower=upper, diag=unit).T
    return x


def pseudo_inverse(xp: Any, x: Array, atol: Any, rtol: Any, symmetric: bool) -> Array:
    """V s^-1 U^T without the singular values up to max(atol, rtol times the largest)."""
    if symmetric:
        values, u = eigh(xp, x, "L")
        s, vt = abs(values), xp.swapaxes(u, -1, -2)
    else:
        u, s, vt = svd(xp, x, full=False)
        values = s
    kept = above_tolerance(xp, s, atol, rtol)
    inverted = xp.where(kept, 1 / xp.where(kept, values, 1), 0).astype(x.dtype, copy=False)
    return matmul(xp, xp.swapaxes(vt, -1, -2) * inverted[..., None, :], xp.swapaxes(u, -1, -2))


def above_tolerance(xp: Any, s: Array, atol: Any, rtol: Any) -> Array:
    """Which singular values, not ordered, exceed max(atol, rtol times the largest)."""
    largest = xp.max(s, axis=-1) if s.shape[-1] else 0.0
    return s > xp.maximum(xp.asarray(atol), rtol * largest)[..., None]


# The diagonal Pade approximant of degree 13 and up to which norm it is exact (Higham, table 2.3).
_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
    10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_NORM = 5.371920351148152


def exponential(xp: Any, x: Array) -> Array:
    """exp(x), by a rational approximation of exp(x / 2^k), squared k times."""
    _known(x)
    if not x.size:
        return xp.empty(x.shape, x.dtype)
    norm = xp.max(xp.sum(abs(x), axis=-2), axis=-1)[..., None, None]
    squarings = xp.ceil(xp.log2(xp.maximum(xp.where(xp.isfinite(norm), norm, 0) / _NORM, 1)))
    x = x / 2**squarings
    unit = xp.eye(x.shape[-1], dtype=x.dtype)
    b = [coefficient / _PADE[0] for coefficient in _PADE]
    x2 = matmul(xp, x, x)
    x4 = matmul(xp, x2, x2)
    x6 = matmul(xp, x4, x2)
    odd = matmul(xp, x6, b[13] * x6 + b[11] * x4 + b[9] * x2)
    odd = matmul(xp, x, odd + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * unit)
    even = matmul(xp, x6, b[12] * x6 + b[10] * x4 + b[8] * x2)
    even = even + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * unit
    out = solve(xp, even - odd, even + odd)
    for step in range(int(squarings.max())):
        out = xp.where(step < squarings, matmul(xp, out, out), out)
    return out


def zero_pivots(xp: Any, x: Array) -> Array:
    """For each matrix 0, or the number, from 1, of the first pivot that is 0."""
    found = np.zeros(x.shape[:-2], np.int32)
    if x.size and bool((determinant(xp, x) == 0).any()):
        library = importlib.import_module("scipy.linalg" if xp is np else "cupyx.scipy.linalg")
        for index in np.ndindex(found.shape):
            with warnings.catch_warnings():  # of what is being looked for
                warnings.simplefilter("ignore")
                factors, _ = library.lu_factor(x[index], check_finite=False)
            pivots = xp.diagonal(factors) == 0
            found[index] = int(xp.argmax(pivots)) + 1 if bool(pivots.any()) else 0
    return xp.asarray(found)


def not_positive(xp: Any, x: Array) -> Array:
    """For each symmetric matrix 0, or the order of the first leading minor that is not positive."""
    found = np.zeros(x.shape[:-2], np.int32)
    try:
        cholesky(xp, x)
    except LinAlgError:
        for index in np.ndindex(found.shape):
            minors = (k for k in range(1, x.shape[-1] + 1) if _fails(xp, x[index][:k, :k]))
            found[index] = next(minors, 0)
    return xp.asarray(found)


def _fails(xp: Any, x: Array) -> bool:
    try:
        cholesky(xp, x)
    except LinAlgError:
        return True
    return False


def _substitute(a: Array, b: Array, upper: bool, unit: bool) -> Array:
    """Row after row, for all matrices at once: quicker where there are many small ones."""
    x = np.empty(b.shape, b.dtype)
    count = a.shape[-1]
    for step in range(count):
        i = count - 1 - step if upper else step
        known = slice(i + 1, None) if upper else slice(0, i)
        rest = b[..., i, :] - np.matmul(a[..., i, None, known], x[..., known, :])[..., 0, :]
        x[..., i, :] = rest if unit else rest / a[..., i, i, None]
    return x


def _known(x: Array) -> None:
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"LAPACK computes with float32 and float64, not {x.dtype}")


def _checked(
    xp: Any,
    function: Callable[[Array], Any],
    x: Array,
    fault: str,
    trial: Callable[[Array], Any] | None = None,
) -> Any:
    """`function(x)`, or a `LinAlgError` that names the first matrix for which `trial` fails."""
    try:
        return _raising(xp, function, x)
    except np.linalg.LinAlgError:
        for index in np.ndindex(x.shape[:-2]):
            try:
                _raising(xp, trial or function, x[index])
            except np.linalg.LinAlgError:
                which = f"matrix {', '.join(map(str, index))} of the batch" if index else "it"
                raise LinAlgError(f"{which} {fault}") from None
        raise LinAlgError(f"a matrix {fault}") from None


def _raising(xp: Any, function: Callable[[Array], Any], x: Array) -> Any:
    """`function(x)`, quiet about infinities and NaN, loud about what cannot be factorized."""
    if xp is np:
        with np.errstate(all="ignore"):
            return function(x)
    with importlib.import_module("cupyx").errstate(linalg="raise"):
        return function(x)
