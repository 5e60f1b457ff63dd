"""Every operation against the plain NumPy formula: `python benchmarks/operations.py [NAME ...]`.

A million float32 elements, forward, recording (the input requires a gradient), against what one
would write in NumPy; sides take turns, the figure is the median of the ratios of neighbours. What
counts is processor time, which other work on the machine disturbs little; use one thread.
`--write` puts the numbers into results/operations.json and README.md, `--budget 1.5` lists only
what exceeds it.
"""

import argparse
import json
import os
import platform
import statistics
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from formulas import INPUTS, ROWS

import tapegrad as tg

README = Path(__file__).parent / "README.md"
RESULTS = Path(__file__).parent / "results" / "operations.json"
BUDGET = 1.5


def measure(name: str, repeats: int) -> dict[str, float]:
    """Median seconds of both sides and the median of their ratios."""
    letters, ours, theirs = ROWS[name]
    inputs = [INPUTS[letter] for letter in letters]
    tensors = [tg.tensor(a, requires_grad=a.dtype == np.float32) for a in inputs]
    arrays = [tensor.detach().numpy() for tensor in tensors]  # both sides read the same memory
    samples: list[tuple[float, float]] = []
    sides = [(ours, tensors), (theirs, arrays)]
    with np.errstate(all="ignore"):
        while len(samples) < repeats + 1:
            seconds: list[float] = []
            kept = []  # so that neither side gets the memory of the other
            for function, given in sides:
                start = time.process_time()
                kept.append(function(*given))
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


def write(found: dict[str, dict[str, float]], repeats: int) -> None:
    """Put new rows among those of results/operations.json, and their summary into README.md."""
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else {}
    for name, row in found.items():
        rows[name] = {k: float(f"{v:.4g}") for k, v in row.items()} | {"repeats": repeats}
    report = {
        "machine": f"{platform.machine()} {platform.system()}, one thread",
        "load": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "scipy", "tapegrad")},
        },
        "rows": {name: rows[name] for name in ROWS if name in rows},
    }
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    before, start, rest = README.read_text(encoding="utf-8").partition("<!-- operations -->\n")
    _, end, after = rest.partition("<!-- end of operations -->")
    if not (start and end):
        raise SystemExit(f"{README.name} has lost the markers around the operations")
    README.write_text(f"{before}{start}{summary(report)}\n{end}{after}", encoding="utf-8")


def summary(report: dict[str, Any]) -> str:
    """What README.md says of a report."""
    ratios = {name: row["ratio"] for name, row in report["rows"].items()}
    ranked = sorted(ratios, key=lambda name: -ratios[name])
    over = sum(ratio > BUDGET for ratio in ratios.values())
    repeats = sorted({row["repeats"] for row in report["rows"].values()})
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return "\n".join(
        [
            f"{len(ratios)} rows, median ratio {statistics.median(ratios.values()):.2f}, "
            f"{over} above {BUDGET}. The five largest:",
            "",
            "| row | tapegrad | NumPy | ratio |",
            "| --- | --- | --- | --- |",
            *(
                f"| `{name}` | {report['rows'][name]['tapegrad_s'] * 1e3:.3g} ms "
                f"| {report['rows'][name]['numpy_s'] * 1e3:.3g} ms | {ratios[name]:.2f} |"
                for name in ranked[:5]
            ),
            "",
            f"{report['machine']}, load {report['load']}; {versions}; "
            f"{' or '.join(map(str, repeats))} samples of each side.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these operations")
    parser.add_argument("--repeats", type=int, default=15, help="samples of each side (15)")
    parser.add_argument("--budget", type=float, default=0.0, help="show only ratios above this")
    parser.add_argument("--write", action="store_true", help="update results and README")
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
        write(found, options.repeats)


if __name__ == "__main__":
    main()
