"""Running kernels without a GPU, in the emulator."""

import pytest

from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.emulator import EmulatedBackend

# A kernel whose result hangs on an order of threads that hardware does not promise gives itself
# away in one of these.
ORDERS = {"ascending": 0, "descending": 1, "shuffled": 7}


@pytest.fixture(params=ORDERS.values(), ids=ORDERS)
def emulated(request, gpu):
    """The stand-in for CuPy, whose kernels run in the emulator; in three orders of the threads.

    Its `empty` is full of NaN, as shared memory is. These tests make up the kernel suite, which
    `pytest -m sanitize` runs again under the sanitizers.
    """
    with use_backend(EmulatedBackend(order=request.param)):
        yield gpu
