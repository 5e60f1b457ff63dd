"""Drawing calls of an operation: shapes, views, arguments, all from one source of randomness.

A row of a table in `tests/operations` is a function that takes a `Draw` and returns a `Call`. The
parity tests hand it a source that hypothesis controls and shrinks; where one call will do, a plain
`random.Random` serves.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class View:
    """A leaf and how to look at it: the call receives `look(leaf)`."""

    base: np.ndarray
    look: Callable[[Any], Any]
    layout: str

    def __repr__(self) -> str:
        return f"<{self.layout} view of {self.base.dtype} {self.base.shape}>"

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> View:
        """The same view of other values."""
        return replace(self, base=function(self.base))

    def between(self, low: float, high: float) -> View:
        """The same view of values moved from [0, 1) to [low, high)."""
        return self.map(lambda base: low + (high - low) * base)


@dataclass(frozen=True)
class Call:
    """Arguments of one call; `order` is the highest derivative in which it is compared.

    What is compared is `of` the result: that of eigenvectors, say, without their sign.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    order: int = 2
    of: Callable[[Any], Any] = lambda result: result


def call(
    *args: Any, order: int = 2, of: Callable[[Any], Any] = lambda result: result, **kwargs: Any
) -> Call:
    """`call(x, 0, keepdim=True)`: a call written as it is made."""
    return Call(args, kwargs, order, of)


@dataclass(frozen=True)
class Name:
    """Something both libraries have under one name: `Name("float32")`."""

    name: str


def made(value: Any, leaf: Callable[[np.ndarray], Any], module: Any = None) -> Any:
    """`value` with a tensor for every view and array in it, however deep in lists and dicts."""
    if isinstance(value, View):
        return value.look(leaf(value.base))
    if isinstance(value, (np.ndarray, np.generic)):
        return leaf(np.asarray(value))
    if isinstance(value, Name):
        return found(module, value.name)
    if type(value) in (list, tuple):
        return type(value)(made(part, leaf, module) for part in value)
    if type(value) is dict:
        return {key: made(part, leaf, module) for key, part in value.items()}
    return value


def retyped(value: Any, dtype: Any) -> Any:
    """`value` with every float64 array in it as `dtype`."""
    if isinstance(value, View):
        return value.map(lambda base: retyped(base, dtype))
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value).astype(dtype) if value.dtype == np.float64 else value
    if type(value) in (list, tuple):
        return type(value)(retyped(part, dtype) for part in value)
    if type(value) is dict:
        return {key: retyped(part, dtype) for key, part in value.items()}
    return value


def found(module: Any, name: str) -> Any:
    """`module.name`, dots followed; a method of its Tensor where there is no such function."""
    thing = module
    for part in name.split("."):
        thing = getattr(thing, part, None)
    return getattr(module.Tensor, name) if thing is None else thing


def with_elements(draw: Callable[[Draw], Call], leaf: Callable[[np.ndarray], Any]) -> Call:
    """The first call drawn all of whose tensors have elements, if any has."""
    for seed in range(30):
        drawn = draw(Draw(seed))
        seen: list[int] = []
        _sizes(made((drawn.args, drawn.kwargs), leaf, _ANYTHING), seen)
        if all(seen):
            break
    return drawn


class _Anything:
    def __getattr__(self, name: str) -> Any:
        return name


_ANYTHING = _Anything()


def _sizes(value: Any, seen: list[int]) -> None:
    if hasattr(value, "shape"):
        seen.append(math.prod(value.shape))
    for part in value if isinstance(value, (list, tuple)) else ():
        _sizes(part, seen)
    for part in value.values() if isinstance(value, dict) else ():
        _sizes(part, seen)


class Draw:
    """What calls are drawn with."""

    def __init__(self, source: random.Random | int = 0) -> None:
        self.source = random.Random(source) if isinstance(source, int) else source

    def integer(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self.source.randint(low, high)

    def flag(self) -> bool:
        """False or True."""
        return bool(self.source.randint(0, 1))

    def one_of(self, *choices: Any) -> Any:
        """One of the choices."""
        return choices[self.source.randint(0, len(choices) - 1)]

    def values(self) -> np.random.Generator:
        """A stream of values."""
        return np.random.default_rng(self.source.randint(0, 99))

    def shape(
        self, least: int = 0, most: int = 3, side: int = 4, smallest: int = 0
    ) -> tuple[int, ...]:
        """A shape of `least` to `most` dimensions, each of `smallest` to `side`."""
        return tuple(self.integer(smallest, side) for _ in range(self.integer(least, most)))

    def shapes(self, count: int = 2, most: int = 3, side: int = 3) -> list[tuple[int, ...]]:
        """Shapes that broadcast with each other: sizes of 1, and leading dimensions left out."""
        common = self.shape(0, most, side)
        drawn = []
        for _ in range(count):
            whole = tuple(self.one_of(n, n, 1) for n in common)
            drawn.append(whole[self.integer(0, len(whole)) if self.flag() else 0 :])
        return drawn

    def dim(self, ndim: int) -> int:
        """One dimension, counted from either end; 0 or -1 of a scalar."""
        return self.integer(-max(ndim, 1), max(ndim, 1) - 1)

    def dims(self, ndim: int, least: int = 0) -> tuple[int, ...]:
        """Several different dimensions in any order, counted from either end."""
        picked = self.source.sample(range(ndim), self.integer(min(least, ndim), ndim))
        return tuple(d - ndim if self.flag() else d for d in picked)

    def tensor(
        self, shape: Sequence[int] | None = None, low: float = -2.0, high: float = 2.0
    ) -> View:
        """Numbers of [low, high) in a shape, plain or seen through one of several kinds of view."""
        return self._seen(shape, lambda stream, size: stream.random(size)).between(low, high)

    def apart(
        self, shape: Sequence[int] | None = None, low: float = -2.0, high: float = 2.0
    ) -> View:
        """The same, no two elements nearer than a fifth of their mean distance."""

        def spaced(stream: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
            count = max(int(np.prod(size)), 1)
            places = (stream.permutation(count) + 0.1 + 0.8 * stream.random(count)) / count
            return places[: int(np.prod(size))].reshape(size)

        return self._seen(shape, spaced, repeats=False).between(low, high)

    def _seen(self, shape: Any, fill: Callable[..., np.ndarray], repeats: bool = True) -> View:
        shape = self.shape() if shape is None else tuple(shape)
        layout = self.one_of(
            "plain", "transposed", "strided", "offset", *(["expanded"] if repeats else [])
        )
        stream = self.values()
        if layout == "plain" or not shape:
            return View(np.asarray(fill(stream, shape)), lambda t: t, "plain")
        if layout == "transposed":
            order = tuple(reversed(range(len(shape))))
            return View(fill(stream, shape[::-1]), lambda t: t.permute(order), layout)
        if layout == "strided":
            size = (*shape[:-1], 2 * shape[-1])
            return View(fill(stream, size), lambda t: t[..., ::2], layout)
        if layout == "offset":
            return View(fill(stream, (shape[0] + 1, *shape[1:])), lambda t: t[1:], layout)
        d = self.integer(0, len(shape) - 1)
        base = fill(stream, (*shape[:d], 1, *shape[d + 1 :]))
        return View(base, lambda t: t.expand(shape), layout)

    def whole(self, shape: Sequence[int], low: int, high: int) -> np.ndarray:
        """Whole numbers of [low, high)."""
        return np.asarray(self.values().integers(low, max(high, low + 1), tuple(shape)))

    def mask(self, shape: Sequence[int]) -> np.ndarray:
        """Booleans."""
        return np.asarray(self.values().random(tuple(shape)) < 0.5)
