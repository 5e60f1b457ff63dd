"""Products, next to PyTorch: every combination of ranks, batches that broadcast, sizes 0."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from comparing import PARITY, dims, shapes, views
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SIDES = st.integers(0, 3)


@st.composite
def operands(draw, rank_x, rank_y):
    """Two views that can be multiplied; their leading dimensions broadcast."""
    n, k, m = (draw(SIDES) for _ in range(3))
    batches = draw(
        hnp.mutually_broadcastable_shapes(
            num_shapes=2, min_dims=0, max_dims=2, min_side=0, max_side=3
        )
    ).input_shapes
    lead_x, lead_y = (
        (1,) * max(rank - 2 - len(batch), 0) + batch[len(batch) - max(rank - 2, 0) :]
        for rank, batch in zip((rank_x, rank_y), batches, strict=True)
    )
    x = (k,) if rank_x == 1 else (*lead_x, n, k)
    y = (k,) if rank_y == 1 else (*lead_y, k, m)
    return draw(views(x)), draw(views(y))


@pytest.mark.parametrize("ranks", [*itertools.product((1, 2, 3, 4), repeat=2)], ids=str)
@PARITY
@given(data=st.data())
def test_matmul_of_every_rank(same, ranks, data):
    x, y = data.draw(operands(*ranks))
    same(lambda m, x, y: m.matmul(x, y), x.between(-2, 2), y.between(-2, 2))
    same(lambda m, x, y: x @ y, x, y, order=0, single=False)


RANKS = {"mm": (2, 2), "bmm": (3, 3), "mv": (2, 1), "dot": (1, 1)}


@pytest.mark.parametrize("name", RANKS)
@PARITY
@given(data=st.data(), batch=SIDES)
def test_products_of_fixed_ranks(same, name, data, batch):
    if name == "bmm":
        n, k, m = (data.draw(SIDES) for _ in range(3))
        x, y = data.draw(views((batch, n, k))), data.draw(views((batch, k, m)))
    else:
        x, y = data.draw(operands(*RANKS[name]))
    same(lambda m, x, y: getattr(m, name)(x, y), x.between(-2, 2), y.between(-2, 2))


@PARITY
@given(x=views(st.tuples(SIDES)), y=views(st.tuples(SIDES)))
def test_outer(same, x, y):
    same(lambda m, x, y: m.outer(x, y), x, y)


@PARITY
@given(x=views())
def test_a_matrix_times_itself_receives_both_gradients(same, x):
    same(lambda m, x: m.outer(x.reshape(-1), x.reshape(-1)), x)


@PARITY
@given(
    data=st.data(), p=st.sampled_from([None, "fro", 2, 1, 3, 2.5, 0, float("inf"), -float("inf")])
)
def test_norm(same, data, p):
    shape = data.draw(shapes(max_side=3).filter(lambda s: 0 not in s))
    x = data.draw(views(shape)).between(0.5, 2)
    same(lambda m, x: m.norm(x), x)
    d, keepdim = data.draw(dims(len(shape))), data.draw(st.booleans())
    if p is not None:
        order = 2 if p else 0  # a count is flat
        same(lambda m, x: m.norm(x, p), x, order=order)
        same(lambda m, x: m.norm(x, p=p, dim=d, keepdim=keepdim), x, order=order)
        same(lambda m, x: m.norm(x, p, d), x, order=0)


DTYPES = (np.int32, np.int64, np.float16, np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_of_products(same, dtype):
    x, y = np.array([[1, 2], [3, 4]]).astype(dtype), np.array([[2, 0], [1, 3]]).astype(dtype)
    same(
        lambda m, x, y: [m.matmul(x, y), m.mv(x, y[0]), m.dot(x[0], y[1]), m.outer(x[0], y[0])],
        x,
        y,
    )


X, Y, V = np.zeros((2, 3)), np.zeros((2, 4)), np.zeros(4)
MISTAKES = {
    "matmul: inner": (
        lambda m, x, y: m.matmul(x, y),
        (X, Y),
        ["matmul", "float64[2, 3]", "float64[2, 4]"],
    ),
    "@: inner": (lambda m, x, y: x @ y, (X, Y), ["matmul", "float64[2, 3]", "float64[2, 4]"]),
    "matmul: vector": (
        lambda m, x, y: m.matmul(x, y),
        (X, V),
        ["matmul", "float64[2, 3]", "float64[4]"],
    ),
    "matmul: scalar": (
        lambda m, x, y: m.matmul(x, y),
        (X, V[0]),
        ["matmul", "float64[2, 3]", "float64[]"],
    ),
    "matmul: batch": (
        lambda m, x, y: m.matmul(x, y),
        (np.zeros((2, 3, 3)), np.zeros((4, 3, 3))),
        ["matmul", "float64[2, 3, 3]", "float64[4, 3, 3]"],
    ),
    "matmul: number": (lambda m, x: m.matmul(x, 2.0), (X,), ["matmul", "float"]),
    "matmul: dtypes": (
        lambda m, x, y: m.matmul(x, y),
        (X, X.T.astype(np.float32)),
        ["matmul", "float64", "float32"],
    ),
    "matmul: whole": (
        lambda m, x, y: m.matmul(x, y),
        (X, X.T.astype(np.int64)),
        ["matmul", "float64", "int64"],
    ),
    "mm: rank": (lambda m, x, y: m.mm(x, y), (X, V), ["mm", "float64[2, 3]", "float64[4]"]),
    "mm: inner": (lambda m, x, y: m.mm(x, y), (X, Y), ["mm", "float64[2, 3]", "float64[2, 4]"]),
    "bmm: rank": (lambda m, x, y: m.bmm(x, y), (X, Y), ["bmm", "float64[2, 3]"]),
    "bmm: batch": (
        lambda m, x, y: m.bmm(x, y),
        (np.zeros((1, 2, 3)), np.zeros((4, 3, 2))),
        ["bmm", "float64[1, 2, 3]", "float64[4, 3, 2]"],
    ),
    "mv: rank": (lambda m, x, y: m.mv(x, y), (V, V), ["mv", "float64[4]"]),
    "mv: inner": (lambda m, x, y: m.mv(x, y), (X, V), ["mv", "float64[2, 3]", "float64[4]"]),
    "dot: rank": (lambda m, x: m.dot(x, x), (X,), ["dot", "float64[2, 3]"]),
    "dot: sizes": (lambda m, x, y: m.dot(x, y), (V, V[:2]), ["dot", "float64[4]", "float64[2]"]),
    "outer: rank": (lambda m, x: m.outer(x, x), (X,), ["outer", "float64[2, 3]"]),
    "norm: whole": (lambda m, x: m.norm(x), (X.astype(np.int64),), ["norm", "int64"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)
