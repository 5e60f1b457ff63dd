"""Operations as methods of a tensor.

A method is the function of the same name in `tapegrad.autograd.operations`, where its description
is; written out here are those that PyTorch calls differently as a method.
"""

from __future__ import annotations

from typing import Any

from .engine import describe
from .operations import (
    activation,
    arithmetic,
    comparison,
    creation,
    diagonals,
    distances,
    exponential,
    indexing,
    joining,
    kinds,
    logic,
    matrices,
    positions,
    products,
    random,
    reductions,
    repeating,
    rounding,
    scans,
    scattering,
    selection,
    shape,
    sorting,
    special,
    statistics,
    trigonometry,
)
from .operations.arguments import numpy_names, sizes_of
from .operators import Operators


class Operations(Operators):
    """The methods of a tensor that compute; `Tensor` adds what it is and where it lives."""

    __slots__ = ()

    new_empty = creation.new_empty
    new_full = creation.new_full
    new_ones = creation.new_ones
    new_tensor = creation.new_tensor
    new_zeros = creation.new_zeros

    is_nonzero = kinds.is_nonzero

    bernoulli = random.bernoulli
    multinomial = random.multinomial

    abs = arithmetic.abs
    absolute = arithmetic.absolute
    add = arithmetic.add
    addcdiv = arithmetic.addcdiv
    addcmul = arithmetic.addcmul
    copysign = arithmetic.copysign
    div = arithmetic.div
    divide = arithmetic.divide
    float_power = arithmetic.float_power
    gcd = arithmetic.gcd
    lcm = arithmetic.lcm
    ldexp = arithmetic.ldexp
    lerp = arithmetic.lerp
    mul = arithmetic.mul
    multiply = arithmetic.multiply
    neg = arithmetic.neg
    negative = arithmetic.negative
    positive = arithmetic.positive
    pow = arithmetic.pow
    reciprocal = arithmetic.reciprocal
    sgn = arithmetic.sgn
    sign = arithmetic.sign
    square = arithmetic.square
    sub = arithmetic.sub
    subtract = arithmetic.subtract
    true_divide = arithmetic.true_divide

    ceil = rounding.ceil
    fix = rounding.fix
    floor = rounding.floor
    floor_divide = rounding.floor_divide
    fmod = rounding.fmod
    frac = rounding.frac
    remainder = rounding.remainder
    round = rounding.round
    trunc = rounding.trunc

    exp = exponential.exp
    exp2 = exponential.exp2
    expm1 = exponential.expm1
    log = exponential.log
    log10 = exponential.log10
    log1p = exponential.log1p
    log2 = exponential.log2
    logaddexp = exponential.logaddexp
    logaddexp2 = exponential.logaddexp2
    logit = exponential.logit
    rsqrt = exponential.rsqrt
    sigmoid = exponential.sigmoid
    sqrt = exponential.sqrt
    xlogy = exponential.xlogy

    digamma = special.digamma
    erf = special.erf
    erfc = special.erfc
    erfinv = special.erfinv
    i0 = special.i0
    lgamma = special.lgamma
    mvlgamma = special.mvlgamma

    acos = trigonometry.acos
    acosh = trigonometry.acosh
    arccos = trigonometry.arccos
    arccosh = trigonometry.arccosh
    arcsin = trigonometry.arcsin
    arcsinh = trigonometry.arcsinh
    arctan = trigonometry.arctan
    arctan2 = trigonometry.arctan2
    arctanh = trigonometry.arctanh
    asin = trigonometry.asin
    asinh = trigonometry.asinh
    atan = trigonometry.atan
    atan2 = trigonometry.atan2
    atanh = trigonometry.atanh
    cos = trigonometry.cos
    cosh = trigonometry.cosh
    deg2rad = trigonometry.deg2rad
    hypot = trigonometry.hypot
    rad2deg = trigonometry.rad2deg
    sin = trigonometry.sin
    sinc = trigonometry.sinc
    sinh = trigonometry.sinh
    tan = trigonometry.tan
    tanh = trigonometry.tanh

    hardshrink = activation.hardshrink
    prelu = activation.prelu

    clamp = selection.clamp
    clamp_max = selection.clamp_max
    clamp_min = selection.clamp_min
    clip = selection.clip
    fmax = selection.fmax
    fmin = selection.fmin
    heaviside = selection.heaviside
    maximum = selection.maximum
    minimum = selection.minimum
    nan_to_num = selection.nan_to_num
    relu = selection.relu

    allclose = comparison.allclose
    eq = comparison.eq
    equal = comparison.equal
    ge = comparison.ge
    greater = comparison.greater
    greater_equal = comparison.greater_equal
    gt = comparison.gt
    isclose = comparison.isclose
    isfinite = comparison.isfinite
    isinf = comparison.isinf
    isnan = comparison.isnan
    isneginf = comparison.isneginf
    isposinf = comparison.isposinf
    isreal = comparison.isreal
    le = comparison.le
    less = comparison.less
    less_equal = comparison.less_equal
    lt = comparison.lt
    ne = comparison.ne
    not_equal = comparison.not_equal
    signbit = comparison.signbit

    bitwise_and = logic.bitwise_and
    bitwise_left_shift = logic.bitwise_left_shift
    bitwise_not = logic.bitwise_not
    bitwise_or = logic.bitwise_or
    bitwise_right_shift = logic.bitwise_right_shift
    bitwise_xor = logic.bitwise_xor
    logical_and = logic.logical_and
    logical_not = logic.logical_not
    logical_or = logic.logical_or
    logical_xor = logic.logical_xor

    sum = reductions.sum
    nansum = reductions.nansum
    prod = reductions.prod
    trace = reductions.trace
    amax = reductions.amax
    amin = reductions.amin
    aminmax = reductions.aminmax
    any = reductions.any
    all = reductions.all
    count_nonzero = reductions.count_nonzero
    max = reductions.max
    min = reductions.min
    argmax = reductions.argmax
    argmin = reductions.argmin
    logsumexp = reductions.logsumexp
    softmax = reductions.softmax
    log_softmax = reductions.log_softmax
    norm = reductions.norm

    mean = statistics.mean
    nanmean = statistics.nanmean
    var = statistics.var
    std = statistics.std
    median = statistics.median
    nanmedian = statistics.nanmedian
    kthvalue = statistics.kthvalue
    mode = statistics.mode
    quantile = statistics.quantile
    nanquantile = statistics.nanquantile
    cov = statistics.cov
    corrcoef = statistics.corrcoef
    histc = statistics.histc

    cumsum = scans.cumsum
    cumprod = scans.cumprod
    cummax = scans.cummax
    cummin = scans.cummin
    logcumsumexp = scans.logcumsumexp
    diff = scans.diff

    sort = sorting.sort
    argsort = sorting.argsort
    msort = sorting.msort
    topk = sorting.topk
    unique = sorting.unique
    unique_consecutive = sorting.unique_consecutive
    bincount = sorting.bincount

    adjoint = shape.adjoint
    broadcast_to = shape.broadcast_to
    clone = shape.clone
    expand_as = shape.expand_as
    flatten = shape.flatten
    moveaxis = shape.moveaxis
    movedim = shape.movedim
    ravel = shape.ravel
    reshape_as = shape.reshape_as
    squeeze = shape.squeeze
    sum_to_size = shape.sum_to_size
    swapaxes = shape.swapaxes
    swapdims = shape.swapdims
    t = shape.t
    transpose = shape.transpose
    unflatten = shape.unflatten
    unsqueeze = shape.unsqueeze
    view = shape.view
    view_as = shape.view_as

    chunk = joining.chunk
    dsplit = joining.dsplit
    hsplit = joining.hsplit
    split_with_sizes = joining.split_with_sizes
    tensor_split = joining.tensor_split
    unbind = joining.unbind
    vsplit = joining.vsplit

    fliplr = repeating.fliplr
    flipud = repeating.flipud
    repeat = repeating.repeat
    repeat_interleave = repeating.repeat_interleave
    roll = repeating.roll
    rot90 = repeating.rot90

    diag = diagonals.diag
    diag_embed = diagonals.diag_embed
    diagflat = diagonals.diagflat
    diagonal = diagonals.diagonal
    diagonal_scatter = diagonals.diagonal_scatter
    tril = diagonals.tril
    triu = diagonals.triu
    unfold = diagonals.unfold

    as_strided = indexing.as_strided
    gather = indexing.gather
    index_select = indexing.index_select
    masked_select = indexing.masked_select
    narrow = indexing.narrow
    narrow_copy = indexing.narrow_copy
    select = indexing.select
    take = indexing.take
    take_along_dim = indexing.take_along_dim

    argwhere = positions.argwhere
    nonzero = positions.nonzero
    nonzero_static = positions.nonzero_static

    index_add = scattering.index_add
    index_copy = scattering.index_copy
    index_fill = scattering.index_fill
    index_put = scattering.index_put
    index_reduce = scattering.index_reduce
    masked_fill = scattering.masked_fill
    masked_scatter = scattering.masked_scatter
    put = scattering.put
    scatter = scattering.scatter
    scatter_add = scattering.scatter_add
    scatter_reduce = scattering.scatter_reduce
    select_scatter = scattering.select_scatter
    slice_scatter = scattering.slice_scatter

    matmul = products.matmul
    mm = products.mm
    bmm = products.bmm
    mv = products.mv
    dot = products.dot
    vdot = products.vdot
    inner = products.inner
    outer = products.outer
    ger = products.ger
    addmm = products.addmm
    addmv = products.addmv
    addbmm = products.addbmm
    baddbmm = products.baddbmm
    addr = products.addr
    kron = products.kron
    cross = products.cross
    dist = distances.dist

    cholesky = matrices.cholesky
    cholesky_inverse = matrices.cholesky_inverse
    cholesky_solve = matrices.cholesky_solve
    det = matrices.det
    inverse = matrices.inverse
    logdet = matrices.logdet
    matrix_exp = matrices.matrix_exp
    matrix_power = matrices.matrix_power
    pinverse = matrices.pinverse
    qr = matrices.qr
    slogdet = matrices.slogdet
    svd = matrices.svd
    triangular_solve = matrices.triangular_solve

    def polygamma(self, n: int) -> Any:
        """The derivative of order `n` of `digamma`."""
        return special.polygamma(n, self)

    def where(self, condition: Any, other: Any) -> Any:
        """`self` where the condition holds, else `other`."""
        return selection.where(condition, self, other)

    def reshape(self, *sizes: Any, **named: Any) -> Any:
        """The same elements in another shape."""
        return shape.reshape(self, sizes_of("reshape", "shape", sizes, named))

    def permute(self, *dims: Any, **named: Any) -> Any:
        """The dimensions in another order."""
        return shape.permute(self, sizes_of("permute", "dims", dims, named))

    def expand(self, *sizes: Any, **named: Any) -> Any:
        """Size-1 dimensions repeated, as a view."""
        return shape.expand(self, sizes_of("expand", "size", sizes, named))

    def flip(self, *dims: Any, **named: Any) -> Any:
        """Dimensions reversed."""
        return repeating.flip(self, sizes_of("flip", "dims", dims, named))

    def tile(self, *dims: Any, **named: Any) -> Any:
        """The whole tensor repeated along the last dimensions."""
        return repeating.tile(self, sizes_of("tile", "dims", dims, named))

    @numpy_names
    def split(self, split_size: Any, dim: int = 0) -> Any:
        """Views of stretches along a dimension."""
        return joining.split(self, split_size, dim)

    @property
    def T(self) -> Any:
        """The dimensions in reverse order."""
        return shape.permute(self, tuple(reversed(range(self._data.ndim))))

    @property
    def H(self) -> Any:
        """A matrix transposed; of real numbers, that is all."""
        if self._data.ndim not in (0, 2):
            raise RuntimeError(f"H: expected a matrix, got {describe(self)}")
        return shape.adjoint(self)

    @property
    def mT(self) -> Any:
        """The last two dimensions exchanged."""
        return shape.adjoint(self)

    @property
    def mH(self) -> Any:
        """The last two dimensions exchanged: of real numbers, the adjoint."""
        return shape.adjoint(self)
