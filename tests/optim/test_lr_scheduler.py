"""Schedules: the learning rate of each epoch."""

from __future__ import annotations

import math

import pytest

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.optim import lr_scheduler


def sgd(lr=1.0, groups=1):
    return optim.SGD(
        [{"params": nn.Parameter(tg.zeros(1)), "lr": lr * 10**i} for i in range(groups)]
    )


def rates(scheduler, epochs):
    seen = []
    for _ in range(epochs):
        seen.append(scheduler.get_last_lr()[0])
        scheduler.step()
    return seen


def test_step_drops_every_so_many_epochs():
    scheduler = lr_scheduler.StepLR(sgd(), step_size=2, gamma=0.5)
    assert rates(scheduler, 6) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_multi_step_drops_at_milestones():
    scheduler = lr_scheduler.MultiStepLR(sgd(), milestones=[4, 1], gamma=0.5)
    assert rates(scheduler, 6) == [1.0, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_exponential_drops_every_epoch():
    assert rates(lr_scheduler.ExponentialLR(sgd(), 0.5), 4) == [1.0, 0.5, 0.25, 0.125]


def test_lambda_multiplies_by_a_function_of_the_epoch():
    scheduler = lr_scheduler.LambdaLR(sgd(2.0), lambda epoch: 1 / (1 + epoch))
    assert rates(scheduler, 4) == pytest.approx([2.0, 1.0, 2 / 3, 0.5])


def test_lambdas_one_for_each_group():
    optimizer = sgd(1.0, groups=2)
    scheduler = lr_scheduler.LambdaLR(optimizer, [lambda e: 0.5**e, lambda e: 1.0])
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 10.0]
    with pytest.raises(ValueError, match="1 functions for 2 groups"):
        lr_scheduler.LambdaLR(optimizer, [lambda e: 1.0])


def test_cosine_goes_from_the_base_to_the_minimum_and_back():
    scheduler = lr_scheduler.CosineAnnealingLR(sgd(), T_max=4, eta_min=0.2)
    expected = [0.2 + 0.4 * (1 + math.cos(math.pi * e / 4)) for e in range(9)]
    assert rates(scheduler, 9) == pytest.approx(expected)
    assert expected[4] == pytest.approx(0.2)
    assert expected[8] == pytest.approx(1.0)


def test_every_group_is_scheduled_from_its_own_base():
    optimizer = sgd(1.0, groups=2)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 5.0]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [1.0, 10.0]


def test_the_rate_of_the_next_step_is_used():
    x = nn.Parameter(tg.zeros(1))
    x.grad = tg.ones(1)
    optimizer = optim.SGD([x], lr=1.0)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(2):
        optimizer.step()
        scheduler.step()
    assert x.item() == -1.5


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.StepLR(o, 2, 0.5),
        lambda o: lr_scheduler.MultiStepLR(o, [1, 3], 0.5),
        lambda o: lr_scheduler.ExponentialLR(o, 0.5),
        lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + e)),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    ],
    ids=["step", "multi step", "exponential", "lambda", "cosine"],
)
def test_schedules_go_on_from_their_state(make):
    optimizer = sgd()
    scheduler = make(optimizer)
    rates(scheduler, 3)
    again_optimizer = sgd()
    again_optimizer.load_state_dict(optimizer.state_dict())
    again = make(again_optimizer)
    again.load_state_dict(scheduler.state_dict())
    again_optimizer.load_state_dict(optimizer.state_dict())
    assert rates(again, 4) == rates(scheduler, 4)


def test_last_epoch_goes_on_in_a_scheduled_optimizer():
    optimizer = sgd()
    rates(lr_scheduler.ExponentialLR(optimizer, 0.5), 3)
    assert lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=2).get_last_lr() == [0.125]
    with pytest.raises(KeyError, match="group 0 has no 'initial_lr'"):
        lr_scheduler.ExponentialLR(sgd(), 0.5, last_epoch=2)


def test_mistakes_are_refused():
    with pytest.raises(TypeError, match="expected an Optimizer"):
        lr_scheduler.ExponentialLR(3, 0.5)
    with pytest.raises(TypeError, match="expected an Optimizer"):
        lr_scheduler.ReduceLROnPlateau(3)
    with pytest.raises(ValueError, match="step_size must be positive, not 0"):
        lr_scheduler.StepLR(sgd(), 0)
    with pytest.raises(ValueError, match="T_max must be positive, not 0"):
        lr_scheduler.CosineAnnealingLR(sgd(), 0)


# Plateaus


def after(losses, **settings):
    scheduler = lr_scheduler.ReduceLROnPlateau(sgd(), factor=0.5, **settings)
    seen = []
    for loss in losses:
        scheduler.step(loss)
        seen.append(scheduler.get_last_lr()[0])
    return seen


def test_the_rate_halves_when_the_loss_stalls():
    assert after([3, 2, 2, 2, 2, 2], patience=1) == [1, 1, 1, 0.5, 0.5, 0.25]


def test_an_improvement_starts_the_count_anew():
    assert after([3, 3, 2, 2, 1], patience=1) == [1.0] * 5


def test_accuracy_is_watched_upwards():
    assert after([0.5, 0.6, 0.6], mode="max", patience=0) == [1, 1, 0.5]


def test_the_threshold_is_relative_or_absolute():
    assert after([100, 95], patience=0, threshold=0.1) == [1, 0.5]
    assert after([100, 95], patience=0, threshold=0.1, threshold_mode="abs") == [1, 1]
    assert after([-100, -105], patience=0, threshold=0.1) == [1, 0.5]


def test_the_cooldown_does_not_count():
    assert after([1] * 6, patience=0, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_the_rate_stops_at_its_minimum():
    assert after([1] * 4, patience=0, min_lr=0.3) == [1, 0.5, 0.3, 0.3]


def test_a_loss_that_is_nan_is_no_improvement():
    assert after([math.nan, math.nan], patience=0) == [0.5, 0.25]


def test_a_tensor_is_a_measure():
    assert after([tg.tensor(1.0), tg.tensor(1.0)], patience=0) == [1, 0.5]


def test_plateau_state_goes_on():
    scheduler = lr_scheduler.ReduceLROnPlateau(sgd(), patience=1)
    scheduler.step(1.0)
    scheduler.step(1.0)
    again = lr_scheduler.ReduceLROnPlateau(sgd())
    again.load_state_dict(scheduler.state_dict())
    again.step(1.0)
    assert again.get_last_lr() == pytest.approx([0.1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 1.0}, "factor must be below 1"),
        ({"mode": "up"}, "mode must be 'min' or 'max', not 'up'"),
        ({"threshold_mode": "x"}, "threshold_mode must be 'rel' or 'abs', not 'x'"),
    ],
)
def test_plateau_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        lr_scheduler.ReduceLROnPlateau(sgd(), **settings)
