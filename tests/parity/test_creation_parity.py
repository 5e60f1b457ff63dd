"""Tensors from data and shapes, next to PyTorch: values, dtypes, shapes, requirements."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import PARITY, views
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg

X = np.arange(6.0).reshape(2, 3)
MADE = {
    "zeros": lambda m: m.zeros(2, 3),
    "zeros of a tuple": lambda m: m.zeros((2, 3)),
    "zeros of a list": lambda m: m.zeros([2, 0]),
    "zeros of no shape": lambda m: m.zeros(()),
    "zeros, dtype": lambda m: m.zeros(2, dtype=m.int64),
    "zeros, bool": lambda m: m.zeros(2, dtype=m.bool),
    "ones": lambda m: m.ones(3),
    "ones, dtype": lambda m: m.ones(2, 2, dtype=m.float64),
    "ones, half": lambda m: m.ones(2, dtype=m.bfloat16),
    "empty": lambda m: m.zeros_like(m.empty(2, 3)),
    "full": lambda m: m.full((2, 3), 1.5),
    "full, whole": lambda m: m.full((2,), 7),
    "full, bool": lambda m: m.full((2,), True),
    "full, no shape": lambda m: m.full((), 2.0),
    "full, dtype": lambda m: m.full((2,), 7, dtype=m.float16),
    "eye": lambda m: m.eye(3),
    "eye, wide": lambda m: m.eye(2, 4),
    "eye, dtype": lambda m: m.eye(2, dtype=m.int32),
    "eye, nothing": lambda m: m.eye(0),
    "arange": lambda m: m.arange(5),
    "arange, float": lambda m: m.arange(2.5),
    "arange, start": lambda m: m.arange(2, 7),
    "arange, step": lambda m: m.arange(0, 10, 3),
    "arange, float step": lambda m: m.arange(0, 1, 0.1),
    "arange, downwards": lambda m: m.arange(5, 0, -2),
    "arange, nothing": lambda m: m.arange(3, 3),
    "arange, dtype": lambda m: m.arange(3, dtype=m.float64),
    "arange, float16": lambda m: m.arange(0, 5, 1.5, dtype=m.float16),
    "arange, named": lambda m: m.arange(start=1, end=4, step=2),
    "linspace": lambda m: m.linspace(0, 1, 5),
    "linspace, downwards": lambda m: m.linspace(3, -3, 7),
    "linspace, one": lambda m: m.linspace(2, 5, 1),
    "linspace, none": lambda m: m.linspace(2, 5, 0),
    "linspace, named": lambda m: m.linspace(start=0, end=1, steps=3, dtype=m.float64),
    "tensor of a float": lambda m: m.tensor(1.5),
    "tensor of an int": lambda m: m.tensor(3),
    "tensor of a bool": lambda m: m.tensor(True),
    "tensor of a list": lambda m: m.tensor([1.0, 2.0]),
    "tensor of ints": lambda m: m.tensor([[1, 2], [3, 4]]),
    "tensor of bools": lambda m: m.tensor([True, False]),
    "tensor of a mixture": lambda m: m.tensor([1, 2.5]),
    "tensor of bools and ints": lambda m: m.tensor([True, 2]),
    "tensor of nothing": lambda m: m.tensor([]),
    "tensor of empty rows": lambda m: m.tensor([[], []]),
    "tensor of a tuple": lambda m: m.tensor((1, 2)),
    "tensor of an array": lambda m: m.tensor(X),
    "tensor of a transposed array": lambda m: m.tensor(X.T),
    "tensor of a float32 array": lambda m: m.tensor(X.astype(np.float32)),
    "tensor of an int8 array": lambda m: m.tensor(X.astype(np.int8)),
    "tensor of a NumPy number": lambda m: m.tensor(np.float64(2.0)),
    "tensor of NumPy numbers": lambda m: m.tensor([np.float64(2.0), np.float64(3.0)]),
    "tensor of arrays": lambda m: m.tensor(np.stack([X[0], X[1]])),
    "tensor, dtype": lambda m: m.tensor([1.7, -1.7], dtype=m.int64),
    "tensor of tenths, float64": lambda m: m.tensor([0.1, 0.7], dtype=m.float64) * 1,
    "tensor of a tenth, float64": lambda m: m.tensor(0.1, dtype=m.float64),
    "tensor of a large whole float": lambda m: m.tensor(123456789.0, dtype=m.int64),
    "as_tensor of tenths, float64": lambda m: m.as_tensor([0.1], dtype=m.float64),
    "full, a tenth in float64": lambda m: m.full((2,), 0.1, dtype=m.float64),
    "tensor, bfloat16": lambda m: m.tensor([1.7, -1.7], dtype=m.bfloat16),
    "tensor of numbers of tensors": lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0)]),
    "tensor, requires_grad": lambda m: m.tensor([1.0], requires_grad=True),
    "zeros, requires_grad": lambda m: m.zeros(2, requires_grad=True),
    "ones, requires_grad": lambda m: m.ones(2, requires_grad=True),
    "full, requires_grad": lambda m: m.full((2,), 1.0, requires_grad=True),
    "eye, requires_grad": lambda m: m.eye(2, requires_grad=True),
    "arange, requires_grad": lambda m: m.arange(2.0, requires_grad=True),
    "linspace, requires_grad": lambda m: m.linspace(0, 1, 2, requires_grad=True),
    "as_tensor of a list": lambda m: m.as_tensor([1, 2]),
    "as_tensor, dtype": lambda m: m.as_tensor([1, 2], dtype=m.float32),
    "as_tensor of an array": lambda m: m.as_tensor(X),
    "asarray": lambda m: m.asarray(X.copy(), dtype=m.float32, requires_grad=True),
    "frombuffer": lambda m: m.frombuffer(bytearray(range(8)), dtype=m.int16, count=2, offset=2),
    "scalar_tensor": lambda m: m.scalar_tensor(3, requires_grad=True),
    "zeros, size named": lambda m: m.zeros(size=(2, 3)),
    "arange of tensors": lambda m: m.arange(m.tensor(1), m.tensor(4.5)),
    "arange, cut off": lambda m: m.arange(0.9, 5.9, 2.1, dtype=m.int32),
    "logspace": lambda m: m.logspace(-1, 2, 4, base=2.0),
    "logspace, requires_grad": lambda m: m.logspace(0, 1, 2, requires_grad=True),
    "linspace of tensors": lambda m: m.linspace(m.tensor(1.0), m.tensor(2), 3),
    "linspace, whole": lambda m: m.linspace(4.3, -3, 9, dtype=m.int64),
    "full, size a number": lambda m: m.full((3,), m.tensor(2.5)),
    "new_zeros": lambda m: m.ones(2, dtype=m.float64).new_zeros(2, 3),
    "new_ones": lambda m: m.ones(2).new_ones((2,), dtype=m.int8),
    "new_full": lambda m: m.arange(2).new_full((2,), 3, requires_grad=False),
    "new_tensor": lambda m: m.ones(2, dtype=m.float64).new_tensor([1, 2], requires_grad=True),
    "new_empty": lambda m: m.zeros_like(m.ones(2, dtype=m.int32).new_empty(4)),
    "from_numpy": lambda m: m.from_numpy(X.copy()),
    "from_dlpack": lambda m: m.from_dlpack(X.copy()),
}


@pytest.mark.parametrize("name", MADE)
def test_tensors_are_made_alike(same, name):
    def call(m):
        made = MADE[name](m)
        return made, made.requires_grad, made.is_leaf

    same(call)


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "full_like"])
@pytest.mark.parametrize("dtype", [None, "float32", "int64"])
@PARITY
@given(x=views(), integers=st.booleans())
def test_likenesses(same, name, dtype, x, integers):
    x = x.map(lambda base: base.astype(np.int32)) if integers else x
    fill = (2,) if name == "full_like" else ()
    same(lambda m, x: getattr(m, name)(x, *fill, dtype=dtype and getattr(m, dtype)), x, order=1)


DRAWN = {
    "rand": lambda m: m.rand(2, 3),
    "randn": lambda m: m.randn((2, 3), dtype=m.float64),
    "randn, requires_grad": lambda m: m.randn(2, requires_grad=True),
    "randn, generator": lambda m: m.randn(2, generator=m.Generator().manual_seed(1)),
    "randint": lambda m: m.randint(5, (4,)),
    "randint, low": lambda m: m.randint(2, 5, (4,)),
    "randint, dtype": lambda m: m.randint(2, 5, size=(0, 2), dtype=m.int32),
    "randperm": lambda m: m.randperm(4),
    "rand_like": lambda m: m.rand_like(m.ones(2, 0)),
    "randn_like": lambda m: m.randn_like(m.ones(2, dtype=m.float64)),
    "empty_like": lambda m: m.empty_like(m.ones(2, 3)),
    "rand, size named": lambda m: m.rand(size=(2, 3), dtype=m.float64),
    "rand_like, dtype": lambda m: m.rand_like(m.arange(3), dtype=m.float32, requires_grad=True),
    "randint, named": lambda m: m.randint(low=2, high=5, size=(2,)),
    "randint, float": lambda m: m.randint(5, (2,), dtype=m.float32, requires_grad=True),
    "randint_like": lambda m: m.randint_like(m.ones(2, 3), 5),
    "randint_like, low": lambda m: m.randint_like(m.ones(2), 2, 5, dtype=m.uint8),
    "randperm, dtype": lambda m: m.randperm(4, dtype=m.int32),
    "multinomial": lambda m: m.multinomial(m.ones(2, 4), 3),
    "multinomial, replaced": lambda m: m.multinomial(m.ones(3), 5, True),
    "poisson": lambda m: m.poisson(m.ones(2, 2, dtype=m.float64)),
    "binomial": lambda m: m.binomial(m.full((3,), 4.0), m.full((3,), 0.5)),
    "bernoulli, requires_grad": lambda m: m.bernoulli(m.full((3,), 0.5, requires_grad=True)),
    "normal, requires_grad": lambda m: m.normal(m.zeros(3, requires_grad=True), 1.0),
    "bernoulli of a tensor": lambda m: m.full((3,), 0.5).bernoulli(),
    "multinomial of a tensor": lambda m: m.ones(4).multinomial(2),
    "exponential_": lambda m: m.empty(3).exponential_(2.0),
    "cauchy_": lambda m: m.empty(3).cauchy_(1.0, 2.0),
    "geometric_": lambda m: m.empty(3, dtype=m.int64).geometric_(0.3),
    "log_normal_": lambda m: m.empty(3).log_normal_(0.0, 0.5),
    "bernoulli_": lambda m: m.empty(3, dtype=m.bool).bernoulli_(),
    "bernoulli_, p": lambda m: m.empty(2, 3).bernoulli_(m.full((3,), 0.5)),
    "random_": lambda m: m.empty(3, dtype=m.uint8).random_(),
    "random_, bounds": lambda m: m.empty(3).random_(2, 7),
    "uniform_ while recording": lambda m: (m.ones(3, requires_grad=True) * 1).uniform_(),
    "bernoulli": lambda m: m.bernoulli(m.full((3,), 0.5)),
    "bernoulli, p": lambda m: m.bernoulli(m.ones(3, dtype=m.float64), 0.25),
    "normal": lambda m: m.normal(0.0, 1.0, (3,)),
    "normal, means": lambda m: m.normal(m.zeros(3), 1.0),
    "normal, deviations": lambda m: m.normal(0.0, m.ones(2)),
    "normal, both": lambda m: m.normal(m.zeros(3), m.ones(3)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_random_tensors_have_the_same_shapes_and_dtypes(same, name):
    def call(m):
        drawn = DRAWN[name](m)
        return m.zeros_like(drawn), drawn.requires_grad

    same(call)


@pytest.mark.parametrize("name", ["rand", "randn"])
def test_a_seed_gives_the_same_numbers_again(name):
    draws = []
    for _ in range(2):
        tg.manual_seed(3)
        draws.append(getattr(tg, name)(5).tolist())
    assert draws[0] == draws[1]
    assert len(set(draws[0])) == 5


MISTAKES = {
    "zeros: negative": (lambda m: m.zeros(-1), (), ["zeros", "-1"]),
    "zeros: a float": (lambda m: m.zeros(1.5), (), ["zeros", "1.5"]),
    "zeros: text": (lambda m: m.zeros("2"), (), ["zeros"]),
    "ones, requires_grad: whole": (
        lambda m: m.ones(2, dtype=m.int64, requires_grad=True),
        (),
        ["int64"],
    ),
    "arange: the wrong way": (lambda m: m.arange(0, 5, -1), (), ["arange", "0", "5", "-1"]),
    "arange: no step": (lambda m: m.arange(0, 5, 0), (), ["arange", "0"]),
    "linspace: negative": (lambda m: m.linspace(0, 1, -1), (), ["linspace", "-1"]),
    "eye: negative": (lambda m: m.eye(-1), (), ["eye", "-1"]),
    "tensor: ragged": (lambda m: m.tensor([[1, 2], [3]]), (), ["tensor"]),
    "tensor: text": (lambda m: m.tensor("1"), (), ["tensor", "str"]),
    "from_numpy: a list": (lambda m: m.from_numpy([1]), (), ["from_numpy", "list"]),
    "randint: empty": (lambda m: m.randint(5, 5, (2,)), (), ["randint", "5"]),
    "randint: too large": (
        lambda m: m.randint(0, 300, (2,), dtype=m.uint8),
        (),
        ["randint", "uint8"],
    ),
    "randint: no size": (lambda m: m.randint(5), (), ["randint", "size"]),
    "randperm: negative": (lambda m: m.randperm(-1), (), ["randperm", "-1"]),
    "multinomial: too many": (lambda m: m.multinomial(m.ones(3), 4), (), ["multinomial", "4"]),
    "multinomial: none": (lambda m: m.multinomial(m.ones(3), 0), (), ["multinomial", "0"]),
    "multinomial: negative": (lambda m: m.multinomial(-m.ones(3), 1), (), ["multinomial"]),
    "multinomial: nothing": (lambda m: m.multinomial(m.zeros(3), 1), (), ["multinomial"]),
    "multinomial: whole": (
        lambda m: m.multinomial(m.arange(3), 1),
        (),
        ["multinomial", "int64"],
    ),
    "multinomial: dimensions": (
        lambda m: m.multinomial(m.ones(2, 2, 2), 1),
        (),
        ["multinomial", "float32[2, 2, 2]"],
    ),
    "poisson: negative": (lambda m: m.poisson(-m.ones(2)), (), ["poisson", "negative"]),
    "poisson: whole": (lambda m: m.poisson(m.arange(2)), (), ["poisson", "int64"]),
    "bernoulli: whole": (lambda m: m.bernoulli(m.arange(2)), (), ["bernoulli", "int64"]),
    "normal: no size": (lambda m: m.normal(1.0, 2.0), (), ["normal", "size"]),
    "exponential_: rate": (lambda m: m.ones(2).exponential_(0.0), (), ["exponential_", "0"]),
    "geometric_: p": (lambda m: m.ones(2).geometric_(1.0), (), ["geometric_", "1"]),
    "cauchy_: sigma": (lambda m: m.ones(2).cauchy_(0.0, 0.0), (), ["cauchy_", "0"]),
    "log_normal_: std": (lambda m: m.ones(2).log_normal_(0.0, -1.0), (), ["log_normal_", "-1"]),
    "uniform_: turned": (lambda m: m.ones(2).uniform_(2, 1), (), ["uniform_", "2", "1"]),
    "normal_: whole": (lambda m: m.arange(2).normal_(), (), ["normal_", "int64"]),
    "random_: empty": (lambda m: m.ones(2).random_(3, 3), (), ["random_", "3"]),
    "random_: too large": (
        lambda m: m.ones(2, dtype=m.uint8).random_(300),
        (),
        ["random_", "uint8"],
    ),
    "bernoulli_: p": (lambda m: m.ones(2).bernoulli_(2.0), (), ["bernoulli_", "2"]),
    "a leaf": (lambda m: m.ones(2, requires_grad=True).random_(), (), ["random_", "leaf"]),
    "arange: endless": (lambda m: m.arange(0, float("inf")), (), ["arange", "inf"]),
    "linspace: a vector": (lambda m: m.linspace(m.ones(2), 1, 2), (), ["linspace", "float32[2]"]),
    "linspace: steps": (lambda m: m.linspace(0, 1, 2.0), (), ["linspace", "2.0"]),
    "asarray: a list": (lambda m: m.asarray([1.0], copy=False), (), ["asarray", "copy"]),
    "fill: a vector": (lambda m: m.fill(m.ones(2), m.ones(2)), (), ["fill", "float32[2]"]),
    "is_nonzero: several": (lambda m: m.is_nonzero(m.ones(2)), (), ["is_nonzero"]),
    "numel: a list": (lambda m: m.numel([1]), (), ["numel", "list"]),
    "finfo: whole": (lambda m: m.finfo(m.int32), (), ["finfo", "int32"]),
    "iinfo: a float": (lambda m: m.iinfo(m.float32), (), ["iinfo", "float32"]),
    "rand: whole": (lambda m: m.rand(2, dtype=m.int64), (), ["rand", "int64"]),
    "rand: negative": (lambda m: m.rand(-1), (), ["rand", "-1"]),
    "normal: std": (lambda m: m.normal(0.0, -1.0, (2,)), (), ["normal", "-1"]),
    "bernoulli: p": (lambda m: m.bernoulli(m.full((2,), 1.5)), (), ["bernoulli", "1.5"]),
    "full: text": (lambda m: m.full((2,), "1"), (), ["full", "str"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_kind_of_exception(same, name):
    call, args, says = MISTAKES[name]
    same.error(call, *args, says=says)


# Questions

EVERY = ["float16", "bfloat16", "float32", "float64", "int8", "int64", "uint8", "bool"]


@pytest.mark.parametrize("one", EVERY)
@pytest.mark.parametrize("other", EVERY)
def test_dtypes_meet_alike(same, one, other):
    torch = pytest.importorskip("torch")

    def answers(m):
        a, b = getattr(m, one), getattr(m, other)
        return [
            str(m.promote_types(a, b)).removeprefix("torch."),
            str(m.result_type(m.ones(2, dtype=a), m.ones((), dtype=b))).removeprefix("torch."),
            str(m.result_type(m.ones(2, dtype=a), 1.5)).removeprefix("torch."),
            m.can_cast(a, b),
        ]

    assert answers(tg) == answers(torch)


@pytest.mark.parametrize("name", EVERY[:7])
def test_limits_of_dtypes_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    info = "finfo" if "float" in name else "iinfo"
    ours, theirs = (getattr(m, info)(getattr(m, name)) for m in (tg, torch))
    more = ("eps", "tiny", "smallest_normal", "resolution") if info == "finfo" else ()
    for attribute in ("bits", "min", "max", "dtype", *more):
        found, expected = getattr(ours, attribute), getattr(theirs, attribute)
        assert found == expected or found == pytest.approx(expected, rel=1e-6), attribute


def test_questions_about_tensors(same):
    def answers(m):
        x = m.ones(2, 3, dtype=m.float64)
        return m.zeros(0), [
            m.is_tensor(x), m.is_tensor([1.0]), m.numel(x), m.is_floating_point(x),
            m.is_floating_point(m.arange(2)), m.is_nonzero(m.tensor([0.0])), x.nelement(),
            x.ndimension(), x.element_size(), x.is_signed(), x.get_device(),
            m.ones(1, dtype=m.uint8).is_signed(),
        ]  # fmt: skip

    same(answers)
