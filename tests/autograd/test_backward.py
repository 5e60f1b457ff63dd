"""The walk backwards: what arrives where, how it accumulates, and what it refuses."""

import re
import warnings
import weakref
from typing import ClassVar

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import autograd
from tapegrad.autograd import Gate, grad


def leaf(*values, dtype=tg.float64):
    data = values[0] if len(values) == 1 else list(values)
    return tg.tensor(data, dtype=dtype, requires_grad=True)


def shares_memory(a, b):
    return np.shares_memory(a.data, b.data)


def error_of(function):
    """The message of the RuntimeError that `function` raises; empty if it raises none."""
    try:
        function()
    except RuntimeError as error:
        return str(error)
    return ""


class ExpPair(Gate):
    """exp(x) and exp(2x): several outputs, whose gradient reads them."""

    needs: ClassVar = {"x": "out"}
    outputs = None

    def forward(self, xp, x):
        return xp.exp(x), xp.exp(2 * x)

    def backward(self, node, grad, out, x):
        return grad[0] * out[0] + grad[1] * (out[1] * 2)


@pytest.fixture
def exp_pair():
    gate = ExpPair()
    yield gate
    del Gate.all[gate.name]


# Values


def test_the_gradients_of_the_lecture_example():
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    f = (x + y) * z
    f.backward()
    assert (f.item(), x.grad.item(), y.grad.item(), z.grad.item()) == (-12.0, -4.0, -4.0, 3.0)


def test_a_sum_of_ten_thousand_leaves():
    leaves = [leaf(float(i)) for i in range(10_000)]
    sum(x * i for i, x in enumerate(leaves)).backward()
    assert [x.grad.item() for x in leaves] == [float(i) for i in range(10_000)]


def test_a_cat_of_a_thousand_parts():
    x = leaf(np.arange(1000.0))
    (tg.cat(list(x.split(1))) * np.arange(1000.0)).sum().backward()
    assert x.grad.tolist() == list(np.arange(1000.0))


def test_the_gradient_of_x_times_x_counts_both_factors():
    x = leaf(3.0)
    (x * x).backward()
    assert x.grad.item() == 6.0


def test_gradients_that_meet_in_a_diamond_add_up():
    x = leaf(2.0)
    a = x * 3
    (a * a + a * 5).backward()
    assert x.grad.item() == 2 * 6 * 3 + 15


def test_a_value_that_fans_out_a_hundred_times_collects_every_gradient():
    x = leaf(1.0, 2.0)
    total = x * 0
    for i in range(100):
        total = total + x * i
    total.sum().backward()
    assert x.grad.tolist() == [4950.0, 4950.0]


def test_a_diamond_of_diamonds_is_walked_once_per_node():
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_a_leaf_is_its_own_root():
    x = leaf(4.0)
    x.backward()
    assert x.grad.item() == 1.0


def test_an_output_that_is_used_and_is_a_root_receives_both_gradients():
    x = leaf(3.0)
    y = x * x
    z = y * 10
    autograd.backward([z, y])
    assert x.grad.item() == 6 * 10 + 6


def test_the_same_root_twice_counts_twice():
    x = leaf(3.0)
    y = x * x
    autograd.backward([y, y])
    assert x.grad.item() == 12.0


def test_several_roots_take_their_own_gradients():
    x = leaf(1.0, 2.0)
    autograd.backward([x * 2, x * x], [tg.tensor([1.0, 10.0]), tg.tensor([1.0, 1.0])])
    assert x.grad.tolist() == [2 + 2, 20 + 4]


def test_broadcast_operands_receive_the_sum_over_their_copies():
    x, y, z = leaf([[1.0], [2.0]]), leaf([1.0, 2.0, 3.0]), leaf(2.0)
    (x * y * z).sum().backward()
    assert x.grad.tolist() == [[12.0], [12.0]]
    assert y.grad.tolist() == [6.0, 6.0, 6.0]
    assert z.grad.item() == 18.0


def test_backward_passes_through_views():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    (x.T[0].reshape(2, 1).expand(2, 3) * 2).sum().backward()
    assert x.grad.tolist() == [[6.0, 0.0], [6.0, 0.0]]


def test_iterating_a_tensor_lets_gradients_through():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    (first * second).sum().backward()
    assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]


def test_float32_leaves_get_float32_gradients_from_a_float64_result():
    x = leaf(1.0, 2.0, dtype=tg.float32)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype == tg.float32


def test_a_gradient_of_another_dtype_is_cast_to_that_of_the_output():
    x = leaf(1.0, 2.0, dtype=tg.float32)
    (x * 2).backward(np.array([1.0, 2.0]))
    assert x.grad.dtype == tg.float32
    assert x.grad.tolist() == [2.0, 4.0]


def test_tensors_that_require_no_gradient_get_none():
    x, c = leaf(1.0, 2.0), tg.tensor([3.0, 4.0])
    (x * c).sum().backward()
    assert c.grad is None
    assert x.grad is not None


def test_results_that_cannot_carry_a_gradient_are_not_recorded():
    x = leaf(1.5, -2.0)
    flat = [x > 0, x.argmax(), x.long(), x.bool(), x.any(), x.isnan(), x.sum(dtype=tg.int64)]
    assert [result.requires_grad for result in flat] == [False] * len(flat)


def test_the_indices_of_a_maximum_require_no_gradient():
    values, indices = leaf([[1.0, 5.0], [7.0, 2.0]]).max(1)
    assert values.requires_grad
    assert not indices.requires_grad


# Accumulation


def test_a_second_backward_adds_to_the_gradient():
    x = leaf(1.0, 2.0)
    for _ in range(3):
        (x * x).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


@pytest.mark.parametrize("shape", [(), (3,)])
def test_accumulation_keeps_the_gradient_tensor(shape):
    x = tg.ones(*shape, requires_grad=True) if shape else leaf(1.0)
    (x * 2).sum().backward()
    first = x.grad
    (x * 2).sum().backward()
    assert x.grad is first
    assert np.all(first.data == 4.0)


@pytest.mark.parametrize("create_graph", [False, True])
def test_two_leaves_reached_by_one_gradient_do_not_share_it(create_graph):
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward(create_graph=create_graph)
    assert x.grad is not y.grad
    assert not shares_memory(x.grad, y.grad)


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_gradient_of_a_leaf_is_writable(create_graph):
    x = leaf(1.0, 2.0)
    x.sum().backward(create_graph=create_graph)
    with tg.no_grad():
        x.grad.zero_()
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_gradient_of_a_leaf_does_not_alias_the_seed(create_graph):
    x, seed = leaf(1.0, 2.0), tg.tensor([1.0, 1.0], dtype=tg.float64)
    (x + 0).backward(seed, create_graph=create_graph)
    assert x.grad is not seed
    assert not shares_memory(x.grad, seed)


def test_the_gradient_of_a_leaf_does_not_alias_saved_values():
    x, scale = leaf(1.0, 2.0), tg.tensor([5.0, 6.0], dtype=tg.float64)
    (x * scale).backward(tg.ones(2, dtype=tg.float64))
    with tg.no_grad():
        x.grad.zero_()
    assert scale.tolist() == [5.0, 6.0]


def test_a_gradient_kept_by_a_hook_is_not_the_leafs_own():
    x = leaf(1.0, 2.0)
    seen = []
    x.register_hook(lambda g: seen.append(g))
    for _ in range(2):
        (x * 2 + x * 3).sum().backward()
    assert seen[0].tolist() == [5.0, 5.0]
    assert not shares_memory(seen[0], x.grad)


def test_the_gradient_of_an_intermediate_does_not_alias_that_of_a_leaf():
    x = leaf(1.0, 2.0)
    y = x + 0
    y.retain_grad()
    y.sum().backward()
    assert not shares_memory(x.grad, y.grad)


def test_a_gradient_set_to_none_starts_afresh():
    x = leaf(2.0)
    (x * x).backward()
    x.grad = None
    (x * 3).backward()
    assert x.grad.item() == 3.0


def test_a_gradient_recorded_before_can_be_added_to():
    x = leaf(2.0, 3.0)
    (x**3).sum().backward(create_graph=True)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [14.0, 29.0]


def test_an_accumulated_gradient_that_a_gate_saved_is_not_silently_wrong():
    x, w = leaf(1.0, 2.0), leaf(1.0, 1.0)
    (x * x).sum().backward()
    loss = (x.grad * w).sum()
    (x * x).sum().backward()
    assert "'mul'" in error_of(loss.backward) or w.grad.tolist() == [2.0, 4.0]


def test_a_leaf_whose_data_is_replaced_gets_gradients_of_the_new_kind():
    x = leaf(1.0, 2.0, dtype=tg.float32)
    x.data = np.ones(3)
    (x * 2).sum().backward()
    assert x.grad.dtype == tg.float64
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_leaf_that_no_longer_requires_a_gradient_receives_none():
    x = leaf(1.0, 2.0)
    y = (x * 2).sum()
    x.requires_grad_(False)
    y.backward()
    assert x.grad is None


def test_a_gradient_of_its_own_stays_so_through_views_of_it():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x.T.reshape(4)
    (tg.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=tg.float64) @ y.reshape(4, 1)).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[1.0, 3.0], [2.0, 4.0]])
    first = x.grad.data
    kept = first.copy()
    (x.reshape(2, 2) @ x.T).sum().backward()
    assert x.grad.data is first
    assert not (first == kept).all()


def test_what_is_captured_on_the_way_is_not_added_to():
    x = leaf([1.0, 2.0])
    y = x.reshape(1, 2)
    z = y.reshape(2, 1)
    out = (tg.ones(1, 2, dtype=tg.float64) @ z).sum()
    for_z, for_y, for_x = grad(out, (z, y, x))
    assert not any(shares_memory(a, b) for a, b in ((for_z, for_y), (for_y, for_x), (for_z, for_x)))


# Chosen inputs


def test_inputs_restricts_which_leaves_accumulate():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).backward(inputs=[x])
    assert x.grad.item() == 3.0
    assert y.grad is None


def test_inputs_may_be_one_tensor():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).backward(inputs=y)
    assert y.grad.item() == 2.0


def test_inputs_named_twice_accumulate_once():
    x = leaf(2.0)
    (x * x).backward(inputs=[x, x])
    assert x.grad.item() == 4.0


def test_inputs_adds_to_what_is_there():
    x = leaf(2.0)
    (x * x).backward()
    (x * x).backward(inputs=[x])
    assert x.grad.item() == 8.0


def test_empty_inputs_are_refused():
    with pytest.raises(RuntimeError, match="inputs"):
        (leaf(2.0) * 2).backward(inputs=[])


# grad()


def test_grad_leaves_dot_grad_alone():
    x = leaf(3.0)
    (dx,) = grad(x * x, x)
    assert dx.item() == 6.0
    assert x.grad is None


def test_grad_of_several_inputs_comes_in_their_order():
    x, y = leaf(2.0), leaf(3.0)
    dy, dx = grad(x * x * y, [y, x])
    assert (dx.item(), dy.item()) == (12.0, 4.0)


def test_grad_results_are_not_recorded_without_create_graph():
    x = leaf(3.0)
    assert not grad(x * x, x)[0].requires_grad
    x = leaf(3.0)
    assert grad(x * x, x, create_graph=True)[0].requires_grad


def test_grad_of_an_intermediate_value():
    x = leaf(3.0)
    y = x * x
    (dy,) = grad(y * 5, y)
    assert dy.item() == 5.0


def test_grad_of_an_input_upstream_of_another_input():
    x = leaf(3.0)
    y = x * x
    dx, dy = grad(y * y, [x, y])
    assert (dx.item(), dy.item()) == (4 * 27.0, 18.0)


def test_grad_of_the_output_itself_is_the_seed():
    x = leaf(3.0)
    y = x * x
    assert grad(y, y)[0].item() == 1.0
    assert grad(x, x)[0].item() == 1.0


def test_grad_of_an_input_given_twice_comes_twice_unshared():
    x = leaf(3.0, 4.0)
    first, second = grad((x * x).sum(), [x, x])
    assert first.tolist() == second.tolist() == [6.0, 8.0]
    assert not shares_memory(first, second)


def test_grad_results_do_not_share_memory():
    x, y = leaf(3.0, 4.0), leaf(1.0, 1.0)
    dx, dy = grad((x + y).sum(), [x, y])
    dx.data[0] = 100.0
    assert dy.tolist() == [1.0, 1.0]


def test_grad_refuses_an_unused_input_and_says_how_to_allow_it():
    x, unused = leaf(3.0), leaf(1.0)
    with pytest.raises(RuntimeError, match=r"input 1 .*allow_unused"):
        grad(x * x, [x, unused])


def test_grad_gives_none_for_an_allowed_unused_input():
    x, unused = leaf(3.0), leaf(1.0)
    dx, nothing = grad(x * x, [x, unused], allow_unused=True)
    assert dx.item() == 6.0
    assert nothing is None


def test_grad_materializes_zeros_for_unused_inputs():
    x, unused = leaf(3.0), leaf(1.0, 2.0)
    zeros = grad(x * x, [x, unused], materialize_grads=True)[1]
    assert zeros.tolist() == [0.0, 0.0]
    assert zeros.dtype == tg.float64


def test_grad_of_an_input_that_requires_no_gradient_is_refused():
    x = leaf(3.0)
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        grad(x * x, tg.tensor(1.0))


def test_grad_outputs_weight_the_outputs():
    x = leaf(1.0, 2.0)
    (dx,) = grad([x * x, x * 3], x, [tg.tensor([1.0, 0.0]), tg.tensor([0.0, 1.0])])
    assert dx.tolist() == [2.0, 3.0]


def test_grad_outputs_may_be_none_for_scalars():
    x = leaf(2.0)
    (dx,) = grad([x * x, x * 3], x, [None, tg.tensor(10.0)])
    assert dx.item() == 34.0


def test_grad_does_not_walk_where_no_input_lies():
    x, y = leaf(2.0), leaf(3.0)
    calls = []
    z = y * y
    z.register_hook(calls.append)
    grad(x * z, x)
    assert calls == []


def test_leaf_gradients_are_not_touched_by_grad_of_an_intermediate():
    x = leaf(2.0)
    y = x * 3
    grad(y * y, y)
    assert x.grad is None


# Higher orders


def test_third_derivative_of_a_power():
    x = leaf(2.0)
    y = x**5
    for expected in (5 * 16.0, 20 * 8.0, 60 * 4.0, 120 * 2.0, 120.0):
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.exp() * x.sin(),
        lambda x: x.tanh() / (x * x + 1),
        lambda x: x.sigmoid().log(),
        lambda x: (x @ x) * x.softmax(0),
        lambda x: tg.cat([x, x * x]).logsumexp(0) * x,
        lambda x: sum(part * part.sqrt() for part in (x * x + 1).split(1)),
        lambda x: tg.maximum(x, x * x) * x,
        lambda x: x[tg.tensor([0, 0, 2])] * x.flip(0),
    ],
)
def test_second_derivatives_agree_with_differences(function):
    assert autograd.gradgradcheck(function, leaf(0.3, -0.7, 1.9))


def test_a_gradient_penalty_reaches_the_weights():
    x, w = leaf(0.5, -1.5), leaf([[1.0, 2.0], [3.0, -1.0]])

    def penalty(w):
        (dx,) = grad((w @ x).tanh().sum(), x, create_graph=True)
        return ((dx * dx).sum().sqrt() - 1) ** 2

    assert autograd.gradcheck(penalty, w)


def test_create_graph_records_through_backward_into_dot_grad():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    (x.grad * 1).backward()
    assert x.grad.item() == 12.0 + 12.0


def test_a_hessian_by_rows_is_symmetric():
    x = leaf(0.2, 0.4, -0.3)
    (g,) = grad((x[0] * x[1] * x[2]).exp(), x, create_graph=True)
    rows = [grad(g[i], x, retain_graph=True)[0].data for i in range(3)]
    hessian = np.stack(rows)
    assert np.allclose(hessian, hessian.T)
    assert not np.allclose(hessian, 0)


def test_second_order_adds_what_comes_through_an_output_and_through_its_saved_copy(exp_pair):
    def function(x):
        a, b = exp_pair(x)
        (g,) = grad((a * b).sum(), x, create_graph=True)
        return g * a + g * b

    x = leaf(0.1, -0.2)
    a = tg.exp(x)
    expected = grad((3 * a**3 * a + 3 * a**3 * a**2).sum(), x)[0]
    found = grad(function(x).sum(), x)[0]
    assert np.allclose(found.data, expected.data)


# Keeping and freeing the graph


def test_a_second_backward_names_the_gate_and_its_number():
    x = leaf(3.0)
    y = x * x
    number = y.grad_fn.number
    y.backward()
    with pytest.raises(RuntimeError, match=rf"'mul' \(#{number}\).*retain_graph=True"):
        y.backward()


def test_retain_graph_allows_another_backward():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


def test_create_graph_retains_the_graph():
    x = leaf(3.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


@pytest.mark.parametrize(
    "function", [lambda x: x + x, lambda x: -x, lambda x: x.sum(), lambda x: (x.reshape(1) - 1)[0]]
)
def test_gates_that_keep_nothing_can_be_walked_twice(function):
    x = leaf(3.0)
    y = function(x)
    y.backward()
    first = x.grad.item()
    y.backward()
    assert x.grad.item() == 2 * first


def test_a_shared_stem_consumed_by_one_branch_stops_the_other():
    x = leaf(3.0)
    stem = x.exp()
    one, other = stem * 2, stem * 3
    one.backward()
    with pytest.raises(RuntimeError, match="'exp'"):
        other.backward()


def test_a_recorded_graph_can_be_walked_under_no_grad():
    x = leaf(3.0)
    y = x * x
    with tg.no_grad():
        y.backward()
    assert x.grad.item() == 6.0
    assert not x.grad.requires_grad


def test_create_graph_records_even_under_no_grad():
    x = leaf(3.0)
    y = x**3
    with tg.no_grad():
        (dx,) = grad(y, x, create_graph=True)
    assert dx.requires_grad


def test_backward_leaves_the_mode_as_it_was():
    x = leaf(3.0)
    (x * x).backward()
    assert tg.is_grad_enabled()
    with tg.no_grad():
        (x * 2).requires_grad  # noqa: B018
    y = x * x
    y.backward(create_graph=True)
    assert tg.is_grad_enabled()


def test_backward_that_fails_leaves_the_mode_as_it_was():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert tg.is_grad_enabled()


def test_operations_in_backward_are_not_recorded():
    x = leaf(3.0)
    states = []
    y = x * x
    y.register_hook(lambda g: states.append((tg.is_grad_enabled(), g.requires_grad)))
    y.backward()
    assert states == [(False, False)]


# Several outputs


def test_all_parts_of_a_split_send_their_gradients():
    x = leaf(1.0, 2.0, 3.0, 4.0, 5.0)
    a, b, c = x.split([2, 2, 1])
    ((a * b).sum() + c.sum() * 10).backward()
    assert x.grad.tolist() == [3.0, 4.0, 1.0, 2.0, 10.0]


def test_an_unused_part_of_a_split_counts_as_zero():
    x = leaf(1.0, 2.0, 3.0)
    _, middle, _ = x.split(1)
    (middle * 7).sum().backward()
    assert x.grad.tolist() == [0.0, 7.0, 0.0]


def test_parts_that_died_before_backward_count_as_zero():
    x = leaf(1.0, 2.0, 3.0)
    parts = list((x * 2).split(1))
    died = weakref.ref(parts[0])
    loss = (parts[2] * 5).sum()
    del parts
    assert died() is None
    loss.backward()
    assert x.grad.tolist() == [0.0, 0.0, 10.0]


def test_a_part_used_twice_adds_up():
    x = leaf(1.0, 2.0)
    first, _ = x.split(1)
    (first * first + first).sum().backward()
    assert x.grad.tolist() == [3.0, 0.0]


def test_a_part_can_be_a_root_and_an_input_of_grad():
    x = leaf(1.0, 2.0)
    first, second = x.split(1)
    y = first * 3
    assert grad(y, first, retain_graph=True)[0].tolist() == [3.0]
    autograd.backward([second, y], [tg.ones(1), tg.ones(1)])
    assert x.grad.tolist() == [3.0, 1.0]


def test_the_values_of_a_maximum_send_gradients_to_the_winner():
    x = leaf([[1.0, 5.0], [7.0, 2.0]])
    x.max(1).values.sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0], [1.0, 0.0]]


# Hooks and retained gradients


def test_a_hook_sees_the_whole_gradient_once():
    x = leaf(2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    (y * y + y).backward()
    assert seen == [13.0]


def test_what_a_hook_returns_replaces_the_gradient():
    x = leaf(2.0)
    y = x * 3
    y.register_hook(lambda g: g * 100)
    (y * 2).backward()
    assert x.grad.item() == 600.0


def test_hooks_run_in_the_order_of_registration():
    x = leaf(2.0)
    x.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 10)
    (x * 1).backward()
    assert x.grad.item() == 20.0


def test_a_removed_hook_does_not_run():
    x = leaf(2.0)
    handle = x.register_hook(lambda g: g * 0)
    handle.remove()
    handle.remove()
    (x * 1).backward()
    assert x.grad.item() == 1.0


def test_a_hook_that_removes_itself_runs_once():
    x = leaf(2.0)
    calls = []

    def once(g):
        calls.append(1)
        handle.remove()

    handle = x.register_hook(once)
    (x * 1).backward()
    (x * 1).backward()
    assert calls == [1]


def test_a_hook_on_a_leaf_changes_what_accumulates():
    x = leaf(2.0)
    x.register_hook(lambda g: -g)
    (x * 3).backward()
    (x * 3).backward()
    assert x.grad.item() == -6.0


def test_a_hook_applies_to_grad_of_that_tensor():
    x = leaf(2.0)
    x.register_hook(lambda g: g * 10)
    assert grad(x * 3, x)[0].item() == 30.0


def test_a_hook_under_create_graph_is_differentiated():
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    (dx,) = grad(y, x, create_graph=True)
    assert dx.item() == 8.0
    assert grad(dx, x)[0].item() == 8.0


def test_a_hook_may_run_a_backward_of_its_own():
    x, w = leaf(2.0), leaf(3.0)
    y = x * x

    def inner(g):
        with tg.enable_grad():
            (w * w * g.item()).backward()

    y.register_hook(inner)
    (y * 5).backward()
    assert (x.grad.item(), w.grad.item()) == (20.0, 30.0)


def test_a_hook_may_differentiate_under_create_graph():
    x = leaf(2.0)
    y = x * x

    def penalise(g):
        with tg.enable_grad():
            (inner,) = grad(x**3, x, create_graph=True)
        return g * inner

    y.register_hook(penalise)
    (dx,) = grad(y, x, create_graph=True)
    assert dx.item() == 12.0 * 4.0
    assert grad(dx, x)[0].item() == 3 * 2 * 3 * 4.0


def test_a_hook_may_return_an_array():
    x = leaf(2.0, 3.0)
    x.register_hook(lambda g: np.array([7.0, 8.0]))
    (x * 3).sum().backward()
    assert x.grad.tolist() == [7.0, 8.0]


def test_a_hook_that_changes_the_shape_is_refused():
    x = leaf(2.0, 3.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises((RuntimeError, ValueError), match="hook"):
        (x * 3).sum().backward()


def test_a_hook_that_returns_no_tensor_is_refused():
    x = leaf(2.0, 3.0)
    x.register_hook(lambda g: "gradient")
    with pytest.raises(TypeError, match="hook"):
        (x * 3).sum().backward()


def test_a_hook_that_changes_the_dtype_does_not_change_that_of_the_gradient():
    x = leaf(2.0, 3.0, dtype=tg.float32)
    x.register_hook(lambda g: g.double())
    assert "hook" in error_of((x * 3).sum().backward) or x.grad.dtype == tg.float32


def test_a_hook_needs_a_tensor_that_requires_a_gradient():
    with pytest.raises(RuntimeError, match="register_hook"):
        tg.tensor(1.0).register_hook(print)


def test_a_hook_on_one_part_of_a_split():
    x = leaf(1.0, 2.0)
    first, second = x.split(1)
    first.register_hook(lambda g: g * 5)
    (first + second).sum().backward()
    assert x.grad.tolist() == [5.0, 1.0]


def test_intermediates_have_no_gradient_unless_retained():
    x = leaf(2.0)
    y, z = x * 2, x * 3
    z.retain_grad()
    (y * z).backward()
    assert y.grad is None
    assert z.grad.item() == 4.0


def test_retain_grad_twice_counts_once():
    x = leaf(2.0)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    (y * 3).backward()
    assert y.grad.item() == 3.0


def test_retained_gradients_accumulate_like_those_of_leaves():
    x = leaf(2.0)
    y = x * 2
    y.retain_grad()
    z = y * y
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.item() == 16.0


def test_retain_grad_sees_what_hooks_made_of_it():
    x = leaf(2.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * 3).backward()
    assert y.grad.item() == 30.0


def test_retain_grad_on_a_leaf_changes_nothing():
    x = leaf(2.0)
    x.retain_grad()
    (x * 3).backward()
    assert x.grad.item() == 3.0


def test_retain_grad_needs_a_tensor_that_requires_a_gradient():
    with pytest.raises(RuntimeError, match="retain_grad"):
        tg.tensor(1.0).retain_grad()


def test_retain_grad_of_the_root():
    x = leaf(2.0)
    y = x * 2
    y.retain_grad()
    y.backward()
    assert y.grad.item() == 1.0


# Refusals


def test_backward_of_something_not_recorded_says_why():
    with pytest.raises(RuntimeError, match="not recorded"):
        tg.tensor(1.0).backward()


def test_backward_of_several_elements_asks_for_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"shape \(2,\)"):
        (x * x).backward()


def test_one_element_of_any_rank_needs_no_gradient():
    x = leaf([[3.0]])
    (x * x).backward()
    assert x.grad.tolist() == [[6.0]]


@pytest.mark.parametrize("shape", [(), (3,), (1, 2), (2, 1)])
def test_a_gradient_of_another_shape_is_refused(shape):
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"gradient has shape .* \(2,\)"):
        (x * x).backward(tg.ones(shape))


def test_as_many_gradients_as_outputs():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="2 outputs but 1 gradients"):
        autograd.backward([x * 2, x * 3], [tg.tensor(1.0)])


def test_integers_cannot_require_gradients():
    with pytest.raises(RuntimeError, match="int64"):
        tg.tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="only floating"):
        tg.tensor([True]).requires_grad_()


def test_a_recorded_tensor_cannot_stop_requiring_a_gradient():
    y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="detach"):
        y.requires_grad = False


def test_a_gate_whose_backward_gives_a_wrong_shape_is_named():
    class Crooked(Gate):
        needs: ClassVar = {"x": ""}

        def forward(self, xp, x):
            return x * 1

        def backward(self, node, grad, out, x):
            return np.ones(7)

    gate = Crooked()
    try:
        x = leaf(1.0, 2.0)
        y = gate(x)
        with pytest.raises(RuntimeError, match=rf"'crooked' \(#{y.grad_fn.number}\).*\(7,\)"):
            y.sum().backward()
    finally:
        del Gate.all[gate.name]


def test_an_exception_in_a_backward_notes_the_gate():
    class Failing(Gate):
        needs: ClassVar = {"x": ""}

        def forward(self, xp, x):
            return x * 1

        def backward(self, node, grad, out, x):
            raise ArithmeticError("no")

    gate = Failing()
    try:
        y = gate(leaf(1.0, 2.0))
        with pytest.raises(ArithmeticError) as caught:
            y.sum().backward()
        assert f"'failing' (#{y.grad_fn.number})" in caught.value.__notes__[0]
    finally:
        del Gate.all[gate.name]


# Anomalies


def test_detect_anomaly_names_the_gate_and_the_line():
    x = leaf(0.0)
    with autograd.detect_anomaly():
        y = x.sqrt() * 0.0  # the line
        with pytest.raises(RuntimeError, match="NaN") as caught:
            y.backward()
    with open(__file__) as source:
        line = next(i for i, text in enumerate(source, 1) if "# the line" in text)
    assert "'sqrt'" in str(caught.value)
    assert re.search(rf"test_backward\.py:{line}\b", str(caught.value))


def test_without_detect_anomaly_a_nan_arrives_without_warnings():
    x = leaf(0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (x.sqrt() * 0.0).backward()
    assert np.isnan(x.grad.item())


def test_detect_anomaly_lets_right_gradients_pass():
    x = leaf(1.0, 2.0)
    with autograd.detect_anomaly():
        (x.log() * x).sum().backward()
    assert np.allclose(x.grad.data, np.log([1.0, 2.0]) + 1)


def test_detect_anomaly_names_the_line_in_other_errors():
    x = leaf(1.0, 2.0)
    with autograd.detect_anomaly():
        y = x.exp()
        with tg.no_grad():
            y.mul_(2)
        message = error_of(y.sum().backward)
    assert "overwritten" in message
    assert re.search(r"test_backward\.py:\d+", message)


def test_infinities_in_backward_are_no_anomaly():
    x = leaf(0.0)
    with autograd.detect_anomaly():
        x.sqrt().backward()
    assert x.grad.item() == np.inf
