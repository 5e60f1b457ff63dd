"""Attention on a GPU: few launches, no copies that repeat, half types on tensor cores."""

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.nn.functional import scaled_dot_product_attention

BATCH, TIME, HEADS, WIDTH = 6, 7, 5, 8


def heads(seed, dtype, **where):
    """Heads of a projection, as (batch, heads, time, width)."""
    drawn = np.random.default_rng(seed).standard_normal((BATCH, TIME, HEADS, WIDTH))
    leaf = tg.tensor(drawn.astype(np.float32), **where).to(dtype).requires_grad_()
    return leaf, leaf.transpose(1, 2)


def exact(q, k, v, grad):
    """Causal attention and its gradients in float64."""
    leaves = [tg.tensor(x.detach().cpu().to(tg.float64), requires_grad=True) for x in (q, k, v)]
    out = scaled_dot_product_attention(*leaves, is_causal=True)
    out.backward(grad.cpu().to(tg.float64))
    return out, [leaf.grad for leaf in leaves]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(tg.float32, 1e-5), (tg.float16, 4e-3), (tg.bfloat16, 3e-2)], ids=str
)
def test_values_and_gradients_are_those_of_float64(gpu, dtype, tolerance):
    leaves, (q, k, v) = zip(*(heads(seed, dtype, device="cuda") for seed in range(3)), strict=True)
    out = scaled_dot_product_attention(q, k, v, is_causal=True)
    assert out.dtype == dtype
    grad = tg.ones_like(out)
    out.backward(grad)
    value, gradients = exact(q, k, v, grad)
    found = [out, *(leaf.grad.transpose(1, 2) for leaf in leaves)]
    for one, wanted in zip(found, (value, *gradients), strict=True):
        difference = (one.cpu().to(tg.float64) - wanted).abs().max().item()
        assert difference <= tolerance * max(wanted.abs().max().item(), 1)


def test_half_types_are_multiplied_as_they_are(recording):
    (_, q), (_, k), (_, v) = (heads(seed, tg.bfloat16, device="cuda") for seed in range(3))
    recording.clear()
    scaled_dot_product_attention(q, k, v)
    assert recording.launches.count("gemmStridedBatchedEx") == 2
    assert len(recording.launches) <= 3 + 2 + 2  # copies of heads, products, softmax and its cast


def test_what_several_products_take_is_copied_once(recording):
    (_, q), (_, k), (_, v) = (heads(seed, tg.float32, device="cuda") for seed in range(3))
    grad = tg.ones(BATCH, TIME, HEADS, WIDTH, device="cuda").transpose(1, 2)
    recording.clear()
    out = scaled_dot_product_attention(q, k, v)
    assert recording.launches.count("gemmStridedBatchedEx") == 2
    assert sum(name.startswith("copy_lines") for name in recording.launches) == 3
    recording.clear()
    out.backward(grad)
    assert recording.launches.count("gemmStridedBatchedEx") == 4
    before_leaves = "".join(recording.launches).rpartition("gemm")[0]
    assert before_leaves.count("copy_lines") == 1


def test_a_mask_of_either_dtype_is_added_to_scores_in_float32(gpu):
    (_, q), (_, k), (_, v) = (heads(seed, tg.float16, device="cuda") for seed in range(3))
    later = tg.ones(TIME, TIME).triu(1).to(tg.bool)
    added = tg.zeros(TIME, TIME).masked_fill(later, -math.inf)
    causal = scaled_dot_product_attention(q, k, v, is_causal=True).cpu()
    for mask in (~later, added, added.to(tg.float16)):
        found = scaled_dot_product_attention(q, k, v, mask.to("cuda")).cpu()
        assert (found - causal).abs().max().item() < 1e-2


def test_heads_that_do_not_fit_are_refused_alike(gpu):
    x = tg.ones(2, 3, 4, device="cuda")
    with pytest.raises(tg.ShapeError, match="cannot be multiplied"):
        scaled_dot_product_attention(x, tg.ones(2, 3, 5, device="cuda"), x)
