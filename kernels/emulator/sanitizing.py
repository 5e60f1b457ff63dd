"""Running a command under AddressSanitizer or ThreadSanitizer, so that kernels in it are watched.

    python -m tapegrad.kernels.emulator.sanitizing address COMMAND ...

The sanitizer's library has to be the first in the process, and Python's own allocator out of the
way, so that every NumPy array lies between red zones. Kernels are then compiled with the sanitizer
(TAPEGRAD_SANITIZER says so); Python and NumPy are not, and their accesses are not watched.
"""

from __future__ import annotations

import ctypes
import os
import sys
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


def main(arguments: list[str]) -> NoReturn:
    """The command line of this module: the name of a sanitizer and a command."""
    if len(arguments) < 2 or arguments[0] not in SANITIZERS:
        raise SystemExit(f"usage: ... {{{','.join(SANITIZERS)}}} COMMAND ...")
    try:
        become(arguments[0], arguments[1:])
    except EmulatorError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main(sys.argv[1:])
