"""Every operation against the plain NumPy formula: `python benchmarks/operations.py [NAME ...]`.

A million float32 elements, forward, recording (the input requires a gradient), against what one
would write in NumPy; sides take turns, the figure is the median of the ratios of neighbours. What
counts is processor time, which other work on the machine disturbs little; use one thread.
`--write` puts the numbers into results/operations.json, `--budget 1.5` lists only what exceeds it.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from formulas import INPUTS, ROWS

import tapegrad as tg

RESULTS = Path(__file__).parent / "results" / "operations.json"
BUDGET = 1.5


def measure(name: str, repeats: int) -> dict[str, float]:
    """Median seconds of both sides and the median of their ratios."""
    letters, ours, theirs = ROWS[name]
    arrays = [INPUTS[letter].copy() for letter in letters]
    tensors = [tg.tensor(a, requires_grad=a.dtype == np.float32) for a in arrays]
    samples: list[tuple[float, float]] = []
    sides = [(ours, tensors), (theirs, arrays)]
    with np.errstate(all="ignore"):
        while len(samples) < repeats + 1:
            seconds: list[float] = []
            kept = []  # so that neither side gets the memory of the other
            for function, inputs in sides:
                start = time.process_time()
                kept.append(function(*inputs))
                seconds.append(time.process_time() - start)
            del kept
            swapped = len(samples) % 2  # the first to run finds a colder cache
            samples.append((seconds[swapped], seconds[1 - swapped]))
            sides.reverse()
    samples = samples[1:]
    return {
        "tapegrad_s": statistics.median(ours for ours, _ in samples),
        "numpy_s": statistics.median(theirs for _, theirs in samples),
        "ratio": statistics.median(ours / theirs for ours, theirs in samples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these operations")
    parser.add_argument("--repeats", type=int, default=15, help="samples of each side (15)")
    parser.add_argument("--budget", type=float, default=0.0, help="show only ratios above this")
    parser.add_argument("--write", action="store_true", help="update results/operations.json")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for name in options.names or ROWS:
        try:
            found[name] = measure(name, options.repeats)
        except Exception as error:
            print(f"{name:24} failed: {type(error).__name__}: {error}")
            continue
        if found[name]["ratio"] > options.budget:
            ours, theirs, ratio = found[name].values()
            print(f"{name:24} {ours * 1e3:8.3f} ms {theirs * 1e3:8.3f} ms {ratio:6.2f}")
    over = [name for name, figures in found.items() if figures["ratio"] > BUDGET]
    print(f"{len(found)} measured, {len(over)} above {BUDGET}: {', '.join(over) or 'none'}")
    if options.write:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
