"""Print the bytes a training step adds to this process: `python peak.py LIBRARY WORKLOAD BATCH`.

The baseline is the memory in use once the library is imported, its code paged in by one step of a
throw-away model on a single sample, and the real model and its data made. Then the kernel's
high-water mark is reset, three steps run, and the mark is read. Linux only: `ru_maxrss` would not
do, since a child process starts from its parent's maximum and importing leaves a peak of its own.
"""

import gc
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import workloads


def peak_of(library: str, workload: str, batch: int) -> int:
    lib = getattr(workloads, library)()
    make = getattr(workloads, workload)
    make(lib, batch=1).run()
    gc.collect()
    return added(make(lib, batch=batch).run)


def added(run: Callable[[], Any]) -> int:
    """The bytes that three runs add to this process at most."""
    Path("/proc/self/clear_refs").write_text("5")  # 5: the high-water mark falls to the present
    before = status("VmRSS")
    for _ in range(3):
        run()
    return status("VmHWM") - before


def status(field: str) -> int:
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    assert found, f"/proc/self/status has no {field}"
    return 1024 * int(found[1])


if __name__ == "__main__":
    print(peak_of(sys.argv[1], sys.argv[2], int(sys.argv[3])))
