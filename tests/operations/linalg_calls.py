"""Calls of linear algebra: stacks of matrices, batches of which broadcast, sizes of 0 and 1."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, Name, View, call
from product_calls import any_ranks, crossing, tensors

Row = Callable[[Draw], Call]
INFINITY = float("inf")


def view(d: Draw, values: np.ndarray) -> View:
    """The matrices as they are, or seen as transposes or as every second of a larger stack."""
    layout = d.one_of("plain", "transposed", "strided")
    if layout == "transposed":
        return View(np.swapaxes(values, -1, -2).copy(), lambda t: t.transpose(-1, -2), layout)
    if layout == "strided" and values.ndim > 2:
        return View(np.repeat(values, 2, axis=0), lambda t: t[::2], layout)
    return View(values, lambda t: t, "plain")


def batch(d: Draw) -> tuple[int, ...]:
    return d.shape(0, 2, 2)


def side(d: Draw) -> int:
    return d.integer(0, 3)


def values(d: Draw, lead: tuple[int, ...], rows: int, columns: int) -> np.ndarray:
    """Matrices with singular values apart from each other and from 0."""
    noise = d.values().standard_normal((*lead, rows, columns))
    ladder = np.eye(rows, columns) * (1 + np.arange(columns))
    return 2 * ladder + 0.4 * noise


def square(d: Draw, lead: tuple[int, ...] | None = None, n: int | None = None) -> np.ndarray:
    n = side(d) if n is None else n
    return values(d, batch(d) if lead is None else lead, n, n)


def symmetric(d: Draw) -> np.ndarray:
    x = square(d)
    return x + np.swapaxes(x, -1, -2)


def positive(d: Draw) -> np.ndarray:
    x = square(d)
    return x @ np.swapaxes(x, -1, -2) + np.eye(x.shape[-1])


def mirrored(view: View) -> View:
    """The view made symmetric, so that it matters to none which triangle is read."""

    def look(t: Any) -> Any:
        x = view.look(t)
        return (x + x.transpose(-1, -2)) / 2

    return View(view.base, look, view.layout)


def cut(view: View, upper: bool) -> View:
    """One triangle of the view, 0 in the other."""

    def look(t: Any) -> Any:
        x = view.look(t)
        return x.triu() if upper else x.tril()

    return View(view.base, look, view.layout)


def oblong(d: Draw) -> np.ndarray:
    return values(d, batch(d), side(d), side(d))


def of_matrices(draw: Callable[[Draw], np.ndarray], **options: tuple[Any, ...]) -> Row:
    """A function of matrices, with some of its options."""

    def row(d: Draw) -> Call:
        chosen = {key: d.one_of(*several) for key, several in options.items() if d.flag()}
        x = view(d, draw(d))
        return call(mirrored(x) if draw in (symmetric, positive) else x, **chosen)

    return row


def without_sign(vectors: Any) -> Any:
    """Vectors, as columns, times the sign of the sum of their elements."""
    return vectors * vectors.sum(-2, True).sign()


def eigh(d: Draw) -> Call:
    x = symmetric(d)
    options = {"UPLO": d.one_of("L", "U", "l")} if d.flag() else {}
    signless = lambda result: (result[0], without_sign(result[1]))  # noqa: E731
    return call(mirrored(view(d, x)), of=signless, **options)


def first_vectors(result: Any, transposed: bool) -> tuple[Any, ...]:
    """Singular vectors that belong to a value, without the sign they share, and the values."""
    u, s, v = result
    v = v.transpose(-1, -2) if transposed else v
    count = s.shape[-1]
    u, v = u[..., :count], v[..., :count]
    sign = u.sum(-2, True).sign()
    return u * sign, s, v * sign


def svd(d: Draw) -> Call:
    options = {"full_matrices": d.flag()} if d.flag() else {}
    return call(view(d, oblong(d)), of=lambda r: first_vectors(r, True), **options)


def old_svd(d: Draw) -> Call:
    options = {"some": d.flag()} if d.flag() else {}
    if d.integer(0, 3):
        return call(view(d, oblong(d)), of=lambda r: first_vectors(r, False), **options)
    return call(view(d, oblong(d)), compute_uv=False, **options)


def qr(d: Draw) -> Call:
    x, mode = oblong(d), d.one_of("reduced", "complete", "r")
    flat = mode == "r" or (mode == "complete" and x.shape[-2] > x.shape[-1])
    given = call(view(d, x), mode) if d.flag() else call(view(d, x), mode=mode)
    return Call(given.args, given.kwargs, 0 if flat else 2)


def old_qr(d: Draw) -> Call:
    x, some = oblong(d), d.flag()
    flat = not some and x.shape[-2] > x.shape[-1]
    return call(view(d, x), some, order=0 if flat else 2)


def broadcasting(d: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    first, second = d.shapes(2, most=2, side=2)
    return first, second


def solve(d: Draw) -> Call:
    """A vector, or a matrix on the right or on the left."""
    n, (first, second) = d.integer(1, 3), broadcasting(d)
    kind = d.integer(0, 3)
    if kind == 0:
        return call(view(d, square(d, first, n)), d.tensor((n,)))
    if kind == 1:
        return call(view(d, square(d, first, n)), d.tensor((*first, n)))
    left, k = d.flag(), side(d)
    shape = (*second, n, k) if left else (*second, k, n)
    left = left or shape == (*first, n)  # which is a vector
    b = d.tensor(shape)
    options = {} if left and d.flag() else {"left": left}
    return call(view(d, square(d, first, n)), b, **options)


def triangular(d: Draw, lead: tuple[int, ...], upper: bool, n: int) -> np.ndarray:
    """A triangle; what is not to be read is there too, or 0."""
    x = square(d, lead, n)
    return x if d.flag() else np.triu(x) if upper else np.tril(x)


def solve_triangular(d: Draw) -> Call:
    n, (first, second) = side(d), broadcasting(d)
    upper, left, k = d.flag(), d.flag(), side(d)
    a = view(d, triangular(d, first, upper, n))
    b = d.tensor((*second, n, k) if left else (*second, k, n))
    options = {"left": left, "unitriangular": d.flag()}
    kept = {key: value for key, value in options.items() if key == "left" or d.flag()}
    return call(a, b, upper=upper, **kept)


def old_triangular(d: Draw) -> Call:
    n, (first, second) = side(d), broadcasting(d)
    upper = d.flag()
    a = view(d, triangular(d, first, upper, n))
    b = d.tensor((*second, n, side(d)))
    return call(b, a, upper=upper, transpose=d.flag(), unitriangular=d.flag())


def factor(d: Draw, lead: tuple[int, ...], n: int) -> tuple[View, dict[str, bool]]:
    upper = d.flag()
    options = {"upper": upper} if upper or d.flag() else {}
    return cut(view(d, square(d, lead, n)), upper), options


def cholesky_solve(d: Draw) -> Call:
    n, (first, second) = side(d), broadcasting(d)
    a, options = factor(d, first, n)
    return call(d.tensor((*second, n, side(d))), a, **options)


def cholesky_inverse(d: Draw) -> Call:
    a, options = factor(d, batch(d), side(d))
    return call(a, **options)


def singular(d: Draw) -> np.ndarray:
    """Square matrices of any rank."""
    n, lead = side(d), batch(d)
    rank = max(n - d.integer(0, 2), 0)
    return values(d, lead, n, rank) @ values(d, lead, rank, n)


def det(d: Draw) -> Call:
    """Of regular matrices, and of singular ones, for which PyTorch's gradients are not right."""
    if d.flag():
        return call(view(d, square(d)))
    return call(view(d, singular(d)), order=0)


def matrix_exp(d: Draw) -> Call:
    return call(square(d))  # PyTorch's fails for some views


def matrix_power(d: Draw) -> Call:
    return call(view(d, square(d)), d.integer(-3, 5))


def multi_dot(d: Draw) -> Call:
    """Two to five factors; vectors at the ends."""
    sizes = [side(d) for _ in range(d.integer(3, 6))]
    shapes = [list(pair) for pair in itertools.pairwise(sizes)]
    if d.flag():
        shapes[0] = shapes[0][1:]
    if d.flag():
        shapes[-1] = shapes[-1][:1]
    return call([d.tensor(shape) for shape in shapes])


def computed_in(d: Draw) -> dict[str, Any]:
    return {"dtype": Name("float64")} if d.integer(0, 3) == 0 else {}


def vector_norm(d: Draw) -> Call:
    order = d.one_of(2, 1, 0, 3, 1.5, 0.5, INFINITY, -INFINITY, -1.0, 4)
    shape = d.shape(smallest=0 if order in (2, 1) else 1)
    options: dict[str, Any] = {} if order == 2 and d.flag() else {"ord": order}
    if d.flag():
        dims = d.dims(len(shape), 1)
        options["dim"] = dims[0] if len(dims) == 1 and d.flag() else dims or None
    if d.flag():
        options["keepdim"] = d.flag()
    return call(d.apart(shape), **options, **computed_in(d), order=2 if order else 1)


def matrix_norm(d: Draw) -> Call:
    order = d.one_of("fro", "nuc", 2, -2, 1, -1, INFINITY, -INFINITY)
    x = values(d, d.shape(0, 1, 2), d.integer(1, 3), d.integer(1, 3))
    options: dict[str, Any] = {} if order == "fro" and d.flag() else {"ord": order}
    if x.ndim == 3 and d.flag():
        first, second = d.source.sample(range(3), 2)
        moved = np.moveaxis(x, (-2, -1), (first, second)).copy()
        options["dim"] = (first - 3 if d.flag() else first, second)
        return call(moved, **options, keepdim=d.flag())
    if d.flag():
        options["keepdim"] = d.flag()
    return call(view(d, x), **options, **computed_in(d))


def norm(d: Draw) -> Call:
    """Of vectors, of matrices, or of everything."""
    kind = d.integer(0, 2)
    if kind == 0:
        return call(d.apart(d.shape(smallest=1)), keepdim=d.flag())
    if kind == 1:
        order = d.one_of(2, 1, 3, 0.5, INFINITY, -INFINITY)
        shape = d.shape(1, 3, smallest=1)
        dim = d.dim(len(shape))
        dims = {"dim": d.one_of(dim, (dim,))} if len(shape) > 1 or d.flag() else {}
        return call(d.apart(shape), order, **dims)
    order = d.one_of("fro", "nuc", 2, -2, 1, -1, INFINITY, -INFINITY)
    x = values(d, batch(d), d.integer(1, 3), d.integer(1, 3))
    dims = {"dim": (-1, -2)} if x.ndim > 2 or d.flag() else {}
    return call(view(d, x), order, **dims, keepdim=d.flag()) if x.size else call(d.tensor((2,)))


def cond(d: Draw) -> Call:
    p = d.one_of(None, 2, -2, "fro", "nuc", 1, -1, INFINITY, -INFINITY)
    rows = d.integer(1, 3)
    columns = d.integer(1, 3) if p in (None, 2, -2) else rows
    x = view(d, values(d, d.shape(0, 2, 2, smallest=1), rows, columns))
    order = 2 if p in (None, 2, -2) else 0  # PyTorch's has no gradient
    return call(x, order=order) if p is None and d.flag() else call(x, p, order=order)


def tolerances(d: Draw) -> dict[str, Any]:
    chosen = {"atol": d.one_of(0.0, 1e-3, 1.5), "rtol": d.one_of(1e-9, 1e-3)}
    return {key: value for key, value in chosen.items() if d.flag()}


def pinv(d: Draw) -> Call:
    if d.integer(0, 3) == 0:
        return call(mirrored(view(d, symmetric(d))), hermitian=True)
    return call(view(d, oblong(d)), **tolerances(d))


def matrix_rank(d: Draw) -> Call:
    if d.integer(0, 3) == 0:
        return call(mirrored(view(d, symmetric(d))), hermitian=True)
    return call(view(d, singular(d) if d.flag() else oblong(d)), **tolerances(d))


def lstsq(d: Draw) -> Call:
    """Full rank, more rows or fewer; the drivers give different things besides the solution."""
    lead, rows, columns = d.shape(0, 1, 2, 1), d.integer(1, 3), d.integer(1, 3)
    x, b = values(d, lead, rows, columns), (rows, d.integer(1, 2))
    driver = {"driver": d.one_of("gels", "gelsy", "gelsd", "gelss")} if d.flag() else {}
    return call(view(d, x), d.tensor((*lead, *b)), **driver, order=1)


def tensorinv(d: Draw) -> Call:
    shape, ind = d.one_of(((2, 3, 6), 2), ((4, 2, 2), 1), ((6, 3, 2), 1), ((2, 3, 3, 2), 2))
    side = int(np.prod(shape[:ind]))
    x = square(d, (), side).reshape(shape)
    return call(x) if ind == 2 and d.flag() else call(x, ind=ind)


def tensorsolve(d: Draw) -> Call:
    if d.flag():
        return call(square(d, (), 6).reshape(2, 3, 3, 2), d.tensor((2, 3)))
    x = np.moveaxis(square(d, (), 6).reshape(2, 3, 6), 2, 0)
    return call(x.copy(), d.tensor((2, 3)), dims=(0,))


def cross(d: Draw) -> Call:
    x, y, dim = crossing(d)
    return call(x, y, dim=dim)


def vecdot(d: Draw) -> Call:
    shape = (side(d),)
    lead_x, lead_y = broadcasting(d)
    if d.flag():
        return call(d.tensor((*lead_x, *shape)), d.tensor((*lead_y, *shape)))
    whole = (*batch(d), *shape)
    return call(d.tensor(whole), d.tensor(whole), dim=d.dim(len(whole)))


def diagonal(d: Draw) -> Call:
    shape = d.shape(2, 4, 3)
    first, second = d.source.sample(range(len(shape)), 2)
    chosen = {"dim1": first, "dim2": second - len(shape), "offset": d.integer(-3, 3)}
    options = {key: v for key, v in chosen.items() if key == "dim1" or d.flag()}
    if "dim2" not in options:
        options.pop("dim1")
    return call(d.tensor(shape), **options)


def vander(d: Draw) -> Call:
    if d.flag():
        return call(d.tensor(d.shape(0, 2, 3)), N=d.integer(2, 6))
    return call(d.tensor((*d.shape(0, 1, 3), d.integer(2, 4))))


CALLS: dict[str, Row] = {
    "linalg.cholesky": of_matrices(positive, upper=(False, True)),
    "linalg.cholesky_ex": of_matrices(positive, upper=(False, True), check_errors=(False, True)),
    "linalg.cond": cond,
    "linalg.cross": cross,
    "linalg.det": det,
    "linalg.diagonal": diagonal,
    "linalg.eigh": eigh,
    "linalg.eigvalsh": of_matrices(symmetric, UPLO=("L", "U")),
    "linalg.inv": of_matrices(square),
    "linalg.inv_ex": of_matrices(square, check_errors=(False, True)),
    "linalg.lstsq": lstsq,
    "linalg.matmul": tensors(any_ranks),
    "linalg.matrix_exp": matrix_exp,
    "linalg.matrix_norm": matrix_norm,
    "linalg.matrix_power": matrix_power,
    "linalg.matrix_rank": matrix_rank,
    "linalg.multi_dot": multi_dot,
    "linalg.norm": norm,
    "linalg.pinv": pinv,
    "linalg.qr": qr,
    "linalg.slogdet": of_matrices(square),
    "linalg.solve": solve,
    "linalg.solve_ex": solve,
    "linalg.solve_triangular": solve_triangular,
    "linalg.svd": svd,
    "linalg.svdvals": of_matrices(oblong),
    "linalg.tensorinv": tensorinv,
    "linalg.tensorsolve": tensorsolve,
    "linalg.vander": vander,
    "linalg.vecdot": vecdot,
    "linalg.vector_norm": vector_norm,
    "cholesky": of_matrices(positive, upper=(False, True)),
    "cholesky_inverse": cholesky_inverse,
    "cholesky_solve": cholesky_solve,
    "det": det,
    "inverse": of_matrices(square),
    "logdet": of_matrices(square),
    "matrix_exp": matrix_exp,
    "matrix_power": matrix_power,
    "pinverse": of_matrices(oblong, rcond=(1e-15, 1e-3)),
    "qr": old_qr,
    "slogdet": of_matrices(square),
    "svd": old_svd,
    "triangular_solve": old_triangular,
}

# Of these there is no kernel for half types, in PyTorch either.
WITHOUT_HALVES = frozenset(CALLS) - {
    "linalg.cross",
    "linalg.diagonal",
    "linalg.matmul",
    "linalg.matrix_exp",
    "linalg.matrix_norm",
    "linalg.multi_dot",
    "linalg.norm",
    "linalg.vander",
    "linalg.vecdot",
    "linalg.vector_norm",
    "matrix_exp",
} | {"cdist"}


def refuses_halves(name: str, drawn: Call) -> bool:
    """Whether the call computes with what has no half types."""
    by_values = name == "linalg.matrix_norm" and drawn.kwargs.get("ord") in ("nuc", 2, -2)
    return by_values or name in WITHOUT_HALVES
