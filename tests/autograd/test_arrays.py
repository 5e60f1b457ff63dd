"""Dtypes by PyTorch's rules, devices by name; a stand-in for CuPy plays the GPU."""

import itertools
import sys
import warnings

import numpy as np
import pytest
from standin import FakeArray

import tapegrad as tg
from tapegrad.autograd import arrays, grad

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
         "float64"]  # fmt: skip
RANKED = [(name, ndim) for name in NAMES for ndim in (0, 1)]
PYTHON = [True, 2, 2.0]


def leaf(*values, dtype=tg.float32):
    data = values[0] if len(values) == 1 else list(values)
    return tg.tensor(data, dtype=dtype, requires_grad=True)


def ours(name, ndim):
    return tg.ones(*(2,) * ndim, dtype=name) if ndim else tg.tensor(1, dtype=name)


def label(dtype):
    return str(dtype).removeprefix("torch.")


# Promotion


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def test_result_types_agree_with_pytorch_for_all_pairs(torch):
    wrong = []
    for (a, i), (b, j) in itertools.product(RANKED, RANKED):
        theirs = torch.result_type(
            torch.ones((2,) * i, dtype=getattr(torch, a)),
            torch.ones((2,) * j, dtype=getattr(torch, b)),
        )
        found = arrays.result_type(ours(a, i).data, ours(b, j).data)
        if label(found) != label(theirs):
            wrong.append((a, i, b, j, label(found), label(theirs)))
    assert wrong == []


def test_result_types_with_python_numbers_agree_with_pytorch(torch):
    wrong = []
    for (a, i), number in itertools.product(RANKED, PYTHON):
        theirs = torch.result_type(torch.ones((2,) * i, dtype=getattr(torch, a)), number)
        if label(arrays.result_type(ours(a, i).data, number)) != label(theirs):
            wrong.append((a, i, number, label(theirs)))
    assert wrong == []


@pytest.mark.parametrize(
    "operation",
    [
        lambda x, y: x + y,
        lambda x, y: x * y,
        lambda x, y: x / y,
        lambda x, y: x == y,
        lambda x, y: x < y,
    ],
    ids=["add", "mul", "div", "eq", "lt"],
)
def test_operators_give_pytorchs_dtype_for_all_pairs(torch, operation):
    wrong = []
    operands = [(n, i) for n, i in RANKED] + PYTHON

    def make(library, what):
        if not isinstance(what, tuple):
            return what
        name, ndim = what
        if library is tg:
            return ours(name, ndim)
        return torch.ones((2,) * ndim, dtype=getattr(torch, name))

    for a, b in itertools.product(operands, operands):
        if not isinstance(a, tuple) and not isinstance(b, tuple):
            continue
        theirs = operation(make(torch, a), make(torch, b)).dtype
        found = operation(make(tg, a), make(tg, b)).dtype
        if label(found) != label(theirs):
            wrong.append((a, b, label(found), label(theirs)))
    assert wrong == []


def test_where_promotes_its_branches_as_pytorch_does(torch):
    wrong = []
    for (a, i), (b, j) in itertools.product(RANKED, RANKED):
        theirs = torch.where(
            torch.tensor([True, False]),
            torch.ones((2,) * i, dtype=getattr(torch, a)),
            torch.ones((2,) * j, dtype=getattr(torch, b)),
        ).dtype
        found = tg.where(tg.tensor([True, False]), ours(a, i), ours(b, j)).dtype
        if label(found) != label(theirs):
            wrong.append((a, i, b, j, label(found), label(theirs)))
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_unary_operations_give_pytorchs_dtype(torch, name):
    for operation in ("exp", "sqrt", "tanh", "sigmoid", "sin", "log", "abs", "sum"):
        if operation == "abs" and name == "bool":
            continue
        theirs = getattr(torch.ones(2, dtype=getattr(torch, name)), operation)().dtype
        found = getattr(tg.ones(2, dtype=name), operation)().dtype
        assert (operation, label(found)) == (operation, label(theirs))


def test_dividing_integers_gives_the_default_float():
    assert (tg.tensor([1, 2]) / tg.tensor([2, 4])).dtype == tg.float32
    assert (tg.tensor(1) / 2).item() == 0.5
    assert (tg.tensor([1, 2], dtype=tg.int8) / 2).dtype == tg.float32
    assert (1 / tg.tensor([True])).dtype == tg.float32


def test_integers_are_summed_in_int64():
    for name in ("bool", "uint8", "int8", "int32", "int64"):
        assert tg.ones(300, dtype=name).sum().dtype == tg.int64
        assert tg.ones(300, dtype=name).sum().item() == 300


def test_booleans_add_as_or_and_multiply_as_and():
    x, y = tg.tensor([True, True, False]), tg.tensor([True, False, False])
    assert (x + y).tolist() == [True, True, False]
    assert (x * y).tolist() == [True, False, False]
    assert (x + 1).tolist() == [2, 2, 1]
    assert (x * 0.5).tolist() == [0.5, 0.5, 0.0]
    assert (~x & y | x ^ y).tolist() == [False, True, False]


def test_numpy_scalar_bounds_do_not_widen():
    assert leaf(1.0, 2.0).clamp(np.float64(0.1), np.float64(0.5)).dtype == tg.float32
    assert tg.masked_fill(leaf(1.0), tg.tensor(True), np.float64(2)).dtype == tg.float32


def test_floats_divided_by_zero_are_infinite():
    x = tg.tensor([1.0, -1.0])
    for zero in (0, 0.0, tg.tensor(0), tg.zeros(2)):
        assert (x / zero).tolist() == (x // zero).tolist() == [np.inf, -np.inf]
        assert (x % zero).isnan().all()


def test_comparisons_are_exact_beyond_the_range_of_the_dtype():
    x = tg.tensor([0, 255], dtype=tg.uint8)
    assert (x == -1).tolist() == [False, False]
    assert (x < 300).tolist() == [True, True]
    assert (tg.tensor([2**53], dtype=tg.int64) < 2**53 + 1).tolist() == [True]


def test_mixed_operands_get_gradients_of_their_own_dtype():
    a, b = leaf(1.0, 2.0, dtype=tg.float32), leaf(3.0, 4.0, dtype=tg.float64)
    c = leaf(2.0, dtype=tg.float16)
    (a * b * c).sum().backward()
    assert (a.grad.dtype, b.grad.dtype, c.grad.dtype) == (tg.float32, tg.float64, tg.float16)
    assert b.grad.tolist() == [2.0, 4.0]


def test_dtypes_are_named_in_many_ways():
    for name in (tg.float64, "float64", np.float64, np.dtype("f8"), ">f8"):
        assert tg.zeros(1, dtype=name).dtype == tg.float64
    assert tg.zeros(1, dtype=float).dtype == tg.float32
    assert tg.zeros(1, dtype=int).dtype == tg.int64
    assert tg.zeros(1, dtype=bool).dtype == tg.bool
    assert tg.zeros(1, dtype="bfloat16").dtype == tg.bfloat16


def test_to_changes_the_dtype_and_back():
    x = leaf(1.5, -2.5)
    y = x.to(tg.float64)
    assert y.dtype == tg.float64
    assert x.to(tg.float32) is x
    assert x.to(tg.float32, copy=True) is not x
    assert x.to(y.detach()).dtype == tg.float64
    assert x.to("float16").dtype == x.half().dtype == tg.float16
    assert x.type_as(y).dtype == tg.float64
    y.sum().backward()
    assert x.grad.dtype == tg.float32


def test_conversions_of_values_agree_with_pytorch(torch):
    values = [0.0, 1.7, -1.7, 200.0]
    for source, target in itertools.product(["float32", "float64", "bfloat16"], NAMES):
        if target == "uint8":
            continue
        theirs = torch.tensor(values[:3], dtype=getattr(torch, source)).to(getattr(torch, target))
        found = tg.tensor(values[:3], dtype=source).to(target)
        assert found.tolist() == theirs.tolist()


# Half types stay half


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16], ids=str)
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + x * 2.0 - 1,
        lambda x: 1 / x - 2.0 // x,
        lambda x: x**2 + 2.0**x + x**x,
        lambda x: x @ x.T,
        lambda x: x[0] @ x[1],
        lambda x: x.sum() + x.mean(0) + x.var() + x.std(1, keepdim=True),
        lambda x: x.softmax(1) + x.log_softmax(0) + x.logsumexp(1, keepdim=True),
        lambda x: x.exp() + x.log() + x.sqrt() + x.tanh() + x.sigmoid() + x.sin() + x.erf(),
        lambda x: tg.where(x > 0.5, x, 0.0) + x.relu() + x.clamp(0.3, 0.65),
        lambda x: x.masked_fill(x > 1, 2.0) * tg.minimum(x, x.T.reshape(2, 3)),
        lambda x: tg.maximum(x, 0.5) + x.max() + x.amax(1, keepdim=True) + x.max(1).values.sum(),
        lambda x: tg.cat([x, x]).reshape(3, 4)[1:, [0, 0, 1]].T + x[0, 0],
        lambda x: tg.linear(x, x, x[0, :2]),
        lambda x: x.norm() + x.abs() + x.square(),
        lambda x: tg.cross_entropy(x, tg.tensor([0, 2])),
    ],
    ids=range(15),
)  # fmt: skip
def test_half_types_stay_half_in_value_and_gradient(function, dtype):
    data = np.linspace(0.2, 1.1, 6).reshape(2, 3)
    x = leaf(data, dtype=dtype)
    y = function(x)
    assert y.dtype == dtype
    seed = tg.ones(*y.shape, dtype=dtype)
    (g,) = grad(y, x, seed)
    wide = leaf(x.detach().double().data, dtype=tg.float64)
    expected = function(wide)
    (expected_g,) = grad(expected, wide, seed.double())
    assert g.dtype == dtype
    assert np.allclose(y.detach().double().data, expected.detach().data, rtol=0.03, atol=0.03)
    assert np.allclose(g.double().data, expected_g.data, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [tg.float16, tg.bfloat16], ids=str)
def test_half_types_accumulate_in_float32(dtype):
    x = tg.ones(4096, dtype=dtype)
    assert x.sum().item() == 4096
    assert x.mean().item() == 1
    assert (x @ x).item() == 4096
    y = leaf(1.0, dtype=dtype)
    (y * x).sum().backward()
    assert y.grad.item() == 4096
    assert (x * 0).softmax(0).sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("dtype", [tg.float16, tg.float32], ids=str)
def test_overflow_is_an_infinity_without_warnings(dtype):
    x = tg.full((2,), 6e4 if dtype == tg.float16 else 3e38, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (x + x, x * x, x * 10.0, x.sum(), x.exp(), x - -x, x @ x, x.square(), x / 1e-3):
            assert np.all(np.isinf(y.data))
        assert np.all(np.isnan((x * x - x * x).data))


# Devices


def test_devices_are_strings_with_parts():
    device = tg.device("cuda:1")
    assert (device.type, device.index, str(device), repr(device)) == (
        "cuda",
        1,
        "cuda:1",
        "device('cuda:1')",
    )
    assert tg.device("cpu") == "cpu"
    assert tg.device("cuda") == tg.device("cuda", 0) == "cuda"
    assert tg.device("cuda") == "cuda:0"
    assert tg.device("cuda", 1) != "cuda"
    assert tg.device(tg.device("cuda:1")) == "cuda:1"
    assert tg.device("cpu:0") == tg.device("cpu")
    assert len({tg.device("cuda"), tg.device("cuda:0")}) == 1


@pytest.mark.parametrize("name", ["gpu", "mps", "", "cuda:x", "cuda:", "cpu:1", "cuda:-1"])
def test_unknown_devices_are_refused_by_name(name):
    with pytest.raises(RuntimeError, match=rf"unknown device '{name}'"):
        tg.device(name)


def test_a_negative_device_index_is_refused():
    with pytest.raises(RuntimeError, match="device"):
        tg.device("cuda", -1)


def test_tensors_go_to_the_cpu_where_they_are():
    x = tg.ones(2)
    assert x.cpu() is x
    assert x.to("cpu") is x
    assert tg.zeros(2, device="cpu").device == "cpu"


USES = [
    lambda: tg.zeros(2, device="cuda"),
    lambda: tg.tensor([1.0], device="cuda:0"),
    lambda: tg.ones(2).to("cuda"),
    lambda: tg.ones(2).cuda(),
    lambda: tg.ones(2, requires_grad=True).to(tg.device("cuda")),
    lambda: tg.ones(2).to(device="cuda"),
    lambda: tg.rand(2, device="cuda"),
    lambda: tg.arange(3, device="cuda"),
]


@pytest.mark.parametrize("use", USES, ids=range(len(USES)))
def test_cuda_without_cupy_is_one_sentence_that_says_what_is_missing(use, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(RuntimeError, match="needs CuPy, which is not installed: pip install") as e:
        use()
    assert "\n" not in str(e.value)


def test_a_gpu_that_is_not_there_is_one_sentence(gpu):
    gpu.count = 0
    with pytest.raises(RuntimeError, match=r"NVIDIA GPU, and CuPy finds none$"):
        tg.zeros(2, device="cuda")


NO_DRIVER, NO_DEVICE, BROKEN = 35, 100, 999


@pytest.mark.parametrize(
    ("status", "driver", "said"),
    [
        (NO_DRIVER, 0, r"has no driver.*install the driver"),
        (NO_DRIVER, 12040, r"CUDA 13\.0 and the driver runs CUDA 12\.4.*'tapegrad\[cuda12\]'"),
        (NO_DEVICE, 13000, r"the driver, which is installed, finds none$"),
        (BROKEN, 13000, r"working driver.*: something broke"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_one_sentence(gpu, monkeypatch, status, driver, said):
    def fail():
        raise gpu.cuda.runtime.CUDARuntimeError(status, "something broke")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu.cuda.runtime.getDeviceCount = fail
    gpu.cuda.runtime.driverGetVersion = lambda: driver
    with pytest.raises(RuntimeError, match=said) as caught:
        tg.ones(2).cuda()
    assert "\n" not in str(caught.value)


def test_a_hidden_gpu_is_said_to_be_hidden(gpu, monkeypatch):
    def fail():
        raise gpu.cuda.runtime.CUDARuntimeError(NO_DEVICE, "cudaErrorNoDevice")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    gpu.cuda.runtime.getDeviceCount = fail
    with pytest.raises(RuntimeError, match="CUDA_VISIBLE_DEVICES is ''"):
        tg.ones(2).cuda()


def test_a_compiler_that_is_missing_is_one_sentence(gpu):
    def fail():
        raise RuntimeError("CuPy failed to load libnvrtc.so.13: OSError\nand more")

    gpu.cuda.nvrtc.getVersion = fail
    with pytest.raises(RuntimeError, match=r"NVRTC.*libnvrtc.so.13.*pip install") as caught:
        tg.zeros(2, device="cuda")
    assert "\n" not in str(caught.value)


def test_a_gpu_of_a_number_too_large_is_refused_with_those_there_are(gpu):
    with pytest.raises(RuntimeError, match=r"unknown device .cuda:2.: there are 2 GPUs"):
        tg.zeros(2, device="cuda:2")


@pytest.mark.parametrize(
    ("gate", "call"),
    [
        ("where", lambda x, y: tg.where(y > 0, x, 0.0)),
        ("gather", lambda x, y: tg.gather(x, 0, y.long())),
    ],
)
def test_conditions_and_positions_must_be_on_the_same_device(gpu, gate, call):
    with pytest.raises(RuntimeError, match=rf"{gate}: inputs are on different devices") as caught:
        call(tg.ones(2).to("cuda"), tg.ones(2) * 0)
    assert "on cuda:0" in str(caught.value)
    assert "on cpu" in str(caught.value)


def test_a_tensor_goes_to_the_gpu_and_comes_back(gpu):
    x = tg.tensor([1.0, 2.0])
    y = x.to("cuda")
    assert isinstance(y.data, FakeArray)
    assert y.device == "cuda:0"
    assert y.is_cuda
    assert y.cuda() is y
    assert y.cpu().tolist() == [1.0, 2.0]
    assert type(y.cpu().data) is np.ndarray


def test_tensors_are_made_on_the_gpu(gpu):
    for x in (tg.zeros(2, device="cuda"), tg.tensor([0.0, 0.0], device="cuda:0"),
              tg.full((2,), 0.0, device="cuda")):  # fmt: skip
        assert isinstance(x.data, FakeArray)
        assert x.tolist() == [0.0, 0.0]
    assert tg.ones_like(x).is_cuda


def test_gradients_move_back_through_to(gpu):
    x = leaf(1.0, 2.0)
    (x.to("cuda") * 3.0).sum().backward()
    assert type(x.grad.data) is np.ndarray
    assert x.grad.tolist() == [3.0, 3.0]


def test_gradients_move_through_a_round_trip(gpu):
    x = leaf(1.0, 2.0)
    y = (x * 2).cuda()
    z = (y * y).cpu()
    (z * 0.5).sum().backward()
    assert x.grad.tolist() == [4.0, 8.0]
    assert x.grad.device == "cpu"


def test_second_derivatives_pass_through_to(gpu):
    x = leaf(1.0, 2.0)
    (g,) = grad((x.cuda() ** 3).sum(), x, create_graph=True)
    assert grad(g.sum(), x)[0].tolist() == [6.0, 12.0]


def test_a_leaf_on_the_gpu_gets_its_gradient_there(gpu):
    w = tg.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    ((w * w).exp() / 2).sum().backward()
    assert w.grad.is_cuda
    assert np.allclose(w.grad.cpu().data, [np.e, 2 * np.exp(4)])
    with tg.no_grad():
        w -= w.grad * 0.0
        w.grad.zero_()
    assert w.grad.tolist() == [0.0, 0.0]


def test_a_dead_part_of_a_split_counts_as_zero_on_the_gpu(gpu):
    w = tg.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    first, _ = w.split(1)
    first.sum().backward()
    assert w.grad.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("add", lambda x, y: x + y),
        ("mul", lambda x, y: x * y),
        ("matmul", lambda x, y: x @ y),
        ("maximum", lambda x, y: tg.maximum(x, y)),
        ("cat", lambda x, y: tg.cat([x, y])),
        ("where", lambda x, y: tg.where(x > 0, x, y)),
    ],
)
def test_mixed_devices_are_refused_by_gate_and_device(gpu, name, operation):
    x, y = tg.ones(2, 2), tg.ones(2, 2).cuda()
    with pytest.raises(RuntimeError, match=rf"^{name}: .*cpu.*cuda:0.*\.to\(device\)"):
        operation(x, y)


def test_python_numbers_go_to_any_device(gpu):
    assert (2 - tg.ones(2).cuda() * 3.0).tolist() == [-1.0, -1.0]


def test_a_gradient_on_another_device_is_refused(gpu):
    y = tg.ones(2, requires_grad=True).cuda() * 2
    with pytest.raises(RuntimeError, match="gradient is on cpu but the output on cuda:0"):
        y.backward(tg.ones(2))


def test_numpy_of_a_gpu_tensor_asks_for_cpu(gpu):
    for convert in (np.asarray, lambda x: x.numpy()):
        with pytest.raises(TypeError, match=r"\.cpu\(\)"):
            convert(tg.ones(2).cuda())


def test_a_gpu_tensor_prints_its_device(gpu):
    assert repr(tg.ones(2).cuda()) == "tensor([1., 1.], device='cuda:0')"


def test_to_another_tensor_takes_its_device_and_dtype(gpu):
    y = tg.ones(2, dtype=tg.float64).cuda()
    x = leaf(1.0, 2.0).to(y)
    assert x.is_cuda
    assert x.dtype == tg.float64


def test_scalars_go_to_the_gpu_and_back(gpu):
    x = leaf(2.0)
    y = x.cuda()
    assert y.is_cuda
    (y * y).backward()
    assert x.grad.item() == 4.0
    assert x.grad.device == "cpu"
