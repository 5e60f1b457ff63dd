"""Max pooling over windows whose places are drawn at random, plane by plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tapegrad.autograd.arrays import device_of, module_of
from tapegrad.autograd.engine import array_of, describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates.pooling import gather_from_plane
from tapegrad.autograd.operations.arguments import on_its_gpu, same_device
from tapegrad.autograd.operations.random import rand
from tapegrad.kernels.pooling import fractional_winners

from .windows import Size, Sizes, batched, check_filled, sizes

__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]

Ratio = float | Sequence[float]


@on_its_gpu
def fractional_max_pool2d(
    input: Any,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Ratio | None = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """The largest of each of `output_size` windows that lie a random number of places apart.

    Along an axis of H elements, n windows of k start at floor((i + u) a) - floor(u a) with a =
    (H - k) / (n - 1), the last at H - k; u is uniform on [0, 1), drawn anew for each plane and axis
    unless given as `_random_samples` (N, C, 2), for the last axis first. `output_ratio` gives the
    output as a part of the input. The gradient goes to the maximum, in a tie to the first.

    >>> import tapegrad as tg
    >>> y = tg.nn.functional.fractional_max_pool2d(tg.arange(25.0).reshape(1, 5, 5), 2, 2)
    >>> y[0, 1, 1].item()
    24.0

    Source: Graham, Fractional Max-Pooling (2014), arXiv:1412.6071.
    """
    size = output_size, output_ratio
    name = "fractional_max_pool2d"
    return _fractional(name, 2, input, kernel_size, *size, return_indices, _random_samples)


@on_its_gpu
def fractional_max_pool3d(
    input: Any,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Ratio | None = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """The same for volumes (N, C, D, H, W); `_random_samples` (N, C, 3) are for D, H and W.

    >>> import tapegrad as tg
    >>> x = tg.arange(64.0).reshape(1, 4, 4, 4)
    >>> tg.nn.functional.fractional_max_pool3d(x, 2, output_ratio=0.5).shape
    (1, 2, 2, 2)
    """
    size = output_size, output_ratio
    name = "fractional_max_pool3d"
    return _fractional(name, 3, input, kernel_size, *size, return_indices, _random_samples)


def _fractional(
    name: str,
    dims: int,
    input: Any,
    kernel_size: Size,
    output_size: Size | None,
    output_ratio: Ratio | None,
    return_indices: bool,
    samples: Any,
) -> Any:
    kernel = sizes(name, "kernel_size", kernel_size, dims, 1)
    if output_size is None and output_ratio is None:
        raise ArgumentError(f"{name}: give an output_size or an output_ratio")

    def compute(images: Any) -> Any:
        check_filled(name, images)
        data = images._data
        output = _output(name, data.shape[2:], output_size, output_ratio)
        if any(m + k - 1 > n for n, m, k in zip(data.shape[2:], output, kernel, strict=True)):
            raise ShapeError(
                f"{name}: {describe(input)} is too small for {output} windows of {kernel}"
            )
        drawn = samples
        if drawn is None:
            drawn = rand(*data.shape[:2], dims, dtype=data.dtype, device=device_of(data))
        same_device(name, images, drawn)
        u = array_of(drawn)
        if u.shape != (*data.shape[:2], dims):
            raise ShapeError(
                f"{name}: _random_samples must be {[*data.shape[:2], dims]}, got {describe(drawn)}"
            )
        if dims == 2:
            u = u[..., ::-1]
        winners = fractional_winners(module_of(data), data, u, kernel, output)
        return gather_from_plane(images, winners), wrap(winners)

    values, indices = batched(name, input, dims, compute)
    return (values, indices) if return_indices else values


def _output(name: str, size: Sizes, output_size: Size | None, ratio: Ratio | None) -> Sizes:
    if output_size is not None:
        return sizes(name, "output_size", output_size, len(size), 1)
    ratios = tuple(ratio) if isinstance(ratio, Sequence) else (ratio,) * len(size)
    if len(ratios) != len(size):
        raise ArgumentError(f"{name}: output_ratio must be {len(size)} numbers, got {ratio!r}")
    counts = [math.floor(n * r) for n, r in zip(size, ratios, strict=True)]  # type: ignore[operator]
    return sizes(name, "output_ratio times the input", counts, len(size), 1)
