"""Watching the process of a part: no job that fails, hangs or kills it takes the others along."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_parts.parts import Bench, Part

HERE = Path(__file__).parents[1]
STARTING = 60.0  # seconds that a process may take until its first job begins


def done(
    name: str, part: Part, jobs: list[str], bench: Bench, deadline: float
) -> Iterator[dict[str, Any]]:
    """The figures of jobs as they come, until the deadline.

    After a job that ended or blocked the process a new one goes on with the next job.
    """
    left = list(jobs)
    while left and time.monotonic() < deadline:
        worker = Worker(name, left, bench, deadline)
        try:
            while left and (line := worker.answer(part.limit)) is not None:
                yield {"job": left.pop(0), **line}
        finally:
            worker.stop()


class Worker:
    """A process that does jobs."""

    def __init__(self, part: str, jobs: list[str], bench: Bench, deadline: float) -> None:
        self.deadline, self.began, self.over = deadline, False, False
        settings = {"device": bench.device, "quick": bench.quick, "deadline": deadline}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        environment = dict(os.environ)
        if bench.tiny:
            environment["OMP_NUM_THREADS"] = "1"  # idle threads of tiny work take all the time
        paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpu_parts.worker", part, json.dumps(settings), *jobs],
            env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,  # the processes it starts end with it
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def answer(self, limit: float) -> dict[str, Any] | None:
        """The figures of the next job, or why it has none; None if another process is to do it."""
        if self.over:
            return None
        waited = self._until("begin", STARTING)
        if "begin" in waited:
            waited = self._until("job", limit)
            waited.pop("job", None)
        elif "ended" in waited and self.began:
            return None  # after an error that the job before this one has reported
        self.began = True
        if not {"ended", "late"} & waited.keys():
            return waited
        self.over = True
        if time.monotonic() >= self.deadline:
            return None
        if "late" in waited:
            return {"failed": f"took more than {waited['late']:.0f} s"}
        return {"failed": f"the process ended: {self._last_words()}"}

    def _until(self, key: str, seconds: float) -> dict[str, Any]:
        """The next line that has a key; or that the process ended, or that the time is up."""
        end = min(time.monotonic() + seconds, self.deadline)
        while True:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0.0))
            except queue.Empty:
                return {"late": seconds}
            if line is None:
                return {"ended": True}
            found = parsed(line)
            if key in found:
                return found

    def _last_words(self) -> str:
        status = self.process.wait()
        self.errors.seek(0)
        said = [line.strip() for line in self.errors if line.strip()]
        return f"status {status}{f', {said[-1][:300]}' if said else ''}"

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.errors.close()


def parsed(line: str) -> dict[str, Any]:
    """A line of JSON; nothing if it is something else that was printed."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
