"""Along a dimension, step by step: running sums and extremes, differences, integrals, slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.arrays import bool_
from tapegrad.autograd.engine import array_of, describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import scans as gates
from tapegrad.autograd.gates.indexing import index
from tapegrad.autograd.gates.shape import cat, flip, reshape
from tapegrad.autograd.records import Variable

from .arguments import Dim, check_tensor, normalize_dim, normalize_dims, numpy_names
from .reductions import (
    ValuesAndIndices,
    as_shaped,
    floating,
    line_of,
    sum,
    summable,
)

__all__ = [
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_trapezoid",
    "diff",
    "gradient",
    "logcumsumexp",
    "trapezoid",
    "trapz",
]


@numpy_names
def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The sums of everything up to each element along a dimension; integers in int64.

    >>> import tapegrad as tg
    >>> tg.cumsum(tg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    line, position = line_of("cumsum", summable("cumsum", input, dtype), dim)
    return as_shaped(gates.cumsum(line, dim=position, reverse=False), input)


@numpy_names
def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The products of everything up to each element along a dimension; integers in int64.

    The gradient is exact where some elements are 0.

    >>> import tapegrad as tg
    >>> tg.cumprod(tg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    line, position = line_of("cumprod", summable("cumprod", input, dtype), dim)
    return as_shaped(gates.cumprod(line, dim=position), input)


@numpy_names
def logcumsumexp(input: Any, dim: int) -> Any:
    """log(cumsum(exp(x))) along a dimension, without overflow; -inf where all so far are.

    >>> import tapegrad as tg
    >>> tg.logcumsumexp(tg.tensor([1000.0, 1000.0]), dim=0)
    tensor([1000.0000, 1000.6932])
    """
    line, position = line_of("logcumsumexp", floating("logcumsumexp", input), dim)
    return as_shaped(gates.logcumsumexp(line, dim=position), input)


@numpy_names
def cummax(input: Any, dim: int) -> ValuesAndIndices:
    """The largest so far along a dimension, of several the last, as (values, indices).

    >>> import tapegrad as tg
    >>> tg.cummax(tg.tensor([1.0, 3.0, 2.0]), dim=0)
    ValuesAndIndices(values=tensor([1., 3., 3.]), indices=tensor([0, 1, 1]))
    """
    return _running("cummax", gates.cummax, input, dim)


@numpy_names
def cummin(input: Any, dim: int) -> ValuesAndIndices:
    """The smallest so far along a dimension, of several the last, as (values, indices).

    >>> import tapegrad as tg
    >>> tg.cummin(tg.tensor([3.0, 1.0, 2.0]), dim=0)
    ValuesAndIndices(values=tensor([3., 1., 1.]), indices=tensor([0, 1, 1]))
    """
    return _running("cummin", gates.cummin, input, dim)


def _running(name: str, gate: Any, input: Any, dim: int) -> ValuesAndIndices:
    line, position = line_of(name, input, dim)
    return ValuesAndIndices(*(as_shaped(part, input) for part in gate(line, dim=position)))


def _cut(x: Any, dim: int, start: int | None, stop: int | None) -> Any:
    """A stretch of a dimension."""
    return index(x, key=(*(slice(None),) * dim, slice(start, stop)))


@numpy_names
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The differences between neighbours along a dimension, taken `n` times.

    `prepend` and `append` are put before and after `input` first, unless n is 0. Of booleans,
    whether they differ.

    >>> import tapegrad as tg
    >>> tg.diff(tg.tensor([1.0, 4.0, 9.0])), tg.diff(tg.tensor([1.0, 4.0, 9.0]), n=2)
    (tensor([3., 5.]), tensor([2.]))
    """
    data = check_tensor("diff", input)._data
    if not data.ndim:
        raise RuntimeError(f"diff: needs at least one dimension, got {describe(input)}")
    position = normalize_dim("diff", dim, data.ndim)
    parts = [part for part in (prepend, input, append) if part is not None]
    for part in parts:
        shape = list(check_tensor("diff", part)._data.shape)
        if len(shape) == data.ndim:
            shape[position] = data.shape[position]
        if tuple(shape) != data.shape:
            raise ShapeError(f"diff: {describe(part)} does not fit {describe(input)}")
    if n < 0:
        raise ArgumentError(f"diff: n must be at least 0, got {n}")
    if not n:
        return index(input, key=...)
    if len(parts) > 1:
        sizes = tuple(part._data.shape[position] for part in parts)
        input = cat(*parts, sizes=sizes, dim=position)
    for _ in range(min(n, input._data.shape[position])):
        after, before = _cut(input, position, 1, None), _cut(input, position, 0, -1)
        input = after != before if input._data.dtype == bool_ else after - before
    return input


@numpy_names
def trapezoid(y: Any, x: Any = None, *, dx: float | None = None, dim: int = -1) -> Any:
    """The integral along a dimension by the trapezoidal rule: sum((y[i] + y[i+1]) / 2 dx[i]).

    x     where y was sampled: of one dimension, or of any shape that broadcasts with that of y
    dx    the distance between samples instead, 1 unless given

    >>> import tapegrad as tg
    >>> y = tg.tensor([1.0, 2.0, 4.0])
    >>> tg.trapezoid(y), tg.trapezoid(y, tg.tensor([0.0, 1.0, 3.0]))
    (tensor(4.5000), tensor(7.5000))
    """
    areas, position = _areas("trapezoid", y, x, dx, dim)
    return sum(areas, position)


@numpy_names
def trapz(y: Any, x: Any = None, *, dx: float | None = None, dim: int = -1) -> Any:
    """`trapezoid`, by its older name."""
    return trapezoid(y, x, dx=dx, dim=dim)


@numpy_names
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float | None = None, dim: int = -1) -> Any:
    """The integral up to each sample but the first, by the rule and arguments of `trapezoid`.

    >>> import tapegrad as tg
    >>> tg.cumulative_trapezoid(tg.tensor([1.0, 2.0, 4.0]))
    tensor([1.5000, 4.5000])
    """
    areas, position = _areas("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(areas, position)


def _areas(name: str, y: Any, x: Any, dx: float | None, dim: int) -> tuple[Any, int]:
    """The area between each two neighbours, and the dimension counted from the end."""
    data = check_tensor(name, y)._data
    if x is not None and dx is not None:
        raise TypeError(f"{name}: give x or dx, not both")
    position = normalize_dim(name, dim, data.ndim)
    if not data.ndim:
        raise IndexError(f"{name}: needs at least one dimension, got {describe(y)}")
    if data.dtype == bool_:
        raise RuntimeError(f"{name}: is not for booleans, got {describe(y)}")
    from_end = position - data.ndim
    heights = _cut(y, position, 1, None) + _cut(y, position, 0, -1)
    if x is None:
        return heights * ((1.0 if dx is None else float(dx)) / 2), from_end
    places = check_tensor(name, x)._data
    if places.dtype == bool_:
        raise RuntimeError(f"{name}: is not for booleans, got x {describe(x)}")
    if places.ndim == 1:
        if places.shape[0] != data.shape[position]:
            raise ShapeError(
                f"{name}: x must have one value for each sample, got {describe(x)} "
                f"for {describe(y)}"
            )
        x = reshape(x, shape=(-1,) + (1,) * (-from_end - 1))
    if not data.shape[position]:
        return heights / 2, from_end
    if x._data.ndim < -from_end:  # it lacks the dimension: no width anywhere
        x = reshape(x, shape=(1,) * (-from_end - x._data.ndim) + x._data.shape)
    position = x._data.ndim + from_end
    return heights * _rises(x, position) / 2, from_end


@numpy_names
def gradient(
    input: Any, *, spacing: Any = 1, dim: Dim = None, edge_order: int = 1
) -> tuple[Any, ...]:
    """The slope of samples along each of several dimensions, by central differences.

    spacing       the distance of samples: a number, one for each dimension, or for each a tensor of
                  one dimension with the places of the samples
    dim           along which dimensions, all unless given
    edge_order    of the one-sided differences at both ends, 1 or 2

    >>> import tapegrad as tg
    >>> tg.gradient(tg.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    data = check_tensor("gradient", input)._data
    dims = [dim] if isinstance(dim, int) else list(range(data.ndim)) if dim is None else list(dim)
    dims = [normalize_dim("gradient", d, data.ndim) for d in dims]
    normalize_dims("gradient", dims, data.ndim)
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    spacing = 1 if spacing is None else spacing
    if isinstance(spacing, Sequence):
        steps = list(spacing)
        if len(steps) != len(dims):
            raise RuntimeError(
                f"gradient: expected one spacing for each of {len(dims)} dimensions, "
                f"got {len(steps)}"
            )
    else:
        steps = [spacing] * len(dims)
    return tuple(_slope(input, d, step, edge_order) for d, step in zip(dims, steps, strict=True))


def _slope(input: Any, dim: int, spacing: Any, edge_order: int) -> Any:
    n = input._data.shape[dim] if input._data.ndim else 0
    if n <= edge_order:
        raise RuntimeError(
            f"gradient: needs at least {edge_order + 1} samples along dim {dim}, "
            f"got {describe(input)}"
        )
    if not isinstance(spacing, Variable):
        step = float(spacing)
        inner = (_cut(input, dim, 2, None) - _cut(input, dim, 0, -2)) / (2 * step)
        starting = ending = (step, step)
    else:
        if array_of(spacing).shape != (n,):
            raise RuntimeError(
                f"gradient: expected {n} places along dim {dim}, got {describe(spacing)}"
            )
        widths = _rises(reshape(spacing, shape=(-1,) + (1,) * (input._data.ndim - dim - 1)), 0)
        left, right = _cut(widths, 0, 0, -1), _cut(widths, 0, 1, None)
        rises = _rises(input, dim) / widths
        inner = _cut(rises, dim, 0, -1) * right + _cut(rises, dim, 1, None) * left
        inner = inner / (left + right)
        starting = (_cut(widths, 0, 0, 1), _cut(widths, 0, 1, 2))
        ending = (_cut(widths, 0, -1, None), _cut(widths, 0, -2, -1))
    first = _cut(input, dim, 0, 3)
    last = flip(_cut(input, dim, -3, None), dims=(dim,))
    first = _edge(first, dim, *starting, edge_order)
    last = -_edge(last, dim, *ending, edge_order)
    return cat(first, inner, last, sizes=(1, n - 2, 1), dim=dim)


def _rises(x: Any, dim: int) -> Any:
    return _cut(x, dim, 1, None) - _cut(x, dim, 0, -1)


def _edge(samples: Any, dim: int, nearest: Any, next_: Any, order: int) -> Any:
    """The slope at the first of two or three samples, with the widths between them."""
    rises = _rises(samples, dim)
    slope = _cut(rises, dim, 0, 1) / nearest
    if order == 1:
        return slope
    return slope + (slope - _cut(rises, dim, 1, 2) / next_) * (nearest / (nearest + next_))
