"""Layers that are straight but for a bend or two; the formulas are in `nn.functional`."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

from .. import functional as F
from ..init import constant_
from ..parameter import Parameter
from .module import Module


class InPlace(Module):
    """A layer that may write its result into its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""

    def _suffix(self) -> str:
        return ", inplace=True" if self.inplace else ""


class ReLU(InPlace):
    """`max(0, x)`; the gradient at 0 is 0.

    Args:
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReLU()(tg.tensor([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.relu(input, self.inplace)


class ReLU6(InPlace):
    """`min(max(0, x), 6)`.

    Args:
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ReLU6()(tg.tensor([-1.0, 2.0, 8.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.relu6(input, self.inplace)


class LeakyReLU(InPlace):
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        negative_slope: Default: 0.01.
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LeakyReLU(0.5)(tg.tensor([-1.0, 0.0, 2.0])).tolist()
    [-0.5, 0.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.leaky_relu(input, self.negative_slope, inplace=self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + self._suffix()


class PReLU(Module):
    """`x` above 0, `weight * x` from there down, with a weight that is learnt (He et al., 2015).

    Args:
        num_parameters: 1, or one weight for each channel (the second dimension). Default: 1.
        init: what the weight starts as. Default: 0.25.
        device, dtype: where the weight lives and what it is.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.PReLU()(tg.tensor([-1.0, 0.0, 2.0])).tolist()
    [-0.25, 0.0, 2.0]
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(ops.empty(num_parameters, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight back to where it starts."""
        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(InPlace):
    """Leaky ReLU with slopes drawn anew for each element in training (Xu et al., 2015).

    Args:
        lower, upper: between which the slopes are; in evaluation they are the middle.
            Default: 1/8 and 1/3.
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.RReLU(0.25, 0.75).eval()(tg.tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + self._suffix()


class ELU(InPlace):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al., 2016).

    Args:
        alpha: minus the limit at minus infinity. Default: 1.
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.ELU(alpha=2.0)(tg.tensor([-1e4, 0.0, 3.0])).tolist()
    [-2.0, 0.0, 3.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.elu(input, self.alpha, inplace=self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + self._suffix()


class SELU(InPlace):
    """ELU scaled to keep mean 0 and variance 1 (Klambauer et al., 2017).

    Args:
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.SELU()(tg.tensor([-1e4, 0.0, 1.0]))
    tensor([-1.7581,  0.0000,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.selu(input, self.inplace)


class CELU(InPlace):
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere (Barron, 2017).

    Args:
        alpha: minus the limit at minus infinity. Default: 1.
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.CELU(alpha=0.5)(tg.tensor([-1e4, 0.0, 3.0])).tolist()
    [-0.5, 0.0, 3.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.celu(input, self.alpha, inplace=self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + self._suffix()


class Hardtanh(InPlace):
    """`x` kept between two numbers.

    Args:
        min_val: the lower one. Default: -1.
        max_val: the upper one. Default: 1.
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Hardtanh(-2.0, 2.0)(tg.tensor([-3.0, 0.5, 3.0])).tolist()
    [-2.0, 0.5, 2.0]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: max_val must be above min_val, got {min_val}, {max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.hardtanh(input, self.min_val, self.max_val, inplace=self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}" + self._suffix()


class Hardsigmoid(InPlace):
    """`min(max(x + 3, 0), 6) / 6`.

    Args:
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Hardsigmoid()(tg.tensor([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(InPlace):
    """`x * min(max(x + 3, 0), 6) / 6` (Howard et al., 2019).

    Args:
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Hardswish()(tg.tensor([-1.5, 0.0, 4.0])).tolist()
    [-0.375, 0.0, 4.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardshrink(Module):
    """`x` where `|x| > lambd`, 0 elsewhere.

    Args:
        lambd: Default: 0.5.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Hardshrink()(tg.tensor([-2.0, 0.25, 1.0])).tolist()
    [-2.0, 0.0, 1.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(Module):
    """`x` moved towards 0 by `lambd`, and 0 where it would cross.

    Args:
        lambd: Default: 0.5.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Softshrink()(tg.tensor([-2.0, 0.25, 1.0])).tolist()
    [-1.5, 0.0, 0.5]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Threshold(InPlace):
    """`x` where above `threshold`, `value` elsewhere.

    Args:
        threshold: what to exceed.
        value: what stands for the rest.
        inplace: whether the input holds the result. Default: False.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Threshold(1.0, -7.0)(tg.tensor([0.5, 2.0])).tolist()
    [-7.0, 2.0]
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Element by element; the same shape."""
        return F.threshold(input, self.threshold, self.value, inplace=self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}" + self._suffix()
