"""What layers are made of, next to PyTorch: convolution, pooling, cross-entropy, linear maps."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import PARITY, views
from hypothesis import assume, given, settings
from hypothesis import strategies as st

MORE = settings(PARITY, max_examples=60)


def either(least, most):
    """An int, a list of one, or a pair."""
    one = st.integers(least, most)
    return one | st.tuples(one, one) | st.lists(one, min_size=2, max_size=2) | st.tuples(one)


def pair_of(value):
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * 2 if len(values) == 1 else values


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


# conv2d


@st.composite
def convolutions(draw):
    """Images, filters, a bias or None, and arguments that fit."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    per_group, filters = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(either(1, 2))
    padding = draw(either(0, 2) | st.sampled_from(["same", "valid"]))
    stride = 1 if padding == "same" else draw(either(1, 3))
    span = [d * (k - 1) + 1 for k, d in zip(kernel, pair_of(dilation), strict=True)]
    size = tuple(draw(st.integers(max(s - 1, 1), 7)) for s in span)
    around = (0, 0) if isinstance(padding, str) else pair_of(padding)
    if padding != "same":
        size = tuple(max(n, s - 2 * p) for n, s, p in zip(size, span, around, strict=True))
    batch = draw(st.sampled_from([(), (1,), (2,), (2,), (0,)]))
    x = draw(views((*batch, groups * per_group, *size)))
    weight = draw(views((filters, per_group, *kernel)))
    bias = draw(st.none() | views((filters,)))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, weight, bias, options


@MORE
@given(drawn=convolutions())
def test_conv2d(same, drawn):
    x, weight, bias, options = drawn
    x, weight = x.between(-1, 1), weight.between(-1, 1)
    if bias is None:
        same(lambda m, x, w: m.conv2d(x, w, **options), x, weight)
    else:
        order = ("stride", "padding", "dilation", "groups")
        positional = [options[name] for name in order]
        same(lambda m, x, w, b: m.conv2d(x, w, b, *positional), x, weight, bias)


# Pooling


@st.composite
def pools(draw, dilated):
    """Images without ties and arguments that fit."""
    kernel, padding = draw(either(1, 3)), draw(either(0, 1))
    padding = tuple(min(p, k // 2) for p, k in zip(pair_of(padding), pair_of(kernel), strict=True))
    stride = draw(st.none() | either(1, 3))
    dilation = draw(either(1, 2)) if dilated else 1
    span = [d * (k - 1) + 1 for k, d in zip(pair_of(kernel), pair_of(dilation), strict=True)]
    size = tuple(
        draw(st.integers(max(s - 2 * p, 1), 8)) for s, p in zip(span, padding, strict=True)
    )
    shape = (*draw(st.sampled_from([(), (1,), (2,)])), draw(st.integers(1, 3)), *size)
    options = {"kernel_size": kernel, "stride": stride, "padding": padding}
    if dilated:
        options["dilation"] = dilation
    # PyTorch writes outside its memory where a window lies in the padding altogether.
    spread = pair_of(dilation)
    assume(all(not p or n > d - p for n, d, p in zip(size, spread, padding, strict=True)))
    options["ceil_mode"] = draw(st.booleans())
    return draw(views(shape)).between(-1, 1), options


@MORE
@given(drawn=pools(dilated=True))
def test_max_pool2d(same, drawn):
    x, options = drawn
    same(lambda m, x: m.max_pool2d(x, **options), x)
    same(lambda m, x: m.max_pool2d(x, *options.values(), return_indices=True), x)


@PARITY
@given(drawn=pools(dilated=True))
def test_max_pool2d_of_ties_takes_the_first(same, drawn):
    x, options = drawn
    same(lambda m, x: m.max_pool2d(x, return_indices=True, **options), x.map(np.round))


def test_max_pool2d_of_infinities_and_nan(same):
    x = np.full((1, 1, 4, 4), -np.inf)
    x[0, 0, 2, 2], x[0, 0, 0, 3] = np.nan, np.inf
    same(lambda m, x: m.max_pool2d(x, 2, return_indices=True), x)
    same(lambda m, x: m.max_pool2d(x, 3, 1, 1, return_indices=True), x)


@MORE
@given(drawn=pools(dilated=False), include=st.booleans(), divisor=st.sampled_from([None, 3, -2]))
def test_avg_pool2d(same, drawn, include, divisor):
    x, options = drawn
    same(lambda m, x: m.avg_pool2d(x, *options.values(), include), x)
    same(lambda m, x: m.avg_pool2d(x, count_include_pad=include, **options), x, order=0)
    same(
        lambda m, x: m.avg_pool2d(
            x, count_include_pad=include, divisor_override=divisor, **options
        ),
        x,
        order=1,
    )


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
        return  # NaN there, 0 here: numerics.md
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
