"""Calls of matrix and tensor products."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, View, call

Row = Callable[[Draw], Call]
Shapes = Callable[[Draw], list[tuple[int, ...]]]


def side(d: Draw) -> int:
    return d.integer(0, 3)


def tensors(shapes: Shapes) -> Row:
    """A product of tensors of the shapes drawn."""
    return lambda d: call(*map(d.tensor, shapes(d)))


def matrices(d: Draw) -> list[tuple[int, ...]]:
    n, k, m = side(d), side(d), side(d)
    return [(n, k), (k, m)]


def matrix_and_vector(d: Draw) -> list[tuple[int, ...]]:
    n, k = side(d), side(d)
    return [(n, k), (k,)]


def filled(shapes: Shapes) -> Shapes:
    """Without sizes of 0, which PyTorch's derivatives of addmv do not take."""
    return lambda d: [tuple(max(n, 1) for n in shape) for shape in shapes(d)]


def alike(d: Draw) -> list[tuple[int, ...]]:
    return [(side(d),)] * 2


def vectors(d: Draw) -> list[tuple[int, ...]]:
    return [(side(d),), (side(d),)]


def stacks(d: Draw) -> list[tuple[int, ...]]:
    b, n, k, m = (side(d) for _ in range(4))
    return [(b, n, k), (b, k, m)]


def any_ranks(d: Draw) -> list[tuple[int, ...]]:
    """Every pair of ranks; leading dimensions broadcast."""
    first, second = d.shapes(2, most=2)
    n, k, m = side(d), side(d), side(d)
    x = (k,) if d.integer(0, 3) == 0 else (*first, n, k)
    return [x, (k,) if d.integer(0, 3) == 0 else (*second, k, m)]


def plus(shapes: Shapes, out: Callable[..., tuple[int, ...]]) -> Row:
    """beta times something that broadcasts, plus alpha times a product."""

    def row(d: Draw) -> Call:
        x, y = shapes(d)
        shape = out(x, y)
        if 0 not in shape and d.flag():
            shape = broadcast(d, shape)[d.integer(0, len(shape)) :]
        added = d.tensor(shape)
        factors = {"beta": d.one_of(1, 0, 0.5, -2), "alpha": d.one_of(1, 0, 0.5, -2)}
        if factors["beta"] == 0 and d.flag():
            added = added.map(lambda base: np.full_like(base, np.nan))  # is not read
        kept = {key: v for key, v in factors.items() if v != 1 or d.flag()}
        return call(added, d.tensor(x), d.tensor(y), **kept)

    return row


def inner(d: Draw) -> Call:
    last = side(d)
    x, y = (d.tensor((*d.shape(0, 2, 3), last) if d.integer(0, 4) else ()) for _ in range(2))
    return call(x, y)


def kron(d: Draw) -> Call:
    x, y = d.tensor(d.shape(side=3)), d.tensor(d.shape(side=3))
    plain = x.layout == y.layout == "plain"
    return call(x, y, order=2 if plain else 1)  # PyTorch's second derivative fails for some views


def broadcast(d: Draw, shape: tuple[int, ...], keep: int = -1) -> tuple[int, ...]:
    """The shape with some sizes made 1, not that of dimension `keep`."""
    return tuple(n if i == keep or d.integer(0, 2) else 1 for i, n in enumerate(shape))


def crossing(d: Draw) -> tuple[View, View, int]:
    shape = list(d.shape(1, 3, 2))
    dim = d.integer(0, len(shape) - 1)
    shape[dim] = 3
    x, y = (d.tensor(broadcast(d, tuple(shape), dim)) for _ in range(2))
    return x, y, dim - (len(shape) if d.flag() else 0)


def cross(d: Draw) -> Call:
    x, y, dim = crossing(d)
    return call(x, y, dim) if d.flag() else call(x, y, dim=dim)


def dist(d: Draw) -> Call:
    shapes = d.shapes(2)
    p = d.one_of(2, 1, 3, 0.5, 1.5, 0, float("inf"), -float("inf"), -1.0)
    if p not in (1, 2) and any(0 in shape for shape in shapes):
        shapes = [(2, 1, 3), (1, 2, 1)]
    x, y = d.apart(shapes[0]), d.apart(shapes[1], 3, 5)
    return call(x, y) if p == 2 and d.flag() else call(x, y, p, order=2 if p else 0)


def cdist(d: Draw) -> Call:
    rows = d.integer(26, 30) if d.integer(0, 5) == 0 else d.integer(0, 3)
    first, second = d.shapes(2, most=1)
    columns = d.integer(1, 3)
    x = d.apart((*first, rows, columns))
    y = d.apart((*second, d.integer(0, 3), columns), 3, 5)
    p = d.one_of(2.0, 2.0, 1.0, 3.0, 1.5, float("inf"), 0.0)
    modes = ("use_mm_for_euclid_dist{}", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    options = {"compute_mode": d.one_of(*modes).format("_if_necessary")} if d.flag() else {}
    return call(x, y, p=p, order=1, **options)  # PyTorch's has no second derivative


EQUATIONS = (
    "i->", "ij->ji", "ii->i", "ii", "iij->j", "ij", "ba", "...i->...", "i...->...", "...ii->...i",
    "ij,jk", "ij,kj->ik", "bij,bjk->bik", "...ij,...jk->...ik", "i,j", "i,i", "i,i->i", "ij,ij->",
    "ij,ij->ij", "ijk,k", " i j , j -> i ", "b...,b->...", "...,...->...", "...a,a...->a...",
    "ii,jj->ij", "aab,bcc->abc", "ij,k->kij", "abij,abjk->baik", "bi,bij,bj->b", "ij,jk,kl->il",
    "ij,jk,ki->", "i,j,k->kij", "ab,ab,ab->b", "abc,cd,b->ad", "ij,jk,kl,lm->mi", "i,ij,j->",
    "Aa,aB", "ab,b,...->a...",
)  # fmt: skip


def einsum(d: Draw) -> Call:
    """Equations as text or as lists, over sizes of 0 to 3; sizes of 1 broadcast."""
    equation = d.one_of(*EQUATIONS)
    left, arrow, right = equation.replace(" ", "").partition("->")
    side_of = {letter: side(d) for letter in equation if letter.isalpha()}
    more = d.shape(0, 2, 3)
    operands = []
    for term in left.split(","):
        before, dots, after = term.partition("...")
        shape: list[int] = [side_of[letter] for letter in before]
        shape += d.one_of(more, more[1:]) if dots else ()
        shape += [side_of[letter] for letter in after]
        if len(set(before + after)) == len(before + after):
            shape = list(broadcast(d, tuple(shape)))
        operands.append(d.tensor(shape))
    if d.flag() or " " in equation:
        return call(equation, *operands) if d.flag() else call(equation, operands)
    given: list[Any] = []
    for operand, term in zip(operands, left.split(","), strict=True):
        given += [operand, numbered(term)]
    return call(*given, numbered(right)) if arrow else call(*given)


def numbered(term: str) -> list[Any]:
    """Subscripts as numbers."""
    before, dots, after = term.partition("...")
    number = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    number |= {letter.upper(): i + 26 for letter, i in number.items()}
    return [*map(number.get, before), *([...] if dots else []), *map(number.get, after)]


def tensordot(d: Draw) -> Call:
    x = d.shape(0, 3, 3)
    count = d.integer(0, len(x))
    if d.flag():
        y = (*x[len(x) - count :], *d.shape(0, 2, 3))
        return call(d.tensor(x), d.tensor(y), dims=count)
    y = (*x, *d.shape(0, 1, 3))
    dims = d.dims(len(x), count)
    order = d.source.sample(range(len(y)), len(y))
    places = [order.index(dim % len(x)) - (len(y) if d.flag() else 0) for dim in dims]
    other = tuple(
        d.one_of(y[i], y[i], 1) if i in {e % len(x) for e in dims} else y[i] for i in order
    )
    return call(d.tensor(x), d.tensor(other), (list(dims), places) if dims else 0)


def chain(d: Draw) -> Call:
    """Two to five matrices that fit."""
    lengths = [side(d) for _ in range(d.integer(3, 6))]
    return call(*(d.tensor(pair) for pair in itertools.pairwise(lengths)))


CALLS: dict[str, Row] = {
    "matmul": tensors(any_ranks),
    "mm": tensors(matrices),
    "bmm": tensors(stacks),
    "mv": tensors(matrix_and_vector),
    "dot": tensors(alike),
    "vdot": tensors(alike),
    "inner": inner,
    "outer": tensors(vectors),
    "ger": tensors(vectors),
    "addmm": plus(matrices, lambda x, y: (x[0], y[1])),
    "addmv": plus(filled(matrix_and_vector), lambda x, y: (x[0],)),
    "baddbmm": plus(stacks, lambda x, y: (*x[:2], y[2])),
    "addbmm": plus(stacks, lambda x, y: (x[1], y[2])),
    "addr": plus(vectors, lambda x, y: (x[0], y[0])),
    "kron": kron,
    "cross": cross,
    "dist": dist,
    "cdist": cdist,
    "einsum": einsum,
    "tensordot": tensordot,
    "chain_matmul": chain,
}
