"""Calls of pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from convolution_calls import batch, each, given, size
from drawing import Call, Draw, View, call


def window(d: Draw, dims: int, dilated: bool = False) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A size of images and a window that fits there, padded by half its size at most."""
    largest = 5 if d.integer(0, 4) == 0 else 3 if dims < 3 else 2
    kernel = size(d, dims, 1, largest)
    sides = each(kernel, dims)
    padding = [d.integer(0, k // 2) if d.flag() else 0 for k in sides]
    dilation = size(d, dims, 1, 2) if dilated else 1
    # PyTorch writes outside its memory where dilation puts a whole window on the padding.
    least = [
        max(t * (k - 1) + 1 - 2 * p, t - p + 1 if p else 1, 1 if dims < 3 or dilated else k)
        for k, t, p in zip(sides, each(dilation, dims), padding, strict=True)
    ]
    options = {
        "kernel_size": kernel,
        "stride": d.one_of(None, size(d, dims, 1, 3)),
        "padding": padding,
        "ceil_mode": d.flag(),
    }
    if dilated:
        options["dilation"] = dilation
    return tuple(n + d.integer(0, 3) for n in least), options


def shape(d: Draw, space: tuple[int, ...]) -> tuple[int, ...]:
    """Images of a size."""
    return (*batch(d), d.integer(1, 2), *space)


def maximum(dims: int) -> Callable[[Draw], Call]:
    """Max pooling, with or without indices."""

    def draw(d: Draw) -> Call:
        space, options = window(d, dims, dilated=True)
        order = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        args, kwargs = given(d, order, options)
        return call(d.apart(shape(d, space)), *args, return_indices=d.flag(), **kwargs)

    return draw


def average(dims: int) -> Callable[[Draw], Call]:
    """Average pooling, with every way to count."""

    def draw(d: Draw) -> Call:
        space, options = window(d, dims)
        options["count_include_pad"] = d.flag()
        order: tuple[str, ...] = ("kernel_size", "stride", "padding", "ceil_mode")
        args, kwargs = given(d, (*order, "count_include_pad"), options)
        if dims > 1:
            kwargs["divisor_override"] = d.one_of(None, None, 3, -2)
        # PyTorch cannot differentiate twice where it divides by a number of its user's.
        order_ = 1 if kwargs.get("divisor_override") else 2
        return call(d.tensor(shape(d, space)), *args, order=order_, **kwargs)

    return draw


def norm(dims: int) -> Callable[[Draw], Call]:
    """The norm of each window."""

    def draw(d: Draw) -> Call:
        space, options = window(d, dims)
        del options["padding"]
        kernel = options["kernel_size"]
        options["kernel_size"] = kernel if isinstance(kernel, int) else each(kernel, dims)
        if dims == 1:
            options["kernel_size"] = each(kernel, 1)[0]
        space = tuple(max(pair) for pair in zip(space, each(kernel, dims), strict=True))
        p = d.one_of(1, 2, 3, 2.5, float("inf"), float("-inf"))
        x = d.apart(shape(d, space), 0.2, 2)
        args, kwargs = given(d, ("kernel_size", "stride", "ceil_mode"), options)
        return call(x, p, *args, **kwargs)

    return draw


def adaptive(dims: int, indices: bool) -> Callable[[Draw], Call]:
    """Adaptive pooling to more and to fewer windows than there are elements."""

    def draw(d: Draw) -> Call:
        space = tuple(d.integer(1, 6 if dims < 3 else 4) for _ in range(dims))
        some = (0, 1, 2, 3, 4, 5) if dims == 1 else (0, 1, 2, 3, 4, 5, None)
        output = d.one_of(d.integer(1, 4), [d.one_of(*some) for _ in range(dims)])
        x = d.apart(shape(d, space)) if indices else d.tensor(shape(d, space))
        order = 0 if output == 0 or (isinstance(output, list) and 0 in output) else 2
        # PyTorch does not differentiate what has no windows.
        return call(x, output, order=order, **({"return_indices": d.flag()} if indices else {}))

    return draw


def unpooling(dims: int) -> Callable[[Draw], Call]:
    """Max unpooling, to the plain size and to one beside it."""

    def draw(d: Draw) -> Call:
        kernel = [d.integer(1, 3) for _ in range(dims)]
        stride = d.one_of(None, [d.integer(1, 3) for _ in range(dims)])
        pooled = [d.integer(1, 2) for _ in range(dims)]
        steps = kernel if stride is None else stride
        plain = [(n - 1) * s + k for n, s, k in zip(pooled, steps, kernel, strict=True)]
        sides = [n + d.integer(0, s - 1) for n, s in zip(plain, steps, strict=True)]
        wanted = d.one_of(None, sides)
        places = int(np.prod(plain if wanted is None else sides))
        whole = shape(d, tuple(pooled))
        count = int(np.prod(pooled))
        planes = whole[: len(whole) - dims]
        rows = [d.values().permutation(places)[:count] for _ in range(int(np.prod(planes)))]
        if count > places:
            return draw(d)
        indices = np.array(rows, np.int64).reshape(whole)
        options = {"kernel_size": kernel, "stride": stride, "padding": 0, "output_size": wanted}
        order = ("kernel_size", "stride", "padding", "output_size")
        args, kwargs = given(d, order, options)
        return call(d.tensor(whole), indices, *args, **kwargs)

    return draw


def fractional(dims: int) -> Callable[[Draw], Call]:
    """Fractional max pooling, with the random numbers given."""

    def draw(d: Draw) -> Call:
        kernel = size(d, dims, 1, 3)
        counts = [d.integer(1, 3) for _ in range(dims)]
        # PyTorch wants one place more than it needs of volumes.
        space = [
            m + k - 1 + d.integer(dims - 2, 3)
            for m, k in zip(counts, each(kernel, dims), strict=True)
        ]
        whole = (*d.one_of((), (1,), (2,)), d.integer(1, 2), *space)
        planes = (1, *whole)[-dims - 2 : -dims]
        samples = View(d.values().random((*planes, dims)), lambda t: t.detach(), "constant")
        ratios = [(m + 0.5) / n for m, n in zip(counts, space, strict=True)]
        output = {"output_size": counts} if d.flag() else {"output_ratio": ratios}
        kernel = kernel if isinstance(kernel, int) else each(kernel, dims)
        return call(
            d.apart(whole), kernel, return_indices=d.flag(), _random_samples=samples, **output
        )

    return draw


CALLS: dict[str, Callable[[Draw], Call]] = {
    **{f"nn.functional.max_pool{n}d": maximum(n) for n in (1, 2, 3)},
    **{f"nn.functional.avg_pool{n}d": average(n) for n in (1, 2, 3)},
    **{f"nn.functional.lp_pool{n}d": norm(n) for n in (1, 2, 3)},
    **{f"nn.functional.adaptive_avg_pool{n}d": adaptive(n, False) for n in (1, 2, 3)},
    **{f"nn.functional.adaptive_max_pool{n}d": adaptive(n, True) for n in (1, 2, 3)},
    **{f"nn.functional.max_unpool{n}d": unpooling(n) for n in (1, 2, 3)},
    **{f"nn.functional.fractional_max_pool{n}d": fractional(n) for n in (2, 3)},
}
