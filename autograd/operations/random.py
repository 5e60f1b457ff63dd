"""Random tensors, reproducible by seed: `manual_seed` for all, or a `Generator` of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.autograd import arrays
from tapegrad.autograd.arrays import (
    FLOATS,
    INTEGERS,
    Array,
    as_dtype,
    float32,
    float64,
)
from tapegrad.autograd.engine import array_of, describe, needs_gradient, wrap
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.memory_formats import inverse, preserve_format
from tapegrad.kernels.cuda.random import PhiloxStream

from .arguments import check_tensor, number_that_fits
from .creation import finish, like, sized
from .generators import Generator, draw, stream_of

__all__ = [
    "bernoulli",
    "binomial",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]


def _constant(drawn: Array, *inputs: Any) -> Any:
    """What was drawn, with a gradient of 0 for the inputs that want one, as in PyTorch."""
    result = wrap(drawn)
    for value in inputs:
        if needs_gradient(value):
            result = where(True, result, value)
    return result


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Uniform on [0, 1), of a shape given as ints or as one tuple.

    >>> import tapegrad as tg
    >>> tg.rand(2, 3).shape
    (2, 3)
    """
    shape = sized("rand", sizes, size)
    return finish(draw("rand", "random", shape, dtype, device, generator), requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normal with mean 0 and variance 1, of a shape given as ints or as one tuple."""
    shape = sized("randn", sizes, size)
    return finish(draw("randn", "standard_normal", shape, dtype, device, generator), requires_grad)


def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Integers from `low` up to but without `high`; `randint(high, size)` starts at 0.

    >>> import tapegrad as tg
    >>> tg.randint(0, 10, (4,)).dtype
    dtype('int64')
    """
    if isinstance(high, Sequence) and size is None:
        high, size = None, high
    if high is None:
        low, high = None, low
    if size is None or high is None:
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size)")
    shape = sized("randint", (), size)
    wanted = arrays.int64 if dtype is None else as_dtype(dtype)
    return finish(
        integers("randint", int(low or 0), int(high), shape, wanted, device, generator),
        requires_grad,
    )


def integers(
    name: str,
    low: int,
    high: int,
    shape: tuple[int, ...],
    dtype: np.dtype,
    device: Any,
    generator: Generator | None,
) -> Array:
    """Integers of [low, high), which the dtype must hold."""
    if high <= low:
        raise RuntimeError(f"{name}: high must be above low, got low={low}, high={high}")
    if dtype not in FLOATS:
        least, most = (
            (0, 1) if dtype not in INTEGERS else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        )
        if low < least or high - 1 > most:
            raise ArgumentError(f"{name}: {dtype} holds {least} to {most}, not {low} to {high - 1}")
    else:
        number_that_fits(name, low, dtype)
        number_that_fits(name, high - 1, dtype)
    stream = stream_of(name, device, generator)
    drawn = stream.integers(low, high, shape)
    drawn = np.asarray(drawn) if isinstance(drawn, (int, np.generic)) else drawn
    return drawn.astype(dtype, copy=False)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = arrays.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The integers 0 to n - 1 in random order.

    >>> import tapegrad as tg
    >>> sorted(tg.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    if n < 0:
        raise ArgumentError(f"randperm: n must not be negative, got {n}")
    stream = stream_of("randperm", device, generator)
    return finish(stream.permutation(n).astype(as_dtype(dtype), copy=False), requires_grad)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normal with a mean and a standard deviation: numbers with a `size`, or tensors.

    >>> import tapegrad as tg
    >>> tg.normal(tg.zeros(3), 1.0).shape, tg.normal(0.0, 1.0, (2, 2)).shape
    ((3,), (2, 2))
    """
    centre, spread = array_of(mean), array_of(std)
    negative = spread < 0
    if bool(negative.any() if hasattr(negative, "any") else negative):
        raise ArgumentError(f"normal: std must not be negative, got {spread}")
    tensors = [value for value in (centre, spread) if hasattr(value, "dtype")]
    if size is None:
        if not tensors:
            raise TypeError("normal: a mean and a std that are numbers need a size")
        size = np.broadcast_shapes(np.shape(centre), np.shape(spread))
    if tensors and dtype is None:
        dtype = tensors[0].dtype
    if tensors and device is None:
        device = arrays.device_of(tensors[0])
    drawn = draw("normal", "standard_normal", sized("normal", (), size), dtype, device, generator)
    with np.errstate(all="ignore"):
        drawn = (drawn * spread + centre).astype(drawn.dtype, copy=False)
    return _constant(drawn, mean, std) if tensors else finish(drawn, requires_grad)


def bernoulli(input: Any, p: Any = None, *, generator: Generator | None = None) -> Any:
    """1 with the probability given by each element of `input` (or by `p`), else 0.

    >>> import tapegrad as tg
    >>> tg.bernoulli(tg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    data = check_tensor("bernoulli", input)._data
    if p is None and data.dtype not in FLOATS:
        raise DtypeError(f"bernoulli: probabilities must be floating, got {describe(input)}")
    return _constant(trials("bernoulli", data, data if p is None else p, generator), input)


def trials(name: str, like: Array, p: Any, generator: Generator | None) -> Array:
    """1 with a probability, else 0, in the shape and dtype and on the device of an array."""
    chances = array_of(p)
    device = arrays.device_of(like)
    stream = stream_of(name, device, generator)
    if isinstance(stream, PhiloxStream):
        if not hasattr(chances, "dtype"):  # of an array, the kernel looks at each
            _check_chances(name, chances, chances)
        return stream.bernoulli(chances, like.shape, like.dtype, name)
    if getattr(chances, "size", 1):
        many = hasattr(chances, "dtype")
        _check_chances(name, *((chances.min(), chances.max()) if many else (p, p)))
    drawn = draw(name, "random", like.shape, float32, device, generator)
    return (drawn < chances).astype(like.dtype)


def _check_chances(name: str, low: Any, high: Any) -> None:
    if not (bool(low >= 0) and bool(high <= 1)):
        raise ArgumentError(
            f"{name}: probabilities must be from 0 to 1, got {float(low)} to {float(high)}"
        )


def poisson(input: Any, generator: Generator | None = None) -> Any:
    """Counts of a Poisson distribution, with the rate given by each element of `input`.

    >>> import tapegrad as tg
    >>> tg.poisson(tg.zeros(2))
    tensor([0., 0.])
    """
    rates = check_tensor("poisson", input)._data
    if rates.dtype not in FLOATS:
        raise DtypeError(f"poisson: the rates must be floating, got {describe(input)}")
    stream = stream_of("poisson", arrays.device_of(rates), generator)
    by_kernel = isinstance(stream, PhiloxStream)  # which looks at the rates itself
    if rates.size and not by_kernel and not bool((rates >= 0).all()):
        raise ArgumentError("poisson: the rates must not be negative")
    drawn = stream.poisson(rates.astype(float64))
    return _constant(np.asarray(drawn) if isinstance(drawn, int) else drawn, input).to(rates.dtype)


def binomial(count: Any, prob: Any, generator: Generator | None = None) -> Any:
    """How many of `count` trials succeed, each with probability `prob`; both broadcast.

    >>> import tapegrad as tg
    >>> tg.binomial(tg.tensor([3.0, 5.0]), tg.tensor([0.0, 1.0]))
    tensor([0., 5.])
    """
    counts, chances = check_tensor("binomial", count)._data, check_tensor("binomial", prob)._data
    if counts.dtype not in FLOATS or chances.dtype != counts.dtype:
        raise DtypeError(
            f"binomial: expected one floating dtype, got {describe(count)} and {describe(prob)}"
        )
    stream = stream_of("binomial", arrays.device_of(counts), generator)
    by_kernel = isinstance(stream, PhiloxStream)
    if chances.size and not by_kernel and not bool(((chances >= 0) & (chances <= 1)).all()):
        raise ArgumentError("binomial: probabilities must be from 0 to 1")
    drawn = stream.binomial(counts.astype(arrays.int64), chances.astype(float64))
    return _constant(np.asarray(drawn) if isinstance(drawn, int) else drawn, prob).to(counts.dtype)


def multinomial(
    input: Any,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Any:
    """Indices drawn with the probabilities that weights are in proportion to.

    input        weights (C,) or (N, C), finite and not negative; a row need not sum to 1
    num_samples  how many for each row; without replacement at most as many as weights above 0
    replacement  whether an index may be drawn twice

    >>> import tapegrad as tg
    >>> tg.multinomial(tg.tensor([0.0, 3.0, 1.0]), 2).sort().values
    tensor([1, 2])
    """
    weights = check_tensor("multinomial", input)._data
    if weights.dtype not in FLOATS:
        raise DtypeError(f"multinomial: the weights must be floating, got {describe(input)}")
    if weights.ndim not in (1, 2) or not weights.shape[-1]:
        raise ShapeError(f"multinomial: expected weights (C,) or (N, C), got {describe(input)}")
    if num_samples <= 0 or (not replacement and num_samples > weights.shape[-1]):
        raise ArgumentError(
            f"multinomial: cannot draw {num_samples} of {weights.shape[-1]}"
            + ("" if replacement else " without replacement")
        )
    xp = arrays.module_of(weights)
    rows = weights.reshape(-1, weights.shape[-1]).astype(float64)
    if not bool(xp.isfinite(rows).all()) or bool((rows < 0).any()):
        raise ArgumentError("multinomial: the weights must be finite and not negative")
    enough = (rows > 0).sum(1) >= (1 if replacement else num_samples)
    if not bool(enough.all()):
        raise ArgumentError("multinomial: a row has too few weights above 0")
    stream = stream_of("multinomial", arrays.device_of(weights), generator)
    if replacement:
        found = _with_replacement(xp, rows, int(num_samples), stream)
    else:  # who arrives first, each at a rate of its own (Efraimidis and Spirakis, 2006)
        with np.errstate(divide="ignore"):
            arrival = stream.standard_exponential(rows.shape) / rows
        found = xp.argsort(arrival, axis=1)[:, :num_samples]
    return wrap(found.reshape(*weights.shape[:-1], num_samples).astype(arrays.int64, copy=False))


def _with_replacement(xp: Any, rows: Array, count: int, stream: Any) -> Array:
    """Where uniform numbers fall between the cumulative weights, all rows in one search."""
    ends = xp.cumsum(rows, axis=1)
    lines = xp.arange(len(rows))[:, None]
    ends = ends / ends[:, -1:] + lines
    at = xp.minimum(stream.random((len(rows), count)), 1 - 2.0**-32) + lines
    found = xp.searchsorted(ends.reshape(-1), at.reshape(-1), side="right")
    return found.reshape(len(rows), count) - lines * rows.shape[1]


def _like(
    name: str,
    input: Any,
    make: Callable[..., Any],
    memory_format: Any,
    requires_grad: bool,
    **options: Any,
) -> Any:
    """What `make` draws in the shape and layout of a tensor, of its dtype and device if None."""
    data, order = like(name, input, memory_format)
    mine = {"dtype": data.dtype, "device": arrays.device_of(data)}
    given = mine | {key: value for key, value in options.items() if value is not None}
    if order is None:
        return make(size=data.shape, requires_grad=requires_grad, **given)
    drawn = make(size=tuple(data.shape[d] for d in order), **given)
    return finish(drawn._data.transpose(inverse(order)), requires_grad)


def rand_like(
    input: Any,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Any:
    """Uniform on [0, 1) in the shape, dtype, device and layout of `input`."""
    given = {"generator": generator, "dtype": dtype, "device": device}
    return _like("rand_like", input, rand, memory_format, requires_grad, **given)


def randn_like(
    input: Any,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Any:
    """Normal with mean 0 and variance 1 in the shape, dtype, device and layout of `input`."""
    given = {"generator": generator, "dtype": dtype, "device": device}
    return _like("randn_like", input, randn, memory_format, requires_grad, **given)


def randint_like(
    input: Any,
    low: Any = None,
    high: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Any:
    """Integers of [low, high), or of [0, low), in the shape, dtype, device and layout of `input`.

    >>> import tapegrad as tg
    >>> tg.randint_like(tg.zeros(2), 5).dtype
    dtype('float32')
    """
    draw_between = functools.partial(randint, low, high)
    given = {"generator": generator, "dtype": dtype, "device": device}
    return _like("randint_like", input, draw_between, memory_format, requires_grad, **given)
