"""Python's operators on tensors: each goes straight to its gate."""

from __future__ import annotations

from typing import Any

from tapegrad.kernels.expression import Scalar

from .arrays import is_array
from .autocast import behind_casts
from .gates import arithmetic, comparison, rounding
from .operations import indexing, products
from .operations.creation import as_tensor
from .records import Variable

# Bound once: calling an instance costs 0.1 us more than calling its method.
_add, _sub, _mul, _div = (
    gate.__call__ for gate in (arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div)
)


class Operators(Variable):
    """What `+`, `@`, `<`, `[...]` and the other operators do."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return _add(self, other)

    def __radd__(self, other: Any) -> Any:
        return _add(other, self)

    def __sub__(self, other: Any) -> Any:
        return _sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return _sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return _mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return _div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _div(other, self)

    def __pow__(self, other: Any) -> Any:
        return arithmetic.pow_(self, other)

    def __rpow__(self, other: Any) -> Any:
        return arithmetic.pow_(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return rounding.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return rounding.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return rounding.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return rounding.remainder(other, self)

    def __and__(self, other: Any) -> Any:
        return comparison.bitwise_and(self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return comparison.bitwise_or(self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return comparison.bitwise_xor(self, other)

    __rxor__ = __xor__

    def __lshift__(self, other: Any) -> Any:
        return comparison.bitwise_left_shift(self, other)

    def __rlshift__(self, other: Any) -> Any:
        return comparison.bitwise_left_shift(other, self)

    def __rshift__(self, other: Any) -> Any:
        return comparison.bitwise_right_shift(self, other)

    def __rrshift__(self, other: Any) -> Any:
        return comparison.bitwise_right_shift(other, self)

    def __lt__(self, other: Any) -> Any:
        return comparison.less(self, other)

    def __le__(self, other: Any) -> Any:
        return comparison.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return comparison.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return comparison.greater_equal(self, other)

    def __eq__(self, other: Any) -> Any:
        return comparison.equal(self, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return comparison.not_equal(self, other) if _comparable(other) else NotImplemented

    __hash__ = object.__hash__

    def __matmul__(self, other: Any) -> Any:
        return products.matmul(self, as_tensor(other) if is_array(other) else other)

    def __rmatmul__(self, other: Any) -> Any:
        return products.matmul(as_tensor(other) if is_array(other) else other, self)

    def __neg__(self) -> Any:
        return arithmetic.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return arithmetic.abs_(self)

    def __invert__(self) -> Any:
        return comparison.bitwise_not(self)

    def __getitem__(self, key: Any) -> Any:
        return indexing.getitem(self, key)


behind_casts(Operators, vars(Operators))


def _comparable(other: Any) -> bool:
    """Whether == is asked of numbers; of anything else Python's answer, False, will do."""
    return isinstance(other, (Variable, int, float, Scalar)) or is_array(other)
