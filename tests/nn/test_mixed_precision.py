"""Training in mixed precision: a network learns as it does in float32."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.nn import functional as F

EPOCHS, BATCH = 8, 64


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
