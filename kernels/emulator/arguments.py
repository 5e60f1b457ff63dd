"""Arguments of a kernel as words of a command line: `x=float32:4x7:arange`, `n=28`, `scale=0.5`."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

FORMS = """\
NAME=DTYPE:SHAPE:FILL  an array, such as x=float32:4x7:arange
NAME=@FILE.npy         an array that numpy.save wrote
NAME=DTYPE:VALUE       a number, such as n=int64:28
NAME=VALUE             an int, a float or a bool: n=28, scale=0.5, causal=true
FILL is zeros, ones, arange, random (uniform, always the same), poison (NaN, or -1 if it is of whole
numbers), or a number. The arguments come in the kernel's order; the names are for you."""

_FILLS = {
    "zeros": lambda count: np.zeros(count),
    "ones": lambda count: np.ones(count),
    "arange": lambda count: np.arange(count),
    "random": lambda count: np.random.default_rng(0).random(count),
}


def parse(word: str) -> tuple[str, Any]:
    """The name and the value of an argument: an array, or a NumPy number.

    >>> parse("x=float32:2x3:arange")
    ('x', array([[0., 1., 2.],
           [3., 4., 5.]], dtype=float32))
    >>> parse("n=28"), parse("n=int64:28"), parse("scale=0.5")
    (('n', np.int32(28)), ('n', np.int64(28)), ('scale', np.float32(0.5)))

    Raises:
        ValueError: if the word has none of the forms.
    """
    name, equals, given = word.partition("=")
    if not (equals and name and given):
        raise ValueError(f"an argument is NAME=..., got {word!r}; the forms are\n{FORMS}")
    try:
        return name, _value(given)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{word!r} is no argument ({error}); the forms are\n{FORMS}") from None


def _value(given: str) -> Any:
    if given.startswith("@"):
        return np.ascontiguousarray(np.load(given[1:]))
    match given.split(":"):
        case [dtype, shape, fill]:
            return _array(_dtype(dtype), tuple(map(int, shape.split("x"))), fill)
        case [dtype, value]:
            return _dtype(dtype).type(_number(value))
        case [value]:
            number = _number(value)
            return {bool: np.bool_, int: np.int32, float: np.float32}[type(number)](number)
    raise ValueError("too many colons")


def _array(dtype: np.dtype[Any], shape: tuple[int, ...], fill: str) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    if fill == "poison":
        # All bits set are NaN in every floating type, and -1.
        return np.full(count * dtype.itemsize, 0xFF, np.uint8).view(dtype).reshape(shape)
    flat: Any = _FILLS[fill](count) if fill in _FILLS else np.full(count, _number(fill))
    return flat.astype(dtype).reshape(shape)


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _number(text: str) -> bool | int | float:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text, 0)
    except ValueError:
        return float(text)
