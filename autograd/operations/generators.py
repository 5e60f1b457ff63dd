"""Streams of random numbers: one default generator for each device, or a `Generator` of one's own.

The same seed gives the same numbers on the same kind of device. On a CPU they are NumPy's; on a GPU
they are those of counters (`tapegrad.kernels.cuda.random`), where a stream is a seed and an offset.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tapegrad.autograd import arrays, transfers
from tapegrad.autograd.arrays import (
    FLOATS,
    HALVES,
    Array,
    as_dtype,
    bfloat16,
    get_default_dtype,
    wide,
)
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import DtypeError
from tapegrad.kernels.cuda.random import PhiloxStream

from .arguments import check_tensor

__all__ = [
    "Generator",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


class Generator:
    """A stream of random numbers on a device; the same seed gives the same numbers.

    >>> import tapegrad as tg
    >>> g = tg.Generator().manual_seed(0)
    >>> a = tg.rand(3, generator=g)
    >>> bool((a == tg.rand(3, generator=g.manual_seed(0))).all())
    True
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = arrays.device(device)
        arrays.module_for(self.device)  # says so at once if there is no such device
        self.seed()

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to `seed` (any integer); returns the generator."""
        self._seed = int(seed)
        if self.device.index is None:
            self.stream: Any = np.random.default_rng(self._seed % 2**64)
        else:
            self.stream = PhiloxStream(functools.partial(arrays.on, self.device), self._seed)
        return self

    def seed(self) -> int:
        """Start a stream at a seed nobody knows, and return that seed."""
        self.manual_seed(int(np.random.SeedSequence().entropy) % 2**63)  # type: ignore[arg-type]
        return self._seed

    def initial_seed(self) -> int:
        """The seed the stream was started with."""
        return self._seed

    def get_state(self) -> Any:
        """Where the stream is, to come back to with `set_state`: a tensor of bytes on the CPU.

        >>> import tapegrad as tg
        >>> g = tg.Generator().manual_seed(0)
        >>> state = g.get_state()
        >>> a = tg.rand(3, generator=g)
        >>> g.set_state(state)
        >>> bool((a == tg.rand(3, generator=g)).all())
        True
        """
        seed = (self._seed % 2**64).to_bytes(8, "little")
        return wrap(np.frombuffer(bytearray(seed + self._position()), arrays.uint8))

    def set_state(self, new_state: Any) -> None:
        """Go back to where a stream was at `get_state`."""
        data = check_tensor("set_state", new_state)._data
        if data.dtype != arrays.uint8 or data.ndim != 1 or data.size != self.get_state()._data.size:
            raise RuntimeError(f"set_state: {describe(new_state)} is no state of {self.device}")
        held = transfers.move(data, "cpu").tobytes()
        self.manual_seed(int.from_bytes(held[:8], "little"))
        self._move_to(held[8:])

    def _position(self) -> bytes:
        if self.device.type == "cuda":
            return self.stream.offset.to_bytes(8, "little")
        state: Any = self.stream.bit_generator.state
        words = (state["state"]["state"], state["state"]["inc"])
        half = (state["has_uint32"], state["uinteger"])
        return b"".join(
            [word.to_bytes(16, "little") for word in words]
            + [part.to_bytes(4, "little") for part in half]
        )

    def _move_to(self, position: bytes) -> None:
        if self.device.type == "cuda":
            self.stream.offset = int.from_bytes(position, "little")
            return
        numbers = [
            int.from_bytes(position[a:b], "little")
            for a, b in ((0, 16), (16, 32), (32, 36), (36, 40))
        ]
        self.stream.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": numbers[0], "inc": numbers[1]},
            "has_uint32": numbers[2],
            "uinteger": numbers[3],
        }


_default: dict[str, Generator] = {}
_seed: int | None = None


def default_generator(device: Any = None) -> Generator:
    """The generator that random functions use on a device when given none."""
    key = str(arrays.device(device or "cpu"))
    if key not in _default:
        _default[key] = Generator(key)
        if _seed is not None:
            _default[key].manual_seed(_seed)
    return _default[key]


def reserve(x: Any) -> tuple[Any, Any]:
    """The seed and the offset of one random number for each element of a tensor, for no one else.

    They are for `kernels.philox` and the kernels of a GPU. In a trace they are numbers that every
    call of what is traced draws anew.
    """
    data = x._data
    if arrays.is_traced(data):
        return data.trace.draw()
    return reserved(arrays.device_of(data), data.size)


def reserved(device: Any, count: int) -> tuple[int, int]:
    """The seed and the offset of `count` random numbers on a device."""
    stream = default_generator(device).stream
    if arrays.device(device).type == "cpu":
        return int(stream.integers(2**63)), 0
    return stream.seed, stream.reserve(-(-count // 4))


def manual_seed(seed: int) -> Generator:
    """Seed the default generator of every device; returns the CPU's.

    >>> import tapegrad as tg
    >>> _ = tg.manual_seed(1); a = tg.rand(2)
    >>> _ = tg.manual_seed(1); bool((a == tg.rand(2)).all())
    True
    """
    global _seed
    _seed = int(seed)
    for generator in _default.values():
        generator.manual_seed(_seed)
    return default_generator()


def seed() -> int:
    """Seed the default generator of every device with a number nobody knows, and return it."""
    return manual_seed(Generator().initial_seed()).initial_seed()


def initial_seed() -> int:
    """The seed the CPU's default generator was started with.

    >>> import tapegrad as tg
    >>> _ = tg.manual_seed(5); tg.initial_seed()
    5
    """
    return default_generator().initial_seed()


def get_rng_state() -> Any:
    """Where the CPU's default generator is: a tensor of bytes.

    >>> import tapegrad as tg
    >>> state = tg.get_rng_state(); a = tg.rand(2)
    >>> tg.set_rng_state(state); bool((a == tg.rand(2)).all())
    True
    """
    return default_generator().get_state()


def set_rng_state(new_state: Any) -> None:
    """Bring the CPU's default generator back to where it was at `get_rng_state`."""
    default_generator().set_state(new_state)


def stream_of(name: str, device: Any, generator: Generator | None) -> Any:
    """The stream to draw from: that of the generator, or of the device's default one."""
    if generator is None:
        return default_generator(device).stream
    if device is not None and generator.device != arrays.device(device):
        raise RuntimeError(
            f"{name}: the generator is on {generator.device} but the tensor is to be on {device}"
        )
    return generator.stream


def draw(
    name: str,
    kind: str,
    shape: tuple[int, ...],
    dtype: Any,
    device: Any,
    generator: Generator | None,
) -> Array:
    """Uniform ("random"), normal ("standard_normal") or exponential ("standard_exponential")."""
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    if wanted not in FLOATS:
        raise DtypeError(f"{name}: needs a floating dtype, got {wanted}")
    stream = stream_of(name, device, generator)
    if isinstance(stream, PhiloxStream):
        return getattr(stream, kind)(shape, wanted)
    drawn = getattr(stream, kind)(shape, dtype=wide(wanted).type)
    if kind == "random" and wanted in HALVES:  # as many bits as there are, so that none rounds to 1
        levels = 2.0 ** (8 if wanted == bfloat16 else 11)
        drawn = np.floor(drawn * levels) / levels
    return drawn.astype(wanted, copy=False)
