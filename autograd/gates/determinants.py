"""Determinants, right for singular matrices too: the gradient of det is the matrix of cofactors.

A regular x has the cofactors det(x) x^-T. A singular one is brought to the diagonal by its singular
values, x = U diag(s) V^T, where cofactors are products of the values left: those of a diagonal
matrix are E[i] = s without s[i], multiplied up, and their derivatives are such products with two
left out. No division by what is 0 takes place.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import module_of
from tapegrad.autograd.engine import Gate, array_of
from tapegrad.autograd.records import Node
from tapegrad.kernels import lapack, products

from .diagonals import diagonal
from .factorizations import column, row, svd, with_diagonal
from .products import matmul, swap
from .reductions import sum_
from .scans import products_before, products_of_others
from .selection import where
from .shape import reshape
from .solving import inverse

NAN = float("nan")


def _over_matrix(x: Any) -> Any:
    """One number per matrix, as a factor of all its elements."""
    return reshape(x, shape=(*x.shape, 1, 1))


class Det(Gate):
    """The determinant: the gradient times the cofactors."""

    needs: ClassVar = {"x": "x"}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any) -> Any:
        return lapack.determinant(xp, x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return _over_matrix(grad) * cofactors(x)


class Slogdet(Gate):
    """The sign of the determinant, flat, and the logarithm of its magnitude: x^-T.

    A singular matrix has the gradient NaN.
    """

    needs: ClassVar = {"x": "out x"}
    outputs: ClassVar = None

    def forward(self, xp: Any, x: Any) -> Any:
        return lapack.sign_and_logarithm(xp, x)

    def backward(self, node: Node, grad: Any, out: Any, x: Any) -> Any:
        singular = _over_matrix(array_of(out[0]) == 0)
        unit = module_of(array_of(x)).eye(x.shape[-1], dtype=x.dtype)
        inverted = swap(inverse(where(singular, unit, x)))
        return where(singular, NAN, _over_matrix(grad[1]) * inverted)


class Cofactors(Gate):
    """What each element of x is multiplied with in det(x): (<C, g> C - C g^T C) / det(x)."""

    needs: ClassVar = {"x": "x out"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any) -> Any:
        value = xp.asarray(lapack.determinant(xp, x))[..., None, None]
        if bool((value != 0).all()):
            return value * xp.swapaxes(lapack.inverse(xp, x), -1, -2)
        u, s, vt = lapack.svd(xp, x, full=False)
        scaled = u * row(products_of_others(s, s.ndim - 1)) * _orientation(u, vt)
        return products.matmul(xp, scaled, vt)

    def backward(self, node: Node, grad: Any, out: Any, x: Any) -> Any:
        if _is_regular(array_of(x)):
            common = sum_(out * grad, dims=(x.ndim - 2, x.ndim - 1), keepdim=True)
            return (common * out - matmul(matmul(out, swap(grad)), out)) / _over_matrix(det(x))
        u, s, vt = svd(x, full=False)
        inner = matmul(matmul(swap(u), grad), swap(vt))
        left = _without_two(s)
        values = matmul(left, column(diagonal(inner, offset=0)))
        inner = with_diagonal(-(left * swap(inner)), reshape(values, shape=s.shape))
        return matmul(matmul(u, inner), vt) * _orientation(array_of(u), array_of(vt))


def _orientation(u: Any, vt: Any) -> Any:
    """det(U) det(V), one or minus one per matrix."""
    xp = module_of(u)
    return xp.asarray(lapack.determinant(xp, u) * lapack.determinant(xp, vt))[..., None, None]


def _is_regular(x: Any) -> bool:
    """Whether the determinants are far from 0, compared with those of orthogonal rows as long."""
    xp = module_of(x)
    largest = xp.prod(xp.sqrt(xp.sum(x * x, axis=-1)), axis=-1)
    return bool((abs(lapack.determinant(xp, x)) > largest * xp.finfo(x.dtype).eps ** 0.5).all())


def _without_two(s: Any) -> Any:
    """For each pair of descending values, the product of the others; 0 on the diagonal.

    That is the product without the smaller, divided by the larger. Only the last two can be 0
    together and leave something.
    """
    xp, count, last = module_of(array_of(s)), s.shape[-1], s.ndim - 1
    first, second = xp.arange(count)[:, None], xp.arange(count)
    absent = (column(array_of(s)) == 0) | (first >= second)
    ratio = row(products_of_others(s, last)) / where(absent, 1.0, column(s))
    others = row(products_before(s, last))
    corner = (first == count - 2) & (second == count - 1)
    left = where(corner, swap(others), where(absent, 0.0, ratio))
    return left + swap(left)


det = Det()
slogdet = Slogdet()
cofactors = Cofactors()
