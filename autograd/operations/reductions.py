"""Many to few: sums, means, products, extremes, norms, and softmax with its relatives.

`dim` is one dimension, several, or None for all; `axis` and `keepdims` are accepted for `dim` and
`keepdim`. Means, variances and quantiles are in `statistics`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tapegrad.autograd.arrays import (
    FLOATS,
    as_dtype,
    bool_,
    get_default_dtype,
    int64,
    module_of,
    uint8,
)
from tapegrad.autograd.engine import cast, describe, wrap
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import reductions as gates
from tapegrad.autograd.gates.diagonals import diagonal
from tapegrad.autograd.gates.indexing import gather
from tapegrad.autograd.gates.norms import vector_norm
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.records import Variable
from tapegrad.kernels import extremes

from . import selection
from .arguments import Dim, check_tensor, normalize_dim, normalize_dims, numpy_names, on_its_gpu
from .norms import matrix_norm

__all__ = [
    "all",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "log_softmax",
    "logsumexp",
    "max",
    "min",
    "nansum",
    "norm",
    "prod",
    "softmax",
    "sum",
    "trace",
]


class ValuesAndIndices(NamedTuple):
    """Elements along a dimension and the position of each."""

    values: Any
    indices: Any


class MinAndMax(NamedTuple):
    """The smallest and the largest."""

    min: Any
    max: Any


def line_of(name: str, input: Any, dim: int) -> tuple[Any, int]:
    """A tensor of at least one dimension, and which of them is meant: a scalar is a line of one."""
    data = check_tensor(name, input)._data
    position = normalize_dim(name, dim, data.ndim)
    return (input if data.ndim else reshape(input, shape=(1,))), position


def as_shaped(result: Any, like: Any) -> Any:
    """A result along a line as a scalar again, where `like` is one."""
    return result if like._data.ndim else reshape(result, shape=())


def at_positions(line: Any, positions: Any, dim: int) -> ValuesAndIndices:
    """The elements of `line` at positions along a dimension, with the positions."""
    return ValuesAndIndices(gather(line, positions, dim=dim), wrap(positions))


def chosen(name: str, input: Any, dim: int, keepdim: bool, find: Any) -> ValuesAndIndices:
    """One element along a dimension: `find(xp, lines)` says where, keeping a last dimension of 1.

    `lines` has the dimension in question last, and elements.
    """
    line, position = line_of(name, input, dim)
    not_empty(name, line, (position,), dim)
    data = line._data
    xp = module_of(data)
    indices = xp.moveaxis(find(xp, xp.moveaxis(data, position, -1)), -1, position)
    shape = indices.shape if keepdim else indices.shape[:position] + indices.shape[position + 1 :]
    shape = shape if input._data.ndim else ()
    found = at_positions(line, indices, position)
    return ValuesAndIndices(*(reshape(part, shape=shape) for part in found))


def floating(name: str, input: Any) -> Any:
    """`input`, if it is a tensor of a floating dtype."""
    if check_tensor(name, input)._data.dtype not in FLOATS:
        raise RuntimeError(
            f"{name}: needs a floating tensor, got {describe(input)}; convert it with .float()"
        )
    return input


def not_empty(name: str, input: Any, dims: tuple[int, ...], dim: Any) -> None:
    """Refuse dimensions of size 0, of which nothing can be chosen."""
    if 0 in [input._data.shape[d] for d in dims]:
        kind = RuntimeError if dim is None else IndexError
        raise kind(f"{name}: there is no {name} of nothing; the tensor is {describe(input)}")


def summable(name: str, input: Any, dtype: Any) -> Any:
    """`input` in the dtype it is summed or multiplied in: integers and booleans in int64."""
    wanted = None if dtype is None else as_dtype(dtype)
    given = check_tensor(name, input)._data.dtype
    if wanted is None and given not in FLOATS:
        wanted = int64
    return input if wanted is None or wanted == given else cast(input, dtype=wanted)


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
    if data.dtype is bool_ and dtype is None and (xp := module_of(data)) is not np:
        return wrap(extremes.count(xp, data, dims, keepdim))  # in one launch
    return gates.sum_(summable("sum", input, dtype), dims=dims, keepdim=keepdim)


@numpy_names
def nansum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over dimensions of what is not NaN; a NaN receives no gradient.

    >>> import tapegrad as tg
    >>> tg.nansum(tg.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    data = check_tensor("nansum", input)._data
    dims = normalize_dims("nansum", dim, data.ndim)
    gate = gates.nansum if data.dtype in FLOATS else gates.sum_
    return gate(summable("nansum", input, dtype), dims=dims, keepdim=keepdim)


@numpy_names
def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product of all elements, or along a dimension; integers are multiplied in int64.

    Every factor receives the product of the others, which is exact where some are 0.

    >>> import tapegrad as tg
    >>> x = tg.tensor([2.0, 3.0, 0.0], requires_grad=True)
    >>> tg.prod(x).backward()
    >>> x.grad
    tensor([0., 0., 6.])
    """
    input = summable("prod", input, dtype)
    if dim is None:
        product = gates.prod(reshape(input, shape=(-1,)), dim=0, keepdim=False)
        return reshape(product, shape=(1,) * input._data.ndim) if keepdim else product
    line, position = line_of("prod", input, dim)
    return as_shaped(gates.prod(line, dim=position, keepdim=keepdim), input)


def trace(input: Any) -> Any:
    """The sum of the diagonal of a matrix.

    >>> import tapegrad as tg
    >>> tg.trace(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    data = check_tensor("trace", input)._data
    if data.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, got {describe(input)}")
    return sum(diagonal(input, offset=0))


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


@numpy_names
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """The smallest and the largest, of all or along a dimension, as `.min` and `.max`.

    >>> import tapegrad as tg
    >>> tg.aminmax(tg.tensor([3.0, 1.0, 2.0])).max
    tensor(3.)
    """
    if dim is not None:
        dim = normalize_dim("aminmax", dim, check_tensor("aminmax", input)._data.ndim)
    return MinAndMax(
        *(_extreme("aminmax", gate, input, dim, keepdim) for gate in (gates.amin, gates.amax))
    )


def _extreme(name: str, gate: Any, input: Any, dim: Dim, keepdim: bool) -> Any:
    data = check_tensor(name, input)._data
    dims = normalize_dims(name, dim, data.ndim)
    not_empty(name, input, dims, dim)
    return gate(input, dims=dims, keepdim=keepdim)


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
    check_tensor("max", input)
    if dim is None:
        return _extreme("max", gates.amax, input, None, keepdim)
    if isinstance(dim, Variable):
        return selection.maximum(input, dim)
    return chosen("max", input, dim, keepdim, _last(gates.argmax))


@numpy_names
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest, in the same three forms as `max`."""
    dim = other if dim is None else dim
    check_tensor("min", input)
    if dim is None:
        return _extreme("min", gates.amin, input, None, keepdim)
    if isinstance(dim, Variable):
        return selection.minimum(input, dim)
    return chosen("min", input, dim, keepdim, _last(gates.argmin))


def _last(gate: Any) -> Any:
    return lambda xp, lines: gate(lines, dim=lines.ndim - 1, keepdim=True)


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
    not_empty(name, input, tuple(range(data.ndim)) if dim is None else (dim,), 0)
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


@on_its_gpu
@numpy_names
def count_nonzero(input: Any, dim: Dim = None) -> Any:
    """How many elements over dimensions are not 0.

    >>> import tapegrad as tg
    >>> tg.count_nonzero(tg.tensor([[1, 0], [2, 3]]), dim=0)
    tensor([2, 1])
    """
    data = check_tensor("count_nonzero", input)._data
    dims = normalize_dims("count_nonzero", dim, data.ndim)
    return wrap(extremes.count(module_of(data), data, dims))


@numpy_names
def norm(
    input: Any,
    p: Any = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    out: None = None,
    dtype: Any = None,
) -> Any:
    """The p-norm over dimensions, (sum |x|^p)^(1/p); the Euclidean length for p = 2 or "fro".

    p may be 0 (how many are not 0), infinity (the largest magnitude), minus infinity (the smallest)
    or "nuc" (the sum of a matrix's singular values). The gradient at 0 is 0.

    >>> import tapegrad as tg
    >>> tg.norm(tg.tensor([3.0, -4.0])), tg.norm(tg.tensor([3.0, -4.0]), 1)
    (tensor(5.), tensor(7.))
    """
    input = check_tensor("norm", input)
    if dtype is not None:
        input = cast(input, dtype=as_dtype(dtype))
    if p == "nuc":
        pair = (dim,) if isinstance(dim, int) else (-2, -1) if dim is None else dim
        return matrix_norm(input, "nuc", pair, keepdim)
    dims = normalize_dims("norm", dim, floating("norm", input)._data.ndim)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm: p must be a number, 'fro' or 'nuc', got {p!r}")
    power = 2.0 if p is None or p == "fro" else float(p)
    if math.isinf(power):
        not_empty("norm", input, dims, dim)
    return vector_norm(input, p=power, dims=dims, keepdim=keepdim)


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
    if dtype is not None:
        input = cast(check_tensor(name, input), dtype=as_dtype(dtype))
    elif check_tensor(name, input)._data.dtype == bool_:
        input = cast(input, dtype=get_default_dtype())
    line, position = line_of(name, input, dim)
    return as_shaped(gate(line, dim=position), input)


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
