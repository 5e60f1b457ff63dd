"""Every method of a tensor, next to PyTorch's method and to our own function of the same name.

The two tests in the end fail when an operation or a method is added without a row anywhere here.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tables

import tapegrad as tg
from tapegrad.autograd import operations
from tapegrad.autograd.methods import Operations

random = np.random.default_rng(0)
X, Y = random.uniform(0.4, 2, (3, 4)), random.uniform(0.4, 2, (3, 4))
CUBE, VECTOR, ROW = random.random((2, 3, 1)), random.random(4), random.random((1, 4))
B, C = X > 1, Y > 1
WHOLE, OTHER = np.arange(6).reshape(2, 3), np.arange(3)
INDEX = np.array([[0, 1, 2, 0], [2, 2, 0, 1]])


def every(names, calls):
    return dict.fromkeys(names, calls)


# name -> (tensors, other arguments, keywords); a list of such for several calls.
METHODS = {
    **every(
        (
            "abs",
            "clone",
            "cos",
            "erf",
            "exp",
            "expm1",
            "flatten",
            "floor",
            "isfinite",
            "isinf",
            "isnan",
            "log",
            "log1p",
            "logical_not",
            "neg",
            "norm",
            "ravel",
            "reciprocal",
            "relu",
            "rsqrt",
            "sigmoid",
            "sign",
            "sin",
            "sqrt",
            "square",
            "t",
            "tanh",
        ),
        [([X], (), {})],
    ),
    **every(
        (
            "add",
            "div",
            "eq",
            "floor_divide",
            "ge",
            "gt",
            "isclose",
            "allclose",
            "le",
            "logical_and",
            "logical_or",
            "lt",
            "maximum",
            "minimum",
            "mul",
            "ne",
            "pow",
            "remainder",
            "sub",
        ),
        [([X, Y], (), {}), ([X, ROW], (), {})],
    ),
    **every(
        ("bitwise_and", "bitwise_or", "bitwise_xor"), [([WHOLE, OTHER], (), {}), ([B, C], (), {})]
    ),
    **every(
        (
            "sum",
            "mean",
            "amax",
            "amin",
            "any",
            "all",
            "max",
            "min",
            "argmax",
            "argmin",
            "var",
            "std",
        ),
        [([X], (), {}), ([X], (1,), {}), ([X], (), {"dim": 0, "keepdim": True})],
    ),
    **every(("softmax", "log_softmax", "logsumexp"), [([X], (1,), {}), ([X], (), {"dim": 0})]),
    "bitwise_not": [([WHOLE], (), {}), ([B], (), {})],
    "bmm": [([CUBE, CUBE.transpose(0, 2, 1)], (), {})],
    "broadcast_to": [([ROW], ((3, 4),), {})],
    "chunk": [([X], (2,), {}), ([X], (3, 1), {}), ([X], (3,), {"dim": -1})],
    "clamp": [
        ([X], (0.7, 1.2), {}),
        ([X], (), {"min": 0.7}),
        ([X], (), {"max": 1.2}),
        ([X, Y], (), {}),
    ],
    "clip": [([X], (0.7, 1.2), {}), ([X], (), {"min": 0.7})],
    "diag": [([VECTOR], (), {}), ([X], (), {})],
    "dot": [([VECTOR, X[0]], (), {})],
    "expand": [([ROW], (3, 4), {}), ([ROW], ((3, -1),), {})],
    "expand_as": [([ROW, X], (), {})],
    "flip": [([X], (0,), {}), ([X], (0, 1), {}), ([X], ((0, -1),), {}), ([X], ([1],), {})],
    "masked_fill": [([X, B], (2.0,), {})],
    "masked_select": [([X, B], (), {})],
    "matmul": [([X, VECTOR], (), {})],
    "mm": [([X, Y.T], (), {})],
    "movedim": [([CUBE], (0, -1), {}), ([CUBE], ((0, 1), (2, 0)), {})],
    "mv": [([X, VECTOR], (), {})],
    "outer": [([VECTOR, X[0]], (), {})],
    "permute": [([CUBE], (2, 0, 1), {}), ([CUBE], ((-1, 0, 1),), {})],
    "reshape": [([X], (2, 6), {}), ([X], ((4, -1),), {}), ([X], (-1,), {})],
    "reshape_as": [([X, Y.T], (), {})],
    "split": [([X], (2,), {}), ([X], ([1, 3],), {"dim": 1}), ([X], (3, 1), {})],
    "squeeze": [([CUBE], (), {}), ([CUBE], (-1,), {}), ([CUBE], ((0, 2),), {})],
    "transpose": [([CUBE], (0, -1), {})],
    "unbind": [([X], (), {}), ([X], (1,), {})],
    "unflatten": [([X], (1, (2, 2)), {}), ([X], (-1, (2, -1)), {})],
    "unsqueeze": [([X], (1,), {}), ([X], (), {"dim": -1})],
    "view": [([X], (2, 6), {}), ([X], ((4, -1),), {})],
}
WITH_KEYWORDS = {
    "add": ([X, Y], {"alpha": 2}),
    "sub": ([X, Y], {"alpha": 0.5}),
    "div": ([X, Y], {"rounding_mode": "trunc"}),
    "isclose": ([X, Y], {"rtol": 0.5, "atol": 0.1, "equal_nan": True}),
    "allclose": ([X, Y], {"rtol": 0.5, "atol": 2.0}),
    "var": ([X], {"dim": 1, "correction": 0}),
    "std": ([X], {"dim": (0, 1), "correction": 0}),
    "flatten": ([CUBE], {"start_dim": 1, "end_dim": 2}),
}
# Those whose tensors are not simply the first arguments.
SPOKEN = {
    "bernoulli": (lambda m, x: m.zeros_like(m.full_like(x, 0.5).bernoulli()), [X]),
    "multinomial": (lambda m, x: m.zeros_like(x.detach().abs().multinomial(2)), [X]),
    "is_nonzero": (lambda m, x: (x * 0, x[0, 0].is_nonzero()), [X]),
    "new_empty": (lambda m, x: m.zeros_like(x.new_empty(2, 3)), [X]),
    "new_tensor": (lambda m, x: x.new_tensor([1, 2]), [X]),
    "gather": (lambda m, x, i: x.gather(0, i), [X, INDEX]),
    "index_select": (lambda m, x, i: x.index_select(1, i), [X, INDEX[0]]),
    "scatter_add": (lambda m, x, i, s: x.scatter_add(0, i, s), [X, INDEX, Y[:2]]),
    "take_along_dim": (lambda m, x, i: x.take_along_dim(i, 0), [X, INDEX]),
    "where": (lambda m, x, b, y: x.where(b, y), [X, B, Y]),
    "sum in a dtype": (lambda m, x: x.sum(0, dtype=m.float32), [X]),
    "mean in a dtype": (lambda m, x: x.mean(0, dtype=m.float32), [X]),
    "softmax in a dtype": (lambda m, x: x.softmax(0, dtype=m.float64), [X.astype(np.float32)]),
    "log_softmax in a dtype": (lambda m, x: x.log_softmax(0, dtype=m.float64), [WHOLE]),
    "where a number": (lambda m, x, b: x.where(b, 0.0), [X, B]),
    "T": (lambda m, x: x.T, [X]),
    "H": (lambda m, x: x.H, [X]),
    "mT": (lambda m, x: x.mT, [CUBE]),
    "mH": (lambda m, x: x.mH, [CUBE]),
    "split by its method's name": (lambda m, x: x.split(split_size=2, dim=1), [X]),
    "sizes by name": (lambda m, x: x.reshape(shape=(4, 3)).expand(size=(2, 4, 3)), [X]),
    "dims by name": (lambda m, x: x.permute(dims=(1, 0)).flip(dims=(0,)), [X]),
    "times one by one": (lambda m, x: x.repeat(2, 1, 2).tile(2), [X]),
    "times by name": (lambda m, x: x.repeat(repeats=(1, 2)).tile(dims=(2,)), [X]),
    "a size by name": (lambda m, x: x.view(size=(12,)).view(2, -1), [X]),
    "@": (lambda m, x, v: [x @ v, v @ x.T], [X, VECTOR]),
    "iteration": (lambda m, x: list(x), [X]),
    "contiguous": (lambda m, x: x.T.contiguous(), [X]),
    "to a dtype": (lambda m, x: x.to(m.float32), [X]),
    "float": (lambda m, x: x.float(), [X]),
    "double": (lambda m, x: x.float().double(), [X]),
    "half": (lambda m, x: x.half(), [X]),
    "bfloat16": (lambda m, x: x.bfloat16(), [X]),
    "long": (lambda m, x: x.long(), [X]),
    "int": (lambda m, x: x.int(), [X]),
    "bool": (lambda m, x: (x - 1).bool(), [WHOLE]),
    "type_as": (lambda m, x, y: x.type_as(y), [WHOLE, X]),
    "detach": (lambda m, x: x.detach() * 2, [X]),
    "facts": (
        lambda m, x: [x.ndim, x.dim(), x.numel(), tuple(x.size()), x.size(-1), len(x), x.is_leaf],
        [X],
    ),
    "item": (
        lambda m, x: [x.sum(0).tolist(), x[0, 0].item(), float(x[0, 0]), bool(x[0, 0] > 9)],
        [X],
    ),
    "in": (lambda m, x: [3 in x, 9 in x], [WHOLE]),
    "whole numbers": (lambda m, x: [int(x[1, 1]), list(range(5))[x[0, 1]]], [WHOLE]),
}
IN_PLACE = {
    "add_": lambda m, x: x.add_(2.0, alpha=3),
    "sub_": lambda m, x: x.sub_(x, alpha=0.5),
    "mul_": lambda m, x: x.mul_(2),
    "div_": lambda m, x: x.div_(x + 1),
    "clamp_": lambda m, x: x.clamp_(0.7, 1.2),
    "relu_": lambda m, x: (x - 1).relu_(),
    "copy_": lambda m, x: x.copy_(x[0] * 2),
    "fill_": lambda m, x: x.fill_(2),
    "zero_": lambda m, x: x.zero_(),
    "a += b": lambda m, x: x.__iadd__(x * 2),
    "a -= 2": lambda m, x: x.__isub__(2),
    "a *= 3": lambda m, x: x.__imul__(3),
    "a /= 2": lambda m, x: x.__itruediv__(2),
    "a **= 2": lambda m, x: x.__ipow__(2),
}
# Functions with every argument by its name in PyTorch.
BY_NAME = {
    "add": lambda m, x: m.add(input=x, other=x, alpha=2),
    "amax": lambda m, x: m.amax(input=x, dim=0, keepdim=True),
    "argmax": lambda m, x: m.argmax(input=x, dim=0, keepdim=True),
    "avg_pool2d": lambda m, x: m.avg_pool2d(
        input=x[None], kernel_size=2, stride=1, padding=1, ceil_mode=True, count_include_pad=False
    ),
    "bmm": lambda m, x: m.bmm(input=x[None], mat2=x.T[None]),
    "broadcast_to": lambda m, x: m.broadcast_to(input=x, size=(2, 3, 4)),
    "cat": lambda m, x: m.cat(tensors=[x, x], dim=1),
    "chunk": lambda m, x: m.chunk(input=x, chunks=2, dim=1),
    "clamp": lambda m, x: m.clamp(input=x, min=0.7, max=1.2),
    "conv2d": lambda m, x: m.conv2d(
        input=x[None], weight=x[None, None, :2, :2], bias=x[0, :1], stride=1, padding=1, dilation=1,
        groups=1,
    ),
    "cross_entropy": lambda m, x: m.cross_entropy(
        input=x, target=m.tensor([0, 1, 2]), weight=x[0].detach(), ignore_index=2,
        reduction="sum", label_smoothing=0.1,
    ),
    "diag": lambda m, x: m.diag(input=x, diagonal=1),
    "div": lambda m, x: m.div(input=x, other=2, rounding_mode="floor"),
    "dot": lambda m, x: m.dot(input=x[0], tensor=x[1]),
    "exp": lambda m, x: m.exp(input=x),
    "eye": lambda m, x: m.eye(n=2, m=3),
    "flatten": lambda m, x: m.flatten(input=x, start_dim=0, end_dim=1),
    "flip": lambda m, x: m.flip(input=x, dims=(0,)),
    "full": lambda m, x: m.full(size=(2,), fill_value=2.0),
    "full_like": lambda m, x: m.full_like(input=x, fill_value=2.0),
    "gather": lambda m, x: m.gather(input=x, dim=1, index=m.tensor([[0], [1]])),
    "index_select": lambda m, x: m.index_select(input=x, dim=1, index=m.tensor([0])),
    "linear": lambda m, x: m.linear(input=x, weight=x, bias=x[:, 0]),
    "log_softmax": lambda m, x: m.log_softmax(input=x, dim=1, dtype=None),
    "logsumexp": lambda m, x: m.logsumexp(input=x, dim=1, keepdim=True),
    "masked_fill": lambda m, x: m.masked_fill(input=x, mask=x > 1, value=2.0),
    "masked_select": lambda m, x: m.masked_select(input=x, mask=x > 1),
    "matmul": lambda m, x: m.matmul(input=x, other=x.T),
    "max": lambda m, x: m.max(input=x, dim=1, keepdim=True),
    "max of two": lambda m, x: m.max(input=x, other=x * 2),
    "max_pool2d": lambda m, x: m.max_pool2d(
        input=x[None], kernel_size=2, stride=1, padding=1, dilation=1, ceil_mode=True,
        return_indices=True,
    ),
    "mm": lambda m, x: m.mm(input=x, mat2=x.T),
    "movedim": lambda m, x: m.movedim(input=x, source=0, destination=1),
    "mv": lambda m, x: m.mv(input=x, vec=x[0]),
    "nll_loss": lambda m, x: m.nll_loss(
        input=x, target=m.tensor([0, 1, 2]), weight=None, ignore_index=0, reduction="sum"
    ),
    "norm": lambda m, x: m.norm(input=x, p=2, dim=1, keepdim=True, dtype=None),
    "one_hot": lambda m, x: m.one_hot(m.tensor([1]), num_classes=3),
    "outer": lambda m, x: m.outer(input=x[0], vec2=x[1]),
    "pad": lambda m, x: m.pad(input=x, pad=(1, 1), mode="constant", value=2.0),
    "permute": lambda m, x: m.permute(input=x, dims=(1, 0)),
    "pow": lambda m, x: m.pow(input=x, exponent=2),
    "reshape": lambda m, x: m.reshape(input=x, shape=(2, 6)),
    "scatter_add": lambda m, x: m.scatter_add(
        input=x, dim=1, index=m.tensor([[0, 0]]), src=x[:1, :2]
    ),
    "softmax": lambda m, x: m.softmax(input=x, dim=1, dtype=None),
    "softmax, all in order": lambda m, x: m.softmax(x, 1, m.float64),
    "split": lambda m, x: m.split(tensor=x, split_size_or_sections=2, dim=1),
    "squeeze": lambda m, x: m.squeeze(input=x[:1], dim=0),
    "stack": lambda m, x: m.stack(tensors=[x, x], dim=1),
    "sum": lambda m, x: m.sum(input=x, dim=1, keepdim=True, dtype=None),
    "take_along_dim": lambda m, x: m.take_along_dim(input=x, indices=m.tensor([[0]]), dim=1),
    "tensor": lambda m, x: m.tensor(data=[1.0], dtype=None, device="cpu", requires_grad=False),
    "transpose": lambda m, x: m.transpose(input=x, dim0=0, dim1=1),
    "unbind": lambda m, x: m.unbind(input=x, dim=1),
    "unflatten": lambda m, x: m.unflatten(input=x, dim=1, sizes=(2, 2)),
    "unsqueeze": lambda m, x: m.unsqueeze(input=x, dim=1),
    "var": lambda m, x: m.var(input=x, dim=1, correction=0, keepdim=True),
    "where": lambda m, x: m.where(condition=x > 1, input=x, other=x * 2),
    "zeros_like": lambda m, x: m.zeros_like(input=x, dtype=None, device="cpu", requires_grad=False),
}  # fmt: skip
NOT_DIFFERENTIABLE = ("floor_divide",)
CALLS = [(name, call) for name, calls in METHODS.items() for call in calls] + [
    (name, (tensors, (), kwargs)) for name, (tensors, kwargs) in WITH_KEYWORDS.items()
]
FUNCTIONS = [(name, call) for name, call in CALLS if hasattr(operations, name)]


@pytest.mark.parametrize(
    ("name", "call"), CALLS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CALLS)]
)
def test_methods_are_pytorchs(same, name, call):
    tensors, args, kwargs = call
    same(
        lambda m, x, *others: getattr(x, name)(*others, *args, **kwargs),
        *tensors,
        order=0 if name in NOT_DIFFERENTIABLE else 2,
    )


@pytest.mark.parametrize(
    ("name", "call"), FUNCTIONS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(FUNCTIONS)]
)
def test_methods_are_the_functions(name, call):
    tensors, args, kwargs = call
    x, *others = map(tg.tensor, tensors)
    if name in ("expand", "permute", "reshape", "flip") and isinstance(args[0], int):
        args = (args,)
    by_method = getattr(x, name)(*others, *args, **kwargs)
    by_function = getattr(tg, name)(x, *others, *args, **kwargs)
    pairs = zip(
        *([r] if not isinstance(r, tuple) else r for r in (by_method, by_function)), strict=True
    )
    assert all(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize("name", SPOKEN)
def test_methods_in_words(same, name):
    call, tensors = SPOKEN[name]
    same(call, *tensors, single=False)


@pytest.mark.parametrize("name", BY_NAME)
def test_arguments_have_pytorchs_names(same, name):
    same(BY_NAME[name], X, order=1)


@pytest.mark.parametrize("name", IN_PLACE)
def test_writing_in_place(same, name):
    forgets = name in ("fill_", "zero_")  # and so requires no gradient, where PyTorch's has zeros
    same(lambda m, x: IN_PLACE[name](m, x * 1), X, order=0 if forgets else 2)
    same(lambda m, x: IN_PLACE[name](m, x.detach().clone()), X)
    if name != "relu_":
        same.error(IN_PLACE[name], X, says=["leaf", "in place"])


@pytest.mark.parametrize(
    "name", ["sum", "mean", "amax", "any", "argmax", "logsumexp", "var", "std"]
)
def test_numpys_names_are_accepted(name):
    x = tg.tensor(X)
    theirs = getattr(x, name)(axis=1, keepdims=True)
    ours = getattr(x, name)(dim=1, keepdim=True)
    assert np.array_equal(theirs.data, ours.data)
    assert np.array_equal(getattr(tg, name)(x, axis=1, keepdims=True).data, ours.data)
    with pytest.raises(TypeError, match=f"{name}.*dim=.*axis="):
        getattr(x, name)(dim=1, axis=1)


# What is not compared here has no value to compare, or is compared with itself.
NOT_COMPARED = {
    "Generator",
    *["manual_seed", "seed", "initial_seed", "get_rng_state", "set_rng_state"],
}
SOURCES = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
NAMED = set(re.findall(r"\bm\.(\w+)|[\"'](\w+)[\"',]", SOURCES))
NAMED = {name for found in NAMED for name in found}


def test_every_function_is_compared():
    assert set(operations.__all__) - NAMED - NOT_COMPARED - set(tables.CALLS) == set()


def test_every_method_is_compared():
    methods = {name for name in vars(Operations) if not name.startswith("_")}
    assert methods - set(METHODS) - set(SPOKEN) - set(tables.CALLS) == set()


def test_every_function_that_is_a_method_in_pytorch_is_one_here(same):
    tensor = same.theirs.torch.Tensor
    missing = {name for name in operations.__all__ if hasattr(tensor, name)}
    assert {name for name in missing if not hasattr(tg.Tensor, name)} - {
        "bernoulli",
        "normal",
    } == set()
