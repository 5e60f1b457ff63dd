"""Everything that wants a GPU, in one go: `python benchmarks/gpu.py [--only PART ...] [--quick]`.

Runs the kernels' tests on the hardware and beside the emulator, measures the machine's ceilings,
each kernel against its floor and against PyTorch, training steps, launch costs and memory, and
writes results/gpu.json and results/gpu.md. Takes less than ten minutes, whatever happens: each part
has a share of the time and a process of its own, and what fails is a line in the report.

`--device cpu` and `--device emulated` run every line of it at tiny sizes, without a GPU.
"""

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cpu import rounded
from gpu_parts.parts import PARTS, Bench, Part
from gpu_parts.report import amount, markdown
from gpu_parts.sides import DEVICES
from gpu_parts.supervision import done

HERE = Path(__file__).parent


def main() -> None:
    options = parse_arguments()
    if options.device == "cuda":
        import tapegrad as tg

        if not tg.cuda.is_available():
            print(f"No GPU can be used here: {tg.cuda.why_unavailable()}")
            raise SystemExit(1)
    chosen = {name: part for name, part in PARTS.items() if name in (options.only or PARTS)}
    if options.quick and not options.only:
        chosen.pop("compiled", None)
    run(chosen, Bench(options.device, options.quick), 60 * options.minutes, options.results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    parser.add_argument("--minutes", type=float, help="for all parts together (9; quick: 3)")
    parser.add_argument("--quick", action="store_true", help="fewer samples, no compilers")
    parser.add_argument("--device", choices=DEVICES, default="cuda", help="cuda; others: a dry run")
    parser.add_argument("--results", type=Path, help="the folder of gpu.json and gpu.md")
    options = parser.parse_args()
    if options.minutes is None:
        options.minutes = 3.0 if options.quick else 9.0
    if options.results is None:
        dry = options.device != "cuda"  # figures of another device are nobody's results
        options.results = Path(tempfile.mkdtemp()) if dry else HERE / "results"
    return options


def run(parts: dict[str, Part], bench: Bench, seconds: float, results: Path) -> None:
    """Do the parts in order; each has its share of the time that those before it left."""
    start = time.monotonic()
    report: dict[str, Any] = {
        "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "seconds": 0.0,
        "device": bench.device,
        "quick": bench.quick,
        "parts": {},
    }
    shares = {name: part.share for name, part in parts.items()}
    for name, part in parts.items():
        left = seconds - (time.monotonic() - start)
        mine = left * shares[name] / sum(shares.values())
        del shares[name]
        print(f"\n{part.title}, at most {mine:.0f} s", flush=True)
        entry: dict[str, Any] = {"title": part.title, "status": "unfinished", "jobs": []}
        report["parts"][name] = entry
        began = time.monotonic()
        jobs = list(part.jobs(bench))
        for line in done(name, part, jobs, bench, began + mine):
            entry["jobs"].append(line)
            print(f"  {time.monotonic() - start:5.0f} s  {brief(line)}", flush=True)
            write(report, start, results)
        undone = len(jobs) - len(entry["jobs"])
        entry["status"] = f"out of time before {undone} of {len(jobs)} jobs" if undone else "done"
        entry["took"] = time.monotonic() - began
        write(report, start, results)
    print(f"\n{results / 'gpu.json'}\n{results / 'gpu.md'}")


def brief(line: dict[str, Any]) -> str:
    """A job's figures for the terminal."""
    if "failed" in line:
        return f"{line['job']}: failed: {line['failed']}"
    medians = {
        side: amount(found["median"]) for side, found in line.get("seconds", {}).items()
    } or line.get("outcomes", line.get("bytes_added", line.get("found", {})))
    return f"{line['job']}: {', '.join(f'{key} {value}' for key, value in medians.items())}"


def write(report: dict[str, Any], start: float, results: Path) -> None:
    """Keep what there is, so that nothing is lost if the rest does not come to pass."""
    report["seconds"] = time.monotonic() - start
    results.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("gpu.json", json.dumps(rounded(report), indent=1) + "\n"),
        ("gpu.md", markdown(report)),
    ):
        unfinished = results / f"{name}.part"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(results / name)


if __name__ == "__main__":
    main()
