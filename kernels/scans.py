"""Running combinations along a dimension, in a number of steps that grows as log(n).

NumPy accumulates any ufunc, element after element; CuPy only sums and products. What is associative
can be combined in pairs instead, as in Blelloch, "Prefix sums and their applications" (1990), which
also serves combinations that are no ufunc.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Parts = tuple[Array, ...]


def scan(xp: Any, combine: Callable[[Parts, Parts], Parts], parts: Parts) -> Parts:
    """What `combine` makes of all elements up to each one, along the last dimension.

    `combine(before, after)` is associative and works on tuples of arrays of one shape.

    >>> scan(np, lambda before, after: (before[0] + after[0],), (np.array([1, 2, 3]),))
    (array([1, 3, 6]),)
    """
    n = parts[0].shape[-1]
    if n < 2:
        return parts
    pairs = combine(
        tuple(part[..., : n - 1 : 2] for part in parts), tuple(part[..., 1::2] for part in parts)
    )
    odd = scan(xp, combine, pairs)
    even = combine(
        tuple(part[..., : (n - 1) // 2] for part in odd), tuple(part[..., 2::2] for part in parts)
    )
    results = []
    for first, a, b in zip(parts, odd, even, strict=True):
        result = xp.empty(first.shape, a.dtype)
        result[..., 0] = first[..., 0]
        result[..., 1::2] = a
        result[..., 2::2] = b
        results.append(result)
    return tuple(results)


def accumulate(xp: Any, name: str, x: Array, dim: int) -> Array:
    """`xp.<name>.accumulate` along a dimension, with CuPy too: maximum, minimum, logaddexp.

    >>> accumulate(np, "maximum", np.array([1, 3, 2]), 0)
    array([1, 3, 3])
    """
    function = getattr(xp, name)
    if xp is np:
        return function.accumulate(x, axis=dim)
    line = (xp.moveaxis(x, dim, -1),)
    (found,) = scan(xp, lambda before, after: (function(before[0], after[0]),), line)
    return xp.moveaxis(found, -1, dim)


def last_true(xp: Any, mask: Array) -> Array:
    """Where along the last dimension the last True is, up to each place; the first is True.

    >>> last_true(np, np.array([True, False, True]))
    array([0, 0, 2])
    """
    n = mask.shape[-1]
    if xp is not np:
        return accumulate(xp, "maximum", xp.where(mask, xp.arange(n), 0), mask.ndim - 1)
    places = np.flatnonzero(mask)
    found = np.repeat(places, np.diff(places, append=mask.size)).reshape(-1, n or 1)
    if found.shape[0] > 1:
        found -= np.arange(found.shape[0])[:, None] * n
    return found.reshape(mask.shape)


def recurrence(xp: Any, a: Array, b: Array, dim: int) -> Array:
    """s[t] = a[t] s[t-1] + b[t] along a dimension; a[0] is not read.

    >>> recurrence(np, np.array([9.0, 2.0, 0.0]), np.array([1.0, 1.0, 5.0]), 0)
    array([1., 3., 5.])
    """

    def combine(before: Parts, after: Parts) -> Parts:
        return before[0] * after[0], after[0] * before[1] + after[1]

    parts = (xp.moveaxis(a, dim, -1), xp.moveaxis(b, dim, -1))
    return xp.moveaxis(scan(xp, combine, parts)[1], -1, dim)
