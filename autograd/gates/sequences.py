"""Recursions over time: the paths of connectionist temporal classification, and their adjoint.

Both loop over time only; batch and states are computed at once. The adjoint of the recursion is one
linear recursion backwards, and the adjoint of that the same forwards, so there is no end to the
orders of derivatives.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tapegrad.autograd.engine import Gate
from tapegrad.autograd.records import Node

from .exponential import exp
from .indexing import index
from .selection import where
from .shape import pad

MINUS_INFINITY = -float("inf")


class CtcPaths(Gate):
    """Log-probabilities a of all paths to a state: from itself, the one before, and the second
    before where that is open: a_t(s) = log(sum_k exp(a_(t-1)(s - k))) + emissions_t(s).

    start (N, S), emissions (T - 1, N, S), open (N, S) of booleans; out (T, N, S). The gradient of
    a path's probability flows back along it, to each predecessor its share.
    """

    needs: ClassVar = {"start": "emissions open out", "emissions": "emissions open out"}
    quiet: ClassVar = "always"

    def forward(self, xp: Any, start: Any, emissions: Any, open: Any) -> Any:
        steps, (count, states) = len(emissions), start.shape
        # Two columns of impossible states on the left stand for those before the first.
        paths = xp.full((steps + 1, count, states + 2), MINUS_INFINITY, start.dtype)
        paths[0, :, 2:] = start
        closed = xp.where(open, 0.0, MINUS_INFINITY).astype(start.dtype)
        for t in range(steps):
            before = paths[t]
            stay, step, skip = before[:, 2:], before[:, 1:-1], before[:, :-2] + closed
            largest = xp.maximum(xp.maximum(stay, step), skip)
            largest = xp.where(largest == MINUS_INFINITY, 0.0, largest)
            total = xp.exp(stay - largest)
            total += xp.exp(step - largest)
            total += xp.exp(skip - largest)
            xp.log(total, out=total)
            total += largest
            total += emissions[t]
            paths[t + 1, :, 2:] = total
        return paths[:, :, 2:]

    def backward(
        self, node: Node, grad: Any, out: Any, start: None, emissions: Any, open: Any
    ) -> Any:
        before, after = index(out, key=slice(None, -1)), index(out, key=slice(1, None))
        gain = emissions - where(after == MINUS_INFINITY, 0.0, after)  # no share of nothing is NaN
        stay = exp(before + gain)
        step = exp(_shifted(before, 1, MINUS_INFINITY) + gain)
        skip = where(open, exp(_shifted(before, 2, MINUS_INFINITY) + gain), 0.0)
        flow = band_scan(grad, stay, step, skip, reverse=True)
        return index(flow, key=0), index(flow, key=slice(1, None)), None


class BandScan(Gate):
    """y_t(s) = x_t(s) + stay_t(s) y_(t-1)(s) + step_t(s) y_(t-1)(s-1) + skip_t(s) y_(t-1)(s-2).

    x (T, N, S); the weights (T - 1, N, S) lead to time t and state s. With `reverse` it is the
    transpose of this, from the last time to the first; each direction is the adjoint of the other.
    """

    needs: ClassVar = {
        "x": "stay step skip",
        "stay": "stay step skip out",
        "step": "stay step skip out",
        "skip": "stay step skip out",
    }
    quiet: ClassVar = "always"

    def forward(self, xp: Any, x: Any, stay: Any, step: Any, skip: Any, *, reverse: bool) -> Any:
        y = xp.array(x, copy=True)
        for t in reversed(range(len(stay))) if reverse else range(len(stay)):
            if reverse:
                after = y[t + 1]
                y[t] += stay[t] * after
                y[t, :, :-1] += (step[t] * after)[:, 1:]
                y[t, :, :-2] += (skip[t] * after)[:, 2:]
            else:
                before = y[t]
                y[t + 1] += stay[t] * before
                y[t + 1, :, 1:] += step[t, :, 1:] * before[:, :-1]
                y[t + 1, :, 2:] += skip[t, :, 2:] * before[:, :-2]
        return y

    def backward(
        self, node: Node, grad: Any, out: Any, x: None, stay: Any, step: Any, skip: Any, *,
        reverse: bool,
    ) -> Any:  # fmt: skip
        flow = band_scan(grad, stay, step, skip, reverse=not reverse)
        to_weights: list[Any] = [None, None, None]
        if any(node.inputs[1:]):
            earlier, later = (flow, out) if reverse else (out, flow)
            earlier, later = index(earlier, key=slice(None, -1)), index(later, key=slice(1, None))
            to_weights = [
                wanted and _shifted(earlier, k, 0.0) * later
                for k, wanted in enumerate(node.inputs[1:])
            ]
        return flow, *to_weights


def _shifted(x: Any, by: int, fill: float) -> Any:
    """x with every state's value at the state `by` further, `fill` at the first ones."""
    if not by:
        return x
    kept = index(x, key=(..., slice(None, max(x.shape[-1] - by, 0))))
    return pad(kept, widths=((0, 0), (0, 0), (x.shape[-1] - kept.shape[-1], 0)), value=fill)


ctc_paths = CtcPaths()
band_scan = BandScan()
