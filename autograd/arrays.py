"""Which array library a value lives in, which device, which dtype: decided here, once.

Everything above works on the arrays of NumPy or CuPy and asks this file for the module that goes
with an array (`module_of`), for a device by name (`device`, `on`), and for the dtype that comes
out when dtypes meet (`result_type`, PyTorch's rules). Copies between devices are in `transfers`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

from tapegrad.kernels.expression import Scalar

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
DEVICE_TYPES: set[type] = set()  # those of them whose arrays are on a GPU


def module_of(array: Array) -> ModuleType:
    """The array library (numpy or cupy) that `array` belongs to."""
    try:
        return MODULES[type(array)]
    except KeyError:
        raise TypeError(f"{type(array).__name__} is not an array of NumPy or CuPy") from None


def is_traced(array: Array) -> bool:
    """Whether it stands for an array while a function is traced."""
    return module_of(array).__name__ == "symbolic"


def is_array(value: object) -> bool:
    """Whether `value` is an array (or array scalar) of a known library."""
    return type(value) in MODULES or isinstance(value, np.ndarray)


class device(str):
    """Where an array lives: `device("cpu")`, `device("cuda")`, `device("cuda", 1)`, `"cuda:1"`.

    It is a string, so it compares with one. "cuda" without a number is the current GPU, which is
    the first unless `tapegrad.cuda.set_device` or `tapegrad.cuda.device` say otherwise.

    >>> device("cuda:1").type, device("cuda:1").index, device("cpu") == "cpu"
    ('cuda', 1, True)
    """

    type: str
    index: int | None  # type: ignore[assignment]

    def __new__(cls, name: str = "cpu", index: int | None = None) -> device:
        if type(name) is cls and index is None:
            return name
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
            index = current_index()
        self = super().__new__(cls, kind if index is None else f"{kind}:{index}")
        self.type, self.index = kind, index
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and not isinstance(other, device) and other == "cuda":
            other = f"cuda:{current_index()}"
        return str.__eq__(self, other) is True

    __hash__ = str.__hash__

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return f"device({str(self)!r})"

    def __reduce__(self) -> Any:
        return device, (str(self),)


CPU = device("cpu")
# By number: making one takes 2 us. A trace of functions on a CPU has none.
_gpus: dict[int | None, device] = {None: CPU}


def device_of(array: Array) -> device:
    """The device `array` lives on."""
    if module_of(array) is np:
        return CPU
    index = array.device.id
    found = _gpus.get(index)
    if found is None:
        found = _gpus[index] = device("cuda", int(index))
    return found


# CuPy, once it was found to work, and how many GPUs it finds.
_working: ModuleType | None = None
_count = 0


def cuda_module() -> ModuleType:
    """CuPy, imported at first use; RuntimeError says in a sentence what is missing."""
    if _working is None or sys.modules.get("cupy") is not _working:
        _find_cupy()
    assert _working is not None
    return _working


def loaded_cupy() -> ModuleType | None:
    """CuPy if it has been imported, by anyone; None if not."""
    return sys.modules.get("cupy")


def _find_cupy() -> None:
    """Import CuPy, see whether it works, and register its arrays."""
    global _working, _count
    try:
        cupy: Any = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name not in (None, "cupy"):
            raise RuntimeError(_BROKEN.format(error)) from None
        raise RuntimeError(
            "device 'cuda' needs CuPy, which is not installed: pip install 'tapegrad[cuda12]' "
            "or 'tapegrad[cuda13]', whichever matches the driver"
        ) from None
    except ImportError as error:
        said = [line.strip() for line in str(error).splitlines() if "Error:" in line]
        raise RuntimeError(_BROKEN.format(said[0] if said else error)) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(_without_gpu(cupy, error)) from None
    if count == 0:
        raise RuntimeError("device 'cuda' needs an NVIDIA GPU, and CuPy finds none")
    try:
        cupy.cuda.nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as error:
        raise RuntimeError(
            "device 'cuda' needs NVRTC, NVIDIA's compiler of kernels, which CuPy cannot load "
            f"({str(error).splitlines()[0]}): pip install 'tapegrad[cuda12]' or "
            "'tapegrad[cuda13]' bring it, whichever matches the driver"
        ) from None
    MODULES[cupy.ndarray] = cupy
    DEVICE_TYPES.add(cupy.ndarray)
    _working, _count = cupy, count


_BROKEN = (
    "device 'cuda' needs CuPy, which is installed but cannot be imported ({}): pip uninstall it, "
    "then pip install 'tapegrad[cuda12]' or 'tapegrad[cuda13]', whichever matches the driver"
)


def _without_gpu(cupy: Any, error: Any) -> str:
    """Why CuPy, which is there, finds no GPU, and what to do, in a sentence."""
    status = getattr(error, "status", None)
    if status == 35:  # cudaErrorInsufficientDriver, which is also what no driver at all gives
        driver, runtime = (
            cupy.cuda.runtime.driverGetVersion(),
            cupy.cuda.runtime.runtimeGetVersion(),
        )
        if not driver:
            return (
                "device 'cuda' needs an NVIDIA GPU and its driver, and this machine has no driver "
                "(CuPy is installed): where there is a GPU install the driver, elsewhere use 'cpu'"
            )
        wanted = "cuda12" if driver < 13000 else "cuda13"
        return (
            f"device 'cuda' needs a CuPy that fits the driver, but this CuPy is built for CUDA "
            f"{_version(runtime)} and the driver runs CUDA {_version(driver)}: update the driver, "
            f"or pip uninstall this CuPy and pip install 'tapegrad[{wanted}]'"
        )
    if status == 100:  # cudaErrorNoDevice
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = "" if visible is None else f" (CUDA_VISIBLE_DEVICES is {visible!r})"
        return (
            "device 'cuda' needs an NVIDIA GPU, and the driver, which is installed, finds none"
            f"{hidden}"
        )
    return f"device 'cuda' needs an NVIDIA GPU with a working driver, and CuPy finds none: {error}"


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def current_index() -> int:
    """The number of the GPU that "cuda" means in this thread; 0 where CuPy is not in use."""
    if _working is None or sys.modules.get("cupy") is not _working:
        return 0
    return int(_working.cuda.runtime.getDevice())


def several_gpus() -> bool:
    """Whether arrays in use may be on different GPUs."""
    return _count > 1


def stand_at(value: Array) -> None:
    """Make the GPU of an array the current one of this thread; the CPU's change nothing."""
    if type(value) in DEVICE_TYPES:
        value.device.use()
    elif type(value) is list:  # the gradients of several outputs
        stand_at(next((part for part in value if part is not None), None))


def kept_device() -> Any:
    """A context behind which the GPU is current that is so now, where there are several."""
    return _working.cuda.Device() if several_gpus() and _working else _HOST


class _Host:
    """What `on` gives for the CPU."""

    def __enter__(self) -> ModuleType:
        return np

    def __exit__(self, *exception: object) -> None:
        return None


class _Gpu:
    """What `on` gives for a GPU: inside it is the current one."""

    def __init__(self, index: int) -> None:
        self.cupy: Any = cuda_module()
        if index >= _count:
            have = "is one GPU, cuda:0" if _count == 1 else f"are {_count} GPUs, from cuda:0 on"
            raise RuntimeError(f"unknown device 'cuda:{index}': there {have}")
        self.device = self.cupy.cuda.Device(index)

    def __enter__(self) -> ModuleType:
        self.device.__enter__()
        return self.cupy

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        try:
            if isinstance(error, MemoryError):
                raise _out_of_memory("making an array", error)
        finally:
            self.device.__exit__(kind, error, trace)


def _out_of_memory(what: str, error: MemoryError) -> MemoryError:
    from .out_of_memory import out_of_memory  # which stands on the engine

    return out_of_memory(what, error)


_HOST = _Host()


def gpu(index: int | None) -> Any:
    """CuPy's context in which a GPU is the current one, for code of others.

    What runs out of memory there is theirs to name; inside of `on` it is an array of ours.

    Raises:
        RuntimeError: if there is no such GPU.
    """
    return _Gpu(index or 0).device


def on(where: device | str | None) -> _Host | _Gpu:
    """A context in which the library it gives makes arrays on a device (None: the CPU).

    >>> with on("cpu") as xp:
    ...     xp.zeros(2)
    array([0., 0.])
    """
    if where is None:
        return _HOST
    place = device(where)
    return _HOST if place.index is None else _Gpu(place.index)


def module_for(where: device | str | None) -> ModuleType:
    """The array library that makes arrays on a device (None: the CPU)."""
    with on(where) as xp:
        return xp


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
        elif isinstance(value, int) or (type(value) is Scalar and value.whole):
            ranks[2].append(int64)
        elif type(value) is float or type(value) is Scalar:
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
