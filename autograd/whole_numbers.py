"""Python's whole numbers where they meet those of a GPU, and divisors of 0: decided as on a CPU.

NumPy compares a whole number of any size exactly, refuses one that a dtype cannot hold, and our
gates refuse to divide whole numbers by 0. A kernel would wrap the number around and give 0. So the
host looks at the numbers, and a kernel at the divisors, which the host does not wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.kernels.cuda import ranges

from .arrays import DEVICE_TYPES, INTEGERS
from .engine import BinaryGate, Gate
from .errors import DivisionError
from .gates.arithmetic import Wrapping, pow_, refuse_negative_power
from .gates.rounding import floor_divide, fmod, remainder, trunc_divide

DIVISIONS = frozenset({floor_divide, trunc_divide, remainder, fmod})
_UINT64 = np.dtype(np.uint64)
_BY_ZERO = "division of whole numbers by zero"


def settled(gate: Gate, xp: Any, inputs: Sequence[Any]) -> tuple[Sequence[Any], Any]:
    """The inputs with numbers that a kernel can take, and the output where it is known already.

    DivisionError, ValueError or OverflowError where the gate refuses the numbers on a CPU.
    """
    arrays = [value for value in inputs if type(value) in DEVICE_TYPES]
    if not arrays or arrays[0].dtype not in INTEGERS or not isinstance(gate, BinaryGate):
        return inputs, None
    dtype, divisor = arrays[0].dtype, inputs[1]
    if gate in DIVISIONS and type(divisor) in DEVICE_TYPES:
        ranges.nonzero(xp, divisor, f"{gate.name}: {_BY_ZERO} (element {{value}})", DivisionError)
    elif gate in DIVISIONS and divisor == 0:
        raise DivisionError(_BY_ZERO)
    elif gate is pow_ and type(divisor) is int:
        refuse_negative_power(divisor)
    number = next((value for value in inputs if type(value) is int), None)
    if number is None:
        return inputs, None
    if gate.compares and not _comparable(number, dtype):
        one = [number if value is number else np.zeros((), dtype) for value in inputs]
        return inputs, xp.full(arrays[0].shape, bool(gate.forward(np, *one)), bool)
    held = -(2**63) <= number < 2**64 if isinstance(gate, Wrapping) else _held(number, dtype)
    if not gate.compares and not held:
        raise OverflowError(f"Python integer {number} out of bounds for {dtype}")
    return [_in_64_bits(value) if value is number else value for value in inputs], None


def _comparable(number: int, dtype: np.dtype) -> bool:
    """Whether a kernel can compare a number with those of a dtype: in 64 bits, of its signs."""
    return 0 <= number < 2**64 if dtype == _UINT64 else -(2**63) <= number < 2**63


def _held(number: int, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    return int(limits.min) <= number <= int(limits.max)


def _in_64_bits(number: int) -> int:
    """A number as the signed one of the same 64 lowest bits."""
    return (number + 2**63) % 2**64 - 2**63
