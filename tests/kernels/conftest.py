"""Running kernels without a GPU, in the emulator; and on one as well where there is one."""

import functools
import os

import hardware
import pytest
import side_by_side
import watching

from tapegrad.autograd import arrays
from tapegrad.kernels.cuda import checks
from tapegrad.kernels.cuda.launching import CupyBackend, use_backend
from tapegrad.kernels.emulator import EmulatedBackend

# A kernel whose result hangs on an order of threads that hardware does not promise gives itself
# away in one of these.
ORDERS = [
    pytest.param(0, id="ascending"),
    pytest.param(1, id="descending"),
    pytest.param(7, id="shuffled"),
]
HARDWARE = pytest.param("hardware", id="hardware", marks=pytest.mark.gpu)
ON_HARDWARE = not hardware.missing() and "TAPEGRAD_SANITIZER" not in os.environ


NOT_ON_HARDWARE = {"gpu", "recording"}  # fixtures of the stand-in for CuPy
cupy_backend = functools.cache(CupyBackend)  # it keeps the kernels it has loaded


@pytest.fixture(params=[*ORDERS, HARDWARE] if ON_HARDWARE else ORDERS)
def emulated(request):
    """The stand-in for CuPy, whose kernels run in the emulator; in three orders of the threads.

    Its `empty` is full of NaN, as shared memory is. These tests make up the kernel suite, which
    `pytest -m sanitize` runs again under the sanitizers. Where there is a GPU, it is CuPy and the
    GPU in a fourth run, which is the only one with `-m gpu`.
    """
    if request.param == "hardware":
        yield from on_hardware(request)
    else:
        gpu = request.getfixturevalue("gpu")
        with use_backend(EmulatedBackend(order=request.param)):
            yield gpu


def on_hardware(request):
    """CuPy, whose kernels run on the GPU; with `--compared`, in the emulator as well."""
    if asked := NOT_ON_HARDWARE & set(request.fixturenames):
        pytest.skip(f"asks the stand-in for CuPy what it was told ({', '.join(sorted(asked))})")
    raise_pending = checks.raise_pending

    def wait_and_raise():  # the emulator's kernels are done at once
        arrays.cuda_module().cuda.runtime.deviceSynchronize()
        raise_pending()

    request.getfixturevalue("monkeypatch").setattr(checks, "raise_pending", wait_and_raise)
    if not request.config.getoption("--compared", default=False):
        with use_backend(cupy_backend()), hardware.poisoned_memory():
            yield arrays.cuda_module()
        return
    with hardware.shared_memory() as memory:
        backend = side_by_side.SideBySide(
            cupy_backend(), EmulatedBackend(), memory.parts, memory.wait
        )
        with use_backend(backend):
            yield arrays.cuda_module()
    request.node.user_properties.append(("compared", dict(backend.found)))


def pytest_addoption(parser):
    parser.addoption(
        "--one-of-each",
        action="store_true",
        help="of the tests that run kernels, each function once, not with all its parameters",
    )
    parser.addoption(
        "--compared",
        action="store_true",
        help="on a GPU, launch each kernel in the emulator too and compare the results bit by bit",
    )


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the marks
def pytest_collection_modifyitems(items, config):
    chosen, left, seen = [], [], set()
    for item in items:
        runs_kernels = "emulated" in getattr(item, "fixturenames", ())
        if runs_kernels:
            item.add_marker("emulated")
        if runs_kernels and config.getoption("--one-of-each", default=False):
            claim = (item.path, item.originalname, "[hardware" in item.name)
            (left if claim in seen else chosen).append(item)
            seen.add(claim)
        else:
            chosen.append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = chosen
    watching.put_last(items)


def pytest_collection_finish(session):
    if not session.config.getoption("collectonly"):
        watching.start(session.config, session.items)


def pytest_unconfigure(config):
    watching.stop(config)
