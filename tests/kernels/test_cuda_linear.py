"""Linear layers on a GPU: product, bias and ReLU in one call of cuBLASLt, or after it."""

import ctypes

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels.cuda import blas_lt
from tapegrad.kernels.cuda.blas import FLOAT32, TYPES, Operand
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.cuda.libraries import Algorithm, BlasLt, Heuristic, find_blas_lt
from tapegrad.kernels.cuda.products import linear, linear_gradient
from tapegrad.kernels.emulator import EmulatedBackend

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, bfloat16], ids=lambda d: np.dtype(d).name
)


def drawn(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def layer(xp, shape, columns, dtype=np.float32):
    """An input of a shape, a weight and a bias."""
    shapes = shape, (columns, shape[-1]), (columns,)
    return [xp.asarray(drawn(s, dtype, seed)) for seed, s in enumerate(shapes)]


def check(xp, x, weight, bias, relu=False, tolerance=None):
    """A layer on the device; the names of what it launched."""
    with record() as found:
        out = linear(xp, x, weight, bias, relu)
    a, w = (z.get().astype(np.float64) for z in (x, weight))
    exact = a @ w.T + (0 if bias is None else bias.get().astype(np.float64))
    exact = np.maximum(exact, 0) if relu else exact
    assert (out.dtype, out.shape) == (x.dtype, exact.shape)
    scale = np.abs(exact).max(initial=1) * (tolerance or TOLERANCE[x.dtype.name])
    np.testing.assert_allclose(out.get().astype(np.float64), exact, 0, scale)
    return [name.split("<")[0] for name in found.launches]


def in_one_call(launches, dtype):
    """Whether the library did all at once; in float64 it may leave the rest to a kernel."""
    assert launches == ["cublasLtMatmul"] or (dtype is np.float64 and launches[0] == "gemmEx")


@DTYPES
def test_a_layer_is_one_call(emulated, dtype):
    for shape, columns in (((7, 5), 4), ((1, 3), 6), ((2, 3, 9), 1), ((4, 1), 8), ((5,) * 4, 16)):
        x, weight, bias = layer(emulated, shape, columns, dtype)
        in_one_call(check(emulated, x, weight, bias), dtype)


@DTYPES
def test_relu_is_in_the_same_call_or_one_kernel_after_it(emulated, dtype):
    for columns in (3, 8):
        x, weight, bias = layer(emulated, (6, 5), columns, dtype)
        for each in (bias, None):
            launches = check(emulated, x, weight, each, relu=True)
            in_one_call(launches, dtype)


def test_views_are_taken_as_they_lie(emulated):
    x, weight, bias = layer(emulated, (6, 10), 8)
    for a, w, b in (
        (x[::2], weight, bias),
        (emulated.asarray(drawn((10, 6))).T, weight, bias),
        (x, emulated.asarray(drawn((10, 8))).T, bias),
        (x[:, 1:8], weight[:, :7], bias),
        (x[:, 1:2], weight[:, :1], bias),
        (x[1:], weight[1:], bias[1:]),  # addresses that are multiples of 8 and of 4
    ):
        assert check(emulated, a, w, b) == ["cublasLtMatmul"]
    assert check(emulated, x, weight, emulated.asarray(drawn((8, 2)))[:, 0])[-1] == "cublasLtMatmul"
    check(emulated, x[:, ::2], weight[:, ::2], bias)


def test_rows_that_do_not_go_on_evenly_are_a_stack_in_one_call(emulated):
    x, weight, bias = layer(emulated, (4, 3, 5), 6)
    for each in (x.swapaxes(0, 1), x[:, 1:], x.swapaxes(0, 1)[:, :, 1:4]):
        w = weight[:, : each.shape[-1]]
        assert check(emulated, each, w, bias, relu=True) == ["cublasLtMatmul"]


def test_layers_of_one_shape_share_a_product_with_biases_of_their_own(emulated):
    x, weight, bias = layer(emulated, (4, 5), 8)
    for each in (bias, bias * 2, bias, bias - 1):
        check(emulated, x, weight, each)


def test_nothing_to_multiply_leaves_the_bias(emulated):
    for shape, columns in (((0, 5), 4), ((3, 0), 4), ((3, 5), 0), ((2, 0, 3), 4)):
        check(emulated, *layer(emulated, shape, columns), relu=True)


def test_tf32_is_in_the_epilogue_too(emulated):
    x, weight, bias = layer(emulated, (20, 40), 30)
    tg.set_float32_matmul_precision("high")
    try:
        check(emulated, x, weight, bias, tolerance=1e-3)
        with pytest.raises(AssertionError):
            check(emulated, x, weight, bias)
    finally:
        tg.set_float32_matmul_precision("highest")


class WithoutLt(EmulatedBackend):
    """A machine on which cuBLASLt is not found."""

    def blas_lt(self):
        return None


@pytest.mark.parametrize("dtype", [np.float32, bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("order", [0, 1, 7])
def test_without_the_library_a_kernel_follows_the_product(gpu, order, dtype):
    with use_backend(WithoutLt(order)):
        for shape, columns in (((7, 5), 3), ((4, 1, 6), 8), ((2, 3), 1)):
            x, weight, bias = layer(gpu, shape, columns, dtype)
            for relu in (False, True):
                launches = check(gpu, x, weight, bias, relu)
                assert launches == ["gemmEx", "add_bias"]
            assert check(gpu, x, weight, None) == ["gemmEx"]
        check(gpu, *layer(gpu, (3, 0), 4, dtype), relu=True)


def test_a_kernel_keeps_a_nan_before_relu(gpu):
    x, weight, bias = layer(gpu, (2, 3), 4)
    bias[1] = np.nan
    with use_backend(WithoutLt()):
        out = linear(gpu, x, weight, bias, relu=True).get()
    assert np.isnan(out[:, 1]).all()
    assert not np.isnan(out[:, [0, 2, 3]]).any()


def test_whole_numbers(gpu):
    x, weight, bias = (gpu.asarray(np.arange(n).reshape(s)) for n, s in ((6, (2, 3)), (12, (4, 3)),
                                                                        (4, (4,))))  # fmt: skip
    x -= 3
    exact = x.get() @ weight.get().T + bias.get()
    np.testing.assert_array_equal(linear(gpu, x, weight, bias).get(), exact)
    assert (exact < 0).any()
    np.testing.assert_array_equal(
        linear(gpu, x, weight, bias, relu=True).get(), np.maximum(exact, 0)
    )


def check_gradient(xp, grad, x):
    """The gradients of a weight and of a bias; the names of what was launched."""
    with record() as found:
        to_weight, to_bias = linear_gradient(xp, grad, x)
    g, a = (z.get().astype(np.float64) for z in (grad, x))
    for out, exact in ((to_weight, g.T @ a), (to_bias, g.sum(axis=0))):
        assert (out.dtype, out.shape) == (x.dtype, exact.shape)
        scale = np.abs(exact).max(initial=1) * TOLERANCE[x.dtype.name]
        np.testing.assert_allclose(out.get().astype(np.float64), exact, 0, scale)
    return [name.split("<")[0] for name in found.launches]


@DTYPES
def test_gradients_of_weight_and_bias_are_one_call(emulated, dtype):
    for rows, n, k in ((7, 4, 5), (1, 3, 6), (9, 1, 2), (5, 8, 1)):
        grad, x = (emulated.asarray(drawn(s, dtype)) for s in ((rows, n), (rows, k)))
        in_one_call(check_gradient(emulated, grad, x), dtype)


def test_gradients_of_views(emulated):
    grad, x = (emulated.asarray(drawn(s)) for s in ((6, 8), (6, 10)))
    for g, a in (
        (grad[::2], x[1::2]),
        (grad[:, 1:4], x[:, 2:]),
        (emulated.asarray(drawn((3, 6))).T, x),
        (grad, emulated.asarray(drawn((4, 6))).T),
    ):
        assert check_gradient(emulated, g, a) == ["cublasLtMatmul"]
    check_gradient(emulated, emulated.broadcast_to(grad[:1], (6, 8)), x)
    check_gradient(emulated, grad[:, ::2], x[:, ::3])
    for rows, n, k in ((0, 4, 5), (3, 0, 5), (3, 4, 0)):
        check_gradient(emulated, emulated.zeros((rows, n)), emulated.zeros((rows, k)))


def test_without_the_library_the_gradient_of_the_bias_is_a_sum(gpu):
    with use_backend(WithoutLt()):
        launches = check_gradient(gpu, *(gpu.asarray(drawn(s)) for s in ((6, 8), (6, 10))))
    assert launches[0] == "gemmEx"
    assert len(launches) == 2


@pytest.mark.parametrize(
    ("activation", "before"), [(None, []), ("relu", ["fused_relu_gradient"])], ids=["plain", "relu"]
)
def test_a_layer_of_tensors_is_a_call_forward_and_two_back(recording, activation, before):
    model = tg.nn.Linear(6, 4, activation=activation).to("cuda")
    x = tg.randn(5, 6, device="cuda", requires_grad=True)
    recording.clear()
    out = model(x)
    assert recording.launches == ["cublasLtMatmul"]
    recording.clear()
    out.backward(tg.ones_like(out))
    assert recording.launches == ["ones", *before, "gemmEx", "cublasLtMatmul"]


def a_product(library, **changes):
    """What is made ready for (3, 5) by (5, 4) and a bias, one factor transposed, in float32."""
    key = blas_lt.Key(
        library.handle(), FLOAT32, 68, blas_lt.epilogue(True, False), (16, 16, 16, 16),
        (4, 3, 5), Operand(1, 5, 0), Operand(0, 5, 0), 1, 0,
    )  # fmt: skip
    return blas_lt.Product(library, key._replace(**changes))


def test_what_the_library_does_not_take_is_not_found():
    library = EmulatedBackend().blas_lt()
    assert a_product(library).found
    assert not a_product(library, compute=70).found
    assert not a_product(library, a=Operand(1, 4, 0)).found
    assert not a_product(library, length=2, distance=3).found


def test_an_error_of_the_library_is_raised_with_its_reason(gpu):
    product = a_product(EmulatedBackend().blas_lt())
    x = drawn(64).ctypes.data
    with pytest.raises(RuntimeError, match=r"cuBLASLt: alignment \(7\)"):
        product(gpu, x, x, x, x + 4)


def test_structures_have_the_sizes_of_nvidias_header():
    assert (ctypes.sizeof(Algorithm), ctypes.sizeof(Heuristic)) == (64, 96)
    assert (Heuristic.workspace.offset, Heuristic.state.offset) == (64, 72)
    assert set(TYPES.values()) == {0, 1, 2, 14}
    assert FLOAT32 == 0


@pytest.fixture
def installed():
    """cuBLASLt itself, of which descriptors need no GPU."""
    path = find_blas_lt()
    if path is None:
        pytest.skip("cuBLASLt is not installed")
    return BlasLt(path, lambda: 0, lambda: 0)


READ = {  # the function that reads an attribute, and what makes a thing that has it
    "MatmulDesc": ("cublasLtMatmulDescGetAttribute", ("cublasLtMatmulDescCreate", 68, 0)),
    "MatrixLayout": (
        "cublasLtMatrixLayoutGetAttribute",
        ("cublasLtMatrixLayoutCreate", 0, 4, 5, 4),
    ),
    "MatmulPreference": (
        "cublasLtMatmulPreferenceGetAttribute",
        ("cublasLtMatmulPreferenceCreate",),
    ),
}


@pytest.mark.parametrize(
    ("what", "attribute", "value"),
    [
        ("MatmulDesc", blas_lt.OP_A, 1),
        ("MatmulDesc", blas_lt.OP_B, 1),
        ("MatmulDesc", blas_lt.EPILOGUE, 6),
        ("MatmulDesc", blas_lt.BIAS, 4096),
        ("MatrixLayout", blas_lt.LENGTH, 3),
        ("MatrixLayout", blas_lt.DISTANCE, 20),
        ("MatmulPreference", blas_lt.MOST_BYTES, 1 << 20),
        ("MatmulPreference", blas_lt.REDUCTION, 2),
        *(("MatmulPreference", attribute, 16) for attribute in blas_lt.ALIGNMENTS),
    ],
)
def test_attributes_are_those_of_the_library_itself(installed, what, attribute, value):
    name, (make, *arguments) = READ[what]
    made = installed.new(make, *arguments)
    installed.set(what, made, attribute, value)
    number, kind = attribute
    read = getattr(ctypes.CDLL(find_blas_lt()), name)
    read.argtypes = (ctypes.c_void_p, ctypes.c_int, *(ctypes.c_void_p, ctypes.c_size_t) * 1,
                     ctypes.c_void_p)  # fmt: skip
    field, written = kind(), ctypes.c_size_t()
    size = ctypes.sizeof(field)
    assert not read(made, number, ctypes.byref(field), size, ctypes.byref(written))
    assert (field.value, written.value) == (value, size)
    installed.check(installed.functions[f"cublasLt{what}Destroy"](made))


def test_the_library_refuses_a_value_of_the_wrong_size(installed):
    made = installed.new("cublasLtMatmulDescCreate", 68, 0)
    with pytest.raises(RuntimeError, match="cuBLASLt"):
        installed.set("MatmulDesc", made, (blas_lt.OP_A[0], ctypes.c_int64), 1)
