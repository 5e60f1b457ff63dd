"""Element by element: what happens at kinks, at infinity, and where whole numbers wrap around.

Values are worked out by hand; next to PyTorch, the operations are in tests/parity.
"""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import tapegrad as tg

INF, NAN = math.inf, math.nan


def gradients(function, *values):
    """The gradients of a function at arrays, and those of the sum of these."""
    leaves = [tg.tensor(np.asarray(v, float), requires_grad=True) for v in values]
    first = tg.autograd.grad(function(*leaves).sum(), leaves, create_graph=True)
    total = sum(g.sum() for g in first)
    second = [tg.zeros_like(x) for x in leaves]
    if total.requires_grad:
        second = tg.autograd.grad(total, leaves, allow_unused=True)
    return [g.tolist() for g in first], [None if g is None else g.tolist() for g in second]


# Choices


@pytest.mark.parametrize(
    ("function", "x", "y", "to_x"),
    [
        (tg.fmax, [1.0, NAN, 2.0, NAN], [1.0, 3.0, NAN, NAN], [1.0, 0.0, 1.0, 1.0]),
        (tg.fmin, [1.0, NAN, 2.0, NAN], [1.0, 3.0, NAN, NAN], [1.0, 0.0, 1.0, 1.0]),
    ],
)
def test_fmax_routes_the_gradient_around_nan_and_a_tie_to_the_first(function, x, y, to_x):
    first, _ = gradients(function, x, y)
    assert first == [to_x, [1 - g for g in to_x]]


def test_a_clamp_between_crossed_tensors_gives_the_upper_bound_everything():
    first, _ = gradients(tg.clamp, [0.0, 5.0, -5.0], [2.0] * 3, [1.0] * 3)
    assert first == [[0.0] * 3, [0.0] * 3, [1.0] * 3]


def test_a_clamp_below_its_lower_bound_gives_that_bound_the_gradient():
    first, _ = gradients(tg.clamp, [-5.0, 0.0, 1.0, 5.0], [0.0] * 4, [1.0] * 4)
    assert first == [[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]


def test_a_bound_that_is_nan_makes_nan():
    out = tg.clamp(tg.tensor([1.0, 2.0]), tg.tensor([NAN, 0.0]))
    assert out.isnan().tolist() == [True, False]


def test_bounds_beyond_a_whole_dtype_bound_nothing():
    x = tg.tensor([0, 7, 255], dtype=tg.uint8)
    assert tg.clamp(x, -1, 300).tolist() == [0, 7, 255]
    assert tg.clamp(x, -1, 9).tolist() == [0, 7, 9]


def test_nan_to_num_passes_no_gradient_where_it_put_a_number():
    first, _ = gradients(tg.nan_to_num, [NAN, INF, -INF, 3.0])
    assert first == [[0.0, 0.0, 0.0, 1.0]]


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64], ids=str)
def test_nan_to_num_takes_the_ends_of_the_dtype(dtype):
    out = tg.nan_to_num(tg.tensor([NAN, INF, -INF], dtype=dtype))
    assert out.dtype == dtype
    assert bool(tg.isfinite(out).all())
    assert tg.nan_to_num(tg.tensor([INF], dtype=dtype) - 1).item() == out[1].item()


# Powers, roots and logarithms


def test_a_zero_to_the_zero_is_flat_to_second_order():
    first, second = gradients(tg.pow, [0.0], [0.0])
    assert first == [[0.0], [0.0]]
    assert second == [[0.0], [0.0]]


def test_the_mixed_derivative_of_a_power_at_the_exponent_zero_is_the_reciprocal():
    x, y = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (4.0, 0.0))
    (to_x,) = tg.autograd.grad(tg.pow(x, y), x, create_graph=True)
    assert tg.autograd.grad(to_x, y)[0].item() == 0.25


@pytest.mark.parametrize("exponent", [3, 4, 3.0])
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64, tg.int32], ids=str)
def test_cubes_and_fourth_powers_are_products(exponent, dtype):
    x = tg.tensor([-2, 0, 3], dtype=dtype)
    expected = np.array([-2, 0, 3]) ** int(exponent)
    assert tg.pow(x, exponent).tolist() == expected.tolist()


def test_whole_powers_below_zero_are_rounded_to_zero_if_the_exponent_is_a_tensor():
    out = tg.pow(tg.tensor([1, -1, -1, 2, 0, 3]), tg.tensor([-1, -1, -2, -1, -1, 2]))
    assert out.tolist() == [1, -1, 1, 0, 0, 9]
    with pytest.raises(RuntimeError, match="negative"):
        tg.tensor([2]) ** -1


@pytest.mark.parametrize("function", [tg.logaddexp, tg.logaddexp2])
def test_logaddexp_of_infinities_shares_what_there_is(function):
    first, second = gradients(function, [-INF, INF, -INF], [-INF, INF, 3.0])
    assert first == [[0.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    assert not np.isnan(second).any()


def test_xlogy_of_zeros_is_zero_and_flat():
    assert tg.xlogy(tg.tensor([0.0, 0.0]), tg.tensor([0.0, NAN])).isnan().tolist() == [False, True]
    first, second = gradients(tg.xlogy, [0.0, 0.0], [0.0, -1.0])
    assert first == second == [[0.0, 0.0], [0.0, 0.0]]


def test_logit_is_clamped_by_eps_and_passes_the_gradient_at_the_bounds():
    first, _ = gradients(lambda x: tg.logit(x, 0.25), [0.0, 0.25, 0.5, 0.75, 1.0])
    assert np.allclose(first, [[0, 16 / 3, 4, 16 / 3, 0]])


def test_logit_beyond_zero_and_one_has_no_gradient():
    assert np.isnan(gradients(tg.logit, [-0.5, 1.5])[0]).all()


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64], ids=str)
def test_sigmoid_is_precise_as_far_below_as_the_dtype_reaches(dtype):
    x = np.array([-15.0, -11.5, -7.0, 0.0, 7.0])
    expected = 1 / (1 + np.exp(-x))
    out = tg.sigmoid(tg.tensor(x, dtype=dtype)).double().numpy()
    steps = np.spacing(expected.astype(np.float16)) if dtype == tg.float16 else 0.0
    assert np.allclose(out, expected, rtol=1e-2 if dtype.itemsize == 2 else 1e-6, atol=steps)


# Angles and lengths


def test_the_origin_has_no_angle_and_no_direction():
    for function in (tg.atan2, tg.hypot):
        first, second = gradients(function, [0.0], [0.0])
        assert first == second == [[0.0], [0.0]]


def test_angles_and_lengths_of_huge_and_tiny_points_are_exact():
    first, _ = gradients(tg.hypot, [3e300, 3e-300], [4e300, 4e-300])
    assert np.allclose(first, [[0.6, 0.6], [0.8, 0.8]])
    first, _ = gradients(tg.atan2, [3e200, 3e-200], [4e200, 4e-200])
    assert np.allclose(first, [[0.16e-200, 0.16e200], [-0.12e-200, -0.12e200]], rtol=1e-12, atol=0)


@pytest.mark.parametrize("order", range(1, 7))
def test_sinc_at_zero_has_the_right_derivative_of_every_order(order):
    x = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    out = tg.sinc(x)
    for _ in range(order):
        (out,) = tg.autograd.grad(out, x, create_graph=True)
    sign = (-1) ** (order // 2) * (order % 2 == 0)
    assert out.item() == pytest.approx(sign * math.pi**order / (order + 1), abs=1e-12)


@pytest.mark.parametrize("order", range(1, 5))
def test_sinc_near_zero_loses_no_digits(order):
    """The derivatives on both sides of where the series ends agree with a difference quotient."""

    def derivative(at):
        x = tg.tensor(at, dtype=tg.float64, requires_grad=True)
        out = tg.sinc(x)
        for _ in range(order):
            (out,) = tg.autograd.grad(out, x, create_graph=True)
        return out.item()

    end = (order + 1) / math.pi
    below, above = derivative(end - 1e-9), derivative(end + 1e-9)
    assert below == pytest.approx(above, abs=1e-6)
    assert derivative(1e-9) == pytest.approx(derivative(0.0), abs=1e-6)


# Signs


def test_copysign_knows_a_negative_zero_and_is_flat_at_zero():
    assert tg.copysign(tg.tensor([1.0, -1.0]), -0.0).tolist() == [-1.0, -1.0]
    first, _ = gradients(tg.copysign, [0.0, 1.0, -1.0, 2.0], [-1.0, -0.0, 3.0, 5.0])
    assert first == [[0.0, -1.0, -1.0, 1.0], [0.0] * 4]


def test_heaviside_takes_the_given_value_at_zero_only():
    values = tg.tensor([0.5] * 4)
    assert tg.heaviside(tg.tensor([-1.0, -0.0, 2.0, NAN]), values).tolist() == [0.0, 0.5, 1.0, 0.0]


# Quotients of whole numbers

PAIRS = [(a, b) for a in (7, -7, 6, 0, 127, -127) for b in (2, -2, 7, -128)]


@pytest.mark.parametrize("dtype", [tg.int8, tg.int64], ids=str)
def test_whole_quotients_are_rounded_exactly(dtype):
    a, b = (tg.tensor(side, dtype=dtype) for side in zip(*PAIRS, strict=True))
    trunc, floor = (tg.div(a, b, rounding_mode=mode).tolist() for mode in ("trunc", "floor"))
    assert trunc == [int(x / y) for x, y in PAIRS]
    assert floor == [x // y for x, y in PAIRS]
    assert tg.fmod(a, b).tolist() == [math.fmod(x, y) for x, y in PAIRS]
    assert tg.remainder(a, b).tolist() == [x % y for x, y in PAIRS]


def test_large_whole_quotients_lose_no_digits():
    a = tg.tensor([2**62 + 1, -(2**62) - 1])
    assert tg.div(a, 2, rounding_mode="trunc").tolist() == [2**61, -(2**61)]


def test_gradients_of_remainders_know_the_quotient():
    assert gradients(tg.fmod, [5.0, -5.0], [3.0, 3.0])[0] == [[1.0, 1.0], [-1.0, 1.0]]
    assert gradients(tg.remainder, [5.0, -5.0], [3.0, 3.0])[0] == [[1.0, 1.0], [-1.0, 2.0]]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: tg.add(x, x, alpha=-3), [254, 252]),
        (lambda x: x + (-3), [254, 255]),
        (lambda x: 300 - x, [43, 42]),
        (lambda x: x * 300, [44, 88]),
        (lambda x: x & -1, [1, 2]),
    ],
)
def test_numbers_beyond_a_whole_dtype_wrap_around(call, expected):
    assert call(tg.tensor([1, 2], dtype=tg.uint8)).tolist() == expected


def test_comparing_with_a_number_beyond_the_dtype_does_not_wrap():
    x = tg.tensor([1, 2], dtype=tg.uint8)
    assert (x > -1).tolist() == (x < 300).tolist() == [True, True]
    assert (x == 257).tolist() == [False, False]


# In place


def test_every_method_in_place_is_the_method_it_is_named_after():
    written = [n for n in dir(tg.Tensor) if n.endswith("_") and not n.startswith("_")]
    made = [n for n in written if hasattr(getattr(tg.Tensor, n), "__wrapped__")]
    assert len(made) > 100
    for name in made:  # behind the casts of autocast, where there are any
        method = inspect.unwrap(getattr(tg.Tensor, name[:-1]))
        assert inspect.unwrap(getattr(tg.Tensor, name)) is method


def test_a_method_in_place_has_the_name_signature_and_help_of_one():
    assert tg.Tensor.clamp_.__name__ == "clamp_"
    assert "in place" in tg.Tensor.clamp_.__doc__


@pytest.mark.parametrize("write", [lambda x: x.exp_(), lambda x: x.add_(0.5), lambda x: x.div_(2)])
def test_floats_are_not_written_into_whole_numbers(write):
    with pytest.raises(RuntimeError, match="cannot be written into"):
        write(tg.tensor([1, 2]))


def test_comparisons_in_place_are_written_as_numbers():
    x = tg.tensor([1.0, 5.0])
    assert x.gt_(2).tolist() == [0.0, 1.0]
    assert x.dtype == tg.float32


def test_a_tensor_takes_another_shape_in_place_and_its_gradient_follows():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).unsqueeze_(1).t_()
    assert y.shape == (1, 2)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="leaf"):
        x.unsqueeze_(0)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda x: x.__ifloordiv__(2), [3, 4]),
        (lambda x: x.__imod__(4), [3, 0]),
        (lambda x: x.__iand__(6), [6, 0]),
        (lambda x: x.__ior__(8), [15, 8]),
        (lambda x: x.__ixor__(1), [6, 9]),
        (lambda x: x.__ilshift__(1), [14, 16]),
        (lambda x: x.__irshift__(1), [3, 4]),
    ],
)
def test_augmented_assignment_writes_into_the_tensor(write, expected):
    x = tg.tensor([7, 8])
    assert write(x) is x
    assert x.tolist() == expected
