"""Convolution, transposed convolution, and windows as columns.

Images are (N, C, *size) or, without a batch, (C, *size).
"""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import convolution as gates
from tapegrad.autograd.gates.shape import pad, reshape
from tapegrad.autograd.operations.arguments import check_tensor, same_dtype
from tapegrad.kernels.convolution import output_size

from .arguments import activated
from .windows import LAYOUTS, Size, Sizes, batched, check_filled, sizes

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "unfold",
]


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    activation: str | None = None,
) -> Any:
    """Cross-correlation of (N, C, L) with filters (O, C/groups, K) plus a bias (O,).

    See `conv2d`, of which this is the case of one dimension.

    >>> import tapegrad as tg
    >>> tg.conv1d(tg.tensor([[1.0, 2.0, 4.0]]), tg.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2.]])
    """
    window = stride, padding, dilation, groups
    return _convolve("conv1d", 1, input, weight, bias, *window, activation)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    activation: str | None = None,
) -> Any:
    """Cross-correlation of (N, C, H, W) with filters (O, C/groups, KH, KW) plus a bias (O,).

    The output is (N, O, P, Q) with P = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1.
    `padding` may be "valid" (none) or "same" (the input's size, stride 1). With `groups`, each
    group of filters sees its own share of the channels. With `activation="relu"` the output is
    max(0, that), in one gate and on a GPU in the same launch, where filters of one place may make 0
    of a NaN.

    >>> import tapegrad as tg
    >>> tg.conv2d(tg.ones(1, 1, 3, 3), tg.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    window = stride, padding, dilation, groups
    return _convolve("conv2d", 2, input, weight, bias, *window, activation)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    activation: str | None = None,
) -> Any:
    """Cross-correlation of (N, C, D, H, W) with filters (O, C/groups, KD, KH, KW) plus a bias (O,).

    See `conv2d`, of which this is the case of three dimensions.

    >>> import tapegrad as tg
    >>> tg.conv3d(tg.ones(1, 2, 2, 2), tg.ones(1, 1, 2, 2, 2))
    tensor([[[[8.]]]])
    """
    window = stride, padding, dilation, groups
    return _convolve("conv3d", 3, input, weight, bias, *window, activation)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """The transposed convolution of (N, C, L) by filters (C, O/groups, K), plus a bias (O,).

    See `conv_transpose2d`, of which this is the case of one dimension.

    >>> import tapegrad as tg
    >>> tg.conv_transpose1d(tg.tensor([[1.0, 2.0]]), tg.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[ 1., 10.,  2., 20.]])
    """
    window = stride, padding, output_padding, groups, dilation
    return _transpose("conv_transpose1d", 1, input, weight, bias, *window)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """The transposed convolution of (N, C, H, W) by filters (C, O/groups, KH, KW), plus a bias.

    Every number lays down its multiple of the filter, `stride` apart, and overlaps add up: the
    gradient of `conv2d` to its input. The output is (N, O, P, Q) with P = (H - 1) stride -
    2 padding + dilation (KH - 1) + output_padding + 1.

    >>> import tapegrad as tg
    >>> tg.conv_transpose2d(tg.ones(1, 1, 2, 2), tg.ones(1, 1, 2, 2))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])

    Source: Zeiler, Krishnan, Taylor and Fergus, Deconvolutional Networks (2010).
    """
    window = stride, padding, output_padding, groups, dilation
    return _transpose("conv_transpose2d", 2, input, weight, bias, *window)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """The transposed convolution of (N, C, D, H, W) by filters (C, O/groups, KD, KH, KW).

    See `conv_transpose2d`, of which this is the case of three dimensions.

    >>> import tapegrad as tg
    >>> tg.conv_transpose3d(tg.ones(1, 1, 1, 1), tg.ones(1, 2, 1, 1, 3)).shape
    (2, 1, 1, 3)
    """
    window = stride, padding, output_padding, groups, dilation
    return _transpose("conv_transpose3d", 3, input, weight, bias, *window)


def unfold(
    input: Any, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Any:
    """The windows of images (N, C, H, W) as columns (N, C * KH * KW, windows), known as im2col.

    >>> import tapegrad as tg
    >>> tg.nn.functional.unfold(tg.arange(6.0).reshape(1, 2, 3), 2)
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    window = _columns_window("unfold", kernel_size, dilation, padding, stride)
    shape = check_tensor("unfold", input)._data.shape
    if len(shape) not in (3, 4) or not all(shape[-3:]):
        raise ShapeError(
            f"unfold: expected images {LAYOUTS[2]} or (C, H, W), of which the batch alone may be "
            f"empty, got {describe(input)}"
        )
    if any(count < 1 for count in _counts(shape[-2:], window)):
        raise ShapeError(f"unfold: no window of {window} fits into {describe(input)}")
    images = input if len(shape) == 4 else reshape(input, shape=(1, *shape))
    out = gates.im2col(images, **window)
    return out if len(shape) == 4 else reshape(out, shape=out._data.shape[1:])


def fold(
    input: Any,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Any:
    """Columns (N, C * KH * KW, windows) added up in images (N, C, *output_size), or col2im.

    The adjoint of `unfold`; where windows overlap their values add up.

    >>> import tapegrad as tg
    >>> F = tg.nn.functional
    >>> F.fold(F.unfold(tg.ones(1, 1, 2, 3), 2), (2, 3), 2)
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    size = sizes("fold", "output_size", output_size, 2, 1, strict=True)
    window = _columns_window("fold", kernel_size, dilation, padding, stride)
    shape = check_tensor("fold", input)._data.shape
    if len(shape) not in (2, 3) or not all(shape[-2:]):
        raise ShapeError(
            "fold: expected columns (N, C * KH * KW, windows), of which the batch alone may be "
            f"empty, got {describe(input)}"
        )
    rows, counts = math.prod(window["kernel"]), _counts(size, window)
    if shape[-2] % rows or min(counts) < 1 or shape[-1] != math.prod(counts):
        raise ShapeError(
            f"fold: expected a multiple of {rows} rows and {counts[0]} * {counts[1]} columns for "
            f"windows of {window} on {size}, got {describe(input)}"
        )
    columns = input if len(shape) == 3 else reshape(input, shape=(1, *shape))
    out = gates.col2im(columns, size=size, **window)
    return out if len(shape) == 3 else reshape(out, shape=out._data.shape[1:])


def _convolve(
    name: str,
    dims: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Size,
    padding: Size | str,
    dilation: Size,
    groups: int,
    activation: str | None,
) -> Any:
    gate = activated(name, gates.convolution, gates.convolution_relu, activation)
    w = _filters(name, dims, weight, groups, "(O, C/groups, ...)")
    strides = sizes(name, "stride", stride, dims, 1)
    dilations = sizes(name, "dilation", dilation, dims, 1)
    crop = (0,) * dims
    if isinstance(padding, str):
        paddings, crop = _named_padding(name, padding, w.shape[2:], strides, dilations)
    else:
        paddings = sizes(name, "padding", padding, dims, 0)

    def compute(images: Any) -> Any:
        shape = images._data.shape
        if shape[1] != w.shape[1] * groups or w.shape[0] % groups:
            raise ShapeError(
                f"{name}: input {describe(input)} does not fit filters {describe(weight)} in "
                f"{groups} groups: it needs {w.shape[1] * groups} channels, and filters in "
                "multiples of groups"
            )
        _check_bias(name, bias, w.shape[0], weight)
        same_dtype(name, images, weight, bias)
        check_filled(name, images, channels=False)
        axes = list(zip(shape[2:], w.shape[2:], strides, paddings, dilations, strict=True))
        if any(n + 2 * p < d * (k - 1) + 1 for n, k, _, p, d in axes):
            raise ShapeError(
                f"{name}: filters {describe(weight)} with dilation {dilations} are larger than "
                f"the padded input {describe(input)}, padding {paddings}"
            )
        out = gate(
            images,
            weight,
            bias,
            stride=strides,
            padding=paddings,
            dilation=dilations,
            groups=groups,
        )
        if any(crop):  # an even span pads one more at the end
            out = out[(slice(None), slice(None), *(slice(c, None) for c in crop))]
        return out

    return batched(name, input, dims, compute, whole=True)


def _transpose(
    name: str,
    dims: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Any:
    w = _filters(name, dims, weight, groups, "(C, O/groups, ...)")
    strides = sizes(name, "stride", stride, dims, 1)
    paddings = sizes(name, "padding", padding, dims, 0)
    dilations = sizes(name, "dilation", dilation, dims, 1)
    extra = sizes(name, "output_padding", output_padding, dims, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ArgumentError(
            f"{name}: output_padding {extra} must be smaller than stride {strides} or dilation "
            f"{dilations}"
        )

    def compute(images: Any) -> Any:
        if images._data.shape[1] != w.shape[0] or w.shape[0] % groups:
            raise ShapeError(
                f"{name}: input {describe(input)} does not fit filters {describe(weight)} in "
                f"{groups} groups: it needs {w.shape[0]} channels, a multiple of groups"
            )
        _check_bias(name, bias, w.shape[1] * groups, weight)
        same_dtype(name, images, weight, bias)
        check_filled(name, images)
        axes = zip(
            images._data.shape[2:], w.shape[2:], strides, paddings, dilations, extra, strict=True
        )
        size = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, d, e in axes)
        if min(size) < 0:
            raise ShapeError(
                f"{name}: nothing is left of {describe(input)} and filters {describe(weight)} "
                f"within padding {paddings}"
            )
        # What is added at the end may hold whole strides: the windows of zeros after the last.
        more = tuple(e // s for e, s in zip(extra, strides, strict=True))
        if any(more):
            images = pad(images, widths=((0, 0), (0, 0), *((0, m) for m in more)), value=0)
        return gates.convolution_input(
            images,
            weight,
            bias,
            size=size,
            stride=strides,
            padding=paddings,
            dilation=dilations,
            groups=groups,
        )

    return batched(name, input, dims, compute, whole=True)


def _filters(name: str, dims: int, weight: Any, groups: int, layout: str) -> Any:
    """The array of the filters, if it is of the right rank and holds something."""
    w = check_tensor(name, weight)._data
    if w.ndim != dims + 2 or not all((w.shape[0], *w.shape[2:])):
        raise ShapeError(
            f"{name}: expected {dims + 2} dimensions of filters {layout}, got {describe(weight)}"
        )
    if groups < 1:
        raise ArgumentError(f"{name}: groups must be at least 1, got {groups}")
    return w


def _check_bias(name: str, bias: Any, filters: int, weight: Any) -> None:
    if bias is not None and check_tensor(name, bias)._data.shape != (filters,):
        raise ShapeError(f"{name}: {filters} filters {describe(weight)}, but bias {describe(bias)}")


def _named_padding(
    name: str, padding: str, kernel: Sizes, stride: Sizes, dilation: Sizes
) -> tuple[Sizes, Sizes]:
    """The padding for a name, and how much to crop in front where the span is even."""
    if padding == "valid":
        return (0,) * len(kernel), (0,) * len(kernel)
    if padding != "same":
        raise ArgumentError(f"{name}: padding must be numbers, 'valid' or 'same', got {padding!r}")
    if max(stride) > 1:
        raise ArgumentError(f"{name}: padding='same' needs stride 1, got {stride}")
    spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple(-(-span // 2) for span in spans), tuple(span % 2 for span in spans)


def _columns_window(
    name: str, kernel_size: Size, dilation: Size, padding: Size, stride: Size
) -> dict[str, Sizes]:
    return {
        "kernel": sizes(name, "kernel_size", kernel_size, 2, 1, strict=True),
        "stride": sizes(name, "stride", stride, 2, 1, strict=True),
        "padding": sizes(name, "padding", padding, 2, 0, strict=True),
        "dilation": sizes(name, "dilation", dilation, 2, 1, strict=True),
    }


def _counts(size: Sizes, window: dict[str, Sizes]) -> list[int]:
    axes = zip(size, *window.values(), strict=True)
    return [output_size(*axis) for axis in axes]
