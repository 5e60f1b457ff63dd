"""PyTorch's own samples: the calls that its developers test each operation with, errors included.

They come with the PyTorch wheel (`torch.testing._internal`, which needs `expecttest`); an operation
that both libraries have is tested without a row anywhere here.
"""

from __future__ import annotations

import random
import warnings
from collections import defaultdict
from itertools import islice
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from drawing import Name, View, found, made

import tapegrad as tg

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: tapegrad[parity]")
invocations = pytest.importorskip(
    "torch.testing._internal.common_methods_invocations",
    reason="PyTorch's samples need expecttest: tapegrad[parity]",
)

SAMPLES = 25  # of each operation, variant and dtype at most
LARGEST = 20_000  # elements of a sample's tensors
OTHER_DTYPES = (torch.int64, torch.bool, torch.float16, torch.bfloat16, torch.uint8)
# PyTorch rounds to half precision after every step, ours at the end.
TOLERANCE = {torch.float64: 1e-7, torch.float16: 2e-2, torch.bfloat16: 6e-2}

_IN_HALVES = "PyTorch computes the position in half precision, and so picks another element."
_UINT8 = "PyTorch wraps a number that uint8 cannot hold; tapegrad refuses it."
_CHUNKS = "PyTorch's chunks write into a result, which fails where a gradient is wanted."
# What is not compared, and why: "name", "name/variant" or "name dtype".
DIFFERENT = {
    "as_strided/partial_views": "The sample is a piece of a larger memory, which stays behind.",
    "full_like uint8": _UINT8,
    "grid_sampler_2d bfloat16": _IN_HALVES,
    "grid_sampler_2d float16": _IN_HALVES,
    "grid_sampler_3d bfloat16": _IN_HALVES,
    "grid_sampler_3d float16": _IN_HALVES,
    "matrix_exp bfloat16": "PyTorch's intermediate powers overflow half precision.",
    "matrix_exp float16": "PyTorch's intermediate powers overflow half precision.",
    "nn.functional.fractional_max_pool2d": "The windows are random.",
    "nn.functional.fractional_max_pool3d": "The windows are random.",
    "nn.functional.grid_sample bfloat16": _IN_HALVES,
    "nn.functional.grid_sample float16": _IN_HALVES,
    "nn.functional.interpolate uint8": "PyTorch rounds the weights of uint8 images to 16 bits.",
    "nn.functional.linear_cross_entropy/chunked_none": _CHUNKS,
    "nn.functional.soft_margin_loss float16": "PyTorch's exponential overflows half precision.",
    "scalar_tensor uint8": _UINT8,
}
# The highest derivative compared, where it is not the one that PyTorch's sample promises.
ORDERS = {
    "linalg.norm": 1,  # at zero, PyTorch's second derivative is NaN; tapegrad's is 0
    "nn.functional.ctc_loss": 1,  # PyTorch has no second derivative
    "nn.functional.linear_cross_entropy": 1,  # PyTorch's chunks are constant to the second
    "nn.functional.scaled_dot_product_attention": 1,  # PyTorch's quick kernel has no second
}

# Whose wrong arguments are none: PyTorch accepts them after all, or tapegrad does (`max(0, x)`).
ACCEPTED = ("clamp_max", "clamp_min", "maximum", "minimum")

# How a sample calls ours, where PyTorch wraps its function or begins with another argument.
ADAPTED: dict[str, Any] = {
    "einsum": lambda operands, equation: tg.einsum(equation, operands),
    "linalg.lstsq/grad_oriented": lambda *args, **kwargs: tg.linalg.lstsq(*args, **kwargs)[:2],
    "linalg.pinv/singular": lambda a, b: tg.linalg.pinv(a @ b.mT),
    "nn.functional.embedding": lambda weight, input, **kwargs: tg.nn.functional.embedding(
        input, weight, **kwargs
    ),
    "nn.functional.embedding_bag": lambda weight, input, **kwargs: tg.nn.functional.embedding_bag(
        input, weight, **kwargs
    ),
    "normal/in_place": lambda input, *args: input.detach().clone().normal_(*args),
    "polygamma": lambda input, n: tg.polygamma(n, input),
    "where": lambda input, condition, other: tg.where(condition, input, other),
    "zero_": lambda input: input.clone().zero_(),
}


def kinds_only(m: Any, result: Any, *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of what is random, or whatever was in memory."""
    if isinstance(result, tuple):
        return tuple(m.zeros_like(part) for part in result)
    return m.zeros_like(result)


def if_random(*names: str) -> Any:
    """Only shapes and dtypes where the arguments of these names ask for chance."""
    return lambda m, result, *args, **kwargs: (
        kinds_only(m, result) if all(kwargs.get(name) for name in names) else result
    )


def values_of_ties(m: Any, result: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """The values that were picked; the positions only where equal ones keep their order."""
    return result if kwargs.get("stable") else result[0]


# What is compared of a result, where several are equally right.
COMPARED: dict[str, Any] = {
    **dict.fromkeys(
        (
            "bernoulli", "empty", "empty_like", "empty_permuted", "empty_strided", "multinomial",
            "new_empty", "new_empty_strided", "nn.functional.alpha_dropout",
            "nn.functional.dropout", "nn.functional.dropout1d", "nn.functional.dropout2d",
            "nn.functional.dropout3d", "nn.functional.feature_alpha_dropout",
            "nn.functional.multi_head_attention_forward", "normal", "rand", "rand_like",
            "randint", "randint_like", "randn", "randn_like",
        ),
        kinds_only,
    ),
    **dict.fromkeys(("kthvalue", "mode", "sort", "topk"), values_of_ties),
    "argsort": lambda m, result, input, dim=-1, descending=False, stable=False: (
        result if stable else m.take_along_dim(input, result, dim)
    ),
    "linalg.eigh": lambda m, result, *args, **kwargs: (result[0], result[1].abs()),
    "nn.functional.rrelu": if_random("training"),
    "nn.functional.scaled_dot_product_attention": if_random("dropout_p"),
}  # fmt: skip


class Untranslatable(Exception):
    """A sample with something that only PyTorch has: complex numbers, layouts, generators."""


class Distance:
    """PyTorch's module of a distance, and ours for our tensors."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs
        self.ours = tg.nn.PairwiseDistance(theirs.norm, theirs.eps, theirs.keepdim)

    def __call__(self, x: Any, y: Any) -> Any:
        return self.ours(x, y) if isinstance(x, tg.Tensor) else self.theirs(x, y)


def exists(name: str) -> bool:
    try:
        return callable(found(tg, name))
    except AttributeError:
        return False


OPERATIONS = defaultdict(list)
for _info in invocations.op_db:
    if exists(_info.name) and _info.name not in DIFFERENT and not _info.name.startswith("__r"):
        OPERATIONS[_info.name].append(_info)


def translated(value: Any) -> Any:
    """An argument of a sample as our tables would have it."""
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.is_meta or value.layout != torch.strided or value.ndim > 64:
            raise Untranslatable
        if value.dtype == torch.bfloat16:
            array = value.detach().float().numpy().astype(ml_dtypes.bfloat16)
        else:
            array = np.array(value.detach().numpy())
        return array if value.requires_grad else View(array, lambda t: t.detach(), "constant")
    if isinstance(value, torch.dtype):
        if value.is_complex:
            raise Untranslatable
        return Name(str(value).removeprefix("torch."))
    if isinstance(value, (torch.memory_format, torch.layout, torch.Generator, complex)):
        raise Untranslatable
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(map(translated, value))
    if isinstance(value, dict):
        return {key: translated(part) for key, part in value.items()}
    if isinstance(value, torch.nn.PairwiseDistance):
        return Distance(value)
    if value is torch.nn.functional.pairwise_distance:
        return Name("nn.functional.pairwise_distance")
    return value


def called(info: Any) -> Any:
    """The operation on either side, ours with the arguments in the order of PyTorch's sample."""
    ours = ADAPTED.get(f"{info.name}/{info.variant_test_name}", ADAPTED.get(info.name))

    def call(m: Any, args: Any, kwargs: Any) -> Any:
        function = info.op if m.module is torch else ours or found(tg, info.name)
        result = function(*args, **kwargs)
        return COMPARED[info.name](m, result, *args, **kwargs) if info.name in COMPARED else result

    return call


def seeded() -> None:
    """What PyTorch's samples are drawn from, at its start."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - theirs
    torch.manual_seed(0)


def calls(info: Any, dtype: Any, order: int) -> Any:
    """The samples of an operation as (args, kwargs)."""
    seeded()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = list(islice(info.sample_inputs("cpu", dtype, requires_grad=order > 0), SAMPLES))
    for sample in samples:
        try:
            yield translated((sample.input, *sample.args)), translated(sample.kwargs)
        except Untranslatable:
            continue


def left_out(info: Any, dtype: Any) -> bool:
    kinds = f"/{info.variant_test_name}", f" {str(dtype).removeprefix('torch.')}"
    return any(info.name + kind in DIFFERENT for kind in kinds)


def samples(name: str) -> Any:
    """The calls to compare: (call, arguments, order of derivatives, tolerance)."""
    for info in OPERATIONS[name]:
        promised = 0 if not info.supports_autograd else 2 if info.supports_gradgrad else 1
        for dtype in (torch.float64, *OTHER_DTYPES):
            if dtype not in info.dtypes or left_out(info, dtype):
                continue
            order = min(promised, ORDERS.get(name, 2)) if dtype == torch.float64 else 0
            for sample in calls(info, dtype, order):
                sizes = [array.size for array in arrays(sample)]
                if sum(sizes) > LARGEST:
                    continue
                single = dtype == torch.float64 and any(
                    array.dtype == np.float32 for array in arrays(sample)
                )
                tolerance = 1e-5 if single else TOLERANCE.get(dtype)
                yield called(info), sample, order, tolerance


def arrays(sample: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    made(sample, lambda array: found.append(array) or torch.tensor(0.0), torch)
    return found


def mistakes(info: Any) -> Any:
    """The arguments of calls that PyTorch refuses."""
    if info.error_inputs_func is None:
        return
    seeded()
    for wrong in info.error_inputs("cpu"):
        sample = wrong.sample_input
        if "out" in sample.kwargs:
            continue
        try:
            yield translated((sample.input, *sample.args)), translated(sample.kwargs)
        except Untranslatable:
            continue


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_values_and_gradients_of_pytorchs_samples(same, name):
    for call, sample, order, tolerance in samples(name):
        same.once(call, sample, order, tolerance)


@pytest.mark.parametrize(
    "name",
    sorted(
        n
        for n in OPERATIONS
        if any(i.error_inputs_func for i in OPERATIONS[n]) and n not in ACCEPTED
    ),
)
@pytest.mark.filterwarnings("ignore")
def test_wrong_arguments_of_pytorchs_samples(same, name):
    for info in OPERATIONS[name]:
        for sample in mistakes(info):
            same.error(called(info), *sample)
