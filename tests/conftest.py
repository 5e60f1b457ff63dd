"""Fixtures that every test may ask for."""

import sys

import pytest
import standin

from tapegrad.autograd import arrays


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for CuPy, so that `device="cuda"` works without a GPU."""
    yield standin.put(lambda name, module: monkeypatch.setitem(sys.modules, name, module))
    arrays.MODULES.pop(standin.FakeArray, None)
