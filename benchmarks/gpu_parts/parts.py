"""The parts of the benchmark, in order: what each is made of, and what share of the time it has.

A part is a list of jobs by name. A process of its own does them one after another (`worker.py`), so
that an error that a GPU does not recover from costs one job.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from workloads import Library

from gpu_parts import compilers, costs, machine, memory_bound, products, suites, training
from gpu_parts.row import Row, measure
from gpu_parts.sides import both
from gpu_parts.timing import Sampler, sampler

Figures = dict[str, Any]


@dataclass
class Bench:
    """Where jobs run, and how long they may take."""

    device: str
    quick: bool = False
    deadline: float = float("inf")  # of the part, by time.monotonic
    rows: dict[str, tuple[Row, Row]] = field(default_factory=dict)  # in full and tiny

    @property
    def tiny(self) -> bool:
        """Whether the sizes only show that everything runs."""
        return self.device != "cuda"

    @cached_property
    def libraries(self) -> dict[str, Library]:
        return both(self.device)

    @property
    def sample(self) -> Sampler:
        return sampler(self.device)

    @property
    def seconds(self) -> float:
        """That the samples of a side may take."""
        return 0.0 if self.tiny else 0.04 if self.quick else 0.12


class Part(NamedTuple):
    """Jobs that are done in one process; their rows make a table."""

    title: str
    share: float  # of the time, beside the other parts'
    jobs: Callable[[Bench], Iterable[str]]
    work: Callable[[Bench, str], Figures]
    limit: float = 60.0  # seconds that a job may take


def in_rows(rows: Callable[[bool], list[Row]]) -> dict[str, Any]:
    """A part made of rows."""

    def find(bench: Bench, name: str) -> tuple[Row, Row]:
        if not bench.rows:
            full, tiny = rows(bench.tiny), rows(True)
            bench.rows = {a.name: (a, b) for a, b in zip(full, tiny, strict=True)}
        return bench.rows[name]

    def work(bench: Bench, name: str) -> Figures:
        row, tiny = find(bench, name)
        return described(row) | measure(row, tiny, bench.libraries, bench.sample, bench.seconds)

    return {"jobs": lambda bench: [row.name for row in rows(bench.tiny)], "work": work}


def described(row: Row) -> Figures:
    return {
        key: getattr(row, key)
        for key in ("title", "bytes", "flops", "ceiling", "share", "ratio", "precision")
    }


def memory(bench: Bench, name: str) -> Figures:
    row = next(row for row in training.rows(bench.tiny) if row.name == name)
    return {"title": row.title, "bytes_added": costs.peaks(bench, row)}


def ways(bench: Bench) -> dict[str, tuple[str, Row]]:
    rows = memory_bound.rows(bench.tiny) + training.rows(bench.tiny)
    return compilers.jobs(rows, bench.device)


def compiled(bench: Bench, name: str) -> Figures:
    way, row = ways(bench)[name]
    found = compilers.measure(way, row, bench.libraries, bench.sample, bench.seconds)
    return {"row": row.name, "seconds": found}


PARTS = {
    "environment": Part("The machine", 2, lambda bench: ["environment"], machine.environment),
    "harness": Part("Kernels: the emulator against hardware", 22, suites.harness_jobs,
                    suites.work, 400),
    "tests": Part("Tests that need a GPU", 18, suites.test_jobs, suites.work, 400),
    "ceilings": Part("Ceilings", 4, machine.ceiling_jobs, machine.ceiling),
    "kernels": Part("Kernels against their floor and PyTorch", 16, **in_rows(memory_bound.rows)),
    "products": Part("Matrix products", 6, **in_rows(products.rows)),
    "convolutions": Part("Convolutions", 14, **in_rows(products.convolutions)),
    "training": Part("Training steps", 10, **in_rows(training.rows)),
    "launches": Part("What a call costs the host", 3, costs.launch_jobs, costs.launch),
    "memory": Part("Peak memory of training steps", 5,
                   lambda bench: [row.name for row in training.rows(bench.tiny)], memory),
    "compiled": Part("PyTorch compiled, and captured as a graph", 14, ways, compiled, 100),
}  # fmt: skip
