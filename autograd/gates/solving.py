"""Linear equations: inverses, solutions, pseudo-inverses; and the exponential of a matrix.

Each takes a stack of matrices. The derivatives are those of Giles, "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation" (2008), written in the outputs
where that saves solving again.
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
from .shape import cat


class Inverse(Gate):
    """x^-1: -x^-T g x^-T."""

    needs: ClassVar = {"x": "out"}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any) -> Any:
        return lapack.inverse(xp, x)

    def backward(self, node: Node, grad: Any, out: Any, x: None) -> Any:
        return -matmul(matmul(swap(out), grad), swap(out))


class Solve(Gate):
    """The x of a x = b: db = a^-T g and da = -db x^T."""

    needs: ClassVar = {"a": "a out", "b": "a"}

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return lapack.solve(xp, a, b)

    def backward(self, node: Node, grad: Any, out: Any, a: Any, b: None) -> Any:
        wants_a, wants_b = node.inputs
        to_b = solve(swap(a), grad)
        return wants_a and -matmul(to_b, swap(out)), wants_b and to_b


class SolveTriangular(Gate):
    """The x of a x = b for a triangular a (`unit`: with ones on its diagonal, whatever is there).

    As for solve, but only the triangle that is read receives a gradient.
    """

    needs: ClassVar = {"a": "a out", "b": "a"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, a: Any, b: Any, *, upper: bool, unit: bool) -> Any:
        return lapack.solve_triangular(xp, a, b, upper, unit)

    def backward(
        self, node: Node, grad: Any, out: Any, a: Any, b: None, *, upper: bool, unit: bool
    ) -> Any:
        wants_a, wants_b = node.inputs
        to_b = solve_triangular(swap(a), grad, upper=not upper, unit=unit)
        to_a = None
        if wants_a:
            to_a = triangle(-matmul(to_b, swap(out)), upper=upper, strict=unit)
        return to_a, wants_b and to_b


def triangle(x: Any, upper: bool, strict: bool = False) -> Any:
    """One triangle of x, with its diagonal unless `strict`, and 0 elsewhere."""
    xp = module_of(array_of(x))
    below = xp.tri(x.shape[-2], x.shape[-1], -1 if upper != strict else 0, dtype=bool)
    return where(below, 0.0, x) if upper else where(below, x, 0.0)


class CholeskySolve(Gate):
    """The x of a a^T x = b for a triangular a, or of a^T a x = b for an `upper` one.

    db = (a a^T)^-1 g and da = -(db x^T + x db^T) a: as of the product, which a full a would have.
    """

    needs: ClassVar = {"b": "a", "a": "a out"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, b: Any, a: Any, *, upper: bool) -> Any:
        turned = xp.swapaxes(a, -1, -2)
        first, second = (turned, a) if upper else (a, turned)
        half = lapack.solve_triangular(xp, first, b, upper=False, unit=False)
        return lapack.solve_triangular(xp, second, half, upper=True, unit=False)

    def backward(self, node: Node, grad: Any, out: Any, b: None, a: Any, *, upper: bool) -> Any:
        wants_b, wants_a = node.inputs
        to_b = cholesky_solve(grad, a, upper=upper)
        to_a = None
        if wants_a:
            both = matmul(to_b, swap(out))
            both = -(both + swap(both))
            a = a - triangle(array_of(a), upper=not upper, strict=True)  # what was not read
            to_a = matmul(a, both) if upper else matmul(both, a)
        return wants_b and to_b, to_a


class Pinv(Gate):
    """The pseudo-inverse of Moore and Penrose, singular values up to a tolerance taken for 0.

    Differentiable where the rank is constant (Golub and Pereyra, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate", 1973).
    """

    needs: ClassVar = {"x": "x out"}

    def forward(self, xp: Any, x: Any, *, atol: Any, rtol: Any, symmetric: bool) -> Any:
        return lapack.pseudo_inverse(xp, x, atol, rtol, symmetric)

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, *, atol: Any, rtol: Any, symmetric: bool
    ) -> Any:
        back, transposed = swap(grad), swap(out)
        if x.shape[-2] <= x.shape[-1]:
            inner = matmul(back, out)
            outer = matmul(inner, transposed)
            rest = matmul(matmul(transposed, out), back - matmul(inner, x))
            return outer - swap(matmul(out, inner)) - matmul(matmul(x, out), outer) + rest
        inner = matmul(out, back)
        outer = matmul(transposed, inner)
        rest = matmul(matmul(back - matmul(x, inner), out), transposed)
        return outer - swap(matmul(inner, out)) - matmul(matmul(outer, out), x) + rest


class MatrixExp(Gate):
    """exp(x) of a matrix: the upper right block of exp([[x^T, g], [0, x^T]]).

    Higham, "The scaling and squaring method for the matrix exponential revisited" (2005); Al-Mohy
    and Higham, "Computing the Frechet derivative of the matrix exponential" (2009).
    """

    needs: ClassVar = {"x": "x"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any) -> Any:
        return lapack.exponential(xp, x)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        side, last = x.shape[-1], x.ndim - 1
        both, turned = {"sizes": (side, side)}, swap(x)
        above = cat(turned, grad, dim=last, **both)
        below = cat(turned * 0.0, turned, dim=last, **both)
        large = matrix_exp(cat(above, below, dim=last - 1, **both))
        return index(large, key=(..., slice(0, side), slice(side, None)))


inverse = Inverse()
solve = Solve()
solve_triangular = SolveTriangular()
cholesky_solve = CholeskySolve()
pinv = Pinv()
matrix_exp = MatrixExp()
