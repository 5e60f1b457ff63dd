"""Running a command under AddressSanitizer or ThreadSanitizer, so that kernels in it are watched.

    python -m tapegrad.kernels.emulator.sanitizing address COMMAND ...

The sanitizer's library has to be the first in the process, and Python's own allocator out of the
way, so that every NumPy array lies between red zones. Kernels are then compiled with the sanitizer
(TAPEGRAD_SANITIZER says so); Python and NumPy are not, and their accesses are not watched.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tapegrad.kernels.emulator.building import SANITIZERS, EmulatorError, sanitizer_libraries

_OPTIONS = {
    # Fibers have stacks of their own, on which a frame's use after return cannot be told; leaks
    # are Python's.
    "address": "detect_leaks=0:detect_stack_use_after_return=0",
    # Races of the libraries around are not ours to report.
    "thread": "report_signal_unsafe=0:ignore_noninstrumented_modules=1:exitcode=66",
}
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE of <sys/personality.h>


def environment(sanitizer: str) -> dict[str, str]:
    """The environment variables under which a process is watched.

    What ASAN_OPTIONS or TSAN_OPTIONS says already comes last: log_path=NAME, for one, writes each
    report to a file of this name and the number of the process, not to the standard error stream.

    Args:
        sanitizer: `"address"` or `"thread"`.

    Raises:
        EmulatorError: if g++ or the sanitizer's library is missing.
    """
    libraries = sanitizer_libraries(sanitizer)
    if not libraries:
        raise EmulatorError(f"the library of the {sanitizer} sanitizer is not installed")
    options = {"address": "ASAN_OPTIONS", "thread": "TSAN_OPTIONS"}[sanitizer]
    return {
        "TAPEGRAD_SANITIZER": sanitizer,
        "LD_PRELOAD": ":".join(map(str, libraries)),
        "PYTHONMALLOC": "malloc",
        # The pool of OpenBLAS would be watched for nothing.
        "OPENBLAS_NUM_THREADS": "1",
        options: f"{_OPTIONS[sanitizer]}:{os.environ.get(options, '')}",
    }


def become(sanitizer: str, command: list[str]) -> NoReturn:
    """Turns this process into a command, watched.

    Raises:
        EmulatorError: if g++ or the sanitizer's library is missing.
    """
    watched = os.environ | environment(sanitizer)
    # ThreadSanitizer expects a process where Linux puts it without address randomisation. Where
    # this is refused it may still be lucky.
    ctypes.CDLL(None).personality(_NO_RANDOM_ADDRESSES)
    os.execvpe(command[0], command, watched)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: becomes the command; returns the exit status where it cannot."""
    parser = argparse.ArgumentParser(
        prog="python -m tapegrad.kernels.emulator.sanitizing",
        usage="%(prog)s [-h] {address,thread} COMMAND ...",
        description="Run a command and watch the kernels that it runs in the emulator.",
        epilog="for example\n  python -m tapegrad.kernels.emulator.sanitizing thread "
        "python -m pytest tests/kernels/test_cuda_softmax.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sanitizer", choices=SANITIZERS, help="for accesses out of bounds (address) or for races")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="a program and its arguments")
    options = parser.parse_args(argv)
    if not options.command:
        parser.error("there is no COMMAND to run")
    try:
        become(options.sanitizer, options.command)
    except EmulatorError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{options.command[0]}: {error.strerror}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
