"""Every operation against finite differences, to second order, at points away from its kinks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawing import Draw, found, made
from tables import CALLS

import tapegrad as tg
from tapegrad.autograd import grad, gradcheck, gradgradcheck

# Creation, comparisons, whole numbers and places: nothing to differentiate.
FLAT = {
    "arange", "eye", "full", "full_like", "linspace", "logspace", "new_full", "new_ones",
    "new_zeros", "ones", "ones_like", "scalar_tensor", "zeros", "zeros_like", "allclose", "eq",
    "equal", "ge", "greater", "greater_equal", "gt", "heaviside", "isclose", "isfinite", "isin",
    "isinf", "isnan", "isneginf", "isposinf", "isreal", "le", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "not_equal",
    "signbit", "all", "any", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "gcd", "lcm", "argmax", "argmin", "argsort",
    "argwhere", "bincount", "bucketize", "count_nonzero", "histc", "nonzero", "nonzero_static",
    "searchsorted", "unique", "unique_consecutive", "unravel_index", "tril_indices",
    "triu_indices", "nn.functional.one_hot", "linalg.matrix_rank", "broadcast_shapes",
}  # fmt: skip
# Calls whose gradient is not the derivative: by definition, at a kink, of what has none.
UNSUITABLE = {
    "nn.functional.embedding": lambda point: len(point.drawn.args) > 2 or point.drawn.kwargs,
    "nn.functional.embedding_bag": lambda point: "padding_idx" in point.drawn.kwargs,
    "nn.functional.ctc_loss": lambda point: point.drawn.args[0].layout != "normalised",
    "quantile": lambda point: isinstance(point.drawn.args[1], np.floating),
    "nanquantile": lambda point: isinstance(point.drawn.args[1], np.floating),
    "qr": lambda point: not point.drawn.order,
    "linalg.qr": lambda point: not point.drawn.order,
    "linalg.lstsq": lambda point: point.flat_parts(),
}
FEW, MANY = 14, 60  # numbers to differentiate by: the work grows with their square


class Point:
    """A call as a function of the tensors that it may be differentiated by."""

    def __init__(self, name, seed):
        self.drawn = drawn = CALLS[name](Draw(seed))
        self.function = found(tg, name)
        self.arrays, self.leaves = [], []
        args = made((drawn.args, drawn.kwargs), self.leaf, tg)
        reached = [part for part in tensors(args) if part.requires_grad]
        gradients = (
            grad(reached, self.leaves, [tg.ones_like(x) for x in reached], allow_unused=True)
            if reached
            else ()
        )
        self.wanted = [g is not None for g in gradients]
        self.inputs = [x for x, w in zip(self.leaves, self.wanted, strict=False) if w]

    def leaf(self, array):
        tensor = tg.tensor(array)
        self.arrays.append(array)
        if tensor.dtype == tg.float64:
            self.leaves.append(tensor.requires_grad_())
        return tensor

    def __call__(self, *inputs):
        given, wanted = iter(inputs), iter(self.wanted)

        def leaf(array):
            varied = array.dtype == np.float64 and next(wanted)
            return next(given) if varied else tg.tensor(array)

        args, kwargs = made((self.drawn.args, self.drawn.kwargs), leaf, tg)
        result = self.drawn.of(self.function(*args, **kwargs))
        return [part for part in tensors(result) if part.is_floating_point()]

    def flat_parts(self):
        """Outputs that have numbers but no gradient: singular values on the way to another."""
        return [x for x in self(*self.inputs) if x.numel() and not x.requires_grad]

    def suits(self, most):
        """Whether a small step leads across no kink that can be told from here."""
        numbers = np.concatenate([np.ravel(x.detach().numpy()) for x in self.inputs] or [[]])
        if not all(array.size for array in self.arrays) or not 0 < numbers.size <= most:
            return False
        if not np.all(np.isfinite(numbers)) or len(np.unique(np.abs(numbers))) < numbers.size:
            return False
        outputs = self(*self.inputs)
        return (
            0 < sum(out.numel() for out in outputs) <= 3 * most
            and {out.dtype for out in outputs} == {tg.float64}
            and all(np.all(np.isfinite(out.detach().numpy())) for out in outputs)
        )


def tensors(value):
    if isinstance(value, tg.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    parts = value if isinstance(value, (tuple, list)) else []
    return [tensor for part in parts for tensor in tensors(part)]


def points(name, most):
    """Calls of an operation that finite differences can be taken of."""
    for seed in range(100):
        point = Point(name, seed)
        if not UNSUITABLE.get(name, lambda point: False)(point) and point.suits(most):
            yield point


@pytest.mark.parametrize("name", [name for name in CALLS if name not in FLAT])
def test_derivatives_are_those_of_finite_differences(name):
    chosen = list(itertools.islice(points(name, FEW), 4)) or [*points(name, MANY)][:1]
    assert chosen, "no call of the table can be differentiated"
    for point in chosen:
        assert gradcheck(point, point.inputs)
        assert gradgradcheck(point, point.inputs)


@pytest.mark.parametrize("name", sorted(FLAT))
def test_what_is_flat_asks_for_no_gradient(name):
    for seed in range(10):
        point = Point(name, seed)
        if point.drawn.kwargs.get("requires_grad"):
            continue
        assert not any(out.requires_grad for out in point(*point.inputs))
