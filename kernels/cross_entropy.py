"""Cross-entropy of logits against classes on raw arrays, with its gradient.

With w the weight of a class (1 without weights) and s the smoothing, n logits with the class t lose
(1 - s) w[t] (L - x[t]) + s / n sum_c w[c] (L - x[c]), where L = log(sum(exp(x))): that is
sum_c q[c] (L - x[c]), with q the `demand` on each class. Half types are computed in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cuda import cross_entropy as on_gpu
from .cuda.cross_entropy import Settings
from .halves import wide
from .softmax import largest as largest_along

Array = Any


def cross_entropy(
    xp: Any, x: Array, target: Array, weight: Array | None, settings: Settings
) -> tuple[Array, Array, Array, Array]:
    """The loss, and what its gradient wants to know again.

    Args:
        xp: the array module.
        x: logits, floating, of any shape.
        target: classes, whole numbers, of the shape of `x` without the dimension of the classes.
        weight: one number for each class, of the dtype of `x`, or None.
        settings: the dimension of the classes, the target to ignore, reduction and smoothing.

    Returns:
        The loss; the largest logit and the sum of exponentials of each row; and what the loss was
        divided by with the sum of the weights of all classes.

    Raises:
        IndexError: if a target is no class; on a GPU where the host waits next.

    >>> x, settings = np.array([[0.0, 0.0]]), Settings(1, -100, "mean", 0.0)
    >>> bool(cross_entropy(np, x, np.array([1]), None, settings)[0].item() == np.log(2))
    True
    """
    if xp is not np:
        return on_gpu.cross_entropy(xp, x, target, weight, settings)
    dim, ignored, reduction, smoothing = settings
    count = x.shape[dim]
    labels, kept = _labels(target, count, ignored)
    wider = wide(x)
    largest = largest_along(wider, dim)
    shifted = wider - largest
    losses = -shifted[_places(labels, dim)]
    everything = 0.0
    if smoothing:
        everything = count if weight is None else wide(weight).sum()
        spread = (
            np.add.reduce(shifted, axis=dim)
            if weight is None
            else np.matmul(np.moveaxis(shifted, dim, -1), wide(weight))
        )
    np.exp(shifted, out=shifted)
    sums = np.add.reduce(shifted, axis=dim, keepdims=True)
    beyond = np.log(sums.reshape(losses.shape))
    losses += beyond
    counts = None if weight is None else wide(weight)[labels]
    if counts is not None:
        losses *= counts
    if smoothing:
        losses *= 1 - smoothing
        losses += (everything * beyond - spread) * (smoothing / count)
    if kept is not None:
        losses = np.where(kept, losses, 0)
        counts = np.where(kept, 1 if counts is None else counts, losses.dtype.type(0))
    total = np.array([1, everything], shifted.dtype)
    if reduction == "none":
        return losses.astype(x.dtype, copy=False), largest, sums, total
    loss = np.add.reduce(losses, axis=None)
    if reduction == "mean":
        total[0] = (losses.size if counts is None else np.add.reduce(counts, axis=None)) or 1
        loss = loss / total[0]
    return loss.astype(x.dtype, copy=False), largest, sums, total


def cross_entropy_gradient(
    xp: Any,
    grad: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    statistics: tuple[Array, Array, Array],
    settings: Settings,
) -> Array:
    """(softmax(x) sum(q) - q) grad / divisor, 0 for what is ignored; in one new array."""
    if xp is not np:
        return on_gpu.cross_entropy_gradient(xp, grad, x, target, weight, statistics, settings)
    dim, ignored, reduction, smoothing = settings
    largest, sums, (divisor, everything) = statistics
    count = x.shape[dim]
    labels, kept = _labels(target, count, ignored)
    out = wide(x) - largest
    np.exp(out, out=out)
    upon = grad.astype(out.dtype, copy=False) / divisor
    if reduction == "none":
        upon = np.expand_dims(upon, dim)
    exact = upon if not smoothing else upon * (1 - smoothing)
    if weight is not None:
        exact = exact * np.expand_dims(wide(weight)[labels], dim)
    if smoothing:
        even = upon * (smoothing / count)
        out *= (exact + even * everything) / sums
        out -= even if weight is None else even * _spread(wide(weight), dim, x.ndim)
    else:
        out *= exact / sums
    out[_places(labels, dim)] -= np.squeeze(exact, dim) if exact.ndim else exact
    if kept is not None:
        np.moveaxis(out, dim, -1)[~kept] = 0
    return out.astype(x.dtype, copy=False)


def demand(
    xp: Any, x: Array, target: Array, weight: Array | None, settings: Settings
) -> tuple[Array, Array]:
    """Of each class in each row q, which is 0 where the row does not count; and whether it does.

    >>> demand(np, np.zeros((2, 2)), np.array([1, 9]), None, Settings(1, 9, "sum", 0.5))
    (array([[0.25, 0.75],
           [0.  , 0.  ]]), array([[ True],
           [False]]))
    """
    dim, ignored, _, smoothing = settings
    count = x.shape[dim]
    target = xp.expand_dims(target, dim).astype(np.int64)
    kept = (target != ignored) & (target >= 0) & (target < count)
    hit = (target == _spread(xp.arange(count), dim, x.ndim)) & kept
    share = hit * (1 - smoothing) + kept * (smoothing / count)
    if weight is not None:
        share = share * _spread(weight, dim, x.ndim)
    return share.astype(x.dtype), kept


def _labels(target: Array, count: int, ignored: int) -> tuple[Array, Array | None]:
    """Classes to index with, and which of them count; None if all do."""
    labels = np.asarray(target).astype(np.int64, copy=False)
    if not labels.size:
        return labels, None
    # Seen without a sign, negative numbers are the largest.
    if not 0 <= ignored < count and np.maximum.reduce(labels.view(np.uint64), axis=None) < count:
        return labels, None
    kept = labels != ignored
    wrong = kept & ((labels < 0) | (labels >= count))
    if wrong.any():
        raise IndexError(f"target {labels[wrong][0]} is out of range for {count} classes")
    return np.where(kept, labels, 0), kept


def _places(labels: Array, dim: int) -> tuple[Array, ...]:
    """What picks one class of each row, in any layout."""
    if labels.ndim == 1:
        rows: list[Array] = [np.arange(labels.size)]
    else:
        rows = list(np.ix_(*map(np.arange, labels.shape)))
    return (*rows[:dim], labels, *rows[dim:])


def _spread(values: Array, dim: int, ndim: int) -> Array:
    """One number for each class, shaped to meet logits."""
    return values.reshape((-1,) + (1,) * (ndim - dim - 1))
