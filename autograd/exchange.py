"""Arrays of other libraries, in and out without a copy: DLPack and the CUDA array interface.

What DLPack calls bfloat16 neither NumPy nor CuPy takes or gives. So such memory crosses under the
name of its bits, uint16, and the capsule is given the other name on the way.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .arrays import Array, bfloat16, cuda_module, module_of

_CPU, _CUDA, _PINNED, _MANAGED = 1, 2, 3, 13  # DLDeviceType
_UNSIGNED, _BFLOAT = 1, 4  # DLDataTypeCode
_BITS = np.dtype(np.uint16)


def importable(data: object) -> bool:
    """Whether `imported` takes an object: it has DLPack or lies on a GPU."""
    return hasattr(data, "__dlpack_device__") or hasattr(data, "__cuda_array_interface__")


def imported(data: Any) -> Array:
    """An array that shares the memory of another library's, in order with the work on it."""
    if not hasattr(data, "__dlpack_device__"):
        return _by_cuda_array_interface(data)
    kind = int(data.__dlpack_device__()[0])
    if kind in (_CPU, _PINNED):
        xp: Any = np
    elif kind in (_CUDA, _MANAGED):
        xp = cuda_module()
    else:
        raise TypeError(f"from_dlpack: a {type(data).__name__} lies neither on a CPU nor on a GPU")
    crossing = _Crossing(data)
    array = xp.from_dlpack(crossing)
    return array.view(bfloat16) if crossing.renamed else array


def exported(array: Array, **asked: Any) -> Any:
    """The capsule of an array; `asked` is what its `__dlpack__` takes."""
    if array.dtype != bfloat16:
        return array.__dlpack__(**asked)
    capsule = array.view(_BITS).__dlpack__(**asked)
    _rename(capsule, _UNSIGNED, _BFLOAT)
    return capsule


def device_pair(array: Array) -> tuple[int, int]:
    """DLPack's kind and number of the device of an array."""
    if module_of(array) is np:
        return (_CPU, 0)
    return array.__dlpack_device__()


class _Crossing:
    """Another library's array, whose bfloat16 goes by the name of uint16 (then `renamed`)."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.renamed = False

    def __dlpack_device__(self) -> Any:
        return self.owner.__dlpack_device__()

    def __dlpack__(self, **asked: Any) -> Any:
        capsule = self.owner.__dlpack__(**asked)
        self.renamed = _rename(capsule, _BFLOAT, _UNSIGNED)
        return capsule


class _DataType(ctypes.Structure):
    """DLDataType of dlpack.h."""

    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    """The beginning of DLTensor of dlpack.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
    )


# Where the DLTensor is in what a capsule of a name points to: DLManagedTensor, which begins with
# it, or DLManagedTensorVersioned, where version, manager, deleter and flags come first.
_OFFSETS = {b"dltensor": 0, b"dltensor_versioned": 32}

_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _rename(capsule: Any, found: int, wanted: int) -> bool:
    """Give the elements of a capsule another code, where they have the one that is looked for."""
    name = _name_of(capsule)
    if name not in _OFFSETS:
        raise BufferError(f"from_dlpack: a capsule named {name!r} is not DLPack's")
    tensor = _Tensor.from_address(_pointer_of(capsule, name) + _OFFSETS[name])
    if tensor.dtype.code != found:
        return False
    tensor.dtype.code = wanted
    return True


def _by_cuda_array_interface(data: Any) -> Array:
    """Memory on a GPU whose owner does not have DLPack; "<V2" is how bfloat16 is written there."""
    described = dict(data.__cuda_array_interface__)
    bits = described["typestr"] == bfloat16.str
    if bits:
        described["typestr"] = _BITS.str
    described.pop("descr", None)
    array = cuda_module().asarray(_Described(described, data))
    return array.view(bfloat16) if bits else array


class _Described:
    """What CuPy reads of an array, and keeps alive."""

    def __init__(self, description: dict[str, Any], owner: Any) -> None:
        self.__cuda_array_interface__ = description
        self.owner = owner
