"""Fixtures that every test may ask for; tests marked `gpu` are skipped where there is none."""

import shutil
import sys

import hardware
import pytest
import standin
from recording import record

from tapegrad.autograd import arrays
from tapegrad.kernels import precision
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.emulator import EmulatedBackend


def pytest_runtest_setup(item):
    # What runs on a GPU is compared with a CPU in float32; tests of TF32 ask for it.
    precision.allow_tf32_convolution(False)
    precision.set_float32_matmul_precision("highest")
    if item.get_closest_marker("gpu") and hardware.missing():
        pytest.skip(hardware.missing())


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for CuPy, so that `device="cuda"` works without a GPU; kernels are emulated."""
    if shutil.which("g++") is None:
        pytest.skip("the emulator of GPU kernels needs g++")
    with use_backend(EmulatedBackend()):
        yield standin.put(lambda name, module: monkeypatch.setitem(sys.modules, name, module))
    arrays.MODULES.pop(standin.FakeArray, None)


@pytest.fixture
def recording(gpu):
    """What a GPU would have been asked to do: `.launches` and `.synchronisations`, in order."""
    with record() as found:
        yield found
