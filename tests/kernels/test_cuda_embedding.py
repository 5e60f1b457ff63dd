"""Embeddings on a GPU: rows looked up, and gradients that add up in the same order each time."""

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels.cuda import checks
from tapegrad.kernels.cuda.segments import combine_rows
from tapegrad.kernels.segments import add_at, bag_sums, combine_at
from tapegrad.nn import functional as F

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = [np.float32, np.float64, np.float16, bfloat16]
FLOATING = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)

# How many rows a table has, how many are brought, and how wide they are.
SIZES = [(5, 1, 1), (1, 40, 3), (7, 33, 1), (300, 7, 9), (20, 500, 5), (3, 100, 130), (2, 2000, 1)]


def drawn(count, n, width, dtype, seed=0):
    stream = np.random.default_rng(seed)
    return stream.integers(0, count, n), (stream.standard_normal((n, width)) * 2).astype(dtype)


def agree(found, exact, dtype):
    tolerance = TOLERANCE[np.dtype(dtype).name]
    assert (found.dtype, found.shape) == (dtype, exact.shape)
    scale = np.abs(exact).max(initial=1.0)
    np.testing.assert_allclose(found.get().astype(float), exact, tolerance, tolerance * scale)


@FLOATING
@pytest.mark.parametrize("skipped", [None, 0])
def test_rows_add_up_at_their_positions(emulated, dtype, skipped):
    for count, n, width in SIZES:
        positions, rows = drawn(count, n, width, dtype)
        found = add_at(emulated, count, *map(emulated.asarray, (positions, rows)), skipped)
        exact = np.zeros((count, width))
        kept = positions != (-1 if skipped is None else skipped)
        np.add.at(exact, positions[kept], rows[kept].astype(float))
        agree(found, exact, dtype)


def test_rows_add_up_in_their_order(emulated):
    values = np.array([1e8, 1.0, -1e8, 1.0, 3.0], np.float32)
    positions = np.array([1, 1, 1, 0, 1])
    given = map(emulated.asarray, (positions, values[:, None]))
    found = add_at(emulated, 2, *given).get()
    exact = np.float32(1e8) + values[1] + values[2] + values[4]
    np.testing.assert_array_equal(found[:, 0], [1, exact])


@pytest.mark.parametrize("most", [1, 3, 50, 10_000])
def test_a_row_used_often_is_put_together_from_many_parts(emulated, most):
    positions = np.repeat(np.arange(4), [most, 1, 300 + most, 2])
    positions = np.random.default_rng(1).permutation(positions)
    rows = np.random.default_rng(2).integers(-9, 9, (positions.size, 2)).astype(np.float32)
    found = add_at(emulated, 5, *map(emulated.asarray, (positions, rows)))
    exact = np.zeros((5, 2), np.float32)
    np.add.at(exact, positions, rows)
    np.testing.assert_array_equal(found.get(), exact)


@pytest.mark.parametrize("name", ["multiply", "maximum", "minimum"])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.uint64])
def test_other_ways_to_combine(emulated, name, dtype):
    for count, n, _ in SIZES:
        positions, values = drawn(count, n, 1, np.float64)
        values, start = (values[:, 0] * 2).astype(np.int64), np.arange(count) - 2
        values, start = values.astype(dtype), start.astype(dtype)
        exact = start.copy()
        getattr(np, name).at(exact, positions, values)
        found = combine_at(emulated, name, *map(emulated.asarray, (start, positions, values)))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.get(), exact, rtol=1e-4)


def test_extremes_pass_nan_on(emulated):
    start, positions = np.zeros(3, np.float32), np.array([0, 0, 1, 1, 1])
    values = np.array([np.nan, 2, 1, np.nan, 5], np.float32)
    for name in ("maximum", "minimum"):
        found = combine_at(emulated, name, *map(emulated.asarray, (start, positions, values)))
        np.testing.assert_array_equal(found.get(), [np.nan, np.nan, 0])


def test_nothing_adds_nothing(emulated):
    for n, width in ((0, 3), (2, 0)):
        rows = emulated.asarray(np.zeros((n, width), np.float32))
        found = add_at(emulated, 4, emulated.asarray(np.zeros(n, np.int64)), rows)
        np.testing.assert_array_equal(found.get(), np.zeros((4, width)))


def test_an_embedding_and_its_gradient_are_those_of_a_cpu(emulated):
    stream = np.random.default_rng(0)
    table = stream.standard_normal((11, 6)).astype(np.float32)
    positions = stream.integers(0, 11, (4, 9))
    grad = stream.standard_normal((4, 9, 6)).astype(np.float32)
    for padding in (None, 3, -1):
        results = []
        for device in ("cpu", "cuda"):
            weight = tg.tensor(table, device=device, requires_grad=True)
            looked_up = F.embedding(
                tg.tensor(positions, device=device), weight, padding_idx=padding
            )
            looked_up.backward(tg.tensor(grad, device=device))
            results.append((looked_up.detach().cpu().numpy(), weight.grad.cpu().numpy()))
        np.testing.assert_array_equal(results[0][0], results[1][0])
        np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5, atol=1e-6)


@FLOATING
@pytest.mark.parametrize("mean", [False, True])
def test_bags_of_rows_are_added_up(emulated, dtype, mean):
    stream = np.random.default_rng(0)
    for width, lengths in [(1, [3, 0, 5]), (9, [0, 70, 1, 0]), (130, [2, 3])]:
        table = (stream.standard_normal((20, width)) * 2).astype(dtype)
        ends = np.cumsum(lengths)
        starts, bags = ends - lengths, np.repeat(np.arange(len(lengths)), lengths)
        positions = stream.integers(0, 20, ends[-1])
        for padding in (None, int(positions[0])):
            given = map(emulated.asarray, (table, positions, starts, bags))
            found = bag_sums(emulated, *given, mean, padding)
            wide = table.astype(np.float64)
            agree(found, bag_sums(np, wide, positions, starts, bags, mean, padding), dtype)


def test_a_bag_of_embeddings_is_one_launch_and_its_gradient_that_of_a_cpu(emulated):
    stream = np.random.default_rng(0)
    table, rows = stream.standard_normal((11, 6)).astype(np.float32), stream.integers(0, 11, 9)
    for mode in ("sum", "mean", "max"):
        results = []
        for device in ("cpu", "cuda"):
            weight = tg.tensor(table, device=device, requires_grad=True)
            given = [tg.tensor(a, device=device) for a in (rows, np.array([0, 4, 4]))]
            with record() as seen:
                out = F.embedding_bag(
                    given[0], weight, given[1], mode=mode, padding_idx=int(rows[1])
                )
            (out * out).sum().backward()
            results.append((out.detach().cpu().numpy(), weight.grad.cpu().numpy()))
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
        if mode != "max":
            assert seen.synchronisations == []
            assert "bag_sums<float>" in seen.launches
            assert not [name for name in seen.launches if name.startswith("gather")]


ENDING = {
    "sum": {"mode": "sum"},
    "mean without padding": {"mode": "mean", "padding_idx": 1},
    "weighed": {"mode": "sum", "per_sample_weights": np.linspace(-1, 1, 9)},
    "by frequency": {"mode": "mean", "scale_grad_by_freq": True},
    "max": {"mode": "max"},
}


@pytest.mark.parametrize("name", ENDING)
@pytest.mark.parametrize("ends", [[0, 2, 6], [0, 4, 4], [0, 9], [0, 0], [0]], ids=str)
def test_bags_end_at_the_last_offset_without_a_wait(emulated, name, ends):
    stream = np.random.default_rng(0)
    table, rows = stream.standard_normal((7, 3)), np.array([3, 1, 1, 4, 0, 3, 1, 2, 6])
    results = []
    for device in ("cpu", "cuda"):
        settings = dict(ENDING[name])
        leaves = [tg.tensor(table, device=device, requires_grad=True)]
        if "per_sample_weights" in settings:
            weights = settings["per_sample_weights"]
            leaves.append(tg.tensor(weights, device=device, requires_grad=True))
            settings["per_sample_weights"] = leaves[1]
        given = [tg.tensor(a, device=device) for a in (rows, ends)]
        with record() as seen:
            out = F.embedding_bag(
                given[0], leaves[0], given[1], include_last_offset=True, **settings
            )
            (out * out).sum().backward()
        results.append([out.detach(), *(x.grad for x in leaves)])
    assert results[0][0].shape == (len(ends) - 1, 3)
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one.numpy(), other.cpu().numpy(), rtol=1e-12, atol=1e-12)
    if name != "max":
        assert seen.synchronisations == []


def test_wrong_offsets_are_reported(emulated):
    for offsets, message in (
        ([0, 5], "beyond the 3 positions"),
        ([1, 2], "begin with 0"),
        ([0, 2, 1], "must not decrease"),
    ):
        given = [tg.tensor(a, device="cuda") for a in ([0, 1, 1], offsets)]
        F.embedding_bag(given[0], tg.ones(2, 2, device="cuda"), given[1])
        with pytest.raises(ValueError, match=message):
            tg.cuda.synchronize()


def test_the_host_waits_for_no_embedding(emulated):
    weight = tg.ones(5, 2, device="cuda", requires_grad=True)
    positions = tg.tensor([1, 4, 1], device="cuda")
    with record() as seen:
        F.embedding(positions, weight, padding_idx=4).sum().backward()
    assert seen.synchronisations == []
    ours = [name for name in seen.launches if name.startswith(("positions", "gather", "combine_"))]
    assert ours == ["positions<long long>", "gather<unsigned long long>", "combine_chunks<float>"]


@pytest.mark.parametrize("wrong", [11, -1, 1 << 40])
def test_a_row_that_is_not_there_is_reported(emulated, wrong):
    weight = tg.ones(11, 2, device="cuda")
    F.embedding(tg.tensor([1, wrong, 2], device="cuda"), weight)
    with pytest.raises(IndexError, match=f"embedding: index {wrong} is out of range"):
        tg.cuda.synchronize()
    checks.raise_pending()


def test_positions_of_more_than_32_bits_are_sorted_too(emulated):
    start = emulated.asarray(np.zeros((3, 1), np.float32))
    positions = emulated.asarray(np.array([2, 0, 2], np.int64))
    rows = emulated.asarray(np.ones((3, 1), np.float32))
    found = combine_rows(emulated, "add", start, positions, rows)
    np.testing.assert_array_equal(found.get()[:, 0], [1, 0, 2])
