"""Losses and distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.nn import functional as F

from .inputs import SIDE, Row
from .reductions import log_softmax


def cross_entropy(x: Any, t: Any) -> Any:
    return -log_softmax(x)[np.arange(len(t)), t].mean()


def cosine(x: Any, y: Any) -> Any:
    return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))


def apart(x: Any, y: Any) -> Any:
    return np.sqrt(np.square(x - y + np.float32(1e-6)).sum(1))


def multi_margin(x: Any, t: Any) -> Any:
    rows = np.arange(SIDE)
    margins = np.maximum(0, 1 - x[rows, t][:, None] + x)
    margins[rows, t] = 0
    return margins.mean()


ROWS: dict[str, Row] = {
    "mse_loss": ("xy", F.mse_loss, lambda x, y: np.square(x - y).mean()),
    "l1_loss": ("xy", F.l1_loss, lambda x, y: np.abs(x - y).mean()),
    "huber_loss": ("xy", lambda x, y: F.huber_loss(x, y),
                   lambda x, y: np.where((d := np.abs(x - y)) < 1, d * d / 2, d - 0.5).mean()),
    "smooth_l1_loss": ("xy", lambda x, y: F.smooth_l1_loss(x, y),
                       lambda x, y: np.where((d := np.abs(x - y)) < 1, d * d / 2, d - 0.5).mean()),
    "cross_entropy": ("xt", F.cross_entropy, cross_entropy),
    "nll_loss": ("xT", lambda x, T: F.nll_loss(x.reshape(-1, 10), T),
                 lambda x, T: -x.reshape(-1, 10)[np.arange(len(T)), T].mean()),
    "kl_div": ("xh", lambda x, h: F.kl_div(x, h), lambda x, h: (h * (np.log(h) - x)).mean()),
    "binary_cross_entropy": (
        "hb", lambda h, b: F.binary_cross_entropy(h, b.float()),
        lambda h, b: -np.where(b, np.log(h), np.log(1 - h)).mean()),
    "binary_cross_entropy_with_logits": (
        "xh", F.binary_cross_entropy_with_logits,
        lambda x, h: (np.maximum(x, 0) - x * h + np.log1p(np.exp(-np.abs(x)))).mean()),
    "soft_margin_loss": ("xy", lambda x, y: F.soft_margin_loss(x, y),
                         lambda x, y: np.log1p(np.exp(-y * x)).mean()),
    "poisson_nll_loss": ("xp", lambda x, p: F.poisson_nll_loss(x, p),
                         lambda x, p: (np.exp(x) - p * x).mean()),
    "gaussian_nll_loss": ("xyp", lambda x, y, p: F.gaussian_nll_loss(x, y, p),
                          lambda x, y, p: (np.log(p) + (x - y) ** 2 / p).mean() / 2),
    "hinge_embedding_loss": ("xb", lambda x, b: F.hinge_embedding_loss(x, b * 2.0 - 1),
                             lambda x, b: np.where(b, x, np.maximum(0, 1 - x)).mean()),
    "margin_ranking_loss": ("xyz", lambda x, y, z: F.margin_ranking_loss(x, y, z),
                            lambda x, y, z: np.maximum(0, -z * (x - y)).mean()),
    "cosine_embedding_loss": (
        "xyb", lambda x, y, b: F.cosine_embedding_loss(x, y, b[:, 0] * 2.0 - 1),
        lambda x, y, b: np.where(b[:, 0], 1 - cosine(x, y), np.maximum(0, cosine(x, y))).mean()),
    "multi_margin_loss": ("xt", lambda x, t: F.multi_margin_loss(x, t), multi_margin),
    "multilabel_soft_margin_loss": (
        "xb", lambda x, b: F.multilabel_soft_margin_loss(x, b.float()),
        lambda x, b: np.where(b, np.log1p(np.exp(-x)), np.log1p(np.exp(x))).mean()),
    "triplet_margin_loss": (
        "xyz", lambda x, y, z: F.triplet_margin_loss(x, y, z),
        lambda x, y, z: np.maximum(0, 1 + apart(x, y) - apart(x, z)).mean()),
    "linear_cross_entropy": (
        "xyt", lambda x, y, t: F.linear_cross_entropy(x, y, t),
        lambda x, y, t: cross_entropy(x @ y.T, t)),
    "cross_entropy smooth": (
        "xt", lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1),
        lambda x, t: 0.9 * cross_entropy(x, t) - 0.1 * log_softmax(x).mean()),
    "cross_entropy shares": (
        "xh", lambda x, h: F.cross_entropy(x, h),
        lambda x, h: -(log_softmax(x) * h).sum(1).mean()),
}  # fmt: skip
