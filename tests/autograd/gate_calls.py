"""Every way to call a pointwise gate whose kernel is tested, and the elements that it is given.

The calls come from `gate_samples` and from the tables here; each is made at every dtype that the
gate takes. The elements are random ones and those at which formulas break.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gate_samples import SAMPLES

from tapegrad.autograd import arrays as a
from tapegrad.autograd.arrays import FLOATS, INTEGERS, bool_, float64, wide
from tapegrad.autograd.engine import Gate

REALS = (a.float32, a.float64, a.float16, a.bfloat16)
WHOLES = (a.int8, a.int16, a.int32, a.int64, a.uint8, *map(np.dtype, (np.uint32, np.uint64)))

# Gates of floats alone, though NumPy would compute something of whole numbers too.
OF_FLOATS = {
    "addcdiv", "binary_cross_entropy", "dropout", "dropout_at_random", "elu", "gelu", "gelu_tanh",
    "hardswish", "huber", "kl_div", "leaky_relu", "lerp", "mish", "nan_to_num", "silu", "softplus",
    "softshrink", "standardize",
}  # fmt: skip
NOT_OF_BOOLEANS = {"clamp", "hardtanh"}  # their numbers have made integers of them
QUOTIENTS = {"floor_divide", "trunc_divide", "remainder", "fmod"}  # of whole numbers, not by 0

# Elements that are left out, where NumPy or SciPy is no measure.
LEFT_OUT: dict[str, Callable[..., Any]] = {
    "binary_cross_entropy": lambda p, y: abs(y.astype(float64) - 0.5) > 0.5,  # no probability
    "i0": np.isinf,  # NaN in SciPy, and the limit in CUDA
    "i1": np.isinf,
    "lgamma": lambda x: abs(x.astype(float64)) < 1e-307,  # SciPy's overflows too early
    "sinc": lambda x: abs(x.astype(float64)) > 1e307,  # pi x overflows
}

Inputs = tuple[Any, ...]
ONE, TWO, THREE = ("x",), ("x", "x"), ("x", "x", "x")
EITHER_SIDE: list[tuple[Inputs, dict[str, Any]]] = [(TWO, {}), (("x", 1.5), {}), ((1.5, "x"), {})]

BOUNDS = [(-0.5, None), (1, -1), (None, None)]
WHOLE_BOUNDS = [(2, 5), (None, 5), (-(10**6), 7)]

# Calls beyond those of `gate_samples`, which has the gates that have a gradient.
FLOATING: dict[str, list[tuple[Inputs, dict[str, Any]]]] = {
    "cast": [
        (ONE, {"dtype": np.dtype(name)})
        for name in ("bool", "uint8", "int32", "int64", "float16", "float32")
    ],
    "clamp": [(ONE, {"least": least, "most": most}) for least, most in BOUNDS],
    "clamp_between": [(THREE, {}), (("x", "x", None), {}), (("x", None, None), {})],
    "elu": [(ONE, {"alpha": 1.6732632423543772, "scale": 1.0507009873554805, "rate": 1.0})],
    "heaviside": [(TWO, {})],
    "isclose": [
        (TWO, {"rtol": 1e-5, "atol": 1e-8, "equal_nan": False}),
        (("x", 0.5), {"rtol": 0.5, "atol": 0.25, "equal_nan": True}),
    ],
    "ldexp": [(("x", "power"), {})],
    "lerp": [(THREE, {})],
    "polygamma": [(ONE, {"n": n}) for n in (3, 4, 9)],
    "pow": [(("x", y), {}) for y in (2.0, 5, 7, 8, 0.5, -2.0, 1.7)] + [((2.0, "x"), {})],
    "relu_gradient": [(TWO, {})],
    "round_to": [(ONE, {"decimals": decimals}) for decimals in (0, 3, -2)],
    "sinc": [(ONE, {"order": order}) for order in (2, 4, 7)],
    "softplus": [
        (ONE, {"beta": 1.0, "threshold": 20.0}),
        (ONE, {"beta": -0.5, "threshold": 100.0}),
    ],
    "where": [(("mask", 1.5, "x"), {})],
}
# Calls on whole numbers, where those on floats would not do.
WHOLE: dict[str, list[tuple[Inputs, dict[str, Any]]]] = {
    "addcmul": [(THREE, {"value": 3})],
    "clamp": [(ONE, {"least": least, "most": most}) for least, most in WHOLE_BOUNDS],
    "clamp_between": [(THREE, {}), (("x", 2, None), {})],
    "hardtanh": [(ONE, {"least": 1, "most": 6})],
    "pow": [(TWO, {}), *((("x", y), {}) for y in (0, 1, 2, 3, 7)), ((3, "x"), {})],
}


@dataclass(frozen=True)
class Call:
    """A gate called at a dtype.

    inputs      for each input "x", an array of the dtype; "mask", of booleans; "power", of whole
                numbers; a number; or None
    """

    gate: Gate
    dtype: np.dtype
    inputs: Inputs
    params: dict[str, Any]

    def __str__(self) -> str:
        shown = [*map(str, self.inputs), *(f"{k}={v}" for k, v in self.params.items())]
        return f"{self.gate.name}-{self.dtype}-{','.join(shown)}"

    def arrays(self) -> list[np.ndarray]:
        """The elements of each input that is an array, side by side."""
        found = self._combined()
        if self.gate.name in QUOTIENTS and self.dtype in INTEGERS:
            found[-1][found[-1] == 0] = 3
        if self.gate.name in LEFT_OUT:
            kept = ~LEFT_OUT[self.gate.name](*found)
            found = [column[kept] for column in found]
        return found

    def _combined(self) -> list[np.ndarray]:
        kinds = [kind for kind in self.inputs if type(kind) is str]
        rng = np.random.default_rng(len(self.gate.name))
        columns = [self._elements(kind, rng) for kind in kinds]
        if len(columns) == 1:
            return columns
        least = min(column.size for column in columns)
        if len(columns) > 2:
            places = rng.integers(0, least, (len(columns), 700))
        else:  # of the elements that are special, every pair
            sizes = [range(min(column.size, SPECIAL)) for column in columns]
            pairs = np.array(list(itertools.product(*sizes))).T
            places = np.concatenate([pairs, rng.integers(0, least, (2, 200))], 1)
        return [column[p] for column, p in zip(columns, places, strict=True)]

    def _elements(self, kind: str, rng: np.random.Generator) -> np.ndarray:
        if kind == "mask":
            return rng.random(100) < 0.5
        if kind == "power":
            return np.array([0, 1, -1, 3, -24, -150, 127, 1023, -1074, 5000, -5000])
        if self.gate.name == "cast" and self.params["dtype"].kind in "iu":
            return (rng.random(100) * 100).astype(self.dtype)  # others depend on the machine
        found = elements(self.dtype, rng)
        if self.gate.name == "round_to" and self.dtype in INTEGERS:  # past the end, likewise
            return found // 2
        return found

    def computed(self, given: list[np.ndarray]) -> np.ndarray:
        """What NumPy's forward makes of the arrays."""
        rest = iter(given)
        inputs = [next(rest) if type(kind) is str else kind for kind in self.inputs]
        if any(array.dtype == a.bfloat16 for array in given):  # a number would widen it, in NumPy
            inputs = [np.asarray(i, a.bfloat16) if type(i) is float else i for i in inputs]
        return self.gate.compute(np, *inputs, **self.params)

    @property
    def result(self) -> np.dtype:
        """The dtype of the result."""
        return self.computed([array[:1] for array in self.arrays()]).dtype


SPECIAL = 24  # the first elements of a column, of which every pair is tried


def elements(dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """Elements of a dtype: first those at which formulas break, then random ones."""
    if dtype == bool_:
        return np.array([False, True])
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        small = [n for n in (0, 1, 2, 3, 5, 7, 12, 63, 100, -1, -2, -3, -7) if n >= info.min]
        random = rng.integers(info.min, info.max, 100, dtype, endpoint=True)
        edges = [info.min, info.min + 1, info.max - 1, info.max]
        return np.concatenate([np.array([*small, *edges], dtype), random // 7, random])
    info = np.finfo(np.float32 if dtype == a.bfloat16 else dtype)
    large, least = float(info.max) * 0.9, float(info.smallest_normal)
    special = [0.0, -0.0, 1, -1, math.inf, -math.inf, math.nan, 0.5, -0.5, 1.5, 2.5, -2.5, 2, 3]
    special += [1e4, -1e4, large, -large, least / 4, -least / 4, 80, -80, 1e-3, -7]
    assert len(special) == SPECIAL
    random = [
        rng.normal(0, 3, 60),
        rng.random(40),
        rng.normal(0, 1000, 10),
        1 + rng.normal(0, 1e-2, 10),
    ]
    return np.concatenate([special, *random]).astype(dtype)


def calls(gate: Gate) -> list[Call]:
    """The ways to call a pointwise gate, at every dtype that it takes."""
    given = [s for s in SAMPLES if s.gate == gate.name and not s.through]
    sampled = [(tuple(map(_kind, s.inputs)), s.params) for s in given]
    sampled += FLOATING.get(gate.name, [])
    sampled = sampled or (EITHER_SIDE if len(gate.input_names) == 2 else [(ONE, {})])
    found: dict[str, Call] = {}
    for dtype in (*REALS, *WHOLES, bool_):
        if dtype not in FLOATS and (gate.floats or gate.name in OF_FLOATS):
            continue
        if dtype == bool_ and gate.name in NOT_OF_BOOLEANS:
            continue
        ways = sampled if dtype in FLOATS else WHOLE.get(gate.name, sampled)
        for inputs, params in ways:
            if dtype in INTEGERS:
                inputs = tuple(2 if type(i) is float else i for i in inputs)
            call = Call(gate, dtype, inputs, params)
            numbers = any(type(i) in (int, float) for i in inputs)
            if "x" in inputs and not (numbers and dtype == bool_) and _takes(call):
                found.setdefault(str(call), call)
    return list(found.values())


def _kind(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return "mask" if value.dtype == bool else "power"
    return "x" if isinstance(value, tuple) else value


def _takes(call: Call) -> bool:
    """Whether the gate takes the dtype: NumPy refuses it otherwise."""
    try:
        result = call.result
    except TypeError:
        return False
    return call.dtype != bool_ or result in (bool_, a.int8)  # others have made integers of it


def wider(call: Call, given: list[np.ndarray], dtype: np.dtype | None) -> list[np.ndarray]:
    """The arrays with those of the call's dtype in float64, or in the dtype computed with."""
    kinds = [kind for kind in call.inputs if type(kind) is str]
    return [
        array.astype(dtype or wide(call.dtype)) if kind == "x" and call.dtype in FLOATS else array
        for kind, array in zip(kinds, given, strict=True)
    ]
