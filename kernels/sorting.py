"""Positions in sorted order, quicker than a stable argsort, and what is made of them.

All functions return positions along the last dimension and agree on one order, PyTorch's: ascending
or descending, NaN counts as the largest, and equal elements stay in the order they are in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .scans import last_true
from .selection import may_hold

Array = Any

_PACKED = 1 << 12  # elements from which packing pays
_FEW = 8  # ranks up to which a partition and one search for each beat sorting


def comparable(x: Array) -> Array:
    """The same order in a dtype that both libraries sort: float32 for half types, uint8 for bool.

    >>> comparable(np.array([True, False])).dtype
    dtype('uint8')
    """
    if x.dtype.itemsize == 2 and x.dtype.kind in "fV":
        return x.astype(np.float32)
    return x.astype(np.uint8) if x.dtype.kind == "b" else x


def take(xp: Any, x: Array, positions: Array) -> Array:
    """x at positions along the last dimension.

    >>> take(np, np.array([[1, 2], [3, 4]]), np.array([[1], [0]]))
    array([[2],
           [3]])
    """
    return xp.take_along_axis(x, positions, axis=-1)


def argsort(xp: Any, x: Array, descending: bool = False) -> Array:
    """The positions that sort x.

    >>> argsort(np, np.array([2.0, 1.0, 2.0]), descending=True)
    array([0, 2, 1])
    """
    x = comparable(x)
    if xp is np and x.size >= _PACKED and x.dtype.itemsize <= 4 and x.dtype.kind in "iuf":
        return _argsort_packed(x, descending)
    if not descending:
        return xp.argsort(x, axis=-1, kind="stable")
    n = x.shape[-1]
    return n - 1 - xp.flip(xp.argsort(xp.flip(x, -1), axis=-1, kind="stable"), -1)


def _argsort_packed(x: Array, descending: bool) -> Array:
    """Key and position in one integer, sorted as such: half the time of a stable argsort."""
    if x.dtype.kind == "f":
        x = np.where(np.isnan(x), np.float32("nan"), x + np.float32(0))  # one NaN, and one zero
        bits = x.view(np.int32)
        keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    else:
        keys = x.astype(np.int64)
    if descending:
        np.invert(keys, out=keys)
    keys <<= 32
    keys |= np.arange(x.shape[-1])
    keys.sort(axis=-1)
    keys &= 0xFFFFFFFF
    return keys


def at_ranks(xp: Any, x: Array, ranks: Any) -> Array:
    """The positions of the elements of some ranks, counted from 0 in ascending order.

    ranks    ints that hold for every line, or an array of ints with the ranks of each line

    >>> at_ranks(np, np.array([3.0, 1.0, 2.0]), [0, 2])
    array([1, 0])
    """
    x = comparable(x)
    if not isinstance(ranks, list):
        return take(xp, argsort(xp, x), ranks)
    if len(ranks) > _FEW or not ranks:
        return argsort(xp, x)[..., xp.asarray(ranks, xp.int64)]
    pivots: set[int] = set()
    for k in sorted(set(ranks), reverse=True):
        if k + 1 not in pivots:
            pivots.add(k)
    parted = xp.partition(x, sorted(pivots), axis=-1)
    found = {}
    for k in set(ranks):  # just below a pivot is the largest of what is before it
        value = parted[..., k] if k in pivots else parted[..., : k + 1].max(axis=-1)
        found[k] = _at_rank(xp, x, value[..., None], k)
    return xp.stack([found[k] for k in ranks], axis=-1)


def _at_rank(xp: Any, x: Array, value: Array, rank: int) -> Array:
    """The position of the element of a rank, of which the value is known."""
    same, less = x == value, x < value
    absent = value != value
    if may_hold(xp, absent):
        nan = x != x
        same, less = same | (absent & nan), less | (absent & ~nan)
    earlier = rank - xp.count_nonzero(less, axis=-1)  # of its equals, how many come before it
    if not may_hold(xp, earlier > 0):
        return xp.argmax(same, axis=-1)
    return xp.argmax(xp.cumsum(same, axis=-1) > earlier[..., None], axis=-1)


def median_position(xp: Any, x: Array, skip: bool) -> Array:
    """Where the median is, of two the lower, in an array with a last dimension of 1.

    The first NaN where there is one; with `skip`, the median of the others.

    >>> median_position(np, np.array([3.0, 1.0, 2.0, 4.0]), False)
    array([2])
    """
    x = comparable(x)
    n = x.shape[-1]
    nan = x != x if x.dtype.kind == "f" else None
    if nan is None or not may_hold(xp, nan):
        return at_ranks(xp, x, [(n - 1) // 2])
    count = n - xp.count_nonzero(nan, axis=-1)[..., None]
    ranks = xp.maximum((count - 1) // 2, 0) if skip else xp.where(count < n, count, (n - 1) // 2)
    if xp is not np:
        return at_ranks(xp, x, ranks)
    rank = int(ranks.max()) if ranks.size else 0
    return at_ranks(xp, x, [rank] if bool((ranks == rank).all()) else ranks)


def topk(xp: Any, x: Array, k: int, largest: bool, ordered: bool) -> Array:
    """The positions of the k largest (or smallest) elements, of equals the first.

    In the order of the elements, or with `ordered` in that of their values.

    >>> topk(np, np.array([3, 1, 2, 3]), 2, largest=True, ordered=True)
    array([0, 3])
    """
    x = comparable(x)
    n = x.shape[-1]
    if 4 * k > n or xp is not np or (x.dtype.kind == "f" and bool(xp.isnan(x).any())):
        return argsort(xp, x, largest)[..., :k]
    if not x.size or not k:
        return xp.zeros((*x.shape[:-1], k), xp.int64)
    rank = n - k if largest else k - 1
    last = xp.partition(x, rank, axis=-1)[..., rank, None]
    chosen = x >= last if largest else x <= last
    if int(xp.count_nonzero(chosen)) > k * (x.size // n):
        better = x > last if largest else x < last
        same = x == last
        room = k - xp.count_nonzero(better, axis=-1)[..., None]
        chosen = better | (same & (xp.cumsum(same, axis=-1) <= room))
    positions = chosen.nonzero()[-1].reshape(*x.shape[:-1], k)
    if not ordered:
        return positions
    return take(xp, positions, argsort(xp, take(xp, x, positions), largest))


def mode_position(xp: Any, x: Array) -> Array:
    """The last place of the most frequent value, of several the smallest; last dimension 1.

    >>> mode_position(np, np.array([2, 1, 2, 1, 3]))
    array([3])
    """
    x = comparable(x)
    ordered = xp.sort(x, axis=-1)
    new = xp.ones(x.shape, bool)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    length = xp.arange(x.shape[-1]) - last_true(xp, new)
    value = take(xp, ordered, xp.argmax(length, axis=-1)[..., None])
    same = (x == value) | ((x != x) & (value != value))
    return x.shape[-1] - 1 - xp.argmax(xp.flip(same, -1), axis=-1)[..., None]


def search(xp: Any, lines: Array, values: Array, right: bool) -> Array:
    """Where each value is to go into its sorted line: before its equals, or after (`right`).

    lines    shape (n,), or (..., n) for values of shape (..., m)

    >>> search(np, np.array([[1, 3], [2, 2]]), np.array([[3, 0], [2, 3]]), right=False)
    array([[1, 0],
           [0, 2]])
    """
    lines, values = comparable(lines), comparable(values)
    dtype = np.promote_types(lines.dtype, values.dtype)
    lines, values = lines.astype(dtype, copy=False), values.astype(dtype, copy=False)
    if lines.ndim == 1:
        return xp.searchsorted(lines, values, side="right" if right else "left")
    low = xp.zeros(values.shape, xp.int64)
    high = xp.full(values.shape, lines.shape[-1])
    for _ in range(lines.shape[-1].bit_length()):
        middle = (low + high) // 2
        there = take(xp, lines, xp.minimum(middle, lines.shape[-1] - 1))
        beyond = ~(there > values) if right else ~(there >= values)
        beyond &= low < high
        low, high = xp.where(beyond, middle + 1, low), xp.where(beyond, high, middle)
    return low


def runs(xp: Any, rows: Array) -> Array:
    """Which rows of a matrix, or elements of a vector, differ from the one before.

    >>> runs(np, np.array([1, 1, 2]))
    array([ True, False,  True])
    """
    new = xp.ones(rows.shape[0], bool)
    differ = rows[1:] != rows[:-1]
    new[1:] = differ.any(axis=1) if rows.ndim > 1 else differ
    return new
