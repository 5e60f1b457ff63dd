"""`autograd.functional` against `torch.autograd.functional`."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import functional as ours

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: tapegrad[parity]")
theirs = torch.autograd.functional

X = np.array([[0.5, -1.5, 2.0], [1.0, 0.3, -0.7]])
Y = np.array([0.2, -0.4, 1.1])

FUNCTIONS = {
    "one": (lambda x: (x * x).tanh(), (X,)),
    "two": (lambda x, y: (x * y).exp(), (X, Y)),
    "several": (lambda x, y: (x.sum(1), (x * y).sum(), y * 3), (X, Y)),
    "unused": (lambda x, y: x * 2 + 1, (X, Y)),
}
SCALARS = {
    "cubes": (lambda x: (x**3).sum(), (X,)),
    "two": (lambda x, y: ((x * y).exp() + y).sum(), (X, Y)),
    "linear": (lambda x: (x * 2).sum(), (X,)),
}


def tensors(library, arrays):
    made = tuple(library.tensor(array, dtype=library.float64) for array in arrays)
    return made if len(made) > 1 else made[0]


def flat(results):
    """All arrays of a nested result, in order."""
    if isinstance(results, tuple):
        return [array for part in results for array in flat(part)]
    return [results.detach().numpy()]


def agree(found, expected):
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert a.shape == b.shape
        assert np.allclose(a, b)


def like(library, values, seed):
    """Random tensors in the structure of `values`."""
    stream = np.random.default_rng(seed)
    listed = values if isinstance(values, tuple) else (values,)
    return tensors(library, [stream.standard_normal(tuple(v.shape)) for v in listed])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobians(name):
    function, arrays = FUNCTIONS[name]
    agree(
        ours.jacobian(function, tensors(tg, arrays)),
        theirs.jacobian(function, tensors(torch, arrays)),
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_products_with_jacobians(name):
    function, arrays = FUNCTIONS[name]
    mine, other = tensors(tg, arrays), tensors(torch, arrays)
    call = (lambda f, v: f(*v)) if len(arrays) > 1 else (lambda f, v: f(v))
    outputs = call(function, mine)
    agree(
        ours.vjp(function, mine, like(tg, outputs, 0)),
        theirs.vjp(function, other, like(torch, outputs, 0)),
    )
    agree(
        ours.jvp(function, mine, like(tg, mine, 1)),
        theirs.jvp(function, other, like(torch, mine, 1)),
    )


@pytest.mark.parametrize("name", SCALARS)
def test_hessians_and_products_with_them(name):
    function, arrays = SCALARS[name]
    mine, other = tensors(tg, arrays), tensors(torch, arrays)
    agree(ours.hessian(function, mine), theirs.hessian(function, other))
    for product in ("hvp", "vhp"):
        agree(
            getattr(ours, product)(function, mine, like(tg, mine, 2)),
            getattr(theirs, product)(function, other, like(torch, mine, 2)),
        )
