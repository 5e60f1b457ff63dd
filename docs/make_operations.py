"""Write `operations.md`, the coverage page: `python docs/make_operations.py`.

Every public function is called once, by its row in `tests/operations`, and looked at: which gates
it left on the tape, whether its results and their gradients can be differentiated, whether its
gates work element by element, and whether everything stayed in the tensor's own array library.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "operations.md"
for folder in ("operations", "autograd"):
    sys.path.append(str(HERE.parent / "tests" / folder))

import standin  # noqa: E402 - found by the path above
from drawing import Call, found, made, with_elements  # noqa: E402
from tables import CALLS  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.autograd import Gate, Tape, grad, operations  # noqa: E402
from tapegrad.autograd.arrays import MODULES  # noqa: E402
from tapegrad.nn import functional  # noqa: E402

COLUMNS = ("operation", "what", "gates", "method", "differentiable", "second order")
COLUMNS += ("pointwise", "CUDA")
HEAD = """# Operations

Written by `docs/make_operations.py` from the functions and gates themselves; a test fails when it
is out of date.

- **gates**: what a call leaves on the tape. {gates} gates carry {functions} functions.
- **method**: whether a tensor has it too, as `x.name(...)`.
- **differentiable**, **second order**: whether results have gradients, and those
  gradients theirs; "flat" where the gradient is 0 everywhere, "linear" where it does not depend on
  the inputs, so that the second is 0.
- **pointwise**: whether each element of the result depends on one element of each input alone,
  which is what it takes to fuse a function into one kernel.
- **CUDA**: whether tensors on a GPU are computed with there, by CuPy, without a copy to the CPU;
  checked with a stand-in that lacks what CuPy lacks. A dash: not a function of tensors.
"""


def families() -> Iterator[tuple[str, str, Any]]:
    """Title, prefix and module of each family of functions."""
    for name, module in inspect.getmembers(operations, inspect.ismodule):
        if hasattr(module, "__all__"):
            yield name, "linalg." if name == "linalg" else "", module
    for name, module in inspect.getmembers(functional, inspect.ismodule):
        if hasattr(module, "__all__"):
            yield f"nn.functional: {name}", "nn.functional.", module


def public(module: Any) -> list[str]:
    """The functions of a family, by name; classes are not operations."""
    return sorted(n for n in module.__all__ if inspect.isfunction(getattr(module, n)))


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
    """Whether a call on CuPy's stand-in gives results there."""
    missing = object()
    before = {key: sys.modules.get(key, missing) for key in standin.NAMES}
    try:
        standin.put(sys.modules.__setitem__)
        results, _, _ = run(name, drawn, "cuda")
        return "yes" if all(r.device.type == "cuda" for r in results) else "no"
    except Exception:
        return "no"
    finally:
        MODULES.pop(standin.FakeArray, None)
        for key, module in before.items():
            if module is missing:
                sys.modules.pop(key, None)
            else:
                sys.modules[key] = module


def page() -> str:
    """The whole page."""
    sections, functions = [], 0
    for title, prefix, module in families():
        names = public(module)
        functions += len(names)
        lines = [
            f"\n## {title}\n",
            f"| {' | '.join(COLUMNS)} |",
            f"|{' --- |' * len(COLUMNS)}",
        ]
        lines += [f"| {' | '.join(row(prefix + name))} |" for name in names]
        sections.append("\n".join(lines) + "\n")
    carrying = sum(bool(gate.needs or gate.variadic) for gate in Gate.all.values())
    return HEAD.format(gates=carrying, functions=functions) + "".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
