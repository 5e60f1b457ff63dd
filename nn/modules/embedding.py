"""Tables of vectors that are looked up by number, one by one or in bags, and learnt."""

from __future__ import annotations

from typing import Any, Self

from tapegrad.autograd import Tensor, no_grad
from tapegrad.autograd import operations as ops

from .. import functional as F
from ..init import normal_
from ..parameter import Parameter
from .module import Module


class _Table(Module):
    """A table whose rows are looked up, one of which may be padding."""

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
        name = type(self).__name__
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"{name}: padding_idx {padding_idx} is not one of {num_embeddings} rows"
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
            raise ValueError(f"{name}: expected a table {shape}, got {tuple(_weight.shape)}")
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def _around(cls, embeddings: Tensor, **settings: Any) -> Self:
        if embeddings.ndim != 2:
            raise ValueError(
                f"{cls.__name__}: expected a table of 2 dimensions, got {tuple(embeddings.shape)}"
            )
        rows, width = embeddings.shape
        return cls(rows, width, _weight=embeddings, **settings)

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def _said(self, **defaults: Any) -> str:
        """The size of the table, and the settings that are not the default."""
        values = {name: getattr(self, name) for name in defaults}
        said = [f"{name}={values[name]!r}" for name in defaults if values[name] != defaults[name]]
        return ", ".join((str(self.num_embeddings), str(self.embedding_dim), *said))


class Embedding(_Table):
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
    ) -> Self:
        """A layer around a table (V, D), which is not trained unless `freeze` is False.

        >>> import tapegrad as tg
        >>> from tapegrad import nn
        >>> nn.Embedding.from_pretrained(tg.tensor([[1.0, 2.0]]))(tg.tensor([0])).tolist()
        [[1.0, 2.0]]
        """
        return cls._around(
            embeddings,
            _freeze=freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )

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
        return self._said(
            padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
        )


class EmbeddingBag(_Table):
    """Sums, means or maxima over bags of rows of a table.

    For a bag b of numbers, `y[b] = sum(weight[k] for k in b)`, that divided by how many they are,
    or the largest of each column; an empty bag gives 0. The rows themselves are not stored for
    sums and means. The table starts normal with mean 0 and variance 1, the row of `padding_idx` 0.

    Args:
        num_embeddings: how many rows, V.
        embedding_dim: how wide they are, D.
        max_norm: rows looked up and longer are shortened to it, in the table. Default: None.
        norm_type: the p of the p-norm that is meant. Default: 2.
        scale_grad_by_freq: divide a row's gradient by how often it is looked up; not of maxima.
            Default: False.
        mode: "sum", "mean" or "max". Default: "mean".
        sparse: changes nothing; the gradient is dense. Default: False.
        include_last_offset: whether `offsets` has one number more, the end of the last bag.
            Default: False.
        padding_idx: a row that is left out of all bags and is not learnt; negative ones count from
            the end. Default: None.
        device, dtype: where the table lives and what it is.

    Shape:
        input (B, n) of integers, or (N,) with offsets (B,), and (B + 1,) with
        `include_last_offset`; per_sample_weights as input; output (B, D); weight (V, D).

    Raises:
        ValueError: for a `padding_idx` that is no row of the table. Other settings are refused
            when the layer is called, by `nn.functional.embedding_bag`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.EmbeddingBag(10, 3, mode="sum", padding_idx=0)
    >>> layer(tg.tensor([4, 2, 0, 0]), tg.tensor([0, 2])).shape
    (2, 3)
    >>> layer(tg.tensor([[0, 0]])).tolist()
    [[0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            device=device,
            dtype=dtype,
        )
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A layer around a table (V, D), which is not trained unless `freeze` is False.

        >>> import tapegrad as tg
        >>> from tapegrad import nn
        >>> layer = nn.EmbeddingBag.from_pretrained(tg.tensor([[1.0, 2.0], [3.0, 6.0]]))
        >>> layer(tg.tensor([[0, 1]])).tolist()
        [[2.0, 4.0]]
        """
        layer = cls._around(
            embeddings,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
        layer.weight.requires_grad = not freeze
        return layer

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        """A row for each bag: of each line of `input` (B, n), or cut from (N,) at `offsets`."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        return self._said(
            max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode=None, padding_idx=None
        )
