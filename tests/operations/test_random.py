"""Random numbers: reproducible by seed and by state, and of the distribution they are named for."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg

MANY = 40_000
DRAWS = {  # with a generator, on its device
    "rand": lambda g, d: tg.rand(5, generator=g, device=d),
    "randn": lambda g, d: tg.randn(5, generator=g, device=d),
    "randint": lambda g, d: tg.randint(1000, (5,), generator=g, device=d),
    "randperm": lambda g, d: tg.randperm(20, generator=g, device=d),
    "normal": lambda g, d: tg.normal(tg.zeros(5, device=d), 1.0, generator=g),
    "bernoulli": lambda g, d: tg.bernoulli(tg.full((50,), 0.5, device=d), generator=g),
    "poisson": lambda g, d: tg.poisson(tg.full((9,), 20.0, device=d), generator=g),
    "binomial": lambda g, d: tg.binomial(
        tg.full((9,), 50.0, device=d), tg.full((9,), 0.5, device=d), generator=g
    ),
    "multinomial": lambda g, d: tg.multinomial(tg.ones(50, device=d), 9, generator=g),
    "multinomial, replaced": lambda g, d: tg.multinomial(
        tg.ones(50, device=d), 9, True, generator=g
    ),
    "rand_like": lambda g, d: tg.rand_like(tg.ones(5, device=d), generator=g),
    "randn_like": lambda g, d: tg.randn_like(tg.ones(5, device=d), generator=g),
    "randint_like": lambda g, d: tg.randint_like(tg.ones(5, device=d), 1000, generator=g),
    "uniform_": lambda g, d: tg.empty(5, device=d).uniform_(generator=g),
    "normal_": lambda g, d: tg.empty(5, device=d).normal_(generator=g),
    "exponential_": lambda g, d: tg.empty(5, device=d).exponential_(generator=g),
    "cauchy_": lambda g, d: tg.empty(5, device=d).cauchy_(generator=g),
    "log_normal_": lambda g, d: tg.empty(5, device=d).log_normal_(generator=g),
    "geometric_": lambda g, d: tg.empty(9, device=d).geometric_(0.1, generator=g),
    "bernoulli_": lambda g, d: tg.empty(50, device=d).bernoulli_(generator=g),
    "random_": lambda g, d: tg.empty(5, device=d).random_(generator=g),
}


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    if request.param == "cuda":
        request.getfixturevalue("gpu")
    return request.param


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_gives_the_same_numbers_again(name, device):
    draw, generator = DRAWS[name], tg.Generator(device)
    first = draw(generator.manual_seed(7), device)
    assert first.device == device
    second = draw(generator, device).tolist()
    assert draw(generator.manual_seed(7), device).tolist() == first.tolist() != second
    tg.manual_seed(7)
    assert draw(None, device).tolist() == first.tolist()


@pytest.mark.parametrize("name", DRAWS)
def test_a_state_continues_where_it_was_taken(name, device):
    draw, generator = DRAWS[name], tg.Generator(device).manual_seed(1)
    draw(generator, device)
    state = generator.get_state()
    expected = draw(generator, device).tolist()
    other = tg.Generator(device)
    other.set_state(state)
    assert draw(other, device).tolist() == expected
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
    "rand": (lambda d: tg.rand(MANY, device=d), 0.5, math.sqrt(1 / 12)),
    "randn": (lambda d: tg.randn(MANY, dtype=tg.float64, device=d), 0.0, 1.0),
    "randint": (lambda d: tg.randint(2, 7, (MANY,), device=d), 4.0, math.sqrt(2)),
    "normal": (
        lambda d: tg.normal(tg.full((MANY,), 3.0, device=d), tg.full((MANY,), 2.0, device=d)),
        3.0,
        2.0,
    ),
    "bernoulli": (lambda d: tg.bernoulli(tg.full((MANY,), 0.2, device=d)), 0.2, 0.4),
    "poisson": (lambda d: tg.poisson(tg.full((MANY,), 9.0, device=d)), 9.0, 3.0),
    "binomial": (
        lambda d: tg.binomial(tg.full((MANY,), 8.0, device=d), tg.full((MANY,), 0.5, device=d)),
        4.0,
        math.sqrt(2),
    ),
    "uniform_": (lambda d: tg.empty(MANY, device=d).uniform_(1, 4), 2.5, 3 * math.sqrt(1 / 12)),
    "exponential_": (lambda d: tg.empty(MANY, device=d).exponential_(4.0), 0.25, 0.25),
    "geometric_": (lambda d: tg.empty(MANY, device=d).geometric_(0.25), 4.0, math.sqrt(12)),
    "log_normal_": (
        lambda d: tg.empty(MANY, device=d).log_normal_(0.0, 0.5),
        math.exp(0.125),
        math.exp(0.125) * math.sqrt(math.exp(0.25) - 1),
    ),
    "random_": (
        lambda d: tg.empty(MANY, dtype=tg.int32, device=d).random_(5),
        2.0,
        math.sqrt(2),
    ),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_means_and_deviations(name, device):
    draw, mean, deviation = MOMENTS[name]
    tg.manual_seed(0)
    found = moments(draw(device).cpu())
    assert found[0] == pytest.approx(mean, abs=5 * deviation / math.sqrt(MANY))
    assert found[1] == pytest.approx(deviation, rel=0.04)


def test_the_cauchy_distribution_has_its_quartiles(device):
    tg.manual_seed(0)
    drawn = tg.empty(MANY, device=device).cauchy_(1.0, 2.0).cpu().numpy()
    np.testing.assert_allclose(np.quantile(drawn, [0.25, 0.5, 0.75]), [-1, 1, 3], atol=0.1)


@pytest.mark.parametrize("replacement", [False, True])
def test_weights_decide_how_often_an_index_is_drawn(replacement, device):
    tg.manual_seed(0)
    weights = tg.tensor([0.0, 1.0, 3.0, 0.0], device=device).expand(MANY, 4)
    first = tg.multinomial(weights, 1 + (not replacement), replacement)[:, 0]
    counts = np.bincount(first.cpu().numpy(), minlength=4) / MANY
    np.testing.assert_allclose(counts, [0, 0.25, 0.75, 0], atol=0.02)


def test_without_replacement_no_index_comes_twice(device):
    drawn = tg.multinomial(tg.rand(200, 9, device=device) + 0.1, 9)
    assert (drawn.cpu().sort(1).values == tg.arange(9)).all()


def test_random_fills_what_a_dtype_counts_exactly(device):
    assert tg.empty(1000, dtype=tg.uint8, device=device).random_().cpu().numpy().max() > 250
    assert set(tg.empty(100, dtype=tg.bool, device=device).random_().tolist()) == {False, True}
    assert tg.empty(100, dtype=tg.float16, device=device).random_().cpu().numpy().max() <= 2**11


def test_what_is_drawn_has_a_gradient_of_0(device):
    x = tg.full((3,), 0.5, requires_grad=True, device=device)
    for drawn in (tg.bernoulli(x), tg.normal(x, 1.0), tg.poisson(x), (x * 1).normal_()):
        assert drawn.requires_grad
        (gradient,) = tg.autograd.grad(drawn.sum(), [x])
        assert not any(gradient.tolist())


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16])
def test_halves_are_even_steps_below_1(dtype, device):
    steps = 2 ** (11 if dtype == tg.float16 else 8)
    drawn = tg.rand(20_000, dtype=dtype, device=device)
    assert drawn.dtype == dtype
    found = drawn.cpu().double().numpy() * steps
    assert found.min() == 0
    assert found.max() == steps - 1
    assert (found == np.floor(found)).all()


def test_probabilities_out_of_range_are_refused(device):
    for draw in (
        lambda: tg.bernoulli(tg.tensor([0.5, 1.5], device=device)),
        lambda: tg.empty(2, device=device).bernoulli_(-0.5),
        lambda: tg.poisson(tg.tensor([-1.0], device=device)),
        lambda: tg.binomial(tg.ones(1, device=device), tg.full((1,), 2.0, device=device)),
    ):
        with pytest.raises(ValueError, match=r"probabilit|rate"):
            draw().tolist()


def test_a_draw_takes_one_launch_and_waits_for_nothing(gpu, recording):
    generator, p = tg.Generator("cuda"), tg.full((5,), 0.5, device="cuda")
    recording.launches.clear()
    for draw, kernel in [
        (lambda: tg.rand(5, generator=generator), "uniform<float>"),
        (lambda: tg.randn(5, dtype=tg.float16, generator=generator), "normal<float16>"),
        (lambda: tg.randint(9, (5,), generator=generator), "integers<Integers>"),
        (lambda: p.bernoulli(generator=generator), "bernoulli<float>"),
    ]:
        draw()
        assert recording.launches == [kernel]
        recording.launches.clear()
    assert recording.synchronisations == []
