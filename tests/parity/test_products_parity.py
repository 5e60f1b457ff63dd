"""Products, next to PyTorch: every combination of ranks, batches that broadcast, sizes 0."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from comparing import PARITY, dims, shapes, views
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapegrad as tg

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


def test_a_product_is_not_added_to_what_is_multiplied_with_0():
    """A NaN that is not read leaves no trace, in value or gradient."""
    input = tg.full((2, 2), float("nan"), requires_grad=True)
    x = tg.ones(2, 2)
    out = tg.addmm(input, x, x, beta=0)
    out.sum().backward()
    assert out.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert input.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_einsum_contracts_in_the_cheap_order():
    """Left to right, a million times a million numbers would come first."""
    x = tg.ones(1, 1000)
    large = tg.ones(1000, 1000)
    with tg.Tape() as tape:
        out = tg.einsum("ij,jk,kl->il", large.requires_grad_(), large, x.mT)
    assert out.shape == (1000, 1)
    assert [step.shape for step in tape if step.gate == "matmul"] == [(1000, 1), (1000, 1)]


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
    "addmm: input": (
        lambda m, x, y: m.addmm(y, x, x.mT),
        (X, Y),
        ["addmm", "float64[2, 4]", "(2, 2)"],
    ),
    "addmm: dtypes": (
        lambda m, x, y: m.addmm(y, x, x.mT),
        (X, np.zeros((2, 2), np.float32)),
        ["addmm", "float64", "float32"],
    ),
    "baddbmm: inner": (
        lambda m, x: m.baddbmm(x[None], x[None], x[None]),
        (X,),
        ["baddbmm", "float64[1, 2, 3]"],
    ),
    "addr: whole": (
        lambda m, x: m.addr(x, x[0], x[1], alpha=0.5),
        (np.ones((2, 2), int),),
        ["addr", "0.5"],
    ),
    "inner: sizes": (lambda m, x, y: m.inner(x, y), (X, Y), ["inner", "float64[2, 4]"]),
    "cross: none": (lambda m, y: m.cross(y, y), (Y,), ["cross", "float64[2, 4]"]),
    "cross: size": (lambda m, y: m.cross(y, y, dim=1), (Y,), ["cross", "float64[2, 4]"]),
    "cross: dim": (lambda m, y: m.cross(y, y, dim=2), (Y,), ["cross", "2"]),
    "cross: ranks": (lambda m, x: m.cross(x, x[0]), (X,), ["cross", "float64[3]"]),
    "cdist: columns": (lambda m, x, y: m.cdist(x, y), (X, Y), ["cdist", "float64[2, 4]"]),
    "cdist: rank": (lambda m, v: m.cdist(v, v), (V,), ["cdist", "float64[4]"]),
    "cdist: p": (lambda m, x: m.cdist(x, x, p=-1.0), (X,), ["cdist", "-1"]),
    "tensordot: sizes": (
        lambda m, x, y: m.tensordot(x, y, 1),
        (X, Y),
        ["tensordot", "float64[2, 3]", "float64[2, 4]"],
    ),
    "tensordot: lists": (lambda m, x: m.tensordot(x, x, ([0, 1], [0])), (X,), ["tensordot"]),
    "tensordot: twice": (lambda m, x: m.tensordot(x, x, ([0, 0], [0, 0])), (X,), ["tensordot"]),
    "chain_matmul: inner": (
        lambda m, x, y: m.chain_matmul(x, y),
        (X, Y),
        ["chain_matmul", "float64[2, 3]", "float64[2, 4]"],
    ),
    "einsum: sizes": (
        lambda m, x, y: m.einsum("ij,jk->ik", x, y),
        (X, Y),
        ["einsum", "float64[2, 3]", "float64[2, 4]", "(j)"],
    ),
    "einsum: operands": (lambda m, x: m.einsum("ij,jk", x), (X,), ["einsum", "2", "1"]),
    "einsum: subscripts": (lambda m, x: m.einsum("ijk", x), (X,), ["einsum", "float64[2, 3]"]),
    "einsum: too few": (lambda m, x: m.einsum("i", x), (X,), ["einsum", "float64[2, 3]"]),
    "einsum: diagonal": (lambda m, x: m.einsum("ii", x), (X,), ["einsum", "float64[2, 3]"]),
    "einsum: letter": (lambda m, x: m.einsum("i1", x), (X,), ["einsum", "i1"]),
    "einsum: dots": (lambda m, x: m.einsum("......", x), (X,), ["einsum", "..."]),
    "einsum: one dot": (lambda m, x: m.einsum("i.", x), (X,), ["einsum", "i."]),
    "einsum: output": (lambda m, x: m.einsum("ij->k", x), (X,), ["einsum", "k"]),
    "einsum: twice": (lambda m, x: m.einsum("ij->ii", x), (X,), ["einsum", "i"]),
    "einsum: list": (lambda m, x: m.einsum(x, [0, 77]), (X,), ["einsum", "77"]),
    "einsum: nothing": (lambda m, x: m.einsum("i"), (X,), ["einsum"]),
    "outer: rank": (lambda m, x: m.outer(x, x), (X,), ["outer", "float64[2, 3]"]),
    "norm: whole": (lambda m, x: m.norm(x), (X.astype(np.int64),), ["norm", "int64"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)
