"""What machine this is, and the ceilings that nothing on it exceeds: copies, matrix products."""

import platform
import shutil
import subprocess
from importlib import metadata
from typing import TYPE_CHECKING, Any

from gpu_parts import products
from gpu_parts.sides import OURS, THEIRS, set_precision
from gpu_parts.timing import measured

if TYPE_CHECKING:
    from gpu_parts.parts import Bench

PACKAGES = ("numpy", "cupy-cuda13x", "cupy-cuda12x", "torch", "triton", "tapegrad")


def environment(bench: "Bench", name: str) -> dict[str, Any]:
    """The card, the driver, and the versions of what is compared."""
    found: dict[str, Any] = {"python": platform.python_version(), "device": bench.device}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if bench.device != "cpu":
        found |= card()
    return {"found": found}


def card() -> dict[str, Any]:
    """What CUDA says of the current GPU."""
    import cupy

    import tapegrad as tg

    properties = tg.cuda.get_device_properties()
    runtime = cupy.cuda.runtime
    found = {
        "card": properties.name,
        "capability": ".".join(map(str, tg.cuda.get_device_capability())),
        "multiprocessors": properties.multi_processor_count,
        "memory_GiB": round(properties.total_memory / 2**30, 1),
        "driver_cuda": runtime.driverGetVersion(),
        "runtime_cuda": runtime.runtimeGetVersion(),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
    }
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False)
        found["driver"] = answer.stdout.strip() or answer.stderr.strip()
    return found


def ceiling_jobs(bench: "Bench") -> list[str]:
    return ["copy", *products.KINDS]


def ceiling(bench: "Bench", name: str) -> dict[str, Any]:
    """Bytes a second that a copy reads and writes, or flops a second of a matrix product."""
    side = THEIRS if THEIRS in bench.libraries else OURS
    lib = bench.libraries[side]
    if name == "copy":
        n = 1000 if bench.tiny else 2**28
        x, y = lib.drawn(n), lib.ops.empty(n, device=lib.device)
        work, run = 8 * n, lambda: y.copy_(x)
    else:
        rows = {row.name: row for row in products.rows(bench.tiny)}
        row = rows[f"matmul-{name}"]
        set_precision({side: lib}, row.precision)
        work, run = int(row.flops), row.make(lib)
    found = measured({name: run}, bench.sample, bench.seconds)[name]
    return {"per_second": work / found["median"], "seconds": {name: found}}
