"""`GradScaler`: what it does to losses, gradients, steps and its scale, on a CPU and on a GPU."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.amp import GradScaler
from tapegrad.nn import functional as F

EVERY = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optim.Adam, {"lr": 0.1}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1, "betas": (0.0, 0.999)}),
]
EACH = pytest.mark.parametrize(("kind", "settings"), EVERY)
WHERE = pytest.mark.parametrize("device", ["cpu", "cuda"])


@pytest.fixture
def place(device, request):
    """A device; a GPU is emulated."""
    if device == "cuda":
        request.getfixturevalue("gpu")
    return device


def parameters(device, dtype=tg.float32, seed=0):
    stream = np.random.default_rng(seed)
    return [
        nn.Parameter(tg.tensor(stream.standard_normal(shape), dtype=dtype, device=device))
        for shape in ((3, 4), (5,), ())
    ]


def scaled_step(scaler, optimizer, given, factor=1.0):
    """A step down the sum of squares, whose gradients are multiplied by a factor."""
    optimizer.zero_grad()
    loss = sum(((x * x).sum() for x in given), tg.zeros((), device=given[0].device)) * factor
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()


def values(tensors):
    return [x.detach().cpu().tolist() for x in tensors]


# The rule


@WHERE
@EACH
def test_an_overflow_skips_the_step_halves_the_scale_and_training_goes_on(place, kind, settings):
    given, plain = parameters(place), parameters("cpu")
    optimizer, expected = kind(given, **settings), kind(plain, **settings)
    scaler = GradScaler(place, init_scale=1024.0)
    for factor in (math.inf, 1.0, 1.0, math.nan, 1.0):
        before = values(given)
        scaled_step(scaler, optimizer, given, factor)
        if math.isfinite(factor):
            expected.zero_grad()
            sum((x * x).sum() for x in plain).backward()
            expected.step()
        else:
            assert values(given) == before
    assert scaler.get_scale() == 256.0
    for found, known in zip(given, plain, strict=True):
        np.testing.assert_allclose(found.tolist(), known.tolist(), rtol=2e-6, atol=2e-6)
        assert int(optimizer.state[found].get("step", 3)) == 3


@WHERE
def test_the_scale_grows_after_steps_in_a_row_without_an_overflow(place):
    given = parameters(place)
    optimizer = optim.SGD(given, lr=0.0)
    scaler = GradScaler(place, init_scale=4.0, growth_factor=3.0, growth_interval=2)
    seen = []
    for factor in (1.0, math.inf, 1.0, 1.0, 1.0, 1.0):
        scaled_step(scaler, optimizer, given, factor)
        seen.append(scaler.get_scale())
    assert seen == [4.0, 2.0, 2.0, 6.0, 6.0, 18.0]


def test_the_scale_does_not_grow_beyond_float32():
    given = parameters("cpu", tg.float64)
    scaler = GradScaler("cpu", init_scale=3e38, growth_interval=1)
    scaled_step(scaler, optim.SGD(given, lr=0.0), given)
    assert scaler.get_scale() == pytest.approx(3e38)


@WHERE
def test_gradients_are_clipped_between_unscaling_and_the_step(place):
    x = nn.Parameter(tg.tensor([3.0, 4.0], device=place))
    optimizer, scaler = optim.SGD([x], lr=1.0), GradScaler(place)
    scaler.scale((x * x).sum() / 2).backward()
    scaler.unscale_(optimizer)
    assert x.grad.tolist() == [3.0, 4.0]
    nn.utils.clip_grad_norm_([x], 1.0)
    scaler.step(optimizer)
    scaler.update()
    assert x.tolist() == pytest.approx([2.4, 3.2], rel=1e-5)


@WHERE
@pytest.mark.parametrize("dtype", [tg.bfloat16, tg.float32, tg.float64], ids=str)
def test_a_scale_that_is_no_power_of_two_is_divided_out_in_each_dtype(place, dtype):
    x = nn.Parameter(tg.tensor(np.linspace(-1, 1, 37), dtype=dtype, device=place)[1:])
    x.grad = tg.ones(36, dtype=dtype, device=place) * 96
    optimizer, scaler = optim.SGD([x], lr=0.1), GradScaler(place, init_scale=3.0)
    scaler.scale(tg.zeros((), device=place))
    scaler.unscale_(optimizer)
    assert x.grad.dtype == dtype
    assert x.grad.tolist() == pytest.approx([32.0] * 36, rel=1e-6 if dtype != tg.bfloat16 else 1e-2)


@pytest.mark.parametrize("dtype", [tg.bfloat16, tg.float32, tg.float64], ids=str)
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("where", [0, 1030, 4100, 9000])
def test_one_bad_value_anywhere_is_found_on_a_gpu(gpu, dtype, bad, where):
    x = nn.Parameter(tg.zeros(9001, dtype=dtype, device="cuda"))
    gradient = np.ones(9001)
    gradient[where] = bad
    x.grad = tg.tensor(gradient, dtype=dtype, device="cuda")
    optimizer, scaler = optim.SGD([x], lr=1.0), GradScaler()
    scaler.scale(tg.zeros((), device="cuda"))
    scaler.step(optimizer)
    scaler.update()
    assert not bool(x.any())
    assert scaler.get_scale() == 32768.0


def test_a_scaler_trains_in_float16_under_autocast():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer, scaler = optim.Adam(model.parameters(), lr=0.02), GradScaler("cpu", init_scale=2e38)
    x = tg.randn(64, 4)
    y = x.sum(1, keepdim=True)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        with tg.autocast("cpu", dtype=tg.float16):
            loss = F.mse_loss(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert scaler.get_scale() < 1e8  # many a first step overflowed
    assert losses[-1] < 0.05 * losses[0]


# On a GPU nothing waits


@pytest.mark.parametrize(
    ("kind", "launches"),
    [
        (optim.SGD, ["fused_mul", "zeros", "unscale<float>", "multi_sgd", "multi_adapted"]),
        (
            optim.Adam,
            [
                "fused_mul",
                "zeros",
                "unscale<float>",
                "fused_counted",
                "multi_adam_of_count",
                "multi_adapted",
            ],
        ),
    ],
)
def test_a_scaled_step_never_waits_and_is_three_launches_more(recording, kind, launches):
    given = parameters("cuda")
    optimizer, scaler = kind(given, lr=0.1), GradScaler()
    loss = tg.ones((), device="cuda")

    def step():
        scaled = scaler.scale(loss)
        scaler.step(optimizer)
        scaler.update()
        return scaled

    for x in given:
        x.grad = tg.ones_like(x.detach())
    step()
    step()
    recording.clear()
    step()
    assert recording.synchronisations == []
    assert recording.kernels == launches


# How steps are counted on a GPU


def test_parameters_without_a_gradient_are_not_counted(gpu):
    first, second = (nn.Parameter(tg.ones(3, device="cuda")) for _ in range(2))
    optimizer, scaler = optim.Adam([first, second], lr=0.1), GradScaler()
    scaled_step(scaler, optimizer, [first, second])
    scaled_step(scaler, optimizer, [first])
    scaled_step(scaler, optimizer, [first, second])
    assert [int(optimizer.state[x]["step"]) for x in (first, second)] == [3, 2]


def test_steps_with_and_without_a_scaler_count_together(gpu):
    given, plain = parameters("cuda"), parameters("cpu")
    optimizer, expected = optim.Adam(given, lr=0.1), optim.Adam(plain, lr=0.1)
    scaler = GradScaler()
    off = GradScaler(enabled=False)
    for used, factor in ((off, 1.0), (scaler, math.inf), (scaler, 1.0), (off, 1.0)):
        scaled_step(used, optimizer, given, factor)
        if factor == 1.0:
            scaled_step(off, expected, plain)
    for found, known in zip(given, plain, strict=True):
        assert int(optimizer.state[found]["step"]) == expected.state[known]["step"] == 3
        np.testing.assert_allclose(found.tolist(), known.tolist(), rtol=2e-6, atol=2e-6)


def test_a_count_on_a_gpu_is_saved_and_loaded(gpu):
    given = parameters("cuda")
    optimizer, scaler = optim.Adam(given, lr=0.1), GradScaler()
    scaled_step(scaler, optimizer, given)
    other = optim.Adam(given, lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[given[0]]["step"] == 1
    scaled_step(scaler, other, given)
    assert int(other.state[given[0]]["step"]) == 2


def test_an_overflow_on_one_gpu_skips_the_step_on_all(gpu):
    given = [nn.Parameter(tg.ones(3, device=device)) for device in ("cuda:0", "cuda:1")]
    for x, factor in zip(given, (1.0, math.inf), strict=True):
        x.grad = tg.full((3,), factor, device=x.device)
    optimizer, scaler = optim.Adam(given, lr=0.1), GradScaler()
    scaler.scale(tg.zeros((), device="cuda:0"))
    scaler.step(optimizer)
    scaler.update()
    assert [x.tolist() for x in given] == [[1.0] * 3] * 2
    assert scaler.get_scale() == 32768.0


def test_an_optimizer_with_a_step_of_its_own_is_skipped_by_the_host(gpu):
    class Counting(optim.SGD):
        steps = 0

        def step(self, closure=None):
            self.steps += 1
            return super().step(closure)

    given = parameters("cuda")
    optimizer, scaler = Counting(given, lr=0.1), GradScaler()
    for factor in (1.0, math.inf):
        scaled_step(scaler, optimizer, given, factor)
    assert optimizer.steps == 1


# Several optimizers, state, settings


def test_one_optimizer_may_step_where_another_overflowed():
    first, second = parameters("cpu", seed=1)[:1], parameters("cpu", seed=2)[:1]
    optimizers = [optim.SGD(first, lr=0.1), optim.SGD(second, lr=0.1)]
    scaler = GradScaler("cpu", init_scale=8.0)
    before = values(first), values(second)
    scaler.scale([(first[0] * math.inf).sum(), second[0].sum()])[0].backward()
    scaler.scale(second[0].sum()).backward()
    for optimizer in optimizers:
        scaler.step(optimizer)
    scaler.update()
    assert values(first) == before[0]
    assert values(second) != before[1]
    assert scaler.get_scale() == 4.0


@WHERE
def test_state_makes_the_round_trip(place):
    given = parameters(place)
    optimizer = optim.SGD(given, lr=0.0)
    scaler = GradScaler(place, init_scale=64.0, growth_interval=3)
    for factor in (math.inf, 1.0, 1.0):
        scaled_step(scaler, optimizer, given, factor)
    state = scaler.state_dict()
    assert state == {
        "scale": 32.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 3,
        "_growth_tracker": 2,
    }
    fresh, used = GradScaler(place), GradScaler(place)
    scaled_step(used, optimizer, given)
    for other in (fresh, used, pickle.loads(pickle.dumps(scaler))):
        other.load_state_dict(state)
        assert other.state_dict() == state
        scaled_step(other, optimizer, given)
        assert other.get_scale() == 64.0


def test_a_disabled_scaler_only_passes_on():
    given = parameters("cpu")
    optimizer, scaler = optim.SGD(given, lr=0.1), GradScaler("cpu", enabled=False)
    loss = given[0].sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 1.0
    assert scaler.state_dict() == {}
    assert not scaler.is_enabled()


def test_the_scale_can_be_set():
    given = parameters("cpu")
    scaler = GradScaler("cpu")
    scaler.scale([given[0].sum(), (given[1].sum(),)])
    scaler.update(16.0)
    assert scaler.get_scale() == 16.0
    scaler.update(tg.tensor([4.0]))
    assert scaler.get_scale() == 4.0


def test_mistakes_are_named():
    given = parameters("cpu")
    optimizer, scaler = optim.SGD(given, lr=0.1), GradScaler("cpu")
    with pytest.raises(RuntimeError, match="no loss was scaled"):
        scaler.step(optimizer)
    scaler.scale(given[0].sum())
    with pytest.raises(RuntimeError, match="no gradients"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="closure"):
        scaler.step(optimizer, closure=lambda: None)
    scaler = GradScaler("cpu")
    scaler.scale(given[0].sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="it has already been called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="pickled after update"):
        pickle.dumps(scaler)
    scaler.update()
    with pytest.raises(RuntimeError, match="no gradients were unscaled"):
        scaler.update()
    half = nn.Parameter(tg.ones(2, dtype=tg.float16))
    half.grad = tg.ones(2, dtype=tg.float16)
    with pytest.raises(ValueError, match="gradients of float16"):
        scaler.unscale_(optim.SGD([half], lr=0.1))
    with pytest.raises(ValueError, match="growth_factor"):
        GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(ValueError, match="backoff_factor"):
        GradScaler("cpu", backoff_factor=1.0)
    GradScaler("cpu", growth_factor=1.0, enabled=False)  # which uses none of them
