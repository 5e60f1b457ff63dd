"""Random numbers: reproducible by seed and by state, and of the distribution they are named for."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg

MANY = 40_000
DRAWS = {
    "rand": lambda g: tg.rand(5, generator=g),
    "randn": lambda g: tg.randn(5, generator=g),
    "randint": lambda g: tg.randint(1000, (5,), generator=g),
    "randperm": lambda g: tg.randperm(20, generator=g),
    "normal": lambda g: tg.normal(tg.zeros(5), 1.0, generator=g),
    "bernoulli": lambda g: tg.bernoulli(tg.full((50,), 0.5), generator=g),
    "poisson": lambda g: tg.poisson(tg.full((9,), 20.0), generator=g),
    "binomial": lambda g: tg.binomial(tg.full((9,), 50.0), tg.full((9,), 0.5), generator=g),
    "multinomial": lambda g: tg.multinomial(tg.ones(50), 9, generator=g),
    "multinomial, replaced": lambda g: tg.multinomial(tg.ones(50), 9, True, generator=g),
    "rand_like": lambda g: tg.rand_like(tg.ones(5), generator=g),
    "randn_like": lambda g: tg.randn_like(tg.ones(5), generator=g),
    "randint_like": lambda g: tg.randint_like(tg.ones(5), 1000, generator=g),
    "uniform_": lambda g: tg.empty(5).uniform_(generator=g),
    "normal_": lambda g: tg.empty(5).normal_(generator=g),
    "exponential_": lambda g: tg.empty(5).exponential_(generator=g),
    "cauchy_": lambda g: tg.empty(5).cauchy_(generator=g),
    "log_normal_": lambda g: tg.empty(5).log_normal_(generator=g),
    "geometric_": lambda g: tg.empty(9).geometric_(0.1, generator=g),
    "bernoulli_": lambda g: tg.empty(50).bernoulli_(generator=g),
    "random_": lambda g: tg.empty(5).random_(generator=g),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_gives_the_same_numbers_again(name):
    draw, generator = DRAWS[name], tg.Generator()
    first = draw(generator.manual_seed(7)).tolist()
    second = draw(generator).tolist()
    assert draw(generator.manual_seed(7)).tolist() == first != second
    tg.manual_seed(7)
    assert draw(None).tolist() == first


@pytest.mark.parametrize("name", DRAWS)
def test_a_state_continues_where_it_was_taken(name):
    draw, generator = DRAWS[name], tg.Generator().manual_seed(1)
    draw(generator)
    state = generator.get_state()
    expected = draw(generator).tolist()
    other = tg.Generator()
    other.set_state(state)
    assert draw(other).tolist() == expected
    assert other.initial_seed() == 1


def test_the_state_of_all_is_that_of_the_default_generator():
    tg.manual_seed(3)
    state = tg.get_rng_state()
    first = tg.rand(3).tolist()
    tg.set_rng_state(state)
    assert tg.rand(3).tolist() == first
    assert state.dtype == tg.uint8
    assert tg.initial_seed() == 3


def test_a_new_seed_is_another_each_time():
    one, other = tg.seed(), tg.seed()
    assert one != other == tg.initial_seed()


def test_states_are_checked():
    with pytest.raises(RuntimeError, match="no state of cpu"):
        tg.Generator().set_state(tg.zeros(3, dtype=tg.uint8))


def test_a_generator_elsewhere_is_refused(gpu):
    generator = tg.Generator("cuda")
    for draw in (tg.rand, lambda *a, **k: tg.randint(3, a, **k), tg.randperm):
        with pytest.raises(RuntimeError, match="generator is on cuda:0"):
            draw(2, device="cpu", generator=generator)


def moments(x):
    return x.double().mean().item(), x.double().std().item()


MOMENTS = {  # mean and standard deviation
    "rand": (lambda: tg.rand(MANY), 0.5, math.sqrt(1 / 12)),
    "randn": (lambda: tg.randn(MANY, dtype=tg.float64), 0.0, 1.0),
    "randint": (lambda: tg.randint(2, 7, (MANY,)), 4.0, math.sqrt(2)),
    "normal": (lambda: tg.normal(tg.full((MANY,), 3.0), tg.full((MANY,), 2.0)), 3.0, 2.0),
    "bernoulli": (lambda: tg.bernoulli(tg.full((MANY,), 0.2)), 0.2, 0.4),
    "poisson": (lambda: tg.poisson(tg.full((MANY,), 9.0)), 9.0, 3.0),
    "binomial": (lambda: tg.binomial(tg.full((MANY,), 8.0), tg.full((MANY,), 0.5)), 4.0, 2**0.5),
    "uniform_": (lambda: tg.empty(MANY).uniform_(1, 4), 2.5, 3 * math.sqrt(1 / 12)),
    "exponential_": (lambda: tg.empty(MANY).exponential_(4.0), 0.25, 0.25),
    "geometric_": (lambda: tg.empty(MANY).geometric_(0.25), 4.0, math.sqrt(12)),
    "log_normal_": (
        lambda: tg.empty(MANY).log_normal_(0.0, 0.5),
        math.exp(0.125),
        math.exp(0.125) * math.sqrt(math.exp(0.25) - 1),
    ),
    "random_": (lambda: tg.empty(MANY, dtype=tg.int32).random_(5), 2.0, math.sqrt(2)),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_means_and_deviations(name):
    draw, mean, deviation = MOMENTS[name]
    tg.manual_seed(0)
    found = moments(draw())
    assert found[0] == pytest.approx(mean, abs=5 * deviation / math.sqrt(MANY))
    assert found[1] == pytest.approx(deviation, rel=0.04)


def test_the_cauchy_distribution_has_its_quartiles():
    tg.manual_seed(0)
    drawn = tg.empty(MANY).cauchy_(1.0, 2.0).numpy()
    np.testing.assert_allclose(np.quantile(drawn, [0.25, 0.5, 0.75]), [-1, 1, 3], atol=0.1)


@pytest.mark.parametrize("replacement", [False, True])
def test_weights_decide_how_often_an_index_is_drawn(replacement):
    tg.manual_seed(0)
    weights = tg.tensor([0.0, 1.0, 3.0, 0.0]).expand(MANY, 4)
    first = tg.multinomial(weights, 1 + (not replacement), replacement)[:, 0]
    counts = np.bincount(first.numpy(), minlength=4) / MANY
    np.testing.assert_allclose(counts, [0, 0.25, 0.75, 0], atol=0.02)


def test_without_replacement_no_index_comes_twice():
    drawn = tg.multinomial(tg.rand(200, 9) + 0.1, 9)
    assert (drawn.sort(1).values == tg.arange(9)).all()


def test_random_fills_what_a_dtype_counts_exactly():
    assert tg.empty(1000, dtype=tg.uint8).random_().numpy().max() > 250
    assert set(tg.empty(100, dtype=tg.bool).random_().tolist()) == {False, True}
    assert tg.empty(100, dtype=tg.float16).random_().numpy().max() <= 2**11


def test_what_is_drawn_has_a_gradient_of_0():
    x = tg.full((3,), 0.5, requires_grad=True)
    for drawn in (tg.bernoulli(x), tg.normal(x, 1.0), tg.poisson(x), (x * 1).normal_()):
        assert drawn.requires_grad
        (gradient,) = tg.autograd.grad(drawn.sum(), [x])
        assert not gradient.numpy().any()


def test_halves_are_drawn_in_float32_and_rounded():
    drawn = tg.rand(1000, dtype=tg.bfloat16)
    assert drawn.dtype == tg.bfloat16
    assert 0 <= drawn.float().numpy().min() <= drawn.float().numpy().max() <= 1
