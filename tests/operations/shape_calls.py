"""Calls of what rearranges elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Call, Draw, Name, call

Row = Callable[[Draw], Call]


def anything(least: int = 0, most: int = 3, smallest: int = 0) -> Row:
    """An operation of one tensor."""
    return lambda d: call(d.tensor(d.shape(least, most, smallest=smallest)))


def lists(least: int = 0, most: int = 3) -> Row:
    """An operation of one to three tensors of any shapes, as a list or one by one."""

    def draw(d: Draw) -> Call:
        tensors = [d.tensor(d.shape(least, most, 3)) for _ in range(d.integer(1, 3))]
        return call(*tensors) if d.flag() else call(d.one_of(list, tuple)(tensors))

    return draw


def alike(d: Draw, shape: tuple[int, ...], dim: int | None, most: int = 3) -> list[Any]:
    """Tensors of one shape but for the size of one dimension."""
    shapes = []
    for _ in range(d.integer(1, most)):
        other = list(shape)
        if dim is not None and shape:
            other[dim] = d.integer(0, 3)
        shapes.append(tuple(other))
    return [d.tensor(s) for s in shapes]


def joined(d: Draw) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    tensors = d.one_of(list, tuple)(alike(d, shape, dim))
    return call(tensors, dim) if d.flag() else call(tensors, dim=dim)


def stacked(d: Draw) -> Call:
    shape = d.shape()
    return call(alike(d, shape, None), d.integer(-len(shape) - 1, len(shape)))


def sides(dim: int, of_vectors: int | None = None) -> Row:
    """Tensors that are joined along a dimension, if they have so many."""

    def draw(d: Draw) -> Call:
        shape = d.shape(0, 3, 3)
        along: int | None = dim if len(shape) > dim else None
        if len(shape) == 1:
            along = of_vectors
        return call(alike(d, shape, along))

    return draw


def two_dims(d: Draw) -> Call:
    shape = d.shape(0, 4, 3)
    return call(d.tensor(shape), d.dim(len(shape)), d.dim(len(shape)))


def moves(d: Draw) -> Call:
    shape = d.shape(1, 4, 3)
    source = d.dims(len(shape), 1)
    places = d.source.sample(range(len(shape)), len(source))
    if len(source) == 1 and d.flag():
        return call(d.tensor(shape), source[0], places[0])
    return call(d.tensor(shape), source, tuple(places))


def permuted(d: Draw) -> Call:
    shape = d.shape(0, 4, 3)
    order = d.source.sample(range(len(shape)), len(shape))
    return call(d.tensor(shape), tuple(n - len(shape) if d.flag() else n for n in order))


def of_one_size(d: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of as many elements; the second may leave one size open."""
    wanted = d.shape(0, 4, 3)
    size = int(np.prod(wanted))
    shape = d.one_of(wanted, (size,), (1, size), wanted[::-1], (*wanted, 1))
    if wanted and size and d.flag():
        at = d.integer(0, len(wanted) - 1)
        wanted = (*wanted[:at], -1, *wanted[at + 1 :])
    return shape, wanted


def new_shape(d: Draw) -> Call:
    shape, wanted = of_one_size(d)
    return call(d.tensor(shape), d.one_of(list, tuple)(wanted))


def view(d: Draw) -> Call:
    shape, wanted = of_one_size(d)
    x = d.values().random(shape)
    return call(x, *(wanted if d.flag() and wanted else [wanted]))


def flattened(d: Draw) -> Call:
    shape = d.shape(0, 4, 3)
    ndim = max(len(shape), 1)
    a, b = sorted((d.integer(0, ndim - 1), d.integer(0, ndim - 1)))
    return call(d.tensor(shape), start_dim=a, end_dim=b - ndim if d.flag() else b)


def unflattened(d: Draw) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    n = shape[dim]
    sizes = d.one_of((n,), (n, 1), [1, n, 1], (2, n // 2) if n and not n % 2 else (1, n))
    if n and d.flag():
        sizes = (-1, *sizes[1:])
    return call(d.tensor(shape), dim, sizes)


def squeezed(d: Draw) -> Call:
    shape = d.shape(0, 4, 2)
    dims = d.one_of((), (d.dim(len(shape)),), (d.dims(len(shape)),))
    return call(d.tensor(shape), *dims)


def unsqueezed(d: Draw) -> Call:
    shape = d.shape()
    return call(d.tensor(shape), d.integer(-len(shape) - 1, len(shape)))


def expanded(d: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape, and one to which it expands."""
    shape, other = d.shapes(2)
    common = np.broadcast_shapes(shape, other)
    return shape, common


def broadcast_to(d: Draw) -> Call:
    shape, wanted = expanded(d)
    return call(d.tensor(shape), wanted)


def expand(d: Draw) -> Call:
    shape, wanted = expanded(d)
    lead = len(wanted) - len(shape)
    kept = [
        -1 if i >= lead and shape[i - lead] == n and d.flag() else n for i, n in enumerate(wanted)
    ]
    return call(d.tensor(shape), d.one_of(list, tuple)(kept))


def sum_to_size(d: Draw) -> Call:
    shape, wanted = expanded(d)
    return call(d.tensor(wanted), *([shape] if d.flag() or not shape else shape))


def same_size(d: Draw) -> Call:
    shape = d.shape()
    return call(d.tensor(shape), d.tensor(shape[::-1]))


def rolled(d: Draw) -> Call:
    shape = d.shape()
    if d.flag():
        return call(d.tensor(shape), d.integer(-5, 5))
    dims = d.dims(len(shape), 1)
    if not dims:
        return call(d.tensor(shape), (3,))
    shifts = tuple(d.integer(-5, 5) for _ in dims)
    return call(d.tensor(shape), shifts, dims)


def rot90(d: Draw) -> Call:
    shape = d.shape(2, 3)
    dims = d.source.sample(range(len(shape)), 2)
    return call(
        d.tensor(shape), d.integer(-5, 5), [n - len(shape) if d.flag() else n for n in dims]
    )


def tiled(d: Draw) -> Call:
    times = tuple(d.integer(0, 3) for _ in range(d.integer(0, 3)))
    return call(d.tensor(d.shape(0, 3, 2)), times)


def repeated(d: Draw) -> Call:
    shape = d.shape(0, 2)
    times = [d.integer(0, 3) for _ in range(d.integer(len(shape), 3))]
    return call(d.tensor(shape), *([times] if d.flag() or not times else times))


def repeat_interleave(d: Draw) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    if not d.integer(0, 3):
        return call(d.whole((d.integer(0, 4),), 0, 4), order=0)
    if d.flag():
        named = {"dim": dim} if d.flag() else {}
        return call(d.tensor(shape), d.one_of(d.integer(0, 3), d.whole((1,), 0, 3)), **named)
    counts = d.whole((shape[dim],), 0, 4)
    size = {"output_size": int(counts.sum())} if d.flag() and shape[dim] != 1 else {}
    return call(d.tensor(shape), counts, dim, **size)


def split(d: Draw) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    return call(d.tensor(shape), d.one_of(1, 2, 3, 9, _sizes(d, shape[dim])), dim)


def _sizes(d: Draw, length: int) -> list[int]:
    cuts = sorted(d.integer(0, length) for _ in range(d.integer(0, 3)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, length], strict=True)]


def split_with_sizes(d: Draw) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    return call(d.tensor(shape), _sizes(d, shape[dim]), dim)


def tensor_split(d: Draw) -> Call:
    shape = d.shape(1)
    dim = d.dim(len(shape))
    cuts = [d.integer(-5, 5) for _ in range(d.integer(0, 3))]
    how = d.integer(0, 3)
    if how == 3:
        return call(d.tensor(shape), np.asarray(d.one_of(cuts, 2), np.int64), dim)
    given = d.one_of({"sections": d.integer(1, 4)}, {"indices": cuts})
    if how == 2:
        return call(d.tensor(shape), dim=dim, **given)
    return call(d.tensor(shape), *given.values(), dim)


def cut_along(dim: int, least: int) -> Row:
    """hsplit and its like: equal parts, or cut at positions."""

    def draw(d: Draw) -> Call:
        shape = d.shape(least, 3)
        length = shape[min(dim, len(shape) - 1)]
        if d.flag() and length:
            return call(d.tensor(shape), d.one_of(1, length))
        return call(d.tensor(shape), [d.integer(-5, 5) for _ in range(d.integer(0, 3))])

    return draw


def chunk(d: Draw) -> Call:
    shape = d.shape(1)
    return call(d.tensor(shape), d.integer(1, 5), dim=d.dim(len(shape)))


def one_dim(least: int = 1) -> Row:
    """An operation of a tensor and one of its dimensions."""

    def draw(d: Draw) -> Call:
        shape = d.shape(least)
        return call(d.tensor(shape), d.dim(len(shape)))

    return draw


def meshgrid(d: Draw) -> Call:
    vectors = [d.tensor(d.shape(0, 1, 3)) for _ in range(d.integer(1, 3))]
    args = vectors if d.flag() else [vectors]
    return call(*args, indexing=d.one_of("ij", "xy"))


def diagonal(d: Draw) -> Call:
    shape = d.shape(2, 4)
    dims = d.source.sample(range(-len(shape), 0), 2)
    return call(d.tensor(shape), d.integer(-5, 5), *dims)


def diagonal_scatter(d: Draw) -> Call:
    shape = d.shape(2, 3)
    dims = d.source.sample(range(-len(shape), 0), 2)
    offset = d.integer(-3, 3)
    diagonal = np.diagonal(np.zeros(shape), offset, *dims) if shape else np.zeros(())
    return call(d.tensor(shape), d.tensor(diagonal.shape), offset, *dims)


def diag_embed(d: Draw) -> Call:
    shape = d.shape(1)
    dims = d.source.sample(range(-len(shape) - 1, len(shape) + 1), 2)
    if dims[0] % (len(shape) + 1) == dims[1] % (len(shape) + 1):
        dims = []
    return call(d.tensor(shape), d.integer(-3, 3), *dims)


def triangle(d: Draw) -> Call:
    shape = d.shape(2, 3)
    return call(d.tensor(shape), d.integer(-5, 5)) if d.flag() else call(d.tensor(shape))


def triangle_indices(d: Draw) -> Call:
    sizes = d.integer(0, 4), d.integer(0, 4), d.integer(-5, 5)
    return call(*sizes, dtype=Name(d.one_of("int64", "int32")))


def unfold(d: Draw) -> Call:
    shape = d.shape(0, 3, 6)
    dim = d.dim(len(shape))
    return call(d.tensor(shape), dim, d.integer(0, shape[dim] if shape else 1), d.integer(1, 3))


def combinations(d: Draw) -> Call:
    return call(d.tensor((d.integer(0, 4),)), d.integer(0, 3), with_replacement=d.flag())


def blocks(d: Draw) -> Call:
    shapes = [d.shape(0, 2, 3) for _ in range(d.integer(1, 3))]
    # PyTorch hands on the wrong rows of the gradient after a vector without elements.
    return call(*(d.tensor(shape if shape != (0,) else (1,)) for shape in shapes))


def vectors(d: Draw) -> Call:
    return call(*(d.tensor((d.integer(0, 3),)) for _ in range(d.integer(1, 3))))


def broadcast_tensors(d: Draw) -> Call:
    return call(*(d.tensor(shape) for shape in d.shapes(d.integer(1, 3))))


CALLS: dict[str, Row] = {
    "adjoint": lambda d: call(d.tensor(d.shape(2, 4))),
    "atleast_1d": lists(),
    "atleast_2d": lists(),
    "atleast_3d": lists(0, 4),
    "block_diag": blocks,
    "broadcast_shapes": lambda d: call(*d.shapes(d.integer(1, 3)), order=0),
    "broadcast_tensors": broadcast_tensors,
    "broadcast_to": broadcast_to,
    "cartesian_prod": vectors,
    "cat": joined,
    "chunk": chunk,
    "clone": anything(),
    "column_stack": sides(1),
    "combinations": combinations,
    "concat": joined,
    "concatenate": joined,
    "diag": lambda d: call(d.tensor(d.shape(1, 2)), d.integer(-3, 3)),
    "diag_embed": diag_embed,
    "diagflat": lambda d: call(d.tensor(d.shape(0, 2, 3)), d.integer(-3, 3)),
    "diagonal": diagonal,
    "diagonal_scatter": diagonal_scatter,
    "dsplit": cut_along(2, 3),
    "dstack": sides(2),
    "expand": expand,
    "expand_as": lambda d: call(*map(d.tensor, expanded(d))),
    "flatten": flattened,
    "flip": lambda d: call(d.tensor(s := d.shape()), d.dims(len(s))),
    "fliplr": anything(2),
    "flipud": anything(1),
    "hsplit": cut_along(1, 1),
    "hstack": sides(1, of_vectors=0),
    "meshgrid": meshgrid,
    "moveaxis": moves,
    "movedim": moves,
    "permute": permuted,
    "ravel": anything(),
    "repeat": repeated,
    "repeat_interleave": repeat_interleave,
    "reshape": new_shape,
    "reshape_as": same_size,
    "roll": rolled,
    "rot90": rot90,
    "row_stack": sides(0),
    "split": split,
    "split_with_sizes": split_with_sizes,
    "squeeze": squeezed,
    "stack": stacked,
    "sum_to_size": sum_to_size,
    "swapaxes": two_dims,
    "swapdims": two_dims,
    "t": anything(0, 2),
    "tensor_split": tensor_split,
    "tile": tiled,
    "transpose": two_dims,
    "tril": triangle,
    "tril_indices": triangle_indices,
    "triu": triangle,
    "triu_indices": triangle_indices,
    "unbind": one_dim(),
    "unflatten": unflattened,
    "unfold": unfold,
    "unsqueeze": unsqueezed,
    "view": view,
    "view_as": lambda d: call(d.values().random(s := d.shape(1)), d.tensor(s[::-1])),
    "vsplit": cut_along(0, 2),
    "vstack": sides(0),
}
