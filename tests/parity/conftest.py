"""Puts `comparing`, which the parity tests share, where they can import it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from comparing import Same


@pytest.fixture(scope="session")
def same() -> Same:
    """`same(call, *args)` and `same.error(call, *args, says=...)`; skips without PyTorch."""
    return Same()
