"""Activation functions as layers; the formulas are in `nn.functional`."""

from __future__ import annotations

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module


class ReLU(Module):
    """`max(0, x)`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReLU()(tg.tensor([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.relu(input)


class LeakyReLU(Module):
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        negative_slope: Default: 0.01.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LeakyReLU(0.5)(tg.tensor([-1.0, 0.0, 2.0])).tolist()
    [-0.5, 0.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """`1 / (1 + exp(-x))`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Sigmoid()(tg.tensor([0.0, 1e4])).tolist()
    [0.5, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Tanh()(tg.tensor([0.0, 1e4])).tolist()
    [0.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.tanh(input)


class Softmax(Module):
    """`exp(x_i) / sum_j exp(x_j)` along a dimension.

    Args:
        dim: the dimension whose entries sum to one.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Softmax(dim=1)(tg.zeros(1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities; the same shape."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """`x_i - log sum_j exp(x_j)` along a dimension.

    Args:
        dim: the dimension whose exponentials sum to one.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LogSoftmax(dim=-1)(tg.tensor([1e4, 0.0])).tolist()
    [0.0, -10000.0]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Log-probabilities; the same shape."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softplus(Module):
    """`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`.

    Args:
        beta: how sharply it bends. Default: 1.
        threshold: from where on it is the identity. Default: 20.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> [round(y, 4) for y in nn.Softplus()(tg.tensor([-1e4, 0.0, 1e4])).tolist()]
    [0.0, 0.6931, 10000.0]
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class ELU(Module):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al., 2016).

    Args:
        alpha: minus the limit at minus infinity. Default: 1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ELU(alpha=2.0)(tg.tensor([-1e4, 0.0, 3.0])).tolist()
    [-2.0, 0.0, 3.0]
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """`x * Phi(x)`, Phi the standard normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        approximate: "none" for the exact form, "tanh" for the paper's approximation.
            Default: "none".

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> [round(y, 4) for y in nn.GELU()(tg.tensor([-1.0, 0.0, 1.0])).tolist()]
    [-0.1587, 0.0, 0.8413]
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """`x * sigmoid(x)`, also called swish (Elfwing et al., 2018).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> [round(y, 4) for y in nn.SiLU()(tg.tensor([-1.0, 0.0, 1.0])).tolist()]
    [-0.2689, 0.0, 0.7311]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.silu(input)
