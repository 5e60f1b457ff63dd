"""Images read where a grid says (Jaderberg et al., 2015), and the grids of affine maps.

A composition: positions are floored to whole pixels, whose values are weighed by polynomials of
what is left. Both the image and the grid receive gradients, to any order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd import Tensor
from tapegrad.autograd.arrays import HALVES, float32, int64, module_of, on
from tapegrad.autograd.engine import cast, describe, needs_gradient, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates.activation import hardtanh
from tapegrad.autograd.gates.indexing import index
from tapegrad.autograd.operations import where
from tapegrad.autograd.operations.arguments import check_tensor, on_its_gpu, same_device, same_dtype
from tapegrad.kernels.resampling import KEYS, keys_far, keys_near
from tapegrad.kernels.selection import may_hold

from .arguments import float_tensor

__all__ = [
    "affine_grid",
    "grid_sample",
    "grid_sampler",
    "grid_sampler_2d",
    "grid_sampler_3d",
]

MODES = ("bilinear", "nearest", "bicubic")
BORDERS = ("zeros", "border", "reflection")


@on_its_gpu
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Images read at the positions of a grid.

    On the lines between pixels the gradient of a position is that of the cell to the right of it;
    with "border" and "reflection" it is 0 at the outermost position, with "nearest" everywhere.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: positions (N, h, w, 2) or (N, d, h, w, 3), x before y before z, from -1 to 1 across
            the image.
        mode: "bilinear" (of volumes trilinear), "nearest" or, of images, "bicubic".
        padding_mode: what lies outside: "zeros", "border" (the nearest pixel) or "reflection".
        align_corners: whether -1 and 1 are the middles of the corner pixels rather than their
            outer corners. Default: False.

    Returns:
        (N, C, h, w) or (N, C, d, h, w).

    Raises:
        ValueError: for another mode.
        RuntimeError: if shapes or dtypes do not fit.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> image = tg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> F.grid_sample(image, tg.zeros(1, 1, 1, 2), align_corners=False)
    tensor([[[[2.5000]]]])
    """
    for what, given, known in (("mode", mode, MODES), ("padding_mode", padding_mode, BORDERS)):
        if given not in known:
            raise ValueError(f"grid_sample: {what} must be one of {known}, not {given!r}")
    _check("grid_sample", input, grid, mode)
    dtype = input._data.dtype
    if dtype in HALVES:
        input, grid = cast(input, dtype=float32), cast(grid, dtype=float32)
    batch, channels, *sizes = input.shape
    count = math.prod(grid.shape[1:-1])
    positions = [
        _pixels(grid[..., len(sizes) - 1 - axis].reshape(batch, count), size, bool(align_corners))
        for axis, size in enumerate(sizes)
    ]
    if mode != "bicubic" and padding_mode != "zeros":
        inside = _reflected if padding_mode == "reflection" else _kept
        positions = [
            inside(at, size, bool(align_corners)) for at, size in zip(positions, sizes, strict=True)
        ]
    taps = [
        _taps(at, size, mode, padding_mode, bool(align_corners))
        for at, size in zip(positions, sizes, strict=True)
    ]
    flat = input.permute(1, 0, *range(2, input.ndim)).reshape(channels, batch * math.prod(sizes))
    xp = module_of(input._data)
    first = xp.arange(batch)[:, None] * math.prod(sizes)
    found = _weighed(xp, flat, taps, sizes, first).reshape(channels, batch, *grid.shape[1:-1])
    found = found.permute(1, 0, *range(2, input.ndim))
    if mode == "nearest" and needs_gradient(grid):  # it has a gradient, which is 0
        flat_part = where(False, grid[..., 0].unsqueeze(1), 0.0)
        found = found + flat_part
    return cast(found, dtype=dtype) if dtype in HALVES else found


def _check(name: str, input: Tensor, grid: Tensor, mode: str) -> None:
    same_dtype(name, float_tensor(name, input), float_tensor(name, grid))
    same_device(name, input, grid)
    spatial = input.ndim - 2
    if spatial not in (2, 3) or grid.ndim != input.ndim or grid.shape[-1] != spatial:
        raise ShapeError(
            f"{name}: expected (N, C, H, W) with a grid (N, h, w, 2) or (N, C, D, H, W) with "
            f"(N, d, h, w, 3), got {describe(input)} and {describe(grid)}"
        )
    if grid.shape[0] != input.shape[0] or 0 in input.shape[2:]:
        raise ShapeError(
            f"{name}: needs as many images as grids, and pixels; got {describe(input)} and "
            f"{describe(grid)}"
        )
    if mode == "bicubic" and spatial == 3:
        raise RuntimeError(f"{name}: mode 'bicubic' is for images (N, C, H, W) only")


def _pixels(at: Tensor, size: int, aligned: bool) -> Tensor:
    """Positions of [-1, 1] counted in pixels, from the middle of the first."""
    if aligned:
        return (at + 1) * ((size - 1) / 2)
    return ((at + 1) * size - 1) * 0.5


def _kept(at: Tensor, size: int, aligned: bool) -> Tensor:
    """Positions kept between the middles of the outermost pixels."""
    return hardtanh(at, least=0.0, most=float(size - 1))


def _reflected(at: Tensor, size: int, aligned: bool) -> Tensor:
    """Positions mirrored, as often as it takes, at the outermost pixels or at their outer edges."""
    low, span = (0.0, size - 1.0) if aligned else (-0.5, float(size))
    if not span:
        return where(False, at, 0.0)
    at = where(at < low, low - at, at - low)
    xp = module_of(at._data)
    with np.errstate(invalid="ignore"):  # of positions that are infinite
        folds = xp.floor(at._data / span)
        straight = folds % 2 == 0
    rest = at - wrap(folds * span)
    at = where(wrap(straight), rest, span - rest) + low
    return _kept(at, size, aligned)


Tap = tuple[Any, Any, Any]  # whole positions, whether they are inside, their weights


def _taps(at: Tensor, size: int, mode: str, padding_mode: str, aligned: bool) -> list[Tap]:
    """The pixels around positions along one axis, with their weights."""
    xp = module_of(at._data)
    if mode == "nearest":
        return [(*_whole(xp, xp.rint(at._data), size), None)]
    before = xp.floor(at._data)
    share = at - wrap(before)
    if mode == "bilinear":
        weights = [1 - share, share]
        steps = [before, before + 1]
    else:
        weights = [
            keys_far(share + 1, KEYS),
            keys_near(share, KEYS),
            keys_near(1 - share, KEYS),
            keys_far(2 - share, KEYS),
        ]
        steps = [before + k for k in range(-1, 3)]
        if padding_mode != "zeros":
            inside = _reflected if padding_mode == "reflection" else _kept
            steps = [inside(wrap(step), size, aligned)._data for step in steps]
    return [(*_whole(xp, step, size), weight) for step, weight in zip(steps, weights, strict=True)]


def _whole(xp: Any, step: Any, size: int) -> tuple[Any, Any]:
    """Positions as integers that can be read, and whether they were inside."""
    inside = (step >= 0) & (step <= size - 1)  # which NaN is not
    return xp.where(inside, step, 0).astype(int64), inside


def _weighed(xp: Any, flat: Tensor, taps: list[list[Tap]], sizes: list[int], first: Any) -> Any:
    """The sum over all combinations of taps of their pixels times their weights."""
    total: Any = None
    for combination in itertools.product(*taps):
        place: Any = 0
        everywhere: Any = True
        weight: Any = None
        for (at, inside, share), size in zip(combination, sizes, strict=True):
            place = place * size + at
            everywhere = everywhere & inside
            weight = share if weight is None else weight * share
        pixels = index(flat, key=(slice(None), (place + first).reshape(-1)))
        everywhere = everywhere.reshape(-1)
        if weight is None:
            part = where(wrap(everywhere), pixels, 0.0)
        else:
            weight = weight.reshape(-1)
            if may_hold(xp, ~everywhere):
                weight = where(wrap(everywhere), weight, 0.0)
            part = pixels * weight
        total = part if total is None else total + part
    return total


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` that maps an image by affine maps: `theta (x, y, 1)`.

    Args:
        theta: maps (N, 2, 3), or (N, 3, 4) of volumes.
        size: of the images to come, (N, C, H, W) or (N, C, D, H, W).
        align_corners: as in `grid_sample`. Default: False.

    Returns:
        (N, H, W, 2) or (N, D, H, W, 3).

    Raises:
        ValueError: if `theta` is not of a floating dtype and of that shape, or a size is 0.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> same = tg.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> F.affine_grid(same, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    if not check_tensor("affine_grid", theta).is_floating_point():
        raise ValueError(f"affine_grid: theta must be floating, got {describe(theta)}")
    spatial = len(size) - 2
    if spatial not in (2, 3):
        raise NotImplementedError(
            f"affine_grid: size must be (N, C, H, W) or (N, C, D, H, W), got {tuple(size)}"
        )
    if theta.ndim != 3 or theta.shape[1:] != (spatial, spatial + 1):
        raise ArgumentError(
            f"affine_grid: expected theta (N, {spatial}, {spatial + 1}) for the size "
            f"{tuple(size)}, got {describe(theta)}"
        )
    if min(size) <= 0:
        raise ArgumentError(f"affine_grid: sizes must be positive, got {tuple(size)}")
    if size[0] != theta.shape[0]:
        raise ShapeError(f"affine_grid: {describe(theta)} are not maps for {tuple(size)}")
    with on(theta.device) as xp:
        lines = [
            xp.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else xp.zeros(1)
            for n in size[2:]
        ]
        mesh = xp.meshgrid(*lines, indexing="ij")[::-1]
        points = xp.stack([*(part.reshape(-1) for part in mesh), xp.ones(mesh[0].size)], axis=1)
        points = wrap(points.astype(theta._data.dtype))
    return (points @ theta.transpose(1, 2)).reshape(size[0], *size[2:], spatial)


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` with its modes by number: 0, 1, 2 in the order in which they are listed there.

    >>> import tapegrad as tg
    >>> tg.grid_sampler(tg.ones(1, 1, 2, 2), tg.zeros(1, 1, 1, 2), 1, 0, False)
    tensor([[[[1.]]]])
    """
    if interpolation_mode not in range(len(MODES)) or padding_mode not in range(len(BORDERS)):
        raise ArgumentError(
            f"grid_sampler: interpolation_mode and padding_mode must be from 0 to 2, got "
            f"{interpolation_mode} and {padding_mode}"
        )
    return grid_sample(
        input, grid, MODES[interpolation_mode], BORDERS[padding_mode], bool(align_corners)
    )


def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of images."""
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of volumes."""
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)
