"""Train a residual network of eighteen layers on handwritten digits, enlarged to 32x32.

    python examples/resnet.py --epochs 6 --width 16 --out resnet-out

Kaiming He et al., "Deep Residual Learning for Image Recognition" (2015). Parameters have the names
of torchvision's resnet18 and at width 64 their shapes, but for the first layer, which sees small
images at stride 1. The output folder receives the weights and the learning curves; the last line
printed is the accuracy on images that were held out.
"""

from __future__ import annotations

import argparse

from command_line import positive, start, training_parser
from digits import draw_learning_curves, read_digits, test, train_epoch
from tqdm import tqdm

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.data import DataLoader, TensorDataset
from tapegrad.nn import functional as F


class BasicBlock(nn.Module):
    """Two convolutions learn what to add to their input, which passes beside them.

    Where the block changes the number of channels or the size, a 1x1 convolution changes what
    passes too.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        """From (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        passed = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return add_relu(self.bn2(self.conv2(x)), passed)


@tg.fused
def add_relu(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    """The rectified sum, in one pass."""
    return tg.relu(x + y)


class ResNet18(nn.Module):
    """Four stages of two blocks; each but the first halves the image and doubles the channels.

    Args:
        channels: of the images.
        classes: how many scores come out.
        width: channels of the first stage; 64 in the paper.
    """

    def __init__(self, channels: int = 3, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(BasicBlock(width, width), BasicBlock(width, width))
        self.layer2 = stage(width, 2 * width)
        self.layer3 = stage(2 * width, 4 * width)
        self.layer4 = stage(4 * width, 8 * width)
        self.fc = nn.Linear(8 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        """Scores (N, classes) of images (N, channels, H, W)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def stage(inputs: int, outputs: int) -> nn.Sequential:
    """Two blocks, of which the first halves height and width."""
    return nn.Sequential(BasicBlock(inputs, outputs, stride=2), BasicBlock(outputs, outputs))


def enlarged(dataset: TensorDataset, size: int) -> TensorDataset:
    """The same images in another size, their mean 0 and their variance 1."""
    images, labels = dataset.tensors
    images = F.interpolate(images, (size, size), mode="bilinear")
    return TensorDataset((images - images.mean()) / images.std(), labels)


def run(arguments: argparse.Namespace) -> None:
    """Train, test, and write what is to be seen."""
    tg.manual_seed(arguments.seed)
    size, count = arguments.size, arguments.images
    train_set, test_set = (enlarged(part, size) for part in read_digits(arguments.device))
    train_set = TensorDataset(*(part[:count] for part in train_set.tensors))
    model = ResNet18(channels=1, width=arguments.width).to(arguments.device)
    if arguments.device != "cpu":  # a GPU's convolutions want the channels side by side
        model.to(memory_format=tg.channels_last)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

    optimizer = optim.SGD(model.parameters(), arguments.lr, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(train_set, batch_size=arguments.batch_size, shuffle=True)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=arguments.epochs)
    history: dict[str, list[float]] = {}
    with tqdm(total=arguments.epochs * len(train_set), unit="images", desc="training") as bar:
        for _ in range(arguments.epochs):
            measures = (
                *train_epoch(model, optimizer, loader, bar, pixels=size // 8),
                *test(model, test_set)[:2],
            )
            names = ("train loss", "train accuracy", "test loss", "test accuracy")
            for name, value in zip(names, measures, strict=True):
                history.setdefault(name, []).append(value)
            schedule.step()

    tg.save(model, arguments.out / "weights.safetensors")
    draw_learning_curves(history, arguments.out / "learning_curves.png")
    print(f"weights and curves are in {arguments.out}")
    print(f"test accuracy {history['test accuracy'][-1]:.4f}")


if __name__ == "__main__":
    parser = training_parser(__doc__.splitlines()[0], epochs=6, lr=0.05, out="resnet-out")
    parser.add_argument("--width", type=positive(int), default=16, help="channels of stage one")
    parser.add_argument("--size", type=positive(int), default=32, help="pixels of a side")
    parser.add_argument("--images", type=positive(int), default=1437, help="how many to learn from")
    start(parser, run)
