"""Convolution and its two adjoints, which are each other's gradients: three bilinear gates.

The array work is in `tapegrad.kernels.convolution`; shapes are (N, C, H, W), weights (O, C/groups,
KH, KW).
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate, Node
from tapegrad.kernels import convolution

from .reductions import sum_

Pair = tuple[int, int]


class Conv2d(Gate):
    """Cross-correlation of images with filters, plus a bias per filter."""

    needs: ClassVar = {"x": "weight", "weight": "x", "bias": ""}
    fresh: ClassVar = True

    def forward(
        self,
        xp: Any,
        x: Any,
        weight: Any,
        bias: Any,
        *,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> Any:
        out = convolution.conv2d(xp, x, weight, stride, padding, dilation, groups)
        if bias is not None:
            out += bias[:, None, None]
        return out

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, weight: Any, bias: None, **window: Any
    ) -> Any:
        wants_x, wants_weight, wants_bias = node.inputs
        to_x = wants_x and conv2d_input(grad, weight, size=wants_x.shape[2:], **window)
        to_weight = wants_weight and conv2d_weight(grad, x, kernel=wants_weight.shape[2:], **window)
        return to_x, to_weight, wants_bias and sum_(grad, dims=(0, 2, 3), keepdim=False)


class Conv2dInput(Gate):
    """The gradient of a convolution's input, which is the transposed convolution."""

    needs: ClassVar = {"x": "weight", "weight": "x"}

    def forward(
        self,
        xp: Any,
        x: Any,
        weight: Any,
        *,
        size: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> Any:
        return convolution.conv2d_input_gradient(
            xp, x, weight, size, stride, padding, dilation, groups
        )

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, weight: Any, *, size: Pair, **window: Any
    ) -> Any:
        wants_x, wants_weight = node.inputs
        to_x = wants_x and conv2d(grad, weight, None, **window)
        return to_x, wants_weight and conv2d_weight(
            x, grad, kernel=wants_weight.shape[2:], **window
        )


class Conv2dWeight(Gate):
    """The gradient of a convolution's filters, from its output's gradient x and its input image."""

    needs: ClassVar = {"x": "image", "image": "x"}

    def forward(
        self,
        xp: Any,
        x: Any,
        image: Any,
        *,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> Any:
        return convolution.conv2d_weight_gradient(
            xp, x, image, kernel, stride, padding, dilation, groups
        )

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, image: Any, *, kernel: Pair, **window: Any
    ) -> Any:
        wants_x, wants_image = node.inputs
        to_x = wants_x and conv2d(image, grad, None, **window)
        return to_x, wants_image and conv2d_input(x, grad, size=wants_image.shape[2:], **window)


conv2d = Conv2d()
conv2d_input = Conv2dInput()
conv2d_weight = Conv2dWeight()
