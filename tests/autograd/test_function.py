"""Functions of the user's own: PyTorch's form, on our tape."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import Function, gradcheck, gradgradcheck


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x * x


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = tg.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * y


class SumAndProduct(Function):
    """Two inputs, two outputs, and a number that gets no gradient."""

    @staticmethod
    def forward(ctx, x, y, scale):
        ctx.save_for_backward(x, y)
        ctx.scale = scale
        return (x + y) * scale, x * y

    @staticmethod
    def backward(ctx, to_sum, to_product):
        x, y = ctx.saved_tensors
        shared = to_sum * ctx.scale
        return shared + to_product * y, shared + to_product * x, None


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


@pytest.mark.parametrize("function", [Cube, Exp])
def test_gradients_are_right_to_second_order(function):
    x = leaf(0.5, -1.5)
    assert gradcheck(function.apply, x)
    assert gradgradcheck(function.apply, x)


def test_several_outputs_are_right_to_second_order():
    x, y = leaf(0.5, -1.5), leaf(2.0, 3.0)
    assert gradcheck(lambda x, y: SumAndProduct.apply(x, y, 2.0), [x, y])
    assert gradgradcheck(lambda x, y: SumAndProduct.apply(x, y, 2.0), [x, y])


def test_an_output_that_is_not_used_has_a_zero_gradient():
    x, y = leaf(1.0), leaf(2.0)
    SumAndProduct.apply(x, y, 2.0)[1].backward()
    assert (x.grad.item(), y.grad.item()) == (2.0, 1.0)


def test_the_forward_is_one_step_of_the_tape_by_its_own_name():
    x = leaf(2.0)
    with tg.Tape() as tape:
        y = Cube.apply(x) + 1
    assert [step.gate for step in tape] == ["Cube", "add"]
    assert tape.check()
    y.backward()
    assert "Cube" in str(tape)


def test_the_check_of_the_tape_names_a_wrong_function():
    class Wrong(Cube):
        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    with tg.Tape() as tape:
        Wrong.apply(leaf(2.0))
    with pytest.raises(tg.autograd.GradcheckError, match="'Wrong'"):
        tape.check()


def test_it_knows_which_inputs_need_a_gradient():
    seen = []

    class Look(Function):
        @staticmethod
        def forward(ctx, x, y):
            seen.append(ctx.needs_input_grad)
            return x + y

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    Look.apply(leaf(1.0), tg.ones(1, dtype=tg.float64))
    assert seen == [(True, False)]


def test_indices_and_marked_outputs_carry_no_gradient():
    class Largest(Function):
        @staticmethod
        def forward(ctx, x):
            index, rest = x.argmax(), x * 2
            ctx.save_for_backward(index)
            ctx.mark_non_differentiable(rest)
            return x.max(), index, rest

        @staticmethod
        def backward(ctx, grad, _, __):
            (index,) = ctx.saved_tensors
            return grad * (tg.arange(3) == index).double()

    x = leaf(1.0, 5.0, 2.0)
    value, index, rest = Largest.apply(x)
    assert (value.requires_grad, index.requires_grad, rest.requires_grad) == (True, False, False)
    value.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_a_single_output_of_integers_carries_no_gradient():
    class Where(Function):
        @staticmethod
        def forward(ctx, x):
            return x.argmax()

    assert not Where.apply(leaf(1.0, 5.0)).requires_grad


def test_nothing_is_recorded_without_a_gradient_to_give():
    assert not Cube.apply(tg.ones(2)).requires_grad
    with tg.no_grad():
        assert not Cube.apply(leaf(1.0)).requires_grad


def test_a_second_backward_names_the_function():
    y = Cube.apply(leaf(2.0))
    y.backward()
    with pytest.raises(RuntimeError, match=r"'Cube'.*retain_graph"):
        y.backward()


def test_an_overwritten_saved_tensor_stops_backward():
    x = leaf(1.0, 2.0)
    y = Cube.apply(x).sum()
    with tg.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match=r"'Cube'.*overwritten"):
        y.backward()


def test_a_wrong_number_of_gradients_is_an_error():
    class Short(SumAndProduct):
        @staticmethod
        def backward(ctx, to_sum, to_product):
            return to_sum

    with pytest.raises(RuntimeError, match=r"'Short'.*1 gradients for 3 inputs"):
        Short.apply(leaf(1.0), leaf(1.0), 2.0)[0].backward()


def test_a_forward_must_give_tensors():
    class Number(Function):
        @staticmethod
        def forward(ctx, x):
            return np.float64(1.0)

    with pytest.raises(TypeError, match=r"Number: forward gave .*expected a tensor"):
        Number.apply(leaf(1.0))


def test_saved_tensors_are_there_in_backward_only():
    kept = []

    class Keep(Cube):
        @staticmethod
        def forward(ctx, x):
            kept.append(ctx)
            return Cube.forward(ctx, x)

    Keep.apply(leaf(1.0)).backward()
    with pytest.raises(RuntimeError, match="outside backward"):
        _ = kept[0].saved_tensors
