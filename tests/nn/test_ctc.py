"""Connectionist temporal classification: every path counted, derivatives to second order, kinks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import gradcheck, gradgradcheck
from tapegrad.nn import functional as F

LABELS = tg.tensor([[1, 1, 2], [2, 1, 0]])  # a repeated label, and one that is filled up
SPANS, SIZES = (5, 3), (3, 2)


def scores(steps=5, batch=2, classes=3, seed=0):
    values = np.random.default_rng(seed).standard_normal((steps, batch, classes))
    return tg.tensor(values, requires_grad=True)


def by_enumeration(probabilities, label, blank=0):
    """The probability of all paths that give the label, one by one."""
    steps, classes = probabilities.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        merged = [c for c, _ in itertools.groupby(path) if c != blank]
        if merged == label:
            total += np.prod(probabilities[np.arange(steps), path])
    return total


@pytest.mark.parametrize("label", [[], [1], [1, 1], [2, 1, 2]])
def test_the_loss_counts_every_path(label):
    log_probs = scores(batch=1).detach().log_softmax(2)
    loss = F.ctc_loss(log_probs, tg.tensor([[*label, 0]]), (5,), (len(label),), reduction="sum")
    expected = by_enumeration(log_probs.exp().numpy()[:, 0], label)
    assert loss.item() == pytest.approx(-np.log(expected), rel=1e-12)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradients_to_second_order(reduction):
    def loss(x):
        return F.ctc_loss(x.log_softmax(2), LABELS, SPANS, SIZES, reduction=reduction)

    assert gradcheck(loss, scores())
    assert gradgradcheck(loss, scores())


def test_third_derivatives_exist_and_agree():
    def slope(x):
        loss = F.ctc_loss(x.log_softmax(2), tg.tensor([[1, 2]]), (3,), (2,), reduction="sum")
        (gradient,) = tg.autograd.grad(loss, [x], create_graph=True)
        return (gradient * gradient).sum()

    assert gradgradcheck(slope, scores(3, 1))


def test_the_gradient_of_log_probs_that_stay_normalised_sums_to_0():
    log_probs = scores().detach().log_softmax(2).requires_grad_()
    F.ctc_loss(log_probs, LABELS, SPANS, SIZES, reduction="sum").backward()
    np.testing.assert_allclose(log_probs.grad.numpy().sum(2), 0, atol=1e-12)
    assert not log_probs.grad.numpy()[3:, 1].any()  # what lies past the end does not count


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_a_target_too_long_has_an_infinite_loss_and_no_gradient(zero_infinity):
    x = scores(2)
    losses = F.ctc_loss(
        x.log_softmax(2), tg.tensor([[1, 1], [1, 2]]), (2, 2), (2, 2),
        reduction="none", zero_infinity=zero_infinity,
    )  # fmt: skip
    losses.sum().backward()
    assert losses[0].item() == (0.0 if zero_infinity else np.inf)
    assert np.isfinite(losses[1].item())
    assert not x.grad.numpy()[:, 0].any()
    assert np.isfinite(x.grad.numpy()).all()


def test_probabilities_of_0_leave_the_gradient_finite():
    log_probs = tg.tensor([[[0.0, -np.inf]], [[-np.inf, 0.0]]], requires_grad=True)
    loss = F.ctc_loss(log_probs, tg.tensor([[1]]), (2,), (1,))
    loss.backward()
    assert loss.item() == 0.0
    assert np.isfinite(log_probs.grad.numpy()).all()


def test_long_sequences_do_not_underflow():
    log_probs = tg.zeros(2000, 1, 50).log_softmax(2).requires_grad_()
    loss = F.ctc_loss(log_probs, tg.ones(1, 20, dtype=tg.int64), (2000,), (20,), reduction="sum")
    loss.backward()
    assert 1000 < loss.item() < 2000 * np.log(50)
    assert np.isfinite(log_probs.grad.numpy()).all()


X = np.log(np.full((4, 2, 3), 1 / 3))
MISTAKES = {
    "a class that is none": (lambda m, x: (x, m.tensor([[1], [3]]), (4, 4), (1, 1)), IndexError),
    "blank": (lambda m, x: (x, m.tensor([[1], [2]]), (4, 4), (1, 1), 3), RuntimeError),
    "too few lengths": (lambda m, x: (x, m.tensor([[1], [2]]), (4,), (1, 1)), RuntimeError),
    "a length past the end": (lambda m, x: (x, m.tensor([[1], [2]]), (4, 5), (1, 1)), RuntimeError),
    "targets too short": (lambda m, x: (x, m.tensor([[1], [2]]), (4, 4), (1, 2)), RuntimeError),
    "targets in a row": (lambda m, x: (x, m.tensor([1, 2, 1]), (4, 4), (1, 1)), RuntimeError),
    "dimensions": (lambda m, x: (x[0, 0], m.tensor([[1]]), (4,), (1,)), RuntimeError),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_refused(name):
    arguments, kind = MISTAKES[name]
    with pytest.raises(kind, match="ctc_loss"):
        F.ctc_loss(*arguments(tg, tg.tensor(X)))
