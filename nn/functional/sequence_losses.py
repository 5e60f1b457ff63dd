"""Losses of sequences whose alignment is not known."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd import Tensor, is_grad_enabled
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import HALVES, INTEGERS, float32, int64, module_of
from tapegrad.autograd.engine import array_of, cast, describe, needs_gradient, wrap
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates import indexing, reductions, sequences
from tapegrad.autograd.operations import where
from tapegrad.autograd.operations.arguments import on_its_gpu, same_device

from .arguments import float_tensor
from .reduction import check_reduction, reduced

__all__ = ["ctc_loss"]

NAME = "ctc_loss"


@on_its_gpu
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification (Graves et al., 2006): `-log p(target)`.

    The probability of a target is that of all paths that give it once repeated labels are merged
    and blanks left out. As in PyTorch, the gradient is that of rows of `log_probs` which stay
    normalised, `p` minus the expected share of the label; it is the same through `log_softmax`.
    Where no path is long enough for its target the loss is infinite, with a gradient of 0.

    Args:
        log_probs: logarithms of probabilities (T, N, C), or (T, C) without a batch.
        targets: classes without blanks, (N, S) or one after another (sum of target_lengths,).
        input_lengths: how many of the T steps count, (N,); a tensor or numbers.
        target_lengths: how many classes each target has, (N,).
        blank: the class that stands for no label. Default: 0.
        reduction: "sum", "none", or "mean" over the batch of losses divided by their targets'
            lengths. Default: "mean".
        zero_infinity: whether infinite losses count as 0. Default: False.

    Raises:
        RuntimeError: if shapes, lengths or the blank do not fit.
        IndexError: if a target is not a class.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> even = tg.zeros(2, 1, 2).log_softmax(2)  # of four paths, 11, 01 and 10 give the target 1
    >>> round(F.ctc_loss(even, tg.tensor([[1]]), (2,), (1,)).exp().item(), 4)
    1.3333
    """
    check_reduction(NAME, reduction)
    whole = float_tensor(NAME, log_probs)
    same_device(NAME, whole, targets)
    if whole.ndim not in (2, 3):
        raise ShapeError(f"{NAME}: expected log_probs (T, N, C) or (T, C), got {describe(whole)}")
    alone = whole.ndim == 2
    if alone:
        whole = whole.unsqueeze(1)
    dtype = whole._data.dtype
    if dtype in HALVES:
        whole = cast(whole, dtype=float32)
    xp = module_of(whole._data)
    steps, batch, classes = whole.shape
    if not 0 <= blank < classes:
        raise ArgumentError(f"{NAME}: blank must be one of {classes} classes, not {blank}")
    spans = _lengths(xp, whole, "input_lengths", input_lengths, batch, steps)
    sizes = _lengths(xp, whole, "target_lengths", target_lengths, batch, None)
    if not batch:
        raise ShapeError(f"{NAME}: there is no loss of no sequences")
    labels = _labels(xp, targets, sizes, batch, classes, blank)
    losses = -_log_likelihood(xp, whole, labels, spans, sizes, blank)
    possible = wrap(xp.isfinite(losses._data))
    if is_grad_enabled() and needs_gradient(whole):
        losses = losses + _normalised(xp, whole, spans)
    if not bool(possible._data.all()):
        losses = where(possible, losses, 0.0 if zero_infinity else float("inf"))
    if reduction == "mean":
        losses = losses / wrap(xp.maximum(sizes, 1).astype(whole._data.dtype))
    if dtype in HALVES:
        losses = cast(losses, dtype=dtype)
    if alone and reduction == "none":
        return losses.squeeze(0)
    return reduced(NAME, losses, reduction)


def _lengths(xp: Any, whole: Any, what: str, given: Any, batch: int, most: int | None) -> Any:
    """How long the sequences of a batch are, as an array (N,); they may be given on a CPU."""
    if xp is np:
        same_device(NAME, whole, given)
    found = xp.asarray(array_of(given))
    if found.size and found.dtype not in INTEGERS:
        raise DtypeError(f"{NAME}: {what} must be whole numbers, got {found.dtype}")
    found = found.astype(int64).reshape(-1) if found.ndim < 2 else found
    if found.shape != (batch,):
        raise ShapeError(f"{NAME}: {what} must be one for each of {batch}, got {found.shape}")
    if batch and (int(found.min()) < 0 or (most is not None and int(found.max()) > most)):
        bound = "not be negative" if most is None else f"be from 0 to {most}"
        raise ArgumentError(f"{NAME}: {what} must {bound}, got {found.tolist()}")
    return found


def _labels(xp: Any, targets: Any, sizes: Any, batch: int, classes: int, blank: int) -> Any:
    """The targets (N, longest), the blank where one has ended."""
    data = xp.asarray(array_of(targets))
    if data.dtype not in INTEGERS:
        raise DtypeError(f"{NAME}: targets must be integers, got {describe(targets)}")
    longest = int(sizes.max())
    at = xp.arange(longest)
    inside = at < sizes[:, None]
    if data.ndim == 2:
        if data.shape[0] != batch or data.shape[1] < longest:
            raise ShapeError(
                f"{NAME}: targets {describe(targets)} do not hold {batch} of up to {longest}"
            )
        found = data[:, :longest]
    elif data.ndim == 1:
        if data.size != int(sizes.sum()):
            raise ShapeError(
                f"{NAME}: targets {describe(targets)} must be of target_lengths together, "
                f"{int(sizes.sum())}"
            )
        places = (xp.cumsum(sizes) - sizes)[:, None] + at
        found = data[xp.where(inside, places, 0)] if data.size else xp.zeros((batch, 0), int64)
    else:
        raise ShapeError(f"{NAME}: expected targets (N, S) or (sum,), got {describe(targets)}")
    found = xp.where(inside, found, blank)
    if bool(((found < 0) | (found >= classes)).any()):
        raise IndexError(f"{NAME}: targets must be classes from 0 to {classes - 1}")
    return found


def _log_likelihood(
    xp: Any, log_probs: Any, labels: Any, spans: Any, sizes: Any, blank: int
) -> Any:
    """log p(target) of each of the batch, by the paths through blank, label, blank, label, ..."""
    steps, batch, _ = log_probs.shape
    if not steps:
        return wrap(xp.where(sizes == 0, 0.0, -xp.inf).astype(log_probs._data.dtype))
    states = xp.full((batch, 2 * labels.shape[1] + 1), blank, int64)
    states[:, 1::2] = labels
    everyone = xp.arange(batch)[:, None]
    # Between two different labels the blank may be left out.
    open = xp.zeros(states.shape, bool)
    open[:, 2:] = states[:, 2:] != states[:, :-2]
    first = indexing.index(log_probs, key=(0, everyone, states))
    is_start = wrap(xp.arange(states.shape[1]) < 2)
    start = where(is_start, first, -float("inf"))
    later = log_probs[1:]
    emissions = indexing.index(later, key=(slice(None), everyone, states))
    paths = sequences.ctc_paths(start, emissions, wrap(open))
    ends = (2 * sizes[:, None]) - xp.arange(2)  # the last blank and the last label
    last = xp.maximum(spans[:, None] - 1, 0)
    final = indexing.index(paths, key=(last, everyone, xp.maximum(ends, 0)))
    final = where(wrap(ends >= 0), final, -float("inf"))
    found = reductions.logsumexp(final, dims=(1,), keepdim=False)
    nothing = spans == 0  # which gives the empty target alone
    if not bool(nothing.any()):
        return found
    empty = xp.where(sizes == 0, 0.0, -xp.inf).astype(found._data.dtype)
    return where(wrap(nothing), wrap(empty), found)


def _normalised(xp: Any, log_probs: Any, spans: Any) -> Any:
    """0, with the gradient of the total probability of the steps that count, `p` for each class."""
    counted = wrap(xp.arange(len(log_probs))[:, None, None] < spans[:, None])
    total = where(counted, ops.exp(log_probs), 0.0).sum((0, 2))
    return total - total.detach()
