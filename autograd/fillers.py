"""Filling a tensor with random numbers, in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import FLOATS, Array, bool_, float32, float64, module_of
from .engine import describe, wrap
from .errors import ArgumentError, DtypeError
from .gates.selection import where
from .in_place import InPlace
from .operations.arguments import number_that_fits
from .operations.generators import Generator, draw
from .operations.random import integers, trials
from .records import get_mode


class Fillers(InPlace):
    """The methods of a tensor that fill it with random numbers."""

    __slots__ = ()

    def _filled(self, name: str, make: Callable[[], Array]) -> Any:
        """Hold what is drawn; while recording, with a gradient of 0 for what was there."""

        def drawn() -> Any:
            with np.errstate(all="ignore"):
                found = wrap(make().astype(self.dtype, copy=False))
            recorded = get_mode().recording and self._node is not None
            return where(True, found, self) if recorded else found

        return self._write(name, drawn)

    def _drawn(self, name: str, kind: str, generator: Generator | None) -> Array:
        """Numbers of a distribution in the shape of this tensor, at least float32."""
        if self.dtype not in FLOATS:
            raise DtypeError(f"{name}: fills floating tensors, this is {describe(self)}")
        dtype = float64 if self.dtype == float64 else float32
        return draw(name, kind, self.shape, dtype, self.device, generator)

    def uniform_(
        self, low: float = 0.0, to: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        """Numbers uniform on [low, to), in place.

        >>> import tapegrad as tg
        >>> x = tg.empty(100).uniform_(2, 3)
        >>> bool(((x >= 2) & (x <= 3)).all())
        True
        """
        if low > to:
            raise ArgumentError(f"uniform_: expected low <= to, got {low} and {to}")
        for number in (low, to, to - low) if self.dtype in FLOATS else ():
            number_that_fits("uniform_", number, self.dtype)
        return self._filled(
            "uniform_", lambda: self._drawn("uniform_", "random", generator) * (to - low) + low
        )

    def normal_(
        self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        """Normal numbers of a mean and a standard deviation, in place."""
        if std < 0:
            raise ArgumentError(f"normal_: std must not be negative, got {std}")
        return self._filled(
            "normal_", lambda: self._drawn("normal_", "standard_normal", generator) * std + mean
        )

    def log_normal_(
        self, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
    ) -> Any:
        """Numbers whose logarithms are normal with that mean and standard deviation, in place."""
        if not std > 0:
            raise ArgumentError(f"log_normal_: std must be above 0, got {std}")

        def make() -> Array:
            found = self._drawn("log_normal_", "standard_normal", generator)
            return module_of(found).exp(found * std + mean)

        return self._filled("log_normal_", make)

    def exponential_(self, lambd: float = 1.0, *, generator: Generator | None = None) -> Any:
        """Waiting times at a rate, `lambd exp(-lambd x)`, in place."""
        if not lambd > 0:
            raise ArgumentError(f"exponential_: the rate must be above 0, got {lambd}")
        return self._filled(
            "exponential_",
            lambda: self._drawn("exponential_", "standard_exponential", generator) / lambd,
        )

    def cauchy_(
        self, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        """Numbers of the Cauchy distribution of a median and a scale, in place."""
        if not sigma > 0:
            raise ArgumentError(f"cauchy_: sigma must be above 0, got {sigma}")

        def make() -> Array:
            found = self._drawn("cauchy_", "random", generator)
            return module_of(found).tan((found - 0.5) * math.pi) * sigma + median

        return self._filled("cauchy_", make)

    def geometric_(self, p: float, *, generator: Generator | None = None) -> Any:
        """How many trials of probability p it takes to succeed once, in place."""
        if not 0 < p < 1:
            raise ArgumentError(f"geometric_: p must be between 0 and 1, got {p}")

        def make() -> Array:
            waited = draw(
                "geometric_", "standard_exponential", self.shape, float64, self.device, generator
            )
            return module_of(waited).maximum(module_of(waited).ceil(waited / -math.log1p(-p)), 1)

        return self._filled("geometric_", make)

    def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
        """1 with probability p (a number, or a tensor that broadcasts), else 0, in place."""
        return self._filled("bernoulli_", lambda: trials("bernoulli_", self.data, p, generator))

    def random_(
        self, low: int | None = None, to: int | None = None, *, generator: Generator | None = None
    ) -> Any:
        """Integers of [low, to), or of [0, low) with one number, in place.

        Without numbers, all that an integer dtype holds from 0 on, or that a float counts exactly.

        >>> import tapegrad as tg
        >>> sorted(set(tg.empty(100, dtype=tg.int64).random_(3).tolist()))
        [0, 1, 2]
        """
        if low is None:
            low, to = 0, _most(self.dtype) + 1
        elif to is None:
            low, to = 0, low
        return self._filled(
            "random_",
            lambda: integers(
                "random_", int(low), int(to), self.shape, self.dtype, self.device, generator
            ),
        )


def _most(dtype: np.dtype) -> int:
    """The largest integer that `random_` draws."""
    if dtype == bool_:
        return 1
    if dtype in FLOATS:
        return {"float64": 2**53, "float32": 2**24, "float16": 2**11, "bfloat16": 2**8}[dtype.name]
    return int(np.iinfo(dtype).max)
