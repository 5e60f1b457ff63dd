"""Images whose channels lie last stay so through a network on a GPU, and so do the gradients."""

from __future__ import annotations

import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.nn import functional as F

COPIES = ("transpose", "copy", "setitem", "ascontiguousarray", "reshape", "concatenate")


class Net(nn.Module):
    """What image networks are made of, a residual addition and a joining of channels among it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(2, 8)
        self.drop = nn.Dropout(0.2)
        self.mean = nn.AvgPool2d(2)
        self.grow = nn.ConvTranspose2d(8, 8, 2, 2)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        x = self.pool(self.stem(x))
        y = F.silu(self.drop(self.norm(self.conv(x))) + x)
        z = self.grow(self.mean(y))
        return self.head(tg.cat([y, z], 1))


def copies(launches):
    """The launches that do nothing but move values."""
    return [name for name in launches if name.split("<")[0] in COPIES]


@pytest.fixture
def net(gpu):
    tg.manual_seed(0)
    return Net().to("cuda", memory_format=tg.channels_last)


@pytest.fixture
def watched(net):
    """The net, the outputs of its layers and the gradients that arrive at these, by name."""
    outputs, gradients = {}, {}

    def watch(name):
        def hook(module, args, output):
            outputs[name] = output
            output.register_hook(lambda gradient: gradients.setdefault(name, gradient))

        return hook

    for name, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(watch(name))
    return net, outputs, gradients


def test_images_are_converted_once_where_they_enter(net, recording):
    net.grow = nn.Upsample(scale_factor=2)  # a transposed convolution turns its filters
    x = tg.rand(2, 3, 8, 8, device="cuda")
    recording.clear()
    x = x.to(memory_format=tg.channels_last)
    assert len(copies(recording.launches)) == len(recording.launches) == 1
    recording.clear()
    net(x)
    assert copies(recording.launches) == ["concatenate"], recording.launches


def test_every_output_and_every_gradient_has_its_channels_last(watched):
    net, outputs, gradients = watched
    x = tg.rand(2, 3, 8, 8, device="cuda").to(memory_format=tg.channels_last).requires_grad_()
    out = net(x)
    out.backward(tg.rand(2, 4, 4, 4, device="cuda"))  # as a loss may give it
    assert len(outputs) == len(gradients) == 10
    for name, output in outputs.items():
        assert output.is_contiguous(memory_format=tg.channels_last), name
    for name, gradient in gradients.items():
        if name == "head":  # where it enters
            continue
        batch, channel, row, column = gradient.stride()  # with gaps where it is part of a joint one
        assert 1 == channel < column < row < batch, name
    assert x.grad.is_contiguous(memory_format=tg.channels_last)
    for name, parameter in net.named_parameters():
        assert parameter.grad.stride() == parameter.stride(), name


def test_values_and_gradients_are_those_of_a_cpu(net):
    other = Net()
    other.load_state_dict({name: value.cpu() for name, value in net.state_dict().items()})
    x = tg.rand(2, 3, 8, 8)
    found = []
    for module, images in ((other, x), (net, x.cuda().to(memory_format=tg.channels_last))):
        module.drop.p = 0.0
        out = module(images)
        (out * out).sum().backward()
        grads = [p.grad.cpu() for p in module.parameters()]
        found.append([out.detach().cpu(), *grads])
    for cpu, cuda in zip(*found, strict=True):
        assert tg.allclose(cpu, cuda, 1e-4, 1e-4)
