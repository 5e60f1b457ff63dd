"""What layers are made of, next to PyTorch: convolution, pooling, cross-entropy, linear maps."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import PARITY, views
from drawing import Draw
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_calls import adaptive, maximum

MORE = settings(PARITY, max_examples=60)


def F(m):
    """The functions of layers, of either library."""
    return m.module.nn.functional


# linear


@PARITY
@given(data=st.data(), rank=st.integers(1, 4), bias=st.booleans())
def test_linear(same, data, rank, bias):
    lead = data.draw(st.tuples(*[st.integers(0, 3)] * (rank - 1)))
    n, k = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    x, weight = data.draw(views((*lead, k))), data.draw(views((n, k)))
    x, weight = x.between(-2, 2), weight.between(-1, 1)
    if bias:
        same(lambda m, x, w, b: m.linear(x, w, b), x, weight, data.draw(views((n,))))
    else:
        same(lambda m, x, w: m.linear(x, w), x, weight)


# Pooling


@pytest.mark.parametrize("dims", [1, 2, 3])
@PARITY
@given(source=st.randoms())
def test_max_pooling_of_ties_takes_the_first(same, dims, source):
    drawn = maximum(dims)(Draw(source))
    x, *args = drawn.args
    kwargs = {**drawn.kwargs, "return_indices": True}
    same(
        lambda m, x: getattr(F(m), f"max_pool{dims}d")(x, *args, **kwargs),
        x.map(np.round),
    )


@pytest.mark.parametrize("dims", [1, 2, 3])
@PARITY
@given(source=st.randoms())
def test_adaptive_max_pooling_of_ties_takes_the_first(same, dims, source):
    drawn = adaptive(dims, indices=True)(Draw(source))
    x, output = drawn.args
    function = f"adaptive_max_pool{dims}d"
    same(
        lambda m, x: getattr(F(m), function)(x, output, True),
        x.map(np.round),
        order=drawn.order,
    )


def test_max_pool2d_of_infinities_and_nan(same):
    x = np.full((1, 1, 4, 4), -np.inf)
    x[0, 0, 2, 2], x[0, 0, 0, 3] = np.nan, np.inf
    same(lambda m, x: m.max_pool2d(x, 2, return_indices=True), x)
    same(lambda m, x: m.max_pool2d(x, 3, 1, 1, return_indices=True), x)
    same(lambda m, x: m.max_pool2d(x, 4, 1, 2, return_indices=True), x)
    same(lambda m, x: F(m).adaptive_max_pool2d(x, (3, 2), True), x)


@pytest.mark.parametrize("p", [1, 2, 3, 0.5, float("inf"), -1])
def test_norms_of_windows_of_zeros_have_no_gradient(same, p):
    x = np.array([[[0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 1.0, 3.0]]])
    order = 1 if p > 0 else 0
    same(lambda m, x: F(m).lp_pool2d(x, p, 2), x, order=order)


def test_images_of_another_size_are_unpooled_where_the_winners_were(same):
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 5))

    def there_and_back(m, x):
        y, indices = F(m).max_pool2d(x, 3, 2, 1, return_indices=True)
        return F(m).max_unpool2d(y, indices, 3, 2, 1, output_size=x.shape)

    same(there_and_back, x)


# Losses


@st.composite
def classified(draw):
    """Scores (N, C, ...) or (C,), targets, class weights or None, and arguments."""
    classes = draw(st.integers(1, 4))
    shape = draw(st.sampled_from([(), (1,), (3,), (0,), (2, 3), (2, 1, 2), (1, 2, 0)]))
    scores = (classes,) if not shape else (shape[0], classes, *shape[1:])
    random = np.random.default_rng(draw(st.integers(0, 99)))
    target = random.integers(0, classes, shape)
    options = {"reduction": draw(st.sampled_from(["mean", "sum", "none"]))}
    if draw(st.booleans()) and target.size > 1:
        options["ignore_index"] = draw(st.sampled_from([-100, -1, 255]))
        target = target.copy()
        target.reshape(-1)[0] = options["ignore_index"]
    weight = draw(st.none() | views((classes,)))
    x = draw(views(scores)).between(-3, 3)
    return x, target, weight and weight.between(0.5, 2), options


def losing(name, options):
    """The call of a loss; class weights are constants, as PyTorch wants them."""

    def call(m, x, target, weight=None):
        weight = None if weight is None else weight.detach()
        # PyTorch's nll_loss fails to differentiate images that are not contiguous.
        return getattr(m, name)(x.contiguous(), target, weight, **options)

    return call


@MORE
@given(drawn=classified(), smoothing=st.sampled_from([0.0, 0.0, 0.1, 1.0]))
def test_cross_entropy(same, drawn, smoothing):
    x, target, weight, options = drawn
    if not target.size and options["reduction"] == "mean":
        return  # NaN there, 0 here: README, "What differs from PyTorch"
    args = [x, np.asarray(target)] + ([] if weight is None else [weight])
    same(losing("cross_entropy", {**options, "label_smoothing": smoothing}), *args)


@MORE
@given(drawn=classified())
def test_nll_loss(same, drawn):
    x, target, weight, options = drawn
    if not target.size and options["reduction"] == "mean":
        return
    args = [x, np.asarray(target)] + ([] if weight is None else [weight])
    same(losing("nll_loss", options), *args)


@PARITY
@given(drawn=classified(), smoothing=st.sampled_from([0.0, 0.1, 1.0]))
def test_cross_entropy_against_probabilities(same, drawn, smoothing):
    x, target, weight, options = drawn
    options = {"reduction": options["reduction"], "label_smoothing": smoothing}
    if not target.size and options["reduction"] == "mean":
        return
    args = [x, x.map(np.abs)] + ([] if weight is None else [weight])
    same(losing("cross_entropy", options), *args)


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_cross_entropy_of_large_logits(same, scale):
    x = np.array([[1.0, 0.5, -1.0], [0.0, 0.0, 1.0]]) * scale
    for name in ("mean", "none"):
        same(lambda m, x, t, name=name: m.cross_entropy(x, t, reduction=name), x, np.array([0, 1]))


# Half precision accumulates in single precision

HALF = {
    "linear": (lambda m, x: m.linear(x[0, 0], x[0, 0]), (1, 1, 6, 6)),
    "conv2d": (lambda m, x: m.conv2d(x, x[:1], padding=1), (1, 2, 5, 5)),
    "avg_pool2d": (lambda m, x: m.avg_pool2d(x, 3), (1, 2, 6, 6)),
    "max_pool2d": (lambda m, x: m.max_pool2d(x, 2), (1, 2, 6, 6)),
}


@pytest.mark.parametrize("name", HALF)
def test_half_precision(same, name):
    call, shape = HALF[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    same(call, x, order=1, tolerance=8e-3)


# Mistakes


X4, W = np.zeros((2, 3, 5, 5)), np.zeros((4, 3, 3, 3))
X2, X5, T = np.zeros((2, 3)), np.zeros((2, 5)), np.array([0, 1])
IMAGES, FILTERS = "float64[2, 3, 5, 5]", "float64[4, 3, 3, 3]"
MISTAKES = {
    "linear: inner": (
        lambda m, x, w: m.linear(x, w),
        (X2, X5),
        ["linear", "float64[2, 3]", "float64[2, 5]"],
    ),
    "linear: bias": (lambda m, x, b: m.linear(x, x, b), (X2, X5[0]), ["linear", "float64[5]"]),
    "linear: scalar": (lambda m, x, w: m.linear(x, w), (X2[0, 0], X2), ["linear", "float64[]"]),
    "linear: dtypes": (
        lambda m, x, w: m.linear(x, w),
        (X2, X2.astype(np.float32)),
        ["linear", "float32"],
    ),
    "conv2d: channels": (
        lambda m, x, w: m.conv2d(x, w),
        (X4[:, :2], W),
        ["conv2d", "float64[2, 2, 5, 5]", FILTERS],
    ),
    "conv2d: groups": (
        lambda m, x, w: m.conv2d(x, w, groups=2),
        (X4, W),
        ["conv2d", IMAGES, "groups"],
    ),
    "conv2d: no groups": (lambda m, x, w: m.conv2d(x, w, groups=0), (X4, W), ["conv2d", "groups"]),
    "conv2d: rank": (lambda m, x, w: m.conv2d(x, w), (X2, W), ["conv2d", "float64[2, 3]"]),
    "conv2d: filters": (lambda m, x, w: m.conv2d(x, w), (X4, X2), ["conv2d", "float64[2, 3]"]),
    "conv2d: bias": (
        lambda m, x, w, b: m.conv2d(x, w, b),
        (X4, W, X2[0]),
        ["conv2d", "bias", "float64[3]"],
    ),
    "conv2d: kernel": (
        lambda m, x, w: m.conv2d(x, w, dilation=3),
        (X4, W),
        ["conv2d", IMAGES, FILTERS],
    ),
    "conv2d: stride": (lambda m, x, w: m.conv2d(x, w, stride=0), (X4, W), ["conv2d", "stride"]),
    "conv2d: padding": (lambda m, x, w: m.conv2d(x, w, padding=-1), (X4, W), ["conv2d", "padding"]),
    "conv2d: name": (
        lambda m, x, w: m.conv2d(x, w, padding="full"),
        (X4, W),
        ["conv2d", "padding", "full"],
    ),
    "conv2d: same": (
        lambda m, x, w: m.conv2d(x, w, stride=2, padding="same"),
        (X4, W),
        ["conv2d", "same"],
    ),
    "conv2d: whole": (
        lambda m, x, w: m.conv2d(x, w),
        (X4.astype(np.int64), W),
        ["conv2d", "int64"],
    ),
    "conv2d: dtypes": (
        lambda m, x, w: m.conv2d(x, w),
        (X4, W.astype(np.float32)),
        ["conv2d", "float32"],
    ),
    "max_pool2d: window": (lambda m, x: m.max_pool2d(x, 6), (X4,), ["max_pool2d", IMAGES, "6"]),
    "max_pool2d: padding": (
        lambda m, x: m.max_pool2d(x, 2, padding=2),
        (X4,),
        ["max_pool2d", "padding"],
    ),
    "max_pool2d: rank": (lambda m, x: m.max_pool2d(x, 2), (X2,), ["max_pool2d", "float64[2, 3]"]),
    "max_pool2d: kernel": (lambda m, x: m.max_pool2d(x, 0), (X4,), ["max_pool2d", "kernel"]),
    "max_pool2d: stride": (lambda m, x: m.max_pool2d(x, 2, 0), (X4,), ["max_pool2d", "stride"]),
    "avg_pool2d: window": (lambda m, x: m.avg_pool2d(x, 6), (X4,), ["avg_pool2d", IMAGES, "6"]),
    "avg_pool2d: padding": (
        lambda m, x: m.avg_pool2d(x, 2, padding=2),
        (X4,),
        ["avg_pool2d", "padding"],
    ),
    "max_pool3d: window": (
        lambda m, x: F(m).max_pool3d(x, 6),
        (X4,),
        ["max_pool3d", "3, 5, 5]", "(6, 6, 6)"],
    ),
    "max_pool1d: nothing": (
        lambda m, x: F(m).max_pool1d(x[:, :0], 1),
        (X4[0],),
        ["max_pool1d", "float64[3, 0, 5]"],
    ),
    "avg_pool1d: lengths": (lambda m, x: F(m).avg_pool1d(x, (2, 2)), (X4[0],), ["kernel_size"]),
    "avg_pool2d: divisor": (
        lambda m, x: F(m).avg_pool2d(x, 2, divisor_override=0),
        (X4,),
        ["divisor_override"],
    ),
    "conv1d: rank": (lambda m, x, w: F(m).conv1d(x, w), (X4, X4[0]), ["conv1d", IMAGES]),
    "conv3d: channels": (
        lambda m, x, w: F(m).conv3d(x, w),
        (X4, X4),
        ["conv3d", "float64[2, 3, 5, 5]"],
    ),
    "conv2d: strides": (
        lambda m, x, w: F(m).conv2d(x, w, stride=(1, 1, 1)),
        (X4, W),
        ["conv2d", "stride", "(1, 1, 1)"],
    ),
    "conv2d: fraction": (lambda m, x, w: F(m).conv2d(x, w, stride=1.5), (X4, W), ["conv2d", "1.5"]),
    "conv_transpose2d: channels": (
        lambda m, x, w: F(m).conv_transpose2d(x, w),
        (X4, W),
        ["conv_transpose2d", IMAGES, FILTERS],
    ),
    "conv_transpose2d: groups": (
        lambda m, x, w: F(m).conv_transpose2d(x, w, groups=3),
        (W, W),
        ["conv_transpose2d", "3 groups", FILTERS],
    ),
    "conv_transpose2d: bias": (
        lambda m, x, w, b: F(m).conv_transpose2d(x, w, b),
        (X4, W[:3], X2[0, :2]),
        ["conv_transpose2d", "bias", "float64[2]"],
    ),
    "conv_transpose2d: output_padding": (
        lambda m, x, w: F(m).conv_transpose2d(x, w, stride=2, output_padding=2),
        (X4, W[:3]),
        ["conv_transpose2d", "output_padding (2, 2)", "stride (2, 2)"],
    ),
    "conv_transpose2d: padding": (
        lambda m, x, w: F(m).conv_transpose2d(x, w, padding=9),
        (X4, W[:3]),
        ["conv_transpose2d", IMAGES, "(9, 9)"],
    ),
    "conv_transpose2d: empty": (
        lambda m, x, w: F(m).conv_transpose2d(x[:, :, :0], w),
        (X4, W[:3]),
        ["conv_transpose2d", "float64[2, 3, 0, 5]"],
    ),
    "unfold: window": (lambda m, x: F(m).unfold(x, 6), (X4,), ["unfold", IMAGES, "(6, 6)"]),
    "unfold: kernel": (lambda m, x: F(m).unfold(x, (2,)), (X4,), ["unfold", "kernel_size", "(2,)"]),
    "unfold: channels": (
        lambda m, x: F(m).unfold(x[:, :0], 2),
        (X4,),
        ["unfold", "float64[2, 0, 5, 5]"],
    ),
    "fold: rows": (lambda m, x: F(m).fold(x, 5, 2), (X4[0],), ["fold", "multiple of 4"]),
    "fold: columns": (
        lambda m, x: F(m).fold(x, (3, 4), (1, 5)),
        (X4[0],),
        ["fold", "float64[3, 5, 5]"],
    ),
    "fold: rank": (lambda m, x: F(m).fold(x, 5, 2), (X4,), ["fold", IMAGES]),
    "adaptive_avg_pool2d: sizes": (
        lambda m, x: F(m).adaptive_avg_pool2d(x, (1, 2, 3)),
        (X4,),
        ["adaptive_avg_pool2d", "(1, 2, 3)"],
    ),
    "adaptive_avg_pool1d: none": (
        lambda m, x: F(m).adaptive_avg_pool1d(x, (None,)),
        (X4[0],),
        ["adaptive_avg_pool1d", "output_size"],
    ),
    "adaptive_max_pool2d: nothing": (
        lambda m, x: F(m).adaptive_max_pool2d(x[:, :, :0], 1),
        (X4,),
        ["adaptive_max_pool2d", "float64[2, 3, 0, 5]"],
    ),
    "adaptive_max_pool3d: negative": (
        lambda m, x: F(m).adaptive_max_pool3d(x, -1),
        (X4,),
        ["adaptive_max_pool3d", "-1"],
    ),
    "max_unpool1d: beyond": (
        lambda m, x, i: F(m).max_unpool1d(x, i, 2),
        (X2, np.full((2, 3), 6)),
        ["max_unpool1d", "6"],
    ),
    "max_unpool1d: shapes": (
        lambda m, x, i: F(m).max_unpool1d(x, i, 2),
        (X2, np.zeros((2, 2), np.int64)),
        ["max_unpool1d", "float64[2, 3]", "int64[2, 2]"],
    ),
    "max_unpool1d: indices": (
        lambda m, x, i: F(m).max_unpool1d(x, i, 2),
        (X2, np.zeros((2, 3), np.int32)),
        ["max_unpool1d", "int64", "int32[2, 3]"],
    ),
    "max_unpool1d: size": (
        lambda m, x, i: F(m).max_unpool1d(x, i, 2, output_size=(9,)),
        (X2, np.zeros((2, 3), np.int64)),
        ["max_unpool1d", "(9,)", "(6,)"],
    ),
    "cross_entropy: above": (
        lambda m, x, t: m.cross_entropy(x, t),
        (X5, T + 4),
        ["cross_entropy", "5"],
    ),
    "cross_entropy: below": (
        lambda m, x, t: m.cross_entropy(x, t),
        (X5, T - 3),
        ["cross_entropy", "-3"],
    ),
    "cross_entropy: batch": (
        lambda m, x, t: m.cross_entropy(x, t),
        (X5, T[:1]),
        ["cross_entropy", "float64[2, 5]", "int64[1]"],
    ),
    "cross_entropy: shapes": (
        lambda m, x, t: m.cross_entropy(x, t),
        (X5, X2),
        ["cross_entropy", "float64[2, 5]", "float64[2, 3]"],
    ),
    "cross_entropy: weight": (
        lambda m, x, t, w: m.cross_entropy(x, t, w),
        (X5, T, X2[0]),
        ["cross_entropy", "weight", "float64[3]"],
    ),
    "cross_entropy: scalar": (
        lambda m, x, t: m.cross_entropy(x, t),
        (X5[0, 0], T[0]),
        ["cross_entropy"],
    ),
    "cross_entropy: reduction": (
        lambda m, x, t: m.cross_entropy(x, t, reduction="most"),
        (X5, T),
        ["cross_entropy", "reduction", "most"],
    ),
    "cross_entropy: smoothing": (
        lambda m, x, t: m.cross_entropy(x, t, label_smoothing=1.5),
        (X5, T),
        ["cross_entropy", "label_smoothing", "1.5"],
    ),
    "nll_loss: above": (lambda m, x, t: m.nll_loss(x, t), (X5, T + 4), ["nll_loss", "5"]),
    "nll_loss: batch": (
        lambda m, x, t: m.nll_loss(x, t),
        (X5, T[:1]),
        ["nll_loss", "float64[2, 5]", "int64[1]"],
    ),
    "nll_loss: floats": (lambda m, x: m.nll_loss(x, x[:, 0]), (X5,), ["nll_loss", "float64[2]"]),
    "nll_loss: weight": (
        lambda m, x, t, w: m.nll_loss(x, t, w),
        (X5, T, X2[0]),
        ["nll_loss", "weight", "float64[3]"],
    ),
    "nll_loss: reduction": (
        lambda m, x, t: m.nll_loss(x, t, reduction="most"),
        (X5, T),
        ["nll_loss", "reduction", "most"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)
