"""What a training step asks of a GPU: how many kernels, and whether the host ever waits."""

from __future__ import annotations

import pytest

import tapegrad as tg
from tapegrad import nn, optim

MOST = 25  # launches in a step of an MLP of three layers


@pytest.fixture
def training(recording):
    """A step of an MLP with cross-entropy and Adam, and its record of the third time."""
    tg.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(20, 16), nn.ReLU()), *(nn.Linear(16, 12), nn.ReLU()), nn.Linear(12, 5)
    ).to("cuda")
    adam = optim.Adam(model.parameters(), lr=1e-2)
    x = tg.randn(32, 20, device="cuda")
    target = tg.randint(5, (32,), device="cuda")

    def step():
        adam.zero_grad()
        loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        adam.step()
        return loss

    for _ in range(2):
        step()
    recording.clear()
    step()
    return recording


def test_a_training_step_is_few_launches(training):
    assert len(training.launches) <= MOST, training.launches


def test_the_host_waits_for_nothing_in_a_training_step(training):
    assert training.synchronisations == []
