"""Calls of losses and distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, View, call

Row = Callable[[Draw], Call]

REDUCTIONS = ("mean", "sum", "none")


def options(d: Draw, **values: Any) -> dict[str, Any]:
    """Some of the keyword arguments, the others left at their default; mostly a reduction."""
    kept = {key: value for key, value in values.items() if d.flag()}
    return kept if d.integer(0, 3) == 0 else {"reduction": d.one_of(*REDUCTIONS), **kept}


def filled(d: Draw, least: int = 0, most: int = 3) -> tuple[int, ...]:
    """A shape, of elements unless the mean of nothing is NaN on both sides."""
    return d.shape(least, most, 3)


def alike(
    low: float = -2.0,
    high: float = 2.0,
    target: tuple[float, float] = (-2.0, 2.0),
    weight: bool = False,
    **values: Any,
) -> Row:
    """A loss of two tensors of a shape; `values` are drawn from."""

    def row(d: Draw) -> Call:
        shape = filled(d)
        given = {key: d.one_of(*value) for key, value in values.items()}
        if weight:
            given["weight"] = d.tensor(shape, 0.5, 2.0)
        return call(d.apart(shape, low, high), d.apart(shape, *target), **options(d, **given))

    return row


def soft_margin(d: Draw) -> Call:
    shape = filled(d)
    return call(d.tensor(shape), constant(d.tensor(shape)), **options(d))


def signs(d: Draw, shape: tuple[int, ...]) -> np.ndarray:
    """1 and -1."""
    return np.where(d.mask(shape), 1, -1)


def divergence(d: Draw) -> Call:
    shape = filled(d)
    how = {"reduction": d.one_of(*REDUCTIONS, "batchmean")} if d.flag() else {}
    if shape and not shape[0]:
        how["reduction"] = "sum"
    if d.flag():
        return call(d.tensor(shape), d.tensor(shape), **how, log_target=True)
    return call(d.tensor(shape), d.tensor(shape, 0.1, 1.0), **how)


def gaussian(d: Draw) -> Call:
    shape = d.shape(1, 3, 3)
    narrow = list(shape)
    narrow[d.integer(0, len(shape) - 1)] = 1
    variance = d.one_of(0.5, d.tensor(shape, 0.2, 2.0), d.tensor(narrow, 0.2, 2.0))
    given = options(d, full=d.flag(), eps=d.one_of(1e-6, 0.1))
    return call(d.tensor(shape), d.tensor(shape), variance, **given)


def poisson(d: Draw) -> Call:
    one = filled(d)
    given = options(d, full=d.flag(), eps=d.one_of(1e-8, 0.1))
    if d.flag():
        return call(d.tensor(one), d.tensor(one, 0.1, 4.0), **given)
    return call(d.tensor(one, 0.5, 3.0), d.tensor(one, 1.1, 4.0), False, **given)


def classified(d: Draw, smoothing: bool) -> Call:
    """Scores (N, C, ...) or (C,), targets, class weights or None."""
    classes = d.integer(1, 4)
    shape = d.one_of((), (1,), (3,), (2, 3), (2, 1, 2))
    scores = (classes,) if not shape else (shape[0], classes, *shape[1:])
    target = d.whole(shape, 0, classes)
    given: dict[str, Any] = {}
    if target.size > 1 and d.flag():
        given["ignore_index"] = d.one_of(-100, -1, 255)
        target.reshape(-1)[0] = given["ignore_index"]
    if d.flag():  # class weights are constants in PyTorch
        given["weight"] = constant(d.tensor((classes,), 0.5, 2.0))
    if smoothing and d.flag():
        given["label_smoothing"] = d.one_of(0.1, 1.0)
    if d.flag():
        given["reduction"] = d.one_of(*REDUCTIONS)
    # PyTorch's nll_loss fails to differentiate images that are not contiguous.
    return call(contiguous(d.tensor(scores)), target, **given)


def contiguous(view: View) -> View:
    """The view, its elements in order."""
    return View(view.base, lambda t: view.look(t).contiguous(), view.layout)


def constant(view: View) -> View:
    """The view, off the tape."""
    return View(view.base, lambda t: view.look(t).detach(), view.layout)


def against_probabilities(d: Draw) -> Call:
    shape = d.one_of((3,), (2, 3), (1, 2, 3), (2, 4, 1, 2))
    weight = {"weight": constant(d.tensor((shape[min(len(shape) - 1, 1)],), 0.5, 2.0))}
    given = options(d, label_smoothing=d.one_of(0.1, 1.0))
    return call(d.tensor(shape), d.tensor(shape, 0.0, 1.0), **given, **(weight if d.flag() else {}))


def entropy(d: Draw) -> Call:
    return against_probabilities(d) if d.integer(0, 3) == 0 else classified(d, smoothing=True)


def fused(d: Draw) -> Call:
    features, classes = d.integer(1, 3), d.integer(1, 4)
    between = d.one_of((), (), (2,), (1, 2))
    batch = (d.integer(1, 3),) if between or d.flag() else ()
    given = options(d, label_smoothing=d.one_of(0.1, 1.0))
    if d.flag():
        given["linear_bias"] = d.tensor((classes, *between))
    if d.flag():
        given["weight"] = constant(d.tensor((classes,), 0.5, 2.0))
    x, w = d.tensor((*batch, features)), d.tensor((classes, *between, features))
    return call(x, w, d.whole((*batch, *between), 0, classes), **given)


def probabilities(d: Draw) -> Call:
    shape = filled(d)
    given = options(d, weight=constant(d.tensor(shape[d.integer(0, len(shape)) :], 0.5, 2.0)))
    return call(d.tensor(shape, 0.05, 0.95), d.tensor(shape, 0.0, 1.0), **given)


def logits(d: Draw) -> Call:
    shape = filled(d)
    part = shape[d.integer(0, len(shape)) :]
    given = options(
        d, weight=constant(d.tensor(part, 0.5, 2.0)), pos_weight=constant(d.tensor(part, 0.5, 3.0))
    )
    return call(d.tensor(shape, -5.0, 5.0), d.tensor(shape, 0.0, 1.0), **given)


def multi_margin(d: Draw) -> Call:
    classes = d.integer(1, 4)
    batch = d.one_of((), (1,), (3,))
    given = options(d, p=d.one_of(1, 2), margin=d.one_of(0.53, 1.0))
    if d.flag():
        given["weight"] = constant(d.tensor((classes,), 0.5, 2.0))
    # PyTorch's has no second derivative.
    return call(d.apart((*batch, classes)), d.whole(batch, 0, classes), **given, order=1)


def multilabel_margin(d: Draw) -> Call:
    shape = (*d.one_of((), (1,), (3,)), d.integer(1, 5))
    target = np.argsort(d.values().random(shape), -1)  # no class twice
    return call(d.apart(shape), np.where(d.mask(shape), target, -1), **options(d), order=1)


def multilabel_soft(d: Draw) -> Call:
    shape = d.shape(1, 3, 3)
    weight = d.tensor(shape[-1:], 0.5, 2.0)
    return call(d.tensor(shape), d.tensor(shape, 0.0, 1.0), **options(d, weight=weight))


def hinge_embedding(d: Draw) -> Call:
    shape = filled(d)
    return call(d.tensor(shape, 0.0, 3.0), signs(d, shape), **options(d, margin=d.one_of(0.7, 2)))


def ranking(d: Draw) -> Call:
    shape = filled(d)
    given = options(d, margin=d.one_of(0.013, 0.57))
    return call(d.tensor(shape), d.tensor(shape), signs(d, shape), **given)


def cosine_embedding(d: Draw) -> Call:
    batch, size = d.one_of((), (1,), (3,)), d.integer(1, 3)
    shapes = [(*batch, size), (*batch, d.one_of(1, size))]
    vectors = [d.tensor(shape, 0.2, 2.0) for shape in shapes]
    return call(*vectors, signs(d, batch), **options(d, margin=d.one_of(-0.3, 0.31)))


def triplets(d: Draw, power: bool = True) -> Call:
    shape = d.shape(1, 3, 3, 1)
    three = [d.apart(shape) for _ in range(3)]
    given = options(d, margin=d.one_of(0.5, 2.0), swap=d.flag())
    if power and d.flag():
        given["p"] = d.one_of(1.0, 2.0, 3, 1.5)
    return call(*three, **given)


def temporal(d: Draw) -> Call:
    """Log-probabilities of sequences, and targets in one of two forms."""
    steps, batch, classes = d.integer(1, 6), d.integer(1, 3), d.integer(2, 4)
    blank = d.integer(0, classes - 1)
    stream = d.values()
    spans = stream.integers(0 if d.flag() else 1, steps + 1, batch)
    sizes = np.minimum(stream.integers(0, 4, batch), (spans + 1) // 2)  # some path is long enough
    labels = (blank + stream.integers(1, classes, (batch, max(int(sizes.max()), 1) + 1))) % classes
    if d.flag():
        labels = np.concatenate([row[:n] for row, n in zip(labels, sizes, strict=True)])
    scores = d.values().standard_normal((steps, batch, classes))
    scores = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    lengths: tuple[Any, Any] = (tuple(map(int, spans)), tuple(map(int, sizes)))
    if d.flag():
        lengths = (spans, sizes)
    how = {} if d.flag() else {"reduction": d.one_of(*REDUCTIONS)}
    as_they_are = View(scores, lambda t: t, "plain")
    normalised = View(scores, lambda t: t.log_softmax(-1), "normalised")
    return call(
        d.one_of(as_they_are, normalised), labels, *lengths, blank, **how,
        zero_infinity=True, order=1,  # PyTorch's has no second derivative
    )  # fmt: skip


def similarity(d: Draw) -> Call:
    one, two = d.shapes()
    ndim = max(len(one), len(two))
    if not ndim:
        one = two = (2,)
        ndim = 1
    given = {"eps": d.one_of(1e-8, 0.1)} if d.flag() else {}
    return call(d.tensor(one, 0.1, 2.0), d.tensor(two, 0.1, 2.0), d.dim(ndim), **given)


def pairwise(d: Draw) -> Call:
    one, two = ((*shape, d.one_of(1, 3)) for shape in d.shapes(most=2))
    given = {"eps": d.one_of(1e-6, 0.1)} if d.flag() else {}
    power = d.one_of((), (), (1.0,), (2.0,), (3,), (float("inf"),))
    x, y = d.tensor(one, -2.0, 2.0), d.tensor(two, 2.1, 4.0)
    return call(x, y, *power, **given, keepdim=d.flag())


def row_distances(d: Draw) -> Call:
    power = d.one_of((), (1.0,), (2.0,), (3.0,), (float("inf"),))
    # PyTorch crashes on no rows.
    return call(d.apart((d.integer(1, 4), d.integer(1, 3))), *power, order=1)


CALLS: dict[str, Row] = {
    "cosine_similarity": similarity,
    "pairwise_distance": pairwise,
    "pdist": row_distances,
    "nn.functional.binary_cross_entropy": probabilities,
    "nn.functional.binary_cross_entropy_with_logits": logits,
    "nn.functional.cosine_embedding_loss": cosine_embedding,
    "nn.functional.cross_entropy": entropy,
    "nn.functional.ctc_loss": temporal,
    "nn.functional.gaussian_nll_loss": gaussian,
    "nn.functional.hinge_embedding_loss": hinge_embedding,
    "nn.functional.huber_loss": alike(weight=True, delta=(0.53, 1.0, 2.0)),
    "nn.functional.kl_div": divergence,
    "nn.functional.l1_loss": alike(weight=True),
    "nn.functional.linear_cross_entropy": fused,
    "nn.functional.margin_ranking_loss": ranking,
    "nn.functional.mse_loss": alike(weight=True),
    "nn.functional.multi_margin_loss": multi_margin,
    "nn.functional.multilabel_margin_loss": multilabel_margin,
    "nn.functional.multilabel_soft_margin_loss": multilabel_soft,
    "nn.functional.nll_loss": lambda d: classified(d, smoothing=False),
    "nn.functional.poisson_nll_loss": poisson,
    "nn.functional.smooth_l1_loss": alike(beta=(0.0, 0.53, 1.0, 2.0)),
    "nn.functional.soft_margin_loss": soft_margin,
    "nn.functional.triplet_margin_loss": triplets,
    "nn.functional.triplet_margin_with_distance_loss": lambda d: triplets(d, power=False),
}
