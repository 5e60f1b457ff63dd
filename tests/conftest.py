"""Fixtures that every test may ask for."""

import shutil
import sys

import pytest
import standin
from recording import record

from tapegrad.autograd import arrays
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.emulator import EmulatedBackend


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
