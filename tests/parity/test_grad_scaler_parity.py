"""`GradScaler` next to PyTorch's, step by step, with overflows on the way."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: tapegrad[parity]")

FACTORS = (1.0, math.inf, 1.0, 1.0, 1.0, math.nan, math.inf, 1.0, 1.0, 1.0, 1.0)
SETTINGS = {"init_scale": 1000.0, "growth_factor": 3.0, "backoff_factor": 0.25}
EVERY = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("Adam", {"lr": 0.1, "amsgrad": True}),
    ("AdamW", {"lr": 0.1}),
]


class Training:
    """A weight and a bias, their optimizer and a scaler, in one of the two libraries."""

    def __init__(self, m, kind, settings):
        stream = np.random.default_rng(0)
        values = [stream.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (4,))]
        self.m = m
        self.parameters = [m.nn.Parameter(m.tensor(value)) for value in values]
        self.x = m.tensor(stream.standard_normal((8, 3)).astype(np.float32))
        self.optimizer = getattr(m.optim, kind)(self.parameters, **settings)
        self.scaler = m.amp.GradScaler("cpu", growth_interval=2, **SETTINGS)

    def step(self, factor):
        """What there is to see after a step: gradients, parameters and the scaler's state."""
        w, b = self.parameters
        self.optimizer.zero_grad()
        with self.m.autocast("cpu", dtype=self.m.bfloat16):
            out = self.x @ w + b
            loss = self.m.nn.functional.mse_loss(out, self.m.ones_like(out)) * factor
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        gradients = [parameter.grad.tolist() for parameter in self.parameters]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return gradients + [p.tolist() for p in self.parameters], self.scaler.state_dict()


@pytest.mark.parametrize(("kind", "settings"), EVERY)
def test_every_step_is_pytorchs(kind, settings):
    ours, theirs = (Training(m, kind, settings) for m in (tg, torch))
    for factor in FACTORS:
        found, state = ours.step(factor)
        expected, their_state = theirs.step(factor)
        assert state == their_state
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=2e-2, atol=1e-3)


def test_a_state_of_pytorchs_is_taken_over():
    ours, theirs = (Training(m, "SGD", {"lr": 0.1}) for m in (tg, torch))
    for factor in FACTORS[:4]:
        theirs.step(factor)
    ours.scaler.load_state_dict(theirs.scaler.state_dict())
    for factor in FACTORS[4:]:
        ours.step(factor)
        theirs.step(factor)
    assert ours.scaler.state_dict() == theirs.scaler.state_dict()
