"""Train a convolutional network on scikit-learn's handwritten digits, and look inside it.

    python examples/digits.py --epochs 25 --out digits-out

The output folder receives the weights, the learning curves, the first layer's filters, the
confusion matrix, and the tape of one loss (every gate it took, in order) with its picture. The last
line printed is the accuracy on the fifth of the images that was held out. The same seed gives the
same numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from command_line import start, training_parser
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.data import DataLoader, TensorDataset, random_shift
from tapegrad.nn import functional as F


class DigitsNet(nn.Module):
    """Two convolutions see strokes, pooling forgives small shifts, two dense layers decide."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.dropout1 = nn.Dropout(0.25)
        self.hidden = nn.Linear(64 * 4 * 4, 128)
        self.dropout2 = nn.Dropout(0.5)
        self.scores = nn.Linear(128, 10)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        """Scores (N, 10) of images (N, 1, 8, 8)."""
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(self.pool(x)).flatten(1)
        x = F.relu(self.hidden(x))
        return self.scores(self.dropout2(x))


def read_digits(device: str) -> tuple[TensorDataset, TensorDataset]:
    """1437 training and 360 test images of 8x8 pixels in [0, 1], all classes in equal shares."""
    digits = load_digits()
    images = (digits.images[:, None] / 16.0).astype(np.float32)
    split = train_test_split(
        images, digits.target, test_size=0.2, random_state=42, stratify=digits.target
    )
    train_x, test_x, train_y, test_y = (tg.tensor(part, device=device) for part in split)
    return TensorDataset(train_x, train_y), TensorDataset(test_x, test_y)


def train_epoch(
    model: nn.Module, optimizer: optim.Optimizer, loader: DataLoader, bar: tqdm, pixels: int = 1
) -> tuple[float, float]:
    """One pass over the training images, half of them moved by up to so many pixels.

    Gives the mean loss and the accuracy along the way.
    """
    model.train()
    seen, total, right = 0, 0.0, 0
    for images, labels in loader:
        scores = model(random_shift(images, pixels=pixels, p=0.5))
        loss = F.cross_entropy(scores, labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        seen += len(images)
        total += loss.item() * len(images)
        right += int((scores.argmax(1) == labels).sum())
        bar.set_postfix(loss=f"{total / seen:.3f}", accuracy=f"{right / seen:.3f}", refresh=False)
        bar.update(len(images))
    return total / seen, right / seen


@tg.no_grad()
def test(model: nn.Module, dataset: TensorDataset) -> tuple[float, float, np.ndarray]:
    """The mean loss, the accuracy, and how often class i (row) was taken for j (column)."""
    model.eval()
    images, labels = dataset.tensors
    scores = model(images)
    loss = F.cross_entropy(scores, labels, label_smoothing=0.1)
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (labels.cpu().numpy(), scores.argmax(1).cpu().numpy()), 1)
    return loss.item(), float(np.trace(confusion) / confusion.sum()), confusion


def draw_learning_curves(history: dict[str, list[float]], path: Path) -> None:
    """Loss and accuracy by epoch, on training and test images."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for panel, measure in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        epochs = range(1, len(history[f"train {measure}"]) + 1)
        panel.plot(epochs, history[f"train {measure}"], ".-", label="training (with dropout)")
        panel.plot(epochs, history[f"test {measure}"], ".-", label="test")
        panel.set(title=measure.capitalize(), xlabel="epoch", ylabel=measure)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=120)


def draw_filters(weight: np.ndarray, path: Path) -> None:
    """The first layer's filters, one small picture each."""
    limit = float(np.abs(weight).max())
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots(4, 8)
    for panel, kernel in zip(axes.flat, weight[:, 0], strict=True):
        picture = panel.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.set(xticks=[], yticks=[])
    figure.suptitle("Filters of the first convolution")
    figure.colorbar(picture, ax=axes, label="weight", shrink=0.9)
    figure.savefig(path, dpi=120)


def draw_confusion(confusion: np.ndarray, path: Path) -> None:
    """Counts of true against predicted digits; the mistakes stand out."""
    figure = Figure(figsize=(6, 5.6), layout="constrained")
    panel = figure.subplots()
    panel.imshow(confusion, cmap="Blues")
    for row, column in np.ndindex(*confusion.shape):
        count = confusion[row, column]
        color = "lightgray" if count == 0 else "white" if row == column else "crimson"
        panel.text(column, row, str(count), ha="center", va="center", color=color)
    panel.set(
        title=f"{np.trace(confusion)} of {confusion.sum()} test images recognised",
        xlabel="predicted digit", ylabel="true digit", xticks=range(10), yticks=range(10),
    )  # fmt: skip
    figure.savefig(path, dpi=120)


def run(arguments: argparse.Namespace) -> None:
    """Train, test, and write what is to be seen."""
    tg.manual_seed(arguments.seed)
    train_set, test_set = read_digits(arguments.device)
    model = DigitsNet().to(arguments.device)
    for name, parameter in model.named_parameters():
        parameter.name = name  # what the tape calls it
    optimizer = optim.AdamW(model.parameters(), lr=arguments.lr, weight_decay=0.05)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=arguments.epochs)
    loader = DataLoader(train_set, batch_size=arguments.batch_size, shuffle=True)

    images, labels = train_set.tensors
    with tg.Tape() as tape:
        loss = F.cross_entropy(model(images[:4]), labels[:4])
    (arguments.out / "tape.txt").write_text(f"{tape}\n", encoding="utf-8")
    tg.draw(loss).save(arguments.out / "network.svg")

    history: dict[str, list[float]] = {}
    with tqdm(total=arguments.epochs * len(train_set), unit="images", desc="training") as bar:
        for _ in range(arguments.epochs):
            measures = (*train_epoch(model, optimizer, loader, bar), *test(model, test_set)[:2])
            names = ("train loss", "train accuracy", "test loss", "test accuracy")
            for name, value in zip(names, measures, strict=True):
                history.setdefault(name, []).append(value)
            schedule.step()

    _, accuracy, confusion = test(model, test_set)
    out: Path = arguments.out
    tg.save(model, out / "weights.safetensors")
    draw_learning_curves(history, out / "learning_curves.png")
    draw_filters(model.conv1.weight.detach().cpu().numpy(), out / "filters.png")
    draw_confusion(confusion, out / "confusion_matrix.png")
    print(f"weights, curves, filters, confusion matrix, network and tape are in {out}")
    print(f"test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    start(
        training_parser(__doc__.splitlines()[0], epochs=25, lr=3e-3, out="digits-out"),
        run,
    )
