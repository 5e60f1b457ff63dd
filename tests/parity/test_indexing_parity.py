"""Reading and writing at positions, next to PyTorch; with negative steps, next to NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import PARITY, View, dims, shapes, views
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg

MORE = settings(PARITY, max_examples=150)


# Keys. An array in a key becomes a tensor of either side.


def key_for(m, key):
    if isinstance(key, tuple):
        return tuple(key_for(m, part) for part in key)
    return m.tensor(key) if isinstance(key, np.ndarray) else key


def read(key):
    return lambda m, x: x[key_for(m, key)]


def write(key):
    def call(m, x, value):
        y = x * 1
        y[key_for(m, key)] = value
        return y

    return call


def slices(n):
    edge = st.none() | st.integers(-n - 1, n + 1)
    return st.builds(slice, edge, edge, st.none() | st.integers(1, 3))


@st.composite
def positions(draw, n, shape):
    """An array of valid positions, negative and repeated ones among them."""
    random = np.random.default_rng(draw(st.integers(0, 99)))
    return random.integers(-n, n, shape) if n else np.zeros(0, np.int64)


@st.composite
def keys(draw, shape, repeats=True):
    """Every mixture of ints, slices, None, Ellipsis, masks, positions, for a shape."""
    key, d = [], 0
    dots = False
    index_shape = draw(st.sampled_from([(), (1,), (3,), (2, 1), (2, 2), (0,)]))
    kinds = ["slice", "slice", "int", "positions", "mask", "mask2", "none", "dots", "stop"]
    while d < len(shape):
        # After dots a key counts from the end, so it goes on to the last dimension.
        kind = draw(st.sampled_from([k for k in kinds if not (dots and k in ("dots", "stop"))]))
        n = shape[d]
        if kind == "stop":
            break
        if kind == "none":
            key.append(None)
            kinds = [k for k in kinds if k != "none" or len(key) < 5]
            continue
        if kind == "dots":
            key.append(...)
            dots = True
            d += draw(st.integers(0, len(shape) - d))
            continue
        if kind == "mask2" and d + 1 < len(shape):
            random = np.random.default_rng(draw(st.integers(0, 9)))
            key.append(random.random(shape[d : d + 2]) > 0.5)
            d += 2
            kinds = ["slice", "int", "none", "stop"]  # its length meets no other array's
            index_shape = ()
            continue
        if kind == "mask":
            key.append(np.random.default_rng(draw(st.integers(0, 9))).random(n) > 0.5)
            kinds = ["slice", "int", "none", "stop"]
        elif kind == "positions" and n:
            if repeats:
                key.append(draw(positions(n, index_shape)))
            else:
                key.append(np.arange(n)[:: draw(st.sampled_from([1, -1]))].copy())
                kinds = ["slice", "int", "none", "stop"]
        elif kind == "int" and n:
            key.append(draw(st.integers(-n, n - 1)))
        else:
            key.append(draw(slices(n)))
        d += 1
        if any(isinstance(part, np.ndarray) for part in key):
            kinds = [k for k in kinds if not k.startswith("mask")]
    return tuple(key) if len(key) != 1 or draw(st.booleans()) else key[0]


@MORE
@given(data=st.data())
def test_reading(same, data):
    shape = data.draw(shapes(max_dims=4))
    same(read(data.draw(keys(shape))), data.draw(views(shape)))


@MORE
@given(data=st.data())
def test_writing_a_number(same, data):
    shape = data.draw(shapes())
    key, x = data.draw(keys(shape)), data.draw(views(shape))
    same(lambda m, x: write(key)(m, x, 2.5), x)


@MORE
@given(data=st.data())
def test_writing_a_tensor(same, data):
    shape = data.draw(shapes())
    key = data.draw(keys(shape, repeats=False))
    target = tg.zeros(shape)[key_for(tg, key)].shape  # which test_reading compares
    value = data.draw(st.sampled_from([target, target[1:], (1,) * len(target), ()]))
    same(write(key), data.draw(views(shape)), data.draw(views(value)))


X3 = np.arange(24.0).reshape(2, 3, 4)
ROWS, COLUMNS = np.array([1, 0, 1]), np.array([[0, -1, 0]])
KEYS = {
    "an int": 1,
    "a negative int": -1,
    "two ints": (1, -2),
    "all ints": (1, 2, 3),
    "nothing": (),
    "dots": ...,
    "dots and an int": (..., 1),
    "an int and dots": (1, ...),
    "None": None,
    "Nones": (None, 1, None, slice(1, 3), None),
    "a slice": slice(1, None),
    "a step": (slice(None), slice(None, None, 2), slice(1, None, 2)),
    "an empty slice": (slice(None), slice(2, 1)),
    "slices out of range": (slice(-9, 9), slice(5, 9)),
    "positions": ROWS,
    "negative positions": np.array([-1, -2, -1, 1]),
    "positions of two dimensions": np.array([[0, 1], [1, 1]]),
    "no positions": np.zeros(0, np.int64),
    "a 0-d position": np.array(1),
    "positions on the left": (ROWS, slice(None)),
    "positions in the middle": (slice(None), ROWS),
    "positions in the end": (..., ROWS),
    "pairs": (ROWS, ROWS),
    "pairs that broadcast": (ROWS, COLUMNS),
    "pairs in the end": (slice(None), ROWS, COLUMNS),
    "triples": (ROWS, ROWS, ROWS),
    "separated by a slice": (ROWS, slice(None), ROWS),
    "separated by dots": (ROWS, ..., ROWS),
    "separated by None": (ROWS, None, ROWS),
    "positions and an int": (ROWS, 1),
    "an int and positions": (1, ROWS),
    "an int apart from positions": (1, slice(None), ROWS),
    "positions apart from an int": (ROWS, slice(None), 1),
    "a 0-d position apart": (np.array(1), slice(None), ROWS),
    "a list": [1, 0, 1],
    "lists": ([1, 0], [2, 2]),
    "a list of booleans": [True, False],
    "a range": (slice(None), range(2)),
    "a mask": np.array([True, False]),
    "a mask that is all false": np.array([False, False]),
    "a mask in the middle": (slice(None), np.array([True, False, True])),
    "a mask of two dimensions": np.array([[True, False, True], [False, False, True]]),
    "a mask of all dimensions": X3 % 3 == 0,
    "a mask and an int": (np.array([True, True]), 1),
    "a mask and positions": (np.array([True, True]), np.array([0, 2])),
    "a mask apart from positions": (np.array([True, True]), slice(None), np.array([0, 2])),
    "a 0-d mask": np.array(True),
    "True": True,
    "False": False,
    "int32 positions": ROWS.astype(np.int32),
}


@pytest.mark.parametrize("name", KEYS)
def test_every_kind_of_key(same, name):
    same(read(KEYS[name]), X3)
    same(lambda m, x: write(KEYS[name])(m, x, 7.0), X3)


@pytest.mark.parametrize("key", [0, slice(None), ..., (), np.zeros(0, np.int64), np.zeros(0, bool)])
def test_keys_of_a_tensor_without_elements(same, key):
    if isinstance(key, int):
        same.error(read(key), np.zeros((0, 3)), says=["index"])
    else:
        same(read(key), np.zeros((0, 3)))


@pytest.mark.parametrize("key", [..., (), None, (None, ...), np.array(True), np.array(False), True])
def test_keys_of_a_number(same, key):
    same(read(key), np.array(3.0))
    same(lambda m, x: write(key)(m, x, 7.0), np.array(3.0))


@pytest.mark.parametrize(
    "key",
    [
        slice(None, None, -1),
        (slice(None), slice(3, 0, -2)),
        (..., slice(None, None, -1)),
        (1, slice(2, None, -1)),
    ],
    ids=str,
)
def test_negative_steps_are_numpys(key):
    x = tg.tensor(X3, requires_grad=True)
    assert np.array_equal(x[key].detach().data, X3[key])
    (x[key] * x[key]).sum().backward()
    expected = np.zeros_like(X3)
    expected[key] = 2 * X3[key]
    assert np.array_equal(x.grad.data, expected)


@PARITY
@given(x=views(st.just((5, 3))), value=views(st.just((3,))))
def test_writes_follow_each_other(same, x, value):
    def call(m, x, value):
        y = x * 2
        y[1] = value
        z = y[1:3] * 1
        y[1:3] = z.flip(0)
        y[y > 0.5] = 0.25
        y[0] += value
        return y, z

    same(call, x, value)


def test_written_values_take_the_dtype_of_the_tensor(same):
    same(
        lambda m, x, v: write((0,))(m, x, v),
        X3.astype(np.float32),
        np.ones(4),
        order=1,
        single=False,
    )
    same(lambda m, x: write((0,))(m, x, 2.7), np.arange(3), order=0)
    same(lambda m, x: write((0,))(m, x, True), np.arange(3), order=0)


# gather and its relatives


@st.composite
def gathers(draw):
    shape = draw(shapes(min_dims=1, max_side=3))
    d = draw(dims(len(shape)))
    index_shape = tuple(draw(st.integers(0, n)) for n in shape)
    length = draw(st.integers(0, 4)) if shape[d] else 0
    at = d % len(shape)
    index_shape = (*index_shape[:at], length, *index_shape[at + 1 :])
    random = np.random.default_rng(draw(st.integers(0, 99)))
    index = random.integers(0, max(shape[d], 1), index_shape)
    if not shape[d]:
        index = np.zeros(index_shape, np.int64)
    return draw(views(shape)), d, index


@PARITY
@given(drawn=gathers())
def test_gather(same, drawn):
    x, d, index = drawn
    same(lambda m, x, i: m.gather(x, d, i), x, index)
    same(lambda m, x, i: m.gather(x, dim=d, index=i), x, index, order=0)


@PARITY
@given(drawn=gathers(), data=st.data())
def test_scatter_add_accumulates(same, drawn, data):
    x, d, index = drawn
    call = lambda m, x, i, src: m.scatter_add(x, d, i, src)  # noqa: E731
    same(call, x, index, data.draw(views(index.shape)))
    larger = tuple(n + data.draw(st.integers(0, 1)) for n in index.shape)
    same(call, x, index, data.draw(views(larger)), order=0)  # where PyTorch's gradient fails


@PARITY
@given(data=st.data())
def test_take_along_dim(same, data):
    shape = data.draw(shapes(min_dims=1, max_side=3).filter(lambda s: 0 not in s))
    d = data.draw(dims(len(shape)))
    wanted = list(shape)
    wanted[d] = data.draw(st.integers(0, 4))
    index = np.random.default_rng(0).integers(0, shape[d], wanted)
    x = data.draw(views(shape))
    same(lambda m, x, i: m.take_along_dim(x, i, d), x, index)
    narrow = tuple(n if at == d % len(shape) else 1 for at, n in enumerate(wanted))
    same(lambda m, x, i: m.take_along_dim(x, i, dim=d), x, index[tuple(map(slice, narrow))])
    same(lambda m, x, i: m.take_along_dim(x.contiguous(), i), x, np.array([0, 0]))


@PARITY
@given(data=st.data())
def test_index_select(same, data):
    shape = data.draw(shapes(min_dims=1))
    d = data.draw(dims(len(shape)))
    count = data.draw(st.integers(0, 4)) if shape[d] else 0
    index = np.random.default_rng(1).integers(0, max(shape[d], 1), count)
    dtype = data.draw(st.sampled_from([np.int64, np.int32]))
    same(lambda m, x, i: m.index_select(x, d, i), data.draw(views(shape)), index.astype(dtype))


@st.composite
def masked(draw):
    x = draw(views())
    shape = np.broadcast_shapes(x.look(tg.tensor(x.base)).shape)
    lead = draw(st.integers(0, len(shape)))
    mask_shape = tuple(1 if draw(st.booleans()) else n for n in shape[lead:])
    return x, np.asarray(np.random.default_rng(draw(st.integers(0, 9))).random(mask_shape) > 0.5)


@PARITY
@given(drawn=masked())
def test_masks(same, drawn):
    x, mask = drawn
    same(lambda m, x, k: m.masked_fill(x, k, 2.5), x, mask)
    same(lambda m, x, k: m.masked_fill(x, k, -3), x, mask)
    same(lambda m, x, k, v: m.masked_fill(x, k, v), x, mask, np.array(0.5))
    same(lambda m, x, k: m.masked_select(x, k), x, mask)


@PARITY
@given(mask=views(st.just((2, 1, 3))), x=views(st.just((4, 1))))
def test_a_mask_may_be_larger_than_what_it_selects_from(same, mask, x):
    same(lambda m, x, k: m.masked_select(x, k > 0.5), x, mask)
    same(lambda m, x, k: m.masked_fill(x, k > 0.5, 1.0), x, mask)


@PARITY
@given(data=st.data(), diagonal=st.integers(-3, 3))
def test_diag(same, data, diagonal):
    x = data.draw(views(shapes(min_dims=1, max_dims=2)))
    same(lambda m, x: m.diag(x), x)
    same(lambda m, x: m.diag(x, diagonal), x)


@PARITY
@given(shape=shapes(), classes=st.sampled_from([-1, 4, 6]))
def test_one_hot(same, shape, classes):
    target = np.random.default_rng(0).integers(0, 4, shape)
    if not target.size and classes == -1:
        same.error(lambda m, t: m.one_hot(t), target, says=["one_hot", "num_classes"])
        return
    same(lambda m, t: m.one_hot(t, classes), np.asarray(target), order=0)
    same(lambda m, t: m.one_hot(t, num_classes=9), np.asarray(target), order=0)


X, AT = np.zeros((2, 3)), np.zeros((2, 2), np.int64)
SHAPE = "float64[2, 3]"
MISTAKES = {
    "an int": (read(2), (X,), ["index", SHAPE, "2"]),
    "a negative int": (read((0, -4)), (X,), ["index", SHAPE, "-4"]),
    "positions": (read(np.array([0, 2])), (X,), ["index", SHAPE, "2"]),
    "too many": (read((0, 0, 0)), (X,), ["index", SHAPE]),
    "a float": (read(1.0), (X,), ["index"]),
    "float positions": (read(np.array([0.0, 1.0])), (X,), ["indices", "float64"]),
    "a mask that does not fit": (read(np.array([True, False, True])), (X,), ["index", SHAPE]),
    "positions that do not broadcast": (
        read((np.array([0, 1]), np.array([0, 1, 2]))),
        (X,),
        ["index"],
    ),
    "a number has no elements": (read(0), (X[0, 0],), ["index"]),
    "writing: shape": (write(0), (X, np.zeros(2)), [SHAPE, "float64[2]"]),
    "writing: position": (write(2), (X, np.zeros(3)), [SHAPE, "2"]),
    "writing: a leaf": (lambda m, x: x.__setitem__(0, 1.0), (X,), ["leaf"]),
    "gather: position": (lambda m, x, i: m.gather(x, 1, i + 3), (X, AT), ["gather", SHAPE, "3"]),
    "gather: negative": (lambda m, x, i: m.gather(x, 1, i - 1), (X, AT), ["gather", SHAPE, "-1"]),
    "gather: rank": (lambda m, x, i: m.gather(x, 1, i[0]), (X, AT), ["gather", SHAPE, "int64[2]"]),
    "gather: size": (lambda m, x, i: m.gather(x, 1, i), (X[:1], AT), ["gather", "float64[1, 3]"]),
    "gather: floats": (lambda m, x, i: m.gather(x, 1, i * 1.0), (X, AT), ["gather", "float32"]),
    "gather: dim": (lambda m, x, i: m.gather(x, 2, i), (X, AT), ["gather", "2"]),
    "scatter_add: position": (
        lambda m, x, i: m.scatter_add(x, 1, i + 3, x),
        (X, AT),
        ["scatter_add", SHAPE],
    ),
    "scatter_add: src": (
        lambda m, x, i: m.scatter_add(x, 1, i, x[:, :1]),
        (X, AT),
        ["scatter_add"],
    ),
    "scatter_add: dtype": (
        lambda m, x, i: m.scatter_add(x, 1, i, i),
        (X, AT),
        ["scatter_add", "float64", "int64"],
    ),
    "index_select: position": (
        lambda m, x, i: m.index_select(x, 0, i[0] + 2),
        (X, AT),
        ["index_select", "2"],
    ),
    "index_select: negative": (
        lambda m, x, i: m.index_select(x, 0, i[0] - 1),
        (X, AT),
        ["index_select", "-1"],
    ),
    "index_select: rank": (
        lambda m, x, i: m.index_select(x, 0, i),
        (X, AT),
        ["index_select", "int64[2, 2]"],
    ),
    "index_select: floats": (
        lambda m, x: m.index_select(x, 0, x[0]),
        (X,),
        ["index_select", "float64"],
    ),
    "index_select: dim": (
        lambda m, x, i: m.index_select(x, 2, i[0]),
        (X, AT),
        ["index_select", "2"],
    ),
    "masked_fill: mask": (lambda m, x: m.masked_fill(x, x, 1.0), (X,), ["masked_fill", "bool"]),
    "masked_fill: shape": (
        lambda m, x: m.masked_fill(x, x[:, :2] > 0, 1.0),
        (X,),
        ["masked_fill", SHAPE],
    ),
    "masked_fill: value": (lambda m, x: m.masked_fill(x, x > 0, x), (X,), ["masked_fill", SHAPE]),
    "masked_select: mask": (lambda m, x: m.masked_select(x, x), (X,), ["masked_select", "bool"]),
    "masked_select: shape": (
        lambda m, x: m.masked_select(x, x[:, :2] > 0),
        (X,),
        ["masked_select", SHAPE],
    ),
    "one_hot: floats": (lambda m, x: m.one_hot(x), (X,), ["one_hot", "float64"]),
    "one_hot: classes": (lambda m, i: m.one_hot(i + 3, 3), (AT,), ["one_hot", "3"]),
    "one_hot: negative": (lambda m, i: m.one_hot(i - 1), (AT,), ["one_hot", "-1"]),
    "diag: rank": (lambda m, x: m.diag(x), (X[None],), ["diag", "float64[1, 2, 3]"]),
    "take_along_dim: rank": (
        lambda m, x, i: m.take_along_dim(x, i[0], 0),
        (X, AT),
        ["take_along_dim"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)


def test_a_view_of_a_view_gathers_all_gradients(same):
    x = View(np.arange(12.0).reshape(3, 4), lambda t: t.permute((1, 0))[1:], "composed")
    same(lambda m, x: x[::2, 1:] * x[1, 0] + x[-1:, :2], x)
