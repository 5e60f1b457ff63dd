"""Attention in several heads, as `nn.MultiheadAttention` computes it."""

from __future__ import annotations

import math
from typing import Any

from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import FLOATS, bool_
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates.products import swap

from .affine import linear
from .arguments import float_tensor
from .attention import scaled_dot_product_attention
from .padding import pad
from .regularization import dropout

__all__ = ["multi_head_attention_forward"]

_NAME = "multi_head_attention_forward"


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """Attention in `num_heads` heads between projections (Vaswani et al., 2017).

    Args:
        query, key, value: (L, N, E), (S, N, Ek), (S, N, Ev), or all without N.
        in_proj_weight, in_proj_bias: (3E, E) and (3E,), the three projections; with
            `use_separate_proj_weight` the weights are `q_proj_weight` and so on.
        bias_k, bias_v: (1, 1, E), one more key and value for all, or None.
        add_zero_attn: whether a key and a value of zeros are added.
        dropout_p: the probability with which a weight is dropped in training.
        key_padding_mask: (N, S), True (or -inf) for keys to leave out.
        attn_mask: (L, S) or (N num_heads, L, S), True (or -inf) where a query must not look.
        need_weights: whether the weights are returned too, averaged over the heads
            (`average_attn_weights`) or not; else None.
        static_k, static_v: (N num_heads, S, E / num_heads), to take instead of key and value.
        is_causal: says that `attn_mask` is causal.

    Returns:
        The output (L, N, E) and the weights, (N, L, S) or (N, num_heads, L, S).

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.MultiheadAttention(4, 2)
    >>> x = tg.randn(5, 3, 4)
    >>> out, weights = layer(x, x, x)
    >>> out.shape, weights.shape
    ((5, 3, 4), (3, 5, 5))
    """
    single = float_tensor(_NAME, query)._data.ndim == 2
    if single:
        query, key, value = (ops.unsqueeze(tensor, 1) for tensor in (query, key, value))
        if key_padding_mask is not None:
            key_padding_mask = ops.unsqueeze(key_padding_mask, 0)
    length, batch, width = _check(query, key, value, embed_dim_to_check, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError(f"{_NAME}: is_causal says that attn_mask is causal; there is none")
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None  # known without looking at it
    else:
        attn_mask = _added("attn_mask", attn_mask, query)
        is_causal = False
    padding = _added("key_padding_mask", key_padding_mask, query)
    weights = in_proj_weight
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    q, k, v = _projected((query, key, value), weights, in_proj_bias, width)
    if bias_k is not None and bias_v is not None:
        k, v = (ops.cat((t, b.expand(1, batch, width))) for t, b in ((k, bias_k), (v, bias_v)))
        attn_mask, padding = _wider(attn_mask), _wider(padding)
    heads = batch * num_heads
    q, k, v = (
        t if static is None else static
        for t, static in (
            (ops.transpose(ops.reshape(t, (t.shape[0], heads, width // num_heads)), 0, 1), s)
            for t, s in ((q, None), (k, static_k), (v, static_v))
        )
    )
    if add_zero_attn:
        k, v = (pad(t, (0, 0, 0, 1)) for t in (k, v))
        attn_mask, padding = _wider(attn_mask), _wider(padding)
    mask = _merged(attn_mask, padding, num_heads, k.shape[1])
    noise = dropout_p if training else 0.0
    if need_weights:
        scores = ops.matmul(q * (1 / math.sqrt(q.shape[-1])), swap(k))
        shares = dropout(ops.softmax(scores if mask is None else scores + mask, -1), noise)
        out = ops.matmul(shares, v)
        shares = ops.reshape(shares, (batch, num_heads, length, k.shape[1]))
        shares = shares.mean(1) if average_attn_weights else shares
    else:
        out = scaled_dot_product_attention(q, k, v, mask, noise, is_causal)
        shares = None
    out = linear(
        ops.reshape(ops.transpose(out, 0, 1), (length, batch, width)),
        out_proj_weight,
        out_proj_bias,
    )
    if not single:
        return out, shares
    return ops.squeeze(out, 1), shares if shares is None else ops.squeeze(shares, 0)


def _check(query: Any, key: Any, value: Any, width: int, heads: int) -> tuple[int, int, int]:
    """Length, batch and width of the queries, if the three fit each other."""
    shapes = query.shape, key.shape, value.shape
    if any(len(shape) != 3 for shape in shapes) or shapes[1][:2] != shapes[2][:2]:
        raise ShapeError(
            f"{_NAME}: expected (L, N, E), (S, N, Ek) and (S, N, Ev), or all without N; got "
            f"{describe(query)}, {describe(key)} and {describe(value)}"
        )
    if shapes[0][2] != width or width % heads:
        raise ArgumentError(
            f"{_NAME}: the width of {describe(query)} must be {width}, in multiples of {heads}"
        )
    return shapes[0]


def _projected(tensors: Any, weights: Any, bias: Any, width: int) -> list[Any]:
    """Queries, keys and values by a weight each, or by a third each of one."""
    if not isinstance(weights, tuple):
        weights = ops.split(weights, width)
    biases = (None,) * 3 if bias is None else ops.split(bias, width)
    return [linear(t, w, b) for t, w, b in zip(tensors, weights, biases, strict=True)]


def _added(what: str, mask: Any, like: Any) -> Any:
    """What a mask adds to the scores: -inf where it is True."""
    if mask is None or mask._data.dtype in FLOATS:
        return mask
    if mask._data.dtype != bool_:
        raise DtypeError(f"{_NAME}: {what} must be of booleans or floats, got {describe(mask)}")
    return ops.where(mask, -math.inf, ops.zeros(1, dtype=like.dtype, device=like.device))


def _wider(mask: Any) -> Any:
    """A mask with one more key, which all may look at."""
    return mask if mask is None else pad(mask, (0, 1))


def _merged(mask: Any, padding: Any, heads: int, keys: int) -> Any:
    """Both masks as one, (1 or N heads, L or 1, S)."""
    if mask is not None and mask.ndim == 2:
        mask = ops.unsqueeze(mask, 0)
    if padding is None:
        return mask
    batch = padding.shape[0]
    spread = ops.reshape(padding, (batch, 1, 1, keys)).expand(batch, heads, 1, keys)
    padding = ops.reshape(spread, (batch * heads, 1, keys))
    return padding if mask is None else mask + padding
