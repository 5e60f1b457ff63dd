"""Writing in place: a real write under `no_grad`, a new value while recording.

Never a silently wrong gradient: while recording, a tensor takes a new value and what was saved or
viewed stays as it was; a leaf that requires a gradient refuses. A real write is noted in
`versions`, so that a backward which would read the overwritten value stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import arrays, engine
from .engine import Leaf, Variable, cast, describe, get_mode
from .errors import DtypeError, ShapeError
from .gates import arithmetic
from .gates.selection import where
from .methods import Operations
from .operations import indexing, shape
from .operations.creation import as_tensor
from .operations.random import Generator, default_generator
from .versions import mark_written


class InPlace(Operations):
    """The methods of a tensor that change it."""

    __slots__ = ()

    data: Any
    shape: Any
    dtype: Any
    device: Any

    def _write(self, name: str, make: Callable[[], Any], *others: Any) -> Any:
        """Let this tensor hold what `make` computes, in the memory it has or as a new value."""
        recorded = get_mode().recording and any(map(engine.needs_gradient, (self, *others)))
        if recorded and isinstance(self._node, Leaf):
            raise RuntimeError(
                f"{name}: a leaf that requires a gradient cannot be changed in place while "
                "recording; write under no_grad(), or compute a new tensor"
            )
        result = make()
        if result._data.shape != self._data.shape:
            raise ShapeError(f"{name}: the result {describe(result)} does not fit {describe(self)}")
        if recorded:
            if result._data.dtype != self._data.dtype:
                result = cast(result, dtype=self._data.dtype)
            self._data, self._node = result._data, result._node
        else:
            self._writable(name)
            if not np.can_cast(result._data.dtype, self._data.dtype, "same_kind"):
                raise DtypeError(
                    f"{name}: a result of {result._data.dtype} cannot be written into "
                    f"{describe(self)}; compute a new tensor, or convert with .to()"
                )
            self.data[...] = result._data
            mark_written(self)
        return self

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

    def __setitem__(self, key: Any, value: Any) -> None:
        """`x[key] = value`: rebinds x to a recorded copy while recording, else writes."""
        key = indexing.key_of(key)
        recorded = get_mode().recording and any(map(engine.needs_gradient, (self, value)))
        if recorded:
            self._write("x[...] = value", lambda: indexing.put(self, value, key), value)
            return
        self._writable("x[...] = value")
        try:
            first, key = indexing.in_turn(key, self._data.ndim)
            self.data[first][key] = value._data if isinstance(value, Variable) else value
        except ValueError as error:
            raise ShapeError(
                f"x[...] = value: {describe(value)} does not fit into {describe(self)}: {error}"
            ) from None
        mark_written(self)

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        """`self += alpha * other`, in place."""
        return self._write("add_", lambda: self.add(other, alpha=alpha), other)

    def sub_(self, other: Any, *, alpha: Any = 1) -> Any:
        """`self -= alpha * other`, in place."""
        return self._write("sub_", lambda: self.sub(other, alpha=alpha), other)

    def mul_(self, other: Any) -> Any:
        """`self *= other`, in place."""
        return self._write("mul_", lambda: self.mul(other), other)

    def div_(self, other: Any) -> Any:
        """`self /= other`, in place."""
        return self._write("div_", lambda: self.div(other), other)

    def clamp_(self, min: Any = None, max: Any = None) -> Any:
        """Keep between `min` and `max`, in place."""
        return self._write("clamp_", lambda: self.clamp(min, max))

    def relu_(self) -> Any:
        """`max(self, 0)`, in place."""
        return self._write("relu_", self.relu)

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
        return self.copy_(value)

    def zero_(self) -> Any:
        """0 everywhere, in place."""
        return self.copy_(0)

    def _drawn(self, kind: str, generator: Generator | None) -> Any:
        stream = (generator or default_generator(self.device)).stream
        drawn = getattr(stream, kind)(self.shape, dtype=arrays.wide(self.dtype).type)
        return engine.wrap(np.asarray(drawn) if isinstance(drawn, float) else drawn)

    def uniform_(
        self, low: Any = 0.0, high: Any = 1.0, *, generator: Generator | None = None
    ) -> Any:
        """Numbers uniform on [low, high), in place."""
        return self._write(
            "uniform_",
            lambda: self._drawn("random", generator) * (high - low) + low,
        )

    def normal_(
        self, mean: Any = 0.0, std: Any = 1.0, *, generator: Generator | None = None
    ) -> Any:
        """Normal numbers of a mean and a standard deviation, in place."""
        return self._write(
            "normal_",
            lambda: self._drawn("standard_normal", generator) * std + mean,
        )
