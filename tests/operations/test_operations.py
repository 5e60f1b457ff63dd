"""What holds for every operation: gradients, dtypes, methods; each has a row in a table."""

from __future__ import annotations

import numpy as np
import pytest
from calling import count_of_tensors, gradients, of_elements, on, parts
from drawing import Draw, found, made, retyped
from linalg_calls import refuses_halves
from tables import CALLS

import tapegrad as tg
from tapegrad.autograd.operations import __all__ as OPERATIONS
from tapegrad.nn import functional

HALVES_AND_FLOATS = [tg.float16, tg.bfloat16, tg.float32, tg.float64]


# Random numbers, dtypes, conversions: what has tests of its own, and no row.
NO_ROW = {
    "Generator", "as_tensor", "asarray", "bernoulli", "binomial", "can_cast", "empty",
    "empty_like", "finfo", "from_dlpack", "from_numpy", "frombuffer", "get_rng_state", "iinfo",
    "initial_seed", "is_floating_point", "is_nonzero", "is_tensor", "manual_seed", "multinomial",
    "normal", "numel", "poisson", "promote_types", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "randperm", "result_type", "seed", "set_rng_state", "tensor",
    "linalg.LinAlgError", "nn.functional.gumbel_softmax", "nn.functional.multi_class_svm_loss",
    "nn.functional.multi_head_attention_forward",
}  # fmt: skip


def test_every_operation_has_a_row_in_a_table():
    names = {
        *OPERATIONS,
        *(f"linalg.{name}" for name in vars(tg.linalg) if not name.startswith("_")),
        *(f"nn.functional.{name}" for name in functional.__all__ if not name.endswith("_")),
    }
    shared = {name for name in names if name.removeprefix("nn.functional.") in CALLS}
    assert names - set(CALLS) - shared - NO_ROW == set()
    assert NO_ROW & set(CALLS) == set()


def leaf(array):
    tensor = tg.tensor(array)
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


@pytest.mark.parametrize("dtype", HALVES_AND_FLOATS, ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_a_floating_dtype_stays_what_it_is(name, dtype):
    drawn, leaves = of_elements(name), []
    args, kwargs = made(
        retyped((drawn.args, drawn.kwargs), dtype),
        lambda array: leaves.append(leaf(array)) or leaves[-1],
        tg,
    )
    if dtype.itemsize == 2 and refuses_halves(name, drawn):
        with pytest.raises(RuntimeError, match=str(dtype)):
            found(tg, name)(*args, **kwargs)
        return
    outputs = [part for part in parts(found(tg, name)(*args, **kwargs)) if part.requires_grad]
    if "dtype" not in kwargs and name != "float_power":  # which is float64 always
        assert {part.dtype for part in outputs} <= {dtype}
    first = gradients(outputs, [x for x in leaves if x.requires_grad], create_graph=True)
    assert {g.dtype for g in first} <= {dtype}
    recorded = [g for g in first if g.requires_grad]
    second = gradients(recorded, [x for x in leaves if x.requires_grad])
    assert {g.dtype for g in second} <= {dtype}


@pytest.mark.parametrize(
    "name", [name for name in CALLS if hasattr(tg.Tensor, name) and name != "where"]
)  # the method of that has another order
def test_a_method_is_the_function_of_its_name(name):
    drawn = of_elements(name)
    args, kwargs = made((drawn.args, drawn.kwargs), tg.tensor, tg)
    function, method = getattr(tg, name, None), getattr(tg.Tensor, name)
    if function is None or not isinstance(args[0], tg.Tensor):
        return
    for ours, theirs in zip(
        parts(function(*args, **kwargs)), parts(method(*args, **kwargs)), strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("name", CALLS)
def test_a_tensor_on_the_gpu_is_computed_with_there(gpu, name):
    for drawn in (of_elements(name), *(CALLS[name](Draw(seed)) for seed in range(8))):
        theirs = on("cpu", name, drawn)
        ours = on("cuda", name, drawn)
        if count_of_tensors(drawn):
            assert {str(result.device) for result in ours} <= {"cuda:0"}
        for x, y in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                x.detach().cpu().numpy(), y.detach().numpy(), rtol=1e-9, atol=1e-12
            )
