"""Half types are computed with in float32."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.arrays import HALVES, float32
from tapegrad.autograd.engine import cast


def widened(x: Any) -> Any:
    """A variable or an array in the dtype to accumulate in; None stays."""
    return cast(x, dtype=float32) if x is not None and x.dtype in HALVES else x
