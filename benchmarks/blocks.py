"""How a fused pass on a CPU is best made: `python benchmarks/blocks.py [--write]`.

The same ten pointwise gates on four million floats, forward: gate by gate in NumPy, in cache-sized
blocks of NumPy (what `@tg.fused` does), and by numexpr, each in one thread and in two. `--write`
keeps the figures in results/blocks.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numexpr
import numpy as np
import workloads

import tapegrad as tg
from tapegrad.kernels import blocks

RESULTS = Path(__file__).parent / "results" / "blocks.json"
FORMULA = "exp(-(1 / (1 + exp(-tanh(x * w + x) * w)) - x * 0.5) ** 2)"
REPEATS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep the figures")
    options = parser.parse_args()
    x, w = workloads.normal(workloads.POINTS), workloads.normal(workloads.POINTS, seed=1)
    tensors = tg.tensor(x), tg.tensor(w)
    fused = tg.fused(lambda x, w: workloads.ten_gates(tg, x, w))
    program = fused.program(*tensors)
    np.testing.assert_allclose(
        numexpr.evaluate(FORMULA), blocks.run(np, program, [x, w], [])[0], rtol=1e-4
    )
    figures: dict[str, float] = {}
    for threads in (1, 2):
        tg.set_num_threads(threads)
        numexpr.set_num_threads(threads)
        for name, call in {
            "gate by gate": lambda: workloads.ten_gates(tg, *tensors),
            "blocks of NumPy": lambda: blocks.run(np, program, [x, w], []),
            "numexpr": lambda: numexpr.evaluate(FORMULA, {"x": x, "w": w}),
        }.items():
            figures[f"{name}, {threads} threads"] = median(call)
    for name, milliseconds in figures.items():
        print(f"{name:28} {milliseconds:7.2f} ms")
    if options.write:
        found = {"numpy": np.__version__, "numexpr": numexpr.__version__, "ms": figures}
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")


def median(call: Callable[[], Any]) -> float:
    """The median of the milliseconds of a call."""
    call()
    samples = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return round(statistics.median(samples) * 1e3, 2)


if __name__ == "__main__":
    main()
