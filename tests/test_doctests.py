"""Every example in a docstring and in the README runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tapegrad

PACKAGES = ["autograd", "kernels", "nn", "optim", "data"]
ROOT = Path(__file__).parent.parent
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules():
    names = ["tapegrad"]
    for package in PACKAGES:
        found = importlib.import_module(f"tapegrad.{package}")
        names.append(found.__name__)
        names += [m.name for m in pkgutil.walk_packages(found.__path__, f"{found.__name__}.")]
    return names


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_are_true(name):
    tapegrad.manual_seed(0)
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


def test_the_examples_of_the_readme_are_true():
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=FLAGS)
    assert result.attempted >= 5
    assert result.failed == 0


def test_the_tape_in_the_readme_is_the_one_that_is_printed():
    blocks = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1::2]
    position = next(i for i, block in enumerate(blocks) if "print(tape)" in block)
    lines = [line[4:] for line in blocks[position].splitlines() if line[:4] in (">>> ", "... ")]
    # A process of its own: the tape numbers its steps from 1.
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == blocks[position + 1].strip()
