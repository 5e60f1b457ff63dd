"""Update rules, parameter groups and state."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.kernels import in_place

EVERY = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    (optim.Adam, {"lr": 0.1}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
]
EACH = pytest.mark.parametrize(("kind", "settings"), EVERY)


def parameter(*values, grad=None, dtype=tg.float64):
    result = nn.Parameter(tg.tensor(values, dtype=dtype))
    if grad is not None:
        result.grad = tg.tensor(grad, dtype=dtype)
    return result


def quadratic_steps(optimizer, x, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        ((x - 3) ** 2).sum().backward()
        optimizer.step()
    return x.tolist()


# Rules, by hand


def test_sgd_goes_down_the_gradient():
    x = parameter(1.0, 2.0, grad=[0.5, -1.0])
    optim.SGD([x], lr=0.1).step()
    assert x.tolist() == pytest.approx([0.95, 2.1])


def test_momentum_adds_up_velocity():
    x = parameter(0.0, grad=[1.0])
    optimizer = optim.SGD([x], lr=0.1, momentum=0.5)
    seen = []
    for _ in range(3):
        optimizer.step()
        seen.append(x.item())
    assert seen == pytest.approx([-0.1, -0.25, -0.425])


def test_nesterov_looks_ahead():
    x = parameter(0.0, grad=[1.0])
    optimizer = optim.SGD([x], lr=0.1, momentum=0.5, nesterov=True)
    optimizer.step()
    assert x.item() == pytest.approx(-0.15)


def test_dampening_spares_the_first_step():
    x = parameter(0.0, grad=[1.0])
    optimizer = optim.SGD([x], lr=1.0, momentum=0.5, dampening=0.75)
    optimizer.step()
    assert x.item() == pytest.approx(-1.0)
    optimizer.step()
    assert x.item() == pytest.approx(-1.0 - 0.75)


def test_weight_decay_is_the_gradient_of_the_l2_penalty():
    x = parameter(2.0, grad=[0.0])
    optim.SGD([x], lr=0.1, weight_decay=0.5).step()
    assert x.item() == pytest.approx(2.0 - 0.1 * 0.5 * 2.0)


def test_adam_steps_by_the_learning_rate_at_first():
    x = parameter(1.0, -1.0, grad=[1e-3, -1e3])
    optim.Adam([x], lr=0.1, eps=0.0).step()
    assert x.tolist() == pytest.approx([0.9, -0.9])


def test_adam_by_the_formulas_of_the_paper():
    gradients = [0.3, -0.1, 0.7, 0.2]
    x = parameter(1.0)
    optimizer = optim.Adam([x], lr=0.05, betas=(0.8, 0.9), eps=1e-3)
    w, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g * g
        w -= 0.05 * (m / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.9**t)) + 1e-3)
        x.grad = tg.tensor([g], dtype=tg.float64)
        optimizer.step()
    assert x.item() == pytest.approx(w, rel=1e-13)


def test_adamw_takes_the_decay_off_the_weights():
    x = parameter(2.0, grad=[0.0])
    optim.AdamW([x], lr=0.1, weight_decay=0.5).step()
    assert x.item() == pytest.approx(2.0 * (1 - 0.05))


def test_adamw_decays_by_default_and_adam_does_not():
    assert optim.AdamW([parameter(1.0)]).defaults["weight_decay"] == 1e-2
    assert optim.Adam([parameter(1.0)]).defaults["weight_decay"] == 0


@EACH
def test_maximizing_is_minimizing_the_opposite(kind, settings):
    settings = {**settings, "weight_decay": 0.0}
    down, up = parameter(0.3, grad=[0.7]), parameter(0.3, grad=[-0.7])
    one = kind([down], **settings)
    other = kind([up], **{**settings, "maximize": not settings.get("maximize", False)})
    for _ in range(3):
        one.step()
        other.step()
    assert down.item() == pytest.approx(up.item(), rel=1e-15)


@EACH
def test_every_rule_finds_the_minimum(kind, settings):
    settings = {**settings, "weight_decay": 0.0, "maximize": False}
    x = parameter(0.0, 10.0)
    assert quadratic_steps(kind([x], **settings), x, 400) == pytest.approx([3.0, 3.0], abs=1e-2)


# In place, block by block


@EACH
def test_blocks_give_the_numbers_of_the_whole(kind, settings, monkeypatch):
    values = np.random.default_rng(0).standard_normal((2, 5, 7)).astype(np.float32)
    results = []
    for size in (1 << 16, 8):
        monkeypatch.setattr(in_place, "BLOCK", size)
        x = nn.Parameter(tg.tensor(values[0]))
        x.grad = tg.tensor(values[1])
        optimizer = kind([x], **settings)
        for _ in range(3):
            optimizer.step()
        results.append(x.tolist())
    assert results[0] == results[1]


@EACH
def test_the_parameter_keeps_its_memory(kind, settings):
    x = parameter(1.0, 2.0, grad=[1.0, 1.0])
    memory = x.data
    kind([x], **settings).step()
    assert x.data is memory
    assert memory.tolist() != [1.0, 2.0]


@EACH
def test_the_gradient_is_left_as_it_was(kind, settings):
    x = parameter(1.0, 2.0, grad=[1.0, -1.0])
    optimizer = kind([x], **settings)
    optimizer.step()
    optimizer.step()
    assert x.grad.tolist() == [1.0, -1.0]


@EACH
def test_transposed_scalar_and_empty_parameters_are_updated(kind, settings):
    values = np.arange(6.0).reshape(2, 3)
    plain = nn.Parameter(tg.tensor(values))
    turned = nn.Parameter(tg.tensor(values.T.copy()).T)
    scalar, empty = nn.Parameter(tg.tensor(2.0)), nn.Parameter(tg.zeros(0, 3))
    for x in (plain, turned, scalar, empty):
        x.grad = tg.ones_like(x)
    optimizer = kind([plain, turned, scalar, empty], **settings)
    optimizer.step()
    optimizer.step()
    assert turned.tolist() == plain.tolist()
    assert plain.tolist() != values.tolist()
    assert scalar.item() != 2.0


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64])
@EACH
def test_dtypes_are_kept(kind, settings, dtype):
    x = parameter(1.0, 2.0, grad=[0.5, 0.25], dtype=dtype)
    optimizer = kind([x], **settings)
    optimizer.step()
    optimizer.step()
    assert x.dtype == dtype
    assert np.isfinite(x.detach().to(tg.float32).numpy()).all()
    state = optimizer.state[x].values()
    assert {value.dtype for value in state if isinstance(value, tg.Tensor)} <= {dtype}


def test_a_parameter_without_a_gradient_is_skipped():
    used, unused = parameter(1.0, grad=[1.0]), parameter(1.0)
    optimizer = optim.Adam([used, unused])
    optimizer.step()
    assert unused.item() == 1.0
    assert unused not in optimizer.state


def test_a_step_between_forward_and_backward_is_noticed():
    x = parameter(1.0, grad=[1.0])
    loss = (x * x).sum()
    optim.SGD([x], lr=0.1).step()
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_a_diverging_step_is_infinite_without_warnings():
    x = parameter(1e38, grad=[1e38], dtype=tg.float32)
    optim.SGD([x], lr=1e10).step()
    assert x.item() == -math.inf


def test_a_closure_computes_the_loss_with_gradients():
    x = parameter(1.0)
    optimizer = optim.SGD([x], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert x.item() == pytest.approx(0.8)


def test_zero_grad_forgets_or_fills():
    x = parameter(1.0, grad=[2.0])
    optimizer = optim.SGD([x])
    optimizer.zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert x.grad is None


# Groups


def test_groups_have_settings_of_their_own():
    slow, fast = parameter(1.0, grad=[1.0]), parameter(1.0, grad=[1.0])
    optimizer = optim.SGD([{"params": [slow], "lr": 0.01}, {"params": fast}], lr=0.5)
    optimizer.step()
    assert (slow.item(), fast.item()) == pytest.approx((0.99, 0.5))


def test_a_group_added_later_takes_part():
    first, later = parameter(1.0, grad=[1.0]), parameter(1.0, grad=[1.0])
    optimizer = optim.SGD([first], lr=0.5)
    optimizer.add_param_group({"params": (p for p in [later]), "lr": 0.25})
    optimizer.step()
    assert later.item() == 0.75


def test_a_setting_changed_in_a_group_counts_at_once():
    x = parameter(1.0, grad=[1.0])
    optimizer = optim.SGD([x], lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    assert x.item() == pytest.approx(0.9)


def test_a_shared_parameter_of_a_module_is_updated_once():
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    net[1].weight = net[0].weight
    nn.init.ones_(net[0].weight)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    net(tg.ones(1, 1)).sum().backward()
    optimizer.step()
    assert net[0].weight.item() == pytest.approx(0.8)


def test_no_parameters_are_refused():
    with pytest.raises(ValueError, match="SGD: got an empty parameter list"):
        optim.SGD([])


def test_things_that_are_no_parameters_are_refused():
    x = parameter(1.0)
    with pytest.raises(TypeError, match="an iterable of tensors, not one tensor"):
        optim.SGD(x)
    with pytest.raises(TypeError, match="can only optimize tensors, not ndarray"):
        optim.SGD([np.ones(1)])
    with pytest.raises(ValueError, match="computed from others"):
        optim.SGD([x * 2])
    with pytest.raises(ValueError, match="appears more than once"):
        optim.SGD([x, x])
    with pytest.raises(TypeError, match="pass a list, not a set"):
        optim.SGD([{"params": {x}}])


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (optim.SGD, {"lr": -0.1}, "SGD: lr must be 0 or more, not -0.1"),
        (optim.SGD, {"lr": math.nan}, "SGD: lr must be 0 or more, not nan"),
        (optim.SGD, {"momentum": -1}, "SGD: momentum must be 0 or more"),
        (optim.SGD, {"weight_decay": -1}, "SGD: weight_decay must be 0 or more"),
        (optim.SGD, {"nesterov": True}, "Nesterov momentum needs a momentum"),
        (
            optim.SGD,
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "Nesterov momentum needs a momentum and zero dampening",
        ),
        (optim.Adam, {"lr": -1}, "Adam: lr must be 0 or more"),
        (optim.Adam, {"eps": -1}, "Adam: eps must be 0 or more"),
        (optim.Adam, {"betas": (0.9, 1.0)}, r"Adam: betas must be in \[0, 1\)"),
        (optim.Adam, {"betas": (-0.1, 0.9)}, r"Adam: betas must be in \[0, 1\)"),
        (optim.AdamW, {"weight_decay": -1}, "AdamW: weight_decay must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind([parameter(1.0)], **settings)
    with pytest.raises(ValueError, match=message):
        kind([{"params": [parameter(1.0)], **settings}])


# State


@EACH
def test_training_goes_on_from_a_state_dict(kind, settings):
    x, y = parameter(1.0, 2.0), parameter(1.0, 2.0)
    one, other = kind([x], **settings), kind([y], lr=7.0)
    quadratic_steps(one, x, 3)
    with tg.no_grad():
        y.copy_(x)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert quadratic_steps(one, x, 3) == quadratic_steps(other, y, 3)


def test_the_state_dict_has_pytorchs_form():
    x, y = parameter(1.0, grad=[1.0]), parameter(1.0)
    optimizer = optim.Adam([{"params": [x]}, {"params": [y], "lr": 0.5}], lr=0.1)
    optimizer.step()
    state = optimizer.state_dict()
    assert list(state) == ["state", "param_groups"]
    assert list(state["state"]) == [0]
    assert list(state["state"][0]) == ["step", "exp_avg", "exp_avg_sq"]
    assert [(g["params"], g["lr"]) for g in state["param_groups"]] == [([0], 0.1), ([1], 0.5)]


def test_loaded_state_is_ones_own():
    x, y = parameter(1.0, grad=[1.0]), parameter(1.0, grad=[1.0])
    one, other = optim.Adam([x]), optim.Adam([y])
    one.step()
    other.load_state_dict(one.state_dict())
    other.step()
    assert one.state[x]["step"] == 1
    assert not np.shares_memory(one.state[x]["exp_avg"].data, other.state[y]["exp_avg"].data)


def test_a_state_dict_of_other_groups_is_refused():
    optimizer = optim.SGD([parameter(1.0), parameter(1.0)])
    state = optim.SGD([parameter(1.0)]).state_dict()
    with pytest.raises(ValueError, match=r"groups of \[1\] parameters, the optimizer of \[2\]"):
        optimizer.load_state_dict(state)


@EACH
def test_model_and_optimizer_are_copied_and_pickled_together(kind, settings):
    x = parameter(1.0, 2.0)
    optimizer = kind([x], **settings)
    quadratic_steps(optimizer, x, 2)
    for copied in (copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))):
        twin, its_optimizer = copied((x, optimizer))
        assert its_optimizer.param_groups[0]["params"][0] is twin
        expected = quadratic_steps(copy.deepcopy((x, optimizer))[1], x, 0)
        assert twin.tolist() == expected
        again, its_twin = copy.deepcopy((twin, its_optimizer))
        assert quadratic_steps(its_optimizer, twin, 2) == quadratic_steps(its_twin, again, 2)


def test_repr_lists_the_settings():
    text = repr(optim.SGD([parameter(1.0)], lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.5\n")
    assert text.endswith("\n)")
