"""Random tensors, reproducible by seed: `manual_seed` for all, or a `Generator` of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.autograd import arrays
from tapegrad.autograd.arrays import Array, as_dtype, float32, float64, get_default_dtype, wide
from tapegrad.autograd.engine import array_of
from tapegrad.autograd.errors import ArgumentError

from .arguments import check_tensor, shape_of
from .creation import finish

__all__ = [
    "Generator",
    "bernoulli",
    "manual_seed",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
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
        self._module = arrays.module_for(self.device)
        self.seed()

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to `seed` (any integer); returns the generator."""
        self._seed = int(seed)
        self.stream = self._module.random.default_rng(self._seed % 2**64)
        return self

    def seed(self) -> int:
        """Start a stream at a seed nobody knows, and return that seed."""
        self.manual_seed(int(np.random.SeedSequence().entropy) % 2**63)  # type: ignore[arg-type]
        return self._seed

    def initial_seed(self) -> int:
        """The seed the stream was started with."""
        return self._seed

    def get_state(self) -> Any:
        """Where the stream is, to come back to with `set_state`."""
        return self.stream.bit_generator.state

    def set_state(self, state: Any) -> None:
        """Go back to where the stream was at `get_state`."""
        self.stream.bit_generator.state = state


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


def _draw(
    name: str,
    kind: str,
    shape: tuple[int, ...],
    dtype: Any,
    device: Any,
    generator: Generator | None,
) -> Array:
    """Uniform ("random") or normal ("standard_normal") numbers in the dtype asked for."""
    if min(shape, default=0) < 0:
        raise ArgumentError(f"{name}: sizes must not be negative, got {shape}")
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    if wanted not in arrays.FLOATS:
        raise RuntimeError(f"{name}: needs a floating dtype, got {wanted}")
    if generator is None:
        generator = default_generator(device)
    elif device is not None and generator.device != arrays.device(device):
        raise RuntimeError(
            f"{name}: the generator is on {generator.device} but the tensor is to be on {device}"
        )
    drawn = wide(wanted) if wanted != float64 else float64
    return getattr(generator.stream, kind)(shape, dtype=drawn.type).astype(wanted, copy=False)


def rand(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Any:
    """Uniform on [0, 1), of a shape given as ints or as one tuple.

    >>> import tapegrad as tg
    >>> tg.rand(2, 3).shape
    (2, 3)
    """
    shape = shape_of("rand", size)
    return finish(_draw("rand", "random", shape, dtype, device, generator), requires_grad)


def randn(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Any:
    """Normal with mean 0 and variance 1, of a shape given as ints or as one tuple."""
    shape = shape_of("randn", size)
    return finish(_draw("randn", "standard_normal", shape, dtype, device, generator), requires_grad)


def randint(
    low: int,
    high: int | None = None,
    size: Any = (),
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Any:
    """Integers from `low` up to but without `high`; `randint(high, size=...)` starts at 0.

    >>> import tapegrad as tg
    >>> tg.randint(0, 10, (4,)).dtype
    dtype('int64')
    """
    if isinstance(high, (tuple, list)):
        high, size = None, high
    if high is None:
        low, high = 0, low
    if high <= low:
        raise RuntimeError(f"randint: high must be above low, got low={low}, high={high}")
    stream = (generator or default_generator(device)).stream
    drawn = stream.integers(low, high, shape_of("randint", (tuple(size),)))
    drawn = np.asarray(drawn) if isinstance(drawn, (int, np.generic)) else drawn
    wanted = arrays.int64 if dtype is None else as_dtype(dtype)
    return finish(drawn.astype(wanted, copy=False), requires_grad)


def randperm(n: int, *, device: Any = None, generator: Generator | None = None) -> Any:
    """The integers 0 to n - 1 in random order.

    >>> import tapegrad as tg
    >>> sorted(tg.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    stream = (generator or default_generator(device)).stream
    return finish(stream.permutation(n), False)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Any:
    """Normal with a mean and a standard deviation: numbers with a `size`, or tensors.

    >>> import tapegrad as tg
    >>> tg.normal(tg.zeros(3), 1.0).shape, tg.normal(0.0, 1.0, (2, 2)).shape
    ((3,), (2, 2))
    """
    centre, spread = array_of(mean), array_of(std)
    if np.any(spread < 0):
        raise ArgumentError(f"normal: std must not be negative, got {np.min(spread)}")
    if size is None:
        size = np.broadcast_shapes(np.shape(centre), np.shape(spread))
    if dtype is None:
        dtype = next((v.dtype for v in (centre, spread) if hasattr(v, "dtype")), None)
    drawn = _draw("normal", "standard_normal", tuple(size), dtype, device, generator)
    return finish((drawn * spread + centre).astype(drawn.dtype, copy=False), requires_grad)


def bernoulli(input: Any, p: float | None = None, *, generator: Generator | None = None) -> Any:
    """1 with the probability given by each element of `input` (or by `p`), else 0.

    >>> import tapegrad as tg
    >>> tg.bernoulli(tg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    data = check_tensor("bernoulli", input)._data
    chances = data if p is None else np.asarray(array_of(p))
    if chances.size and not ((chances >= 0) & (chances <= 1)).all():
        raise ArgumentError(
            f"bernoulli: probabilities must be from 0 to 1, got {chances.min()} to {chances.max()}"
        )
    where = arrays.device_of(data)
    drawn = _draw("bernoulli", "random", data.shape, float32, where, generator)
    return finish((drawn < chances).astype(data.dtype), False)


def rand_like(input: Any, *, dtype: Any = None, generator: Generator | None = None) -> Any:
    """Uniform on [0, 1) in the shape, dtype and device of `input`."""
    data = check_tensor("rand_like", input)._data
    return rand(
        data.shape, dtype=dtype or data.dtype, device=arrays.device_of(data), generator=generator
    )


def randn_like(input: Any, *, dtype: Any = None, generator: Generator | None = None) -> Any:
    """Normal with mean 0 and variance 1 in the shape, dtype and device of `input`."""
    data = check_tensor("randn_like", input)._data
    return randn(
        data.shape, dtype=dtype or data.dtype, device=arrays.device_of(data), generator=generator
    )
