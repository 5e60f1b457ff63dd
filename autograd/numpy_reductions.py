"""NumPy's functions of many numbers that become few, scans and sorting, as operations of tensors.

Each takes NumPy's arguments and means what NumPy means: `np.var` divides by n, `np.median` of an
even number is the mean of two, and without an axis the scans flatten. Gathered for `interop`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import operations as ops


def _var(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    return ops.var(a, axis, correction=ddof, keepdim=keepdims)


def _std(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    return ops.std(a, axis, correction=ddof, keepdim=keepdims)


def _flat(a: Any, axis: int | None) -> tuple[Any, int]:
    """What a function works along: a tensor and one of its dimensions."""
    return (ops.flatten(a), 0) if axis is None else (a, axis)


def _running(operation: Callable[..., Any]) -> Callable[..., Any]:
    def running(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
        return operation(*_flat(a, axis), dtype=dtype)

    return running


def _sort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
    return ops.sort(*_flat(a, axis)).values


def _argsort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
    return ops.argsort(*_flat(a, axis))


def _quantile(operation: Callable[..., Any], scale: float = 1.0) -> Callable[..., Any]:
    def quantile(
        a: Any,
        q: Any,
        axis: int | None = None,
        *,
        method: str = "linear",
        keepdims: bool = False,
    ) -> Any:
        fractions = ops.as_tensor(q, dtype=a.dtype, device=a.device) / scale
        return operation(a, fractions, axis, keepdims, interpolation=method)

    return quantile


def _median(operation: Callable[..., Any]) -> Callable[..., Any]:
    def median(a: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return operation(a, 0.5, axis, keepdims)

    return median


def _cov(m: Any, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Any:
    correction = int(not bias) if ddof is None else ddof
    return ops.cov(m if rowvar or m.ndim < 2 else ops.t(m), correction=correction)


def _searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return ops.searchsorted(a, v, side=side, sorter=sorter)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: ops.sum,
    np.nansum: ops.nansum,
    np.mean: ops.mean,
    np.nanmean: ops.nanmean,
    np.var: _var,
    np.std: _std,
    np.prod: ops.prod,
    np.max: ops.amax,
    np.min: ops.amin,
    np.amax: ops.amax,
    np.amin: ops.amin,
    np.argmax: ops.argmax,
    np.argmin: ops.argmin,
    np.any: ops.any,
    np.all: ops.all,
    np.count_nonzero: ops.count_nonzero,
    np.trace: ops.trace,
    np.median: _median(ops.quantile),
    np.nanmedian: _median(ops.nanquantile),
    np.quantile: _quantile(ops.quantile),
    np.nanquantile: _quantile(ops.nanquantile),
    np.percentile: _quantile(ops.quantile, 100.0),
    np.nanpercentile: _quantile(ops.nanquantile, 100.0),
    np.cov: _cov,
    np.corrcoef: ops.corrcoef,
    np.cumsum: _running(ops.cumsum),
    np.cumprod: _running(ops.cumprod),
    np.diff: ops.diff,
    np.trapezoid: lambda y, x=None, dx=1.0, axis=-1: ops.trapezoid(
        y, x, dx=dx if x is None else None, dim=axis
    ),
    np.sort: _sort,
    np.argsort: _argsort,
    np.searchsorted: _searchsorted,
    np.bincount: ops.bincount,
}
