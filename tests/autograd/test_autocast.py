"""Autocast: which dtype is computed in, where it holds, and what reaches the parameters."""

import asyncio
import threading

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.autograd.autocast import without_casts
from tapegrad.nn import functional as F


@pytest.fixture
def x():
    return tg.tensor(np.random.default_rng(0).standard_normal((3, 4)), dtype=tg.float32)


@pytest.fixture
def w():
    values = np.random.default_rng(1).standard_normal((4, 4))
    return tg.tensor(values, dtype=tg.float32, requires_grad=True)


# What is cast


def test_products_take_halves_and_their_gradients_arrive_in_float32(x, w):
    with tg.autocast("cpu"):
        y = x @ w
    y.float().sum().backward()
    assert y.dtype == tg.bfloat16
    assert w.grad.dtype == tg.float32
    expected = x.bfloat16().float().sum(0)[:, None].expand(4, 4)
    assert tg.allclose(w.grad, expected, rtol=1e-2)


def test_a_loss_is_computed_in_float32_as_a_whole(x, w):
    with tg.autocast("cpu"):
        y = x @ w
        loss = F.mse_loss(y, tg.zeros(3, 4, dtype=tg.bfloat16))
    assert loss.dtype == tg.float32
    assert loss.item() == F.mse_loss(y.float(), tg.zeros(3, 4)).item()


def test_the_widest_type_is_taken_where_one_is_needed(x):
    with tg.autocast("cpu"):
        assert tg.cat([x, x.bfloat16()]).dtype == tg.float32
        assert tg.cat([x.bfloat16(), x.bfloat16()]).dtype == tg.bfloat16


def test_what_is_not_listed_computes_with_what_it_is_given(x):
    with tg.autocast("cpu"):
        assert (x + x).dtype == tg.float32
        assert tg.relu(x.bfloat16()).dtype == tg.bfloat16


def test_float64_and_whole_numbers_are_left_alone(x):
    with tg.autocast("cpu"):
        assert (x.double() @ x.double().T).dtype == tg.float64
        assert (x.long() @ x.long().T).dtype == tg.int64


def test_a_dtype_that_is_asked_for_is_what_comes_out(x):
    with tg.autocast("cpu"):
        assert x.bfloat16().prod(dtype=tg.float64).dtype == tg.float64
        assert x.bfloat16().prod().dtype == tg.float32


def test_writing_in_place_is_not_cast(x, w):
    y = x.clone()
    with tg.autocast("cpu"), tg.no_grad():
        y.addmm_(x, w)
    assert y.dtype == tg.float32
    assert tg.equal(y, x + x @ w)


def test_a_fused_function_computes_with_what_it_is_given(x):
    with tg.autocast("cpu"):
        assert tg.fused(lambda x: tg.exp(x) * 2)(x.bfloat16()).dtype == tg.bfloat16


def test_layers_and_attention_take_halves(x):
    attention = nn.MultiheadAttention(4, 2)
    convolution = nn.Conv2d(1, 2, 3)
    with tg.autocast("cpu", dtype=tg.float16):
        y, _ = attention(x[None], x[None], x[None])
        z = convolution(x[None, None])
    assert y.dtype == tg.float16
    assert z.dtype == tg.float16


def test_a_batch_norm_takes_halves_with_parameters_of_float32(x):
    norm = nn.BatchNorm2d(2)
    with tg.autocast("cpu"):
        y = norm(nn.Conv2d(1, 2, 3, padding=1)(x[None, None]))
    y.float().square().sum().backward()
    assert y.dtype == tg.bfloat16
    assert norm.running_mean.dtype == norm.weight.grad.dtype == tg.float32


def test_second_derivatives_go_through_casts(x, w):
    with tg.autocast("cpu"):
        y = F.mse_loss(tg.tanh(x @ w), x)
    (first,) = tg.autograd.grad(y, w, create_graph=True)
    (second,) = tg.autograd.grad(first.square().sum(), w)
    assert second.dtype == tg.float32
    assert bool(second.abs().sum() > 0)


def test_a_numpy_ufunc_is_cast_by_the_same_list(x):
    with tg.autocast("cpu"):
        assert np.matmul(x, x.T).dtype == tg.bfloat16


# Where it holds


def test_outside_of_a_region_nothing_is_cast(x, w):
    assert not tg.is_autocast_enabled("cpu")
    assert (x @ w).dtype == tg.float32


def test_a_region_ends_with_an_exception():
    with pytest.raises(KeyError), tg.autocast("cpu"):
        raise KeyError
    assert not tg.is_autocast_enabled("cpu")


def test_regions_nest_and_one_switches_its_kind_of_device_off(x, w):
    with tg.autocast("cpu"):
        with tg.autocast("cpu", enabled=False):
            assert (x @ w).dtype == tg.float32
        with tg.autocast("cpu", dtype=tg.float16):
            assert (x @ w).dtype == tg.float16
            with tg.autocast("cuda", enabled=False):
                assert (x @ w).dtype == tg.float16
        assert (x @ w).dtype == tg.bfloat16


def test_each_kind_of_device_has_a_dtype_of_its_own(gpu):
    assert tg.get_autocast_dtype("cuda") == tg.float16
    assert tg.get_autocast_dtype("cpu") == tg.bfloat16
    with tg.autocast(device_type="cuda", dtype=tg.bfloat16):
        assert tg.get_autocast_dtype("cuda") == tg.bfloat16
        assert tg.is_autocast_enabled("cuda")
        assert not tg.is_autocast_enabled("cpu")


def test_a_region_of_a_gpu_leaves_tensors_of_the_cpu_alone(gpu, x, w):
    with tg.autocast("cuda"):
        assert (x @ w).dtype == tg.float32


def test_it_decorates_functions_and_generators(x, w):
    @tg.autocast("cpu")
    def product():
        return x @ w

    @tg.autocast("cpu")
    def products():
        yield x @ w
        yield x @ w

    assert product().dtype == tg.bfloat16
    for y in products():
        assert y.dtype == tg.bfloat16
        assert not tg.is_autocast_enabled("cpu")


def test_a_thread_and_a_task_have_regions_of_their_own():
    found = []
    with tg.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append(tg.is_autocast_enabled("cpu")))
        thread.start()
        thread.join()
    assert found == [False]

    async def cast(wait):
        with tg.autocast("cpu"):
            await asyncio.sleep(wait)

    async def look():
        await asyncio.sleep(0.001)
        return tg.is_autocast_enabled("cpu")

    async def both():
        return (await asyncio.gather(cast(0.01), look()))[1]

    assert asyncio.run(both()) is False


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64, tg.int64, int], ids=str)
def test_a_dtype_that_is_no_half_warns_and_leaves_float32(x, w, dtype):
    with pytest.warns(UserWarning, match=r"on a CPU dtype is float16 or bfloat16, not") as caught:
        region = tg.autocast("cpu", dtype=dtype)
    assert [found.filename for found in caught] == [__file__]
    with tg.autocast("cpu"), region:
        assert not tg.is_autocast_enabled("cpu")
        assert (x @ w).dtype == tg.float32
    with tg.autocast("cpu", dtype=dtype, enabled=False):  # of which nothing warns
        assert (x @ w).dtype == tg.float32


def test_wrong_settings_are_refused():
    with pytest.raises(RuntimeError, match="unknown device 'tpu'"):
        tg.autocast("tpu")
    with pytest.raises(ValueError, match="device_type must be"):
        tg.autocast(tg.float16)


def test_only_the_kinds_with_lists_are_available():
    found = {kind: tg.amp.is_autocast_available(kind) for kind in ("cpu", "cuda:1", "mps")}
    assert found == {"cpu": True, "cuda:1": True, "mps": False}
    with pytest.raises(TypeError, match="must be a string, not 3"):
        tg.amp.is_autocast_available(3)


def test_a_region_is_changed_from_within_and_ends_all_the_same(x, w):
    with tg.autocast("cpu"):
        tg.set_autocast_enabled("cpu", False)
        assert (x @ w).dtype == tg.float32
        with tg.autocast("cpu", dtype=tg.float16):
            tg.set_autocast_dtype("cpu", tg.bfloat16)
            assert (x @ w).dtype == tg.bfloat16
        tg.set_autocast_dtype("cpu", tg.float16)
        tg.set_autocast_enabled("cpu", True)
        assert (x @ w).dtype == tg.float16
    assert not tg.is_autocast_enabled("cpu")
    assert tg.get_autocast_dtype("cpu") == tg.bfloat16


def test_what_is_switched_outside_of_a_region_stays(x, w):
    def states():
        tg.set_autocast_enabled("cpu", True)
        with tg.autocast("cpu", enabled=False):
            yield (x @ w).dtype
        yield (x @ w).dtype
        tg.set_autocast_enabled("cpu", False)
        yield (x @ w).dtype

    found = []
    thread = threading.Thread(target=lambda: found.extend(states()))  # a thread has its own
    thread.start()
    thread.join()
    assert found == [tg.float32, tg.bfloat16, tg.float32]


def test_a_listed_function_is_still_itself():
    assert tg.matmul.__name__ == "matmul"
    assert tg.matmul is tg.autograd.operations.products.matmul
    assert tg.Tensor.matmul is tg.matmul
    assert without_casts(tg.add) is tg.add


# The casts of parameters


def casts_of(*results):
    """How many casts to bfloat16 are on the tape of results."""
    tape = tg.Tape.of(sum(result.float().sum() for result in results))
    return sum(str(line).count("cast") for line in str(tape).splitlines() if "bfloat16" in line)


def test_a_parameter_is_cast_once_in_a_region(x, w):
    with tg.autocast("cpu"):
        once = casts_of(x @ w, x @ w)
    with tg.autocast("cpu", cache_enabled=False):
        twice = casts_of(x @ w, x @ w)
    assert twice == once + 1


def test_regions_within_a_region_keep_casts_as_it_does():
    assert tg.is_autocast_cache_enabled()
    with tg.autocast("cpu", cache_enabled=False):
        assert not tg.is_autocast_cache_enabled()
        with tg.autocast("cpu"):
            assert not tg.is_autocast_cache_enabled()
        with tg.autocast("cpu", cache_enabled=True):
            assert tg.is_autocast_cache_enabled()
            tg.set_autocast_enabled("cpu", False)
            assert tg.is_autocast_cache_enabled()


def test_a_parameter_is_cast_again_after_the_cache_was_cleared(x, w):
    with tg.autocast("cpu"):
        once = casts_of(x @ w, x @ w)
    with tg.autocast("cpu"):
        first = x @ w
        tg.clear_autocast_cache()
        assert casts_of(first, x @ w) == once + 1


def test_a_cast_without_recording_is_not_taken_for_a_recorded_one(x, w):
    with tg.autocast("cpu"):
        with tg.no_grad():
            x @ w
        y = x @ w
    y.float().sum().backward()
    assert w.grad is not None


def test_a_parameter_that_was_overwritten_is_cast_again(x, w):
    with tg.autocast("cpu"):
        before = x @ w
        with tg.no_grad():
            w.zero_()
        after = x @ w
    assert bool(before.abs().sum() > 0)
    assert not bool(after.abs().sum() > 0)


def test_two_losses_of_one_region_go_back_through_the_same_cast(x, w):
    with tg.autocast("cpu"):
        first, second = (x @ w).float().sum(), (x @ w).float().sum()
    first.backward()
    once = w.grad.clone()
    second.backward()
    assert tg.equal(w.grad, 2 * once)


def test_a_cast_does_not_outlive_the_region(x, w):
    with tg.autocast("cpu"):
        x @ w
    with tg.no_grad():
        w.fill_(0.0)
    with tg.autocast("cpu"):
        assert not bool((x @ w).any())


# On a GPU


def test_the_list_of_a_gpu_holds_there(gpu):
    x = tg.rand(3, 3, device="cuda")
    with tg.autocast("cuda"):
        y = x @ x
        assert y.dtype == tg.float16
        assert tg.exp(y).dtype == (y**2).dtype == (1 / y).dtype == tg.float32
        assert y.sum().dtype == y.softmax(-1).dtype == tg.float32
        assert tg.cat([y, y]).dtype == (y + y).dtype == tg.float16
        assert tg.addcmul(x, y, y).dtype == tg.float32
        assert F.interpolate(y[None, None], size=2, mode="bilinear").dtype == tg.float32
        assert F.interpolate(y[None, None], size=2, mode="area").dtype == tg.float16


def test_a_gpu_takes_float32_and_casts_halves_up(gpu):
    """As PyTorch, which looks at the dtype of a CPU's region only."""
    x = tg.ones(2, 2, device="cuda", dtype=tg.float16)
    with tg.autocast("cuda", dtype=tg.float32):
        assert tg.is_autocast_enabled("cuda")
        assert (x @ x).dtype == tg.float32
    with pytest.warns(UserWarning, match="on a GPU dtype is float16 or bfloat16, not int64"):
        tg.autocast("cuda", dtype=int)


def test_a_loss_that_is_unsafe_in_halves_is_refused_on_a_gpu(gpu):
    x = tg.rand(3, device="cuda")
    with tg.autocast("cuda"), pytest.raises(RuntimeError, match="with_logits"):
        F.binary_cross_entropy(x, x)
    with tg.autocast("cuda", enabled=False):
        F.binary_cross_entropy(x, x)


# In a Function


class Product(tg.autograd.Function):
    @staticmethod
    @tg.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    @tg.amp.custom_bwd(device_type="cpu")
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        Product.seen = (grad @ w.T).dtype
        return grad @ w.T, x.T @ grad


class InFloat32(Product):
    @staticmethod
    @tg.amp.custom_fwd(device_type="cpu", cast_inputs=tg.float32)
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w


def test_the_backward_of_a_function_is_cast_as_its_forward_was(x, w):
    with tg.autocast("cpu"):
        y = Product.apply(x, w)
    y.float().sum().backward()
    assert y.dtype == Product.seen == tg.bfloat16
    assert w.grad.dtype == tg.float32
    Product.apply(x, w).sum().backward()
    assert Product.seen == tg.float32


def test_inputs_of_a_function_are_cast_where_a_region_holds(x, w):
    assert InFloat32.apply(x.bfloat16(), w.bfloat16()).dtype == tg.bfloat16
    with tg.autocast("cpu"):
        y = InFloat32.apply(x.bfloat16(), w)
    y.sum().backward()
    assert y.dtype == Product.seen == tg.float32
