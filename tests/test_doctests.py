"""Every example in a docstring and in the README runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import tapegrad

PACKAGES = ["autograd", "kernels", "nn", "optim", "data"]
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
    readme = Path(__file__).parent.parent / "README.md"
    result = doctest.testfile(str(readme), module_relative=False, optionflags=FLAGS)
    assert result.attempted >= 5
    assert result.failed == 0
