"""Write `operations.md`, the coverage page: `python docs/make_operations.py`.

Every public function is called once, by its row in `tests/operations`, and looked at: which gates
it left on the tape, whether its results and their gradients can be differentiated, whether its
gates work element by element, and whether everything stayed in the tensor's own array library.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PAGE = HERE / "operations.md"
for folder in ("operations", "autograd"):
    sys.path.append(str(HERE.parent / "tests" / folder))

import standin  # noqa: E402 - found by the path above
from drawing import Call, found, made, with_elements  # noqa: E402
from tables import CALLS  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.autograd import Gate, Tape, grad, operations  # noqa: E402
from tapegrad.autograd import gates as families_of_gates  # noqa: E402
from tapegrad.autograd.arrays import MODULES  # noqa: E402
from tapegrad.kernels.cuda.launching import use_backend  # noqa: E402
from tapegrad.kernels.emulator import EmulatedBackend  # noqa: E402
from tapegrad.nn import functional  # noqa: E402

COLUMNS = ("operation", "what", "gates", "method", "differentiable", "second order")
COLUMNS += ("fused", "CUDA")
HEAD = """# Operations

Written by `docs/make_operations.py` from the functions and gates themselves; a test fails when it
is out of date.

- **gates**: what a call leaves on the tape. {gates} gates carry {functions} functions.
- **method**: whether a tensor has it too, as `x.name(...)`.
- **differentiable**, **second order**: whether results have gradients, and those
  gradients theirs; "flat" where the gradient is 0 everywhere, "linear" where it does not depend on
  the inputs, so that the second is 0.
- **fused**: whether it can be part of a function under `fused`: all its gates are pointwise, each
  element of the result made from one element of each input alone.
- **CUDA**: whether tensors on a GPU are computed with there, by our kernels or CuPy's, without a
  copy to the CPU; checked with the emulator of our kernels and a stand-in that lacks what CuPy
  lacks. A dash: not a function of tensors.
"""


def families() -> Iterator[tuple[str, list[str]]]:
    """The title of each family of functions, and their names as they are called."""
    for title, package in (("", operations), ("nn.functional: ", functional)):
        for name, module in inspect.getmembers(package, inspect.ismodule):
            if names := public(module):
                yield title + name, names


def public(module: Any) -> list[str]:
    """The functions a module defines for the public, by the name under which that finds them."""
    found = []
    for name in getattr(module, "__all__", ()):
        function = getattr(module, name)
        if inspect.unwrap(function).__module__ != module.__name__ or not callable(function):
            continue
        places = (("", tg), ("linalg.", tg.linalg), ("nn.functional.", functional))
        called = [prefix + name for prefix, at in places if getattr(at, name, None) is function]
        if called and inspect.isfunction(function):
            found.append(called[-1] if module.__name__.startswith("tapegrad.nn") else called[0])
    return sorted(found)


def gates() -> Iterator[Gate]:
    """The gates of the package, and no others that a program may have added."""
    for _, name, _ in pkgutil.iter_modules(families_of_gates.__path__):
        module = importlib.import_module(f"{families_of_gates.__name__}.{name}")
        for value in vars(module).values():
            if isinstance(value, Gate) and type(value).__module__ == module.__name__:
                yield value


def row(name: str) -> list[str]:
    """The cells of one operation."""
    bare = name.rpartition(".")[2]
    method = "yes" if hasattr(tg.Tensor, bare) and not name.startswith("nn.") else ""
    function = found(tg, name)
    summary = (inspect.getdoc(function) or "").partition("\n")[0].replace("|", "\\|")
    if name not in CALLS:
        return [f"`{name}`", summary, "", method, "", "", "", "-"]
    drawn = with_elements(CALLS[name], tg.tensor)
    results, leaves, tape = run(name, drawn, "cpu")
    gates = list(dict.fromkeys(step.gate for step in tape))
    first, second = derivatives(results, leaves)
    pointwise = bool(gates) and all(Gate.all[gate].pointwise for gate in gates)
    return [
        f"`{name}`",
        summary,
        ", ".join(gates),
        method,
        first,
        second,
        "yes" if pointwise else "",
        on_the_gpu(name, drawn),
    ]


def run(name: str, drawn: Call, device: str) -> tuple[list[Any], list[Any], Tape]:
    """The tensors that a call returns, those it was given that require gradients, its tape."""
    leaves = []

    def leaf(array: Any) -> Any:
        tensor = tg.tensor(array, device=device)
        if tensor.is_floating_point():
            leaves.append(tensor.requires_grad_())
        return tensor

    args, kwargs = made((drawn.args, drawn.kwargs), leaf, tg)
    with Tape() as tape:
        results = found(tg, name)(*args, **kwargs)
    results = results if isinstance(results, (tuple, list)) else [results]
    return [r for r in results if isinstance(r, tg.Tensor)], leaves, tape


def derivatives(results: list[Any], leaves: list[Any]) -> tuple[str, str]:
    """What to say of the first and second gradients."""
    outputs = [r for r in results if r.requires_grad]
    if not outputs:
        return "", ""
    stream = tg.Generator().manual_seed(0)
    seeds = [tg.randn_like(out, generator=stream) for out in outputs]
    first = grad(outputs, leaves, seeds, create_graph=True, allow_unused=True)
    first = [g for g in first if g is not None]
    if not any(g.detach().ne(0).any().item() for g in first):
        return "flat", ""
    again = [g for g in first if g.requires_grad]
    if not again:
        return "yes", "linear"
    grad(again, leaves, [tg.ones_like(g) for g in again], allow_unused=True)
    return "yes", "yes"


def on_the_gpu(name: str, drawn: Call) -> str:
    """Whether a call on CuPy's stand-in gives results there; a dash if it is given no tensor."""
    tensors: list[Any] = []
    made((drawn.args, drawn.kwargs), lambda array: tensors.append(array) or tg.tensor(array), tg)
    if not tensors:
        return "-"
    with pytest.MonkeyPatch.context() as patch, use_backend(EmulatedBackend()):
        standin.put(lambda module, library: patch.setitem(sys.modules, module, library))
        try:
            results, _, _ = run(name, drawn, "cuda")
            return "yes" if all(r.device.type == "cuda" for r in results) else "no"
        except Exception:  # whatever CuPy would refuse
            return "no"
        finally:
            MODULES.pop(standin.FakeArray, None)


def page() -> str:
    """The whole page."""
    sections, functions = [], 0
    for title, names in families():
        functions += len(names)
        lines = [
            f"\n## {title}\n",
            f"| {' | '.join(COLUMNS)} |",
            f"|{' --- |' * len(COLUMNS)}",
        ]
        lines += [f"| {' | '.join(row(name))} |" for name in names]
        sections.append("\n".join(lines) + "\n")
    carrying = len({gate.name for gate in gates() if gate.needs or gate.variadic})
    return HEAD.format(gates=carrying, functions=functions) + "".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
