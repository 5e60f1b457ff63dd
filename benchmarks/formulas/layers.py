"""Activations, normalisation, convolution, pooling, images."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from tapegrad.nn import functional as F

from .inputs import SIDE, Row, stream
from .reductions import softmax

ROOT2 = np.float32(np.sqrt(2))


def layer_norm(x: Any, w: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w


def batch_norm(m: Any) -> Any:
    mean, var = m.mean((0, 2, 3), keepdims=True), m.var((0, 2, 3), keepdims=True)
    return (m - mean) / np.sqrt(var + 1e-5)


def group_norm(m: Any) -> Any:
    x = m.reshape(4, 4, -1)
    return ((x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)).reshape(
        m.shape
    )


def instance_norm(m: Any) -> Any:
    mean, var = m.mean((2, 3), keepdims=True), m.var((2, 3), keepdims=True)
    return (m - mean) / np.sqrt(var + 1e-5)


def local_response_norm(m: Any) -> Any:
    squares = np.pad(m * m, ((0, 0), (2, 2), (0, 0), (0, 0)))
    window = np.lib.stride_tricks.sliding_window_view(squares, 5, 1)
    return m / (1 + np.float32(1e-4) / 5 * window.sum(-1)) ** np.float32(0.75)


def windows(x: Any, size: int) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))


def conv1d(line: Any, f: Any) -> Any:
    near = np.lib.stride_tricks.sliding_window_view(line, 3, 2)
    return np.tensordot(near, f, ([1, 3], [1, 2])).transpose(0, 2, 1)


def conv2d(m: Any, f: Any) -> Any:
    near = windows(np.pad(m, ((0, 0), (0, 0), (1, 1), (1, 1))), 3)
    return np.tensordot(near, f, ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)


def conv3d(o: Any, f: Any) -> Any:
    near = np.lib.stride_tricks.sliding_window_view(o, (3, 3, 3), (2, 3, 4))
    return np.tensordot(near, f, ([1, 5, 6, 7], [1, 2, 3, 4])).transpose(0, 4, 1, 2, 3)


def pooled(m: Any) -> Any:
    return m.reshape(4, 16, 64, 2, 64, 2)


def pooled3(o: Any) -> Any:
    return o.reshape(2, 8, 20, 2, 20, 2, 20, 2)


def draw(x: Any) -> Any:
    return stream.random(x.shape, np.float32)


def attention(a: Any) -> Any:
    return softmax(a @ a.swapaxes(-1, -2) / np.float32(8)) @ a


def bilinear(m: Any) -> Any:
    at = np.clip(np.arange(256) / 2 - 0.25, 0, 127).astype(np.float32)
    low = at.astype(np.int64)
    high = np.minimum(low + 1, 127)
    part = at - low
    rows = m[:, :, low] * (1 - part)[:, None] + m[:, :, high] * part[:, None]
    return rows[..., low] * (1 - part) + rows[..., high] * part


def affine_grid(c: Any) -> Any:
    at = (np.arange(512, dtype=np.float32) * 2 + 1) / 512 - 1
    x, y = np.meshgrid(at, at)
    return np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ c.swapaxes(1, 2)


def grid_sample(m: Any, g: Any) -> Any:
    n, at = np.arange(4)[:, None, None], (g + 1) * np.float32(63.5)
    low = np.floor(at).astype(np.int64)
    (x, y), (u, v) = np.moveaxis(low, -1, 0), np.moveaxis((at - low)[..., None], -2, 0)
    pixels = m.transpose(0, 2, 3, 1)
    above = pixels[n, y, x] * (1 - u) + pixels[n, y, x + 1] * u
    below = pixels[n, y + 1, x] * (1 - u) + pixels[n, y + 1, x + 1] * u
    return (above * (1 - v) + below * v).transpose(0, 3, 1, 2)


def fold_unfold(m: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(m, (3, 3), (2, 3))
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(4, 16 * 9, -1)


ROWS: dict[str, Row] = {
    "relu": ("x", F.relu, lambda x: np.maximum(x, 0)),
    "relu6": ("x", lambda x: F.relu6(x), lambda x: np.clip(x, 0, 6)),
    "leaky_relu": ("x", F.leaky_relu, lambda x: np.where(x > 0, x, np.float32(0.01) * x)),
    "elu": ("x", F.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
    "selu": ("x", lambda x: F.selu(x),
             lambda x: np.float32(1.05) * np.where(x > 0, x, np.float32(1.67) * np.expm1(x))),
    "gelu": ("x", F.gelu, lambda x: x * 0.5 * (1 + special.erf(x / ROOT2))),
    "gelu tanh": ("x", lambda x: F.gelu(x, "tanh"),
                  lambda x: 0.5 * x * (1 + np.tanh(0.79788 * (x + 0.044715 * x * x * x)))),
    "silu": ("x", F.silu, lambda x: x / (1 + np.exp(-x))),
    "softplus": ("x", F.softplus, lambda x: np.where(x > 20, x, np.log1p(np.exp(x)))),
    "mish": ("x", lambda x: F.mish(x), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "logsigmoid": ("x", lambda x: F.logsigmoid(x), lambda x: -np.log1p(np.exp(-x))),
    "hardswish": ("x", lambda x: F.hardswish(x), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hardsigmoid": ("x", lambda x: F.hardsigmoid(x), lambda x: np.clip(x + 3, 0, 6) / 6),
    "hardtanh": ("x", lambda x: F.hardtanh(x), lambda x: np.clip(x, -1, 1)),
    "hardshrink": ("x", lambda x: F.hardshrink(x), lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    "softshrink": ("x", lambda x: F.softshrink(x),
                   lambda x: np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0))),
    "softsign": ("x", lambda x: F.softsign(x), lambda x: x / (1 + np.abs(x))),
    "tanhshrink": ("x", lambda x: F.tanhshrink(x), lambda x: x - np.tanh(x)),
    "threshold": ("x", lambda x: F.threshold(x, 0.1, 0.5),
                  lambda x: np.where(x > 0.1, x, np.float32(0.5))),
    "glu": ("x", lambda x: F.glu(x), lambda x: x[:, :500] / (1 + np.exp(-x[:, 500:]))),
    "linear": ("xy", F.linear, lambda x, y: x @ y.T),
    "layer_norm": ("xw", lambda x, w: F.layer_norm(x, (SIDE,), w), layer_norm),
    "rms_norm": ("x", lambda x: F.rms_norm(x, (SIDE,)),
                 lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)),
    "batch_norm": ("m", lambda m: F.batch_norm(m, None, None, training=True), batch_norm),
    "group_norm": ("m", lambda m: F.group_norm(m, 4), group_norm),
    "normalize": ("x", lambda x: F.normalize(x),
                  lambda x: x / np.sqrt((x * x).sum(1, keepdims=True))),
    "conv2d": ("mf", lambda m, f: F.conv2d(m, f, padding=1), conv2d),
    "max_pool2d": ("m", lambda m: F.max_pool2d(m, 2), lambda m: pooled(m).max((3, 5))),
    "avg_pool2d": ("m", lambda m: F.avg_pool2d(m, 2), lambda m: pooled(m).mean((3, 5))),
    "adaptive_avg_pool2d": ("m", lambda m: F.adaptive_avg_pool2d(m, 64),
                            lambda m: pooled(m).mean((3, 5))),
    "unfold": ("m", lambda m: F.unfold(m, 3), fold_unfold),
    "interpolate": ("m", lambda m: F.interpolate(m, scale_factor=2, mode="bilinear"), bilinear),
    "interpolate nearest": ("m", lambda m: F.interpolate(m, scale_factor=2),
                            lambda m: m.repeat(2, 2).repeat(2, 3)),
    "pixel_shuffle": ("m", lambda m: F.pixel_shuffle(m, 2),
                      lambda m: m.reshape(4, 4, 2, 2, 128, 128).transpose(0, 1, 4, 2, 5, 3)
                      .reshape(4, 4, 256, 256)),
    "scaled_dot_product_attention": ("a", lambda a: F.scaled_dot_product_attention(a, a, a),
                                     attention),
    "cosine_similarity": ("xy", lambda x, y: F.cosine_similarity(x, y),
                          lambda x, y: (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))),
    "pairwise_distance": ("xy", lambda x, y: F.pairwise_distance(x, y),
                          lambda x, y: np.sqrt(np.square(x - y + 1e-6).sum(1))),
    "celu": ("x", lambda x: F.celu(x, 2.0),
             lambda x: np.where(x > 0, x, 2 * np.expm1(x / np.float32(2)))),
    "prelu": ("xw", lambda x, w: F.prelu(x, w), lambda x, w: np.where(x > 0, x, w * x)),
    "rrelu": ("x", lambda x: F.rrelu(x, training=True),
              lambda x: np.where(x > 0, x, x * draw(x) / 5 + x / 8)),
    "dropout": ("x", lambda x: F.dropout(x, 0.5), lambda x: x * (draw(x) > 0.5) * np.float32(2)),
    "dropout2d": ("m", lambda m: F.dropout2d(m),
                  lambda m: m * (draw(m[..., :1, :1]) > 0.5) * np.float32(2)),
    "alpha_dropout": ("x", lambda x: F.alpha_dropout(x, 0.5, True),
                      lambda x: np.where(draw(x) > 0.5, x, np.float32(-1.758)) * 0.89 + 0.78),
    "feature_alpha_dropout": (
        "m", lambda m: F.feature_alpha_dropout(m, 0.5, True),
        lambda m: np.where(draw(m[..., :1, :1]) > 0.5, m, np.float32(-1.758)) * 0.89 + 0.78),
    "softmin": ("x", lambda x: F.softmin(x, 1), lambda x: softmax(-x)),
    "softmax dim 0": ("x", lambda x: F.softmax(x, 0), lambda x: softmax(x, 0)),
    "softmax narrow": ("m", lambda m: F.softmax(m.reshape(-1, 16), 1),
                       lambda m: softmax(m.reshape(-1, 16))),
    "instance_norm": ("m", lambda m: F.instance_norm(m), instance_norm),
    "local_response_norm": ("m", lambda m: F.local_response_norm(m, 5), local_response_norm),
    "conv1d": ("lL", lambda line, L: F.conv1d(line, L), conv1d),
    "conv3d": ("oK", lambda o, K: F.conv3d(o, K), conv3d),
    "conv_transpose1d": ("lL", lambda line, L: F.conv_transpose1d(line, L),
                         lambda line, L: conv1d(np.pad(line, ((0, 0), (0, 0), (2, 2))),
                                             L[..., ::-1].swapaxes(0, 1))),
    "conv_transpose2d": ("mf", lambda m, f: F.conv_transpose2d(m, f, padding=1),
                         lambda m, f: conv2d(m, f[:, :, ::-1, ::-1].swapaxes(0, 1))),
    "conv_transpose3d": ("oK", lambda o, K: F.conv_transpose3d(o, K, padding=2),
                         lambda o, K: conv3d(o, K[:, :, ::-1, ::-1, ::-1].swapaxes(0, 1))),
    "max_pool1d": ("l", lambda line: F.max_pool1d(line, 2),
                   lambda line: line.reshape(8, 16, -1, 2).max(3)),
    "max_pool2d overlapping": ("m", lambda m: F.max_pool2d(m, 3, 1),
                               lambda m: windows(m, 3).max((4, 5))),
    "max_pool3d": ("o", lambda o: F.max_pool3d(o, 2), lambda o: pooled3(o).max((3, 5, 7))),
    "avg_pool1d": ("l", lambda line: F.avg_pool1d(line, 2),
                   lambda line: line.reshape(8, 16, -1, 2).mean(3)),
    "avg_pool2d overlapping": ("m", lambda m: F.avg_pool2d(m, 3, 1),
                               lambda m: windows(m, 3).mean((4, 5))),
    "avg_pool3d": ("o", lambda o: F.avg_pool3d(o, 2), lambda o: pooled3(o).mean((3, 5, 7))),
    "lp_pool1d": ("l", lambda line: F.lp_pool1d(line, 2, 2),
                  lambda line: np.sqrt(np.square(line).reshape(8, 16, -1, 2).sum(3))),
    "lp_pool2d": ("m", lambda m: F.lp_pool2d(m, 2, 2),
                  lambda m: np.sqrt(pooled(np.square(m)).sum((3, 5)))),
    "lp_pool3d": ("o", lambda o: F.lp_pool3d(o, 2, 2),
                  lambda o: np.sqrt(pooled3(np.square(o)).sum((3, 5, 7)))),
    "adaptive_avg_pool1d": ("l", lambda line: F.adaptive_avg_pool1d(line, 1024),
                            lambda line: line.reshape(8, 16, 1024, -1).mean(3)),
    "adaptive_avg_pool3d": ("o", lambda o: F.adaptive_avg_pool3d(o, 20),
                            lambda o: pooled3(o).mean((3, 5, 7))),
    "adaptive_max_pool1d": ("l", lambda line: F.adaptive_max_pool1d(line, 1024),
                            lambda line: line.reshape(8, 16, 1024, -1).max(3)),
    "adaptive_max_pool2d": ("m", lambda m: F.adaptive_max_pool2d(m, 64),
                            lambda m: pooled(m).max((3, 5))),
    "adaptive_max_pool3d": ("o", lambda o: F.adaptive_max_pool3d(o, 20),
                            lambda o: pooled3(o).max((3, 5, 7))),
    "fold": ("m", lambda m: F.fold(m.reshape(4, 16 * 4, -1), 128, 2, stride=2),
             lambda m: m.reshape(4, 16, 2, 2, 64, 64).transpose(0, 1, 4, 2, 5, 3)
             .reshape(m.shape)),
    "affine_grid": ("c", lambda c: F.affine_grid(c[:4, :6].reshape(4, 2, 3), (4, 1, 512, 512)),
                    lambda c: affine_grid(c[:4, :6].reshape(4, 2, 3))),
    "grid_sample": ("mG", lambda m, G: F.grid_sample(m, G, align_corners=True), grid_sample),
    "bilinear": ("xys", lambda x, y, s: F.bilinear(x[:, :64], y[:, :64], s[:16]),
                 lambda x, y, s: np.einsum("ni,oij,nj->no", x[:, :64], s[:16], y[:, :64],
                                           optimize=True)),
}  # fmt: skip
