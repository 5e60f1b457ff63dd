"""Pooling on a GPU against NumPy in float64: every window, channels last, ties, NaN."""

import numpy as np
import pytest
from recording import record

from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import pooling
from tapegrad.kernels.cuda import images
from tapegrad.kernels.cuda.pooling import Axis, adaptive, avg_pool, avg_pool_gradient

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}

# The size of images, then kernel, stride, padding, dilation and whether a last window hangs over.
WINDOWS = [
    ((7,), (3,), (2,), (1,), (1,), True),
    ((11,), (2,), (3,), (1,), (4,), False),
    ((6, 7), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((6, 7), (2, 2), (2, 2), (0, 0), (1, 1), True),
    ((9, 8), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((7, 9), (3, 2), (1, 3), (1, 1), (2, 1), True),
    ((5, 6), (5, 6), (1, 1), (0, 0), (1, 1), False),
    ((12, 11), (11, 10), (1, 2), (5, 5), (1, 1), True),
    ((3, 4, 5), (2, 2, 3), (1, 2, 2), (1, 0, 1), (1, 1, 1), True),
]
WINDOW = pytest.mark.parametrize("window", WINDOWS, ids=lambda w: f"{w[0]}-{w[1]}")
PLAIN = WINDOWS[4]
ADAPTIVE = [
    ((6,), (3,)),
    ((7,), (3,)),
    ((3,), (8,)),
    ((5, 6), (2, 6)),
    ((7, 4), (1, 1)),
    ((2, 5), (3, 0)),
    ((3, 4, 5), (2, 3, 4)),
]
COUNTINGS = [(True, None), (False, None), (True, 5), (False, -3)]


def drawn(shape, dtype, seed=0, whole=False):
    stream = np.random.default_rng(seed)
    values = stream.integers(-3, 4, shape) if whole else stream.standard_normal(shape) * 2
    return values.astype(dtype)


def placed(xp, values, last):
    """An array on the GPU, with its channels next to each other or not."""
    if not last:
        return xp.asarray(values)
    order = (0, *range(2, values.ndim), 1)
    back = (0, values.ndim - 1, *range(1, values.ndim - 1))
    return xp.asarray(np.ascontiguousarray(values.transpose(order))).transpose(back)


def agree(found, exact, dtype):
    found, tolerance = found.get(), TOLERANCE[np.dtype(dtype).name]
    assert (found.dtype, found.shape) == (dtype, exact.shape)
    scale = np.abs(exact).max(initial=1.0)
    np.testing.assert_allclose(found.astype(np.float64), exact, tolerance, tolerance * scale)


def is_last(array):
    return images.layout(array.shape, array.strides, array.itemsize).last


def check_max(xp, x, window, last=False):
    """Largest values, their places and the gradient, of images full of equal values."""
    size, *rest = window
    y, places = pooling.max_pool(xp, placed(xp, x, last), *rest)
    exact, known = pooling.max_pool(np, x.astype(np.float64), *rest)
    np.testing.assert_array_equal(y.get(), exact.astype(x.dtype))
    np.testing.assert_array_equal(places.get(), known)
    assert (y.dtype, places.dtype) == (x.dtype, np.int64)
    grad = drawn(y.shape, x.dtype, 1)
    to_x = pooling.max_pool_gradient(xp, placed(xp, grad, last), places, size, *rest)
    wide = grad.astype(np.float64)
    agree(to_x, pooling.max_pool_gradient(np, wide, known, size, *rest), x.dtype)
    if last:
        assert is_last(y)
        assert is_last(places)
        assert is_last(to_x)


def check_average(xp, x, window, counting, last=False):
    size, kernel, stride, padding, _, ceil_mode = window
    rest = kernel, stride, padding, ceil_mode, *counting
    y = pooling.avg_pool(xp, placed(xp, x, last), *rest)
    exact = pooling.avg_pool(np, x.astype(np.float64), *rest)
    agree(y, exact, x.dtype)
    grad = drawn(y.shape, x.dtype, 1)
    to_x = pooling.avg_pool_gradient(xp, placed(xp, grad, last), size, *rest)
    agree(to_x, pooling.avg_pool_gradient(np, grad.astype(np.float64), size, *rest), x.dtype)
    if last:
        assert is_last(y)
        assert is_last(to_x)


@WINDOW
def test_the_first_of_the_largest_wins_and_gets_the_gradient(emulated, window):
    for dtype, count, channels, last in [
        (np.float32, 2, 3, False),
        (np.float32, 2, 8, True),
        (np.float32, 1, 3, True),
        (np.float16, 1, 16, True),
        (bfloat16, 1, 2, False),
        (np.float64, 1, 2, False),
    ]:
        x = drawn((count, channels, *window[0]), dtype, whole=True)
        check_max(emulated, x, window, last)


@WINDOW
@pytest.mark.parametrize("counting", COUNTINGS, ids=str)
def test_means_count_what_they_should_and_spread_their_gradient(emulated, window, counting):
    for dtype, count, channels, last in [
        (np.float32, 2, 3, False),
        (np.float32, 1, 8, True),
        (np.float16, 1, 16, True),
        (bfloat16, 1, 2, False),
        (np.float64, 1, 2, False),
    ]:
        x = drawn((count, channels, *window[0]), dtype)
        check_average(emulated, x, window, counting, last)


@pytest.mark.parametrize(("size", "output"), ADAPTIVE)
def test_a_number_of_windows_as_even_as_can_be(emulated, size, output):
    for dtype, channels, last in [(np.float32, 3, False), (np.float32, 8, True)]:
        x = drawn((2, channels, *size), dtype)
        wide = x.astype(np.float64)
        y, places = pooling.adaptive_max_pool(emulated, placed(emulated, x, last), output)
        exact, known = pooling.adaptive_max_pool(np, wide, output)
        np.testing.assert_array_equal(y.get(), exact.astype(dtype))
        np.testing.assert_array_equal(places.get(), known)
        grad = drawn(y.shape, dtype, 1)
        given = placed(emulated, grad, last)
        to_x = pooling.adaptive_max_pool_gradient(emulated, given, places, size)
        wide_grad = grad.astype(np.float64)
        agree(to_x, pooling.adaptive_max_pool_gradient(np, wide_grad, known, size), dtype)
        means = pooling.adaptive_avg_pool(emulated, placed(emulated, x, last), output)
        agree(means, pooling.adaptive_avg_pool(np, wide, output), dtype)
        if 0 in output:
            continue
        to_x = pooling.adaptive_avg_pool_gradient(emulated, given, size)
        agree(to_x, pooling.adaptive_avg_pool_gradient(np, wide_grad, size), dtype)
        assert is_last(means) == is_last(to_x) == last


def test_the_first_nan_wins_and_padding_and_minus_infinity_do_not(emulated):
    x = drawn((2, 3, 9, 8), np.float32)
    x[0, 0, 3:5, 2:7] = np.nan
    x[0, 1] = -np.inf
    x[1, :, ::2] = np.inf
    for last in (False, True):
        check_max_values(emulated, x, PLAIN, last)


def check_max_values(xp, x, window, last):
    y, places = pooling.max_pool(xp, placed(xp, x, last), *window[1:])
    exact, known = pooling.max_pool(np, x, *window[1:])
    np.testing.assert_array_equal(y.get(), exact)
    np.testing.assert_array_equal(places.get(), known)


def test_whole_numbers(emulated):
    for dtype in (np.int64, np.uint8, np.int16):
        x = np.random.default_rng(0).integers(0, 100, (2, 3, 9, 8)).astype(dtype)
        check_max_values(emulated, x, PLAIN, False)
        if dtype == np.uint8:  # whose sums wrap around on a CPU
            continue
        x -= 50
        for divisor in (None, -3):
            rest = (3, 2), (2, 2), (1, 1), True, False, divisor
            found = pooling.avg_pool(emulated, emulated.asarray(x), *rest)
            np.testing.assert_array_equal(found.get(), pooling.avg_pool(np, x, *rest))


def test_views_are_pooled_where_they_lie(emulated):
    x = drawn((4, 8, 9, 16), np.float32)
    given = emulated.asarray(x)
    for key in (np.s_[1:3, :, ::-1, 3:11], np.s_[:, ::2, 1:], np.s_[::3, 2:5, :, ::2]):
        y, places = pooling.max_pool(emulated, given[key], *PLAIN[1:])
        exact, known = pooling.max_pool(np, x[key], *PLAIN[1:])
        np.testing.assert_array_equal(y.get(), exact)
        np.testing.assert_array_equal(places.get(), known)
    cut = placed(emulated, x, True)[:, 4:, 1:, ::2]
    with record() as seen:
        y = pooling.avg_pool(emulated, cut, (3, 3), (2, 2), (1, 1), False, True)
    assert seen.launches == ["avg_pool<float, 4>"]
    agree(
        y,
        pooling.avg_pool(np, x[:, 4:, 1:, ::2].astype(float), (3, 3), (2, 2), (1, 1), False, True),
        np.float32,
    )


def test_each_way_is_one_launch(emulated):
    window, size = PLAIN[1:], PLAIN[0]
    for last, width in ((False, 1), (True, 4)):
        x = placed(emulated, drawn((2, 4, *size), np.float32), last)
        means = window[0], window[1], window[2], False, False
        with record() as seen:
            y, places = pooling.max_pool(emulated, x, *window)
            pooling.max_pool_gradient(emulated, y, places, size, *window)
            y = pooling.avg_pool(emulated, x, *means)
            pooling.avg_pool_gradient(emulated, y, size, *means)
            y = pooling.adaptive_avg_pool(emulated, x, (2, 3))
            pooling.adaptive_avg_pool_gradient(emulated, y, size)
            pooling.adaptive_avg_pool(emulated, x, (1, 1))
        assert seen.launches[:-1] == [
            f"{name}<float, {width}>"
            for name in (
                *("max_pool", "max_pool_gradient"),
                *("avg_pool", "avg_pool_gradient") * 2,
            )
        ]
        assert seen.launches[-1].startswith("reduce_")


def test_large_windows_side_by_side_are_reduced_by_many_threads(emulated):
    for size, output in [((20, 18), (2, 2)), ((300,), (3,)), ((4, 8, 6), (1, 2, 1))]:
        x = drawn((2, 4, *size), np.float32)
        for last in (False, True):
            given = placed(emulated, x, last)
            with record() as seen:
                found = pooling.adaptive_avg_pool(emulated, given, output)
            assert len(seen.launches) == 1
            assert seen.launches[0].startswith("reduce_")
            assert is_last(found) == last
            agree(found, pooling.adaptive_avg_pool(np, x.astype(float), output), np.float32)


def test_the_largest_of_large_images_is_found_by_many_threads(emulated):
    x = drawn((2, 4, 9, 11), np.float32, whole=True)
    x[0, 1, 4, 5:] = x[1, 2, 3, 3] = np.nan
    x[0, 2] = -np.inf
    for last in (False, True):
        with record() as seen:
            check_max_values(emulated, x, ((9, 11), (9, 11), (1, 1), (0, 0), (1, 1), False), last)
        assert not [name for name in seen.launches if name.startswith("max_pool")]
    y, places = pooling.adaptive_max_pool(emulated, placed(emulated, x, True), (1, 1))
    assert is_last(y)
    assert is_last(places)


def test_images_of_nothing_are_pooled_to_nothing(emulated):
    x = emulated.asarray(np.zeros((0, 3, 9, 8), np.float32))
    y, places = pooling.max_pool(emulated, x, *PLAIN[1:])
    assert y.shape == places.shape == (0, 3, 5, 4)
    to_x = pooling.max_pool_gradient(emulated, y, places, *PLAIN)
    assert to_x.shape == x.shape
    assert pooling.avg_pool(emulated, x, (2, 2), (1, 1), (0, 0), False, True).shape[2:] == (8, 7)


def test_more_windows_than_32_bits_number_are_refused(emulated):
    x = emulated.asarray(np.zeros((1, 1, 3), np.float32))
    with pytest.raises(ValueError, match="too many"):
        avg_pool(emulated, x, (Axis(3, 2, 1 << 31),))
    with pytest.raises(ValueError, match="too many"):
        avg_pool(emulated, x, adaptive((100_001,), (70_000,)))


def test_as_many_even_windows_as_32_bits_number_are_pooled_and_no_more(emulated):
    """To find where a part ends, up to (windows + 1) * places - 1 is divided: here 2^32 - 1."""
    places, windows = 65_536, 65_535
    most, more = adaptive((places,), (windows,)), adaptive((places + 1,), (windows,))
    x = emulated.asarray(np.arange(places, dtype=np.float32).reshape(1, 1, -1))
    y = avg_pool(emulated, x, most)
    assert np.array_equal(y.get()[0, 0], np.arange(windows) + 0.5)
    to_x = avg_pool_gradient(emulated, emulated.asarray(np.ones(y.shape, np.float32)), most)
    assert to_x.get()[0, 0, [0, 1, -2, -1]].tolist() == [0.5, 1, 1, 0.5]
    with pytest.raises(ValueError, match="65535 windows over 65537 places are too many"):
        avg_pool_gradient(emulated, y, more)
