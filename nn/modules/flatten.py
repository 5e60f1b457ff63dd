"""Layers that only change the shape."""

from __future__ import annotations

from tapegrad.autograd import Tensor

from .module import Module


class Flatten(Module):
    """Merges a range of dimensions into one; by default all but the batch.

    Args:
        start_dim: the first dimension to merge. Default: 1.
        end_dim: the last dimension to merge. Default: -1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Flatten()(tg.ones(5, 2, 3, 4)).shape
    (5, 24)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The input with fewer dimensions."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits a dimension into several, undoing `Flatten`.

    Args:
        dim: the dimension to split.
        unflattened_size: the sizes it becomes; one of them may be -1.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.Unflatten(1, (2, 3))(tg.ones(5, 6)).shape
    (5, 2, 3)
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """The input with more dimensions."""
        dim = self.dim % input.ndim
        return input.reshape(*input.shape[:dim], *self.unflattened_size, *input.shape[dim + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
