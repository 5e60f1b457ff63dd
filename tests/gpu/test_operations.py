"""Every operation on a real GPU gives what it gives on a CPU, forward and backward."""

import numpy as np
import pytest
from calling import of_elements, on
from drawing import Call, Draw, retyped
from linalg_calls import refuses_halves
from tables import CALLS

import tapegrad as tg
from tapegrad.kernels.cuda import checks

pytestmark = pytest.mark.gpu

TOLERANCES = {tg.float32: 2e-4, tg.float16: 2e-2, tg.bfloat16: 6e-2}


def drawn_calls(name):
    yield of_elements(name)
    for seed in range(8):
        yield CALLS[name](Draw(seed))


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_computes_as_on_a_cpu(name):
    for drawn in drawn_calls(name):
        for ours, theirs in zip(on("cuda", name, drawn), on("cpu", name, drawn), strict=True):
            np.testing.assert_allclose(
                ours.detach().cpu().numpy(), theirs.detach().numpy(), rtol=1e-8, atol=1e-10
            )
    tg.cuda.synchronize()
    checks.raise_pending()


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_computes_in_smaller_floats(name):
    whole = of_elements(name)
    for dtype, tolerance in TOLERANCES.items():
        if dtype.itemsize == 2 and refuses_halves(name, whole):
            continue
        args, kwargs = retyped((whole.args, whole.kwargs), dtype)
        small = Call(args, kwargs, 0, whole.of)
        for ours, theirs in zip(on("cuda", name, small), on("cpu", name, small), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(
                ours.detach().double().cpu().numpy(),
                theirs.detach().double().numpy(),
                rtol=tolerance,
                atol=tolerance,
            )


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.skipif(tg.cuda.device_count() < 2, reason="needs two GPUs")
def test_an_operation_computes_on_a_gpu_that_is_not_the_current_one(name):
    drawn = of_elements(name)
    for ours, theirs in zip(on("cuda:1", name, drawn), on("cpu", name, drawn), strict=True):
        np.testing.assert_allclose(
            ours.detach().cpu().numpy(), theirs.detach().numpy(), rtol=1e-8, atol=1e-10
        )
    assert tg.cuda.current_device() == 0
