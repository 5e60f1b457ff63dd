"""Products with zeros, spreads of constants, norms at 0, medians of ties, means of half types."""

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import gradcheck, gradgradcheck

NAN, INFINITY = math.nan, math.inf


def leaf(values, dtype=tg.float64):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


ZEROS = {
    "none": [2.0, -3.0, 0.5, 4.0],
    "one": [2.0, 0.0, 0.5, 4.0],
    "two": [0.0, -3.0, 0.0, 4.0],
    "three": [0.0, 0.0, 0.5, 0.0],
    "all": [0.0, 0.0, 0.0, 0.0],
    "a single one": [0.0],
}


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_products_with_zeros_are_exact_to_second_order(name, zeros):
    x = leaf(ZEROS[zeros])
    assert gradcheck(lambda x: getattr(tg, name)(x, 0), x)
    assert gradgradcheck(lambda x: getattr(tg, name)(x, 0), x)


def test_every_row_of_a_product_has_zeros_of_its_own():
    x = leaf([[2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 0.0, 4.0]])
    tg.prod(x, 1).sum().backward()
    assert x.grad.tolist() == [[12.0, 8.0, 6.0], [0.0, 8.0, 0.0], [0.0, 0.0, 0.0]]


def test_a_product_lost_in_underflow_keeps_its_gradient():
    x = leaf([1e-200, 1e-200, 2.0])
    tg.prod(x).backward()
    assert np.allclose(x.grad.data, [2e-200, 2e-200, 0.0], rtol=1e-12, atol=0)
    y = leaf([1e-30, 1e-30], tg.float32)
    tg.cumprod(y, 0).sum().backward()
    assert y.grad.tolist() == pytest.approx([1.0, 1e-30], rel=1e-6)


def test_a_running_product_far_beyond_zero_is_differentiated_without_division():
    x = leaf([3.0, 0.0, 1e-300, 1e-300, 5.0])
    tg.cumprod(x, 0).sum().backward()
    assert x.grad.tolist() == [1.0, 3.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, 7.5, INFINITY, -INFINITY, "fro"])
def test_a_norm_at_zero_has_the_gradient_zero_and_no_nan_in_the_second(p):
    x = leaf([0.0, 0.0, 0.0])
    (first,) = tg.autograd.grad(tg.norm(x, p), x, create_graph=True)
    assert first.tolist() == [0.0, 0.0, 0.0]
    if first.requires_grad:
        (second,) = tg.autograd.grad(first.sum(), x, allow_unused=True)
        assert second is None or second.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e8, 1e-20, 3.3])
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=str)
@pytest.mark.parametrize("shape", [(7,), (1000,), (300, 3)])
def test_the_spread_of_a_constant_is_zero_to_second_order(constant, dtype, shape):
    for function in (tg.var, tg.std):
        x = leaf(np.full(shape, constant), dtype)
        spread = function(x, 0)
        assert not np.any(spread.detach().data)
        (first,) = tg.autograd.grad(spread.sum(), x, create_graph=True)
        assert not np.any(first.detach().data)
        (second,) = tg.autograd.grad(first.sum(), x)
        assert np.all(np.isfinite(second.data))


def test_the_spread_of_one_element_is_nan_with_correction_and_zero_without():
    one = tg.tensor([3.0])
    assert math.isnan(tg.var(one).item())
    assert math.isnan(tg.std(one, unbiased=True).item())
    assert tg.var(one, correction=0).item() == tg.std(one, unbiased=False).item() == 0.0


def test_a_variance_far_from_zero_keeps_its_digits():
    x = (np.random.default_rng(0).standard_normal(1000) + 1e6).astype(np.float32)
    exact = x.astype(np.float64).var(ddof=1)
    assert tg.var(tg.tensor(x)).item() == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16], ids=str)
def test_the_mean_of_half_types_does_not_overflow(dtype):
    x = leaf(np.full(100_000, 3.0), dtype)
    mean = tg.mean(x)
    assert (mean.item(), mean.dtype) == (3.0, dtype)
    assert tg.nansum(x[:1000]).item() == 3000.0 or dtype == tg.bfloat16
    assert tg.var(x).item() == 0.0


def test_the_median_of_all_shares_the_gradient_between_its_equals():
    x = leaf([1.0, 2.0, 2.0, 5.0])
    tg.median(x).backward()
    assert x.grad.tolist() == [0.0, 0.5, 0.5, 0.0]


def test_the_median_along_a_dimension_gives_it_all_to_the_index():
    x = leaf([[1.0, 2.0, 2.0, 5.0]])
    values, indices = tg.median(x, 1)
    values.sum().backward()
    assert indices.tolist() == [1]
    assert x.grad.tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_medians_of_nan():
    x = tg.tensor([[1.0, NAN, 3.0], [NAN, NAN, NAN], [3.0, 1.0, 2.0]])
    values, indices = tg.median(x, 1)
    assert np.array_equal(values.data, [NAN, NAN, 2.0], equal_nan=True)
    assert indices.tolist() == [1, 0, 2]
    values, indices = tg.nanmedian(x, 1)
    assert np.array_equal(values.data, [1.0, NAN, 2.0], equal_nan=True)
    assert math.isnan(tg.median(x).item())
    assert tg.nanmedian(x).item() == 2.0


def test_a_nan_that_is_the_largest_receives_the_gradient():
    x = leaf([1.0, NAN, 3.0])
    tg.amax(x).backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_what_is_missing_receives_no_gradient():
    for name in ("nansum", "nanmean", "nanmedian", "nanquantile"):
        x = leaf([1.0, NAN, 4.0])
        getattr(tg, name)(x, *([0.5] if name == "nanquantile" else [])).backward()
        assert x.grad.data[1] == 0.0, name
        assert x.grad.data.sum() == (2.0 if name == "nansum" else 1.0), name


def test_the_mean_of_nothing_but_nan_is_nan_and_gives_no_gradient():
    x = leaf([NAN, NAN])
    mean = tg.nanmean(x)
    mean.backward()
    assert math.isnan(mean.item())
    assert x.grad.tolist() == [0.0, 0.0]


def test_a_quantile_of_ties_takes_its_neighbours_in_stable_order():
    x = leaf([2.0, 2.0, 1.0, 2.0])
    tg.quantile(x, 0.5).backward()  # between the second and the third of 1, 2, 2, 2
    assert x.grad.tolist() == [0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("count", [3, 9])
def test_few_quantiles_are_those_of_many(count):
    x = tg.tensor(np.random.default_rng(1).integers(0, 20, (50, 4)).astype(np.float64))
    q = np.linspace(0, 1, count)
    found = tg.quantile(x, tg.tensor(q), dim=0)
    assert np.allclose(found.data, np.quantile(x.data, q, axis=0))


def test_a_running_logsumexp_of_minus_infinities_has_no_gradient_there():
    x = leaf([-INFINITY, -INFINITY, 1.0, -INFINITY, 2.0])
    out = tg.logcumsumexp(x, 0)
    assert out.tolist()[:4] == [-INFINITY, -INFINITY, 1.0, 1.0]
    (first,) = tg.autograd.grad(out[2:].sum(), x, create_graph=True)
    assert first.tolist()[:2] == [0.0, 0.0]
    assert sum(first.tolist()) == pytest.approx(3.0)
    (second,) = tg.autograd.grad((first * first).sum(), x)
    assert np.all(np.isfinite(second.data))


def test_a_running_logsumexp_spans_any_range():
    x = leaf([-1000.0, 0.0, 1000.0, 0.0])
    out = tg.logcumsumexp(x, 0)
    assert out.tolist() == [-1000.0, 0.0, 1000.0, 1000.0]
    out.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 2.0, 0.0]
    assert tg.logcumsumexp(tg.tensor([1000.0, 1000.0], dtype=tg.float16), 0).dtype == tg.float16


def test_results_have_names():
    x = tg.tensor([[3.0, 1.0], [2.0, 4.0]])
    for found in (
        tg.max(x, 1), tg.min(x, 1), tg.median(x, 1), tg.nanmedian(x, 1), tg.mode(x), tg.sort(x),
        tg.kthvalue(x, 1), tg.topk(x, 1), tg.cummax(x, 0), tg.cummin(x, 0),
    ):  # fmt: skip
        assert found.values is found[0]
        assert found.indices is found[1]
    assert (tg.aminmax(x).min.item(), tg.aminmax(x).max.item()) == (1.0, 4.0)
