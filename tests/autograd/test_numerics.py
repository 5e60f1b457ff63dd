"""One test per row of shared/numerics.md, for the operations there are: kinks, overflow, aliasing.

Values are worked out by hand; what PyTorch does is in tests/parity.
"""

from __future__ import annotations

import gc
import math
import warnings

import numpy as np
import pytest
from tables import CALLS

import tapegrad as tg
from tapegrad.autograd.operations import __all__ as OPERATIONS

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


def second(name):
    return lambda x: getattr(tg, name)(x, x + 1)


def along(name):
    return lambda x: getattr(tg, name)(x, 0)


POSITIVE = [[0.5, 1.5], [2.5, 0.7]]
IMAGES = np.linspace(0.1, 1, 32).reshape(1, 2, 4, 4)
INDEX = tg.tensor([[0, 1], [1, 0]])
FLOATING = {
    **{name: (getattr(tg, name), POSITIVE) for name in (
        "abs", "amax", "amin", "clone", "cos", "diag", "erf", "exp", "expm1", "log", "log1p", "max",
        "mean", "min", "neg", "norm", "reciprocal", "relu", "rsqrt", "sigmoid", "sin", "sqrt",
        "square", "std", "sum", "t", "tanh", "var", "flatten", "squeeze", "unbind",
    )},
    **{name: (second(name), POSITIVE) for name in (
        "add", "div", "maximum", "minimum", "mul", "pow", "remainder", "sub", "matmul", "mm",
    )},
    **{name: (along(name), POSITIVE) for name in (
        "flip", "log_softmax", "logsumexp", "softmax", "unsqueeze",
    )},
    "numbers": (lambda x: (2.5 * x + 1) / 3 - x**2.5 + 2**x - (1.5 - x), POSITIVE),
    "avg_pool2d": (lambda x: tg.avg_pool2d(x, 2), IMAGES),
    "bmm": (lambda x: tg.bmm(x[None], x[None]), POSITIVE),
    "broadcast_to": (lambda x: tg.broadcast_to(x, (2, 2, 2)), POSITIVE),
    "cat": (lambda x: tg.cat([x, x]), POSITIVE),
    "chunk": (lambda x: tg.chunk(x, 2), POSITIVE),
    "clamp": (lambda x: tg.clamp(x, 0.6, 2), POSITIVE),
    "conv2d": (lambda x: tg.conv2d(x, x[:, :, :2, :2], x[0, :1, 0, 0]), IMAGES),
    "cross_entropy": (lambda x: tg.cross_entropy(x, INDEX[0], label_smoothing=0.1), POSITIVE),
    "dot": (lambda x: tg.dot(x[0], x[1]), POSITIVE),
    "expand": (lambda x: tg.expand(x, (2, 2, 2)), POSITIVE),
    "gather": (lambda x: tg.gather(x, 1, INDEX), POSITIVE),
    "getitem": (lambda x: x[INDEX[0], 1], POSITIVE),
    "index_select": (lambda x: tg.index_select(x, 0, INDEX[0]), POSITIVE),
    "linear": (lambda x: tg.linear(x, x, x[0]), POSITIVE),
    "masked_fill": (lambda x: tg.masked_fill(x, x > 1, 0.5), POSITIVE),
    "masked_select": (lambda x: tg.masked_select(x, x > 1), POSITIVE),
    "max_pool2d": (lambda x: tg.max_pool2d(x, 2), IMAGES),
    "movedim": (lambda x: tg.movedim(x, 0, 1), POSITIVE),
    "mv": (lambda x: tg.mv(x, x[0]), POSITIVE),
    "nll_loss": (lambda x: tg.nll_loss(x, INDEX[0], x.detach()[0]), POSITIVE),
    "outer": (lambda x: tg.outer(x[0], x[1]), POSITIVE),
    "pad": (lambda x: tg.pad(x, (1, 1), value=2.5), POSITIVE),
    "permute": (lambda x: tg.permute(x, (1, 0)), POSITIVE),
    "reshape": (lambda x: tg.reshape(x, (4,)), POSITIVE),
    "scatter_add": (lambda x: tg.scatter_add(x, 0, INDEX, x), POSITIVE),
    "split": (lambda x: tg.split(x, 1), POSITIVE),
    "stack": (lambda x: tg.stack([x, x]), POSITIVE),
    "take_along_dim": (lambda x: tg.take_along_dim(x, INDEX, 1), POSITIVE),
    "transpose": (lambda x: tg.transpose(x, 0, 1), POSITIVE),
    "unflatten": (lambda x: tg.unflatten(x, 1, (1, 2)), POSITIVE),
    "where": (lambda x: tg.where(x > 1, x, 0.5), POSITIVE),
}  # fmt: skip
NO_GRADIENT = {  # creation, random numbers, comparisons, flat functions
    "Generator", "get_rng_state", "initial_seed", "seed", "set_rng_state",
    "asarray", "frombuffer", "binomial", "multinomial", "poisson", "randint_like",
    "can_cast", "finfo", "iinfo", "is_floating_point", "is_nonzero", "is_tensor", "numel",
    "promote_types", "result_type",
    "all", "allclose", "any", "arange", "argmax", "argmin", "as_tensor", "bernoulli",
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "empty", "empty_like", "eq", "eye",
    "floor", "floor_divide", "from_dlpack", "from_numpy", "full", "full_like", "ge", "gt",
    "isclose", "isfinite", "isinf", "isnan", "le", "linspace", "logical_and", "logical_not",
    "logical_or", "lt", "manual_seed", "ne", "normal", "one_hot", "ones", "ones_like", "rand",
    "rand_like", "randint", "randn", "randn_like", "randperm", "sign", "tensor", "zeros",
    "zeros_like",
}  # fmt: skip


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64], ids=str)
@pytest.mark.parametrize("name", FLOATING)
def test_a_floating_dtype_stays_what_it_is(name, dtype):
    function, values = FLOATING[name]
    x = leaf(values, dtype)
    out = function(x)
    parts = [p for p in (out if isinstance(out, tuple) else (out,)) if p.requires_grad]
    assert {p.dtype for p in parts} == {dtype}
    tg.autograd.backward(parts, [tg.ones_like(p) for p in parts])
    assert x.grad.dtype == dtype


def test_every_operation_has_its_dtype_tested():
    assert set(OPERATIONS) - set(FLOATING) - NO_GRADIENT - set(CALLS) == set()


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16], ids=str)
def test_half_types_accumulate_in_float32(dtype):
    ones = tg.ones(1, 4096, dtype=dtype)  # a float16 sum stalls at 2048, a bfloat16 one at 256
    assert tg.sum(ones).item() == 4096
    assert tg.mean(ones).item() == 1
    assert tg.matmul(ones, ones.T).item() == 4096
    assert tg.linear(ones, ones).item() == 4096
    assert tg.norm(ones).item() == 64
    images = ones.reshape(1, 1, 64, 64)
    assert tg.conv2d(images, images).item() == 4096
    assert tg.avg_pool2d(images, 64).item() == 1
    assert tg.softmax(ones, 1)[0, 0].item() == pytest.approx(1 / 4096, rel=1e-2)
    assert tg.logsumexp(ones, 1).item() == pytest.approx(1 + math.log(4096), rel=1e-2)


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


# Sizes 0 and views, for every operation of one floating tensor


@pytest.mark.parametrize("name", [n for n in FLOATING if FLOATING[n][1] is POSITIVE])
def test_a_transposed_view_is_as_good_as_a_copy(name):
    function, values = FLOATING[name]
    x, y = leaf(np.transpose(values)), leaf(values)
    parts = []
    for view in (x.T, y):
        out = function(view)
        out = out if isinstance(out, tuple) else (out,)
        tg.autograd.backward(list(out), [tg.ones_like(p) for p in out])
        parts.append(out)
    for a, b in zip(*parts, strict=True):
        assert np.allclose(a.detach().data, b.detach().data, rtol=1e-12)
    assert np.allclose(x.grad.data.T, y.grad.data, rtol=1e-12)


SIZELESS = ("abs", "add", "cat", "clamp", "cos", "div", "erf", "exp", "flatten", "log", "matmul")
SIZELESS += ("mul", "neg", "norm", "numbers", "pow", "relu", "sigmoid", "softmax", "sqrt", "square")
SIZELESS += ("stack", "sub", "sum", "tanh", "where", "masked_fill", "masked_select", "logsumexp")


@pytest.mark.parametrize("name", SIZELESS)
def test_operations_take_tensors_without_elements(name):
    x = leaf(np.zeros((0, 0)))
    out = FLOATING[name][0](x)
    out.backward(tg.ones_like(out))
    assert x.grad.shape == (0, 0)
