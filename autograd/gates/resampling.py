"""Reading along axes: resized images and borders. Linear, so that one gate is its own adjoint."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node
from tapegrad.kernels import resampling
from tapegrad.kernels.resampling import Taps


class Resample(Gate):
    """Weighted sums along axes, one after the other; the gradient is read by the transposed taps.

    `plan` is a tuple of axes with the taps of each.
    """

    needs: ClassVar = {"x": ""}
    fresh: ClassVar = True
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, *, plan: tuple[tuple[int, Taps], ...]) -> Any:
        return resampling.resample(xp, x, plan)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, plan: tuple[tuple[int, Taps], ...]
    ) -> Any:
        back = tuple((axis, taps.transposed) for axis, taps in reversed(plan))
        return resample(grad, plan=back)


resample = Resample()
