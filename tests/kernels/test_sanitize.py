"""The kernel suite again, under AddressSanitizer and ThreadSanitizer.

The tests that run kernels in the emulator (those of the fixture `emulated`) are run once more by
processes that watch every access of every kernel. Each function among them is run once; all of
them, with all their parameters, by

    python -m pytest -m sanitize
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapegrad.kernels.emulator import EmulatorError, sanitizing

ROOT = Path(__file__).parents[2]
SANITIZERS = ("address", "thread")
pytestmark = pytest.mark.sanitize


@pytest.fixture(scope="module")
def suites(request, tmp_path_factory):
    """The suite's runs, both at once: for each sanitizer the process and where its reports go."""
    try:
        for sanitizer in SANITIZERS:
            sanitizing.environment(sanitizer)
    except EmulatorError as error:
        pytest.skip(str(error))
    tests = ["tests/kernels", "-m", "emulated", "-p", "no:cacheprovider"]
    if request.config.getoption("markexpr") != "sanitize":
        tests.append("--one-of-each")
    folder = tmp_path_factory.mktemp("reports")
    running = {s: watched(s, folder / s, ["-m", "pytest", *tests]) for s in SANITIZERS}
    yield {sanitizer: (process, folder) for sanitizer, process in running.items()}
    for process in running.values():
        process.kill()


def watched(sanitizer, log, command):
    options = {"ASAN_OPTIONS": f"log_path={log}", "TSAN_OPTIONS": f"log_path={log}"}
    return subprocess.Popen(
        [sys.executable, "-m", sanitizing.__name__, sanitizer, sys.executable, *command],
        cwd=ROOT,
        env=os.environ | options,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_no_kernel_of_the_suite_is_reported(suites, sanitizer, capsys):
    process, folder = suites[sanitizer]
    printed = process.communicate()[0][-3000:]
    reports = [path.read_text() for path in folder.glob(f"{sanitizer}.*")]
    assert not reports, reports[0] + printed
    assert process.returncode == 0, printed
    with capsys.disabled():
        print(f"\nunder the {sanitizer} sanitizer: {printed.splitlines()[-1]}")
