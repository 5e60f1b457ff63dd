"""A table of vectors that are looked up by number and learnt."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor, no_grad
from tapegrad.autograd import operations as ops

from .. import functional as F
from ..init import normal_
from ..parameter import Parameter
from .module import Module


class Embedding(Module):
    """The rows of a table by their numbers.

    The table starts normal with mean 0 and variance 1, the row of `padding_idx` 0.

    Args:
        num_embeddings: how many rows.
        embedding_dim: how wide they are.
        padding_idx: a row that is not learnt; negative ones count from the end. Default: None.
        max_norm: rows looked up and longer are shortened to it, in the table. Default: None.
        norm_type: the p of the p-norm that is meant. Default: 2.
        scale_grad_by_freq: divide a row's gradient by how often it is looked up. Default: False.
        sparse: changes nothing; the gradient is dense. Default: False.
        device, dtype: where the table lives and what it is.

    Shape:
        input (...) of integers, output (..., embedding_dim);
        weight (num_embeddings, embedding_dim).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.Embedding(10, 3, padding_idx=0)
    >>> layer(tg.tensor([[1, 0]])).shape, layer(tg.tensor(0)).tolist()
    ((1, 2, 3), [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx {padding_idx} is not one of {num_embeddings} rows"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape = (num_embeddings, embedding_dim)
        if _weight is None:
            table = ops.empty(shape, dtype=dtype, device=device)
            self.weight = Parameter(table, requires_grad=not _freeze)
            self.reset_parameters()
        elif tuple(_weight.shape) != shape:
            raise ValueError(f"Embedding: expected a table {shape}, got {tuple(_weight.shape)}")
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer around a table (V, D), which is not trained unless `freeze` is False.

        >>> import tapegrad as tg
        >>> from tapegrad import nn
        >>> nn.Embedding.from_pretrained(tg.tensor([[1.0, 2.0]]))(tg.tensor([0])).tolist()
        [[1.0, 2.0]]
        """
        if embeddings.ndim != 2:
            raise ValueError(
                f"Embedding: expected a table of 2 dimensions, got {tuple(embeddings.shape)}"
            )
        rows, width = embeddings.shape
        return cls(
            rows,
            width,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def forward(self, input: Tensor) -> Tensor:
        """The rows, in the shape of the numbers with one dimension more."""
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        said = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, default in (("padding_idx", None), ("max_norm", None), ("norm_type", 2.0)):
            if getattr(self, name) != default:
                said += f", {name}={getattr(self, name)}"
        said += ", scale_grad_by_freq=True" if self.scale_grad_by_freq else ""
        return said + (", sparse=True" if self.sparse else "")
