"""The project's tests on the GPU: the kernels' own, again beside the emulator, and `tests/gpu`.

A run has a time limit, and what was found until then counts.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_parts.parts import Bench

ROOT = Path(__file__).parents[2]
MARGIN = 5.0  # seconds before the part's end at which a run is stopped
FAILURES = 40  # that are listed

# What pytest runs, by job; in order, for each takes what time is left.
JOBS: dict[str, list[str]] = {
    "every kernel, in float64's eyes": ["tests/kernels"],
    "kernels and emulator, bit by bit": ["tests/kernels", "--compared", "--one-of-each"],
    "streams, memory, other libraries": [
        "tests/gpu/test_streams.py",
        "tests/gpu/test_memory.py",
        "tests/gpu/test_exchange.py",
    ],
    "every operation": ["tests/gpu/test_operations.py", "tests/gpu/test_layouts.py"],
}
HARNESS = list(JOBS)[:2]
ALONE = {"streams, memory, other libraries"}  # others on the GPU would disturb its timing
TINY = ["tests/kernels/test_side_by_side.py", "-m", ""]


def harness_jobs(bench: "Bench") -> list[str]:
    return HARNESS[:1] if bench.quick else HARNESS


def test_jobs(bench: "Bench") -> list[str]:
    return [job for job in JOBS if job not in HARNESS]


def work(bench: "Bench", job: str) -> dict[str, Any]:
    """Run the tests of a job and sum up."""
    left = bench.deadline - time.monotonic() - MARGIN
    if job == HARNESS[0] and not bench.quick:
        left *= 0.6  # the other half of the harness has the rest
    arguments = TINY if bench.tiny else ["-m", "gpu", *JOBS[job], *in_parallel(job)]
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes.jsonl"
        start = time.monotonic()
        ended = run(arguments, outcomes, min(left, 590.0))
        lines = outcomes.read_text().splitlines() if outcomes.exists() else []
    found = summary([json.loads(line) for line in lines])
    return found | {"run": ended, "took": time.monotonic() - start}


def in_parallel(job: str) -> list[str]:
    if job in ALONE or importlib.util.find_spec("xdist") is None:
        return []
    return ["-n", str(min(os.cpu_count() or 1, 12))]


def run(arguments: list[str], outcomes: Path, seconds: float) -> str:
    """How pytest ended: with its last line, or stopped."""
    command = [sys.executable, "-m", "pytest", "-p", "gpu_parts.outcomes", "-p", "no:cacheprovider"]
    command += ["-W", "default::DeprecationWarning"]  # of versions that are not the project's
    command += ["--outcomes", str(outcomes), *arguments]
    paths = [str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=max(seconds, 1.0))
    except subprocess.TimeoutExpired:
        process.terminate()  # pytest ends its own processes
        try:
            process.communicate(timeout=MARGIN)
        except subprocess.TimeoutExpired:
            process.kill()
        return f"stopped after {seconds:.0f} s"
    if process.returncode in (0, 1):  # passed; some failed
        return "finished"
    said = [line for line in printed.splitlines() if line.strip()]
    return f"exit status {process.returncode}: {said[-1] if said else ''}"


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Outcomes by file, what failed and why, and which kernels agree with the emulator."""
    files: dict[str, Counter[str]] = defaultdict(Counter)
    kernels: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    reasons: Counter[str] = Counter()
    failures = []
    for line in lines:
        for kernel, counts in line.get("compared", {}).items():
            kernels[kernel] = [a + b for a, b in zip(kernels[kernel], counts, strict=True)]
        if "test" not in line:
            continue
        files[line["test"].partition("::")[0]][line["outcome"]] += 1
        if line["outcome"] == "failed":
            failures.append({"test": line["test"], "reason": line["reason"]})
        elif line["outcome"] == "skipped":
            reasons[line["reason"]] += 1
    total = sum(files.values(), Counter())
    return {
        "outcomes": dict(total),
        "files": {name: dict(counts) for name, counts in sorted(files.items())},
        "failures": failures[:FAILURES],
        "skipped": dict(reasons.most_common(10)),
        "kernels": dict(sorted(kernels.items())),
    }
