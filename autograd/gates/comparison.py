"""Comparisons, logic and bits: what has no gradient."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import FLOATS, bool_, float64, wide
from tapegrad.autograd.engine import BinaryGate, Gate, UnaryGate
from tapegrad.kernels.selection import select

from .arithmetic import Wrapping


class Comparing(BinaryGate):
    """Of whole numbers: exact with a Python number of any size."""

    compares: ClassVar = True


class Equal(Comparing):
    """x == y, a boolean."""

    quiet: ClassVar = "always"
    cuda: ClassVar = "x == y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x == y


class NotEqual(Comparing):
    """x != y, a boolean."""

    quiet: ClassVar = "always"
    cuda: ClassVar = "x != y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x != y


class Same(BinaryGate):
    """x == y, where NaN is the same as NaN."""

    quiet: ClassVar = "arrays"
    cuda: ClassVar = "x == y || (x != x && y != y)"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return (x == y) | ((x != x) & (y != y))


class Less(Comparing):
    """x < y, a boolean."""

    quiet: ClassVar = "arrays"
    cuda: ClassVar = "x < y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x < y


class LessEqual(Comparing):
    """x <= y, a boolean."""

    quiet: ClassVar = "arrays"
    cuda: ClassVar = "x <= y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x <= y


class Greater(Comparing):
    """x > y, a boolean."""

    quiet: ClassVar = "arrays"
    cuda: ClassVar = "x > y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x > y


class GreaterEqual(Comparing):
    """x >= y, a boolean."""

    quiet: ClassVar = "arrays"
    cuda: ClassVar = "x >= y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x >= y


class BitwiseAnd(Wrapping):
    """x & y, bit by bit; of booleans, the logical and."""

    cuda: ClassVar = "x & y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x & y


class BitwiseOr(Wrapping):
    """x | y, bit by bit; of booleans, the logical or."""

    cuda: ClassVar = "x | y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x | y


class BitwiseXor(Wrapping):
    """x ^ y, bit by bit; of booleans, whether they differ."""

    cuda: ClassVar = "x ^ y"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return x ^ y


class BitwiseNot(UnaryGate):
    """~x, bit by bit; of booleans, the logical not."""

    cuda: ClassVar = "~x"

    def cuda_for(self, dtype: np.dtype, params: dict[str, Any]) -> str:
        """The expression; of booleans, the logical not."""
        return "!x" if dtype == bool_ else self.cuda

    def forward(self, xp: Any, x: Any) -> Any:
        return ~x


class BitwiseLeftShift(Wrapping):
    """x << y, its bits moved up: x times 2 to the y."""

    cuda: ClassVar = "left_shift(R(x), R(y))"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.left_shift(x, y)


class BitwiseRightShift(Wrapping):
    """x >> y, its bits moved down: x over 2 to the y, rounded down."""

    cuda: ClassVar = "right_shift(R(x), R(y))"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.right_shift(x, y)


class LogicalAnd(BinaryGate):
    """Whether neither is 0."""

    cuda: ClassVar = "x != T(0) && y != T(0)"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.logical_and(x, y)


class LogicalOr(BinaryGate):
    """Whether one or both are not 0."""

    cuda: ClassVar = "x != T(0) || y != T(0)"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.logical_or(x, y)


class LogicalXor(BinaryGate):
    """Whether one of them is 0 and the other not."""

    cuda: ClassVar = "(x != T(0)) != (y != T(0))"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.logical_xor(x, y)


class LogicalNot(UnaryGate):
    """Whether x is 0."""

    cuda: ClassVar = "x == T(0)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.logical_not(x)


class Isnan(UnaryGate):
    """Whether x is NaN."""

    cuda: ClassVar = "x != x"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.isnan(x)


class Isinf(UnaryGate):
    """Whether x is an infinity of either sign."""

    cuda: ClassVar = "x == x && x - x != T(0)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.isinf(x)


class Isfinite(UnaryGate):
    """Whether x is neither an infinity nor NaN."""

    cuda: ClassVar = "x - x == T(0)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.isfinite(x)


class Signbit(UnaryGate):
    """Whether x has a minus sign, -0.0 included."""

    cuda: ClassVar = "sign_bit(x)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.signbit(x)


class Isclose(Gate):
    """|x - y| <= atol + rtol |y|, or x == y; if `equal_nan`, NaN is close to NaN."""

    quiet: ClassVar = "always"
    pointwise: ClassVar = True
    cuda: ClassVar = "is_close(x, y, rtol, atol, equal_nan)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any, *, rtol: float, atol: float, equal_nan: bool) -> Any:
        dtype = wide(x.dtype) if x.dtype in FLOATS else float64
        a, b = (v.astype(dtype, copy=False) if hasattr(v, "dtype") else v for v in (x, y))
        size = abs(b)
        near = (abs(a - b) <= size * rtol + atol) & (size < math.inf)
        near |= x == y
        return near | ((x != x) & (y != y)) if equal_nan else near


class Gcd(BinaryGate):
    """The greatest common divisor of whole numbers."""

    cuda: ClassVar = "gcd(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.gcd(x, y)


class Lcm(BinaryGate):
    """The least common multiple of whole numbers."""

    cuda: ClassVar = "lcm(x, y)"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return xp.lcm(x, y)


class Heaviside(BinaryGate):
    """0 below 0, 1 above, y at 0."""

    cuda: ClassVar = "x == T(0) ? y : T(x > T(0))"

    def forward(self, xp: Any, x: Any, y: Any) -> Any:
        return select(xp, x == 0, y, (x > 0).astype(y.dtype))


equal = Equal()
not_equal = NotEqual()
same = Same()
less = Less()
less_equal = LessEqual()
greater = Greater()
greater_equal = GreaterEqual()
bitwise_and = BitwiseAnd()
bitwise_or = BitwiseOr()
bitwise_xor = BitwiseXor()
bitwise_not = BitwiseNot()
bitwise_left_shift = BitwiseLeftShift()
bitwise_right_shift = BitwiseRightShift()
logical_and = LogicalAnd()
logical_or = LogicalOr()
logical_xor = LogicalXor()
logical_not = LogicalNot()
isnan = Isnan()
isinf = Isinf()
isfinite = Isfinite()
signbit = Signbit()
isclose = Isclose()
gcd = Gcd()
lcm = Lcm()
heaviside = Heaviside()
