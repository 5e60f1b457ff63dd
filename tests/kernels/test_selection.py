"""Selecting by bits gives what `numpy.where` gives, to the bit."""

import ml_dtypes
import numpy as np
import pytest

from tapegrad.kernels.selection import select

DTYPES = ["float16", "float32", "float64", "int8", "int32", "int64", "bool"]
SHAPES = [
    ((5, 4), (5, 4), (5, 4)),
    ((5, 4), (4,), (5, 1)),
    ((4,), (5, 4), ()),
    ((5, 1), (4,), None),
    ((), (3,), (3,)),
    ((0, 3), (0, 3), None),
]


def draw(shape, dtype, stream):
    return (stream.standard_normal(shape) * 9).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_it_agrees_with_where(shapes, dtype):
    stream = np.random.default_rng(0)
    condition, x = stream.random(shapes[0]) > 0.5, draw(shapes[1], dtype, stream)
    y = np.dtype(dtype).type(0).item() if shapes[2] is None else draw(shapes[2], dtype, stream)
    for a, b in [(x, y), (y, x)]:
        chosen, expected = select(np, condition, a, b), np.where(condition, a, b)
        assert chosen.dtype == expected.dtype
        assert chosen.shape == expected.shape
        assert chosen.tobytes() == expected.tobytes()


def test_what_is_not_chosen_leaves_no_trace():
    bad = np.array([np.inf, -np.inf, np.nan, -0.0], np.float32)
    chosen = select(np, np.zeros(4, bool), bad, 0.0)
    assert chosen.tobytes() == np.zeros(4, np.float32).tobytes()
    assert select(np, np.ones(4, bool), bad, 0.0).tobytes() == bad.tobytes()


def test_transposed_views_and_masks_are_read_as_they_lie():
    stream = np.random.default_rng(1)
    condition, x = (stream.random((6, 7)) > 0.5).T, stream.standard_normal((14, 6))[::2]
    assert np.array_equal(select(np, condition, x, 1.5), np.where(condition, x, 1.5))


def test_bfloat16_stays_bfloat16():
    x = np.ones(3, ml_dtypes.bfloat16)
    assert select(np, np.array([True, False, True]), x, 0.0).dtype == x.dtype


def test_a_number_that_integers_cannot_hold_widens_them():
    chosen = select(np, np.array([True, False]), np.array([1, 2]), 0.5)
    assert chosen.tolist() == [1.0, 0.5]
