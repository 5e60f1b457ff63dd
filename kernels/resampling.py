"""Reading along one axis: every output is a weighted sum of a few inputs.

Resizing an image and reading past its border are both of this kind, one axis after the other. A
`Taps` says which inputs with which weights; `apply` reads by it, and reading by its `transposed` is
the adjoint. The positions are worked out in NumPy, once for an axis, which is cheap.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .cuda import resampling as on_gpu
from .halves import accumulator

Array = Any

remembered = functools.lru_cache(maxsize=64)  # a network asks for the same again at every step

KEYS = -0.75  # the slope at distance 1 of the cubic, as PyTorch has it


class Row(NamedTuple):
    """One input for each of some outputs."""

    outputs: Array | None  # None: all of them
    inputs: Array
    weights: Array | None  # None: all 1
    run: tuple[int, int]  # the first and the end of the outputs that read one input after another


class Taps:
    """Weights from `size` inputs to `count` outputs, as a list of rows."""

    def __init__(
        self, size: int, count: int, inputs: Array, outputs: Array, weights: Array
    ) -> None:
        """From entries: `weights[k]` leads from `inputs[k]` to `outputs[k]`."""
        self.size, self.count = size, count
        self._entries = inputs, outputs, weights
        self.tables: dict[Any, Array] = {}  # of the kernels of a GPU, which keep them here
        order = np.argsort(outputs, kind="stable")
        inputs, outputs, weights = inputs[order], outputs[order], weights[order]
        # How many entries of the same output come before each.
        rank = np.arange(len(outputs)) - np.searchsorted(outputs, outputs)
        self.rows: list[Row] = []
        for k in range(int(rank.max(initial=-1)) + 1):
            row = rank == k
            to, factor = outputs[row], weights[row]
            self.rows.append(
                Row(
                    None if len(to) == count else to,
                    inputs[row],
                    None if (factor == 1).all() else factor,
                    _longest_run(inputs[row]),
                )
            )

    def __repr__(self) -> str:
        return f"<{self.size} to {self.count}, {len(self.rows)} each>"

    @functools.cached_property
    def transposed(self) -> Taps:
        """The way back."""
        inputs, outputs, weights = self._entries
        return Taps(self.count, self.size, outputs, inputs, weights)

    @functools.cached_property
    def by_output(self) -> tuple[Array, Array, Array]:
        """Inputs and weights output by output, and where those of each start (count + 1,)."""
        inputs, outputs, weights = self._entries
        order = np.argsort(outputs, kind="stable")
        starts = np.searchsorted(outputs[order], np.arange(self.count + 1))
        return starts, inputs[order], weights[order]

    def in_fixed_point(self) -> Taps:
        """The same with weights rounded to the 16 bits that PyTorch resizes bytes with."""
        outputs, inputs = np.nonzero(self.matrix)
        weights = self.matrix[outputs, inputs]
        largest = max(float(weights.max(initial=0.0)), 2.0**-7)
        bits = 14 - math.floor(math.log2(largest))
        if int(largest * 2**bits + 0.5) >= 1 << 15:
            bits -= 1
        whole = np.trunc(weights * 2.0**bits + np.copysign(0.5, weights))
        return Taps(self.size, self.count, inputs, outputs, whole / 2.0**bits)

    @functools.cached_property
    def matrix(self) -> Array:
        """The weights as a matrix (count, size)."""
        inputs, outputs, weights = self._entries
        found = np.zeros((self.count, self.size))
        np.add.at(found, (outputs, inputs), weights)
        return found


def _longest_run(places: Array) -> tuple[int, int]:
    """The longest stretch of places that follow each other."""
    ends = np.flatnonzero(np.diff(places, append=-2) != 1) + 1
    lengths = np.diff(ends, prepend=0)
    if not len(lengths):
        return 0, 0
    longest = int(lengths.argmax())
    return int(ends[longest] - lengths[longest]), int(ends[longest])


def reading(size: int, places: Array) -> Taps:
    """One input for each output."""
    places = np.asarray(places)
    return Taps(size, len(places), places, np.arange(len(places)), np.ones(len(places)))


def resample(xp: Any, x: Array, plan: Sequence[tuple[int, Taps]]) -> Array:
    """A new array: x read along the axes of a plan, one after the other, as weighted sums.

    >>> resample(np, np.array([[1.0, 2.0], [3.0, 5.0]]), [(1, wrapped(2, 1, 0))])
    array([[2., 1., 2.],
           [5., 3., 5.]])
    """
    if xp is not np and plan:
        found = on_gpu.resample(xp, x, plan)
        if found is not None:
            return found
    weighs = any(len(t.rows) > 1 or t.rows[0].weights is not None for _, t in plan if t.rows)
    out = x.astype(accumulator(x.dtype), copy=False) if weighs else x
    extended = extend(xp, out, plan) if plan else None
    if extended is not None:
        return extended.astype(x.dtype, copy=False)
    for axis, taps in plan:
        out = apply(xp, out, axis, taps)
    return out.astype(x.dtype, copy=not plan)


def apply(xp: Any, x: Array, axis: int, taps: Taps) -> Array:
    """x read along an axis.

    >>> apply(np, np.array([1.0, 2.0, 3.0]), 0, reading(3, [2, 2, 0]))
    array([3., 3., 1.])
    """
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    shape = (*before, taps.count, *after)
    if len(taps.rows) > 4 and taps.size <= 16 * len(taps.rows) and x.dtype.kind == "f":
        matrix = xp.asarray(taps.matrix.astype(x.dtype))
        if not after:
            return xp.matmul(x, matrix.T)
        lines = x.reshape(math.prod(before), taps.size, math.prod(after))
        return xp.matmul(matrix, lines).reshape(shape)
    out = None
    for row in taps.rows:
        part = _read(xp, x, axis, row)
        if row.weights is not None:
            factors = xp.asarray(row.weights.astype(x.dtype))
            part *= factors.reshape(-1, *(1,) * len(after))
        if row.outputs is None:
            out = part if out is None else xp.add(out, part, out=out)
            continue
        if out is None:
            out = xp.zeros(shape, x.dtype)
        out[(slice(None),) * axis + (xp.asarray(row.outputs),)] += part
    return xp.zeros(shape, x.dtype) if out is None else out


def extend(xp: Any, x: Array, plan: Sequence[tuple[int, Taps]]) -> Array | None:
    """x read along several axes in one go, where each is a border around a run of inputs.

    None where a plan is of another kind. What lies inside is written once, then the borders of one
    axis after the other are copied from what is there.
    """
    runs = []
    for _, taps in plan:
        row = taps.rows[0] if len(taps.rows) == 1 else None
        if row is None or row.weights is not None or row.outputs is not None:
            return None
        first, end = row.run
        moved = row.inputs - row.inputs[first] + first  # outputs that hold the same input
        if 2 * (end - first) < taps.count or moved.min() < first or moved.max() >= end:
            return None
        runs.append((first, end, moved))
    shape, here, there = list(x.shape), [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for (axis, taps), (first, end, _) in zip(plan, runs, strict=True):
        start = int(taps.rows[0].inputs[first])
        shape[axis], here[axis] = taps.count, slice(first, end)
        there[axis] = slice(start, start + end - first)
    out = xp.empty(shape, x.dtype)
    out[tuple(here)] = x[tuple(there)]
    for (axis, taps), (first, end, moved) in zip(plan, runs, strict=True):
        here[axis] = slice(None)
        whole = out[tuple(here)]
        for border in (slice(0, first), slice(end, taps.count)):
            if border.start < border.stop:
                lead = (slice(None),) * axis
                whole[(*lead, border)] = whole[(*lead, xp.asarray(moved[border]))]
    return out


def _read(xp: Any, x: Array, axis: int, row: Row) -> Array:
    """What a row reads; a long run of inputs is copied as a whole."""
    first, end = row.run
    if 2 * (end - first) < len(row.inputs):
        return x.take(xp.asarray(row.inputs), axis=axis)
    out = xp.empty((*x.shape[:axis], len(row.inputs), *x.shape[axis + 1 :]), x.dtype)
    lead = (slice(None),) * axis
    start = int(row.inputs[first])
    out[(*lead, slice(first, end))] = x[(*lead, slice(start, start + end - first))]
    for rest in (slice(0, first), slice(end, len(row.inputs))):
        if rest.start < rest.stop:
            out[(*lead, rest)] = x[(*lead, xp.asarray(row.inputs[rest]))]
    return out


# Past the border


@remembered
def reflected(size: int, left: int, right: int) -> Taps:
    """The inputs with their mirror images on both sides, the outermost not repeated."""
    places = np.abs(np.arange(-left, size + right))
    return reading(size, size - 1 - np.abs(size - 1 - places))


@remembered
def replicated(size: int, left: int, right: int) -> Taps:
    """The inputs with the outermost repeated on both sides."""
    return reading(size, np.clip(np.arange(-left, size + right), 0, size - 1))


@remembered
def wrapped(size: int, left: int, right: int) -> Taps:
    """The inputs with those of the other end on both sides; cropped first where negative."""
    kept = np.arange(size)[max(-left, 0) : size - max(-right, 0)]
    places = np.arange(-max(left, 0), len(kept) + max(right, 0))
    return reading(size, kept[places % max(len(kept), 1)])


# In another size: positions are computed in the dtype PyTorch computes them in, so that they fall
# on the same side of a boundary.


def step(size: int, count: int, factor: float | None, aligned: bool, dtype: Any) -> Any:
    """How far one output is from the next, in inputs."""
    if aligned:
        return dtype((size - 1) / (count - 1)) if count > 1 else dtype(0)
    return dtype(1 / factor) if factor else dtype(size) / dtype(count)


@remembered
def nearest(size: int, count: int, factor: float | None, exact: bool) -> Taps:
    """The input an output lies in; `exact` measures from the middle of the output."""
    outputs = np.arange(count)
    if exact:
        places = (outputs.astype(np.float32) + np.float32(0.5)) * step(
            size, count, factor, False, np.float32
        )
    elif count in (size, 2 * size):
        return reading(size, outputs // (count // size))
    else:
        places = outputs.astype(np.float32) * step(size, count, factor, False, np.float32)
    return reading(size, np.minimum(np.floor(places).astype(np.int64), size - 1))


@remembered
def linear(size: int, count: int, factor: float | None, aligned: bool, dtype: Any) -> Taps:
    """A straight line between the two inputs around an output."""
    places = np.maximum(_places(size, count, factor, aligned, dtype), 0)
    before = np.minimum(places.astype(np.int64), size - 1)
    share = np.clip(places - before, 0, 1).astype(dtype)
    return _taps(size, [before, np.minimum(before + 1, size - 1)], [1 - share, share])


@remembered
def cubic(size: int, count: int, factor: float | None, aligned: bool, dtype: Any) -> Taps:
    """Cubic convolution of the four inputs around an output (Keys, 1981)."""
    places = _places(size, count, factor, aligned, dtype)
    before = np.minimum(np.floor(places).astype(np.int64), size - 1)
    share = np.clip(places - before, 0, 1).astype(dtype)
    return _taps(
        size,
        [np.clip(before + k, 0, size - 1) for k in range(-1, 3)],
        [_keys(np.abs(share - k), KEYS) for k in range(-1, 3)],
    )


@remembered
def smoothed(
    size: int, count: int, factor: float | None, aligned: bool, kind: str, dtype: Any
) -> Taps:
    """All inputs an output covers, weighed by a filter that widens with the step."""
    radius, weigh = _FILTERS[kind]
    apart = step(size, count, factor, aligned, dtype)
    widen = max(apart, dtype(1))
    centre = apart * (np.arange(count).astype(dtype) + dtype(0.5))
    first = np.maximum((centre - radius * widen + dtype(0.5)).astype(np.int64), 0)
    end = np.minimum((centre + radius * widen + dtype(0.5)).astype(np.int64), size)

    length = np.maximum(end - first, 0)
    outputs = np.repeat(np.arange(count), length)
    inputs = np.arange(len(outputs)) - np.repeat(np.cumsum(length) - length - first, length)
    weights = weigh(np.abs((inputs - centre[outputs] + dtype(0.5)) / widen))
    weights = weights / np.bincount(outputs, weights, count)[outputs]
    return Taps(size, count, inputs, outputs, weights)


def keys_near(distance: Any, a: float) -> Any:
    """Keys' cubic at distances up to 1, of arrays and tensors alike."""
    return ((a + 2) * distance - (a + 3)) * distance * distance + 1


def keys_far(distance: Any, a: float) -> Any:
    """Keys' cubic at distances from 1 to 2."""
    return (((distance - 5) * distance + 8) * distance - 4) * a


def _keys(distance: Array, a: float) -> Array:
    far = np.where(distance < 2, keys_far(distance, a), 0)
    return np.where(distance <= 1, keys_near(distance, a), far)


def _triangle(distance: Array) -> Array:
    return np.maximum(1 - distance, 0)


def _lanczos(distance: Array) -> Array:
    return np.where(distance < 3, np.sinc(distance) * np.sinc(distance / 3), 0)


_FILTERS: dict[str, tuple[int, Callable[[Array], Array]]] = {
    "bilinear": (1, _triangle),
    "bicubic": (2, lambda distance: _keys(distance, -0.5)),
    "lanczos": (3, _lanczos),
}


def _places(size: int, count: int, factor: float | None, aligned: bool, dtype: Any) -> Array:
    """Where among the inputs each output lies."""
    apart = step(size, count, factor, aligned, dtype)
    outputs = np.arange(count).astype(dtype)
    return apart * outputs if aligned else apart * (outputs + dtype(0.5)) - dtype(0.5)


def _taps(size: int, places: list[Array], weights: list[Array]) -> Taps:
    """From one array of inputs and one of weights for each row."""
    count = len(places[0])
    outputs = np.tile(np.arange(count), len(places))
    return Taps(size, count, np.concatenate(places), outputs, np.concatenate(weights))
