"""Products of vectors and matrices, and such a product added to something."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import FLOATS, HALVES, bool_
from tapegrad.autograd.engine import describe, needs_gradient
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates import products as gates
from tapegrad.autograd.gates.arithmetic import addcmul
from tapegrad.autograd.gates.broadcasting import expand
from tapegrad.autograd.gates.reductions import sum_
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.gates.shape import reshape

from .arguments import check_tensor, normalize_dim, number_tensor, numpy_names, same_dtype
from .contraction import einsum, tensordot

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "cross",
    "dot",
    "ger",
    "inner",
    "kron",
    "matmul",
    "mm",
    "mv",
    "outer",
    "vdot",
]


def check_matrices(name: str, x: Any, y: Any) -> None:
    """Refuse matrices, or stacks of them, that cannot be multiplied."""
    if not x._data.ndim or not y._data.ndim:
        raise RuntimeError(
            f"{name}: both need at least 1 dimension, got {describe(x)} and {describe(y)}"
        )
    inner = y._data.shape[-2] if y._data.ndim > 1 else y._data.shape[0]
    if x._data.shape[-1] != inner:
        raise ShapeError(
            f"{name}: {describe(x)} and {describe(y)} cannot be multiplied: "
            f"{x._data.shape[-1]} columns meet {inner} rows"
        )


def matmul(input: Any, other: Any) -> Any:
    """The product of vectors, matrices, or stacks of matrices whose leading dimensions broadcast.

    >>> import tapegrad as tg
    >>> a = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> a @ a, a @ tg.tensor([1.0, 1.0])
    (tensor([[ 7., 10.],
            [15., 22.]]), tensor([3., 7.]))
    """
    check_matrices("matmul", check_tensor("matmul", input), check_tensor("matmul", other))
    return _product("matmul", input, other)


def _product(name: str, x: Any, y: Any) -> Any:
    same_dtype(name, x, y)
    vector_x, vector_y = x._data.ndim == 1, y._data.ndim == 1
    if not vector_x and not vector_y:
        return gates.matmul(x, y)
    if vector_x:
        x = reshape(x, shape=(1, *x._data.shape))
    if vector_y:
        y = reshape(y, shape=(*y._data.shape, 1))
    product = gates.matmul(x, y)
    shape = product._data.shape
    if vector_y:
        shape = shape[:-1]
    if vector_x:
        shape = shape[:-1] if vector_y else (*shape[:-2], shape[-1])
    return reshape(product, shape=shape)


def _of_ranks(name: str, x: Any, y: Any, ranks: tuple[int, int]) -> Any:
    _fitting(name, x, y, ranks)
    return _product(name, x, y)


def _fitting(name: str, x: Any, y: Any, ranks: tuple[int, int]) -> None:
    if (check_tensor(name, x)._data.ndim, check_tensor(name, y)._data.ndim) != ranks:
        raise RuntimeError(
            f"{name}: expected {ranks[0]} and {ranks[1]} dimensions, "
            f"got {describe(x)} and {describe(y)}; matmul takes any"
        )
    if ranks == (3, 3) and x._data.shape[0] != y._data.shape[0]:
        raise ShapeError(f"{name}: {describe(x)} and {describe(y)} are stacks of different length")
    check_matrices(name, x, y)


def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""
    return _of_ranks("mm", input, mat2, (2, 2))


def bmm(input: Any, mat2: Any) -> Any:
    """The products of two stacks of matrices, pair by pair."""
    return _of_ranks("bmm", input, mat2, (3, 3))


def mv(input: Any, vec: Any) -> Any:
    """The product of a matrix and a vector."""
    return _of_ranks("mv", input, vec, (2, 1))


def dot(input: Any, tensor: Any) -> Any:
    """The inner product of two vectors.

    >>> import tapegrad as tg
    >>> tg.dot(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return _of_ranks("dot", input, tensor, (1, 1))


def vdot(input: Any, other: Any) -> Any:
    """`dot`: of real vectors there is no conjugate."""
    return _of_ranks("vdot", input, other, (1, 1))


def inner(input: Any, other: Any) -> Any:
    """The sum of products over the last dimension of both; the product where one is a scalar.

    >>> import tapegrad as tg
    >>> tg.inner(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    x, y = check_tensor("inner", input)._data, check_tensor("inner", other)._data
    if not x.ndim or not y.ndim:
        return number_tensor("inner", input) * other
    same_dtype("inner", input, other)
    if x.shape[-1] != y.shape[-1]:
        raise ShapeError(
            f"inner: {describe(input)} and {describe(other)} differ in their last dimension"
        )
    return tensordot(input, other, dims=([-1], [-1]))


def outer(input: Any, vec2: Any) -> Any:
    """All products of the elements of two vectors."""
    return _outer("outer", input, vec2)


def ger(input: Any, vec2: Any) -> Any:
    """`outer`, by BLAS's name."""
    return _outer("ger", input, vec2)


def _outer(name: str, input: Any, vec2: Any) -> Any:
    for value in (input, vec2):
        if check_tensor(name, value)._data.ndim != 1:
            raise RuntimeError(f"{name}: expected vectors, got {describe(value)}")
    return reshape(input, shape=(input._data.shape[0], 1)) * vec2


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """`beta * input + alpha * (mat1 @ mat2)`; `input` broadcasts. With beta 0 it is not read.

    Factors of whole numbers lose their fractions, as in PyTorch.

    >>> import tapegrad as tg
    >>> a = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.addmm(tg.tensor([10.0, 20.0]), a, a, beta=2, alpha=-1)
    tensor([[13., 30.],
            [ 5., 18.]])
    """
    return _added("addmm", input, _of_ranks("addmm", mat1, mat2, (2, 2)), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """`beta * input + alpha * (mat @ vec)`, as `addmm`."""
    return _added("addmv", input, _of_ranks("addmv", mat, vec, (2, 1)), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """`beta * input + alpha * (batch1 @ batch2)` of stacks of matrices, as `addmm`."""
    return _added("baddbmm", input, _of_ranks("baddbmm", batch1, batch2, (3, 3)), beta, alpha)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """`beta * input + alpha * (batch1 @ batch2).sum(0)` of stacks of matrices, as `addmm`.

    >>> import tapegrad as tg
    >>> x = tg.ones(3, 2, 2)
    >>> tg.addbmm(tg.zeros(2, 2), x, x)
    tensor([[6., 6.],
            [6., 6.]])
    """
    _fitting("addbmm", batch1, batch2, (3, 3))
    (_, i, j), (*_, k) = batch1._data.shape, batch2._data.shape
    if i * k <= j * (i + k) and batch1._data.dtype in FLOATS - HALVES:  # no larger than the inputs
        product = sum_(_product("addbmm", batch1, batch2), dims=(0,), keepdim=False)
    else:
        product = einsum("bij,bjk->ik", batch1, batch2)
    return _added("addbmm", input, product, beta, alpha)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """`beta * input + alpha * outer(vec1, vec2)`, as `addmm`."""
    arrays = [check_tensor("addr", x)._data for x in (input, vec1, vec2)]
    shape = tuple(a.size for a in arrays[1:] if a.ndim == 1)
    alike = arrays[0].dtype in FLOATS and len({a.dtype for a in arrays}) == 1
    if beta == 1 and alike and len(shape) == 2 and arrays[0].shape == shape:
        column = reshape(vec1, shape=(arrays[1].size, 1))
        return addcmul(input, column, vec2, value=alpha)
    return _added("addr", input, _outer("addr", vec1, vec2), beta, alpha)


def _added(name: str, input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    data, shape = check_tensor(name, input)._data, product._data.shape
    if name != "addr":
        same_dtype(name, input, product)
    if product._data.dtype not in FLOATS:
        if name == "addr" and float in (type(beta), type(alpha)):
            raise DtypeError(f"{name}: whole numbers have no factor beta={beta}, alpha={alpha}")
        kind = bool if product._data.dtype == bool_ else int
        beta, alpha = kind(beta), kind(alpha)
    lead = len(shape) - data.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(data.shape, shape[lead:], strict=True)):
        raise ShapeError(f"{name}: {describe(input)} cannot be expanded to {tuple(shape)}")
    if alpha != 1:
        product = product * alpha
    if beta:
        return (input if beta == 1 else input * beta) + product
    if not needs_gradient(input):
        return product
    return where(True, product, expand(input, shape=shape))  # selects: a NaN stays where it is


def kron(input: Any, other: Any) -> Any:
    """Kronecker's product: every element of `input` times the whole of `other`, side by side.

    >>> import tapegrad as tg
    >>> tg.kron(tg.tensor([1, 10]), tg.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    x, y = check_tensor("kron", input)._data.shape, check_tensor("kron", other)._data.shape
    count = max(len(x), len(y))
    x, y = (1,) * (count - len(x)) + x, (1,) * (count - len(y)) + y
    left = reshape(input, shape=tuple(size for n in x for size in (n, 1)))
    right = reshape(other, shape=tuple(size for n in y for size in (1, n)))
    return reshape(left * right, shape=tuple(n * m for n, m in zip(x, y, strict=True)))


@numpy_names
def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """The vector product along a dimension of size 3: `dim`, or the first there is.

    >>> import tapegrad as tg
    >>> tg.cross(tg.tensor([1.0, 0.0, 0.0]), tg.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    if dim is None:
        shape = check_tensor("cross", input)._data.shape
        if 3 not in shape:
            raise RuntimeError(f"cross: {describe(input)} has no dimension of size 3")
        dim = shape.index(3)
    return cross_along("cross", input, other, dim)


def cross_along(name: str, input: Any, other: Any, dim: int) -> Any:
    """The vector product along `dim`; the other dimensions broadcast."""
    x, y = number_tensor(name, input)._data, number_tensor(name, other)._data
    if x.ndim != y.ndim:
        raise ShapeError(f"{name}: {describe(input)} and {describe(other)} differ in dimensions")
    dim = normalize_dim(name, dim, x.ndim)
    if not x.ndim or x.shape[dim] != 3 or y.shape[dim] != 3:
        raise ArgumentError(
            f"{name}: dimension {dim} must be of size 3, got {describe(input)} and "
            f"{describe(other)}"
        )
    return gates.cross(input, other, dim=dim - x.ndim)
