"""Calls of what resizes, samples and pads images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drawing import Call, Draw, call

Row = Callable[[Draw], Call]


def image(d: Draw, spatial: int, least: int = 1, most: int = 5) -> tuple[int, ...]:
    """The shape (N, C, d1, ...) of images."""
    return (d.integer(1, 2), d.integer(1, 3), *(d.integer(least, most) for _ in range(spatial)))


def constant_pad(d: Draw) -> Call:
    shape = d.shape(1, 4)
    pairs = [[d.integer(-1, 2), d.integer(-1, 2)] for _ in range(d.integer(0, len(shape)))]
    for n, pair in zip(reversed(shape), pairs, strict=False):
        if n + min(pair[0], 0) + min(pair[1], 0) < 0:
            pair[:] = [0, 1]
    widths = [width for pair in pairs for width in pair]
    how = d.one_of({}, {"value": d.one_of(0, -1.5, 3)}, {"mode": "constant", "value": None})
    return call(d.tensor(shape), d.one_of(widths, tuple(widths)), **how)


def border(d: Draw, mode: str) -> Call:
    spatial = d.integer(1, 3)
    shape = image(d, spatial)[d.integer(0, 1) :]
    widths: list[int] = []
    for n in reversed(shape[-spatial:]):
        most = {"reflect": n - 1, "circular": n}.get(mode, 3)
        pair = [d.integer(0, min(most, 3)), d.integer(0, min(most, 3))]
        if n > 2 and d.integer(0, 3) == 0:
            pair[d.integer(0, 1)] = -1
            pair = [min(width, n - 2) for width in pair]
        widths += pair
    return call(d.tensor(shape), widths, mode)


def pad(d: Draw) -> Call:
    mode = d.one_of("constant", "reflect", "replicate", "circular")
    return constant_pad(d) if mode == "constant" else border(d, mode)


def interpolate(d: Draw) -> Call:
    spatial = d.integer(1, 3)
    lines = {1: ("linear",), 2: ("bilinear", "bicubic"), 3: ("trilinear",)}[spatial]
    mode = d.one_of("nearest", "nearest-exact", "area", *lines, *lines)
    shape = image(d, spatial)
    given: dict[str, Any] = {"mode": mode}
    if d.flag():
        given["size"] = d.one_of(d.integer(1, 8), tuple(d.integer(1, 8) for _ in range(spatial)))
    else:
        one = d.one_of(1.0, 1.5, 2, 2.3, 3.7)
        given["scale_factor"] = d.one_of(one, tuple(d.one_of(one, 2.0) for _ in range(spatial)))
        if d.flag():
            given["recompute_scale_factor"] = d.flag()
    if mode in lines:
        given["align_corners"] = d.one_of(None, False, True)
        if spatial == 2 and d.integer(0, 2) == 0:
            given["antialias"] = True
    return call(d.tensor(shape), **given)


def sample(d: Draw) -> Call:
    spatial = d.integer(2, 3)
    mode = d.one_of("bilinear", "nearest", "bicubic")
    mode = "bilinear" if spatial == 3 and mode == "bicubic" else mode
    shape = image(d, spatial)
    grid = (shape[0], *(d.integer(1, 3) for _ in range(spatial)), spatial)
    given = {"align_corners": d.flag()}
    if d.flag():
        given["padding_mode"] = d.one_of("zeros", "border", "reflection")
    # PyTorch has no second derivative by bicubic samples.
    return call(
        d.tensor(shape), d.apart(grid, -1.9, 1.9), mode, **given, order=1 + (mode != "bicubic")
    )


def numbered(spatial: int) -> Row:
    def row(d: Draw) -> Call:
        shape = image(d, spatial)
        grid = (shape[0], *(d.integer(1, 3) for _ in range(spatial)), spatial)
        mode = d.integer(0, 1)
        return call(d.tensor(shape), d.apart(grid, -1.9, 1.9), mode, d.integer(0, 2), d.flag())

    return row


def affine(d: Draw) -> Call:
    spatial = d.integer(2, 3)
    size = image(d, spatial, 2)
    theta = d.tensor((size[0], spatial, spatial + 1))
    return call(theta, d.one_of(size, list(size)), align_corners=d.flag())


def shuffle(d: Draw, back: bool = False) -> Call:
    r = d.integer(1, 3)
    lead = d.shape(0, 2, 2, 1)  # PyTorch fails on images of nothing
    c, h, w = d.integer(1, 2), d.integer(1, 2), d.integer(1, 3)
    return call(d.tensor((*lead, c, h * r, w * r) if back else (*lead, c * r * r, h, w)), r)


def deal(d: Draw, order: int = 2) -> Call:
    groups = d.integer(1, 3)
    shape = (d.integer(0, 2), groups * d.integer(1, 3), *d.shape(1, 2, 2))
    return call(d.tensor(shape), groups, order=order)


def stretched(spatial: tuple[int, int]) -> Row:
    def row(d: Draw) -> Call:
        size = d.integer(1, 7)
        given = d.one_of({"size": size}, {"scale_factor": d.one_of(1.5, 2)})
        return call(d.tensor(image(d, d.integer(*spatial))), **given)

    return row


CALLS: dict[str, Row] = {
    "channel_shuffle": deal,
    "constant_pad_nd": lambda d: call(d.tensor((2, d.integer(0, 3))), [d.integer(0, 2), 1], 2.5),
    "grid_sampler": numbered(2),
    "grid_sampler_2d": numbered(2),
    "grid_sampler_3d": numbered(3),
    "native_channel_shuffle": lambda d: deal(d, order=0),  # PyTorch has no derivative
    "pixel_shuffle": shuffle,
    "pixel_unshuffle": lambda d: shuffle(d, back=True),
    "nn.functional.affine_grid": affine,
    "nn.functional.grid_sample": sample,
    "nn.functional.interpolate": interpolate,
    "nn.functional.pad": pad,
    "nn.functional.upsample": stretched((1, 3)),
    "nn.functional.upsample_bilinear": stretched((2, 2)),
    "nn.functional.upsample_nearest": stretched((1, 3)),
}
