"""Pooling on raw arrays, against windows walked one at a time and against its own adjoints."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest

from tapegrad.kernels import pooling

ONE, TWO, NONE = (1, 1), (2, 2), (0, 0)

# size, kernel, stride, padding, ceil_mode
CASES = [
    pytest.param(*case, id="-".join(map(str, case)).replace(" ", ""))
    for case in [
        ((6, 8), TWO, TWO, NONE, False),
        ((5, 7), TWO, TWO, NONE, False),
        ((5, 7), TWO, TWO, NONE, True),
        ((7, 6), (3, 2), (2, 1), (1, 1), False),
        ((7, 8), (3, 3), (2, 3), (1, 0), True),
        ((6, 6), (3, 3), ONE, ONE, False),
        ((5, 5), (3, 2), (3, 3), (1, 1), True),
        ((4, 5), (4, 5), ONE, NONE, False),
        ((3, 3), TWO, (3, 3), ONE, True),
        ((20, 17), (17, 16), ONE, NONE, False),  # more than 255 places in a window
        ((9,), (3,), (2,), (1,), True),
        ((40,), (37,), (2,), (1,), False),
        ((4, 5, 3), (2, 3, 2), (1, 2, 3), (1, 0, 1), True),
    ]
]


def spans(size, kernel, stride, padding, dilation, ceil_mode):
    """The window starts along one axis: those that fit, or under ceil mode those that begin."""
    reach = dilation * (kernel - 1)
    starts = range(-padding, size + padding, stride)
    if not ceil_mode:
        return [start for start in starts if start + reach < size + padding]
    fitting = sum(start + reach < size + padding for start in starts)
    hangs_over = starts[fitting - 1] + reach + 1 < size + padding if fitting else True
    more = fitting < len(starts) and hangs_over and starts[fitting] < size
    return list(starts[: fitting + more])


def places(start, kernel, dilation, size):
    inside = range(start, start + kernel * dilation, dilation)
    return [place for place in inside if 0 <= place < size]


def walk(size, kernel, stride, padding, dilation, ceil_mode):
    """Each output position with the starts of its window and the places inside the image."""
    axes = list(zip(size, kernel, stride, padding, dilation, strict=True))
    for steps in itertools.product(*(enumerate(spans(*axis, ceil_mode)) for axis in axes)):
        position, starts = zip(*steps, strict=True)
        inside = zip(starts, kernel, dilation, size, strict=True)
        yield position, starts, list(itertools.product(*(places(*axis) for axis in inside)))


def largest(x, outputs):
    """The maximum of each window, and its index in the flattened plane."""
    counts = np.add(outputs[-1][0], 1)
    y, indices = np.empty((*x.shape[:2], *counts)), np.empty((*x.shape[:2], *counts), np.int64)
    for n, c in np.ndindex(x.shape[:2]):
        for position, _, held in outputs:
            place = max(held, key=lambda place: x[n, c][place])  # the first of equals
            y[n, c][position] = x[n, c][place]
            indices[n, c][position] = np.ravel_multi_index(place, x.shape[2:])
    return y, indices


def mean(x, kernel, stride, padding, ceil_mode, count_include_pad):
    outputs = list(walk(x.shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode))
    y = np.empty((*x.shape[:2], *np.add(outputs[-1][0], 1)))
    for position, starts, held in outputs:
        divisor = len(held)
        if count_include_pad:
            ends = zip(starts, kernel, x.shape[2:], padding, strict=True)
            divisor = math.prod(min(s + k, n + m) - s for s, k, n, m in ends)
        y[(..., *position)] = sum(x[(..., *place)] for place in held) / divisor
    return y


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "ceil_mode"), CASES)
class TestEveryWindow:
    @pytest.mark.parametrize("most_places", [0, 255], ids=["along axes", "by places"])
    @pytest.mark.parametrize("dilation", [(1, 1, 1), (1, 2, 1), (2, 1, 2)], ids=str)
    def test_max_pooling_finds_the_first_largest_value(
        self, size, kernel, stride, padding, ceil_mode, dilation, most_places, monkeypatch
    ):
        dilation = dilation[: len(size)]
        if any(d * (k - 1) >= n for d, k, n in zip(dilation, kernel, size, strict=True)):
            pytest.skip("no window fits")
        monkeypatch.setattr(pooling, "MOST_PLACES", most_places)
        x = np.random.default_rng(0).integers(-2, 3, (2, 3, *size)).astype(float)
        y, indices = pooling.max_pool(np, x, kernel, stride, padding, dilation, ceil_mode)
        outputs = list(walk(size, kernel, stride, padding, dilation, ceil_mode))
        expected_y, expected_indices = largest(x, outputs)
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(indices, expected_indices)
        np.testing.assert_array_equal(pooling.gather_from_plane(np, x, indices), y)

    @pytest.mark.parametrize("count_include_pad", [False, True])
    def test_average_pooling_divides_by_the_places_it_counts(
        self, size, kernel, stride, padding, ceil_mode, count_include_pad
    ):
        x = np.random.default_rng(0).standard_normal((2, 3, *size))
        window = kernel, stride, padding, ceil_mode, count_include_pad
        y = pooling.avg_pool(np, x, *window)
        np.testing.assert_allclose(y, mean(x, *window), rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("count_include_pad", [False, True])
    def test_the_gradient_of_average_pooling_is_its_adjoint(
        self, size, kernel, stride, padding, ceil_mode, count_include_pad
    ):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((2, 3, *size))
        window = kernel, stride, padding, ceil_mode, count_include_pad
        y = pooling.avg_pool(np, x, *window)
        g = rng.standard_normal(y.shape)
        dx = pooling.avg_pool_gradient(np, g, size, *window)
        assert dx.shape == x.shape
        np.testing.assert_allclose(np.vdot(y, g), np.vdot(x, dx), rtol=1e-11)


def test_max_pooling_gives_a_tie_to_the_first_index():
    x = np.ones((1, 1, 4, 4))
    _, indices = pooling.max_pool(np, x, (3, 3), ONE, NONE, ONE)
    assert indices.tolist() == [[[[0, 1], [4, 5]]]]
    assert indices.dtype == np.int64


def test_equal_zeros_of_either_sign_are_a_tie():
    x = np.array([[[[-0.0, 0.0]]]])
    _, indices = pooling.max_pool(np, x, (1, 2), ONE, NONE, ONE)
    assert indices.item() == 0


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_max_pooling_propagates_nan_with_its_own_index(dtype):
    x = np.arange(16).reshape(1, 1, 4, 4).astype(dtype)
    x[0, 0, 1, 0] = np.nan
    y, indices = pooling.max_pool(np, x, TWO, TWO, NONE, ONE)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.astype(float), [[[[np.nan, 7], [13, 15]]]])
    assert indices.tolist() == [[[[4, 7], [13, 15]]]]


def test_padding_never_wins_even_where_all_is_minus_infinity():
    x = np.full((1, 1, 3, 3), -np.inf)
    y, indices = pooling.max_pool(np, x, TWO, TWO, ONE, ONE)
    assert np.isneginf(y).all()
    assert indices.tolist() == [[[[0, 1], [3, 4]]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_max_pooling_keeps_integers(dtype):
    x = np.array([[[[0, 1], [3, 2]]]], dtype)
    y, indices = pooling.max_pool(np, x, TWO, TWO, ONE, ONE)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x)
    assert indices.tolist() == [[[[0, 1], [2, 3]]]]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_overlapping_windows_add_up_where_they_share_a_winner(dtype):
    x = np.zeros((2, 1, 3, 3), dtype)
    x[0, 0, 1, 1] = x[1, 0, 0, 0] = 1
    _, indices = pooling.max_pool(np, x, TWO, ONE, NONE, ONE)
    g = np.arange(8).reshape(2, 1, 2, 2).astype(dtype)
    dx = pooling.scatter_to_plane(np, g, indices, (3, 3))
    assert dx.dtype == dtype
    assert dx[0].tolist() == [[[0, 0, 0], [0, 6, 0], [0, 0, 0]]]
    assert dx[1].tolist() == [[[4, 5, 0], [6, 7, 0], [0, 0, 0]]]


def test_disjoint_windows_scatter_alike_whether_or_not_they_add():
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((3, 2, 6, 8)), rng.standard_normal((3, 2, 3, 4)).astype(np.float32)
    _, indices = pooling.max_pool(np, x, TWO, TWO, NONE, ONE)
    added = pooling.scatter_to_plane(np, g, indices, (6, 8))
    placed = pooling.scatter_to_plane(np, g, indices, (6, 8), adds=False)
    assert added.dtype == placed.dtype == np.float32
    np.testing.assert_array_equal(added, placed)


def test_gathering_is_the_adjoint_of_scattering():
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((2, 3, 2, 6))
    indices = rng.integers(0, 20, g.shape)
    scattered = np.vdot(pooling.scatter_to_plane(np, g, indices, (5, 4)), x)
    np.testing.assert_allclose(scattered, np.vdot(pooling.gather_from_plane(np, x, indices), g))


def test_views_give_what_their_copies_give():
    x = np.random.default_rng(0).standard_normal((6, 8, 3, 2)).transpose(3, 2, 0, 1)
    g = np.broadcast_to(np.float32(1.5), (2, 3, 3, 4))
    for one, other in zip(
        pooling.max_pool(np, x, TWO, TWO, NONE, ONE),
        pooling.max_pool(np, x.copy(), TWO, TWO, NONE, ONE),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    _, indices = pooling.max_pool(np, x, TWO, TWO, NONE, ONE)
    scattered = pooling.scatter_to_plane(np, g, indices, (6, 8))
    np.testing.assert_array_equal(
        scattered, pooling.scatter_to_plane(np, g.copy(), indices, (6, 8))
    )


def test_average_pooling_of_float16_accumulates_in_float32():
    x = np.full((1, 1, 64, 64), 100, np.float16)  # the sum is far beyond float16
    y = pooling.avg_pool(np, x, (64, 64), ONE, NONE, False, True)
    assert y.dtype == np.float16
    assert y.item() == 100
    dx = pooling.avg_pool_gradient(np, y, (64, 64), (64, 64), ONE, NONE, False, True)
    assert dx.dtype == np.float16
    np.testing.assert_array_equal(dx, np.full_like(x, 100 / 4096))


def test_float32_pools_in_float32():
    x = np.ones((1, 1, 4, 4), np.float32)
    y = pooling.avg_pool(np, x, TWO, TWO, NONE, False, True)
    assert y.dtype == np.float32
    window = TWO, TWO, NONE, False, True
    assert pooling.avg_pool_gradient(np, y, (4, 4), *window).dtype == np.float32
    assert pooling.max_pool(np, x, TWO, TWO, NONE, ONE)[0].dtype == np.float32


def test_a_batch_of_no_images_pools_to_nothing():
    x = np.empty((0, 3, 4, 4), np.float32)
    y, indices = pooling.max_pool(np, x, TWO, TWO, NONE, ONE)
    assert y.shape == indices.shape == (0, 3, 2, 2)
    assert pooling.gather_from_plane(np, x, indices).shape == y.shape
    for adds in (False, True):
        dx = pooling.scatter_to_plane(np, y, indices, (4, 4), adds)
        assert (dx.shape, dx.dtype) == (x.shape, x.dtype)
    mean = pooling.avg_pool(np, x, TWO, TWO, NONE, False, True)
    window = TWO, TWO, NONE, False, True
    assert mean.shape == y.shape
    assert pooling.avg_pool_gradient(np, mean, (4, 4), *window).shape == x.shape


def adaptive(size, output):
    """Each position of adaptive pooling, with the places of its window."""
    axes = [
        [range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        for n, m in zip(size, output, strict=True)
    ]
    for steps in itertools.product(*(enumerate(axis) for axis in axes)):
        position, windows = zip(*steps, strict=True)
        yield position, (), list(itertools.product(*windows))


EVEN_AND_NOT = [
    ((6,), (3,)),
    ((7,), (3,)),
    ((3,), (5,)),
    ((70,), (2,)),
    ((69,), (2,)),
    ((5, 6), (3, 2)),
    ((2, 5), (7, 1)),
    ((3, 4, 5), (2, 3, 4)),
]


@pytest.mark.parametrize(("size", "output"), EVEN_AND_NOT)
class TestEveryNumberOfWindows:
    def test_adaptive_max_pooling_finds_the_first_largest_value(self, size, output):
        x = np.random.default_rng(0).integers(-2, 3, (2, 3, *size)).astype(float)
        y, indices = pooling.adaptive_max_pool(np, x, output)
        expected_y, expected_indices = largest(x, list(adaptive(size, output)))
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(indices, expected_indices)

    def test_adaptive_average_pooling_is_the_mean_and_its_gradient_the_adjoint(self, size, output):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((2, 3, *size))
        y = pooling.adaptive_avg_pool(np, x, output)
        for position, _, held in adaptive(size, output):
            expected = sum(x[(..., *place)] for place in held) / len(held)
            np.testing.assert_allclose(y[(..., *position)], expected, rtol=1e-12, atol=1e-13)
        g = rng.standard_normal(y.shape)
        dx = pooling.adaptive_avg_pool_gradient(np, g, size)
        assert dx.shape == x.shape
        np.testing.assert_allclose(np.vdot(y, g), np.vdot(x, dx), rtol=1e-11)


def test_an_infinity_stays_in_the_windows_that_hold_it():
    x = np.zeros((1, 1, 5))
    x[..., 4] = np.inf
    np.testing.assert_array_equal(pooling.adaptive_avg_pool(np, x, (3,)), [[[0, 0, np.inf]]])


def test_means_of_whole_numbers_are_rounded_towards_0():
    x = np.array([[[-3, 0, 3, 2]]])
    assert pooling.avg_pool(np, x, (2,), (2,), (0,), False, True).tolist() == [[[-1, 2]]]
    assert pooling.avg_pool(np, x, (2,), (2,), (0,), False, True, -2).tolist() == [[[1, -2]]]


def test_blocks_of_planes_do_not_change_the_result(monkeypatch):
    x = np.random.default_rng(0).standard_normal((3, 5, 6, 6))
    together = pooling.max_pool(np, x, (3, 3), (2, 2), ONE, ONE)
    monkeypatch.setattr(pooling, "BLOCK_BYTES", 1)
    for one, other in zip(together, pooling.max_pool(np, x, (3, 3), (2, 2), ONE, ONE), strict=True):
        np.testing.assert_array_equal(one, other)
