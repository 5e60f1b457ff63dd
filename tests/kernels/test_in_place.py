"""Programs that overwrite their inputs on a CPU, block by block."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import optim
from tapegrad.autograd import foreach
from tapegrad.kernels import blocks, in_place

FLOAT = np.dtype(np.float32)


def chain(a, b, c, *, rate):
    d = (a - b) * rate
    b = b + d
    c = tg.maximum(c * 0.5 + a * a, d)
    return b / (tg.sqrt(c) + 1), c


def without_ufuncs(a, b, *, rate):
    return tg.where(a > b, tg.sigmoid(b), tg.clamp(a, -rate, rate))


def swap(a, b):
    return b, a


FORMULAS = [(chain, 3, {"rate": 0.3}), (without_ufuncs, 2, {"rate": 0.3}), (swap, 2, {})]
EACH = pytest.mark.parametrize(("formula", "count", "numbers"), FORMULAS)


def made(formula, count, numbers):
    """The program of a formula, and its scalars."""
    program = foreach.traced(formula, (FLOAT,) * count, 0, tuple(numbers), ())
    given = tuple(numbers.values())
    return program, [scalar.value(given) for scalar in program.scalars]


def drawn(count, *shape):
    stream = np.random.default_rng(0)
    return [stream.standard_normal(shape).astype(FLOAT) for _ in range(count)]


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 5), (3, 11)])
@pytest.mark.parametrize("block", [8, 1 << 16])
@EACH
def test_the_last_inputs_become_the_outputs(formula, count, numbers, shape, block, monkeypatch):
    monkeypatch.setattr(in_place, "BLOCK", block)
    program, scalars = made(formula, count, numbers)
    arrays = drawn(count, *shape)
    expected = blocks.run(np, program, [array.copy() for array in arrays], scalars)
    kept = [array.copy() for array in arrays[: count - len(expected)]]
    in_place.run(np, program, [arrays], scalars)
    for found, wanted in zip(arrays, [*kept, *expected], strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("block", [8, 1 << 16])
@EACH
def test_views_are_overwritten_where_they_are(formula, count, numbers, block, monkeypatch):
    monkeypatch.setattr(in_place, "BLOCK", block)
    program, scalars = made(formula, count, numbers)
    memory = drawn(count, 6, 8)
    before = [array.copy() for array in memory]
    views = [array[:, ::2].T for array in memory]
    expected = blocks.run(np, program, [view.copy() for view in views], scalars)
    in_place.run(np, program, [views], scalars)
    for view, wanted in zip(views[-len(expected) :], expected, strict=True):
        np.testing.assert_array_equal(view, wanted)
    for array, old in zip(memory, before, strict=True):
        np.testing.assert_array_equal(array[:, 1::2], old[:, 1::2])


def test_a_step_of_adam_needs_one_block_of_memory_beside_its_arrays():
    optimizer = optim.Adam([tg.zeros(1, requires_grad=True)])
    update = optimizer.update(optimizer.param_groups[0], 1)
    options = tuple(update.options.items())
    program = foreach.traced(update.formula, (FLOAT,) * 4, 0, tuple(update.numbers), options)
    plan = in_place._plan(program)
    assert plan.scratch == [FLOAT]
    assert plan.copies == []
