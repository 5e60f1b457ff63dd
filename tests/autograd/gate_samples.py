"""One row or more per gate: inputs at which its gradients are checked, to second order.

`inputs` are shapes (drawn at random, away from kinks: no two elements within 0.05 of each other and
none within 0.05 of 0), arrays taken as they are, or numbers. `positive` draws from above 0. A gate
without a row fails the suite.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

WINDOW = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
STRIDED = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
POOL = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}
OVERLAP = {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 0)}


@dataclass
class Sample:
    gate: str
    inputs: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    positive: bool = False

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
PLACES = np.array([[[[0, 3], [3, 8]]]])
APART = np.array([[[[0, 3], [4, 8]]]])

SAMPLES: list[Sample] = [
    *(s for gate in ("add", "sub", "mul", "maximum", "minimum") for s in _broadcasts(gate)),
    *_broadcasts("div"),
    *_broadcasts("remainder", positive=True)[:4],
    *_broadcasts("floor_divide", positive=True)[:4],
    *_broadcasts("pow", positive=True),
    Sample("pow", ((3,), 3)),
    Sample("pow", ((3,), 0)),
    *(
        s
        for gate in (
            "neg",
            "abs",
            "sign",
            "floor",
            "exp",
            "expm1",
            "tanh",
            "sigmoid",
            "sin",
            "cos",
            "erf",
            "relu",
        )
        for s in _unary(gate)
    ),
    *(s for gate in ("log", "log1p", "sqrt") for s in _unary(gate, positive=True)),
    *_unary("clone"),
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
        for gate in ("sum", "amax", "amin", "logsumexp")
        for dims, keepdim in [((0, 1, 2), False), ((1,), True), ((0, 2), False)]
    ),
    Sample("sum", ((),), {"dims": (), "keepdim": False}),
    Sample("sum", ((0, 2),), {"dims": (0,), "keepdim": False}),
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
    Sample("matmul", ((2, 3), (3, 4))),
    Sample("matmul", ((2, 1, 2, 3), (3, 3, 2))),
    Sample("matmul", ((2, 0), (0, 3))),
    Sample("linear", ((4, 3), (2, 3), (2,))),
    Sample("linear", ((2, 2, 3), (2, 3), None)),
    Sample("conv2d", ((2, 2, 4, 4), (3, 2, 2, 3), (3,)), WINDOW),
    Sample("conv2d", ((1, 4, 5, 4), (2, 2, 2, 2), None), STRIDED),
    Sample("conv2d_input", ((1, 2, 3, 3), (2, 2, 2, 2)), {"size": (4, 4), **WINDOW}),
    Sample("conv2d_input", ((1, 2, 3, 6), (2, 2, 2, 2)), {"size": (5, 4), **STRIDED}),
    Sample("conv2d_weight", ((1, 2, 3, 3), (1, 2, 4, 4)), {"kernel": (2, 2), **WINDOW}),
    Sample("conv2d_weight", ((1, 2, 3, 6), (1, 4, 5, 4)), {"kernel": (2, 2), **STRIDED}),
    Sample("max_pool2d", ((1, 2, 4, 4),), {**POOL, "dilation": (1, 1), "ceil_mode": False}),
    Sample("max_pool2d", ((1, 1, 4, 5),), {**OVERLAP, "dilation": (1, 2), "ceil_mode": True}),
    Sample("scatter_to_plane", ((1, 1, 2, 2), PLACES), {"size": (3, 3), "disjoint": False}),
    Sample("scatter_to_plane", ((1, 1, 2, 2), APART), {"size": (3, 3), "disjoint": True}),
    Sample("gather_from_plane", ((1, 1, 3, 3), PLACES)),
    *(
        Sample(gate, ((1, 2, *size),), {**window, **extra, **counting})
        for window, ceil_mode, counting, out in [
            (POOL, False, {"count_include_pad": True, "divisor": None}, (2, 2)),
            (OVERLAP, True, {"count_include_pad": False, "divisor": None}, (4, 2)),
            (OVERLAP, True, {"count_include_pad": False, "divisor": 5}, (4, 2)),
        ]
        for gate, size, extra in [
            ("avg_pool2d", (4, 4), {"ceil_mode": ceil_mode}),
            ("avg_pool2d_gradient", out, {"ceil_mode": ceil_mode, "size": (4, 4)}),
        ]
    ),
]
