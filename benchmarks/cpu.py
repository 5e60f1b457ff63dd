"""Measure the cost budget on a CPU: `python benchmarks/cpu.py [--rows NAME ...] [--write]`.

Prints a table of medians and ratios, and says which budgets are met; it never fails on a figure.
`--write` puts the table into README.md beside this file and the numbers into results/cpu.json.
"""

import argparse
import json
import os
import platform
import re
import statistics
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rows import Row, Samples

HERE = Path(__file__).parent
README = HERE / "README.md"
RESULTS = HERE / "results" / "cpu.json"
SCALES = {"us": 1e6, "ms": 1e3, "MB": 1e-6}
HEADER = ("row", "what", "tapegrad", "PyTorch", "ratio (quartiles)", "budget", "met", "MyGrad")


def main() -> None:
    options = parse_arguments()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)  # read when NumPy and PyTorch are imported

    from rows import ROWS

    known = {row.name: row for row in ROWS}
    unknown = set(options.rows) - known.keys()
    if unknown:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    names = options.rows or list(known)
    found = machine(options.threads)
    if found["load"] > 0.5:
        print(f"The machine is busy (load {found['load']}): the ratios below will mean little.\n")
    print_line(HEADER)
    entries = []
    for name in names:
        entries.append(measure(known[name], options.repeats))
        print_line(cells(entries[-1]))
    report = {"machine": found, "repeats": options.repeats, "rows": entries}
    print("\n" + machine_line(report))
    if options.write:
        write(report)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="only these rows")
    parser.add_argument("--repeats", type=int, default=15, help="samples of each side (15)")
    parser.add_argument(
        "--threads",
        type=int,
        default=available_cores(),
        help="threads of both sides (all processors)",
    )
    parser.add_argument("--write", action="store_true", help="update README.md and results/")
    options = parser.parse_args()
    if options.repeats < 2:
        parser.error("--repeats: quartiles need at least 2")
    if options.write and options.rows:
        parser.error("--write records the whole table, so it does not go with --rows")
    return options


def available_cores() -> int:
    """The processors this process may use; not every system can say which."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def measure(row: "Row", repeats: int) -> dict[str, Any]:
    """One row's figures; a row that cannot run says why, and the others go on."""
    entry: dict[str, Any] = {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "budget": row.budget,
        "compared_by": "difference" if row.difference else "ratio",
    }
    try:
        samples = row.sample(repeats)
    except Exception as error:
        return {**entry, "failed": f"{type(error).__name__}: {error}"}
    return {**entry, **figures(row, samples)}


def figures(row: "Row", samples: "Samples") -> dict[str, Any]:
    ours, theirs = list(samples.values())[:2]
    pairs = zip(ours, theirs, strict=True)
    score = quartiles([a - b if row.difference else a / b for a, b in pairs])
    sides = {side: quartiles(values) for side, values in samples.items()}
    return {**sides, "score": score, "met": score["median"] <= row.budget}


def quartiles(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def cells(entry: dict[str, Any]) -> tuple[str, ...]:
    """An entry as a line of the table."""
    start = (f"`{entry['name']}`", entry["title"])
    unit = entry["unit"]
    if entry["compared_by"] == "difference":
        budget = "+" + amount(entry["budget"], unit)
    else:
        budget = f"{entry['budget']:.1f}"
    if "failed" in entry:
        return (*start, "", "", f"failed: {entry['failed']}", budget, "", "")
    score = entry["score"]
    if entry["compared_by"] == "difference":
        low, middle, high = (f"{score[k] * SCALES[unit]:+.0f}" for k in ("low", "median", "high"))
        ratio = f"{middle} {unit} ({low} to {high})"
    else:
        ratio = f"{score['median']:.2f} ({score['low']:.2f} to {score['high']:.2f})"
    reference = "numpy" if "numpy" in entry else "pytorch"
    theirs = amount(entry[reference]["median"], unit)
    return (
        *start,
        amount(entry["tapegrad"]["median"], unit),
        f"{theirs} (NumPy)" if reference == "numpy" else theirs,
        ratio,
        budget,
        "yes" if entry["met"] else "no",
        amount(entry["mygrad"]["median"], unit) if "mygrad" in entry else "",
    )


def amount(value: float, unit: str) -> str:
    return f"{value * SCALES[unit]:.3g} {unit}"


def print_line(line: tuple[str, ...]) -> None:
    """To the terminal: without the description, which the README's table has."""
    name, _, *rest = line
    widths = (10, 16, 26, 8, 4, 8)
    columns = [name.strip("`").ljust(20)]
    columns += [cell.ljust(width) for cell, width in zip(rest, widths, strict=True)]
    print("  ".join(columns).rstrip(), flush=True)


def machine(threads: int) -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    model = None
    if cpuinfo.exists():
        model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
    packages = ("numpy", "torch", "mygrad", "tapegrad")
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": available_cores(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,  # at the start
        "system": platform.system(),
        "versions": {
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in packages},
        },
    }


def machine_line(report: dict[str, Any]) -> str:
    found = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['threads']} threads on either side, "
        f"load {found['load']} at the start, {found['system']}; {versions}; "
        f"{report['repeats']} samples of each side."
    )


def write(report: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rounded(report), indent=2) + "\n", encoding="utf-8")
    lines = [HEADER, ("---",) * len(HEADER), *map(cells, report["rows"])]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    before, marker, rest = README.read_text(encoding="utf-8").partition("<!-- table -->\n")
    _, end, after = rest.partition("<!-- end of table -->")
    if not (marker and end):
        raise SystemExit(f"{README.name} has lost the markers around its table")
    text = f"{before}{marker}{table}\n\n{machine_line(report)}\n{end}{after}"
    README.write_text(text, encoding="utf-8")


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
