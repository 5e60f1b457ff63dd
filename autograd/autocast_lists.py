"""PyTorch 2.13's lists: what `autocast` casts to before an operation, for each kind of device.

"lower" is the half type of the region, "widest" the widest dtype among the tensors given, and
"refused" an error. Names under `linalg.` are of that module; `bordered` and `upsampled` are what
`pad` and `interpolate` end in for the modes that are listed; `__pow__` and its like are methods.
What PyTorch makes of listed operations alone, and so casts without listing it, is listed here
(`einsum` on a CPU).
"""

from __future__ import annotations

_PRODUCTS = """
    addbmm addmm baddbmm bmm chain_matmul conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d einsum linalg.multi_dot linalg.vecdot linear matmul mm prelu
    scaled_dot_product_attention
"""
_LOSSES = """
    binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss
    huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss
    nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss
"""
_LISTS = {
    "cuda": {
        "lower": f"{_PRODUCTS} addmv addr mv",
        "float32": f"""
            {_LOSSES}
            acos arccos arcsin asin cdist cosh cosine_similarity cumprod cumsum dist erfinv exp
            expm1 group_norm layer_norm linalg.matrix_norm linalg.norm linalg.vector_norm log log10
            log1p log2 log_softmax logsumexp norm normalize pdist pow prod reciprocal
            rms_norm rsqrt sinh softmax softplus sum tan upsampled __pow__ __rpow__ __rtruediv__
        """,
        "widest": """
            addcdiv addcmul arctan2 atan2 bilinear cross dot grid_sample grid_sampler
            index_put inner linalg.cross scatter_add tensordot vdot
        """,
        "refused": "binary_cross_entropy",
    },
    "cpu": {
        "lower": f"{_PRODUCTS} inner tensordot",
        "float32": f"""
            {_LOSSES}
            adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy bordered cdist
            cholesky cholesky_inverse cholesky_solve ctc_loss fractional_max_pool2d
            fractional_max_pool3d grid_sample grid_sampler grid_sampler_2d grid_sampler_3d inverse
            linalg.cholesky linalg.cholesky_ex linalg.cond linalg.eigh linalg.eigvalsh linalg.inv
            linalg.inv_ex linalg.lstsq linalg.matrix_rank linalg.qr linalg.solve linalg.svd
            linalg.svdvals linalg.tensorinv linalg.tensorsolve max_pool3d max_unpool1d max_unpool2d
            max_unpool3d nanquantile pinverse prod qr quantile svd trace triangular_solve
        """,
        "widest": "cat stack index_copy",
        "refused": "",
    },
}
POLICIES: dict[str, dict[str, str]] = {
    kind: {name: policy for policy, names in lists.items() for name in names.split()}
    for kind, lists in _LISTS.items()
}
