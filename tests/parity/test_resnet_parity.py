"""The residual network of the examples next to the same in PyTorch: scores, loss, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: tapegrad[parity]")

resnet = pytest.importorskip("resnet", reason="the example needs pip install tapegrad[demo]")

WIDTH, CLASSES = 8, 5
# The parameters of torchvision's resnet18: so many convolutions, each with its norm, in each block.
BLOCKS = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
HALVING = ("layer2.0", "layer3.0", "layer4.0")


def norm_names(name):
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [f"{name}.{part}" for part in parts]


def torchvision_names():
    names = ["conv1.weight", *norm_names("bn1"), "fc.weight", "fc.bias"]
    for block in BLOCKS:
        for i in (1, 2):
            names += [f"{block}.conv{i}.weight", *norm_names(f"{block}.bn{i}")]
        if block in HALVING:
            names += [f"{block}.downsample.0.weight", *norm_names(f"{block}.downsample.1")]
    return names


class Block(torch.nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outputs)
        if stride != 1:
            self.downsample = torch.nn.Sequential(
                torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                torch.nn.BatchNorm2d(outputs),
            )

    def forward(self, x):
        passed = self.downsample(x) if hasattr(self, "downsample") else x
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + passed).relu()


class ResNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, WIDTH, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(WIDTH)
        for i, (inputs, outputs) in enumerate(((1, 1), (1, 2), (2, 4), (4, 8)), 1):
            first = Block(inputs * WIDTH, outputs * WIDTH, outputs // inputs)
            stage = torch.nn.Sequential(first, Block(outputs * WIDTH, outputs * WIDTH, 1))
            setattr(self, f"layer{i}", stage)
        self.fc = torch.nn.Linear(8 * WIDTH, CLASSES)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def test_parameters_have_torchvisions_names():
    assert sorted(resnet.ResNet18().state_dict()) == sorted(torchvision_names())


def test_parameters_have_torchvisions_shapes_but_for_the_first_layer():
    model = resnet.ResNet18(classes=1000)
    assert sum(p.numel() for p in model.parameters()) == 11_689_512 - 64 * 3 * (7 * 7 - 3 * 3)
    assert model.layer3[0].downsample[0].weight.shape == (256, 128, 1, 1)


def test_scores_loss_gradients_and_statistics_are_pytorchs():
    torch.manual_seed(0)
    theirs = ResNet().double()
    ours = resnet.ResNet18(channels=3, classes=CLASSES, width=WIDTH).double()
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    random = np.random.default_rng(0)
    images, labels = random.standard_normal((4, 3, 32, 32)), random.integers(0, CLASSES, 4)

    scores = ours(tg.tensor(images))
    loss = tg.nn.functional.cross_entropy(scores, tg.tensor(labels))
    loss.backward()
    expected = theirs(torch.from_numpy(images))
    right = torch.nn.functional.cross_entropy(expected, torch.from_numpy(labels))
    right.backward()

    np.testing.assert_allclose(scores.detach().numpy(), expected.detach().numpy(), 1e-9, 1e-9)
    assert loss.item() == pytest.approx(right.item(), rel=1e-10)
    for (name, mine), other in zip(
        ours.named_parameters(), dict(theirs.named_parameters()).values(), strict=True
    ):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), 1e-7, 1e-9, err_msg=name)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), 1e-9, 1e-12)
