"""The tensor: an array, a gradient, and a place on the tape.

What it computes is in `methods`; how NumPy sees it in `interop`. Here: what it is made of, where it
lives, its gradient, and writing in place.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import arrays, engine, memory_formats, records, transfers
from .arrays import CPU, FLOATS, HALVES, MODULES, Array, as_dtype, bool_, float32, is_traced
from .backward import backward
from .engine import Leaf, cast, describe
from .fillers import Fillers
from .gates import copies
from .interop import NumpyProtocols
from .memory_formats import contiguous_format, preserve_format
from .operations import joining
from .operations.arguments import normalize_dim
from .operations.creation import require_gradient, to_array
from .records import Node


class Tensor(Fillers, NumpyProtocols):
    """An array of one dtype on one device; what it computes is recorded if a gradient is wanted.

    data           a number, nested lists, an array (shared where possible) or another tensor
    dtype          as `data` has it; Python floats become float32
    device         "cpu", "cuda" or "cuda:0"; where `data` is unless given
    requires_grad  whether to collect a gradient in `.grad`; floating tensors only

    >>> import tapegrad as tg
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([ 2., -4.])
    """

    __slots__ = ()

    def __init__(
        self, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
    ) -> None:
        self._data = to_array("Tensor", data, dtype, device, copy=False)
        self._node = None
        self._name = None
        self._grad = None
        if requires_grad:
            require_gradient(self)

    # What it is

    @property
    def data(self) -> Array:
        """The array itself: writable, shared, unseen by the tape."""
        if isinstance(self._data, np.generic):
            self._data = np.array(self._data)
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data = value._data if isinstance(value, Tensor) else value
        node = self._node
        if isinstance(node, Leaf) and (node.shape, node.dtype) != (self.shape, self.dtype):
            require_gradient(self)  # gradients to come have the new kind
            self._node.notes = node.notes  # type: ignore[union-attr]

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements, a NumPy dtype."""
        return self._data.dtype

    @property
    def device(self) -> arrays.device:
        """Where the array lives: "cpu" or "cuda:0"."""
        return arrays.device_of(self._data)

    @property
    def ndim(self) -> int:
        """How many dimensions there are."""
        return self._data.ndim

    @property
    def name(self) -> str | None:
        """A name for printing and drawing, settable."""
        return self._name

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value
        if self._node is not None and not isinstance(self._node, Leaf):
            self._node.note("name", value)

    @property
    def is_cuda(self) -> bool:
        """Whether it lives on a GPU."""
        return self.device != CPU

    @property
    def is_cpu(self) -> bool:
        """Whether it lives in main memory."""
        return not self.is_cuda

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._data.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._data.nbytes

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """How many dimensions there are."""
        return self._data.ndim

    def numel(self) -> int:
        """How many elements there are."""
        return self._data.size

    nelement = numel
    ndimension = dim

    def element_size(self) -> int:
        """Bytes of one element."""
        return self._data.dtype.itemsize

    def is_signed(self) -> bool:
        """Whether the elements can be negative."""
        return self._data.dtype.kind not in "ub"

    def get_device(self) -> int:
        """The number of the GPU it lives on, -1 for the CPU."""
        index = self.device.index
        return -1 if index is None else index

    def is_floating_point(self) -> bool:
        """Whether the elements are floats."""
        return self._data.dtype in FLOATS

    def stride(self, dim: int | None = None) -> Any:
        """How many elements apart neighbours lie along each dimension, or along one.

        >>> import tapegrad as tg
        >>> tg.zeros(2, 3).stride(), tg.zeros(2, 3).T.stride(0)
        ((3, 1), 1)
        """
        size = self._data.dtype.itemsize
        steps = tuple([step // size for step in self._data.strides])
        return steps if dim is None else steps[normalize_dim("stride", dim, len(steps))]

    def is_contiguous(self, memory_format: Any = contiguous_format) -> bool:
        """Whether the elements fill their memory in the order of the dimensions, or of a format.

        >>> import tapegrad as tg
        >>> tg.zeros(2, 3, 4, 5).is_contiguous(memory_format=tg.channels_last)
        False
        """
        if memory_format is contiguous_format:
            return bool(self._data.flags.c_contiguous)
        return memory_formats.has("is_contiguous", self._data, memory_format)

    def contiguous(self, memory_format: Any = contiguous_format) -> Tensor:
        """Itself, or a copy whose elements lie in the order of the dimensions, or of a format.

        >>> import tapegrad as tg
        >>> tg.zeros(2, 3, 4, 5).contiguous(memory_format=tg.channels_last).stride()
        (60, 1, 15, 3)
        """
        order = memory_formats.order_of("contiguous", memory_format, self._data.ndim)
        if memory_format is contiguous_format:
            there = self._data.flags.c_contiguous
        else:
            there = memory_formats.is_in(self._data, order)
        return self if there else copies.arrange(self, order=order)

    # Its gradient

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded; settable on leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value == (self._node is not None):
            return
        if value:
            require_gradient(self)
        elif isinstance(self._node, Leaf):
            self._node = None
        else:
            raise RuntimeError(
                "requires_grad: this tensor was computed from others; only a leaf can stop "
                "requiring a gradient. Use .detach()"
            )

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Any:
        """What backward has added up: a tensor of this shape, dtype and device, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            mine, theirs = ((t.shape, t.dtype, t.device) for t in (self, value))
            if mine != theirs:
                raise RuntimeError(
                    f"grad: {describe(value)} on {value.device} cannot be the gradient of "
                    f"{describe(self)} on {self.device}"
                )
        self._grad = value

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than recorded."""
        return self._node is None or isinstance(self._node, Leaf)

    @property
    def grad_fn(self) -> Node | None:
        """The node that recorded it; None for a leaf."""
        return None if self.is_leaf else self._node

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf it was computed from.

        gradient      of the shape of this tensor; may be left out if it has one element
        retain_graph  keep what the walk would free; `create_graph` unless given
        create_graph  record the gradients, to differentiate them again
        inputs        only these tensors instead of every leaf

        RuntimeError: not recorded; not one element and no `gradient`; consumed before; a saved
        value was overwritten.
        """
        backward(self, gradient, retain_graph, create_graph, inputs)

    def retain_grad(self) -> None:
        """Keep `.grad` of a recorded tensor too."""
        if self._node is None:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        if not self.is_leaf:
            self._node.note("retained", weakref.ref(self))

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` when backward reaches this tensor; what it returns replaces it.

        >>> import tapegrad as tg
        >>> x = tg.tensor(1.0, requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> (x * 3).backward()
        >>> x.grad
        tensor(30.)
        """
        if self._node is None:
            raise RuntimeError("register_hook: this tensor does not require a gradient")
        hooks = (self._node.notes or {}).get("hooks")
        if hooks is None:
            hooks = {}
            self._node.note("hooks", hooks)
        return RemovableHandle(hooks, hook)

    def detach(self) -> Tensor:
        """The same memory, off the tape."""
        return engine.wrap(engine.elsewhere.detached(self.data))

    def detach_(self) -> Tensor:
        """Take this tensor off the tape."""
        self._data = engine.elsewhere.detached(self._data)
        self._node = None
        return self

    # Values out

    def item(self) -> Any:
        """The one element as a Python number; of a tensor on a GPU, this waits for it."""
        if self._data.size != 1 and not is_traced(self._data):
            raise RuntimeError(f"item: needs exactly one element, this is {describe(self)}")
        return self._on_host().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers; of a tensor on a GPU, this waits for it."""
        return self._on_host().tolist()

    def _on_host(self) -> Any:
        """The array in main memory: itself, or a copy that was waited for."""
        data = self._data
        return data if MODULES.get(type(data), np) is np else transfers.move(data, CPU)

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array sharing the memory; a CPU tensor without gradient only."""
        if self._node is not None:
            raise RuntimeError(
                "numpy: this tensor requires a gradient, which NumPy would not record; "
                "use .detach().numpy()"
            )
        if self.is_cuda:
            raise TypeError(f"numpy: this tensor is on {self.device}; use .cpu().numpy()")
        return self.data

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() of a zero-dimensional tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self._data.ndim:
            raise TypeError("iteration over a zero-dimensional tensor")
        return iter(joining.unbind(self))

    def __contains__(self, element: Any) -> bool:
        found = self == element
        if not isinstance(found, Tensor):
            raise TypeError(f"a tensor cannot contain a {type(element).__name__}")
        return bool(found.any())

    def _number(self) -> Any:
        if self._data.size != 1 and not is_traced(self._data):
            raise RuntimeError(
                f"only a tensor of one element is a number or a truth value, not {describe(self)}; "
                "for truth use .any() or .all()"
            )
        return self._on_host().item()

    def __bool__(self) -> bool:
        return bool(self._number())

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __index__(self) -> int:
        number = self._number()
        if not isinstance(number, int):
            raise TypeError(f"only a tensor of an integer can be an index, not {describe(self)}")
        return number.__index__()

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self._data.ndim:
            raise TypeError(f"format {spec!r} is for a single number, not for {describe(self)}")
        return format(self._on_host().item(), spec)

    def __repr__(self) -> str:
        shown = self._on_host()
        shown = np.asarray(shown.astype(float32) if shown.dtype in HALVES else shown)
        whole = (
            shown.dtype not in FLOATS or not (shown != np.round(shown))[np.isfinite(shown)].any()
        )
        text = np.array2string(
            shown,
            separator=", ",
            prefix="tensor(",
            precision=4,
            floatmode="maxprec_equal" if whole else "fixed",
            threshold=1000,
        )
        extra = f", size={self.shape}" if not self._data.size and self._data.ndim != 1 else ""
        if self._data.dtype not in (float32, arrays.int64, bool_):
            extra += f", dtype={self._data.dtype}"
        if self.is_cuda:
            extra += f", device={str(self.device)!r}"
        if self.grad_fn is not None:
            extra += f", grad_fn={self.grad_fn!r}"
        elif self._node is not None:
            extra += ", requires_grad=True"
        return f"tensor({text}{extra})"

    # Elsewhere and otherwise

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: Any = preserve_format,
    ) -> Any:
        """This tensor in another dtype, on another device, or as another tensor has them.

        `to(device, dtype, non_blocking, copy)`, `to(dtype, ...)` or `to(other, ...)`.

        Args:
            dtype: of the result. Default: as it is.
            device: of the result: "cpu", "cuda" (the current GPU), "cuda:1" or its number.
            non_blocking: do not wait for a copy from pinned memory to a GPU, or from a GPU to
                memory that is pinned for it, which is there once the stream was synchronised.
            copy: a new tensor even where nothing changes.
            memory_format: such as `tapegrad.channels_last`. Default: as it is.

        >>> import tapegrad as tg
        >>> tg.tensor([1, 2]).to(tg.float64).dtype
        dtype('float64')
        """
        switches = [value for value in args if type(value) is bool]
        for value in args:
            if isinstance(value, Tensor):
                dtype, device = value.dtype, value.device
            elif isinstance(value, str) and value.partition(":")[0] in ("cpu", "cuda"):
                device = value
            elif isinstance(value, str):
                try:
                    dtype = as_dtype(value)
                except TypeError:
                    device = arrays.device(value)  # which says what devices there are
            elif type(value) is int:
                device = value
            elif type(value) is not bool and value is not None:
                dtype = value
        non_blocking, copy = [*switches, *(non_blocking, copy)[len(switches) :]]
        if type(device) is int:
            device = arrays.device("cuda", device)
        target = self.device if device is None else arrays.device(device)
        result: Any = self
        if target.index is not None:  # the copy first: a GPU converts faster
            result = result._moved(target, non_blocking)
        if dtype is not None and as_dtype(dtype) != self._data.dtype:
            result = cast(result, dtype=as_dtype(dtype))
        if target.index is None:
            result = result._moved(target, non_blocking)
        if memory_format is not preserve_format:
            order = memory_formats.order_of("to", memory_format, result.ndim)
            if not memory_formats.is_meant(result._data, order):
                result = copies.arrange(result, order=order)
        return self.clone() if copy and result is self else result

    def _moved(self, target: arrays.device, non_blocking: bool) -> Any:
        source = self.device
        if source == target:
            return self
        waits = {"non_blocking": True} if non_blocking else {}
        return copies.move(self, source=str(source), target=str(target), **waits)

    def cpu(self, memory_format: Any = preserve_format) -> Any:
        """This tensor in main memory."""
        return self.to(CPU, memory_format=memory_format)

    def cuda(
        self, device: Any = None, non_blocking: bool = False, memory_format: Any = preserve_format
    ) -> Any:
        """This tensor on a GPU; RuntimeError says whether CuPy or the GPU is missing.

        Args:
            device: a number or a device. Default: the current GPU.
            non_blocking, memory_format: as in `to`.
        """
        named = device if isinstance(device, str) else arrays.device("cuda", device)
        return self.to(named, non_blocking=non_blocking, memory_format=memory_format)

    def pin_memory(self) -> Any:
        """This tensor in pinned memory, which GPUs copy from without the processor; itself if so.

        Copies from there with `non_blocking=True` go on beside what the host does.
        """
        if self.is_cuda:
            raise RuntimeError(f"pin_memory: only memory of the host is pinned, not {self.device}")
        if transfers.is_pinned(self.data):
            return self
        return copies.pin(self)

    def is_pinned(self) -> bool:
        """Whether it is in pinned memory of the host."""
        return not self.is_cuda and transfers.is_pinned(self.data)

    def record_stream(self, stream: Any) -> None:
        """Keep the memory until a stream has done what it was given so far.

        Memory goes back to the pool of the stream in which it was made. Call this after the last
        use in another stream, before the tensor is dropped.
        """
        with arrays.on(stream.device):
            transfers.keep_until_passed(stream.cupy_stream, self._data)

    def type_as(self, other: Tensor) -> Any:
        """This tensor in the dtype and on the device of another."""
        return self.to(other)

    def float(self) -> Any:
        """This tensor in float32."""
        return self.to(float32)

    def double(self) -> Any:
        """This tensor in float64."""
        return self.to(arrays.float64)

    def half(self) -> Any:
        """This tensor in float16."""
        return self.to(arrays.float16)

    def bfloat16(self) -> Any:
        """This tensor in bfloat16."""
        return self.to(arrays.bfloat16)

    def long(self) -> Any:
        """This tensor in int64."""
        return self.to(arrays.int64)

    def int(self) -> Any:
        """This tensor in int32."""
        return self.to(arrays.int32)

    def bool(self) -> Any:
        """Whether each element is not 0."""
        return self.to(bool_)

    def __copy__(self) -> Tensor:
        return self._rebuilt(self.data) if self.is_leaf else engine.wrap(self.data, self._node)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "deepcopy: only leaves can be copied deeply, this tensor was recorded; "
                "use .detach() or .clone()"
            )
        data = memory_formats.dense(arrays.module_of(self.data), self.data)
        copied = memo[id(self)] = self._rebuilt(data)
        if self.grad is not None:
            copied.grad = self.grad.detach().clone()
        return copied

    def _rebuilt(self, data: Array) -> Tensor:
        """A leaf of the same class, name and requirement around other data."""
        return _rebuild(type(self), data, self.requires_grad, self._name)

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise RuntimeError("pickle: only leaves can be pickled; use .detach()")
        return _rebuild, (type(self), self.data, self.requires_grad, self._name)


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away again."""

    def __init__(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._key = records.next_number()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Take the hook away; harmless when it has gone already."""
        self._hooks.pop(self._key, None)


def _rebuild(cls: type[Tensor], data: Array, requires_grad: bool, name: str | None) -> Any:
    tensor = cls.__new__(cls)
    tensor._data, tensor._node, tensor._name, tensor._grad = data, None, name, None
    if requires_grad:
        require_gradient(tensor)
    return tensor


engine.set_variable_class(Tensor)

__all__ = ["RemovableHandle", "Tensor"]
