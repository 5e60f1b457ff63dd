"""A stand-in for CuPy on machines without a GPU: NumPy's results in arrays that are not NumPy's.

It refuses what CuPy refuses: NumPy arrays among its own, arrays of a device that is not current,
implicit copies to the CPU, and the functions that CuPy 14 does not have. Memory that CuPy leaves
as it was is full of NaN. `gpu` in `tests/conftest.py` puts it in CuPy's place, and kernels of ours
run on its arrays in the emulator; `recording` lists what a GPU would have been asked to do.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import threading
import types

import ml_dtypes
import numpy as np
import recording
from standin_cuda import FakeCuda, FakeStream

# What NumPy has and CuPy 14 has not, as far as anyone here might reach for it.
NOT_IN_CUPY = {
    "cupy": {
        "block", "cumulative_prod", "cumulative_sum", "einsum_path", "frompyfunc", "geomspace",
        "insert", "matrix_transpose", "matvec", "nanpercentile", "nanquantile", "nditer",
        "spacing", "unstack", "vecdot", "vecmat",
    },
    "linalg": {
        "diagonal", "matmul", "matrix_norm", "matrix_transpose", "multi_dot", "outer", "svdvals",
        "tensordot", "trace", "vecdot", "vector_norm",
    },
    "ndarray": {"byteswap", "ctypes", "resize", "setflags", "to_device"},
}  # fmt: skip

# What CuPy 14's functions and methods take, where NumPy's take more.
FUNCTIONS = """
all(a, axis=None, out=None, keepdims=False)
amax(a, axis=None, out=None, keepdims=False)
amin(a, axis=None, out=None, keepdims=False)
any(a, axis=None, out=None, keepdims=False)
arange(start, stop=None, step=1, dtype=None)
argmax(a, axis=None, dtype=None, out=None, keepdims=False)
argmin(a, axis=None, dtype=None, out=None, keepdims=False)
argpartition(a, kth, axis=-1)
argsort(a, axis=-1, kind=None)
bincount(x, weights=None, minlength=None)
broadcast_to(array, shape)
clip(a, a_min, a_max, out=None)
copyto(dst, src, casting="same_kind", where=None)
count_nonzero(a, axis=None)
cumprod(a, axis=None, dtype=None, out=None)
cumsum(a, axis=None, dtype=None, out=None)
diff(a, n=1, axis=-1, prepend=None, append=None)
empty(shape, dtype=float, order="C")
empty_like(prototype, dtype=None, order="K", subok=None, shape=None)
eye(N, M=None, k=0, dtype=float, order="C")
full(shape, fill_value, dtype=None, order="C")
full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None)
isin(element, test_elements, assume_unique=False, invert=False)
lexsort(keys)
linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0)
max(a, axis=None, out=None, keepdims=False)
mean(a, axis=None, dtype=None, out=None, keepdims=False)
median(a, axis=None, out=None, overwrite_input=False, keepdims=False)
min(a, axis=None, out=None, keepdims=False)
nanmax(a, axis=None, out=None, keepdims=False)
nanmin(a, axis=None, out=None, keepdims=False)
nansum(a, axis=None, dtype=None, out=None, keepdims=False)
ones(shape, dtype=float, order="C")
ones_like(a, dtype=None, order="K", subok=None, shape=None)
partition(a, kth, axis=-1)
prod(a, axis=None, dtype=None, out=None, keepdims=False)
repeat(a, repeats, axis=None)
searchsorted(a, v, side="left", sorter=None)
sort(a, axis=-1, kind=None)
std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
sum(a, axis=None, dtype=None, out=None, keepdims=False)
take(a, indices, axis=None, out=None)
take_along_axis(a, indices, axis)
tri(N, M=None, k=0, dtype=float)
var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
where(condition, x=None, y=None)
zeros(shape, dtype=float, order="C")
zeros_like(a, dtype=None, order="K", subok=None, shape=None)
linalg.cholesky(a)
linalg.svd(a, full_matrices=True, compute_uv=True)
lib.stride_tricks.as_strided(x, shape=None, strides=None)
"""
METHODS = """
all(axis=None, out=None, keepdims=False)
any(axis=None, out=None, keepdims=False)
argmax(axis=None, out=None, dtype=None, keepdims=False)
argmin(axis=None, out=None, dtype=None, keepdims=False)
argsort(axis=-1, kind=None)
astype(dtype, order="K", *, copy=True)
clip(min=None, max=None, out=None)
cumprod(axis=None, dtype=None, out=None)
cumsum(axis=None, dtype=None, out=None)
item()
max(axis=None, out=None, keepdims=False)
mean(axis=None, dtype=None, out=None, keepdims=False)
min(axis=None, out=None, keepdims=False)
partition(kth, axis=-1)
prod(axis=None, dtype=None, out=None, keepdims=None)
repeat(repeats, axis=None)
reshape(*shape, order="C")
searchsorted(v, side="left", sorter=None)
sort(axis=-1, kind=None)
squeeze(axis=None)
std(axis=None, dtype=None, out=None, ddof=0, keepdims=False)
sum(axis=None, dtype=None, out=None, keepdims=False)
take(indices, axis=None, out=None)
trace(offset=0, axis1=0, axis2=1, dtype=None, out=None)
var(axis=None, dtype=None, out=None, ddof=0, keepdims=False)
view(dtype=None)
"""


def signatures(listed):
    named = (line.rstrip(")").split("(", 1) for line in listed.split("\n") if line)
    return {name: inspect.signature(eval(f"lambda {given}: None")) for name, given in named}


FUNCTIONS, METHODS = signatures(FUNCTIONS), signatures(METHODS)
# The functions whose first argument CuPy does not make an array of.
OF_ARRAYS = {name for name, takes in FUNCTIONS.items() if next(iter(takes.parameters)) in "ax"}
SORTING = {"argpartition", "argsort", "isin", "lexsort", "partition", "sort", "unique"}
# Which dtypes ufunc.at takes, of those ufuncs that have it.
AT = {
    "add": "int32 float16 float32 float64 uint32 uint64",
    "subtract": "int32 uint32",
    "maximum": "int32 float32 float64 uint32 uint64",
    "minimum": "int32 float32 float64 uint32 uint64",
    "bitwise_and": "int32 int64 uint32 uint64",
    "bitwise_or": "int32 int64 uint32 uint64",
    "bitwise_xor": "int32 int64 uint32 uint64",
}
OF_UFUNCS = {"out", "where", "dtype", "casting"}


def refuse(condition, error, message):
    if condition:
        raise error(message)


def check(name, args, kwargs, takes):
    """Raise what CuPy raises when `name` is called so."""
    if name in takes:
        try:
            takes[name].bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"cupy.{name}: {error}") from None
    sorted_ = [
        v for v in args if name in SORTING and getattr(v, "dtype", None) == ml_dtypes.bfloat16
    ]
    refuse(sorted_, NotImplementedError, "Sorting arrays with dtype 'bfloat16' is not supported")
    refuse(kwargs.get("kind") not in (None, "stable"), ValueError, f"{name}: kind must be stable")
    if takes is not FUNCTIONS:
        return
    first = args[0] if args else None
    refuse(name in OF_ARRAYS and not isinstance(first, FakeArray), TypeError,
           f"cupy.{name} of a {type(first).__name__}")  # fmt: skip
    if name == "bincount":
        refuse(not first.host.size, ValueError, "zero-size array to reduction operation")
    if name == "searchsorted":
        refuse(first.host.ndim != 1, ValueError, "searchsorted wants one dimension")
    if name == "lexsort":
        refuse(not isinstance(first, FakeArray) or first.host.ndim > 2, TypeError,
               "lexsort wants one array")  # fmt: skip


class Device:
    """A device of the stand-in; inside `with`, the current one of the thread."""

    _thread = threading.local()

    def __init__(self, device=None):
        self.id = self.current() if device is None else int(device)
        self._before = []

    @classmethod
    def current(cls):
        return getattr(cls._thread, "id", 0)

    def use(self):
        self._thread.id = self.id

    def __enter__(self):
        self._before.append(self.current())
        self.use()
        return self

    def __exit__(self, *exception):
        self._thread.id = self._before.pop()

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return self.id


class Memory:
    """Where an array of the stand-in lies, which is memory of the host."""

    def __init__(self, array):
        self.host, self.device_id = array.host, array.device.id
        self.ptr = array.host.ctypes.data
        whole = array.host
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        self.mem = types.SimpleNamespace(ptr=whole.ctypes.data, size=whole.nbytes)

    def copy_from_device_async(self, source, size, stream=None):
        recording.launched("copy between devices")
        self.host[...] = source.host


class FakeArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on a GPU that is not there: like CuPy's, it meets no NumPy array by accident."""

    __array_priority__ = 100

    def __init__(self, array, device=None):
        self.host = np.array(array)
        self.device = Device(device)

    @property
    def data(self):
        return Memory(self)

    def get(self, stream=None, order="C", out=None, blocking=True):
        if out is None:
            recording.synchronised("get")
            return self.host.copy()
        stream = stream or FakeStream.cuda.get_current_stream()
        stream.later(lambda: np.copyto(out, self.host))
        if blocking:
            stream.synchronize()
        return out

    def set(self, array, stream=None):
        if array.shape != self.shape or array.dtype != self.dtype or not array.flags.c_contiguous:
            raise ValueError(f"set: {array.dtype}{array.shape} into {self.dtype}{self.shape}")
        recording.launched("copy to the device")
        self.host[...] = array

    def __dlpack_device__(self):
        return 2, self.device.id

    def __dlpack__(self, **asked):
        return self.host.__dlpack__()

    @property
    def __cuda_array_interface__(self):
        found = self.host.__array_interface__
        kept = {key: found[key] for key in ("shape", "typestr", "data", "strides")}
        return kept | {"version": 3, "stream": 1}

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __getattr__(self, name):
        if name.startswith("__") or name in ("host", "device"):
            raise AttributeError(name)
        if name in NOT_IN_CUPY["ndarray"]:
            raise AttributeError(f"cupy.ndarray has no {name}")
        found = getattr(self.host, name)
        if callable(found):
            return lifted(found, name, METHODS, owner=self)
        return wrapped(found, self.device.id)

    def __getitem__(self, key):
        masks = [k for k in (key if isinstance(key, tuple) else (key,)) if is_mask(k)]
        if masks:
            recording.synchronised("getitem of a mask")
        return lifted(self.host.__getitem__, "getitem", {}, owner=self)(key)

    def __setitem__(self, key, value):
        lifted(self.host.__setitem__, "setitem", {}, owner=self)(key, value)

    def __bool__(self):
        recording.synchronised("bool")
        return bool(self.host)

    def __int__(self):
        recording.synchronised("int")
        return int(self.host)

    def __index__(self):
        recording.synchronised("index")
        return self.host.__index__()

    def __float__(self):
        recording.synchronised("float")
        return float(self.host)

    def __len__(self):
        return len(self.host)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return lifted(getattr(ufunc, method), name, {})(*inputs, **kwargs)


class OnHost:
    """An array of the stand-in's devices, as NumPy takes it."""

    def __init__(self, owner):
        self.owner = owner

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, **asked):
        return self.owner.__dlpack__(stream=1)


def described(owner):
    """An array on the memory that an owner describes, whom it keeps alive."""
    found = owner.__cuda_array_interface__
    memory = types.SimpleNamespace(__array_interface__=found | {"version": 3}, owner=owner)
    return wrapped(np.asarray(memory))


def is_mask(key):
    return isinstance(key, FakeArray) and key.host.dtype == bool and key.host.ndim > 0


def lowered(value):
    if isinstance(value, tuple | list):
        return type(value)(map(lowered, value))
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return value.host if isinstance(value, FakeArray) else value


def wrapped(value, device=None):
    if isinstance(value, np.ndarray | np.generic):
        fake = FakeArray.__new__(FakeArray)
        fake.host, fake.device = np.asarray(value), Device(device)
        return fake
    return tuple(wrapped(v, device) for v in value) if isinstance(value, tuple) and any(
        isinstance(v, np.ndarray | np.generic) for v in value
    ) else value  # fmt: skip


def poisoned(array):
    """`array` as memory that nobody has written: NaN, or bytes that mean nothing."""
    if array.dtype.kind in "fV":
        array.fill(np.nan)
    elif array.dtype.kind == "b":
        array.fill(True)
    else:
        array.view(np.uint8 if array.ndim else array.dtype).fill(0xA5 % 128)
    return array


def arrays_in(values):
    for value in values:
        if isinstance(value, FakeArray):
            yield value
        elif isinstance(value, tuple | list):
            yield from arrays_in(value)


# Whose results CuPy lays out in the order of their dimensions, where NumPy keeps the inputs'.
ORDERED = {"concatenate", "pad", "stack"}
# Without a kernel: what a function of this name returns is not computed.
UNCOMPUTED = {"empty", "empty_like"}
# CuPy waits for the device in these, to learn a shape or to give a Python value.
WAITING = {
    "argwhere", "array_equiv", "bincount", "compress", "extract", "flatnonzero", "item", "nonzero",
    "tobytes", "tolist", "union1d", "unique",
    *(f"linalg.{name}" for name in ("cholesky", "det", "eigh", "eigvalsh", "inv", "lstsq", "qr",
                                    "slogdet", "solve", "svd")),
}  # fmt: skip


def lifted(function, name="", takes=FUNCTIONS, owner=None):
    """`function` of NumPy on arrays of the device; a method of `owner`, if there is one."""

    def on_device(*args, **kwargs):
        check(name, args, kwargs, takes)
        result = function(*map(lowered, args), **{k: lowered(v) for k, v in kwargs.items()})
        if name in ORDERED:
            result = np.ascontiguousarray(result)
        given = [*arrays_in((owner, *args)), *arrays_in(kwargs.values())]
        if name in WAITING or (name == "where" and len(args) == 1):
            recording.synchronised(name)
        if name in UNCOMPUTED:
            FakeStream.cuda.pool.take(result)
            return wrapped(poisoned(result))
        out = kwargs.get("out")
        results = result if isinstance(result, tuple) else (result,)
        if out is None and all(is_view(value, given) for value in results):
            return wrapped(result, given[0].device.id if given else None)
        for array in given:
            refuse(array.device.id != Device.current(), ValueError,
                   "Array device must be same as the current device: array device = "
                   f"{array.device.id} while current = {Device.current()}")  # fmt: skip
        FakeStream.cuda.pool.take(
            *(r for r in results if out is None and isinstance(r, np.ndarray))
        )
        recording.launched(name)
        return (out[0] if isinstance(out, tuple) else out) if out is not None else wrapped(result)

    return on_device


def is_view(value, given):
    """Whether a result took no kernel: no array, an empty one, or memory of what was given."""
    if value is None:  # what only writes
        return not given
    if not isinstance(value, np.ndarray | np.generic):
        return True
    return not value.size or any(np.may_share_memory(value, array.host) for array in given)


class Library(types.ModuleType):
    """A module whose functions take and return arrays on the device, without what CuPy lacks."""

    def __init__(self, name, host, missing=()):
        super().__init__(name)
        self.host, self.missing = host, missing

    def __getattr__(self, name):
        if name.startswith("__") or name in ("host", "missing") or name in self.missing:
            raise AttributeError(f"{self.__name__} has no {name}")
        found = getattr(self.host, name)
        if isinstance(found, np.ufunc):
            return FakeUfunc(found)
        path = f"{self.__name__}.{name}".removeprefix("cupy.")
        return lifted(found, path) if callable(found) and not isinstance(found, type) else found


class FakeUfunc:
    """A ufunc of CuPy: only sums and products reduce and accumulate."""

    def __init__(self, ufunc):
        self.ufunc = ufunc

    def __call__(self, *args, **kwargs):
        refuse(set(kwargs) - OF_UFUNCS, TypeError, f"{self.ufunc.__name__}: {set(kwargs)}")
        return lifted(self.ufunc, self.ufunc.__name__, {})(*args, **kwargs)

    def __getattr__(self, name):
        usable = {
            "accumulate": self.ufunc in (np.add, np.multiply),
            "at": self.ufunc.__name__ in AT,
            "reduce": self.ufunc in (np.add, np.multiply),
            "reduceat": self.ufunc is np.add,
        }
        what = f"{self.ufunc.__name__}.{name}"
        refuse(not usable.get(name, True), NotImplementedError, f"{what} is not in CuPy")
        if name == "at":
            return self._at
        found = getattr(self.ufunc, name)
        return lifted(found, what, {}) if callable(found) else found

    def _at(self, a, indices, *values):
        refuse(a.dtype.name not in AT[self.ufunc.__name__].split(), TypeError,
               f"{self.ufunc.__name__}.at of {a.dtype}")  # fmt: skip
        lifted(self.ufunc.at, f"{self.ufunc.__name__}.at", {})(a, indices, *values)


class FakeCupy(Library):
    ndarray = FakeArray
    count = 2

    def __init__(self):
        super().__init__("cupy", np, NOT_IN_CUPY["cupy"])

        self.cuda = FakeCuda(self, Device)
        self.get_default_memory_pool = lambda: self.cuda.pool
        self.linalg = Library("cupy.linalg", np.linalg, NOT_IN_CUPY["linalg"])
        tricks = Library("cupy.lib.stride_tricks", np.lib.stride_tricks)
        self.lib = types.SimpleNamespace(stride_tricks=tricks)

    def asarray(self, value, dtype=None):
        if isinstance(value, FakeArray):
            return value
        if hasattr(value, "__cuda_array_interface__"):
            return described(value)
        recording.launched("copy to the device")
        return FakeArray(np.asarray(value, dtype))

    def from_dlpack(self, owner):
        kind, index = owner.__dlpack_device__()
        refuse(kind != 2, TypeError, f"CuPy takes no array of device {kind}")
        return wrapped(np.from_dlpack(OnHost(owner)), index)

    def array(self, value, dtype=None, copy=True, order="K"):
        recording.launched("copy" if isinstance(value, FakeArray) else "copy to the device")
        host = value.host if isinstance(value, FakeArray) else value
        return wrapped(np.array(host, dtype, order=order))


NAMES = ("cupy", "cupyx.scipy.special", "cupyx.scipy.linalg")


def put(place):
    """The stand-in, its modules handed to `place(name, module)`."""
    cupy = FakeCupy()
    place("cupy", cupy)
    place("cupyx", types.SimpleNamespace(errstate=lambda **_: contextlib.nullcontext()))
    for name in NAMES[1:]:
        place(name, Library(name, importlib.import_module(name.removeprefix("cupyx."))))
    return cupy
