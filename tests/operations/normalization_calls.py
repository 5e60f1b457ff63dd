"""Calls of normalisations, affine maps, embeddings and attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, View, call

Row = Callable[[Draw], Call]


def option(d: Draw, **values: object) -> dict[str, object]:
    """Some of the keyword arguments, the others left at their default."""
    return {key: value for key, value in values.items() if d.flag()}


def statistics(d: Draw, size: int) -> View:
    """Numbers in memory of their own, which training writes to; they have no gradient."""
    return View(d.values().uniform(0.5, 1.5, size), lambda t: t.detach(), "detached")


def images(d: Draw, least: int = 2, most: int = 4, channels: int = 3) -> tuple[int, ...]:
    """(N, C, ...) with more than one number for each channel."""
    return (d.integer(3, 4), d.integer(1, channels), *d.shape(least - 2, most - 2, 4, smallest=3))


def affine(d: Draw, shape: tuple[int, ...], names: tuple[str, ...] = ("weight", "bias")) -> Any:
    """Weight and bias, one of them, or none."""
    drawn = {name: d.tensor(shape, 0.5, 1.5) for name in names if d.flag()}
    # PyTorch's second derivative fails with a bias alone.
    return {**drawn, "order": 1} if set(drawn) == {"bias"} else drawn


def batch_norm(d: Draw) -> Call:
    shape = images(d)
    training = d.flag()
    known = not training or d.flag()
    stats = [statistics(d, shape[1]) if known else None for _ in "mv"]
    x = d.apart(shape, low=d.one_of(-2.0, 8.0), high=10.0)
    if d.flag():
        parameters = d.tensor(shape[1:2], 0.5, 1.5), d.tensor(shape[1:2])
        return call(x, *stats, *parameters, training, 0.3, 1e-2)
    return call(x, *stats, **affine(d, shape[1:2]), training=training, **option(d, eps=1e-3))


def instance_norm(d: Draw) -> Call:
    shape = images(d, least=3)
    own = d.flag()
    known = not own or d.flag()
    stats = [statistics(d, shape[1]) if known else None for _ in "mv"]
    return call(
        d.apart(shape),
        *stats,
        **affine(d, shape[1:2]),
        use_input_stats=own,
        **option(d, momentum=0.3, eps=1e-2),
    )


def layer_norm(d: Draw) -> Call:
    sizes = d.shape(1, 2, 4, smallest=3)
    x = d.apart((*d.shape(0, 2, 3), *sizes), low=d.one_of(-2.0, 8.0), high=10.0)
    if d.flag():
        return call(x, list(sizes), d.tensor(sizes), d.tensor(sizes), 0.1)
    return call(x, normalized_shape=sizes, **affine(d, sizes), **option(d, eps=1e-2))


def rms_norm(d: Draw) -> Call:
    sizes = d.shape(1, 2, 3, smallest=2)
    x = d.apart((*d.shape(0, 2, 3), *sizes))
    if d.flag():
        return call(x, list(sizes), d.tensor(sizes), 1e-3)
    return call(x, normalized_shape=sizes, **affine(d, sizes, ("weight",)))


def group_norm(d: Draw) -> Call:
    groups = d.integer(1, 3)
    shape = (d.integer(2, 3), groups * d.integer(1, 2), *d.shape(0, 2, 3, smallest=2))
    if len(shape) == 2:  # a group of one number has no variance
        shape = (*shape, 3)
    x = d.apart(shape)
    if d.flag():
        return call(x, groups, d.tensor(shape[1:2]), d.tensor(shape[1:2]), 1e-3)
    names = d.one_of((), ("weight",))  # PyTorch fails with a bias alone
    return call(x, num_groups=groups, **affine(d, shape[1:2], names), **option(d, eps=1e-2))


def local_response_norm(d: Draw) -> Call:
    shape = images(d, least=3, most=5, channels=4)
    x = d.values().uniform(-2, 2, shape)  # PyTorch takes no other layout
    return call(x, d.integer(1, 5), **option(d, alpha=0.5, beta=0.6, k=1.5))


def normalize(d: Draw) -> Call:
    shape = d.shape(1, 3, 4, smallest=1)
    dim = d.dim(len(shape))
    return call(d.apart(shape, 0.2, 3.0), **option(d, p=d.one_of(1, 2, 3.5)), dim=dim, eps=1e-6)


def linear(d: Draw) -> Call:
    width, out = d.integer(0, 4), d.integer(0, 4)
    x, weight = d.tensor((*d.shape(0, 2), width)), d.tensor((out, width))
    return call(x, weight, *d.one_of((), (None,), (d.tensor((out,)),)))


def bilinear(d: Draw) -> Call:
    lead, left, right, out = d.shape(0, 2), d.integer(1, 3), d.integer(1, 3), d.integer(1, 3)
    x, y = d.tensor((*lead, left)), d.tensor((*lead, right))
    return call(x, y, d.tensor((out, left, right)), *d.one_of((), (d.tensor((out,)),)))


def embedding(d: Draw) -> Call:
    rows = d.integer(1, 5)
    positions = d.whole(d.shape(0, 2, smallest=1), 0, rows)
    weight = d.tensor((rows, d.integer(1, 3)))
    if d.flag():  # PyTorch has no second derivative of the scaled gradient
        return call(positions, weight, d.integer(-rows, rows - 1), None, 2.0, True, order=1)
    return call(positions, weight, **option(d, padding_idx=d.integer(-rows, rows - 1)))


def embedding_bag(d: Draw) -> Call:
    rows, count = d.integer(1, 5), d.integer(1, 6)
    weight, mode = d.tensor((rows, d.integer(1, 3))), d.one_of("sum", "mean", "max")
    settings = {"mode": mode, **option(d, padding_idx=d.integer(-rows, rows - 1))}
    settings["order"] = 1  # PyTorch has no second derivative
    if d.flag():
        return call(d.whole((d.integer(1, 3), count), 0, rows), weight, **settings)
    starts = np.sort(d.whole((d.integer(1, 3),), 0, count + 1))
    starts[0] = 0
    if d.flag():
        settings["include_last_offset"] = True
        starts = np.append(starts, count)
    if mode == "sum" and d.flag():
        settings["per_sample_weights"] = d.tensor((count,))
    return call(d.whole((count,), 0, rows), weight, starts, **settings)


def one_hot(d: Draw) -> Call:
    classes = d.integer(1, 5)
    positions = d.whole(d.shape(0, 2, smallest=1), 0, classes)
    return call(positions, *d.one_of((), (classes,), (-1,)))


def attention(d: Draw) -> Call:
    lead = d.shape(0, 2, 2, smallest=1)
    rows, columns, width = d.integer(1, 4), d.integer(1, 4), d.integer(1, 3)
    heads = lead
    settings = option(d, scale=d.one_of(0.3, None), dropout_p=0.0)
    settings["order"] = 1 if len(lead) == 2 else 2  # PyTorch's kernel for 4 dimensions has no more
    if len(lead) == 2 and d.flag():
        heads, settings["enable_gqa"] = (lead[0], 2 * lead[1]), True
    query = d.tensor((*heads, rows, width))
    key, value = d.tensor((*lead, columns, width)), d.tensor((*lead, columns, d.integer(1, 3)))
    kind = d.integer(0, 3)
    if kind == 0:
        return call(query, key, value, is_causal=True, **settings)
    if kind == 1:  # a row of False among them now and then
        return call(query, key, value, d.mask((rows, columns)), **settings)
    if kind == 2:
        return call(query, key, value, attn_mask=d.tensor((rows, columns)), **settings)
    return call(query, key, value, **settings)


CALLS: dict[str, Row] = {
    "bilinear": bilinear,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.bilinear": bilinear,
    "nn.functional.embedding": embedding,
    "nn.functional.embedding_bag": embedding_bag,
    "nn.functional.group_norm": group_norm,
    "nn.functional.instance_norm": instance_norm,
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.linear": linear,
    "nn.functional.local_response_norm": local_response_norm,
    "nn.functional.normalize": normalize,
    "nn.functional.one_hot": one_hot,
    "nn.functional.rms_norm": rms_norm,
    "nn.functional.scaled_dot_product_attention": attention,
}
