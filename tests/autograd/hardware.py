"""Whether the tests that need a GPU can run here."""

import ctypes
import functools

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
