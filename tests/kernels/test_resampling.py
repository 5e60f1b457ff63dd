"""Reading along an axis: every kind of taps next to a matrix, and next to its adjoint."""

from __future__ import annotations

import numpy as np
import pytest

from tapegrad.kernels import resampling as r

TAPS = {
    "reflected": r.reflected(5, 3, 4),
    "replicated": r.replicated(4, 2, 6),
    "replicated, cropped": r.replicated(4, -3, 5),
    "wrapped": r.wrapped(4, 3, 4),
    "wrapped, cropped": r.wrapped(5, 2, -1),
    "nearest": r.nearest(5, 13, None, False),
    "nearest, exact": r.nearest(7, 3, 0.5, True),
    "linear": r.linear(5, 8, 1.7, False, np.float64),
    "linear, one": r.linear(1, 30, None, True, np.float64),
    "cubic": r.cubic(6, 4, None, True, np.float64),
    "smoothed": r.smoothed(11, 3, None, False, "lanczos", np.float64),
    "nothing read": r.reading(3, np.array([2, 2])),
}


@pytest.mark.parametrize("shape", [(-1,), (2, -1), (-1, 3), (2, -1, 3)], ids=str)
@pytest.mark.parametrize("name", TAPS)
def test_reading_is_a_product_with_the_matrix_and_its_transpose_the_adjoint(name, shape):
    taps, axis = TAPS[name], shape.index(-1)
    stream = np.random.default_rng(0)
    x = stream.standard_normal([taps.size if n == -1 else n for n in shape])
    y = stream.standard_normal([taps.count if n == -1 else n for n in shape])
    read = r.apply(np, x, axis, taps)
    expected = np.moveaxis(np.tensordot(taps.matrix, x, (1, axis)), 0, axis)
    np.testing.assert_allclose(read, expected, atol=1e-12)
    assert np.vdot(read, y) == pytest.approx(np.vdot(x, r.apply(np, y, axis, taps.transposed)))


@pytest.mark.parametrize("border", [r.reflected, r.replicated, r.wrapped])
@pytest.mark.parametrize("widths", [((1, 2), (0, 3)), ((0, 0), (2, 2)), ((2, -1), (3, 1))])
def test_borders_around_several_axes_are_those_of_one_after_the_other(border, widths):
    x = np.random.default_rng(0).random((2, 6, 5))
    plan = [(axis, border(x.shape[axis], *width)) for axis, width in enumerate(widths, 1)]
    expected = x
    for axis, taps in plan:
        expected = r.apply(np, expected, axis, taps)
    found = r.extend(np, x, plan)
    if found is not None:
        np.testing.assert_array_equal(found, expected)
    assert found is not None or min(map(min, widths)) < 0


def test_weights_of_every_output_add_up_to_1():
    for name, taps in TAPS.items():
        np.testing.assert_allclose(taps.matrix.sum(1), 1, rtol=1e-12, err_msg=name)
