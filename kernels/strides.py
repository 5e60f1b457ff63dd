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
