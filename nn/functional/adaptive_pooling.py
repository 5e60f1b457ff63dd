"""Pooling to a number of windows. Images are (N, C, *size) or, without a batch, (C, *size)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import pooling as gates

from .windows import Sizes, batched, check_filled

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

Output = int | None | Sequence[int | None]


def adaptive_avg_pool1d(input: Any, output_size: int | Sequence[int]) -> Any:
    """The means of `output_size` windows of (N, C, L); see `adaptive_avg_pool2d`.

    >>> import tapegrad as tg
    >>> tg.adaptive_avg_pool1d(tg.arange(5.0).reshape(1, 5), 3)
    tensor([[0.5000, 2.0000, 3.5000]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Output) -> Any:
    """The means of `output_size` windows, as even as they can be, whatever the size of the images.

    Window i of n along H elements is from floor(i H / n) up to ceil((i + 1) H / n), so neighbours
    may share an element. None in `output_size` keeps that dimension.

    >>> import tapegrad as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.arange(16.0).reshape(1, 4, 4), (2, 1))
    tensor([[[ 3.5000],
             [11.5000]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Output) -> Any:
    """The means of `output_size` windows of (N, C, D, H, W); see `adaptive_avg_pool2d`.

    >>> import tapegrad as tg
    >>> tg.nn.functional.adaptive_avg_pool3d(tg.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[3.5000]]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool1d(
    input: Any, output_size: int | Sequence[int], return_indices: bool = False
) -> Any:
    """The largest of `output_size` windows of (N, C, L); see `adaptive_max_pool2d`.

    >>> import tapegrad as tg
    >>> tg.nn.functional.adaptive_max_pool1d(tg.arange(5.0).reshape(1, 5), 3)
    tensor([[1., 3., 4.]])
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Output, return_indices: bool = False) -> Any:
    """The largest of each of `output_size` windows, laid out as in `adaptive_avg_pool2d`.

    The gradient goes to it, in a tie to the first. With `return_indices` also where each stands in
    its flattened plane.

    >>> import tapegrad as tg
    >>> tg.nn.functional.adaptive_max_pool2d(tg.arange(16.0).reshape(1, 4, 4), (2, None))
    tensor([[[ 4.,  5.,  6.,  7.],
             [12., 13., 14., 15.]]])
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Output, return_indices: bool = False) -> Any:
    """The largest of `output_size` windows of (N, C, D, H, W); see `adaptive_max_pool2d`.

    >>> import tapegrad as tg
    >>> tg.nn.functional.adaptive_max_pool3d(tg.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[7.]]]])
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _adaptive_avg_pool(name: str, dims: int, input: Any, output_size: Output) -> Any:
    def compute(images: Any) -> Any:
        check_filled(name, images, channels=False)
        return gates.adaptive_avg_pool(images, output=_output(name, images, output_size))

    return batched(name, input, dims, compute)


def _adaptive_max_pool(
    name: str, dims: int, input: Any, output_size: Output, return_indices: bool
) -> Any:
    def compute(images: Any) -> Any:
        check_filled(name, images)
        return gates.adaptive_max_pool(images, output=_output(name, images, output_size))

    values, indices = batched(name, input, dims, compute)
    return (values, indices) if return_indices else values


def _output(name: str, images: Any, output_size: Output) -> Sizes:
    """How many windows along each dimension, None standing for its size."""
    size = images._data.shape[2:]
    dims = len(size)
    wanted = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * dims
    if not all(
        (n is None and dims > 1) or (hasattr(n, "__index__") and not isinstance(n, bool))
        for n in wanted
    ):
        raise TypeError(f"{name}: output_size must be {dims} ints, got {output_size!r}")
    if len(wanted) != dims or any(n is not None and n < 0 for n in wanted):
        raise ArgumentError(
            f"{name}: output_size must be {dims} numbers of at least 0, got {output_size!r}"
        )
    return tuple(n if m is None else int(m) for n, m in zip(size, wanted, strict=True))
