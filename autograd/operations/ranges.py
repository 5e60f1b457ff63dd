"""Evenly spaced numbers: by a step, by their count, and on a logarithmic scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapegrad.autograd import arrays
from tapegrad.autograd.arrays import FLOATS, Array, as_dtype, get_default_dtype, wide
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.records import Variable

from .arguments import number_that_fits
from .creation import finish

__all__ = [
    "arange",
    "linspace",
    "logspace",
]


def _number(name: str, value: Any) -> Any:
    """A Python number, from a number or a tensor without dimensions."""
    if isinstance(value, Variable):
        if value._data.ndim:
            raise ShapeError(f"{name}: expected a number, got {describe(value)}")
        return value._data.item()
    return value.item() if isinstance(value, np.generic) else value


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`start`, `start + step`, ... up to but without `end`; `arange(end)` starts at 0.

    >>> import tapegrad as tg
    >>> tg.arange(4), tg.arange(0, 1, 0.25)
    (tensor([0, 1, 2, 3]), tensor([0.0000, 0.2500, 0.5000, 0.7500]))
    """
    if end is None:
        start, end = 0, start
    start, end, step = (_number("arange", value) for value in (start, end, step))
    if not all(map(math.isfinite, (start, end, step))) or not step or (end - start) * step < 0:
        raise RuntimeError(f"arange: cannot step from {start} to {end} by {step}")
    floats = any(isinstance(value, float) for value in (start, end, step))
    wanted = get_default_dtype() if floats else arrays.int64
    wanted = wanted if dtype is None else as_dtype(dtype)
    if wanted == arrays.int64:
        start, end, step = int(start), int(end), int(step)
        if not step:
            raise RuntimeError("arange: the step is 0 as an integer")
    count = max(math.ceil((end - start) / step), 0)
    if wanted not in FLOATS:  # cut off before they are added up, as in PyTorch
        start, step = int(start), int(step)
    with arrays.on(device) as xp, np.errstate(all="ignore"):
        if isinstance(start, float) or isinstance(step, float):
            found = xp.arange(count, dtype=np.float64)
            found *= step
            found += start
        else:
            found = xp.arange(start, start + count * step, step) if step else xp.full(count, start)
        found = found.astype(wanted, copy=False)
    return finish(found, requires_grad)


def _between(xp: Any, start: Any, end: Any, steps: int, wanted: np.dtype) -> Array:
    """Evenly spaced values in float64, from either end to the middle so that both are exact."""
    if wanted not in FLOATS:
        start, end = int(start), int(end)
    apart = (end - start) / (steps - 1) if steps > 1 else 0.0
    half = steps // 2 if steps > 1 else steps
    found = xp.arange(steps, dtype=np.float64)
    lower, upper = found[:half], found[half:]
    lower *= apart
    lower += start
    upper -= steps - 1
    upper *= apart
    upper += end
    return found


def _checked(name: str, start: Any, end: Any, steps: Any) -> tuple[Any, Any, int]:
    steps = _number(name, steps)
    if not hasattr(steps, "__index__"):
        raise TypeError(f"{name}: steps must be an integer, got {steps!r}")
    if steps < 0:
        raise ArgumentError(f"{name}: steps must not be negative, got {steps}")
    return _number(name, start), _number(name, end), int(steps)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`steps` evenly spaced values from `start` to `end`, both included.

    >>> import tapegrad as tg
    >>> tg.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    start, end, steps = _checked("linspace", start, end, steps)
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    number_that_fits("linspace", start, wanted)
    number_that_fits("linspace", end, wanted)
    with arrays.on(device) as xp, np.errstate(all="ignore"):
        found = _between(xp, start, end, steps, wanted).astype(wanted, copy=False)
    return finish(found, requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`base ** x` for `steps` evenly spaced x from `start` to `end`, both included.

    >>> import tapegrad as tg
    >>> tg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    start, end, steps = _checked("logspace", start, end, steps)
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    with arrays.on(device) as xp, np.errstate(all="ignore"):
        exponents = _between(xp, start, end, steps, wanted)
        if wanted in FLOATS:
            exponents = exponents.astype(wide(wanted), copy=False)
        found = xp.power(exponents.dtype.type(base), exponents).astype(wanted, copy=False)
    return finish(found, requires_grad)
