"""Dropout on a GPU, which draws its mask again in the backward instead of keeping it."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import devices
from tapegrad.autograd.gates.activation import dropout_at_random
from tapegrad.nn import functional as F

DTYPES = [tg.float16, tg.bfloat16, tg.float32, tg.float64]


def ones(*shape, dtype=tg.float32):
    return tg.ones(*shape, dtype=dtype, device="cuda", requires_grad=True)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 33, 257, 1031])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_drops_what_the_gate_drops_on_a_cpu(emulated, dtype, n):
    settings = {"p": 0.3, "scale": 1 / 0.7, "seed": 2**63 + 5, "offset": 2**32 - 2}
    x = tg.randn(n, generator=tg.Generator().manual_seed(n)).to(dtype)
    expected = dropout_at_random(x, **settings).double()
    found = dropout_at_random(x.to("cuda"), **settings)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.cpu().double().numpy(), expected.numpy(), rtol=1e-2)
    assert ((found.cpu() == 0) == (expected == 0)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_is_dropped_where_the_value_was(emulated, dtype):
    tg.manual_seed(0)
    x = ones(1031, dtype=dtype)
    y = F.dropout(x, 0.25)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()
    dropped = (y.cpu() == 0).double().mean().item()
    assert 0.2 < dropped < 0.3


def test_no_mask_is_kept(emulated):
    y = F.dropout(ones(1000), 0.5)
    assert tg.Tape.of(y).bytes_kept == 0


def test_it_differentiates_again(emulated):
    tg.manual_seed(0)
    x = ones(50)
    y = F.dropout(x * x, 0.5)
    (first,) = tg.autograd.grad(y.sum(), [x], create_graph=True)
    (second,) = tg.autograd.grad(first.sum(), [x])
    assert second.tolist() == (2 * y).tolist()


def test_a_transposed_input_is_dropped_where_its_gradient_is(emulated):
    tg.manual_seed(0)
    x = ones(37, 11)
    y = F.dropout(x.T, 0.5)
    y.backward(tg.ones(11, 37, device="cuda"))
    assert x.grad.T.tolist() == y.tolist()


def test_each_call_drops_others_and_a_seed_the_same_again(emulated):
    tg.manual_seed(3)
    first, second = (F.dropout(ones(100)).tolist() for _ in range(2))
    tg.manual_seed(3)
    assert [F.dropout(ones(100)).tolist() for _ in range(2)] == [first, second]
    assert first != second


def test_it_is_one_launch_each_way_and_compiled_once(emulated, recording):
    x = ones(64)
    F.dropout(x, 0.3).sum().backward()
    compiled = len(devices._forward) + len(devices._gradients)
    recording.launches.clear()
    y = F.dropout(x, 0.1)
    assert recording.launches == ["fused_dropout_at_random"]
    tg.autograd.grad(y, [x], tg.ones(64, device="cuda"))
    assert recording.launches[-1] == "fused_dropout_at_random_backward"
    assert len(devices._forward) + len(devices._gradients) == compiled
    assert recording.synchronisations == []


def test_everything_and_nothing(emulated):
    x = ones(9)
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert not any(y.tolist() + x.grad.tolist())
    assert F.dropout(x, 0.0) is x
    assert F.dropout(ones(0, 3)).shape == (0, 3)
    assert F.dropout(ones()).item() in (0.0, 2.0)


def test_in_place(emulated):
    x = tg.ones(100, device="cuda")
    with tg.no_grad():
        y = F.dropout(x, 0.5, inplace=True)
    assert set(x.tolist()) == {0.0, 2.0}
    assert y is x


CHANNELS = {
    "dropout1d": (20, 30, 5),
    "dropout2d": (20, 30, 2, 3),
    "dropout3d": (20, 30, 2, 2, 2),
    "feature_alpha_dropout": (20, 30, 4),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_dropout_keeps_or_drops_channels_whole(emulated, name):
    tg.manual_seed(0)
    x = ones(*CHANNELS[name])
    y = getattr(F, name)(x, 0.3, training=True)
    y.sum().backward()
    y, gradient = y.cpu().flatten(2), x.grad.cpu().flatten(2)
    assert (y[..., :1] == y).all()
    dropped = y[..., 0] != y.amax()
    assert 0.2 < dropped.double().mean().item() < 0.4
    assert ((gradient[..., 0] == 0) == dropped).all()


def test_alpha_dropout_keeps_mean_and_variance(emulated):
    tg.manual_seed(0)
    x = tg.randn(40_000, device="cuda", requires_grad=True)
    y = F.alpha_dropout(x, 0.2, training=True)
    assert abs(y.mean().item()) < 0.03
    assert abs(y.std().item() - 1) < 0.03
    y.sum().backward()
    dropped = x.grad.cpu() == 0
    assert dropped.double().mean().item() == pytest.approx(0.2, abs=0.01)
    assert len(set(y.cpu()[dropped].tolist())) == 1
    assert (F.alpha_dropout(x, 1.0, training=True) == 0).all()
