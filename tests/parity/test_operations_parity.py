"""Every operation of the tables in `tests/operations` next to PyTorch, in calls drawn."""

from __future__ import annotations

import pytest
from comparing import PARITY
from drawing import Draw, found
from hypothesis import given
from hypothesis import strategies as st
from tables import CALLS


@pytest.mark.parametrize("name", CALLS)
@PARITY
@given(source=st.randoms())
def test_values_and_gradients_are_pytorchs(same, name, source):
    drawn = CALLS[name](Draw(source))
    same(
        lambda m, args, kwargs: drawn.of(found(m.module, name)(*args, **kwargs)),
        drawn.args,
        drawn.kwargs,
        order=drawn.order,
    )
