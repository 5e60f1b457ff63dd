"""Initial values: the scale each rule promises, and where the draws come from."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn


def generator(seed=0):
    return tg.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (nn.init.xavier_uniform_, math.sqrt(2 / (300 + 500))),
        (nn.init.xavier_normal_, math.sqrt(2 / (300 + 500))),
        (nn.init.kaiming_uniform_, math.sqrt(2 / 500)),
        (nn.init.kaiming_normal_, math.sqrt(2 / 500)),
        (lambda t, **k: nn.init.kaiming_normal_(t, mode="fan_out", **k), math.sqrt(2 / 300)),
        (lambda t, **k: nn.init.kaiming_normal_(t, nonlinearity="tanh", **k), 5 / 3 / 500**0.5),
        (lambda t, **k: nn.init.kaiming_normal_(t, a=1.0, **k), math.sqrt(1 / 500)),
        (lambda t, **k: nn.init.xavier_normal_(t, gain=2.0, **k), 2 * math.sqrt(2 / 800)),
        (lambda t, **k: nn.init.uniform_(t, -1.0, 1.0, **k), 1 / math.sqrt(3)),
        (lambda t, **k: nn.init.normal_(t, 0.0, 3.0, **k), 3.0),
    ],
)
def test_the_standard_deviation_is_the_rules(fill, std):
    w = fill(tg.empty(300, 500), generator=generator()).numpy()
    assert w.std() == pytest.approx(std, rel=0.01)
    assert w.mean() == pytest.approx(0.0, abs=0.02 * std)


def test_fans_of_filters_count_the_field():
    w = nn.init.kaiming_uniform_(tg.empty(40, 8, 3, 5), generator=generator()).abs().max().item()
    bound = math.sqrt(6 / (8 * 15))
    assert 0.98 * bound < w <= bound


def test_truncated_normals_stay_inside_and_keep_the_shape_of_the_density():
    w = nn.init.trunc_normal_(tg.empty(200_000), 0.0, 1.0, -1.0, 2.0, generator()).numpy()
    assert w.min() >= -1.0
    assert w.max() <= 2.0
    density = math.exp(-0.5) / math.sqrt(2 * math.pi), math.exp(-2) / math.sqrt(2 * math.pi)
    mass = 0.5 * (math.erf(2 / math.sqrt(2)) + math.erf(1 / math.sqrt(2)))
    assert w.mean() == pytest.approx((density[0] - density[1]) / mass, abs=0.01)


@pytest.mark.parametrize("bounds", [(10.0, 11.0), (1.0, -1.0)])
def test_truncating_nearly_everything_is_refused(bounds):
    with pytest.raises(ValueError, match="hardly any draw"):
        nn.init.trunc_normal_(tg.empty(2), a=bounds[0], b=bounds[1])


def test_constants():
    assert nn.init.constant_(tg.empty(2), 2.5).tolist() == [2.5, 2.5]
    assert nn.init.zeros_(tg.ones(2)).tolist() == [0.0, 0.0]
    assert nn.init.ones_(tg.zeros(2)).tolist() == [1.0, 1.0]


def test_parameters_are_filled_in_place_and_off_the_tape():
    parameter = nn.Parameter(tg.zeros(3, 3))
    memory = parameter.data
    assert nn.init.kaiming_normal_(parameter) is parameter
    assert np.shares_memory(parameter.data, memory)
    assert parameter.requires_grad
    assert parameter.is_leaf


def test_the_same_generator_seed_gives_the_same_values():
    first, second = (nn.init.xavier_normal_(tg.empty(4, 4), generator=generator(7)) for _ in "ab")
    assert first.tolist() == second.tolist()


def test_gains():
    gain = nn.init.calculate_gain
    assert gain("linear") == gain("conv2d") == gain("sigmoid") == 1.0
    assert gain("tanh") == 5 / 3
    assert gain("relu") == math.sqrt(2)
    assert gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert gain("selu") == 0.75
    with pytest.raises(ValueError, match="'swish'"):
        gain("swish")


def test_fans_need_two_dimensions():
    with pytest.raises(ValueError, match=r"at least 2 dimensions, not the shape \(3,\)"):
        nn.init.xavier_normal_(tg.empty(3))
    with pytest.raises(ValueError, match="'fan_in' or 'fan_out', not 'fan'"):
        nn.init.kaiming_normal_(tg.empty(3, 3), mode="fan")
