"""The commands that look at kernels: their help, what they refuse, and how they say so."""

import subprocess
import sys

import pytest

from tapegrad.kernels.cuda import compiling, disassembly, inventory
from tapegrad.kernels.emulator import EmulatorError, sanitizing

COMMANDS = [disassembly, inventory, sanitizing]


def refusal(module, words, capsys):
    """What a command writes to the standard error stream, having ended with status 2."""
    with pytest.raises(SystemExit) as ended:
        module.main(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("module", COMMANDS, ids=lambda module: module.__name__)
def test_help_names_the_command_and_its_arguments(module, capsys):
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: python -m {module.__name__} [-h]")
    assert "positional arguments:" in said


@pytest.mark.parametrize(
    ("module", "words", "wanted"),
    [
        (disassembly, [], "required: kernel"),
        (disassembly, ["softmax_row<float, 4>"], "did you mean 'softmax_rows<float, 4>'?"),
        (
            disassembly,
            ["qq"],
            "'qq'; python -m tapegrad.kernels.cuda.inventory lists",
        ),
        (inventory, ["sofmax_rows"], "'sofmax_rows' in its name; did you mean 'softmax_rows'?"),
        (
            inventory,
            ["softmax_rows", "conv"],
            "no kernel has 'softmax_rows' and 'conv' in",
        ),
        (inventory, ["--all"], "unrecognized arguments: --all"),
        (sanitizing, [], "required: sanitizer"),
        (sanitizing, ["memory", "true"], "invalid choice: 'memory'"),
        (sanitizing, ["thread"], "there is no COMMAND to run"),
    ],
)
def test_what_is_wrong_is_refused_with_a_hint(module, words, wanted, capsys):
    said = refusal(module, words, capsys)
    assert said.startswith("usage: ")
    assert wanted in said


def test_a_filter_lists_the_kernels_with_all_its_words(capsys):
    try:
        compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))
    assert inventory.main(["softmax_rows_gradient", "<float,"]) == 0
    *rows, totals = capsys.readouterr().out.splitlines()[1:]
    assert rows
    assert all(row.startswith("softmax_rows_gradient<float,") for row in rows)
    assert totals.startswith("1 kernels")


def test_what_does_not_compile_is_said_in_a_few_lines(capsys):
    try:
        compiling.nvrtc()
        disassembly.disassembler()
    except RuntimeError as error:
        pytest.skip(str(error))
    assert disassembly.main(["softmax_rows<float, 4>", "sm_9"]) == 1
    assert "does not compile for sm_9:" in capsys.readouterr().err


def test_a_program_that_is_not_there_is_named():
    try:
        sanitizing.environment("thread")
    except EmulatorError as error:
        pytest.skip(str(error))
    command = [sys.executable, "-m", sanitizing.__name__, "thread", "no-such-program", "--help"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "no-such-program: No such file or directory\n"
