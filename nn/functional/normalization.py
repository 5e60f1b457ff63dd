"""Normalisation over a batch, a layer, groups or instances; all but one are one gate, reshaped.

Statistics and their gradients are computed in at least float32. Where a function takes running
statistics, it updates them in place while training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import FLOATS, HALVES, float32, module_of, result_type, wide
from tapegrad.autograd.engine import array_of, cast, describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import normalization as gates
from tapegrad.autograd.gates.shape import reshape
from tapegrad.autograd.modes import no_grad
from tapegrad.autograd.operations.arguments import (
    check_tensor,
    normalize_dims,
    number_tensor,
    numpy_names,
    on_its_gpu,
    same_device,
    same_dtype,
)
from tapegrad.autograd.versions import mark_written
from tapegrad.kernels.cuda.channels import Moving, track

from .arguments import float_tensor
from .padding import pad
from .pooling import avg_pool2d

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """`(x - mean) / sqrt(var + eps) * weight + bias` for each channel (Ioffe and Szegedy, 2015).

    Args:
        input: (N, C) or (N, C, ...).
        running_mean, running_var: (C,), or None in training. In evaluation they are the mean and
            the variance; in training those of the batch are, and with the unbiased variance they
            move the running ones: `running = (1 - momentum) * running + momentum * batch`.
        weight, bias: (C,) or None.
        training: whether the batch's statistics are used. Default: False.
        momentum: the weight of the batch in the running statistics. Default: 0.1.
        eps: Default: 1e-5.

    Raises:
        ValueError: in training with one value for a channel, whose variance is not known.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> mean, var = tg.zeros(1), tg.ones(1)
    >>> F.batch_norm(tg.tensor([[1.0], [3.0]]), mean, var, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    >>> mean.tolist(), var.tolist()
    ([0.20000000298023224], [1.100000023841858])
    """
    return counted_batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps, None
    )


@on_its_gpu
def counted_batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    training: bool,
    momentum: float,
    eps: float,
    batches: Any,
) -> Any:
    """`batch_norm`, and 1 added to `batches`, a tensor of one int64 on the same device, or None."""
    if check_tensor("batch_norm", input).shape == (0,):  # nothing, and no channels to speak of
        return input.clone()
    data = _channelled("batch_norm", input, running_mean, running_var, weight, bias)
    if not training:
        return _with_known("batch_norm", input, running_mean, running_var, weight, bias, eps)
    count = math.prod(data.shape[:1] + data.shape[2:])
    _several("batch_norm", count, input)
    shape = _flat(data.shape)
    dims = tuple(i for i in range(len(shape)) if i != 1)
    spread, running = (1, -1, 1)[: len(shape)], (running_mean, running_var)
    unbiased = count / (count - 1) if count > 1 else 1.0
    moving = _moving(input, (weight, bias), running, batches, momentum, unbiased)
    out, *found = _normalized(input, shape, dims, spread, weight, bias, eps, moving)
    if moving is not None and moving.done:
        _mark(*running, batches)
    else:
        _track(running, found, momentum, unbiased, batches)
    return out


@on_its_gpu
def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Batch norm with statistics of each channel of each example (Ulyanov et al., 2016).

    Without `use_input_stats` the running statistics are the mean and the variance; with it, they
    move towards the examples' average. Arguments are otherwise those of `batch_norm`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.instance_norm(tg.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    data = _channelled("instance_norm", input, running_mean, running_var, weight, bias)
    if not use_input_stats:
        return _with_known("instance_norm", input, running_mean, running_var, weight, bias, eps)
    if data.ndim < 3:
        raise ShapeError(f"instance_norm: expected (N, C, ...), got {describe(input)}")
    count = math.prod(data.shape[2:])
    _several("instance_norm", count, input)
    shape = (*data.shape[:2], count)
    out, *found = _normalized(input, shape, (2,), (1, -1, 1), weight, bias, eps)
    if data.shape[0]:
        factor = count / (count - 1) if count > 1 else 1.0
        _track((running_mean, running_var), found, momentum, factor)
    return out


@on_its_gpu
def layer_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Any:
    """`(x - mean) / sqrt(var + eps) * weight + bias` over the last dimensions (Ba et al., 2016).

    Args:
        input: (..., *normalized_shape).
        normalized_shape: the sizes of the dimensions that share a mean and a variance.
        weight, bias: of that shape, or None.
        eps: Default: 1e-5.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.layer_norm(tg.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    shape = _rows("layer_norm", input, normalized_shape, weight, bias)
    return _normalized(input, shape, (1,), (1, -1), weight, bias, eps)[0]


def rms_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None
) -> Any:
    """`x / sqrt(mean(x^2) + eps) * weight` over the last dimensions (Zhang and Sennrich, 2019).

    `eps` is the distance from 1 to the next number of the dtype unless given; the other arguments
    are those of `layer_norm`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.rms_norm(tg.tensor([[3.0, 3.0], [-5.0, 5.0]]), (2,))
    tensor([[ 1.,  1.],
            [-1.,  1.]])
    """
    shape = _rows("rms_norm", input, normalized_shape, weight, None)
    if eps is None:
        eps = float(ml_dtypes.finfo(input._data.dtype).eps)
    x, weight, _ = _alike(input, weight, None)
    if weight is not None:
        weight = reshape(weight, shape=(1, shape[1]))
    out, _ = gates.normalize_square(reshape(x, shape=shape), weight, dims=(1,), eps=eps)
    return _as_before(out, input)


@on_its_gpu
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Statistics of each example over groups of channels, then a scale for each (Wu and He, 2018).

    Args:
        input: (N, C, ...).
        num_groups: how many groups the C channels form.
        weight, bias: (C,) or None.
        eps: Default: 1e-5.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.group_norm(tg.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    data = _channelled("group_norm", input, None, None, weight, bias)
    channels = data.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ArgumentError(
            f"group_norm: num_groups {num_groups} must be positive and divide the {channels} "
            "channels"
        )
    inner, size = channels // num_groups, math.prod(data.shape[2:])
    _several("group_norm", data.shape[0] * inner * size, input)
    shape = (data.shape[0], num_groups, inner, size)[: 3 if size == 1 else 4]
    spread = (1, num_groups, inner, 1)[: len(shape)]
    return _normalized(input, shape, tuple(range(2, len(shape))), spread, weight, bias, eps)[0]


def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """`x / (k + alpha * mean of x^2 over size channels around)^beta` (Krizhevsky et al., 2012).

    Beyond the first and the last of the channels, the second dimension, are zeros.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.local_response_norm(tg.ones(1, 2, 1), 2, alpha=2.0, beta=1.0).flatten().tolist()
    [0.5, 0.3333333432674408]
    """
    shape = number_tensor("local_response_norm", input)._data.shape
    if len(shape) < 3:
        raise ArgumentError(
            f"local_response_norm: expected (N, C, ...) of 3 dimensions or more, got "
            f"{describe(input)}"
        )
    if not input._data.size:
        return input
    square = reshape(input * input, shape=(shape[0], 1, shape[1], math.prod(shape[2:])))
    whole = input._data.dtype not in FLOATS
    padded = pad(square.double() if whole else square, (0, 0, size // 2, (size - 1) // 2))
    mean = reshape(avg_pool2d(padded, (size, 1), 1), shape=shape)
    if whole:  # the mean of integers is one, as in PyTorch
        mean = ops.floor(mean).float()
    return input / (mean * alpha + k) ** beta


@numpy_names
def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Any:
    """`x / max(norm(x), eps)`: vectors along `dim` (or several) of p-norm 1; 0 stays 0.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.normalize(tg.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    ndim = float_tensor("normalize", input).ndim
    dim = normalize_dims("normalize", dim, ndim)
    return input / ops.clamp(ops.norm(input, p, dim, keepdim=True), min=eps)


def _normalized(
    input: Any,
    shape: tuple[int, ...],
    dims: tuple[int, ...],
    spread: tuple[int, ...],
    weight: Any,
    bias: Any,
    eps: float,
    moving: Moving | None = None,
) -> tuple[Any, Any, Any, Any]:
    """`input` normalised in another shape, weight and bias in `spread`; mean, rest and variance."""
    x = input
    if 1 in dims or 0 not in dims or input._data.dtype not in HALVES:  # batch norm takes both
        x, weight, bias = _alike(input, weight, bias)
    if -1 in spread and not (weight is None and bias is None):
        spread = tuple(
            array_of(bias if weight is None else weight).size if n < 0 else n for n in spread
        )
    weight, bias = (v if v is None else reshape(v, shape=spread) for v in (weight, bias))
    params = {"dims": dims, "eps": eps} | ({} if moving is None else {"moving": moving})
    out, mean, rest, var = gates.normalize(reshape(x, shape=shape), weight, bias, **params)
    return _as_before(out, input), mean, rest, var


def _alike(input: Any, weight: Any, bias: Any) -> tuple[Any, Any, Any]:
    """Half inputs with float32 parameters are computed in float32, as in PyTorch."""
    if any(v is not None and v._data.dtype != input._data.dtype for v in (weight, bias)):
        input = cast(input, dtype=float32)
    return input, weight, bias


def _as_before(out: Any, input: Any) -> Any:
    """In the shape and the dtype of `input`."""
    out = reshape(out, shape=input._data.shape)
    return out if out._data.dtype == input._data.dtype else cast(out, dtype=input._data.dtype)


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N, C) or (N, C, L): what follows the channels as one dimension."""
    size = math.prod(shape[2:])
    return shape[:2] if size == 1 else (*shape[:2], size)


def _with_known(
    name: str, input: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float
) -> Any:
    """Normalised by given statistics of each channel."""
    if mean is None or var is None:
        raise RuntimeError(
            f"{name}: without the input's statistics, running_mean and running_var are needed"
        )
    shape = tuple(-1 if i == 1 else 1 for i in range(input._data.ndim))
    given = [v if v is None else ops.reshape(v, shape) for v in (mean, var, weight, bias)]
    dtype = input._data.dtype
    if any(v is not None and v._data.dtype != dtype for v in given):  # half with float32
        dtype = float32 if dtype in HALVES else dtype
        given = [v if v is None else v.to(dtype) for v in given]
    mean, var, weight, bias = given
    out = gates.standardize(
        input.to(dtype),
        mean.detach(),
        var.detach(),
        1.0 if weight is None else weight,
        0.0 if bias is None else bias,
        eps=eps,
    )
    return out.to(input.dtype)


def _moving(
    input: Any, scales: Any, running: Any, batches: Any, momentum: float, unbiased: float
) -> Moving | None:
    """Running statistics that a GPU can move as it normalises a batch: of the dtype computed in."""
    if module_of(input._data) is np or running == (None, None):
        return None
    mean, var, count = (None if part is None else part._data for part in (*running, batches))
    computed = wide(result_type(*(part._data for part in (input, *scales) if part is not None)))
    if any(
        part is not None and (part.dtype != computed or not part.flags.c_contiguous)
        for part in (mean, var)
    ):
        return None
    return Moving(mean, var, count, momentum, unbiased)


def _mark(*tensors: Any) -> None:
    """Say of tensors, where there are any, that they were written into."""
    for tensor in tensors:
        if tensor is not None:
            mark_written(tensor)


def _track(running: Any, found: Any, momentum: float, factor: float, batches: Any = None) -> None:
    """Running mean and variance moved, in place, towards those of a batch.

    running     (mean, variance), each a tensor or None
    found       mean, what rounding took from it, and biased variance of the batch; averaged over
                the first dimension if there are several for each channel
    factor      makes the variance unbiased
    batches     a count that becomes greater by 1, or None
    """
    if running == (None, None):
        return
    moving = [None if part is None else part._data for part in running]
    xp = module_of(found[0]._data)
    if xp is not np and all(part is None or part.flags.c_contiguous for part in moving):
        counting = None if batches is None else batches._data
        track(xp, moving, [part._data for part in found], momentum, factor, counting)
        _mark(*running, batches)
        return
    if batches is not None:
        batches.add_(1)
    mean, rest, var = found
    with no_grad():
        for part, batch in zip(running, (mean + rest, var * factor), strict=True):
            if part is not None:
                if batch.shape[0] != 1:
                    batch = batch.mean(0)
                batch = ops.reshape(batch, part.shape).to(part.dtype)
                part.copy_(part * (1 - momentum) + batch * momentum)


def _several(name: str, count: int, input: Any) -> None:
    if count == 1:
        raise ArgumentError(
            f"{name}: needs more than one value for each mean and variance, got {describe(input)}"
        )


def _channelled(name: str, input: Any, *per_channel: Any) -> Any:
    """The array of (N, C, ...), given what comes one for each channel."""
    data = float_tensor(name, input)._data
    if data.ndim < 2:
        raise ShapeError(f"{name}: expected (N, C, ...), got {describe(input)}")
    for what, value in zip(
        ("running_mean", "running_var", "weight", "bias"), per_channel, strict=True
    ):
        if value is not None and check_tensor(name, value)._data.shape != (data.shape[1],):
            raise ShapeError(
                f"{name}: {what} {describe(value)} does not fit {describe(input)}; expected one "
                f"number for each of {data.shape[1]} channels"
            )
    same_device(name, input, *per_channel)
    _check_dtypes(name, input, *per_channel)
    return data


def _rows(
    name: str, input: Any, normalized_shape: Sequence[int], weight: Any, bias: Any
) -> tuple[int, int]:
    """`input` as a matrix whose rows are normalised."""
    data = float_tensor(name, input)._data
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not sizes or data.shape[-len(sizes) :] != sizes:
        raise ShapeError(
            f"{name}: normalized_shape {list(sizes)} must be the last sizes of {describe(input)}"
        )
    for what, value in (("weight", weight), ("bias", bias)):
        if value is not None and check_tensor(name, value)._data.shape != sizes:
            raise ShapeError(f"{name}: {what} {describe(value)} must have shape {list(sizes)}")
    _check_dtypes(name, input, weight, bias)
    return math.prod(data.shape[: -len(sizes)]), math.prod(sizes)


def _check_dtypes(name: str, input: Any, *others: Any) -> None:
    """One dtype for all; what goes with a half input may be float32."""
    given = [v for v in others if v is not None]
    if input._data.dtype in HALVES and all(v._data.dtype == float32 for v in given):
        return
    same_dtype(name, input, *given)
