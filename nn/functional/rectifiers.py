"""Activations that are straight but for a bend or two: ReLU and its family, the hard ones, shrinks.

Where PyTorch has `inplace`, it is here too, by the rules of writing in place.
"""

from __future__ import annotations

import math

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import FLOATS
from tapegrad.autograd.errors import ArgumentError
from tapegrad.autograd.gates import activation as gates
from tapegrad.autograd.gates.selection import where
from tapegrad.autograd.operations import hardshrink, prelu
from tapegrad.autograd.operations.arguments import check_tensor, number_tensor, number_that_fits

from .arguments import computed, float_tensor

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rrelu",
    "rrelu_",
    "selu",
    "selu_",
    "softshrink",
    "threshold",
    "threshold_",
]

# Where the fixed point of mean 0 and variance 1 is: Klambauer et al., 2017, appendix A1.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`; the gradient at 0 is 0.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.relu(tg.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return computed("relu", input, inplace, ops.relu)


def relu_(input: Tensor) -> Tensor:
    """`relu`, in place."""
    return relu(input, inplace=True)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`x` where positive, `negative_slope * x` elsewhere; the slope holds at 0 too.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.leaky_relu(tg.tensor([-1.0, 2.0]), 0.5).tolist()
    [-0.5, 2.0]
    """
    slope = negative_slope * 1.0  # a float, or the number of a trace
    float_tensor("leaky_relu", input)
    return computed("leaky_relu", input, inplace, lambda x: gates.leaky_relu(x, slope))


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky ReLU with slopes drawn from [lower, upper], an own one for each element (Xu, 2015).

    In evaluation, the slope is the middle of the two.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.rrelu(tg.tensor([-1.0, 2.0]), 0.25, 0.75).tolist()
    [-0.5, 2.0]
    """
    float_tensor("rrelu", input)
    if not (math.isfinite(lower) and math.isfinite(upper) and lower <= upper):
        raise ArgumentError(
            f"rrelu: lower must be at most upper, both finite, got {lower} and {upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    drawn = ops.rand(input.shape, dtype=input.dtype, device=input.device)
    slopes = drawn * (upper - lower) + lower
    return computed("rrelu", input, inplace, lambda x: gates.leaky_relu(x, slopes))


def rrelu_(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False
) -> Tensor:
    """`rrelu`, in place."""
    return rrelu(input, lower, upper, training, inplace=True)


def _elu(
    name: str, input: Tensor, inplace: bool, alpha: float, scale: float, rate: float
) -> Tensor:
    return computed(
        name,
        float_tensor(name, input),
        inplace,
        lambda x: gates.elu(x, alpha=alpha, scale=scale, rate=rate),
    )


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere; the gradient at 0 is `alpha`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.elu(tg.tensor([-1e4, 2.0])).tolist()
    [-1.0, 2.0]
    """
    return _elu("elu", input, inplace, alpha, 1.0, 1.0)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, in place."""
    return elu(input, alpha, inplace=True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU with the scale and the `alpha` that keep mean 0 and variance 1 (Klambauer et al., 2017).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.selu(tg.tensor([-1e4, 1.0]))
    tensor([-1.7581,  1.0507])
    """
    return _elu("selu", input, inplace, SELU_ALPHA, SELU_SCALE, 1.0)


def selu_(input: Tensor) -> Tensor:
    """`selu`, in place."""
    return selu(input, inplace=True)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere: smooth at 0 (Barron, 2017).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.celu(tg.tensor([-1e4, 2.0]), alpha=0.5).tolist()
    [-0.5, 2.0]
    """
    if alpha == 0:
        raise ArgumentError("celu: alpha must not be 0, it divides")
    return _elu("celu", input, inplace, alpha, 1.0, 1 / alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu`, in place."""
    return celu(input, alpha, inplace=True)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """`x` kept between two numbers; the gradient at both is 0, unlike that of `clamp`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.hardtanh(tg.tensor([-2.0, 0.5, 3.0])).tolist()
    [-1.0, 0.5, 1.0]
    """
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: min_val {min_val} is above max_val {max_val}")
    dtype = number_tensor("hardtanh", input)._data.dtype
    number_that_fits("hardtanh", min_val, dtype)
    number_that_fits("hardtanh", max_val, dtype)
    return computed(
        "hardtanh", input, inplace, lambda x: gates.hardtanh(x, least=min_val, most=max_val)
    )


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x, 0), 6)`; the gradient at 0 and 6 is 0.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.relu6(tg.tensor([-1.0, 3.0, 8.0])).tolist()
    [0.0, 3.0, 6.0]
    """
    return hardtanh(check_tensor("relu6", input), 0, 6, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x + 3, 0), 6) / 6`; the gradient at -3 and 3 is 0.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.hardsigmoid(tg.tensor([-3.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return computed(
        "hardsigmoid",
        float_tensor("hardsigmoid", input),
        inplace,
        lambda x: gates.hardtanh(x + 3, least=0, most=6) / 6,
    )


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * min(max(x + 3, 0), 6) / 6`; the gradient at -3 is 0, at 3 it is 1 (Howard et al., 2019).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.hardswish(tg.tensor([-3.0, 1.5, 4.0])).tolist()
    [-0.0, 1.125, 4.0]
    """
    return computed("hardswish", float_tensor("hardswish", input), inplace, gates.hardswish)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `lambd`, and 0 where it would cross; there the gradient is 0.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.softshrink(tg.tensor([-2.0, 0.5, 1.0])).tolist()
    [-1.5, 0.0, 0.5]
    """
    if not lambd >= 0:
        raise ArgumentError(f"softshrink: lambd must not be negative, got {lambd}")
    number_that_fits("softshrink", lambd, float_tensor("softshrink", input)._data.dtype)
    return gates.softshrink(input, lambd=lambd)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`x` where above `threshold`, `value` elsewhere; there, and at the threshold, no gradient.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.threshold(tg.tensor([0.5, 1.0, 2.0]), 1.0, -7.0).tolist()
    [-7.0, -7.0, 2.0]
    """
    number_tensor("threshold", input)
    return computed("threshold", input, inplace, lambda x: _threshold(x, threshold, value))


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, in place."""
    return computed("threshold_", input, True, lambda x: _threshold(x, threshold, value))


def _threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    """Of whole numbers both bounds are cut off to whole numbers, as PyTorch does."""
    number_that_fits("threshold", value, x._data.dtype)
    if x._data.dtype not in FLOATS:
        threshold, value = int(threshold), int(value)
    return where(x <= threshold, value, x)
