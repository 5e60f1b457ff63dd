"""Every operation against the plain NumPy formula: `python benchmarks/operations.py [NAME ...]`.

A million float32 elements, forward, recording (the input requires a gradient), against what one
would write in NumPy; sides take turns, the figure is the median of the ratios of neighbours.
`--write` puts the numbers into results/operations.json, `--budget 1.5` lists only what exceeds it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import linalg, special

import tapegrad as tg
from tapegrad.nn import functional as F

RESULTS = Path(__file__).parent / "results" / "operations.json"
BUDGET = 1.5
SIDE = 1000

stream = np.random.default_rng(0)
INPUTS: dict[str, np.ndarray] = {
    "x": stream.uniform(-2, 2, (SIDE, SIDE)).astype(np.float32),
    "y": stream.uniform(-2, 2, (SIDE, SIDE)).astype(np.float32),
    "p": stream.uniform(0.1, 2, (SIDE, SIDE)).astype(np.float32),
    "q": stream.uniform(0.1, 2, (SIDE, SIDE)).astype(np.float32),
    "u": stream.uniform(-0.9, 0.9, (SIDE, SIDE)).astype(np.float32),
    "g": stream.uniform(1.1, 3, (SIDE, SIDE)).astype(np.float32),
    "h": stream.uniform(0.05, 0.95, (SIDE, SIDE)).astype(np.float32),
    "v": stream.uniform(-2, 2, SIDE * SIDE).astype(np.float32),
    "w": stream.uniform(-2, 2, SIDE).astype(np.float32),
    "i": stream.permutation(SIDE * SIDE),
    "r": stream.integers(0, SIDE, SIDE),
    "k": np.argsort(stream.random((SIDE, SIDE)), axis=1),
    "b": stream.random((SIDE, SIDE)) < 0.5,
    "c": stream.uniform(-2, 2, (64, 64)).astype(np.float32),
    "s": stream.uniform(-1, 1, (250, 64, 64)).astype(np.float32),
    "m": stream.uniform(-2, 2, (4, 16, 128, 128)).astype(np.float32),
    "f": stream.uniform(-1, 1, (16, 16, 3, 3)).astype(np.float32),
    "t": stream.integers(0, SIDE, SIDE),
    "a": stream.uniform(-1, 1, (4, 8, 128, 64)).astype(np.float32),
}
ROOT2 = np.float32(np.sqrt(2))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x: Any) -> Any:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cross_entropy(x: Any, t: Any) -> Any:
    return -log_softmax(x)[np.arange(len(t)), t].mean()


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


def conv2d(m: Any, f: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(m, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3)
    )
    return np.tensordot(windows, f, ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)


def pooled(m: Any) -> Any:
    return m.reshape(4, 16, 64, 2, 64, 2)


def attention(a: Any) -> Any:
    return softmax(a @ a.swapaxes(-1, -2) / np.float32(8)) @ a


def bilinear(m: Any) -> Any:
    at = np.clip(np.arange(256) / 2 - 0.25, 0, 127).astype(np.float32)
    low = at.astype(np.int64)
    high = np.minimum(low + 1, 127)
    part = at - low
    rows = m[:, :, low] * (1 - part)[:, None] + m[:, :, high] * part[:, None]
    return rows[..., low] * (1 - part) + rows[..., high] * part


def topk(x: Any) -> Any:
    top = np.argpartition(x, -10, -1)[:, -10:]
    values = np.take_along_axis(x, top, -1)
    return np.take_along_axis(values, np.argsort(-values, -1), -1)


def fold_unfold(m: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(m, (3, 3), (2, 3))
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(4, 16 * 9, -1)


def with_indices(function: Any, arguments: Any) -> Callable[[Any], Any]:
    return lambda x: (function(x, -1), arguments(x, -1))


def scattered(x: Any, k: Any) -> Any:
    out = np.zeros_like(x)
    np.put_along_axis(out, k, x, 1)
    return out


def embedded(x: Any, r: Any) -> Any:
    return x[r]


Formula = Callable[..., Any]


def same(name: str, *letters: str, numpy: str | None = None) -> tuple[str, Formula, Formula]:
    """One function of both libraries, by its name in each."""
    return (
        "".join(letters) or "x",
        getattr(tg, name, None) or getattr(F, name, None) or _missing(name),
        getattr(np, numpy or name),
    )


def _missing(name: str) -> Formula:
    def missing(*_: Any) -> Any:
        raise AttributeError(f"tapegrad has no {name}")

    return missing


ROWS: dict[str, tuple[str, Formula, Formula]] = {
    # Element by element
    **{n: same(n) for n in ("abs", "ceil", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1",
       "floor", "isfinite", "isinf", "isnan", "rad2deg", "round", "sign", "signbit", "sin", "sinc",
       "sinh", "square", "tan", "tanh", "trunc", "positive")},
    **{n: same(n, "p") for n in ("log", "log10", "log1p", "log2", "reciprocal", "sqrt")},
    **{n: same(n, "xy") for n in ("add", "copysign", "fmax", "fmin", "hypot", "logaddexp",
       "logaddexp2", "maximum", "minimum", "isclose", "logical_and")},
    **{ours: same(ours, "u", numpy=theirs) for ours, theirs in (
       ("acos", "arccos"), ("asin", "arcsin"), ("atan", "arctan"), ("atanh", "arctanh"))},
    "asinh": same("asinh", "x", numpy="arcsinh"),
    "acosh": same("acosh", "g", numpy="arccosh"),
    "atan2": same("atan2", "xy", numpy="arctan2"),
    "sub": same("sub", "xy", numpy="subtract"),
    "mul": same("mul", "xy", numpy="multiply"),
    "div": same("div", "xp", numpy="divide"),
    "div floor": ("xp", lambda x, p: tg.div(x, p, rounding_mode="floor"), np.floor_divide),
    "div trunc": ("xp", lambda x, p: tg.div(x, p, rounding_mode="trunc"),
                  lambda x, p: np.trunc(x / p)),
    "neg": same("neg", "x", numpy="negative"),
    "pow": same("pow", "pq", numpy="power"),
    "pow 2": ("x", lambda x: x**2, lambda x: x**2),
    "pow 3": ("x", lambda x: x**3, lambda x: x * x * x),
    "remainder": same("remainder", "xp"),
    "fmod": same("fmod", "xp"),
    "floor_divide": same("floor_divide", "xp"),
    "rsqrt": ("p", lambda p: tg.rsqrt(p), lambda p: 1 / np.sqrt(p)),
    "frac": ("x", lambda x: tg.frac(x), lambda x: x - np.trunc(x)),
    "sgn": ("x", lambda x: tg.sgn(x), np.sign),
    "erf": ("x", tg.erf, special.erf),
    "erfc": ("x", lambda x: tg.erfc(x), special.erfc),
    "sigmoid": ("x", tg.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "logit": ("h", lambda h: tg.logit(h), lambda h: np.log(h / (1 - h))),
    "lerp": ("xyh", lambda x, y, h: tg.lerp(x, y, h), lambda x, y, h: x + h * (y - x)),
    "addcmul": ("xyp", lambda x, y, p: tg.addcmul(x, y, p, value=0.5),
                lambda x, y, p: x + 0.5 * y * p),
    "addcdiv": ("xyp", lambda x, y, p: tg.addcdiv(x, y, p, value=0.5),
                lambda x, y, p: x + 0.5 * y / p),
    "xlogy": ("xp", lambda x, p: tg.xlogy(x, p), special.xlogy),
    "clamp": ("x", lambda x: tg.clamp(x, -1, 1), lambda x: np.clip(x, -1, 1)),
    "where": ("bxy", tg.where, np.where),
    "nan_to_num": same("nan_to_num", "x"),
    "eq": same("eq", "xy", numpy="equal"),
    "lt": same("lt", "xy", numpy="less"),
    "masked_fill": ("xb", lambda x, b: tg.masked_fill(x, b, 0.5),
                    lambda x, b: np.where(b, np.float32(0.5), x)),
    # Reductions
    **{n: same(n) for n in ("sum", "mean", "var", "std", "amax", "amin", "prod", "median",
       "nansum", "nanmean", "all", "any", "argmax", "argmin", "count_nonzero", "trace")},
    "var": ("x", lambda x: tg.var(x), lambda x: x.var(ddof=1)),
    "std": ("x", lambda x: tg.std(x), lambda x: x.std(ddof=1)),
    "median": ("x", lambda x: tg.median(x), lambda x: np.partition(x, x.size // 2, None)),
    **{f"{n} dim 1": ("x", lambda x, n=n: getattr(tg, n)(x, 1),
       lambda x, n=n: getattr(np, n)(x, 1)) for n in ("sum", "mean", "amax", "prod", "argmax")},
    **{f"{n} dim 0": ("x", lambda x, n=n: getattr(tg, n)(x, 0),
       lambda x, n=n: getattr(np, n)(x, 0)) for n in ("sum", "mean", "amax", "prod")},
    "var dim 1": ("x", lambda x: tg.var(x, 1), lambda x: x.var(1, ddof=1)),
    "var_mean": ("x", lambda x: tg.var_mean(x, 1), lambda x: (x.var(1, ddof=1), x.mean(1))),
    "max dim 1": ("x", lambda x: tg.max(x, 1), with_indices(np.max, np.argmax)),
    "aminmax": ("x", lambda x: tg.aminmax(x), lambda x: (x.min(), x.max())),
    "median dim 1": ("x", lambda x: tg.median(x, 1), lambda x: np.argpartition(x, 500, 1)),
    "kthvalue": ("x", lambda x: tg.kthvalue(x, 100), lambda x: np.argpartition(x, 100, 1)),
    "quantile": ("x", lambda x: tg.quantile(x, 0.3), lambda x: np.quantile(x, np.float32(0.3))),
    "norm": ("x", tg.norm, lambda x: np.sqrt((x * x).sum())),
    "norm 1": ("x", lambda x: tg.norm(x, 1), lambda x: np.abs(x).sum()),
    "norm 3": ("x", lambda x: tg.norm(x, 3), lambda x: (np.abs(x) ** 3).sum() ** (1 / 3)),
    "logsumexp": ("x", lambda x: tg.logsumexp(x, 1),
                  lambda x: np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)) + x.max(1)),
    "softmax": ("x", lambda x: tg.softmax(x, 1), softmax),
    "log_softmax": ("x", lambda x: tg.log_softmax(x, 1), log_softmax),
    # Scans and sorting
    "cumsum": ("x", lambda x: tg.cumsum(x, 1), lambda x: np.cumsum(x, 1)),
    "cumprod": ("h", lambda h: tg.cumprod(h, 1), lambda h: np.cumprod(h, 1)),
    "cummax": ("x", lambda x: tg.cummax(x, 1), lambda x: np.maximum.accumulate(x, 1)),
    "logcumsumexp": ("x", lambda x: tg.logcumsumexp(x, 1),
                     lambda x: np.logaddexp.accumulate(x, 1)),
    "diff": ("x", lambda x: tg.diff(x), np.diff),
    "sort": ("x", lambda x: tg.sort(x), lambda x: np.take_along_axis(x, x.argsort(-1), -1)),
    "argsort": ("x", lambda x: tg.argsort(x), lambda x: x.argsort(-1)),
    "topk": ("x", lambda x: tg.topk(x, 10), topk),
    "unique": ("r", lambda r: tg.unique(r), np.unique),
    "bincount": ("r", lambda r: tg.bincount(r), np.bincount),
    "searchsorted": ("wv", lambda w, v: tg.searchsorted(tg.sort(w).values, v),
                     lambda w, v: np.searchsorted(np.sort(w), v)),
    "trapezoid": ("x", lambda x: tg.trapezoid(x), lambda x: np.trapezoid(x)),
    # Shape
    "cat": ("xy", lambda x, y: tg.cat([x, y], 1), lambda x, y: np.concatenate([x, y], 1)),
    "stack": ("xy", lambda x, y: tg.stack([x, y]), lambda x, y: np.stack([x, y])),
    "clone": ("x", tg.clone, np.copy),
    "flip": ("x", lambda x: tg.flip(x, (1,)), lambda x: np.flip(x, 1).copy()),
    "roll": ("x", lambda x: tg.roll(x, 7, 1), lambda x: np.roll(x, 7, 1)),
    "rot90": ("x", lambda x: tg.rot90(x), lambda x: np.rot90(x).copy()),
    "tile": ("w", lambda w: tg.tile(w, (1000,)), lambda w: np.tile(w, 1000)),
    "repeat_interleave": ("w", lambda w: tg.repeat_interleave(w, 1000),
                          lambda w: np.repeat(w, 1000)),
    "tril": same("tril"),
    "triu": same("triu"),
    "diag_embed": ("w", lambda w: tg.diag_embed(w), np.diag),
    "pad": ("x", lambda x: F.pad(x, (3, 3, 3, 3)), lambda x: np.pad(x, 3)),
    "pad reflect": ("m", lambda m: F.pad(m, (3, 3, 3, 3), "reflect"),
                    lambda m: np.pad(m, ((0, 0), (0, 0), (3, 3), (3, 3)), "reflect")),
    # Positions
    "index unique": ("vi", lambda v, i: v[i], lambda v, i: v[i]),
    "index rows": ("xr", lambda x, r: x[r], embedded),
    "index mask": ("xb", lambda x, b: x[b], lambda x, b: x[b]),
    "index_select": ("xr", lambda x, r: tg.index_select(x, 1, r), lambda x, r: x.take(r, 1)),
    "gather": ("xk", lambda x, k: tg.gather(x, 1, k),
               lambda x, k: np.take_along_axis(x, k, 1)),
    "scatter": ("xk", lambda x, k: tg.scatter(tg.zeros_like(x), 1, k, x), scattered),
    "take": ("vi", lambda v, i: tg.take(v, i), lambda v, i: v.take(i)),
    "embedding": ("xr", lambda x, r: F.embedding(r, x), embedded),
    "one_hot": ("t", lambda t: F.one_hot(t, SIDE),
                lambda t: (t[:, None] == np.arange(SIDE)).astype(np.int64)),
    # Products
    "matmul": ("xy", tg.matmul, np.matmul),
    "bmm": ("s", lambda s: tg.bmm(s, s), lambda s: s @ s),
    "mv": ("xw", tg.mv, np.matmul),
    "outer": ("w", lambda w: tg.outer(w, w), lambda w: np.outer(w, w)),
    "einsum": ("s", lambda s: tg.einsum("bij,bjk->bik", s, s), lambda s: s @ s),
    "tensordot": ("xy", lambda x, y: tg.tensordot(x, y, 1), lambda x, y: np.tensordot(x, y, 1)),
    "kron": ("c", lambda c: tg.kron(c[:32, :32], c[:32, :32]),
             lambda c: np.kron(c[:32, :32], c[:32, :32])),
    "inv": ("s", lambda s: tg.linalg.inv(s), np.linalg.inv),
    "cholesky": ("s", lambda s: tg.linalg.cholesky(s @ s.mT + 64 * tg.eye(64)),
                 lambda s: np.linalg.cholesky(
                     s @ s.swapaxes(1, 2) + 64 * np.eye(64, dtype=np.float32))),
    "solve": ("s", lambda s: tg.linalg.solve(s, s), lambda s: np.linalg.solve(s, s)),
    "solve_triangular": ("c", lambda c: tg.linalg.solve_triangular(c, c, upper=True),
                         linalg.solve_triangular),
    "slogdet": ("s", lambda s: tg.linalg.slogdet(s), np.linalg.slogdet),
    "svd": ("c", lambda c: tg.linalg.svd(c), np.linalg.svd),
    "eigh": ("c", lambda c: tg.linalg.eigh(c), np.linalg.eigh),
    "qr": ("c", lambda c: tg.linalg.qr(c), np.linalg.qr),
    # Layers
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
    "attention": ("a", lambda a: F.scaled_dot_product_attention(a, a, a), attention),
    "cosine_similarity": ("xy", lambda x, y: F.cosine_similarity(x, y),
                          lambda x, y: (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))),
    "pairwise_distance": ("xy", lambda x, y: F.pairwise_distance(x, y),
                          lambda x, y: np.sqrt(np.square(x - y + 1e-6).sum(1))),
    # Losses
    "mse_loss": ("xy", F.mse_loss, lambda x, y: np.square(x - y).mean()),
    "l1_loss": ("xy", F.l1_loss, lambda x, y: np.abs(x - y).mean()),
    "huber_loss": ("xy", lambda x, y: F.huber_loss(x, y),
                   lambda x, y: np.where((d := np.abs(x - y)) < 1, d * d / 2, d - 0.5).mean()),
    "smooth_l1_loss": ("xy", lambda x, y: F.smooth_l1_loss(x, y),
                       lambda x, y: np.where((d := np.abs(x - y)) < 1, d * d / 2, d - 0.5).mean()),
    "cross_entropy": ("xt", F.cross_entropy, cross_entropy),
    "nll_loss": ("xt", F.nll_loss, lambda x, t: -x[np.arange(SIDE), t].mean()),
    "kl_div": ("xh", lambda x, h: F.kl_div(x, h), lambda x, h: (h * (np.log(h) - x)).mean()),
    "binary_cross_entropy": (
        "hb", lambda h, b: F.binary_cross_entropy(h, b.float()),
        lambda h, b: -np.where(b, np.log(h), np.log(1 - h)).mean()),
    "bce_with_logits": (
        "xh", F.binary_cross_entropy_with_logits,
        lambda x, h: (np.maximum(x, 0) - x * h + np.log1p(np.exp(-np.abs(x)))).mean()),
    "soft_margin_loss": ("xy", lambda x, y: F.soft_margin_loss(x, y),
                         lambda x, y: np.log1p(np.exp(-y * x)).mean()),
    "poisson_nll_loss": ("xp", lambda x, p: F.poisson_nll_loss(x, p),
                         lambda x, p: (np.exp(x) - p * x).mean()),
}  # fmt: skip


def measure(name: str, repeats: int) -> dict[str, float]:
    """Median seconds of both sides and the median of their ratios."""
    letters, ours, theirs = ROWS[name]
    arrays = [INPUTS[letter] for letter in letters]
    tensors = [tg.tensor(a, requires_grad=a.dtype == np.float32) for a in arrays]
    samples: list[tuple[float, float]] = []
    with np.errstate(all="ignore"):
        while len(samples) < repeats + 1:
            start = time.perf_counter()
            result = ours(*tensors)
            middle = time.perf_counter()
            formula = theirs(*arrays)
            samples.append((middle - start, time.perf_counter() - middle))
            del result, formula
    samples = samples[1:]
    return {
        "tapegrad_s": statistics.median(ours for ours, _ in samples),
        "numpy_s": statistics.median(theirs for _, theirs in samples),
        "ratio": statistics.median(ours / theirs for ours, theirs in samples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these operations")
    parser.add_argument("--repeats", type=int, default=15, help="samples of each side (15)")
    parser.add_argument("--budget", type=float, default=0.0, help="show only ratios above this")
    parser.add_argument("--write", action="store_true", help="update results/operations.json")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for name in options.names or ROWS:
        try:
            found[name] = measure(name, options.repeats)
        except Exception as error:
            print(f"{name:24} failed: {type(error).__name__}: {error}")
            continue
        if found[name]["ratio"] > options.budget:
            ours, theirs, ratio = found[name].values()
            print(f"{name:24} {ours * 1e3:8.3f} ms {theirs * 1e3:8.3f} ms {ratio:6.2f}")
    over = [name for name, figures in found.items() if figures["ratio"] > BUDGET]
    print(f"{len(found)} measured, {len(over)} above {BUDGET}: {', '.join(over) or 'none'}")
    if options.write:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
