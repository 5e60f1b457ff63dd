"""Memory formats next to PyTorch's: strides, which calls copy, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tapegrad as tg

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: tapegrad[parity]")

IMAGES = (2, 3, 4, 5)
FORMATS = ("contiguous_format", "channels_last", "preserve_format")


def both(call):
    """What a call gives on both sides, with a module to call it with."""
    return call(tg), call(torch)


def strides(result):
    if isinstance(result, (tg.Tensor, torch.Tensor)):
        return tuple(result.shape), tuple(result.stride())
    return result


def laid_out(m, shape, order, dtype="float32"):
    """A tensor whose dimensions lie in memory in an order."""
    base = m.zeros([shape[d] for d in order], dtype=getattr(m, dtype))
    return base.permute([order.index(d) for d in range(len(shape))])


def last(m, shape=IMAGES):
    return m.rand(*shape).to(memory_format=m.channels_last)


CALLS = {
    "stride": lambda m: m.zeros(2, 3, 4).stride(),
    "stride of a dimension": lambda m: m.zeros(2, 3, 4).stride(-2),
    "stride, named": lambda m: m.zeros(2, 3, 4).stride(dim=0),
    "stride of a number": lambda m: m.tensor(1.0).stride(),
    "stride, transposed": lambda m: m.zeros(2, 3, 4).transpose(0, 2).stride(),
    "stride of steps": lambda m: m.zeros(4, 6)[:, ::2].stride(),
    "to": lambda m: last(m),
    "to, one channel": lambda m: last(m, (2, 1, 4, 5)),
    "to, one place": lambda m: last(m, (2, 3, 1, 1)),
    "to, and back": lambda m: last(m).to(memory_format=m.contiguous_format),
    "to, kept": lambda m: last(m).to(memory_format=m.preserve_format),
    "to, with a dtype": lambda m: m.rand(*IMAGES).to(m.float64, memory_format=m.channels_last),
    "to a dtype": lambda m: last(m).to(m.float64),
    "to, of a slice": lambda m: last(m)[:, :2].to(memory_format=m.channels_last),
    "to, 3d": lambda m: m.rand(2, 3, 4, 5, 6).to(memory_format=m.channels_last_3d),
    "contiguous": lambda m: last(m).contiguous(),
    "contiguous, channels last": lambda m: m.rand(*IMAGES).contiguous(
        memory_format=m.channels_last
    ),
    "contiguous, one channel": lambda m: m.rand(2, 1, 4, 5).contiguous(
        memory_format=m.channels_last
    ),
    "is_contiguous": lambda m: last(m).is_contiguous(),
    "is_contiguous, channels last": lambda m: last(m).is_contiguous(memory_format=m.channels_last),
    "is_contiguous, of either": lambda m: m.rand(2, 1, 4, 5).is_contiguous(
        memory_format=m.channels_last
    ),
    "is_contiguous, of vectors": lambda m: m.rand(2).is_contiguous(memory_format=m.channels_last),
    "is_contiguous, empty": lambda m: m.rand(2, 0, 4, 5).is_contiguous(
        memory_format=m.channels_last
    ),
    "clone": lambda m: last(m).clone(),
    "clone of steps": lambda m: m.rand(4, 6)[:, ::2].T.clone(),
    "clone of repeats": lambda m: m.rand(3).expand(4, 3).clone(),
    "clone, contiguous": lambda m: last(m).clone(memory_format=m.contiguous_format),
    "clone, channels last": lambda m: m.clone(m.rand(*IMAGES), memory_format=m.channels_last),
    "empty": lambda m: m.empty(*IMAGES, memory_format=m.channels_last),
    "zeros_like": lambda m: m.zeros_like(last(m)),
    "ones_like, contiguous": lambda m: m.ones_like(last(m), memory_format=m.contiguous_format),
    "empty_like, channels last": lambda m: m.empty_like(
        m.rand(*IMAGES), memory_format=m.channels_last
    ),
    "full_like": lambda m: m.full_like(last(m), 2.0),
    "rand_like": lambda m: m.rand_like(last(m)),
    "randn_like, contiguous": lambda m: m.randn_like(last(m), memory_format=m.contiguous_format),
    "randint_like": lambda m: m.randint_like(last(m), 5),
    "pointwise": lambda m: m.relu(last(m)),
    "pointwise of two": lambda m: last(m) + last(m) * m.rand(3, 1, 1),
    "cat": lambda m: m.cat([last(m), last(m)], 1),
    "pad": lambda m: m.nn.functional.pad(last(m), (1, 1, 1, 1)).is_contiguous(
        memory_format=m.channels_last
    ),
    "weights of a layer": lambda m: (
        m.nn.Conv2d(3, 4, 3).to(memory_format=m.channels_last).weight.stride()
    ),
    "the bias of a layer": lambda m: (
        m.nn.Conv2d(3, 4, 3).to(memory_format=m.channels_last).bias.stride()
    ),
    "a layer with a dtype": lambda m: (
        m.nn.Conv2d(3, 4, 3).to(dtype=m.float64, memory_format=m.channels_last).weight.stride()
    ),
}
REFUSED = {
    "to, of a matrix": lambda m: m.rand(2, 3).to(memory_format=m.channels_last),
    "to, of images in 3d": lambda m: m.rand(*IMAGES).to(memory_format=m.channels_last_3d),
    "contiguous, of a matrix": lambda m: m.rand(2, 3).contiguous(memory_format=m.channels_last),
    "contiguous, kept": lambda m: m.rand(2, 3).T.contiguous(memory_format=m.preserve_format),
    "clone, of a matrix": lambda m: m.rand(2, 3).clone(memory_format=m.channels_last),
    "clone, no format": lambda m: m.rand(2, 3).clone(memory_format=5),
    "is_contiguous, no format": lambda m: m.rand(2, 3).is_contiguous(memory_format="channels_last"),
    "empty, of a matrix": lambda m: m.empty(2, 3, memory_format=m.channels_last),
    "empty, kept": lambda m: m.empty(2, 3, memory_format=m.preserve_format),
    "zeros_like, no format": lambda m: m.zeros_like(m.rand(2), memory_format="channels_last"),
    "stride beyond": lambda m: m.rand(2, 3).stride(2),
    "a layer in 3d": lambda m: m.nn.Conv2d(3, 4, 3).to(memory_format=m.channels_last_3d),
}


@pytest.mark.parametrize("name", CALLS)
def test_strides_are_pytorchs(name):
    ours, theirs = both(CALLS[name])
    assert strides(ours) == strides(theirs)


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused(name):
    with pytest.raises((RuntimeError, TypeError, IndexError)) as theirs:
        REFUSED[name](torch)
    with pytest.raises(theirs.type):
        REFUSED[name](tg)


@pytest.mark.parametrize("shape", [*itertools.product((1, 2), (1, 3), (1, 2), (1, 2))], ids=str)
def test_what_counts_as_channels_last_where_sizes_are_1(shape):
    for order in itertools.permutations(range(4)):
        ours, theirs = both(lambda m, order=order: laid_out(m, shape, order))
        for name in ("channels_last", "contiguous_format"):
            aliased = [
                x.to(memory_format=getattr(m, name)) is x for m, x in ((tg, ours), (torch, theirs))
            ]
            assert aliased[0] == aliased[1], (order, name)
            found = [
                x.is_contiguous(memory_format=getattr(m, name))
                for m, x in ((tg, ours), (torch, theirs))
            ]
            assert found[0] == found[1], (order, name)
        assert tg.empty_like(ours).is_contiguous(
            memory_format=tg.channels_last
        ) == torch.empty_like(theirs).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["channels_last", "contiguous_format"])
def test_gradients_take_the_layout_of_their_leaf(name):
    values = np.random.default_rng(0).standard_normal(IMAGES).astype(np.float32)
    found = []
    for m in (tg, torch):
        x = m.tensor(values).to(memory_format=getattr(m, name)).requires_grad_()
        y = x.contiguous(memory_format=m.channels_last) * 2
        (y.contiguous() * m.arange(5)).sum().backward()
        found.append((tuple(x.grad.stride()), np.asarray(x.grad)))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
