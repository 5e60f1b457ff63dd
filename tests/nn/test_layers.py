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
    "softplus": F.softplus,
    "softplus sharp": lambda x: F.softplus(x, beta=2.0, threshold=30.0),
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}
KINKED = {"leaky_relu": F.leaky_relu, "elu": lambda x: F.elu(x, alpha=0.7)}


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
