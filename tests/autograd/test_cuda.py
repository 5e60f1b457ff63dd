"""`tapegrad.cuda`: devices, streams, events, copies, and what a stream was told, in order."""

import numpy as np
import pytest
from standin import FakeArray

import tapegrad as tg
from tapegrad.autograd import transfers
from tapegrad.kernels.cuda import checks


def log_of(stream):
    return [entry[0] for entry in stream.cupy_stream.log]


# Devices


def test_a_gpu_is_found_and_counted(gpu):
    assert tg.cuda.is_available()
    assert tg.cuda.why_unavailable() is None
    assert tg.cuda.device_count() == 2
    assert tg.cuda.current_device() == 0
    assert tg.cuda.is_initialized()


def test_cuda_without_a_number_is_the_current_gpu(gpu):
    with tg.cuda.device(1):
        assert tg.zeros(2, device="cuda").device == "cuda:1"
        with tg.cuda.device("cuda:0"):
            assert tg.ones(2).cuda().device == "cuda:0"
        assert tg.cuda.current_device() == 1
    assert tg.cuda.current_device() == 0


def test_the_gpu_is_current_again_after_an_error(gpu):
    with pytest.raises(ZeroDivisionError), tg.cuda.device(1):
        raise ZeroDivisionError
    assert tg.cuda.current_device() == 0


def test_set_device_stays(gpu):
    tg.cuda.set_device(1)
    assert tg.zeros(2, device="cuda").device == "cuda:1"
    tg.cuda.set_device(-1)  # as in PyTorch, that changes nothing
    assert tg.cuda.current_device() == 1
    tg.cuda.set_device("cuda:0")
    assert tg.cuda.current_device() == 0


@pytest.mark.parametrize("use", [tg.cuda.set_device, lambda n: tg.cuda.device(n).__enter__()])
def test_a_gpu_that_is_not_there_cannot_be_current(gpu, use):
    with pytest.raises(RuntimeError, match=r"unknown device 'cuda:2': there are 2 GPUs"):
        use(2)


def test_the_gpu_of_a_tensor_is_current_inside_device_of(gpu):
    with tg.cuda.device_of(tg.zeros(2, device="cuda:1")):
        assert tg.cuda.current_device() == 1
    with tg.cuda.device_of(tg.zeros(2)):
        assert tg.cuda.current_device() == 0


def test_a_gpu_is_described(gpu):
    found = tg.cuda.get_device_properties(1)
    assert (found.name, found.total_memory) == ("Stand-in 1", 8 * 2**30)
    assert (found.multi_processor_count, found.warp_size) == (132, 32)
    assert tg.cuda.get_device_name() == "Stand-in 0"
    assert tg.cuda.get_device_capability("cuda:1") == (9, 0)
    assert tg.cuda.is_bf16_supported(including_emulation=False)
    assert tg.cuda.can_device_access_peer(0, 1)
    assert not tg.cuda.can_device_access_peer(0, 0)


@pytest.mark.parametrize("given", ["cpu", 1.0, True])
def test_what_is_no_gpu_is_refused(gpu, given):
    with pytest.raises((RuntimeError, TypeError), match="expected a GPU"):
        tg.cuda.get_device_name(given)


WRITES = {
    "fill_": lambda x: x.fill_(2),
    "add_": lambda x: x.add_(1),
    "copy_": lambda x: x.copy_(tg.full((3,), 2.0)),
    "+=": lambda x: x.__iadd__(1),
    "index": lambda x: x.__setitem__(tg.tensor([0, 1, 2], device="cuda:1"), 2),
    "slice": lambda x: x.__setitem__(slice(None), 2.0),
    "mask": lambda x: x.__setitem__(x == 1, 2.0),
}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_to_need_not_be_on_the_current_gpu(gpu, name):
    x = tg.ones(3, device="cuda:1")
    WRITES[name](x)
    assert x.device == "cuda:1"
    assert x.tolist() == [2.0, 2.0, 2.0]


def test_values_of_another_device_are_not_written(gpu):
    x = tg.ones(3, device="cuda:1")
    with pytest.raises(RuntimeError, match=r"x\[\.\.\.\] = value: .*on cuda:1.*on cpu"):
        x[0] = tg.ones(1)


# Copies


@pytest.mark.parametrize(
    "go",
    [
        lambda x: x.to("cuda:1"),
        lambda x: x.to(1),
        lambda x: x.to(device="cuda:1"),
        lambda x: x.to(tg.device("cuda", 1)),
        lambda x: x.to(tg.zeros(1, device="cuda:1")),
        lambda x: x.to("cuda:1", tg.float32, True, False),
        lambda x: x.cuda(1),
        lambda x: x.cuda("cuda:1", non_blocking=True),
    ],
)
def test_a_tensor_goes_to_a_gpu_by_name_number_or_example(gpu, go):
    x = tg.tensor([1.0, 2.0])
    y = go(x)
    assert isinstance(y.data, FakeArray)
    assert y.device == "cuda:1"
    assert y.get_device() == 1
    assert y.cpu().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("shape", [(), (1,), (2, 0), (3, 2)], ids=str)
def test_a_copy_between_gpus_has_the_same_shape(gpu, shape):
    there = tg.ones(shape, device="cuda:0").to("cuda:1")
    assert there.device == "cuda:1"
    assert there.shape == shape
    assert there.tolist() == np.ones(shape).tolist()


def test_a_copy_on_the_same_gpu_is_the_tensor_itself(gpu):
    x = tg.ones(2, device="cuda:1")
    assert x.to("cuda:1") is x
    assert x.cuda(1) is x
    assert x.to("cuda:1", copy=True) is not x


def test_a_tensor_is_converted_on_the_gpu_whichever_way_it_goes(recording):
    x = tg.ones(3).to("cuda", tg.float64)
    assert (x.dtype, x.device) == (tg.float64, "cuda:0")
    assert recording.launches[-1] == "fused_cast"
    assert x.to("cpu", tg.float16).dtype == tg.float16
    assert recording.launches.count("fused_cast") == 2


def test_pinned_memory_is_known(gpu):
    x = tg.tensor([1.0, 2.0])
    pinned = x.pin_memory()
    assert not x.is_pinned()
    assert pinned.is_pinned()
    assert pinned.pin_memory() is pinned
    assert pinned.tolist() == [1.0, 2.0]
    assert not pinned.cuda().is_pinned()
    with pytest.raises(RuntimeError, match="only memory of the host is pinned, not cuda:0"):
        x.cuda().pin_memory()


def test_a_gradient_passes_through_pinned_memory(gpu):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x.pin_memory().cuda(non_blocking=True) * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert x.grad.device == "cpu"


def test_a_copy_to_the_host_waits(recording):
    x = tg.ones(2, device="cuda")
    recording.clear()
    assert x.cpu().tolist() == [1.0, 1.0]
    assert recording.synchronisations == ["get"]


def test_a_copy_to_the_host_without_waiting_is_there_after_synchronize(recording):
    x = tg.full((2,), 7.0, device="cuda")
    recording.clear()
    y = x.to("cpu", non_blocking=True)
    assert y.is_pinned()
    assert recording.synchronisations == []
    assert y.tolist() != [7.0, 7.0]  # not yet, on hardware as slow as the stand-in
    tg.cuda.current_stream().synchronize()
    assert y.tolist() == [7.0, 7.0]


def test_what_a_copy_reads_and_writes_lives_until_it_has_passed(gpu):
    transfers._in_flight.clear()
    x = tg.full((2,), 7.0, device="cuda")
    y = x.to("cpu", non_blocking=True)
    assert len(transfers._in_flight) == 1
    kept = transfers._in_flight[0][1]
    assert kept[0] is x.data
    assert np.shares_memory(kept[1], y.numpy())
    tg.cuda.synchronize()
    tg.ones(2).pin_memory().cuda(non_blocking=True)
    assert all(values[0] is not x.data for _, values in transfers._in_flight)


def test_a_copy_from_pinned_memory_waits_unless_it_is_told_not_to(recording):
    x = tg.ones(2).pin_memory()
    recording.clear()
    x.cuda(non_blocking=True)
    assert recording.synchronisations == []
    x.cuda()
    assert recording.synchronisations == ["stream"]


def test_a_copy_between_gpus_is_in_order_with_both_streams(gpu):
    x = tg.ones(2, device="cuda:0")
    sending, receiving = tg.cuda.current_stream(0), tg.cuda.Stream(1)
    sending.cupy_stream.log.clear()
    with tg.cuda.stream(receiving):
        y = x.to("cuda:1")
    assert y.tolist() == [1.0, 1.0]
    assert log_of(receiving)[:2] == ["wait", "record"]
    assert log_of(sending) == ["record", "wait"]
    assert sending.cupy_stream.log[0][1] is receiving.cupy_stream.log[0][1]


# Streams and events


def test_a_stream_is_current_inside_its_context(gpu):
    first = tg.cuda.current_stream()
    side, other = tg.cuda.Stream(), tg.cuda.Stream(1)
    with tg.cuda.stream(side):
        assert tg.cuda.current_stream() == side
        with other:
            assert tg.cuda.current_stream() == other
            assert tg.cuda.current_device() == 1
            assert tg.zeros(1, device="cuda").device == "cuda:1"
        assert tg.cuda.current_stream() == side
        assert tg.cuda.current_device() == 0
    assert tg.cuda.current_stream() == first == tg.cuda.default_stream()
    with tg.cuda.stream(None):
        assert tg.cuda.current_stream() == first


def test_a_stream_can_be_entered_twice(gpu):
    side = tg.cuda.Stream()
    with side, side:
        pass
    assert tg.cuda.current_stream() == tg.cuda.default_stream()


def test_set_stream_stays(gpu):
    side = tg.cuda.Stream()
    tg.cuda.set_stream(side)
    assert tg.cuda.current_stream() == side
    tg.cuda.set_stream(tg.cuda.default_stream())


def test_a_new_stream_does_not_wait_for_the_default_one(gpu):
    assert tg.cuda.Stream().cupy_stream.is_non_blocking
    assert tg.cuda.Stream(priority=-1).priority == -1


def test_a_stream_waits_for_another_by_an_event(recording):
    one, two = tg.cuda.Stream(), tg.cuda.Stream()
    two.wait_stream(one)
    assert log_of(one) == ["record"]
    assert log_of(two) == ["wait"]
    assert one.cupy_stream.log[0][1] is two.cupy_stream.log[0][1]
    assert recording.synchronisations == []


def test_an_event_is_recorded_in_the_current_stream(gpu):
    side = tg.cuda.Stream()
    event = tg.cuda.Event()
    assert event.query()
    with tg.cuda.stream(side):
        event.record()
    event.wait()
    assert log_of(side) == ["record"]
    assert tg.cuda.current_stream().cupy_stream.log[-1] == ("wait", event._event)


def test_work_that_is_left_is_asked_about_and_waited_for(gpu):
    x = tg.full((2,), 3.0, device="cuda")
    stream = tg.cuda.current_stream()
    y = x.to("cpu", non_blocking=True)
    event = stream.record_event()
    assert not event.query()
    assert not stream.query()
    event.synchronize()
    assert event.query()
    assert y.tolist() == [3.0, 3.0]


def test_time_is_taken_between_two_events_that_were_made_for_it(gpu):
    start, end = (tg.cuda.Event(enable_timing=True) for _ in range(2))
    with pytest.raises(RuntimeError, match="must be recorded first"):
        start.elapsed_time(end)
    start.record()
    end.record()
    assert start.elapsed_time(end) == 1.5
    with pytest.raises(RuntimeError, match="enable_timing=True"):
        start.elapsed_time(tg.cuda.Event())


def test_the_stream_of_another_library_can_be_current(gpu):
    theirs = tg.cuda.ExternalStream(1234, device=1)
    assert (theirs.cuda_stream, theirs.ptr, theirs.device) == (1234, 1234, "cuda:1")
    assert theirs.__cuda_stream__() == (0, 1234)
    with tg.cuda.stream(theirs):
        assert tg.cuda.current_stream() == theirs


def test_streams_are_equal_by_handle_and_device(gpu):
    one, two = tg.cuda.Stream(), tg.cuda.Stream()
    assert one == one
    assert one != two
    assert tg.cuda.default_stream(0) != tg.cuda.default_stream(1)
    assert len({one, two, one}) == 2


# Index errors, which a kernel finds


READS = {
    "gather": lambda x, i: tg.gather(x, 0, i),
    "index": lambda x, i: x[i],
    "index_select": lambda x, i: tg.index_select(x, 0, i),
    "take": lambda x, i: tg.take(x, i),
    "scatter_add": lambda x, i: tg.scatter_add(x, 0, i, tg.ones_like(x)[:1]),
    "embedding": lambda x, i: tg.nn.functional.embedding(i, x.unsqueeze(1)),
}


@pytest.mark.parametrize("name", READS)
def test_a_position_out_of_range_is_raised_at_the_next_wait(recording, name):
    x, places = tg.ones(3, device="cuda"), tg.tensor([3], device="cuda")
    recording.clear()
    y = READS[name](x, places)
    assert recording.synchronisations == []
    with pytest.raises(IndexError, match=rf"{name}: .*3"):
        y.cpu()
    checks.raise_pending()


def test_a_position_in_nothing_is_raised_at_once(gpu):
    nothing, places = tg.ones(0, device="cuda"), tg.tensor([0], device="cuda")
    with pytest.raises(IndexError, match=r"index_select: index 0 .*there are none"):
        tg.index_select(nothing, 0, places)
