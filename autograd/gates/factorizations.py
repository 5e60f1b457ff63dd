"""Matrices as products of simpler ones: Cholesky, QR, eigenvalues, singular values.

Each takes a stack of matrices. The derivatives are those of Giles, "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation" (2008), those of QR by Roberts and
Roberts, "QR and LQ decomposition matrix backpropagation algorithms for square, wide, and deep
matrices" (arXiv:2009.10071), and those of the singular value decomposition by Townsend,
"Differentiating the singular value decomposition" (2016). They are written in the outputs alone.

Eigenvectors and singular vectors are determined only up to sign, and not at all where values
coincide: derivatives by way of vectors divide by the difference of the values. What nobody asks
for is 0, however; the derivatives of the values stay finite.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import Gate, array_of
from tapegrad.autograd.records import Node
from tapegrad.kernels import lapack

from .indexing import index
from .products import matmul, swap
from .selection import where
from .shape import cat, reshape
from .solving import solve_triangular


def column(x: Any) -> Any:
    """Vectors as matrices of one column."""
    return reshape(x, shape=(*x.shape, 1))


def row(x: Any) -> Any:
    """Vectors as matrices of one row."""
    return reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def _quotient(x: Any, y: Any) -> Any:
    """x / y, and 0 where x is 0: nothing is asked for there."""
    none = x == 0
    return where(none, 0.0, x / where(none, 1.0, y))


def _by_differences(x: Any, values: Any) -> Any:
    """x[i][j] / (values[j] - values[i]), and 0 on the diagonal."""
    return _quotient(where(_diagonal(x), 0.0, x), row(values) - column(values))


def mirrored(x: Any) -> Any:
    """The symmetric matrix with the lower triangle of x."""
    below = module_of(array_of(x)).tri(x.shape[-1], dtype=bool)
    return where(below, x, swap(x))


def _diagonal(x: Any) -> Any:
    return module_of(array_of(x)).eye(x.shape[-1], dtype=bool)


def with_diagonal(x: Any, values: Any) -> Any:
    """x, `values` on its diagonal."""
    return where(_diagonal(x), column(values), x)


class Cholesky(Gate):
    """The lower triangular L with L L^T = x, of which only the lower triangle is read.

    The gradient is that of a symmetric x: L^-T sym(L^T g) L^-1, halved.
    """

    needs: ClassVar = {"x": "out"}

    def forward(self, xp: Any, x: Any) -> Any:
        return lapack.cholesky(xp, x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        inner = matmul(swap(out), grad)
        inner = mirrored(inner) * 0.5
        left = solve_triangular(swap(out), inner, upper=True, unit=False)
        return solve_triangular(swap(out), swap(left), upper=True, unit=False)


class Eigh(Gate):
    """Eigenvalues w, ascending, and eigenvectors V of a symmetric x, given by one triangle of it.

    The gradient is V (diag(gw) + skew(V^T gV)[i][j] / (w[j] - w[i])) V^T.
    """

    needs: ClassVar = {"x": "out"}
    outputs: ClassVar = None

    def forward(self, xp: Any, x: Any, *, triangle: str) -> Any:
        return lapack.eigh(xp, x, triangle)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, triangle: str) -> Any:
        (to_values, to_vectors), (values, vectors) = grad, out
        inner = matmul(swap(vectors), to_vectors)
        inner = _by_differences((inner - swap(inner)) * 0.5, values)
        return matmul(matmul(vectors, with_diagonal(inner, to_values)), swap(vectors))


class Eigvalsh(Gate):
    """Eigenvalues alone, where no gradient is wanted."""

    def forward(self, xp: Any, x: Any, *, triangle: str) -> Any:
        return lapack.eigvalsh(xp, x, triangle)


class Svd(Gate):
    """x = U diag(s) V^T with s descending; `full` makes U and V square.

    The gradient of s is U diag(g) V^T. The columns that `full` adds are any that fit, and receive
    none.
    """

    needs: ClassVar = {"x": "out"}
    outputs: ClassVar = None

    def forward(self, xp: Any, x: Any, *, full: bool) -> Any:
        return lapack.svd(xp, x, full)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, full: bool) -> Any:
        (to_u, to_s, to_vt), (u, s, vt) = grad, out
        rows, columns, count = u.shape[-2], vt.shape[-1], s.shape[-1]
        if full:
            of_u, of_vt = (..., slice(0, count)), (..., slice(0, count), slice(None))
            to_u, u = index(to_u, key=of_u), index(u, key=of_u)
            to_vt, vt = index(to_vt, key=of_vt), index(vt, key=of_vt)
        from_u, from_v = matmul(swap(u), to_u), matmul(vt, swap(to_vt))
        squares = s * s
        inner = _by_differences(from_u - swap(from_u), squares) * row(s)
        inner = inner + _by_differences(from_v - swap(from_v), squares) * column(s)
        gradient = matmul(matmul(u, with_diagonal(inner, to_s)), vt)
        if rows > count:
            outside = to_u - matmul(u, from_u)
            gradient = gradient + matmul(_quotient(outside, row(s)), vt)
        if columns > count:
            outside = to_vt - matmul(swap(from_v), vt)
            gradient = gradient + matmul(u, _quotient(outside, column(s)))
        return gradient


class Svdvals(Gate):
    """Singular values alone, where no gradient is wanted."""

    def forward(self, xp: Any, x: Any) -> Any:
        return lapack.singular_values(xp, x)


class Qr(Gate):
    """x = Q R with orthogonal Q and upper triangular R; Q is square if `complete`.

    For M = R gR^T - gQ^T Q the gradient is (gQ + Q sym(M)) R^-T, where sym mirrors the lower
    triangle; the columns of a wide x beyond the square part are Q times those of R.
    """

    needs: ClassVar = {"x": "out"}
    outputs: ClassVar = None

    def forward(self, xp: Any, x: Any, *, complete: bool) -> Any:
        return lapack.qr(xp, x, "complete" if complete else "reduced")

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, complete: bool) -> Any:
        (to_q, to_r), (q, r) = grad, out
        rows, columns = q.shape[-2], r.shape[-1]
        if complete and rows > columns:
            raise RuntimeError(
                "linalg.qr: with mode='complete' and more rows than columns the last columns of Q "
                "are any that fit, and have no derivative; use mode='reduced'"
            )
        if columns <= rows:
            return self.tall(to_q, to_r, q, r)
        square, rest = (..., slice(0, rows)), (..., slice(rows, columns))
        beyond, to_beyond = index(r, key=rest), index(to_r, key=rest)
        to_q = to_q + matmul(matmul(q, beyond), swap(to_beyond))
        first = self.tall(to_q, index(to_r, key=square), q, index(r, key=square))
        return cat(first, matmul(q, to_beyond), sizes=(rows, columns - rows), dim=r.ndim - 1)

    def tall(self, to_q: Any, to_r: Any, q: Any, r: Any) -> Any:
        """The gradient of an x that is not wide."""
        inner = matmul(r, swap(to_r)) - matmul(swap(to_q), q)
        inner = mirrored(inner)
        both = to_q + matmul(q, inner)
        return swap(solve_triangular(r, swap(both), upper=True, unit=False))


class UpperFactor(Gate):
    """The R of QR alone. Its derivative would need Q."""

    def forward(self, xp: Any, x: Any) -> Any:
        return lapack.upper_factor(xp, x)


cholesky = Cholesky()
eigh = Eigh()
eigvalsh = Eigvalsh()
svd = Svd()
svdvals = Svdvals()
qr = Qr()
upper_factor = UpperFactor()
