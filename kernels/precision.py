"""How exactly float32 is multiplied on a GPU: in float32, or in TF32 on tensor cores.

The settings hold for the process. Matrix products ask `tensor_float32`, convolutions have a setting
of their own, `tf32_convolution_allowed`; as in PyTorch, TF32 is on for these and off for those.
Whoever caches a choice of kernels makes it part of the key.
"""

from __future__ import annotations

import warnings

PRECISIONS = ("highest", "high", "medium")

_precision = "highest"
_tf32_convolution = True


def get_float32_matmul_precision() -> str:
    """The precision of products of float32 matrices: "highest", "high" or "medium".

    >>> get_float32_matmul_precision()
    'highest'
    """
    return _precision


def set_float32_matmul_precision(precision: str) -> None:
    """Choose the precision of products of float32 matrices on a GPU; on a CPU nothing changes.

    What is saved and returned stays float32. With "high" and "medium" the factors are rounded to
    TF32, which has 10 bits after the point in place of 23, their products are added in float32, and
    the tensor cores of a GPU (Ampere or newer) compute several times as fast.

    Args:
        precision: "highest", as at first, for float32 itself; "high" or "medium" for TF32.

    Warns:
        UserWarning: if the word is another one; nothing changes then, as in PyTorch.

    Raises:
        RuntimeError: if `precision` is no string.

    >>> set_float32_matmul_precision("high")
    >>> get_float32_matmul_precision()
    'high'
    >>> set_float32_matmul_precision("highest")
    """
    global _precision
    if not isinstance(precision, str):
        raise RuntimeError(
            f"set_float32_matmul_precision expects a str, but got {type(precision).__name__}"
        )
    if precision not in PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current "
            "set_float32_matmul_precision call has no effect",
            stacklevel=2,
        )
        return
    _precision = precision


def tensor_float32() -> bool:
    """Whether float32 matrices may be multiplied in TF32 now."""
    return _precision != "highest"


def allow_tf32_convolution(allowed: bool = True) -> None:
    """Allow or forbid TF32 in convolutions of float32 on a GPU; on a CPU nothing changes.

    It is allowed at first, which is PyTorch's default too (`torch.backends.cudnn.allow_tf32`): the
    relative error is then about 3e-4 in place of 3e-7, and tensor cores compute several times as
    fast. Images, filters, sums and results are float32 either way.

    >>> before = tf32_convolution_allowed()
    >>> allow_tf32_convolution(False)
    >>> tf32_convolution_allowed()
    False
    >>> allow_tf32_convolution(before)
    """
    global _tf32_convolution
    _tf32_convolution = bool(allowed)


def tf32_convolution_allowed() -> bool:
    """Whether convolutions of float32 on a GPU may be computed in TF32 now."""
    return _tf32_convolution
