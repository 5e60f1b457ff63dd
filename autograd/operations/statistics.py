"""What a sample is like: means, variances, medians, quantiles, modes, covariances, counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd.arrays import (
    FLOATS,
    HALVES,
    INTEGERS,
    as_dtype,
    bool_,
    float32,
    int64,
    module_of,
    wide,
)
from tapegrad.autograd.engine import array_of, cast, describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import exponential, selection
from tapegrad.autograd.gates import reductions as gates
from tapegrad.autograd.gates.indexing import gather
from tapegrad.autograd.gates.shape import permute, reshape
from tapegrad.autograd.records import Variable
from tapegrad.kernels import extremes, sorting
from tapegrad.kernels.segments import counted
from tapegrad.kernels.selection import may_hold

from .arguments import (
    Dim,
    check_tensor,
    normalize_dim,
    normalize_dims,
    number_that_fits,
    numpy_names,
    on_its_gpu,
    same_device,
)
from .positions import within
from .reductions import ValuesAndIndices, chosen, floating, nansum, sum
from .selection import clamp

__all__ = [
    "corrcoef",
    "cov",
    "histc",
    "kthvalue",
    "mean",
    "median",
    "mode",
    "nanmean",
    "nanmedian",
    "nanquantile",
    "quantile",
    "std",
    "std_mean",
    "var",
    "var_mean",
]


@numpy_names
def mean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The arithmetic mean over dimensions of a floating tensor; NaN of none.

    >>> import tapegrad as tg
    >>> tg.mean(tg.tensor([[1.0, 2.0], [3.0, 6.0]]), dim=1)
    tensor([1.5000, 4.5000])
    """
    input = check_tensor("mean", input)
    if dtype is not None and input._data.dtype != as_dtype(dtype):
        input = cast(input, dtype=as_dtype(dtype))
    dims = normalize_dims("mean", dim, floating("mean", input)._data.ndim)
    return gates.mean(input, dims=dims, keepdim=keepdim)


@on_its_gpu
@numpy_names
def nanmean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean over dimensions of what is not NaN; a NaN receives no gradient.

    >>> import tapegrad as tg
    >>> tg.nanmean(tg.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    data = floating("nanmean", input)._data
    dims = normalize_dims("nanmean", dim, data.ndim)
    total = nansum(input, dim, keepdim, dtype=dtype)
    counts = extremes.count(module_of(data), data == data, dims)
    return total / wrap(counts.reshape(total._data.shape).astype(total._data.dtype))


@numpy_names
def var(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Any:
    """The variance over dimensions: sum((x - mean)^2) / (n - correction).

    `correction` is 1 (Bessel's) unless given; 0, or `unbiased=False`, divides by n. NaN where n
    does not exceed the correction.

    >>> import tapegrad as tg
    >>> x = tg.tensor([1.0, 2.0, 3.0, 4.0])
    >>> tg.var(x, correction=0)
    tensor(1.2500)
    """
    return _variance("var", input, dim, unbiased, keepdim, correction)


@numpy_names
def std(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Any:
    """The standard deviation over dimensions; the gradient of a constant's is 0.

    >>> import tapegrad as tg
    >>> tg.std(tg.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    variance = _variance("std", input, dim, unbiased, keepdim, correction)
    flat = variance == 0  # the square root is not differentiable there: take another path
    return selection.where(flat, 0.0, exponential.sqrt(selection.where(flat, 1.0, variance)))


@numpy_names
def var_mean(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Any, Any]:
    """The variance over dimensions, as `var`, and the mean.

    >>> import tapegrad as tg
    >>> tg.var_mean(tg.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    spread = var(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


@numpy_names
def std_mean(
    input: Any,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Any, Any]:
    """The standard deviation over dimensions, as `std`, and the mean.

    >>> import tapegrad as tg
    >>> tg.std_mean(tg.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    spread = std(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def _variance(
    name: str, input: Any, dim: Any, unbiased: bool, keepdim: bool, correction: float | None
) -> Any:
    if isinstance(dim, bool):  # var(x, unbiased), as in PyTorch
        dim, unbiased = None, dim
    dims = normalize_dims(name, dim, floating(name, input)._data.ndim)
    correction = float(unbiased) if correction is None else float(correction)
    return gates.var(input, dims=dims, keepdim=keepdim, correction=correction)


@on_its_gpu
@numpy_names
def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle value, of two the lower: of all, or with `dim` (values, indices) along it.

    NaN where there is a NaN. Of all, equals of the median share the gradient; with an index, the
    element there receives it.

    >>> import tapegrad as tg
    >>> tg.median(tg.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor(2.)
    >>> tg.median(tg.tensor([[3, 1, 2], [4, 6, 5]]), dim=1).indices
    tensor([2, 2])
    """
    return _median("median", input, dim, keepdim, skip=False)


@on_its_gpu
@numpy_names
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of what is not NaN, in the same two forms; NaN where there is nothing else.

    >>> import tapegrad as tg
    >>> tg.nanmedian(tg.tensor([3.0, float("nan"), 1.0, 2.0]))
    tensor(2.)
    """
    return _median("nanmedian", input, dim, keepdim, skip=True)


def _median(name: str, input: Any, dim: int | None, keepdim: bool, skip: bool) -> Any:
    if dim is None:
        return gates.median(check_tensor(name, input), skip=skip)
    return chosen(
        name, input, dim, keepdim, lambda xp, lines: sorting.median_position(xp, lines, skip)
    )


@on_its_gpu
@numpy_names
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The k-th smallest along a dimension, counted from 1, as (values, indices).

    >>> import tapegrad as tg
    >>> tg.kthvalue(tg.tensor([3.0, 1.0, 2.0]), 2)
    ValuesAndIndices(values=tensor(2.), indices=tensor(2))
    """
    data = check_tensor("kthvalue", input)._data
    position = normalize_dim("kthvalue", dim, data.ndim)
    length = data.shape[position] if data.ndim else 1
    if not length:
        raise IndexError(f"kthvalue: dim {dim} of {describe(input)} has no elements")
    if not 1 <= k <= length:
        raise ArgumentError(f"kthvalue: k must be from 1 to {length}, got {k}")
    return chosen(
        "kthvalue", input, dim, keepdim, lambda xp, lines: sorting.at_ranks(xp, lines, [k - 1])
    )


@on_its_gpu
@numpy_names
def mode(input: Any, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The most frequent value along a dimension, of several the smallest, as (values, indices).

    The index is that of its last occurrence.

    >>> import tapegrad as tg
    >>> tg.mode(tg.tensor([2, 1, 2, 3]))
    ValuesAndIndices(values=tensor(2), indices=tensor(2))
    """
    return chosen("mode", input, dim, keepdim, sorting.mode_position)


@on_its_gpu
@numpy_names
def quantile(
    input: Any,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Any:
    """The values below which the fractions `q` of the elements lie, of all or along a dimension.

    q                a number or a tensor of one dimension, which then comes first in the result
    interpolation    between the two elements around q (n - 1): "linear", or "lower", "higher",
                     "nearest" or "midpoint"

    NaN where there is a NaN. The gradient goes to the elements that were read, and to a tensor `q`.

    >>> import tapegrad as tg
    >>> x = tg.tensor([0.0, 10.0, 20.0, 30.0])
    >>> tg.quantile(x, 0.4), tg.quantile(x, tg.tensor([0.0, 0.5]))
    (tensor(12.), tensor([ 0., 15.]))
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@on_its_gpu
@numpy_names
def nanquantile(
    input: Any,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Any:
    """The quantiles, as `quantile`, of what is not NaN; NaN where there is nothing else.

    >>> import tapegrad as tg
    >>> tg.nanquantile(tg.tensor([1.0, float("nan"), 2.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


_INTERPOLATIONS = {"lower": "floor", "higher": "ceil", "nearest": "rint"}


def _quantile(
    name: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Any:
    data = check_tensor(name, input)._data
    if interpolation not in (*_INTERPOLATIONS, "linear", "midpoint"):
        raise ArgumentError(
            f"{name}: interpolation must be linear, lower, higher, midpoint or nearest, "
            f"got {interpolation!r}"
        )
    floating(name, input)
    xp = module_of(data)
    if not isinstance(q, Variable):
        q = wrap(xp.asarray(q, data.dtype))
    same_device(name, input, q)
    _check_fractions(name, data, q)
    position = None if dim is None else normalize_dim(name, dim, data.ndim)
    if not data.size or (position is not None and data.ndim and not data.shape[position]):
        raise ArgumentError(f"{name}: there is no quantile of nothing: {describe(input)}")
    kept: tuple[int, ...] = ()
    if position is None or not data.ndim:
        lines = reshape(input, shape=(-1,))
        kept = (1,) * data.ndim if keepdim else ()
    else:
        others = tuple(i for i in range(data.ndim) if i != position)
        lines = permute(input, dims=(*others, position))
        kept = tuple(1 if i == position else n for i, n in enumerate(data.shape))
        kept = kept if keepdim else tuple(data.shape[i] for i in others)
    fractions = reshape(q, shape=(-1,))
    if data.dtype in HALVES:
        lines, fractions = cast(lines, dtype=float32), cast(fractions, dtype=float32)
    found = _at_fractions(lines, fractions, name == "nanquantile", interpolation)
    found = cast(found, dtype=data.dtype) if data.dtype in HALVES else found
    last = found._data.ndim - 1
    found = permute(found, dims=(last, *range(last)))
    return reshape(found, shape=(*q._data.shape, *kept))


def _check_fractions(name: str, data: Any, q: Variable) -> None:
    if q._data.ndim > 1:
        raise ShapeError(f"{name}: q must be a number or have one dimension, got {describe(q)}")
    if q._data.dtype != data.dtype:
        raise RuntimeError(f"{name}: q must be of dtype {data.dtype}, got {describe(q)}")
    fractions = q._data.astype(wide(q._data.dtype), copy=False)  # bfloat16 warns of NaN
    within(fractions, 0, 1, f"{name}: q must be between 0 and 1", RuntimeError)


def _at_fractions(lines: Any, q: Any, skip: bool, interpolation: str) -> Any:
    """The quantiles along the last dimension, which they take the place of."""
    data = lines._data
    xp = module_of(data)
    n = data.shape[-1]
    nan = xp.isnan(data)
    ranks = q * float(n - 1)
    if skip and may_hold(xp, nan):
        count = n - xp.count_nonzero(nan, axis=-1)[..., None]
        ranks = selection.where(count > 0, q * (count - 1).astype(data.dtype), 0.0)
    elif may_hold(xp, nan):
        ranks = selection.where(nan.any(axis=-1, keepdims=True), float(n - 1), ranks)
    if interpolation in _INTERPOLATIONS:
        ranks = wrap(getattr(xp, _INTERPOLATIONS[interpolation])(ranks._data))
    count = ranks._data.shape[-1]
    below, above = xp.floor(ranks._data), xp.ceil(ranks._data)
    places: Any = xp.concatenate((below, above), axis=-1).astype(xp.int64)
    if ranks._data.ndim < 2:  # the same for every line
        places = (
            places.tolist()
            if xp is np
            else xp.broadcast_to(places, (*data.shape[:-1], places.size))
        )
    found = gather(lines, sorting.at_ranks(xp, data, places), dim=data.ndim - 1)
    first, second = found[..., :count], found[..., count:]
    if interpolation in _INTERPOLATIONS:
        return first
    weight = 0.5 if interpolation == "midpoint" else ranks - wrap(below)
    return first + (second - first) * weight


@on_its_gpu
def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariances of the rows of a matrix, whose columns are observations.

    fweights    how often each observation was made, whole numbers
    aweights    how much each observation counts

    >>> import tapegrad as tg
    >>> tg.cov(tg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    data = check_tensor("cov", input)._data
    same_device("cov", input, fweights, aweights)
    if data.ndim > 2 or data.dtype == bool_:
        raise RuntimeError(f"cov: needs numbers in at most two dimensions, got {describe(input)}")
    rows = input if data.ndim == 2 else reshape(input, shape=(1, -1))
    count = rows._data.shape[1]
    weights = _weights(count, fweights, aweights)
    total = float(count) if weights is None else sum(weights)
    weighed = rows if weights is None else rows * weights
    centred = rows - sum(weighed, 1, True) / total
    degrees = total - correction
    if aweights is not None and correction:
        degrees = total - sum(weights * aweights) * correction / total
    degrees = clamp(degrees, 0) if isinstance(degrees, Variable) else max(degrees, 0.0)
    other = centred if weights is None else centred * weights
    products = centred @ permute(other, dims=(1, 0))
    side = data.shape[0] if data.ndim == 2 and data.shape[0] != 1 else None
    return reshape(products / degrees, shape=() if side is None else (side, side))


def _weights(count: int, fweights: Any, aweights: Any) -> Any:
    """The product of both kinds of weights, checked; None without any."""
    for name, given, dtypes in (
        ("fweights", fweights, INTEGERS),
        ("aweights", aweights, FLOATS),
    ):
        if given is None:
            continue
        values = check_tensor("cov", given)._data
        if values.ndim > 1 or values.dtype not in dtypes or values.size != count:
            kind = "whole numbers" if name == "fweights" else "floats"
            raise RuntimeError(f"cov: {name} must be {count} {kind}, got {describe(given)}")
        if values.size and values.min() < 0:
            raise RuntimeError(f"cov: {name} must not be negative")
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


@on_its_gpu
def corrcoef(input: Any) -> Any:
    """The correlations of the rows of a matrix, whose columns are observations.

    >>> import tapegrad as tg
    >>> tg.corrcoef(tg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    data = check_tensor("corrcoef", input)._data
    if data.ndim > 2:
        raise RuntimeError(f"corrcoef: expected at most two dimensions, got {describe(input)}")
    products = cov(input)
    if not products._data.ndim:
        return products / products
    places = module_of(data).arange(products._data.shape[0])
    deviations = exponential.sqrt(products[places, places])
    return clamp(products / reshape(deviations, shape=(-1, 1)) / deviations, -1.0, 1.0)


@on_its_gpu
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements lie in each of `bins` equal parts of [min, max], without a gradient.

    Elements outside are left out. With `min` and `max` equal, the range is that of the elements.

    >>> import tapegrad as tg
    >>> tg.histc(tg.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    data = floating("histc", input)._data.reshape(-1)
    xp = module_of(data)
    low, high = float(array_of(min)), float(array_of(max))
    number_that_fits("histc", low, data.dtype)
    number_that_fits("histc", high, data.dtype)
    if bins <= 0 or high < low:
        raise RuntimeError(f"histc: needs bins > 0 and min <= max, got {bins}, {low} and {high}")
    if low == high and data.size:
        low, high = float(data.min()), float(data.max())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise RuntimeError(f"histc: the range from {low} to {high} is not finite")
    if low == high:
        low, high = low - 1, high + 1
    inside = (data >= low) & (data <= high)
    number = data.dtype.type  # a Python number would widen a bfloat16
    places = (xp.where(inside, data, number(low)) - number(low)) * number(bins) / number(high - low)
    places = xp.where(inside, xp.minimum(places.astype(int64), bins - 1), bins)
    counts = counted(xp, places, bins + 1)[:bins]
    return wrap(counts.astype(data.dtype))
