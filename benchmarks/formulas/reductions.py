"""Many to few: reductions, statistics, scans and sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapegrad as tg

from .inputs import SIDE, Row, same


def softmax(x: Any, dim: int = -1) -> Any:
    e = np.exp(x - x.max(dim, keepdims=True))
    return e / e.sum(dim, keepdims=True)


def log_softmax(x: Any) -> Any:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def topk(x: Any) -> Any:
    top = np.argpartition(x, -10, -1)[:, -10:]
    values = np.take_along_axis(x, top, -1)
    return np.take_along_axis(values, np.argsort(-values, -1), -1)


def with_indices(function: Any, arguments: Any) -> Any:
    return lambda x: (function(x, -1), arguments(x, -1))


def running(extreme: Any, x: Any) -> Any:
    values = extreme.accumulate(x, 1)
    return values, np.maximum.accumulate(np.where(x == values, np.arange(SIDE), 0), 1)


def mode(x: Any) -> Any:
    """The longest run of equals in every sorted line."""
    line = np.sort(x, 1)
    last = np.ones(line.shape, bool)
    last[:, :-1] = line[:, 1:] != line[:, :-1]
    ends = np.flatnonzero(last)
    counts = np.zeros(line.size, np.int64)
    counts[ends] = np.diff(ends, prepend=-1)
    return np.take_along_axis(line, counts.reshape(line.shape).argmax(1)[:, None], 1)


ROWS: dict[str, Row] = {
    **{n: same(n) for n in ("sum", "mean", "var", "std", "amax", "amin", "prod", "median",
       "nansum", "nanmean", "all", "any", "argmax", "argmin", "count_nonzero", "trace")},
    "var": ("x", lambda x: tg.var(x), lambda x: x.var(ddof=1)),
    "std": ("x", lambda x: tg.std(x), lambda x: x.std(ddof=1)),
    "median": ("x", lambda x: tg.median(x), lambda x: np.partition(x, x.size // 2, None)),
    **{f"{n} dim 1": ("x", lambda x, n=n: getattr(tg, n)(x, 1),
       lambda x, n=n: getattr(np, n)(x, 1)) for n in ("sum", "mean", "amax", "prod", "argmax")},
    **{f"{n} dim 0": ("x", lambda x, n=n: getattr(tg, n)(x, 0),
       lambda x, n=n: getattr(np, n)(x, 0)) for n in ("sum", "mean", "amax", "prod")},
    "var dim 1": ("x", lambda x: tg.var(x, 1), lambda x: x.var(1, ddof=1)),
    "var_mean": ("x", lambda x: tg.var_mean(x, 1), lambda x: (x.var(1, ddof=1), x.mean(1))),
    "max dim 1": ("x", lambda x: tg.max(x, 1), with_indices(np.max, np.argmax)),
    "aminmax": ("x", lambda x: tg.aminmax(x), lambda x: (x.min(), x.max())),
    "median dim 1": ("x", lambda x: tg.median(x, 1), lambda x: np.argpartition(x, 500, 1)),
    "kthvalue": ("x", lambda x: tg.kthvalue(x, 100), lambda x: np.argpartition(x, 100, 1)),
    "quantile": ("x", lambda x: tg.quantile(x, 0.3), lambda x: np.quantile(x, np.float32(0.3))),
    "norm": ("x", tg.norm, lambda x: np.sqrt((x * x).sum())),
    "norm 1": ("x", lambda x: tg.norm(x, 1), lambda x: np.abs(x).sum()),
    "norm 3": ("x", lambda x: tg.norm(x, 3), lambda x: (np.abs(x) ** 3).sum() ** (1 / 3)),
    "logsumexp": ("x", lambda x: tg.logsumexp(x, 1),
                  lambda x: np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)) + x.max(1)),
    "softmax": ("x", lambda x: tg.softmax(x, 1), softmax),
    "log_softmax": ("x", lambda x: tg.log_softmax(x, 1), log_softmax),
    "std dim 1": ("x", lambda x: tg.std(x, 1), lambda x: x.std(1, ddof=1)),
    "std dim 0": ("x", lambda x: tg.std(x, 0), lambda x: x.std(0, ddof=1)),
    "std_mean": ("x", lambda x: tg.std_mean(x, 1), lambda x: (x.std(1, ddof=1), x.mean(1))),
    "min dim 1": ("x", lambda x: tg.min(x, 1), lambda x: (x.min(1), x.argmin(1))),
    "max dim 0": ("x", lambda x: tg.max(x, 0), lambda x: (x.max(0), x.argmax(0))),
    "all dim 1": ("x", lambda x: tg.all(x, 1), lambda x: x.all(1)),
    "sum whole": ("j", lambda j: tg.sum(j), lambda j: j.sum()),
    "sum bool": ("b", lambda b: tg.sum(b), lambda b: b.sum()),
    "nanmedian": ("n", lambda n: tg.nanmedian(n), np.nanmedian),
    "nanquantile": ("n", lambda n: tg.nanquantile(n, 0.3),
                    lambda n: np.nanquantile(n, np.float32(0.3))),
    "quantile dim 1": ("x", lambda x: tg.quantile(x, 0.3, 1),
                       lambda x: np.quantile(x, np.float32(0.3), 1)),
    "logsumexp all": ("x", lambda x: tg.logsumexp(x, (0, 1)),
                      lambda x: np.log(np.exp(x - x.max()).sum()) + x.max()),
    "norm dim 1": ("x", lambda x: tg.norm(x, dim=1), lambda x: np.sqrt((x * x).sum(1))),
    "norm inf": ("x", lambda x: tg.norm(x, float("inf")), lambda x: np.abs(x).max()),
    "linalg.vector_norm": ("x", lambda x: tg.linalg.vector_norm(x),
                           lambda x: np.sqrt((x * x).sum())),
    "linalg.matrix_norm": ("s", lambda s: tg.linalg.matrix_norm(s),
                           lambda s: np.linalg.norm(s, axis=(1, 2))),
    "dist": ("xy", lambda x, y: tg.dist(x, y), lambda x, y: np.linalg.norm(x - y)),
    "cov": ("x", lambda x: tg.cov(x), lambda x: np.cov(x, dtype=np.float32)),
    "corrcoef": ("x", lambda x: tg.corrcoef(x), lambda x: np.corrcoef(x, dtype=np.float32)),
    "histc": ("v", lambda v: tg.histc(v, 100, -2, 2), lambda v: np.histogram(v, 100, (-2, 2))[0]),
    "mode": ("j", lambda j: tg.mode(j, 1), mode),
    "sum_to_size": ("x", lambda x: tg.Tensor.sum_to_size(x, 1, SIDE),
                    lambda x: x.sum(0, keepdims=True)),
    "cumsum": ("x", lambda x: tg.cumsum(x, 1), lambda x: np.cumsum(x, 1)),
    "cumprod": ("h", lambda h: tg.cumprod(h, 1), lambda h: np.cumprod(h, 1)),
    "cummax": ("x", lambda x: tg.cummax(x, 1), lambda x: running(np.maximum, x)),
    "logcumsumexp": ("x", lambda x: tg.logcumsumexp(x, 1),
                     lambda x: np.logaddexp.accumulate(x, 1)),
    "diff": ("x", lambda x: tg.diff(x), np.diff),
    "sort": ("x", lambda x: tg.sort(x), lambda x: np.take_along_axis(x, x.argsort(-1), -1)),
    "argsort": ("x", lambda x: tg.argsort(x), lambda x: x.argsort(-1)),
    "topk": ("x", lambda x: tg.topk(x, 10), topk),
    "searchsorted": ("wv", lambda w, v: tg.searchsorted(tg.sort(w).values, v),
                     lambda w, v: np.searchsorted(np.sort(w), v)),
    "trapezoid": ("x", lambda x: tg.trapezoid(x), lambda x: np.trapezoid(x)),
    "cumsum dim 0": ("x", lambda x: tg.cumsum(x, 0), lambda x: np.cumsum(x, 0)),
    "cummin": ("x", lambda x: tg.cummin(x, 1), lambda x: running(np.minimum, x)),
    "cumulative_trapezoid": ("x", lambda x: tg.cumulative_trapezoid(x),
                             lambda x: np.cumsum((x[:, 1:] + x[:, :-1]) / 2, 1)),
    "gradient": ("x", lambda x: tg.gradient(x), np.gradient),
    "msort": ("x", lambda x: tg.msort(x), lambda x: np.take_along_axis(x, x.argsort(0), 0)),
    "sort stable": ("x", lambda x: tg.sort(x, stable=True),
                    lambda x: np.take_along_axis(x, x.argsort(-1, kind="stable"), -1)),
    "unique": ("j", lambda j: tg.unique(j), np.unique),
    "unique_consecutive": ("e", lambda e: tg.unique_consecutive(e.flatten()),
                           lambda e: (v := e.ravel())[np.append(True, v[1:] != v[:-1])]),
    "bincount": ("e", lambda e: tg.bincount(e.flatten()), lambda e: np.bincount(e.ravel())),
    "bucketize": ("xR", lambda x, R: tg.bucketize(x, R), lambda x, R: np.searchsorted(R, x)),
}  # fmt: skip
