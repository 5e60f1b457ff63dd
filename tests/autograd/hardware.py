"""Whether the tests that need a GPU can run here, and what memory CuPy gives them there."""

import contextlib
import ctypes
import functools

import side_by_side

from tapegrad.autograd import arrays


@functools.cache
def missing():
    """What a test that needs a GPU lacks here, in a sentence; None if it lacks nothing."""
    try:
        ctypes.CDLL("libcuda.so.1")  # spares the import of CuPy where there is no driver
    except OSError:
        return "needs an NVIDIA GPU, and no driver of one is installed"
    try:
        arrays.cuda_module()
    except RuntimeError as error:
        return str(error)
    return None


@contextlib.contextmanager
def poisoned_memory():
    """New arrays are full of NaN, as the stand-in's are, and not of what lay there before."""
    cupy = arrays.cuda_module()
    pool = cupy.get_default_memory_pool()

    def poisoned(size):
        memory = pool.malloc(size)
        if size:
            memory.memset_async(0xFF, size)
        return memory

    with cupy.cuda.using_allocator(poisoned):
        yield


@contextlib.contextmanager
def shared_memory():
    """New arrays lie where the host and the GPU both read and write them; also full of NaN."""
    cupy = arrays.cuda_module()
    memory = side_by_side.SharedMemory(
        cupy, cupy.cuda.alloc_pinned_memory, cupy.cuda.runtime.deviceSynchronize
    )
    with cupy.cuda.using_allocator(memory.allocate):
        yield memory
