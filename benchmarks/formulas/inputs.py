"""The arrays that the rows name by one letter, a million elements where the operation allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapegrad as tg
from tapegrad.nn import functional as F

SIDE = 1000
Formula = Callable[..., Any]
Row = tuple[str, Formula, Formula]  # letters of the inputs, tapegrad's side, NumPy's side

stream = np.random.default_rng(0)


def floats(low: float, high: float, *shape: int) -> np.ndarray:
    return stream.uniform(low, high, shape).astype(np.float32)


INPUTS: dict[str, np.ndarray] = {
    "x": floats(-2, 2, SIDE, SIDE),
    "y": floats(-2, 2, SIDE, SIDE),
    "z": floats(-2, 2, SIDE, SIDE),
    "p": floats(0.1, 2, SIDE, SIDE),
    "q": floats(0.1, 2, SIDE, SIDE),
    "u": floats(-0.9, 0.9, SIDE, SIDE),
    "g": floats(1.1, 3, SIDE, SIDE),
    "h": floats(0.05, 0.95, SIDE, SIDE),
    "n": np.where(stream.random((SIDE, SIDE)) < 0.1, np.nan, floats(-2, 2, SIDE, SIDE)),
    "v": floats(-2, 2, SIDE * SIDE),
    "w": floats(-2, 2, SIDE),
    "i": stream.permutation(SIDE * SIDE),
    "r": stream.integers(0, SIDE, SIDE),
    "k": np.argsort(stream.random((SIDE, SIDE)), axis=1),
    "j": stream.integers(-100, 100, (SIDE, SIDE)),
    "e": stream.integers(1, 30, (SIDE, SIDE)),
    "b": stream.random((SIDE, SIDE)) < 0.5,
    "d": stream.random((SIDE, SIDE)) < 0.5,
    "c": floats(-2, 2, 64, 64),
    "s": floats(-1, 1, 250, 64, 64),
    "S": floats(-1, 1, 250, 64, 64) / 64 + 2 * np.eye(64, dtype=np.float32),
    "m": floats(-2, 2, 4, 16, 128, 128),
    "f": floats(-1, 1, 16, 16, 3, 3),
    "l": floats(-2, 2, 8, 16, 8192),
    "L": floats(-1, 1, 16, 16, 3),
    "o": floats(-2, 2, 2, 8, 40, 40, 40),
    "K": floats(-1, 1, 8, 8, 3, 3, 3),
    "T": stream.integers(0, 10, SIDE * 100),
    "t": stream.integers(0, SIDE, SIDE),
    "a": floats(-1, 1, 4, 8, 128, 64),
    "R": np.sort(floats(-2, 2, SIDE)),
    "G": floats(-1, 1, 4, 128, 128, 2),
    "Q": floats(-2, 2, SIDE * 300, 3),
}
INPUTS["n"] = INPUTS["n"].astype(np.float32)


def same(name: str, *letters: str, numpy: str | None = None) -> Row:
    """One function of both libraries, by its name in each."""
    ours = getattr(tg, name, None) or getattr(F, name)
    return "".join(letters) or "x", ours, getattr(np, numpy or name)
