"""Optimizers and schedules give PyTorch's numbers and exchange state with it."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim

torch = pytest.importorskip(
    "torch", reason="parity tests compare with PyTorch: pip install tapegrad[parity]"
)

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
]


def pair(name, settings, dtype):
    """The same two parameters, optimized by both."""
    stream = np.random.default_rng(0)
    values = [stream.standard_normal(shape).astype(dtype) for shape in ((3, 4), (5,))]
    ours = [nn.Parameter(tg.tensor(value)) for value in values]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in values]
    return (
        (ours, getattr(optim, name)(ours, **settings)),
        (theirs, getattr(torch.optim, name)(theirs, **settings)),
    )


def run(ours, theirs, steps, seed=1):
    stream = np.random.default_rng(seed)
    for _ in range(steps):
        for mine, yours in zip(ours[0], theirs[0], strict=True):
            gradient = stream.standard_normal(mine.shape).astype(mine.dtype)
            mine.grad, yours.grad = tg.tensor(gradient), torch.tensor(gradient)
        ours[1].step()
        theirs[1].step()


def assert_equal(ours, theirs, rtol):
    for mine, yours in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(
            mine.detach().numpy(), yours.detach().numpy(), rtol=rtol, atol=rtol
        )


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 2e-6)])
@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_updates_are_pytorchs(name, settings, dtype, rtol):
    ours, theirs = pair(name, settings, dtype)
    run(ours, theirs, 20)
    assert_equal(ours, theirs, rtol)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_state_goes_to_pytorch_and_back(name, settings):
    ours, theirs = pair(name, settings, np.float64)
    run(ours, theirs, 3)

    def as_torch(value):
        return torch.tensor(value.numpy()) if isinstance(value, tg.Tensor) else value

    state = ours[1].state_dict()
    state["state"] = {
        number: {key: as_torch(value) for key, value in entry.items()}
        for number, entry in state["state"].items()
    }
    theirs[1].load_state_dict(state)
    run(ours, theirs, 3, seed=2)
    assert_equal(ours, theirs, 1e-12)

    ours[1].load_state_dict(theirs[1].state_dict())
    run(ours, theirs, 3, seed=3)
    assert_equal(ours, theirs, 1e-12)


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [7, 2], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 1 / (1 + epoch)}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.01}),
]


@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=[name for name, _ in SCHEDULES])
def test_schedules_are_pytorchs(name, settings):
    ours, theirs = pair("SGD", {"lr": 0.1}, np.float64)
    mine = getattr(optim.lr_scheduler, name)(ours[1], **settings)
    yours = getattr(torch.optim.lr_scheduler, name)(theirs[1], **settings)
    for _ in range(12):
        assert mine.get_last_lr() == pytest.approx(yours.get_last_lr(), rel=1e-12)
        run(ours, theirs, 1)
        mine.step()
        yours.step()


@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 1},
        {"mode": "max", "factor": 0.5, "patience": 0, "cooldown": 2},
        {"patience": 0, "threshold": 0.1, "threshold_mode": "abs", "min_lr": 0.02, "factor": 0.5},
    ],
)
def test_plateaus_are_pytorchs(settings):
    ours, theirs = pair("SGD", {"lr": 0.1}, np.float64)
    mine = optim.lr_scheduler.ReduceLROnPlateau(ours[1], **settings)
    yours = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs[1], **settings)
    for loss in np.random.default_rng(0).uniform(0, 1, 40):
        mine.step(loss)
        yours.step(loss)
        assert mine.get_last_lr() == pytest.approx(yours.get_last_lr(), rel=1e-12)
