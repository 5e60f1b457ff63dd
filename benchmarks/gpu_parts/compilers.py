"""PyTorch's other ways to run the same work: `torch.compile`, and a step captured as a graph."""

import functools
from types import SimpleNamespace
from typing import Any

from workloads import Library

from gpu_parts.row import Row, Run
from gpu_parts.sides import THEIRS, set_precision, with_autocast
from gpu_parts.timing import Sampler, measured


def jobs(rows: list[Row], device: str) -> dict[str, tuple[str, Row]]:
    """Ways and rows by the name of the job; what takes the compiler longest comes last."""
    kernels = [row for row in rows if row.bytes and row.compiled]
    networks = sorted((row for row in rows if not row.bytes), key=lambda row: row.autocast)
    wanted = [("graph", row) for row in networks if device == "cuda"]
    wanted += [("compiled", row) for row in (*kernels, *networks)]
    return {f"{way}: {row.name}": (way, row) for way, row in wanted}


def measure(
    way: str, row: Row, libraries: dict[str, Library], sample: Sampler, seconds: float
) -> dict[str, Any]:
    """The quartiles of the seconds of a row done in a way."""
    if THEIRS not in libraries:
        raise RuntimeError("PyTorch is not installed")
    set_precision(libraries, row.precision)
    lib = libraries[THEIRS]
    lib = with_autocast(lib) if row.autocast else lib
    if way == "graph":
        run = captured(lib, row)
    elif row.bytes:  # a kernel, not a network
        run = lib.ops.compile(row.make(lib), backend=backend(lib))
    else:
        run = row.make(compiling(lib))
    return measured({way: run}, sample, seconds)


def compiling(lib: Library) -> Library:
    """The library, whose models are compiled as they are placed on the device."""

    def compiled(module: Any) -> Any:
        return lib.ops.compile(lib.placed(module), backend=backend(lib))

    return SimpleNamespace(**vars(lib) | {"placed": compiled})


def backend(lib: Library) -> str:
    """Of the compiler; a dry run only traces."""
    return "inductor" if lib.device == "cuda" else "eager"


def captured(lib: Library, row: Row) -> Run:
    """A whole training step as one graph, which a launch replays."""
    torch = lib.ops
    adam = {
        name: functools.partial(getattr(torch.optim, name), capturable=True)
        for name in ("Adam", "AdamW")
    }
    optim = SimpleNamespace(**vars(torch.optim) | adam)
    return replay(torch, row.make(SimpleNamespace(**vars(lib) | {"optim": optim})))


def replay(torch: Any, run: Run) -> Run:
    """The replay of a graph of what PyTorch did in a run."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay
