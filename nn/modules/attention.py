"""Attention in several heads, with its projections."""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

from .. import functional as F
from ..init import xavier_normal_, xavier_uniform_, zeros_
from ..parameter import Parameter
from .linear import Linear
from .module import Module


class MultiheadAttention(Module):
    """Attention in several heads between linear projections (Vaswani et al., 2017).

    Args:
        embed_dim: the width E, in multiples of `num_heads`.
        num_heads: how many heads.
        dropout: the probability with which a weight is dropped in training. Default: 0.
        bias: whether the projections have biases. Default: True.
        add_bias_kv: whether one more key and value are learnt. Default: False.
        add_zero_attn: whether a key and a value of zeros are added. Default: False.
        kdim, vdim: widths of keys and values. Default: E.
        batch_first: whether the batch is the first dimension, not the second. Default: False.
        device, dtype: where the parameters live and what they are.

    Shape:
        query (L, N, E), key (S, N, kdim), value (S, N, vdim), or all without N; output (L, N, E),
        weights (N, L, S).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tg.randn(3, 5, 8)
    >>> out, weights = layer(x, x, x)
    >>> out.shape, weights.shape, bool((weights.sum(-1) - 1 < 1e-5).all())
    ((3, 5, 8), (3, 5, 5), True)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim {embed_dim} must be a multiple of num_heads "
                f"{num_heads}"
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn
        self.separate = (self.kdim, self.vdim) != (embed_dim, embed_dim)

        def parameter(name: str, wanted: bool, *shape: int) -> None:
            made = Parameter(ops.empty(shape, dtype=dtype, device=device)) if wanted else None
            self.register_parameter(name, made)

        parameter("q_proj_weight", self.separate, embed_dim, embed_dim)
        parameter("k_proj_weight", self.separate, embed_dim, self.kdim)
        parameter("v_proj_weight", self.separate, embed_dim, self.vdim)
        parameter("in_proj_weight", not self.separate, 3 * embed_dim, embed_dim)
        parameter("in_proj_bias", bias, 3 * embed_dim)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        parameter("bias_k", add_bias_kv, 1, 1, embed_dim)
        parameter("bias_v", add_bias_kv, 1, 1, embed_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projections anew; their biases are 0."""
        for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_weight"):
            if getattr(self, name) is not None:
                xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            zeros_(self.in_proj_bias)
            zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            xavier_normal_(self.bias_k)
            xavier_normal_(self.bias_v)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output and the weights; masks are as in `multi_head_attention_forward`."""
        turned = self.batch_first and query.ndim == 3
        if turned:
            query, key, value = (t.transpose(0, 1) for t in (query, key, value))
        out, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            self.separate,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (out.transpose(0, 1) if turned else out), weights
