"""Reading and writing at positions on a GPU: gather, take, scatter_add and put, of any strides."""

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import pooling, positions
from tapegrad.kernels.cuda import checks

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = [np.float32, np.float64, np.float16, bfloat16]
FLOATING = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
ANY = [np.bool_, np.int16, np.float32, np.float64]


def numbers(shape, dtype=np.float32, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 5).astype(dtype)


# The shape to read, that of the positions, and the dimension.
GATHERS = [
    ((7,), (20,), 0),
    ((4, 6), (4, 3), 1),
    ((4, 6), (9, 5), 0),
    ((3, 5, 8), (2, 7, 8), 1),
    ((3, 40, 2), (3, 50, 1), 1),
    ((2, 3, 4, 5), (1, 3, 4, 6), 3),
]


def places_in(shape, index, dim, seed=1):
    return np.random.default_rng(seed).integers(0, shape[dim], index)


def read(x, places, dim):
    """What `gather` is, an element at a time."""
    out = np.empty(places.shape, x.dtype)
    for at in np.ndindex(places.shape):
        out[at] = x[(*at[:dim], places[at], *at[dim + 1 :])]
    return out


@pytest.mark.parametrize(("shape", "index", "dim"), GATHERS)
def test_gather_reads_one_position_for_each_element(emulated, shape, index, dim):
    places = places_in(shape, index, dim)
    for dtype in ANY:
        x = numbers(shape, dtype)
        found = positions.gather(emulated, *map(emulated.asarray, (x, places)), dim)
        np.testing.assert_array_equal(found.get(), read(x, places, dim))
    narrow = positions.gather(
        emulated, emulated.asarray(x), emulated.asarray(places - shape[dim]), dim
    )
    np.testing.assert_array_equal(narrow.get(), read(x, places, dim))


@FLOATING
@pytest.mark.parametrize(("shape", "index", "dim"), GATHERS)
def test_scatter_add_is_the_adjoint_of_gather(emulated, dtype, shape, index, dim):
    places, x = places_in(shape, index, dim), numbers(index, dtype)
    exact = np.zeros(shape)
    for at in np.ndindex(index):
        exact[(*at[:dim], places[at], *at[dim + 1 :])] += float(x[at])
    found = positions.scatter_add(emulated, *map(emulated.asarray, (x, places)), dim, shape)
    tolerance = TOLERANCE[np.dtype(dtype).name]
    assert (found.dtype, found.shape) == (dtype, shape)
    np.testing.assert_allclose(found.get().astype(float), exact, tolerance, 20 * tolerance)


STRIDED = [
    lambda x: x[::-1, :, ::2],
    lambda x: x[1:, 3:, 4:],
    lambda x: x.transpose(2, 0, 1),
    lambda x: x[:, :1].transpose(1, 0, 2),
]


@pytest.mark.parametrize("view", STRIDED)
def test_arrays_of_any_strides_are_read_in_place(emulated, view):
    whole = numbers((5, 6, 8))
    x, there = view(whole), view(emulated.asarray(whole))
    index = np.random.default_rng(1).integers(0, x.shape[1], x.shape[::-1]).transpose(2, 1, 0)
    places = emulated.asarray(index.transpose(2, 1, 0)).transpose(2, 1, 0)
    with record() as seen:
        found = positions.gather(emulated, there, places, 1)
        taken = positions.take(emulated, there, places[0, :, 0], 1)
    assert [name.split("<")[0] for name in seen.launches] == ["gather", "gather"]
    np.testing.assert_array_equal(found.get(), read(x, index, 1))
    np.testing.assert_array_equal(taken.get(), x[:, index[0, :, 0]])
    added = positions.scatter_add(emulated, there, places, 1, x.shape)
    exact = positions.scatter_add(np, x.astype(float), index, 1, x.shape)
    np.testing.assert_allclose(added.get(), exact, rtol=1e-5, atol=1e-5)


def test_positions_may_repeat_by_a_stride_of_0(emulated):
    x, index = numbers((5, 6, 8)), places_in((5, 6, 8), (5, 1, 8), 1)
    spread = emulated.broadcast_to(emulated.asarray(index), x.shape)
    found = positions.gather(emulated, emulated.asarray(x), spread, 1)
    np.testing.assert_array_equal(found.get(), read(x, np.broadcast_to(index, x.shape), 1))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 16, 130])
def test_rows_are_taken_in_words_as_wide_as_fit(emulated, width):
    for dtype in (np.bool_, np.float16, np.float32, np.float64):
        x, places = numbers((9, width), dtype), np.array([8, 0, 3, 3, -1])
        found = positions.take(emulated, emulated.asarray(x), emulated.asarray(places), 0)
        np.testing.assert_array_equal(found.get(), x[places])
        found = positions.take(emulated, emulated.asarray(x)[:, 1:], emulated.asarray(places), 0)
        np.testing.assert_array_equal(found.get(), x[places, 1:])


@pytest.mark.parametrize("width", [1, 3, 8])
def test_the_last_of_several_rows_stays(emulated, width):
    stream = np.random.default_rng(0)
    for dtype in (np.bool_, np.float16, np.float32, np.float64):
        places, x = stream.integers(0, 50, 400), numbers((60, width), dtype)
        rows = numbers((400, width), dtype, 1)
        exact = x.copy()
        for place, row in zip(places, rows, strict=True):
            exact[place] = row
        found = positions.put(emulated, *map(emulated.asarray, (x, places, rows)))
        np.testing.assert_array_equal(found.get(), exact)


def test_what_was_overwritten_by_a_later_value_gets_no_gradient(emulated):
    x = tg.zeros(4, device="cuda", requires_grad=True)
    value = tg.tensor([1.0, 2.0, 3.0], device="cuda", requires_grad=True)
    key = tg.tensor([2, 0, 2], device="cuda")
    out = tg.index_put(x, (key,), value)
    (out * tg.tensor([1.0, 10, 100, 1000], device="cuda")).sum().backward()
    assert out.tolist() == [2, 0, 3, 0]
    assert x.grad.tolist() == [0, 10, 0, 1000]
    assert value.grad.tolist() == [0, 1, 100]


ROWS, COLUMNS = np.array([3, 0, -1]), np.array([[1], [-3]])
KEYS = [
    (ROWS,),
    (slice(None), ROWS),
    (..., ROWS),
    (ROWS, COLUMNS),
    (slice(None), ROWS, COLUMNS),
    (..., COLUMNS, ROWS),
    (COLUMNS, ...),
    (COLUMNS, ROWS, ROWS),
]


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_every_kind_of_key_of_positions_is_read_and_written(emulated, key):
    x, y = numbers((4, 5, 6)), numbers((4, 5, 6), seed=1)
    on_gpu = tuple(tg.tensor(k, device="cuda") if type(k) is np.ndarray else k for k in key)
    out = tg.tensor(x, device="cuda")
    np.testing.assert_array_equal(out[on_gpu].cpu().numpy(), x[key])
    value = y[key][..., :1]
    exact = x.copy()
    exact[key] = value
    out[on_gpu] = tg.tensor(value, device="cuda")
    np.testing.assert_array_equal(out.cpu().numpy(), exact)
    added = tg.tensor(x, device="cuda").index_put((on_gpu[0],), out[on_gpu[:1]], accumulate=True)
    exact_sum = x.astype(float)
    np.add.at(exact_sum, key[:1], exact[key[:1]])
    np.testing.assert_allclose(added.cpu().numpy(), exact_sum, rtol=1e-5, atol=1e-5)


def test_views_are_written_in_place_where_the_last_stays(emulated):
    x = numbers((4, 10, 3))
    rows, value = np.array([1, 3, 1, 1]), numbers((4, 4, 3), seed=1)
    exact = x.copy()
    for number, row in enumerate(rows):
        exact[:, ::2][:, row] = value[:, number]
    whole = tg.tensor(x, device="cuda")
    whole[:, ::2][:, tg.tensor(rows, device="cuda")] = tg.tensor(value, device="cuda")
    np.testing.assert_array_equal(whole.cpu().numpy(), exact)
    whole[:, tg.tensor(rows, device="cuda")] = 7
    exact[:, rows] = 7
    np.testing.assert_array_equal(whole.cpu().numpy(), exact)


def test_positions_in_several_dimensions_name_rows_in_one_launch(emulated):
    arrays = np.array([[1], [0]]), np.array([2, -1, 0]), np.array([[0], [3]], np.int32)
    exact = np.ravel_multi_index(
        np.broadcast_arrays(arrays[0], arrays[1] % 3, arrays[2]), (2, 3, 4)
    )
    with record() as seen:
        found = positions.rows_named(emulated, [*map(emulated.asarray, arrays)], (2, 3, 4))
    assert [name for name in seen.launches if not name.startswith(("copy", "astype"))] == [
        "rows_named"
    ]
    np.testing.assert_array_equal(found.get(), exact.reshape(-1))
    blocks = positions.rows_named(emulated, [*map(emulated.asarray, arrays)], (2, 3, 4), 3)
    np.testing.assert_array_equal(
        blocks.get().reshape(3, -1), exact.reshape(1, -1) + 24 * np.arange(3)[:, None]
    )
    many = [emulated.asarray(np.array([1, -1]))] * 5
    found = positions.rows_named(emulated, many, (2, 3, 2, 2, 2))
    np.testing.assert_array_equal(found.get(), [39, 47])


def test_planes_are_read_and_written_where_they_lie(emulated):
    stream = np.random.default_rng(0)
    x, index = numbers((2, 3, 4, 5)), stream.integers(0, 20, (2, 3, 2, 6))
    last = emulated.asarray(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    index_last = emulated.asarray(np.ascontiguousarray(index.transpose(0, 2, 3, 1)))
    index_last = index_last.transpose(0, 3, 1, 2)
    exact = pooling.gather_from_plane(np, x, index)
    for images in (emulated.asarray(x), last, emulated.asarray(x[..., ::-1])[..., ::-1]):
        for places in (emulated.asarray(index), index_last):
            found = pooling.gather_from_plane(emulated, images, places)
            np.testing.assert_array_equal(found.get(), exact)
            assert found.strides == tuple(s // 2 for s in places.strides)
    grad = numbers(index.shape)
    wide = pooling.scatter_to_plane(np, grad.astype(float), index, (4, 5))
    found = pooling.scatter_to_plane(emulated, *map(emulated.asarray, (grad, index)), (4, 5))
    np.testing.assert_allclose(found.get(), wide, rtol=1e-5, atol=1e-5)
    apart = np.tile(stream.permutation(20)[:12].reshape(2, 6), (2, 3, 1, 1))
    found = pooling.scatter_to_plane(emulated, *map(emulated.asarray, (grad, apart)), (4, 5), False)
    np.testing.assert_array_equal(
        found.get(), pooling.scatter_to_plane(np, grad, apart, (4, 5), False)
    )


def test_nothing_is_read_from_nothing(emulated):
    x, none = emulated.asarray(numbers((3, 4))), emulated.asarray(np.zeros((3, 0), np.int64))
    assert positions.gather(emulated, x, none, 1).shape == (3, 0)
    assert positions.take(emulated, x, none, 0).shape == (3, 0, 4)
    added = positions.scatter_add(emulated, x[:, :0], none, 1, (3, 4))
    np.testing.assert_array_equal(added.get(), np.zeros((3, 4)))
    assert positions.scatter_add(emulated, x[:, :0], none, 1, (3, 0)).shape == (3, 0)


def test_few_positions_of_a_line_take_one_launch(emulated):
    x, places = emulated.asarray(numbers((6, 3))), emulated.asarray(places_in((6, 9), (6, 3), 1))
    with record() as seen:
        positions.scatter_add(emulated, x, places, 1, (6, 9))
    assert seen.launches == ["scatter_lines<float>"]


OUT_OF_RANGE = {
    "gather": lambda x, i: tg.gather(x, 1, i),
    "index_select": lambda x, i: tg.index_select(x, 1, i.reshape(-1)),
    "take_along_dim": lambda x, i: tg.take_along_dim(x, i, 1),
    "scatter_add": lambda x, i: tg.scatter_add(x, 1, i, x[:, :2]),
    "index_add": lambda x, i: tg.index_add(x, 1, i[0], x[:, :2]),
    "index": lambda x, i: x[i],
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_position_out_of_range_is_reported(emulated, name):
    x, index = tg.ones(4, 4, device="cuda"), tg.tensor([[1, 9]] * 4, device="cuda")
    OUT_OF_RANGE[name](x, index)
    with pytest.raises(IndexError, match=f"{name}: index 9 is out of range"):
        tg.cuda.synchronize()
    checks.raise_pending()
