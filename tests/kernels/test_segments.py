"""Sums, products and extremes at positions are those of `numpy.ufunc.at`, on either library."""

import numpy as np
import pytest

from tapegrad.kernels import segments
from tapegrad.kernels.segments import add_at, combine_at, members

SIZES = [(5, 0, 1), (1, 4, 3), (7, 20, 1), (7, 20, 3), (300, 2000, 8), (4, 20_000, 2)]
DTYPES = ["float32", "float64", "int64", "uint8", "bool"]


@pytest.fixture(params=["numpy", "cupy"])
def library(request):
    """A library, with functions that bring an array to it and back."""
    if request.param == "numpy":
        return np, np.asarray, np.asarray
    cupy = request.getfixturevalue("gpu")
    return cupy, cupy.asarray, lambda array: array.get()


def draw(count, n, width, dtype):
    stream = np.random.default_rng(0)
    rows = (stream.standard_normal((n, width)) * 9).astype(dtype)
    return stream.integers(0, count, n), rows


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "n", "width"), SIZES)
def test_rows_add_up(library, count, n, width, dtype):
    xp, there, back = library
    positions, rows = draw(count, n, width, dtype)
    expected = np.zeros((count, width), dtype)
    np.add.at(expected, positions, rows)
    found = back(add_at(xp, count, there(positions), there(rows)))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("name", ["multiply", "maximum", "minimum"])
@pytest.mark.parametrize(("count", "n", "width"), SIZES[:4])
def test_values_combine(library, name, count, n, width):
    xp, there, back = library
    positions, rows = draw(count, n, width, "float64")
    start, values = np.arange(float(count)), rows[:, 0]
    expected = start.copy()
    getattr(np, name).at(expected, positions, values)
    found = back(combine_at(xp, name, there(start), there(positions), there(values)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert start.tolist() == list(range(count))


def test_infinities_and_nan_stay_where_they_go():
    rows = np.zeros((20_000, 2))
    rows[3], rows[5, 1] = np.inf, np.nan
    positions = np.arange(20_000) % 10
    found = add_at(np, 10, positions, rows)
    assert np.isinf(found[3]).all()
    assert np.isnan(found[5]).tolist() == [False, True]
    assert np.isfinite(np.delete(found, [3, 5], axis=0)).all()


@pytest.mark.parametrize("width", [1, 4])
def test_sums_are_the_same_each_time(width):
    positions, rows = draw(50, 30_000, width, "float32")
    first = segments.add_at(np, 50, positions, rows)
    assert np.array_equal(first, segments.add_at(np, 50, positions, rows))


def test_members_repeat_the_number_of_their_segment(library):
    xp, there, back = library
    for counts in ([], [0], [2], [0, 3, 0, 0, 1], [1, 1]):
        expected = np.repeat(np.arange(len(counts)), np.array(counts, int))
        assert np.array_equal(back(members(xp, there(np.array(counts, np.uint8)))), expected)
