"""Layers that multiply by a matrix, and the layer that does nothing."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

from .. import functional as F
from .. import init
from ..functional.arguments import check_activation
from ..parameter import Parameter
from .module import Module


class Identity(Module):
    """Returns its input; a placeholder where a layer was taken out. Any arguments are accepted.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Identity(54, unused=True)(tg.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input itself."""
        return input


class Linear(Module):
    """A dense layer: `y = x W^T + b`, or max(0, that).

    W and b start uniform in [-1/sqrt(in_features), 1/sqrt(in_features)].

    Args:
        in_features: size of the last dimension of the input.
        out_features: size of the last dimension of the output.
        bias: whether b is added. Default: True.
        device, dtype: where the parameters live and what they are.
        activation: "relu" for max(0, x W^T + b) in the same gate, on a GPU in the same call.
            Default: None.

    Shape:
        input (..., in_features), output (..., out_features);
        weight (out_features, in_features), bias (out_features,).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.Linear(20, 30)
    >>> layer(tg.randn(128, 20)).shape
    (128, 30)
    """

    _activation: str | None = None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self._activation = check_activation("Linear", activation)
        self.in_features = in_features
        self.out_features = out_features
        shape = (out_features, in_features)
        self.weight = Parameter(ops.empty(shape, dtype=dtype, device=device))
        if bias:
            self.bias = Parameter(ops.empty(out_features, dtype=dtype, device=device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """`input W^T + b`, or its activation."""
        return F.linear(input, self.weight, self.bias, activation=self._activation)

    def extra_repr(self) -> str:
        activation = f", activation={self._activation!r}" if self._activation else ""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}{activation}"
        )


class Bilinear(Module):
    """`y_k = x1^T W_k x2 + b_k`.

    W and b start uniform in [-1/sqrt(in1_features), 1/sqrt(in1_features)].

    Args:
        in1_features, in2_features: sizes of the last dimension of the inputs.
        out_features: size of the last dimension of the output.
        bias: whether b is added. Default: True.
        device, dtype: where the parameters live and what they are.

    Shape:
        inputs (..., in1_features) and (..., in2_features), output (..., out_features);
        weight (out_features, in1_features, in2_features), bias (out_features,).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Bilinear(20, 30, 40)(tg.randn(128, 20), tg.randn(128, 30)).shape
    (128, 40)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features < 1:
            raise ValueError(f"Bilinear: in1_features must be positive, got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(ops.empty(shape, dtype=dtype, device=device))
        if bias:
            self.bias = Parameter(ops.empty(out_features, dtype=dtype, device=device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """`input1^T W input2 + b`."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
