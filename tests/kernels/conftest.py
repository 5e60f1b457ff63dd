"""Running kernels without a GPU, in the emulator; and on one as well where there is one."""

import hardware
import pytest

from tapegrad.autograd import arrays
from tapegrad.kernels.cuda.launching import CupyBackend, use_backend
from tapegrad.kernels.emulator import EmulatedBackend

# A kernel whose result hangs on an order of threads that hardware does not promise gives itself
# away in one of these.
ORDERS = [
    pytest.param(0, id="ascending"),
    pytest.param(1, id="descending"),
    pytest.param(7, id="shuffled"),
]
HARDWARE = pytest.param("hardware", id="hardware", marks=pytest.mark.gpu)


@pytest.fixture(params=ORDERS if hardware.missing() else [*ORDERS, HARDWARE])
def emulated(request):
    """The stand-in for CuPy, whose kernels run in the emulator; in three orders of the threads.

    Its `empty` is full of NaN, as shared memory is. These tests make up the kernel suite, which
    `pytest -m sanitize` runs again under the sanitizers. Where there is a GPU, it is CuPy and the
    GPU in a fourth run.
    """
    if request.param == "hardware":
        with use_backend(CupyBackend()):
            yield arrays.cuda_module()
    else:
        gpu = request.getfixturevalue("gpu")
        with use_backend(EmulatedBackend(order=request.param)):
            yield gpu
