"""Activation functions as layers; the formulas are in `nn.functional`."""

from __future__ import annotations

from tapegrad.autograd import Tensor

from .. import functional as F
from .module import Module
from .rectifiers import InPlace


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

    def __init__(self, dim: int | None = None) -> None:
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

    def __init__(self, dim: int | None = None) -> None:
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


class SiLU(InPlace):
    """`x * sigmoid(x)`, also called swish (Elfwing et al., 2018).

    Args:
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> [round(y, 4) for y in nn.SiLU()(tg.tensor([-1.0, 0.0, 1.0])).tolist()]
    [-0.2689, 0.0, 0.7311]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.silu(input, self.inplace)


class Mish(InPlace):
    """`x * tanh(softplus(x))` (Misra, 2019).

    Args:
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Mish()(tg.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.mish(input, self.inplace)


class LogSigmoid(Module):
    """`log(sigmoid(x))`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LogSigmoid()(tg.tensor([0.0, 1e4]))
    tensor([-0.6931,  0.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.logsigmoid(input)


class Softsign(Module):
    """`x / (1 + |x|)`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Softsign()(tg.tensor([-3.0, 1.0])).tolist()
    [-0.75, 0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.softsign(input)


class Tanhshrink(Module):
    """`x - tanh(x)`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Tanhshrink()(tg.tensor([0.0, 20.0])).tolist()
    [0.0, 19.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.tanhshrink(input)


class GLU(Module):
    """`a * sigmoid(b)`, a and b the halves of a dimension (Dauphin et al., 2017).

    Args:
        dim: the dimension that is halved. Default: the last.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.GLU()(tg.tensor([4.0, 6.0, 0.0, 1e4])).tolist()
    [2.0, 6.0]
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Half as large along `dim`."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(Module):
    """`softmax(-x)` along a dimension.

    Args:
        dim: the dimension whose entries sum to one.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Softmin(dim=0)(tg.tensor([0.0, 1e4])).tolist()
    [1.0, 0.0]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities; the same shape."""
        return F.softmin(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax2d(Module):
    """Softmax over the channels at each place of an image.

    Shape:
        (N, C, H, W) or (C, H, W), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Softmax2d()(tg.zeros(2, 1, 1)).flatten().tolist()
    [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities; the same shape."""
        if input.ndim not in (3, 4):
            raise ValueError(
                f"Softmax2d: expected (N, C, H, W) or (C, H, W), got shape {tuple(input.shape)}"
            )
        return F.softmax(input, -3)
