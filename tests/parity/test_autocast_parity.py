"""Dtypes under autocast on a CPU, next to PyTorch: for every operation that both libraries have.

The calls are PyTorch's own samples (`test_samples_parity`), in float32, in bfloat16 and with both
among the arguments.
"""

from __future__ import annotations

import re
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import test_samples_parity as pytorch
from drawing import made, retyped

from tapegrad.autograd.autocast_lists import POLICIES

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: tapegrad[parity]")

SAMPLES = 2  # of each operation, variant and dtype
LARGEST = 2000  # elements of a sample's tensors
# Where tapegrad computes in another dtype than PyTorch, and why.
DIFFERENT = {
    "einsum": "Without a contraction PyTorch multiplies in float32.",
    "inner": "Of two vectors PyTorch takes `dot`, which is in float32.",
    "linalg.det": "PyTorch takes halves of matrices without elements.",
    "linalg.matrix_power": "PyTorch multiplies in bfloat16, but for powers of 0, 1 and -1.",
    "linalg.pinv": "The last of PyTorch's steps is a product in bfloat16.",
    "linalg.solve_ex": "PyTorch takes halves of matrices without elements.",
    "nn.functional.linear_cross_entropy": "PyTorch rounds the loss of halves to halves.",
    "nn.functional.max_pool3d": "PyTorch computes in float32 only where no indices are wanted.",
    "tensordot": "PyTorch adds up all elements in float32.",
}


def samples(name: str) -> Any:
    """The calls to compare: (call, arguments), the floats among these as float64."""
    for info in pytorch.OPERATIONS[name]:
        dtype = next((d for d in (torch.float64, torch.float32) if d in info.dtypes), None)
        if dtype is None:
            continue
        pytorch.seeded()
        for sample in islice(info.sample_inputs("cpu", dtype), SAMPLES):
            try:
                values = (sample.input, *sample.args), sample.kwargs
                arguments = tuple(map(pytorch.translated, values))
            except pytorch.Untranslatable:
                continue
            if sum(array.size for array in pytorch.arrays(arguments)) <= LARGEST:
                yield pytorch.called(info), arguments


def dtypes(side: Any, call: Any, sample: Any) -> list[str]:
    """The dtypes of the results under autocast on one side."""
    m = side.module
    with warnings.catch_warnings(), m.autocast("cpu"):
        warnings.simplefilter("ignore")
        out = call(side, *made(sample, lambda array: side.leaf(array).detach(), m))
    results = [*out] if isinstance(out, (tuple, list)) else [out]
    return [str(o.dtype).removeprefix("torch.") for o in results if hasattr(o, "requires_grad")]


def mixed(sample: Any) -> Any:
    """The first argument in bfloat16, the others in float32."""
    (first, *others), kwargs = sample
    rest = retyped((tuple(others), kwargs), np.float32)
    return (retyped(first, ml_dtypes.bfloat16), *rest[0]), rest[1]


def given(sample: Any) -> Any:
    yield retyped(sample, np.float32)
    yield retyped(sample, ml_dtypes.bfloat16)
    yield mixed(sample)


@pytest.mark.parametrize("name", sorted(pytorch.OPERATIONS.keys() - DIFFERENT))
def test_results_have_pytorchs_dtypes(same, name):
    for call, sample in samples(name):
        for arguments in given(sample):
            try:
                expected = dtypes(same.theirs, call, arguments)
            except RuntimeError:
                continue  # PyTorch has no kernel for these
            assert dtypes(same.ours, call, arguments) == expected


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", None])
def test_a_region_of_any_dtype_is_on_or_off_as_pytorchs_and_warns_with_it(same, dtype, enabled):
    def region(m):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = m.autocast("cpu", dtype and getattr(m, dtype), enabled)
        with found:
            chosen = str(m.get_autocast_dtype("cpu")).removeprefix("torch.")
            return len(caught), m.is_autocast_enabled("cpu"), chosen

    assert region(same.ours.module) == region(same.theirs.module)


# Made of listed operations in PyTorch, or listed there under another name.
UNLISTED = {
    "arccos", "arcsin", "arctan2", "binary_cross_entropy", "cross_entropy", "grid_sample", "inner",
    "linalg.cross", "linalg.norm", "normalize", "upsampled", "__pow__", "__rpow__", "__rtruediv__",
}  # fmt: skip
HEADER = Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
MACROS = {"LOWER_PRECISION_FP": "lower", "FP32": "float32", "FP32_SET_OPT_DTYPE": "float32",
          "DIFFERENT_REDISPATCH_SIGNATURE": "float32", "PROMOTE": "widest"}  # fmt: skip


def test_the_list_of_a_gpu_is_pytorchs():
    """What PyTorch's header lists and tapegrad has, under the same policy, and nothing else."""
    header = HEADER.read_text().replace("\\\n", " ")
    listed = {}
    for macro, policy in MACROS.items():
        body = re.search(rf"#define AT_FORALL_{macro}\(_\)(.*)", header)[1]
        for name in re.findall(r"_\((?:ADD_NS\()?(\w+)", body):
            name = name.replace("linalg_", "linalg.", 1)
            if pytorch.exists(name) or pytorch.exists(f"nn.functional.{name}"):
                listed[name] = policy
    ours = {name: policy for name, policy in POLICIES["cuda"].items() if name not in UNLISTED}
    assert ours == listed


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_every_name_of_a_list_is_an_operation(kind):
    for name in POLICIES[kind].keys() - {"bordered", "upsampled"}:
        assert pytorch.exists(name) or pytorch.exists(f"nn.functional.{name}"), name
