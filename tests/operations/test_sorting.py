"""Order: what stable means for ties, NaN and zeros, whichever way a sort is computed."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.kernels import scans, sorting

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, -np.nan, 1e-40])
DTYPES = ("float32", "float64", "float16", "bfloat16", "int8", "int32", "int64", "uint8", "bool")


def many_ties(dtype, count=6000):
    stream = np.random.default_rng(0)
    if "float" in dtype:
        values = stream.choice(np.concatenate([SPECIAL, stream.normal(size=20)]), (2, count // 2))
    else:
        values = stream.integers(0, 2 if dtype == "bool" else 100, (2, count // 2))
    return values.astype(tg.autograd.arrays.as_dtype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [20, 6000])
def test_sorting_is_stable_with_nan_last(dtype, count):
    x = many_ties(dtype, count)
    wider = x.astype(np.float64)
    expected = np.argsort(wider, axis=-1, kind="stable")
    values, indices = tg.sort(tg.tensor(x))
    assert np.array_equal(indices.data, expected)
    taken = np.take_along_axis(wider, expected, -1)
    assert np.array_equal(values.data.astype(np.float64), taken, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [20, 6000])
def test_descending_keeps_equals_in_their_order_with_nan_first(dtype, count):
    x = many_ties(dtype, count)
    wider = np.where(np.isnan(x.astype(np.float64)), np.inf, x.astype(np.float64))
    keys = (wider, np.isnan(x.astype(np.float64)))
    expected = np.stack([np.lexsort((-keys[0][i], ~keys[1][i])) for i in range(2)])
    assert np.array_equal(tg.argsort(tg.tensor(x), descending=True).data, expected)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bfloat16", "bool"])
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("k", [0, 1, 7, 100, 3000])
def test_the_top_few_are_the_start_of_the_sorted(dtype, largest, k):
    x = many_ties(dtype)
    for values in (x, np.nan_to_num(x.astype(np.float32)).astype(x.dtype)):
        values = tg.tensor(values)
        expected = tg.sort(values, descending=largest).indices[:, :k]
        assert np.array_equal(tg.topk(values, k, largest=largest).indices.data, expected.data)
        unordered = tg.topk(values, k, largest=largest, sorted=False).indices
        assert np.array_equal(np.sort(unordered.data, -1), np.sort(expected.data, -1))


@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
@pytest.mark.parametrize("k", [1, 30, 1501, 3000])
def test_the_kth_value_is_where_a_stable_sort_has_it(dtype, k):
    x = tg.tensor(many_ties(dtype))
    assert tg.kthvalue(x, k).indices.tolist() == tg.sort(x).indices[:, k - 1].tolist()


def test_a_mode_is_the_smallest_of_the_most_frequent_at_its_last_place():
    x = tg.tensor([[3, 1, 3, 1, 2], [5, 5, 5, 4, 4]])
    values, indices = tg.mode(x)
    assert values.tolist() == [1, 5]
    assert indices.tolist() == [3, 2]


def test_sorting_gives_each_its_gradient_back():
    x = tg.tensor([3.0, 1.0, 2.0], requires_grad=True)
    tg.sort(x, descending=True).values.backward(tg.tensor([10.0, 20.0, 30.0]))
    assert x.grad.tolist() == [10.0, 30.0, 20.0]


def test_a_running_maximum_gives_its_gradient_to_the_last_of_equals():
    x = tg.tensor([1.0, 2.0, 2.0, 0.0], requires_grad=True)
    values, indices = tg.cummax(x, 0)
    values.sum().backward()
    assert indices.tolist() == [0, 1, 2, 2]
    assert x.grad.tolist() == [1.0, 1.0, 2.0, 0.0]


def test_a_nan_stays_the_running_maximum():
    values, indices = tg.cummax(tg.tensor([1.0, np.nan, 2.0, np.nan, 3.0]), 0)
    assert indices.tolist() == [0, 1, 1, 3, 3]
    assert np.isnan(values.data[1:]).all()


@pytest.mark.parametrize("right", [False, True])
def test_searching_many_lines_is_searching_each(right):
    stream = np.random.default_rng(2)
    for n in (0, 1, 2, 5, 8):
        lines = np.sort(stream.integers(0, 6, (2, 3, n)), -1)
        values = stream.integers(-1, 7, (2, 3, 4))
        found = tg.searchsorted(tg.tensor(lines), tg.tensor(values), right=right)
        side = "right" if right else "left"
        for i, j in np.ndindex(2, 3):
            assert np.array_equal(found.data[i, j], lines[i, j].searchsorted(values[i, j], side))


def test_every_nan_is_different():
    found, counts = tg.unique(tg.tensor([np.nan, 1.0, np.nan, 1.0]), return_counts=True)
    assert np.array_equal(found.data, [1.0, np.nan, np.nan], equal_nan=True)
    assert counts.tolist() == [2, 1, 1]


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("name", ["maximum", "add", "logaddexp"])
def test_a_scan_in_pairs_accumulates(name, n):
    x = np.random.default_rng(3).normal(size=(2, n))
    function = getattr(np, name)
    (found,) = scans.scan(np, lambda a, b: (function(a[0], b[0]),), (x,))
    assert np.allclose(found, function.accumulate(x, axis=-1))


@pytest.mark.parametrize("n", [1, 2, 5, 16, 31])
def test_a_recurrence_is_the_loop_it_stands_for(n):
    a, b = np.random.default_rng(4).normal(size=(2, n, 3))
    expected = [b[0]]
    for t in range(1, n):
        expected.append(a[t] * expected[-1] + b[t])
    assert np.allclose(scans.recurrence(np, a, b, 0), expected)


def test_ranks_are_found_by_partition_as_by_sorting():
    x = np.random.default_rng(5).integers(0, 9, (4, 50)).astype(np.float32)
    few, all_ = [0, 7, 25, 49], list(range(50))
    assert np.array_equal(sorting.at_ranks(np, x, few), sorting.at_ranks(np, x, all_)[:, few])
