"""A row: work for both libraries, what it must move and compute at least, and what it may cost.

Before a row is timed, both sides compute the same at a tiny size, on the same device.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from workloads import Library

from gpu_parts.sides import OURS, THEIRS, set_precision, with_autocast
from gpu_parts.timing import Sampler, measured

Run = Callable[[], Any]  # the work, which returns what is to be compared
Make = Callable[[Library], Run]
Shape = tuple[int, ...]
UPSTREAM = 99  # the seed of a gradient that arrives
TIMES = 3  # that work is done before its results are compared: a network has then learnt


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    make: Make
    bytes: float = 0.0  # that are read and written at least
    flops: float = 0.0
    ceiling: str = "float32"  # of the flops: a dtype, or "tf32"
    share: float | None = None  # of its floor's speed that is to be reached
    ratio: float | None = None  # of its time to PyTorch's, at most
    tolerance: float | None = 1e-3  # of the largest entry; None: the sides are not compared
    precision: str = "highest"  # "high": TF32
    compared_in: str | None = None  # the precision in which the sides are compared; None: the same
    autocast: bool = False
    compiled: bool = False  # whether PyTorch's compiler is asked as well


def forward(
    call: Callable[..., Any], *shapes: Shape, dtype: str = "float32", last: bool = False
) -> Make:
    """The work of `call(lib, *tensors)`; images with their channels last, if so asked."""

    def make(lib: Library) -> Run:
        given = inputs(lib, shapes, (), dtype, last)
        return lambda: call(lib, *given)

    return make


def backward(
    call: Callable[..., Any],
    *shapes: Shape,
    of: Sequence[int] = (),
    dtype: str = "float32",
    last: bool = False,
) -> Make:
    """The work of the gradients of `call(lib, *tensors)`, of all tensors or of some."""
    wanted = tuple(of) or tuple(range(len(shapes)))

    def make(lib: Library) -> Run:
        given = inputs(lib, shapes, wanted, dtype, last)
        out = call(lib, *given)
        upstream = lib.drawn(*out.shape, seed=UPSTREAM, dtype=dtype)
        upstream = placed(lib, upstream, last)
        leaves = [given[i] for i in wanted]
        return lambda: lib.gradients(out, leaves, upstream)

    return make


def inputs(
    lib: Library, shapes: Sequence[Shape], wanted: Sequence[int], dtype: str, last: bool
) -> list[Any]:
    drawn = [lib.drawn(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]
    given = [placed(lib, x, last) for x in drawn]
    return [x.requires_grad_() if i in wanted else x for i, x in enumerate(given)]


def placed(lib: Library, x: Any, last: bool) -> Any:
    return lib.channels_last(x) if last and x.ndim == 4 else x


def measure(
    row: Row, tiny: Row, libraries: dict[str, Library], sample: Sampler, seconds: float
) -> dict[str, Any]:
    """The figures of a row: quartiles of the seconds of each side."""
    if row.autocast:
        libraries = {name: with_autocast(lib) for name, lib in libraries.items()}
    set_precision(libraries, row.compared_in or row.precision)
    error = disagreement(tiny, libraries)
    if error is not None and tiny.tolerance is not None and not error < tiny.tolerance:
        raise ValueError(f"the sides disagree by {error:.1e} of the largest entry")
    set_precision(libraries, row.precision)
    runs = {name: row.make(lib) for name, lib in libraries.items()}
    return {"error": error, "seconds": measured(runs, sample, seconds)}


def disagreement(row: Row, libraries: dict[str, Library]) -> float | None:
    """The largest difference of the sides' results, relative to the largest entry of each."""
    found = {}
    for name, lib in libraries.items():
        run = row.make(lib)
        given = [run() for _ in range(TIMES)]
        found[name] = results(lib, given[-1])
    if row.tolerance is None or THEIRS not in found:
        return None
    worst = 0.0
    for ours, theirs in zip(found[OURS], found[THEIRS], strict=True):
        if ours.shape != theirs.shape:
            raise ValueError(f"the sides' results have shapes {ours.shape} and {theirs.shape}")
        largest = float(np.abs(theirs).max(initial=0.0)) or 1.0
        error = float(np.abs(ours - theirs).max(initial=0.0)) / largest
        worst = error if math.isnan(error) else max(worst, error)
    return worst


def results(lib: Library, found: Any) -> list[np.ndarray]:
    if callable(found):  # a training step's
        return [found()["loss"]]
    several = isinstance(found, tuple | list)
    return [lib.numbers(x) for x in (found if several else [found])]
