"""Random numbers on a GPU: a stream of a seed and an offset, drawn by the kernels of `random.cu`.

`PhiloxStream` has the methods of NumPy's generators that this package uses, so that a random
function need not know where it draws. Its state is two numbers on the host: each draw takes the
counters from the offset on and moves the offset behind them, and nothing waits for the device.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from ctypes import c_float, c_int, c_longlong, c_ulonglong, c_void_p
from typing import Any

import ml_dtypes
import numpy as np

from . import checks
from .compiling import source
from .launching import Kernel, Launch, pointer

Shape = tuple[int, ...]

_FLOATS = {
    np.dtype(np.float16): "float16",
    np.dtype(ml_dtypes.bfloat16): "bfloat16",
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
}
_OUTCOMES = {**_FLOATS, np.dtype(np.bool_): "unsigned char"}
_THREADS = 256
_BLOCKS = 2048  # fills any GPU; for more, threads go round
_taking = threading.Lock()


class PhiloxStream:
    """The random numbers of a seed on a device, from an offset on.

    Args:
        here: makes the context in which the device is the current one; it gives CuPy.
        seed: taken modulo 2^64.
    """

    def __init__(self, here: Callable[[], AbstractContextManager[Any]], seed: int) -> None:
        self._here = here
        self.seed, self.offset = seed % 2**64, 0

    def reserve(self, counters: int) -> int:
        """The offset of a draw that uses so many counters; the next draw starts behind it."""
        with _taking:
            offset = self.offset
            self.offset = (offset + counters) % 2**64
        return offset

    def random(self, shape: Shape, dtype: Any = np.float64) -> Any:
        """Uniform on [0, 1), in as many bits as the dtype's significand has."""
        return self._floats("uniform", shape, np.dtype(dtype))

    def standard_normal(self, shape: Shape, dtype: Any = np.float64) -> Any:
        """Normal with mean 0 and variance 1 (Box and Muller, 1958)."""
        return self._floats("normal", shape, np.dtype(dtype))

    def standard_exponential(self, shape: Shape, dtype: Any = np.float64) -> Any:
        """Waiting times at the rate 1, all above 0."""
        return self._floats("exponential", shape, np.dtype(dtype))

    def integers(self, low: int, high: int, shape: Shape) -> Any:
        """Integers of [low, high), in int64, or in uint64 where int64 does not hold them.

        No number is likelier than another by more than a share of 2^-32.
        """
        narrow = high - low <= 2**32 or high - low == 2**64  # two words are enough
        name, count = ("integers<Integers>", 2) if narrow else ("integers<WideIntegers>", 1)
        bounds = (low % 2**64, (high - low) % 2**64)
        with self._here() as xp:
            out = xp.empty(shape, np.uint64 if high > 2**63 else np.int64)
            return self._drawn(name, out, count, (c_ulonglong, c_ulonglong), bounds)

    def permutation(self, n: int) -> Any:
        """The integers 0 to n - 1 in the order of random keys of 64 bits."""
        with self._here():
            return self.integers(0, 2**64, (n,)).argsort()

    def bernoulli(self, chances: Any, shape: Shape, dtype: Any, name: str = "bernoulli") -> Any:
        """1 with a probability, else 0.

        chances   one number, or an array that broadcasts to the shape. A probability out of range
                  is found by the kernel and raised where the host next waits for the device
        name      the operation that the error names
        """
        dtype = np.dtype(dtype)
        with self._here() as xp:
            out = xp.empty(shape, dtype if dtype in _OUTCOMES else np.bool_)
            each = None
            if hasattr(chances, "dtype"):
                each = xp.broadcast_to(chances.astype(np.float32, copy=False), shape)
                each = xp.ascontiguousarray(each)
            message = f"{name}: the probability of element {{value}} is not from 0 to 1"
            given = (0, float(chances)) if each is None else (pointer(each), 0.0)
            types = (c_void_p, c_float, c_void_p, c_int)
            values = (*given, *checks.watch(message, ValueError))
            drawn = self._drawn(f"bernoulli<{_OUTCOMES[out.dtype]}>", out, 4, types, values)
            return drawn.astype(dtype, copy=False)

    def poisson(self, rates: Any) -> Any:
        """Counts of the Poisson distribution in int64; the rates are an array of float64."""
        message = "poisson: the rate of element {value} is negative"
        return self._counts("poisson", message, rates)

    def binomial(self, counts: Any, chances: Any) -> Any:
        """How many of `counts` trials succeed, in int64; both are arrays, and broadcast."""
        message = (
            "binomial: element {value} has a count below 0 or a probability that is not from 0 to 1"
        )
        return self._counts("binomial", message, counts, chances)

    def _floats(self, kind: str, shape: Shape, dtype: np.dtype) -> Any:
        count = 2 if dtype == np.float64 else 4
        with self._here() as xp:
            return self._drawn(f"{kind}<{_FLOATS[dtype]}>", xp.empty(shape, dtype), count)

    def _counts(self, name: str, message: str, *given: Any) -> Any:
        with self._here() as xp:
            shape = np.broadcast_shapes(*(array.shape for array in given))
            given = tuple(
                xp.ascontiguousarray(xp.broadcast_to(array.astype(np.float64, copy=False), shape))
                for array in given
            )
            types = (*(c_void_p for _ in given), c_void_p, c_int)
            values = (*map(pointer, given), *checks.watch(message, ValueError))
            return self._drawn(name, xp.empty(shape, np.int64), 1, types, values)

    def _drawn(
        self,
        name: str,
        out: Any,
        count: int,
        types: tuple[Any, ...] = (),
        values: tuple[Any, ...] = (),
    ) -> Any:
        """`out`, filled by a kernel that gets `count` elements out of each counter."""
        if out.size:
            each = max(count, 16 // out.itemsize) if count > 1 else 1  # what a thread does at once
            launch = _prepared(name, types, out.size, -(-out.size // each))
            launch(pointer(out), self.seed, self.reserve(-(-out.size // count)), *values)
        return out


@functools.cache
def _kernel(name: str) -> Kernel:
    return Kernel(source("random.cu"), name, filename="random.cu")


@functools.lru_cache(maxsize=1024)
def _prepared(name: str, types: tuple[Any, ...], size: int, turns: int) -> Launch:
    blocks = min(-(-turns // _THREADS), _BLOCKS)
    return _kernel(name).prepare(
        (blocks, 1, 1),
        (_THREADS, 1, 1),
        varying=(c_void_p, c_ulonglong, c_ulonglong, *types),  # out, seed, offset
        constant=(c_longlong(size),),
    )


def variants() -> Iterable[Kernel]:
    """Every kernel that a stream may ask for."""
    for kind in ("uniform", "normal", "exponential"):
        yield from (_kernel(f"{kind}<{name}>") for name in _FLOATS.values())
    yield from (_kernel(f"bernoulli<{name}>") for name in _OUTCOMES.values())
    for name in ("integers<Integers>", "integers<WideIntegers>", "poisson", "binomial"):
        yield _kernel(name)
