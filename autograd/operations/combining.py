"""How values that meet at a position are combined: sum, mean, product, largest, smallest.

All in one dimension: x, src, and for each element of src the place in x where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import iinfo

from tapegrad.autograd.arrays import FLOATS, bool_, int64, module_of
from tapegrad.autograd.engine import cast, wrap
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import scattering as gates
from tapegrad.autograd.gates.indexing import scatter_add
from tapegrad.autograd.gates.selection import where
from tapegrad.kernels.segments import add_at
from tapegrad.kernels.selection import may_hold

__all__: list[str] = []


def _where(condition: Any, x: Any, y: Any) -> Any:
    return where(wrap(condition), x, y)


def _counts(x: Any, places: Any) -> Any:
    """How many elements go to each place."""
    xp, size = module_of(places), x._data.size
    return add_at(xp, size, places, xp.ones((places.size, 1), int64)).reshape(size)


def _zero(x: Any) -> Any:
    return False if x._data.dtype == bool_ else 0.0 if x._data.dtype in FLOATS else 0


def total(x: Any, src: Any, places: Any, include_self: bool = True) -> Any:
    """The sum."""
    added = scatter_add(src, places, dim=0, shape=x._data.shape)
    if not include_self:
        x = _where(_counts(x, places) > 0, _zero(x), x)
    return x | added if x._data.dtype == bool_ else x + added


def mean(x: Any, src: Any, places: Any, include_self: bool = True) -> Any:
    """The mean, rounded down where the dtype is whole."""
    counts = _counts(x, places) + include_self
    counts += counts == 0
    summed = total(x, src, places, include_self)
    if x._data.dtype in FLOATS:
        return summed / wrap(counts)
    return cast(summed // wrap(counts), dtype=x._data.dtype)


def product(x: Any, src: Any, places: Any, include_self: bool = True) -> Any:
    """The product, whose derivatives are exact to the second where a src is 0.

    The zeros of a place are taken apart: their own product is 1 where there are none, the sum of
    them where there is one, half of (sum squared minus sum of squares) where there are two.
    """
    size = x._data.size
    zeros = src._data == 0 if src._node is not None else None
    if zeros is None or not may_hold(module_of(zeros), zeros):
        product = gates.scatter_prod(src, places, size=size)
    else:
        counts = add_at(module_of(places), size, places, zeros.astype(int64).reshape(-1, 1))
        counts, only = counts.reshape(size), _where(zeros, src, 0.0)
        first, second = (scatter_add(v, places, dim=0, shape=(size,)) for v in (only, only * only))
        pairs = _where(counts == 2, (first * first - second) / 2, 0.0)
        of_zeros = _where(counts == 0, 1.0, _where(counts == 1, first, pairs))
        product = gates.scatter_prod(_where(zeros, 1.0, src), places, size=size) * of_zeros
    if include_self:
        return x * product if x._data.dtype != bool_ else x & product
    return _where(_counts(x, places) > 0, product, x)


def _extreme(greatest: bool) -> Callable[..., Any]:
    gate = gates.scatter_max if greatest else gates.scatter_min

    def extreme(x: Any, src: Any, places: Any, include_self: bool = True) -> Any:
        if not include_self:
            x = _where(_counts(x, places) > 0, _worst(x._data.dtype, greatest), x)
        return gate(x, src, places)

    return extreme


def _worst(dtype: Any, greatest: bool) -> Any:
    """What loses against everything."""
    if dtype == bool_:
        return not greatest
    if dtype in FLOATS:
        return float("-inf" if greatest else "inf")
    limits = iinfo(dtype)
    return int(limits.min if greatest else limits.max)


_COMBINE: dict[str, Callable[..., Any]] = {
    "sum": total,
    "mean": mean,
    "prod": product,
    "amax": _extreme(True),
    "amin": _extreme(False),
}


def named(name: str, reduce: str, allowed: tuple[str, ...]) -> Callable[..., Any]:
    """The combination of a name; ArgumentError lists those an operation has."""
    if reduce not in allowed:
        raise ArgumentError(f"{name}: reduce must be one of {', '.join(allowed)}; got {reduce!r}")
    return _COMBINE[reduce]
