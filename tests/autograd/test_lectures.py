"""The numbers the lectures show on the board, from our own runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg


def scalar(value):
    return tg.tensor(value, dtype=tg.float64, requires_grad=True)


def test_the_circuit_x_plus_y_times_z():
    x, y, z = tg.tensor([-2.0, 5.0, -4.0]).unbind()
    x, y, z = (v.detach().requires_grad_() for v in (x, y, z))
    q = x + y
    f = q * z
    f.backward()
    assert (q.item(), f.item()) == (3.0, -12.0)
    assert (x.grad.item(), y.grad.item(), z.grad.item()) == (-4.0, -4.0, 3.0)


@pytest.fixture
def neuron():
    """The sigmoid neuron with w = (2, -3, -3) and x = (-1, -2), gate by gate."""
    w0, x0, w1, x1, w2 = map(scalar, (2.0, -1.0, -3.0, -2.0, -3.0))
    with tg.Tape() as tape:
        out = 1 / (1 + tg.exp((w0 * x0 + w1 * x1 + w2) * -1))
    out.backward()
    return (w0, x0, w1, x1, w2), out, tape


def test_the_sigmoid_neuron_forward(neuron):
    _, out, tape = neuron
    shown = [(step.gate, round(float(step.value), 2)) for step in tape]
    assert shown == [
        ("mul", -2.0),
        ("mul", 6.0),
        ("add", 4.0),
        ("add", 1.0),
        ("mul", -1.0),
        ("exp", 0.37),
        ("add", 1.37),
        ("div", 0.73),
    ]
    assert out.item() == pytest.approx(0.731, abs=5e-4)


def test_the_sigmoid_neuron_backward_gate_by_gate(neuron):
    _, _, tape = neuron
    gradients = {i: round(float(step.grad), 2) for i, step in enumerate(tape)}
    assert [gradients[i] for i in (7, 6, 5, 4, 3)] == [1.0, -0.53, -0.53, -0.2, 0.2]


def test_the_sigmoid_neuron_gradients(neuron):
    leaves, _, _ = neuron
    expected = [-0.197, 0.393, -0.393, -0.590, 0.197]
    assert [leaf.grad.item() for leaf in leaves] == pytest.approx(expected, abs=5e-4)


def test_the_neuron_as_one_sigmoid_gate():
    x = scalar(1.0)
    out = tg.sigmoid(x)
    out.backward()
    assert x.grad.item() == pytest.approx((1 - out.item()) * out.item())
    assert round(x.grad.item(), 2) == 0.2


def multiclass_svm(scores, label):
    """sum over j != y of max(0, s_j - s_y + 1)"""
    margins = tg.clamp(scores - scores[label] + 1, min=0)
    return margins.sum() - 1


@pytest.mark.parametrize(
    ("scores", "label", "loss"),
    [
        ((1.0, 0.2, -0.5), 0, 0.2),
        ((2.5, 3.1, -0.1), 0, 1.6),
        ((3.2, 5.1, -1.7), 0, 2.9),
        ((1.3, 4.9, 2.0), 1, 0.0),
        ((2.2, 2.5, -3.1), 2, 12.9),
        ((-2.85, 0.86, 0.28), 2, 1.58),
        ((0.0, 0.0, 0.0), 1, 2.0),
    ],
)
def test_multiclass_svm_losses(scores, label, loss):
    assert multiclass_svm(tg.tensor(scores), label).item() == pytest.approx(loss, abs=1e-5)


def test_the_svm_gradient_counts_the_margins_violated():
    scores = tg.tensor([3.2, 5.1, -1.7], requires_grad=True)
    multiclass_svm(scores, 0).backward()
    assert scores.grad.tolist() == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("scores", "label", "probabilities", "loss"),
    [
        ((2.5, 3.1, -0.1), 0, (0.3453, 0.6291, 0.0256), 1.0635),
        ((3.2, 5.1, -1.7), 0, (0.13, 0.87, 0.00), 2.04),
        ((-2.85, 0.86, 0.28), 2, (0.016, 0.631, 0.353), 1.04),
        ((0.0, 0.0, 0.0), 1, (1 / 3, 1 / 3, 1 / 3), math.log(3)),
    ],
)
def test_softmax_losses(scores, label, probabilities, loss):
    logits = tg.tensor([scores], requires_grad=True)
    found = tg.cross_entropy(logits, tg.tensor([label]))
    softmax = tg.softmax(logits, 1).detach().numpy()[0]
    assert softmax == pytest.approx(probabilities, abs=5e-3)
    assert found.item() == pytest.approx(loss, abs=5e-3)
    found.backward()
    assert logits.grad.numpy()[0] == pytest.approx(softmax - np.eye(3)[label], abs=1e-6)


def test_softmax_of_two_classes_is_the_sigmoid_of_the_difference():
    s = tg.tensor([0.3, -1.1])
    assert tg.softmax(s, 0)[0].item() == pytest.approx(tg.sigmoid(s[0] - s[1]).item())


def test_laplace_closest_to_a_normal_in_forward_kl():
    a = scalar(1.0)
    for _ in range(200):
        kl = a * math.sqrt(2 / math.pi) - tg.log(a) + math.log(math.sqrt(2 / math.pi)) - 0.5
        (slope,) = tg.autograd.grad(kl, a)
        with tg.no_grad():
            a -= 0.5 * slope
    assert a.item() == pytest.approx(math.sqrt(math.pi / 2), abs=1e-6)
    assert kl.item() == pytest.approx(0.5 - math.log(math.pi / 2), abs=1e-6)


def test_adversarial_step_raises_the_loss():
    _ = tg.manual_seed(0)
    w, x = tg.randn(3, 8), tg.randn(1, 8, requires_grad=True)
    label = tg.tensor([1])
    loss = tg.cross_entropy(tg.linear(x, w), label)
    loss.backward()
    moved = x.detach() + 0.007 * x.grad.sign()
    assert tg.cross_entropy(tg.linear(moved, w), label).item() > loss.item()
