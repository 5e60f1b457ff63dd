"""Tensors from data and from shapes; `dtype`, `device`, `requires_grad` mean the same throughout.

Floats become the default dtype (float32), Python integers int64, booleans bool; arrays keep theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd import arrays, exchange, memory_formats, transfers
from tapegrad.autograd.arrays import FLOATS, INTEGERS, MODULES, Array, as_dtype, get_default_dtype
from tapegrad.autograd.engine import Leaf, array_of, cast, describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates.copies import move
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.memory_formats import contiguous_format, preserve_format
from tapegrad.autograd.records import Variable
from tapegrad.kernels.expression import Scalar

from .arguments import check_tensor, number_that_fits, number_to_write, rounded, shape_of, sizes_of

__all__ = [
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "fill",
    "from_dlpack",
    "from_numpy",
    "frombuffer",
    "full",
    "full_like",
    "ones",
    "ones_like",
    "scalar_tensor",
    "tensor",
    "zeros",
    "zeros_like",
]


def require_gradient(variable: Variable) -> Any:
    """Make `variable` a leaf that receives a gradient; RuntimeError if it is not floating."""
    if variable._data.dtype not in FLOATS:
        raise RuntimeError(
            f"requires_grad: only floating tensors have gradients, this one is "
            f"{variable._data.dtype}; convert it with .to(tapegrad.float32) first"
        )
    variable._node = Leaf(variable)
    return variable


def finish(data: Array, requires_grad: bool) -> Any:
    """Wrap a new array as a leaf."""
    variable = wrap(data)
    return require_gradient(variable) if requires_grad else variable


def _from_sequence(name: str, data: Any, dtype: Any) -> np.ndarray:
    """An array of nested lists; floats take the default dtype unless the items have their own."""
    item = data
    while isinstance(item, (list, tuple)) and item:
        item = item[0]
    typed = isinstance(item, (Variable, np.ndarray, np.generic))
    try:
        found = np.array(_plain(data) if typed else data)
    except ValueError as error:
        raise ArgumentError(f"{name}: cannot make a regular array of this list: {error}") from None
    if found.dtype == np.float64 and not typed and dtype is None:
        with np.errstate(all="ignore"):
            found = found.astype(get_default_dtype())
    return found


def _plain(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data._data if isinstance(data, Variable) else data


def to_array(name: str, data: Any, dtype: Any, device: Any, copy: bool) -> Array:
    """`data` as an array of the dtype on the device, copied only where needed or asked for."""
    if isinstance(data, Variable):
        data = data._data
    if isinstance(data, np.ndarray):
        array = np.asarray(data)
    elif type(data) in MODULES:
        array = data
    elif isinstance(data, (bool, int, float)):
        if type(data) is float and dtype is None:
            default = get_default_dtype()
            array = np.array(rounded(data, default), default)
        else:
            array = np.array(data)
    elif isinstance(data, (list, tuple, range)):
        array = _from_sequence(name, list(data) if isinstance(data, range) else data, dtype)
    elif exchange.importable(data):
        array = exchange.imported(data)
    elif hasattr(data, "__array__"):
        array = np.asarray(data)
    else:
        raise TypeError(f"{name}: cannot make a tensor of a {type(data).__name__}")
    if isinstance(data, (bool, int, float, list, tuple, range)):
        copy = False  # the array is new already
    try:
        wanted = as_dtype(array.dtype if dtype is None else dtype)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if array.dtype != wanted:
        _check_fits(name, data, array, wanted)
        with arrays.on(arrays.device_of(array)), np.errstate(all="ignore"):
            array, copy = array.astype(wanted), False
    if device is not None:
        moved = transfers.move(array, device)
        array, copy = moved, copy and moved is array
    if not copy:
        return array
    with arrays.on(arrays.device_of(array)):
        return array.copy()


def _check_fits(name: str, data: Any, array: Array, wanted: np.dtype) -> None:
    """Numbers that the whole numbers asked for cannot hold are an error, not wrapped around."""
    if wanted not in INTEGERS or not isinstance(data, (int, float, list, tuple)):
        return
    if array.size and array.dtype in INTEGERS | FLOATS:
        limits, least, most = np.iinfo(wanted), array.min().item(), array.max().item()
        if not (limits.min <= least and most <= limits.max):  # as also with NaN
            raise ArgumentError(
                f"{name}: {wanted} holds {limits.min} to {limits.max}, not {least} to {most}"
            )


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A new tensor with a copy of `data`: a number, nested lists, an array or a tensor.

    >>> import tapegrad as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    tensor([[1., 2.],
            [3., 4.]], requires_grad=True)
    """
    array = to_array("tensor", data, dtype, device, copy=True)
    if array.ndim == 0 and type(array) is np.ndarray:
        array = array[()]
    return finish(array, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` as a tensor, sharing its memory where dtype and device allow.

    >>> import numpy as np, tapegrad as tg
    >>> a = np.zeros(2, np.float32)
    >>> t = tg.as_tensor(a)
    >>> a[0] = 5
    >>> t
    tensor([5., 0.])
    """
    if isinstance(data, Variable):  # which may be recorded: convert by gates
        if dtype is not None and as_dtype(dtype) != data._data.dtype:
            data = cast(data, dtype=as_dtype(dtype))
        source = arrays.device_of(data._data)
        if device is not None and arrays.device(device) != source:
            data = move(data, source=str(source), target=str(device))
        return data
    return wrap(to_array("as_tensor", data, dtype, device, copy=False))


def from_numpy(array: np.ndarray) -> Any:
    """A tensor that shares the memory of a NumPy array.

    >>> import numpy as np, tapegrad as tg
    >>> tg.from_numpy(np.arange(3))
    tensor([0, 1, 2])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}")
    return as_tensor(array)


def from_dlpack(array: Any) -> Any:
    """A tensor that shares the memory of any array with `__dlpack__` (PyTorch, JAX, CuPy, ...).

    It stays on its device; what another stream still computes is waited for by the current one.

    >>> import numpy as np, tapegrad as tg
    >>> tg.from_dlpack(np.arange(3))
    tensor([0, 1, 2])
    """
    if not hasattr(array, "__dlpack_device__"):
        raise TypeError(
            f"from_dlpack: expected an array with __dlpack__, got {type(array).__name__}"
        )
    return wrap(exchange.imported(array))


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Any:
    """`obj` as a tensor off the tape: its memory shared where that can be, unless `copy`.

    With `copy=False` it is an error if the memory cannot be shared.

    >>> import tapegrad as tg
    >>> tg.asarray([1, 2])
    tensor([1, 2])
    """
    given = array_of(obj)
    array = to_array("asarray", given, dtype, device, copy=bool(copy))
    if copy is False and not (hasattr(given, "__array__") and np.shares_memory(array, given)):
        raise ArgumentError("asarray: this needs a copy; leave out copy=False")
    return finish(array, requires_grad)


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Any:
    """A tensor that shares the memory of a buffer, read as `count` elements from a byte on.

    >>> import tapegrad as tg
    >>> tg.frombuffer(bytearray([1, 2, 3]), dtype=tg.uint8, offset=1)
    tensor([2, 3], dtype=uint8)
    """
    return finish(np.frombuffer(buffer, as_dtype(dtype), count, offset), requires_grad)


def scalar_tensor(
    s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """A tensor of one number and no dimensions, of the default dtype unless given.

    >>> import tapegrad as tg
    >>> tg.scalar_tensor(3)
    tensor(3.)
    """
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    s = number_to_write("scalar_tensor", s, wanted)
    return tensor(s, dtype=wanted, device=device, requires_grad=requires_grad)


def sized(name: str, sizes: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """A shape given as several ints, as one sequence, or by its name."""
    named = {} if size is None else {"size": size}
    shape = shape_of(name, tuple(sizes_of(name, "size", sizes, named)))
    if min(shape, default=0) < 0:
        raise ArgumentError(f"{name}: sizes must not be negative, got {shape}")
    return shape


def _filled(
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    device: Any,
    requires_grad: bool,
    memory_format: Any = contiguous_format,
) -> Any:
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    order = memory_formats.order_of(name, memory_format, len(shape))
    with arrays.on(device) as xp:
        return finish(memory_formats.made(xp, name, shape, wanted, order), requires_grad)


def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Zeros of a shape given as ints or as one tuple. Likewise `ones` and `empty` (not set).

    >>> import tapegrad as tg
    >>> tg.zeros(2, 3).shape
    (2, 3)
    """
    return _filled("zeros", sized("zeros", sizes, size), dtype, device, requires_grad)


def ones(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Ones of a shape given as ints or as one tuple."""
    return _filled("ones", sized("ones", sizes, size), dtype, device, requires_grad)


def empty(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = contiguous_format,
) -> Any:
    """Memory of a shape, its values not set; `memory_format` may be `tapegrad.channels_last`."""
    shape = sized("empty", sizes, size)
    return _filled("empty", shape, dtype, device, requires_grad, memory_format)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """One value everywhere; the dtype is the value's unless given.

    >>> import tapegrad as tg
    >>> tg.full((2,), 7), tg.full((2,), 0.5)
    (tensor([7, 7]), tensor([0.5000, 0.5000]))
    """
    value = to_array("full", fill_value, dtype, None, copy=False)  # in its own or the given dtype
    number_that_fits("full", fill_value, value.dtype)
    shape = shape_of("full", tuple(size) if isinstance(size, Sequence) else (size,))
    with arrays.on(device) as xp:
        return finish(xp.full(shape, value.item(), value.dtype), requires_grad)


def like(name: str, input: Any, memory_format: Any) -> tuple[Array, tuple[int, ...] | None]:
    """The array of a tensor, and the order in memory of what is made to be like it."""
    data = check_tensor(name, input)._data
    if memory_format is not preserve_format:
        return data, memory_formats.order_of(name, memory_format, data.ndim)
    return data, None if data.flags.c_contiguous else memory_formats.kept_order(data)


def _like(
    input: Any, name: str, fill: str, dtype: Any, device: Any, requires_grad: bool, format: Any
) -> Any:
    if arrays.is_traced(check_tensor(name, input)._data):
        return _traced_like(input, int(fill == "ones"), dtype)
    data, order = like(name, input, format)
    wanted = data.dtype if dtype is None else as_dtype(dtype)
    with arrays.on(arrays.device_of(data) if device is None else device) as xp:
        return finish(memory_formats.made(xp, fill, data.shape, wanted, order), requires_grad)


def _traced_like(input: Any, value: Any, dtype: Any) -> Any:
    """One value everywhere, as a step of the function that is traced."""
    wanted = input.dtype if dtype is None else as_dtype(dtype)
    if not isinstance(value, Scalar):
        value = np.asarray(number_that_fits("full_like", value, wanted)).astype(wanted).item()
    return where(True, value, cast(input.detach(), dtype=wanted))


def zeros_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Any:
    """Zeros of the shape, dtype, device and layout of `input`. Likewise `ones_like`, `empty_like`.

    Args:
        input: a tensor.
        dtype, device, memory_format: in place of those of `input`.
        requires_grad: whether to collect a gradient. Default: False.
    """
    return _like(input, "zeros_like", "zeros", dtype, device, requires_grad, memory_format)


def ones_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Any:
    """Ones of the shape, dtype, device and layout of `input`."""
    return _like(input, "ones_like", "ones", dtype, device, requires_grad, memory_format)


def empty_like(
    input: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Any:
    """Memory of the shape, dtype, device and layout of `input`, its values not set."""
    return _like(input, "empty_like", "empty", dtype, device, requires_grad, memory_format)


def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Any:
    """One value everywhere, in the shape, dtype, device and layout of `input`."""
    if arrays.is_traced(check_tensor("full_like", input)._data):
        return _traced_like(input, fill_value, dtype)
    data, order = like("full_like", input, memory_format)
    wanted = _new(input, dtype, device)
    if order is None:
        return full(data.shape, fill_value, **wanted, requires_grad=requires_grad)
    made = full(tuple(data.shape[d] for d in order), fill_value, **wanted)
    return finish(made._data.transpose(memory_formats.inverse(order)), requires_grad)


def fill(input: Any, value: Any) -> Any:
    """`input` with one value everywhere; the gradient of `input` is 0, a tensor's the sum.

    >>> import tapegrad as tg
    >>> tg.fill(tg.zeros(2), 3)
    tensor([3., 3.])
    """
    data = check_tensor("fill", input)._data
    if isinstance(value, Variable) and value._data.ndim:
        raise ShapeError(f"fill: the value must be a number, got {describe(value)}")
    if isinstance(value, Variable):
        wanted = as_tensor(value, data.dtype, arrays.device_of(data))
    else:
        wanted = to_array("fill", value, data.dtype, None, copy=False).item()
        number_that_fits("fill", value, data.dtype)
    return where(True, wanted, input)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The identity matrix, n by m (n by n unless m is given).

    >>> import tapegrad as tg
    >>> tg.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if n < 0 or (m or 0) < 0:
        raise ArgumentError(f"eye: sizes must not be negative, got {n} and {m}")
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    with arrays.on(device) as xp:
        return finish(xp.eye(n, m, dtype=wanted), requires_grad)


# Methods of a tensor, which give its dtype and its device to what they make.


def _new(input: Any, dtype: Any, device: Any) -> dict[str, Any]:
    return {
        "dtype": input._data.dtype if dtype is None else dtype,
        "device": arrays.device_of(input._data) if device is None else device,
    }


def new_zeros(
    input: Any,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Zeros of a shape, of the dtype and on the device of this tensor.

    >>> import tapegrad as tg
    >>> tg.ones(2, dtype=tg.int32).new_zeros(3)
    tensor([0, 0, 0], dtype=int32)
    """
    return zeros(*sizes, size=size, **_new(input, dtype, device), requires_grad=requires_grad)


def new_ones(
    input: Any,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Ones of a shape, of the dtype and on the device of this tensor."""
    return ones(*sizes, size=size, **_new(input, dtype, device), requires_grad=requires_grad)


def new_empty(
    input: Any,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Memory of a shape, its values not set, of the dtype and on the device of this tensor."""
    return empty(*sizes, size=size, **_new(input, dtype, device), requires_grad=requires_grad)


def new_full(
    input: Any,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """One value everywhere, of the dtype and on the device of this tensor."""
    return full(size, fill_value, **_new(input, dtype, device), requires_grad=requires_grad)


def new_tensor(
    input: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """A tensor with a copy of `data`, of the dtype and on the device of this one."""
    return tensor(data, **_new(input, dtype, device), requires_grad=requires_grad)
