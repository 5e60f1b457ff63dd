"""Writing in place: a real write under `no_grad`, a new value while recording.

Never a silently wrong gradient: while recording, a tensor takes a new value and what was saved or
viewed stays as it was; a leaf that requires a gradient refuses. A real write is noted in
`versions`, so that a backward which would read the overwritten value stops.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from . import engine
from .arrays import FLOATS, bool_, module_of
from .autocast import without_casts
from .engine import Leaf, cast, describe, wrap
from .errors import DtypeError, ShapeError
from .gates import arithmetic, comparison, rounding
from .gates.indexing import write
from .gates.selection import where
from .methods import Operations
from .operations import indexing, shape
from .operations.arguments import (
    number_that_fits,
    number_to_write,
    on_its_gpu,
    same_device,
)
from .operations.creation import as_tensor
from .records import Variable, get_mode
from .versions import mark_written


def _beside(value: Any, device: Any) -> Any:
    """What is written into a tensor on a GPU, which takes no lists: a tensor, or a number."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return as_tensor(value, device=device)
    return wrap(value) if isinstance(value, np.ndarray) else value


F = TypeVar("F", bound=Callable[..., Any])


def _in_place(operation: F) -> F:
    """The method that writes the result of another into the tensor."""
    operation = without_casts(operation)
    name = f"{operation.__name__}_"

    @functools.wraps(operation)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        values = (*args, *kwargs.values())
        return self._write(name, lambda: operation(self, *args, **kwargs), *values)

    return _named(method, name, f"`{operation.__name__}`, in place: the tensor takes the result.")


def _turned(operation: F) -> F:
    """The method that makes the tensor another view of its own memory."""
    name = f"{operation.__name__}_"

    @functools.wraps(operation)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if get_mode().recording and self._node is not None:
            self._refuse_leaf(name)
            result = operation(self, *args, **kwargs)
            self._data, self._node = result._data, result._node
        else:
            self.data = operation(self, *args, **kwargs)._data
        return self

    return _named(method, name, f"`{operation.__name__}`, in place: the tensor takes the shape.")


def _named(method: Any, name: str, doc: str) -> Any:
    method.__name__, method.__doc__ = name, doc
    method.__qualname__ = f"InPlace.{name}"
    return method


class InPlace(Operations):
    """The methods of a tensor that change it."""

    __slots__ = ()

    data: Any
    shape: Any
    dtype: Any
    device: Any

    @on_its_gpu
    def _write(self, name: str, make: Callable[[], Any], *others: Any) -> Any:
        """Let this tensor hold what `make` computes, in the memory it has or as a new value."""
        recorded = get_mode().recording and any(map(engine.needs_gradient, (self, *others)))
        if recorded:
            self._refuse_leaf(name)
        result = make()
        if result._data.shape != self._data.shape:
            raise ShapeError(f"{name}: the result {describe(result)} does not fit {describe(self)}")
        if not _fits(result._data.dtype, self._data.dtype):
            raise DtypeError(
                f"{name}: a result of {result._data.dtype} cannot be written into "
                f"{describe(self)}; compute a new tensor, or convert with .to()"
            )
        if recorded:
            if result._data.dtype != self._data.dtype:
                result = cast(result, dtype=self._data.dtype)
            self._data, self._node = result._data, result._node
        else:
            self._writable(name)
            write(module_of(self._data), self.data, ..., result._data)
            mark_written(self)
        return self

    def _refuse_leaf(self, name: str) -> None:
        if isinstance(self._node, Leaf):
            raise RuntimeError(
                f"{name}: a leaf that requires a gradient cannot be changed in place while "
                "recording; write under no_grad(), or compute a new tensor"
            )

    def _writable(self, name: str) -> None:
        flags = getattr(self.data, "flags", None)
        if not getattr(flags, "writeable", True):
            raise RuntimeError(
                f"{name}: {describe(self)} cannot be written to: several of its elements share "
                "memory (expand), or its array is read-only; write into a .clone()"
            )

    def _augmented(self, name: str, gate: Any, other: Any) -> Any:
        """`self op= other`: while recording a new tensor, otherwise a write."""
        if get_mode().recording and (self._node is not None or engine.needs_gradient(other)):
            if isinstance(self._node, Leaf):
                self._write(name, lambda: self)  # which refuses
            return gate(self, other)
        return self._write(name, lambda: gate(self, other))

    def __iadd__(self, other: Any) -> Any:
        return self._augmented("+=", arithmetic.add, other)

    def __isub__(self, other: Any) -> Any:
        return self._augmented("-=", arithmetic.sub, other)

    def __imul__(self, other: Any) -> Any:
        return self._augmented("*=", arithmetic.mul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._augmented("/=", arithmetic.div, other)

    def __ipow__(self, other: Any) -> Any:
        return self._augmented("**=", arithmetic.pow_, other)

    def __ifloordiv__(self, other: Any) -> Any:
        return self._augmented("//=", rounding.floor_divide, other)

    def __imod__(self, other: Any) -> Any:
        return self._augmented("%=", rounding.remainder, other)

    def __iand__(self, other: Any) -> Any:
        return self._augmented("&=", comparison.bitwise_and, other)

    def __ior__(self, other: Any) -> Any:
        return self._augmented("|=", comparison.bitwise_or, other)

    def __ixor__(self, other: Any) -> Any:
        return self._augmented("^=", comparison.bitwise_xor, other)

    def __ilshift__(self, other: Any) -> Any:
        return self._augmented("<<=", comparison.bitwise_left_shift, other)

    def __irshift__(self, other: Any) -> Any:
        return self._augmented(">>=", comparison.bitwise_right_shift, other)

    @on_its_gpu
    def __setitem__(self, key: Any, value: Any) -> None:
        """`x[key] = value`: rebinds x to a recorded copy while recording, else writes."""
        if module_of(self._data) is not np:
            value = _beside(value, self.device)
        same_device("x[...] = value", self, value)
        value = number_to_write("x[...] = value", value, self._data.dtype)
        key = indexing.key_of(key, self._data)
        recorded = get_mode().recording and any(map(engine.needs_gradient, (self, value)))
        if recorded:
            result = indexing.put_at(self, value, key)
            if result._data.dtype != self._data.dtype:
                result = cast(result, dtype=self._data.dtype)
            self._write("x[...] = value", lambda: result, value)
            return
        self._writable("x[...] = value")
        try:
            first, key = indexing.in_turn(key, self._data.ndim)
            part = self.data[first]
            given = value._data if isinstance(value, Variable) else value
            write(module_of(part), part, indexing.checked(key, part), given)
        except ValueError as error:
            raise ShapeError(
                f"x[...] = value: {describe(value)} does not fit into {describe(self)}: {error}"
            ) from None
        mark_written(self)

    add_ = _in_place(Operations.add)
    addcdiv_ = _in_place(Operations.addcdiv)
    addcmul_ = _in_place(Operations.addcmul)
    copysign_ = _in_place(Operations.copysign)
    div_ = _in_place(Operations.div)
    divide_ = _in_place(Operations.divide)
    float_power_ = _in_place(Operations.float_power)
    gcd_ = _in_place(Operations.gcd)
    lcm_ = _in_place(Operations.lcm)
    ldexp_ = _in_place(Operations.ldexp)
    lerp_ = _in_place(Operations.lerp)
    mul_ = _in_place(Operations.mul)
    multiply_ = _in_place(Operations.multiply)
    pow_ = _in_place(Operations.pow)
    reciprocal_ = _in_place(Operations.reciprocal)
    square_ = _in_place(Operations.square)
    sub_ = _in_place(Operations.sub)
    subtract_ = _in_place(Operations.subtract)
    true_divide_ = _in_place(Operations.true_divide)

    abs_ = _in_place(Operations.abs)
    absolute_ = _in_place(Operations.absolute)
    neg_ = _in_place(Operations.neg)
    negative_ = _in_place(Operations.negative)
    sgn_ = _in_place(Operations.sgn)
    sign_ = _in_place(Operations.sign)

    ceil_ = _in_place(Operations.ceil)
    fix_ = _in_place(Operations.fix)
    floor_ = _in_place(Operations.floor)
    floor_divide_ = _in_place(Operations.floor_divide)
    fmod_ = _in_place(Operations.fmod)
    frac_ = _in_place(Operations.frac)
    remainder_ = _in_place(Operations.remainder)
    round_ = _in_place(Operations.round)
    trunc_ = _in_place(Operations.trunc)

    exp_ = _in_place(Operations.exp)
    exp2_ = _in_place(Operations.exp2)
    expm1_ = _in_place(Operations.expm1)
    log_ = _in_place(Operations.log)
    log10_ = _in_place(Operations.log10)
    log1p_ = _in_place(Operations.log1p)
    log2_ = _in_place(Operations.log2)
    logit_ = _in_place(Operations.logit)
    rsqrt_ = _in_place(Operations.rsqrt)
    sigmoid_ = _in_place(Operations.sigmoid)
    sqrt_ = _in_place(Operations.sqrt)
    xlogy_ = _in_place(Operations.xlogy)

    digamma_ = _in_place(Operations.digamma)
    erf_ = _in_place(Operations.erf)
    erfc_ = _in_place(Operations.erfc)
    erfinv_ = _in_place(Operations.erfinv)
    i0_ = _in_place(Operations.i0)
    lgamma_ = _in_place(Operations.lgamma)
    mvlgamma_ = _in_place(Operations.mvlgamma)
    polygamma_ = _in_place(Operations.polygamma)

    acos_ = _in_place(Operations.acos)
    acosh_ = _in_place(Operations.acosh)
    arccos_ = _in_place(Operations.arccos)
    arccosh_ = _in_place(Operations.arccosh)
    arcsin_ = _in_place(Operations.arcsin)
    arcsinh_ = _in_place(Operations.arcsinh)
    arctan_ = _in_place(Operations.arctan)
    arctan2_ = _in_place(Operations.arctan2)
    arctanh_ = _in_place(Operations.arctanh)
    asin_ = _in_place(Operations.asin)
    asinh_ = _in_place(Operations.asinh)
    atan_ = _in_place(Operations.atan)
    atan2_ = _in_place(Operations.atan2)
    atanh_ = _in_place(Operations.atanh)
    cos_ = _in_place(Operations.cos)
    cosh_ = _in_place(Operations.cosh)
    deg2rad_ = _in_place(Operations.deg2rad)
    hypot_ = _in_place(Operations.hypot)
    rad2deg_ = _in_place(Operations.rad2deg)
    sin_ = _in_place(Operations.sin)
    sinc_ = _in_place(Operations.sinc)
    sinh_ = _in_place(Operations.sinh)
    tan_ = _in_place(Operations.tan)
    tanh_ = _in_place(Operations.tanh)

    clamp_ = _in_place(Operations.clamp)
    clamp_max_ = _in_place(Operations.clamp_max)
    clamp_min_ = _in_place(Operations.clamp_min)
    clip_ = _in_place(Operations.clip)
    heaviside_ = _in_place(Operations.heaviside)
    nan_to_num_ = _in_place(Operations.nan_to_num)
    relu_ = _in_place(Operations.relu)

    eq_ = _in_place(Operations.eq)
    ge_ = _in_place(Operations.ge)
    greater_ = _in_place(Operations.greater)
    greater_equal_ = _in_place(Operations.greater_equal)
    gt_ = _in_place(Operations.gt)
    le_ = _in_place(Operations.le)
    less_ = _in_place(Operations.less)
    less_equal_ = _in_place(Operations.less_equal)
    lt_ = _in_place(Operations.lt)
    ne_ = _in_place(Operations.ne)
    not_equal_ = _in_place(Operations.not_equal)

    bitwise_and_ = _in_place(Operations.bitwise_and)
    bitwise_left_shift_ = _in_place(Operations.bitwise_left_shift)
    bitwise_not_ = _in_place(Operations.bitwise_not)
    bitwise_or_ = _in_place(Operations.bitwise_or)
    bitwise_right_shift_ = _in_place(Operations.bitwise_right_shift)
    bitwise_xor_ = _in_place(Operations.bitwise_xor)
    logical_and_ = _in_place(Operations.logical_and)
    logical_not_ = _in_place(Operations.logical_not)
    logical_or_ = _in_place(Operations.logical_or)
    logical_xor_ = _in_place(Operations.logical_xor)

    index_add_ = _in_place(Operations.index_add)
    index_copy_ = _in_place(Operations.index_copy)
    index_fill_ = _in_place(Operations.index_fill)
    index_put_ = _in_place(Operations.index_put)
    index_reduce_ = _in_place(Operations.index_reduce)
    masked_fill_ = _in_place(Operations.masked_fill)
    masked_scatter_ = _in_place(Operations.masked_scatter)
    put_ = _in_place(Operations.put)
    scatter_ = _in_place(Operations.scatter)
    scatter_add_ = _in_place(Operations.scatter_add)
    scatter_reduce_ = _in_place(Operations.scatter_reduce)
    tril_ = _in_place(Operations.tril)
    triu_ = _in_place(Operations.triu)

    addbmm_ = _in_place(Operations.addbmm)
    addmm_ = _in_place(Operations.addmm)
    addmv_ = _in_place(Operations.addmv)
    addr_ = _in_place(Operations.addr)
    baddbmm_ = _in_place(Operations.baddbmm)
    cumprod_ = _in_place(Operations.cumprod)
    cumsum_ = _in_place(Operations.cumsum)

    as_strided_ = _turned(Operations.as_strided)
    squeeze_ = _turned(Operations.squeeze)
    swapaxes_ = _turned(Operations.swapaxes)
    swapdims_ = _turned(Operations.swapdims)
    t_ = _turned(Operations.t)
    transpose_ = _turned(Operations.transpose)
    unsqueeze_ = _turned(Operations.unsqueeze)

    def copy_(self, other: Any) -> Any:
        """Take the values of `other`, broadcast and cast, in place."""

        def make() -> Any:
            source: Any = other
            if not isinstance(other, Variable):
                source = as_tensor(other, self.dtype)
            source = shape.expand(source.to(self.dtype, device=self.device), self.shape)
            if get_mode().recording and self._node is not None:  # it stays on the tape, with
                return where(True, source, self)  # a gradient of 0 for what it was
            return source.clone()

        return self._write("copy_", make, other)

    def fill_(self, value: Any) -> Any:
        """The same value everywhere, in place."""
        return self.copy_(number_that_fits("fill_", value, self._data.dtype))

    def zero_(self) -> Any:
        """0 everywhere, in place."""
        return self.copy_(0)


def _fits(source: np.dtype, target: np.dtype) -> bool:
    """Whether one dtype may be written into another: no floats as integers, no numbers as truth."""
    if target in FLOATS or source == bool_:
        return True
    return source not in FLOATS and target != bool_
