"""On a real GPU, CuPy's part of it too: channels that lie last stay last, and training agrees."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.nn import functional as F

pytestmark = pytest.mark.gpu

KEEP = {
    "clone": lambda x: x.clone(),
    "zeros_like": tg.zeros_like,
    "rand_like": tg.rand_like,
    "pointwise": lambda x: tg.relu(x) * 2 + x,
    "fused": tg.fused(lambda x: tg.sigmoid(x) * x),
    "dropout": lambda x: F.dropout(x, 0.5),
    "cat": lambda x: tg.cat([x, x], 1),
    "pad": lambda x: F.pad(x, (1, 1, 1, 1)),
    "a slice of the channels": lambda x: x[:, 2:6] + 1,
    "another dtype": lambda x: x.double(),
    "group norm": lambda x: F.group_norm(x, 2),
    "instance norm": F.instance_norm,
    "max pool": lambda x: F.max_pool2d(x, 2),
    "average pool": lambda x: F.avg_pool2d(x, 2),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2.0),
    "convolution": lambda x: F.conv2d(x, tg.ones(4, 8, 3, 3, device="cuda")),
    "there and back": lambda x: x.cpu().cuda(),
}


@pytest.mark.parametrize("name", KEEP)
def test_channels_that_lie_last_stay_last(name):
    x = tg.rand(2, 8, 6, 4, device="cuda").to(memory_format=tg.channels_last).requires_grad_()
    out = KEEP[name](x)
    assert out.is_contiguous(memory_format=tg.channels_last)
    if out.requires_grad:
        out.backward(tg.ones_like(out))
        assert x.grad.stride() == x.stride()


def test_a_network_learns_the_same_in_both_layouts():
    found = []
    for layout in (tg.contiguous_format, tg.channels_last):
        tg.manual_seed(0)
        model = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(64, 5)),
        ).to("cuda", memory_format=layout)
        model.double()
        x = tg.randn(4, 3, 8, 8, dtype=tg.float64, device="cuda").to(memory_format=layout)
        target = tg.randint(5, (4,), device="cuda")
        sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for _ in range(5):
            loss = F.cross_entropy(model(x), target)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses.append(loss.item())
        found.append(losses)
    np.testing.assert_allclose(found[0], found[1], 1e-9)
    assert found[0][-1] < found[0][0]
