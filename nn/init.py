"""Initial values of parameters, written in place.

With zero or equal weights every unit of a layer learns the same; with too large or too small ones
the signal grows or fades from layer to layer. Xavier's and Kaiming's rules pick the scale from the
number of inputs (`fan_in = shape[1] * prod(shape[2:])`) and outputs (`fan_out = shape[0] *
prod(shape[2:])`) of a unit.
"""

from __future__ import annotations

import math

from tapegrad.autograd import Generator, Tensor, no_grad
from tapegrad.autograd import operations as ops


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with draws from U(a, b).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> w = nn.init.uniform_(tg.empty(100), -0.5, 0.5)
    >>> bool((w.abs() <= 0.5).all())
    True
    """
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with draws from N(mean, std^2).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.init.normal_(tg.empty(3), mean=2.0, std=0.0).tolist()
    [2.0, 2.0, 2.0]
    """
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with draws from N(mean, std^2) that fall into [a, b]; the others are drawn again.

    Raises:
        ValueError: if fewer than one draw in a thousand would fall into [a, b].

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> w = nn.init.trunc_normal_(tg.empty(1000), std=5.0)
    >>> bool((w.abs() <= 2).all())
    True
    """

    def below(bound: float) -> float:
        return 0.5 * (1 + math.erf((bound - mean) / (std * math.sqrt(2))))

    if not std > 0 or below(b) - below(a) < 1e-3:
        raise ValueError(
            f"trunc_normal_: hardly any draw of mean {mean} and std {std} falls into [{a}, {b}]"
        )
    with no_grad():
        tensor.normal_(mean, std, generator=generator)
        while bool((outside := (tensor < a) | (tensor > b)).any()):
            drawn = ops.empty_like(tensor).normal_(mean, std, generator=generator)
            tensor.copy_(ops.where(outside, drawn, tensor))
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.init.constant_(tg.empty(2), 0.3).tolist() == tg.full((2,), 0.3).tolist()
    True
    """
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.init.zeros_(tg.ones(2)).tolist()
    [0.0, 0.0]
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.init.ones_(tg.zeros(2)).tolist()
    [1.0, 1.0]
    """
    return constant_(tensor, 1.0)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights grow so that a unit's output keeps its variance.

    1 for linear and convolution layers and sigmoid, 5/3 for tanh, sqrt(2) for relu,
    sqrt(2 / (1 + slope^2)) for leaky_relu with `param` as the slope (default 0.01), 3/4 for selu.

    Raises:
        ValueError: for another name.

    >>> from tapegrad import nn
    >>> nn.init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid"):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 0.75
    raise ValueError(f"calculate_gain: no gain is known for {nonlinearity!r}")


def _fans(tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError(
            f"fan_in and fan_out need at least 2 dimensions, not the shape {tuple(tensor.shape)}"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _fans(tensor)
    return gain * math.sqrt(2.0 / max(fan_in + fan_out, 1))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', not {mode!r}")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with draws from U(-b, b), `b = gain sqrt(6 / (fan_in + fan_out))`.

    Keeps the variance of signals and of gradients alike (Glorot and Bengio, 2010).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> w = nn.init.xavier_uniform_(tg.empty(2, 4))
    >>> bool((w.abs() <= 1).all())
    True
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with draws from N(0, s^2), `s = gain sqrt(2 / (fan_in + fan_out))`.

    Glorot and Bengio (2010).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> w = nn.init.xavier_normal_(tg.empty(300, 500), generator=tg.Generator().manual_seed(0))
    >>> round(w.std().item(), 2)
    0.05
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with draws from U(-b, b), `b = gain sqrt(3 / fan)`.

    Keeps the variance through rectifiers (He et al., 2015).

    Args:
        tensor: at least 2 dimensions.
        a: the slope of the leaky rectifier that follows. Default: 0.
        mode: "fan_in" to keep the variance forward, "fan_out" backward. Default: "fan_in".
        nonlinearity: what `calculate_gain` knows. Default: "leaky_relu".
        generator: the source of the draws. Default: the common one.

    Raises:
        ValueError: for another mode or nonlinearity, or fewer than 2 dimensions.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> w = nn.init.kaiming_uniform_(tg.empty(2, 6))
    >>> bool((w.abs() <= 1).all())
    True
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with draws from N(0, s^2), `s = gain / sqrt(fan)`; arguments as `kaiming_uniform_`.

    He et al. (2015).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> w = nn.init.kaiming_normal_(tg.empty(300, 200), generator=tg.Generator().manual_seed(0))
    >>> round(w.std().item(), 2)
    0.1
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)
