"""Where the time and the memory of a tape go."""

import re

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import autograd, nn


@pytest.fixture
def tape():
    x = tg.tensor(np.linspace(-1, 1, 10_000), dtype=tg.float32, requires_grad=True)
    with tg.Tape() as tape:
        loss = ((x.exp() + x) * x.exp()).sum()
    yield tape
    del x, loss


def loss_of(tape):
    return autograd.engine.wrap(tape[-1].value, tape[-1].node)


def test_there_is_a_row_per_gate_with_its_calls(tape):
    assert {row.gate: row.calls for row in tape.profile()} == {
        "exp": 2,
        "add": 1,
        "mul": 1,
        "sum": 1,
    }


def test_there_can_be_a_row_per_step(tape):
    profile = tape.profile(by="step")
    assert sorted((row.step, row.gate) for row in profile) == [(s.number, s.gate) for s in tape]
    assert len(profile) == len(tape)


def test_every_gate_takes_time_both_ways(tape):
    for row in tape.profile():
        assert row.forward > 0
        assert row.backward > 0
        assert row.total == row.forward + row.backward


def test_shares_and_totals_add_up(tape):
    profile = tape.profile()
    assert sum(row.share for row in profile) == pytest.approx(1)
    assert profile.total.share == pytest.approx(1)
    assert profile.total.calls == 5
    assert profile.total.forward == pytest.approx(sum(row.forward for row in profile))
    assert profile.total.output_bytes == 4 * 40_000 + 4


def test_bytes_kept_are_those_of_the_tape_before_and_after_backward(tape):
    kept = tape.bytes_kept
    assert tape.profile().total.kept_bytes == kept == 120_000
    loss_of(tape).backward()
    assert tape.bytes_kept == 0
    assert tape.profile().total.kept_bytes == kept


def test_bytes_of_a_consumed_history_are_counted_from_its_shapes():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    points = tg.randn(32, 8)
    loss = model(points).exp().mean()
    tape = tg.Tape.of(loss)
    kept = tape.bytes_kept
    assert tape.profile().total.kept_bytes == kept
    loss.backward()
    consumed = tape.profile()
    assert consumed.total.kept_bytes == kept
    assert len(consumed) == len({step.gate for step in tape})


@pytest.mark.parametrize("sort", ["total", "forward", "backward", "bytes", "calls"])
def test_rows_are_sorted_by_what_is_asked_for(tape, sort):
    def size(row):
        if sort == "bytes":
            return row.output_bytes + row.kept_bytes
        return getattr(row, sort)

    for profile in (tape.profile(sort=sort), tape.profile().sorted(sort)):
        sizes = [size(row) for row in profile]
        assert sizes == sorted(sizes, reverse=True)


def test_it_prints_as_a_table_with_a_total(tape):
    lines = str(tape.profile()).splitlines()
    assert lines[0].split() == [
        "gate", "calls", "forward", "backward", "share", "bytes", "out", "bytes", "kept",
    ]  # fmt: skip
    assert lines[-1].startswith("total")
    assert "100.0 %" in lines[-1]
    row = r"exp +2( +[\d.]+ (us|ms)){2} +[\d.]+ % +80000 +80000"
    assert any(re.fullmatch(row, line) for line in lines)
    assert str(tape.profile(by="step")).split()[:2] == ["step", "gate"]


def test_profiling_leaves_the_graph_and_the_gradients_alone(tape):
    loss = loss_of(tape)
    tape.profile()
    assert len(tape) == 5
    (leaf,) = tape.leaves()
    assert leaf.variable().grad is None
    loss.backward()
    expected = np.exp(2 * leaf.variable().data) * 2 + np.exp(leaf.variable().data) * (
        1 + leaf.variable().data
    )
    assert np.allclose(leaf.variable().grad.data, expected, rtol=1e-5)


def test_gates_of_several_outputs_are_timed():
    x = tg.randn(6, 4, requires_grad=True)
    with tg.Tape() as tape:
        a, b = x.split([2, 4])
        values, _ = x.max(1)
        a.sum() + b.exp().sum() + values.sum()
    profile = tape.profile()
    assert profile.total.calls == len(tape)
    assert not profile.untimed


def test_functions_of_ones_own_are_timed_while_they_can_be():
    class Double(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            assert ctx.saved_tensors
            return grad * 2

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with tg.Tape() as tape:
        loss = Double.apply(x).sum()
    assert tape.profile().total.calls == 2
    loss.backward()
    profile = tape.profile()
    assert profile.untimed == [f"Double (#{tape[0].number})"]
    assert "Double" in str(profile).splitlines()[-1]


def test_a_tape_without_steps_has_an_empty_profile():
    profile = tg.Tape().profile()
    assert len(profile) == 0
    assert "total" in str(profile)


def test_unknown_choices_are_refused(tape):
    with pytest.raises(ValueError, match="by must be"):
        tape.profile(by="line")
    with pytest.raises(ValueError, match="sort must be one of total, forward"):
        tape.profile(sort="name")
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        tape.profile(repeats=0)


def test_on_a_gpu_the_clock_stops_when_the_gpu_has_finished(gpu):
    waits = []
    gpu.cuda.runtime.deviceSynchronize = lambda: waits.append(True)
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, device="cuda")
    with tg.Tape() as tape:
        loss = (x * x).exp().sum()
    assert tape.profile(repeats=1).total.calls == 3
    assert len(waits) == 3 * 2 * 2 * 2  # gates, ways, runs with the first, before and after
    loss.backward()
    assert len(tg.Tape.of(loss).profile()) == 3
