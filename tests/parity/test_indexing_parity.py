"""Reading and writing at positions, next to PyTorch; with negative steps, next to NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import PARITY, View, shapes, views
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


# gather and its relatives: the calls of the tables in `tests/operations`, and what they leave out


@PARITY
@given(data=st.data())
def test_a_source_may_be_larger_than_the_index(same, data):
    index = np.random.default_rng(0).permuted(np.tile(np.arange(3), (2, 1)), axis=1)[:, :2]
    x, src = data.draw(views((2, 3))), data.draw(views((3, 4)))
    for call in (
        lambda m, x, i, src: m.scatter(x, 1, i, src),
        lambda m, x, i, src: m.scatter_add(x, 1, i, src),
        lambda m, x, i, src: m.scatter_reduce(x, 1, i, src, "amax"),
    ):
        same(call, x, index, src, order=0)  # where PyTorch's gradient fails


@pytest.mark.parametrize("reduce", ["add", "multiply"])
def test_scatter_combines_by_an_older_name_too(same, reduce):
    index = np.array([[0, 2, 0], [1, 1, 1]])
    x, src = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) + 2
    same(lambda m, x, i, s: m.scatter(x, 1, i, s, reduce=reduce), x, index, src, order=0)
    same(lambda m, x, i: m.scatter(x, 1, i, 3.0, reduce=reduce), x, index, order=0)
    gathered = [
        tg.autograd.grad(tg.scatter(a, 1, tg.tensor(index), b, reduce=reduce).sum(), (a, b))
        for a, b in [(tg.tensor(x, requires_grad=True), tg.tensor(src, requires_grad=True))]
    ]
    name = {"add": "sum", "multiply": "prod"}[reduce]
    a, b = tg.tensor(x, requires_grad=True), tg.tensor(src, requires_grad=True)
    expected = tg.autograd.grad(tg.scatter_reduce(a, 1, tg.tensor(index), b, name).sum(), (a, b))
    for ours, theirs in zip(gathered[0], expected, strict=True):
        assert np.array_equal(ours.data, theirs.data)


@pytest.mark.parametrize("reduce", ["amax", "amin", "mean", "sum"])
def test_what_ties_shares_evenly(same, reduce):
    index = np.array([0, 0, 0, 1, 2, 2])
    x, src = np.array([1.0, 5.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.0, 5.0, 2.0, 2.0])
    same(lambda m, x, i, s: m.scatter_reduce(x, 0, i, s, reduce), x, index, src)
    if reduce != "sum":
        same(lambda m, x, i, s: m.index_reduce(x, 0, i, s, reduce), x, index, src)


@pytest.mark.parametrize("reduce", ["amax", "amin"])
def test_what_takes_no_part_in_a_tie_takes_no_share(reduce):
    # PyTorch's share is that of three here, and a third of the gradient is lost.
    x, src = (tg.tensor([1.0] * n, requires_grad=True) for n in (2, 2))
    result = tg.scatter_reduce(x, 0, tg.tensor([0, 0]), src, reduce, include_self=False)
    to_x, to_src = tg.autograd.grad(result.sum(), (x, src))
    assert to_x.tolist() == [0.0, 1.0]
    assert to_src.tolist() == [0.5, 0.5]


def test_a_position_out_of_range_is_not_wrapped_around():
    for index in (tg.tensor([6]), tg.tensor([-7])):
        with pytest.raises(IndexError, match=r"unravel_index.*6|unravel_index.*-7"):
            tg.unravel_index(index, (2, 3))  # PyTorch wraps


@pytest.mark.parametrize("include_self", [True, False])
def test_a_product_with_zeros_has_the_gradient_of_the_product(same, include_self):
    index = np.array([0, 0, 1, 1, 2, 2, 2])
    x, src = np.array([2.0, 3.0, 0.0]), np.array([3.0, 4.0, 0.0, 5.0, 0.0, 0.0, 2.0])
    same(
        lambda m, x, i, s: m.scatter_reduce(x, 0, i, s, "prod", include_self=include_self),
        x,
        index,
        src,
        order=1,
    )


@pytest.mark.parametrize("zeros", [(), (0,), (0, 2), (0, 1, 2)])
def test_a_product_with_zeros_is_exact_to_second_order(zeros):
    src = np.array([2.0, 3.0, -1.5, 4.0])
    src[list(zeros)] = 0.0
    index = tg.tensor([0, 0, 0, 1])
    x = tg.tensor([2.0, 3.0], dtype=tg.float64, requires_grad=True)

    def scattered(x, s):
        return tg.scatter_reduce(x, 0, index, s, "prod")

    def plain(x, s):
        return tg.stack([x[0] * (s[0] * s[1] * s[2]), x[1] * s[3]])

    weights = tg.tensor([0.5, 2.0], dtype=tg.float64)
    results = []
    for function in (scattered, plain):
        s = tg.tensor(src, requires_grad=True)
        first = tg.autograd.grad((function(x, s) * weights).sum(), (x, s), create_graph=True)
        mixed = (first[1] * tg.tensor([1.0, 2.0, 3.0, 4.0], dtype=tg.float64)).sum() + first[0][0]
        results.append([*first, *tg.autograd.grad(mixed, (x, s))])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours.detach().data, theirs.detach().data, rtol=1e-12)


def test_of_two_writes_the_last_stays_and_has_the_gradient():
    x = tg.zeros(3, requires_grad=True)
    src = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    index = tg.tensor([1, 1, 0])
    for write in (
        lambda: tg.scatter(x, 0, index, src),
        lambda: tg.index_copy(x, 0, index, src),
        lambda: tg.put(x, index, src),
        lambda: tg.index_put(x, (index,), src),
    ):
        written = write()
        assert written.tolist() == [3.0, 2.0, 0.0]
        to_x, to_src = tg.autograd.grad(written, (x, src), tg.tensor([10.0, 20.0, 30.0]))
        assert to_x.tolist() == [0.0, 0.0, 30.0]
        assert to_src.tolist() == [0.0, 20.0, 10.0]


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int16, np.uint64])
def test_positions_may_have_any_whole_dtype(dtype):
    x = tg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    index = tg.tensor(np.array([[2], [1]], dtype))
    assert tg.gather(x, 1, index).tolist() == [[2.0], [4.0]]
    assert tg.index_select(x, 1, index.reshape(-1)).tolist() == [[2.0, 1.0], [5.0, 4.0]]
    assert x[index.reshape(-1)[1:]].tolist() == [[3.0, 4.0, 5.0]]
    (gradient,) = tg.autograd.grad(tg.gather(x, 1, index).sum(), x)
    assert gradient.tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_an_index_without_elements_may_have_any_shape(same):
    for shape in [(0,), (2, 0), (5, 0, 3)]:
        same(lambda m, x, i: m.gather(x, 1, i), np.ones((2, 3)), np.zeros(shape, np.int64))
        same(
            lambda m, x, i, s: m.scatter_add(x, 1, i, s),
            np.ones((2, 3)),
            np.zeros(shape, np.int64),
            np.ones((2, 3)),
            order=0,
        )


def test_numbers_take_the_dtype_of_what_they_are_written_into(same):
    whole, mask = np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3) > 2
    same(lambda m, x, k: m.masked_fill(x, k, 2.7), whole, mask, order=0)
    same(lambda m, x, i: m.index_fill(x, 0, i, 2.7), whole, np.array([0]), order=0)
    same(lambda m, x, i: m.scatter(x, 1, i, 2.7), whole, np.array([[0]]), order=0)
    same(lambda m, x, k: m.masked_fill(x, k, 2), mask, mask, order=0)


def test_nonzero_in_every_form(same):
    for x in (np.array(5.0), np.array(0.0), np.zeros((0, 3)), np.arange(4) % 2):
        same(lambda m, x: m.nonzero(x), x, order=0)
        same(lambda m, x: m.nonzero(x, as_tuple=True), x, order=0)
        same(lambda m, x: m.where(x != 0), x, order=0)


def test_gathering_rows_again_and_again_is_repeatable():
    stream = np.random.default_rng(0)
    table = tg.tensor(stream.standard_normal((50, 8)).astype(np.float32), requires_grad=True)
    rows = tg.tensor(stream.integers(0, 50, 20_000))
    seed = tg.tensor(stream.standard_normal((20_000, 8)).astype(np.float32))
    first, second = (tg.autograd.grad(table[rows], table, seed)[0].data for _ in range(2))
    assert np.array_equal(first, second)
    expected = np.zeros((50, 8))
    np.add.at(expected, rows.data, seed.data.astype(np.float64))
    np.testing.assert_allclose(first, expected, rtol=1e-3, atol=1e-3)


@PARITY
@given(mask=views(st.just((2, 1, 3))), x=views(st.just((4, 1))))
def test_a_mask_may_be_larger_than_what_it_selects_from(same, mask, x):
    same(lambda m, x, k: m.masked_select(x, k > 0.5), x, mask)
    same(lambda m, x, k: m.masked_fill(x, k > 0.5, 1.0), x, mask)


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
    "index_add: position": (
        lambda m, x, i: m.index_add(x, 0, i[0] + 2, x),
        (X, AT),
        ["index_add", SHAPE, "2"],
    ),
    "index_add: source": (
        lambda m, x, i: m.index_add(x, 0, i[0], x[:, :1]),
        (X, AT),
        ["index_add", "float64[2, 1]"],
    ),
    "index_add: dtype": (
        lambda m, x, i: m.index_add(x, 0, i[0], x.int()),
        (X, AT),
        ["index_add", "int32"],
    ),
    "index_copy: negative": (
        lambda m, x, i: m.index_copy(x, 0, i[0] - 1, x),
        (X, AT),
        ["index_copy", "-1"],
    ),
    "index_copy: source": (
        lambda m, x, i: m.index_copy(x, 0, i[0], x[0]),
        (X, AT),
        ["index_copy", "float64[3]"],
    ),
    "index_fill: position": (
        lambda m, x, i: m.index_fill(x, 1, i[0] + 3, 1.0),
        (X, AT),
        ["index_fill", SHAPE, "3"],
    ),
    "index_fill: value": (
        lambda m, x, i: m.index_fill(x, 1, i[0], x[0]),
        (X, AT),
        ["index_fill", "float64[3]"],
    ),
    "index_put: position": (
        lambda m, x, i: m.index_put(x, (i[0] + 2,), x[0]),
        (X, AT),
        [SHAPE, "2"],
    ),
    "index_put: dtype": (
        lambda m, x, i: m.index_put(x, (i[0],), i[0, 0]),
        (X, AT),
        ["index_put", "int64"],
    ),
    "index_reduce: sum": (
        lambda m, x, i: m.index_reduce(x, 0, i[0], x, "sum"),
        (X, AT),
        ["index_reduce", "sum"],
    ),
    "put: position": (
        lambda m, x, i: m.put(x, i + 6, x[:, :2]),
        (X, AT),
        ["put", SHAPE, "6"],
    ),
    "put: numbers": (lambda m, x, i: m.put(x, i, x), (X, AT), ["put", SHAPE, "int64[2, 2]"]),
    "take: position": (lambda m, x, i: m.take(x, i + 6), (X, AT), ["take", SHAPE, "6"]),
    "take: floats": (lambda m, x: m.take(x, x), (X,), ["take", SHAPE]),
    "scatter: position": (
        lambda m, x, i: m.scatter(x, 1, i + 3, x),
        (X, AT),
        ["scatter", SHAPE, "3"],
    ),
    "scatter: dtype": (lambda m, x, i: m.scatter(x, 1, i, i), (X, AT), ["scatter", "int64"]),
    "scatter: reduce": (
        lambda m, x, i: m.scatter(x, 1, i, x, reduce="max"),
        (X, AT),
        ["scatter", "max"],
    ),
    "scatter_reduce: reduce": (
        lambda m, x, i: m.scatter_reduce(x, 1, i, x, "median"),
        (X, AT),
        ["scatter_reduce", "median", "amax"],
    ),
    "scatter_reduce: size": (
        lambda m, x, i: m.scatter_reduce(x, 1, i, x[:1], "sum"),
        (X, AT),
        ["scatter_reduce", "float64[1, 3]"],
    ),
    "masked_scatter: few": (
        lambda m, x: m.masked_scatter(x, x > -1, x[0]),
        (X,),
        ["masked_scatter", "6", "float64[3]"],
    ),
    "masked_scatter: dtype": (
        lambda m, x: m.masked_scatter(x, x > -1, x.int()),
        (X,),
        ["masked_scatter", "int32"],
    ),
    "select: position": (lambda m, x: m.select(x, 1, 3), (X,), ["select", SHAPE, "3"]),
    "select: a number": (lambda m, x: m.select(x, 0, 0), (X[0, 0],), ["select"]),
    "select_scatter: shape": (
        lambda m, x: m.select_scatter(x, x, 1, 0),
        (X,),
        ["select_scatter", SHAPE],
    ),
    "slice_scatter: shape": (
        lambda m, x: m.slice_scatter(x, x, 1, 1),
        (X,),
        ["slice_scatter", SHAPE],
    ),
    "narrow: start": (lambda m, x: m.narrow(x, 1, 4, 0), (X,), ["narrow", "4", SHAPE]),
    "narrow: length": (lambda m, x: m.narrow(x, 1, 2, 2), (X,), ["narrow", "2", SHAPE]),
    "isin: nothing": (lambda m: m.isin(1, 2), (), ["isin"]),
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
