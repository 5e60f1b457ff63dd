"""Arrangement: reshaping, reordering, joining, splitting. Views where NumPy gives views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import copies
from tapegrad.autograd.gates import shape as gates
from tapegrad.autograd.gates.broadcasting import expand as expand_gate

from .arguments import (
    check_tensor,
    normalize_dim,
    normalize_dims,
    numpy_names,
    shape_of,
)

__all__ = [
    "broadcast_to",
    "cat",
    "chunk",
    "clone",
    "expand",
    "expand_as",
    "flatten",
    "flip",
    "movedim",
    "permute",
    "reshape",
    "reshape_as",
    "split",
    "squeeze",
    "stack",
    "t",
    "transpose",
    "unbind",
    "unflatten",
    "unsqueeze",
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


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """One dimension made into several.

    >>> import tapegrad as tg
    >>> tg.unflatten(tg.zeros(2, 12), 1, (3, 4)).shape
    (2, 3, 4)
    """
    shape = check_tensor("unflatten", input)._data.shape
    dim = normalize_dim("unflatten", dim, len(shape))
    return _reshape("unflatten", input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


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
    order = [d for d in range(ndim) if d not in sources]
    for to, origin in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, origin)
    return permute(input, order)


def expand(input: Any, size: Sequence[int]) -> Any:
    """Size-1 and new leading dimensions repeated, as a view; -1 keeps a size.

    >>> import tapegrad as tg
    >>> tg.expand(tg.tensor([[1], [2]]), (-1, 3))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return _expand("expand", input, size)


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


def flip(input: Any, dims: int | Sequence[int]) -> Any:
    """The named dimensions reversed.

    >>> import tapegrad as tg
    >>> tg.flip(tg.arange(3), 0)
    tensor([2, 1, 0])
    """
    ndim = check_tensor("flip", input)._data.ndim
    named = tuple(dims) if isinstance(dims, Sequence) else (dims,)
    return gates.flip(input, dims=normalize_dims("flip", named, ndim) if named else ())


def _tensors(name: str, tensors: Sequence[Any]) -> list[Any]:
    listed = [check_tensor(name, tensor) for tensor in tensors]
    if not listed:
        raise ArgumentError(f"{name}: expected at least one tensor, got an empty list")
    return listed


@numpy_names
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors one after another along an existing dimension.

    >>> import tapegrad as tg
    >>> tg.cat([tg.ones(1, 2), tg.zeros(2, 2)]).shape
    (3, 2)
    """
    listed = _tensors("cat", tensors)
    # An empty vector joins anything, as in PyTorch.
    listed = [tensor for tensor in listed if tensor._data.shape != (0,)] or listed[:1]
    ndim = listed[0]._data.ndim
    if not ndim:
        raise RuntimeError("cat: zero-dimensional tensors have no dimension to join; use stack")
    dim = normalize_dim("cat", dim, ndim)
    for tensor in listed[1:]:
        ours, theirs = list(listed[0]._data.shape), list(tensor._data.shape)
        if len(theirs) == ndim:
            ours[dim] = theirs[dim] = 0
        if ours != theirs:
            given = ", ".join(map(describe, listed))
            raise ShapeError(f"cat: sizes must agree in all dimensions but {dim}, got {given}")
    sizes = tuple(tensor._data.shape[dim] for tensor in listed)
    return gates.cat(*listed, sizes=sizes, dim=dim)


@numpy_names
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of one shape side by side along a new dimension.

    >>> import tapegrad as tg
    >>> tg.stack([tg.tensor(1.0), tg.tensor(2.0)])
    tensor([1., 2.])
    """
    listed = _tensors("stack", tensors)
    shapes = {tensor._data.shape for tensor in listed}
    if len(shapes) > 1:
        raise ShapeError(f"stack: expected one shape, got {', '.join(map(describe, listed))}")
    at = normalize_dim("stack", dim, listed[0]._data.ndim + 1)
    return cat([unsqueeze(tensor, at) for tensor in listed], dim=at)


@numpy_names
def split(tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """Views of stretches along a dimension: of one length (the last may be shorter) or as listed.

    >>> import tapegrad as tg
    >>> tg.split(tg.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    shape = check_tensor("split", tensor)._data.shape
    dim = normalize_dim("split", dim, len(shape))
    length = shape[dim]
    if isinstance(split_size_or_sections, Sequence):
        sizes = tuple(int(n) for n in split_size_or_sections)
        if sum(sizes) != length or min(sizes, default=0) < 0:
            raise RuntimeError(f"split: the sizes {sizes} do not add up to {length} (dim {dim})")
    else:
        each = int(split_size_or_sections)
        if each <= 0:
            raise RuntimeError(f"split: the size must be positive, got {each}")
        sizes = tuple(min(each, length - at) for at in range(0, length, each)) or (0,)
    return gates.split(tensor, sizes=sizes, dim=dim)


@numpy_names
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """At most `chunks` views of equal length along a dimension (the last may be shorter).

    >>> import tapegrad as tg
    >>> [len(part) for part in tg.chunk(tg.arange(5), 2)]
    [3, 2]
    """
    if chunks <= 0:
        raise RuntimeError(f"chunk: the number of chunks must be positive, got {chunks}")
    length = check_tensor("chunk", input)._data.shape[normalize_dim("chunk", dim, input._data.ndim)]
    if not length:
        return split(input, [0] * chunks, dim)
    return split(input, -(-length // chunks), dim)


@numpy_names
def unbind(input: Any, dim: int = 0) -> Any:
    """The slices along a dimension, without it.

    >>> import tapegrad as tg
    >>> tg.unbind(tg.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    ndim = check_tensor("unbind", input)._data.ndim
    if not ndim:
        raise IndexError("unbind: a zero-dimensional tensor cannot be taken apart")
    dim = normalize_dim("unbind", dim, ndim)
    return tuple(squeeze(part, dim) for part in split(input, 1, dim)[: input._data.shape[dim]])


def clone(input: Any) -> Any:
    """A copy in memory of its own; the gradient passes through."""
    return copies.clone(check_tensor("clone", input))


def reshape_as(input: Any, other: Any) -> Any:
    """`input` in the shape of `other`."""
    return _reshape("reshape_as", input, check_tensor("reshape_as", other)._data.shape)


def expand_as(input: Any, other: Any) -> Any:
    """`input` expanded to the shape of `other`."""
    return _expand("expand_as", input, check_tensor("expand_as", other)._data.shape)
