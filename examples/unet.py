"""Train a small U-Net to find shapes in noisy pictures, pixel by pixel.

    python examples/unet.py --epochs 12 --out unet-out

Olaf Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation" (2015).
The pictures are drawn here: discs, rings and crosses, dark or bright, some over others, on a
background that changes from side to side, under noise. The output folder receives the weights,
the learning curve and some pictures with what was found in them; the last line printed is the mean
intersection over union of the four classes, on pictures the network has not seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from command_line import positive, start, training_parser
from matplotlib.figure import Figure
from tqdm import tqdm

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.data import DataLoader, TensorDataset
from tapegrad.nn import functional as F

CLASSES = ("background", "disc", "ring", "cross")


class UNet(nn.Module):
    """Down to half the size and twice the channels, and up again beside what was there on the way.

    Args:
        channels: of the images.
        classes: how many scores each pixel gets.
        width: channels at full size.
        depth: how often the size is halved.
    """

    def __init__(self, channels: int, classes: int, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        widths = [width << level for level in range(depth + 1)]
        inputs = [channels, *widths]
        self.down = nn.ModuleList([two_convolutions(inputs[i], n) for i, n in enumerate(widths)])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * n, n, 2, 2) for n in widths[-2::-1]])
        self.join = nn.ModuleList([two_convolutions(2 * n, n) for n in widths[-2::-1]])
        self.scores = nn.Conv2d(width, classes, 1)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        """Scores (N, classes, H, W) of images (N, channels, H, W)."""
        passed = []
        for convolve in self.down[:-1]:
            passed.append(convolve(x))
            x = self.pool(passed[-1])
        x = self.down[-1](x)
        for grow, convolve in zip(self.up, self.join, strict=True):
            x = convolve(tg.cat([passed.pop(), grow(x)], 1))
        return self.scores(x)


def two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Twice a 3x3 convolution, batch norm and ReLU; the size stays."""
    return nn.Sequential(
        *(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()),
        *(
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ),
    )


def draw_shapes(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture (1, size, size), and the class of each of its pixels."""
    y, x = np.mgrid[:size, :size] / size
    slope = random.normal(0, 0.5, 2)
    picture = slope[0] * (x - 0.5) + slope[1] * (y - 0.5)
    labels = np.zeros((size, size), np.int64)
    sign = random.choice([-1, 1])
    for _ in range(random.integers(1, 4)):
        kind = random.integers(1, len(CLASSES))
        across, down = x - random.uniform(0.2, 0.8), y - random.uniform(0.2, 0.8)
        radius, angle = random.uniform(0.15, 0.25), random.uniform(0, np.pi / 2)
        distance = np.hypot(across, down)
        if CLASSES[kind] == "disc":
            inside = distance < radius
        elif CLASSES[kind] == "ring":
            inside = np.abs(distance - radius) < 0.3 * radius
        else:
            u = across * np.cos(angle) + down * np.sin(angle)
            v = down * np.cos(angle) - across * np.sin(angle)
            inside = np.minimum(np.abs(u), np.abs(v)) < 0.3 * radius
            inside &= np.maximum(np.abs(u), np.abs(v)) < 1.3 * radius
        sign = -sign  # what lies over something else stands out
        picture[inside] = sign * random.uniform(0.8, 1.6)
        labels[inside] = kind
    picture += random.normal(0, 0.2, picture.shape)
    return picture[None].astype(np.float32), labels


def dataset(count: int, size: int, seed: int, device: str) -> TensorDataset:
    """So many pictures with their classes; the same seed draws the same."""
    random = np.random.default_rng(seed)
    pictures, labels = zip(*(draw_shapes(random, size) for _ in range(count)), strict=True)
    return TensorDataset(*(tg.tensor(np.stack(part), device=device) for part in (pictures, labels)))


def train_epoch(
    model: UNet, optimizer: optim.Optimizer, loader: DataLoader, bar: tqdm
) -> list[float]:
    """One pass over the pictures; the loss of each step."""
    model.train()
    losses = []
    for pictures, labels in loader:
        loss = F.cross_entropy(model(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
        bar.update(len(pictures))
    return losses


@tg.no_grad()
def found_in(model: UNet, pictures: tg.Tensor) -> np.ndarray:
    """The class of each pixel of pictures."""
    model.eval()
    found = [model(part).argmax(1).cpu().numpy() for part in pictures.split(64)]
    return np.concatenate(found)


def intersection_over_union(found: np.ndarray, labels: np.ndarray) -> list[float]:
    """For each class the pixels found, as a share of all that are of it or were taken for it."""
    return [
        float(((found == i) & (labels == i)).sum() / max(((found == i) | (labels == i)).sum(), 1))
        for i in range(len(CLASSES))
    ]


def draw_findings(pictures: np.ndarray, labels: np.ndarray, found: np.ndarray, path: Path) -> None:
    """Each picture above its classes and above what was found."""
    figure = Figure(figsize=(2 * len(pictures), 6), layout="constrained")
    rows = figure.subplots(3, len(pictures), squeeze=False)
    for row, values, title in zip(
        rows, (pictures[:, 0], labels, found), ("picture", "truth", "found"), strict=True
    ):
        for panel, value in zip(row, values, strict=True):
            if title == "picture":
                panel.imshow(value, cmap="gray")
            else:
                panel.imshow(value, cmap="viridis", vmin=0, vmax=len(CLASSES) - 1)
            panel.set(xticks=[], yticks=[], title=title)
    figure.savefig(path, dpi=120)


def draw_losses(losses: list[float], path: Path) -> None:
    """The loss of each step."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    panel = figure.subplots()
    panel.plot(range(1, len(losses) + 1), losses)
    panel.set(title="Training", xlabel="step", ylabel="cross-entropy", yscale="log")
    panel.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def run(arguments: argparse.Namespace) -> None:
    """Draw pictures, train, test, and write what is to be seen."""
    tg.manual_seed(arguments.seed)
    size, count = arguments.size, arguments.images
    train_set = dataset(count, size, 2 * arguments.seed, arguments.device)
    test_set = dataset(max(count // 4, 8), size, 2 * arguments.seed + 1, arguments.device)
    model = UNet(1, len(CLASSES), width=arguments.width).to(arguments.device)
    if arguments.device != "cpu":  # a GPU's convolutions want the channels side by side
        model.to(memory_format=tg.channels_last)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

    optimizer = optim.AdamW(model.parameters(), lr=arguments.lr)
    loader = DataLoader(train_set, batch_size=arguments.batch_size, shuffle=True)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=arguments.epochs)
    losses: list[float] = []
    with tqdm(total=arguments.epochs * count, unit="images", desc="training") as bar:
        for _ in range(arguments.epochs):
            losses += train_epoch(model, optimizer, loader, bar)
            schedule.step()

    pictures, labels = test_set.tensors
    found, truth = found_in(model, pictures), labels.cpu().numpy()
    shown = slice(0, 6)
    tg.save(model, arguments.out / "weights.safetensors")
    draw_losses(losses, arguments.out / "learning_curve.png")
    draw_findings(
        pictures[shown].cpu().numpy(), truth[shown], found[shown], arguments.out / "found.png"
    )
    scores = intersection_over_union(found, truth)
    for name, score in zip(CLASSES, scores, strict=True):
        print(f"{name:10} {score:.4f}")
    print(f"weights, learning curve and pictures are in {arguments.out}")
    print(f"mean intersection over union {np.mean(scores):.4f}")


def halved_thrice(text: str) -> int:
    """A whole number that three poolings divide evenly."""
    size: int = positive(int)(text)
    if size % 8:
        raise argparse.ArgumentTypeError(f"must be a multiple of 8, not {size}")
    return size


if __name__ == "__main__":
    parser = training_parser(__doc__.splitlines()[0], epochs=12, lr=3e-3, out="unet-out")
    parser.set_defaults(batch_size=8)
    parser.add_argument("--width", type=positive(int), default=8, help="channels at full size")
    parser.add_argument("--size", type=halved_thrice, default=32, help="pixels of a side")
    parser.add_argument("--images", type=positive(int), default=512, help="how many to learn from")
    start(parser, run)
