"""The two libraries on a device, with what the GPU's rows ask of them beyond `workloads`.

A row is a function of a library, so that the same lines build the same work on either side. Besides
PyTorch on a GPU, both libraries can be on a CPU, and tapegrad in the emulator of GPUs: there the
rows are run to show that every line of them works.
"""

import contextlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import workloads
from workloads import Library

TESTS = Path(__file__).parents[2] / "tests"
OURS, THEIRS = "tapegrad", "pytorch"
SMALL = 1_000_000  # elements that are drawn by NumPy, so that both sides have the same
DEVICES = ("cuda", "cpu", "emulated")


@contextlib.contextmanager
def usable(device: str) -> Iterator[None]:
    """Make device "cuda" of tapegrad work; the emulated one by the tests' stand-in for CuPy."""
    if device != "emulated":
        yield
        return
    sys.path[:0] = [str(TESTS / "autograd")]
    import standin

    from tapegrad.kernels.cuda.launching import use_backend
    from tapegrad.kernels.emulator import EmulatedBackend

    with use_backend(EmulatedBackend()):
        standin.put(sys.modules.__setitem__)
        yield


def both(device: str) -> dict[str, Library]:
    """tapegrad, and PyTorch if it is installed."""
    found = {OURS: tapegrad("cpu" if device == "cpu" else "cuda")}
    with contextlib.suppress(ModuleNotFoundError):
        found[THEIRS] = pytorch("cuda" if device == "cuda" else "cpu")
    return found


def tapegrad(device: str) -> Library:
    """tapegrad with its tensors and modules on a device."""
    import tapegrad as tg

    lib = workloads.tapegrad(device)
    lib.ops, lib.F = tg, tg.nn.functional
    lib.fused = tg.fused
    lib.fused_optimizer = {}
    return extended(lib, device)


def pytorch(device: str) -> Library:
    """PyTorch's eager mode, with the settings under which it is fastest."""
    import torch

    lib = workloads.pytorch(device)
    lib.ops, lib.F = torch, torch.nn.functional
    lib.fused = lambda function: function
    lib.fused_optimizer = {"fused": True}
    if device == "cuda":
        torch.backends.cudnn.benchmark = True
    return extended(lib, device)


def extended(lib: Library, device: str) -> Library:
    """What both libraries have under the same names."""
    ops = lib.ops
    lib.device = device

    def drawn(*shape: int, seed: int = 0, dtype: str = "float32", grad: bool = False) -> Any:
        if math.prod(shape) <= SMALL:
            x = lib.tensor(workloads.normal(*shape, seed=seed)).to(getattr(ops, dtype))
        else:
            x = ops.randn(*shape, device=device, dtype=getattr(ops, dtype))
        return x.requires_grad_() if grad else x

    def whole(high: int, *shape: int) -> Any:
        return lib.tensor(np.random.default_rng(0).integers(0, high, shape))

    def gradients(output: Any, inputs: Any, upstream: Any) -> Any:
        return ops.autograd.grad(output, inputs, upstream, retain_graph=True)

    def channels_last(x: Any) -> Any:
        return x.to(memory_format=ops.channels_last)

    def numbers(x: Any) -> np.ndarray:
        return lib.array(x.double())

    lib.__dict__.update(
        drawn=drawn,
        whole=whole,
        gradients=gradients,
        channels_last=channels_last,
        numbers=numbers,
    )
    return lib


def set_precision(libraries: dict[str, Library], precision: str) -> None:
    """Whether matrix products and convolutions of float32 may use TF32: "highest" is exact."""
    allowed = precision != "highest"
    for name, lib in libraries.items():
        lib.ops.set_float32_matmul_precision(precision)
        if name != THEIRS:
            lib.ops.cuda.allow_tf32_convolution(allowed)
        elif lib.device == "cuda":
            lib.ops.backends.cudnn.allow_tf32 = allowed


def with_autocast(lib: Library) -> Library:
    """The library whose workloads compute in bfloat16 where that is safe."""
    kind = lib.device.partition(":")[0]
    cast = SimpleNamespace(**vars(lib))
    cast.forward = lambda: lib.ops.autocast(kind, dtype=lib.ops.bfloat16)
    return cast
