"""Every operation computes where its tensors are, refuses to mix devices, and seldom waits."""

from __future__ import annotations

import pytest
from calling import count_of_tensors, of_elements, on, parts
from drawing import Draw, found, made
from tables import CALLS

import tapegrad as tg


def several(name):
    """A call of an operation with more than one tensor, if there is one."""
    drawn = of_elements(name)
    for seed in range(30):
        if count_of_tensors(drawn) > 1:
            return drawn
        drawn = CALLS[name](Draw(seed))
    return None


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
        for stranger in range(count_of_tensors(drawn)):
            with pytest.raises(RuntimeError, match="different devices") as caught:
                called(name, drawn, lambda i, s=stranger, o=odd, t=others: o if i == s else t)
            for device in (odd, others):
                assert str(tg.device(device)) in str(caught.value)


def test_those_that_may_mix_are_operations():
    assert set(MAY_MIX) <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_gpu_need_not_be_the_current_one(gpu, name):
    drawn = of_elements(name)
    found = on("cuda:1", name, drawn)
    if count_of_tensors(drawn):
        assert {str(part.device) for part in found} <= {"cuda:1"}
    assert tg.cuda.current_device() == 0


# Where the host waits, and why. Nothing else does, forward or backward.
A_SHAPE_OF_VALUES = "how many there are decides the shape"
AN_ANSWER = "a Python value is the answer"
WHAT_THE_HOST_TAKES = "a tensor is given for a number that decides a shape"
LAPACK = "CuPy's linear algebra says whether it succeeded"
WAITS = {
    "argwhere": A_SHAPE_OF_VALUES,
    "masked_scatter": "there must be as many values as the mask has places",
    "masked_select": A_SHAPE_OF_VALUES,
    "nonzero": A_SHAPE_OF_VALUES,
    "nonzero_static": A_SHAPE_OF_VALUES,
    "bincount": A_SHAPE_OF_VALUES,
    "unique": A_SHAPE_OF_VALUES,
    "unique_consecutive": A_SHAPE_OF_VALUES,
    "repeat_interleave": A_SHAPE_OF_VALUES,
    "nn.functional.one_hot": "the largest decides how many columns there are, if nobody says",
    "nn.functional.embedding_bag": "of the largest, rows that padding_idx leaves out are taken out",
    "nn.functional.ctc_loss": "the lengths of the sequences decide how far it runs",
    "allclose": AN_ANSWER,
    "equal": AN_ANSWER,
    "narrow": WHAT_THE_HOST_TAKES,
    "tensor_split": WHAT_THE_HOST_TAKES,
    **dict.fromkeys(
        ("cholesky", "det", "inverse", "logdet", "matrix_exp", "pinverse", "qr", "slogdet", "svd"),
        LAPACK,
    ),
}


@pytest.mark.parametrize("name", [n for n in CALLS if not n.startswith("linalg.")])
def test_the_host_waits_where_it_must_and_nowhere_else(recording, name):
    drawn = of_elements(name)
    leaves = []

    def placed(array):
        leaves.append(tg.tensor(array, device="cuda"))
        return leaves[-1].requires_grad_() if leaves[-1].is_floating_point() else leaves[-1]

    args, kwargs = made((drawn.args, drawn.kwargs), placed, tg)
    recording.clear()
    for result in parts(found(tg, name)(*args, **kwargs)):
        if result.requires_grad and drawn.order:
            result.backward(tg.ones_like(result), retain_graph=True)
    if name not in WAITS:
        assert recording.synchronisations == []


def test_what_may_wait_are_operations():
    assert set(WAITS) <= set(CALLS)
