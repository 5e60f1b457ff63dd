"""The tape as a thing to look at: print it, go through its steps, check every gate on it.

Recording needs no `Tape`: nodes point to the nodes before them. A `Tape` is a view of them, either
of what is recorded while it is open, keeping every value, or of a tensor's history afterwards.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import engine, versions
from .arrays import DTYPES, FLOATS, MODULES, float64
from .backward import grad, reachable
from .engine import Leaf, array_of, leaf, wrap
from .gradcheck import GradcheckError
from .operations.creation import require_gradient
from .records import Mode, Node, Variable, get_mode, mode

if TYPE_CHECKING:
    from .profile import Profile


class Step:
    """One line of the tape: a node, and the values that went in and came out if they were kept.

    number, gate   the node's number, which errors name too, and the name of its gate
    inputs         labels of the inputs: a name, "#7" for an earlier step, or a constant
    values, value  the arrays that went in and the array that came out; None where not kept
    grad           the gradient that arrived here, once backward has passed (kept for scalars, and
                   for everything recorded under an open tape)
    """

    __slots__ = ("inputs", "node", "out", "values")

    def __init__(self, node: Node, inputs: list[str], values: list[Any], out: Any) -> None:
        self.node = node
        self.inputs = inputs
        self.values = values
        self.out = out

    @property
    def number(self) -> int:
        return self.node.number

    @property
    def gate(self) -> str:
        return self.node.gate.name

    @property
    def value(self) -> Any:
        return self.out if self.out is not None else self.node.value

    @property
    def grad(self) -> Any:
        if isinstance(self.node, Leaf):
            variable = self.node.variable()
            return None if variable is None or variable._grad is None else variable._grad._data
        return array_of(self.node.grad)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters the gate was called with."""
        return dict(self.node.params)

    @property
    def origin(self) -> str:
        """The file and line that recorded it, if noted (under an open tape or detect_anomaly)."""
        return self.node.origin

    @property
    def name(self) -> str:
        """The name the user gave to the output, or its number."""
        return label_of(self.node)

    @property
    def shape(self) -> Any:
        return self.node.shape

    @property
    def consumed(self) -> bool:
        """Whether backward has been here and freed what was kept."""
        return self.node.saved is None and not isinstance(self.node, Leaf)

    def __repr__(self) -> str:
        return f"<step {self.number}: {self.gate}({', '.join(self.inputs)})>"


def label_of(node: Node | None) -> str:
    """The name the user gave to what a node computed, or its number."""
    if node is None:
        return "constant"
    if node.gate is engine.output:
        return f"{label_of(node.inputs[0])}[{node.params['index']}]"
    variable = node.variable() if isinstance(node, Leaf) else None
    name = variable._name if variable is not None else (node.notes or {}).get("name")
    return name or f"#{node.number}"


def _constant(value: Any) -> str:
    if isinstance(value, Variable) and value._name:
        return value._name
    data = array_of(value)
    if data is None:
        return "none"
    if type(data) in MODULES and data.ndim:
        return engine.describe(data)
    if isinstance(data, (bool, np.bool_)):
        return str(bool(data))
    if isinstance(data, (int, float, np.generic, np.ndarray)):
        return f"{float(data):.6g}"
    return repr(data)


class Tape:
    """What was recorded, in order.

    `with tg.Tape() as tape:` watches the operations of the block and keeps the values and gradients
    of each (the memory is the tape's: drop it to free them). `tg.Tape.of(loss)` shows the history
    of tensors afterwards, with the values that their gates kept. It prints as a table, has a
    length, and iterates over its `Step`s.

    >>> import tapegrad as tg
    >>> x, y, z = (tg.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> x.name, y.name, z.name = "x", "y", "z"
    >>> with tg.Tape() as tape:
    ...     f = (x + y) * z
    >>> [(step.gate, step.inputs[1]) for step in tape]
    [('add', 'y'), ('mul', 'z')]
    >>> tape.check()
    True
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    @classmethod
    def of(cls, *tensors: Variable) -> Tape:
        """The tape of everything that `tensors` were computed from."""
        roots = [t._node for t in tensors if t._node is not None]
        if not roots:
            raise RuntimeError("Tape.of: nothing was recorded on the way to these tensors")
        tape = cls()
        for node in reachable(roots):
            if node.gate is leaf or node.gate is engine.output:
                continue
            values = known_inputs(node)
            labels = [
                label_of(before) if before is not None else shown(value)
                for before, value in zip(node.inputs, values, strict=True)
            ]
            tape.steps.append(Step(node, labels, values, node.saved[0] if node.saved else None))
        last = {t._node.number: t._data for t in tensors if t._node is not None}
        for step in tape.steps:
            if step.out is None:
                step.out = last.get(step.number)
        return tape

    def __enter__(self) -> Tape:
        found = get_mode()
        mode.set(Mode(found.recording, (*found.tapes, self), found.anomaly, found))
        return self

    def __exit__(self, *exception: object) -> None:
        outer = get_mode().outer
        assert outer is not None, "a tape is closed that was not open"
        mode.set(outer)

    def observe(self, node: Node, inputs: Any, arrays: Any, out: Any) -> None:
        """Take down a step; the engine calls this for every node while the tape is open."""
        labels = [
            label_of(before) if before is not None else _constant(value)
            for before, value in zip(node.inputs, inputs, strict=True)
        ]
        node.note("kept", True)
        self.steps.append(Step(node, labels, list(arrays), out))

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, index: int) -> Step:
        return self.steps[index]

    def leaves(self) -> list[Node]:
        """The leaves the steps start from, in order."""
        found = {
            before.number: before
            for step in self.steps
            for before in step.node.inputs
            if isinstance(before, Leaf)
        }
        return [found[number] for number in sorted(found)]

    @property
    def bytes_kept(self) -> int:
        """Bytes of the arrays the gates keep for backward, each buffer counted once."""
        return sum(self._kept())

    def _kept(self) -> list[int]:
        """For each step, the bytes of the buffers that it is the first to keep."""
        seen: set[int] = set()
        rows = []
        for step in self.steps:
            total = 0
            for value in step.node.saved or ():
                for array in value if isinstance(value, tuple) else (value,):
                    if type(array) in MODULES and id(buffer := versions.buffer(array)) not in seen:
                        seen.add(id(buffer))
                        total += array.nbytes
            rows.append(total)
        return rows

    def __str__(self) -> str:
        rows = [("step", "gate", "inputs", "output", "value", "gradient", "bytes kept")]
        starts = [Step(node, [], [], _remembered(node)) for node in self.leaves()]
        ends = ["freed" if s.consumed else str(n) for s, n in zip(self, self._kept(), strict=True)]
        for step, kept in zip(starts + self.steps, [""] * len(starts) + ends, strict=True):
            inputs = ", ".join(step.inputs)
            numbers = _number(step.value), _number(step.grad)
            rows.append((str(step.number), step.gate, inputs, _output(step), *numbers, kept))
        lines = table(rows, numbers=(0, 4, 5, 6))
        lines.append(f"{len(self.steps)} steps, {self.bytes_kept} bytes kept for backward")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Tape of {len(self.steps)} steps>"

    def profile(self, by: str = "gate", sort: str = "total", repeats: int = 5) -> Profile:
        """Where the time and the memory go: each gate's forward and backward, run again and timed.

        The times are the gates' alone, without the recording and adding up around them, each the
        median of `repeats` runs. Values and gradients are those the steps had, where they are
        still known (an open tape keeps all), and otherwise made up in the same shapes.

        by         "gate" adds up the steps of one gate, "step" lists them one by one
        sort       "total", "forward", "backward", "bytes" or "calls", the largest first

        >>> import tapegrad as tg
        >>> x = tg.ones(100, requires_grad=True)
        >>> with tg.Tape() as tape:
        ...     y = ((x.exp() + x) * x.exp()).sum()
        >>> [(row.gate, row.calls, row.kept_bytes) for row in tape.profile(sort="bytes")]
        [('exp', 2, 800), ('mul', 1, 400), ('add', 1, 0), ('sum', 1, 0)]
        """
        from .profile import profile  # which imports this module

        return profile(self, by, sort, repeats)

    def check(
        self,
        *,
        eps: float = 1e-6,
        atol: float = 1e-6,
        rtol: float = 1e-4,
        raise_exception: bool = True,
    ) -> bool:
        """Check the backward of every step against differences, at the values it really had.

        Each gate is run again in float64 and compared along random directions u: g . (f(x + hu) -
        f(x - hu)) / 2h against u . backward(g). Output elements at a kink, where the two one-sided
        slopes differ, are left out: any subgradient is right there. Inputs that were not kept (see
        `Tape.of`) are replaced by random numbers, which checks the same rule elsewhere.

        Returns True, or raises GradcheckError naming the gate that is wrong (False without
        `raise_exception`). Steps that cannot be run again are named in a warning.
        """
        stream = np.random.default_rng(0)
        unchecked = []
        for step in self.steps:
            values = values_to_run(step, stream)
            if values is None:
                unchecked.append(f"{step.gate} (#{step.number})")
                continue
            values = list(map(_in_float64, values))
            wrong = _disagreement(step.node, values, stream, eps, atol, rtol)
            if wrong is not None:
                if not raise_exception:
                    return False
                raise GradcheckError(
                    f"tape.check: the backward of gate '{step.gate}' (#{step.number}) is wrong: "
                    f"{wrong}" + (f"; recorded at {step.origin}" if step.origin else "")
                )
        if unchecked:
            warnings.warn(
                f"tape.check: could not run {', '.join(unchecked)} again, because constant inputs "
                "were not kept; record under `with Tape() as tape:`",
                stacklevel=2,
            )
        return True


def known_inputs(node: Node) -> list[Any]:
    """The values that went into a node, as far as they are known without a tape; else None."""
    saved = (node.saved or ())[1:]
    if len(saved) != len(node.inputs):  # variadic gates keep nothing
        saved = (None,) * len(node.inputs)
    return [
        kept if kept is not None else node.constant if before is None else _remembered(before)
        for kept, before in zip(saved, node.inputs, strict=True)
    ]


def values_to_run(step: Step, stream: np.random.Generator) -> list[Any] | None:
    """The inputs a step is run again with, those not kept made up; None where a shape is lost."""
    values: list[Any] = []
    kept = "kept" in (step.node.notes or {})  # all that was given
    for value, before in zip(step.values, step.node.inputs, strict=True):
        if value is None and before is not None:
            value = stream.uniform(0.5, 1.5, before.shape)  # inside the domain of every gate
            value = value.astype(before.dtype)
        elif value is None and isinstance(step.node.gate, engine.BinaryGate):
            value = 0.0  # a constant that the gradient does not read
        elif value is None and not kept and "bias" not in step.node.gate.input_names[-1:]:
            return None  # not an optional input that was not given
        values.append(value)
    return values


def table(rows: Sequence[tuple[str, ...]], numbers: tuple[int, ...]) -> list[str]:
    """The lines of a table: a head, a rule and rows; `numbers` are the columns set to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return lines


def _remembered(node: Node | None) -> Any:
    """The value a node still knows: of a scalar, or of a leaf that is alive."""
    if isinstance(node, Leaf):
        variable = node.variable()
        return None if variable is None else variable._data
    return None if node is None else node.value


def shown(value: Any) -> str:
    """A constant as the tape shows it: a number, or the dtype and shape of an array."""
    return "constant" if value is None else _constant(value)


def _output(step: Step) -> str:
    node = step.node
    name = step.name
    label = "" if name.startswith("#") else f"{name}: "
    if isinstance(node.shape, tuple) and node.shape and isinstance(node.shape[0], tuple):
        return label + ", ".join(f"{node.dtype}{list(part)}" for part in node.shape)
    return f"{label}{node.dtype}{list(node.shape)}"


def _number(value: Any) -> str:
    """A single number to six digits; nothing for a tensor, whose shape is shown."""
    value = array_of(value)
    if value is None or isinstance(value, tuple) or getattr(value, "dtype", None) not in DTYPES:
        return ""
    if value.size == 1:
        return f"{float(value.reshape(())):.6g}"
    return ""


def _in_float64(value: Any) -> Any:
    """An array on the CPU, and floats among them in float64; anything else as it is."""
    if type(value) in MODULES:
        value = np.array(value.get() if hasattr(value, "get") else value)
    if isinstance(value, np.ndarray) and value.dtype in FLOATS:
        value = value.astype(float64)
    return value


def _disagreement(
    node: Node, values: list[Any], stream: np.random.Generator, eps: float, atol: float, rtol: float
) -> str | None:
    """How analytic and numerical slope differ along random directions; None if they agree."""
    params = {
        key: float64 if isinstance(v, np.dtype) and v in FLOATS else v
        for key, v in node.params.items()
    }
    wanted = [i for i, before in enumerate(node.inputs) if before is not None]

    def run(arrays: list[Any]) -> Any:
        with np.errstate(all="ignore"):
            out = node.gate.compute(np, *arrays, **params)
        parts = out if isinstance(out, tuple) else (out,)
        count = node.gate.outputs
        return [np.asarray(p, float64) for p in (parts if count is None else parts[:count])]

    for _ in range(2):
        directions = {i: stream.standard_normal(np.shape(values[i])) for i in wanted}
        here = run(values)
        ahead, behind = (
            run(
                [
                    v + sign * eps * directions[i] if i in directions else v
                    for i, v in enumerate(values)
                ]
            )
            for sign in (1, -1)
        )
        leaves = [
            require_gradient(wrap(np.asarray(v))) if i in directions else v
            for i, v in enumerate(values)
        ]
        outputs = node.gate(*leaves, **params)
        outputs = [o for o in (outputs if isinstance(outputs, tuple) else (outputs,)) if o._node]
        seeds, numerical = [], 0.0
        with np.errstate(all="ignore"):
            for f, up, down in zip(here, ahead, behind, strict=True):
                right, left = (up - f) / eps, (f - down) / eps
                smooth = abs(right - left) <= 1e-3 * (abs(right) + abs(left)) + 1e-3
                smooth &= np.isfinite(right) & np.isfinite(left) & np.isfinite(f)
                seed = np.where(smooth, stream.standard_normal(f.shape), 0.0)
                numerical += float(np.sum(np.where(smooth, seed * (up - down) / (2 * eps), 0.0)))
                seeds.append(seed)
        gradients = grad(outputs, [leaves[i] for i in wanted], seeds, allow_unused=True)
        analytic = 0.0
        for i, g in zip(wanted, gradients, strict=True):
            if g is None:
                continue
            slope = np.asarray(g._data)
            if node.gate.pointwise and slope.shape == smooth.shape:
                slope = np.where(smooth, slope, 0.0)  # 0 times an infinite slope is NaN
            analytic += float(np.sum(slope * directions[i]))
        scale = max(float(np.sqrt(sum(np.sum(s * s) for s in seeds))), 1.0)
        if not abs(analytic - numerical) <= atol * scale + rtol * abs(numerical):
            return (
                f"its slope along a random direction is {analytic:.8g}, "
                f"but numerically {numerical:.8g}"
            )
    return None
