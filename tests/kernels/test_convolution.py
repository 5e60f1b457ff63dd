"""Convolution on raw arrays, against a sum written out in float64 and against its own adjoints."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from tapegrad.kernels import convolution

ONE, NONE = (1, 1), (0, 0)

# size, kernel, stride, padding, dilation, groups; ragged on purpose.
CASES = [
    pytest.param(*case, id="-".join(map(str, case)).replace(" ", ""))
    for case in [
        ((5, 7), (3, 3), ONE, NONE, ONE, 1),
        ((5, 7), (3, 2), ONE, (1, 2), ONE, 1),
        ((6, 5), (2, 3), (2, 1), (0, 1), ONE, 2),
        ((9, 8), (3, 3), (2, 3), (1, 0), ONE, 1),
        ((9, 8), (2, 3), (3, 2), (2, 3), (2, 1), 2),
        ((8, 9), (3, 3), ONE, (2, 2), (2, 2), 4),
        ((7, 6), (3, 2), (1, 2), (0, 1), (3, 4), 1),
        ((4, 3), (1, 1), ONE, NONE, ONE, 1),
        ((5, 4), (1, 1), (2, 2), (1, 1), ONE, 4),
        ((3, 3), (2, 2), ONE, (3, 4), ONE, 1),  # padding beyond the kernel's reach
        ((4, 3), (2, 2), (1, 2), (0, 2), ONE, 1),  # as many windows of stride 2 as places
        ((1, 6), (1, 4), ONE, NONE, ONE, 2),
        ((7,), (3,), (1,), (2,), (2,), 1),
        ((7,), (2,), (3,), (1,), (1,), 2),
        ((3, 4, 5), (2, 2, 3), (1, 1, 1), (1, 0, 2), (2, 1, 1), 1),
        ((3, 5, 4), (2, 1, 3), (2, 1, 1), (0, 1, 1), (1, 2, 1), 4),
    ]
]


def reference(x, w, stride, padding, dilation, groups):
    """The definition, one output at a time, in float64."""
    size, kernel = x.shape[2:], w.shape[2:]
    filters, inputs = w.shape[:2]
    padded = np.pad(x.astype(float), [(0, 0), (0, 0), *((m, m) for m in padding)])
    axes = zip(size, kernel, stride, padding, dilation, strict=True)
    counts = [convolution.output_size(*axis) for axis in axes]
    y = np.zeros((len(x), filters, *counts))
    for o, *place in itertools.product(range(filters), *map(range, counts)):
        first = o // (filters // groups) * inputs
        window = tuple(
            slice(p * s, p * s + (k - 1) * d + 1, d)
            for p, k, s, d in zip(place, kernel, stride, dilation, strict=True)
        )
        seen = padded[(slice(None), slice(first, first + inputs), *window)]
        y[(slice(None), o, *place)] = (seen * w[o]).sum(axis=tuple(range(1, x.ndim)))
    return y


def images_and_filters(size, kernel, groups, dtype=np.float64, images=3, filters=8, channels=4):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, channels, *size)).astype(dtype)
    w = rng.standard_normal((filters, channels // groups, *kernel)).astype(dtype)
    return x, w


@pytest.fixture(params=["an image", "a place of the kernel", "several images"])
def products(request, monkeypatch):
    """The forms of the matrix of windows: what there is a product for."""
    least_rows = 0 if request.param == "a place of the kernel" else 1 << 30
    least_windows = 1 << 30 if request.param == "several images" else 0
    monkeypatch.setattr(convolution, "LEAST_ROWS", least_rows)
    monkeypatch.setattr(convolution, "LEAST_WINDOWS", least_windows)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation", "groups"), CASES)
class TestEveryWindow:
    def test_convolution_is_the_sum_of_its_definition(
        self, size, kernel, stride, padding, dilation, groups
    ):
        x, w = images_and_filters(size, kernel, groups)
        y = convolution.convolve(np, x, w, None, stride, padding, dilation, groups)
        expected = reference(x, w, stride, padding, dilation, groups)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)

    def test_the_input_gradient_is_the_adjoint_in_x(
        self, size, kernel, stride, padding, dilation, groups
    ):
        x, w = images_and_filters(size, kernel, groups)
        y = convolution.convolve(np, x, w, None, stride, padding, dilation, groups)
        g = np.random.default_rng(1).standard_normal(y.shape)
        dx = convolution.convolve_input_gradient(np, g, w, size, stride, padding, dilation, groups)
        assert dx.shape == x.shape
        np.testing.assert_allclose(np.vdot(y, g), np.vdot(x, dx), rtol=1e-11)

    def test_the_weight_gradient_is_the_adjoint_in_w(
        self, size, kernel, stride, padding, dilation, groups
    ):
        x, w = images_and_filters(size, kernel, groups)
        y = convolution.convolve(np, x, w, None, stride, padding, dilation, groups)
        g = np.random.default_rng(1).standard_normal(y.shape)
        dw = convolution.convolve_weight_gradient(
            np, g, x, kernel, stride, padding, dilation, groups
        )
        assert dw.shape == w.shape
        np.testing.assert_allclose(np.vdot(y, g), np.vdot(w, dw), rtol=1e-11)

    def test_blocks_of_images_do_not_change_the_result(
        self, size, kernel, stride, padding, dilation, groups, monkeypatch
    ):
        x, w = images_and_filters(size, kernel, groups, images=5)
        window = stride, padding, dilation, groups

        def everything():
            y = convolution.convolve(np, x, w, None, *window)
            dx = convolution.convolve_input_gradient(np, y, w, size, *window)
            return y, dx, convolution.convolve_weight_gradient(np, y, x, kernel, *window)

        together = everything()
        shape = (*w.shape[2:], *together[0].shape[2:])
        monkeypatch.setattr(convolution, "BLOCK_BYTES", 2 * 8 * 4 * int(np.prod(shape)))
        for one, other in zip(together, everything(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)

    def test_columns_are_windows_and_adding_them_up_is_the_adjoint(
        self, size, kernel, stride, padding, dilation, groups
    ):
        x, w = images_and_filters(size, kernel, 1)
        window = stride, padding, dilation
        columns = convolution.im2col(np, x, kernel, *window)
        expected = convolution.convolve(np, x, w, None, *window, 1)
        product = w.reshape(len(w), -1) @ columns
        np.testing.assert_allclose(product.reshape(expected.shape), expected, atol=1e-12)
        g = np.random.default_rng(1).standard_normal(columns.shape)
        images = convolution.col2im(np, g, size, kernel, *window)
        assert images.shape == x.shape
        np.testing.assert_allclose(np.vdot(columns, g), np.vdot(x, images), rtol=1e-11)


def everything(x, w, g, stride=ONE, padding=ONE, dilation=ONE, groups=1):
    window = stride, padding, dilation, groups
    return (
        convolution.convolve(np, x, w, None, *window),
        convolution.convolve_input_gradient(np, g, w, x.shape[2:], *window),
        convolution.convolve_weight_gradient(np, g, x, w.shape[2:], *window),
    )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("filters", [4, 16])  # the two ways of the input gradient
def test_the_dtype_is_kept_and_halves_accumulate_in_float32(dtype, filters):
    x, w = images_and_filters((8, 8), (3, 3), 1, dtype, filters=filters)
    g = np.random.default_rng(1).standard_normal((3, filters, 8, 8)).astype(dtype)
    wide = np.float32 if np.dtype(dtype).itemsize == 2 else dtype
    results = everything(x, w, g)
    expected = everything(x.astype(wide), w.astype(wide), g.astype(wide))
    for result, value in zip(results, expected, strict=True):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, value.astype(dtype))


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("groups", [1, 2])
def test_a_bias_is_added_to_every_window_of_its_filter(groups):
    x, w = images_and_filters((5, 7), (3, 3), groups)
    bias = np.arange(8.0)
    y = convolution.convolve(np, x, w, bias, ONE, ONE, ONE, groups)
    expected = reference(x, w, ONE, ONE, ONE, groups) + bias[:, None, None]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)


def test_a_float16_sum_beyond_2048_still_counts_by_ones():
    x, w = np.ones((1, 64, 8, 8), np.float16), np.ones((1, 64, 8, 8), np.float16)
    assert convolution.convolve(np, x, w, None, ONE, NONE, ONE, 1).item() == 4096


@pytest.mark.parametrize("filters", [4, 16])
def test_views_give_what_their_copies_give(filters):
    x, w = images_and_filters((6, 7), (3, 3), 1, filters=filters)
    g = np.broadcast_to(
        np.random.default_rng(1).standard_normal((filters, 1, 7)), (3, filters, 6, 7)
    )
    views = x.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2), w[:, :, ::-1], g
    for one, other in zip(everything(*views), everything(*(v.copy() for v in views)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("filters", [4, 16])
def test_inputs_are_left_alone_and_results_are_fresh(filters):
    x, w = images_and_filters((6, 7), (1, 1), 1, filters=filters)
    g = np.random.default_rng(1).standard_normal((3, filters, 6, 7))
    for array in (inputs := (x, w, g)):
        array.flags.writeable = False
    for result in everything(*inputs, padding=NONE):
        assert result.flags.writeable
        assert not any(np.shares_memory(result, array) for array in inputs)


@pytest.mark.parametrize("filters", [4, 16])
def test_a_batch_of_no_images_has_no_outputs_and_a_zero_weight_gradient(filters):
    x, w = images_and_filters((6, 7), (3, 3), 1, images=0, filters=filters)
    y, dx, dw = everything(x, w, np.empty((0, filters, 6, 7)))
    assert y.shape == (0, filters, 6, 7)
    assert dx.shape == (0, 4, 6, 7)
    assert dw.shape == w.shape
    assert not dw.any()


def test_an_infinity_reaches_only_the_windows_that_hold_it():
    x, w = images_and_filters((6, 7), (3, 3), 1)
    x[0, 0, 0, 6] = np.inf
    y = convolution.convolve(np, x, w, None, ONE, NONE, ONE, 1)
    assert np.isinf(y[0, :, 0, 4]).all()
    assert np.isinf(y).sum() == len(w)


@pytest.mark.parametrize(
    ("axis", "count"),
    [((5, 3, 1, 0, 1), 3), ((5, 3, 2, 1, 1), 3), ((6, 3, 2, 0, 1), 2), ((7, 3, 1, 0, 3), 1)],
)
def test_output_size_counts_the_windows_that_fit(axis, count):
    assert convolution.output_size(*axis) == count


def test_a_kernel_of_one_place_multiplies_the_images_as_they_are():
    x, _ = images_and_filters((8, 9), (1, 1), 1)
    windows = convolution._Windows(x.dtype, x.shape, (1, 1), ONE, NONE, ONE, 1)
    (_, columns), *_ = windows.columns(x)
    assert np.shares_memory(columns[0], x)


def test_adding_up_columns_of_float16_accumulates_in_float32():
    columns = np.ones((1, 4096, 4096), np.float16)
    images = convolution.col2im(np, columns, (1,), (4096,), (1,), (4095,), (1,))
    assert images.dtype == np.float16
    assert images.item() == 4096  # halves count by ones up to 2048


@pytest.mark.parametrize("dtype", [bool, np.int64])
def test_whole_numbers_are_convolved_and_laid_out_exactly(dtype):
    x = np.arange(6).reshape(1, 1, 6).astype(dtype)
    assert convolution.im2col(np, x, (2,), (1,), (0,), (1,)).dtype == dtype
    big = np.full((1, 1, 2), 2**53 + 1)
    ones = np.ones((1, 1, 2), np.int64)
    y = convolution.convolve(np, big, ones, None, (1,), (0,), (1,), 1)
    assert y.item() == 2**54 + 2
