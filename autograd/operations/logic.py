"""Logic of truth values, where 0 is false, and of the bits of whole numbers; no gradients."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd.gates import comparison

from .arguments import check_tensor, check_tensors, operands

__all__ = [
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
]


def logical_and(input: Any, other: Any) -> Any:
    """Whether both are not 0.

    >>> import tapegrad as tg
    >>> tg.logical_and(tg.tensor([0.0, 2.0]), tg.tensor([1, 1]))
    tensor([False, True])
    """
    return comparison.logical_and(*check_tensors("logical_and", input, other))


def logical_or(input: Any, other: Any) -> Any:
    """Whether one or both are not 0.

    >>> import tapegrad as tg
    >>> tg.logical_or(tg.tensor([0.0, 2.0]), tg.tensor([0, 1]))
    tensor([False, True])
    """
    return comparison.logical_or(*check_tensors("logical_or", input, other))


def logical_xor(input: Any, other: Any) -> Any:
    """Whether one is 0 and the other not.

    >>> import tapegrad as tg
    >>> tg.logical_xor(tg.tensor([0.0, 2.0]), tg.tensor([1, 1]))
    tensor([ True, False])
    """
    return comparison.logical_xor(*check_tensors("logical_xor", input, other))


def logical_not(input: Any) -> Any:
    """Whether `input` is 0.

    >>> import tapegrad as tg
    >>> tg.logical_not(tg.tensor([0.0, 2.0]))
    tensor([ True, False])
    """
    return comparison.logical_not(check_tensor("logical_not", input))


def bitwise_and(input: Any, other: Any) -> Any:
    """`input & other`, of integers or booleans.

    >>> import tapegrad as tg
    >>> tg.bitwise_and(tg.tensor([5, 6]), 3)
    tensor([1, 2])
    """
    return comparison.bitwise_and(*operands("bitwise_and", input, other))


def bitwise_or(input: Any, other: Any) -> Any:
    """`input | other`, of integers or booleans.

    >>> import tapegrad as tg
    >>> tg.bitwise_or(tg.tensor([5, 6]), 3)
    tensor([7, 7])
    """
    return comparison.bitwise_or(*operands("bitwise_or", input, other))


def bitwise_xor(input: Any, other: Any) -> Any:
    """`input ^ other`, of integers or booleans.

    >>> import tapegrad as tg
    >>> tg.bitwise_xor(tg.tensor([5, 6]), 3)
    tensor([6, 5])
    """
    return comparison.bitwise_xor(*operands("bitwise_xor", input, other))


def bitwise_not(input: Any) -> Any:
    """`~input`, of integers or booleans.

    >>> import tapegrad as tg
    >>> tg.bitwise_not(tg.tensor([5, -1])), tg.bitwise_not(tg.tensor([True]))
    (tensor([-6,  0]), tensor([False]))
    """
    return comparison.bitwise_not(check_tensor("bitwise_not", input))


def bitwise_left_shift(input: Any, other: Any) -> Any:
    """`input << other`, the bits moved up: `input * 2 ** other`.

    >>> import tapegrad as tg
    >>> tg.bitwise_left_shift(tg.tensor([5, 6]), 2)
    tensor([20, 24])
    """
    return comparison.bitwise_left_shift(*operands("bitwise_left_shift", input, other))


def bitwise_right_shift(input: Any, other: Any) -> Any:
    """`input >> other`, the bits moved down: `floor(input / 2 ** other)`.

    >>> import tapegrad as tg
    >>> tg.bitwise_right_shift(tg.tensor([20, -5]), 2)
    tensor([ 5, -2])
    """
    return comparison.bitwise_right_shift(*operands("bitwise_right_shift", input, other))
