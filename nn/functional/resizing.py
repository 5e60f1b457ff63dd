"""Images in another size: one axis after the other, each by a few taps for every output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd import Tensor
from tapegrad.autograd.arrays import FLOATS, float32, float64, module_of, uint8, wide
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates.pooling import adaptive_avg_pool
from tapegrad.autograd.gates.resampling import resample
from tapegrad.autograd.operations.arguments import check_tensor
from tapegrad.kernels import resampling
from tapegrad.kernels.resampling import Taps

__all__ = [
    "interpolate",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

Sizes = int | Sequence[int] | None
Factors = float | Sequence[float] | None

_SPATIAL = {"linear": 1, "bilinear": 2, "bicubic": 2, "lanczos": 2, "trilinear": 3}


def interpolate(
    input: Tensor,
    size: Sizes = None,
    scale_factor: Factors = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images in another size, by `size` or by `scale_factor`.

    Args:
        input: (N, C, d1), (N, C, d1, d2) or (N, C, d1, d2, d3).
        size: the spatial size of the result, one number or one for each dimension.
        scale_factor: by how much the size is multiplied, and rounded down.
        mode: "nearest", "nearest-exact" (which measures from the middle of a pixel), "area" (the
            mean of what a pixel covers), or by the number of dimensions "linear", "bilinear" or
            "bicubic" (Keys, 1981, with a = -0.75), "trilinear"; "lanczos" with `antialias`.
        align_corners: whether the middles of the corner pixels coincide rather than their outer
            corners; for the modes of straight lines and cubics. Default: False.
        recompute_scale_factor: whether to compute with the factor of the rounded sizes rather than
            with `scale_factor`. Default: False.
        antialias: whether the filter widens when the image shrinks; "bilinear", "bicubic" and
            "lanczos". Default: False.

    Raises:
        ValueError: if the size is given in neither or both ways, or options do not go together.
        NotImplementedError: if the mode is not for images of these dimensions.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> x = tg.tensor([[[1.0, 2.0]]])
    >>> F.interpolate(x, scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> F.interpolate(x, size=4, mode="linear", align_corners=False)
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    shape = check_tensor("interpolate", input).shape
    spatial = len(shape) - 2
    counts, factors = _target(shape, size, scale_factor)
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(f"interpolate: mode {mode!r} has no align_corners")
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and spatial == 2):
        raise ValueError(
            "interpolate: antialias is for modes 'bilinear', 'bicubic' and 'lanczos' of images "
            f"(N, C, H, W), got {mode!r} and {describe(input)}"
        )
    fits = mode in ("nearest", "nearest-exact", "area") or _SPATIAL.get(mode) == spatial
    if not 1 <= spatial <= 3 or not fits:
        raise NotImplementedError(f"interpolate: mode {mode!r} is not for {describe(input)}")
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError("interpolate: mode 'lanczos' needs antialias, and has no align_corners")
    if recompute_scale_factor and scale_factor is None:
        raise ValueError("interpolate: with a size there is no factor to recompute")
    if min(counts) <= 0 or 0 in shape[1:]:
        raise ShapeError(f"interpolate: cannot resize {describe(input)} to {tuple(counts)}")
    if recompute_scale_factor:
        factors = [None] * spatial
    dtype = input._data.dtype
    reads = mode in ("nearest", "nearest-exact")
    if dtype not in FLOATS and not (dtype == uint8 and mode != "area"):
        raise DtypeError(f"interpolate: mode {mode!r} is not for {describe(input)}")
    if mode == "area":
        return adaptive_avg_pool(input, output=tuple(counts))
    places: Any = np.dtype(wide(dtype) if dtype in FLOATS else float64).type
    plan = [
        (axis, _taps(shape[axis], count, factor, mode, bool(align_corners), antialias, places))
        for axis, (count, factor) in enumerate(zip(counts, factors, strict=True), 2)
        if count != shape[axis] or (factor or 1) != 1
    ]
    plan.sort(key=lambda part: (part[1].count / part[1].size, -part[0]))  # small images first
    if reads or dtype in FLOATS:
        return upsampled(input, tuple(plan))
    resized = input._data
    xp = module_of(resized)
    for axis, taps in sorted(plan, key=lambda part: -part[0]):  # each is rounded, as in PyTorch
        resized = resample(resized.astype(float32), plan=((axis, taps.in_fixed_point()),))
        resized = xp.clip(xp.floor(resized + 0.5), 0, 255).astype(dtype)
    return wrap(resized)


def upsampled(input: Any, plan: Any) -> Tensor:
    """What `autocast` on a GPU makes of float32: every mode but "area"."""
    return resample(input, plan=plan)


def _target(
    shape: tuple[int, ...], size: Sizes, scale_factor: Factors
) -> tuple[list[int], list[float | None]]:
    """The spatial size of the result, and the factors where those were given."""
    spatial = len(shape) - 2
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give size or scale_factor, and not both")
    given: Any = size if scale_factor is None else scale_factor
    listed = list(given) if isinstance(given, Sequence) else [given] * spatial
    if len(listed) != spatial:
        raise ArgumentError(
            f"interpolate: {given} is not one number for each of the {spatial} spatial dimensions"
        )
    if scale_factor is not None:
        return [int(n * f) for n, f in zip(shape[2:], listed, strict=True)], listed
    if not all(hasattr(n, "__index__") for n in listed):
        raise TypeError(f"interpolate: size must be whole numbers, got {given}")
    return [int(n) for n in listed], [None] * spatial


def _taps(
    size: int,
    count: int,
    factor: float | None,
    mode: str,
    aligned: bool,
    antialias: bool,
    dtype: Any,
) -> Taps:
    if mode in ("nearest", "nearest-exact"):
        return resampling.nearest(size, count, factor, exact=mode == "nearest-exact")
    if antialias:
        return resampling.smoothed(size, count, factor, aligned, mode, dtype)
    kind = resampling.cubic if mode == "bicubic" else resampling.linear
    return kind(size, count, factor, aligned, dtype)


def upsample(
    input: Tensor,
    size: Sizes = None,
    scale_factor: Factors = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate`, by the older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Sizes = None, scale_factor: Factors = None) -> Tensor:
    """`interpolate` with mode "nearest"."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Sizes = None, scale_factor: Factors = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)
