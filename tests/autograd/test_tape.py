"""The tape as a thing to look at: live, afterwards, printed, checked."""

import re
import warnings
from typing import ClassVar

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import autograd
from tapegrad.autograd import Gate, GradcheckError


def leaf(*values, dtype=tg.float64, name=None):
    data = values[0] if len(values) == 1 else list(values)
    tensor = tg.tensor(data, dtype=dtype, requires_grad=True)
    tensor.name = name
    return tensor


def gates(tape):
    return [step.gate for step in tape]


@pytest.fixture
def example():
    x, y, z = leaf(-2.0, name="x"), leaf(5.0, name="y"), leaf(-4.0, name="z")
    with tg.Tape() as tape:
        f = (x + y) * z
    yield tape, f
    del x, y, z


# What is on it


def test_a_live_tape_lists_the_steps_in_order(example):
    tape, f = example
    assert gates(tape) == ["add", "mul"]
    assert [step.number for step in tape] == [f.grad_fn.number - 1, f.grad_fn.number]
    assert (len(tape), tape[-1].node) == (2, f.grad_fn)


def test_the_tape_of_a_result_lists_its_history(example):
    live, f = example
    after = tg.Tape.of(f)
    assert gates(after) == gates(live)
    assert [step.number for step in after] == [step.number for step in live]


def test_inputs_are_shown_by_name_number_or_value(example):
    tape, _ = example
    add, mul = tape
    assert add.inputs == ["x", "y"]
    assert mul.inputs == [f"#{add.number}", "z"]
    x = leaf(1.0, name="x")
    with tg.Tape() as tape:
        (x * 3.0) + tg.tensor(0.5, dtype=tg.float64)
    assert tape[0].inputs == ["x", "3"]
    assert tape[1].inputs[1] == "0.5"


def test_an_intermediate_with_a_name_is_shown_by_it():
    x = leaf(1.0, name="x")
    with tg.Tape() as tape:
        q = x * 2
        q.name = "q"
        q.exp()
    assert tape[1].inputs == ["q"]
    assert tape[0].name == "q"


def test_a_step_knows_its_values(example):
    add, mul = example[0]
    assert [float(v) for v in add.values] == [-2.0, 5.0]
    assert (float(add.value), float(mul.value)) == (3.0, -12.0)


def test_a_live_tape_keeps_the_values_of_arrays():
    x = leaf(1.0, 2.0)
    with tg.Tape() as tape:
        (x + 1) + 2
    assert tape[0].value.tolist() == [2.0, 3.0]
    assert tape[1].values[0].tolist() == [2.0, 3.0]


def test_a_live_tape_keeps_the_gradients_once_backward_has_passed():
    x = leaf(1.0, 2.0)
    with tg.Tape() as tape:
        loss = ((x + 1) * 2).sum()
    assert tape[0].grad is None
    loss.backward()
    assert tape[0].grad.tolist() == [2.0, 2.0]
    assert tape[1].grad.tolist() == [1.0, 1.0]
    assert float(tape[2].grad) == 1.0


def test_scalars_keep_their_gradients_without_a_tape():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    z.backward()
    assert float(tg.Tape.of(z)[0].grad) == 12.0


def test_backward_inside_the_block_is_not_on_the_tape():
    x = leaf(2.0)
    with tg.Tape() as tape:
        (x * x).backward()
    assert gates(tape) == ["mul"]


def test_what_is_not_recorded_is_not_on_the_tape():
    x, c = leaf(2.0), tg.tensor(3.0)
    with tg.Tape() as tape:
        c * c
        with tg.no_grad():
            x * x
        x.detach() * 2
        x * 2
    assert len(tape) == 1


def test_operations_outside_the_block_are_not_on_the_tape():
    x = leaf(2.0)
    y = x * 2
    with tg.Tape() as tape:
        z = y.exp()
    z.sin()
    assert gates(tape) == ["exp"]


def test_in_place_steps_are_no_more_than_the_operation():
    x = leaf(2.0, 3.0)
    with tg.Tape() as tape:
        y = x * 2
        y.add_(1)
        y += 1
        y[0] = 5.0
    assert gates(tape) == ["mul", "add", "add", "index_put"]


def test_nested_tapes_both_see_the_inner_steps():
    x = leaf(2.0)
    with tg.Tape() as outer:
        x * 2
        with tg.Tape() as inner:
            x.exp()
        x.sin()
    assert gates(outer) == ["mul", "exp", "sin"]
    assert gates(inner) == ["exp"]


def test_a_tape_stays_open_under_no_grad_and_enable_grad():
    x = leaf(2.0)
    with tg.Tape() as tape, tg.no_grad():
        with tg.enable_grad():
            x.exp()
        x.sin()
    assert gates(tape) == ["exp"]


def test_a_tape_opened_again_goes_on():
    x = leaf(2.0)
    tape = tg.Tape()
    with tape:
        x.exp()
    x.sin()
    with tape:
        x.cos()
    assert gates(tape) == ["exp", "cos"]


def test_an_exception_closes_the_tape():
    x = leaf(2.0)
    with pytest.raises(KeyError), tg.Tape() as tape:
        raise KeyError
    x.exp()
    assert len(tape) == 0


def test_a_tape_notes_where_a_step_was_recorded():
    x = leaf(2.0)
    with tg.Tape() as tape:
        x.exp()
    assert re.search(r"test_tape\.py:\d+$", tape[0].origin)


def test_the_tape_of_something_not_recorded_is_refused():
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        tg.Tape.of(tg.tensor(1.0))


def test_the_tape_of_several_tensors_joins_their_histories():
    x = leaf(2.0)
    a, b = x.exp(), x.sin()
    assert gates(tg.Tape.of(a, b)) == ["exp", "sin"]


def test_steps_tell_whether_they_were_consumed():
    x = leaf(2.0)
    y = x.exp()
    tape = tg.Tape.of(y)
    assert not tape[0].consumed
    y.backward()
    assert tape[0].consumed


def test_the_leaves_of_a_tape(example):
    tape, _ = example
    assert [node.variable()._name for node in tape.leaves()] == ["x", "y", "z"]


def test_bytes_kept_counts_each_buffer_once():
    x = leaf(np.ones(100))
    y = x.exp()
    z = y * y
    assert tg.Tape.of(z).bytes_kept == 800
    assert tg.Tape.of(x + x).bytes_kept == 0
    z.sum().backward()
    assert tg.Tape.of(z).bytes_kept == 0


# How it prints


def test_the_printed_tape_has_a_row_per_step(example):
    lines = str(example[0]).splitlines()
    for word in ("step", "gate", "inputs", "output", "bytes"):
        assert word in lines[0]
    assert sum(" leaf " in line for line in lines) == 3
    assert any(re.search(r"add +x, y +float64\[\] +3\b", line) for line in lines)
    assert any(re.search(r"mul +#\d+, z +float64\[\] +-12\b", line) for line in lines)


def test_the_printed_tape_shows_gradients_after_backward(example):
    tape, f = example
    f.backward()
    rows = [line.split() for line in str(tape).splitlines()]
    gradients = {row[1] + row[2]: row for row in rows if len(row) > 3}
    assert "-4" in gradients["addx,"]


def test_no_line_of_the_printed_tape_ends_in_blanks(example):
    assert all(line == line.rstrip() for line in str(example[0]).splitlines())


def test_printed_numbers_are_those_of_errors():
    x = leaf(2.0)
    y = x.exp()
    tape = tg.Tape.of(y)
    y.backward()
    with pytest.raises(RuntimeError) as caught:
        y.backward()
    number = re.search(r"#(\d+)", str(caught.value)).group(1)
    assert any(line.split()[:2] == [number, "exp"] for line in str(tape).splitlines())


def test_shapes_and_dtypes_are_shown():
    x = leaf(np.ones((2, 3)), dtype=tg.float32)
    assert "float32[3, 2]" in str(tg.Tape.of(x.T))


def test_several_outputs_are_shown():
    x = leaf(np.ones(5))
    a, b = x.split([2, 3])
    text = str(tg.Tape.of(a.sum() * b.sum()))
    assert "float64[2], float64[3]" in text
    assert re.search(r"#\d+\[1\]", text)


def test_an_empty_tape_prints():
    assert "0 steps" in str(tg.Tape())
    assert repr(tg.Tape()) == "<Tape of 0 steps>"


def test_a_tape_of_everything_prints():
    x = leaf(np.linspace(-1, 1, 12).reshape(3, 4))
    with tg.Tape() as tape:
        for function in EVERYTHING.values():
            function(x)
    assert len(str(tape).splitlines()) > len(EVERYTHING)


# check()

MASK = np.arange(12).reshape(3, 4) % 2 == 0
IMAGE = np.linspace(-1, 1, 2 * 2 * 6 * 6).reshape(2, 2, 6, 6)

EVERYTHING = {
    "arithmetic": lambda x: ((x + 1) * (x - 2) / (x + 5) - x) ** 2,
    "powers": lambda x: 2.0 ** (x + 3) + (x + 3) ** x,
    "mixed constants": lambda x: 3 - 2 / (x + 5) + tg.ones(4) * x,
    "exponentials": lambda x: (x.exp() + x.expm1() + (x + 3).log() + (x + 3).log1p()).tanh(),
    "waves": lambda x: x.sin() * x.cos() + x.sigmoid() + x.erf(),
    "roots": lambda x: (x + 3).sqrt() + (x + 3).rsqrt(),
    "relu with ties": lambda x: (x.round() if hasattr(x, "round") else x * 0).relu() + x.relu(),
    "abs and sign": lambda x: x.abs() * x.sign(),
    "maximum with ties": lambda x: tg.maximum(x, x) + tg.minimum(x, x * 2) + tg.maximum(x, 0.0),
    "clamp": lambda x: x.clamp(-0.5, 0.5) + x.clamp(min=0.0),
    "where": lambda x: tg.where(x > 0, x * 2, 0.0) + x.masked_fill(tg.tensor(MASK), 3.0),
    "remainder": lambda x: (x + 5) % 3.0,
    "sums": lambda x: x.sum(0) + x.mean(0) + x.sum() + x.var(0) + x.std(0),
    "extremes": lambda x: x.max() + x.amin(1).sum() + x.max(1).values.sum() + (x * 0).amax(),
    "softmax": lambda x: x.softmax(1) + x.log_softmax(0) + x.logsumexp(1, keepdim=True),
    "shapes": lambda x: x.T.reshape(2, 6).flip(0).unsqueeze(1).expand(2, 3, 6).permute(2, 0, 1),
    "pad": lambda x: tg.pad(x, (1, 2, 0, 1)),
    "cat and stack": lambda x: tg.cat([x, x * 2], 1).sum() + tg.stack([x, x]).sum(),
    "split": lambda x: sum((p * p).sum() for p in x.split([1, 2, 1], dim=1)),
    "indexing": lambda x: x[1, ::2].sum() + x[[0, 0, 2]].sum() + x[tg.tensor(MASK)].sum(),
    "gather": lambda x: x.gather(1, tg.tensor([[0, 0], [1, 3], [2, 2]])),
    "scatter_add": lambda x: x.scatter_add(0, tg.tensor([[0, 0, 1, 2]]), tg.ones(1, 4).double()),
    "products": lambda x: (x @ x.T).norm() + x[0].dot(x[1]) + tg.outer(x[0], x[1]).sum(),
    "linear": lambda x: tg.linear(x, tg.ones(2, 4).double() * x[:2], x[0, :2]),
    "casts": lambda x: x.float().double() * x.half().double(),
    "in place": lambda x: write(x),
    "cross entropy": lambda x: tg.cross_entropy(x, tg.tensor([0, 3, 1])),
    "convolution": lambda x: tg.conv2d(
        tg.tensor(IMAGE) * x.sum(), x.reshape(3, 2, 2, 1).expand(3, 2, 2, 2), x[:, 0], padding=1
    ),
    "pooling": lambda x: (
        tg.max_pool2d(tg.tensor(IMAGE) * x[0, 0], 2) + tg.avg_pool2d(tg.tensor(IMAGE) * x[0, 1], 2)
    ),
    "pooling with ties": lambda x: tg.max_pool2d(tg.tensor(IMAGE * 0) * x[0, 0], 2),
}


def write(x):
    y = x * 1
    y[0, 1:3] = x[1, 0:2] * 2
    y[[1, 2]] = 7.0
    y += 1
    return y


@pytest.mark.parametrize("name", EVERYTHING)
def test_check_passes_every_right_gate(name):
    x = leaf(np.linspace(-1.03, 1.1, 12).reshape(3, 4))
    with tg.Tape() as tape:
        EVERYTHING[name](x)
    assert tape.check()


@pytest.mark.parametrize("name", EVERYTHING)
def test_check_of_a_history_passes_or_names_what_it_could_not_run(name):
    x = leaf(np.linspace(-1.03, 1.1, 12).reshape(3, 4))
    tape = tg.Tape.of(EVERYTHING[name](x))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "tape.check: could not run", UserWarning)
        assert tape.check()


def test_check_works_on_float32_values():
    x = leaf(np.linspace(-1, 1, 12).reshape(3, 4), dtype=tg.float32)
    with tg.Tape() as tape:
        (x.exp() @ x.T).softmax(1).log().sum()
    assert tape.check()


def test_check_works_after_backward():
    x = leaf(0.5, -1.0)
    with tg.Tape() as tape:
        y = (x.exp() * x).sum()
    y.backward()
    assert tape.check()
    assert tape.check()


def test_check_leaves_the_gradients_and_the_graph_alone():
    x = leaf(0.5, -1.0)
    with tg.Tape() as tape:
        y = (x.exp() * x).sum()
    tape.check()
    assert x.grad is None
    assert len(tape) == 3
    y.backward()
    assert np.allclose(x.grad.data, np.exp([0.5, -1.0]) * (1 + np.array([0.5, -1.0])))


def wrong_gate(backward_rule, needs="x"):
    class Wrong(Gate):
        """The square, with a rule given by the test."""

        needs: ClassVar = {"x": "x"}

        def forward(self, xp, x):
            return x * x

        def backward(self, node, grad, out, x):
            return backward_rule(grad, x)

    return Wrong()


@pytest.fixture
def wrong():
    made = []

    def make(rule):
        made.append(wrong_gate(rule))
        return made[-1]

    yield make
    for gate in made:
        Gate.all.pop(gate.name, None)


@pytest.mark.parametrize(
    "rule",
    [
        lambda grad, x: -2 * grad * x,
        lambda grad, x: grad * x,
        lambda grad, x: grad * x * 2.01,
        lambda grad, x: grad * x * 0,
        lambda grad, x: grad * x * x,
    ],
    ids=["sign", "factor", "one percent", "zero", "power"],
)
def test_check_names_the_gate_that_is_wrong(wrong, rule):
    x = leaf(0.7, -1.3)
    gate = wrong(rule)
    with tg.Tape() as tape:
        y = gate(x.exp()).sin()
    number = tape[1].number
    with pytest.raises(GradcheckError, match=rf"'wrong' \(#{number}\) is wrong.*test_tape\.py"):
        tape.check()
    assert tape.check(raise_exception=False) is False
    with pytest.raises(GradcheckError, match="'wrong'"):
        tg.Tape.of(y).check()


def test_check_passes_a_gate_of_the_users_own_that_is_right(wrong):
    gate = wrong(lambda grad, x: grad * 2 * x)
    with tg.Tape() as tape:
        gate(leaf(0.7, -1.3))
    assert tape.check()


def test_check_finds_a_wrong_element_among_many(wrong):
    def rule(grad, x):
        right = grad * 2 * x
        return tg.where(tg.tensor(np.arange(50) == 17), 0.0, right).data

    gate = wrong(rule)
    with tg.Tape() as tape:
        gate(leaf(np.linspace(1, 2, 50)))
    assert tape.check(raise_exception=False) is False


def test_check_finds_a_gate_that_forgets_one_input():
    class Forgetful(Gate):
        needs: ClassVar = {"x": "y", "y": "x"}

        def forward(self, xp, x, y):
            return x * y

        def backward(self, node, grad, out, x, y):
            return grad * y, None

    gate = Forgetful()
    try:
        with tg.Tape() as tape:
            gate(leaf(0.7, -1.3), leaf(1.0, 2.0))
        with pytest.raises(GradcheckError, match="'forgetful'"):
            tape.check()
    finally:
        del Gate.all[gate.name]


def test_a_wrong_gate_is_also_found_by_gradcheck(wrong):
    gate = wrong(lambda grad, x: grad * x)
    with pytest.raises(GradcheckError):
        autograd.gradcheck(gate, leaf(0.7, -1.3))
