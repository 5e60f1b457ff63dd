"""Sums taken the other way round are sums all the same."""

import numpy as np
import pytest

from tapegrad.kernels.sums import sum_over


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((3000, 2), (0,)),
        ((3000, 2), (1,)),
        ((50, 60, 3), (0, 1)),
        ((50, 60, 3), (1,)),
        ((5000, 1), (0,)),
        ((3000, 2), ()),
        ((0, 3), (0,)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_it_agrees_with_numpys_sum(shape, dims, dtype):
    x = (np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)
    for seen in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        found = sum_over(np, seen, dims, np.dtype(dtype))
        expected = seen.sum(axis=dims, keepdims=True, dtype=np.float64)
        assert found.dtype == dtype
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)
