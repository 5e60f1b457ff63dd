"""Clipping gradients, and parameters as one vector."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn


def parameters():
    first, second = nn.Parameter(tg.zeros(2)), nn.Parameter(tg.zeros(1))
    first.grad, second.grad = tg.tensor([3.0, -4.0]), tg.tensor([12.0])
    return [first, second, nn.Parameter(tg.zeros(3))]


@pytest.mark.parametrize(("norm_type", "norm"), [(2.0, 13.0), (math.inf, 12.0), (1.0, 19.0)])
def test_clipping_scales_the_joint_norm(norm_type, norm):
    params = parameters()
    assert nn.utils.clip_grad_norm_(params, 6.5, norm_type).item() == pytest.approx(norm)
    factor = 6.5 / norm
    assert params[0].grad.tolist() == pytest.approx([3 * factor, -4 * factor])
    assert params[1].grad.tolist() == pytest.approx([12 * factor])
    assert params[2].grad is None


def test_small_gradients_stay():
    params = parameters()
    nn.utils.clip_grad_norm_(params, 100.0)
    assert params[0].grad.tolist() == [3.0, -4.0]


def test_a_generator_of_parameters_and_one_tensor_are_fine():
    net = nn.Linear(2, 1)
    net(tg.ones(1, 2)).sum().backward()
    assert nn.utils.clip_grad_norm_(net.parameters(), 1.0).item() == pytest.approx(math.sqrt(3))
    assert nn.utils.clip_grad_norm_(nn.Parameter(tg.ones(1)), 1.0).item() == 0.0


def test_a_norm_that_is_not_finite_raises_on_request_and_changes_nothing():
    params = parameters()
    params[0].grad = tg.tensor([math.nan, 1.0])
    with pytest.raises(RuntimeError, match="the norm of the gradients is nan"):
        nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert params[1].grad.tolist() == [12.0]


def test_a_total_norm_of_tensors_of_any_shape():
    tensors = [tg.tensor([[3.0]]), tg.zeros(0, 2), tg.tensor(4.0)]
    assert nn.utils.get_total_norm(tensors).item() == 5.0
    assert nn.utils.get_total_norm(iter(tensors), math.inf).item() == 4.0
    assert nn.utils.get_total_norm([]).item() == 0.0
    for p in (0.0, -math.inf):
        with pytest.raises(ValueError, match="no norm of type"):
            nn.utils.get_total_norm(tensors, p)


def test_clipping_by_a_given_norm():
    params = parameters()
    nn.utils.clip_grads_with_norm_(params, 6.5, tg.tensor(13.0))
    assert params[0].grad.tolist() == pytest.approx([1.5, -2.0])
    assert params[1].grad.tolist() == pytest.approx([6.0])


def test_clipping_is_noticed_by_what_saved_the_gradient():
    params = parameters()
    x = tg.ones(2, requires_grad=True)
    y = (x * params[0].grad).sum()
    nn.utils.clip_grad_norm_(params, 1.0)
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


def test_gradients_without_dimensions_are_clipped():
    x = nn.Parameter(tg.tensor(2.0))
    (x * x).backward()
    nn.utils.clip_grad_norm_(x, 2.0)
    assert x.grad.item() == pytest.approx(2.0)
    nn.utils.clip_grad_value_(x, 0.5)
    assert x.grad.item() == 0.5


def test_clipping_values():
    params = parameters()
    nn.utils.clip_grad_value_(params, 3.5)
    assert params[0].grad.tolist() == [3.0, -3.5]
    assert params[1].grad.tolist() == [3.5]


def test_a_vector_there_and_back():
    net, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    vector = nn.utils.parameters_to_vector(net.parameters())
    memory = twin.weight.data
    nn.utils.vector_to_parameters(vector.detach(), twin.parameters())
    assert twin.weight.tolist() == net.weight.tolist()
    assert twin.bias.tolist() == net.bias.tolist()
    assert np.shares_memory(memory, twin.weight.data)


def test_gradients_flow_through_the_vector():
    net = nn.Linear(2, 1)
    nn.utils.parameters_to_vector(net.parameters()).sum().backward()
    assert net.weight.grad.tolist() == [[1.0, 1.0]]


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"expected 3 elements, not the shape \(4,\)"):
        nn.utils.vector_to_parameters(tg.ones(4), nn.Linear(2, 1).parameters())
