"""What kernels divide by, prepared on the host (`digits.cuh`)."""

from __future__ import annotations

import ctypes


class Divisor(ctypes.Structure):
    """`Divisor` of `digits.cuh`: divides whole numbers a of [0, 2^63) by a positive one, n.

    With 2^(l-1) < n <= 2^l and m = ceil(2^(63+l) / n), a m / 2^(63+l) exceeds a / n by less than
    1 / n, so its whole part is that of the quotient (Granlund and Montgomery, 1994).

    >>> by = Divisor.of(7)
    >>> all(a * by.factor >> 63 + by.shift == a // 7 for a in (0, 6, 7, 2**63 - 1))
    True
    """

    _fields_ = (
        ("size", ctypes.c_longlong),
        ("factor", ctypes.c_ulonglong),
        ("shift", ctypes.c_int),
    )

    @classmethod
    def of(cls, n: int) -> Divisor:
        """What divides by n; of an empty dimension, which no thread divides by, by 1."""
        n = max(n, 1)
        shift = (n - 1).bit_length()
        return cls(n, -(-(1 << 63 + shift) // n), shift)
