"""Reading along axes: resized images and borders. Linear, so that one gate is its own adjoint."""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.arrays import wide
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
        weighs = any(len(t.rows) > 1 or t.rows[0].weights is not None for _, t in plan if t.rows)
        out = x.astype(wide(x.dtype), copy=False) if weighs else x
        extended = resampling.extend(xp, out, plan) if plan else None
        if extended is not None:
            return extended.astype(x.dtype, copy=False)
        for axis, taps in plan:
            out = resampling.apply(xp, out, axis, taps)
        return out.astype(x.dtype, copy=not plan)

    def backward(
        self, node: Node, grad: Any, out: None, x: None, *, plan: tuple[tuple[int, Taps], ...]
    ) -> Any:
        back = tuple((axis, taps.transposed) for axis, taps in reversed(plan))
        return resample(grad, plan=back)


resample = Resample()
