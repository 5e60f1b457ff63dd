"""NumPy's functions that arrange and pick elements, by our operations: signatures are NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import operations as ops
from .gates.shape import pad
from .operations.arguments import normalize_dim
from .operations.indexing import getitem


def _moved(operation: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `tup`, a sequence of arrays."""
    return lambda tup: operation(list(tup))


def _flip(m: Any, axis: Any = None) -> Any:
    return ops.flip(m, tuple(range(m.ndim)) if axis is None else axis)


def _tile(A: Any, reps: Any) -> Any:
    return ops.tile(A, (reps,) if isinstance(reps, int) else tuple(reps))


def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    return ops.repeat_interleave(a, _whole(repeats), axis)


def _whole(positions: Any) -> Any:
    """Positions or numbers given in a list, as a tensor."""
    return ops.as_tensor(np.asarray(positions)) if isinstance(positions, list) else positions


def _take(a: Any, indices: Any, axis: Any = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise TypeError(f"numpy.take with mode={mode!r} is not recorded; use mode='raise'")
    if axis is None:
        return getitem(ops.ravel(a), indices)
    return getitem(a, (*(slice(None),) * normalize_dim("take", axis, a.ndim), indices))


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if isinstance(indices_or_sections, int) and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return list(ops.tensor_split(ary, indices_or_sections, axis))


def _parts(operation: Callable[..., Any]) -> Callable[..., list[Any]]:
    return lambda ary, indices_or_sections: list(operation(ary, indices_or_sections))


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if sparse:
        raise TypeError("numpy.meshgrid with sparse=True is not recorded; use unsqueeze")
    return ops.meshgrid(*map(ops.ravel, xi), indexing=indexing)


def _append(arr: Any, values: Any, axis: Any = None) -> Any:
    both = (ops.as_tensor(arr), ops.as_tensor(values))
    return ops.cat(tuple(map(ops.ravel, both)) if axis is None else both, axis or 0)


def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    if mode != "constant" or not np.isscalar(constant_values):
        raise TypeError("numpy.pad is recorded for mode='constant' with one value only")
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    return pad(array, widths=tuple(map(tuple, widths)), value=constant_values)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.swapaxes: lambda a, axis1, axis2: ops.swapaxes(a, axis1, axis2),
    np.matrix_transpose: lambda x: x.mT,
    np.flip: _flip,
    np.fliplr: lambda m: ops.fliplr(m),
    np.flipud: lambda m: ops.flipud(m),
    np.roll: lambda a, shift, axis=None: ops.roll(a, shift, axis),
    np.rot90: lambda m, k=1, axes=(0, 1): ops.rot90(m, k, axes),
    np.tile: _tile,
    np.repeat: _repeat,
    np.pad: _pad,
    np.append: _append,
    np.vstack: _moved(ops.vstack),
    np.hstack: _moved(ops.hstack),
    np.dstack: _moved(ops.dstack),
    np.column_stack: _moved(ops.column_stack),
    np.atleast_1d: ops.atleast_1d,
    np.atleast_2d: ops.atleast_2d,
    np.atleast_3d: ops.atleast_3d,
    np.broadcast_arrays: ops.broadcast_tensors,
    np.meshgrid: _meshgrid,
    np.split: _split,
    np.array_split: lambda ary, indices_or_sections, axis=0: list(
        ops.tensor_split(ary, indices_or_sections, axis)
    ),
    np.hsplit: _parts(ops.hsplit),
    np.vsplit: _parts(ops.vsplit),
    np.dsplit: _parts(ops.dsplit),
    np.diag: lambda v, k=0: ops.diag(v, k),
    np.diagflat: lambda v, k=0: ops.diagflat(v, k),
    np.diagonal: lambda a, offset=0, axis1=0, axis2=1: ops.diagonal(a, offset, axis1, axis2),
    np.tril: lambda m, k=0: ops.tril(m, k),
    np.triu: lambda m, k=0: ops.triu(m, k),
    np.take: _take,
    np.take_along_axis: lambda arr, indices, axis=-1: ops.take_along_dim(arr, indices, axis),
    np.nonzero: lambda a: ops.nonzero(a, as_tuple=True),
    np.flatnonzero: lambda a: ops.nonzero(ops.ravel(a), as_tuple=True)[0],
    np.argwhere: lambda a: ops.argwhere(a),
    np.isin: lambda element, test_elements, assume_unique=False, invert=False: ops.isin(
        element, test_elements, assume_unique=assume_unique, invert=invert
    ),
}
