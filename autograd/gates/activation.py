"""Activations that a composition would make slower or less precise: one pass of few operations.

Each keeps its input alone, and its derivative is written so that nothing overflows however far out
the input is. Half types are computed in float32 and rounded once.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tapegrad.autograd.arrays import wide
from tapegrad.autograd.engine import Gate, UnaryGate
from tapegrad.autograd.records import Node
from tapegrad.kernels import philox
from tapegrad.kernels.selection import select

from .exponential import exp, sigmoid
from .precision import widened
from .selection import clamp, where
from .special import erf
from .trigonometry import tanh

_SAFE = 80.0  # whose exponential is a float32


class _Activation(UnaryGate):
    """What these gates share: `value` and `derivative` at an input that is at least float32."""

    needs: ClassVar = {"x": "x"}
    blocked: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"

    def value(self, xp: Any, x: Any) -> Any:
        raise NotImplementedError

    def derivative(self, x: Any) -> Any:
        raise NotImplementedError

    def forward(self, xp: Any, x: Any) -> Any:
        return self.value(xp, x.astype(wide(x.dtype), copy=False)).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        return grad * self.derivative(widened(x))


class Elu(Gate):
    """scale x above 0, scale alpha (exp(rate x) - 1) from there down: ELU, SELU and CELU."""

    needs: ClassVar = {"x": "x"}
    pointwise: ClassVar = True
    blocked: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "x > T(0) ? T(scale) * x : T(alpha) * T(scale) * expm1(T(rate) * x)"

    def forward(self, xp: Any, x: Any, *, alpha: float, scale: float, rate: float) -> Any:
        wider = x.astype(wide(x.dtype), copy=False)
        low = xp.clip(wider, -xp.inf, 0)
        if rate != 1:
            low *= rate
        low = xp.expm1(low)
        low *= alpha * scale
        high = xp.clip(wider, 0, xp.inf)  # of the two summands one is 0
        if scale != 1:
            high *= scale
        low += high
        return low.astype(x.dtype, copy=False)

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, *, alpha: float, scale: float, rate: float
    ) -> Any:
        x = widened(x)
        low = where(x < 0, x, 0.0)  # keeps the branch not taken from overflowing
        high = grad * scale if scale != 1 else grad
        bent = exp(low * rate if rate != 1 else low)
        factor = alpha * scale * rate
        return where(x > 0, high, grad * (bent * factor if factor != 1 else bent))


class Softplus(Gate):
    """log(1 + exp(beta x)) / beta, x itself where beta x > threshold: grad sigmoid(beta x)."""

    needs: ClassVar = {"x": "x"}
    pointwise: ClassVar = True
    blocked: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "softplus(x, T(beta), T(threshold))"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, *, beta: float, threshold: float) -> Any:
        wider = x.astype(wide(x.dtype), copy=False)
        scaled = wider * beta if beta != 1 else wider
        if threshold <= _SAFE:  # exp overflows only where the result is x
            out = _in_memory(xp.log1p, xp.exp(scaled))
        else:
            out = _in_memory(xp.exp, xp.clip(scaled, -xp.inf, _SAFE))
            out = xp.maximum(_in_memory(xp.log1p, out), scaled)  # the sum exceeds x, rounded or not
        if beta != 1:
            out /= beta
        if threshold < math.inf:
            beyond = scaled > threshold
            if xp.__name__ != "numpy" or beyond.any():  # on a GPU, to look costs more
                out = select(xp, beyond, wider, out)
        return out.astype(x.dtype, copy=False)

    def backward(
        self, node: Node, grad: Any, out: None, x: Any, *, beta: float, threshold: float
    ) -> Any:
        scaled = widened(x) * beta if beta != 1 else widened(x)
        bent = grad * sigmoid(scaled)
        return where(scaled > threshold, grad, bent) if threshold < math.inf else bent


class Silu(_Activation):
    """x sigmoid(x): s + x s (1 - s)."""

    cuda: ClassVar = "x / (T(1) + exp(-x))"

    def value(self, xp: Any, x: Any) -> Any:
        out = xp.exp(-x)  # infinity far below, where the quotient is the 0 it should be
        out += 1
        return x / out

    def derivative(self, x: Any) -> Any:
        share = sigmoid(x)
        return share * (x * (1 - share) + 1)


class Mish(_Activation):
    """x tanh(log(1 + exp(x))), with tanh(log(1 + e)) = n / (n + 2) for n = e (e + 2)."""

    cuda: ClassVar = "mish(x)"
    headers: ClassVar = ("math.cuh",)

    def value(self, xp: Any, x: Any) -> Any:
        power = xp.exp(xp.clip(x, -xp.inf, 20))  # from there on the quotient is 1 in any precision
        power *= power + 2
        return x * (power / (power + 2))

    def derivative(self, x: Any) -> Any:
        x = clamp(x, least=None, most=40.0)  # from there on the slope is 1 in any precision
        power = exp(x)
        odds = power * (power + 2)
        below = odds + 2  # its square would overflow
        return odds / below + x * (power * (power + 1) * 4 / below / below)


class Gelu(_Activation):
    """x Phi(x), Phi the normal distribution function: Phi(x) + x phi(x), phi its density."""

    cuda: ClassVar = f"(erf(x * T({math.sqrt(0.5)})) + T(1)) * x * T(0.5)"

    def value(self, xp: Any, x: Any) -> Any:
        out = erf.forward(xp, x * math.sqrt(0.5))
        out += 1
        out *= x
        out *= 0.5
        return out

    def derivative(self, x: Any) -> Any:
        below = erf(x * math.sqrt(0.5)) * 0.5 + 0.5
        return below + x * (exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi)))


class GeluTanh(_Activation):
    """x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3)."""

    cuda: ClassVar = (
        f"(tanh((x * x * T({0.044715 * math.sqrt(2 / math.pi)}) + T({math.sqrt(2 / math.pi)})) * x)"
        " + T(1)) * x * T(0.5)"
    )

    def value(self, xp: Any, x: Any) -> Any:
        out = x * x
        out *= 0.044715 * math.sqrt(2 / math.pi)
        out += math.sqrt(2 / math.pi)
        out *= x
        out = xp.tanh(out)
        out += 1
        out *= x
        out *= 0.5
        return out

    def derivative(self, x: Any) -> Any:
        near = clamp(x, least=-20.0, most=20.0)  # beyond, tanh is flat and a cube may be infinite
        square = near * near
        bent = tanh(near * (square * 0.044715 + 1) * math.sqrt(2 / math.pi))
        rise = (square * (3 * 0.044715) + 1) * math.sqrt(2 / math.pi)
        return (bent + 1) * 0.5 + near * ((1 - bent * bent) * rise) * 0.5


class LeakyRelu(Gate):
    """x above 0, slope x from there down; the slope, a number or a tensor, takes grad x there."""

    needs: ClassVar = {"x": "x slope", "slope": "x"}
    pointwise: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "x > T(0) ? x : x * slope"

    def forward(self, xp: Any, x: Any, slope: Any) -> Any:
        if type(slope) is float and 0 < slope <= 1:
            return xp.maximum(x, x * slope)
        return select(xp, x > 0, x, x * slope)

    def backward(self, node: Node, grad: Any, out: None, x: Any, slope: Any) -> Any:
        wants_x, wants_slope = node.inputs
        to_slope = None
        if wants_slope:
            to_slope = where(x > 0, 0.0, grad * x)
        return wants_x and where(x > 0, grad, grad * slope), to_slope


class Hardtanh(Gate):
    """x kept between two numbers; the gradient passes inside only, not at a bound."""

    needs: ClassVar = {"x": "out"}
    pointwise: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "clip(x, T(least), T(most))"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, *, least: float, most: float) -> Any:
        return xp.clip(x, least, most).astype(x.dtype, copy=False)

    def backward(
        self, node: Node, grad: Any, out: Any, x: None, *, least: float, most: float
    ) -> Any:
        return where((out <= least) | (out >= most), 0.0, grad)


class Hardswish(_Activation):
    """x clip(x + 3, 0, 6) / 6: (2 x + 3) / 6 between -3 and 3, 0 below and 1 above."""

    cuda: ClassVar = "x * clip(x + T(3), T(0), T(6)) / T(6)"
    headers: ClassVar = ("math.cuh",)

    def value(self, xp: Any, x: Any) -> Any:
        out = xp.clip(x + 3, 0, 6)
        out *= x
        out /= 6
        return out

    def backward(self, node: Node, grad: Any, out: None, x: Any) -> Any:
        x = widened(x)
        bent = where(x < 3, grad * (x / 3 + 0.5), grad)
        return where(x <= -3, 0.0, bent)


class Softshrink(Gate):
    """x moved towards 0 by lambd, 0 where it would cross: the gradient passes where it is not."""

    needs: ClassVar = {"x": "x"}
    pointwise: ClassVar = True
    fresh: ClassVar = True
    cuda: ClassVar = "x - clip(x, -T(lambd), T(lambd))"
    headers: ClassVar = ("math.cuh",)

    def forward(self, xp: Any, x: Any, *, lambd: float) -> Any:
        return x - xp.clip(x, -lambd, lambd).astype(x.dtype, copy=False)

    def backward(self, node: Node, grad: Any, out: None, x: Any, *, lambd: float) -> Any:
        return where((x >= -lambd) & (x <= lambd), 0.0, grad)


class Dropout(Gate):
    """scale x where it is kept, else 0: the gradient likewise."""

    needs: ClassVar = {"x": "kept"}
    pointwise: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "(kept ? x : T(0)) * T(scale)"

    def forward(self, xp: Any, x: Any, kept: Any, *, scale: float) -> Any:
        out = select(xp, kept, x, x.dtype.type(0))
        out *= scale
        return out

    def backward(
        self, node: Node, grad: Any, out: None, x: None, kept: Any, *, scale: float
    ) -> Any:
        return dropout(grad, kept, scale=scale), None


class DropoutAtRandom(Gate):
    """scale x where a random number is at least p, else 0: the gradient likewise.

    The numbers are those of a seed and an offset, element by element (`kernels.philox`), so that
    the backward draws them again instead of keeping a mask.
    """

    needs: ClassVar = {"x": ""}
    pointwise: ClassVar = True
    fresh: ClassVar = True
    quiet: ClassVar = "always"
    cuda: ClassVar = "philox_uniform(seed, offset, index) >= float(p) ? x * T(scale) : T(0)"
    headers: ClassVar = ("philox.cuh",)
    wholes: ClassVar = ("seed", "offset")
    counts: ClassVar = True

    def forward(self, xp: Any, x: Any, *, p: float, scale: float, seed: int, offset: int) -> Any:
        drawn = philox.uniform(seed, offset, x.size).reshape(x.shape)
        return dropout.forward(xp, x, drawn >= np.float32(p), scale=scale)

    def backward(
        self,
        node: Node,
        grad: Any,
        out: None,
        x: None,
        *,
        p: float,
        scale: float,
        seed: int,
        offset: int,
    ) -> Any:
        return dropout_at_random(grad, p=p, scale=scale, seed=seed, offset=offset)


def _in_memory(function: Any, own: Any) -> Any:
    """The function in the memory of its input, which nothing else holds; scalars have none."""
    return function(own, out=own) if own.ndim else function(own)


elu = Elu()
softplus = Softplus()
silu = Silu()
mish = Mish()
gelu = Gelu()
gelu_tanh = GeluTanh()
leaky_relu = LeakyRelu()
hardtanh = Hardtanh()
hardswish = Hardswish()
softshrink = Softshrink()
dropout = Dropout()
dropout_at_random = DropoutAtRandom()
