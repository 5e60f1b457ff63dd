"""Decisions at kinks, at overflow and on aliasing, a test for each.

Values are worked out by hand; what PyTorch does is in tests/parity.
"""

from __future__ import annotations

import gc
import math
import warnings

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.nn import functional as F

INF = math.inf


def leaf(values, dtype=tg.float64):
    return tg.tensor(np.asarray(values), dtype=dtype, requires_grad=True)


def gradient(function, *values, seed=None):
    """The value of a function at arrays, and its gradients for a seed (ones unless given)."""
    leaves = [leaf(value) for value in values]
    out = function(*leaves)
    out.backward(tg.ones_like(out) if seed is None else tg.tensor(seed, dtype=tg.float64))
    return out.detach().tolist(), *(x.grad.tolist() for x in leaves)


# max, min, maximum, minimum


@pytest.mark.parametrize("function", [tg.amax, tg.max])
def test_ties_of_values_only_maxima_share_the_gradient_evenly(function):
    assert gradient(function, [3.0, 1.0, 3.0])[1] == [0.5, 0.0, 0.5]


def test_ties_share_along_each_dimension_and_sum_to_one():
    x = leaf([[2.0, 2.0, 2.0, 1.0], [5.0, 0.0, 0.0, 0.0]])
    tg.amax(x, dim=1).backward(tg.tensor([3.0, 1.0], dtype=tg.float64))
    assert np.allclose(x.grad.data, [[1, 1, 1, 0], [1, 0, 0, 0]])


@pytest.mark.parametrize("function", [tg.amin, tg.min])
def test_ties_of_values_only_minima_share_too(function):
    assert gradient(function, [1.0, 1.0, 4.0])[1] == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("function", "winner"), [(tg.max, [0.0, 1.0, 0.0]), (tg.min, [1.0, 0.0, 0.0])]
)
def test_with_indices_the_one_index_gets_it_all(function, winner):
    x = leaf([1.0, 3.0, 3.0] if function is tg.max else [1.0, 3.0, 1.0])
    values, indices = function(x, dim=0)
    values.backward()
    assert indices.item() == winner.index(1.0)
    assert x.grad.tolist() == winner


@pytest.mark.parametrize("function", [tg.maximum, tg.minimum])
def test_a_tie_of_two_gives_half_to_each(function):
    assert gradient(function, [2.0], [2.0])[1:] == ([0.5], [0.5])


# Corners at 0


@pytest.mark.parametrize("function", [tg.relu, tg.abs])
def test_corners_at_zero_have_the_gradient_zero(function):
    assert gradient(function, [0.0, -0.0]) == ([0.0, 0.0], [0.0, 0.0])


def test_sign_of_zero_is_zero_and_flat():
    assert tg.sign(tg.tensor([0.0, -0.0])).tolist() == [0.0, 0.0]
    assert (tg.sign(leaf([0.0])) * leaf([2.0])).tolist() == [0.0]


def test_clamp_passes_the_gradient_at_its_bounds():
    value, grad = gradient(lambda x: tg.clamp(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0])
    assert value == [-1.0, -1.0, 0.0, 1.0, 1.0]
    assert grad == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_clamp_passes_the_gradient_at_bounds_that_are_tensors():
    bounds = tg.tensor([-1.0, 1.0], dtype=tg.float64)
    assert gradient(lambda x: tg.clamp(x, min=bounds), [-1.0, 0.0])[1] == [1.0, 0.0]
    assert gradient(lambda x: tg.clamp(x, max=bounds), [-1.0, 2.0])[1] == [1.0, 0.0]


def test_sqrt_at_zero_has_an_infinite_gradient():
    assert gradient(tg.sqrt, [0.0, 4.0]) == ([0.0, 2.0], [INF, 0.25])


NORMS = {
    **{f"norm {p}": (lambda x, p=p: tg.norm(x, p, dim=1)) for p in (1, 2, 3, 0.5, INF, -INF)},
    "norm of all": lambda x: tg.norm(x)[None],
    "norm over both": lambda x: tg.norm(x, dim=(0, 1))[None],
    **{
        f"vector_norm {p}": (lambda x, p=p: tg.linalg.vector_norm(x, p, dim=(0, 1))[None])
        for p in (1, 2, 3, INF)
    },
    "matrix_norm": lambda x: tg.linalg.matrix_norm(x)[None],
    "normalize": lambda x: F.normalize(x),
    "pairwise_distance": lambda x: F.pairwise_distance(x, x.detach(), eps=0.0),
    "cdist": lambda x: tg.cdist(x, x.detach()[:1]),
    "dist": lambda x: tg.dist(x, x.detach())[None],
    "cosine_similarity": lambda x: F.cosine_similarity(x, x.detach()),
}


@pytest.mark.parametrize("name", NORMS)
def test_lengths_of_zero_have_finite_gradients_and_seconds(name):
    x = leaf(np.zeros((2, 3)))
    out = NORMS[name](x)
    (first,) = tg.autograd.grad(out.sum(), x, create_graph=True)
    if name != "normalize" and name != "cosine_similarity":  # which are linear there
        assert not np.any(first.detach().data)
    assert np.all(np.isfinite(first.detach().data))
    if first.requires_grad:
        (second,) = tg.autograd.grad(first.sum(), x, allow_unused=True)
        assert second is None or np.all(np.isfinite(second.data))


def test_norm_at_zero_has_the_gradient_zero():
    assert gradient(tg.norm, [0.0, 0.0]) == (0.0, [0.0, 0.0])
    x = leaf([0.0, 0.0])
    (first,) = tg.autograd.grad(tg.norm(x), x, create_graph=True)
    first.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("constant", [2.0, 0.1, 1 / 3, -1e-3])
@pytest.mark.parametrize("count", [2, 3, 7, 10])
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_spread_of_a_constant_is_zero_and_so_is_its_gradient(constant, count, dtype):
    for function in (tg.var, tg.std):
        x = leaf([constant] * count, dtype)
        out = function(x)
        out.backward()
        assert out.item() == 0.0
        assert x.grad.tolist() == [0.0] * count


def test_max_pooling_routes_ties_to_the_first_of_the_window():
    x = leaf(np.ones((1, 1, 4, 4)))
    values, indices = tg.max_pool2d(x, 2, return_indices=True)
    values.sum().backward()
    assert indices.tolist() == [[[[0, 2], [8, 10]]]]
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    assert np.array_equal(x.grad.data[0, 0], expected)


def test_a_pooling_window_of_nothing_but_padding_is_an_error():
    with pytest.raises(tg.ShapeError, match=r"max_pool2d.*padding"):
        tg.max_pool2d(tg.ones(1, 1, 1), 2, stride=1, padding=1, dilation=2)


# Powers


def test_anything_to_the_zero_is_flat_also_at_zero():
    assert gradient(lambda x: x**0, [0.0, 2.0]) == ([1.0, 1.0], [0.0, 0.0])
    assert gradient(lambda x, y: x**y, [0.0, -2.0], [0.0, 0.0])[:2] == ([1.0, 1.0], [0.0, 0.0])


def test_zero_to_a_power_has_no_gradient_for_the_exponent():
    assert gradient(lambda x, y: x**y, [0.0, 0.0, 0.0], [0.0, 1.0, 2.5])[2] == [0.0, 0.0, 0.0]
    assert gradient(lambda y: 0.0**y, [0.0, 2.0])[1] == [0.0, 0.0]


def test_no_log_is_taken_when_the_exponent_needs_no_gradient():
    exponents = tg.tensor([3.0, 2.0, -1.0], dtype=tg.float64)
    value, grad = gradient(lambda x: x**exponents, [-2.0, -3.0, -4.0])
    assert value == [-8.0, 9.0, -0.25]
    assert grad == [12.0, -6.0, -0.0625]


@pytest.mark.parametrize("exponent", [2, 3, -2, 3.0])
def test_whole_powers_of_negative_numbers_are_exact_to_second_order(exponent):
    x = leaf([-2.0])
    (first,) = tg.autograd.grad((x**exponent).sum(), x, create_graph=True)
    (second,) = tg.autograd.grad(first.sum(), x)
    assert first.tolist() == [exponent * (-2.0) ** (exponent - 1)]
    assert second.tolist() == [exponent * (exponent - 1) * (-2.0) ** (exponent - 2)]


# The branch not taken


def test_where_keeps_the_branch_not_taken_out_of_the_value_and_the_gradient():
    condition = tg.tensor([True, False])
    x, y = leaf([1.0, INF]), leaf([math.nan, 2.0])
    out = tg.where(condition, x, y)
    out.backward(tg.tensor([INF, 3.0], dtype=tg.float64))
    assert out.tolist() == [1.0, 2.0]
    assert x.grad.tolist() == [INF, 0.0]
    assert y.grad.tolist() == [0.0, 3.0]


def test_the_double_where_is_finite_at_zero():
    def safe(x):
        inside = x > 0
        return tg.where(inside, tg.sqrt(tg.where(inside, x, 1.0)), 0.0)

    assert gradient(safe, [0.0, 4.0, -1.0]) == ([0.0, 2.0, 0.0], [0.0, 0.25, 0.0])


SELECTING = {
    "relu": lambda x: tg.relu(x),
    "clamp": lambda x: tg.clamp(x, min=0.0),
    "maximum": lambda x: tg.maximum(x, tg.zeros_like(x)),
    "where": lambda x: tg.where(x > 0, x, 0.0),
    "masked_fill": lambda x: tg.masked_fill(x, x < 0, 0.0),
    "amax": lambda x: tg.amax(tg.stack([x, tg.zeros_like(x)]), 0),
}


@pytest.mark.parametrize("name", SELECTING)
def test_an_infinite_gradient_of_what_was_not_chosen_is_selected_away(name):
    assert gradient(SELECTING[name], [-1.0, 2.0], seed=[INF, 1.0])[1] == [0.0, 1.0]


# Overflow


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_logsumexp_of_nothing_but_minus_infinity_has_no_gradient(shape):
    x = leaf(np.full(shape, -INF))
    out = tg.logsumexp(x, dim=-1)
    out.sum().backward()
    assert np.all(out.detach().data == -INF)
    assert np.array_equal(x.grad.data, np.zeros(shape))


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmax_and_its_relatives_do_not_overflow(name, dtype):
    x = leaf([1e4, 0.0, -1e4], dtype)
    out = getattr(tg, name)(x, dim=0)
    out.sum().backward()
    expected = {"softmax": [1, 0, 0], "log_softmax": [0, -1e4, -2e4], "logsumexp": 1e4}[name]
    assert np.allclose(np.asarray(out.detach().data, np.float64), expected, rtol=8e-3)
    assert np.all(np.isfinite(np.asarray(x.grad.data, np.float64)))


def test_softmax_takes_no_gradient_through_the_shift():
    shares = tg.softmax(tg.tensor([2.5, 3.1, -0.1], dtype=tg.float64), 0).data
    _, grad = gradient(lambda x: tg.logsumexp(x, 0), [2.5, 3.1, -0.1])
    assert np.allclose(grad, shares, rtol=1e-12)


def test_cross_entropy_is_computed_from_logits():
    x = leaf([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]])
    loss = tg.cross_entropy(x, tg.tensor([0, 2]), reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [0.0, 2e4]
    assert x.grad.tolist() == [[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]]


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize(("name", "ends"), [("sigmoid", [0.0, 1.0]), ("tanh", [-1.0, 1.0])])
def test_squashing_does_not_overflow_forwards_or_backwards(name, ends, dtype):
    x = leaf([-1e4, 1e4], dtype)
    out = getattr(tg, name)(x)
    out.sum().backward()
    assert out.tolist() == ends
    assert x.grad.tolist() == [0.0, 0.0]


def test_sigmoid_keeps_its_precision_far_below_zero():
    value, grad = gradient(tg.sigmoid, [-700.0])
    assert value == pytest.approx([math.exp(-700)], rel=1e-12)
    assert grad == pytest.approx([math.exp(-700)], rel=1e-12)


# Cross-entropy: targets that do not count, and targets that are wrong


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5]])
def test_cross_entropy_with_every_target_ignored_is_zero(reduction, smoothing, weight):
    x = leaf([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    weight = weight and tg.tensor(weight, dtype=tg.float64)
    loss = tg.cross_entropy(
        x, tg.tensor([-100, -100]), weight, reduction=reduction, label_smoothing=smoothing
    )
    loss.backward()
    assert loss.item() == 0.0
    assert x.grad.tolist() == [[0.0] * 3] * 2


def test_cross_entropy_of_no_targets_is_zero():
    assert tg.cross_entropy(tg.zeros(0, 3), tg.zeros(0, dtype=tg.int64)).item() == 0.0


X = tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
OUT_OF_RANGE = {
    "cross_entropy": lambda i: tg.cross_entropy(X, tg.tensor([0, i])),
    "nll_loss": lambda i: tg.nll_loss(X, tg.tensor([0, i])),
    "gather": lambda i: tg.gather(X, 1, tg.tensor([[0], [i]])),
    "scatter": lambda i: tg.scatter(X, 1, tg.tensor([[0], [i]]), X),
    "scatter_add": lambda i: tg.scatter_add(X, 1, tg.tensor([[0], [i]]), X),
    "scatter_reduce": lambda i: tg.scatter_reduce(X, 1, tg.tensor([[0], [i]]), X, "amax"),
    "index_add": lambda i: tg.index_add(X, 1, tg.tensor([0, i]), X[:, :2]),
    "index_copy": lambda i: tg.index_copy(X, 1, tg.tensor([0, i]), X[:, :2]),
    "index_reduce": lambda i: tg.index_reduce(X, 1, tg.tensor([0, i]), X[:, :2], "prod"),
    "index_select": lambda i: tg.index_select(X, 1, tg.tensor([0, i])),
    "one_hot": lambda i: tg.one_hot(tg.tensor([0, i]), 3),
    "embedding": lambda i: F.embedding(tg.tensor([0, i]), X.T),
    "embedding_bag": lambda i: F.embedding_bag(tg.tensor([[0, i]]), X.T),
    "multi_margin_loss": lambda i: F.multi_margin_loss(X, tg.tensor([0, i])),
    "max_unpool1d": lambda i: F.max_unpool1d(X[None], tg.tensor([[[0, 1, 2], [0, 1, i]]]), 1),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
@pytest.mark.parametrize("position", [3, -2])
def test_positions_out_of_range_are_an_error(name, position):
    with pytest.raises((IndexError, RuntimeError), match=rf"{name}.*{position}"):
        OUT_OF_RANGE[name](position)


@pytest.mark.parametrize(("position", "count"), [(3, 3), (-4, 3), (6, 6), (-7, 6)])
def test_positions_that_count_from_the_end_have_a_range_too(position, count):
    index = tg.tensor([0, position])
    reads = {
        "take_along_dim": lambda: tg.take_along_dim(X, index.reshape(2, 1), 1),
        "index_fill": lambda: tg.index_fill(X, 1, index, 0.0),
        "index": lambda: X[:, index],
    }
    flat = {"take": lambda: tg.take(X, index), "put": lambda: tg.put(X, index, X[0, :2])}
    for name, call in (reads if count == 3 else flat).items():
        with pytest.raises(IndexError, match=rf"{name}.*{position}"):
            call()


# Shapes and dtypes


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 1), (4,)),
        ((1, 3), (2, 1)),
        ((), (2, 3)),
        ((2, 1, 3), (4, 1)),
        ((1,), (1, 1)),
        ((0, 1), (1, 5)),
    ],
)
def test_broadcasting_gives_each_its_own_shape_and_dtype_back(a, b):
    x, y = leaf(np.full(a, 2.0), tg.float32), leaf(np.full(b, 3.0), tg.float64)
    out = x * y
    out.sum().backward()
    size = math.prod(np.broadcast_shapes(a, b))
    assert x.grad.shape == a
    assert y.grad.shape == b
    assert (x.grad.dtype, y.grad.dtype) == (tg.float32, tg.float64)
    assert x.grad.sum().item() == 3.0 * size
    assert y.grad.sum().item() == 2.0 * size


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "logsumexp", "var", "std"])
def test_several_dimensions_in_any_order_and_from_either_end(name):
    x = leaf(np.random.default_rng(0).random((2, 3, 4)))
    function = getattr(tg, name)
    kept = function(x, dim=(-1, 0), keepdim=True)
    assert kept.shape == (1, 3, 1)
    assert np.array_equal(function(x, dim=(0, 2)).detach().data, kept.detach().data[0, :, 0])
    kept.sum().backward()
    assert x.grad.shape == (2, 3, 4)


ADDING = {  # of 4096 ones; a float16 sum stalls at 2048, a bfloat16 one at 256
    "sum": (lambda x: tg.sum(x), 4096),
    "nansum": (lambda x: tg.nansum(x), 4096),
    "mean": (lambda x: tg.mean(x), 1),
    "cumsum": (lambda x: tg.cumsum(x, 1)[0, -1], 4096),
    "norm": (lambda x: tg.norm(x), 64),
    "vector_norm": (lambda x: tg.linalg.vector_norm(x), 64),
    "var": (lambda x: tg.var(tg.cat([x, -x], 1), correction=0), 1),
    "std": (lambda x: tg.std(tg.cat([x, -x], 1), correction=0), 1),
    "matmul": (lambda x: tg.matmul(x, x.T), 4096),
    "dot": (lambda x: tg.dot(x[0], x[0]), 4096),
    "bmm": (lambda x: tg.bmm(x[None], x.T[None]), 4096),
    "einsum": (lambda x: tg.einsum("ij,ij->", x, x), 4096),
    "linear": (lambda x: tg.linear(x, x), 4096),
    "conv1d": (lambda x: F.conv1d(x, x[None]), 4096),
    "conv2d": (lambda x: F.conv2d(x.reshape(1, 1, 64, 64), x.reshape(1, 1, 64, 64)), 4096),
    "avg_pool2d": (lambda x: F.avg_pool2d(x.reshape(1, 1, 64, 64), 64), 1),
    "softmax": (lambda x: tg.softmax(x, 1)[0, 0], 1 / 4096),
    "logsumexp": (lambda x: tg.logsumexp(x, 1), 1 + math.log(4096)),
    "logcumsumexp": (lambda x: tg.logcumsumexp(x, 1)[0, -1], 1 + math.log(4096)),
    "layer_norm": (lambda x: F.layer_norm(tg.cat([x, -x], 1), (8192,))[0, 0], 1),
    "batch_norm": (
        lambda x: F.batch_norm(tg.cat([x, -x], 1)[None], None, None, training=True)[0, 0, 0], 1
    ),
    "group_norm": (lambda x: F.group_norm(tg.cat([x, -x], 1)[None], 1)[0, 0, 0], 1),
    "rms_norm": (lambda x: F.rms_norm(x, (4096,))[0, 0], 1),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, tg.tensor([0])), math.log(4096)
    ),
    "mse_loss": (lambda x: F.mse_loss(x, x * 0, reduction="sum"), 4096),
    "index_add": (
        lambda x: tg.index_add(x[0, :1] * 0, 0, tg.zeros(4096, dtype=tg.int64), x[0]), 4096
    ),
    "scatter_add": (
        lambda x: tg.scatter_add(x[:, :1] * 0, 1, tg.zeros(1, 4096, dtype=tg.int64), x), 4096
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16], ids=str)
@pytest.mark.parametrize("name", ADDING)
def test_half_types_accumulate_in_float32(name, dtype):
    function, expected = ADDING[name]
    result = function(tg.ones(1, 4096, dtype=dtype))
    assert result.dtype == dtype
    assert result.item() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16], ids=str)
@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: tg.linear(x, w),
        lambda x, w: F.conv1d(x[:, :, None], w[:, :, None]),
        lambda x, w: F.embedding(tg.zeros(4096, dtype=tg.int64), w),
        lambda x, w: tg.gather(w, 1, tg.zeros(1, 4096, dtype=tg.int64)),
        lambda x, w: w[tg.zeros(4096, dtype=tg.int64)],
        lambda x, w: x + w,
    ],
    ids=["linear", "conv1d", "embedding", "gather", "index", "add"],
)
def test_half_gradients_accumulate_in_float32(function, dtype):
    x, w = tg.ones(4096, 1, dtype=dtype), tg.ones(1, 1, dtype=dtype, requires_grad=True)
    function(x, w).sum().backward()
    assert w.grad.dtype == dtype
    assert w.grad.item() == 4096


def test_half_gradients_that_meet_are_summed_in_float32():
    bias = tg.zeros(1, dtype=tg.float16, requires_grad=True)
    tg.expand(bias, (4096,)).sum().backward()
    assert bias.grad.item() == 4096


# Repeated positions


def test_repeated_positions_accumulate():
    rows = tg.tensor([0, 0, -1, 2])  # -1 is 2 again
    assert gradient(lambda x: x[rows], [1.0, 2.0, 3.0], seed=[1.0, 2.0, 4.0, 8.0])[1] == [3, 0, 12]
    assert gradient(lambda x: tg.gather(x, 0, tg.tensor([1, 1])), [1.0, 2.0])[1] == [0.0, 2.0]
    assert gradient(lambda x: tg.index_select(x, 0, tg.tensor([1, 1, 1])), [1.0, 2.0])[1] == [0, 3]
    added = tg.scatter_add(tg.zeros(2), 0, tg.tensor([1, 1, 1]), tg.tensor([1.0, 2.0, 4.0]))
    assert added.tolist() == [0.0, 7.0]


TWICE = tg.tensor([1, 1, 0])
REPEATED = {  # of x = [1, 2, 4] the first two to place 1 of y = [8, 16], the third to place 0
    "index_add": lambda x, y: tg.index_add(y, 0, TWICE, x),
    "scatter_add": lambda x, y: tg.scatter_add(y, 0, TWICE, x),
    "scatter_reduce": lambda x, y: tg.scatter_reduce(y, 0, TWICE, x, "sum"),
    "index_reduce": lambda x, y: tg.log(
        tg.index_reduce(tg.exp(y), 0, TWICE, tg.exp(x), "prod")
    ),
    "index_put": lambda x, y: tg.index_put(y, (TWICE,), x, accumulate=True),
    "put": lambda x, y: tg.put(y, TWICE, x, accumulate=True),
}  # fmt: skip


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_added_at_one_place_adds_up_and_each_gets_the_gradient(name):
    value, to_x, to_y = gradient(REPEATED[name], [1.0, 2.0, 4.0], [8.0, 16.0], seed=[3.0, 5.0])
    assert value == pytest.approx([12.0, 19.0])
    assert to_x == pytest.approx([5.0, 5.0, 3.0])
    assert to_y == pytest.approx([3.0, 5.0])


READING = {
    "x[i]": lambda x: x[TWICE],
    "gather": lambda x: tg.gather(x, 0, TWICE),
    "index_select": lambda x: tg.index_select(x, 0, TWICE),
    "take": lambda x: tg.take(x, TWICE),
    "take_along_dim": lambda x: tg.take_along_dim(x, TWICE, 0),
    "embedding": lambda x: F.embedding(TWICE, x[:, None])[:, 0],
    "repeat_interleave": lambda x: tg.flip(tg.repeat_interleave(x, tg.tensor([1, 2])), (0,)),
}


@pytest.mark.parametrize("name", READING)
def test_what_is_read_twice_gets_both_gradients_to_second_order(name):
    def cubed(x):
        return READING[name](x) ** 3

    assert gradient(READING[name], [1.0, 2.0], seed=[3.0, 5.0, 7.0])[1] == [7.0, 8.0]
    assert tg.autograd.gradgradcheck(cubed, leaf([1.0, 2.0]))


# Memory


OVERWRITTEN = {
    "mul": lambda x, y: y * y,
    "exp": lambda x, y: tg.exp(y),
    "sqrt": lambda x, y: tg.sqrt(y),
    "matmul": lambda x, y: y @ y,
    "softmax": lambda x, y: tg.softmax(y, 0),
}


@pytest.mark.parametrize("written", ["input", "output"])
@pytest.mark.parametrize("name", OVERWRITTEN)
def test_a_saved_value_that_was_overwritten_is_an_error(name, written):
    x = leaf([1.0, 2.0])
    y = x * 3
    out = OVERWRITTEN[name](x, y)
    saved = {"mul": "input", "matmul": "input"}.get(name, "output")
    with tg.no_grad():
        (y if written == "input" else out).fill_(7.0)
    if written == saved:
        with pytest.raises(RuntimeError, match=rf"'{name}' \(#\d+\).*overwritten in place"):
            out.sum().backward()
    else:
        out.sum().backward()


def test_overwriting_through_a_view_is_noticed():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 1
    out = (y * y).sum()
    with tg.no_grad():
        y[0].T.mul_(2)
    with pytest.raises(RuntimeError, match="overwritten"):
        out.backward()


def test_gradients_are_private_and_writable():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = tg.ones(2, dtype=tg.float64)
    (x + y).backward(seed)
    for grad in (x.grad, y.grad):
        grad.data[0] = 100.0
    assert seed.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == y.grad.tolist() == [100.0, 1.0]
    assert not np.shares_memory(x.grad.data, y.grad.data)
    first = x.grad
    (x.reshape(1, 2).expand(3, 2)).sum().backward()
    assert x.grad is first or not np.shares_memory(first.data, x.grad.data)
    assert x.grad.tolist() == [103.0, 4.0]
    assert x.grad.data.flags.writeable
    assert x.grad.data.flags.c_contiguous


def test_gradients_of_an_expanded_sum_can_be_written():
    x = leaf(np.ones((2, 3)))
    x.sum().backward()
    x.grad.data[0, 0] = 5.0
    assert x.grad.tolist() == [[5.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_an_output_that_died_before_backward_has_a_zero_gradient():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    first = tg.split(x, [1, 2, 1])[0]
    gc.collect()
    first.backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]


# Depth, and what gradcheck says of rounding


def test_a_deep_chain_runs_forwards_and_backwards_and_is_freed():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y


def test_gradcheck_warns_unless_float64():
    with pytest.warns(UserWarning, match="float64"):
        tg.autograd.gradcheck(lambda x: x * 2, leaf([1.0], tg.float32), raise_exception=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tg.autograd.gradcheck(tg.sin, leaf([1.0, 2.0]))
