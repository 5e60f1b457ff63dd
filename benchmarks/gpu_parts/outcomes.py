"""A plugin of pytest that writes each test's outcome to a file at once, a line of JSON each.

What was found so far is there when the run is stopped: `pytest -p gpu_parts.outcomes --outcomes F`.
"""

import json
from pathlib import Path

import pytest

LINES = 4  # of an error that are kept


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, help="the file to write outcomes to")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--outcomes")
    if path and not hasattr(config, "workerinput"):  # processes of xdist report to the first
        config.pluginmanager.register(Outcomes(path), "outcomes-of-tests")


class Outcomes:
    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            compared = dict(report.user_properties).get("compared")
            if report.when == "teardown" and compared:
                self.write({"compared": compared})
            return
        said = report.longrepr
        reason = said[2] if isinstance(said, tuple) else str(said)
        line = {"test": report.nodeid, "outcome": report.outcome}
        if not report.passed:
            line["reason"] = last_error(reason)
        self.write(line)

    def write(self, line: dict) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def last_error(text: str) -> str:
    """What a traceback says went wrong: the first of its lines that begin with E."""
    errors = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return " ".join(filter(None, (errors or text.strip().splitlines())[:LINES]))[:300]
