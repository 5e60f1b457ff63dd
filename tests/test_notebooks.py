"""The notebooks run, and print what they show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

# Runs the cells of a notebook in one namespace and prints what each printed, as JSON. In a process
# of its own, so that the steps of the tape have the numbers they have in the notebook.
RUNNER = """
import contextlib, io, json, sys
namespace, printed = {}, []
for source in json.load(sys.stdin):
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(source, namespace)
    printed.append(stream.getvalue())
print(json.dumps(printed))
"""


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path):
    cells = [
        cell
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    sources = json.dumps(["".join(cell["source"]) for cell in cells])
    run = subprocess.run(
        [sys.executable, "-c", RUNNER], input=sources, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    shown = [
        "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")
        for cell in cells
    ]
    assert json.loads(run.stdout) == shown
