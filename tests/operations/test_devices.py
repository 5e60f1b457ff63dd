"""Every operation refuses to mix devices, and computes on a GPU that is not the current one."""

from __future__ import annotations

import pytest
from drawing import Draw, found, made, with_elements
from tables import CALLS

import tapegrad as tg


def of_elements(name):
    return with_elements(CALLS[name], tg.tensor)


def tensors_in(drawn):
    seen = []
    made((drawn.args, drawn.kwargs), lambda array: seen.append(array) or tg.tensor(array), tg)
    return len(seen)


def several(name):
    """A call of an operation with more than one tensor, if there is one."""
    drawn = of_elements(name)
    for seed in range(30):
        if tensors_in(drawn) > 1:
            return drawn
        drawn = CALLS[name](Draw(seed))
    return None


def parts(result):
    found = result if isinstance(result, (tuple, list)) else (result,)
    return [part for part in found if isinstance(part, tg.Tensor)]


def called(name, drawn, device_of):
    """A call whose tensor number i is on the device `device_of(i)`."""
    count = iter(range(1000))
    args, kwargs = made(
        (drawn.args, drawn.kwargs),
        lambda array: tg.tensor(array, device=device_of(next(count))),
        tg,
    )
    return found(tg, name)(*args, **kwargs)


# Where tensors may be on different devices, and why; as in PyTorch.
EACH_BY_ITSELF = "each tensor is looked at by itself"
A_SHAPE = "of the other tensor only the shape counts"
NUMBERS = "what the host reads anyway may be anywhere"
MAY_MIX = {
    "atleast_1d": EACH_BY_ITSELF,
    "atleast_2d": EACH_BY_ITSELF,
    "atleast_3d": EACH_BY_ITSELF,
    "broadcast_tensors": A_SHAPE,
    "expand_as": A_SHAPE,
    "reshape_as": A_SHAPE,
    "view_as": A_SHAPE,
    "fill": NUMBERS,
    "narrow": NUMBERS,
    "tensor_split": NUMBERS,
    "index_put": "a key may be on the CPU",
    "nn.functional.ctc_loss": "the lengths may be on the CPU",
}
MIXED = [name for name in CALLS if several(name) and name not in MAY_MIX]


@pytest.mark.parametrize("name", MIXED)
def test_a_tensor_on_another_device_is_refused_with_both_named(gpu, name):
    drawn = several(name)
    for odd, others in (("cpu", "cuda"), ("cuda", "cpu"), ("cuda:1", "cuda:0")):
        for stranger in range(tensors_in(drawn)):
            with pytest.raises(RuntimeError, match="different devices") as caught:
                called(name, drawn, lambda i, s=stranger, o=odd, t=others: o if i == s else t)
            for device in (odd, others):
                assert str(tg.device(device)) in str(caught.value)


def test_those_that_may_mix_are_operations():
    assert set(MAY_MIX) <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_gpu_need_not_be_the_current_one(gpu, name):
    drawn = of_elements(name)
    leaves = []

    def placed(array):
        leaves.append(tg.tensor(array, device="cuda:1"))
        return leaves[-1].requires_grad_() if leaves[-1].is_floating_point() else leaves[-1]

    args, kwargs = made((drawn.args, drawn.kwargs), placed, tg)
    results = parts(found(tg, name)(*args, **kwargs))
    if not leaves:
        return
    assert {str(result.device) for result in results} <= {"cuda:1"}
    for result in results:
        if result.requires_grad and drawn.order:
            result.backward(tg.ones_like(result), retain_graph=True)
    assert {str(x.grad.device) for x in leaves if x.grad is not None} <= {"cuda:1"}
    assert tg.cuda.current_device() == 0
