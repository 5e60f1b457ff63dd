"""`python -m tapegrad`: what it prints, writes and refuses."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tapegrad import __main__ as command_line

CIRCUIT = ["(x + y) * z", "x=-2", "y=5", "z=-4"]
NEURON = ["1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))", "w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"]


def run(*arguments):
    return command_line.main(list(arguments))


def rows(text):
    """The rows of a printed tape: the columns by what the row computes."""
    found = {}
    for line in text.splitlines():
        if re.match(r" *\d+  ", line):
            cells = re.split(r"  +", line.strip())
            found[cells[1] if cells[1] != "leaf" else cells[2].partition(":")[0]] = cells
    return found


def test_it_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "tapegrad", "tape", *CIRCUIT],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[2].split() == ["1", "leaf", "x:", "float64[]", "-2", "-4"]
    assert "-12" in done.stdout


def test_a_mistake_ends_the_program_with_2_and_no_traceback():
    done = subprocess.run(
        [sys.executable, "-m", "tapegrad", "tape", "x ^ 2", "x=3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "tapegrad: a power is written **, as in x ** 2",
        "    x ^ 2",
        "      ^",
    ]


def examples():
    return [line.split("tapegrad ", 1)[1] for line in command_line._overview().splitlines()
            if line.startswith("  python -m tapegrad ")]  # fmt: skip


@pytest.mark.parametrize("example", examples())
def test_the_examples_of_the_help_run(example, capsys, tmp_path, monkeypatch):
    arguments = shlex.split(example)
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 0
    said = capsys.readouterr()
    assert said.out
    assert said.err == ""
    if "-o" in arguments:
        assert Path(arguments[-1]).stat().st_size > 500


def test_the_help_lists_every_command(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for name in ("draw", "player", "check", "explain", "tape"):
        assert f"\n  {name} " in text
        assert f"python -m tapegrad {name} " in text
    assert run() == 2


def test_the_figures_in_the_help_are_true():
    for expression, *values in (CIRCUIT, NEURON):
        leaves = command_line.leaf_values(values)
        f = command_line.evaluate(expression, leaves)
        f.backward()
        assert f"{f.item():.4g}" in command_line.FIGURES
        for name, leaf in leaves.items():
            size = f"{leaf.grad.item():.3f}".removesuffix(".000")
            assert f"{name} {size}" in command_line.FIGURES.replace("\n", " ")


@pytest.mark.parametrize("name", ["draw", "player", "check", "explain", "tape"])
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as left:
        run(name, "--help")
    assert left.value.code == 0
    assert f"python -m tapegrad {name} " in capsys.readouterr().out


def test_check_compares_every_gate(capsys):
    assert run("check", *NEURON) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == "all 8 gates agree with finite differences"
    found = rows(text)
    gradients = {name: float(found[name][-1]) for name in ("w0", "x0", "w1", "x1", "w2")}
    assert gradients == pytest.approx(
        {"w0": -0.197, "x0": 0.393, "w1": -0.393, "x1": -0.590, "w2": 0.197}, abs=5e-4
    )


def test_check_at_a_kink_or_an_edge_is_no_disagreement(capsys):
    assert run("check", "relu(x) + sqrt(y)", "x=0", "y=0") == 0
    assert "all 3 gates agree" in capsys.readouterr().out


def test_tape_prints_names_values_and_gradients(capsys):
    assert run("tape", "q = x + y; f = q * z", "x=-2", "y=5", "z=-4") == 0
    found = rows(capsys.readouterr().out)
    assert found["x"][-2:] == ["-2", "-4"]
    assert found["add"][2:] == ["x, y", "q: float64[]", "3", "-4", "0"]
    assert found["mul"][2] == "q, z"


def test_vectors_are_values(capsys):
    assert run("tape", "sum(w * w)", "w=[1,2,3]") == 0
    assert "float64[3]" in capsys.readouterr().out


def test_explain_writes_out_the_chain_rule(capsys):
    assert run("explain", "q = x + y; f = q * z", "x=-2", "y=5", "z=-4", "--of", "x") == 0
    assert capsys.readouterr().out.splitlines()[0] == "d f / d x = d f/d q * d q/d x = -4 * 1 = -4"
    assert run("explain", "sum(w * w)", "w=1,2,3", "--of", "w", "--index", "2") == 0
    assert capsys.readouterr().out.startswith("d f / d w[2] = 6, the sum of 2 terms:")


def test_options_may_stand_anywhere(capsys):
    assert run("explain", "--of", "x", "x * y", "x=2", "y=3") == 0
    assert run("explain", "x * y", "x=2", "--of", "x", "y=3") == 0
    first, second = capsys.readouterr().out.split("d f / d x")[1:]
    assert first.partition("\n")[0] == second.partition("\n")[0] == " = 3"


def test_a_formula_may_begin_with_a_minus(capsys):
    assert run("tape", "-x*y", "x=2", "y=3") == 0
    assert "neg" in capsys.readouterr().out


def test_draw_writes_a_picture_and_says_the_gradients(capsys, tmp_path):
    path = tmp_path / "graph.svg"
    assert run("draw", *CIRCUIT, "-o", str(path)) == 0
    assert capsys.readouterr().out == f"f = -12; gradients x -4, y -4, z 3\nwrote {path}\n"
    picture = path.read_text(encoding="utf-8")
    assert "<svg" in picture
    assert "-12" in picture


def test_draw_takes_a_direction_and_a_palette(tmp_path):
    pictures = []
    for options in ([], ["--direction", "TB"], ["--palette", "colour-blind"]):
        path = tmp_path / "graph.svg"
        assert run("draw", *CIRCUIT, *options, "-o", str(path)) == 0
        pictures.append(path.read_text(encoding="utf-8"))
    assert len(set(pictures)) == 3


def test_player_writes_a_page(capsys, tmp_path):
    path = tmp_path / "neuron.html"
    assert run("player", *NEURON, "-o", str(path)) == 0
    assert capsys.readouterr().out.startswith("f = 0.731059; gradients w0 -0.1966, x0 0.3932")
    assert "<html" in path.read_text(encoding="utf-8").lower()


def test_a_file_that_cannot_be_written_is_a_message(capsys, tmp_path):
    assert run("draw", *CIRCUIT, "-o", str(tmp_path / "nowhere" / "graph.svg")) == 2
    assert run("draw", *CIRCUIT, "-o", str(tmp_path / "graph.docx")) == 2
    assert capsys.readouterr().err.count("tapegrad: draw: ") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tape", "(x + y) * z", "x=1", "y=2"], "z has no value: add z=... (given: x, y)"),
        (["tape", "2 + 3"], "depends on no value"),
        (["tape", "2 + 3", "x=1"], "depends on no value"),
        (["tape", "w * 2", "w=[1,2]"], "has shape [2]; only a single number has gradients"),
        (["tape", "x", "x"], "'x' gives no value"),
        (["explain", "x * 2", "x=3", "--of", "y"], "--of y: choose one of x"),
        (["explain", "x * 2", "x=3", "y=1", "--of", "y"], "f does not depend on y"),
        (["explain", "sum(w)", "w=1,2", "--of", "w", "--index", "2"], "does not choose one"),
        (["tpe", "x"], "there is no command 'tpe'; did you mean tape?"),
    ],
)
def test_mistakes_are_messages(arguments, message, capsys):
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("tapegrad: ")
    assert message in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "arguments",
    [["explain", "x", "x=1"], ["draw", "x", "x=1", "--direction", "UP"], ["tape"],
     ["tape", "x", "x=1", "--of", "x"], ["explain", "x", "x=1", "--of", "x", "--index", "a"]],
)  # fmt: skip
def test_wrong_options_end_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        run(*arguments)
    assert left.value.code == 2
    assert "usage: python -m tapegrad" in capsys.readouterr().err
