"""Tensors of no elements and of no dimensions where the tables draw none: as PyTorch has it.

Either both sides agree, or both refuse with the same kind of exception.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from comparing import Run


def z(*shape):
    return np.full(shape, 0.5)


def places(*shape):
    return np.zeros(shape, np.int64)


def reduced(name):
    """A reduction over no element, beside no element, and of one number."""
    return {
        f"{name} {dim} of {shape}": (
            lambda m, x, dim=dim: getattr(m, name)(x, dim=dim), z(*shape)
        )
        for shape, dim in (((0,), 0), ((2, 0), 0), ((2, 0), 1), ((), 0), ((), -1))
    }  # fmt: skip


def over_all(name):
    """A reduction of everything, which is nothing."""
    return {
        f"{name} of {shape}": (lambda m, x: getattr(m, name)(x), z(*shape))
        for shape in ((0,), (2, 0), ())
    }


ALONG = (
    "amax", "amin", "argmax", "argmin", "logsumexp", "max", "median", "min", "mode",
    "nanmedian", "std", "var", "softmax", "log_softmax", "cumsum", "cumprod", "cummax",
    "logcumsumexp", "sort", "argsort", "norm", "all", "any", "sum", "mean", "prod", "nansum",
    "nanmean", "count_nonzero",
)  # fmt: skip
OF_ALL = (
    "amax", "amin", "aminmax", "argmax", "argmin", "max", "median", "min", "mode",
    "nanmedian", "std", "var", "norm", "all", "any", "sum", "mean", "prod", "nansum",
    "nanmean", "count_nonzero", "std_mean", "var_mean", "corrcoef", "cov", "histc", "msort",
    "trace", "det", "t", "ravel", "diag", "argwhere", "nonzero", "tril", "triu", "matrix_exp",
)  # fmt: skip
CALLS = {
    **{
        key: value
        for name in ALONG
        for key, value in reduced(name).items()
    },
    **{
        key: value
        for name in OF_ALL
        for key, value in over_all(name).items()
    },
    "quantile": (lambda m, x: m.quantile(x, 0.5, dim=1), z(0, 2)),
    "quantile of none": (lambda m, x: m.quantile(x, 0.5), z(0)),
    "nanquantile of none": (lambda m, x: m.nanquantile(x, 0.5), z(0)),
    "kthvalue beside none": (lambda m, x: m.kthvalue(x, 1, 1), z(0, 2)),
    "kthvalue of none": (lambda m, x: m.kthvalue(x, 1, 0), z(0)),
    "kthvalue of a number": (lambda m, x: m.kthvalue(x, 1), z()),
    "topk of none": (lambda m, x: m.topk(x, 0), z(2, 0)),
    "select": (lambda m, x: m.select(x, 0, 1), z(2, 0)),
    "select of none": (lambda m, x: m.select(x, 0, 0), z(0, 2)),
    "addmv": (lambda m, x, a, b: m.addmv(x, a, b), z(2), z(2, 0), z(0)),
    "addmv of no rows": (lambda m, x, a, b: m.addmv(x, a, b), z(0), z(0, 2), z(2)),
    "index_select of none": (lambda m, x, i: m.index_select(x, 0, i), z(2, 3), places(0)),
    "index_select of a number": (lambda m, x, i: m.index_select(x, 0, i), z(), places(1)),
    "gather of none": (lambda m, x, i: m.gather(x, 0, i), z(2, 3), places(0, 3)),
    "gather from none": (lambda m, x, i: m.gather(x, 0, i), z(0, 3), places(0, 3)),
    "take of none": (lambda m, x, i: m.take(x, i), z(2), places(0)),
    "take from none": (lambda m, x, i: m.take(x, i), z(0), places(1)),
    "index_add of a number": (lambda m, x, i, s: m.index_add(x, 0, i, s), z(), places(1), z()),
    "index_add of none": (
        lambda m, x, i, s: m.index_add(x, 0, i, s), z(2, 3), places(0), z(0, 3)
    ),
    "cat with none": (lambda m, x, y: m.cat([x, y]), z(0), z(2, 3)),
    "cat of numbers": (lambda m, x, y: m.cat([x, y]), z(), z()),
    "stack of numbers": (lambda m, x, y: m.stack([x, y]), z(), z()),
    "split of none": (lambda m, x: m.split(x, 1), z(0)),
    "chunk of none": (lambda m, x: m.chunk(x, 2), z(0)),
    "chunk of a number": (lambda m, x: m.chunk(x, 2), z()),
    "diff of a number": (lambda m, x: m.diff(x), z()),
    "gradient of one": (lambda m, x: m.gradient(x), z(1)),
    "dot of none": (lambda m, x, y: m.dot(x, y), z(0), z(0)),
    "dot of numbers": (lambda m, x, y: m.dot(x, y), z(), z()),
    "matmul of numbers": (lambda m, x, y: m.matmul(x, y), z(), z()),
    "mm of none": (lambda m, x, y: m.mm(x, y), z(2, 0), z(0, 3)),
    "outer of numbers": (lambda m, x, y: m.outer(x, y), z(), z()),
    "cross of none": (lambda m, x, y: m.cross(x, y, dim=1), z(0, 3), z(0, 3)),
    "cdist of none": (lambda m, x, y: m.cdist(x, y), z(0, 2), z(3, 2)),
    "cdist, width 0": (lambda m, x, y: m.cdist(x, y), z(2, 0), z(3, 0)),
    "pdist of one": (lambda m, x: m.pdist(x), z(1, 2)),
    "unique of none": (lambda m, x: m.unique(x.detach()), z(0)),
    "unique of a number": (lambda m, x: m.unique(x.detach()), z()),
    "unique_consecutive of none": (lambda m, x: m.unique_consecutive(x.detach()), z(0)),
    "trapezoid of none": (lambda m, x: m.trapezoid(x.detach()), z(0)),
    "trapezoid beside none": (lambda m, x: m.trapezoid(x, dim=1), z(0, 2)),
    "pixel_shuffle": (lambda m, x: m.pixel_shuffle(x.detach(), 2), z(0, 4, 2, 2)),
    "unbind of none": (lambda m, x: m.unbind(x), z(0, 2)),
    "unbind of a number": (lambda m, x: m.unbind(x), z()),
    "flip of a number": (lambda m, x: m.flip(x, ()), z()),
    "movedim of a number": (lambda m, x: m.movedim(x, (), ()), z()),
    "repeat_interleave of a number": (lambda m, x: m.repeat_interleave(x, 2), z()),
    "combinations of none": (lambda m, x: m.combinations(x), z(0)),
    "cartesian_prod": (lambda m, x, y: m.cartesian_prod(x, y), z(0), z(2)),
    "as_strided": (lambda m, x: m.as_strided(x, (0, 2), (1, 1)), z(3)),
}  # fmt: skip
FUNCTIONAL = {
    "embedding of none": (lambda f, i, w: f.embedding(i, w), places(0), z(3, 2)),
    "embedding of no rows": (lambda f, i, w: f.embedding(i, w), places(1), z(0, 2)),
    "embedding, width 0": (lambda f, i, w: f.embedding(i, w), places(2), z(3, 0)),
    "embedding_bag of none": (
        lambda f, i, w, o: f.embedding_bag(i, w, o, mode="max"), places(0), z(3, 2), places(2)
    ),
    "embedding_bag, its end": (
        lambda f, i, w, o: f.embedding_bag(i, w, o, include_last_offset=True),
        places(0), z(3, 2), places(1),
    ),
    "embedding_bag, no bags": (
        lambda f, i, w, o: f.embedding_bag(i, w, o, mode="sum"), places(0), z(3, 2), places(0)
    ),
    "cross_entropy of none": (
        lambda f, x, t: f.cross_entropy(x, t, reduction="sum"), z(0, 3), places(0)
    ),
    "nll_loss of none": (lambda f, x, t: f.nll_loss(x, t, reduction="none"), z(0, 3), places(0)),
    "multi_margin_loss of none": (
        lambda f, x, t: f.multi_margin_loss(x, t, reduction="none"), z(0, 3), places(0)
    ),
    "cosine_embedding_loss of none": (
        lambda f, x, y, t: f.cosine_embedding_loss(x, y, t, reduction="sum"),
        z(0, 3), z(0, 3), z(0),
    ),
    "triplet_margin_loss of none": (
        lambda f, x, y, t: f.triplet_margin_loss(x, y, t, reduction="sum"),
        z(0, 3), z(0, 3), z(0, 3),
    ),
    "mse_loss of none": (lambda f, x, y: f.mse_loss(x, y), z(0), z(0)),
    "batch_norm of none": (lambda f, x: f.batch_norm(x, None, None, training=True), z(0, 3, 2)),
    "batch_norm of no channels": (
        lambda f, x: f.batch_norm(x, None, None, training=True), z(4, 0, 2)
    ),
    "batch_norm of known statistics": (
        lambda f, x, m, v: f.batch_norm(x, m.detach(), v.detach()), z(0, 3), z(3), z(3)
    ),
    "group_norm of none": (lambda f, x: f.group_norm(x, 2), z(0, 4, 2)),
    "instance_norm of none": (lambda f, x: f.instance_norm(x), z(0, 3, 4)),
    "layer_norm of none": (lambda f, x: f.layer_norm(x, (3,)), z(0, 3)),
    "layer_norm, width 0": (lambda f, x: f.layer_norm(x, (0,)), z(2, 0)),
    "normalize of none": (lambda f, x: f.normalize(x), z(0, 3)),
    "one_hot of none": (lambda f, i: f.one_hot(i, 3), places(0)),
    "one_hot of a number": (lambda f, i: f.one_hot(i, 3), places()),
    "linear of no rows": (lambda f, x, w: f.linear(x, w), z(0, 3), z(2, 3)),
    "linear of no features": (lambda f, x, w, b: f.linear(x, w, b), z(4, 0), z(2, 0), z(2)),
    "attention": (
        lambda f, q, k, v: f.scaled_dot_product_attention(q, k, v), z(0, 3, 2), z(0, 4, 2),
        z(0, 4, 2),
    ),
    "interpolate of none": (
        lambda f, x: f.interpolate(x, scale_factor=2, mode="nearest"), z(0, 2, 3, 3)
    ),
    "grid_sample of none": (
        lambda f, x, g: f.grid_sample(x, g, align_corners=False), z(0, 2, 3, 3), z(0, 2, 2, 2)
    ),
    "conv2d of none": (lambda f, x, w: f.conv2d(x, w), z(0, 2, 3, 3), z(1, 2, 2, 2)),
    "max_pool2d of none": (lambda f, x: f.max_pool2d(x, 2), z(0, 2, 4, 4)),
    "avg_pool2d of none": (lambda f, x: f.avg_pool2d(x, 2), z(0, 2, 4, 4)),
    "pad of none": (lambda f, x: f.pad(x, (1, 1)), z(0)),
    "glu of none": (lambda f, x: f.glu(x, 1), z(0, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", [*CALLS, *FUNCTIONAL])
def test_what_is_empty_or_without_dimensions_is_as_in_pytorch(same, name):
    written, *args = {**CALLS, **FUNCTIONAL}[name]

    def call(m, *tensors):
        return written(m.module.nn.functional if name in FUNCTIONAL else m, *tensors)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Run(same.theirs, call, args, 0)
    except Exception:
        same.error(call, *args)
    else:
        same(call, *args, order=1)
