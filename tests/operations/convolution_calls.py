"""Calls of convolution and its relatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drawing import Call, Draw, call


def size(d: Draw, dims: int, low: int, high: int) -> Any:
    """A number for all dimensions, a list of one, or one for each."""
    if d.flag():
        return d.integer(low, high)
    return [d.integer(low, high) for _ in range(d.one_of(1, dims, dims))]


def each(value: Any, dims: int) -> list[int]:
    """Such a size, one for each dimension."""
    values = [value] * dims if isinstance(value, int) else list(value)
    return values * dims if len(values) == 1 else values


def window(d: Draw, dims: int) -> dict[str, Any]:
    """A stride, a padding and a dilation."""
    most = 3 if dims < 3 else 2
    return {
        "stride": size(d, dims, 1, most),
        "padding": size(d, dims, 0, 2),
        "dilation": size(d, dims, 1, 2),
    }


def fitting(d: Draw, dims: int, kernel: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    """A size of images into which a window fits."""
    axes = zip(kernel, each(padding, dims), each(dilation, dims), strict=True)
    return tuple(max(1, s * (k - 1) + 1 - 2 * p) + d.integer(0, 2) for k, p, s in axes)


def batch(d: Draw) -> tuple[int, ...]:
    """The batch dimension, or none."""
    return d.one_of((), (1,), (2,), (2,), (0,))


def given(d: Draw, names: tuple[str, ...], options: dict[str, Any]) -> tuple[list[Any], dict]:
    """Some of the arguments by position, the rest by keyword."""
    count = d.one_of(0, 0, len(names))
    return [options.pop(name) for name in names[:count]], options


def convolution(dims: int) -> Callable[[Draw], Call]:
    """A convolution: groups, named padding, bias or none, with or without a batch."""

    def draw(d: Draw) -> Call:
        groups, inputs, outputs = d.one_of(1, 1, 2, 3), d.integer(1, 2), d.integer(1, 2)
        if d.integer(0, 4) == 0:
            inputs = 16  # where the kernel is multiplied place by place
        kernel = tuple(d.integer(1, 3 if dims < 3 else 2) for _ in range(dims))
        options = window(d, dims)
        named = d.one_of(None, None, "same", "valid")
        if named:
            options["padding"] = named
        if named == "same":
            options["stride"] = 1
        space = fitting(d, dims, kernel, 0 if named else options["padding"], options["dilation"])
        x = d.tensor((*batch(d), groups * inputs, *space))
        weight = d.tensor((groups * outputs, inputs, *kernel), -1, 1)
        bias = d.tensor((groups * outputs,)) if d.flag() else None
        order = ("stride", "padding", "dilation", "groups")
        args, kwargs = given(d, order, {**options, "groups": groups})
        return call(x, weight, bias, *args, **kwargs)

    return draw


def transposed(dims: int) -> Callable[[Draw], Call]:
    """A transposed convolution, with padding at the end where stride or dilation allows it."""

    def draw(d: Draw) -> Call:
        groups, inputs, outputs = d.one_of(1, 1, 2, 3), d.integer(1, 2), d.integer(1, 2)
        kernel = tuple(d.integer(1, 3 if dims < 3 else 2) for _ in range(dims))
        options = window(d, dims)
        strides, dilations = each(options["stride"], dims), each(options["dilation"], dims)
        extra = [d.integer(0, max(s, t) - 1) for s, t in zip(strides, dilations, strict=True)]
        axes = zip(kernel, strides, each(options["padding"], dims), dilations, extra, strict=True)
        # As many as leave something of the output.
        least = [1 + max(0, -(-(2 * p - t * (k - 1) - e) // s)) for k, s, p, t, e in axes]
        space = tuple(n + d.integer(0, 2) for n in least)
        x = d.tensor((*batch(d), groups * inputs, *space))
        weight = d.tensor((groups * inputs, outputs, *kernel), -1, 1)
        bias = d.tensor((groups * outputs,)) if d.flag() else None
        options |= {"output_padding": extra, "groups": groups}
        order = ("stride", "padding", "output_padding", "groups", "dilation")
        args, kwargs = given(d, order, options)
        return call(x, weight, bias, *args, **kwargs)

    return draw


def columns(d: Draw) -> tuple[tuple[int, ...], list[int], dict[str, Any]]:
    """A size of images, and the windows that are looked at there."""
    kernel = d.one_of(d.integer(1, 3), [d.integer(1, 3), d.integer(1, 3)])
    options = {
        name: d.one_of(d.integer(low, 2), [d.integer(low, 2), d.integer(low, 2)])
        for name, low in (("dilation", 1), ("padding", 0), ("stride", 1))
    }
    sides = each(kernel, 2)
    space = fitting(d, 2, sides, options["padding"], options["dilation"])
    return space, sides, {"kernel_size": kernel, **options}


def unfold(d: Draw) -> Call:
    """Images as columns."""
    space, _, options = columns(d)
    x = d.tensor((*batch(d), d.integer(1, 2), *space))
    args, kwargs = given(d, ("kernel_size", "dilation", "padding", "stride"), options)
    return call(x, *args, **kwargs)


def fold(d: Draw) -> Call:
    """Columns as images."""
    space, kernel, options = columns(d)
    axes = zip(
        space, kernel, *(each(options[name], 2) for name in ("padding", "dilation", "stride")),
        strict=True,
    )  # fmt: skip
    counts = [(n + 2 * p - t * (k - 1) - 1) // s + 1 for n, k, p, t, s in axes]
    rows = kernel[0] * kernel[1] * d.integer(1, 2)
    x = d.tensor((*batch(d), rows, counts[0] * counts[1]))
    order = ("output_size", "kernel_size", "dilation", "padding", "stride")
    args, kwargs = given(d, order, {"output_size": space, **options})
    return call(x, *args, **kwargs)


CALLS: dict[str, Callable[[Draw], Call]] = {
    **{f"nn.functional.conv{n}d": convolution(n) for n in (1, 2, 3)},
    **{f"nn.functional.conv_transpose{n}d": transposed(n) for n in (1, 2, 3)},
    "nn.functional.unfold": unfold,
    "nn.functional.fold": fold,
}
