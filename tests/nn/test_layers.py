"""What the layers compute, how they start, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.autograd import gradcheck, gradgradcheck
from tapegrad.nn import functional as F


def points(dtype=tg.float64):
    return tg.tensor([-30.0, -2.5, -0.3, 0.0, 0.4, 1.7, 25.0], dtype=dtype, requires_grad=True)


def test_linear_is_x_times_w_transposed_plus_b():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": np.array([[3.0, 4.0]]), "bias": np.array([0.5])})
    assert layer(tg.tensor([[1.0, 2.0]])).tolist() == [[11.5]]


def test_linear_and_conv_start_within_their_bound_and_fill_it():
    tg.manual_seed(0)
    for layer, fan_in in ((nn.Linear(100, 50), 100), (nn.Conv2d(4, 60, 5, groups=2), 50)):
        bound = 1 / math.sqrt(fan_in)
        for parameter in layer.parameters():
            assert parameter.abs().max().item() <= bound
            assert parameter.abs().max().item() > 0.9 * bound


def test_layers_take_dtype():
    assert nn.Linear(2, 3, dtype=tg.float64).bias.dtype == tg.float64
    assert nn.Conv2d(1, 1, 1, dtype=tg.float16).weight.dtype == tg.float16


def test_identity_returns_its_input():
    x = tg.ones(1)
    assert nn.Identity("anything", at=1)(x) is x


def test_conv2d_by_hand():
    layer = nn.Conv2d(1, 1, 2, bias=False)
    layer.load_state_dict({"weight": np.array([[[[1.0, 2.0], [3.0, 4.0]]]])})
    image = tg.arange(9.0).reshape(1, 1, 3, 3)
    assert layer(image).tolist() == [[[[27.0, 37.0], [57.0, 67.0]]]]


@pytest.mark.parametrize("kernel", [2, 3, (2, 5)])
def test_same_padding_keeps_the_size(kernel):
    layer = nn.Conv2d(2, 3, kernel, padding="same", dilation=2)
    assert layer(tg.ones(1, 2, 9, 11)).shape == (1, 3, 9, 11)


def test_valid_padding_is_none():
    assert nn.Conv2d(1, 1, 3, padding="valid")(tg.ones(1, 1, 5, 5)).shape == (1, 1, 3, 3)


def test_conv2d_reprs_say_what_differs_from_the_default():
    assert repr(nn.Conv2d(3, 8, 3)) == "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))"
    assert repr(nn.Conv2d(4, 8, 3, 2, "valid", 2, 2, False)) == (
        "Conv2d(4, 8, kernel_size=(3, 3), stride=(2, 2), padding=valid, dilation=(2, 2), "
        "groups=2, bias=False)"
    )
    assert "padding=(1, 0)" in repr(nn.Conv2d(1, 1, 3, padding=(1, 0)))


@pytest.mark.parametrize("groups", [0, 3])
def test_groups_must_divide_the_channels(groups):
    with pytest.raises(ValueError, match=f"groups={groups} must be positive and divide"):
        nn.Conv2d(4, 8, 3, groups=groups)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.Conv1d(1, 1, 2, padding_mode="mirror"), "Conv1d: padding_mode .*mirror"),
        (lambda: nn.ConvTranspose2d(1, 1, 2, padding_mode="reflect"), "padding_mode .*reflect"),
        (lambda: nn.Conv3d(1, 1, 2, padding="full"), "Conv3d: padding .*full"),
        (lambda: nn.Conv2d(1, 1, 2, 2, padding="same"), "Conv2d: padding='same' needs stride 1"),
        (lambda: nn.ConvTranspose1d(2, 3, 1, groups=2), "groups=2 must be positive and divide"),
        (lambda: nn.FractionalMaxPool2d(2), "output_size or output_ratio"),
        (lambda: nn.FractionalMaxPool3d(2, output_ratio=(0.5, 1.5, 0.5)), r"in \(0, 1\)"),
    ],
)
def test_windows_that_make_no_sense_are_refused_when_a_layer_is_made(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_fractional_pooling_draws_its_windows_anew_unless_they_are_given():
    x = tg.randn(1, 2, 20, 20)
    layer = nn.FractionalMaxPool2d(2, output_size=6)
    tg.manual_seed(0)
    first, second = layer(x).tolist(), layer(x).tolist()
    tg.manual_seed(0)
    assert first != second
    assert layer(x).tolist() == first
    fixed = nn.FractionalMaxPool2d(2, output_size=7, _random_samples=tg.rand(1, 2, 2))
    assert fixed(x).tolist() == fixed(x).tolist()


def test_pooling_layers():
    image = tg.arange(16.0).reshape(1, 1, 4, 4)
    assert nn.MaxPool2d(2)(image).tolist() == [[[[5.0, 7.0], [13.0, 15.0]]]]
    assert nn.AvgPool2d(2)(image).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    _, indices = nn.MaxPool2d(2, return_indices=True)(image)
    assert indices.tolist() == [[[[5, 7], [13, 15]]]]
    assert repr(nn.MaxPool2d(3, 1)) == (
        "MaxPool2d(kernel_size=3, stride=1, padding=0, dilation=1, ceil_mode=False)"
    )


def test_flatten_and_unflatten_undo_each_other():
    x = tg.arange(24.0).reshape(2, 3, 4)
    flat = nn.Flatten()(x)
    assert flat.shape == (2, 12)
    assert nn.Unflatten(1, (3, -1))(flat).tolist() == x.tolist()
    assert nn.Unflatten(-1, (3, 4))(flat).tolist() == x.tolist()


# Activations

SMOOTH = {
    "mish": F.mish,
    "logsigmoid": lambda x: -F.logsigmoid(-x),
    "softplus": F.softplus,
    "softplus sharp": lambda x: F.softplus(x, beta=2.0, threshold=30.0),
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}
KINKED = {
    "leaky_relu": F.leaky_relu,
    "elu": lambda x: F.elu(x, alpha=0.7),
    "celu": lambda x: F.celu(x, 1.5),
    "hardswish": F.hardswish,
    "softshrink": lambda x: F.softshrink(x, 0.2) + 0.2,
    "hardshrink": F.hardshrink,
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_activations_have_right_derivatives_at_0_too(name):
    x = tg.tensor([-2.5, -0.3, 0.0, 0.4, 1.7], dtype=tg.float64, requires_grad=True)
    assert gradcheck(SMOOTH[name], x)
    assert gradgradcheck(SMOOTH[name], x)


@pytest.mark.parametrize("name", KINKED)
def test_kinked_activations_have_right_derivatives(name):
    x = tg.tensor([-2.5, -0.3, 0.4, 1.7], dtype=tg.float64, requires_grad=True)
    assert gradcheck(KINKED[name], x)
    assert gradgradcheck(KINKED[name], x)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
@pytest.mark.parametrize("dtype", [tg.float16, tg.float32, tg.float64])
def test_activations_stay_finite_far_out(name, dtype):
    x = tg.tensor([-1e4, 1e4], dtype=dtype, requires_grad=True)
    y = {**SMOOTH, **KINKED}[name](x)
    y.sum().backward()
    assert y.dtype == dtype
    assert np.isfinite(y.detach().numpy()).all()
    assert np.isfinite(x.grad.numpy()).all()
    assert y[1].item() == x[1].item()
    assert x.grad[1].item() == 1.0


def test_softplus_at_0_is_log_2_with_slope_a_half():
    x = tg.tensor(0.0, requires_grad=True)
    y = F.softplus(x)
    y.backward()
    assert y.item() == pytest.approx(math.log(2))
    assert x.grad.item() == 0.5


def test_softplus_is_the_identity_beyond_the_threshold():
    assert F.softplus(tg.tensor(5.0), threshold=4.0).item() == 5.0


def test_softplus_in_half_precision_does_not_overflow_below_the_threshold():
    assert F.softplus(tg.tensor(15.0, dtype=tg.float16)).item() == 15.0


def test_leaky_relu_and_elu_take_the_left_slope_at_0():
    for function, slope in ((lambda x: F.leaky_relu(x, 0.25), 0.25), (F.elu, 1.0)):
        x = tg.tensor(0.0, requires_grad=True)
        function(x).backward()
        assert x.grad.item() == slope


def test_gelu_values():
    x = tg.tensor([-1.0, 1.0], dtype=tg.float64)
    phi = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    assert F.gelu(x).tolist() == pytest.approx([phi - 1, phi])
    assert F.gelu(x, "tanh").tolist() == pytest.approx([phi - 1, phi], abs=1e-3)
    with pytest.raises(ValueError, match="'none' or 'tanh', not 'erf'"):
        F.gelu(x, "erf")


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.ReLU(), F.relu),
        (nn.LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2)),
        (nn.Sigmoid(), F.sigmoid),
        (nn.Tanh(), F.tanh),
        (nn.Softmax(dim=0), lambda x: F.softmax(x, 0)),
        (nn.LogSoftmax(dim=0), lambda x: F.log_softmax(x, 0)),
        (nn.Softplus(2.0, 3.0), lambda x: F.softplus(x, 2.0, 3.0)),
        (nn.ELU(0.5), lambda x: F.elu(x, 0.5)),
        (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh")),
        (nn.SiLU(), F.silu),
    ],
    ids=repr,
)
def test_activation_layers_hand_on_their_settings(layer, function):
    assert layer(points()).tolist() == function(points()).tolist()


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.CELU(0.5), lambda x: F.celu(x, 0.5)),
        (nn.GLU(0), lambda x: F.glu(x, 0)),
        (nn.Hardshrink(1.0), lambda x: F.hardshrink(x, 1.0)),
        (nn.Hardtanh(-2.0, 2.0), lambda x: F.hardtanh(x, -2.0, 2.0)),
        (nn.Softmin(0), lambda x: F.softmin(x, 0)),
        (nn.Softshrink(1.0), lambda x: F.softshrink(x, 1.0)),
        (nn.Threshold(0.4, 9.0), lambda x: F.threshold(x, 0.4, 9.0)),
        (nn.PReLU(init=0.5), lambda x: F.leaky_relu(x, 0.5)),
        (nn.RReLU(0.2, 0.4).eval(), lambda x: F.leaky_relu(x, 0.3)),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_more_activation_layers_hand_on_their_settings(layer, function):
    x = points()[:6]
    np.testing.assert_allclose(
        layer(x.to(tg.float32)).detach().numpy(),
        function(x.to(tg.float32)).detach().numpy(),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("function", "corners", "slopes"),
    [
        (F.relu6, [0.0, 6.0], [0.0, 0.0]),
        (F.hardtanh, [-1.0, 1.0], [0.0, 0.0]),
        (F.hardsigmoid, [-3.0, 3.0], [0.0, 0.0]),
        (F.hardswish, [-3.0, 3.0], [0.0, 1.0]),
        (F.hardshrink, [-0.5, 0.5], [0.0, 0.0]),
        (F.softshrink, [-0.5, 0.5], [0.0, 0.0]),
        (lambda x: F.threshold(x, 1.0, 5.0), [1.0], [0.0]),
        (lambda x: F.prelu(x, tg.tensor([0.25])), [0.0], [0.25]),
        (lambda x: F.celu(x, 2.0), [0.0], [1.0]),
        (lambda x: F.selu(x).div(F.selu(tg.tensor(1.0))), [0.0], [1.6732632]),
    ],
)
def test_gradients_at_corners_are_pytorchs(function, corners, slopes):
    x = tg.tensor(corners, requires_grad=True)
    function(x).sum().backward()
    assert x.grad.tolist() == pytest.approx(slopes)


@pytest.mark.parametrize("function", [F.hardshrink, F.softshrink, F.hardtanh, F.relu6, F.elu])
def test_nan_stays_nan(function):
    assert math.isnan(function(tg.tensor(math.nan)).item())


def test_hardsigmoid_has_its_slope():
    x = tg.tensor([-2.5, -0.3, 0.4, 1.7], dtype=tg.float64, requires_grad=True)
    assert gradcheck(F.hardsigmoid, x)
    assert gradgradcheck(F.hardsigmoid, x)


@pytest.mark.parametrize("function", [F.softplus, F.logsigmoid, F.mish, F.silu, F.gelu, F.elu])
def test_second_derivatives_stay_finite_far_out(function):
    x = tg.tensor([-1e4, 1e4], requires_grad=True)
    (slope,) = tg.autograd.grad(function(x).sum(), x, create_graph=True)
    (bend,) = tg.autograd.grad(slope.sum(), x)
    assert bend.tolist() == pytest.approx([0.0, 0.0], abs=1e-30)


def test_activations_in_place_write_and_refuse_leaves():
    x = tg.tensor([-1.0, 2.0])
    assert F.relu(x, inplace=True) is x
    assert x.tolist() == [0.0, 2.0]
    assert F.elu_(x) is F.leaky_relu_(x) is x
    leaf = tg.tensor([-1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf that requires a gradient"):
        nn.SiLU(inplace=True)(leaf)
    y = leaf * 2
    F.hardtanh_(y).sum().backward()
    assert y.tolist() == [-1.0, 1.0]
    assert leaf.grad.tolist() == [0.0, 0.0]


def test_activations_refuse_integers():
    with pytest.raises(TypeError, match=r"silu: expected a floating tensor, got int64\[3\]"):
        F.silu(tg.arange(3))


def test_softmax_without_a_dimension_warns_and_takes_pytorchs():
    with pytest.warns(UserWarning, match="name a dimension") as warned:
        assert F.softmax(tg.zeros(1, 2)).tolist() == [[0.5, 0.5]]
    assert warned[0].filename == __file__


# Random activations


def test_rrelu_draws_slopes_between_its_bounds_and_the_gradient_has_them():
    tg.manual_seed(0)
    x = -tg.ones(10_000)
    x.requires_grad_()
    y = F.rrelu(x, 0.2, 0.6, training=True)
    y.sum().backward()
    slopes = -y.detach().numpy()
    assert 0.2 <= slopes.min() < 0.21
    assert 0.59 < slopes.max() <= 0.6
    assert slopes.mean() == pytest.approx(0.4, abs=0.01)
    np.testing.assert_allclose(x.grad.numpy(), slopes)
    assert F.rrelu(tg.ones(3), training=True).tolist() == [1.0, 1.0, 1.0]


def test_gumbel_softmax_samples_the_distribution_of_its_logits():
    tg.manual_seed(0)
    logits = tg.tensor([math.log(0.2), math.log(0.8)]).expand(10_000, 2)
    drawn = F.gumbel_softmax(logits, tau=0.5, hard=True)
    assert set(drawn.flatten().tolist()) == {0.0, 1.0}
    assert drawn.mean(0).tolist() == pytest.approx([0.2, 0.8], abs=0.02)
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(-1).numpy(), 1, rtol=1e-5)


def test_gumbel_softmax_hard_has_the_gradient_of_the_soft_sample():
    grads = []
    for hard in (False, True):
        tg.manual_seed(5)
        x = tg.tensor([[0.3, -0.2, 0.9]], dtype=tg.float64, requires_grad=True)
        (F.gumbel_softmax(x, hard=hard, dim=1) * tg.tensor([1.0, 2.0, 4.0])).sum().backward()
        grads.append(x.grad.numpy())
    np.testing.assert_allclose(*grads)


# Dropout


def test_dropout_zeroes_a_share_p_and_scales_the_rest():
    tg.manual_seed(0)
    y = F.dropout(tg.ones(100_000), 0.2)
    assert sorted(set(y.tolist())) == [0.0, 1.25]
    assert (y == 0).sum().item() == pytest.approx(20_000, abs=500)
    assert y.mean().item() == pytest.approx(1.0, abs=0.01)


def test_dropout_gradient_goes_where_the_value_went():
    x = tg.ones(1000, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_dropout_in_evaluation_is_the_input():
    x = tg.ones(3)
    assert nn.Dropout(0.9).eval()(x) is x
    assert F.dropout(x, 0.0) is x


def test_dropout_of_everything_is_0_with_a_zero_gradient():
    x = tg.tensor([1.0, math.inf], requires_grad=True)
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() == [0.0, 0.0]


def test_dropout_is_reproducible():
    tg.manual_seed(3)
    first = F.dropout(tg.ones(50)).tolist()
    tg.manual_seed(3)
    assert F.dropout(tg.ones(50)).tolist() == first


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_dropout_wants_a_probability(p):
    with pytest.raises(ValueError, match="Dropout: p must be between 0 and 1"):
        nn.Dropout(p)
    with pytest.raises(ValueError, match="dropout: p must be between 0 and 1"):
        F.dropout(tg.ones(1), p)


CHANNELS = {
    "dropout1d": (20, 30, 5),
    "dropout2d": (20, 30, 2, 3),
    "dropout3d": (20, 30, 2, 2, 2),
    "feature_alpha_dropout": (20, 30, 4),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_dropout_keeps_or_drops_channels_whole(name):
    tg.manual_seed(0)
    y = getattr(F, name)(tg.ones(CHANNELS[name]), 0.4, training=True).reshape(600, -1)
    assert (y == y[:, :1]).all().item()
    assert (y[:, 0] == y[:, 0].amin()).sum().item() == pytest.approx(240, abs=40)


def test_channel_dropout_of_one_example():
    y = F.dropout1d(tg.ones(50, 3))
    assert (y == y[:, :1]).all().item()
    assert 0 < (y[:, 0] == 0).sum().item() < 50
    y = F.dropout3d(tg.ones(50, 1, 2, 2)).flatten(1)
    assert (y == y[:, :1]).all().item()
    assert 0 < (y[:, 0] == 0).sum().item() < 50
    with pytest.raises(RuntimeError, match="dropout1d: expected"):
        F.dropout1d(tg.ones(3))


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name):
    tg.manual_seed(0)
    y = getattr(F, name)(tg.randn(400, 250), 0.3, training=True)
    assert y.mean().item() == pytest.approx(0.0, abs=0.02)
    assert y.std().item() == pytest.approx(1.0, abs=0.02)
    assert not getattr(F, name)(tg.ones(2, 3), 1.0, training=True).any().item()


@pytest.mark.parametrize("name", ["alpha_dropout", *CHANNELS])
def test_noise_is_reproducible_and_off_in_evaluation(name):
    x = tg.ones(4, 5, 3, 2, 2) if name == "dropout3d" else tg.ones(4, 5, 3)
    drawn = []
    for _ in range(2):
        tg.manual_seed(7)
        drawn.append(getattr(F, name)(x, training=True).tolist())
    assert drawn[0] == drawn[1]
    assert getattr(F, name)(x, training=False) is x


# Normalisation

NORMS = {
    "batch": lambda x: F.batch_norm(x, None, None, training=True),
    "instance": F.instance_norm,
    "layer": lambda x: F.layer_norm(x, x.shape[1:]),
    "group": lambda x: F.group_norm(x, 1),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_large_mean_costs_no_digits(name):
    noise = np.random.default_rng(0).standard_normal((4, 3, 256))
    x = (noise + 1e4).astype(np.float32)
    exact = NORMS[name](tg.tensor(x.astype(np.float64))).numpy()
    np.testing.assert_allclose(NORMS[name](tg.tensor(x)).numpy(), exact, atol=1e-5)
    for dtype in (tg.float32, tg.float64):
        given = tg.tensor(x, dtype=dtype, requires_grad=True)
        (NORMS[name](given) * tg.tensor(noise, dtype=dtype) ** 2).sum().backward()
        if dtype == tg.float32:
            ours = given.grad.numpy()
    np.testing.assert_allclose(ours, given.grad.numpy(), atol=2e-5 * np.abs(ours).max())


@pytest.mark.parametrize("name", NORMS)
def test_a_constant_has_no_variance_and_becomes_0(name):
    x = tg.full((2, 3, 7), 1e4 / 3, requires_grad=True)
    y = NORMS[name](x)
    y.sum().backward()
    assert not y.any().item()
    assert x.grad.isfinite().all().item()


@pytest.mark.parametrize("name", [*NORMS, "rms"])
@pytest.mark.parametrize("affine", [False, True])
def test_the_fused_gradient_is_the_composed_one(name, affine):
    stream = np.random.default_rng(1)
    shape = (3, 4, 5)
    sizes = {"layer": (5,), "rms": (4, 5)}.get(name, (4,))
    x, *scales = (
        tg.tensor(stream.standard_normal(size), requires_grad=True)
        for size in (shape, *([sizes] * 2 if affine else []))
    )
    scales = scales[:1] if name == "rms" else scales
    out = {
        "batch": lambda: F.batch_norm(x, None, None, *scales, training=True),
        "instance": lambda: F.instance_norm(x, None, None, *scales),
        "layer": lambda: F.layer_norm(x, sizes, *scales),
        "group": lambda: F.group_norm(x, 2, *scales),
        "rms": lambda: F.rms_norm(x, sizes, *scales),
    }[name]()
    seed = tg.tensor(stream.standard_normal(shape))
    fused = tg.autograd.grad(out, [x, *scales], seed, retain_graph=True)
    composed = tg.autograd.grad(out, [x, *scales], seed, create_graph=True)
    for a, b in zip(fused, composed, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_half_precision_norms_accumulate_in_float32():
    x = tg.full((2, 70_000), 3.0, dtype=tg.float16)
    x[:, ::2] = 5.0
    assert sorted(set(F.layer_norm(x, (70_000,)).flatten().tolist())) == [-1.0, 1.0]
    assert F.rms_norm(x, (70_000,)).isfinite().all().item()


def test_running_statistics_move_towards_the_batch():
    layer = nn.BatchNorm1d(2, momentum=0.25)
    layer(tg.tensor([[1.0, 0.0], [3.0, 0.0]]))
    assert layer.running_mean.tolist() == [0.5, 0.0]
    assert layer.running_var.tolist() == [1.25, 0.75]  # 2 is the unbiased variance of 1 and 3
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    expected = (5.0 - 0.5) / math.sqrt(1.25 + 1e-5)
    assert layer(tg.tensor([[5.0, 0.0]]))[0, 0].item() == pytest.approx(expected)
    assert layer.num_batches_tracked.item() == 1


def test_without_momentum_running_statistics_are_the_plain_average():
    layer = nn.BatchNorm1d(1, momentum=None)
    for batch in ([[0.0], [2.0]], [[4.0], [6.0]], [[1.0], [1.0]]):
        layer(tg.tensor(batch))
    assert layer.running_mean.item() == pytest.approx((1 + 5 + 1) / 3)


def test_batch_norm_of_one_value_is_refused_in_training():
    with pytest.raises(ValueError, match="more than one value"):
        nn.BatchNorm1d(3)(tg.ones(1, 3))
    assert nn.BatchNorm1d(3).eval()(tg.ones(1, 3)).shape == (1, 3)


def test_norm_layers_say_what_does_not_fit():
    with pytest.raises(ValueError, match=r"BatchNorm2d: expected 4 dimensions, got shape \(2, 3\)"):
        nn.BatchNorm2d(3)(tg.ones(2, 3))
    with pytest.raises(RuntimeError, match="one number for each of 4 channels"):
        nn.BatchNorm1d(3)(tg.ones(2, 4))
    with pytest.raises(RuntimeError, match=r"normalized_shape \[4\] must be the last sizes"):
        nn.LayerNorm(4)(tg.ones(2, 3))
    with pytest.raises(ValueError, match="must be positive and divide"):
        nn.GroupNorm(3, 4)


# Embedding and attention


def test_embedding_adds_up_repeated_rows_deterministically():
    stream = np.random.default_rng(0)
    table = tg.tensor(stream.standard_normal((7, 5)), requires_grad=True)
    positions = tg.tensor(stream.integers(0, 7, (40, 30)))
    seed = tg.tensor(stream.standard_normal((40, 30, 5)))
    expected = np.zeros((7, 5))
    np.add.at(expected, positions.numpy(), seed.numpy())
    found = []
    for _ in range(2):
        (gradient,) = tg.autograd.grad(F.embedding(positions, table), table, seed)
        found.append(gradient.numpy())
    np.testing.assert_allclose(found[0], expected)
    assert (found[0] == found[1]).all()


LAYERS_WITH_RELU = {
    "linear": (F.linear, (2, 5, 3), (4, 3), {}),
    "linear of a vector": (F.linear, (3,), (16, 3), {}),
    "conv1d": (F.conv1d, (2, 3, 9), (4, 3, 3), {"stride": 2}),
    "conv2d, cropped": (F.conv2d, (2, 4, 6, 5), (4, 2, 2, 3), {"groups": 2, "padding": "same"}),
    "conv3d without a batch": (F.conv3d, (1, 3, 4, 5), (4, 1, 2, 2, 2), {"padding": 1}),
}


@pytest.mark.parametrize("name", LAYERS_WITH_RELU)
def test_relu_in_a_layer_is_relu_after_it(name):
    tg.manual_seed(0)
    function, *shapes, window = LAYERS_WITH_RELU[name]
    given = [tg.randn(*s, dtype=tg.float64, requires_grad=True) for s in (*shapes, shapes[1][:1])]
    for bias in (True, False):
        leaves = given if bias else given[:2]
        together = function(*leaves, **window, activation="relu")
        apart = F.relu(function(*leaves, **window))
        assert together.equal(apart)
        assert (apart == 0).any()
        assert (apart > 0).any()
        gates = [node.gate for node in tg.Tape.of(together) if "relu" in node.gate]
        assert gates in (["linear_relu"], ["convolution_relu"])
        first, second = (tg.autograd.grad(y.square().sum(), leaves) for y in (together, apart))
        assert all(map(tg.equal, first, second))


def test_relu_in_a_layer_keeps_nan():
    x = tg.tensor([[1.0, math.nan]])
    assert F.linear(x, tg.ones(1, 2), activation="relu").isnan().all()
    assert F.conv1d(x, tg.ones(1, 1, 1), activation="relu").isnan().any()


def test_a_layer_may_have_an_activation_of_its_own():
    class Activated(nn.Conv2d):
        def __init__(self, *args):
            super().__init__(*args)
            self.activation = nn.ReLU()

        def forward(self, input):
            return self.activation(super().forward(input))

    assert (Activated(1, 2, 3)(tg.randn(1, 1, 5, 5)) >= 0).all()


def test_relu_of_booleans_is_what_it_is_of_a_product_of_them():
    x, w = tg.tensor([[True, False]]), tg.tensor([[True, True], [False, True]])
    assert F.linear(x, w, activation="relu").tolist() == F.linear(x, w).tolist() == [[True, False]]


def test_layers_show_their_activation_and_refuse_others():
    assert repr(nn.Linear(2, 3, activation="relu")).endswith("bias=True, activation='relu')")
    shown = repr(nn.Conv2d(2, 3, 1, activation="relu"))
    assert shown.endswith("stride=(1, 1), activation='relu')")
    for make in (
        lambda: nn.Linear(2, 3, activation="tanh"),
        lambda: nn.Conv1d(2, 3, 1, activation="tanh"),
        lambda: F.linear(tg.ones(2), tg.ones(3, 2), activation="tanh"),
        lambda: F.conv2d(tg.ones(1, 1, 2, 2), tg.ones(1, 1, 1, 1), activation="tanh"),
    ):
        with pytest.raises(ValueError, match=r"activation must be None or 'relu', got 'tanh'"):
            make()


def test_embedding_leaves_the_padding_row_alone():
    layer = nn.Embedding(3, 2, padding_idx=-1)
    assert layer.weight[2].tolist() == [0.0, 0.0]
    layer(tg.tensor([2, 0, 2])).sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_embedding_shortens_long_rows_in_the_table():
    table = tg.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]], requires_grad=True)
    y = F.embedding(tg.tensor([0, 1, 0]), table, max_norm=1.0)
    assert y.flatten().tolist() == pytest.approx([0.6, 0.8, 0.3, 0.4, 0.6, 0.8])
    assert table[2].tolist() == [30.0, 40.0]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("shape", [(3, 2, 2), (3,), ()])
def test_a_bag_of_embeddings_wants_a_table_of_two_dimensions(shape, mode):
    with pytest.raises(ValueError, match=r"embedding_bag: expected a table \(V, D\), got float32"):
        F.embedding_bag(tg.tensor([[0, 0]]), tg.ones(shape), mode=mode)


@pytest.mark.parametrize("function", [F.embedding, F.embedding_bag])
@pytest.mark.parametrize("padding", [7, -4])
def test_a_padding_row_must_be_in_the_table(function, padding):
    with pytest.raises(ValueError, match=rf"padding_idx {padding} is not one of 3 rows"):
        function(tg.tensor([[0, 1]]), tg.ones(3, 2), padding_idx=padding)


def test_embedding_positions_must_be_in_the_table():
    with pytest.raises(IndexError, match=r"index 3 is out of range for a table of 3 rows"):
        F.embedding(tg.tensor([-1, 3]), tg.ones(3, 2))


@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
def test_from_pretrained_freezes(layer):
    table = tg.tensor([[1.0, 2.0]])
    assert not layer.from_pretrained(table).weight.requires_grad
    assert layer.from_pretrained(table, freeze=False).weight.requires_grad


BAGS = pytest.mark.parametrize("mode", ["sum", "mean", "max"])
ENDS = [[0, 1, 3], [0, 2, 2], [0, 0, 5], [0, 0], [0]]


@BAGS
@pytest.mark.parametrize("padding", [None, 1])
@pytest.mark.parametrize("ends", ENDS, ids=str)
def test_what_is_past_the_last_bag_might_as_well_not_be_there(mode, padding, ends):
    rows = np.random.default_rng(0).standard_normal((4, 2))
    rows[3] = math.inf
    positions, offsets = tg.tensor([0, 1, 2, 1, 0, 3, 2, 3]), tg.tensor(ends)
    settings = {"mode": mode, "padding_idx": padding, "include_last_offset": True}
    found = []
    for given in (positions, positions[: ends[-1]]):
        table = tg.tensor(rows, requires_grad=True)
        y = F.embedding_bag(given, table, offsets, **settings)
        y.square().sum().backward()
        found.append((y, table.grad))
    assert all(map(tg.equal, *found))


def test_bags_scale_a_gradient_by_all_uses_of_a_row():
    table = tg.ones(3, 1, requires_grad=True)
    F.embedding_bag(
        tg.tensor([0, 1, 2, 1]), table, tg.tensor([0, 1, 3]), mode="sum", scale_grad_by_freq=True,
        include_last_offset=True,
    ).sum().backward()  # fmt: skip
    assert table.grad.flatten().tolist() == [1.0, 0.5, 1.0]


def test_weights_past_the_last_bag_get_no_gradient():
    table = tg.tensor([[1.0, 2.0], [math.inf, math.nan]], requires_grad=True)
    weights = tg.tensor([2.0, 3.0, 4.0, math.inf], requires_grad=True)
    y = F.embedding_bag(
        tg.tensor([0, 0, 1, 0]), table, tg.tensor([0, 1, 2]), mode="sum",
        per_sample_weights=weights, include_last_offset=True,
    )  # fmt: skip
    y.sum().backward()
    assert y.tolist() == [[2.0, 4.0], [3.0, 6.0]]
    assert weights.grad.tolist() == [3.0, 3.0, 0.0, 0.0]
    assert table.grad.tolist() == [[5.0, 5.0], [0.0, 0.0]]


@BAGS
def test_no_offsets_make_no_bags(mode):
    table = tg.ones(3, 2, requires_grad=True)
    y = F.embedding_bag(tg.tensor([0, 2]), table, tg.zeros(0, dtype=tg.int64), mode=mode)
    assert y.shape == (0, 2)
    y.sum().backward()
    assert not table.grad.any()


@BAGS
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("offsets", [[0, 2, 1], [0, 3, 1, 2], [0, -1, 2], [0, 9, 2]], ids=str)
def test_offsets_must_not_decrease(mode, last, offsets):
    with pytest.raises(ValueError, match="embedding_bag: offsets must not decrease"):
        F.embedding_bag(
            tg.tensor([0, 1, 2, 1]), tg.ones(3, 2), tg.tensor(offsets),
            mode=mode, include_last_offset=last,
        )  # fmt: skip


@pytest.mark.parametrize("last", [False, True])
def test_offsets_must_be_within_the_positions(last):
    with pytest.raises(ValueError, match="embedding_bag: an offset is beyond the 3 positions"):
        F.embedding_bag(
            tg.tensor([0, 1, 2]), tg.ones(3, 2), tg.tensor([0, 4]), include_last_offset=last
        )


@BAGS
def test_a_bag_of_embeddings_leaves_the_padding_row_alone(mode):
    layer = nn.EmbeddingBag(3, 2, mode=mode, padding_idx=-1)
    assert layer.padding_idx == 2
    assert layer.weight[2].tolist() == [0.0, 0.0]
    y = layer(tg.tensor([[2, 0, 2], [2, 2, 2]]))
    assert y.tolist() == [layer.weight[0].tolist(), [0.0, 0.0]]
    y.sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_a_layer_of_bags_refuses_what_the_function_refuses():
    bags = tg.tensor([[0, 1]])
    with pytest.raises(ValueError, match="embedding_bag: mode must be 'sum', 'mean' or 'max'"):
        nn.EmbeddingBag(3, 2, mode="median")(bags)
    with pytest.raises(RuntimeError, match="mode 'max' cannot scale gradients by frequency"):
        nn.EmbeddingBag(3, 2, mode="max", scale_grad_by_freq=True)(bags)
    with pytest.raises(NotImplementedError, match="per_sample_weights go with mode 'sum'"):
        nn.EmbeddingBag(3, 2)(bags, per_sample_weights=tg.ones(1, 2))


@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
def test_a_table_that_does_not_fit_the_layer_is_refused(layer):
    name = layer.__name__
    with pytest.raises(ValueError, match=f"{name}: padding_idx 3 is not one of 3 rows"):
        layer(3, 2, padding_idx=3)
    with pytest.raises(ValueError, match=rf"{name}: expected a table \(3, 2\), got \(2, 3\)"):
        layer(3, 2, _weight=tg.ones(2, 3))
    with pytest.raises(ValueError, match=rf"{name}: expected a table of 2 dimensions, got \(3,\)"):
        layer.from_pretrained(tg.ones(3))


def test_a_query_that_may_look_nowhere_gets_0_and_no_gradient():
    q, k, v = (tg.randn(2, 3, requires_grad=True) for _ in "qkv")
    mask = tg.tensor([[False, False], [True, True]])
    out = F.scaled_dot_product_attention(q, k, v, mask)
    out.sum().backward()
    assert out[0].tolist() == q.grad[0].tolist() == [0.0, 0.0, 0.0]
    assert all(x.grad.isfinite().all().item() for x in (q, k, v))


def test_attention_dropout_keeps_the_expectation():
    tg.manual_seed(0)
    q, v = tg.zeros(2000, 1, 2), tg.ones(2000, 50, 1)
    out = F.scaled_dot_product_attention(q, tg.zeros(2000, 50, 2), v, dropout_p=0.5)
    assert out.std().item() > 0.1
    assert out.mean().item() == pytest.approx(1.0, abs=0.01)
