"""How NumPy and other libraries see a tensor: functions call our gates, arrays cross uncopied.

`np.exp(t)`, `np.sum(t, axis=0)`, `array + t` record like `t.exp()`. A NumPy function without a
counterpart here is refused where it would lose a gradient, and computed where it would not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import exchange, numpy_reductions, numpy_shapes
from . import operations as ops
from .engine import array_of, needs_gradient, wrap
from .gates import comparison, exponential, selection, trigonometry
from .records import Variable
from .versions import mark_written

_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: ops.add,
    np.subtract: ops.sub,
    np.multiply: ops.mul,
    np.true_divide: ops.div,
    np.floor_divide: ops.floor_divide,
    np.remainder: ops.remainder,
    np.fmod: ops.fmod,
    np.power: ops.pow,
    np.float_power: ops.float_power,
    np.negative: ops.neg,
    np.positive: ops.positive,
    np.absolute: ops.abs,
    np.fabs: ops.abs,
    np.sign: ops.sign,
    np.copysign: ops.copysign,
    np.reciprocal: ops.reciprocal,
    np.square: ops.square,
    np.gcd: comparison.gcd,
    np.lcm: comparison.lcm,
    np.floor: ops.floor,
    np.ceil: ops.ceil,
    np.trunc: ops.trunc,
    np.rint: ops.round,
    np.exp: ops.exp,
    np.exp2: ops.exp2,
    np.expm1: ops.expm1,
    np.log: ops.log,
    np.log2: ops.log2,
    np.log10: ops.log10,
    np.log1p: ops.log1p,
    np.sqrt: ops.sqrt,
    np.logaddexp: exponential.logaddexp,
    np.logaddexp2: exponential.logaddexp2,
    np.sin: ops.sin,
    np.cos: ops.cos,
    np.tan: ops.tan,
    np.arcsin: ops.arcsin,
    np.arccos: ops.arccos,
    np.arctan: ops.arctan,
    np.sinh: ops.sinh,
    np.cosh: ops.cosh,
    np.tanh: ops.tanh,
    np.arcsinh: ops.arcsinh,
    np.arccosh: ops.arccosh,
    np.arctanh: ops.arctanh,
    np.deg2rad: ops.deg2rad,
    np.rad2deg: ops.rad2deg,
    np.radians: ops.deg2rad,
    np.degrees: ops.rad2deg,
    np.arctan2: trigonometry.atan2,
    np.hypot: trigonometry.hypot,
    np.maximum: selection.maximum,
    np.minimum: selection.minimum,
    np.fmax: selection.fmax,
    np.fmin: selection.fmin,
    np.heaviside: comparison.heaviside,
    np.equal: ops.eq,
    np.not_equal: ops.ne,
    np.less: ops.lt,
    np.less_equal: ops.le,
    np.greater: ops.gt,
    np.greater_equal: ops.ge,
    np.bitwise_and: ops.bitwise_and,
    np.bitwise_or: ops.bitwise_or,
    np.bitwise_xor: ops.bitwise_xor,
    np.invert: ops.bitwise_not,
    np.left_shift: ops.bitwise_left_shift,
    np.right_shift: ops.bitwise_right_shift,
    np.logical_and: comparison.logical_and,
    np.logical_or: comparison.logical_or,
    np.logical_xor: comparison.logical_xor,
    np.logical_not: ops.logical_not,
    np.isnan: ops.isnan,
    np.isinf: ops.isinf,
    np.isfinite: ops.isfinite,
    np.signbit: ops.signbit,
    np.matmul: ops.matmul,
}


def _numpy_dot(a: Any, b: Any) -> Any:
    if not getattr(a, "ndim", 0) or not getattr(b, "ndim", 0):
        return ops.mul(a, b)
    if max(a.ndim, b.ndim) > 2:
        raise TypeError("numpy.dot of stacks of matrices is not recorded; use matmul")
    return ops.matmul(a, b)


def _numpy_clip(a: Any, a_min: Any = None, a_max: Any = None, **bounds: Any) -> Any:
    return ops.clamp(a, bounds.get("min", a_min), bounds.get("max", a_max))


def _numpy_isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    return comparison.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def _numpy_transpose(a: Any, axes: Any = None) -> Any:
    return ops.permute(a, tuple(reversed(range(a.ndim))) if axes is None else axes)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.reshape: ops.reshape,
    np.ravel: ops.flatten,
    np.transpose: _numpy_transpose,
    np.moveaxis: ops.movedim,
    np.squeeze: ops.squeeze,
    np.expand_dims: ops.unsqueeze,
    np.broadcast_to: ops.expand,
    np.concatenate: ops.cat,
    np.stack: ops.stack,
    np.where: ops.where,
    np.clip: _numpy_clip,
    np.dot: _numpy_dot,
    np.outer: ops.outer,
    np.allclose: lambda *args, **kwargs: bool(_numpy_isclose(*args, **kwargs)._data.all()),
    np.isclose: _numpy_isclose,
    np.array_equal: ops.equal,
    np.isposinf: ops.isposinf,
    np.isneginf: ops.isneginf,
    np.isreal: ops.isreal,
    np.sinc: ops.sinc,
    np.i0: ops.i0,
    np.fix: ops.fix,
    np.round: lambda a, decimals=0: ops.round(a, decimals=decimals),
    np.around: lambda a, decimals=0: ops.round(a, decimals=decimals),
    np.nan_to_num: lambda x, copy=True, **numbers: ops.nan_to_num(x, **numbers),
    np.zeros_like: ops.zeros_like,
    np.ones_like: ops.ones_like,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.numel() if axis is None else a.shape[axis],
    **numpy_reductions.FUNCTIONS,
    **numpy_shapes.FUNCTIONS,
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
        return exchange.exported(self.data, **kwargs)

    def __dlpack_device__(self) -> Any:
        return exchange.device_pair(self._data)

    @property
    def __cuda_array_interface__(self) -> Any:
        # On a CPU an AttributeError, as the protocol asks.
        description = self._data.__cuda_array_interface__
        if self._node is not None:
            raise RuntimeError(
                "__cuda_array_interface__: this tensor requires a gradient, which would be lost; "
                "use .detach()"
            )
        return description


def _operand(value: Any) -> Any:
    """A NumPy operand as the operations take them: arrays become tensors, the rest stays."""
    if isinstance(value, (list, tuple)) and _contains(value, lambda v: isinstance(v, np.ndarray)):
        return type(value)(map(_operand, value))
    return ops.as_tensor(value) if isinstance(value, np.ndarray) else value
