"""Calls of what makes many numbers few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, Name, View, call

Row = Callable[[Draw], Call]


def option(d: Draw, **values: Any) -> dict[str, Any]:
    """Some of the keyword arguments, the others left at their default."""
    return {key: value for key, value in values.items() if d.flag()}


def tied(d: Draw, x: View) -> View:
    """The numbers, or with ties: half of them rounded."""
    return x.map(lambda b: np.where(np.abs(b) < 1, np.round(b), b)) if d.flag() else x


def with_nan(d: Draw, x: View) -> View:
    """The numbers, some of which are missing."""
    odds = d.one_of(0.0, 0.3, 1.0)
    stream = d.values()
    return x.map(lambda b: np.where(stream.random(b.shape) < odds, np.nan, b))


def over(d: Draw, shape: tuple[int, ...], several: bool = True, empty: bool = True) -> Any:
    """A dimension, or several, or None for all; with `empty` off none of size 0."""
    ndim = len(shape)
    usable = [i for i in range(ndim) if empty or shape[i]]
    kind = d.integer(0, 2 if several else 1)
    if kind == 0 and (empty or len(usable) == ndim):
        return None
    if kind == 2 and len(usable) > 1:
        picked = d.source.sample(usable, d.integer(1, len(usable)))
        return tuple(i - ndim if d.flag() else i for i in picked)
    if not ndim:
        return d.one_of(0, -1)
    if not usable:
        return None
    return d.one_of(*usable) - (ndim if d.flag() else 0)


def typed(d: Draw) -> dict[str, Any]:
    """A dtype to compute in, or none; gradients through float32 are not exact enough to compare."""
    return d.one_of(
        {}, {"dtype": Name("float64")}, {"dtype": None}, {"dtype": Name("float32"), "order": 0}
    )


def passed(d: Draw, x: Any, dim: Any, **keywords: Any) -> Call:
    """`dim` and keepdim by position or by name, or left out."""
    if dim is None:
        return call(x, **keywords)
    if d.flag():
        return call(x, dim, d.flag(), **keywords)
    return call(x, dim=dim, **option(d, keepdim=d.flag()), **keywords)


def reduced(
    several: bool = True,
    empty: bool = True,
    dtype: bool = False,
    ties: bool = False,
    missing: bool = False,
) -> Row:
    """An operation over dimensions, with keepdim."""

    def row(d: Draw) -> Call:
        shape = d.shape(0, 3, 4, 0 if empty else 1)
        x = d.tensor(shape, -3.0, 3.0)
        x = tied(d, x) if ties else x
        x = with_nan(d, x) if missing else x
        extra = typed(d) if dtype else {}
        return passed(d, x, over(d, shape, several, empty), **extra)

    return row


def spread(d: Draw) -> Call:
    """Variances and deviations, with both generations of arguments."""
    shape = d.shape(0, 3, 4, 2)
    x = d.apart(shape, -3.0, 3.0)
    if not shape:
        return call(x, correction=0, order=0)  # 0 by 0
    dim = over(d, shape)
    kind = d.integer(0, 3)
    if kind == 0:
        return call(x, d.flag())
    if kind == 1 and dim is not None:
        return call(x, dim, d.flag(), d.flag())
    dim = {} if dim is None else {"dim": dim}
    return call(x, **dim, correction=d.one_of(0, 1, 0.5), **option(d, keepdim=d.flag()))


def alone(d: Draw) -> Call:
    """One number or a constant: PyTorch's own second derivatives are NaN there."""
    return call(d.tensor((1,)), correction=d.one_of(0, 1), order=0)


def indexed(d: Draw) -> Call:
    """One position: of all, or along a dimension."""
    shape = d.shape(0, 3, 4, 1)
    x = tied(d, d.tensor(shape, -3.0, 3.0))
    return passed(d, x, over(d, shape, several=False))


def extreme(d: Draw) -> Call:
    """The three forms of max and min."""
    if d.integer(0, 3) == 0:
        first, second = d.shapes()
        return call(tied(d, d.tensor(first)), tied(d, d.tensor(second)))
    return indexed(d)


def separate(d: Draw) -> Call:
    """A choice by rank, of elements that differ: which of equals it is, PyTorch leaves open."""
    shape = d.shape(0, 3, 5, 1)
    x = d.apart(shape, -3.0, 3.0)
    return passed(d, x, over(d, shape, several=False))


def separate_or_missing(d: Draw) -> Call:
    drawn = separate(d)
    x = drawn.args[0]
    stream = d.values()
    gaps = stream.random(x.base.shape) < 0.3
    gaps &= np.cumsum(gaps.reshape(-1)).reshape(gaps.shape) < 2  # one: of several any may be named
    return Call((x.map(lambda b: np.where(gaps, np.nan, b)), *drawn.args[1:]), drawn.kwargs)


def nanmean(d: Draw) -> Call:
    """PyTorch's gradient of the mean of nothing but NaN is NaN, not 0."""
    if d.flag():
        return reduced(dtype=True)(d)
    drawn = reduced(missing=True)(d)
    return Call(drawn.args, drawn.kwargs, order=0)


def aminmax(d: Draw) -> Call:
    shape = d.shape(0, 3, 4, 1)
    x = tied(d, d.tensor(shape, -3.0, 3.0))
    dim = over(d, shape, several=False)
    return call(x, **({} if dim is None else {"dim": dim}), **option(d, keepdim=d.flag()))


def kthvalue(d: Draw) -> Call:
    shape = d.shape(0, 3, 5, 1)
    x = d.apart(shape, -3.0, 3.0)
    dim = d.dim(len(shape))
    k = d.integer(1, shape[dim] if shape else 1)
    if d.flag():
        return call(x, k, dim, d.flag())
    return call(x, k=k, dim=dim, **option(d, keepdim=d.flag()))


def mode(d: Draw) -> Call:
    shape = d.shape(0, 3, 6, 1)
    x = d.whole(shape, 0, 4).astype(np.float64)
    return d.one_of(
        call(x, order=1), call(x, d.dim(len(shape)), d.flag()), call(x, dim=d.dim(len(shape)))
    )


def product(d: Draw) -> Call:
    """Products, with no zero, one or several."""
    shape = d.shape(0, 3, 4)
    x = d.tensor(shape, -2.0, 2.0)
    stream, odds = d.values(), d.one_of(0.0, 0.2, 0.6)
    x = x.map(lambda b: np.where(stream.random(b.shape) < odds, 0.0, b))
    return passed(d, x, over(d, shape, several=False), **typed(d))


def norm(d: Draw) -> Call:
    shape = d.shape(1, 3, 4, 1)
    signs = d.values()
    x = d.apart(shape, 0.1, 3.0).map(lambda b: b * signs.choice([-1.0, 1.0], b.shape))
    p = d.one_of("fro", 2, 1, 3, 2.5, 0.5, -1.5, float("inf"), -float("inf"), None)
    dim = over(d, shape)
    order = 1 if p in (float("inf"), -float("inf"), 1) else 2  # PyTorch's second is no array there
    if d.flag() and dim is not None:
        return call(x, p, dim, d.flag(), order=order)
    return call(x, p=p, **option(d, dim=dim, keepdim=d.flag()), order=order)


def quantile(d: Draw) -> Call:
    """Fractions in one number, or several; every interpolation."""
    shape = d.shape(0, 3, 5, 1)
    x = d.apart(shape, -3.0, 3.0)
    q = d.one_of(0.3, 1.0, d.values().random(d.integer(1, 4)), np.float64(0.75))
    mode = option(d, interpolation=d.one_of("linear", "lower", "higher", "midpoint", "nearest"))
    return call(x, q, **option(d, dim=over(d, shape, several=False), keepdim=d.flag()), **mode)


def nanquantile(d: Draw) -> Call:
    """Which of several NaN receives the gradient, of nothing else, PyTorch leaves open."""
    drawn = quantile(d)
    if d.flag():
        return drawn
    return Call((with_nan(d, drawn.args[0]), *drawn.args[1:]), drawn.kwargs, order=0)


def count_nonzero(d: Draw) -> Call:
    shape = d.shape()
    x = tied(d, d.tensor(shape))
    dim = over(d, shape)
    return call(x, **({} if dim is None else {"dim": dim}))


def logsumexp(d: Draw) -> Call:
    shape = d.shape(0, 3, 4, 1)
    x = d.tensor(shape, -30.0, 30.0)
    dim = over(d, shape)
    return passed(d, x, tuple(range(len(shape))) if dim is None else dim)


def along(d: Draw) -> Call:
    shape = d.shape()
    x = d.tensor(shape, low=-5.0, high=5.0)
    return d.one_of(call(x, d.dim(len(shape))), call(x, dim=d.dim(len(shape)), dtype=None))


def cov(d: Draw) -> Call:
    rows, columns = d.integer(1, 3), d.integer(3, 5)
    x = d.tensor((rows, columns) if d.flag() else (columns,))
    options = option(
        d,
        correction=d.one_of(0, 1),
        fweights=d.whole((columns,), 1, 4),
        aweights=d.tensor((columns,), 0.5, 2.0),
    )
    return call(x, **options)


def corrcoef(d: Draw) -> Call:
    return call(d.apart(d.one_of((4,), (2, 5), (3, 6))))


def histc(d: Draw) -> Call:
    x = d.tensor(d.shape(0, 2, 5, 1))
    return d.one_of(
        call(x), call(x, 7), call(x, 4, -1, 1.5), call(x, bins=3, min=-2), call(x, max=3.0)
    )


CALLS: dict[str, Row] = {
    "all": reduced(ties=True),
    "amax": reduced(empty=False, ties=True),
    "amin": reduced(empty=False, ties=True),
    "aminmax": aminmax,
    "any": reduced(ties=True),
    "argmax": indexed,
    "argmin": indexed,
    "corrcoef": corrcoef,
    "count_nonzero": count_nonzero,
    "cov": cov,
    "histc": histc,
    "kthvalue": kthvalue,
    "log_softmax": along,
    "logsumexp": logsumexp,
    "max": extreme,
    "mean": reduced(dtype=True),
    "median": separate,
    "min": extreme,
    "mode": mode,
    "nanmean": nanmean,
    "nanmedian": separate_or_missing,
    "nanquantile": nanquantile,
    "nansum": reduced(dtype=True, missing=True),
    "norm": norm,
    "prod": product,
    "quantile": quantile,
    "softmax": along,
    "std": spread,
    "std_mean": spread,
    "sum": reduced(dtype=True),
    "trace": lambda d: call(d.tensor((d.integer(0, 4), d.integer(0, 4)))),
    "var": spread,
    "var_mean": spread,
}
