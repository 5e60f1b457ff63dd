"""How NumPy and other libraries see a tensor: functions call our gates, arrays cross uncopied.

`np.exp(t)`, `np.sum(t, axis=0)`, `array + t` record like `t.exp()`. A NumPy function without a
counterpart here is refused where it would lose a gradient, and computed where it would not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .engine import Variable, array_of, needs_gradient, wrap
from .operations import (
    creation,
    indexing,
    pointwise,
    products,
    reductions,
    shape,
)
from .versions import mark_written

_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: pointwise.add,
    np.subtract: pointwise.sub,
    np.multiply: pointwise.mul,
    np.true_divide: pointwise.div,
    np.floor_divide: pointwise.floor_divide,
    np.remainder: pointwise.remainder,
    np.power: pointwise.pow,
    np.float_power: pointwise.pow,
    np.negative: pointwise.neg,
    np.absolute: pointwise.abs,
    np.fabs: pointwise.abs,
    np.sign: pointwise.sign,
    np.floor: pointwise.floor,
    np.reciprocal: pointwise.reciprocal,
    np.square: pointwise.square,
    np.exp: pointwise.exp,
    np.expm1: pointwise.expm1,
    np.log: pointwise.log,
    np.log1p: pointwise.log1p,
    np.sqrt: pointwise.sqrt,
    np.sin: pointwise.sin,
    np.cos: pointwise.cos,
    np.tanh: pointwise.tanh,
    np.maximum: pointwise.maximum,
    np.minimum: pointwise.minimum,
    np.equal: pointwise.eq,
    np.not_equal: pointwise.ne,
    np.less: pointwise.lt,
    np.less_equal: pointwise.le,
    np.greater: pointwise.gt,
    np.greater_equal: pointwise.ge,
    np.bitwise_and: pointwise.bitwise_and,
    np.bitwise_or: pointwise.bitwise_or,
    np.bitwise_xor: pointwise.bitwise_xor,
    np.invert: pointwise.bitwise_not,
    np.logical_and: pointwise.logical_and,
    np.logical_or: pointwise.logical_or,
    np.logical_not: pointwise.logical_not,
    np.isnan: pointwise.isnan,
    np.isinf: pointwise.isinf,
    np.isfinite: pointwise.isfinite,
    np.matmul: products.matmul,
}


def _numpy_var(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    return reductions.var(a, axis, correction=ddof, keepdim=keepdims)


def _numpy_std(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    return reductions.std(a, axis, correction=ddof, keepdim=keepdims)


def _numpy_dot(a: Any, b: Any) -> Any:
    if not getattr(a, "ndim", 0) or not getattr(b, "ndim", 0):
        return pointwise.mul(a, b)
    if max(a.ndim, b.ndim) > 2:
        raise TypeError("numpy.dot of stacks of matrices is not recorded; use matmul")
    return products.matmul(a, b)


def _numpy_clip(a: Any, a_min: Any = None, a_max: Any = None, **bounds: Any) -> Any:
    return pointwise.clamp(a, bounds.get("min", a_min), bounds.get("max", a_max))


def _numpy_transpose(a: Any, axes: Any = None) -> Any:
    return shape.permute(a, tuple(reversed(range(a.ndim))) if axes is None else axes)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: reductions.sum,
    np.mean: reductions.mean,
    np.var: _numpy_var,
    np.std: _numpy_std,
    np.max: reductions.amax,
    np.min: reductions.amin,
    np.amax: reductions.amax,
    np.amin: reductions.amin,
    np.argmax: reductions.argmax,
    np.argmin: reductions.argmin,
    np.any: reductions.any,
    np.all: reductions.all,
    np.reshape: shape.reshape,
    np.ravel: shape.flatten,
    np.transpose: _numpy_transpose,
    np.swapaxes: shape.transpose,
    np.moveaxis: shape.movedim,
    np.squeeze: shape.squeeze,
    np.expand_dims: shape.unsqueeze,
    np.broadcast_to: shape.expand,
    np.concatenate: shape.cat,
    np.stack: shape.stack,
    np.where: pointwise.where,
    np.clip: _numpy_clip,
    np.dot: _numpy_dot,
    np.outer: products.outer,
    np.diag: indexing.diag,
    np.take_along_axis: indexing.take_along_dim,
    np.allclose: pointwise.allclose,
    np.isclose: pointwise.isclose,
    np.zeros_like: creation.zeros_like,
    np.ones_like: creation.ones_like,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.numel() if axis is None else a.shape[axis],
}


def _contains(values: Any, test: Callable[[Any], bool]) -> bool:
    """Whether any value, also in lists and tuples, passes the test."""
    return any(
        _contains(value, test) if isinstance(value, (list, tuple)) else test(value)
        for value in values
    )


def _stripped(value: Any) -> Any:
    """The arrays inside tensors, to be read only: a write by NumPy would go unseen."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_stripped, value))
    if isinstance(value, Variable) and isinstance(value._data, np.ndarray):
        view = value._data.view()
        view.flags.writeable = False
        return view
    return array_of(value)


def _plainly(name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A NumPy function we have no gate for: on plain values only, never losing a gradient."""
    if _contains((*args, *kwargs.values()), needs_gradient):
        raise TypeError(
            f"numpy.{name} would lose the gradient of a tensor: tapegrad has no gate for it. "
            "Use tapegrad's own operations, or .detach() first"
        )
    outs = kwargs.pop("out", ())
    outs = outs if isinstance(outs, tuple) else (outs,)
    keywords = {key: _stripped(v) for key, v in kwargs.items()}
    if outs:
        keywords["out"] = tuple(o.data if isinstance(o, Variable) else o for o in outs)  # type: ignore[attr-defined]
        if len(outs) == 1:
            keywords["out"] = keywords["out"][0]
    result = function(*_stripped(args), **keywords)
    for out in outs:
        if isinstance(out, Variable):
            mark_written(out)
    if outs:
        return outs[0] if len(outs) == 1 else outs
    return wrap(result) if isinstance(result, (np.ndarray, np.generic)) else result


class NumpyProtocols(Variable):
    """`__array__`, `__array_ufunc__`, `__array_function__`, DLPack and the CUDA array interface."""

    __slots__ = ()
    __array_priority__ = 1000

    numpy: Callable[[], np.ndarray]
    data: Any

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"cannot see {array.dtype} as {dtype} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        operation = _UFUNCS.get(ufunc)
        if operation is not None and method == "__call__" and not kwargs:
            return operation(*map(_operand, inputs))
        if method == "at" and isinstance(inputs[0], Variable) and not needs_gradient(inputs[0]):
            raise TypeError(
                f"numpy.{ufunc.__name__}.at would write into a tensor unseen; use x[i] ="
            )
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return _plainly(name, getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        operation = _FUNCTIONS.get(function)
        if operation is None:
            return _plainly(function.__name__, function, args, kwargs)
        return operation(*map(_operand, args), **kwargs)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self._node is not None:
            raise BufferError("a tensor that requires a gradient cannot be exported; use .detach()")
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        # On a CPU an AttributeError, as the protocol asks.
        return self._data.__cuda_array_interface__


def _operand(value: Any) -> Any:
    """A NumPy operand as the operations take them: arrays become tensors, the rest stays."""
    if isinstance(value, (list, tuple)) and _contains(value, lambda v: isinstance(v, np.ndarray)):
        return type(value)(map(_operand, value))
    return creation.as_tensor(value) if isinstance(value, np.ndarray) else value
