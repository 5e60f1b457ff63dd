"""A launch on two back ends is compared bit by bit, and leaves what the first computed."""

import ctypes
import shutil

import numpy as np
import pytest
from side_by_side import SharedMemory, SideBySide, same_numbers

from tapegrad.kernels.cuda.launching import Kernel, pointer, use_backend
from tapegrad.kernels.emulator import EmulatedBackend

N = 100
PLACES = Kernel(
    """
    extern "C" __global__ void places(float* x) { x[threadIdx.x] += threadIdx.x; }
    extern "C" __global__ void order(float* x) {
        __shared__ float last;
        last = threadIdx.x;
        __syncthreads();
        x[threadIdx.x] = last;
    }
    """,
    "places",
)
RACE = Kernel(PLACES.text, "order")
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")


def launched(kernel, x, *memory):
    """What a launch on `x` found, in two orders of the threads."""
    waits = []
    backend = SideBySide(
        EmulatedBackend(order=0),
        EmulatedBackend(order=1),
        lambda: [array.view(np.uint8) for array in (x, *memory)],
        lambda: waits.append(1),
    )
    with use_backend(backend):
        run = kernel.prepare((1, 1, 1), (N, 1, 1), varying=(ctypes.c_void_p,))
        run(x.ctypes.data)
    assert len(waits) == 2
    return dict(backend.found)


@needs_compiler
def test_a_kernel_that_agrees_runs_on_each_side_from_the_same_memory():
    x = np.ones(N, np.float32)
    assert launched(PLACES, x) == {"places": [1, 0]}
    assert x.tolist() == [1 + i for i in range(N)]


@needs_compiler
def test_a_kernel_that_differs_is_counted_and_the_first_side_stays():
    x, other = np.zeros(N, np.float32), np.arange(5.0)
    assert launched(RACE, x, other) == {"order": [0, 1]}
    assert set(x.tolist()) == {N - 1}
    assert other.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_only_the_bits_of_a_nan_may_differ(dtype):
    words = np.dtype(f"u{dtype().itemsize}").type

    def raw(array):
        return np.concatenate([array.view(np.uint8), np.array([7], np.uint8)])

    x = np.array([1, np.nan, np.inf, 2], dtype)
    y = x.copy()
    y.view(words)[1] |= words(1)
    assert x.tobytes() != y.tobytes()
    assert same_numbers(raw(x), raw(y))
    y[3] = np.nextafter(y[3], dtype(3))
    assert not same_numbers(raw(x), raw(y))
    assert not same_numbers(np.array([1], np.uint8), np.array([2], np.uint8))


def test_shared_memory_is_full_of_nan_and_known_while_an_array_holds_it():
    cupy = pytest.importorskip("cupy")
    waits = []

    def pinned(size):
        class Buffer(bytearray):
            pass

        buffer = Buffer(size)
        buffer.ptr = np.frombuffer(buffer, np.uint8).ctypes.data
        return buffer

    memory = SharedMemory(cupy, pinned, lambda: waits.append(1))
    with cupy.cuda.using_allocator(memory.allocate):
        x, y = cupy.empty(6, np.float32), cupy.empty(0)
    by_host = (ctypes.c_float * 6).from_address(pointer(x))
    assert np.isnan(np.array(by_host)).all()
    assert sorted(part.nbytes for part in memory.parts()) == [0, 24]
    assert len(waits) == 2
    del x, y
    assert memory.parts() == []
