"""What a training step asks of a GPU: how many kernels, and whether the host ever waits."""

from __future__ import annotations

import pytest

import tapegrad as tg
from tapegrad import nn, optim

MOST = 18  # launches in a step of an MLP of three layers
MOST_OF_RESNET = 157  # in a step of a ResNet of 18 layers


def record_step(recording, model, optimizer, x, target):
    """The record of the third step of training with cross-entropy."""

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        step()
    recording.clear()
    step()
    return recording


@pytest.fixture
def training(recording):
    """A step of an MLP with cross-entropy and Adam."""
    tg.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(20, 16), nn.ReLU()), *(nn.Linear(16, 12), nn.ReLU()), nn.Linear(12, 5)
    ).to("cuda")
    adam = optim.Adam(model.parameters(), lr=1e-2)
    x = tg.randn(32, 20, device="cuda")
    target = tg.randint(5, (32,), device="cuda")
    return record_step(recording, model, adam, x, target)


@pytest.fixture
def training_resnet(recording):
    """A step of a ResNet with cross-entropy and SGD with momentum."""
    resnet = pytest.importorskip("resnet", reason="the example needs pip install tapegrad[demo]")
    tg.manual_seed(0)
    model = resnet.ResNet18(channels=3, classes=5, width=4)
    model.to("cuda", memory_format=tg.channels_last)
    sgd = optim.SGD(model.parameters(), lr=1e-2, momentum=0.9, weight_decay=1e-4)
    x = tg.randn(2, 3, 16, 16, device="cuda").to(memory_format=tg.channels_last)
    target = tg.randint(5, (2,), device="cuda")
    tg.cuda.allow_tf32_convolution()  # as it is at first
    yield record_step(recording, model, sgd, x, target)
    tg.cuda.allow_tf32_convolution(False)


def test_a_training_step_is_few_launches(training):
    assert len(training.kernels) <= MOST, training.launches


def test_the_host_waits_for_nothing_in_a_training_step(training):
    assert training.synchronisations == []


def test_a_training_step_of_a_resnet_is_few_launches_and_no_wait(training_resnet):
    assert len(training_resnet.kernels) <= MOST_OF_RESNET, training_resnet.launches
    assert training_resnet.synchronisations == []
