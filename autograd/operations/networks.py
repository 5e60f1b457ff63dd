"""What layers are made of: linear maps, convolution, pooling, cross-entropy.

Images are (N, C, H, W) or, without a batch, (C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.autograd.arrays import FLOATS, INTEGERS, module_of
from tapegrad.autograd.engine import describe, wrap
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import convolution, pooling, products
from tapegrad.autograd.gates.indexing import gather
from tapegrad.autograd.gates.shape import reshape
from tapegrad.kernels.pooling import pooled_size

from .arguments import check_tensor, pair, same_dtype
from .pointwise import where
from .reductions import log_softmax, mean, sum

Size = int | Sequence[int]


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """y = x W^T + b: (..., in) with weight (out, in) and bias (out,) gives (..., out).

    >>> import tapegrad as tg
    >>> tg.linear(tg.tensor([1.0, 2.0]), tg.tensor([[3.0, 4.0]]), tg.tensor([0.5]))
    tensor([11.5000])
    """
    x, w = check_tensor("linear", input)._data, check_tensor("linear", weight)._data
    fits = x.ndim > 0 and w.ndim == 2 and x.shape[-1] == w.shape[1]
    if not fits or (bias is not None and check_tensor("linear", bias)._data.shape != w.shape[:1]):
        with_bias = "" if bias is None else f" and bias {describe(bias)}"
        raise ShapeError(
            f"linear: input {describe(input)} does not fit weight {describe(weight)}{with_bias}; "
            "expected (..., in), (out, in) and (out,)"
        )
    same_dtype("linear", input, weight, bias)
    if x.ndim == 1:
        product = products.linear(reshape(input, shape=(1, *x.shape)), weight, bias)
        return reshape(product, shape=w.shape[:1])
    return products.linear(input, weight, bias)


def _batched(name: str, input: Any, compute: Callable[[Any], Any]) -> Any:
    """`compute` on images with a batch dimension, which is put in and taken out if missing."""
    shape = check_tensor(name, input)._data.shape
    if input._data.dtype not in FLOATS:
        raise RuntimeError(f"{name}: needs floating images, got {describe(input)}")
    if len(shape) == 4:
        return compute(input)
    if len(shape) == 3:
        out = compute(reshape(input, shape=(1, *shape)))
        return reshape(out, shape=out._data.shape[1:])
    raise ShapeError(f"{name}: expected images (N, C, H, W) or (C, H, W), got {describe(input)}")


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, H, W) with filters (O, C/groups, KH, KW) plus a bias (O,).

    The output is (N, O, P, Q) with P = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1.
    `padding` may be "valid" (none) or "same" (the input's size, stride 1).

    >>> import tapegrad as tg
    >>> tg.conv2d(tg.ones(1, 1, 3, 3), tg.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    strides = pair("conv2d", "stride", stride, 1)
    dilations = pair("conv2d", "dilation", dilation, 1)
    w = check_tensor("conv2d", weight)._data
    if w.ndim != 4:
        raise ShapeError(f"conv2d: expected filters (O, C/groups, KH, KW), got {describe(weight)}")
    crop = (0, 0)
    if isinstance(padding, str):
        paddings, crop = _named_padding(padding, w.shape[2:], strides, dilations)
    else:
        paddings = pair("conv2d", "padding", padding, 0)

    def compute(images: Any) -> Any:
        shape = images._data.shape
        if groups < 1 or shape[1] != w.shape[1] * groups or w.shape[0] % groups:
            raise ShapeError(
                f"conv2d: input {describe(input)} does not fit filters {describe(weight)} in "
                f"{groups} groups: it needs {w.shape[1] * groups} channels, and filters in "
                "multiples of groups"
            )
        if bias is not None and check_tensor("conv2d", bias)._data.shape != w.shape[:1]:
            raise ShapeError(f"conv2d: {w.shape[0]} filters, but bias {describe(bias)}")
        same_dtype("conv2d", images, weight, bias)
        for n, k, p, d in zip(shape[2:], w.shape[2:], paddings, dilations, strict=True):
            if n + 2 * p < d * (k - 1) + 1:
                raise ShapeError(
                    f"conv2d: filters {describe(weight)} with dilation {dilations} are larger than "
                    f"the padded input {describe(input)}, padding {paddings}"
                )
        out = convolution.conv2d(
            images,
            weight,
            bias,
            stride=strides,
            padding=paddings,
            dilation=dilations,
            groups=groups,
        )
        if crop != (0, 0):  # an even span pads one more at the end
            out = out[:, :, crop[0] :, crop[1] :]
        return out

    return _batched("conv2d", input, compute)


def _named_padding(
    padding: str, kernel: Sequence[int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding for a name, and how much to crop in front where the span is even."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ArgumentError(f"conv2d: padding must be numbers, 'valid' or 'same', got {padding!r}")
    if stride != (1, 1):
        raise RuntimeError("conv2d: padding='same' needs stride 1")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return (-(-total[0] // 2), -(-total[1] // 2)), (total[0] % 2, total[1] % 2)


def _window(
    name: str, kernel_size: Size, stride: Size | None, padding: Size
) -> dict[str, tuple[int, int]]:
    """Kernel, stride (the kernel unless given) and padding (at most half of it) as pairs."""
    kernel = pair(name, "kernel_size", kernel_size, 1)
    paddings = pair(name, "padding", padding, 0)
    if any(2 * p > k for k, p in zip(kernel, paddings, strict=True)):
        raise RuntimeError(f"{name}: padding {paddings} is more than half of the kernel {kernel}")
    strides = kernel if stride is None else pair(name, "stride", stride, 1)
    return {"kernel": kernel, "stride": strides, "padding": paddings}


def _fits(name: str, images: Any, window: dict[str, tuple[int, int]], dilation: Any) -> None:
    for n, k, p, d in zip(
        images._data.shape[2:], window["kernel"], window["padding"], dilation, strict=True
    ):
        if n + 2 * p < d * (k - 1) + 1:
            raise ShapeError(
                f"{name}: a window of {window['kernel']} is larger than {describe(images)}"
            )


def _misses(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> bool:
    """Whether some window along an axis lies in the padding altogether, as dilation makes it."""
    if not padding or dilation == 1:
        return False
    count = pooled_size(size, kernel, stride, padding, dilation, ceil_mode)
    return any(
        not any(0 <= at * stride - padding + i * dilation < size for i in range(kernel))
        for at in range(count)
    )


def max_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window; the gradient goes to it, in a tie to the first.

    `stride` is the kernel's size unless given; padding counts as -inf.

    >>> import tapegrad as tg
    >>> tg.max_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5., 7.],
              [13., 15.]]]])
    """
    window = _window("max_pool2d", kernel_size, stride, padding)
    dilations = pair("max_pool2d", "dilation", dilation, 1)
    found = []

    def compute(images: Any) -> Any:
        _fits("max_pool2d", images, window, dilations)
        if any(
            _misses(n, k, s, p, d, ceil_mode)
            for n, k, s, p, d in zip(
                images._data.shape[2:], *window.values(), dilations, strict=True
            )
        ):
            raise ShapeError(
                f"max_pool2d: a window of {window} with dilation {dilations} holds nothing but "
                f"padding of {describe(input)}"
            )
        values, indices = pooling.max_pool2d(
            images, dilation=dilations, ceil_mode=ceil_mode, **window
        )
        found.append(indices)
        return values

    values = _batched("max_pool2d", input, compute)
    if not return_indices:
        return values
    return values, reshape(found[0], shape=values._data.shape)


def avg_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window; padding counts as zeros unless `count_include_pad` is False.

    `divisor_override` divides each sum by that instead of by the size of its window.

    >>> import tapegrad as tg
    >>> tg.avg_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    window = _window("avg_pool2d", kernel_size, stride, padding)
    if divisor_override == 0:
        raise ArgumentError("avg_pool2d: divisor_override must not be 0")

    def compute(images: Any) -> Any:
        _fits("avg_pool2d", images, window, (1, 1))
        return pooling.avg_pool2d(
            images,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor=divisor_override,
            **window,
        )

    return _batched("avg_pool2d", input, compute)


def reduced(name: str, losses: Any, reduction: str) -> Any:
    """Losses as they are ("none"), their mean or their sum."""
    if reduction == "none":
        return losses
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-log softmax(input)[target]: softmax loss of logits (N, C, ...) against classes (N, ...).

    `target` may also hold probabilities of the shape of `input`. `weight` (C,) scales classes, and
    the mean is the weighted one; `label_smoothing` mixes in the uniform distribution. Targets equal
    to `ignore_index` do not count; if all are ignored the loss is 0 (PyTorch gives NaN).

    >>> import tapegrad as tg
    >>> tg.cross_entropy(tg.tensor([[2.5, 3.1, -0.1]]), tg.tensor([0]))
    tensor(1.0635)
    """
    logits = check_tensor("cross_entropy", input)
    shape = logits._data.shape
    if not shape:
        raise ShapeError("cross_entropy: expected logits of at least 1 dimension, got a scalar")
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(
            f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing}"
        )
    classes = 1 if len(shape) > 1 else 0
    scores = log_softmax(logits, classes)
    if check_tensor("cross_entropy", target)._data.dtype in FLOATS:
        return _against_probabilities(scores, target, classes, weight, reduction, label_smoothing)
    if not label_smoothing:
        return nll_loss(scores, target, weight, ignore_index, reduction, name="cross_entropy")
    exact = nll_loss(scores, target, weight, ignore_index, reduction, name="cross_entropy")
    kept, factor = _counted("cross_entropy", scores, target, weight, ignore_index, classes)
    spread = (
        -scores
        if weight is None
        else -scores * _per_class("cross_entropy", weight, scores, classes)
    )
    uniform = where(kept, mean(spread, classes), 0.0)
    if reduction == "mean":
        total = sum(kept if factor is None else where(kept, factor, 0.0))
        uniform = sum(uniform) / _at_least(total)
    elif reduction == "sum":
        uniform = sum(uniform)
    return exact * (1 - label_smoothing) + uniform * label_smoothing


def _per_class(name: str, weight: Any, scores: Any, classes: int) -> Any:
    """Class weights shaped to multiply scores."""
    count = scores._data.shape[classes]
    if check_tensor(name, weight)._data.shape != (count,):
        raise ShapeError(f"{name}: {count} classes, but weight {describe(weight)}")
    return reshape(weight, shape=(count,) + (1,) * (scores._data.ndim - classes - 1))


def _against_probabilities(
    scores: Any, target: Any, classes: int, weight: Any, reduction: str, smoothing: float
) -> Any:
    if target._data.shape != scores._data.shape:
        raise ShapeError(
            f"cross_entropy: probabilities {describe(target)} must have the shape of the logits "
            f"{describe(scores)}"
        )
    if smoothing:
        target = target * (1 - smoothing) + smoothing / scores._data.shape[classes]
    products = scores * target
    if weight is not None:
        products = products * _per_class("cross_entropy", weight, scores, classes)
    losses = -sum(products, classes)
    if reduction != "mean":
        return reduced("cross_entropy", losses, reduction)
    return sum(losses) / max(losses._data.size, 1)


def _counted(
    name: str, scores: Any, target: Any, weight: Any, ignore_index: int, classes: int
) -> tuple[Any, Any]:
    """Which targets count, and the weight of each; the targets are checked."""
    data, labels = scores._data, target._data
    if (
        labels.dtype not in INTEGERS
        or labels.shape != data.shape[:classes] + data.shape[classes + 1 :]
    ):
        raise ShapeError(
            f"{name}: targets {describe(target)} must be integers of the shape of the scores "
            f"{describe(scores)} without the classes (dim {classes})"
        )
    kept = labels != ignore_index
    wrong = kept & ((labels < 0) | (labels >= data.shape[classes]))
    if wrong.any():
        worst = int(module_of(data).asarray(labels)[wrong].reshape(-1)[0])
        raise IndexError(
            f"{name}: target {worst} is out of range for {data.shape[classes]} classes"
        )
    if weight is None:
        return wrap(kept), None
    _per_class(name, weight, scores, classes)
    safe = module_of(data).where(kept, labels, 0)
    return wrap(kept), weight[wrap(safe)]


def _at_least(total: Any) -> Any:
    """A divisor that is never 0, so that nothing divided by nothing is 0."""
    return where(total == 0, 1, total)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    *,
    name: str = "nll_loss",
) -> Any:
    """-input[target]: the negative log-likelihood of classes from log-probabilities (N, C, ...).

    Arguments as in `cross_entropy`.

    >>> import tapegrad as tg
    >>> tg.nll_loss(tg.tensor([[-0.5, -1.0]]), tg.tensor([1]))
    tensor(1.)
    """
    data = check_tensor(name, input)._data
    check_tensor(name, target)
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    classes = 1 if data.ndim > 1 else 0
    kept, factor = _counted(name, input, target, weight, ignore_index, classes)
    xp = module_of(data)
    labels = target._data
    everyone = bool(kept._data.all())
    if not everyone:
        labels = xp.where(kept._data, labels, 0)
    shape = (*data.shape[:classes], 1, *data.shape[classes + 1 :])
    picked = gather(input, xp.asarray(labels).reshape(shape), dim=classes)
    losses = -reshape(picked, shape=target._data.shape)
    if factor is not None:
        losses = losses * factor
    if not everyone:
        losses = where(kept, losses, 0.0)
    if reduction == "none":
        return losses
    total = sum(losses)
    if reduction == "sum":
        return total
    if factor is None:
        return total / max(int(kept._data.sum()), 1)
    return total / _at_least(sum(factor if everyone else where(kept, factor, 0.0)))


__all__ = [
    "avg_pool2d",
    "conv2d",
    "cross_entropy",
    "linear",
    "max_pool2d",
    "nll_loss",
    "reduced",
]
