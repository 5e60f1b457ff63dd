"""Calls beyond the tables: dtypes that meet, other ways to write an argument, what is none."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg

X = np.arange(6.0).reshape(2, 3)
INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: x.repeat(2, 1),
        lambda m, x: x.repeat(repeats=(2, 1)),
        lambda m, x: x.view(3, 2),
        lambda m, x: x.view(size=(3, -1)),
        lambda m, x: x.view(m.tensor(6)),
        lambda m, x: x.view_as(m.zeros(6)),
        lambda m, x: x.unfold(1, 2, 1),
        lambda m, x: x.sum_to_size(size=(1, 3)),
        lambda m, x: x[0, 0].expand(3),
        lambda m, x: m.movedim(x[0, 0], 0, -1),
        lambda m, x: m.split(x[:0], []),
        lambda m, x: m.chunk(x, m.tensor(2)),
        lambda m, x: m.narrow(x, 1, m.tensor(1), 2),
        lambda m, x: m.quantile(x, m.zeros(0, dtype=m.float64)),
    ],
)
def test_one_argument_in_several_ways(same, call):
    same(call, X, single=False)


@pytest.mark.parametrize("name", ["repeat", "unfold", "view", "view_as"])
def test_a_method_that_is_also_a_function(name):
    x = tg.arange(6)
    args = {"view_as": (tg.zeros(2, 3),), "unfold": (0, 2, 2)}.get(name, (3, 2))
    assert getattr(tg, name)(x, *args).tolist() == getattr(x, name)(*args).tolist()


@pytest.mark.parametrize("function", [tg.maximum, tg.minimum, np.maximum, np.minimum])
@pytest.mark.parametrize("number", [0, 0.5, True])
def test_one_of_the_two_may_be_a_number_though_not_in_pytorch(function, number):
    x = tg.tensor([-1.0, 2.0], requires_grad=True)
    tensor = tg.tensor(float(number))
    for ours in (function(x, number), function(number, x)):
        assert ours.tolist() == function(x, tensor).tolist()
        assert ours.dtype == tg.float32
    (gradient,) = tg.autograd.grad(function(number, x).sum(), [x])
    (wanted,) = tg.autograd.grad(function(x, tensor).sum(), [x])
    assert gradient.tolist() == wanted.tolist()
    with pytest.raises(TypeError, match="expected a Tensor"):
        tg.maximum(1, 2)


WHOLE = np.array([[3, -2, 5]])


@pytest.mark.parametrize(
    "call",
    [
        lambda m, f, i: m.nn.functional.threshold(i, 0.1, -2.5),
        lambda m, f, i: m.nn.functional.threshold_(i.clone(), 3.9, 2),
        lambda m, f, i: m.nn.functional.cosine_similarity(f, i),
        lambda m, f, i: m.nn.functional.cosine_similarity(f, i.to(m.float32)),
        lambda m, f, i: m.nn.functional.margin_ranking_loss(i, i + 1, m.sign(i)),
        lambda m, f, i: m.inner(f, i[0, 0]),
    ],
)
def test_dtypes_that_meet(same, call):
    same(lambda m, f, i: call(m.module, f, i), X[:1] + 1, WHOLE, single=False)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: m.nn.functional.conv1d(x, x[:, :, :2] * 0),
        lambda m, x: m.nn.functional.conv_transpose1d(x, x * 0),
        lambda m, x: m.nn.functional.interpolate(x, size=7, mode="linear"),
        lambda m, x: m.index_reduce(x[0, 0] * 0, 0, m.tensor([0, 0, 1]), x[0, 0], "amin"),
    ],
)
def test_infinities_and_nans_pass_without_a_warning(same, call):
    x = np.array([[[INF, 1.0, NAN]]])
    same(lambda m, x: call(m.module, x), x, order=0, single=False)


BOTH = X, np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m, x, t: t**-1, "no negative powers"),
        (lambda m, x, t: t.to(m.uint8) ** -1, "no negative powers"),
        (lambda m, x, t: m.select(x, 0, 0.0), "select: index must be an integer"),
        (lambda m, x, t: m.select(x, 0, (0,)), "select: index must be an integer"),
        (lambda m, x, t: m.narrow(x, 0, 0.0, 1), "narrow: start must be an integer"),
        (lambda m, x, t: m.narrow(x, 0, 0, None), "narrow: length must be an integer"),
        (lambda m, x, t: m.topk(x, (1,)), "topk: k must be an integer"),
        (lambda m, x, t: m.topk(x, 1.0), "topk: k must be an integer"),
        (lambda m, x, t: m.chunk(x, None), "chunk: chunks must be an integer"),
        (lambda m, x, t: m.lerp(x, x, None), "lerp: weight"),
        (lambda m, x, t: m.unflatten(x[0, 0], 0, (1, 1)), "unflatten: a tensor of no dimensions"),
        (lambda m, x, t: m.narrow_copy(x, 5, 0, 1), "narrow: dim 5"),
        (lambda m, x, t: m.nn.functional.cosine_similarity(t, t, 0), "cosine_similarity: expected"),
        (lambda m, x, t: m.nn.functional.multi_margin_loss(x, None), "multi_margin_loss: expected"),
        (lambda m, x, t: m.nn.functional.multi_margin_loss(2, t), "multi_margin_loss: expected"),
        (lambda m, x, t: m.nn.functional.multilabel_soft_margin_loss(2, x), "expected a Tensor"),
        (lambda m, x, t: m.nn.functional.cosine_embedding_loss(x, x, 1), "expected a Tensor"),
        (lambda m, x, t: m.nn.functional.triplet_margin_loss(x, x, 2), "expected a Tensor"),
        (lambda m, x, t: m.nn.functional.layer_norm(x, (3,), x[0], 1.0), "layer_norm: expected"),
        (lambda m, x, t: m.nn.functional.batch_norm(x, 0.0, 1.0), "batch_norm: expected"),
    ],
)
def test_what_is_no_tensor_or_no_integer_is_named(same, call, says):
    same.error(lambda m, x, t: call(m.module, x, t), *BOTH, says=[says])


def test_modes_of_the_sampler_by_number_are_three():
    x, grid = tg.ones(1, 1, 2, 2), tg.zeros(1, 1, 1, 2)
    with pytest.raises(ValueError, match="from 0 to 2"):
        tg.grid_sampler(x, grid, 8, 0, False)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, **dim: x.narrow(start=0, length=1, **dim),
        lambda x, **dim: tg.narrow_copy(x, start=0, length=1, **dim),
        lambda x, **dim: tg.select(x, index=1, **dim),
        lambda x, **dim: tg.select_scatter(x, x[:, 0], index=1, **dim),
        lambda x, **dim: tg.slice_scatter(x, x[:, :1], end=1, **dim),
        lambda x, **dim: tg.split_with_sizes(x, [1, 2], **dim)[1],
        lambda x, **dim: x.split([1, 2], **dim)[1],
        lambda x, **dim: x.unflatten(sizes=(1, 3), **dim),
        lambda x, **dim: tg.nn.functional.normalize(x, **dim),
        lambda x, **dim: tg.nn.functional.cosine_similarity(x, x + 1, **dim),
    ],
)
def test_numpys_axis_is_accepted(call):
    x = tg.tensor(X)
    assert call(x, axis=1).tolist() == call(x, dim=1).tolist()
    with pytest.raises(TypeError, match="both dim= and axis="):
        call(x, dim=1, axis=1)


@pytest.mark.parametrize("dtype", [tg.bfloat16, tg.float16, tg.float32])
def test_dropout_of_a_scalar_keeps_its_dtype(dtype):
    x = tg.tensor(1.0, dtype=dtype, requires_grad=True)
    y = tg.nn.functional.dropout(x, 0.5)
    assert y.dtype == dtype
    (gradient,) = tg.autograd.grad(y, [x])
    assert gradient.dtype == dtype


@pytest.mark.parametrize("name", ["mish", "silu", "gelu", "softplus", "elu", "hardswish", "selu"])
def test_the_slope_far_to_the_right_is_that_of_a_line(same, name):
    x = np.array([50.0, 1e10, 1e36])
    same(lambda m, x: getattr(m.module.nn.functional, name)(x), x, order=1)
