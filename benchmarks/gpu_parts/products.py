"""Matrix products and convolutions: each against the flops that matrix units reach."""

from math import prod
from typing import Any

from workloads import Library

from gpu_parts.row import Row, backward, forward

PARITY = 1.05  # of PyTorch's time: its own, but for noise
HALF = 2.0  # of cuDNN's time

# How numbers are multiplied: the dtype, what float32 may be rounded to, tolerance.
KINDS = {
    "float32": ("float32", "highest", 1e-4),
    "tf32": ("float32", "high", 1e-2),
    "float16": ("float16", "highest", 1e-2),
    "bfloat16": ("bfloat16", "highest", 4e-2),
}


def rows(tiny: bool) -> list[Row]:
    """Matrix products and linear layers."""
    side = 24 if tiny else 8192
    tokens, width = (12, 16) if tiny else (8192, 1024)
    heads, length, depth = (3, 8, 4) if tiny else (128, 1024, 64)
    found = []
    for kind, (dtype, precision, tolerance) in KINDS.items():
        settings: dict[str, Any] = {
            "ceiling": kind,
            "ratio": PARITY,
            "precision": precision,
            "tolerance": tolerance,
        }
        size = dtype_size(dtype)
        shown = f"{side} x {side} in {kind}"
        if kind != "float32" or tiny:
            big = side
        else:
            big, shown = side // 2, f"{side // 2} x {side // 2} in {kind}"
        square = (big, big), (big, big)
        work = {"flops": 2 * big**3, "bytes": 3 * size * big**2} | settings
        found += [
            Row(f"matmul-{kind}", f"`a @ b`, {shown}",
                forward(lambda lib, a, b: a @ b, *square, dtype=dtype), **work),
            Row(f"matmul-transposed-{kind}", f"`a.T @ b`, {shown}",
                forward(lambda lib, a, b: a.T @ b, *square, dtype=dtype), **work),
        ]  # fmt: skip
        layer = (tokens, width), (4 * width, width), (4 * width,)
        work = {"flops": 8 * tokens * width**2,
                "bytes": size * (5 * tokens * width + 4 * width**2)} | settings  # fmt: skip
        shown = f"{tokens} x {width} to {4 * width} in {kind}"
        found += [
            Row(f"linear-{kind}", f"linear layer, {shown}", forward(linear, *layer, dtype=dtype),
                **work),
            Row(f"linear-backward-{kind}", f"gradients of a linear layer, {shown}",
                backward(linear, *layer, dtype=dtype), **work | {"flops": 2 * work["flops"]}),
        ]  # fmt: skip
        batch = (heads, length, depth), (heads, depth, length)
        found.append(
            Row(f"matmul-batched-{kind}", f"{heads} products of {length} x {depth} in {kind}",
                forward(lambda lib, a, b: a @ b, *batch, dtype=dtype),
                flops=2 * heads * length**2 * depth,
                bytes=size * heads * (2 * length * depth + length**2), **settings)
        )  # fmt: skip
    return found


def linear(lib: Library, x: Any, weight: Any, bias: Any) -> Any:
    return lib.F.linear(x, weight, bias)


# Convolutions of ResNet, and a depthwise one: channels in and out, the sizes of image and kernel,
# stride and groups.
LAYERS = {
    "stem": (3, 64, 224, 7, 2, 1),
    "3x3-64": (64, 64, 56, 3, 1, 1),
    "1x1-64-256": (64, 256, 56, 1, 1, 1),
    "3x3-128-half": (128, 128, 56, 3, 2, 1),
    "3x3-128": (128, 128, 28, 3, 1, 1),
    "3x3-256": (256, 256, 14, 3, 1, 1),
    "1x1-1024-256": (1024, 256, 14, 1, 1, 1),
    "3x3-512": (512, 512, 7, 3, 1, 1),
    "depthwise": (256, 256, 28, 3, 1, 256),
}
PASSES: dict[str, tuple[str, tuple[int, ...]]] = {
    "forward": ("", ()),
    "data": (", gradient of the data", (0,)),
    "weight": (", gradient of the weight", (1,)),
}
TINY = {
    "stem": (3, 8, 12, 7, 2, 1),
    "3x3-64": (8, 8, 6, 3, 1, 1),
    "1x1-64-256": (8, 16, 5, 1, 1, 1),
    "3x3-128-half": (8, 8, 6, 3, 2, 1),
    "3x3-128": (16, 16, 5, 3, 1, 1),
    "3x3-256": (8, 16, 4, 3, 1, 1),
    "1x1-1024-256": (16, 8, 4, 1, 1, 1),
    "3x3-512": (16, 8, 3, 3, 1, 1),
    "depthwise": (8, 8, 6, 3, 1, 8),
}
OTHERS = (("bfloat16", False), ("float32", True), ("float16", True))  # and whether channels last


def convolutions(tiny: bool) -> list[Row]:
    """The convolutions, channels last; some of them channels first and in other dtypes."""
    batch = 2 if tiny else 128
    layers = TINY if tiny else LAYERS
    wanted = [(layer, kind, True) for kind in ("tf32", "bfloat16") for layer in layers]
    wanted += [(layer, "tf32", False) for layer in ("3x3-64", "3x3-256")]
    wanted += [("3x3-64", kind, last) for kind, last in OTHERS]
    return [
        row
        for layer, kind, last in wanted
        for row in layer_rows(layer, layers[layer], batch, kind, last)
    ]


def layer_rows(layer: str, sizes: tuple[int, ...], batch: int, kind: str, last: bool) -> list[Row]:
    """The three passes of a convolution."""
    inside, outside, size, kernel, stride, groups = sizes
    dtype, precision, tolerance = KINDS[kind]
    out = (size - 1) // stride + 1
    x, weight = (batch, inside, size, size), (outside, inside // groups, kernel, kernel)

    def convolution(lib: Library, x: Any, weight: Any) -> Any:
        return lib.F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)

    moved = batch * (inside * size**2 + outside * out**2) + prod(weight)
    shown = f"{kernel}x{kernel} convolution of {inside} to {outside} channels at {size}x{size}"
    shown += f", stride {stride}" * (stride > 1) + f", {groups} groups" * (groups > 1)
    layout = "last" if last else "first"
    rows = []
    for name, (words, of) in PASSES.items():
        given: dict[str, Any] = {"dtype": dtype, "last": last}
        if layer == "stem" and name == "data":
            continue  # of images no gradient is asked
        make = (
            backward(convolution, x, weight, of=of, **given)
            if of
            else forward(convolution, x, weight, **given)
        )
        rows.append(
            Row(
                f"conv-{layer}-{name}-{kind}-{layout}",
                f"{shown}, batch {batch}, {kind}, channels {layout}{words}",
                make,
                bytes=dtype_size(dtype) * moved,
                flops=2 * batch * out**2 * prod(weight),
                ceiling=kind,
                ratio=HALF,
                precision=precision,
                tolerance=tolerance,
            )
        )
    return rows


def dtype_size(dtype: str) -> int:
    return 4 if dtype == "float32" else 2
