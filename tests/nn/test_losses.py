"""Losses: the lectures' numbers, the formulas, and what goes wrong elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.autograd import gradcheck, gradgradcheck
from tapegrad.nn import functional as F

THREE = tg.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]], dtype=tg.float64)
LABELS = tg.tensor([0, 1, 2])


def doubles(*shape, seed=0):
    stream = np.random.default_rng(seed)
    return tg.tensor(stream.standard_normal(shape), requires_grad=True)


# The lectures' numbers


def test_svm_loss_of_two_examples():
    scores = tg.tensor([[1.0, 0.2, -0.5], [2.5, 3.1, -0.1]])
    each = nn.MultiClassSVMLoss(reduction="none")(scores, tg.tensor([0, 0]))
    assert each.tolist() == pytest.approx([0.2, 1.6], abs=1e-6)
    assert nn.MultiClassSVMLoss()(scores, tg.tensor([0, 0])).item() == pytest.approx(0.9)


def test_svm_loss_of_three_examples():
    each = F.multi_class_svm_loss(THREE, LABELS, reduction="none")
    assert each.tolist() == pytest.approx([2.9, 0.0, 12.9])
    assert round(F.multi_class_svm_loss(THREE, LABELS).item(), 2) == 5.27
    assert F.multi_class_svm_loss(THREE, LABELS, reduction="sum").item() == pytest.approx(15.8)


def test_squared_svm_loss():
    squared = nn.MultiClassSVMLoss(squared=True, reduction="none")(THREE, LABELS)
    assert squared.tolist() == pytest.approx([2.9**2, 0.0, 6.3**2 + 6.6**2])


def test_svm_loss_of_equal_scores_is_one_less_than_the_classes():
    assert F.multi_class_svm_loss(tg.zeros(4, 10), tg.tensor([0, 3, 5, 9])).item() == 9.0


def test_svm_loss_that_is_0_stays_0_for_doubled_scores():
    scores = THREE[1:2]
    assert F.multi_class_svm_loss(scores * 2, LABELS[1:2]).item() == 0.0


def test_hinge_and_cross_entropy_of_the_same_scores():
    scores, label = tg.tensor([[-2.85, 0.86, 0.28]]), tg.tensor([2])
    assert round(F.multi_class_svm_loss(scores, label).item(), 2) == 1.58
    assert round(F.cross_entropy(scores, label).item(), 2) == 1.04


@pytest.mark.parametrize("others", [(-2.0, 3.0), (9.0, 9.0), (-100.0, -100.0)])
def test_svm_is_content_where_softmax_is_not(others):
    scores, label = tg.tensor([[10.0, *others]]), tg.tensor([0])
    assert F.multi_class_svm_loss(scores, label).item() == 0.0
    assert F.cross_entropy(scores, label).item() == pytest.approx(
        math.log(1 + sum(math.exp(s - 10) for s in others)), abs=1e-6
    )


@pytest.mark.parametrize(
    ("scores", "probabilities", "loss"),
    [
        ((2.5, 3.1, -0.1), (0.3453, 0.6291, 0.0256), 1.0635),
        ((3.2, 5.1, -1.7), (0.1299, 0.8687, 0.0010), 2.0404),
    ],
)
def test_softmax_loss(scores, probabilities, loss):
    scores = tg.tensor([scores])
    assert F.softmax(scores, 1)[0].tolist() == pytest.approx(probabilities, abs=1e-3)
    assert nn.CrossEntropyLoss()(scores, tg.tensor([0])).item() == pytest.approx(loss, abs=5e-4)


def test_softmax_loss_of_equal_scores_is_the_logarithm_of_the_classes():
    assert nn.CrossEntropyLoss()(tg.zeros(1, 10), tg.tensor([3])).item() == pytest.approx(
        math.log(10)
    )


# Formulas and relations


def test_multi_margin_is_the_svm_loss_over_the_classes():
    assert F.multi_margin_loss(THREE, LABELS).item() == pytest.approx(
        F.multi_class_svm_loss(THREE, LABELS).item() / 3
    )
    assert F.multi_margin_loss(THREE, LABELS, p=2).item() == pytest.approx(
        F.multi_class_svm_loss(THREE, LABELS, squared=True).item() / 3
    )


def test_multi_margin_weighs_by_the_right_class():
    weight = tg.tensor([2.0, 1.0, 0.5], dtype=tg.float64)
    each = nn.MultiMarginLoss(weight=weight, reduction="none")(THREE, LABELS)
    assert each.tolist() == pytest.approx([2 * 2.9 / 3, 0.0, 0.5 * 12.9 / 3])


def test_nll_of_log_softmax_is_cross_entropy():
    loss = nn.NLLLoss()(F.log_softmax(THREE, 1), LABELS)
    assert loss.item() == pytest.approx(nn.CrossEntropyLoss()(THREE, LABELS).item())


def test_settings_of_cross_entropy_reach_the_function():
    weight = tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64)
    settings = {"weight": weight, "ignore_index": 1, "reduction": "sum", "label_smoothing": 0.1}
    assert nn.CrossEntropyLoss(**settings)(THREE, LABELS).item() == pytest.approx(
        F.cross_entropy(THREE, LABELS, **settings).item()
    )
    assert list(nn.CrossEntropyLoss(weight=weight).state_dict()) == ["weight"]


@pytest.mark.parametrize("layer", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_ignoring_every_target_gives_0(layer):
    scores = doubles(2, 3)
    loss = layer()(scores, tg.tensor([-100, -100]))
    loss.backward()
    assert loss.item() == 0.0
    assert scores.grad.abs().sum().item() == 0.0


def test_squared_and_absolute_error():
    x, y = tg.tensor([1.0, 2.0, 4.0]), tg.tensor([1.0, 4.0, 1.0])
    assert nn.MSELoss()(x, y).item() == pytest.approx(13 / 3)
    assert nn.MSELoss("sum")(x, y).item() == 13.0
    assert nn.L1Loss(reduction="none")(x, y).tolist() == [0.0, 2.0, 3.0]


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss])
def test_broadcasting_a_target_warns(loss):
    with pytest.warns(UserWarning, match=r"\(3, 1\) and the target's \(3,\) differ") as warned:
        loss(tg.ones(3, 1), tg.ones(3))
    assert warned[0].filename == __file__


def test_binary_cross_entropy_by_hand():
    p, y = tg.tensor([0.8, 0.3]), tg.tensor([1.0, 0.0])
    each = nn.BCELoss(reduction="none")(p, y)
    assert each.tolist() == pytest.approx([-math.log(0.8), -math.log(0.7)])


def test_binary_cross_entropy_of_certain_answers():
    p = tg.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    each = F.binary_cross_entropy(p, tg.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    each.sum().backward()
    assert each.tolist() == [0.0, 0.0, 100.0, 100.0]
    assert np.isfinite(p.grad.numpy()).all()


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_binary_cross_entropy_wants_probabilities(p):
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.binary_cross_entropy(tg.tensor([p]), tg.tensor([1.0]))


@pytest.mark.parametrize(
    "loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits], ids=["p", "logits"]
)
def test_binary_cross_entropy_wants_equal_shapes(loss):
    with pytest.raises(ValueError, match=r"\(2, 1\) and the target's \(2,\) differ"):
        loss(tg.ones(2, 1), tg.ones(2))


def test_logits_and_probabilities_give_the_same_loss():
    x, y = doubles(6), tg.tensor([0.0, 1.0, 0.3, 1.0, 0.0, 0.5], dtype=tg.float64)
    weight = tg.tensor([1.0, 2.0, 3.0, 1.0, 1.0, 1.0], dtype=tg.float64)
    assert nn.BCEWithLogitsLoss(weight)(x, y).item() == pytest.approx(
        nn.BCELoss(weight)(tg.sigmoid(x), y).item(), rel=1e-12
    )


def test_logits_far_out_stay_exact():
    x = tg.tensor([-1e4, 1e4, -1e4, 1e4], requires_grad=True)
    each = F.binary_cross_entropy_with_logits(x, tg.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    each.sum().backward()
    assert each.tolist() == [0.0, 0.0, 1e4, 1e4]
    assert x.grad.tolist() == [0.0, 0.0, -1.0, 1.0]


def test_pos_weight_scales_positive_targets():
    x, y = tg.tensor([0.3, 0.3]), tg.tensor([1.0, 0.0])
    plain = nn.BCEWithLogitsLoss(reduction="none")(x, y)
    weighted = nn.BCEWithLogitsLoss(reduction="none", pos_weight=tg.tensor(3.0))(x, y)
    assert weighted.tolist() == pytest.approx([3 * plain[0].item(), plain[1].item()])


# Gradients

LOSSES = {
    "mse": lambda x: F.mse_loss(x, tg.ones(4, 3, dtype=tg.float64)),
    "l1": lambda x: F.l1_loss(x, tg.ones(4, 3, dtype=tg.float64) * 9),
    "bce logits": lambda x: F.binary_cross_entropy_with_logits(
        x, tg.full((4, 3), 0.3, dtype=tg.float64)
    ),
    "bce": lambda x: F.binary_cross_entropy(tg.sigmoid(x), tg.full((4, 3), 0.3, dtype=tg.float64)),
    "svm": lambda x: F.multi_class_svm_loss(x, tg.tensor([0, 1, 2, 0])),
    "svm squared": lambda x: F.multi_class_svm_loss(x, tg.tensor([0, 1, 2, 0]), squared=True),
    "multi margin": lambda x: F.multi_margin_loss(x, tg.tensor([0, 1, 2, 0]), p=2, margin=0.7),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_to_second_order(name):
    assert gradcheck(LOSSES[name], doubles(4, 3))
    assert gradgradcheck(LOSSES[name], doubles(4, 3))


def test_the_svm_gradient_counts_the_margins_violated():
    scores = tg.tensor([[3.2, 5.1, -1.7], [2.2, 2.5, -3.1]], requires_grad=True)
    F.multi_class_svm_loss(scores, tg.tensor([0, 2]), reduction="sum").backward()
    assert scores.grad.tolist() == [[-1.0, 1.0, 0.0], [1.0, 1.0, -2.0]]


# Kinks and far out


def slopes(function, *values):
    """The first and the second derivative at each of some numbers."""
    x = tg.tensor(values, dtype=tg.float64, requires_grad=True)
    (first,) = tg.autograd.grad(function(x).sum(), [x], create_graph=True)
    (second,) = tg.autograd.grad(first.sum(), [x])
    return first.tolist(), second.tolist()


def test_huber_bends_at_delta_where_the_curvature_ends():
    zeros = tg.zeros(5, dtype=tg.float64)
    first, second = slopes(
        lambda x: F.huber_loss(x, zeros, "none", delta=0.5), -0.6, -0.5, 0.0, 0.5, 0.6
    )
    assert first == [-0.5, -0.5, 0.0, 0.5, 0.5]
    assert second == [0.0, 0.0, 1.0, 0.0, 0.0]
    first, _ = slopes(lambda x: F.smooth_l1_loss(x, zeros, "none", beta=0.0), -2, -1, 0, 1, 2)
    assert first == [-1.0, -1.0, 0.0, 1.0, 1.0]


def test_certain_and_wrong_answers_have_pytorchs_bounded_slope():
    p = tg.tensor([0.0, 1.0, 0.0], dtype=tg.float64, requires_grad=True)
    y = tg.tensor([1.0, 0.0, 0.0], dtype=tg.float64, requires_grad=True)
    F.binary_cross_entropy(p, y, reduction="sum").backward()
    assert p.grad.tolist() == [-1e12, 1e12, 0.0]
    assert y.grad.tolist() == [100.0, -100.0, 100.0]


def test_divergence_from_what_is_never_expected_is_0():
    p = tg.tensor([0.0, 1.0], requires_grad=True)
    log_q = tg.tensor([-1e4, 0.0], requires_grad=True)
    loss = F.kl_div(log_q, p, reduction="sum")
    loss.backward()
    assert loss.item() == 0.0
    assert log_q.grad.tolist() == [0.0, -1.0]
    assert np.isfinite(p.grad.numpy()).all()


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: F.soft_margin_loss(x, tg.tensor([1.0, 1.0, -1.0, -1.0]), "none"),
        lambda x: F.multilabel_soft_margin_loss(
            x.unsqueeze(1), tg.tensor([[1.0], [1.0], [0.0], [0.0]]), reduction="none"
        ),
        lambda x: F.cross_entropy(
            tg.stack([x, tg.zeros(4)], 1), tg.tensor([0, 0, 1, 1]), reduction="none"
        ),
    ],
    ids=["soft margin", "labels", "cross entropy"],
)
def test_losses_of_scores_far_out_are_exact(loss):
    x = tg.tensor([-1e4, 1e4, -1e4, 1e4], requires_grad=True)
    each = loss(x)
    each.sum().backward()
    assert each.tolist() == [1e4, 0.0, 0.0, 1e4]
    assert x.grad.tolist() == [-1.0, 0.0, 0.0, 1.0]


def test_the_gradient_passes_the_least_variance():
    var = tg.tensor([1e-9], dtype=tg.float64, requires_grad=True)
    x = tg.zeros(1, dtype=tg.float64)
    F.gaussian_nll_loss(x, x, var, eps=0.01).backward()
    assert var.grad.item() == pytest.approx(0.5 / 0.01)


def test_vectors_of_no_length_and_equal_vectors_have_finite_gradients():
    for distance in (
        lambda x: F.cosine_similarity(x, tg.ones(2, 3)).sum(),
        lambda x: F.pairwise_distance(x, tg.zeros(2, 3)).sum(),
        lambda x: F.pairwise_distance(x, tg.zeros(2, 3), eps=0.0).sum(),
        lambda x: F.pdist(x).sum(),
        lambda x: F.cosine_embedding_loss(x, tg.ones(2, 3), tg.tensor([1, -1])),
        lambda x: F.triplet_margin_loss(x, x, x, swap=True, eps=0.0),
    ):
        x = tg.zeros(2, 3, requires_grad=True)
        distance(x).backward()
        assert np.isfinite(x.grad.numpy()).all()


def test_hinges_pass_or_stop_the_gradient_at_their_corner_as_pytorchs_do():
    one = tg.ones(1)
    x = tg.tensor([1.0], requires_grad=True)
    F.margin_ranking_loss(x, one, tg.tensor([1])).backward()
    assert x.grad.tolist() == [-1.0]
    x = tg.tensor([1.0, 0.0], requires_grad=True)
    F.multi_margin_loss(x, tg.tensor(0)).backward()
    assert x.grad.tolist() == [0.0, 0.0]


# Mistakes


@pytest.mark.parametrize("loss", [F.multi_margin_loss, F.multi_class_svm_loss])
def test_a_class_that_is_none_is_refused(loss):
    with pytest.raises(IndexError):
        loss(THREE, tg.tensor([0, 1, 3]))
    with pytest.raises(ValueError, match=r"expected scores \(N, C\) and targets \(N,\)"):
        loss(THREE, tg.tensor([0, 1]))


@pytest.mark.parametrize(
    "layer",
    [nn.MSELoss, nn.L1Loss, nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss, nn.BCELoss],
)
def test_an_unknown_reduction_is_refused_when_the_layer_is_made(layer):
    with pytest.raises(ValueError, match="'mean', 'sum' or 'none', not 'average'"):
        layer(reduction="average")


def test_multi_margin_knows_two_powers():
    with pytest.raises(ValueError, match="p must be 1 or 2, not 3"):
        nn.MultiMarginLoss(p=3)
    with pytest.raises(ValueError, match="p must be 1 or 2, not 3"):
        F.multi_margin_loss(THREE, LABELS, p=3)


FEW = tg.zeros(2, 3)
REFUSED = {
    "multilabel_margin_loss: a class": (lambda: F.multilabel_margin_loss(FEW, (FEW + 3).long()), 1),
    "multilabel_margin_loss: shape": (lambda: F.multilabel_margin_loss(FEW, LABELS), 0),
    "cosine_embedding_loss: shape": (lambda: F.cosine_embedding_loss(FEW, FEW, FEW), 0),
    "margin_ranking_loss: shape": (lambda: F.margin_ranking_loss(FEW, FEW, FEW[0]), 0),
    "triplet_margin_loss: margin": (lambda: F.triplet_margin_loss(FEW, FEW, FEW, 0.0), 2),
    "huber_loss: delta": (lambda: F.huber_loss(FEW, FEW, delta=0.0), 0),
    "smooth_l1_loss: beta": (lambda: F.smooth_l1_loss(FEW, FEW, beta=-1.0), 0),
    "mse_loss: weight": (lambda: F.mse_loss(FEW, FEW, weight=FEW[0]), 2),
    "gaussian_nll_loss: negative": (lambda: F.gaussian_nll_loss(FEW, FEW, FEW - 1), 2),
    "gaussian_nll_loss: shape": (lambda: F.gaussian_nll_loss(FEW, FEW, tg.ones(4, 3)), 2),
    "kl_div: reduction": (lambda: F.kl_div(FEW, FEW, "batch"), 2),
    "pdist: shape": (lambda: F.pdist(FEW[0]), 0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_name_the_loss(name):
    call, kind = REFUSED[name]
    with pytest.raises((RuntimeError, IndexError, ValueError)[kind], match=name.split(":")[0]):
        call()
