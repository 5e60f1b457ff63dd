"""Many to few: sums, means, variances, extremes, and softmax with its relatives.

`dim` is one dimension, several, or None for all; `axis` and `keepdims` are accepted for `dim` and
`keepdim`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tapegrad.autograd.arrays import FLOATS, as_dtype, bool_, get_default_dtype, int64, uint8
from tapegrad.autograd.engine import cast, describe, wrap
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import reductions as gates
from tapegrad.autograd.gates.indexing import gather
from tapegrad.autograd.gates.shape import reshape

from . import arithmetic, exponential, selection
from .arguments import (
    Dim,
    check_tensor,
    normalize_dim,
    normalize_dims,
    numpy_names,
)

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "softmax",
    "std",
    "sum",
    "var",
]


class ValuesAndIndices(NamedTuple):
    """The extremes along a dimension and the first index of each."""

    values: Any
    indices: Any


def _count(input: Any, dims: tuple[int, ...]) -> int:
    return math.prod(input._data.shape[d] for d in dims)


def _floating(name: str, input: Any) -> Any:
    if input._data.dtype not in FLOATS:
        raise RuntimeError(
            f"{name}: needs a floating tensor, got {describe(input)}; convert it with .float()"
        )
    return input


@numpy_names
def sum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over dimensions; integers and booleans are summed in int64.

    >>> import tapegrad as tg
    >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.sum(x), tg.sum(x, dim=0)
    (tensor(10.), tensor([4., 6.]))
    """
    data = check_tensor("sum", input)._data
    dims = normalize_dims("sum", dim, data.ndim)
    wanted = None if dtype is None else as_dtype(dtype)
    if wanted is None and data.dtype not in FLOATS:
        wanted = int64
    if wanted is not None and wanted != data.dtype:
        input = cast(input, dtype=wanted)
    return gates.sum_(input, dims=dims, keepdim=keepdim)


@numpy_names
def mean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The arithmetic mean over dimensions of a floating tensor; NaN of none.

    >>> import tapegrad as tg
    >>> tg.mean(tg.tensor([[1.0, 2.0], [3.0, 6.0]]), dim=1)
    tensor([1.5000, 4.5000])
    """
    input = check_tensor("mean", input)
    if dtype is not None:
        input = cast(input, dtype=as_dtype(dtype))
    dims = normalize_dims("mean", dim, _floating("mean", input)._data.ndim)
    return gates.sum_(input, dims=dims, keepdim=keepdim) / _count(input, dims)


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


def _variance(
    name: str, input: Any, dim: Any, unbiased: bool, keepdim: bool, correction: float | None
) -> Any:
    if isinstance(dim, bool):  # var(x, unbiased), as in PyTorch
        dim, unbiased = None, dim
    data = _floating(name, check_tensor(name, input))._data
    dims = normalize_dims(name, dim, data.ndim)
    count = _count(input, dims)
    if count:  # shifting changes no variance, and makes that of a constant exactly 0
        first = tuple(slice(0, 1) if i in dims else slice(None) for i in range(data.ndim))
        input = input - wrap(data[first])
    centred = input - mean(input, dims, True)
    degrees = count - (int(unbiased) if correction is None else correction)
    if degrees < 0:
        degrees = 0  # and 0 / 0 is NaN, as in PyTorch
    return gates.sum_(centred * centred, dims=dims, keepdim=keepdim) / degrees


@numpy_names
def amax(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """The largest over dimensions; several winners share the gradient evenly.

    >>> import tapegrad as tg
    >>> tg.amax(tg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=0)
    tensor([7., 5.])
    """
    return _extreme("amax", gates.amax, input, dim, keepdim)


@numpy_names
def amin(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """The smallest over dimensions; several winners share the gradient evenly."""
    return _extreme("amin", gates.amin, input, dim, keepdim)


def _extreme(name: str, gate: Any, input: Any, dim: Dim, keepdim: bool) -> Any:
    data = check_tensor(name, input)._data
    dims = normalize_dims(name, dim, data.ndim)
    _not_empty(name, input, dims, dim)
    return gate(input, dims=dims, keepdim=keepdim)


def _not_empty(name: str, input: Any, dims: tuple[int, ...], dim: Any) -> None:
    if 0 in [input._data.shape[d] for d in dims]:
        kind = RuntimeError if dim is None else IndexError
        raise kind(f"{name}: there is no {name} of nothing; the tensor is {describe(input)}")


@numpy_names
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest of all; with an int `dim`, (values, indices) along it; with a tensor, `maximum`.

    With indices, the first winner receives the whole gradient.

    >>> import tapegrad as tg
    >>> values, indices = tg.max(tg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    >>> values, indices
    (tensor([5., 7.]), tensor([1, 0]))
    """
    dim = other if dim is None else dim
    if dim is None:
        return _extreme("max", gates.amax, input, None, keepdim)
    if hasattr(dim, "_data"):
        return selection.maximum(input, dim)
    return _along("max", gates.argmax, input, dim, keepdim)


@numpy_names
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest, in the same three forms as `max`."""
    dim = other if dim is None else dim
    if dim is None:
        return _extreme("min", gates.amin, input, None, keepdim)
    if hasattr(dim, "_data"):
        return selection.minimum(input, dim)
    return _along("min", gates.argmin, input, dim, keepdim)


def _along(name: str, gate: Any, input: Any, dim: int, keepdim: bool) -> ValuesAndIndices:
    data = check_tensor(name, input)._data
    position = normalize_dim(name, dim, data.ndim)
    if not data.ndim:
        found = _along(name, gate, reshape(input, shape=(1,)), 0, True)
        return ValuesAndIndices(*(reshape(part, shape=()) for part in found))
    _not_empty(name, input, (position,), dim)
    indices = gate(input, dim=position, keepdim=True)
    values = gather(input, indices, dim=position)
    if keepdim:
        return ValuesAndIndices(values, indices)
    shape = data.shape[:position] + data.shape[position + 1 :]
    return ValuesAndIndices(reshape(values, shape=shape), reshape(indices, shape=shape))


@numpy_names
def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the first of the largest, along `dim` or in the flattened tensor.

    >>> import tapegrad as tg
    >>> tg.argmax(tg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    return _argument("argmax", gates.argmax, input, dim, keepdim)


@numpy_names
def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the first of the smallest, along `dim` or in the flattened tensor."""
    return _argument("argmin", gates.argmin, input, dim, keepdim)


def _argument(name: str, gate: Any, input: Any, dim: int | None, keepdim: bool) -> Any:
    data = check_tensor(name, input)._data
    if dim is not None:
        dim = normalize_dim(name, dim, data.ndim)
        dim = dim if data.ndim else None
    _not_empty(name, input, tuple(range(data.ndim)) if dim is None else (dim,), 0)
    return gate(input, dim=dim, keepdim=keepdim)


@numpy_names
def any(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """Whether any element over dimensions is not 0."""
    dims = normalize_dims("any", dim, check_tensor("any", input)._data.ndim)
    return _truth(gates.any_, input, dims, keepdim)


@numpy_names
def all(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """Whether every element over dimensions is not 0."""
    dims = normalize_dims("all", dim, check_tensor("all", input)._data.ndim)
    return _truth(gates.all_, input, dims, keepdim)


def _truth(gate: Any, input: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    found = gate(input, dims=dims, keepdim=keepdim)
    return cast(found, dtype=uint8) if input._data.dtype == uint8 else found  # as in PyTorch


@numpy_names
def norm(input: Any, p: Any = 2, dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The p-norm over dimensions, (sum |x|^p)^(1/p); the Euclidean length for p = 2 or "fro".

    p may be 0 (how many are not 0), infinity (the largest magnitude) or minus infinity (the
    smallest). The gradient at 0 is 0.

    >>> import tapegrad as tg
    >>> tg.norm(tg.tensor([3.0, -4.0])), tg.norm(tg.tensor([3.0, -4.0]), 1)
    (tensor(5.), tensor(7.))
    """
    input = check_tensor("norm", input)
    if dtype is not None:
        input = cast(input, dtype=as_dtype(dtype))
    dims = normalize_dims("norm", dim, _floating("norm", input)._data.ndim)
    if isinstance(p, str) and p != "fro":
        raise ArgumentError(f"norm: p must be a number or 'fro', got {p!r}")
    size = arithmetic.abs(input)
    if p == float("inf"):
        return _extreme("norm", gates.amax, size, dims, keepdim)
    if p == -float("inf"):
        return _extreme("norm", gates.amin, size, dims, keepdim)
    if p == 0:
        return gates.sum_(cast(input != 0, dtype=input._data.dtype), dims=dims, keepdim=keepdim)
    if p == 1:
        return gates.sum_(size, dims=dims, keepdim=keepdim)
    power = 2 if p == "fro" else p
    total = gates.sum_(input * input if power == 2 else size**power, dims=dims, keepdim=keepdim)
    at_zero = total == 0  # the root is not differentiable there: take another path
    safe = selection.where(at_zero, 1.0, total)
    root = exponential.sqrt(safe) if power == 2 else safe ** (1 / power)
    return selection.where(at_zero, 0.0, root)


@numpy_names
def logsumexp(input: Any, dim: Dim, keepdim: bool = False) -> Any:
    """log(sum(exp(x))) over dimensions, without overflow; -inf of all -inf.

    >>> import tapegrad as tg
    >>> tg.logsumexp(tg.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6932)
    """
    data = check_tensor("logsumexp", input)._data
    dims = normalize_dims("logsumexp", dim, data.ndim)
    return gates.logsumexp(input, dims=dims, keepdim=keepdim)


def _normalized(name: str, gate: Any, input: Any, dim: int, dtype: Any) -> Any:
    input = check_tensor(name, input)
    if dtype is not None:
        input = cast(input, dtype=as_dtype(dtype))
    elif input._data.dtype == bool_:
        input = cast(input, dtype=get_default_dtype())
    position = normalize_dim(name, dim, input._data.ndim)
    if not input._data.ndim:
        return reshape(gate(reshape(input, shape=(1,)), dim=0), shape=())
    return gate(input, dim=position)


@numpy_names
def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """exp(x) / sum(exp(x)) along a dimension: positive numbers that sum to 1.

    >>> import tapegrad as tg
    >>> tg.softmax(tg.tensor([2.5, 3.1, -0.1]), dim=0)
    tensor([0.3453, 0.6291, 0.0256])
    """
    return _normalized("softmax", gates.softmax, input, dim, dtype)


@numpy_names
def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """log(softmax(x)) along a dimension, without overflow.

    >>> import tapegrad as tg
    >>> tg.log_softmax(tg.tensor([2.5, 3.1, -0.1]), dim=0)
    tensor([-1.0635, -0.4635, -3.6635])
    """
    return _normalized("log_softmax", gates.log_softmax, input, dim, dtype)
