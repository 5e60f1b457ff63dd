"""One row or more per gate: inputs at which its gradients are checked, to second order.

`inputs` are shapes (drawn at random, away from kinks: no two elements within 0.05 of each other and
none within 0.05 of 0), arrays taken as they are, or numbers. `positive` draws from above 0.
`through` makes of them what the gate is given. A gate without a row fails the suite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tapegrad.kernels.resampling import cubic, linear, smoothed, wrapped

WINDOW = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
STRIDED = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
POOL = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}
OVERLAP = {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 0)}
DENSE = {"kernel": (2, 2), "stride": (1, 1), "padding": (0, 0)}
LINE = {"stride": (1,), "padding": (0,), "dilation": (2,), "groups": 1}
SPACE = {"stride": (1, 1, 1), "padding": (0, 1, 0), "dilation": (1, 1, 1), "groups": 2}
COLUMNS = {"stride": (2, 1), "padding": (1, 0), "dilation": (2, 1)}
LONG = {"kernel": (3,), "stride": (1,), "padding": (1,)}
LARGE = {"kernel": (5, 4), "stride": (2, 2), "padding": (1, 2)}


@dataclass
class Sample:
    gate: str
    inputs: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    positive: bool = False
    through: Callable[..., tuple[Any, ...]] | None = None
    halves: bool = True  # whether half types are for it

    def __str__(self) -> str:
        shown = [np.shape(v) if isinstance(v, np.ndarray) else v for v in self.inputs]
        return f"{self.gate}{shown}{self.params or ''}"


def _broadcasts(gate: str, positive: bool = False) -> list[Sample]:
    """A gate of two inputs: equal shapes, broadcasting on both sides, scalars, numbers, nothing."""
    pairs = [((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((), ()), ((0, 3), (3,))]
    numbers = [((2,), 1.5), (1.5, (2,))]
    return [Sample(gate, pair, positive=positive) for pair in pairs + numbers]


def _unary(gate: str, positive: bool = False) -> list[Sample]:
    return [Sample(gate, (shape,), positive=positive) for shape in [(2, 3), (), (0,)]]


MASK = np.array([[True, False, True], [False, True, True]])
ROWS = np.array([[0, 2, 1], [1, 1, 0]])
MASK_AND_ROWS = (MASK.any(1).repeat(2)[:3], ROWS[0])
PLACES = np.array([[[[0, 3], [3, 8]]]])
HELD = np.array([[[[4, 4], [3, 8]]]])
APART = np.array([[[[0, 3], [4, 8]]]])


def _matrices(gate: str, *inputs: Any, through: Any = None, **params: Any) -> Sample:
    """A gate of LAPACK's, which has no half types."""
    return Sample(gate, inputs, params, through=through, halves=False)


def _regular(x: Any, *others: Any) -> tuple[Any, ...]:
    return (x + 2 * np.eye(x.shape[-1], dtype=x.dtype), *others)


def _symmetric(x: Any) -> tuple[Any, ...]:
    return (x + x.mT,)


def _positive_definite(x: Any) -> tuple[Any, ...]:
    return _regular(x @ x.mT)


def _factor(b: Any, x: Any, upper: bool = False) -> tuple[Any, ...]:
    mask = np.tri(x.shape[-1], dtype=x.dtype)
    return b, *_regular(x * (mask.T if upper else mask))


def _singular(x: Any) -> tuple[Any, ...]:
    return (x @ x.mT,)


SAMPLES: list[Sample] = [
    *(
        s
        for gate in (
            "add",
            "sub",
            "mul",
            "div",
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "copysign",
            "atan2",
            "hypot",
            "logaddexp",
            "logaddexp2",
        )
        for s in _broadcasts(gate)
    ),
    *(
        s
        for gate in ("remainder", "fmod", "floor_divide", "trunc_divide")
        for s in _broadcasts(gate, positive=True)[:4]
    ),
    *_broadcasts("pow", positive=True),
    *_broadcasts("xlogy", positive=True),
    *(Sample("pow", ((3,), exponent)) for exponent in (0, 1, 2, 3, 4, -1)),
    Sample("addcmul", ((2, 3), (3,), (2, 1)), {"value": -0.5}),
    Sample("addcmul", ((), (3,), (3,)), {"value": 1}),
    Sample("addcdiv", ((2, 3), (3,), (2, 1)), {"value": -0.5}, positive=True),
    Sample("addcdiv", ((), (3,), (3,)), {"value": 1}, positive=True),
    Sample("ldexp", ((2, 3), ROWS)),
    Sample("lerp", ((2, 3), (3,), (2, 1))),
    Sample("lerp", ((2, 3), (3,), 0.3)),
    Sample("clamp_between", ((2, 3), (3,), ())),
    Sample("clamp_between", ((2, 3), None, (2, 1))),
    Sample("clamp_between", ((3,), -0.15, (2, 3))),
    Sample("nan_to_num", ((2, 3),), {"nan": 1.0, "posinf": 2.0, "neginf": 3.0}),
    *(Sample("sinc", ((2, 3),), {"order": order}) for order in (0, 1, 3)),
    *(Sample("round_to", ((2, 3),), {"decimals": decimals}) for decimals in (1, -1)),
    *(Sample("polygamma", ((2, 3),), {"n": n}, positive=True) for n in (0, 1, 2)),
    Sample("acosh", ((2, 3),), through=lambda x: (x + 2,)),
    *(
        s
        for gate in (
            "neg",
            "abs",
            "sign",
            "floor",
            "ceil",
            "trunc",
            "rint",
            "frac",
            "exp",
            "exp2",
            "expm1",
            "sigmoid",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "atanh",
            "erf",
            "erfc",
            "erfinv",
            "i0",
            "i1",
            "relu",
        )
        for s in _unary(gate)
    ),
    *(
        s
        for gate in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "logit", "lgamma")
        for s in _unary(gate, positive=True)
    ),
    *_unary("clone"),
    Sample("arrange", ((2, 3, 2),), {"order": (0, 2, 1)}),
    Sample("arrange", ((),), {"order": None}),
    Sample("relu_gradient", ((2, 3),), through=lambda grad: (grad, grad.detach().flip(0))),
    Sample("relu_gradient", ((2, 3),), through=lambda grad: (grad, grad.detach()[1])),
    Sample("where", (MASK, (2, 3), (2, 3))),
    Sample("where", (MASK, (3,), ())),
    Sample("where", (MASK, (2, 3), 0.0)),
    Sample("clamp", ((2, 3),), {"least": -0.5, "most": 0.5}),
    Sample("clamp", ((2, 3),), {"least": None, "most": 0.5}),
    Sample("cast", ((2,),), {"dtype": np.dtype(np.float64)}),
    Sample("expand", ((1, 3),), {"shape": (2, 2, 3)}),
    Sample("expand", ((),), {"shape": (2,)}),
    Sample("sum_to", ((2, 2, 3),), {"shape": (1, 3)}),
    Sample("sum_to", ((2, 3),), {"shape": ()}),
    *(
        Sample(gate, ((2, 3, 2),), {"dims": dims, "keepdim": keepdim})
        for gate in ("sum", "mean", "nansum", "amax", "amin", "logsumexp")
        for dims, keepdim in [((0, 1, 2), False), ((1,), True), ((0, 2), False)]
    ),
    Sample("sum", ((),), {"dims": (), "keepdim": False}),
    Sample("sum", ((0, 2),), {"dims": (0,), "keepdim": False}),
    *(s for gate in ("silu", "mish", "gelu", "gelu_tanh", "hardswish") for s in _unary(gate)),
    Sample("elu", ((2, 3),), {"alpha": 0.7, "scale": 1.3, "rate": 2.0}),
    Sample("elu", ((),), {"alpha": 1.0, "scale": 1.0, "rate": 1.0}),
    Sample("softplus", ((2, 3),), {"beta": 3.0, "threshold": 0.2}),
    Sample("softplus", ((),), {"beta": 1.0, "threshold": float("inf")}),
    Sample("leaky_relu", ((2, 3), 0.2)),
    Sample("leaky_relu", ((2, 3), (3,))),
    Sample("leaky_relu", ((2, 3), (2, 1))),
    Sample("hardtanh", ((2, 4),), {"least": -0.21, "most": 0.11}),
    Sample("softshrink", ((2, 4),), {"lambd": 0.25}),
    Sample("dropout", ((2, 3), MASK), {"scale": 1.25}),
    Sample("dropout", ((2, 2, 3), MASK[:, :2, None]), {"scale": 1.25}),
    *(
        Sample("dropout_at_random", (shape,), {"p": 0.4, "scale": 1.5, "seed": 3, "offset": 7})
        for shape in [(2, 3), ()]
    ),
    Sample("kl_div", ((2, 3), (2, 3)), positive=True),
    Sample("kl_div", ((2, 1), (3,)), positive=True),
    Sample("normalize", ((3, 4), (1, 4), (1, 4)), {"dims": (1,), "eps": 0.1}),
    Sample("normalize", ((3, 2, 2), (1, 2, 1), (1, 2, 1)), {"dims": (0, 2), "eps": 0.1}),
    Sample("normalize", ((2, 2, 3), (1, 2, 1), None), {"dims": (2,), "eps": 0.1}),
    Sample("normalize", ((2, 2, 2, 2), (1, 2, 2, 1), (1, 2, 2, 1)), {"dims": (2, 3), "eps": 0.1}),
    Sample("normalize", ((3, 4), None, (1, 4)), {"dims": (1,), "eps": 0.1}),
    Sample("normalize_square", ((3, 4), (1, 4)), {"dims": (1,), "eps": 0.1}),
    Sample("normalize_square", ((3, 4), None), {"dims": (1,), "eps": 0.1}),
    Sample("standardize", ((3, 2, 2), *[(1, 2, 1)] * 4), {"eps": 0.1}, positive=True),
    Sample("standardize", ((3, 2), (2,), (2,), 1.0, 0.0), {"eps": 0.1}, positive=True),
    Sample("embedding", ((4, 2),), {"positions": ROWS, "padding": None, "counts": None}),
    *(
        Sample(
            "embedding_bag",
            ((4, 2),),
            {
                "positions": ROWS.reshape(-1),
                "starts": np.array([0, 2, 2]),
                "bags": np.array([0, 0, 2, 2, 2, 2]),
                "mean": mean,
                "padding": padding,
            },
        )
        for mean, padding in ((False, None), (True, 0))
    ),
    Sample("embedding_gradient", ((2, 3, 2),), {"positions": ROWS, "padding": 1, "rows": 4}),
    Sample("var", ((2, 3, 2),), {"dims": (0, 2), "keepdim": False, "correction": 1}),
    Sample("var", ((2, 3),), {"dims": (1,), "keepdim": True, "correction": 0.5}),
    Sample("prod", ((2, 3),), {"dim": 1, "keepdim": False}),
    Sample("median", ((2, 3),), {"skip": False}),
    Sample("median", ((4,),), {"skip": True}),
    *(
        Sample(gate, (shape,), {"dim": 1, **extra})
        for shape in [(2, 5), (2, 0), (2, 1)]
        for gate, extra in [
            ("cumsum", {"reverse": False}),
            ("cumsum", {"reverse": True}),
            ("cumprod", {}),
            ("cummax", {}),
            ("cummin", {}),
            ("logcumsumexp", {}),
        ]
    ),
    Sample("recurrence", ((2, 5), (2, 5)), {"dim": 1, "reverse": False}),
    Sample("recurrence", ((4, 2), (4, 2)), {"dim": 0, "reverse": True}),
    Sample("softmax", ((2, 3),), {"dim": 1}),
    Sample("softmax", ((2, 3),), {"dim": 0}),
    Sample("log_softmax", ((2, 3),), {"dim": 1}),
    Sample("reshape", ((2, 3),), {"shape": (3, 2)}),
    Sample("permute", ((2, 3, 4),), {"dims": (2, 0, 1)}),
    Sample("flip", ((2, 3),), {"dims": (1,)}),
    Sample("pad", ((2, 2),), {"widths": ((1, 0), (0, 2)), "value": 3.0}),
    Sample("cat", ((2, 1), (2, 3)), {"sizes": (1, 3), "dim": 1}),
    Sample("split", ((2, 4),), {"sizes": (1, 3), "dim": 1}),
    Sample("move", ((2,),), {"source": "cpu", "target": "cpu"}),
    Sample("index", ((3, 4),), {"key": (slice(None, None, 2), 1)}),
    Sample("index", ((3, 4),), {"key": np.array([0, 0, 2])}),
    Sample("index", ((2, 3),), {"key": MASK}),
    Sample("index_add", ((3, 4),), {"key": np.array([0, 0, 2]), "shape": (3, 4)}),
    Sample("index_put", ((3, 4), (4,)), {"key": np.array([2, 0])}),
    Sample("index_put", ((3, 4), ()), {"key": (0, slice(1, 3))}),
    Sample("gather", ((2, 3), ROWS), {"dim": 1}),
    Sample("scatter_add", ((2, 3), ROWS), {"dim": 1, "shape": (2, 4)}),
    Sample("scatter_add", ((2, 3), ROWS), {"dim": 0, "shape": (3, 4)}),
    *(
        Sample(gate, (shape,), {"key": key, **extra})
        for key, read in [
            ((slice(None), ROWS[0]), (3, 3)),
            ((..., np.array([-1, 1, 3])), (3, 3)),
            ((ROWS[0], ROWS[1]), (3,)),
            ((ROWS, slice(1, 3)), (2, 3, 2)),
            (MASK_AND_ROWS, (3,)),
        ]
        for gate, shape, extra in [("index", (3, 4), {}), ("index_add", read, {"shape": (3, 4)})]
    ),
    Sample("index_put", ((3, 4), (2,)), {"key": np.arange(12).reshape(3, 4) % 7 == 1}),
    Sample("index_put", ((3,), (3,)), {"key": np.array([1, 1, 0])}),
    Sample("scatter_prod", ((5,), np.array([0, 2, 0, 0, 2])), {"size": 3}),
    Sample("scatter_max", ((3,), (5,), np.array([0, 2, 0, 0, 2]))),
    Sample("scatter_min", ((3,), (5,), np.array([0, 2, 0, 0, 2]))),
    Sample("roll", ((2, 3),), {"shifts": (1, -2), "dims": (0, 1)}),
    Sample("tile", ((2, 3),), {"times": (2, 1, 3)}),
    Sample("repeat", ((2, 3),), {"times": 2, "dim": 1}),
    Sample("stack", ((2, 3), (2, 3)), {"dim": 1}),
    Sample("unbind", ((2, 3),), {"dim": 1}),
    Sample("block_diag", ((2, 3), (0, 1), (1, 2)), {"shapes": ((2, 3), (0, 1), (1, 2))}),
    Sample("diagonal", ((2, 3, 4),), {"offset": -1}),
    Sample("diagonal", ((2, 3),), {"offset": 3}),
    Sample("diag_embed", ((2, 2),), {"offset": 1, "size": (2, 3)}),
    Sample("windows", ((2, 5),), {"dim": 1, "size": 3, "step": 2}),
    Sample("overlap_add", ((2, 2, 3),), {"dim": 1, "size": 3, "step": 2, "shape": (2, 5)}),
    Sample("overlap_add", ((2, 4, 2),), {"dim": 1, "size": 2, "step": 1, "shape": (2, 5)}),
    Sample("matmul", ((2, 3), (3, 4))),
    Sample("matmul", ((2, 1, 2, 3), (3, 3, 2))),
    Sample("matmul", ((2, 0), (0, 3))),
    Sample("cross", ((2, 3), (1, 3)), {"dim": -1}),
    Sample("cross", ((3, 1), (3, 2)), {"dim": -2}),
    Sample("cdist", ((3, 2), (2, 2))),
    Sample("cdist", ((1, 2, 3), (2, 4, 3))),
    *(
        Sample("vector_norm", ((2, 3, 2),), {"p": p, "dims": dims, "keepdim": keepdim})
        for p in (2.0, 1.0, 3.0, 1.5, 0.5, -1.0, 0.0, float("inf"), -float("inf"))
        for dims, keepdim in [((0, 1, 2), False), ((1,), True)]
    ),
    _matrices("cholesky", (3, 3), through=_positive_definite),
    _matrices("cholesky", (2, 2, 2), through=_positive_definite),
    _matrices("eigh", (3, 3), through=_symmetric, triangle="L"),
    _matrices("eigh", (2, 2, 2), through=_symmetric, triangle="U"),
    *(_matrices("svd", shape, full=False) for shape in [(3, 3), (2, 3), (2, 3, 2)]),
    *(
        _matrices("qr", shape, complete=complete)
        for shape, complete in [((3, 3), True), ((2, 3), False), ((2, 3, 2), False)]
    ),
    *(
        _matrices(gate, shape, through=_regular)
        for gate in ("inverse", "det", "slogdet", "cofactors", "matrix_exp")
        for shape in [(3, 3), (2, 2, 2), (1, 1), (0, 0)]
    ),
    *(
        _matrices(gate, shape, through=_singular)
        for gate in ("det", "cofactors")
        for shape in [(3, 2), (3, 1), (4, 2), (2, 2, 1), (1, 0)]
    ),
    _matrices("solve", (3, 3), (3, 2), through=_regular),
    _matrices("solve", (2, 2, 2), (2, 1), through=_regular),
    *(
        _matrices("solve_triangular", *shapes, through=_regular, upper=upper, unit=unit)
        for shapes in [((3, 3), (3, 2)), ((3, 1, 2, 2), (2, 2, 1))]
        for upper in (False, True)
        for unit in (False, True)
    ),
    _matrices("cholesky_solve", (3, 2), (3, 3), through=_factor, upper=False),
    _matrices("cholesky_solve", (2, 2), (2, 2), through=partial(_factor, upper=True), upper=True),
    *(
        _matrices("pinv", shape, atol=0.0, rtol=1e-10, symmetric=False)
        for shape in [(2, 2), (3, 2), (2, 2, 3)]
    ),
    _matrices("pinv", (2, 2), through=_symmetric, atol=0.0, rtol=1e-10, symmetric=True),
    Sample("linear", ((4, 3), (2, 3), (2,))),
    Sample("linear", ((2, 2, 3), (2, 3), None)),
    Sample("linear_relu", ((4, 3), (2, 3), (2,))),
    Sample("linear_relu", ((2, 2, 3), (2, 3), None)),
    Sample("linear_gradient", ((4, 2), (4, 3))),
    Sample("scaled_matmul", ((2, 2, 3), (2, 3, 2)), {"factor": 0.5, "wide": False}),
    Sample("convolution", ((2, 2, 4, 4), (3, 2, 2, 3), (3,)), WINDOW),
    Sample("convolution", ((1, 4, 5, 4), (2, 2, 2, 2), None), STRIDED),
    Sample("convolution_relu", ((2, 2, 4, 4), (3, 2, 2, 3), (3,)), WINDOW),
    Sample("convolution_relu", ((1, 2, 3, 2, 3), (2, 1, 2, 2, 1), None), SPACE),
    Sample("convolution_input", ((1, 2, 3, 3), (2, 2, 2, 2), (2,)), {"size": (4, 4), **WINDOW}),
    Sample("convolution_input", ((1, 2, 3, 6), (2, 2, 2, 2), None), {"size": (5, 4), **STRIDED}),
    Sample("convolution_weight", ((1, 2, 3, 3), (1, 2, 4, 4)), {"kernel": (2, 2), **WINDOW}),
    Sample("convolution_weight", ((1, 2, 3, 6), (1, 4, 5, 4)), {"kernel": (2, 2), **STRIDED}),
    Sample("convolution", ((1, 16, 5), (1, 16, 2), (1,)), LINE),
    Sample("convolution_input", ((1, 2, 2), (2, 2, 2), None), {"size": (4,), **LINE}),
    Sample("convolution_weight", ((1, 2, 2), (1, 2, 4)), {"kernel": (2,), **LINE}),
    Sample("convolution", ((1, 2, 3, 2, 3), (2, 1, 2, 2, 1), None), SPACE),
    Sample(
        "convolution_input",
        ((1, 2, 2, 3, 3), (2, 1, 2, 2, 1), (2,)),
        {"size": (3, 2, 3), **SPACE},
    ),
    Sample("im2col", ((1, 2, 3, 3),), {"kernel": (2, 2), **COLUMNS}),
    Sample("col2im", ((1, 8, 4),), {"size": (3, 3), "kernel": (2, 2), **COLUMNS}),
    Sample("max_pool", ((1, 2, 4, 4),), {**POOL, "dilation": (1, 1), "ceil_mode": False}),
    Sample("max_pool", ((1, 1, 4, 5),), {**OVERLAP, "dilation": (1, 2), "ceil_mode": True}),
    Sample("max_pool", ((1, 1, 9),), {**LONG, "dilation": (2,), "ceil_mode": False}),
    Sample("max_pool", ((1, 1, 5, 5),), {**LARGE, "dilation": (1, 1), "ceil_mode": True}),
    Sample("adaptive_max_pool", ((1, 2, 4, 5),), {"output": (2, 3)}),
    Sample("adaptive_max_pool", ((2, 1, 2, 4, 2),), {"output": (1, 2, 2)}),
    Sample(
        "max_pool_gradient",
        ((1, 1, 2, 2), HELD),
        {**DENSE, "size": (3, 3), "dilation": (1, 1), "ceil_mode": False},
    ),
    Sample("adaptive_max_pool_gradient", ((1, 1, 2, 2), HELD), {"size": (3, 3)}),
    Sample("adaptive_avg_pool", ((1, 2, 4, 5),), {"output": (2, 3)}),
    Sample("adaptive_avg_pool", ((1, 1, 2, 3),), {"output": (3, 1)}),
    Sample("adaptive_avg_pool_gradient", ((1, 2, 2, 3),), {"size": (4, 5)}),
    Sample("adaptive_avg_pool_gradient", ((1, 1, 3, 1),), {"size": (2, 3)}),
    Sample("huber", ((2, 3),), {"delta": 0.15}),
    Sample("binary_cross_entropy", ((2, 3), (2, 3)), positive=True),
    Sample("binary_cross_entropy", ((2, 1), (3,)), positive=True),
    *(
        Sample(
            "cross_entropy",
            inputs,
            {"dim": dim, "ignored": ignored, "reduction": reduction, "smoothing": smoothing},
        )
        for inputs, dim, ignored in [
            (((4, 3), np.array([0, 2, 1, 0]), None), 1, -100),
            (((2, 3, 2), np.array([[0, 2], [1, 0]]), np.array([0.5, 2.0, 1.0])), 1, 0),
            (((3,), np.array(1), None), 0, -100),
        ]
        for reduction in ("mean", "none")
        for smoothing in (0.0, 0.3)
    ),
    Sample("ctc_paths", ((2, 3), (3, 2, 3), MASK)),
    Sample("ctc_paths", ((1, 1), (0, 1, 1), MASK[:1, :1])),
    Sample("band_scan", ((3, 1, 4), *[(2, 1, 4)] * 3), {"reverse": False}),
    Sample("band_scan", ((3, 2, 3), *[(2, 2, 3)] * 3), {"reverse": True}),
    Sample("resample", ((2, 3, 4),), {"plan": ((2, linear(4, 6, None, False, float)),)}),
    Sample(
        "resample",
        ((4, 1, 3),),
        {"plan": ((0, cubic(4, 3, 0.8, True, float)), (2, wrapped(3, 1, 2)))},
    ),
    Sample("resample", ((9, 3),), {"plan": ((0, smoothed(9, 2, None, False, "bicubic", float)),)}),
    Sample("scatter_to_plane", ((1, 1, 2, 2), PLACES), {"size": (3, 3), "adds": True}),
    Sample("scatter_to_plane", ((1, 1, 2, 2), APART), {"size": (3, 3), "adds": False}),
    Sample("gather_from_plane", ((1, 1, 3, 3), PLACES)),
    *(
        Sample(gate, ((1, 2, *size),), {**window, **extra, **counting})
        for window, ceil_mode, counting, out in [
            (POOL, False, {"count_include_pad": True, "divisor": None}, (2, 2)),
            (OVERLAP, True, {"count_include_pad": False, "divisor": None}, (4, 2)),
            (OVERLAP, True, {"count_include_pad": False, "divisor": 5}, (4, 2)),
        ]
        for gate, size, extra in [
            ("avg_pool", (4, 4), {"ceil_mode": ceil_mode}),
            ("avg_pool_gradient", out, {"ceil_mode": ceil_mode, "size": (4, 4)}),
        ]
    ),
]
