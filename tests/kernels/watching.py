"""Starts the runs of the kernel suite under the sanitizers, beside the tests that come before them.

They take minutes of a processor that pytest leaves idle, so they begin when the tests are collected
and their outcome is waited for by `test_sanitize.py`, which is moved to the end.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tapegrad.kernels.emulator import EmulatorError, sanitizing

ROOT = Path(__file__).parents[2]
SANITIZERS = ("address", "thread")
SUITES = pytest.StashKey()


def put_last(items):
    """Move the tests that wait for the suites behind all others."""
    items.sort(key=lambda item: "suites" in getattr(item, "fixturenames", ()))


def start(config, items):
    """Start the suites if a test waits for them; the reason instead if they cannot be run here."""
    if not any("suites" in getattr(item, "fixturenames", ()) for item in items):
        return
    try:
        for sanitizer in SANITIZERS:
            sanitizing.environment(sanitizer)
    except EmulatorError as error:
        config.stash[SUITES] = error
        return
    tests = ["tests/kernels", "-m", "emulated", "-p", "no:cacheprovider"]
    if config.getoption("markexpr") != "sanitize":
        tests.append("--one-of-each")
    folder = Path(tempfile.mkdtemp())
    config.stash[SUITES] = {
        s: (watched(s, folder / s, ["-m", "pytest", *tests]), folder) for s in SANITIZERS
    }


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


def stop(config):
    """End what still runs, and remove the reports."""
    found = config.stash.get(SUITES, {})
    if isinstance(found, EmulatorError):
        return
    for process, folder in found.values():
        process.kill()
        process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)
