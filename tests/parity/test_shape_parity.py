"""Arrangement, next to PyTorch: any rank and order, sizes 0 and 1, any view."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import PARITY, shapes, views
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg


@st.composite
def paddings(draw):
    shape = draw(shapes(min_dims=1))
    count = draw(st.integers(1, len(shape)))
    widths = []
    for n in shape[::-1][:count]:
        left = draw(st.integers(-(n // 2), 2))
        widths += [left, draw(st.integers(-(n // 2), 2))]
    return shape, tuple(widths)


@pytest.mark.parametrize(
    "kwargs", [{}, {"value": 1.5}, {"mode": "constant", "value": None}], ids=str
)
@PARITY
@given(data=st.data())
def test_pad_surrounds_and_crops(same, kwargs, data):
    shape, widths = data.draw(paddings())
    same(lambda m, x: m.pad(x, widths, **kwargs), data.draw(views(shape)))


def test_cat_skips_an_empty_vector_as_pytorch_does(same):
    same(lambda m, x, y: m.cat([x, y], 0), np.zeros(0), np.ones((2, 3)))


def test_the_same_tensor_twice_receives_both_gradients(same):
    same(lambda m, x: m.cat([x, x * 2, x]), np.arange(3.0))
    same(lambda m, x: m.stack([x, x]), np.arange(3.0))


@PARITY
@given(x=views(), which=st.integers(0, 3))
def test_a_part_that_died_receives_zeros(same, x, which):
    def call(m, x):
        parts = m.split(x.reshape(-1), 2)
        return parts[which % len(parts)]

    same(call, x)


def test_an_empty_vector_still_decides_the_dtype_of_cat(same):
    same(lambda m, x, y: m.cat([x, y]), np.zeros(0), np.ones((2, 3), np.int64), order=0)


def test_dtypes_meet_in_what_joins(same):
    for name in ("cat", "stack", "vstack", "hstack", "dstack", "column_stack"):
        same(lambda m, x, y: getattr(m, name)([x, y]), np.ones((2, 3)), np.ones((2, 3), np.int64))  # noqa: B023
    same(lambda m, x, y: m.block_diag(x, y), np.ones((2, 3)), np.ones(3, np.int64))


VIEWS = {
    "diagonal": lambda x: tg.diagonal(x, 1),
    "select": lambda x: tg.select(x, 1, 2),
    "narrow": lambda x: tg.narrow(x, 0, 1, 1),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "swapaxes": lambda x: tg.swapaxes(x, 0, 1),
    "ravel": tg.ravel,
    "tensor_split": lambda x: tg.tensor_split(x, (1,))[1],
    "unbind": lambda x: tg.unbind(x)[0],
    "meshgrid": lambda x: tg.meshgrid(x[0], x[1])[0],
    "atleast_3d": tg.atleast_3d,
    "view of a dtype": lambda x: x.view(tg.int64),
    "mT": lambda x: x.mT,
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory(name):
    x = tg.tensor(np.arange(12.0).reshape(3, 4))
    assert np.shares_memory(VIEWS[name](x).data, x.data)


def test_a_diagonal_can_be_written_to():
    x = tg.zeros(2, 3)
    x.diagonal(1).add_(1)
    assert x.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_windows_that_overlap_refuse_a_write():
    x = tg.zeros(4)
    x.unfold(0, 2, 2).add_(1)
    assert x.tolist() == [1.0] * 4
    with pytest.raises(RuntimeError, match=r"share.*memory"):
        x.unfold(0, 2, 1).add_(1)


def test_what_is_made_anew_shares_no_memory():
    x = tg.tensor(np.arange(12.0).reshape(3, 4))
    for made in (x.repeat(1, 1), tg.tile(x, (1,)), tg.roll(x, 0), tg.rot90(x, 0)):
        assert not np.shares_memory(made.data, x.data)


X, V = np.zeros((2, 3)), np.zeros(4)
MISTAKES = {
    "reshape: size": (
        lambda m, x: m.reshape(x, (4, 2)),
        (X,),
        ["reshape", "float64[2, 3]", "(4, 2)"],
    ),
    "reshape: -1": (lambda m, x: m.reshape(x, (4, -1)), (X,), ["reshape", "float64[2, 3]", "-1"]),
    "reshape: -1 twice": (lambda m, x: m.reshape(x, (-1, -1)), (X,), ["reshape", "-1"]),
    "reshape: -1 of nothing": (lambda m, x: m.reshape(x, (-1, 0)), (X[:0],), ["reshape", "-1"]),
    "unflatten: size": (
        lambda m, x: m.unflatten(x, 0, (3, 4)),
        (X,),
        ["unflatten", "float64[2, 3]"],
    ),
    "unflatten: dim": (lambda m, x: m.unflatten(x, 2, (1, 2)), (X,), ["unflatten", "2"]),
    "flatten: order": (lambda m, x: m.flatten(x, 1, 0), (X,), ["flatten", "start_dim"]),
    "flatten: dim": (lambda m, x: m.flatten(x, 2), (X,), ["flatten", "2"]),
    "squeeze: dim": (lambda m, x: m.squeeze(x, 2), (X,), ["squeeze", "2"]),
    "unsqueeze: dim": (lambda m, x: m.unsqueeze(x, 3), (X,), ["unsqueeze", "3", "-3 to 2"]),
    "permute: number": (lambda m, x: m.permute(x, (0,)), (X,), ["permute", "float64[2, 3]"]),
    "permute: twice": (lambda m, x: m.permute(x, (0, 0)), (X,), ["permute", "float64[2, 3]"]),
    "permute: dim": (lambda m, x: m.permute(x, (0, 2)), (X,), ["permute", "2"]),
    "transpose: dim": (lambda m, x: m.transpose(x, 0, 2), (X,), ["transpose", "2"]),
    "t: rank": (lambda m, x: m.t(x), (X[None],), ["t:", "float64[1, 2, 3]"]),
    "movedim: dim": (lambda m, x: m.movedim(x, 0, 2), (X,), ["movedim", "2"]),
    "movedim: numbers": (lambda m, x: m.movedim(x, (0, 1), (0,)), (X,), ["movedim"]),
    "movedim: twice": (lambda m, x: m.movedim(x, (0, 1), (1, 1)), (X,), ["movedim"]),
    "expand: size": (lambda m, x: m.expand(x, (2, 4)), (X,), ["expand", "float64[2, 3]", "(2, 4)"]),
    "expand: rank": (lambda m, x: m.expand(x, (3,)), (X,), ["expand", "float64[2, 3]", "(3,)"]),
    "expand: new -1": (lambda m, x: m.expand(x, (-1, 2, 3)), (X,), ["expand", "-1"]),
    "broadcast_to": (
        lambda m, x: m.broadcast_to(x, (2, 4)),
        (X,),
        ["broadcast_to", "float64[2, 3]"],
    ),
    "flip: dim": (lambda m, x: m.flip(x, (2,)), (X,), ["flip", "2"]),
    "flip: twice": (lambda m, x: m.flip(x, (0, 0)), (X,), ["flip", "twice"]),
    "pad: odd": (lambda m, x: m.pad(x, (1, 1, 1)), (X,), ["pad", "(1, 1, 1)"]),
    "pad: too many": (lambda m, x: m.pad(x, (1,) * 6), (X,), ["pad", "float64[2, 3]"]),
    "pad: crop": (lambda m, x: m.pad(x, (-2, -2)), (X,), ["pad", "float64[2, 3]", "-2"]),
    "pad: mode": (lambda m, x: m.pad(x, (1, 1), mode="mirror"), (X,), ["pad", "mirror"]),
    "cat: shapes": (
        lambda m, x, y: m.cat([x, y]),
        (X, X.T),
        ["cat", "float64[2, 3]", "float64[3, 2]"],
    ),
    "cat: ranks": (lambda m, x, y: m.cat([x, y]), (X, V), ["cat", "float64[2, 3]", "float64[4]"]),
    "cat: nothing": (lambda m: m.cat([]), (), ["cat", "empty"]),
    "cat: scalars": (lambda m, x: m.cat([x, x]), (V[0],), ["cat", "stack"]),
    "cat: dim": (lambda m, x: m.cat([x, x], 2), (X,), ["cat", "2"]),
    "cat: numbers": (lambda m: m.cat([1.0, 2.0]), (), ["cat", "float"]),
    "stack: shapes": (
        lambda m, x, y: m.stack([x, y]),
        (X, V),
        ["stack", "float64[2, 3]", "float64[4]"],
    ),
    "stack: dim": (lambda m, x: m.stack([x, x], 3), (X,), ["stack", "3"]),
    "stack: nothing": (lambda m: m.stack([]), (), ["stack", "empty"]),
    "split: sizes": (lambda m, x: m.split(x, [1, 2], 0), (X,), ["split", "2"]),
    "split: negative": (lambda m, x: m.split(x, -1), (X,), ["split", "-1"]),
    "split: dim": (lambda m, x: m.split(x, 1, 2), (X,), ["split", "2"]),
    "chunk: none": (lambda m, x: m.chunk(x, 0), (X,), ["chunk", "0"]),
    "chunk: dim": (lambda m, x: m.chunk(x, 1, 2), (X,), ["chunk", "2"]),
    "unbind: dim": (lambda m, x: m.unbind(x, 2), (X,), ["unbind", "2"]),
    "unbind: scalar": (lambda m, x: m.unbind(x), (V[0],), ["unbind"]),
    "split: scalar": (lambda m, x: m.split(x, 1), (V[0],), ["split"]),
    "chunk: scalar": (lambda m, x: m.chunk(x, 1), (V[0],), ["chunk"]),
    "cat: a tensor": (lambda m, x: m.cat(x), (X,), ["cat", "list"]),
    "tensor_split: none": (lambda m, x: m.tensor_split(x, 0), (X,), ["tensor_split", "0"]),
    "tensor_split: floats": (lambda m, x: m.tensor_split(x, x[0]), (X,), ["tensor_split"]),
    "hsplit: parts": (lambda m, x: m.hsplit(x, 2), (X,), ["hsplit", "float64[2, 3]", "2"]),
    "hsplit: scalar": (lambda m, x: m.hsplit(x, 1), (V[0],), ["hsplit"]),
    "vsplit: vector": (lambda m, x: m.vsplit(x, 1), (V,), ["vsplit", "float64[4]"]),
    "dsplit: matrix": (lambda m, x: m.dsplit(x, 1), (X,), ["dsplit", "float64[2, 3]"]),
    "hsplit: text": (lambda m, x: m.hsplit(x, "abc"), (X,), ["hsplit", "abc"]),
    "hstack: ranks": (lambda m, x, y: m.hstack([x, y]), (X, V), ["float64[2, 3]"]),
    "block_diag: rank": (
        lambda m, x: m.block_diag(x),
        (X[None],),
        ["block_diag", "float64[1, 2, 3]"],
    ),
    "meshgrid: rank": (lambda m, x: m.meshgrid(x, x), (X,), ["meshgrid", "float64[2, 3]"]),
    "meshgrid: indexing": (lambda m, x: m.meshgrid(x, indexing="ab"), (V,), ["meshgrid", "ab"]),
    "meshgrid: dtypes": (lambda m, x: m.meshgrid(x, x.int()), (V,), ["meshgrid", "int32"]),
    "cartesian_prod: rank": (lambda m, x: m.cartesian_prod(x), (X,), ["cartesian_prod"]),
    "combinations: rank": (lambda m, x: m.combinations(x), (X,), ["combinations"]),
    "combinations: r": (lambda m, x: m.combinations(x, -1), (V,), ["combinations", "-1"]),
    "broadcast_tensors": (
        lambda m, x, y: m.broadcast_tensors(x, y),
        (X, V),
        ["broadcast_tensors", "float64[2, 3]", "float64[4]"],
    ),
    "broadcast_shapes": (
        lambda m: m.broadcast_shapes((2, 3), (4,)),
        (),
        ["broadcast_shapes", "(2, 3)", "(4,)"],
    ),
    "sum_to_size": (lambda m, x: x.sum_to_size(3, 3), (X,), ["sum_to_size", "float64[2, 3]"]),
    "adjoint: vector": (lambda m, x: m.adjoint(x), (V,), ["adjoint", "float64[4]"]),
    "H: rank": (lambda m, x: x.H, (X[None],), ["H", "float64[1, 2, 3]"]),
    "fliplr: vector": (lambda m, x: m.fliplr(x), (V,), ["fliplr", "float64[4]"]),
    "flipud: scalar": (lambda m, x: m.flipud(x), (V[0],), ["flipud"]),
    "roll: numbers": (lambda m, x: m.roll(x, (1, 2), (0,)), (X,), ["roll", "(1, 2)"]),
    "roll: dim": (lambda m, x: m.roll(x, 1, 2), (X,), ["roll", "2"]),
    "rot90: one dim": (lambda m, x: m.rot90(x, 1, (0,)), (X,), ["rot90"]),
    "rot90: twice": (lambda m, x: m.rot90(x, 1, (0, 0)), (X,), ["rot90"]),
    "repeat: few": (lambda m, x: x.repeat(2), (X,), ["repeat", "float64[2, 3]"]),
    "repeat: negative": (lambda m, x: x.repeat(2, -1), (X,), ["repeat", "-1"]),
    "repeat_interleave: length": (
        lambda m, x: m.repeat_interleave(x, m.tensor([1, 2]), dim=1),
        (X,),
        ["repeat_interleave", "int64[2]", "float64[2, 3]"],
    ),
    "repeat_interleave: negative": (
        lambda m, x: m.repeat_interleave(x, m.tensor([-1, 2]), dim=0),
        (X,),
        ["repeat_interleave", "negative"],
    ),
    "repeat_interleave: size": (
        lambda m, x: m.repeat_interleave(x, m.tensor([1, 2]), dim=0, output_size=4),
        (X,),
        ["repeat_interleave", "4", "3"],
    ),
    "diagonal: twice": (lambda m, x: m.diagonal(x, 0, 1, 1), (X,), ["diagonal", "float64[2, 3]"]),
    "diagonal: dim": (lambda m, x: m.diagonal(x, 0, 0, 2), (X,), ["diagonal", "2"]),
    "diagonal_scatter": (
        lambda m, x, y: m.diagonal_scatter(x, y),
        (X, V),
        ["diagonal_scatter", "float64[4]", "(2,)"],
    ),
    "diag_embed: twice": (lambda m, x: m.diag_embed(x, 0, 1, 1), (V,), ["diag_embed"]),
    "tril: vector": (lambda m, x: m.tril(x), (V,), ["tril", "float64[4]"]),
    "triu_indices: negative": (lambda m: m.triu_indices(-1, 2), (), ["triu_indices", "-1"]),
    "unfold: size": (lambda m, x: x.unfold(0, 3, 1), (X,), ["unfold", "3", "float64[2, 3]"]),
    "unfold: step": (lambda m, x: x.unfold(0, 1, 0), (X,), ["unfold", "0"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)
