"""Joining tensors and taking them apart; a part is a view."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import INTEGERS, module_of, result_type
from tapegrad.autograd.engine import cast, describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import shape as gates
from tapegrad.autograd.gates.indexing import index as index_gate
from tapegrad.autograd.records import Variable
from tapegrad.kernels.segments import members

from .arguments import check_tensor, normalize_dim, numpy_names, on_its_gpu, same_device, whole
from .shape import atleast_1d, atleast_2d, atleast_3d, expand, reshape

__all__ = [
    "block_diag",
    "cartesian_prod",
    "cat",
    "chunk",
    "column_stack",
    "combinations",
    "concat",
    "concatenate",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "meshgrid",
    "row_stack",
    "split",
    "split_with_sizes",
    "stack",
    "tensor_split",
    "unbind",
    "vsplit",
    "vstack",
]


def _tensors(name: str, tensors: Sequence[Any]) -> list[Any]:
    if isinstance(tensors, Variable) or not isinstance(tensors, Sequence):
        raise TypeError(f"{name}: expected a list of tensors, got {type(tensors).__name__}")
    listed = [check_tensor(name, tensor) for tensor in tensors]
    if not listed:
        raise ArgumentError(f"{name}: expected at least one tensor, got an empty list")
    return listed


def _common(tensors: list[Any]) -> Any:
    return result_type(*(tensor.data for tensor in tensors))


@numpy_names
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors one after another along an existing dimension.

    >>> import tapegrad as tg
    >>> tg.cat([tg.ones(1, 2), tg.zeros(2, 2)]).shape
    (3, 2)
    """
    listed = _tensors("cat", tensors)
    # An empty vector joins anything, as in PyTorch.
    given = listed
    listed = [tensor for tensor in listed if tensor._data.shape != (0,)] or listed[:1]
    if len(given) > len(listed) and listed[0]._data.dtype != (dtype := _common(given)):
        listed[0] = cast(listed[0], dtype=dtype)
    ndim = listed[0]._data.ndim
    if not ndim:
        raise RuntimeError("cat: zero-dimensional tensors have no dimension to join; use stack")
    dim = normalize_dim("cat", dim, ndim)
    for tensor in listed[1:]:
        ours, theirs = list(listed[0]._data.shape), list(tensor._data.shape)
        if len(theirs) == ndim:
            ours[dim] = theirs[dim] = 0
        if ours != theirs:
            shown = ", ".join(map(describe, listed))
            raise ShapeError(f"cat: sizes must agree in all dimensions but {dim}, got {shown}")
    sizes = tuple(tensor._data.shape[dim] for tensor in listed)
    return gates.cat(*listed, sizes=sizes, dim=dim)


@numpy_names
def concat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """`cat`, by another name."""
    return cat(tensors, dim)


@numpy_names
def concatenate(tensors: Sequence[Any], dim: int = 0) -> Any:
    """`cat`, by NumPy's name."""
    return cat(tensors, dim)


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
    return gates.stack(*listed, dim=normalize_dim("stack", dim, listed[0]._data.ndim + 1))


def hstack(tensors: Sequence[Any]) -> Any:
    """Tensors side by side: along the second dimension, vectors along their only one.

    >>> import tapegrad as tg
    >>> tg.hstack([tg.tensor([1, 2]), tg.tensor([3])])
    tensor([1, 2, 3])
    """
    listed = list(atleast_1d(_tensors("hstack", tensors)))
    return cat(listed, 0 if listed[0]._data.ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Any:
    """Tensors one above another: along the first dimension, vectors as rows.

    >>> import tapegrad as tg
    >>> tg.vstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(atleast_2d(_tensors("vstack", tensors)))


def row_stack(tensors: Sequence[Any]) -> Any:
    """`vstack`, by another name."""
    return vstack(tensors)


def dstack(tensors: Sequence[Any]) -> Any:
    """Tensors one behind another: along the third dimension.

    >>> import tapegrad as tg
    >>> tg.dstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat(atleast_3d(_tensors("dstack", tensors)), 2)


def column_stack(tensors: Sequence[Any]) -> Any:
    """Tensors side by side along the second dimension, vectors as columns.

    >>> import tapegrad as tg
    >>> tg.column_stack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    listed = _tensors("column_stack", tensors)
    return cat([x if x._data.ndim > 1 else reshape(x, (x._data.size, 1)) for x in listed], 1)


def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of one that is 0 elsewhere; vectors are rows.

    >>> import tapegrad as tg
    >>> tg.block_diag(tg.tensor([[1], [2]]), tg.tensor([3, 4]))
    tensor([[1, 0, 0],
            [2, 0, 0],
            [0, 3, 4]])
    """
    if not tensors:
        raise ArgumentError("block_diag: expected at least one tensor")
    blocks = [check_tensor("block_diag", tensor) for tensor in tensors]
    if any(block._data.ndim > 2 for block in blocks):
        given = ", ".join(map(describe, blocks))
        raise ShapeError(f"block_diag: expected at most 2 dimensions, got {given}")
    blocks = [atleast_2d(block) for block in blocks]
    return gates.block_diag(*blocks, shapes=tuple(block._data.shape for block in blocks))


# Taking apart


@numpy_names
def split(tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """Views of stretches along a dimension: of one length (the last may be shorter) or as listed.

    >>> import tapegrad as tg
    >>> tg.split(tg.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    shape = check_tensor("split", tensor)._data.shape
    if not shape:
        raise RuntimeError("split: a zero-dimensional tensor cannot be taken apart")
    dim = normalize_dim("split", dim, len(shape))
    length = shape[dim]
    if isinstance(split_size_or_sections, Sequence):
        sizes = tuple(int(n) for n in split_size_or_sections)
        if sum(sizes) != length or min(sizes, default=0) < 0:
            raise RuntimeError(f"split: the sizes {sizes} do not add up to {length} (dim {dim})")
        if not sizes:
            return ()
    else:
        each = int(split_size_or_sections)
        if each < 0 or (not each and length):
            raise RuntimeError(f"split: the size must be positive, got {each}")
        sizes = tuple(min(each, length - at) for at in range(0, length, each or 1)) or (0,)
    return gates.split(tensor, sizes=sizes, dim=dim)


@numpy_names
def split_with_sizes(input: Any, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """`split` into stretches of the lengths listed.

    >>> import tapegrad as tg
    >>> tg.split_with_sizes(tg.arange(3), [1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return split(input, tuple(split_sizes), dim)


@numpy_names
def tensor_split(
    input: Any,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    sections: int | None = None,
    indices: Sequence[int] | None = None,
) -> Any:
    """Views of stretches along a dimension: so many, as equal as can be, or cut at positions.

    >>> import tapegrad as tg
    >>> tg.tensor_split(tg.arange(5), 2), tg.tensor_split(tg.arange(5), (1, -1))
    ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2, 3]), tensor([4])))
    """
    return _cut("tensor_split", input, (indices_or_sections, sections, indices), dim, False)


def _cut(name: str, input: Any, given: tuple[Any, Any, Any], dim: int, evenly: bool) -> Any:
    """The stretches of a tensor, `given` being how many or where, by any of its three names."""
    shape = check_tensor(name, input)._data.shape
    if not shape:
        raise RuntimeError(f"{name}: a zero-dimensional tensor cannot be taken apart")
    dim = normalize_dim(name, dim, len(shape))
    named = [value for value in given if value is not None]
    if len(named) != 1:
        raise TypeError(f"{name}: expected a number of sections or positions to cut at")
    how: Any = named[0]
    if isinstance(how, Variable):
        if how._data.ndim > 1 or how._data.dtype not in INTEGERS:
            raise RuntimeError(f"{name}: expected integers in a vector, got {describe(how)}")
        how = how._data.tolist()
    length = shape[dim]
    if isinstance(how, Sequence) and not isinstance(how, str):
        cuts = [0, *(int(c) for c in how), length]
        edges = [slice(a, b) for a, b in itertools.pairwise(cuts)]
        edges[-1] = slice(cuts[-2], None)
        spans = [edge.indices(length)[:2] for edge in edges]
        if all(a <= b for a, b in spans) and all(
            b == a for (_, b), (a, _) in itertools.pairwise(spans)
        ):
            return gates.split(input, sizes=tuple(b - a for a, b in spans), dim=dim)
        return tuple(index_gate(input, key=(*(slice(None),) * dim, edge)) for edge in edges)
    if not hasattr(how, "__index__"):
        raise TypeError(f"{name}: expected integers, got {how!r}")
    count = how.__index__()
    if count <= 0:
        raise RuntimeError(f"{name}: the number of sections must be positive, got {count}")
    if evenly and length % count:
        raise RuntimeError(
            f"{name}: {describe(input)} cannot be cut along dim {dim} into {count} equal parts"
        )
    least, more = divmod(length, count)
    sizes = (least + 1,) * more + (least,) * (count - more)
    return gates.split(input, sizes=sizes, dim=dim)


def hsplit(
    input: Any,
    indices_or_sections: Any = None,
    *,
    sections: int | None = None,
    indices: Sequence[int] | None = None,
) -> Any:
    """`tensor_split` along the second dimension, of a vector along its only one; equal sections.

    >>> import tapegrad as tg
    >>> tg.hsplit(tg.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    dim = 0 if check_tensor("hsplit", input)._data.ndim == 1 else 1
    return _cut("hsplit", input, (indices_or_sections, sections, indices), dim, True)


def vsplit(
    input: Any,
    indices_or_sections: Any = None,
    *,
    sections: int | None = None,
    indices: Sequence[int] | None = None,
) -> Any:
    """`tensor_split` along the first of two dimensions or more; equal sections.

    >>> import tapegrad as tg
    >>> [part.shape for part in tg.vsplit(tg.zeros(4, 2), (1, 3))]
    [(1, 2), (2, 2), (1, 2)]
    """
    _at_least("vsplit", input, 2)
    return _cut("vsplit", input, (indices_or_sections, sections, indices), 0, True)


def dsplit(
    input: Any,
    indices_or_sections: Any = None,
    *,
    sections: int | None = None,
    indices: Sequence[int] | None = None,
) -> Any:
    """`tensor_split` along the third dimension; equal sections.

    >>> import tapegrad as tg
    >>> [part.shape for part in tg.dsplit(tg.zeros(1, 2, 4), 2)]
    [(1, 2, 2), (1, 2, 2)]
    """
    _at_least("dsplit", input, 3)
    return _cut("dsplit", input, (indices_or_sections, sections, indices), 2, True)


def _at_least(name: str, input: Any, ndim: int) -> None:
    if check_tensor(name, input)._data.ndim < ndim:
        raise RuntimeError(f"{name}: expected at least {ndim} dimensions, got {describe(input)}")


@numpy_names
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """At most `chunks` views of equal length along a dimension (the last may be shorter).

    >>> import tapegrad as tg
    >>> [len(part) for part in tg.chunk(tg.arange(5), 2)]
    [3, 2]
    """
    chunks = whole("chunk", "chunks", chunks)
    if chunks <= 0:
        raise RuntimeError(f"chunk: the number of chunks must be positive, got {chunks}")
    if not check_tensor("chunk", input)._data.ndim:
        raise RuntimeError("chunk: a zero-dimensional tensor cannot be taken apart")
    length = input._data.shape[normalize_dim("chunk", dim, input._data.ndim)]
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
    return gates.unbind(input, dim=dim) if input._data.shape[dim] else ()


# Combinations of elements


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Any, ...]:
    """Vectors expanded over a grid with one dimension for each of them.

    indexing  "ij" (None is the same): the dimensions in the order of the vectors; "xy": the first
              two exchanged, as in a picture

    >>> import tapegrad as tg
    >>> tg.meshgrid(tg.tensor([1, 2]), tg.tensor([3, 4]), indexing="ij")
    (tensor([[1, 1],
            [2, 2]]), tensor([[3, 4],
            [3, 4]]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    listed = _tensors("meshgrid", tensors)
    same_device("meshgrid", *listed)
    if indexing not in (None, "ij", "xy"):
        raise ArgumentError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    if any(tensor._data.ndim > 1 for tensor in listed):
        given = ", ".join(map(describe, listed))
        raise ShapeError(f"meshgrid: expected vectors, got {given}")
    if len({tensor._data.dtype for tensor in listed}) > 1:
        given = ", ".join(map(describe, listed))
        raise RuntimeError(f"meshgrid: expected one dtype, got {given}")
    places = list(range(len(listed)))
    if indexing == "xy" and len(places) > 1:
        places[:2] = [1, 0]
    sizes = [1] * len(listed)
    for tensor, place in zip(listed, places, strict=True):
        sizes[place] = tensor._data.size
    return tuple(
        expand(reshape(tensor, (-1, *(1,) * (len(listed) - 1 - place))), sizes)
        for tensor, place in zip(listed, places, strict=True)
    )


def cartesian_prod(*tensors: Any) -> Any:
    """Every choice of one element from each vector, a row each; of one vector, itself.

    >>> import tapegrad as tg
    >>> tg.cartesian_prod(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    listed = _tensors("cartesian_prod", tensors)
    if any(tensor._data.ndim != 1 for tensor in listed):
        given = ", ".join(map(describe, listed))
        raise ShapeError(f"cartesian_prod: expected vectors, got {given}")
    if len(listed) == 1:
        return reshape(listed[0], listed[0]._data.shape)
    grid = meshgrid(*listed, indexing="ij")
    return stack([reshape(values, (values._data.size,)) for values in grid], 1)


@on_its_gpu
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Every choice of `r` elements of a vector, in their order, a row each.

    with_replacement  whether an element may be chosen again

    >>> import tapegrad as tg
    >>> tg.combinations(tg.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    data = check_tensor("combinations", input)._data
    if data.ndim != 1:
        raise ShapeError(f"combinations: expected a vector, got {describe(input)}")
    if r < 0:
        raise RuntimeError(f"combinations: r must not be negative, got {r}")
    if not r:  # one choice, of nothing
        return input.detach()[:0]
    least = 0 if with_replacement else 1
    places = np.arange(data.size)[:, None]
    for _ in range(r - 1):  # every row is followed by all positions that may come after its last
        counts = data.size - places[:, -1] - least
        rows = members(np, counts)
        turn = np.arange(rows.size) - (np.cumsum(counts) - counts)[rows]
        places = np.concatenate((places[rows], (places[rows, -1] + least + turn)[:, None]), axis=1)
    return index_gate(input, key=module_of(data).asarray(places))
