"""Streams, events, copies and positions out of range, on hardware."""

import time

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim

pytestmark = pytest.mark.gpu

TWO = pytest.mark.skipif(tg.cuda.device_count() < 2, reason="needs two GPUs")


def long_work(size=2048, times=20):
    """A chain of products that takes a GPU some milliseconds."""
    x = tg.full((size, size), 1.0 / size, device="cuda")
    y = x
    for _ in range(times):
        y = y @ x
    return y


@pytest.fixture
def warm():
    long_work(4096, 2)  # of the sizes below, whose kernels and memory are then there
    tg.cuda.synchronize()


def test_the_gpu_is_described():
    found = tg.cuda.get_device_properties(0)
    assert found.total_memory > 2**30
    assert tg.cuda.get_device_capability() >= (8, 0)
    free, total = tg.cuda.mem_get_info()
    assert 0 < free <= total == found.total_memory


def test_the_host_runs_ahead_of_the_gpu(warm):
    start = time.perf_counter()
    y = long_work(4096)
    ahead = time.perf_counter() - start
    tg.cuda.synchronize()
    assert time.perf_counter() - start > 2 * ahead
    np.testing.assert_allclose(y[0, 0].item(), 1 / 4096, rtol=1e-3)


def test_an_event_passes_when_the_work_before_it_is_done(warm):
    long_work(4096)
    event = tg.cuda.current_stream().record_event()
    assert not event.query()
    event.synchronize()
    assert event.query()


def test_time_between_events_is_that_of_the_work(warm):
    start, end = (tg.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    long_work(4096)
    end.record()
    end.synchronize()
    short = tg.cuda.Event(enable_timing=True)
    short.record()
    short.synchronize()
    assert start.elapsed_time(end) > 1.0


def test_a_stream_that_waits_sees_what_another_computed(warm):
    side = tg.cuda.Stream()
    y = long_work(4096)
    side.wait_stream(tg.cuda.current_stream())
    with tg.cuda.stream(side):
        z = y * 2
        z.record_stream(side)
    tg.cuda.current_stream().wait_stream(side)
    np.testing.assert_allclose((z / 2 - y).abs().max().item(), 0)


def test_what_a_side_stream_computes_backward_is_right(warm):
    side = tg.cuda.Stream()
    with tg.cuda.stream(side):
        x = tg.ones(1000, device="cuda", requires_grad=True)
        (x.exp() * 3).sum().backward()
    side.synchronize()
    np.testing.assert_allclose(x.grad.cpu().numpy(), 3 * np.e, rtol=1e-6)


def test_a_stream_of_cupy_is_the_same_stream(warm):
    import cupy

    theirs = cupy.cuda.Stream(non_blocking=True)
    with theirs:
        assert tg.cuda.current_stream().cuda_stream == theirs.ptr
        x = tg.ones(10, device="cuda") * 2
    theirs.synchronize()
    assert x.tolist() == [2.0] * 10


@pytest.mark.parametrize("dtype", [tg.float32, tg.bfloat16, tg.int64, tg.bool], ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (3, 1000, 7)])
def test_copies_there_and_back_change_nothing(dtype, shape):
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    for x in (tg.tensor(values), tg.tensor(values).pin_memory()):
        for there in (x.cuda(), x.cuda(non_blocking=True)):
            back = there.to("cpu", non_blocking=True)
            tg.cuda.synchronize()
            for y in (back, there.cpu()):
                assert y.dtype == dtype
                np.testing.assert_array_equal(y.numpy(), values)


def test_a_strided_tensor_is_copied_in_order():
    x = tg.arange(24.0).reshape(4, 6)
    for view in (x.T, x[::2, ::3], x[:, 1]):
        np.testing.assert_array_equal(view.cuda().cpu().numpy(), view.numpy())
        np.testing.assert_array_equal(
            x.cuda().T.cpu().numpy() if view.shape == x.T.shape else view.numpy(), view.numpy()
        )


def test_a_copy_from_pinned_memory_does_not_hold_up_the_host(warm):
    x = tg.zeros(1 << 26).pin_memory()
    assert x.is_pinned()
    long_work(4096)
    start = time.perf_counter()
    y = x.cuda(non_blocking=True)
    ahead = time.perf_counter() - start
    tg.cuda.synchronize()
    assert time.perf_counter() - start > 2 * ahead
    assert y.sum().item() == 0


def test_pinned_memory_may_be_dropped_while_it_is_copied(warm):
    long_work(4096)
    copies = [tg.full((1 << 20,), float(i)).pin_memory().cuda(non_blocking=True) for i in range(8)]
    assert [y.mean().item() for y in copies] == list(range(8))


@TWO
def test_a_copy_between_gpus_waits_for_what_it_copies(warm):
    x = long_work(4096)
    y = x.to("cuda:1")
    np.testing.assert_array_equal(y.cpu().numpy(), x.cpu().numpy())
    with tg.cuda.device(1):
        assert tg.ones(3, device="cuda").device == "cuda:1"


def test_a_position_out_of_range_is_raised_where_the_host_waits():
    x, places = tg.ones(3, device="cuda"), tg.tensor([1, 7], device="cuda")
    y = tg.gather(x, 0, places)
    with pytest.raises(IndexError, match="gather: index 7 is out of range"):
        tg.cuda.synchronize()
    assert y.shape == (2,)
    assert (x + 1).tolist() == [2.0, 2.0, 2.0]  # and nothing else is harmed


def test_a_model_trains_as_on_a_cpu():
    losses = []
    for device in ("cpu", "cuda"):
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 5))
        x, target = tg.randn(64, 20), tg.randint(5, (64,))
        model, x, target = model.to(device), x.to(device), target.to(device)
        adam = optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(30):
            adam.zero_grad()
            loss = nn.functional.cross_entropy(model(x), target)
            loss.backward()
            adam.step()
        losses.append(loss.item())
    assert losses[0] < 1.0
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
