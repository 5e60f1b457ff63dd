"""Norms of vectors and matrices, by the names of `linalg`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.arrays import FLOATS, HALVES, as_dtype
from tapegrad.autograd.engine import cast, describe
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates import norms as gates
from tapegrad.autograd.gates import reductions
from tapegrad.autograd.gates.shape import permute, reshape

from .arguments import Dim, check_tensor, normalize_dim, normalize_dims, numpy_names
from .factorizations import svdvals

__all__ = [
    "matrix_norm",
    "norm",
    "vecdot",
    "vector_norm",
]

INFINITY = float("inf")


@numpy_names
def vector_norm(
    x: Any, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """(sum |x|^ord)^(1/ord) over dimensions, of all elements unless `dim` is given.

    `ord` may be any number: 0 counts what is not 0, infinity is the largest magnitude and minus
    infinity the smallest. The gradient is 0 where the norm is 0. `dtype` is what to compute in.

    >>> import tapegrad as tg
    >>> x = tg.tensor([3.0, -4.0])
    >>> tg.linalg.vector_norm(x), tg.linalg.vector_norm(x, 1)
    (tensor(5.), tensor(7.))
    """
    return _vector_norm("linalg.vector_norm", x, ord, dim, keepdim, dtype)


def _vector_norm(name: str, x: Any, ord: Any, dim: Dim, keepdim: bool, dtype: Any) -> Any:
    x = _floating(name, x, dtype)
    if isinstance(ord, str) or not isinstance(ord, (int, float)):
        raise ArgumentError(f"{name}: ord must be a number, got {ord!r}")
    dims = normalize_dims(name, dim, x._data.ndim)
    if (ord < 0 or ord == INFINITY) and 0 in [x._data.shape[d] for d in dims]:
        raise ArgumentError(f"{name}: there is no norm of order {ord} of nothing: {describe(x)}")
    return gates.vector_norm(x, p=float(ord), dims=dims, keepdim=keepdim)


def _floating(name: str, x: Any, dtype: Any) -> Any:
    if check_tensor(name, x)._data.dtype not in FLOATS:
        raise DtypeError(f"{name}: needs a floating tensor, got {describe(x)}; use .float()")
    if dtype is None:
        return x
    wanted = as_dtype(dtype)
    if wanted not in FLOATS or wanted.itemsize < x._data.dtype.itemsize:
        raise DtypeError(f"{name}: cannot compute with {describe(x)} in {wanted}")
    return cast(x, dtype=wanted) if x._data.dtype != wanted else x


@numpy_names
def matrix_norm(
    A: Any,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """A norm of matrices, which lie along the two dimensions of `dim`.

    ord            "fro": the root of the sum of squares; "nuc": the sum of the singular values;
                   2 and -2: the largest and the smallest of these; 1 and -1: the largest and the
                   smallest sum of magnitudes in a column; inf and -inf: in a row

    >>> import tapegrad as tg
    >>> a = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.linalg.matrix_norm(a), tg.linalg.matrix_norm(a, 1), tg.linalg.matrix_norm(a, 2)
    (tensor(5.4772), tensor(6.), tensor(5.4650))
    """
    return _matrix_norm("linalg.matrix_norm", A, ord, dim, keepdim, dtype)


def _matrix_norm(name: str, A: Any, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    x = _floating(name, A, dtype)
    if x._data.ndim < 2:
        raise ShapeError(f"{name}: needs at least 2 dimensions, got {describe(x)}")
    if not isinstance(dim, Sequence) or len(dim) != 2:
        raise ArgumentError(f"{name}: dim must name two dimensions, got {dim!r}")
    row, column = (normalize_dim(name, d, x._data.ndim) for d in dim)
    if row == column:
        raise ArgumentError(f"{name}: dim names one dimension twice: {dim!r}")
    if ord == "fro":
        return gates.vector_norm(x, p=2.0, dims=tuple(sorted((row, column))), keepdim=keepdim)
    if ord in ("nuc", 2, -2):
        if x._data.dtype in HALVES:
            raise DtypeError(f"{name}: needs float32 or float64 for ord={ord!r}, got {describe(x)}")
        found = _of_values(name, x, ord, row, column)
    elif ord in (1, -1, INFINITY, -INFINITY):
        over, along = (row, column) if abs(ord) == 1 else (column, row)
        sums = gates.vector_norm(x, p=1.0, dims=(over,), keepdim=True)
        found = _extreme(name, sums, ord > 0, along)
    else:
        raise ArgumentError(
            f"{name}: ord must be 'fro', 'nuc', 1, 2, inf or minus one of these, got {ord!r}"
        )
    sizes = [1 if i in (row, column) else n for i, n in enumerate(x._data.shape)]
    kept = [n for i, n in enumerate(sizes) if keepdim or i not in (row, column)]
    return reshape(found, shape=tuple(kept))


def _of_values(name: str, x: Any, ord: Any, row: int, column: int) -> Any:
    """The sum, the largest or the smallest of the singular values."""
    others = [i for i in range(x._data.ndim) if i not in (row, column)]
    values = svdvals(permute(x, dims=(*others, row, column)))
    if ord == "nuc":
        return reductions.sum_(values, dims=(values._data.ndim - 1,), keepdim=False)
    return _extreme(name, values, ord > 0, values._data.ndim - 1)


def _extreme(name: str, x: Any, largest: bool, dim: int) -> Any:
    if not x._data.shape[dim]:
        if not largest:
            raise IndexError(f"{name}: there is no smallest of nothing: {describe(x)}")
        return reductions.sum_(x, dims=(dim,), keepdim=True)
    return (reductions.amax if largest else reductions.amin)(x, dims=(dim,), keepdim=True)


@numpy_names
def norm(
    A: Any,
    ord: float | str | None = None,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """`vector_norm` or `matrix_norm`, by what is asked for.

    Without `ord` the Euclidean length, of all elements or over `dim`. With `ord` that of vectors if
    `dim` is one dimension or the tensor has one, and of matrices if `dim` is two or it has two.

    >>> import tapegrad as tg
    >>> a = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.linalg.norm(a), tg.linalg.norm(a, 1), tg.linalg.norm(a, 1, dim=1)
    (tensor(5.4772), tensor(6.), tensor([3., 7.]))
    """
    name = "linalg.norm"
    ndim = check_tensor(name, A)._data.ndim
    if ord is None:
        return _vector_norm(name, A, 2, dim, keepdim, dtype)
    if dim is None:
        if ndim not in (1, 2):
            raise ArgumentError(
                f"{name}: with ord and without dim it takes 1 or 2 dimensions, got {describe(A)}"
            )
        dims: Any = tuple(range(ndim))
    else:
        dims = tuple(dim) if isinstance(dim, Sequence) else (dim,)
        if len(dims) not in (1, 2):
            raise ArgumentError(f"{name}: with ord, dim is one dimension or two, got {dim!r}")
    if len(dims) == 2:
        return _matrix_norm(name, A, ord, dims, keepdim, dtype)
    return _vector_norm(name, A, ord, dims, keepdim, dtype)


@numpy_names
def vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """The sum of products along a dimension; the others broadcast.

    >>> import tapegrad as tg
    >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.linalg.vecdot(x, x)
    tensor([ 5., 25.])
    """
    a, b = check_tensor("linalg.vecdot", x)._data, check_tensor("linalg.vecdot", y)._data
    ndim = max(a.ndim, b.ndim)
    if dim in (-1, ndim - 1) and a.shape[-1:] == b.shape[-1:] != () and {a.dtype, b.dtype} < FLOATS:
        rows, columns = (*a.shape[:-1], 1, a.shape[-1]), (*b.shape, 1)
        found = x.reshape(rows) @ y.reshape(columns)
        return found.reshape(found._data.shape[:-2])
    product = x * y
    dims = (normalize_dim("linalg.vecdot", dim, product._data.ndim),)
    return reductions.sum_(product, dims=dims if product._data.ndim else (), keepdim=False)
