"""Jacobians and Hessians: structure, further differentiation, mistakes (values: tests/parity)."""

from __future__ import annotations

import pytest

import tapegrad as tg
from tapegrad.autograd import functional, gradcheck


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def test_the_softmax_jacobian_is_the_one_of_the_lecture():
    x = leaf(0.5, -1.0, 2.0)
    s = tg.softmax(x, 0).detach()
    expected = tg.diag(s) - tg.outer(s, s)
    assert tg.allclose(functional.jacobian(lambda x: tg.softmax(x, 0), x), expected)


def test_results_can_be_differentiated_again():
    x = leaf(0.5, -1.0)
    assert gradcheck(lambda x: functional.jacobian(tg.exp, x, create_graph=True), x)
    assert gradcheck(lambda x: functional.hessian(lambda x: (x**4).sum(), x, create_graph=True), x)
    v = tg.ones(2, dtype=tg.float64)
    assert gradcheck(lambda x: functional.jvp(tg.tanh, x, v, create_graph=True)[1], x)


def test_the_inputs_keep_their_gradients_to_themselves():
    x = leaf(1.0, 2.0)
    result = functional.jacobian(lambda x: x * x, x)
    assert x.grad is None
    assert not result.requires_grad


def test_a_constant_function_has_a_zero_jacobian():
    assert functional.jacobian(lambda x: tg.ones(2), tg.ones(3)).tolist() == [[0.0] * 3] * 2


def test_an_empty_output_has_an_empty_jacobian():
    assert functional.jacobian(lambda x: x[:0], tg.ones(3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: functional.vjp(tg.exp, tg.ones(2)), RuntimeError, "v may be left out"),
        (lambda: functional.vjp(tg.exp, tg.ones(2), tg.ones(3)), ValueError, "shapes of the outp"),
        (lambda: functional.jvp(tg.exp, tg.ones(2), tg.ones(3)), ValueError, "shapes of the inp"),
        (lambda: functional.hessian(tg.exp, tg.ones(2)), RuntimeError, "single element"),
        (lambda: functional.jacobian(lambda x: 1.0, tg.ones(2)), TypeError, "expected a tensor"),
        (lambda: functional.jacobian(tg.exp, 1.0), TypeError, "inputs must be tensors"),
    ],
)
def test_mistakes_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
