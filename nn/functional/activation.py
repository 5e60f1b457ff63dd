"""Smooth activations, gates between halves, and softmax in its variants; finite however far out."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import wide
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import activation as gates
from tapegrad.autograd.operations.arguments import check_tensor, normalize_dim, numpy_names

from .arguments import computed, float_tensor, warn

__all__ = [
    "gelu",
    "glu",
    "gumbel_softmax",
    "log_softmax",
    "logsigmoid",
    "mish",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "tanhshrink",
]


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`x Phi(x)`, Phi the standard normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        input: any shape.
        approximate: "none" for `Phi(x) = (1 + erf(x / sqrt(2))) / 2`, "tanh" for
            `Phi(x) = (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`. Default: "none".

    Raises:
        ValueError: for another `approximate`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.gelu(tg.tensor(1.0)).item(), 4)
    0.8413
    """
    found = {"none": gates.gelu, "tanh": gates.gelu_tanh}.get(approximate)
    if found is None:
        raise ArgumentError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return found(float_tensor("gelu", input))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`x sigmoid(x)`, also called swish.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.silu(tg.tensor(1.0)).item(), 4)
    0.7311
    """
    return computed("silu", float_tensor("silu", input), inplace, gates.silu)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x tanh(softplus(x))` (Misra, 2019).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.mish(tg.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """
    return computed("mish", float_tensor("mish", input), inplace, gates.mish)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> round(F.softplus(tg.tensor(0.0)).item(), 4)
    0.6931
    """
    return gates.softplus(float_tensor("softplus", input), beta=beta, threshold=threshold)


def log1p_exp(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`, exact for any x, with the right slope (1/2) and curvature at 0."""
    return gates.softplus(x, beta=1.0, threshold=math.inf)


def logsigmoid(input: Tensor) -> Tensor:
    """`log(sigmoid(x))`, exact for any `x`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.logsigmoid(tg.tensor([-1e4, 0.0]))
    tensor([-1.0000e+04, -6.9315e-01])
    """
    return 0.0 - log1p_exp(-float_tensor("logsigmoid", input))


def softsign(input: Tensor) -> Tensor:
    """`x / (1 + |x|)`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.softsign(tg.tensor([-3.0, 1.0])).tolist()
    [-0.75, 0.5]
    """
    return check_tensor("softsign", input) / (abs(input) + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """`x - tanh(x)`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.tanhshrink(tg.tensor([0.0, 20.0])).tolist()
    [0.0, 19.0]
    """
    return check_tensor("tanhshrink", input) - ops.tanh(input)


@numpy_names
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """`a sigmoid(b)`, a and b the halves of a dimension (Dauphin et al., 2017).

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.glu(tg.tensor([4.0, 6.0, 0.0, 1e4])).tolist()
    [2.0, 6.0]
    """
    shape = float_tensor("glu", input)._data.shape
    if not shape:
        raise ShapeError("glu: a tensor of 0 dimensions has no halves")
    dim = normalize_dim("glu", dim, len(shape))
    if shape[dim] % 2:
        raise ShapeError(f"glu: the size of dim {dim} must be even, got shape {tuple(shape)}")
    value, gate = ops.split(input, shape[dim] // 2, dim) if shape[dim] else (input, input)
    return value * ops.sigmoid(gate)


@numpy_names
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """`exp(x_i) / sum_j exp(x_j)` along a dimension.

    Without a `dim` it is the first of tensors of 0, 1 and 3 dimensions, the second of others, with
    a warning; `dtype` converts first.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.softmax(tg.tensor([1e4, 1e4, -1e4]), dim=0).tolist()
    [0.5, 0.5, 0.0]
    """
    return ops.softmax(input, _chosen("softmax", input, dim), dtype)


@numpy_names
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """`softmax(-x)`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.softmin(tg.tensor([1e4, 1e4, -1e4]), dim=0).tolist()
    [0.0, 0.0, 1.0]
    """
    dim = _chosen("softmin", check_tensor("softmin", input), dim)
    return ops.softmax(-input, normalize_dim("softmin", dim, input.ndim), dtype)


@numpy_names
def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Any:
    """`log(softmax(x))` along a dimension, without overflow; `dim` as in `softmax`.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.log_softmax(tg.tensor([1e4, 0.0]), dim=0).tolist()
    [0.0, -10000.0]
    """
    return ops.log_softmax(input, _chosen("log_softmax", input, dim), dtype)


def _chosen(name: str, input: Any, dim: int | None) -> int:
    """The dimension that PyTorch takes when told none."""
    if dim is not None:
        return dim
    warn(f"{name}: name a dimension, the choice without one is historic")
    return 0 if input.ndim in (0, 1, 3) else 1


@numpy_names
def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A sample from the categorical distribution of `logits`, softened so that it has a gradient.

    `softmax((logits + g) / tau)` with Gumbel noise g (Jang et al., 2017). With `hard` the value is
    one-hot and the gradient that of the soft sample. `eps` does nothing, as in PyTorch.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> F.gumbel_softmax(tg.zeros(2, 3), hard=True).sum(1).tolist()
    [1.0, 1.0]
    """
    float_tensor("gumbel_softmax", logits)
    drawn = ops.empty_like(logits.detach(), dtype=wide(logits.dtype)).exponential_()
    soft = ops.softmax((logits - ops.log(drawn).to(logits.dtype)) / tau, dim)
    if not hard:
        return soft
    shape = [1] * logits.ndim
    if shape:
        shape[dim] = logits.shape[dim]
    places = ops.arange(math.prod(shape), device=logits.device).reshape(shape)
    winner = soft.detach().argmax(dim, keepdim=True) == places
    return winner.to(logits.dtype) - soft.detach() + soft
