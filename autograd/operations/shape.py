"""Shapes: other sizes, dimensions in another order, more of them or fewer; views where possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import FLOATS, as_dtype, int64
from tapegrad.autograd.engine import cast, describe, wrap
from tapegrad.autograd.errors import ShapeError
from tapegrad.autograd.gates import copies
from tapegrad.autograd.gates import shape as gates
from tapegrad.autograd.gates.broadcasting import expand as expand_gate
from tapegrad.autograd.gates.broadcasting import sum_to
from tapegrad.autograd.memory_formats import order_of, preserve_format

from .arguments import (
    check_tensor,
    normalize_dim,
    normalize_dims,
    numpy_names,
    shape_of,
    sizes_of,
)

__all__ = [
    "adjoint",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "clone",
    "expand",
    "expand_as",
    "flatten",
    "moveaxis",
    "movedim",
    "permute",
    "ravel",
    "reshape",
    "reshape_as",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unsqueeze",
    "view",
    "view_as",
]


def reshape(input: Any, shape: Sequence[int]) -> Any:
    """The same elements in another shape; one size may be -1 and is then worked out.

    >>> import tapegrad as tg
    >>> tg.reshape(tg.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return _reshape("reshape", input, (shape,) if isinstance(shape, int) else shape)


def _reshape(name: str, input: Any, shape: Sequence[int]) -> Any:
    data = check_tensor(name, input)._data
    wanted = shape_of(name, (tuple(shape),))
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known and data.size % known == 0:
        wanted = tuple(data.size // known if n == -1 else n for n in wanted)
    if min(wanted, default=0) < 0 or math.prod(wanted) != data.size:
        raise ShapeError(f"{name}: {describe(input)} cannot take the shape {wanted}")
    return gates.reshape(input, shape=wanted)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions `start_dim` to `end_dim` made into one.

    >>> import tapegrad as tg
    >>> tg.flatten(tg.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    shape = check_tensor("flatten", input)._data.shape
    start = normalize_dim("flatten", start_dim, len(shape))
    end = normalize_dim("flatten", end_dim, len(shape))
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    middle = math.prod(shape[start : end + 1])
    return gates.reshape(input, shape=(*shape[:start], middle, *shape[end + 1 :]))


@numpy_names
def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """One dimension made into several.

    >>> import tapegrad as tg
    >>> tg.unflatten(tg.zeros(2, 12), 1, (3, 4)).shape
    (2, 3, 4)
    """
    shape = check_tensor("unflatten", input)._data.shape
    if not shape:
        raise RuntimeError("unflatten: a tensor of no dimensions has none to take apart")
    dim = normalize_dim("unflatten", dim, len(shape))
    sizes = shape_of("unflatten", (sizes,))
    known = -math.prod(sizes)
    if sizes.count(-1) == 1 and known > 0 and not shape[dim] % known:
        sizes = tuple(shape[dim] // known if n == -1 else n for n in sizes)
    return _reshape("unflatten", input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


def ravel(input: Any) -> Any:
    """All dimensions made into one.

    >>> import tapegrad as tg
    >>> tg.ravel(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return flatten(input)


@numpy_names
def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Dimensions of size 1 dropped: all of them, or those named.

    >>> import tapegrad as tg
    >>> tg.squeeze(tg.zeros(1, 3, 1)).shape, tg.squeeze(tg.zeros(1, 3, 1), 0).shape
    ((3,), (3, 1))
    """
    shape = check_tensor("squeeze", input)._data.shape
    dims = normalize_dims("squeeze", dim, len(shape)) if dim != () else ()
    kept = tuple(n for i, n in enumerate(shape) if n != 1 or i not in dims)
    return gates.reshape(input, shape=kept)


@numpy_names
def unsqueeze(input: Any, dim: int) -> Any:
    """A dimension of size 1 put in at `dim`.

    >>> import tapegrad as tg
    >>> tg.unsqueeze(tg.zeros(3), -1).shape
    (3, 1)
    """
    shape = check_tensor("unsqueeze", input)._data.shape
    dim = normalize_dim("unsqueeze", dim, len(shape) + 1)
    return gates.reshape(input, shape=(*shape[:dim], 1, *shape[dim:]))


def permute(input: Any, dims: Sequence[int]) -> Any:
    """The dimensions in another order.

    >>> import tapegrad as tg
    >>> tg.permute(tg.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    ndim = check_tensor("permute", input)._data.ndim
    order = tuple(normalize_dim("permute", d, ndim) for d in dims)
    if sorted(order) != list(range(ndim)):
        raise RuntimeError(
            f"permute: {describe(input)} needs each of {ndim} dimensions once, got {tuple(dims)}"
        )
    return gates.permute(input, dims=order)


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged.

    >>> import tapegrad as tg
    >>> tg.transpose(tg.zeros(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    ndim = check_tensor("transpose", input)._data.ndim
    a, b = normalize_dim("transpose", dim0, ndim), normalize_dim("transpose", dim1, ndim)
    if not ndim:
        return gates.permute(input, dims=())
    order = list(range(ndim))
    order[a], order[b] = b, a
    return gates.permute(input, dims=tuple(order))


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """`transpose`, by NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input: Any, dim0: int, dim1: int) -> Any:
    """`transpose`, by another name."""
    return transpose(input, dim0, dim1)


def adjoint(input: Any) -> Any:
    """Matrices transposed: of real numbers, the adjoint is no more.

    >>> import tapegrad as tg
    >>> tg.adjoint(tg.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if check_tensor("adjoint", input)._data.ndim == 1:
        raise RuntimeError(f"adjoint: expected matrices, got the vector {describe(input)}")
    return transpose(input, -2, -1) if input._data.ndim else input


def t(input: Any) -> Any:
    """The transpose of a matrix; vectors and scalars as they are."""
    ndim = check_tensor("t", input)._data.ndim
    if ndim > 2:
        raise RuntimeError(
            f"t: expected at most 2 dimensions, got {describe(input)}: use transpose"
        )
    return transpose(input, 0, 1) if ndim == 2 else input


def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Dimensions moved to other places, the rest in order.

    >>> import tapegrad as tg
    >>> tg.movedim(tg.zeros(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    ndim = check_tensor("movedim", input)._data.ndim
    sources, destinations = (
        [normalize_dim("movedim", d, ndim) for d in (v if isinstance(v, Sequence) else (v,))]
        for v in (source, destination)
    )
    if not len(sources) == len(destinations) == len(set(sources)) == len(set(destinations)):
        raise RuntimeError(f"movedim: cannot move dimensions {source} to {destination}")
    if not ndim:
        return permute(input, ())
    order = [d for d in range(ndim) if d not in sources]
    for to, origin in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, origin)
    return permute(input, order)


def moveaxis(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """`movedim`, by NumPy's name."""
    return movedim(input, source, destination)


def expand(input: Any, size: int | Sequence[int]) -> Any:
    """Size-1 and new leading dimensions repeated, as a view; -1 keeps a size.

    >>> import tapegrad as tg
    >>> tg.expand(tg.tensor([[1], [2]]), (-1, 3))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return _expand("expand", input, (size,) if isinstance(size, int) else size)


def _expand(name: str, input: Any, size: Sequence[int]) -> Any:
    shape = check_tensor(name, input)._data.shape
    wanted = shape_of(name, (tuple(size),))
    lead = len(wanted) - len(shape)
    if lead >= 0 and -1 not in wanted[:lead]:
        wanted = (
            *wanted[:lead],
            *(n if m == -1 else m for n, m in zip(shape, wanted[lead:], strict=True)),
        )
        if all(n in (1, m) for n, m in zip(shape, wanted[lead:], strict=True)):
            return expand_gate(input, shape=wanted)
    raise ShapeError(f"{name}: {describe(input)} cannot be expanded to {tuple(size)}")


def broadcast_to(input: Any, size: Sequence[int]) -> Any:
    """`expand`, by NumPy's name."""
    return _expand("broadcast_to", input, size)


def broadcast_shapes(*shapes: int | Sequence[int]) -> tuple[int, ...]:
    """The shape to which tensors of these shapes broadcast.

    >>> import tapegrad as tg
    >>> tg.broadcast_shapes((2, 1), (3,), 1)
    (2, 3)
    """
    given = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    if any(n < 0 for shape in given for n in shape):
        raise RuntimeError(f"broadcast_shapes: sizes must not be negative, got {given}")
    try:
        return np.broadcast_shapes(*given)
    except ValueError:
        listed = ", ".join(map(str, given))
        raise ShapeError(f"broadcast_shapes: {listed} do not broadcast") from None


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Tensors expanded to the shape to which they broadcast.

    >>> import tapegrad as tg
    >>> [x.shape for x in tg.broadcast_tensors(tg.zeros(2, 1), tg.zeros(3))]
    [(2, 3), (2, 3)]
    """
    listed = _listed("broadcast_tensors", tensors)
    try:
        shape = np.broadcast_shapes(*(tensor._data.shape for tensor in listed))
    except ValueError:
        given = ", ".join(map(describe, listed))
        raise ShapeError(f"broadcast_tensors: {given} do not broadcast") from None
    return tuple(expand_gate(tensor, shape=shape) for tensor in listed)


def sum_to_size(input: Any, *size: Any, **named: Any) -> Any:
    """The sum over the dimensions in which a tensor of `size` would broadcast to `input`.

    >>> import tapegrad as tg
    >>> tg.ones(2, 3).sum_to_size(2, 1)
    tensor([[3.],
            [3.]])
    """
    shape = check_tensor("sum_to_size", input)._data.shape
    wanted = shape_of("sum_to_size", (sizes_of("sum_to_size", "size", size, named),))
    lead = len(shape) - len(wanted)
    if lead < 0 or any(n not in (1, m) for n, m in zip(wanted, shape[lead:], strict=True)):
        raise ShapeError(f"sum_to_size: {wanted} does not broadcast to {describe(input)}")
    if input._data.dtype not in FLOATS and (wanted != shape or not shape):
        input = cast(input, dtype=int64)  # as sums of whole numbers are
    return sum_to(input, shape=wanted)


def _listed(name: str, tensors: tuple[Any, ...]) -> list[Any]:
    """Tensors given one by one or as one list."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    return [check_tensor(name, tensor) for tensor in tensors]


def _each(name: str, tensors: tuple[Any, ...], make: Callable[[Any], Any]) -> Any:
    """What `make` makes of a tensor, or a tuple of that for several."""
    listed = _listed(name, tensors)
    alone = len(tensors) == 1 and not isinstance(tensors[0], (list, tuple))
    return make(listed[0]) if alone else tuple(map(make, listed))


def atleast_1d(*tensors: Any) -> Any:
    """A tensor with a dimension put in if it has none; of several, a tuple.

    >>> import tapegrad as tg
    >>> tg.atleast_1d(tg.tensor(1.0))
    tensor([1.])
    """
    return _each("atleast_1d", tensors, lambda x: x if x._data.ndim else reshape(x, (1,)))


def atleast_2d(*tensors: Any) -> Any:
    """A tensor with dimensions put in front until it has two; of several, a tuple.

    >>> import tapegrad as tg
    >>> tg.atleast_2d(tg.tensor([1.0, 2.0]))
    tensor([[1., 2.]])
    """

    def make(x: Any) -> Any:
        return x if x._data.ndim > 1 else reshape(x, (1, x._data.size))

    return _each("atleast_2d", tensors, make)


def atleast_3d(*tensors: Any) -> Any:
    """A tensor with dimensions put in until it has three: a vector lies in the middle one.

    >>> import tapegrad as tg
    >>> tg.atleast_3d(tg.zeros(4)).shape, tg.atleast_3d(tg.zeros(4, 5)).shape
    ((1, 4, 1), (4, 5, 1))
    """

    def make(x: Any) -> Any:
        shape = x._data.shape
        if len(shape) > 2:
            return x
        return reshape(x, (*shape, 1) if len(shape) == 2 else (1, math.prod(shape), 1))

    return _each("atleast_3d", tensors, make)


def clone(input: Any, *, memory_format: Any = preserve_format) -> Any:
    """A copy in memory of its own; the gradient passes through.

    Args:
        input: a tensor.
        memory_format: such as `tapegrad.channels_last`. Default: the order of `input`.

    >>> import tapegrad as tg
    >>> tg.clone(tg.zeros(2, 3).T).stride()
    (1, 3)
    """
    data = check_tensor("clone", input)._data
    if memory_format is preserve_format:
        return copies.clone(input)
    return copies.arrange(input, order=order_of("clone", memory_format, data.ndim))


def reshape_as(input: Any, other: Any) -> Any:
    """`input` in the shape of `other`."""
    return _reshape("reshape_as", input, check_tensor("reshape_as", other)._data.shape)


def view(input: Any, *size: Any, **named: Any) -> Any:
    """`reshape`, by PyTorch's name; of a dtype, the bytes read as numbers of that dtype.

    >>> import tapegrad as tg
    >>> tg.arange(6).view(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    given = size[0] if len(size) == 1 else ()
    if "dtype" in named or not (isinstance(given, Sequence) or hasattr(given, "__index__")):
        return view_dtype(input, named["dtype"] if named else size[0])
    return _reshape("view", input, sizes_of("view", "size", size, named))


def view_as(input: Any, other: Any) -> Any:
    """`input` in the shape of `other`, by another name."""
    return _reshape("view_as", input, check_tensor("view_as", other)._data.shape)


def view_dtype(input: Any, dtype: Any) -> Any:
    """The bytes read as numbers of another dtype, in the same memory and off the tape.

    >>> import tapegrad as tg
    >>> tg.tensor([1.0]).view(tg.int32)
    tensor([1065353216], dtype=int32)
    """
    data, found = check_tensor("view", input).data, as_dtype(dtype)
    if found == data.dtype:
        return gates.reshape(input, shape=data.shape)
    try:
        return wrap(data.view(found))
    except ValueError as error:
        raise ShapeError(f"view: {describe(input)} cannot be read as {found}: {error}") from None


def expand_as(input: Any, other: Any) -> Any:
    """`input` expanded to the shape of `other`."""
    return _expand("expand_as", input, check_tensor("expand_as", other)._data.shape)
