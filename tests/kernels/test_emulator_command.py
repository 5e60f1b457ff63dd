"""`python -m tapegrad.kernels.emulator`: what its page shows is what it prints; what it refuses."""

import doctest
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tapegrad.kernels.emulator import EmulatorError, __main__, arguments, sanitizing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/emulator.md").read_text()
BLOCKS = {
    kind: re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("console", "python")
}
COMMANDS = re.findall(
    r"^\$ ((?:.*\\\n)*.*)\n((?:[^$\n].*\n|\$\d.*\n)*)", "".join(BLOCKS["console"]), re.M
)
ROW_SUMS = str(ROOT / "examples/kernels/row_sums.cu")
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")


def test_the_page_has_examples():
    assert len(COMMANDS) == 7
    assert len(BLOCKS["python"]) == 1


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=range(len(COMMANDS)))
def test_the_page_shows_what_the_command_prints(command, shown):
    words = shlex.split(command.replace("\\\n", " "))[1:]
    if "--debug" in words and shutil.which("gdb") is None:
        pytest.skip("stepping through a kernel takes gdb")
    if "--sanitize" in words:
        try:
            sanitizing.environment(words[words.index("--sanitize") + 1])
        except EmulatorError as error:
            pytest.skip(str(error))
    typed = re.findall(r"^\(gdb\) (.*)", shown, re.M)
    done = subprocess.run(
        [sys.executable, *words],
        input="".join(f"{line}\n" for line in [*typed, "kill"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    shown = re.sub(r"^\(gdb\) .*\n", "(gdb) ", shown, flags=re.M)  # gdb shows no typed words
    shown += "..." if typed else ""
    same = doctest.OutputChecker().check_output(shown, done.stdout, doctest.ELLIPSIS)
    assert same, f"{shown}\n-- printed --\n{done.stdout}"


def test_the_page_shows_python_that_runs():
    exec(BLOCKS["python"][0], {})


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["row_sum<float>"], "there is no __global__ function 'row_sum' in this file"),
        (["row_sums"], "row_sums is a template: name its arguments, as in 'row_sums<float>'"),
        (["row_sums<float>", "7"], "an argument is NAME=..., got '7'"),
        (["row_sums<float>", "x=float31:4:zeros"], "'x=float31:4:zeros' is no argument"),
        (["row_sums<float>", "x=float32:4:some"], "'x=float32:4:some' is no argument"),
        (["row_sums<float>", "x=1:2:3:4"], "too many colons"),
        (["row_sums<float>", "x=@nowhere.npy"], "nowhere.npy"),
        (["row_sums<float>", "--block", "2000"], "1 to 1024 threads"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_line(words, refusal, capsys):
    assert __main__.main([ROW_SUMS, *words]) == 1
    assert refusal in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(capsys):
    assert __main__.main(["nowhere.cu", "k"]) == 1
    assert "nowhere.cu" in capsys.readouterr().err


def test_arrays_are_read_from_files_and_those_untouched_are_not_shown(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.array([[1, 2], [3, 4]], np.float32).T)
    given = [f"x=@{tmp_path / 'x.npy'}", "sums=float32:2:zeros", "columns=2", "--grid", "2"]
    assert __main__.main([ROW_SUMS, "row_sums<float>", *given]) == 0
    assert capsys.readouterr().out == "sums = float32:2\n[4. 6.]\n"


def test_every_form_of_an_argument_is_understood():
    words = ["a=bfloat16:2:1.5", "b=int8:3:poison", "c=0x10", "d=true", "e=int64:-2", "f=-0.5"]
    (_, a), (_, b), (_, c), (_, d), (_, e), (_, f) = map(arguments.parse, words)
    assert (a.dtype.name, a.tolist()) == ("bfloat16", [1.5, 1.5])
    assert b.tolist() == [-1, -1, -1]
    assert (c, c.dtype, d, e, e.dtype, f, f.dtype) == (16, "i4", True, -2, "i8", -0.5, "f4")
