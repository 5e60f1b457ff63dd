"""What a call costs the host, and what memory training takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import launches
import numpy as np
import peak
from workloads import Library

from gpu_parts import compilers
from gpu_parts.row import Row, Run
from gpu_parts.sides import OURS, THEIRS, set_precision, with_autocast

if TYPE_CHECKING:
    from gpu_parts.parts import Bench

LIMIT = 6e-6  # seconds that an eager gate may take
EMPTY = "an empty kernel"
CALLS = {"cuda": launches.CALLS, "cpu": 150, "emulated": 15}


def launch_jobs(bench: "Bench") -> list[str]:
    only_there = [] if bench.device == "cpu" else [EMPTY, *GRAPHS]
    return [*launches.rows(array_module("cpu")), *only_there]


def launch(bench: "Bench", name: str) -> dict[str, Any]:
    """The seconds of a call of either library; the GPU is done sooner than the host."""
    if name in GRAPHS:
        return graph(bench, name)
    ours = launches.rows(array_module(bench.device)) | empty_kernel(bench.device)
    calls = {OURS: ours.get(name)}
    if THEIRS in bench.libraries:
        calls[THEIRS] = of_pytorch(bench.libraries[THEIRS]).get(name)
    found = {
        side: {"median": launches.cost(call, CALLS[bench.device]) / 1e6}
        for side, call in calls.items()
        if call is not None
    }
    one_gate = "fused" not in name and "part of" not in name and name != EMPTY
    return {"title": name, "seconds": found, "limit": LIMIT if one_gate else None}


def array_module(device: str) -> Any:
    if device == "cpu":
        return np
    from tapegrad.autograd import arrays

    return arrays.cuda_module()


def empty_kernel(device: str) -> dict[str, Callable[[], Any]]:
    """A launch of nothing: what the driver takes."""
    if device == "cpu":
        return {}
    from tapegrad.kernels.cuda.launching import Kernel

    kernel = Kernel('extern "C" __global__ void nothing() {}', "nothing", filename="nothing.cu")
    return {EMPTY: kernel.prepare((1, 1, 1), (32, 1, 1))}


def of_pytorch(lib: Library) -> dict[str, Callable[[], Any]]:
    """The calls of `launches.rows` by PyTorch."""
    torch = lib.ops
    x, y = (torch.ones(8, 16, device=lib.device) for _ in range(2))
    leaf = torch.ones(8, 16, device=lib.device, requires_grad=True)
    return {
        "add": lambda: x + y,
        "exp": lambda: torch.exp(x),
        "multiply by a number": lambda: x * 2.5,
        "add, recorded": lambda: leaf + y,
        "a fused function of six gates": lambda: torch.exp(torch.tanh(x * y + x) * y * 0.5),
    }


def ten_gates(lib: Library) -> Run:
    x, w = lib.drawn(64, 64), lib.drawn(64, 64, seed=1)

    def run() -> Any:
        y = x
        for _ in range(10):
            y = y + w
        return y

    return run


def layer(lib: Library) -> Run:
    x, weight, bias = lib.drawn(64, 256), lib.drawn(256, 256, seed=1), lib.drawn(256, seed=2)
    return lambda: lib.F.linear(x, weight, bias)


GRAPHS = {"ten gates, replayed as a graph": ten_gates, "a linear layer, replayed": layer}


def graph(bench: "Bench", name: str) -> dict[str, Any]:
    """What a replay takes of a graph that CUDA made of calls; whichever is longer, host or GPU."""
    ours = bench.libraries[OURS]
    run = GRAPHS[name](ours)
    stream = ours.ops.cuda.Stream()
    with ours.ops.cuda.stream(stream):
        for _ in range(3):
            expected = ours.numbers(run())  # after which the pool has the memory
        stream.cupy_stream.begin_capture()
        try:
            out = run()
        finally:
            captured = stream.cupy_stream.end_capture()
        calls = {OURS: lambda: captured.launch(stream.cupy_stream)}
        if bench.device == "cuda" and THEIRS in bench.libraries:
            lib = bench.libraries[THEIRS]
            calls[THEIRS] = compilers.replay(lib.ops, GRAPHS[name](lib))
        found = {
            side: {"median": launches.cost(call, CALLS[bench.device]) / 1e6}
            for side, call in calls.items()
        }
        stream.synchronize()
        error = float(np.abs(ours.numbers(out) - expected).max())
    return {"title": name, "seconds": found, "error": error}


def peaks(bench: "Bench", row: Row) -> dict[str, int]:
    """The bytes that training adds at most to model and data, by library."""
    set_precision(bench.libraries, row.precision)
    found = {}
    for name, lib in bench.libraries.items():
        if name == THEIRS and bench.device == "cuda":
            lib.ops.backends.cudnn.benchmark = False  # whose trials take memory too
        run = row.make(with_autocast(lib) if row.autocast else lib)
        found[name] = device_peak(lib, run) if bench.device == "cuda" else peak.added(run)
    return found


def device_peak(lib: Library, run: Run) -> int:
    """The bytes that three runs add at most to what is allocated on a GPU."""
    cuda = lib.ops.cuda
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    for _ in range(3):
        run()
    cuda.synchronize()
    return cuda.max_memory_allocated() - before
