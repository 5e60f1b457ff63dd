"""Python's numbers that a dtype cannot hold: who refuses them, and what the others make of them.

Next to PyTorch, the same calls are in tests/parity.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from number_calls import BOUNDS, FILLS, OTHERS, WRITES

import tapegrad as tg

TOO_LARGE = {"float16": 1e9, "bfloat16": 1e39, "float32": 1e300}


def vector(dtype):
    return tg.tensor([-1.0, 0.5, 2.0]).to(getattr(tg, dtype))


@pytest.mark.parametrize("dtype", TOO_LARGE)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", [*FILLS, *BOUNDS])
def test_floats_beyond_the_dtype_are_refused(name, sign, dtype):
    with pytest.raises(RuntimeError, match=rf"^\w+: {dtype} holds .*, not "):
        (FILLS | BOUNDS)[name](tg, vector(dtype), sign * TOO_LARGE[dtype])


@pytest.mark.parametrize("number", [300, -129, 300.0, math.inf, math.nan])
@pytest.mark.parametrize("name", [*FILLS, *WRITES])
def test_numbers_beyond_an_integer_dtype_are_refused(name, number):
    if name.startswith("where") and type(number) is float:
        return  # it makes floats of whole numbers
    x = tg.tensor([-1, 0, 2], dtype=tg.int8)
    with pytest.raises(RuntimeError, match="int8 holds -128 to 127, not"):
        (FILLS | WRITES)[name](tg, x, number)


@pytest.mark.parametrize("dtype", [*TOO_LARGE, "float64"])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", [name for name in FILLS if name != "linspace"] + [*WRITES])
def test_infinities_and_nan_are_held_by_every_floating_dtype(name, number, dtype):
    assert not (FILLS | WRITES)[name](tg, vector(dtype), number).isfinite().all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", WRITES)
def test_some_round_to_infinity_in_a_half_type(name, dtype):
    assert WRITES[name](tg, vector(dtype), -TOO_LARGE[dtype]).isneginf().any()


@pytest.mark.parametrize("name", WRITES)
def test_the_same_refuse_in_single_precision(name):
    with pytest.raises(RuntimeError, match=r"float32 holds .* not 1e\+300"):
        WRITES[name](tg, vector("float32"), 1e300)


@pytest.mark.parametrize("dtype", TOO_LARGE)
@pytest.mark.parametrize("name", OTHERS)
def test_what_overflows_elsewhere_does_so_without_a_warning(name, dtype):
    OTHERS[name](tg, vector(dtype), TOO_LARGE[dtype])  # a warning would be an error


@pytest.mark.parametrize("dtype", [*TOO_LARGE, "float64"])
def test_the_ends_of_the_range_are_held(dtype):
    for end in (tg.finfo(dtype).max, tg.finfo(dtype).min):
        assert tg.full((1,), end, dtype=dtype).item() == end
        assert vector(dtype).masked_fill(tg.tensor([True] * 3), end)[0].item() == end
        tg.clamp(vector(dtype), end, end)


def test_the_message_says_what_to_write_instead():
    scores, mask = vector("float16"), tg.tensor([True, False, True])
    with pytest.raises(RuntimeError, match=r"use -inf, tapegrad.finfo\(tapegrad.float16\).min or"):
        scores.masked_fill(mask, -1e9)
    with pytest.raises(ValueError, match=r"use inf, tapegrad.finfo\(tapegrad.float16\).max or"):
        tg.full_like(scores, np.float32(1e9))


def test_numbers_of_numpy_are_looked_at_too():
    with pytest.raises(RuntimeError, match=r"where: int8 holds -128 to 127, not 300"):
        tg.where(tg.tensor([True]), tg.ones(1, dtype=tg.int8), np.int64(300))
    with pytest.raises(RuntimeError, match="fill_: float32 holds"):
        tg.ones(1).fill_(np.float64(1e300))
    with pytest.raises(RuntimeError, match="fill_: float64 holds"):
        tg.ones(1, dtype=tg.float64).fill_(10**400)


def test_a_bound_that_whole_numbers_cannot_reach_bounds_nothing():
    x = tg.tensor([-100, 0, 100], dtype=tg.int8)
    assert tg.clamp(x, -300, 300).tolist() == [-100, 0, 100]


def test_where_of_two_numbers_looks_at_both():
    with pytest.raises(RuntimeError, match="where: float32 holds"):
        tg.where(tg.tensor([True]), 1e300, 0.0)
    with pytest.raises(RuntimeError, match="where: float32 holds"):
        tg.where(tg.tensor([True]), 0.0, 1e300)


def test_random_numbers_are_drawn_within_the_dtype():
    for call in (
        lambda x: x.uniform_(0, 1e9),
        lambda x: x.uniform_(-6e4, 6e4),
        lambda x: x.random_(0, 10**9),
        lambda x: tg.randint(0, 10**9, (2,), dtype=x.dtype),
    ):
        with pytest.raises(RuntimeError, match="float16 holds"):
            call(tg.zeros(3, dtype=tg.float16))


def test_random_numbers_without_bounds_overflow_without_a_warning():
    x = tg.zeros(3, dtype=tg.float16)
    assert x.normal_(1e9, 1.0).isposinf().all()
    assert x.cauchy_(1e9, 1.0).isposinf().all()
    assert tg.normal(1e9, 1.0, (3,), dtype=tg.float16).isposinf().all()


def test_an_overwritten_element_rounds_to_infinity_on_the_tape():
    x = tg.ones(2, dtype=tg.float16, requires_grad=True)
    y = x * 1
    y[0] = -1e9
    y.sum().backward()
    assert y.tolist() == [-math.inf, 1.0]
    assert x.grad.tolist() == [0.0, 1.0]


def test_arrays_and_lists_are_written_into_a_smaller_dtype_without_a_warning():
    x = tg.zeros(3, dtype=tg.float16)
    x[:2] = [1e9, 1.0]
    x[2:] = np.array([-1e9])
    assert x.tolist() == [math.inf, 1.0, -math.inf]
