"""What the kernels of convolution are told of images, filters and the windows between them."""

from __future__ import annotations

import ctypes
import math
from ctypes import c_int, c_longlong
from typing import Any, NamedTuple

Ints = tuple[int, ...]
# Shapes and strides in bytes: of the images read, the filters, and the images written. For a
# gradient to filters these are the images, the filters, and the gradient of the output.
Shapes = tuple[Ints, Ints, Ints, Ints, Ints, Ints]

FORWARD, DATA_GRADIENT, WEIGHT_GRADIENT = "forward", "data gradient", "weight gradient"
MOST = 2**31 - 1  # blocks of a grid, and whole numbers of a kernel
_AXES = 3


class Window(NamedTuple):
    """How the filters go over the images: for each dimension a number, but for the groups."""

    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int


class Windows(ctypes.Structure):
    """`Windows` of `windows.cuh`."""

    _fields_ = (
        ("image_step", c_longlong),
        ("channel_step", c_longlong),
        ("step", c_longlong * _AXES),
        ("weight_group", c_longlong),
        ("weight_output", c_longlong),
        ("weight_channel", c_longlong),
        ("weight_step", c_longlong * _AXES),
        ("out_image", c_longlong),
        ("out_channel", c_longlong),
        ("out_step", c_longlong * _AXES),
        ("images", c_int),
        ("groups", c_int),
        ("channels", c_int),
        ("outputs", c_int),
        ("size", c_int * _AXES),
        ("count", c_int * _AXES),
        ("kernel", c_int * _AXES),
        ("stride", c_int * _AXES),
        ("padding", c_int * _AXES),
        ("dilation", c_int * _AXES),
        ("classes", c_int * _AXES),
        ("tap_step", c_int * _AXES),
        ("tap_move", c_int * _AXES),
        ("backward", c_int),
        ("relu", c_int),
        ("packs", c_int),
    )


def windows(what: str, itemsize: int, shapes: Shapes, window: Window, relu: bool) -> Windows:
    """What a kernel is told of a forward convolution or of one of its gradients."""
    shape, strides, filters, filter_strides, out, out_strides = shapes
    groups, backward = window.groups, what == DATA_GRADIENT
    _check(shape, out, filters, window)

    def spread(values: Any, missing: int = 1) -> Any:
        values = tuple(values)
        return (missing,) * (_AXES - len(values)) + values

    def steps(of: Ints) -> list[int]:
        return [stride // itemsize for stride in of]

    image_step, channel_step, *step = steps(strides)
    out_image, out_channel, *out_step = steps(out_strides)
    first, second, *weight_step = steps(filter_strides)
    if backward:  # the filters' channels are written, and their outputs summed
        channels, outputs = filters[0] // groups, filters[1]
        weight_group, weight_output, weight_channel = channels * first, second, first
    else:
        channels, outputs = filters[1], filters[0] // groups
        weight_group, weight_output, weight_channel = outputs * first, first, second
    stride, padding, dilation = window.stride, window.padding, window.dilation
    common = [s // math.gcd(s, d) if backward else 1 for s, d in zip(stride, dilation, strict=True)]
    move = [
        -(t * d // s) if backward else d for t, s, d in zip(common, stride, dilation, strict=True)
    ]
    width = 16 // itemsize
    packs = out_channel == 1 and not any(n % width for n in (out_image, *out_step, outputs))
    return Windows(
        image_step, channel_step, spread(step, 0),
        weight_group, weight_output, weight_channel, spread(weight_step, 0),
        out_image, out_channel, spread(out_step, 0),
        shape[0], groups, channels, outputs,
        spread(shape[2:]), spread(out[2:]), spread(filters[2:]),
        spread(stride), spread(padding, 0), spread(dilation),
        spread(stride if backward else ()), spread(common), spread(move),
        backward, relu, packs,
    )  # fmt: skip


def _check(shape: Ints, out: Ints, filters: Ints, window: Window) -> None:
    """Refuse what the kernels' whole numbers of 32 bits do not hold."""
    for n, m, k, s, p, d in zip(shape[2:], out[2:], filters[2:], *window[:3], strict=True):
        if max(n, m) + 2 * p + k * d + s >= 1 << 30:
            raise ValueError(f"convolution on a GPU: images of {n} places and {m} are too large")
    if max(*shape[:2], math.prod(filters)) > MOST:
        raise ValueError(
            f"convolution on a GPU: {shape[0]} images and filters {filters} are too many"
        )
