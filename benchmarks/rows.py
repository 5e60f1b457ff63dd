"""The rows of the cost budget: what each one compares, how it is sampled, and what it may cost.

Each side runs in a process of its own, so that neither has the other's threads beside it and lives
with the other's settings of the allocator. Sides take turns (A B A B ...), so that a machine that
slows down slows both, and a row's figure is the median of the ratios of neighbours. Before anything
is timed, all sides must agree on the loss and on every gradient over three iterations.
"""

import contextlib
import functools
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import workloads
from workloads import GATES, Library, Work

OURS, THEIRS, MYGRAD = "tapegrad", "pytorch", "mygrad"
Samples = dict[str, list[float]]  # a side's measurements, in the order they were taken

SAMPLE_SECONDS = 0.05  # an iteration is repeated until a sample takes this long
TOLERANCE = 1e-3  # of an array's largest entry: float32, three steps, sums in another order
SETTLE_SECONDS = 0.05  # for the other side's idle worker threads to stop spinning
PROCESSES = 3  # of each side, one after another: how memory falls out differs between processes


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    unit: str
    budget: float  # the highest ratio allowed, or the highest difference
    sample: Callable[[int], Samples]  # the repeats -> {OURS: ..., the reference: ..., MYGRAD: ...}
    difference: bool = False


def timed(
    make: Callable[[Library], Work],
    mygrad: Callable[[Library], Work] | None = None,
    pieces: int = 1,
) -> Callable[[int], Samples]:
    """Time `make` on both sides, per piece; `mygrad` is the same for MyGrad, where it can."""
    makes = {OURS: make, THEIRS: make} | ({MYGRAD: mygrad} if mygrad else {})

    def sample(repeats: int) -> Samples:
        require_parity({side: work(library(side)) for side, work in makes.items()})
        samples: Samples = {side: [] for side in makes}
        for process in range(PROCESSES):
            with contextlib.ExitStack() as stack:
                workers = {
                    side: stack.enter_context(worker(side, work.__name__))
                    for side, work in makes.items()
                }
                for _ in range(process, repeats, PROCESSES):
                    for side, sampled in workers.items():
                        time.sleep(SETTLE_SECONDS)
                        samples[side].append(sampled() / pieces)
        return samples

    return sample


@functools.cache
def library(name: str) -> Library:
    return getattr(workloads, name)()


@contextlib.contextmanager
def worker(side: str, workload: str) -> Iterator[Callable[[], float]]:
    """A process that takes a sample of a workload at each call: seconds of one iteration."""
    command = [sys.executable, __file__, side, workload]
    process = subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

    def sampled() -> float:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        with contextlib.suppress(BrokenPipeError):  # what the process said is raised below
            print(file=process.stdin, flush=True)
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(process.stderr.read().strip().rpartition("\n")[2])
        return float(line)

    with process:
        try:
            yield sampled
        finally:
            process.terminate()


def work_for_others(side: str, workload: str) -> None:
    """What a `worker` does: for each line of the input a sample."""
    work = getattr(workloads, workload)(library(side))
    count = iterations_for(work)
    gc.collect()
    for _ in sys.stdin:
        work.run()
        print(seconds(work, count) / count, flush=True)


def require_parity(works: dict[str, Work]) -> None:
    for iteration in range(1, 4):
        for work in works.values():
            work.run()
        outcomes = {side: work.results() for side, work in works.items()}
        expected = outcomes.pop(THEIRS)
        for side, outcome in outcomes.items():
            for key, value in expected.items():
                difference = np.abs(outcome[key] - value).max() / np.abs(value).max()
                if outcome[key].dtype != value.dtype or not difference < TOLERANCE:
                    raise ValueError(
                        f"{side} and {THEIRS} disagree in iteration {iteration}: {key} is off by "
                        f"{difference:.1e} of its largest entry, {outcome[key].dtype} against "
                        f"{value.dtype}"
                    )


def iterations_for(work: Work) -> int:
    count = 1
    while (took := seconds(work, count)) < SAMPLE_SECONDS / 2:
        count *= 2
    return max(1, round(count * SAMPLE_SECONDS / took))


def seconds(work: Work, count: int) -> float:
    run = work.run
    start = time.perf_counter()
    for _ in range(count):
        run()
    return time.perf_counter() - start


def peak_memory(workload: str, batch: int) -> Callable[[int], Samples]:
    """The bytes a training step adds, each side in processes of its own; see peak.py."""
    script = str(Path(__file__).with_name("peak.py"))

    def sample(repeats: int) -> Samples:
        commands = {
            side: [sys.executable, script, side, workload, str(batch)] for side in (OURS, THEIRS)
        }
        samples: Samples = {side: [] for side in commands}
        for _ in range(min(repeats, 5)):
            for side, command in commands.items():
                samples[side].append(float(run_process(command)))
        return samples

    return sample


def import_time(repeats: int) -> Samples:
    """The wall time of a process that only imports, each package in turn.

    Their bytecode is kept, as installed packages have it, whatever the environment says.
    """
    packages = ("tapegrad", "numpy")
    samples: Samples = {package: [] for package in packages}
    with tempfile.TemporaryDirectory() as kept:
        changed = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": kept}
        for repeat in range(repeats + 1):
            for package in packages:
                start = time.perf_counter()
                run_process([sys.executable, "-P", "-c", f"import {package}"], **changed)
                if repeat:  # the first reads the files from the disk and compiles them
                    samples[package].append(time.perf_counter() - start)
    return samples


def run_process(command: list[str], **changed: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | changed,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    return done.stdout


w = workloads
ROWS = [
    Row(
        "scalar-mul",
        f"one scalar `mul` gate of a chain of {GATES}, forward and backward",
        "us",
        0.6,
        timed(w.scalar_mul, w.scalar_mul, pieces=GATES),
    ),
    Row(
        "scalar-add",
        f"one scalar `add` gate of a chain of {GATES}, forward and backward",
        "us",
        0.6,
        timed(w.scalar_add, w.scalar_add, pieces=GATES),
    ),
    Row(
        "scalar-lone",
        "a lone scalar `mul` gate, forward and backward",
        "us",
        0.6,
        timed(w.scalar_lone, w.scalar_lone),
    ),
    Row("mlp", "MLP 784-256-128-10, batch 64, Adam step", "ms", 1.0, timed(w.mlp, w.mygrad_mlp)),
    Row("lenet", "LeNet on 28x28, batch 64, SGD step", "ms", 2.0, timed(w.lenet)),
    Row(
        "convolutions",
        "two 3x3 convolutions with 64 channels on 32x32, batch 32, SGD step",
        "ms",
        1.5,
        timed(w.convolutions),
    ),
    Row(
        "pointwise",
        "pointwise chain on 4 M floats, forward and backward",
        "ms",
        2.0,
        timed(w.pointwise, w.pointwise),
    ),
    Row(
        "fused",
        "ten pointwise gates on 4 M floats, one fused pass each way against eager",
        "ms",
        0.5,
        timed(w.fused),
    ),
    Row(
        "norms",
        "layer norm, linear, GELU, layer norm on 1024x512, forward and backward",
        "ms",
        1.5,
        timed(w.norms),
    ),
    Row(
        "attention",
        "causal attention, 4x8 heads of 128x64, forward and backward",
        "ms",
        2.0,
        timed(w.attention),
    ),
    Row(
        "memory-mlp",
        "peak memory of the MLP's step, batch 4096",
        "MB",
        1.1,
        peak_memory("mlp", 4096),
    ),
    Row(
        "memory-lenet",
        "peak memory of LeNet's step, batch 512",
        "MB",
        1.1,
        peak_memory("lenet", 512),
    ),
    Row(
        "memory-convolutions",
        "peak memory of the convolutions' step, batch 32",
        "MB",
        1.1,
        peak_memory("convolutions", 32),
    ),
    Row(
        "import",
        "`import tapegrad`, over NumPy's own import",
        "ms",
        0.3,
        import_time,
        difference=True,
    ),
]

if __name__ == "__main__":
    work_for_others(*sys.argv[1:])
