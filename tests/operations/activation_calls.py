"""Calls of activations, and of dropout where it is off."""

from __future__ import annotations

from collections.abc import Callable

from drawing import Call, Draw, call

Row = Callable[[Draw], Call]


def plain(low: float = -4.0, high: float = 4.0) -> Row:
    """An activation without settings."""
    return lambda d: call(d.tensor(low=low, high=high))


def bent(order: int = 2) -> Row:
    """An activation without settings but for PyTorch's `inplace`, which is off."""
    return lambda d: call(d.tensor(low=-4.0, high=4.0), **option(d, inplace=False), order=order)


def option(d: Draw, **values: object) -> dict[str, object]:
    """Some of the keyword arguments, the others left at their default."""
    return {key: value for key, value in values.items() if d.flag()}


def setting(name: str, low: float, high: float, inplace: bool = True) -> Row:
    """An activation with one number, given by position, by name or not at all."""

    def row(d: Draw) -> Call:
        x = d.tensor(low=-4.0, high=4.0)
        value = low + (high - low) * d.integer(0, 8) / 8
        last = option(d, inplace=False) if inplace else {}
        return call(x, value, **last) if d.flag() else call(x, **option(d, **{name: value}), **last)

    return row


def softplus(d: Draw) -> Call:
    x = d.tensor(low=-8.0, high=8.0)
    return call(x, **option(d, beta=d.one_of(0.5, 1, 3.0), threshold=d.one_of(2.1, 20, 100)))


def prelu(d: Draw) -> Call:
    x = d.shape()
    channels = d.one_of(1, x[1]) if len(x) > 1 else 1
    weight = d.tensor((channels,), 0.1, 0.9)
    return call(d.tensor(x), d.one_of(weight, d.tensor((), 0.1, 0.9)) if channels == 1 else weight)


def glu(d: Draw) -> Call:
    shape = list(d.shape(1))
    dim = d.dim(len(shape))
    shape[dim] = d.one_of(2, 4)
    x = d.tensor(shape)
    return call(x, dim) if d.flag() else call(x.map(lambda b: b), dim=dim)


def along(d: Draw) -> Call:
    shape = d.shape()
    x = d.tensor(shape, low=-5.0, high=5.0)
    return d.one_of(call(x, d.dim(len(shape))), call(x, dim=d.dim(len(shape))))


def along_typed(d: Draw) -> Call:
    shape = d.shape()
    x = d.tensor(shape, low=-5.0, high=5.0)
    return call(x, dim=d.dim(len(shape)), dtype=None)


def off(least: int = 0, most: int = 4, named: bool = True) -> Row:
    """Dropout in evaluation, or of nothing."""

    def row(d: Draw) -> Call:
        x = d.tensor(d.shape(least, most, 3))
        if not named or d.flag():
            return call(x, d.one_of(0.0, 0.5, 1.0), False)
        return call(x, p=0.3, training=False, **option(d, inplace=False))

    return row


CALLS: dict[str, Row] = {
    "hardshrink": setting("lambd", 0.1, 1.5, inplace=False),
    "prelu": prelu,
    "celu": setting("alpha", 0.5, 2.0, inplace=False),
    "selu": plain(),
    "rrelu": lambda d: call(d.tensor(), **option(d, lower=0.1, upper=0.9), training=False),
    "threshold": lambda d: call(d.tensor(), d.one_of(-0.5, 0.1, 1), d.one_of(-7.0, 2)),
    "dropout": off(named=False),
    "alpha_dropout": off(named=False),
    "feature_alpha_dropout": off(2, 5, named=False),
    "nn.functional.alpha_dropout": off(),
    "nn.functional.celu": setting("alpha", -2.0, -0.5),
    "nn.functional.dropout": off(),
    "nn.functional.dropout1d": off(2, 3),
    "nn.functional.dropout2d": off(3, 4),
    "nn.functional.dropout3d": off(4, 5),
    "nn.functional.elu": setting("alpha", -1.0, 2.0),
    "nn.functional.feature_alpha_dropout": off(2, 5),
    "nn.functional.gelu": lambda d: call(
        d.tensor(low=-4.0, high=4.0), **option(d, approximate=d.one_of("none", "tanh"))
    ),
    "nn.functional.glu": glu,
    "nn.functional.hardshrink": setting("lambd", 0.1, 1.5, inplace=False),
    "nn.functional.hardsigmoid": bent(order=0),  # PyTorch's 1/6 of the gradient is a float32
    "nn.functional.hardswish": bent(),
    "nn.functional.hardtanh": lambda d: call(
        d.tensor(), *d.one_of((), (-0.5,), (-1.1, 0.7)), **option(d, inplace=False)
    ),
    "nn.functional.leaky_relu": setting("negative_slope", -0.25, 1.25),
    "nn.functional.log_softmax": along_typed,
    "nn.functional.logsigmoid": plain(),
    "nn.functional.mish": bent(),
    "nn.functional.prelu": prelu,
    "nn.functional.relu": bent(),
    "nn.functional.relu6": lambda d: call(d.tensor(low=-3, high=9), **option(d, inplace=False)),
    "nn.functional.rrelu": lambda d: call(d.tensor(), *d.one_of((), (0.1,), (0.1, 0.9))),
    "nn.functional.selu": bent(),
    "nn.functional.sigmoid": plain(),
    "nn.functional.silu": bent(),
    "nn.functional.softmax": along_typed,
    "nn.functional.softmin": along,
    "nn.functional.softplus": softplus,
    "nn.functional.softshrink": setting("lambd", 0.1, 1.5, inplace=False),
    "nn.functional.softsign": plain(),
    "nn.functional.tanh": plain(),
    "nn.functional.tanhshrink": plain(),
    "nn.functional.threshold": lambda d: call(
        d.tensor(), 0.1, value=-2.0, **option(d, inplace=False)
    ),
}
