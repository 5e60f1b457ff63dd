"""Arrangement, next to PyTorch: any rank and order, sizes 0 and 1, any view."""

from __future__ import annotations

import math

import numpy as np
import pytest
from comparing import PARITY, dims, shapes, views
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# Families of arguments: a strategy of (the shape of the input, the other arguments).


@st.composite
def one_dim(draw, extra=0, **kwargs):
    shape = draw(shapes(**kwargs))
    ndim = len(shape) + extra
    return shape, (draw(st.integers(-ndim, ndim - 1) if ndim else dims(0)),)


@st.composite
def two_dims(draw):
    shape = draw(shapes(min_dims=1, max_dims=4))
    return shape, (draw(dims(len(shape))), draw(dims(len(shape))))


@st.composite
def ordered_dims(draw):
    shape = draw(shapes(max_dims=4))
    a, b = sorted(draw(st.tuples(*[st.integers(0, max(len(shape) - 1, 0))] * 2)))
    return shape, (a, b - max(len(shape), 1) if draw(st.booleans()) else b)


@st.composite
def several_dims(draw):
    shape = draw(shapes(max_dims=4))
    ndim = len(shape)
    named = st.lists(dims(ndim), max_size=ndim, unique_by=lambda d: d % max(ndim, 1))
    return shape, (tuple(draw(named)),)


@st.composite
def every_dim(draw):
    shape = draw(shapes(max_dims=4))
    order = draw(st.permutations(range(len(shape))))
    return shape, (tuple(d - len(shape) if draw(st.booleans()) else d for d in order),)


@st.composite
def moves(draw):
    shape = draw(shapes(min_dims=1, max_dims=4))
    order, places = (draw(st.permutations(range(len(shape)))) for _ in range(2))
    count = draw(st.integers(0, len(shape)))
    if count == 1 and draw(st.booleans()):
        return shape, (order[0] - len(shape), places[0])
    return shape, (tuple(order[:count]), tuple(places[:count]))


@st.composite
def new_shapes(draw):
    wanted = draw(shapes(max_dims=4))
    size = math.prod(wanted)
    shape = draw(st.sampled_from([wanted, (size,), (1, size), wanted[::-1], (*wanted, 1)]))
    if wanted and size and draw(st.booleans()):
        at = draw(st.integers(0, len(wanted) - 1))
        wanted = (*wanted[:at], -1, *wanted[at + 1 :])
    return shape, (wanted,)


@st.composite
def factors(draw):
    shape = draw(shapes(min_dims=1))
    d = draw(dims(len(shape)))
    n = shape[d]
    choices = [(n,), (n, 1), (1, n, 1)] + ([(2, n // 2), (-1, 2)] if n and n % 2 == 0 else [])
    return shape, (d, draw(st.sampled_from(choices)))


@st.composite
def expansions(draw):
    drawn = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=draw(shapes(max_side=3)))
    )
    shape, wanted = drawn.input_shapes[0], drawn.result_shape
    lead = len(wanted) - len(shape)
    keep = tuple(
        -1 if i >= lead and shape[i - lead] == n and draw(st.booleans()) else n
        for i, n in enumerate(wanted)
    )
    return shape, (keep,)


@st.composite
def paddings(draw):
    shape = draw(shapes(min_dims=1))
    count = draw(st.integers(1, len(shape)))
    widths = []
    for n in shape[::-1][:count]:
        left = draw(st.integers(-(n // 2), 2))
        widths += [left, draw(st.integers(-(n // 2), 2))]
    return shape, (tuple(widths),)


@st.composite
def splits(draw):
    shape = draw(shapes(min_dims=1))
    d = draw(dims(len(shape)))
    cuts = sorted(draw(st.lists(st.integers(0, shape[d]), max_size=3)))
    sizes = [b - a for a, b in zip([0, *cuts], [*cuts, shape[d]], strict=True)]
    return shape, (draw(st.sampled_from([sizes, 1, 2, 3, 9])), d)


@st.composite
def chunks(draw):
    shape, (d,) = draw(one_dim(min_dims=1))
    return shape, (draw(st.integers(1, 5)), d)


FUNCTIONS = {
    "broadcast_to": (expansions().filter(lambda d: -1 not in d[1][0]), {}),
    "chunk": (chunks(), {}),
    "clone": (shapes().map(lambda shape: (shape, ())), {}),
    "expand": (expansions(), {}),
    "flatten": (ordered_dims(), {}),
    "flip": (several_dims(), {}),
    "movedim": (moves(), {}),
    "pad": (paddings(), {}),
    "pad, value": (paddings(), {"value": 1.5}),
    "pad, mode": (paddings(), {"mode": "constant", "value": None}),
    "permute": (every_dim(), {}),
    "reshape": (new_shapes(), {}),
    "split": (splits(), {}),
    "squeeze": (shapes(max_side=2).map(lambda shape: (shape, ())), {}),
    "squeeze, one": (one_dim(max_side=2), {}),
    "squeeze, several": (several_dims(), {}),
    "t": (shapes(max_dims=2).map(lambda shape: (shape, ())), {}),
    "transpose": (two_dims(), {}),
    "unbind": (one_dim(min_dims=1), {}),
    "unflatten": (factors(), {}),
    "unsqueeze": (one_dim(extra=1), {}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@PARITY
@given(data=st.data())
def test_arrangements(same, name, data):
    strategy, kwargs = FUNCTIONS[name]
    shape, args = data.draw(strategy)
    function = name.partition(",")[0]
    same(lambda m, x: getattr(m, function)(x, *args, **kwargs), data.draw(views(shape)))


@PARITY
@given(data=st.data(), count=st.integers(1, 3))
def test_cat_joins(same, data, count):
    shape, (dim,) = data.draw(one_dim(min_dims=1))
    parts = []
    for _ in range(count):
        other = list(shape)
        other[dim] = data.draw(st.integers(0, 3))
        parts.append(data.draw(views(tuple(other))))
    same(lambda m, *xs: m.cat(xs, dim), *parts)
    same(lambda m, *xs: m.cat(list(xs), dim=dim), *parts, order=0)


@PARITY
@given(data=st.data(), count=st.integers(1, 3))
def test_stack_joins_along_a_new_dimension(same, data, count):
    shape, (dim,) = data.draw(one_dim(extra=1))
    parts = [data.draw(views(shape)) for _ in range(count)]
    same(lambda m, *xs: m.stack(xs, dim), *parts)


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
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)
