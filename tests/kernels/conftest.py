"""Running kernels without a GPU, in the emulator; and on one as well where there is one."""

import os

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
ON_HARDWARE = not hardware.missing() and "TAPEGRAD_SANITIZER" not in os.environ


@pytest.fixture(params=[*ORDERS, HARDWARE] if ON_HARDWARE else ORDERS)
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


def pytest_addoption(parser):
    parser.addoption(
        "--one-of-each",
        action="store_true",
        help="of the tests that run kernels, each function once, not with all its parameters",
    )


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the marks
def pytest_collection_modifyitems(items, config):
    chosen, left, seen = [], [], set()
    for item in items:
        runs_kernels = "emulated" in getattr(item, "fixturenames", ())
        if runs_kernels:
            item.add_marker("emulated")
        if runs_kernels and config.getoption("--one-of-each", default=False):
            claim = (item.path, item.originalname)
            (left if claim in seen else chosen).append(item)
            seen.add(claim)
        else:
            chosen.append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = chosen
