"""Training in mixed precision: a network learns as it does in float32."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.nn import functional as F

EPOCHS, BATCH = 8, 64
MOST = 38  # launches in a step of an MLP of three layers


@pytest.fixture
def digits():
    """Scikit-learn's handwritten digits as standardized images of 28x28, and their classes."""
    datasets = pytest.importorskip("sklearn.datasets", reason="needs pip install tapegrad[demo]")
    found = datasets.load_digits()
    images = tg.tensor((found.images[:, None] / 16).astype(np.float32))
    images = F.interpolate(images, size=28, mode="bilinear")
    return (images - images.mean()) / images.std(), tg.tensor(found.target)


def lenet():
    tg.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(400, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, 10),
    )
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return model


def curve(digits, dtype):
    """The mean loss of each epoch, and the dtype that the scores had; None is no autocast."""
    images, classes = digits
    model = lenet()
    optimizer = optim.SGD(model.parameters(), lr=5e-3)
    stream = np.random.default_rng(0)
    means = []
    for _ in range(EPOCHS):
        order = stream.permutation(len(classes))
        losses = []
        for start in range(0, len(order) - BATCH + 1, BATCH):
            batch = tg.tensor(order[start : start + BATCH])
            optimizer.zero_grad()
            with tg.autocast("cpu", dtype=dtype, enabled=dtype is not None):
                scores = model(images[batch])
                loss = F.cross_entropy(scores, classes[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        means.append(np.mean(losses))
    return np.array(means), scores.dtype


def test_lenet_learns_in_bfloat16_as_in_float32(digits):
    """The mean loss of every epoch is within 1 % of that in float32."""
    expected, single = curve(digits, None)
    found, half = curve(digits, tg.bfloat16)
    assert (single, half) == (tg.float32, tg.bfloat16)
    assert expected[-1] < 0.15 * expected[0]
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_a_step_on_a_gpu_never_waits_and_is_few_launches(recording):
    """A cast of each parameter there and back, and what the scaler adds, to the step in float32."""
    tg.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(20, 16), nn.ReLU()), *(nn.Linear(16, 12), nn.ReLU()), nn.Linear(12, 5)
    ).to("cuda")
    optimizer, scaler = optim.Adam(model.parameters(), lr=1e-2), tg.amp.GradScaler()
    x, target = tg.randn(32, 20, device="cuda"), tg.randint(5, (32,), device="cuda")
    losses = []
    for _ in range(4):
        recording.clear()
        optimizer.zero_grad()
        with tg.autocast("cuda"):
            scores = model(x)
            loss = F.cross_entropy(scores, target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        waits, launches = list(recording.synchronisations), list(recording.launches)
        losses.append(loss.item())
    assert scores.dtype == tg.float16
    assert waits == []
    assert "copy" not in launches  # a leaf takes the gradient that was cast for it
    assert len(launches) <= MOST, launches
    assert losses[-1] < losses[0]
