"""Draw the pictures of `gallery/`: `python docs/make_gallery.py`. The README shows the first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tapegrad as tg
from tapegrad import nn
from tapegrad.nn import functional as F

GALLERY = Path(__file__).parent / "gallery"


def named(**values: float) -> dict[str, Any]:
    """Scalars that ask for gradients, by name."""
    found = {name: tg.tensor(value, requires_grad=True) for name, value in values.items()}
    for name, tensor in found.items():
        tensor.name = name
    return found


class Block(nn.Module):
    """Two convolutions around which the input goes straight on."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.skip = nn.Identity()
        if channels != out:
            self.skip = nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x: Any) -> Any:
        """The sum of both ways, rectified."""
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.skip(x))


class ResNet(nn.Module):
    """Four stages of two blocks, as in the network of eighteen layers (He et al., 2015)."""

    def __init__(self, widths: tuple[int, ...] = (16, 16, 32, 64, 128)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        for i, (before, width) in enumerate(itertools.pairwise(widths), 1):
            blocks = Block(before, width, 2 if i > 1 else 1), Block(width, width)
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.fc = nn.Linear(widths[-1], 10)

    def forward(self, x: Any) -> Any:
        """Scores of ten classes."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def pictures() -> Iterator[tuple[str, str]]:
    """The name and the text of every file of the gallery."""
    v = named(w0=2.0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0)
    neuron = 1 / (1 + tg.exp(-(v["w0"] * v["x0"] + v["w1"] * v["x1"] + v["w2"])))
    yield "neuron.html", tg.player(neuron, title="The sigmoid neuron").html()
    neuron.backward()
    yield "neuron.svg", tg.draw(neuron).svg()
    yield "neuron-local.svg", tg.draw(neuron, show=("value", "grad", "local")).svg()

    v = named(x=-2.0, y=5.0, z=-4.0)
    product = (v["x"] + v["y"]) * v["z"]
    yield "first-circuit.html", tg.player(product, title="(x + y) z").html()
    product.backward()
    yield "first-circuit.svg", tg.draw(product).svg()

    v = named(x=3.0)
    fork = v["x"] * v["x"] + tg.sin(v["x"])
    fork.backward()
    yield "fork.svg", tg.draw(fork).svg()

    tg.manual_seed(0)
    mlp = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    loss = F.cross_entropy(mlp(tg.ones(5, 3)), tg.tensor([0, 1, 0, 1, 1]))
    yield "mlp.html", tg.player(loss, title="Two layers and a cross-entropy").html()
    loss.backward()
    yield "mlp.svg", tg.draw(loss).svg()

    resnet = ResNet()
    loss = F.cross_entropy(resnet(tg.ones(2, 3, 16, 16)), tg.tensor([1, 2]))
    loss.backward()
    yield "resnet.svg", tg.draw(loss).svg()
    yield "resnet-blocks.svg", tg.draw(loss, depth=2).svg()

    wrong = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(5, 2))
    yield "failure.svg", tg.draw(wrong, tg.ones(2, 4)).svg()


if __name__ == "__main__":
    for name, text in pictures():
        (GALLERY / name).write_text(text, encoding="utf-8")
        print(f"wrote {GALLERY / name}")
