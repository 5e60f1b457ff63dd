"""The benchmark of a GPU runs, line by line, where there is none: on a CPU and in the emulator.

Nothing is said here about any figure.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import hardware
import numpy as np
import pytest

pytest.importorskip("torch")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

# Every job of every part, or some of each, in one process; the suites are pytest's and stand below.
JOBS = """
import json, sys
from gpu_parts.parts import PARTS, Bench
from gpu_parts.sides import usable

device, every = sys.argv[1], json.loads(sys.argv[2])
with usable(device):
    for name, step in every.items():
        bench = Bench(device)
        for job in list(PARTS[name].jobs(bench))[::step]:
            json.dumps(PARTS[name].work(bench, job))
            print(name, job)
"""


@pytest.fixture
def part(monkeypatch):
    """The benchmark's modules by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return lambda name: importlib.import_module(f"gpu_parts.{name}")


def run(*command):
    paths = [str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])]
    changed = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        env=os.environ | changed,
    )


@pytest.mark.parametrize(
    ("device", "steps"),
    [
        ("cpu", {"ceilings": 2, "kernels": 1, "products": 5, "convolutions": 19, "training": 1,
                 "launches": 1, "memory": 4, "compiled": 7}),
        ("emulated", {"environment": 1, "ceilings": 4, "kernels": 10, "products": 10,
                      "convolutions": 58, "training": 5, "launches": 1}),
    ],
)  # fmt: skip
def test_the_work_is_the_same_on_both_sides_and_is_timed(device, steps):
    done = run("-c", JOBS, device, json.dumps(steps))
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert {line.split()[0] for line in done.stdout.splitlines()} >= steps.keys()


def test_a_report_of_all_that_was_asked_for_is_written(tmp_path):
    asked = "--quick", "--only", "environment", "harness"
    done = run(BENCHMARKS / "gpu.py", "--device", "cpu", "--results", tmp_path, *asked)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert list(report["parts"]) == ["environment", "harness"]
    for entry in report["parts"].values():
        assert entry["status"] == "done"
        assert not any("failed" in job for job in entry["jobs"])
    suite = report["parts"]["harness"]["jobs"][0]
    assert suite["outcomes"]["passed"] > 3
    assert suite["run"] == "finished"
    page = (tmp_path / "gpu.md").read_text()
    assert "| every kernel, in float64's eyes |" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gpu.json", "gpu.md"]


@pytest.mark.skipif(not hardware.missing(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_so():
    done = run(BENCHMARKS / "gpu.py")
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith("No GPU can be used here: ")


# Jobs that fail


@pytest.fixture
def worker(part):
    """A process of jobs of the part "launches"."""
    started = []

    def start(*jobs, seconds=60.0):
        deadline = time.monotonic() + seconds
        made = part("supervision").Worker(
            "launches", list(jobs), part("parts").Bench("cpu"), deadline
        )
        started.append(made)
        return made

    yield start
    for made in started:
        made.stop()


def test_a_job_that_raises_is_reported_and_the_next_one_runs(worker):
    jobs = worker("add", "add")
    assert "seconds" in jobs.answer(60.0)
    assert "seconds" in jobs.answer(60.0)
    assert jobs.answer(60.0) is None


def test_what_raises_what_hangs_and_what_ends_the_process_are_told_apart(part, monkeypatch):
    supervision, parts = part("supervision"), part("parts")
    script = f"""
import os, sys, time
sys.path[:0] = [{str(BENCHMARKS)!r}]
from gpu_parts import parts, worker

def work(bench, job):
    if job == "raises":
        raise ValueError("no such thing")
    if job == "hangs":
        time.sleep(100)
    if job == "ends":
        print("what it said last", file=sys.stderr, flush=True)
        os._exit(3)
    return {{"seconds": {{}}}}

parts.PARTS["planted"] = parts.Part("", 1, list, work)
worker.main()
"""
    popen = subprocess.Popen
    monkeypatch.setattr(
        supervision.subprocess,
        "Popen",
        lambda command, **how: popen([sys.executable, "-c", script, *command[3:]], **how),
    )
    jobs = ["works", "raises", "hangs", "ends", "works too"]
    planted = parts.Part("", 1, list, None, limit=2.0)
    found = list(
        supervision.done("planted", planted, jobs, parts.Bench("cpu"), time.monotonic() + 60)
    )
    assert found == [
        {"job": "works", "seconds": {}},
        {"job": "raises", "failed": "ValueError: no such thing"},
        {"job": "hangs", "failed": "took more than 2 s"},
        {"job": "ends", "failed": "the process ended: status 3, what it said last"},
        {"job": "works too", "seconds": {}},
    ]


def test_nothing_is_done_after_the_deadline(part):
    supervision, parts = part("supervision"), part("parts")
    late = supervision.done(
        "launches", parts.PARTS["launches"], ["add"], parts.Bench("cpu"), time.monotonic() + 0.01
    )
    assert list(late) == []


def test_rows_have_names_of_their_own_which_are_those_of_their_tiny_twins(part):
    tables = [part("memory_bound").rows, part("products").rows, part("products").convolutions]
    for rows in [*tables, part("training").rows]:
        names = [row.name for row in rows(False)]
        assert names == [row.name for row in rows(True)]
        assert len(names) == len(set(names))
    for rows in tables:
        full, tiny = (sum(row.bytes + row.flops for row in rows(size)) for size in (False, True))
        assert full > 1000 * tiny > 0


def test_sides_that_disagree_are_not_timed(part):
    row = part("row")
    wrong = row.Row("wrong", "", lambda lib: lambda: lib.tensor(lib.ops.__name__ == "torch") * 1.0)
    libraries = part("sides").both("cpu")
    with pytest.raises(ValueError, match="the sides disagree by 1"):
        row.measure(wrong, wrong, libraries, part("timing").by_clock, 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_many_numbers_are_drawn_on_the_device(part, monkeypatch, dtype):
    sides = part("sides")
    monkeypatch.setattr(sides, "SMALL", 10)
    for lib in sides.both("cpu").values():
        x = lib.drawn(4, 5, dtype=dtype, grad=True)
        assert (x.dtype, x.requires_grad) == (getattr(lib.ops, dtype), True)
        assert 0.3 < np.std(lib.numbers(x)) < 2


def test_events_of_cuda_take_the_time(part, gpu):
    runs = []
    assert part("timing").by_events(lambda: runs.append(1), 4) == [1.5e-3] * 4  # the stand-in's
    assert len(runs) == 4


# The report


def report(**parts):
    whole = {name: {"title": name, "status": "done", "jobs": jobs} for name, jobs in parts.items()}
    return {"started": "today", "seconds": 1.0, "parts": whole}


def timed(job, ours, theirs=None, **others):
    seconds = {"tapegrad": {"median": ours}, **({"pytorch": {"median": theirs}} if theirs else {})}
    return {"job": job, "title": job, "seconds": seconds, **others}


CEILINGS = [{"job": "copy", "per_second": 1e12}, {"job": "tf32", "per_second": 1e14}]


def test_the_floor_is_what_takes_longer_bytes_or_flops(part):
    page = part("report")
    whole = report(ceilings=CEILINGS)
    assert page.floor({"bytes": 2e9}, whole) == 2e-3
    assert page.floor({"bytes": 2e9, "flops": 1e12, "ceiling": "tf32"}, whole) == 1e-2
    assert page.floor({"bytes": 2e9}, report()) is None


def test_a_target_is_reached_missed_or_not_measured(part):
    page = part("report")
    whole = report(ceilings=CEILINGS)
    for entry, met in [
        (timed("near", 2e-3, bytes=1.8e9, share=0.85), True),
        (timed("far", 2e-3, bytes=1e9, share=0.85), False),
        (timed("faster", 2e-3, 1.1e-3, ratio=2.0), True),
        (timed("slower", 2e-3, 0.9e-3, ratio=2.0), False),
        (timed("alone", 2e-3, ratio=2.0), None),
        (timed("quick", 5e-6, limit=6e-6), True),
        ({"job": "broken", "failed": "so", "share": 0.8}, None),
        (timed("free", 1.0), None),
    ]:
        assert page.verdict(entry, whole)[1] is met, entry


def test_the_page_has_targets_tables_and_failures(part):
    entry = timed("add", 2e-3, 3e-3, bytes=1.8e9, share=0.85)
    compiled = {"job": "compiled: add", "row": "add", "seconds": {"compiled": {"median": 4e-3}}}
    broken = {"job": "mul", "failed": "CompileError: a | b"}
    page = part("report").markdown(
        report(ceilings=CEILINGS, kernels=[entry, broken], compiled=[compiled])
    )
    lines = page.splitlines()
    assert "| kernels | 1 of 1 |" in lines
    assert (
        "| `add` | add | 2 ms | 1.8 ms | 90% | 3 ms | 0.67 | 4 ms | 85% of the floor | yes |"
        in lines
    )
    assert "- `mul`: CompileError: a | b" in lines


def test_every_file_of_tests_for_a_gpu_is_run(part):
    run = {name for names in part("suites").JOBS.values() for name in names}
    root = BENCHMARKS.parent
    assert run >= {str(p.relative_to(root)) for p in (root / "tests" / "gpu").glob("test_*.py")}


def test_outcomes_are_summed_up_by_file(part):
    suites = part("suites")
    found = suites.summary(
        [
            {"test": "a.py::one", "outcome": "passed"},
            {"compared": {"add": [2, 0], "mul": [1, 1]}},
            {"compared": {"add": [1, 0]}},
            {"test": "a.py::two", "outcome": "failed", "reason": "wrong"},
            {"test": "b.py::three", "outcome": "skipped", "reason": "no need"},
        ]
    )
    assert found["outcomes"] == {"passed": 1, "failed": 1, "skipped": 1}
    assert found["files"]["a.py"] == {"passed": 1, "failed": 1}
    assert found["failures"] == [{"test": "a.py::two", "reason": "wrong"}]
    assert found["kernels"] == {"add": [3, 0], "mul": [1, 1]}
    table = part("report").suites_table([{"job": "all", "run": "finished", **found}], {}, {})
    assert "| all | 1 | 1 | 1 | 4 of 5 launches | finished |" in table.splitlines()
    assert "- Other bits than in the emulator: `mul`" in table


def test_a_run_of_tests_that_is_stopped_keeps_its_outcomes(part, tmp_path):
    test = tmp_path / "test_slow.py"
    test.write_text("import time\ndef test_one(): pass\ndef test_two(): time.sleep(60)\n")
    outcomes = tmp_path / "outcomes.jsonl"
    ended = part("suites").run([str(test)], outcomes, 4.0)
    assert ended == "stopped after 4 s"
    lines = [json.loads(line) for line in outcomes.read_text().splitlines()]
    assert lines[0] == {"test": lines[0]["test"], "outcome": "passed"}


def test_what_went_wrong_is_the_end_of_a_traceback(part):
    outcomes = part("outcomes")
    text = "def test():\n>   assert x\nE   AssertionError:\nE   \nE   not 2\n\nfile:3"
    assert outcomes.last_error(text) == "AssertionError: not 2"
    assert outcomes.last_error("Skipped: no GPU") == "Skipped: no GPU"
