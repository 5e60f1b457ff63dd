"""How long pictures take: `python benchmarks/drawing.py`. Seconds, the median of three."""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import tapegrad as tg
from tapegrad import nn
from tapegrad.nn import functional as F


def mixture(gates: int) -> Any:
    """Scalars combined at random, each from two of the thirty before it."""
    stream = random.Random(0)
    values = [tg.tensor(stream.random(), requires_grad=True) for _ in range(10)]
    for i in range(gates):
        a, b = stream.choice(values[-30:]), stream.choice(values[-30:])
        values.append(a * b if i % 2 else a - b)
    return values


def perceptron(widths: tuple[int, ...]) -> Any:
    """A network of scalars: every multiplication and addition is a gate."""
    stream = random.Random(0)
    kept = layer = [tg.tensor(stream.random(), requires_grad=True) for _ in range(widths[0])]
    for width in widths[1:]:
        following = []
        for _ in range(width):
            total = tg.tensor(0.0, requires_grad=True)
            kept = [*kept, total]
            for value in layer:
                weight = tg.tensor(stream.uniform(-1, 1), requires_grad=True)
                kept = [*kept, weight]
                total = total + weight * value
            following.append(total.tanh())
        layer = following
    return [*layer, *kept]


def chain(gates: int, step: Callable[[Any], Any]) -> Any:
    """One gate after the other."""
    y = x = tg.tensor(1.0, requires_grad=True)
    for _ in range(gates):
        y = step(y)
    return [y, x]


def seconds(work: Callable[[], Any]) -> float:
    """The median of three runs."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(100)))
    loss = F.cross_entropy(model(tg.rand(4, 8)), tg.tensor([0, 1, 2, 3]))
    rows = {
        "5,000 gates at random": mixture(5000),
        "a perceptron of 5,000 values": perceptron((10, 30, 30, 10, 1)),
        "y = y + y, 1,000 times": chain(1000, lambda y: (y + y) * 0.5),
        "a chain of 10,000 gates": chain(10_000, tg.tanh),
        "100 layers, by module": loss,
    }
    for name, value in rows.items():
        depth = None if value is loss else 99
        drawing = tg.draw(value, depth=depth)
        took = seconds(lambda v=value, d=depth: tg.draw(v, depth=d).svg())  # type: ignore[misc]
        print(f"draw   {name:30} {len(drawing.picture.items):6} items {took:6.2f} s")
    total = mixture(2900)
    summed = total[-1]
    for value in total[-31:-1]:
        summed = summed + value
    took = seconds(lambda: tg.player(summed).html())
    size = len(tg.player(summed).html().encode())
    print(f"player {len(tg.player(summed).graph.boxes):,} gates: {took:.2f} s, {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
