"""Fixtures that every test may ask for."""

import pytest
import standin

from tapegrad.autograd import arrays


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for CuPy, so that `device="cuda"` works without a GPU."""
    yield standin.install(monkeypatch)
    arrays.MODULES.pop(standin.FakeArray, None)
