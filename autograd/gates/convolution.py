"""Convolution and its two adjoints, which are each other's gradients; windows as columns.

One set of gates for any number of spatial dimensions: images are (N, C, *size), weights
(O, C/groups, *kernel), and `stride`, `padding` and `dilation` have a number for each of these
dimensions. The array work is in `tapegrad.kernels.convolution`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node
from tapegrad.kernels import convolution as kernels

from .reductions import sum_
from .selection import relu_gradient

Sizes = tuple[int, ...]


class Convolution(Gate):
    """Cross-correlation of images with filters, plus a bias per filter."""

    needs: ClassVar = {"x": "weight", "weight": "x", "bias": ""}
    fresh: ClassVar = True
    quiet: ClassVar = "always"

    def forward(
        self,
        xp: Any,
        x: Any,
        weight: Any,
        bias: Any,
        *,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        groups: int,
    ) -> Any:
        return kernels.convolve(xp, x, weight, bias, stride, padding, dilation, groups)

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, weight: Any, bias: None, **window: Any
    ) -> Any:
        wants_x, wants_weight, wants_bias = node.inputs
        to_x = wants_x and convolution_input(grad, weight, None, size=wants_x.shape[2:], **window)
        to_weight = wants_weight and convolution_weight(
            grad, x, kernel=wants_weight.shape[2:], **window
        )
        to_bias = wants_bias and sum_(grad, dims=(0, *range(2, grad.ndim)), keepdim=False)
        return to_x, to_weight, to_bias


class ConvolutionRelu(Convolution):
    """max(0, a convolution), which hands on to it the gradient where it is above 0."""

    needs: ClassVar = {"x": "weight out", "weight": "x out", "bias": "out"}

    def forward(self, xp: Any, x: Any, weight: Any, bias: Any, **window: Any) -> Any:
        return kernels.convolve(xp, x, weight, bias, **window, relu=True)

    def backward(
        self, node: Node, grad: Any, out: Any, x: Any, weight: Any, bias: None, **window: Any
    ) -> Any:
        return super().backward(node, relu_gradient(grad, out), None, x, weight, bias, **window)


class ConvolutionInput(Gate):
    """The gradient of a convolution's input, which is the transposed convolution; plus a bias."""

    needs: ClassVar = {"x": "weight", "weight": "x", "bias": ""}
    fresh: ClassVar = True
    quiet: ClassVar = "always"

    def forward(
        self,
        xp: Any,
        x: Any,
        weight: Any,
        bias: Any,
        *,
        size: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        groups: int,
    ) -> Any:
        return kernels.convolve_input_gradient(
            xp, x, weight, size, stride, padding, dilation, groups, bias
        )

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: Any,
        weight: Any,
        bias: None,
        *,
        size: Sizes,
        **window: Any,
    ) -> Any:
        wants_x, wants_weight, wants_bias = node.inputs
        to_x = wants_x and convolution(grad, weight, None, **window)
        to_weight = wants_weight and convolution_weight(
            x, grad, kernel=wants_weight.shape[2:], **window
        )
        to_bias = wants_bias and sum_(grad, dims=(0, *range(2, grad.ndim)), keepdim=False)
        return to_x, to_weight, to_bias


class ConvolutionWeight(Gate):
    """The gradient of a convolution's filters, from its output's gradient x and its input image."""

    needs: ClassVar = {"x": "image", "image": "x"}
    fresh: ClassVar = True
    quiet: ClassVar = "always"

    def forward(
        self,
        xp: Any,
        x: Any,
        image: Any,
        *,
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        groups: int,
    ) -> Any:
        return kernels.convolve_weight_gradient(
            xp, x, image, kernel, stride, padding, dilation, groups
        )

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, image: Any, *, kernel: Sizes, **window: Any
    ) -> Any:
        wants_x, wants_image = node.inputs
        to_x = wants_x and convolution(image, grad, None, **window)
        return to_x, wants_image and convolution_input(
            x, grad, None, size=wants_image.shape[2:], **window
        )


class Im2col(Gate):
    """The windows of images as columns (N, C * places of the kernel, windows)."""

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True
    quiet: ClassVar = "always"

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
    ) -> Any:
        return kernels.im2col(xp, x, kernel, stride, padding, dilation)

    def backward(self, node: Node, grad: Any, out: None, x: None, **window: Any) -> Any:
        return col2im(grad, size=node.inputs[0].shape[2:], **window)  # type: ignore[union-attr]


class Col2im(Gate):
    """Columns added up where their windows lie in the images: the adjoint of im2col."""

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True
    quiet: ClassVar = "always"

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        size: Sizes,
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
    ) -> Any:
        return kernels.col2im(xp, x, size, kernel, stride, padding, dilation)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, size: Sizes, **window: Any
    ) -> Any:
        return im2col(grad, **window)


convolution = Convolution()
convolution_relu = ConvolutionRelu()
convolution_input = ConvolutionInput()
convolution_weight = ConvolutionWeight()
im2col = Im2col()
col2im = Col2im()
