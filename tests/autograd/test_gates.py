"""Every gate, from one table: gradients to second order, dtypes, and what the lecture says."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from gate_samples import SAMPLES

import tapegrad as tg
from tapegrad.autograd import Gate, gradcheck, gradgradcheck

DIFFERENTIABLE = {name for name, gate in Gate.all.items() if gate.needs or gate.variadic}


def draw(sample, dtype):
    """The inputs of a row: tensors that require gradients, arrays and numbers as they stand."""
    stream = np.random.default_rng(zlib.crc32(str(sample).encode()))
    inputs = []
    for given in sample.inputs:
        if not isinstance(given, tuple):
            inputs.append(given)
            continue
        size = int(np.prod(given))
        # Spread on a grid of 0.1 around 0, shuffled: no ties, nothing at a kink.
        values = (np.arange(size) - size // 2) * 0.1 + 0.07 + 0.02 * len(inputs)
        values = stream.permutation(np.abs(values) + 0.1 if sample.positive else values)
        inputs.append(tg.tensor(values.reshape(given), dtype=dtype, requires_grad=True))
    return inputs


def call(sample):
    gate, through = Gate.all[sample.gate], sample.through or (lambda *inputs: inputs)

    def differentiable(*inputs):
        out = gate(*through(*inputs), **sample.params)
        return out[0] if isinstance(out, tuple) and gate.outputs == 1 else out

    return differentiable


def test_every_differentiable_gate_has_a_sample():
    without = DIFFERENTIABLE - {sample.gate for sample in SAMPLES}
    assert without == {"pin"}  # of memory that only CuPy has


def test_every_gate_says_what_it_does():
    assert [name for name, gate in Gate.all.items() if not type(gate).__doc__] == []


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_gradients_agree_with_finite_differences_to_second_order(sample):
    inputs = draw(sample, tg.float64)
    assert gradcheck(call(sample), inputs)
    assert gradgradcheck(call(sample), inputs)


@pytest.mark.parametrize("dtype", [tg.float32, tg.float16], ids=str)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_values_and_gradients_keep_their_dtype(sample, dtype):
    if sample.gate == "cast":
        pytest.skip("a cast is there to change the dtype")
    inputs = draw(sample, dtype)
    if dtype == tg.float16 and not sample.halves:
        with pytest.raises(RuntimeError, match="float16"):
            call(sample)(*inputs)
        return
    outputs = call(sample)(*inputs)
    outputs = [
        o for o in (outputs if isinstance(outputs, tuple) else (outputs,)) if o.requires_grad
    ]
    assert {o.dtype for o in outputs} == {dtype}
    tg.autograd.backward(outputs, [tg.ones_like(o) for o in outputs])
    leaves = [x for x in inputs if isinstance(x, tg.Tensor)]
    assert {x.grad.dtype for x in leaves} == {dtype}
    assert [x.grad.shape for x in leaves] == [x.shape for x in leaves]


POINTWISE = [sample for sample in SAMPLES if Gate.all[sample.gate].pointwise]


@pytest.mark.parametrize("sample", POINTWISE, ids=str)
def test_a_pointwise_gate_makes_each_element_from_one_of_each_input(sample):
    inputs = draw(sample, tg.float64)
    out = call(sample)(*inputs)
    if not out.ndim or not out.shape[0]:
        return
    assert out.shape == np.broadcast_shapes(*(np.shape(value) for value in inputs))
    place = tuple(n - 1 for n in out.shape)
    one = np.zeros(out.shape)
    one[place] = 1.0
    leaves = [value for value in inputs if isinstance(value, tg.Tensor)]
    for leaf, grad in zip(
        leaves, tg.autograd.grad(out, leaves, one, allow_unused=True), strict=True
    ):
        assert grad is None or np.count_nonzero(grad.data) <= 1, leaf.shape


def test_add_distributes_the_gradient():
    x, y = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0], requires_grad=True)
    (x + y).backward(tg.tensor([10.0, 20.0]))
    assert x.grad.tolist() == y.grad.tolist() == [10.0, 20.0]


def test_mul_swaps_its_inputs():
    x, y = tg.tensor(3.0, requires_grad=True), tg.tensor(-4.0, requires_grad=True)
    (x * y).backward()
    assert (x.grad.item(), y.grad.item()) == (-4.0, 3.0)


def test_max_routes_the_gradient_to_the_winner():
    x, y = tg.tensor([1.0, 5.0], requires_grad=True), tg.tensor([2.0, 4.0], requires_grad=True)
    tg.maximum(x, y).backward(tg.tensor([7.0, 9.0]))
    assert x.grad.tolist() == [0.0, 9.0]
    assert y.grad.tolist() == [7.0, 0.0]


@pytest.mark.parametrize(
    ("gate", "word"), [("add", "distributes"), ("mul", "swaps"), ("maximum", "routes")]
)
def test_the_docstring_says_what_the_lecture_says(gate, word):
    assert word in type(Gate.all[gate]).__doc__


def test_gradients_that_meet_add_up():
    x = tg.tensor(3.0, requires_grad=True)
    (x * x + x * 2.0).backward()
    assert x.grad.item() == 8.0
