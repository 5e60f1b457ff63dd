"""Pooling over windows of images (N, C, H, W): max routes, average distributes.

The array work is in `tapegrad.kernels.pooling`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate, Node
from tapegrad.kernels import pooling

Pair = tuple[int, int]


class MaxPool2d(Gate):
    """The largest of each window, and where it was; the gradient is routed there."""

    needs: ClassVar = {"x": "extra"}

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        ceil_mode: bool,
    ) -> Any:
        return pooling.max_pool2d(xp, x, kernel, stride, padding, dilation, ceil_mode)

    def backward(self, node: Node, grad: Any, out: Any, x: None, **window: Any) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        reach = (d * (k - 1) + 1 for d, k in zip(window["dilation"], window["kernel"], strict=True))
        disjoint = all(s >= r for s, r in zip(window["stride"], reach, strict=True))
        return scatter_to_plane(grad, out[1], size=size, disjoint=disjoint)


class ScatterToPlane(Gate):
    """Zeros (N, C, H, W) with x added at flat positions of each plane.

    `disjoint` promises that no position comes twice, which is quicker.
    """

    needs: ClassVar = {"x": "positions"}

    def forward(self, xp: Any, x: Any, positions: Any, *, size: Pair, disjoint: bool) -> Any:
        return pooling.scatter_to_plane(xp, x, positions, size, disjoint)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: None,
        positions: Any,
        *,
        size: Pair,
        disjoint: bool,
    ) -> Any:
        return gather_from_plane(grad, positions), None


class GatherFromPlane(Gate):
    """What stands at flat positions of each plane of x: the adjoint of the scatter."""

    needs: ClassVar = {"x": "positions"}

    def forward(self, xp: Any, x: Any, positions: Any) -> Any:
        return pooling.gather_from_plane(xp, x, positions)

    def backward(self, node: Node, grad: Any, out: None, x: None, positions: Any) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        return scatter_to_plane(grad, positions, size=size, disjoint=False), None


class AvgPool2d(Gate):
    """The mean of each window: every element of it receives an equal share."""

    needs: ClassVar = {"x": ""}

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Any:
        return pooling.avg_pool2d(
            xp, x, kernel, stride, padding, ceil_mode, count_include_pad, divisor
        )

    def backward(self, node: Node, grad: Any, out: None, x: None, **window: Any) -> Any:
        size = node.inputs[0].shape[2:]  # type: ignore[union-attr]
        return avg_pool2d_gradient(grad, size=size, **window)


class AvgPool2dGradient(Gate):
    """The adjoint of average pooling: each mean's share spread over its window."""

    needs: ClassVar = {"x": ""}

    def forward(
        self,
        xp: Any,
        x: Any,
        *,
        size: Pair,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Any:
        return pooling.avg_pool2d_gradient(
            xp, x, size, kernel, stride, padding, ceil_mode, count_include_pad, divisor
        )

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, size: Pair, **window: Any
    ) -> Any:
        return avg_pool2d(grad, **window)


max_pool2d = MaxPool2d()
scatter_to_plane = ScatterToPlane()
gather_from_plane = GatherFromPlane()
avg_pool2d = AvgPool2d()
avg_pool2d_gradient = AvgPool2dGradient()
