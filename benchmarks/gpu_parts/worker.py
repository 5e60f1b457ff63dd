"""The process of a part: `python -m gpu_parts.worker PART SETTINGS JOB ...`, run by `gpu.py`.

Prints a line of JSON when a job begins and one with its figures when it has ended. After an error
that a GPU may not have recovered from the process ends, and the next one does the jobs that follow.
"""

import contextlib
import gc
import json
import sys
import traceback
from typing import Any

from workloads import Library

from gpu_parts.parts import PARTS, Bench
from gpu_parts.sides import THEIRS, usable


def main() -> None:
    part, settings, *jobs = sys.argv[1:]
    bench = Bench(**json.loads(settings))
    with usable(bench.device):
        for job in jobs:
            say({"begin": job})
            try:
                figures = PARTS[part].work(bench, job)
            except Exception as error:
                traceback.print_exc()
                say({"job": job, "failed": in_a_line(error)})
                if not usable_after(bench):
                    raise SystemExit(1) from None
            else:
                say({"job": job, **figures})
            tidy(bench)


def say(line: dict[str, Any]) -> None:
    print("\n" + json.dumps(line), flush=True)


def in_a_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def usable_after(bench: Bench) -> bool:
    """Whether the GPU still computes."""
    with contextlib.suppress(Exception):
        for lib in at_work(bench).values():
            (lib.drawn(10) + 1).sum().item()
        return True
    return False


def tidy(bench: Bench) -> None:
    """Give back what a job took, for the next one's arrays may be as large."""
    gc.collect()
    for name, lib in at_work(bench).items():
        lib.ops.cuda.empty_cache()
        if name == THEIRS and "torch._dynamo" in sys.modules:
            lib.ops.compiler.reset()


def at_work(bench: Bench) -> dict[str, Library]:
    """The libraries that a job has put onto a GPU."""
    return vars(bench).get("libraries", {}) if bench.device == "cuda" else {}


if __name__ == "__main__":
    main()
