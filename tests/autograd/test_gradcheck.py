"""The checker checked: it accepts what is right and catches what is wrong."""

from typing import ClassVar

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import Gate, GradcheckError, gradcheck, gradgradcheck


def leaf(*values, dtype=tg.float64):
    data = values[0] if len(values) == 1 else list(values)
    return tg.tensor(data, dtype=dtype, requires_grad=True)


@pytest.fixture
def gate_of():
    """Makes a binary gate x * y**2 whose backward is the given function."""
    made = []

    def make(rule):
        class Trial(Gate):
            needs: ClassVar = {"x": "x y", "y": "x y"}

            def forward(self, xp, x, y):
                return x * y * y

            def backward(self, node, grad, out, x, y):
                return rule(grad, x, y)

        made.append(Trial())
        return made[-1]

    yield make
    for gate in made:
        Gate.all.pop(gate.name, None)


def right(grad, x, y):
    return grad * y * y, grad * x * y * 2


WRONG = {
    "wrong sign": lambda g, x, y: (-g * y * y, g * x * y * 2),
    "wrong factor": lambda g, x, y: (g * y * y, g * x * y),
    "off by a percent": lambda g, x, y: (g * y * y * 1.01, g * x * y * 2),
    "inputs exchanged": lambda g, x, y: (g * x * y * 2, g * y * y),
    "a constant added": lambda g, x, y: (g * y * y + 1e-3, g * x * y * 2),
    "nothing for one": lambda g, x, y: (None, g * x * y * 2),
    "nan": lambda g, x, y: (g * float("nan"), g * x * y * 2),
}


def test_a_right_gate_passes_both_orders(gate_of):
    gate = gate_of(right)
    inputs = leaf(0.5, -1.2), leaf(1.5, 0.3)
    assert gradcheck(gate, inputs)
    assert gradgradcheck(gate, inputs)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_caught(gate_of, name):
    gate = gate_of(WRONG[name])
    inputs = leaf(0.5, -1.2), leaf(1.5, 0.3)
    with pytest.raises(GradcheckError, match=r"output 0 .*input"):
        gradcheck(gate, inputs)
    assert gradcheck(gate, inputs, raise_exception=False) is False


def test_the_error_shows_both_jacobians_and_the_difference(gate_of):
    with pytest.raises(GradcheckError, match=r"(?s)by up to 4.*analytic.*numerical"):
        gradcheck(gate_of(lambda g, x, y: (g * 0, g * x * y * 2)), (leaf(1.0), leaf(2.0)))


def test_a_missing_sum_over_broadcast_copies_is_caught():
    class Repeated(Gate):
        needs: ClassVar = {"x": ""}

        def forward(self, xp, x):
            return xp.stack([x, x, x])

        def backward(self, node, grad, out, x):
            return grad[0]

    gate = Repeated()
    try:
        assert not gradcheck(gate, leaf(1.0, 2.0), raise_exception=False)
    finally:
        del Gate.all[gate.name]


def test_a_detached_path_is_caught():
    assert not gradcheck(lambda x: x * x.detach(), leaf(1.0, 2.0), raise_exception=False)


def test_a_wrong_second_derivative_is_caught(gate_of):
    def rule(grad, x, y):
        frozen = y.detach() if isinstance(y, tg.Tensor) else y
        return grad * y * frozen, grad * x * y * 2

    gate = gate_of(rule)
    inputs = leaf(0.5, -1.2), leaf(1.5, 0.3)
    assert gradcheck(gate, inputs)
    with pytest.raises(GradcheckError):
        gradgradcheck(gate, inputs)
    assert gradgradcheck(gate, inputs, raise_exception=False) is False


def test_a_second_derivative_lost_by_detaching_the_gradient_is_caught(gate_of):
    def rule(grad, x, y):
        frozen = grad.detach() if isinstance(grad, tg.Tensor) else grad
        return frozen * y * y, frozen * x * y * 2

    assert not gradgradcheck(gate_of(rule), (leaf(0.5), leaf(1.5)), raise_exception=False)


def test_float32_inputs_are_warned_about():
    with pytest.warns(UserWarning, match="float64"):
        gradcheck(lambda x: x * 2, leaf(1.0, dtype=tg.float32), eps=1e-2, atol=1e-2)


def test_a_kink_is_where_the_check_fails():
    assert gradcheck(lambda x: x.relu(), leaf(0.1, -0.1))
    assert not gradcheck(lambda x: x.relu(), leaf(0.0), raise_exception=False)


def test_kinks_take_the_gradient_we_say():
    x = leaf(0.0)
    for function, expected in [(tg.relu, 0.0), (tg.abs, 0.0), (lambda x: x.clamp(0.0, 1.0), 1.0)]:
        assert tg.autograd.grad(function(x), x)[0].item() == expected


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (2, 0, 3)])
def test_every_shape_can_be_checked(shape):
    x = leaf(np.linspace(0.1, 1.0, int(np.prod(shape))).reshape(shape))
    assert gradcheck(lambda x: x.exp() * x, x)
    assert gradgradcheck(lambda x: x.exp() * x, x)


def test_several_inputs_and_outputs():
    assert gradcheck(lambda x, y: (x * y, x + y, (x > 0)), (leaf(1.0, 2.0), leaf(3.0, 4.0)))


def test_inputs_that_require_no_gradient_pass_through():
    assert gradcheck(
        lambda x, c, n: (x * c) ** n, (leaf(1.0, 2.0), tg.tensor([3.0, 4.0]).double(), 2)
    )
    assert gradgradcheck(lambda x, c: x * x * c, (leaf(1.0, 2.0), tg.ones(2).double()))


def test_the_inputs_are_left_as_they_were():
    x = leaf(1.0, 2.0)
    gradcheck(lambda x: x**3, x)
    gradgradcheck(lambda x: x**3, x)
    assert x.tolist() == [1.0, 2.0]
    assert x.grad is None
    assert x.is_leaf


def test_a_function_that_returns_its_input():
    assert gradcheck(lambda x: x, leaf(1.0, 2.0))


def test_without_an_input_that_requires_a_gradient_it_is_an_error():
    with pytest.raises(ValueError, match="requires a gradient"):
        gradcheck(lambda x: x * 2, tg.ones(2))


def test_without_a_floating_output_it_is_an_error():
    with pytest.raises(ValueError, match="no floating"):
        gradcheck(lambda x: x > 0, leaf(1.0))


def test_tolerances_are_obeyed():
    def nearly(x):
        return x * 2 + (x * 1e-4).detach()

    assert not gradcheck(nearly, leaf(1.0), atol=1e-6, rtol=1e-6, raise_exception=False)
    assert gradcheck(nearly, leaf(1.0), atol=1e-3)


def test_given_grad_outputs_are_used():
    assert gradgradcheck(lambda x: x**3, leaf(1.0, 2.0), [leaf(0.5, -0.5)])


def test_an_infinite_gradient_is_not_taken_for_right():
    assert not gradcheck(lambda x: x.sqrt(), leaf(1e-12), raise_exception=False)


def test_a_nan_on_both_sides_is_not_taken_for_right():
    assert not gradcheck(lambda x: x.log(), leaf(-1.0), raise_exception=False)


def test_gradients_on_a_gpu_are_checked_there(gpu):
    x = tg.tensor([[0.5, -1.5], [2.0, 0.25]], dtype=tg.float64, device="cuda", requires_grad=True)
    before = x.tolist()
    assert gradcheck(lambda x: (tg.tanh(x) @ x, x.sum()), x)
    assert gradgradcheck(tg.exp, x)
    assert x.tolist() == before
