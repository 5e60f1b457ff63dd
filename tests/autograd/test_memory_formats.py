"""Memory formats change strides alone, and copies of all kinds keep them."""

import copy
import pickle

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.autograd.gradcheck import gradcheck


def images(device="cpu"):
    return tg.rand(2, 3, 4, 5, device=device).to(memory_format=tg.channels_last)


def test_values_stay():
    x = tg.rand(2, 3, 4, 5)
    y = x.to(memory_format=tg.channels_last)
    assert y.stride() == (60, 1, 15, 3)
    assert (y == x).all()
    assert (y.contiguous() == x).all()


def test_a_change_of_format_is_differentiated():
    x = tg.rand(2, 3, 2, 2, dtype=tg.float64, requires_grad=True)
    assert gradcheck(lambda x: (x.to(memory_format=tg.channels_last) ** 2).contiguous(), (x,))


def test_a_format_is_one_object_wherever_it_goes():
    for made in (copy.deepcopy(tg.channels_last), pickle.loads(pickle.dumps(tg.channels_last))):
        assert made is tg.channels_last
    assert repr(tg.channels_last_3d) == "tapegrad.channels_last_3d"
    assert isinstance(tg.contiguous_format, tg.memory_format)


def test_errors_name_the_operation_and_the_format():
    with pytest.raises(RuntimeError, match=r"contiguous: .*channels_last is for tensors of 4"):
        tg.rand(2, 3).contiguous(memory_format=tg.channels_last)
    with pytest.raises(TypeError, match="zeros_like: memory_format must be one of"):
        tg.zeros_like(tg.rand(2), memory_format="channels_last")


def test_a_deep_copy_keeps_the_layout():
    layer = nn.Conv2d(3, 4, 3).to(memory_format=tg.channels_last)
    assert copy.deepcopy(layer).weight.stride() == layer.weight.stride()
    assert copy.deepcopy(images()).stride() == (60, 1, 15, 3)


def test_a_layer_converts_its_images_and_leaves_its_vectors():
    layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.to(memory_format=tg.channels_last)
    assert layer[0].weight.is_contiguous(memory_format=tg.channels_last)
    assert layer[2].weight.is_contiguous()
    for name, value in layer.state_dict().items():
        assert (value == before[name]).all()


def test_a_gradient_takes_the_layout_of_its_leaf():
    x = images().requires_grad_()
    (x * tg.rand(2, 3, 4, 5)).sum().backward()
    assert x.grad.stride() == x.stride()
    y = tg.rand(3, 4).T.requires_grad_()
    y.sum(0).sum().backward()
    assert y.grad.stride() == (1, 4)


def test_copies_between_devices_keep_the_layout(gpu):
    x = images()
    there = x.to("cuda")
    assert there.stride() == x.stride()
    assert there.to("cuda:1").stride() == x.stride()
    assert x.contiguous().cuda(memory_format=tg.channels_last).stride() == x.stride()
    assert there.cpu(memory_format=tg.contiguous_format).is_contiguous()
    assert (there.cpu() == x).all()
    assert there.cpu().stride() == x.stride()
    assert tg.rand(6, 4)[::2].T.to("cuda").stride() == (1, 4)


def test_a_transposed_tensor_on_a_gpu_becomes_contiguous(gpu):
    x = tg.rand(3, 4, device="cuda").T
    assert x.clone().stride() == (1, 4)
    assert x.contiguous().stride() == (3, 1)
    assert (x.contiguous() == x).all()
    assert tg.zeros_like(x).stride() == (1, 4)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_joined_and_padded_images_keep_their_layout(gpu, device):
    x = images(device).requires_grad_()
    joined = tg.cat([x, x * 2, tg.relu(x)], 1)
    padded = nn.functional.pad(joined, (1, 2, 0, 1))
    for made in (joined, padded):
        assert made.is_contiguous(memory_format=tg.channels_last)
    np.testing.assert_array_equal(joined.detach().cpu()[:, 3:6], x.detach().cpu() * 2)
    padded.backward(tg.ones_like(padded))
    assert x.grad.stride() == x.stride()
    assert (x.grad.cpu() == 4).all()
