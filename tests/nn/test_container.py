"""Containers register, index, slice and change their children."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import pytest

import tapegrad as tg
from tapegrad import nn


def row(*sizes):
    return [nn.Linear(a, b) for a, b in pairwise(sizes)]


def test_sequential_applies_in_order():
    first, second = row(4, 3, 2)
    x = tg.ones(5, 4)
    assert nn.Sequential(first, second)(x).tolist() == second(first(x)).tolist()


def test_an_empty_sequential_passes_through():
    assert nn.Sequential()(3) == 3


def test_sequential_takes_names():
    net = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 3), act=nn.ReLU()))
    assert list(net.state_dict()) == ["hidden.weight", "hidden.bias"]
    assert net.act is net[1]
    assert list(net[:1].state_dict()) == ["hidden.weight", "hidden.bias"]


def test_indexing_from_both_ends():
    net = nn.Sequential(*row(1, 2, 3, 4))
    assert net[-1].out_features == 4
    with pytest.raises(IndexError, match="index 3 is out of range for 3 entries"):
        _ = net[3]


@pytest.mark.parametrize("container", [nn.Sequential, lambda *m: nn.ModuleList(m)])
def test_changing_a_row(container):
    a, b, c, d = row(1, 2, 3, 4, 5)
    net = container(a, b)
    net.append(c)
    net.insert(1, d)
    assert list(net) == [a, d, b, c]
    net[0] = b
    assert net[0] is b
    del net[1]
    assert list(net) == [b, b, c]
    assert list(net._modules) == ["0", "1", "2"]
    del net[1:]
    assert (len(net), net[0]) == (1, b)


def test_deleting_keeps_given_names():
    net = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))
    del net[0]
    assert list(net._modules) == ["b"]


def test_module_list_slices_are_module_lists():
    layers = nn.ModuleList(row(1, 2, 3, 4))
    assert isinstance(layers[1:], nn.ModuleList)
    assert layers[1:][0] is layers[1]


def test_module_list_has_no_forward():
    with pytest.raises(NotImplementedError):
        nn.ModuleList()(1)


def test_module_dict_is_a_dictionary():
    heads = nn.ModuleDict({"a": nn.Linear(1, 2)})
    heads["b"] = nn.ReLU()
    assert list(heads) == list(heads.keys()) == ["a", "b"]
    assert "a" in heads
    assert len(heads) == 2
    assert heads.pop("b").__class__ is nn.ReLU
    del heads["a"]
    assert list(heads.items()) == list(heads.values()) == []


def test_parameter_list_registers_and_replaces():
    weights = nn.ParameterList([tg.zeros(2)])
    weights.append(nn.Parameter(tg.ones(3)))
    weights[0] = tg.ones(1)
    assert [tuple(p.shape) for p in weights] == [(1,), (3,)]
    assert all(isinstance(p, nn.Parameter) for p in weights)
    assert list(weights.state_dict()) == ["0", "1"]
    assert weights[-1] is weights[1]
    assert "(1): Parameter of float32, (3,)" in repr(weights)


def test_only_modules_go_in():
    with pytest.raises(TypeError, match="must be a Module"):
        nn.Sequential(nn.ReLU(), tg.tanh)
