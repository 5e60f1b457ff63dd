"""Calls of scans, sorting and searching."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from drawing import Call, Draw, View, call
from reduction_calls import option, typed

Row = Callable[[Draw], Call]


def with_zeros(d: Draw, x: View) -> View:
    """The numbers, none of which is 0, or one, or many."""
    stream, odds = d.values(), d.one_of(0.0, 0.2, 0.6)
    return x.map(lambda b: np.where(stream.random(b.shape) < odds, 0.0, b))


def tied(d: Draw, x: View) -> View:
    """The numbers, or whole ones, of which some are equal."""
    return x.map(np.round) if d.flag() else x


def scan(zeros: bool = False, ties: bool = False, dtype: bool = False, side: float = 3.0) -> Row:
    """A running operation along a dimension."""

    def row(d: Draw) -> Call:
        shape = d.shape(0, 3, 5)
        x = d.tensor(shape, -side, side)
        x = with_zeros(d, x) if zeros else tied(d, x) if ties else x
        dim = d.dim(len(shape))
        extra = typed(d) if dtype else {}
        return call(x, dim, **extra) if d.flag() else call(x, dim=dim, **extra)

    return row


def diff(d: Draw) -> Call:
    shape = list(d.shape(1, 3, 4))
    dim = d.dim(len(shape))

    def border() -> View:
        sides = list(shape)
        sides[dim] = d.integer(0, 2)
        return d.tensor(sides)

    x = d.tensor(shape)
    if d.flag():
        return call(x, d.integer(0, 3), dim)
    return call(x, dim=dim, **option(d, n=d.integer(1, 2), prepend=border(), append=border()))


def integral(d: Draw) -> Call:
    shape = d.shape(1, 3, 4, 1)
    y = d.tensor(shape)
    dim = d.dim(len(shape))
    kind = d.integer(0, 3)
    if kind == 0:
        return call(y, **option(d, dx=d.one_of(2, 0.5)), dim=dim)
    if kind == 1:
        return call(y, d.tensor((shape[dim],)), dim=dim)
    if kind == 2:
        return call(y, d.tensor(shape), dim=dim)
    return call(y, x=d.tensor(shape[-1:]), dim=-1)


def gradient(d: Draw) -> Call:
    shape = d.shape(1, 3, 5, 3)
    x = d.tensor(shape)
    dims = d.dims(len(shape), 1)
    edges = option(d, edge_order=d.one_of(1, 2))
    kind = d.integer(0, 3)
    if kind == 0:
        return call(x, **edges)
    if kind == 1:
        return call(x, spacing=d.one_of(2.0, 0.5), dim=dims, **edges)
    if kind == 2:
        return call(x, spacing=[0.5 + i for i in range(len(dims))], dim=dims, **edges)
    places = [np.cumsum(0.5 + d.values().random(shape[i])) for i in dims]
    return call(x, spacing=tuple(places), dim=dims, **edges)


def sort(d: Draw) -> Call:
    shape = d.shape(0, 3, 6)
    x = tied(d, d.tensor(shape))
    dim = d.dim(len(shape))
    return d.one_of(
        call(x, stable=True, dim=dim, descending=d.flag()),
        call(x.map(np.copy), dim, d.flag()),
        call(x.map(np.copy)),
    )


def topk(d: Draw) -> Call:
    shape = d.shape(0, 3, 9)
    x = d.apart(shape)
    dim = d.dim(len(shape))
    k = d.integer(0, shape[dim] if shape else 1)
    k = k if shape else 1
    if d.flag():
        return call(x, k, dim, d.flag(), True)
    return call(x, k, dim=dim, **option(d, largest=False, sorted=True))


def unique(d: Draw) -> Call:
    shape = d.shape(0, 3, 4, 1)
    x = d.whole(shape, 0, 3)
    keywords = option(d, return_inverse=True, return_counts=True)
    if shape and d.flag():
        keywords["dim"] = d.dim(len(shape))
    return call(x, **keywords, order=0)


def searchsorted(d: Draw) -> Call:
    lead = d.shape(0, 2, 3, 1)
    sequence = np.sort(np.round(d.values().normal(size=(*lead, d.integer(0, 6))), 1))
    values = np.round(d.values().normal(size=(*lead, d.integer(0, 5))), 1)
    if not lead and d.flag():
        values = d.one_of(values, np.float64(0.3), 0.3, values.reshape(1, -1, 1))
    if d.flag():
        values = np.floor(3 * values).astype(np.int64) if isinstance(values, np.ndarray) else 1
    side = d.one_of({}, {"right": d.flag()}, {"side": d.one_of("left", "right")})
    if d.flag():
        backwards = np.broadcast_to(np.arange(sequence.shape[-1])[::-1], sequence.shape).copy()
        side = {**side, "sorter": backwards}
        sequence = sequence[..., ::-1].copy()
    return call(sequence, values, **side, **option(d, out_int32=True), order=0)


def bucketize(d: Draw) -> Call:
    boundaries = np.sort(np.round(d.values().normal(size=d.integer(0, 6)), 1))
    values = np.round(d.values().normal(size=d.shape()), 1)
    values = d.one_of(values, values, 0.3)
    return call(values, boundaries, **option(d, right=d.flag(), out_int32=True), order=0)


def bincount(d: Draw) -> Call:
    size = d.integer(0, 6)
    keywords = option(
        d, weights=d.one_of(d.values().random(size), d.whole((size,), 0, 9)), minlength=5
    )
    return call(d.whole((size,), 0, 4), **keywords, order=0)


CALLS: dict[str, Row] = {
    "argsort": sort,
    "bincount": bincount,
    "bucketize": bucketize,
    "cummax": scan(ties=True),
    "cummin": scan(ties=True),
    "cumprod": scan(zeros=True, dtype=True),
    "cumsum": scan(dtype=True),
    "cumulative_trapezoid": integral,
    "diff": diff,
    "gradient": gradient,
    "logcumsumexp": scan(side=40.0),
    "msort": lambda d: call(tied(d, d.tensor(d.shape(1, 3, 6)))),
    "searchsorted": searchsorted,
    "sort": sort,
    "topk": topk,
    "trapezoid": integral,
    "trapz": integral,
    "unique": unique,
    "unique_consecutive": unique,
}
