"""Numbers that a dtype cannot hold, next to PyTorch: both refuse them, or both make the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from number_calls import BOUNDS, FILLS, OTHERS, WRITES

import tapegrad as tg

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:An output with one or more elements:UserWarning")

CALLS = FILLS | BOUNDS | WRITES | OTHERS
FLOATS = {
    "float16": (1e9, -1e9, 10**9, 65504.0, 65510.0, -65520.0, 6e4),
    "bfloat16": (1e39, -1e39, 3.3895e38, 3.4e38, 3e38),
    "float32": (1e300, -1e300, 3.4e38, 3.5e38),
}


def outcome(m, call, values, dtype, number):
    """What a call gives, as lists; "refused" where it raises."""
    x = m.tensor(values, dtype=getattr(m, dtype))
    try:
        found = call(m, x, number)
    except (RuntimeError, OverflowError):
        return "refused"
    return str(found.dtype).removeprefix("torch."), found.tolist()


def agree(name, values, dtype, number):
    ours = outcome(tg, CALLS[name], values, dtype, number)
    theirs = outcome(torch, CALLS[name], values, dtype, number)
    if "refused" in (ours, theirs):
        assert ours == theirs
        return
    assert ours[0] == theirs[0]
    np.testing.assert_allclose(ours[1], theirs[1], rtol=4e-3, equal_nan=True)


@pytest.mark.parametrize(
    ("dtype", "number"), [(dtype, number) for dtype in FLOATS for number in FLOATS[dtype]]
)
@pytest.mark.parametrize("name", CALLS)
def test_floats_are_refused_where_pytorch_refuses_them(name, dtype, number):
    agree(name, [-1.0, 0.5, 2.0], dtype, number)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", FILLS | WRITES)
def test_infinities_and_nan_are_written(name, dtype, number):
    agree(name, [-1.0, 0.5, 2.0], dtype, number)


@pytest.mark.parametrize("number", [300, -129, 127, 300.0, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", FILLS | WRITES)
def test_whole_numbers_are_refused_where_pytorch_refuses_them(name, number):
    agree(name, [-1, 0, 2], "int8", number)
