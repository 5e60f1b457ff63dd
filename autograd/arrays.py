"""Which array library a value lives in, which device, which dtype: decided here, once.

Everything above works on the arrays of NumPy or CuPy and asks this file for the module that goes
with an array (`module_of`), for a device by name (`device`, `move`), and for the dtype that comes
out when dtypes meet (`result_type`, PyTorch's rules).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

Array = Any  # a NumPy or CuPy array, or a NumPy scalar standing for a 0-d array

float16 = np.dtype(np.float16)
bfloat16 = np.dtype(ml_dtypes.bfloat16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
bool_ = np.dtype(np.bool_)

FLOATS: frozenset[np.dtype[Any]] = frozenset({float16, bfloat16, float32, float64})
NUMPY_FLOATS: frozenset[np.dtype[Any]] = frozenset({float16, float32, float64})
HALVES = frozenset({float16, bfloat16})
INTEGERS: frozenset[np.dtype[Any]] = frozenset(
    {int8, int16, int32, int64, uint8, *map(np.dtype, (np.uint16, np.uint32, np.uint64))}
)
DTYPES: frozenset[np.dtype[Any]] = FLOATS | INTEGERS | {bool_}

_default_float = float32


def get_default_dtype() -> np.dtype:
    """The dtype of new tensors made from Python floats (float32 unless changed)."""
    return _default_float


def set_default_dtype(dtype: Any) -> None:
    """Make `dtype` (a floating dtype) the default for tensors made from Python floats."""
    global _default_float
    found = as_dtype(dtype)
    if found not in FLOATS:
        raise TypeError(f"set_default_dtype: {found} is not a floating dtype")
    _default_float = found


def as_dtype(dtype: Any) -> np.dtype:
    """The NumPy dtype for a dtype, a type or a name; `float`, as in PyTorch, is the default one."""
    if dtype is float:
        return _default_float
    found = bfloat16 if isinstance(dtype, str) and dtype == "bfloat16" else np.dtype(dtype)
    found = found.newbyteorder("=") if found.byteorder == ">" else found
    if found not in DTYPES:
        raise TypeError(
            f"dtype {found} is not supported; use one of float16, bfloat16, float32, float64, "
            "int8 to int64, uint8 to uint64, bool"
        )
    return found


# Array libraries. Keyed by class, because a dict look-up costs 30 ns and isinstance chains more.
MODULES: dict[type, ModuleType] = {
    np.ndarray: np,
    **{dtype.type: np for dtype in DTYPES},
}


def module_of(array: Array) -> ModuleType:
    """The array library (numpy or cupy) that `array` belongs to."""
    try:
        return MODULES[type(array)]
    except KeyError:
        raise TypeError(f"{type(array).__name__} is not an array of NumPy or CuPy") from None


def is_array(value: object) -> bool:
    """Whether `value` is an array (or array scalar) of a known library."""
    return type(value) in MODULES or isinstance(value, np.ndarray)


class device(str):
    """Where an array lives: `device("cpu")`, `device("cuda")`, `device("cuda", 1)`, `"cuda:1"`.

    It is a string, so it compares with one.

    >>> device("cuda:1").type, device("cuda:1").index, device("cpu") == "cpu"
    ('cuda', 1, True)
    """

    type: str
    index: int | None  # type: ignore[assignment]

    def __new__(cls, name: str = "cpu", index: int | None = None) -> device:
        kind, _, number = str(name).partition(":")
        known = kind in ("cpu", "cuda") and str(name) == (f"{kind}:{number}" if number else kind)
        if number.isdigit() and index is None:
            index = int(number)
        elif number:
            known = False
        if not known or (index is not None and (index < 0 or (kind == "cpu" and index))):
            raise RuntimeError(f"unknown device {name!r}; use 'cpu', 'cuda' or 'cuda:0'")
        if kind == "cpu":
            index = None
        elif index is None:
            index = 0
        self = super().__new__(cls, kind if index is None else f"{kind}:{index}")
        self.type, self.index = kind, index
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and not isinstance(other, device) and other == "cuda":
            other = "cuda:0"
        return str.__eq__(self, other) is True

    __hash__ = str.__hash__

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return f"device({str(self)!r})"


CPU = device("cpu")


def device_of(array: Array) -> device:
    """The device `array` lives on."""
    if module_of(array) is np:
        return CPU
    return device("cuda", int(array.device.id))


def cuda_module() -> ModuleType:
    """CuPy, imported at first use; RuntimeError says whether CuPy or the GPU is missing."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise RuntimeError(
            "device 'cuda' needs CuPy, which is not installed: pip install 'tapegrad[cuda12]' "
            "or 'tapegrad[cuda13]', whichever matches the driver"
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(
            f"device 'cuda' needs an NVIDIA GPU with a working driver, and CuPy finds none: {error}"
        ) from None
    if count == 0:
        raise RuntimeError("device 'cuda' needs an NVIDIA GPU, and CuPy finds none")
    MODULES[cupy.ndarray] = cupy
    return cupy


def module_for(where: device | str | None) -> ModuleType:
    """The array library that makes arrays on a device (None: the CPU)."""
    if where is None or device(where).type == "cpu":
        return np
    return cuda_module()


def move(array: Array, where: device | str) -> Array:
    """`array` on a device; the same array where it is there already."""
    target = device(where)
    source = device_of(array)
    if source == target:
        return array
    if target.type == "cpu":
        return array.get()
    cupy = cuda_module()
    with cupy.cuda.Device(target.index):
        return cupy.asarray(array)


def _category(dtype: np.dtype) -> int:
    return 2 if dtype in FLOATS else 1 if dtype in INTEGERS else 0


def _promote(dtypes: Iterable[np.dtype]) -> np.dtype:
    """The common dtype of equals: floats before integers before booleans."""
    found = list(dict.fromkeys(dtypes))
    top = max(map(_category, found))
    found = [dtype for dtype in found if _category(dtype) == top]
    result = found[0]
    for dtype in found[1:]:
        if {result, dtype} == HALVES:
            result = float32
        elif bfloat16 in (result, dtype):
            result = dtype if result == bfloat16 else result
        else:
            result = np.promote_types(result, dtype)
    if top == 1 and result in FLOATS:  # NumPy makes float64 of uint64 with int64
        return int64
    return result


def result_type(*values: Any) -> np.dtype:
    """The dtype of an operation on arrays and Python scalars, by PyTorch's rules.

    Arrays with dimensions decide over 0-d arrays, and those over Python scalars, unless the lower
    rank is of a higher category (bool < integer < float). Python floats count as the default dtype.

    >>> result_type(np.ones(2, np.float32), np.float64(1.0), 3.5)
    dtype('float32')
    >>> result_type(np.ones(2, np.int64), 0.5)
    dtype('float32')
    """
    ranks: tuple[list[np.dtype], list[np.dtype], list[np.dtype]] = ([], [], [])
    for value in values:
        if isinstance(value, bool):
            ranks[2].append(bool_)
        elif isinstance(value, int):
            ranks[2].append(int64)
        elif type(value) is float:
            ranks[2].append(_default_float)
        else:
            ranks[0 if value.ndim else 1].append(value.dtype)
    result: np.dtype | None = None
    for rank in ranks:
        if rank:
            dtype = _promote(rank)
            if result is None or _category(dtype) > _category(result):
                result = dtype
    assert result is not None, "result_type needs a value"
    return result


def wide(dtype: np.dtype) -> np.dtype:
    """The dtype to accumulate in: float32 for the half types, the dtype itself otherwise."""
    return float32 if dtype in HALVES else dtype
