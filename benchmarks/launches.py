"""What one eager gate on a GPU costs in Python: `python benchmarks/launches.py [--write]`.

Needs CuPy and no GPU: the arrays are CuPy's own, of memory that nothing ever reads, and a null back
end stands where the driver is called. What is left is this project's part of the time of a launch
(the driver's own is 1.5 to 3 us on top). `--write` keeps the figures in results/launches.json.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tapegrad as tg
from tapegrad.autograd import arrays
from tapegrad.autograd.engine import wrap
from tapegrad.kernels.cuda.launching import use_backend

RESULTS = Path(__file__).parent / "results" / "launches.json"
REPEATS, CALLS = 15, 20_000


class NullBackend:
    """Launches nothing."""

    def prepare(self, kernel: Any, grid: Any, block: Any, shared: int) -> Callable[[int], None]:
        return lambda address: None

    def device(self) -> int:
        return 0

    def host_memory(self, size: int) -> Any:
        return bytearray(size)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep the figures")
    options = parser.parse_args()
    import cupy

    host = np.zeros(1 << 16, np.float32)
    memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, 0)
    cupy.cuda.set_allocator(lambda size: cupy.cuda.MemoryPointer(memory, 0))
    arrays.MODULES[cupy.ndarray] = cupy
    arrays.DEVICE_TYPES.add(cupy.ndarray)
    with use_backend(NullBackend()):
        figures = {name: cost(call) for name, call in rows(cupy).items()}
    for name, microseconds in figures.items():
        print(f"{name:40} {microseconds:6.2f} us")
    if options.write:
        found = {"python": platform.python_version(), "cupy": cupy.__version__, "us": figures}
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")


def rows(xp: Any) -> dict[str, Callable[[], Any]]:
    """What is timed, by name, on arrays of a module."""
    x, y = (wrap(xp.empty((8, 16), np.float32)) for _ in range(2))
    leaf = wrap(xp.empty((8, 16), np.float32)).requires_grad_()
    chain = tg.fused(lambda x, y, rate: tg.exp(tg.tanh(x * y + x) * y * rate))
    return {
        "cupy.empty, part of each of these": lambda: xp.empty((8, 16), np.float32),
        "add": lambda: x + y,
        "exp": lambda: tg.exp(x),
        "multiply by a number": lambda: x * 2.5,
        "add, recorded": lambda: leaf + y,
        "a fused function of six gates": lambda: chain(x, y, 0.5),
    }


def cost(call: Callable[[], Any], calls: int = CALLS) -> float:
    """The median of the microseconds of a call."""
    call()
    samples = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(calls // REPEATS):
            call()
        samples.append((time.perf_counter() - start) / (calls // REPEATS) * 1e6)
    return round(statistics.median(samples), 2)


if __name__ == "__main__":
    main()
