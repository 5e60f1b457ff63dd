"""Operations as methods of a tensor.

A method is the function of the same name in `tapegrad.autograd.operations`, where its description
is; written out here are those that PyTorch calls differently as a method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .operations import (
    arithmetic,
    comparison,
    exponential,
    indexing,
    products,
    reductions,
    selection,
    shape,
    trigonometry,
)
from .operators import Operators


class Operations(Operators):
    """The methods of a tensor that compute; `Tensor` adds what it is and where it lives."""

    __slots__ = ()

    neg = arithmetic.neg
    abs = arithmetic.abs
    sign = arithmetic.sign
    floor = arithmetic.floor
    reciprocal = arithmetic.reciprocal
    square = arithmetic.square
    mul = arithmetic.mul
    floor_divide = arithmetic.floor_divide
    remainder = arithmetic.remainder
    add = arithmetic.add
    sub = arithmetic.sub
    div = arithmetic.div
    pow = arithmetic.pow

    exp = exponential.exp
    expm1 = exponential.expm1
    log = exponential.log
    log1p = exponential.log1p
    sqrt = exponential.sqrt
    rsqrt = exponential.rsqrt
    sigmoid = exponential.sigmoid
    erf = exponential.erf

    sin = trigonometry.sin
    cos = trigonometry.cos
    tanh = trigonometry.tanh

    relu = selection.relu
    maximum = selection.maximum
    minimum = selection.minimum
    clamp = selection.clamp
    clip = selection.clamp

    isnan = comparison.isnan
    isinf = comparison.isinf
    isfinite = comparison.isfinite
    logical_not = comparison.logical_not
    bitwise_not = comparison.bitwise_not
    eq = comparison.eq
    ne = comparison.ne
    lt = comparison.lt
    le = comparison.le
    gt = comparison.gt
    ge = comparison.ge
    logical_and = comparison.logical_and
    logical_or = comparison.logical_or
    bitwise_and = comparison.bitwise_and
    bitwise_or = comparison.bitwise_or
    bitwise_xor = comparison.bitwise_xor
    isclose = comparison.isclose
    allclose = comparison.allclose

    sum = reductions.sum
    mean = reductions.mean
    var = reductions.var
    std = reductions.std
    amax = reductions.amax
    amin = reductions.amin
    any = reductions.any
    all = reductions.all
    max = reductions.max
    min = reductions.min
    argmax = reductions.argmax
    argmin = reductions.argmin
    logsumexp = reductions.logsumexp
    softmax = reductions.softmax
    log_softmax = reductions.log_softmax
    norm = reductions.norm

    broadcast_to = shape.expand
    expand_as = shape.expand_as
    reshape_as = shape.reshape_as
    flatten = shape.flatten
    unflatten = shape.unflatten
    ravel = shape.flatten
    squeeze = shape.squeeze
    unsqueeze = shape.unsqueeze
    transpose = shape.transpose
    t = shape.t
    movedim = shape.movedim
    split = shape.split
    chunk = shape.chunk
    unbind = shape.unbind
    clone = shape.clone

    gather = indexing.gather
    scatter_add = indexing.scatter_add
    index_select = indexing.index_select
    masked_fill = indexing.masked_fill
    masked_select = indexing.masked_select
    take_along_dim = indexing.take_along_dim
    diag = indexing.diag

    matmul = products.matmul
    mm = products.mm
    bmm = products.bmm
    mv = products.mv
    dot = products.dot
    outer = products.outer

    def where(self, condition: Any, other: Any) -> Any:
        """`self` where the condition holds, else `other`."""
        return selection.where(condition, self, other)

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

    def flip(self, *dims: Any) -> Any:
        """Dimensions reversed."""
        return shape.flip(self, _sizes(dims))

    @property
    def T(self) -> Any:
        """The dimensions in reverse order."""
        return shape.permute(self, tuple(reversed(range(self._data.ndim))))

    @property
    def mT(self) -> Any:
        """The last two dimensions exchanged."""
        return shape.transpose(self, -2, -1)


def _sizes(sizes: tuple[Any, ...]) -> Sequence[int]:
    """Sizes or dimensions given one by one or as one sequence."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
