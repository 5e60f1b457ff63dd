"""A stand-in for CuPy on machines without a GPU: NumPy's results in arrays that are not NumPy's.

It refuses what CuPy refuses: NumPy arrays among its own, implicit copies to the CPU, and the
functions that CuPy 14 does not have. `gpu` in `tests/conftest.py` puts it in CuPy's place.
"""

from __future__ import annotations

import contextlib
import importlib
import types

import numpy as np

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


class FakeArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on a GPU that is not there: like CuPy's, it meets no NumPy array by accident."""

    __array_priority__ = 100

    def __init__(self, array, device=0):
        self.host = np.array(array)
        self.device = types.SimpleNamespace(id=device)

    def get(self):
        return self.host.copy()

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __getattr__(self, name):
        if name.startswith("__") or name == "host":
            raise AttributeError(name)
        if name in NOT_IN_CUPY["ndarray"]:
            raise AttributeError(f"cupy.ndarray has no {name}")
        found = getattr(self.host, name)
        return lifted(found) if callable(found) else wrapped(found)

    def __getitem__(self, key):
        return wrapped(self.host[lowered(key)])

    def __setitem__(self, key, value):
        self.host[lowered(key)] = lowered(value)

    def __bool__(self):
        return bool(self.host)

    def __int__(self):
        return int(self.host)

    def __float__(self):
        return float(self.host)

    def __len__(self):
        return len(self.host)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return lifted(getattr(ufunc, method))(*inputs, **kwargs)


def lowered(value):
    if isinstance(value, tuple | list):
        return type(value)(map(lowered, value))
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return value.host if isinstance(value, FakeArray) else value


def wrapped(value):
    if isinstance(value, np.ndarray | np.generic):
        fake = FakeArray.__new__(FakeArray)
        fake.host, fake.device = np.asarray(value), types.SimpleNamespace(id=0)
        return fake
    return tuple(map(wrapped, value)) if isinstance(value, tuple) and any(
        isinstance(v, np.ndarray) for v in value
    ) else value  # fmt: skip


def lifted(function):
    def on_device(*args, **kwargs):
        result = function(*map(lowered, args), **{k: lowered(v) for k, v in kwargs.items()})
        out = kwargs.get("out")
        return (out[0] if isinstance(out, tuple) else out) if out is not None else wrapped(result)

    return on_device


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
        return lifted(found) if callable(found) and not isinstance(found, type) else found


class FakeUfunc:
    """A ufunc of CuPy: only sums and products accumulate, and not all can be reduced."""

    def __init__(self, ufunc):
        self.ufunc = ufunc

    def __call__(self, *args, **kwargs):
        return lifted(self.ufunc)(*args, **kwargs)

    def __getattr__(self, name):
        if name == "accumulate" and self.ufunc not in (np.add, np.multiply):
            raise NotImplementedError(f"{self.ufunc.__name__}.accumulate is not in CuPy")
        return lifted(getattr(self.ufunc, name))


class FakeCupy(Library):
    ndarray = FakeArray
    count = 2

    def __init__(self):
        super().__init__("cupy", np, NOT_IN_CUPY["cupy"])

        class Device:
            def __init__(self, index):
                self.index = index

            def __enter__(self):
                return self

            def __exit__(self, *exception):
                return None

        self.cuda = types.SimpleNamespace(
            Device=Device,
            runtime=types.SimpleNamespace(
                getDeviceCount=lambda: self.count, CUDARuntimeError=OSError
            ),
        )
        self.linalg = Library("cupy.linalg", np.linalg, NOT_IN_CUPY["linalg"])
        tricks = Library("cupy.lib.stride_tricks", np.lib.stride_tricks)
        self.lib = types.SimpleNamespace(stride_tricks=tricks)

    def asarray(self, value, dtype=None):
        return value if isinstance(value, FakeArray) else FakeArray(np.asarray(value, dtype))

    def array(self, value, dtype=None, copy=True, order="K"):
        return FakeArray(value.host if isinstance(value, FakeArray) else value)


NAMES = ("cupy", "cupyx.scipy.special", "cupyx.scipy.linalg")


def put(place):
    """The stand-in, its modules handed to `place(name, module)`."""
    cupy = FakeCupy()
    place("cupy", cupy)
    place("cupyx", types.SimpleNamespace(errstate=lambda **_: contextlib.nullcontext()))
    for name in NAMES[1:]:
        place(name, Library(name, importlib.import_module(name.removeprefix("cupyx."))))
    return cupy
