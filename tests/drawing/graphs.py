"""Graphs to lay out: a small random one, a scalar MLP, something like a ResNet."""

import random


def small(count=20, seed=1):
    stream = random.Random(seed)
    edges = [
        (stream.randrange(max(0, v - 6), v), v) for v in range(1, count) for _ in range(1 + v % 2)
    ]
    return count, edges


def mlp(sizes=(4, 12, 9, 3)):
    """Every multiplication and addition of a network of scalars."""
    count, edges = 0, []

    def new():
        nonlocal count
        count += 1
        return count - 1

    layer = [new() for _ in range(sizes[0])]
    for width in sizes[1:]:
        following = []
        for _ in range(width):
            total = new()
            for value in layer:
                weight, product, total_after = new(), new(), new()
                edges += [(value, product), (weight, product), (total, total_after)]
                edges.append((product, total_after))
                total = total_after
            following.append(new())
            edges.append((total, following[-1]))
        layer = following
    return count, edges


def resnet(blocks=36):
    """Residual blocks of two convolutions with their weights; every third with a projection."""
    count, edges = 0, []

    def new(*before):
        nonlocal count
        edges.extend((u, count) for u in before)
        count += 1
        return count - 1

    x = new()
    for block in range(blocks):
        h = x
        for _ in range(2):
            h = new(new(new(h, new()), new(), new()))
        if block % 3 == 0:
            x = new(x, new())
        x = new(new(x, h))
    return count, edges
