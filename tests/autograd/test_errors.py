"""Mistakes are met where they are made: operation, shapes, dtypes and what to do are named."""

import numpy as np
import pytest

import tapegrad as tg

x23 = tg.zeros(2, 3)


def with_gradient(gradient):
    x = tg.ones(2, requires_grad=True)
    x.grad = gradient
    (x * 2).sum().backward()


MISTAKES = {
    "shapes that do not broadcast": (
        lambda: x23 + tg.zeros(4),
        (ValueError, r"add\(float32\[2, 3\], float32\[4\]\)"),
    ),
    "the same as PyTorch's kind": (
        lambda: x23 * tg.zeros(2),
        (RuntimeError, r"mul\(float32\[2, 3\], float32\[2\]\)"),
    ),
    "matrices that do not meet": (
        lambda: x23 @ x23,
        (RuntimeError, r"matmul: float32\[2, 3\].*3 columns meet 2 rows"),
    ),
    "a dimension out of range": (lambda: x23.sum(2), (IndexError, r"sum: dim 2 .*2 dimensions")),
    "a dimension twice": (lambda: x23.sum((0, 0)), (RuntimeError, "sum: .*twice")),
    "a dimension that is no integer": (lambda: x23.sum(0.5), (TypeError, "sum: dim")),
    "an impossible reshape": (
        lambda: x23.reshape(4, 2),
        (RuntimeError, r"(reshape|view).*\[2, 3\]"),
    ),
    "adding a string": (lambda: x23 + "a", (TypeError, "add: .*str")),
    "adding a list": (lambda: x23.add([1.0]), (TypeError, "add: .*list")),
    "adding a complex number": (lambda: x23 + 1j, (TypeError, "add: .*complex")),
    "multiplying by a NumPy complex number": (
        lambda: x23 * np.complex64(1j),
        (TypeError, "mul: .*complex"),
    ),
    "an array of objects": (
        lambda: x23 + np.array([None, 1, 2]),
        (TypeError, "add: .*array of object"),
    ),
    "an array of strings": (lambda: tg.tensor(np.array(["a"])), (TypeError, "tensor: dtype")),
    "a ragged list": (
        lambda: tg.tensor([[1.0], [1.0, 2.0]]),
        (ValueError, "tensor: cannot make .*list"),
    ),
    "a tensor of nothing": (lambda: tg.tensor(None), (TypeError, "tensor: .*NoneType")),
    "a tensor of objects": (lambda: tg.tensor([None]), (TypeError, "tensor: dtype object")),
    "an unknown dtype": (lambda: tg.zeros(2, dtype="float8"), (TypeError, "float8")),
    "a complex dtype": (lambda: tg.zeros(2, dtype=complex), (TypeError, "complex128 .*supported")),
    "exp of an array": (lambda: tg.exp(np.ones(2)), (TypeError, "exp: expected a Tensor, got nd")),
    "item of several": (lambda: x23.item(), (RuntimeError, r"item: .*float32\[2, 3\]")),
    "truth of several": (lambda: bool(x23 == 0), (RuntimeError, r"\.any\(\) or \.all\(\)")),
    "float of several": (lambda: float(x23), ((RuntimeError, ValueError), "one element")),
    "length of a scalar": (lambda: len(tg.tensor(1.0)), (TypeError, "zero-dim|0-d")),
    "iterating a scalar": (lambda: list(tg.tensor(1.0)), (TypeError, "0-d|zero-dim|scalar")),
    "an index of float": (lambda: x23[tg.tensor(0.5)], (IndexError, r"float32")),
    "an index out of range": (lambda: x23[2], (IndexError, r"index\(float32\[2, 3\]\).*out of")),
    "too many indices": (lambda: x23[0, 0, 0], (IndexError, "too many indices")),
    "a mask of another shape": (
        lambda: x23[tg.tensor([True, False, True])],
        (IndexError, "boolean index"),
    ),
    "an index of a string": (lambda: x23["a"], (IndexError, "ind")),
    "softmax of no such dimension": (lambda: x23.softmax(5), (IndexError, "softmax: dim 5")),
    "mean of integers": (lambda: tg.ones(2).long().mean(), (RuntimeError, r"mean: .*\.float\(\)")),
    "the largest of nothing": (lambda: tg.zeros(0).max(), (RuntimeError, "max: .*nothing")),
    "cat of nothing": (lambda: tg.cat([]), ((RuntimeError, ValueError), "cat")),
    "cat of shapes that differ": (
        lambda: tg.cat([x23, tg.zeros(2, 4)]),
        (RuntimeError, r"cat.*\[2, 3\].*\[2, 4\]"),
    ),
    "stack of shapes that differ": (
        lambda: tg.stack([x23, tg.zeros(2, 4)]),
        (RuntimeError, "stack"),
    ),
    "an impossible split": (lambda: x23.split([1, 1], dim=1), (RuntimeError, "split")),
    "an impossible expand": (lambda: x23.expand(4, 3), (RuntimeError, r"expand.*\[2, 3\]")),
    "where without a boolean": (lambda: tg.where(x23, x23, x23), (RuntimeError, "where.*boolean")),
    "clamp without bounds": (lambda: x23.clamp(), ((ValueError, RuntimeError), "clamp")),
    "gather out of range": (
        lambda: x23.gather(1, tg.tensor([[3]])),
        ((IndexError, RuntimeError), "gather: .*out of range"),
    ),
    "negative sizes": (lambda: tg.zeros(-1), (RuntimeError, "zeros: .*negative")),
    "a size that is no integer": (lambda: tg.zeros(1.5), (TypeError, "zeros: sizes")),
    "an integer to a negative power": (
        lambda: tg.tensor([2]) ** -1,
        (RuntimeError, "pow.*negative"),
    ),
    "the difference of booleans": (
        lambda: tg.tensor([True]) - tg.tensor([True]),
        (RuntimeError, "sub"),
    ),
    "the opposite of a boolean": (lambda: -tg.tensor([True]), (RuntimeError, "neg")),
    "an integer divided by zero": (lambda: tg.tensor([2]) // 0, (RuntimeError, "floor_divide")),
    "the remainder of zero": (lambda: tg.tensor([2]) % 0, (RuntimeError, "remainder")),
    "a gradient for integers": (
        lambda: tg.zeros(2, dtype=tg.int32, requires_grad=True),
        (RuntimeError, "int32.*float"),
    ),
    "backward of nothing": (lambda: x23.sum().backward(), (RuntimeError, "not recorded")),
    "a gradient that is a number": (
        lambda: (tg.ones(1, requires_grad=True) * 2).backward(2.0),
        (TypeError, "gradient"),
    ),
    "a leaf written while recording": (
        lambda: tg.ones(1, requires_grad=True).add_(1),
        (RuntimeError, r"add_: a leaf .*no_grad\(\)"),
    ),
    "numpy of a leaf": (lambda: tg.ones(1, requires_grad=True).numpy(), (RuntimeError, "detach")),
    "an unknown device": (
        lambda: tg.zeros(1, device="tpu"),
        (RuntimeError, "unknown device 'tpu'"),
    ),
    "an argument by two names": (lambda: x23.sum(dim=0, axis=0), (TypeError, "dim=.*axis=")),
    "two argument styles": (lambda: x23.sum(keepdim=True, keepdims=True), (TypeError, "keepdim")),
    "a linear layer that does not fit": (
        lambda: tg.linear(x23, tg.zeros(4, 5)),
        (RuntimeError, r"linear: .*\[2, 3\].*\[4, 5\]"),
    ),
    "a class out of range": (
        lambda: tg.cross_entropy(x23, tg.tensor([0, 3])),
        ((IndexError, RuntimeError), "cross_entropy|nll_loss"),
    ),
    "images without channels": (
        lambda: tg.conv2d(x23, tg.zeros(1, 1, 3, 3)),
        (RuntimeError, r"conv2d: .*\[2, 3\]"),
    ),
    "in-place of another shape": (lambda: tg.zeros(2).add_(x23.T), (RuntimeError, "add_")),
    "looking for what is no number": (
        lambda: None in x23,
        ((TypeError, RuntimeError), "Tensor|tensor|number"),
    ),
    "a gradient of another shape set by hand": (
        lambda: with_gradient(tg.ones(3)),
        ((RuntimeError, ValueError), r"grad.*\[3\]"),
    ),
    "a gradient that is no tensor": (lambda: with_gradient("g"), (TypeError, "grad.*str")),
    "an attribute that is not there": (
        lambda: setattr(tg.zeros(1), "requires_gard", True),
        (AttributeError, "requires_gard"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_in_a_line_or_two(name):
    mistake, (kind, text) = MISTAKES[name]
    with pytest.raises(kind, match=text) as caught:
        mistake()
    assert len(str(caught.value)) < 400
    assert str(caught.value).count("\n") <= 1


def test_an_error_leaves_nothing_recorded_and_the_mode_as_it_was():
    x = tg.zeros(2, 3, requires_grad=True)
    with tg.Tape() as tape, pytest.raises(ValueError, match="add"):
        x + tg.zeros(4)
    assert len(tape) == 0
    assert tg.is_grad_enabled()


def test_comparing_with_what_is_no_number_is_false_as_in_pytorch():
    assert (tg.tensor(1.0) == None) is False  # noqa: E711
    assert (tg.tensor(1.0) == "a") is False
    assert (tg.tensor(1.0) != None) is True  # noqa: E711


def test_a_value_that_does_not_fit_the_dtype_is_refused():
    with pytest.raises((RuntimeError, OverflowError, ValueError)):
        tg.tensor([300], dtype=tg.uint8)
