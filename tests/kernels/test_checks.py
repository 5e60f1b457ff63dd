"""What a kernel finds wrong is raised where the host waits next: once, with the right words."""

import ctypes
import threading

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.autograd.errors import PositionError
from tapegrad.kernels.cuda import checks, ranges
from tapegrad.kernels.cuda.compiling import expand
from tapegrad.kernels.cuda.launching import Kernel, pointer, use_backend
from tapegrad.kernels.emulator import EmulatedBackend

TEXT = """
#include "checks.cuh"
extern "C" __global__ void look(const int* places, int n, int length, IndexReport* report,
                                int message) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && (places[i] < 0 || places[i] >= length)) report_index(report, message, places[i]);
}
"""
SIZES = [1, 31, 256, 1000]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


@pytest.fixture(autouse=True)
def nothing_is_left_over():
    yield
    checks.raise_pending()


@pytest.fixture
def look(emulated):
    def launch(places, length, message="look: index {value} is out of range", *error):
        places = emulated.asarray(np.array(places, np.int32))
        kernel = Kernel(expand(TEXT, "look.cu"), "look")
        types = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
        run = kernel.prepare((3, 1, 1), (32, 1, 1), varying=types)
        run(pointer(places), places.size, length, *checks.watch(message, *error))

    return launch


def test_nothing_is_raised_where_all_is_in_range(look):
    look(range(90), 90)
    checks.raise_pending()


def test_an_index_out_of_range_is_raised_by_value(look):
    look([0, 4, 9, 3], 5)
    with pytest.raises(IndexError, match=r"^look: index 9 is out of range$"):
        checks.raise_pending()


def test_what_was_raised_is_over(look):
    look([7], 5)
    with pytest.raises(IndexError):
        checks.raise_pending()
    checks.raise_pending()
    look([6], 5)
    with pytest.raises(IndexError, match="index 6"):
        checks.raise_pending()


def test_of_many_offenders_one_is_reported(look):
    look(range(100, 190), 5)
    with pytest.raises(IndexError) as caught:
        checks.raise_pending()
    assert 100 <= int(str(caught.value).split()[2]) < 190


def test_the_first_kernel_that_finds_something_is_the_one_that_is_named(look):
    look([9], 5, "first: {value}")
    look([8], 5, "second: {value}")
    with pytest.raises(IndexError, match=r"^first: 9$"):
        checks.raise_pending()


def test_an_error_of_another_kind_can_be_asked_for(look):
    look([-2], 5, "value {value} is negative", ValueError)
    with pytest.raises(ValueError, match=r"^value -2 is negative$"):
        checks.raise_pending()


def test_a_message_is_kept_once(emulated):
    address, number = checks.watch("kept: {value}")
    assert checks.watch("kept: {value}") == (address, number)
    assert checks.watch("kept: {value}", ValueError) == (address, number + 1)


def test_each_kind_of_back_end_has_a_report_of_its_own(emulated):
    class Other(EmulatedBackend):
        pass

    address, _ = checks.watch("apart: {value}")
    with use_backend(Other()):
        assert checks.watch("apart: {value}")[0] != address


def test_threads_may_watch_and_ask_at_once(emulated):
    failures = []

    def work():
        try:
            for i in range(200):
                checks.watch(f"message {i}: {{value}}")
                checks.raise_pending()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# Positions and intervals


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("size", SIZES)
def test_positions_are_counted_from_the_start(emulated, size, dtype):
    given = (np.arange(size) % 7).astype(dtype)
    if given.dtype.kind == "i":
        given[::3] -= 7
    found = ranges.positions(emulated, emulated.asarray(given), 7, "no", IndexError, True)
    checks.raise_pending()
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found.get(), np.arange(size) % 7)


@pytest.mark.parametrize("wrong", [7, 100, -1, -8])
def test_a_wrong_position_is_reported_and_replaced(emulated, wrong):
    given = np.array([3, wrong, 5])
    found = ranges.positions(emulated, emulated.asarray(given), 7, "got {value}", PositionError)
    np.testing.assert_array_equal(found.get(), [3, 0, 5])
    with pytest.raises(PositionError, match=f"got {wrong}"):
        checks.raise_pending()


@pytest.mark.parametrize("wrong", [7, -8])
def test_positions_from_the_end_go_to_the_first(emulated, wrong):
    given = emulated.asarray(np.array([-7, wrong, -1]))
    found = ranges.positions(emulated, given, 7, "got {value}", IndexError, True)
    np.testing.assert_array_equal(found.get(), [0, 0, 6])
    with pytest.raises(IndexError, match=f"got {wrong}"):
        checks.raise_pending()


def test_a_position_beyond_int64_is_wrong(emulated):
    given = emulated.asarray(np.array([2**63 + 5], np.uint64))
    ranges.positions(emulated, given, 7, "got {value}", IndexError, True)
    with pytest.raises(IndexError):
        checks.raise_pending()


def test_positions_with_steps_between_them_and_of_no_elements(emulated):
    strided = emulated.asarray(np.arange(24).reshape(4, 6))[::2, ::3]
    found = ranges.positions(emulated, strided, 24, "no", IndexError)
    np.testing.assert_array_equal(found.get(), [[0, 3], [12, 15]])
    nothing = emulated.asarray(np.zeros((0, 3), np.int64))
    assert ranges.positions(emulated, nothing, 1, "no", IndexError).shape == (0, 3)


@pytest.mark.parametrize("dtype", [np.float16, bfloat16, np.float32, np.float64, np.int16])
@pytest.mark.parametrize("size", SIZES)
def test_numbers_within_their_bounds_are_right(emulated, size, dtype):
    given = (np.arange(size) % 2).astype(dtype)
    ranges.within(emulated, emulated.asarray(given), 0, 1, "no", ValueError)
    checks.raise_pending()


@pytest.mark.parametrize("wrong", [-0.5, 1.5, np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float16, bfloat16, np.float32, np.float64])
def test_a_number_out_of_bounds_is_reported_by_its_place(emulated, wrong, dtype):
    given = np.full((30, 10), 0.5, dtype)
    given[7, 3] = wrong
    ranges.within(emulated, emulated.asarray(given), 0, 1, "element {value}", ValueError)
    with pytest.raises(ValueError, match=r"element 73$"):
        checks.raise_pending()


# Where the host waits


WAITS = {
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "bool": lambda x: bool(x.any()),
    "int": lambda x: int(x.sum()),
    "float": lambda x: float(x.sum()),
    "index": lambda x: list(range(x.sum())),
    "repr": repr,
    "format": lambda x: f"{x.sum():d}",
    "contains": lambda x: 3 in x,
    "synchronize": lambda x: tg.cuda.synchronize(),
    "stream": lambda x: tg.cuda.current_stream().synchronize(),
    "event": lambda x: tg.cuda.current_stream().record_event().synchronize(),
}


@pytest.mark.parametrize("name", WAITS)
def test_waiting_for_the_gpu_raises_what_a_kernel_found(look, name):
    x = tg.ones(3, dtype=tg.int64, device="cuda")
    look([9], 5)
    with pytest.raises(IndexError, match="look: index 9"):
        WAITS[name](x)
    WAITS[name](x)


def test_a_copy_that_is_not_waited_for_raises_nothing(look):
    x = tg.ones(3, device="cuda")
    look([9], 5)
    x.to("cpu", non_blocking=True)
    with pytest.raises(IndexError):
        tg.cuda.synchronize()
