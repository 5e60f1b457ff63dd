"""Operations as methods of a tensor, written out so that editors and type checkers see them.

Each is the function of the same name in `tapegrad.autograd.operations`, where the full description
is; operators go straight to their gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arrays import is_array
from .engine import Variable
from .gates import arithmetic, selection
from .operations import indexing, pointwise, products, reductions, shape
from .operations.arguments import Dim, numpy_names
from .operations.creation import as_tensor

# Bound once: calling an instance costs 0.1 us more than calling its method.
_add, _sub, _mul, _div = (
    gate.__call__ for gate in (arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div)
)


def _sizes(sizes: tuple[Any, ...]) -> Sequence[int]:
    """Sizes or dimensions given one by one or as one sequence."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes


def _comparable(other: Any) -> bool:
    """Whether == is asked of numbers; of anything else Python's answer, False, will do."""
    return isinstance(other, (Variable, int, float)) or is_array(other)


class Operations(Variable):
    """The methods of a tensor that compute; `Tensor` adds what it is and where it lives."""

    __slots__ = ()

    # Operators

    def __add__(self, other: Any) -> Any:
        return _add(self, other)

    def __radd__(self, other: Any) -> Any:
        return _add(other, self)

    def __sub__(self, other: Any) -> Any:
        return _sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return _sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return _mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return _div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _div(other, self)

    def __pow__(self, other: Any) -> Any:
        return arithmetic.pow_(self, other)

    def __rpow__(self, other: Any) -> Any:
        return arithmetic.pow_(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return arithmetic.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return arithmetic.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return arithmetic.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return arithmetic.remainder(other, self)

    def __and__(self, other: Any) -> Any:
        return selection.bit_and(self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return selection.bit_or(self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return selection.bit_xor(self, other)

    __rxor__ = __xor__

    def __lt__(self, other: Any) -> Any:
        return selection.less(self, other)

    def __le__(self, other: Any) -> Any:
        return selection.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return selection.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return selection.greater_equal(self, other)

    def __eq__(self, other: Any) -> Any:
        return selection.equal(self, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return selection.not_equal(self, other) if _comparable(other) else NotImplemented

    __hash__ = object.__hash__

    def __matmul__(self, other: Any) -> Any:
        return products.matmul(self, as_tensor(other) if is_array(other) else other)

    def __rmatmul__(self, other: Any) -> Any:
        return products.matmul(as_tensor(other) if is_array(other) else other, self)

    def __neg__(self) -> Any:
        return arithmetic.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return arithmetic.abs_(self)

    def __invert__(self) -> Any:
        return selection.bit_not(self)

    def __getitem__(self, key: Any) -> Any:
        return indexing.getitem(self, key)

    # Element by element

    def neg(self) -> Any:
        """`-self`."""
        return pointwise.neg(self)

    def abs(self) -> Any:
        """`|self|`."""
        return pointwise.abs(self)

    def sign(self) -> Any:
        """-1, 0 or 1."""
        return pointwise.sign(self)

    def floor(self) -> Any:
        """The largest whole number not above."""
        return pointwise.floor(self)

    def reciprocal(self) -> Any:
        """`1 / self`."""
        return pointwise.reciprocal(self)

    def square(self) -> Any:
        """`self * self`."""
        return pointwise.square(self)

    def exp(self) -> Any:
        """e to the power `self`."""
        return pointwise.exp(self)

    def expm1(self) -> Any:
        """`exp(self) - 1`, exact near 0."""
        return pointwise.expm1(self)

    def log(self) -> Any:
        """The natural logarithm."""
        return pointwise.log(self)

    def log1p(self) -> Any:
        """`log(1 + self)`, exact near 0."""
        return pointwise.log1p(self)

    def sqrt(self) -> Any:
        """The square root."""
        return pointwise.sqrt(self)

    def rsqrt(self) -> Any:
        """`1 / sqrt(self)`."""
        return pointwise.rsqrt(self)

    def sin(self) -> Any:
        """The sine."""
        return pointwise.sin(self)

    def cos(self) -> Any:
        """The cosine."""
        return pointwise.cos(self)

    def tanh(self) -> Any:
        """The hyperbolic tangent."""
        return pointwise.tanh(self)

    def sigmoid(self) -> Any:
        """`1 / (1 + exp(-self))`."""
        return pointwise.sigmoid(self)

    def erf(self) -> Any:
        """The error function."""
        return pointwise.erf(self)

    def relu(self) -> Any:
        """`max(self, 0)`."""
        return pointwise.relu(self)

    def isnan(self) -> Any:
        """Whether each element is NaN."""
        return pointwise.isnan(self)

    def isinf(self) -> Any:
        """Whether each element is infinite."""
        return pointwise.isinf(self)

    def isfinite(self) -> Any:
        """Whether each element is finite."""
        return pointwise.isfinite(self)

    def logical_not(self) -> Any:
        """Whether each element is 0."""
        return pointwise.logical_not(self)

    def bitwise_not(self) -> Any:
        """`~self`."""
        return pointwise.bitwise_not(self)

    def mul(self, other: Any) -> Any:
        """`self * other`."""
        return pointwise.mul(self, other)

    def floor_divide(self, other: Any) -> Any:
        """`floor(self / other)`."""
        return pointwise.floor_divide(self, other)

    def remainder(self, other: Any) -> Any:
        """`self % other`."""
        return pointwise.remainder(self, other)

    def maximum(self, other: Any) -> Any:
        """The larger of two."""
        return pointwise.maximum(self, other)

    def minimum(self, other: Any) -> Any:
        """The smaller of two."""
        return pointwise.minimum(self, other)

    def eq(self, other: Any) -> Any:
        """`self == other`."""
        return pointwise.eq(self, other)

    def ne(self, other: Any) -> Any:
        """`self != other`."""
        return pointwise.ne(self, other)

    def lt(self, other: Any) -> Any:
        """`self < other`."""
        return pointwise.lt(self, other)

    def le(self, other: Any) -> Any:
        """`self <= other`."""
        return pointwise.le(self, other)

    def gt(self, other: Any) -> Any:
        """`self > other`."""
        return pointwise.gt(self, other)

    def ge(self, other: Any) -> Any:
        """`self >= other`."""
        return pointwise.ge(self, other)

    def logical_and(self, other: Any) -> Any:
        """Whether both are not 0."""
        return pointwise.logical_and(self, other)

    def logical_or(self, other: Any) -> Any:
        """Whether one or both are not 0."""
        return pointwise.logical_or(self, other)

    def bitwise_and(self, other: Any) -> Any:
        """`self & other`."""
        return pointwise.bitwise_and(self, other)

    def bitwise_or(self, other: Any) -> Any:
        """`self | other`."""
        return pointwise.bitwise_or(self, other)

    def bitwise_xor(self, other: Any) -> Any:
        """`self ^ other`."""
        return pointwise.bitwise_xor(self, other)

    def add(self, other: Any, *, alpha: float = 1) -> Any:
        """`self + alpha * other`."""
        return pointwise.add(self, other, alpha=alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Any:
        """`self - alpha * other`."""
        return pointwise.sub(self, other, alpha=alpha)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Any:
        """`self / other`."""
        return pointwise.div(self, other, rounding_mode=rounding_mode)

    def pow(self, exponent: Any) -> Any:
        """`self ** exponent`."""
        return pointwise.pow(self, exponent)

    def clamp(self, min: Any = None, max: Any = None) -> Any:
        """`self` kept between `min` and `max`."""
        return pointwise.clamp(self, min, max)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """`clamp`, by NumPy's name."""
        return pointwise.clamp(self, min, max)

    def where(self, condition: Any, other: Any) -> Any:
        """`self` where the condition holds, else `other`."""
        return pointwise.where(condition, self, other)

    def isclose(
        self, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> Any:
        """Whether each pair is close."""
        return pointwise.isclose(self, other, rtol, atol, equal_nan)

    def allclose(
        self, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> bool:
        """Whether all pairs are close."""
        return pointwise.allclose(self, other, rtol, atol, equal_nan)

    # Reductions

    @numpy_names
    def sum(self, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        """The sum over dimensions."""
        return reductions.sum(self, dim, keepdim, dtype=dtype)

    @numpy_names
    def mean(self, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        """The mean over dimensions."""
        return reductions.mean(self, dim, keepdim, dtype=dtype)

    @numpy_names
    def var(
        self,
        dim: Dim | bool = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Any:
        """The variance over dimensions."""
        return reductions.var(self, dim, unbiased, keepdim, correction=correction)

    @numpy_names
    def std(
        self,
        dim: Dim | bool = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Any:
        """The standard deviation over dimensions."""
        return reductions.std(self, dim, unbiased, keepdim, correction=correction)

    @numpy_names
    def amax(self, dim: Dim = None, keepdim: bool = False) -> Any:
        """The largest over dimensions; several share the gradient."""
        return reductions.amax(self, dim, keepdim)

    @numpy_names
    def amin(self, dim: Dim = None, keepdim: bool = False) -> Any:
        """The smallest over dimensions; several share the gradient."""
        return reductions.amin(self, dim, keepdim)

    @numpy_names
    def any(self, dim: Dim = None, keepdim: bool = False) -> Any:
        """Whether any element is not 0."""
        return reductions.any(self, dim, keepdim)

    @numpy_names
    def all(self, dim: Dim = None, keepdim: bool = False) -> Any:
        """Whether every element is not 0."""
        return reductions.all(self, dim, keepdim)

    @numpy_names
    def max(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """The largest; with `dim`, (values, indices)."""
        return reductions.max(self, dim, keepdim, other=other)

    @numpy_names
    def min(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """The smallest; with `dim`, (values, indices)."""
        return reductions.min(self, dim, keepdim, other=other)

    @numpy_names
    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The index of the first of the largest."""
        return reductions.argmax(self, dim, keepdim)

    @numpy_names
    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The index of the first of the smallest."""
        return reductions.argmin(self, dim, keepdim)

    @numpy_names
    def logsumexp(self, dim: Dim, keepdim: bool = False) -> Any:
        """log(sum(exp(self))) over dimensions."""
        return reductions.logsumexp(self, dim, keepdim)

    @numpy_names
    def softmax(self, dim: int, dtype: Any = None) -> Any:
        """exp(self) / sum(exp(self)) along a dimension."""
        return reductions.softmax(self, dim, dtype)

    @numpy_names
    def log_softmax(self, dim: int, dtype: Any = None) -> Any:
        """The logarithm of the softmax along a dimension."""
        return reductions.log_softmax(self, dim, dtype)

    @numpy_names
    def norm(self, p: Any = 2, dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Any:
        """The p-norm over dimensions: the Euclidean length unless p says otherwise."""
        return reductions.norm(self, p, dim, keepdim, dtype)

    # Arrangement

    def reshape(self, *shape_: Any) -> Any:
        """The same elements in another shape."""
        return shape.reshape(self, _sizes(shape_))

    def view(self, *shape_: Any) -> Any:
        """`reshape`, by PyTorch's name."""
        return shape.reshape(self, _sizes(shape_))

    def permute(self, *dims: Any) -> Any:
        """The dimensions in another order."""
        return shape.permute(self, _sizes(dims))

    def expand(self, *sizes: Any) -> Any:
        """Size-1 dimensions repeated, as a view."""
        return shape.expand(self, _sizes(sizes))

    def broadcast_to(self, size: Sequence[int]) -> Any:
        """`expand`, by NumPy's name."""
        return shape.expand(self, size)

    def expand_as(self, other: Any) -> Any:
        """`self` expanded to the shape of `other`."""
        return shape.expand(self, other.shape)

    def reshape_as(self, other: Any) -> Any:
        """`self` in the shape of `other`."""
        return shape.reshape(self, other.shape)

    def flip(self, *dims: Any) -> Any:
        """Dimensions reversed."""
        return shape.flip(self, _sizes(dims))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """Dimensions made into one."""
        return shape.flatten(self, start_dim, end_dim)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Any:
        """One dimension made into several."""
        return shape.unflatten(self, dim, sizes)

    def ravel(self) -> Any:
        """All dimensions made into one."""
        return shape.flatten(self)

    @numpy_names
    def squeeze(self, dim: int | Sequence[int] | None = None) -> Any:
        """Dimensions of size 1 dropped."""
        return shape.squeeze(self, dim)

    @numpy_names
    def unsqueeze(self, dim: int) -> Any:
        """A dimension of size 1 put in."""
        return shape.unsqueeze(self, dim)

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two dimensions exchanged."""
        return shape.transpose(self, dim0, dim1)

    def t(self) -> Any:
        """The transpose of a matrix."""
        return shape.t(self)

    def movedim(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
        """Dimensions moved to other places."""
        return shape.movedim(self, source, destination)

    @numpy_names
    def split(self, split_size: int | Sequence[int], dim: int = 0) -> Any:
        """Views of stretches along a dimension."""
        return shape.split(self, split_size, dim)

    @numpy_names
    def chunk(self, chunks: int, dim: int = 0) -> Any:
        """At most `chunks` views along a dimension."""
        return shape.chunk(self, chunks, dim)

    @numpy_names
    def unbind(self, dim: int = 0) -> Any:
        """The slices along a dimension."""
        return shape.unbind(self, dim)

    def clone(self) -> Any:
        """A copy in memory of its own."""
        return shape.clone(self)

    @property
    def T(self) -> Any:
        """The dimensions in reverse order."""
        return shape.permute(self, tuple(reversed(range(self._data.ndim))))

    @property
    def mT(self) -> Any:
        """The last two dimensions exchanged."""
        return shape.transpose(self, -2, -1)

    # Positions

    def gather(self, dim: int, index: Any) -> Any:
        """One position along `dim` per element of `index`."""
        return indexing.gather(self, dim, index)

    def scatter_add(self, dim: int, index: Any, src: Any) -> Any:
        """`self` with `src` added at positions along `dim`."""
        return indexing.scatter_add(self, dim, index, src)

    def index_select(self, dim: int, index: Any) -> Any:
        """The slices along `dim` that `index` names."""
        return indexing.index_select(self, dim, index)

    def masked_fill(self, mask: Any, value: Any) -> Any:
        """`self` with `value` where the mask holds."""
        return indexing.masked_fill(self, mask, value)

    def masked_select(self, mask: Any) -> Any:
        """The elements where the mask holds."""
        return indexing.masked_select(self, mask)

    def take_along_dim(self, indices: Any, dim: int | None = None) -> Any:
        """`gather`, with the arguments in NumPy's order."""
        return indexing.take_along_dim(self, indices, dim)

    def diag(self, diagonal: int = 0) -> Any:
        """The diagonal of a matrix, or the matrix of a diagonal."""
        return indexing.diag(self, diagonal)

    # Products

    def matmul(self, other: Any) -> Any:
        """The product of matrices or stacks of them."""
        return products.matmul(self, other)

    def mm(self, mat2: Any) -> Any:
        """The product of two matrices."""
        return products.mm(self, mat2)

    def bmm(self, mat2: Any) -> Any:
        """The products of two stacks of matrices."""
        return products.bmm(self, mat2)

    def mv(self, vec: Any) -> Any:
        """The product of a matrix and a vector."""
        return products.mv(self, vec)

    def dot(self, tensor: Any) -> Any:
        """The inner product of two vectors."""
        return products.dot(self, tensor)

    def outer(self, vec2: Any) -> Any:
        """All products of the elements of two vectors."""
        return products.outer(self, vec2)
