"""Shapes and strides: how several arrays are walked together in as few dimensions as they allow."""

from __future__ import annotations

from collections.abc import Sequence

Ints = tuple[int, ...]


def broadcast_strides(shape: Ints, strides: Ints, target: Ints) -> Ints:
    """The strides with which an array walks through a shape it broadcasts to: 0 where it repeats.

    >>> broadcast_strides((3, 1), (1, 1), (2, 3, 4))
    (0, 1, 0)
    """
    lead = len(target) - len(shape)
    return (0,) * lead + tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


def collapse(shape: Ints, strides: Sequence[Ints]) -> tuple[Ints, list[Ints]]:
    """The same walk in as few dimensions as possible.

    Dimensions of size 1 go, and neighbours through which every array steps evenly become one.

    Args:
        shape: the sizes, outermost first.
        strides: for each array, its step in every dimension.

    >>> collapse((2, 3, 4), [(12, 4, 1), (0, 4, 1)])
    ((2, 12), [(12, 1), (0, 1)])
    >>> collapse((2, 1, 4), [(4, 4, 1)])
    ((8,), [(1,)])
    """
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if sizes and all(own[-1] == s[d] * n for own, s in zip(steps, strides, strict=True)):
            sizes[-1] *= n
            for own, s in zip(steps, strides, strict=True):
                own[-1] = s[d]
            continue
        sizes.append(n)
        for own, s in zip(steps, strides, strict=True):
            own.append(s[d])
    return tuple(sizes), [tuple(own) for own in steps]


def filled(shape: Ints) -> Ints:
    """The strides, in elements, of an array that fills its memory in the order of its dimensions.

    >>> filled((2, 3, 4))
    (12, 4, 1)
    """
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def order_in_memory(shape: Ints, strides: Ints) -> Ints | None:
    """The dimensions as they lie in memory, outermost first; None if in the order they have.

    The array may have gaps. A dimension of size 1 stands where its stride says; one of stride 0,
    which is how NumPy inserts it, where it was inserted.

    >>> order_in_memory((2, 3, 4), (12, 1, 3)), order_in_memory((2, 3, 4), (24, 8, 2))
    ((0, 2, 1), None)
    """
    count = len(shape)
    steps, outer = list(map(abs, strides)), 1
    for d in reversed(range(count)):
        if not steps[d] and shape[d] == 1:
            steps[d] = outer
        outer = max(outer, steps[d] * shape[d])
    order = tuple(sorted(range(count), key=lambda d: (-steps[d], shape[d] == 1, d)))
    return None if order == tuple(range(count)) else order


def fills(shape: Ints, strides: Ints, order: Ints | None, step: int = 1) -> bool:
    """Whether an array fills its memory with its dimensions in an order (None: their own).

    Dimensions of size 1 do not count, so an array may fill it in several orders.

    Args:
        shape: of the array.
        strides: of the array.
        order: the dimensions, outermost first.
        step: of one element, in the unit of the strides.

    >>> fills((2, 3, 4), (12, 1, 3), (0, 2, 1)), fills((2, 1, 4), (4, 4, 1), (0, 2, 1))
    (True, True)
    """
    for d in reversed(range(len(shape)) if order is None else order):
        if shape[d] != 1:
            if strides[d] != step:
                return False
            step *= shape[d]
    return True


def channels_last_order(ndim: int) -> Ints:
    """The dimensions (N, C, *size) with the channels innermost.

    >>> channels_last_order(4)
    (0, 2, 3, 1)
    """
    return (0, *range(2, ndim), 1)


def is_channels_last(shape: Ints, strides: Ints) -> bool:
    """Whether (N, C, *size) lies in memory with its channels innermost, gaps allowed.

    Where sizes of 1 leave it open, the strides of these dimensions say what is meant, and if they
    do not, it is not so: PyTorch's rule.

    >>> is_channels_last((2, 3, 4, 5), (60, 1, 15, 3)), is_channels_last((2, 1, 4), (4, 1, 1))
    (True, True)
    >>> is_channels_last((2, 1, 4, 5), (20, 20, 5, 1)), is_channels_last((2, 3, 1), (3, 1, 1))
    (False, False)
    """
    if len(shape) < 3 or not strides[1]:
        return False
    least = 0
    for d in reversed(channels_last_order(len(shape))):
        if not shape[d] or strides[d] < least or (d == 0 and least == strides[1]):
            return False
        least = strides[d] * shape[d]
    return True
