"""The report as a page: what was aimed at and reached, and a table for each part."""

from collections.abc import Iterable
from typing import Any

from gpu_parts.sides import OURS, THEIRS

Entry = dict[str, Any]
Report = dict[str, Any]
Other = dict[str, dict[str, float]]
DASH = ""


def markdown(report: Report) -> str:
    """The whole page."""
    blocks = [f"# On a GPU\n\n{heading(report)}", targets(report)]
    other = other_ways(report)
    for name, part in report["parts"].items():
        lines = [f"## {part['title']}"]
        if part["status"] != "done":
            lines.append(f"{part['status']}.")
        table = TABLES.get(name, rows_table)(part["jobs"], report, other)
        lines += [table] if table else []
        lines += failures(part["jobs"])
        if len(lines) > 1:
            blocks.append("\n\n".join(lines))
    return "\n\n".join(block for block in blocks if block) + "\n"


def heading(report: Report) -> str:
    found = of_part(report, "environment").get("environment", {}).get("found", {})
    machine = ", ".join(f"{key} {value}" for key, value in found.items())
    return f"{report['started']}; {report['seconds']:.0f} seconds. {machine}."


def of_part(report: Report, name: str) -> dict[str, Entry]:
    """A part's entries by job."""
    jobs = report["parts"].get(name, {}).get("jobs", [])
    return {entry["job"]: entry for entry in jobs}


def other_ways(report: Report) -> dict[str, dict[str, float]]:
    """The seconds of PyTorch's other ways to do a row, by row and way."""
    found: dict[str, dict[str, float]] = {}
    for entry in measured(report["parts"].get("compiled", {}).get("jobs", [])):
        for way, figures in entry["seconds"].items():
            found.setdefault(entry["row"], {})[way] = figures["median"]
    return found


# Goals


def floor(entry: Entry, report: Report) -> float | None:
    """The seconds that bytes and flops take at the ceilings, the longer of the two."""
    ceilings = of_part(report, "ceilings")

    def took(amount: float, ceiling: str) -> float | None:
        speed = ceilings.get(ceiling, {}).get("per_second")
        return amount / speed if speed else None

    times = [
        took(entry.get("bytes", 0), "copy"),
        took(entry.get("flops", 0), entry.get("ceiling", "")),
    ]
    known = [time for time in times if time]
    return max(known) if known else None


def share(entry: Entry, report: Report) -> float | None:
    """What part of the speed of its floor a row reaches."""
    least, ours = floor(entry, report), median(entry, OURS)
    return least / ours if least and ours else None


def ratio(entry: Entry) -> float | None:
    """tapegrad's time over PyTorch's."""
    ours, theirs = median(entry, OURS), median(entry, THEIRS)
    return ours / theirs if ours and theirs else None


def median(entry: Entry, side: str) -> float | None:
    return entry.get("seconds", {}).get(side, {}).get("median")


def verdict(entry: Entry, report: Report) -> tuple[str, bool | None]:
    """What a row aims at, and whether it got there; None where that cannot be told."""
    if entry.get("share") is not None:
        found = share(entry, report)
        aim = f"{entry['share']:.0%} of the floor"
        return aim, None if found is None else found >= entry["share"]
    if entry.get("ratio") is not None:
        found = ratio(entry)
        return f"ratio {entry['ratio']:.2f}", None if found is None else found <= entry["ratio"]
    if entry.get("limit") is not None:
        found = median(entry, OURS)
        return amount(entry["limit"]), None if found is None else found <= entry["limit"]
    return "", None


def targets(report: Report) -> str:
    """Of each part, how many rows reach what they aim at."""
    lines = []
    for part in report["parts"].values():
        reached: dict[str, list[str]] = {}
        for entry in part["jobs"]:
            aim, met = verdict(entry, report)
            if aim:
                word = "not measured" if met is None else "reached" if met else "missed"
                reached.setdefault(word, []).append(entry["job"])
        if reached:
            cells = [", ".join(reached.get(word, [])) for word in ("missed", "not measured")]
            count, total = len(reached.get("reached", [])), sum(map(len, reached.values()))
            lines.append((part["title"], f"{count} of {total}", *cells))
    if not lines:
        return ""
    return "## Targets\n\n" + table(("part", "reached", "missed", "not measured"), lines)


# Tables


def rows_table(jobs: list[Entry], report: Report, other: Other) -> str:
    """Rows with their times, floors and ratios."""
    lines = []
    for entry in measured(jobs):
        aim, met = verdict(entry, report)
        ways = other.get(entry["job"], {})
        lines.append(
            (
                f"`{entry['job']}`",
                entry["title"],
                amount(median(entry, OURS)),
                amount(floor(entry, report)),
                percent(share(entry, report)),
                amount(median(entry, THEIRS)),
                number(ratio(entry)),
                amount(ways.get("compiled")),
                amount(ways.get("graph")),
                aim,
                "" if met is None else "yes" if met else "no",
            )
        )
    header = ("row", "what", "tapegrad", "floor", "share", "PyTorch", "ratio", "compiled", "graph")
    return table((*header, "target", "met"), lines)


def ceilings_table(jobs: list[Entry], report: Report, other: Other) -> str:
    lines = []
    for entry in measured(jobs):
        speed = entry["per_second"] / 1e12
        what = "copy, read and written" if entry["job"] == "copy" else f"`a @ b` {entry['job']}"
        unit = "TB/s" if entry["job"] == "copy" else "TFLOP/s"
        lines.append((what, f"{speed:.3g} {unit}"))
    return table(("ceiling", "speed"), lines)


def memory_table(jobs: list[Entry], report: Report, other: Other) -> str:
    lines = []
    for entry in measured(jobs):
        ours, theirs = (entry["bytes_added"].get(side) for side in (OURS, THEIRS))
        cells = [f"{n / 1e6:.4g} MB" if n is not None else DASH for n in (ours, theirs)]
        of_both = number(ours / theirs) if ours and theirs else DASH
        lines.append((f"`{entry['job']}`", entry["title"], *cells, of_both))
    return table(("row", "what", "tapegrad", "PyTorch", "ratio"), lines)


def suites_table(jobs: list[Entry], report: Report, other: Other) -> str:
    lines = []
    for entry in measured(jobs):
        counts = [entry["outcomes"].get(key, 0) for key in ("passed", "failed", "skipped")]
        bits = [sum(pair) for pair in zip(*entry["kernels"].values(), strict=True)] or None
        agree = f"{bits[0]} of {sum(bits)} launches" if bits else DASH
        lines.append((entry["job"], *map(str, counts), agree, entry["run"]))
    header = ("tests", "passed", "failed", "skipped", "same bits as in the emulator", "run")
    return "\n\n".join(filter(None, [table(header, lines), *map(details, measured(jobs))]))


def details(entry: Entry) -> str:
    """The tests that failed, and the kernels of which some launch differed from the emulator's."""
    lines = [f"- `{failure['test']}`: {failure['reason']}" for failure in entry["failures"]]
    differ = [name for name, (_, differing) in entry["kernels"].items() if differing]
    if differ:
        shown = ", ".join(f"`{name}`" for name in differ)
        lines.append(f"- Other bits than in the emulator: {shown}")
    return "\n".join(lines)


def nothing(jobs: list[Entry], report: Report, other: Other) -> str:
    return ""  # it stands elsewhere


TABLES = {
    "environment": nothing,
    "ceilings": ceilings_table,
    "compiled": nothing,
    "harness": suites_table,
    "memory": memory_table,
    "tests": suites_table,
}


def measured(jobs: list[Entry]) -> list[Entry]:
    return [entry for entry in jobs if "failed" not in entry]


def failures(jobs: list[Entry]) -> list[str]:
    lines = [f"- `{entry['job']}`: {entry['failed']}" for entry in jobs if "failed" in entry]
    return ["Failed:\n\n" + "\n".join(lines)] if lines else []


def table(header: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """A table of markdown, without the columns that are empty; none if there are no lines."""
    found = list(lines)
    kept = [i for i in range(len(header)) if any(line[i] for line in found)]
    if not kept:
        return ""
    every = [header, ("---",) * len(header), *found]
    return "\n".join(f"| {' | '.join(escaped(line[i]) for i in kept)} |" for line in every)


def escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def amount(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    scale, unit = (1e6, "us") if seconds < 1e-3 else (1e3, "ms")
    return f"{seconds * scale:.3g} {unit}"


def number(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    return DASH if value is None else f"{value:.0%}"
