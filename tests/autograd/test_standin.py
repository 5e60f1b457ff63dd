"""The stand-in for CuPy, and the code that calls CuPy, against CuPy itself, without a GPU."""

import inspect
import re
import types
from pathlib import Path

import pytest
import standin

import tapegrad

# What the stand-in keeps for itself.
BOOKKEEPING = {"current", "pool", "properties", "seen", "set_device", "streams", "synchronize"}
FOLDERS = ("autograd", "kernels", "nn", "optim")
CALLED = re.compile(r"\b(?:xp|cupy)((?:\.[A-Za-z_]\w*)+)")
ROOT = Path(tapegrad.__file__).parents[1]


@pytest.fixture
def cupy():
    return pytest.importorskip("cupy", reason="CuPy is not installed")


def lacks(module, path):
    """The first part of a dotted name that a module lacks; what is no module or class ends it."""
    found = module
    for part in path:
        if not isinstance(found, (types.ModuleType, type)):
            return None
        if not hasattr(found, part):
            return part
        found = getattr(found, part)
    return None


def test_cupy_has_all_that_is_called_of_it(cupy):
    names = {
        match[1]
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for match in CALLED.finditer(path.read_text())
    }
    assert len(names) > 100
    assert [name for name in sorted(names) if lacks(cupy, name[1:].split("."))] == []


def test_cupy_has_all_that_the_stand_in_has_of_cuda(cupy, gpu):
    def missing(fake, real, path):
        for name in dir(fake):
            if name.startswith("_") or name in BOOKKEEPING:
                continue
            if not hasattr(real, name):
                yield f"{path}.{name}"
            elif isinstance(getattr(fake, name), types.SimpleNamespace):
                yield from missing(getattr(fake, name), getattr(real, name), f"{path}.{name}")

    found = list(missing(gpu.cuda, cupy.cuda, "cupy.cuda"))
    assert not found, found


@pytest.mark.parametrize(
    ("listed", "owner"),
    [(standin.FUNCTIONS, ""), (standin.METHODS, "ndarray")],
    ids=["functions", "methods"],
)
def test_cupys_functions_take_all_that_the_stand_ins_take(cupy, listed, owner):
    wrong = []
    for path, takes in listed.items():
        found = cupy
        for part in [owner, *path.split(".")] if owner else path.split("."):
            found = getattr(found, part)
        try:
            real = inspect.signature(found)
        except ValueError:  # of a compiled function
            continue
        names = [name for name in real.parameters if name != "self"]
        if not set(takes.parameters) <= set(names):
            wrong.append((path, names))
    assert not wrong, wrong


def test_members_are_found_of_half_types_too_which_cupy_does_not_sort(gpu):
    for dtype in (tapegrad.float16, tapegrad.bfloat16, tapegrad.float32):
        x = tapegrad.tensor([1.0, 2.0, 3.0], dtype=dtype, device="cuda")
        assert tapegrad.isin(x, x[1:]).tolist() == [False, True, True]
        assert tapegrad.isin(x, 2.0).tolist() == [False, True, False]
