"""The tensor as a Python object: what it is, what it converts to, how it prints."""

import math
import operator

import numpy as np
import pytest

import tapegrad as tg


def leaf(*values, dtype=tg.float32):
    data = values[0] if len(values) == 1 else list(values)
    return tg.tensor(data, dtype=dtype, requires_grad=True)


# Making one


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, tg.int64),
        (1.5, tg.float32),
        (True, tg.bool),
        ([1, 2.5], tg.float32),
        ([True, 2], tg.int64),
        ([True, False], tg.bool),
        ([], tg.float32),
        ([[], []], tg.float32),
        (range(3), tg.int64),
        ((1.0, 2.0), tg.float32),
        (np.float64(2), tg.float64),
        (np.ones(2), tg.float64),
        (np.ones(2, np.int8), tg.int8),
        ([np.ones(2), np.ones(2)], tg.float64),
        (np.float16(1), tg.float16),
    ],
)
def test_the_dtype_comes_from_the_data(data, dtype):
    x = tg.tensor(data)
    assert x.dtype == dtype
    assert x.shape == np.shape(data)


def test_a_tensor_of_a_tensor_is_a_copy_off_the_tape():
    x = leaf(1.0, 2.0)
    y = tg.tensor(x)
    assert not np.shares_memory(x.data, y.data)
    assert not y.requires_grad


def test_the_class_shares_memory_where_it_can():
    array = np.zeros(2)
    assert np.shares_memory(tg.Tensor(array).data, array)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tg.tensor(0.1, dtype=tg.float64),
        lambda: tg.tensor([0.1], dtype=tg.float64),
        lambda: tg.as_tensor([0.1], dtype=tg.float64),
        lambda: tg.Tensor([0.1], dtype=tg.float64),
        lambda: tg.full((1,), 0.1, dtype=tg.float64),
        lambda: tg.full_like(tg.ones(1, dtype=tg.float64), 0.1),
        lambda: tg.zeros(1, dtype=tg.float64).fill_(0.1),
        lambda: tg.zeros(1, dtype=tg.float64).copy_([0.1]),
        lambda: tg.zeros(1, dtype=tg.float64).add_(0.1),
        lambda: tg.linspace(0, 1, 11, dtype=tg.float64)[1],
        lambda: tg.arange(0, 1, 0.1, dtype=tg.float64)[1],
        lambda: tg.masked_fill(tg.zeros(1, dtype=tg.float64), tg.tensor([True]), 0.1),
        lambda: tg.where(tg.tensor([True]), 0.1, tg.zeros(1, dtype=tg.float64)),
    ],
    ids=range(13),
)
def test_float64_tensors_keep_every_digit(make):
    assert make().item() == 0.1


def test_integers_made_of_floats_keep_every_digit():
    assert tg.tensor([16777217.0], dtype=tg.int64).tolist() == [16777217]


def test_a_tensor_of_a_list_is_independent_of_it():
    values = [1.0, 2.0]
    x = tg.tensor(values)
    values[0] = 5.0
    assert x.tolist() == [1.0, 2.0]


def test_the_default_dtype_can_be_changed():
    tg.set_default_dtype(tg.float64)
    try:
        assert tg.tensor(1.0).dtype == tg.zeros(2).dtype == tg.float64
        assert (tg.tensor([1]) * 0.5).dtype == tg.float64
    finally:
        tg.set_default_dtype(tg.float32)
    with pytest.raises(TypeError, match="floating"):
        tg.set_default_dtype(tg.int64)


# What it is


def test_it_describes_itself():
    x = tg.zeros(2, 3)
    assert (x.shape, x.size(), x.size(1), x.size(-1)) == ((2, 3), (2, 3), 3, 3)
    assert (x.ndim, x.dim(), x.numel(), len(x)) == (2, 2, 6, 2)
    assert (x.itemsize, x.nbytes) == (4, 24)
    assert x.device == "cpu"
    assert x.is_floating_point()
    assert not x.is_cuda
    assert x.is_contiguous()
    assert not x.T.is_contiguous()
    assert x.T.contiguous().is_contiguous()


def test_leaves_and_recorded_tensors_are_told_apart():
    x = leaf(1.0)
    y = x * 2
    assert (x.is_leaf, y.is_leaf, tg.tensor(1.0).is_leaf) == (True, False, True)
    assert x.grad_fn is None
    assert repr(y.grad_fn).startswith("<mul #")


def test_requiring_a_gradient_is_switched_on_and_off():
    x = tg.ones(2)
    assert x.requires_grad_() is x
    assert x.requires_grad
    x.requires_grad = False
    assert not x.requires_grad
    assert not (x * 2).requires_grad


def test_detach_is_off_the_tape():
    y = leaf(1.0) * 2
    assert not y.detach().requires_grad
    assert y.detach().is_leaf
    assert y.requires_grad
    assert y.detach_() is y
    assert not y.requires_grad


def test_tensors_are_hashed_by_identity():
    x, y = tg.tensor(1.0), tg.tensor(1.0)
    assert len({x, y, x}) == 2
    assert {x: "x"}[x] == "x"


def test_data_is_writable_and_shared_for_scalars_too():
    x = tg.tensor(1.0)
    x.data[...] = 5.0
    assert x.item() == 5.0
    assert (x + 1).item() == 6.0


# Becoming Python values


def test_one_element_becomes_a_number():
    x = tg.tensor([[2.5]])
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert math.sqrt(tg.tensor(4.0)) == 2.0
    assert type(x.item()) is float
    assert type(tg.tensor(3).item()) is int
    assert type(tg.tensor(True).item()) is bool


def test_an_integer_tensor_is_an_index():
    assert operator.index(tg.tensor(3)) == 3
    assert "abc"[tg.tensor(1)] == "b"


@pytest.mark.parametrize("value", [1.0, [1, 2]])
def test_other_tensors_are_no_index(value):
    with pytest.raises((TypeError, RuntimeError)):
        operator.index(tg.tensor(value))


@pytest.mark.parametrize("value", [0.0, 0, False])
def test_zero_is_false(value):
    assert not tg.tensor(value)


@pytest.mark.parametrize("shape", [(0,), (2,)])
def test_the_truth_of_other_than_one_element_is_ambiguous(shape):
    with pytest.raises(RuntimeError, match="truth"):
        bool(tg.zeros(*shape))


def test_in_looks_for_a_value():
    x = tg.tensor([1.0, 2.0])
    assert 2 in x
    assert 3.0 not in x
    assert tg.tensor(1.0) in x


def test_iteration_gives_rows():
    rows = list(tg.tensor([[1, 2], [3, 4]]))
    assert [row.tolist() for row in rows] == [[1, 2], [3, 4]]
    assert [type(v) for v in tg.tensor([1.0, 2.0])] == [tg.Tensor] * 2
    a, b = tg.tensor([1.0, 2.0])
    assert (a.item(), b.item()) == (1.0, 2.0)


def test_python_functions_of_sequences_work():
    x = tg.tensor([3.0, 1.0, 2.0])
    assert sum(x).item() == 6.0
    assert max(x).item() == 3.0
    assert [v.item() for v in sorted(x)] == [1.0, 2.0, 3.0]
    assert [v.item() for v in reversed(x)] == [2.0, 1.0, 3.0]


def test_tolist_gives_nested_lists_of_numbers():
    assert tg.tensor([[1.5], [2.5]]).tolist() == [[1.5], [2.5]]
    assert tg.tensor(1).tolist() == 1
    assert type(tg.tensor([1.5], dtype=tg.bfloat16).tolist()[0]) is float


# Printing

PRINTED = {
    "tensor(3)": lambda: tg.tensor(3),
    "tensor(True)": lambda: tg.tensor(True),
    "tensor([1, 2])": lambda: tg.tensor([1, 2]),
    "tensor([1., 2.])": lambda: tg.tensor([1.0, 2.0]),
    "tensor([1.2500, 2.5000])": lambda: tg.tensor([1.25, 2.5]),
    "tensor([0.1235])": lambda: tg.tensor([0.123456]),
    "tensor([1.], dtype=float64)": lambda: tg.tensor([1.0], dtype=tg.float64),
    "tensor([1], dtype=int32)": lambda: tg.tensor([1], dtype=tg.int32),
    "tensor([1.], dtype=float16)": lambda: tg.tensor([1.0], dtype=tg.float16),
    "tensor([1.], dtype=bfloat16)": lambda: tg.tensor([1.0], dtype=tg.bfloat16),
    "tensor([1.], requires_grad=True)": lambda: leaf([1.0]),
    "tensor([inf, nan])": lambda: tg.tensor([math.inf, math.nan]),
    "tensor([[1., 2.],\n        [3., 4.]])": lambda: tg.tensor([[1.0, 2.0], [3.0, 4.0]]),
}


@pytest.mark.parametrize("text", PRINTED)
def test_it_prints_like_pytorch(text):
    assert repr(PRINTED[text]()) == str(PRINTED[text]()) == text


def test_a_recorded_tensor_prints_its_gate():
    y = leaf([1.0]) * 2
    assert repr(y) == f"tensor([2.], grad_fn=<mul #{y.grad_fn.number}>)"


def test_a_large_tensor_prints_in_short():
    text = repr(tg.arange(100_000))
    assert "..." in text
    assert len(text) < 200


def test_an_empty_tensor_prints():
    assert repr(tg.zeros(0)).startswith("tensor([]")
    assert "0" in repr(tg.zeros(2, 0))


def test_printing_does_not_depend_on_numpys_settings():
    with np.printoptions(precision=1):
        assert repr(tg.tensor([0.125])) == "tensor([0.1250])"


def test_a_scalar_is_formatted_like_a_number():
    assert f"{tg.tensor(2.5):.2f}" == "2.50"
    assert f"{tg.tensor(3):04d}" == "0003"
    assert f"{leaf(2.5) * 1:.1e}" == "2.5e+00"


def test_a_tensor_without_a_format_is_its_text():
    assert f"{tg.tensor([1.0, 2.0])}" == "tensor([1., 2.])"


def test_a_format_for_several_elements_is_a_type_error():
    with pytest.raises(TypeError, match="format"):
        f"{tg.tensor([1.0, 2.0]):.2f}"


# Names


def test_axis_and_keepdims_are_accepted():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert x.sum(axis=0).tolist() == [4.0, 6.0]
    assert x.mean(axis=1, keepdims=True).shape == (2, 1)
    assert x.softmax(axis=0).shape == (2, 2)
    assert x.max(axis=1).indices.tolist() == [1, 1]
    assert tg.cat([x, x], axis=1).shape == (2, 4)
    assert x.unsqueeze(axis=0).shape == (1, 2, 2)


def test_every_function_that_is_a_method_is_the_same():
    x = tg.tensor([[0.5, 2.0], [3.0, 4.0]])
    for name in ("exp", "log", "sum", "mean", "relu", "tanh", "t", "flatten", "argmax", "std"):
        assert getattr(tg, name)(x).tolist() == getattr(x, name)().tolist()


def test_every_method_has_a_docstring():
    public = [name for name in dir(tg.Tensor) if not name.startswith("_") and name != "grad"]
    assert [name for name in public if not getattr(tg.Tensor, name).__doc__] == []


def test_every_public_name_exists():
    assert [name for name in tg.__all__ if not hasattr(tg, name)] == []
