"""The float32 error function is within a few units of SciPy's last place, everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from tapegrad.kernels.error_function import erf


def test_it_agrees_with_double_precision():
    x = np.linspace(-6, 6, 200_001, dtype=np.float32)
    exact = special.erf(x.astype(np.float64))
    np.testing.assert_allclose(erf(np, x), exact, rtol=3.5e-7)


def test_small_numbers_keep_their_relative_precision():
    x = np.float32(10.0) ** -np.arange(1, 38, dtype=np.float32)
    np.testing.assert_allclose(erf(np, x), special.erf(x.astype(np.float64)), rtol=3.5e-7)


def test_it_is_odd_bounded_and_keeps_nan():
    x = np.array([0.0, 3.9, 4.0, 1e30, np.inf], np.float32)
    assert (erf(np, -x) == -erf(np, x)).all()
    assert np.abs(erf(np, x)).max() == 1.0
    assert np.isnan(erf(np, np.array([np.nan, 0.0], np.float32))[0])


@pytest.mark.parametrize("shape", [(), (0,), (3, 1, 2)])
def test_it_keeps_shape_and_dtype(shape):
    out = erf(np, np.ones(shape, np.float32))
    assert out.shape == shape
    assert out.dtype == np.float32


def test_it_reads_views():
    x = np.linspace(-2, 2, 24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(erf(np, x.T), erf(np, x).T)
