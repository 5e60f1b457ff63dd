"""`fused`: the function's values, the gradients the engine derives, what is refused."""

import copy
import importlib
import pickle
import weakref

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import FusionError, engine, grad, gradcheck, gradgradcheck
from tapegrad.nn import functional as F

backward = importlib.import_module("tapegrad.autograd.backward")


def leaf(*shape, dtype=tg.float64, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return tg.tensor(values, dtype=dtype, requires_grad=True)


def ten_gates(x, w):
    h = tg.tanh(x * w + x) * w
    h = tg.sigmoid(h) - x * 0.5
    return tg.exp(-h * h)


def choices(x, w):
    return tg.where(x > w, x**3, tg.maximum(x, w * 2)) / (1 + tg.abs(w))


def activations(x, w):
    return F.gelu(x) + F.silu(w) * F.softplus(x) - F.elu(w, 1.3) + F.leaky_relu(x - w, 0.2)


FUNCTIONS = [ten_gates, choices, activations]


def same(a, b, **tolerance):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), **tolerance)


# Values and gradients


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1), (1, 3)), ((), (2,))])
def test_a_fused_function_gives_what_the_function_gives(function, shapes):
    x, w = leaf(*shapes[0]), leaf(*shapes[1], seed=1)
    y, z = function(x, w), tg.fused(function)(x, w)
    same(z, y, rtol=1e-12)
    assert z.shape == y.shape
    for ours, plain in zip(grad(z.sum(), (x, w)), grad(y.sum(), (x, w)), strict=True):
        same(ours, plain, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shapes", [((3, 2), (3, 2)), ((3, 2), (2,))])
def test_gradients_are_right_to_second_order(function, shapes):
    inputs = leaf(*shapes[0], seed=3), leaf(*shapes[1], seed=4)
    assert gradcheck(tg.fused(function), inputs)
    assert gradgradcheck(tg.fused(function), inputs)


def test_derivatives_go_to_any_order():
    x = leaf()
    y = tg.fused(lambda x: tg.sin(x) * tg.exp(x))(x)
    for _ in range(5):
        (y,) = grad(y, x, create_graph=True)
    value = x.item()  # the fifth derivative of sin(x) e^x is -4 e^x (sin x + cos x)
    expected = -4 * np.exp(value) * (np.sin(value) + np.cos(value))
    assert y.item() == pytest.approx(expected, rel=1e-12)


def test_several_outputs_of_different_shapes_sum_their_gradients():
    @tg.fused
    def both(x, b):
        return x * tg.exp(b), tg.sin(b)

    inputs = leaf(3, 2), leaf(2, seed=1)
    first, second = both(*inputs)
    assert (first.shape, second.shape) == ((3, 2), (2,))
    assert gradcheck(both, inputs)
    assert gradgradcheck(both, inputs)


def test_what_is_detached_gets_no_gradient():
    @tg.fused
    def through_one(x, w):
        with tg.no_grad():
            scale = tg.exp(w)
        return x * w.detach() + scale * x

    x, w = leaf(3), leaf(3, seed=1)
    y = through_one(x, w)
    same(y, x * w + tg.exp(w) * x, rtol=1e-12)
    to_x, to_w = grad(y.sum(), (x, w), allow_unused=True)
    same(to_x, w + tg.exp(w), rtol=1e-12)
    assert to_w is None


def test_an_output_that_is_not_used_gives_no_gradient():
    x = leaf(3)
    first, _ = tg.fused(lambda x: (x * x, tg.exp(x)))(x)
    first.sum().backward()
    same(x.grad, 2 * x)


def test_a_boolean_output_is_outside_of_the_graph():
    x = leaf(3)
    value, positive = tg.fused(lambda x: (x * 2, x > 0))(x)
    assert positive.dtype == tg.bool
    assert not positive.requires_grad
    value.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_fused_within_fused_is_one_gate():
    inner = tg.fused(ten_gates)
    outer = tg.fused(lambda x, w, k: inner(x, w) * k + inner(w, x))
    x, w = leaf(4), leaf(4, seed=1)
    y = outer(x, w, 0.3)
    same(y, ten_gates(x, w) * 0.3 + ten_gates(w, x), rtol=1e-12)
    assert gradcheck(lambda x, w: outer(x, w, 0.3), (x, w))


def test_an_input_that_is_returned_is_copied():
    x = leaf(3)
    same_values, doubled = tg.fused(lambda x: (x, x * 2))(x)
    same_values.detach().data[...] = 0
    assert bool((x != 0).all())
    assert doubled.shape == (3,)


def test_large_arrays_are_computed_in_blocks_and_equal_the_whole():
    x, w = leaf(700, 1001, dtype=tg.float32), leaf(1001, dtype=tg.float32, seed=1)
    y, z = ten_gates(x, w), tg.fused(ten_gates)(x, w)
    same(z, y, rtol=1e-6)
    for ours, plain in zip(grad(z.sum(), (x, w)), grad(y.sum(), (x, w)), strict=True):
        same(ours, plain, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same_bits(threads):
    x, w = leaf(600_000, dtype=tg.float32), leaf(600_000, dtype=tg.float32, seed=1)
    fused, before = tg.fused(ten_gates), tg.get_num_threads()
    expected = fused(x, w).tolist()
    tg.set_num_threads(threads)
    try:
        assert fused(x, w).tolist() == expected
    finally:
        tg.set_num_threads(before)


def test_less_than_one_thread_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        tg.set_num_threads(0)


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16, tg.float32, tg.float64])
def test_the_dtype_stays_for_values_and_gradients(dtype):
    x = leaf(5, dtype=dtype)
    y = tg.fused(lambda x, r: tg.tanh(x * r) * 0.5 + 1)(x, 0.3)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype


# Numbers, static arguments, calls


def test_a_changing_number_traces_nothing_anew():
    traced = []

    @tg.fused
    def scaled(x, rate, power=2.0):
        traced.append(rate)
        return x * (1 - rate**power)

    x = tg.ones(2)
    assert scaled(x, 0.5).tolist() == [0.75, 0.75]
    assert scaled(x, 0.1, power=1.0).tolist() == pytest.approx([0.9, 0.9])
    assert scaled(rate=0.0, x=x).tolist() == [1.0, 1.0]
    assert len(traced) == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x, v: tg.clamp(x, -v, v),
        lambda x, v: tg.where(x > v, v, x * x),
        lambda x, v: tg.lerp(x, x * x, v),
        lambda x, v: F.softplus(x, v) + F.elu(x, v) + F.leaky_relu(x, v),
        lambda x, v: tg.add(x, x * x, alpha=v) / v - v**x,
        lambda x, v: (x * x + 1) ** v,
    ],
)
def test_numbers_go_where_a_gate_takes_them(function):
    x = leaf(5)
    same(tg.fused(function)(x, 0.4), function(x, 0.4), rtol=1e-12)
    assert gradcheck(lambda x: tg.fused(function)(x, 0.4), (x,))


def test_a_power_of_0_has_its_gradient_at_0_too():
    x = tg.tensor([0.0, 2.0], dtype=tg.float64, requires_grad=True)
    power = tg.fused(lambda x, p: x**p)
    (slope,) = grad(power(x, 0.0).sum(), x)
    assert slope.tolist() == [0.0, 0.0]
    (slope,) = grad(power(x, 3.0).sum(), x)
    assert slope.tolist() == [0.0, 12.0]


def test_what_is_static_is_traced_for_each_value():
    @tg.fused(static="order")
    def power(x, order, negative=False):
        y = x if order == 1 else x * x
        return -y if negative else y

    x = tg.tensor([3.0])
    assert power(x, 1).item() == 3.0
    assert power(x, 2).item() == 9.0
    assert power(x, 2, negative=True).item() == -9.0  # booleans are static by themselves


def test_a_method_can_be_fused():
    class Scale:
        factor = 3.0

        @tg.fused
        def apply(self, x):
            return x * self.factor

    assert Scale().apply(tg.ones(2)).tolist() == [3.0, 3.0]


def test_arrays_and_their_numbers_are_taken_as_tensors_and_numbers():
    double = tg.fused(lambda x, r: x * r)
    assert double(np.ones(2, np.float32), np.float64(2.0)).tolist() == [2.0, 2.0]


def test_under_no_grad_nothing_is_recorded():
    with tg.no_grad():
        assert not tg.fused(ten_gates)(leaf(3), leaf(3)).requires_grad


def test_a_tape_shows_one_gate_and_checks_it():
    x, w = leaf(3), leaf(3, seed=1)
    with tg.Tape() as tape:
        tg.fused(ten_gates)(x, w).sum()
    assert [step.gate for step in tape if step.gate != "leaf"] == ["ten_gates", "sum"]
    assert tape.check()


def test_a_tape_checks_a_gate_of_float32_in_float64():
    x = leaf(4, dtype=tg.float32)
    half = leaf(4, dtype=tg.float16, seed=1)
    with tg.Tape() as tape:
        tg.fused(lambda x, h, r: tg.sigmoid(x * r) * h)(x, half, 0.7).sum()
    assert tape.check()


def test_only_what_the_gradient_reads_is_kept():
    x, w = leaf(3), leaf(3, seed=1)
    y = tg.fused(lambda x, w: x * 2 + w)(x, w)
    assert y._node.saved == (None, None, None)


# Random numbers


def test_dropout_within_draws_anew_at_every_call_and_the_same_in_backward():
    @tg.fused
    def block(x, b):
        return F.dropout(F.relu(x + b), 0.25) * 2

    x = tg.ones(1000, dtype=tg.float64, requires_grad=True)
    b = tg.zeros(1000, dtype=tg.float64)
    tg.manual_seed(0)
    y, z = block(x, b), block(x, b)
    assert set(y.tolist()) == {0.0, 2 / 0.75}
    assert 650 < int((y != 0).sum()) < 850
    assert y.tolist() != z.tolist()
    y.sum().backward()
    same(x.grad, y)
    tg.manual_seed(0)
    same(block(x, b), y)


def test_dropout_within_a_fused_function_within_another_draws_for_itself():
    inner = tg.fused(lambda x: F.dropout(x, 0.5))
    outer = tg.fused(lambda x: inner(x) + 10 * inner(x))
    values = set(outer(tg.ones(400)).tolist())
    assert values == {0.0, 2.0, 20.0, 22.0}


def test_dropout_of_what_is_broadcast_is_refused_on_a_gpu(gpu):
    block = tg.fused(lambda x, b: x + F.dropout(b, 0.5))
    with pytest.raises(FusionError, match=r"'dropout_at_random' of a value of shape \(4,\)"):
        block(tg.ones(3, 4, device="cuda"), tg.ones(4, device="cuda"))


def test_dropout_within_is_one_kernel_and_keeps_no_mask_on_a_gpu(recording):
    x = tg.ones(5, 100, device="cuda", requires_grad=True)
    upstream = tg.ones(5, 100, device="cuda")
    block = tg.fused(lambda x: F.dropout(F.gelu(x), 0.5))
    recording.launches.clear()
    y = block(x)
    y.backward(upstream)
    assert len(recording.launches) == 2
    kept = (y != 0).cpu().numpy()
    assert ((x.grad != 0).cpu().numpy() == kept).all()
    assert 150 < kept.sum() < 350


# What is refused


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: x.sum(), "'sum' is not pointwise"),
        (lambda x: x - x.mean(0), "'mean' is not pointwise"),
        (lambda x: x @ x, "'matmul' is not pointwise"),
        (lambda x: F.softmax(x, 0), "'softmax' is not pointwise"),
        (lambda x: x[0], "'index' is not pointwise"),
        (lambda x: x.T * 1, "'permute' is not pointwise"),
    ],
)
def test_what_is_not_pointwise_is_refused_by_name(function, named):
    with pytest.raises(FusionError, match=named):
        tg.fused(function)(tg.ones(2, 2))


def test_a_tensor_that_is_no_argument_is_refused():
    other = tg.ones(2)
    with pytest.raises(FusionError, match="not among its arguments"):
        tg.fused(lambda x: x * other)(tg.ones(2))


def test_branching_on_a_number_is_refused():
    with pytest.raises(FusionError, match=r"'rate'.*static"):
        tg.fused(lambda x, rate: x if rate > 0 else -x)(tg.ones(2), 0.5)


def test_what_is_returned_must_be_computed_from_the_arguments():
    with pytest.raises(FusionError, match="returned float"):
        tg.fused(lambda x: 1.0)(tg.ones(2))


def test_an_unknown_static_name_is_refused():
    with pytest.raises(TypeError, match="no parameter 'mode'"):
        tg.fused(lambda x: x, static="mode")


def test_a_call_without_tensors_is_refused():
    with pytest.raises(TypeError, match="without a tensor"):
        tg.fused(lambda x: x * 2)(1.0)


def test_an_argument_that_cannot_be_hashed_is_refused():
    with pytest.raises(TypeError, match=r"can be hashed, not Tensor, list"):
        tg.fused(lambda x, sizes: x)(tg.ones(2), [1, 2])


def test_what_is_to_be_named_is_not_taken_by_position():
    scaled = tg.fused(lambda x, *, rate: x * rate)
    assert scaled(tg.ones(2), rate=3.0).tolist() == [3.0, 3.0]
    with pytest.raises(TypeError, match="positional"):
        scaled(tg.ones(2), 3.0)


def test_names_are_given_or_all_are_taken_as_they_come():
    assert tg.fused(lambda *xs: sum(xs))(tg.ones(2), tg.ones(2), 1.0).tolist() == [3.0, 3.0]
    with pytest.raises(TypeError, match="without a name"):
        tg.fused(lambda x, **options: x)


def test_shapes_that_do_not_broadcast_are_an_error():
    @tg.fused
    def add_up(x, y):
        return x + y

    with pytest.raises(ValueError, match="add_up"):
        add_up(tg.ones(2), tg.ones(3))


# The source


def test_the_kernel_can_be_read_without_a_gpu():
    swish = tg.fused(lambda x, beta: x * tg.sigmoid(beta * x))
    forward = swish.cuda_source(tg.ones(3), 1.5)
    assert "__global__" in forward
    assert "float s0" in forward  # beta is an argument
    backward = swish.cuda_source(backward=True)
    assert backward.count("__global__") == 1
    assert backward != forward


def test_a_source_before_any_call_asks_for_arguments():
    with pytest.raises(FusionError, match="has not been traced"):
        tg.fused(ten_gates).cuda_source()


def test_ten_gates_are_one_kernel_forward_and_one_backward(recording):
    x = tg.tensor(np.ones((5, 7), np.float32), device="cuda", requires_grad=True)
    w = tg.tensor(np.ones((5, 7), np.float32), device="cuda", requires_grad=True)
    upstream = tg.ones(5, 7, device="cuda")
    recording.launches.clear()
    y = tg.fused(ten_gates)(x, w)
    assert recording.launches == ["fused_ten_gates"]
    y.backward(upstream)
    assert recording.launches == ["fused_ten_gates", "fused_ten_gates_backward"]
    assert recording.synchronisations == []


# What goes through it by itself


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus", "elu", "hardswish"])
def test_large_activations_are_computed_in_blocks_to_the_same_bits(name, monkeypatch):
    function = getattr(F, name)
    values = np.random.default_rng(0).standard_normal((70, 1001)).astype(np.float32) * 4

    def computed():
        x = tg.tensor(values, requires_grad=True)
        y = function(x)
        y.backward(tg.ones_like(y))
        return y.detach().numpy(), x.grad.numpy()

    whole = computed()
    for module in (engine, backward):
        monkeypatch.setattr(module, "LARGE", 1)
    for a, b in zip(computed(), whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_function_sees_the_device_of_its_arguments(gpu):
    by_place = tg.fused(lambda x: x * 3 if x.is_cuda else x * 2 if x.device.type == "cpu" else x)
    assert by_place(tg.ones(2)).tolist() == [2.0, 2.0]
    assert by_place(tg.ones(2, device="cuda")).tolist() == [3.0, 3.0]


def test_constants_are_made_within():
    x = tg.tensor([1.0, -2.0, 0.0])
    for function, right in {
        lambda x: tg.where(x > 0, 1.0, 0.5) * x: [1.0, -1.0, 0.0],
        lambda x: tg.where(x > 0, x, tg.zeros_like(x)): [1.0, 0.0, 0.0],
        lambda x: tg.ones_like(x) + tg.full_like(x, 2): [3.0, 3.0, 3.0],
        lambda x: x.contiguous() * 2: [2.0, -4.0, 0.0],
    }.items():
        assert tg.fused(function)(x).tolist() == right
    whole = tg.fused(lambda x, k: tg.where(x > 0, k, 7))(x, 3)
    assert (whole.tolist(), whole.dtype) == ([3, 7, 7], tg.int64)
    marked = tg.fused(lambda x: tg.ones_like(x, dtype=tg.int8))(x)
    assert (marked.tolist(), marked.dtype) == ([1, 1, 1], tg.int8)


def test_numbers_meet_whole_tensors_as_outside():
    small = tg.tensor([1, 100], dtype=tg.int8)
    for function in (
        lambda a, k: a + k,
        lambda a, k: k - a,
        lambda a, k: a * k,
        lambda a, k: a // k,
        lambda a, k: a % k,
        lambda a, k: k**a,
    ):
        fused, plain = tg.fused(function)(small, 300), function(small, 300)
        assert (fused.tolist(), fused.dtype) == (plain.tolist(), tg.int8)
    power = tg.fused(lambda a, k: a**k)
    assert power(small, 2).tolist() == [1, 16]
    for given in (small, small > 1):
        with pytest.raises(ValueError, match="whole numbers have no negative powers"):
            power(given, -1)


def test_autocast_holds_within():
    cubed = tg.fused(lambda x: x**3)
    squared = tg.fused(lambda x, y: F.mse_loss(x, y, reduction="none"))
    x = tg.tensor([3.0]).bfloat16()
    assert squared(x, x).dtype == cubed(x).dtype == tg.bfloat16
    with tg.autocast("cpu"):
        assert squared(x, x).dtype == tg.float32
        assert cubed(x).dtype == tg.bfloat16
    assert squared(x, x).dtype == tg.bfloat16


class Scaling(tg.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    @tg.fused
    def scaled(self, x):
        return x * self.factor

    @tg.fused(static="power")
    def raised(self, x, power=2):
        return x**power if power > 1 else x


def test_a_fused_method_goes_with_its_instance():
    watched = []
    for factor in (2.0, 3.0):
        layer = Scaling(factor)
        watched.append(weakref.ref(layer))
        assert layer.scaled(tg.ones(2)).tolist() == [factor, factor]
        assert layer.raised(tg.ones(1) * 3, power=2).item() == 9.0
    del layer
    assert [reference() for reference in watched] == [None, None]
    method = Scaling(4.0).scaled  # which keeps the instance, as methods do
    assert method(tg.ones(1)).item() == 4.0
    assert "scaled" in method.cuda_source(tg.ones(1))


@tg.fused
def doubled(x):
    return x * 2


def test_what_is_fused_can_be_pickled_by_its_name():
    layer = Scaling(2.0)
    layer.activation = doubled
    assert pickle.loads(pickle.dumps(layer)).activation is doubled
    assert copy.deepcopy(layer).activation is doubled
    assert pickle.loads(pickle.dumps(layer.scaled))(tg.ones(1)).item() == 2.0


def test_static_values_that_are_equal_and_compute_otherwise_are_told_apart():
    first = tg.fused(lambda x, k: x * k[0])
    assert first(tg.tensor([1, 2]), (2,)).dtype == tg.int64
    assert first(tg.tensor([1, 2]), (2.0,)).dtype == tg.float32
    over = tg.fused(lambda x, k: x / k, static="k")
    assert over(tg.ones(1), 0.0).item() == -over(tg.ones(1), -0.0).item() == np.inf


def test_an_output_of_what_wants_no_gradient_has_none():
    x, y = leaf(3), tg.ones(3, dtype=tg.float64)
    both = tg.fused(lambda x, y: (x * 2, y * 2))
    assert [out.requires_grad for out in both(x, y)] == [True, False]
    assert [out.requires_grad for out in both(y, x)] == [False, True]


ELSEWHERE = tg.tensor(2.0)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x * ELSEWHERE, "a tensor that is not among its arguments"),
        (lambda x: tg.where(x > 0, x, ELSEWHERE), "a tensor that is not among its arguments"),
        (lambda x: (x * 1).add_(1), "writes into a tensor"),
        (lambda x: x.mul_(5), "writes into a tensor"),
        (lambda x: x * x.shape[0], "sizes are not known"),
        (lambda x: x / x.numel(), "sizes are not known"),
        (lambda x: x * tg.rand_like(x), "sizes are not known"),
        (lambda x: x * x.item(), "value is not known"),
        (lambda x: x if x > 0 else -x, r"value is not known.*tapegrad\.where"),
        (lambda x: x.sort().values, "not pointwise"),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (1,)])
def test_a_refusal_says_what_it_is_about(function, said, shape):
    with pytest.raises(FusionError, match=said):
        tg.fused(function)(tg.ones(shape))


def test_tensors_come_by_themselves_and_arguments_by_the_signature():
    first = tg.fused(lambda pair: pair[0])
    for given in ((tg.ones(1), tg.ones(1)), [tg.ones(1)], {"x": tg.ones(1)}):
        with pytest.raises(TypeError, match=f"not in a {type(given).__name__}"):
            first(given)
    with pytest.raises(TypeError, match=r"doubled\(x\): too many positional arguments"):
        doubled(tg.ones(1), 2)
