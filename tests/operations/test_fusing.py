"""Every operation whose gates are pointwise can be part of a fused function, to the same values."""

import numpy as np
import pytest
from drawing import found, made, with_elements
from tables import CALLS

import tapegrad as tg
from tapegrad.autograd import Gate, Tape


def tensors_of(drawn):
    """The tensors that a call takes, those of floats with a gradient."""
    leaves = []

    def leaf(array):
        leaves.append(tg.tensor(array))
        return leaves[-1].requires_grad_() if leaves[-1].is_floating_point() else leaves[-1]

    made((drawn.args, drawn.kwargs), leaf, tg)
    return leaves


def called(name, drawn):
    """The call as a function of its tensors."""

    def function(*tensors):
        given = iter(tensors)
        args, kwargs = made((drawn.args, drawn.kwargs), lambda array: next(given), tg)
        return found(tg, name)(*args, **kwargs)

    return function


def pointwise(name):
    """Whether all that a call leaves on the tape is pointwise, and it leaves something."""
    drawn = with_elements(CALLS[name], tg.tensor)
    with Tape() as tape:
        called(name, drawn)(*tensors_of(drawn))
    gates = [step.gate for step in tape if step.gate not in ("leaf", "output")]
    return bool(gates) and all(Gate.all[name].pointwise for name in gates)


@pytest.mark.parametrize("name", [name for name in CALLS if pointwise(name)])
def test_what_is_pointwise_fuses_to_the_same_values_and_gradients(name):
    drawn = with_elements(CALLS[name], tg.tensor)
    function, tensors = called(name, drawn), tensors_of(drawn)
    found_by = [], []
    plain, fused = function(*tensors), tg.fused(function)(*tensors)
    np.testing.assert_allclose(fused.detach().numpy(), plain.detach().numpy(), rtol=1e-9)
    if not plain.requires_grad:
        return
    leaves = [t for t in tensors if t.requires_grad]
    for y in (plain, fused):
        y.backward(tg.ones_like(y))
        for leaf in leaves:
            found_by[y is fused].append(
                0 * leaf.detach().numpy() if leaf.grad is None else leaf.grad.numpy()
            )
            leaf.grad = None
    for x, y in zip(*found_by, strict=True):  # None where fused sees that nothing depends on it
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)
