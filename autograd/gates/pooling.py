"""Pooling over windows of images (N, C, *size): max routes, average distributes.

One set of gates for any number of spatial dimensions; the adaptive ones are given how many windows
there shall be along each, the others how large. The array work is in `tapegrad.kernels.pooling`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node
from tapegrad.kernels import pooling as kernels

Sizes = tuple[int, ...]


class MaxPool(Gate):
    """The largest of each window, and where it was; the gradient is routed there."""

    needs: ClassVar = {"x": "extra"}
    fresh: ClassVar = True

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        ceil_mode: bool,
    ) -> Any:
        return kernels.max_pool(xp, x, kernel, stride, padding, dilation, ceil_mode)

    def backward(self, node: Node, grad: Any, out: Any, x: None, **window: Any) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        return max_pool_gradient(grad, out[1], size=size, **window)


class MaxPoolGradient(Gate):
    """The gradient of max pooling: each window's share where its largest stood."""

    needs: ClassVar = {"x": "positions"}
    fresh: ClassVar = True

    def forward(
        self,
        xp: Any,
        x: Any,
        positions: Any,
        *,
        size: Sizes,
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        ceil_mode: bool,
    ) -> Any:
        return kernels.max_pool_gradient(
            xp, x, positions, size, kernel, stride, padding, dilation, ceil_mode
        )

    def backward(
        self, node: Node, grad: Any, out: None, x: None, positions: Any, **window: Any
    ) -> Any:
        return gather_from_plane(grad, positions), None


class AdaptiveMaxPool(Gate):
    """The largest of each of a number of windows, and where it was; the gradient goes there."""

    needs: ClassVar = {"x": "extra"}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, *, output: Sizes) -> Any:
        return kernels.adaptive_max_pool(xp, x, output)

    def backward(self, node: Node, grad: Any, out: Any, x: None, *, output: Sizes) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        return adaptive_max_pool_gradient(grad, out[1], size=size)


class AdaptiveMaxPoolGradient(Gate):
    """The gradient of adaptive max pooling."""

    needs: ClassVar = {"x": "positions"}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, positions: Any, *, size: Sizes) -> Any:
        return kernels.adaptive_max_pool_gradient(xp, x, positions, size)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, positions: Any, *, size: Sizes
    ) -> Any:
        return gather_from_plane(grad, positions), None


class ScatterToPlane(Gate):
    """Zeros (N, C, *size) with x put at flat positions of each plane.

    What meets at a position adds up; without `adds`, which is quicker, the last stays.
    """

    needs: ClassVar = {"x": "positions"}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, positions: Any, *, size: Sizes, adds: bool) -> Any:
        return kernels.scatter_to_plane(xp, x, positions, size, adds)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, positions: Any, *, size: Sizes, adds: bool
    ) -> Any:
        return gather_from_plane(grad, positions), None


class GatherFromPlane(Gate):
    """What stands at flat positions of each plane of x: the adjoint of the scatter."""

    needs: ClassVar = {"x": "positions"}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, positions: Any) -> Any:
        return kernels.gather_from_plane(xp, x, positions)

    def backward(self, node: Node, grad: Any, out: None, x: None, positions: Any) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        return scatter_to_plane(grad, positions, size=size, adds=True), None


class AvgPool(Gate):
    """The mean of each window: every element of it receives an equal share."""

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Any:
        return kernels.avg_pool(
            xp, x, kernel, stride, padding, ceil_mode, count_include_pad, divisor
        )

    def backward(self, node: Node, grad: Any, out: None, x: None, **window: Any) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        return avg_pool_gradient(grad, size=size, **window)


class AvgPoolGradient(Gate):
    """The adjoint of average pooling: each mean's share spread over its window."""

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        size: Sizes,
        kernel: Sizes,
        stride: Sizes,
        padding: Sizes,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Any:
        return kernels.avg_pool_gradient(
            xp, x, size, kernel, stride, padding, ceil_mode, count_include_pad, divisor
        )

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, size: Sizes, **window: Any
    ) -> Any:
        return avg_pool(grad, **window)


class AdaptiveAvgPool(Gate):
    """The mean of each of a number of windows, which may overlap by one element."""

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, *, output: Sizes) -> Any:
        return kernels.adaptive_avg_pool(xp, x, output)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, output: Sizes) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        return adaptive_avg_pool_gradient(grad, size=size)


class AdaptiveAvgPoolGradient(Gate):
    """The adjoint of adaptive average pooling."""

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True

    def forward(self, xp: Any, x: Any, *, size: Sizes) -> Any:
        return kernels.adaptive_avg_pool_gradient(xp, x, size)

    def backward(self, node: Node, grad: Any, out: None, x: None, *, size: Sizes) -> Any:
        return adaptive_avg_pool(grad, output=node.inputs[0].shape[2:])  # type: ignore[union-attr]


max_pool = MaxPool()
max_pool_gradient = MaxPoolGradient()
adaptive_max_pool = AdaptiveMaxPool()
adaptive_max_pool_gradient = AdaptiveMaxPoolGradient()
scatter_to_plane = ScatterToPlane()
gather_from_plane = GatherFromPlane()
avg_pool = AvgPool()
avg_pool_gradient = AvgPoolGradient()
adaptive_avg_pool = AdaptiveAvgPool()
adaptive_avg_pool_gradient = AdaptiveAvgPoolGradient()
