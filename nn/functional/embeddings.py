"""Rows looked up by number, and numbers as rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import INTEGERS, module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import embedding as gates
from tapegrad.autograd.gates.indexing import index, index_add
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.modes import no_grad
from tapegrad.autograd.operations import max, norm, where
from tapegrad.autograd.operations.arguments import check_tensor, on_its_gpu, same_device
from tapegrad.autograd.operations.positions import in_range, within
from tapegrad.kernels.segments import counted

__all__ = ["embedding", "embedding_bag", "one_hot"]


@on_its_gpu
def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """The rows of a table by their numbers: (...) of integers and (V, D) give (..., D).

    Args:
        input: integers from 0 to V - 1.
        weight: the table.
        padding_idx: a row that receives no gradient; negative ones count from the end.
        max_norm: rows that are looked up and longer are first shortened to it, in the table itself.
        norm_type: the p of the p-norm that is meant. Default: 2.
        scale_grad_by_freq: divide a row's gradient by how often it is looked up here.
        sparse: changes nothing; the gradient is dense.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> table = tg.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    >>> F.embedding(tg.tensor([1, 1]), table).sum().backward()
    >>> table.grad.tolist()
    [[0.0, 0.0], [2.0, 2.0]]
    """
    count, positions = _rows_of("embedding", weight), _positions("embedding", input)
    same_device("embedding", weight, input)
    positions = _in_table("embedding", positions, count)
    padding_idx = _padding("embedding", padding_idx, count)
    xp = module_of(positions)
    if max_norm is not None:
        _shorten(weight, xp.unique(positions), max_norm, norm_type)
    uses = None
    if scale_grad_by_freq and positions.size:
        uses = counted(xp, positions.reshape(-1), count)[positions]
    return gates.embedding(weight, positions=positions, padding=padding_idx, counts=uses)


@on_its_gpu
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Sums, means or maxima over bags of rows: (B, D) for B bags; an empty bag gives 0.

    Args:
        input: (B, n) of integers, n for each bag; or (n,), cut into bags by `offsets`.
        weight: the table (V, D).
        offsets: (B,), where bags begin, the first at 0, none before the one ahead of it.
        mode: "sum", "mean" or "max". Default: "mean".
        per_sample_weights: in the shape of `input`, by which rows are multiplied before a sum.
        include_last_offset: whether `offsets` has one number more, the end of the last bag; not
            for an input (B, n). What lies past that end is in no bag and gets no gradient, where
            PyTorch's maxima take it in and its gradients are undefined.
        padding_idx: a row that is left out of all bags.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in `embedding`.

    Raises:
        ArgumentError: for offsets that do not begin with 0, decrease or go beyond `input`; on a GPU
            where the host waits next.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> table = tg.tensor([[1.0], [10.0], [100.0]])
    >>> F.embedding_bag(tg.tensor([0, 1, 2]), table, tg.tensor([0, 2]), mode="sum").tolist()
    [[11.0], [100.0]]
    """
    name = "embedding_bag"
    positions = _positions(name, input)
    same_device(name, weight, input, offsets, per_sample_weights)
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError(f"{name}: mode must be 'sum', 'mean' or 'max', not {mode!r}")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f"{name}: per_sample_weights go with mode 'sum', not {mode!r}")
    if per_sample_weights is not None and per_sample_weights._data.shape != positions.shape:
        raise ArgumentError(
            f"{name}: per_sample_weights {describe(per_sample_weights)} must have the shape of "
            f"the input {describe(input)}"
        )
    if mode == "max" and scale_grad_by_freq:
        raise RuntimeError(f"{name}: mode 'max' cannot scale gradients by frequency")
    xp = module_of(positions)
    height = _rows_of(name, weight)
    positions = _in_table(name, positions, height)
    starts, bags, count = _bags(name, positions, offsets, include_last_offset)
    positions = positions.reshape(-1)
    padding_idx = _padding(name, padding_idx, height)
    if mode != "max" and max_norm is None and not scale_grad_by_freq and per_sample_weights is None:
        means = mode == "mean"
        out = gates.embedding_bag(
            weight, positions=positions, starts=starts, bags=bags, mean=means, padding=padding_idx
        )
        return _first(out, count)
    weighed = per_sample_weights
    if weighed is not None:
        weighed = reshape(weighed, shape=positions.shape)
        if count < starts.size:  # or a row of infinities would make a gradient of 0 NaN
            weighed = where(wrap(bags < count), weighed, 0.0)
    if padding_idx is not None:
        kept = xp.nonzero(positions != padding_idx)[0]
        positions, bags = positions[kept], bags[kept]
        weighed = weighed if weighed is None else index(weighed, key=kept)
    rows = embedding(wrap(positions), weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    if weighed is not None:
        rows = rows * reshape(weighed, shape=(*positions.shape, 1))
    sizes = counted(xp, bags, starts.size)
    if mode == "max" and positions.size and count:
        return _largest(xp, rows, sizes[:count])
    out = index_add(rows, key=bags, shape=(starts.size, rows.shape[1]))
    if mode == "mean":
        out = out / wrap(xp.maximum(sizes, 1).astype(rows.dtype)[:, None])
    return _first(out, count)


def _bags(name: str, positions: Any, offsets: Any, ends_too: bool) -> tuple[Any, Any, int]:
    """Where bags begin among the positions, in which each position is, and how many are wanted.

    An end of the last bag begins one bag more, of the positions that are in none: to cut those off
    the host would have to wait for a GPU.
    """
    xp = module_of(positions)
    if positions.ndim == 2:
        if offsets is not None:
            raise ArgumentError(f"{name}: an input (B, n) takes no offsets")
        count, each = positions.shape
        numbers = xp.arange(count)
        return numbers * each, xp.repeat(numbers, each), count
    if positions.ndim != 1 or offsets is None:
        raise ArgumentError(
            f"{name}: expected an input (B, n), or (n,) with offsets; got shape {positions.shape}"
        )
    starts = _positions(name, offsets)
    begin = f"{name}: offsets must be of 1 dimension and begin with 0"
    if starts.ndim != 1:
        raise ArgumentError(begin)
    if ends_too and not starts.size:
        raise ArgumentError(f"{name}: include_last_offset needs at least one offset")
    if not starts.size:  # no bag, which could as well be said by its end alone
        starts, ends_too = xp.zeros(1, np.int64), True
    n = positions.size
    beyond = f"{name}: an offset is beyond the {n} positions"
    within(starts[:1], 0, 0, begin, ArgumentError)
    within(starts[-1:], 0, n, beyond, ArgumentError)
    within(starts[1:] - starts[:-1], 0, n, f"{name}: offsets must not decrease", ArgumentError)
    bags = xp.searchsorted(starts, xp.arange(n), side="right") - 1
    return starts, bags, starts.size - bool(ends_too)


def _first(rows: Any, count: int) -> Any:
    """The first `count` rows, where there are more."""
    return rows if rows.shape[0] == count else index(rows, key=slice(count))


def _largest(xp: Any, rows: Any, sizes: Any) -> Any:
    """The largest of consecutive rows, `sizes` to a bag; of equals the first gets the gradient."""
    longest = sizes.max().item() or 1  # there is no largest of nothing
    firsts = xp.cumsum(sizes) - sizes
    places = xp.minimum(xp.arange(longest), xp.maximum(sizes - 1, 0)[:, None]) + firsts[:, None]
    places = xp.minimum(places, rows.shape[0] - 1)  # an empty bag at the end
    largest = max(index(rows, key=places), 1)[0]
    return where(wrap(sizes == 0)[:, None], 0.0, largest)


def _in_table(name: str, positions: Any, count: int) -> Any:
    """The positions, refused where the table does not have them."""
    return in_range(name, positions, count, f"a table of {count} rows")


def _rows_of(name: str, weight: Any) -> int:
    """How many rows a table (V, D) has."""
    table = check_tensor(name, weight)._data
    if table.ndim != 2:
        raise ShapeError(f"{name}: expected a table (V, D), got {describe(weight)}")
    return table.shape[0]


def _padding(name: str, padding_idx: int | None, count: int) -> int | None:
    """The row that padding names, from 0."""
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise ArgumentError(f"{name}: padding_idx {padding_idx} is not one of {count} rows")
    return padding_idx % count


def _positions(name: str, input: Any) -> Any:
    """An array of integers, for a scalar too."""
    data = check_tensor(name, input)._data
    if data.dtype not in INTEGERS:
        raise RuntimeError(f"{name}: needs integers, got {describe(input)}")
    return module_of(data).asarray(data).astype(np.int64, copy=False)


def _shorten(table: Any, positions: Any, longest: float, p: float) -> None:
    """Scale rows longer than `longest` down to it, in place."""
    with no_grad():
        rows = index(table.detach(), key=positions)
        lengths = norm(rows, p, dim=1, keepdim=True)
        table[wrap(positions)] = where(lengths > longest, rows * (longest / (lengths + 1e-7)), rows)


@on_its_gpu
def one_hot(target: Any, num_classes: int = -1) -> Any:
    """Integers as rows with a single 1; by default as many columns as the largest needs.

    >>> import tapegrad as tg
    >>> tg.one_hot(tg.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    data = check_tensor("one_hot", target)._data
    if data.dtype not in INTEGERS:
        raise RuntimeError(f"one_hot: needs integers, got {describe(target)}")
    if not data.size and num_classes == -1:
        raise ArgumentError("one_hot: no target to count classes from; give num_classes=")
    classes = data.max().item() + 1 if num_classes == -1 else num_classes
    data = in_range("one_hot", data, classes, f"{classes} classes")
    xp = module_of(data)
    return wrap((xp.asarray(data)[..., None] == xp.arange(classes)).astype(np.int64))
