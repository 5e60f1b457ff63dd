"""Attention: averages of values, weighed by how well keys answer a query."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapegrad.autograd import operations as ops
from tapegrad.autograd.arrays import FLOATS, HALVES, bool_, float32, module_of
from tapegrad.autograd.engine import cast, describe, wrap
from tapegrad.autograd.errors import ArgumentError, DtypeError, ShapeError
from tapegrad.autograd.gates.products import evenly_stacked, scaled_matmul, swap
from tapegrad.autograd.operations.arguments import check_tensor, on_its_gpu, same_dtype
from tapegrad.autograd.operations.products import check_matrices
from tapegrad.kernels.selection import may_hold

from .arguments import float_tensor
from .regularization import dropout

__all__ = ["scaled_dot_product_attention"]


@on_its_gpu
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(Q K^T scale + mask) V (Vaswani et al., 2017).

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, D); the result is (..., L, D).
        attn_mask: broadcasts to (..., L, S): booleans, True where a query may look, or numbers to
            add to the scores. A query that may look nowhere gets 0.
        dropout_p: the probability with which a weight is dropped. Default: 0.
        is_causal: query i looks at keys 0 to i only; then there must be no `attn_mask`.
        scale: Default: 1 / sqrt(E).
        enable_gqa: every head (dimension -3) of key and value serves several of the query.

    >>> import tapegrad as tg
    >>> from tapegrad.nn import functional as F
    >>> values = tg.tensor([[1.0], [3.0]])
    >>> F.scaled_dot_product_attention(tg.zeros(2, 4), tg.zeros(2, 4), values, is_causal=True)
    tensor([[1.],
            [2.]])
    """
    name = "scaled_dot_product_attention"
    for tensor in (query, key, value):
        if float_tensor(name, tensor)._data.ndim < 2:
            raise ShapeError(f"{name}: expected at least 2 dimensions, got {describe(tensor)}")
    same_dtype(name, query, key, value)
    half = query._data.dtype if query._data.dtype in HALVES else None
    if half and attn_mask is not None and attn_mask._data.dtype == half:
        attn_mask = cast(attn_mask, dtype=float32)  # scores are float32, as sums in a product are
    if module_of(query._data) is not np:
        query, key, value = map(evenly_stacked, (query, key, value))
    elif half:
        q, k, v = (cast(tensor, dtype=float32) for tensor in (query, key, value))
        args = attn_mask, dropout_p, is_causal, scale, enable_gqa
        return cast(scaled_dot_product_attention(q, k, v, *args), dtype=half)
    if is_causal and attn_mask is not None:
        raise ArgumentError(f"{name}: is_causal takes no attn_mask; combine them in the mask")
    if enable_gqa:
        key, value = (_shared_heads(name, query, tensor) for tensor in (key, value))
    width = query._data.shape[-1]
    factor = 1 / math.sqrt(max(width, 1)) if scale is None else scale
    scores = _scores(name, query, key, factor)
    unseen = None
    if is_causal:
        scores = scores + _causal(scores, *scores._data.shape[-2:])
    elif attn_mask is not None:
        added, unseen = _added(name, scores, attn_mask)
        scores = scores + added
    weights = ops.softmax(scores, -1)
    if unseen is not None:
        weights = ops.where(unseen, 0.0, weights)
    weights = dropout(weights, dropout_p)
    return ops.matmul(cast(weights, dtype=half) if half else weights, value)


def _scores(name: str, query: Any, key: Any, factor: float) -> Any:
    """Products of queries and keys, scaled; on a GPU one launch, and float32 of half types."""
    if module_of(query._data) is np:
        return ops.matmul(query * factor, swap(key))
    keys = swap(key)
    check_matrices(name, query, keys)
    return scaled_matmul(query, keys, factor=float(factor), wide=True)


def _causal(like: Any, rows: int, columns: int) -> Any:
    """-inf where a key comes after the query, else 0."""
    xp = module_of(like._data)
    later = xp.arange(columns) > xp.arange(rows)[:, None]
    return wrap(xp.where(later, -xp.inf, 0.0).astype(like._data.dtype))


def _added(name: str, query: Any, mask: Any) -> tuple[Any, Any]:
    """What a mask adds to the scores; and which queries may look nowhere, if there are any."""
    data = check_tensor(name, mask)._data
    if data.dtype == bool_:
        zeros = ops.zeros(1, dtype=query.dtype, device=query.device)
        mask = ops.where(mask, zeros, -math.inf)
    elif data.dtype not in FLOATS or data.dtype != query._data.dtype:
        raise DtypeError(
            f"{name}: attn_mask must be of booleans or of the query's dtype, got {describe(mask)} "
            f"for {describe(query)}"
        )
    unseen = ops.all(mask.detach() == -math.inf, dim=-1, keepdim=True)
    if not mask.shape or not may_hold(module_of(data), unseen._data):
        return mask, None
    return ops.where(unseen, 0.0, mask), unseen


def _shared_heads(name: str, query: Any, tensor: Any) -> Any:
    """Every head repeated for as many heads of the query as it serves."""
    shape, heads = tensor._data.shape, query._data.shape[-3:-2]
    if len(shape) < 3 or not heads or not shape[-3] or heads[0] % shape[-3]:
        raise ShapeError(
            f"{name}: enable_gqa needs heads of {describe(query)} in multiples of those of "
            f"{describe(tensor)}"
        )
    each = heads[0] // shape[-3]
    if each == 1:
        return tensor
    spread = ops.expand(ops.unsqueeze(tensor, -3), (*shape[:-2], each, *shape[-2:]))
    return ops.reshape(spread, (*shape[:-3], heads[0], *shape[-2:]))
