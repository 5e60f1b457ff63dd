"""Memory of a GPU: how much is in use, and what happens when it runs out."""

import numpy as np
import pytest
from standin_cuda import GIBIBYTE

import tapegrad as tg
from tapegrad.autograd import out_of_memory


@pytest.fixture
def pool(gpu):
    return gpu.get_default_memory_pool()


def test_memory_is_what_the_pool_says(pool):
    assert tg.cuda.memory_allocated() == 5 * GIBIBYTE
    assert tg.cuda.memory_reserved("cuda:1") == 6 * GIBIBYTE
    assert tg.cuda.mem_get_info() == (6 * GIBIBYTE, 8 * GIBIBYTE)


def test_emptying_the_cache_gives_back_what_no_array_holds(pool):
    tg.cuda.empty_cache()
    assert pool.freed == 2  # once on each GPU
    assert tg.cuda.memory_reserved() == tg.cuda.memory_allocated()


def test_a_process_may_be_held_to_a_fraction(pool):
    tg.cuda.set_per_process_memory_fraction(0.5)
    assert pool.get_limit() == 4 * GIBIBYTE
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5"):
        tg.cuda.set_per_process_memory_fraction(1.5)


def test_the_peak_must_be_watched_for_first(pool):
    with pytest.raises(RuntimeError, match=r"allocated: .* call tapegrad\.cuda\.reset_peak_memory"):
        tg.cuda.max_memory_allocated(1)
    with pytest.raises(RuntimeError, match=r"reserved: .* call tapegrad\.cuda\.reset_peak_memory"):
        tg.cuda.max_memory_reserved(1)


def test_a_summary_names_the_gates_that_save_most(pool):
    x = tg.ones(1 << 10, device="cuda", requires_grad=True)
    y = x.exp().sum()  # exp saves its output
    text = tg.cuda.memory_summary()
    assert text.startswith("memory of cuda:0")
    assert "allocated      5.00 GiB" in text
    assert "exp 4.00 KiB in 1 value, the largest float32[1024]" in text
    del y
    assert "nothing is saved for backward" in tg.cuda.memory_summary()


# Out of memory

STEPS = {
    "one gate": lambda x: x.exp(),
    "a reduction": lambda x: x.sum(),
    "a product": lambda x: x @ x.T,
    "several gates": lambda x: (x * 2).softmax(1).log(),
    "a copy to the device": lambda x: tg.ones(2, 3).to(x.device) + x,
}


@pytest.mark.parametrize("name", STEPS)
def test_memory_that_the_pool_kept_is_given_back_and_the_gate_runs_again(pool, name):
    x = tg.tensor(np.arange(6.0).reshape(2, 3), device="cuda")
    expected = STEPS[name](x).tolist()
    pool.failing, pool.freed = 1, 0
    assert STEPS[name](x).tolist() == expected
    assert pool.freed == 1


def test_a_backward_runs_again_as_well(pool):
    x = tg.ones(4, device="cuda", requires_grad=True)
    y = (x.exp() * 2).sum()
    grad = tg.tensor(1.0, device="cuda")
    pool.failing, pool.freed = 1, 0
    y.backward(grad)
    assert pool.freed == 1
    np.testing.assert_allclose(x.grad.tolist(), 2 * np.e, rtol=1e-6)


def test_memory_that_stays_out_is_an_error_with_what_was_saved_by_gate(pool):
    x = tg.ones(1 << 10, device="cuda", requires_grad=True)
    kept = [x.exp(), x.exp(), (x * 3).tanh()]
    pool.failing = 2
    with pytest.raises(tg.cuda.OutOfMemoryError) as caught:
        kept[0] * 2
    text = str(caught.value)
    assert text.startswith(
        "out of memory on cuda:0 in gate 'mul': asked for 4.00 KiB; 5.00 GiB are"
    )
    assert "6.00 GiB of 8.00 GiB are free" in text
    first, second = text.index("exp 8.00 KiB in 2 values"), text.index("tanh 4.00 KiB in 1 value")
    assert first < second
    assert "smaller batches" in text
    assert "\n" not in text


def test_a_limit_is_named_in_the_error(pool):
    tg.cuda.set_per_process_memory_fraction(0.25)
    x = tg.ones(3, device="cuda")
    pool.failing = 2
    with pytest.raises(tg.cuda.OutOfMemoryError, match=r"limited to 2\.00 GiB"):
        x.exp()


def test_a_backward_that_finds_no_memory_names_its_gate(pool):
    x = tg.ones(4, device="cuda", requires_grad=True)
    y = x.exp()
    grad = tg.ones(4, device="cuda")
    pool.failing = 2
    with pytest.raises(tg.cuda.OutOfMemoryError, match="in the backward of gate 'exp'"):
        y.backward(grad)


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError])
def test_the_error_is_of_the_kinds_that_others_raise(pool, kind):
    x = tg.ones(3, device="cuda")
    pool.failing = 2
    with pytest.raises(kind, match="out of memory"):
        x.exp()


@pytest.mark.parametrize(
    "make",
    [
        lambda: tg.zeros(4, device="cuda"),
        lambda: tg.tensor([1.0, 2.0], device="cuda"),
        lambda: tg.rand(3, device="cuda"),
        lambda: tg.ones(3, device="cuda:1"),
        lambda: tg.arange(5, device="cuda"),
    ],
)
def test_a_tensor_that_finds_no_memory_says_so_too(pool, make):
    pool.failing = 2
    with pytest.raises(tg.cuda.OutOfMemoryError, match=r"out of memory on cuda:[01]"):
        make()


def test_the_cpus_own_error_is_left_alone(gpu):
    with pytest.raises(MemoryError) as caught:
        tg.ones(1).expand(1 << 50) + 1
    assert not isinstance(caught.value, tg.cuda.OutOfMemoryError)


CONTEXTS = {
    "a device": lambda: tg.cuda.device(0),
    "a stream": lambda: tg.cuda.stream(tg.cuda.Stream()),
}


@pytest.mark.parametrize("context", CONTEXTS)
def test_what_runs_out_in_code_of_others_is_theirs_to_name(gpu, context):
    error = MemoryError("of the host")
    with pytest.raises(MemoryError) as raised, CONTEXTS[context]():
        raise error
    assert raised.value is error


def test_what_is_saved_twice_counts_once_and_leaves_do_not_count(gpu):
    x = tg.ones(256, device="cuda", requires_grad=True)
    y = x.exp()
    z = y * y  # saves y, which exp saved
    (row,) = [row for row in out_of_memory.saved_by_gate(0) if row.gate in ("exp", "mul")]
    assert (row.gate, row.size, row.count) == ("exp", 1024, 1)
    assert out_of_memory.saved_by_gate(1) == []
    del z
