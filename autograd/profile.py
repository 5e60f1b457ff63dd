"""Where the time and the memory of a tape go: each gate run again by itself, and timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from . import versions
from .arrays import FLOATS, MODULES, module_of
from .backward import complete
from .errors import ArgumentError
from .modes import no_grad
from .shares import read_by
from .tape import Step, Tape, table, values_to_run


class ProfileRow(NamedTuple):
    """A gate, or one step of the tape: times in seconds, sizes in bytes.

    `share` is the part of the time of all rows; `step` is None in a row of several. What several
    steps keep for backward is counted at the first.
    """

    step: int | None
    gate: str
    calls: int
    forward: float
    backward: float
    share: float
    output_bytes: int
    kept_bytes: int

    @property
    def total(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


SORTS: dict[str, Callable[[ProfileRow], float]] = {
    "total": lambda row: row.total,
    "forward": lambda row: row.forward,
    "backward": lambda row: row.backward,
    "bytes": lambda row: row.output_bytes + row.kept_bytes,
    "calls": lambda row: row.calls,
}


class Profile:
    """Rows of times and sizes, which print as a table. Made by `Tape.profile`.

    `untimed` names the steps that could not be run again.
    """

    def __init__(self, rows: list[ProfileRow], untimed: list[str]) -> None:
        self.rows = rows
        self.untimed = untimed

    def sorted(self, sort: str) -> Profile:
        """The same rows, the largest first by "total", "forward", "backward", "bytes", "calls"."""
        return Profile(sorted(self.rows, key=_key(sort), reverse=True), self.untimed)

    def __iter__(self) -> Iterator[ProfileRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> ProfileRow:
        return self.rows[index]

    @property
    def total(self) -> ProfileRow:
        """All rows added up."""
        return _added("total", self.rows)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        stepwise = any(row.step is not None for row in self.rows)
        head = ("gate", "calls", "forward", "backward", "share", "bytes out", "bytes kept")
        rows = [("step", *head) if stepwise else head]
        for row in [*self.rows, self.total]:
            cells = (
                row.gate,
                str(row.calls),
                _duration(row.forward),
                _duration(row.backward),
                f"{100 * row.share:.1f} %",
                str(row.output_bytes),
                str(row.kept_bytes),
            )
            rows.append((str(row.step or ""), *cells) if stepwise else cells)
        lines = table(rows, numbers=(0, 2, 3, 4, 5, 6, 7) if stepwise else (1, 2, 3, 4, 5, 6))
        lines.insert(-1, lines[1])
        if self.untimed:
            lines.append(
                f"not run again, because inputs were not kept: {', '.join(self.untimed)}; "
                "record under `with Tape() as tape:`"
            )
        return "\n".join(lines)


def profile(tape: Tape, by: str, sort: str, repeats: int) -> Profile:
    """What `Tape.profile` gives."""
    if by not in ("gate", "step"):
        raise ArgumentError(f'profile: by must be "gate" or "step", not {by!r}')
    if repeats < 1:
        raise ArgumentError(f"profile: repeats must be at least 1, not {repeats}")
    key = _key(sort)
    stream = np.random.default_rng(0)
    xp = _library([value for step in tape for value in (*step.values, step.out)], np)
    seen: set[Any] = set()
    rows: list[ProfileRow] = []
    untimed: list[str] = []
    for step in tape:
        row = _measured(step, stream, repeats, seen, xp)
        if row is None:
            untimed.append(f"{step.gate} (#{step.number})")
        else:
            rows.append(row)
    if by == "gate":
        names = dict.fromkeys(row.gate for row in rows)
        rows = [_added(name, [row for row in rows if row.gate == name]) for name in names]
    whole = sum(row.total for row in rows) or 1.0
    rows = [row._replace(share=row.total / whole) for row in rows]
    return Profile(sorted(rows, key=key, reverse=True), untimed)


def _key(sort: str) -> Callable[[ProfileRow], float]:
    if sort not in SORTS:
        raise ArgumentError(f"profile: sort must be one of {', '.join(SORTS)}, not {sort!r}")
    return SORTS[sort]


def _added(gate: str, rows: list[ProfileRow]) -> ProfileRow:
    sums = (sum(column) for column in zip(*(row[2:] for row in rows), strict=True))
    return ProfileRow(None, gate, *(sums if rows else (0, 0.0, 0.0, 0.0, 0, 0)))


def _measured(
    step: Step, stream: np.random.Generator, repeats: int, seen: set[Any], usual: Any
) -> ProfileRow | None:
    """The row of one step; None where what it was computed from is lost.

    What is made up goes where the step's other values live, or the `usual` place on the tape.
    """
    node, gate = step.node, step.node.gate
    inputs = values_to_run(step, stream)
    if inputs is None or (node.saved is None and not gate.rewraps):
        return None
    xp = _library([*step.values, step.out], usual)
    inputs = [xp.asarray(v) if isinstance(v, np.ndarray) and xp is not np else v for v in inputs]

    def forward() -> Any:
        return gate.compute(xp, *inputs, **node.params)

    with no_grad(), np.errstate(all="ignore"):
        known = step.out is not None and not (type(step.out) is tuple and step.out[0] is None)
        out = step.out if known else forward()
        saved = node.saved if node.saved is not None else read_by(node, out, inputs)
        gradient = _gradient(step, out)
        ahead = _seconds(xp, forward, repeats)
        back = _seconds(xp, lambda: gate.backward(node, gradient, *saved, **node.params), repeats)
    parts = out if type(out) is tuple else (out,)
    size = sum(part.nbytes for part in parts)
    kept = _bytes_kept(step, inputs, saved, seen)
    return ProfileRow(step.number, gate.name, 1, ahead, back, 0.0, size, kept)


def _library(values: list[Any], usual: Any) -> Any:
    """The array library of the first array among some values."""
    arrays = (value for value in values if type(value) in MODULES and value.shape)
    return next((MODULES[type(array)] for array in arrays), usual)


def _gradient(step: Step, out: Any) -> Any:
    """The gradient that arrived at a step, or ones."""
    if step.grad is not None:
        known = step.grad
        return complete(step.node, list(known), False) if type(known) is list else known
    if type(out) is not tuple:
        return module_of(out).ones_like(out)
    ones = [module_of(part).ones_like(part) for part in out if part.dtype in FLOATS]
    several = bool(step.shape) and isinstance(step.shape[0], tuple)
    return ones if several else ones[0]


def _seconds(xp: Any, function: Callable[[], Any], repeats: int) -> float:
    """The median time of a few runs, after one that warms up."""
    times = []
    for _ in range(repeats + 1):
        _wait(xp)
        start = time.perf_counter()
        function()
        _wait(xp)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _wait(xp: Any) -> None:
    """Let a GPU finish what it was given."""
    if xp is not np:
        xp.cuda.runtime.deviceSynchronize()


def _bytes_kept(step: Step, inputs: list[Any], saved: tuple[Any, ...], seen: set[Any]) -> int:
    """Bytes of what backward reads, each buffer counted at the first step that keeps it.

    What was made up, or run again, stands for what the node it came from had computed.
    """
    made = {
        id(value): before.number
        for value, known, before in zip(inputs, step.values, step.node.inputs, strict=True)
        if value is not known and before is not None
    }
    total = 0
    for position, value in enumerate(saved):
        if position == 0 and step.node.saved is None and step.out is None:
            made |= {id(array): step.number for array in _arrays(value)}
        for array in _arrays(value):
            number = made.get(id(array))
            key = id(versions.buffer(array)) if number is None else ("made", number)
            if key not in seen:
                seen.add(key)
                total += array.nbytes
    return total


def _arrays(value: Any) -> list[Any]:
    values = value if isinstance(value, tuple) else (value,)
    return [array for array in values if type(array) in MODULES]


def _duration(seconds: float) -> str:
    """Seconds in a unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e6:.1f} us"
