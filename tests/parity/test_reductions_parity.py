"""Many to few, next to PyTorch: every dimension, several of them, kept or not, empty or tied."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import PARITY, dims, shapes, views
from hypothesis import assume, given
from hypothesis import strategies as st

SEVERAL = ("sum", "mean", "amax", "amin", "any", "all", "logsumexp")  # dim may be a tuple
ONE_DIM = ("max", "min", "argmax", "argmin")
SPREAD = ("var", "std")
ALONG = ("softmax", "log_softmax")
WHOLE = ("sum", "mean", "amax", "amin", "any", "all", "max", "min", "argmax", "argmin", *SPREAD)
ODD = ("any", "all", "logsumexp")  # dim=() reduces nothing there, or fails backwards
NEEDS_ONE = ("amax", "amin", "max", "min", "argmax", "argmin")  # no value of nothing


@st.composite
def reductions(draw):
    """A view, a dim of each kind, keepdim; in half of the draws the view has ties."""
    x = draw(views(shapes(max_dims=4, max_side=3)))
    ndim = len(shape_of(x))
    one = dims(ndim)
    dim = draw(
        st.one_of(
            one, st.lists(one, max_size=ndim, unique_by=lambda d: d % max(ndim, 1)).map(tuple)
        )
    )
    x = x.between(-3, 3)
    if draw(st.booleans()):
        x = x.map(np.round)
    return x, dim, draw(st.booleans())


def shape_of(x):
    import tapegrad as tg

    return x.look(tg.tensor(x.base)).shape


def reduces_nothing(x, dim):
    shape = shape_of(x)
    dim = range(len(shape)) if dim in ((), None) else (dim,) if isinstance(dim, int) else dim
    return any(shape[d] == 0 for d in dim if shape)


def spread_order(x, dim, correction=1):
    """PyTorch's second gradients are NaN where a variance is 0, and odd where it is not defined."""
    import tapegrad as tg

    values = np.asarray(x.look(tg.tensor(x.base)).data)
    dim = tuple(range(values.ndim)) if dim in (None, ()) or not values.ndim else dim
    count = np.prod([values.shape[d] for d in np.atleast_1d(np.array(dim, int))])
    if count <= correction:
        return 0
    return 1 if np.any(np.ptp(values, axis=dim) == 0) else 2


@pytest.mark.parametrize("name", SEVERAL)
@PARITY
@given(drawn=reductions())
def test_reductions_over_dimensions(same, name, drawn):
    x, dim, keepdim = drawn
    assume(not (name in NEEDS_ONE and reduces_nothing(x, dim)))
    assume(dim != () or name not in ODD)
    same(
        lambda m, x: getattr(m, name)(x, dim, keepdim), x, order=1 if reduces_nothing(x, dim) else 2
    )
    same(lambda m, x: getattr(m, name)(x, dim=dim, keepdim=keepdim), x, order=0, single=False)


@pytest.mark.parametrize("name", WHOLE)
@PARITY
@given(drawn=reductions())
def test_reductions_of_everything(same, name, drawn):
    x, _, _ = drawn
    assume(not (name in NEEDS_ONE and reduces_nothing(x, None)))
    order = spread_order(x, None) if name in SPREAD else 1 if reduces_nothing(x, None) else 2
    same(lambda m, x: getattr(m, name)(x), x, order=order)


@pytest.mark.parametrize("name", ONE_DIM)
@PARITY
@given(drawn=reductions())
def test_extremes_along_a_dimension(same, name, drawn):
    x, dim, keepdim = drawn
    dim = dim if isinstance(dim, int) else (*dim, 0)[0]
    assume(not reduces_nothing(x, dim))
    same(lambda m, x: getattr(m, name)(x, dim, keepdim), x)
    same(lambda m, x: getattr(m, name)(x, dim=dim, keepdim=keepdim), x, order=0, single=False)


@pytest.mark.parametrize("name", SPREAD)
@PARITY
@given(drawn=reductions(), correction=st.sampled_from((0, 1, 2, 0.5)))
def test_variance_and_deviation(same, name, drawn, correction):
    x, dim, keepdim = drawn
    same(
        lambda m, x: getattr(m, name)(x, dim, correction=correction, keepdim=keepdim),
        x,
        order=spread_order(x, dim, correction) if dim != () else 0,  # PyTorch divides by 1 there
        tolerance=1e-7,  # at nearly equal elements the second derivative of std is large
    )


@pytest.mark.parametrize("name", SPREAD)
@PARITY
@given(drawn=reductions(), unbiased=st.booleans())
def test_variance_with_the_older_argument(same, name, drawn, unbiased):
    x, dim, keepdim = drawn
    same(lambda m, x: getattr(m, name)(x, dim, unbiased, keepdim), x, order=0, single=False)
    same(lambda m, x: getattr(m, name)(x, unbiased=unbiased), x, order=0, single=False)


@pytest.mark.parametrize("name", ALONG)
@PARITY
@given(drawn=reductions())
def test_softmax(same, name, drawn):
    x, dim, _ = drawn
    dim = dim if isinstance(dim, int) else (*dim, 0)[0]
    same(lambda m, x: getattr(m, name)(x, dim), x)
    same(lambda m, x: getattr(m, name)(x, dim=dim, dtype=m.float32), x, order=1, tolerance=1e-5)


@pytest.mark.parametrize("name", ["sum", "mean"])
@PARITY
@given(drawn=reductions(), dtype=st.sampled_from(("float32", "float64", "float16")))
def test_reductions_in_another_dtype(same, name, drawn, dtype):
    x, dim, keepdim = drawn
    same(
        lambda m, x: getattr(m, name)(x, dim, keepdim, dtype=getattr(m, dtype)),
        x, order=1, tolerance=4e-3,
    )  # fmt: skip
    same(lambda m, x: getattr(m, name)(x, dtype=getattr(m, dtype)), np.array([[1, 2], [3, 5]]))


DTYPES = (np.bool_, np.uint8, np.int8, np.int32, np.int64, np.float16, np.float32)


@pytest.mark.parametrize("name", ["sum", "amax", "amin", "any", "all", "max", "min"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_of_other_dtypes(same, name, dtype):
    x = np.array([[3, 0, 1], [2, 2, 0]]).astype(dtype)
    same(lambda m, x: getattr(m, name)(x), x, order=1)
    same(lambda m, x: getattr(m, name)(x, 1), x, order=1)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "logsumexp", "softmax", "log_softmax"])
@PARITY
@given(x=views(st.just((7, 5))))
def test_half_precision_accumulates_in_single(same, name, x):
    x = x.between(-2, 2).map(lambda base: base.astype(np.float16))
    same(lambda m, x: getattr(m, name)(x, 0), x, order=1, tolerance=4e-3)


@pytest.mark.parametrize("name", [*SEVERAL, *SPREAD, *ALONG, "max", "min", "argmax", "argmin"])
def test_infinities_and_nan(same, name):
    x = np.array(
        [[np.inf, 1.0, 2.0], [-np.inf, -np.inf, -np.inf], [np.nan, 1.0, np.inf], [0, 0, 0]]
    )
    same(lambda m, x: getattr(m, name)(x, 1), x, order=0)
    same(lambda m, x: getattr(m, name)(x, 0), x, order=0)
    x = np.array([[np.inf, 1.0, 2.0], [-np.inf, -3.0, 1.0], [np.inf, np.inf, -np.inf]])
    same(lambda m, x: getattr(m, name)(x, 1), x, order=0 if name in SPREAD else 1)


ORDERED = ("sort", "argsort", "cummax", "cummin", "logcumsumexp", "cumsum", "cumprod")


@pytest.mark.parametrize("name", ORDERED)
def test_scans_and_sorts_of_infinities_and_nan(same, name):
    x = np.array([[np.inf, 1.0, np.nan], [-np.inf, 1.0, 2.0], [np.inf, -np.inf, 0.0], [0, -0.0, 3]])
    same(lambda m, x: getattr(m, name)(x, 0), x, order=0)
    same(lambda m, x: getattr(m, name)(x, 1), x, order=0)


@pytest.mark.parametrize("name", ["max", "min", "median", "nanmedian"])
@pytest.mark.parametrize("x", [[2.0, np.nan, 3.0, np.nan], [np.nan, np.nan], [1.0, 1.0, 3.0]])
def test_of_all_elements_equals_share(same, name, x):
    same(lambda m, x: getattr(m, name)(x), np.array(x), order=1)


@pytest.mark.parametrize("name", ["prod", "cumprod", "cumsum", "nansum", "count_nonzero"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_and_products_of_other_dtypes(same, name, dtype):
    x = np.array([[3, 0, 1], [2, 2, 0]]).astype(dtype)
    same(lambda m, x: getattr(m, name)(x, 1), x, order=1)


@pytest.mark.parametrize("zeros", [(), (1,), (0, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_products_with_zeros(same, name, zeros):
    x = np.array([2.0, -3.0, 0.5, 4.0])
    x[list(zeros)] = 0.0
    same(lambda m, x: getattr(m, name)(x, 0), x)


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
def test_quantiles_of_nan(same, interpolation):
    x = np.array([[3.0, np.nan, 1.0, 2.0], [np.nan] * 4, [4.0, 1.0, 3.0, 2.0]])
    q = np.array([0.0, 0.4, 0.5, 1.0])
    options = {"dim": 1, "interpolation": interpolation}
    same(lambda m, x, q: m.quantile(x, q, **options), x, q, order=0)
    same(lambda m, x, q: m.nanquantile(x, q, **options), x, q, order=0)


X, NONE, COUNTS = np.zeros((2, 3)), np.zeros((0, 3)), np.arange(3)
DIMS = (*SEVERAL, *ONE_DIM, *SPREAD, *ALONG)
MISTAKES = {
    **{
        f"{name}: dim": (
            lambda m, x, name=name: getattr(m, name)(x, 2),
            (X,),
            [name, "2", "-2 to 1"],
        )
        for name in DIMS
    },
    **{
        f"{name}: negative dim": (
            lambda m, x, name=name: getattr(m, name)(x, -3),
            (X,),
            [name, "-3"],
        )
        for name in DIMS
    },
    **{
        f"{name}: twice": (
            lambda m, x, name=name: getattr(m, name)(x, (0, -2)),
            (X,),
            [name, "twice"],
        )
        for name in SEVERAL + SPREAD
    },
    **{
        f"{name} of nothing": (
            lambda m, x, name=name: getattr(m, name)(x, 0),
            (NONE,),
            [name, "float64[0, 3]"],
        )
        for name in NEEDS_ONE
    },
    **{
        f"{name} of nothing at all": (
            lambda m, x, name=name: getattr(m, name)(x),
            (NONE,),
            [name, "float64[0, 3]"],
        )
        for name in NEEDS_ONE
    },
    **{
        f"{name} of integers": (
            lambda m, x, name=name: getattr(m, name)(x),
            (COUNTS,),
            [name, "int64"],
        )
        for name in ("mean", *SPREAD)
    },
    **{
        f"{name} of nothing along a dimension": (
            lambda m, x, name=name: getattr(m, name)(x, 0),
            (NONE,),
            [name, "float64[0, 3]"],
        )
        for name in ("median", "nanmedian")
    },
    **{
        f"{name}: dim": (lambda m, x, name=name: getattr(m, name)(x, 2), (X,), [name, "2"])
        for name in (
            "cumsum",
            "cumprod",
            "cummax",
            "cummin",
            "logcumsumexp",
            "sort",
            "argsort",
            "median",
            "mode",
            "prod",
        )
    },
    "kthvalue: k": (lambda m, x: m.kthvalue(x, 4), (X,), ["kthvalue", "1 to 3", "4"]),
    "kthvalue: k of 0": (lambda m, x: m.kthvalue(x, 0), (X,), ["kthvalue", "0"]),
    "topk: k": (lambda m, x: m.topk(x, 4), (X,), ["topk", "0 to 3", "4"]),
    "quantile: q": (lambda m, x: m.quantile(x, 1.5), (X,), ["quantile", "between 0 and 1"]),
    "quantile: dtype of q": (
        lambda m, x, q: m.quantile(x, q),
        (X, np.zeros(2, np.float32)),
        ["quantile", "float64", "float32[2]"],
    ),
    "quantile: q of two dimensions": (
        lambda m, x, q: m.quantile(x, q),
        (X, np.zeros((1, 1))),
        ["quantile", "one dimension"],
    ),
    "quantile: interpolation": (
        lambda m, x: m.quantile(x, 0.5, interpolation="cubic"),
        (X,),
        ["quantile", "midpoint", "cubic"],
    ),
    "quantile of nothing": (lambda m, x: m.quantile(x, 0.5), (NONE,), ["quantile", "nothing"]),
    "quantile of integers": (lambda m, x: m.quantile(x, 0.5), (COUNTS,), ["quantile", "int64"]),
    "trace of a vector": (lambda m, x: m.trace(x), (COUNTS,), ["trace", "matrix", "int64[3]"]),
    "max of a number": (lambda m, x: m.max(2, x), (COUNTS,), ["max", "int"]),
    "diff: n": (lambda m, x: m.diff(x, -1), (X,), ["diff", "-1"]),
    "diff: prepend": (
        lambda m, x, y: m.diff(x, prepend=y),
        (X, np.zeros((3, 1))),
        ["diff", "float64[3, 1]", "float64[2, 3]"],
    ),
    "trapezoid: x": (
        lambda m, y, x: m.trapezoid(y, x),
        (X, np.zeros(2)),
        ["trapezoid", "float64[2]"],
    ),
    "gradient: edge_order": (
        lambda m, x: m.gradient(x, edge_order=3),
        (X,),
        ["gradient", "edge_order", "3"],
    ),
    "gradient: spacing": (
        lambda m, x: m.gradient(x, spacing=[1.0]),
        (X,),
        ["gradient", "spacing", "2 dimensions"],
    ),
    "searchsorted: shapes": (
        lambda m, s, v: m.searchsorted(s, v),
        (X, np.zeros((3, 2))),
        ["searchsorted", "float64[2, 3]", "float64[3, 2]"],
    ),
    "searchsorted: side": (
        lambda m, s, v: m.searchsorted(s, v, side="left", right=True),
        (COUNTS, COUNTS),
        ["searchsorted", "left"],
    ),
    "bucketize: boundaries": (
        lambda m, x, b: m.bucketize(x, b),
        (X, X),
        ["bucketize", "one dimension"],
    ),
    "bincount: negative": (lambda m, x: m.bincount(x), (COUNTS - 1,), ["bincount", "from 0"]),
    "bincount: weights": (
        lambda m, x, w: m.bincount(x, w),
        (COUNTS, np.zeros(2)),
        ["bincount", "float64[2]", "int64[3]"],
    ),
    "histc: bins": (lambda m, x: m.histc(x, bins=0), (X,), ["histc", "0"]),
    "cov: three dimensions": (lambda m, x: m.cov(x), (np.zeros((2, 2, 2)),), ["cov", "two"]),
    "cov: weights": (
        lambda m, x, w: m.cov(x, fweights=w),
        (X, np.arange(4)),
        ["cov", "fweights", "3", "int64[4]"],
    ),
    "sum: dim of a scalar": (lambda m, x: m.sum(x, 1), (X[0, 0],), ["sum", "1"]),
    "sum: not a dim": (lambda m, x: m.sum(x, "0"), (X,), ["sum", "dim"]),
    "softmax: no dim": (lambda m, x: m.softmax(x), (X,), ["softmax", "dim"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)
