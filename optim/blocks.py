"""Walking over the arrays of an update in blocks that stay in the cache.

An update reads and writes a parameter, its gradient and its averages a dozen times. On a CPU each
pass over a large array would come from main memory, and each temporary would be fresh pages; so the
passes are made block by block, into scratch memory that is allocated once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import Array, module_of

BLOCK = 1 << 16  # elements: five float32 blocks fill a second-level cache


class Scratch:
    """Memory for intermediate results, kept from step to step.

    >>> scratch = Scratch(1)
    >>> weight, gradient = np.ones((2, 3)), np.full((2, 3), 0.5)
    >>> for w, g, work in scratch.blocks(weight, gradient):
    ...     w -= np.multiply(g, 0.1, out=work)
    >>> weight.tolist()
    [[0.95, 0.95, 0.95], [0.95, 0.95, 0.95]]
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: dict[np.dtype, list[np.ndarray]] = {}

    def blocks(self, *arrays: Array) -> Iterator[tuple[Any, ...]]:
        """Yield matching stretches of arrays of one shape, with scratch of the same size.

        The stretches are views: writing into them writes into the arrays. Where there is nothing to
        gain or no view to be had (a GPU, a transposed parameter), the whole arrays are one block.
        """
        first = arrays[0]
        xp = module_of(first)
        if xp is not np or not all(array.flags.c_contiguous for array in arrays):
            yield (*arrays, *(xp.empty_like(first) for _ in range(self._count)))
            return
        kept = self._kept.get(first.dtype)
        if kept is None or len(kept[0]) < min(first.size, BLOCK):
            size = min(first.size, BLOCK)
            kept = self._kept[first.dtype] = [
                np.empty(size, first.dtype) for _ in range(self._count)
            ]
        flat = [array.reshape(-1) for array in arrays]
        for start in range(0, first.size, BLOCK):
            stop = min(start + BLOCK, first.size)
            yield (*(a[start:stop] for a in flat), *(a[: stop - start] for a in kept))
