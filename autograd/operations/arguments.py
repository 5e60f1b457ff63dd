"""How arguments are read: dimensions, NumPy's names for them, tensors. One rule for each."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import ml_dtypes
import numpy as np

from tapegrad.autograd import arrays, engine
from tapegrad.autograd.arrays import FLOATS, HALVES, INTEGERS, bool_, float32, float64
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, DtypeError, PositionError, ShapeError
from tapegrad.autograd.records import Variable

F = TypeVar("F", bound=Callable[..., Any])
Dim = int | Sequence[int] | None

_RANGES: dict[np.dtype, tuple[Any, Any]] = {
    **{d: (float(ml_dtypes.finfo(d).min), float(ml_dtypes.finfo(d).max)) for d in FLOATS},
    **{d: (int(np.iinfo(d).min), int(np.iinfo(d).max)) for d in INTEGERS},
    bool_: (-math.inf, math.inf),
}

_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}


def numpy_names(function: F) -> F:
    """Accept NumPy's `axis` and `keepdims` for `dim` and `keepdim`."""

    @functools.wraps(function)
    def accepting(*args: Any, **kwargs: Any) -> Any:
        for theirs, ours in _NUMPY_NAMES.items():
            if theirs in kwargs:
                if ours in kwargs:
                    raise TypeError(f"{function.__name__}: got both {ours}= and {theirs}=")
                kwargs[ours] = kwargs.pop(theirs)
        return function(*args, **kwargs)

    return accepting  # type: ignore[return-value]


def on_its_gpu(function: F) -> F:
    """Run a function with the GPU of its first tensor as the current one, where there are several.

    Gates do so by themselves. This is for what also computes with arrays outside of gates.
    """

    @functools.wraps(function)
    def there(*args: Any, **kwargs: Any) -> Any:
        if arrays.several_gpus():
            with _gpu_of((*args, *kwargs.values())):
                return function(*args, **kwargs)
        return function(*args, **kwargs)

    return there  # type: ignore[return-value]


def _gpu_of(values: Sequence[Any]) -> AbstractContextManager[Any]:
    """The context of the GPU of the first tensor on one, also in lists."""
    for value in values:
        if isinstance(value, (list, tuple)):
            found = _gpu_of(value)
            if type(found) is not nullcontext:
                return found
        elif isinstance(value, Variable) and type(value._data) in arrays.DEVICE_TYPES:
            return value._data.device
    return nullcontext()


def check_tensor(name: str, value: Any) -> Any:
    """`value`, if it is a tensor; TypeError names the operation and what it got."""
    if isinstance(value, Variable):
        return value
    raise TypeError(
        f"{name}: expected a Tensor, got {type(value).__name__}; make one with tapegrad.tensor(...)"
    )


def number_tensor(name: str, value: Any) -> Any:
    """`value`, if it is a tensor of numbers; booleans have no arithmetic."""
    if check_tensor(name, value)._data.dtype == bool_:
        raise DtypeError(f"{name}: is not for booleans; convert them with .long() or .float()")
    return value


def check_tensors(name: str, *values: Any) -> tuple[Any, ...]:
    """`values`, if all of them are tensors."""
    for value in values:
        check_tensor(name, value)
    return values


def operands(name: str, *values: Any) -> tuple[Any, ...]:
    """`values`, if one of them is a tensor; the others may be numbers."""
    if not any(isinstance(value, Variable) for value in values):
        check_tensor(name, values[0])
    return values


def same_dtype(name: str, *tensors: Any) -> None:
    """Refuse a product of different dtypes: promotion would hide a slow float64 network."""
    dtypes = {tensor._data.dtype for tensor in tensors if tensor is not None}
    if len(dtypes) > 1:
        given = ", ".join(describe(tensor) for tensor in tensors if tensor is not None)
        raise DtypeError(f"{name}: expected one dtype, got {given}; convert with .to(dtype)")


def same_device(name: str, *tensors: Any) -> None:
    """Refuse tensors on different devices, saying which is where; other values may be among them.

    Gates look by themselves. This is for what computes with the arrays of several tensors.
    """
    engine.same_device(name, [t._data for t in tensors if isinstance(t, Variable)])


def check_matrices(name: str, value: Any, square: bool = False) -> Any:
    """`value`, if it is a stack of matrices of a dtype that LAPACK computes with."""
    data = check_tensor(name, value)._data
    if data.dtype not in (float32, float64):
        raise DtypeError(f"{name}: needs float32 or float64, got {describe(value)}")
    if data.ndim < 2:
        raise ArgumentError(f"{name}: needs at least 2 dimensions, got {describe(value)}")
    if square and data.shape[-1] != data.shape[-2]:
        raise ShapeError(f"{name}: needs square matrices, got {describe(value)}")
    return value


def whole(name: str, what: str, value: Any) -> int:
    """A whole number, which may be a tensor of one; what Python calls an index."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: {what} must be an integer, got {value!r}")
    return value.__index__()


def number_that_fits(name: str, value: Any, dtype: np.dtype) -> Any:
    """`value`, if it is a number that the dtype holds; what is no number is returned as it is.

    Floating dtypes hold infinities and NaN, and booleans every number.

    >>> number_that_fits("fill", -6e4, np.dtype(np.float16))
    -60000.0
    """
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (int, float)):
        return value
    least, most = _RANGES[dtype]
    if least <= value <= most:
        return value
    if dtype in INTEGERS:
        raise ArgumentError(
            f"{name}: {dtype} holds {least} to {most}, not {value}; use a number between these or "
            "a wider dtype"
        )
    if isinstance(value, float) and not math.isfinite(value):
        return value
    infinity, end = ("inf", "max") if value > 0 else ("-inf", "min")
    raise ArgumentError(
        f"{name}: {dtype} holds {least:g} to {most:g}, not {value}; use {infinity}, "
        f"tapegrad.finfo(tapegrad.{dtype}).{end} or a wider dtype"
    )


def number_to_write(name: str, value: Any, dtype: np.dtype) -> Any:
    """`number_that_fits`, but rounded where a half type cannot hold it.

    So do `where` and `x[i] = v` of PyTorch, which convert the number like a tensor of one.

    >>> number_to_write("where", -1e9, np.dtype(np.float16))
    -inf
    """
    if dtype in HALVES and isinstance(value, (int, float)):
        return rounded(value, dtype)
    return number_that_fits(name, value, dtype)


def rounded(value: float, dtype: np.dtype) -> float:
    """A number for a floating dtype: an infinity where rounding ends there, without a warning."""
    least, most = _RANGES[dtype]
    if least <= value <= most:
        return value
    with np.errstate(all="ignore"):
        return float(dtype.type(float(value)))


def normalize_dim(name: str, dim: int, ndim: int) -> int:
    """`dim` counted from 0; IndexError where the tensor has no such dimension.

    >>> normalize_dim("sum", -1, 3)
    2
    """
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"{name}: dim must be an integer, got {dim!r}")
    dim = dim.__index__()
    span = max(ndim, 1)
    if not -span <= dim < span:
        raise PositionError(
            f"{name}: dim {dim} is out of range for a tensor of {ndim} dimensions "
            f"(expected {-span} to {span - 1})"
        )
    return dim % span


def normalize_dims(name: str, dim: Dim, ndim: int) -> tuple[int, ...]:
    """`dim` as a tuple of different dimensions, ascending; None and () are all of them."""
    if dim is None or (isinstance(dim, Sequence) and not dim):
        return tuple(range(ndim))
    if not isinstance(dim, Sequence):
        return (normalize_dim(name, dim, ndim),) if ndim else _scalar_dims(name, (dim,))
    if not ndim:
        return _scalar_dims(name, dim)
    dims = sorted(normalize_dim(name, d, ndim) for d in dim)
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"{name}: a dimension appears twice in dim={tuple(dim)}")
    return tuple(dims)


def _scalar_dims(name: str, dims: Sequence[int]) -> tuple[int, ...]:
    for dim in dims:
        normalize_dim(name, dim, 0)
    return ()


def sizes_of(
    name: str, keyword: str, sizes: tuple[Any, ...], named: dict[str, Any]
) -> Sequence[int]:
    """Sizes or dimensions given one by one, as one sequence, or by keyword."""
    if named:
        if sizes or set(named) != {keyword}:
            raise TypeError(f"{name}: expected sizes, or {keyword}=; got {sizes} and {named}")
        sizes = (named[keyword],)
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes


def shape_of(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as several ints or as one sequence."""
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    if not all(hasattr(n, "__index__") for n in size):
        raise TypeError(f"{name}: sizes must be integers, got {size!r}")
    return tuple(int(n) for n in size)
