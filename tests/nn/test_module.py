"""What a module registers, lists, moves, saves, hooks and prints."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 3)
        self.output = nn.Linear(3, 2, bias=False)
        self.register_buffer("mean", tg.zeros(4))
        self.register_buffer("cache", tg.ones(1), persistent=False)

    def forward(self, x):
        return self.output(tg.tanh(self.hidden(x - self.mean)))


NAMES = ["hidden.weight", "hidden.bias", "output.weight"]


def test_a_module_calls_its_forward():
    net = Net()
    x = tg.ones(5, 4)
    assert net(x).tolist() == net.forward(x).tolist()


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Empty does not define forward"):
        type("Empty", (nn.Module,), {})()(1)


def test_parameters_are_listed_in_the_order_of_assignment():
    assert [name for name, _ in Net().named_parameters()] == NAMES
    assert next(name for name, _ in Net().named_parameters(prefix="net")) == "net.hidden.weight"


def test_recurse_false_lists_only_its_own():
    net = Net()
    net.scale = nn.Parameter(tg.ones(1))
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]


def test_a_shared_parameter_counts_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_shared_module_counts_once():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(net.parameters())) == 2
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]
    assert len(list(net.children())) == 2


def test_buffers_are_not_parameters():
    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["mean", "cache"]
    assert all(parameter is not net.mean for parameter in net.parameters())


def test_assigning_a_parameter_before_init_says_what_to_do():
    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(tg.ones(1))

    with pytest.raises(AttributeError, match=r"parameter before Early.__init__ .*super"):
        Early()


def test_assigning_a_module_before_init_says_what_to_do():
    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.ReLU()

    with pytest.raises(AttributeError, match=r"module before Early.__init__ .*super"):
        Early()


def test_forgetting_init_altogether_says_what_to_do():
    class Forgot(nn.Module):
        def __init__(self):
            self.size = 3

    with pytest.raises(AttributeError, match=r"Forgot.__init__ must call super"):
        Forgot()(1)


def test_an_unknown_attribute_names_the_module():
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'missing'"):
        _ = Net().missing


def test_a_plain_value_does_not_replace_a_parameter():
    net = Net()
    with pytest.raises(TypeError, match=r"Tensor to the parameter 'weight'"):
        net.hidden.weight = tg.ones(3, 4)
    net.hidden.weight = None
    assert [name for name, _ in net.named_parameters()] == NAMES[1:]


def test_a_buffer_takes_a_new_tensor_and_stays_a_buffer():
    net = Net()
    net.mean = tg.ones(4)
    assert net.state_dict()["mean"].tolist() == [1.0] * 4


def test_a_parameter_replaces_a_plain_attribute():
    net = Net()
    net.scale = 1.0
    net.scale = nn.Parameter(tg.ones(1))
    assert "scale" in net.state_dict()
    del net.scale
    assert "scale" not in net.state_dict()
    assert not hasattr(net, "scale")


def test_deleting_works_for_plain_attributes_and_modules():
    net = Net()
    net.note = "x"
    del net.note
    del net.output
    assert not hasattr(net, "note")
    assert [name for name, _ in net.named_children()] == ["hidden"]


@pytest.mark.parametrize("name", ["", "a.b", "hidden", "forward"])
def test_bad_names_are_refused(name):
    with pytest.raises(KeyError):
        Net().register_buffer(name, tg.ones(1))


def test_registering_checks_the_kind():
    net = Net()
    with pytest.raises(TypeError, match="must be a Parameter or None"):
        net.register_parameter("w", tg.ones(1))
    with pytest.raises(TypeError, match="must be a Tensor or None"):
        net.register_buffer("b", 3)
    with pytest.raises(TypeError, match="must be a Module or None"):
        net.add_module("m", 3)


def test_train_and_eval_reach_everything():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    assert net.eval() is net
    assert [module.training for module in net.modules()] == [False] * 4
    net.train()
    assert all(module.training for module in net.modules())


def test_train_wants_a_bool():
    with pytest.raises(ValueError, match="must be a bool"):
        Net().train("yes")


def test_requires_grad_freezes():
    net = Net().requires_grad_(False)
    assert not net(tg.ones(1, 4)).requires_grad
    net.output.requires_grad_()
    assert net(tg.ones(1, 4)).requires_grad


def test_zero_grad_forgets_or_fills():
    net = Net()
    net(tg.ones(1, 4)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.hidden.bias.grad.tolist() == [0.0] * 3
    net.zero_grad()
    assert net.hidden.bias.grad is None


def test_apply_visits_children_first():
    seen = []
    Net().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "Linear", "Net"]


def test_double_keeps_the_parameters_and_changes_their_dtype():
    net = Net()
    before = list(net.parameters())
    net.register_buffer("count", tg.tensor([3]))
    net.double()
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert {parameter.dtype for parameter in net.parameters()} == {tg.float64}
    assert net.mean.dtype == tg.float64
    assert net.count.dtype == tg.int64


def test_gradients_after_double_are_doubles():
    net = Net().double()
    net(tg.ones(1, 4, dtype=tg.float64)).sum().backward()
    assert {parameter.grad.dtype for parameter in net.parameters()} == {tg.float64}


@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (lambda m: m.float(), tg.float32),
        (lambda m: m.half(), tg.float16),
        (lambda m: m.bfloat16(), tg.bfloat16),
        (lambda m: m.to(tg.float64), tg.float64),
        (lambda m: m.to("cpu", tg.float64), tg.float64),
        (lambda m: m.to(dtype="float64"), tg.float64),
        (lambda m: m.to(tg.ones(1, dtype=tg.float16)), tg.float16),
        (lambda m: m.cpu(), tg.float32),
    ],
)
def test_conversions(convert, dtype):
    assert {value.dtype for value in convert(Net()).state_dict().values()} == {dtype}


def test_converting_to_integers_is_refused():
    with pytest.raises(TypeError, match="int64 is not a floating dtype"):
        Net().to(tg.int64)


def test_an_unknown_device_is_refused():
    with pytest.raises(RuntimeError, match="'mars'"):
        Net().to("mars")


# state_dict


def test_state_dict_holds_parameters_and_persistent_buffers():
    assert list(Net().state_dict()) == ["mean", *NAMES]
    assert next(iter(Net().state_dict(prefix="net."))) == "net.mean"


def test_state_dict_shares_memory_off_the_tape():
    net = Net()
    value = net.state_dict()["hidden.weight"]
    assert not value.requires_grad
    assert np.shares_memory(value.data, net.hidden.weight.data)
    assert net.state_dict(keep_vars=True)["hidden.weight"] is net.hidden.weight


def test_load_state_dict_copies_the_values():
    one, two = Net(), Net()
    result = two.load_state_dict(one.state_dict())
    assert result.missing_keys == result.unexpected_keys == []
    assert two.hidden.weight.tolist() == one.hidden.weight.tolist()
    assert not np.shares_memory(two.hidden.weight.data, one.hidden.weight.data)
    assert two.hidden.weight.requires_grad


def test_load_state_dict_takes_arrays_and_casts():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": np.array([3])})
    assert layer.weight.dtype == tg.float32
    assert (layer.weight.tolist(), layer.bias.tolist()) == ([[1.0, 2.0]], [3.0])


def test_load_state_dict_lists_all_that_is_wrong_and_changes_nothing():
    net = Net()
    before = net.output.weight.tolist()
    state = net.state_dict()
    del state["hidden.bias"]
    state["extra"] = tg.ones(1)
    state["hidden.weight"] = tg.ones(4, 3)
    state["output.weight"] = tg.ones(2, 3)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    message = str(error.value)
    assert "Net" in message
    assert "missing: hidden.bias" in message
    assert "unexpected: extra" in message
    assert "hidden.weight: the shape is (4, 3) in the state_dict and (3, 4)" in message
    assert net.output.weight.tolist() == before


def test_load_state_dict_not_strict_reports_names():
    net = Net()
    result = net.load_state_dict({"extra": tg.ones(1), "mean": tg.ones(4)}, strict=False)
    assert result.missing_keys == NAMES
    assert result.unexpected_keys == ["extra"]
    assert net.mean.tolist() == [1.0] * 4


def test_load_state_dict_not_strict_still_checks_shapes():
    with pytest.raises(RuntimeError, match=r"mean: the shape is \(3,\)"):
        Net().load_state_dict({"mean": tg.ones(3)}, strict=False)


def test_loading_between_forward_and_backward_is_noticed():
    net = Net()
    loss = (net.output.weight**2).sum()
    net.load_state_dict(Net().state_dict())
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


# Hooks


def test_a_forward_hook_sees_and_may_replace_the_output():
    layer = nn.Identity()
    seen = []
    layer.register_forward_hook(lambda module, args, output: seen.append((args, output)))
    layer.register_forward_hook(lambda module, args, output: output + 1)
    assert layer(1) == 2
    assert seen == [((1,), 1)]


def test_a_pre_hook_may_replace_the_arguments():
    layer = nn.Identity()
    layer.register_forward_pre_hook(lambda module, args: (args[0] * 10,))
    layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    assert layer(1) == 11


def test_a_removed_hook_is_gone():
    layer = nn.Identity()
    handle = layer.register_forward_hook(lambda module, args, output: output + 1)
    handle.remove()
    handle.remove()
    assert layer(1) == 1


def test_a_hook_may_remove_itself_while_called():
    layer = nn.Identity()
    handles = []

    def once(module, args, output):
        handles[0].remove()
        return output + 1

    handles.append(layer.register_forward_hook(once))
    assert (layer(1), layer(1)) == (2, 1)


# Copies


def test_deepcopy_is_apart_and_keeps_sharing():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight
    assert isinstance(twin[0].weight, nn.Parameter)
    assert not np.shares_memory(twin[0].weight.data, net[0].weight.data)
    with tg.no_grad():
        twin[0].weight.zero_()
    assert net[0].weight.abs().sum().item() > 0


def test_pickle_brings_a_module_back():
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.3)).eval()
    twin = pickle.loads(pickle.dumps(net))
    x = tg.ones(1, 3)
    assert twin(x).tolist() == net(x).tolist()
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in twin.parameters())
    assert not twin[1].training


def test_a_parameter_shares_the_memory_of_its_tensor():
    value = tg.ones(2)
    parameter = nn.Parameter(value)
    assert np.shares_memory(parameter.data, value.data)
    assert not value.requires_grad
    assert isinstance(parameter, tg.Tensor)
    assert nn.Parameter(tg.ones(1), requires_grad=False).requires_grad is False


def test_a_parameter_of_integers_cannot_require_a_gradient():
    with pytest.raises(RuntimeError):
        nn.Parameter(tg.tensor([1, 2]))


# Printing


def test_repr_nests():
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Dropout(0.1)))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Dropout(p=0.1, inplace=False)\n"
        "  )\n"
        ")"
    )


def test_dir_lists_what_is_registered():
    assert {"hidden", "mean", "forward"} <= set(dir(Net()))
