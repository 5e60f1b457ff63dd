"""Reductions on a GPU against NumPy in float64: every kind, dtype and layout, in every order."""

import ctypes
import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels.cuda import reductions
from tapegrad.kernels.cuda.compiling import source
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.cuda.layout import layout
from tapegrad.kernels.cuda.reductions import reduce, variants
from tapegrad.kernels.emulator import EmulatedBackend, EmulatedModule

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
FLOATS = [np.float64, np.float32, np.float16, bfloat16]
INTEGERS = [np.dtype(f"{sign}int{8 * n}") for sign in ("", "u") for n in (1, 2, 4, 8)]
BOOL = np.dtype(bool)
POWER, CORRECTION = 2.5, 1


def logsumexp(x, **over):
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(x), **over))


def variance(x, axis, keepdims):
    with np.errstate(all="ignore"):
        count = math.prod(x.shape[d] for d in axis)
        distance = x - np.sum(x, axis=axis, keepdims=True) / count
        squares = np.sum(distance**2, axis=axis, keepdims=keepdims)
        return squares / max(count - CORRECTION, 0)


def place(find):
    """Where NumPy finds one, counted through the reduced dimensions."""

    def found(x, axis, keepdims):
        kept = [d for d in range(x.ndim) if d not in axis]
        shape = tuple(1 if d in axis else n for d, n in enumerate(x.shape))
        line = x.transpose(*kept, *sorted(axis)).reshape(*(x.shape[d] for d in kept), -1)
        places = find(line, axis=-1)
        return places.reshape(shape) if keepdims else places

    return found


def mean(x, **over):
    with np.errstate(invalid="ignore"):
        return np.sum(x, **over) / (x.size / max(np.sum(x, **over).size, 1))


SUMS = {
    "sum": np.sum,
    "mean": mean,
    "nansum": np.nansum,
    "sum of magnitudes": lambda x, **over: np.sum(abs(x), **over),
    "sum of squares": lambda x, **over: np.sum(x * x, **over),
    "length": lambda x, **over: np.sqrt(np.sum(x * x, **over)),
    "power norm": lambda x, **over: np.sum(abs(x) ** POWER, **over) ** (1 / POWER),
    "product": np.prod,
    "logsumexp": logsumexp,
    "variance": variance,
}
EXTREMES = {
    "largest": np.max,
    "smallest": np.min,
    "largest magnitude": lambda x, **over: np.max(abs(x), **over),
    "smallest magnitude": lambda x, **over: np.min(abs(x), **over),
    "place of the largest": place(np.argmax),
    "place of the smallest": place(np.argmin),
}
COUNTS = {
    "count": lambda x, **over: np.sum(x != 0, **over),
    "any": np.any,
    "all": np.all,
}
KINDS = {**SUMS, **EXTREMES, **COUNTS}
NUMBERS = {"power norm": POWER, "variance": CORRECTION}

# The shape of an array, what is looked at of it, and over which dimensions.
LAYOUTS = {
    "a scalar": ((), None, ()),
    "a short line": ((7,), None, (0,)),
    "a few rows": ((5, 37), None, (1,)),
    "rows of packs": ((6, 64), None, (1,)),
    "many short rows": ((300, 3), None, (1,)),
    "columns": ((37, 5), None, (0,)),
    "many columns": ((3, 700), None, (0,)),
    "the middle": ((3, 19, 6), None, (1,)),
    "all of three": ((7, 11, 3), None, (0, 1, 2)),
    "apart": ((3, 4, 5, 6), None, (0, 2)),
    "apart, and the last": ((3, 4, 5, 6), None, (1, 3)),
    "channels": ((3, 4, 7, 7), None, (0, 2, 3)),
    "channels, in packs": ((3, 4, 4, 8), None, (0, 2, 3)),
    "channels last": ((3, 7, 7, 4), None, (0, 1, 2)),
    "nothing": ((3, 4), None, ()),
    "size 1": ((1, 8, 1, 3), None, (0, 2)),
    "transposed": ((9, 21), lambda x: x.T, (0,)),
    "transposed, the other": ((9, 21), lambda x: x.T, (1,)),
    "backwards": ((9, 21), lambda x: x[::-1, ::-1], (1,)),
    "every third": ((10, 33), lambda x: x[::2, 1::3], (1,)),
    "from the second on": ((3, 65), lambda x: x[:, 1:], (1,)),
    "permuted": ((4, 5, 6), lambda x: x.transpose(2, 0, 1), (0, 1)),
    "a long line": ((70003,), None, (0,)),
    "long rows": ((2, 36000), None, (1,)),
    "long rows, one after another": ((3, 2, 18000), None, (0, 2)),
    "tall columns": ((3000, 6), None, (0,)),
    "eleven dimensions": ((2,) * 11, None, (0, 2, 4, 6, 8, 10)),
}
EMPTY = {
    "nothing in rows": ((4, 0), None, (1,)),
    "nothing in columns": ((0, 4), None, (0,)),
    "nothing in all": ((0, 3), None, (0, 1)),
}


def elements(kind, dtype, shape):
    """Numbers whose reduction is of a size that the dtype holds, and not near 0."""
    rng = np.random.default_rng(0)
    if dtype == BOOL:
        return rng.random(shape) < 0.5
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 3, shape).astype(dtype)
    x = rng.uniform(-0.5, 1.0, shape)
    if kind == "product":
        x = np.exp((x - 0.25) / max(math.isqrt(x.size), 1))
    elif kind in COUNTS:
        x = np.where(x > 0.3, x, 0)
    return x.astype(dtype)


def agrees(xp, kind, dtype, name, keepdim=False):
    shape, look, dims = {**LAYOUTS, **EMPTY}[name]
    host = elements(kind, dtype, shape)
    x = xp.asarray(host)
    if look:
        host, x = look(host), look(x)
    found = reduce(xp, kind, x, dims, keepdim, NUMBERS.get(kind, 1.0))
    wide = host if host.dtype.kind in "biu" else host.astype(np.float64)
    expected = np.asarray(KINDS[kind](wide, axis=dims, keepdims=keepdim))
    if kind in ("any", "all"):
        assert found.dtype == bool
    elif kind in ("count", "place of the largest", "place of the smallest"):
        assert found.dtype == np.int64
    else:
        assert found.dtype == dtype
        expected = expected.astype(dtype) if host.dtype.kind in "biu" else expected
    assert found.shape == expected.shape, name
    tolerance = TOLERANCE.get(np.dtype(dtype).name, 0)
    got = found.get()
    got = got if got.dtype.kind in "biu" else got.astype(np.float64)
    np.testing.assert_allclose(got, expected, tolerance, tolerance, err_msg=f"{kind}: {name}")


@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_numpy_in_any_layout(emulated, kind):
    for name in LAYOUTS:
        agrees(emulated, kind, np.float32, name)
        agrees(emulated, kind, np.float32, name, keepdim=True)


@pytest.mark.parametrize("kind", {**SUMS, **COUNTS})
def test_of_nothing_it_is_what_numpy_says(emulated, kind):
    for name in EMPTY:
        agrees(emulated, kind, np.float32, name)


@pytest.mark.parametrize("kind", EXTREMES)
def test_there_is_no_largest_of_nothing(gpu, kind):
    with pytest.raises(ValueError, match=f"there is no {kind} of nothing"):
        reduce(gpu, kind, gpu.empty((4, 0)), (1,), False)


@pytest.mark.parametrize("kind", KINDS)
def test_no_outputs_take_no_launch(recording, gpu, kind):
    found = reduce(gpu, kind, gpu.empty((0, 4)), (1,), True)
    assert found.shape == (0, 1)
    assert recording.launches == []


DTYPES = [
    *((kind, dtype) for kind in KINDS for dtype in FLOATS if dtype is not np.float32),
    *((kind, dtype) for kind in ("sum", "product") for dtype in (*INTEGERS, BOOL)),
    *((kind, dtype) for kind in COUNTS for dtype in (*INTEGERS, BOOL)),
    *((kind, dtype) for kind in EXTREMES for dtype in (*INTEGERS, BOOL) if "magnitude" not in kind),
]


@pytest.mark.parametrize(
    ("kind", "dtype"), DTYPES, ids=lambda v: v if type(v) is str else np.dtype(v).name
)
def test_it_agrees_with_numpy_in_any_dtype(emulated, kind, dtype):
    for name in ("rows of packs", "many columns", "channels", "a long line", "tall columns"):
        agrees(emulated, kind, dtype, name)


@pytest.mark.parametrize("kind", ["sum", "place of the largest", "variance"])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda v: np.dtype(v).name)
def test_wide_columns_are_read_in_packs(gpu, kind, dtype):
    pack = 16 // np.dtype(dtype).itemsize
    x = elements(kind, dtype, (2, pack << 16))
    seen = layout(x.shape, (x.shape[1], 1), (0,))
    assert reductions._columns(seen, pack).shape.packed
    found = reduce(gpu, kind, gpu.asarray(x), (0,), False).get()
    expected = KINDS[kind](x.astype(np.float64), axis=(0,), keepdims=False)
    np.testing.assert_allclose(found.astype(np.float64), expected, *[TOLERANCE[x.dtype.name]] * 2)


def test_broadcast_dimensions_are_read_where_they_lie(emulated):
    base = elements("sum", np.float32, (1, 7, 1))
    host = np.broadcast_to(base, (4, 7, 5))
    x = emulated.broadcast_to(emulated.asarray(base), (4, 7, 5))
    for dims in ((0,), (1,), (2,), (0, 2), (0, 1, 2)):
        found = reduce(emulated, "sum", x, dims, False).get()
        np.testing.assert_allclose(found, host.sum(axis=dims, dtype=np.float64), 1e-5)
        found = reduce(emulated, "place of the smallest", x, dims, False).get()
        assert np.array_equal(found, place(np.argmin)(host, dims, False))


# What the numbers are worth


def test_the_float32_sum_of_a_million_is_as_good_as_pairwise(gpu):
    x = np.random.default_rng(1).random(1_000_003, np.float32)
    found = float(reduce(gpu, "sum", gpu.asarray(x), (0,), False).get())
    assert abs(found / x.sum(dtype=np.float64) - 1) < 2e-7


@pytest.mark.parametrize("shape", [(200_000,), (4000, 7), (64, 33)])
def test_a_result_is_the_same_to_the_last_bit_in_every_order_of_threads(gpu, shape):
    x = gpu.asarray(np.random.default_rng(2).standard_normal(shape).astype(np.float32))
    for kind in SUMS:
        found = set()
        for order in (0, 1, 7):
            with use_backend(EmulatedBackend(order=order)):
                found.add(reduce(gpu, kind, x, (0,), False, 2.5).get().tobytes())
        assert len(found) == 1, kind


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3e-7, 1e20])
@pytest.mark.parametrize("shape", [(1001,), (70003,), (3000, 5), (6, 64)])
def test_the_variance_of_a_constant_is_exactly_0(gpu, value, shape):
    x = gpu.asarray(np.full(shape, value, np.float32))
    for dims in ((0,), (len(shape) - 1,)):
        assert not reduce(gpu, "variance", x, dims, False).get().any()


def test_a_variance_far_from_0_keeps_its_digits(gpu):
    x = 1e4 + np.random.default_rng(3).standard_normal(50_000)
    x = x.astype(np.float32)
    found = reduce(gpu, "variance", gpu.asarray(x), (0,), False, 0).get()
    np.testing.assert_allclose(found, x.var(dtype=np.float64), 1e-5)


@pytest.mark.parametrize("shape", [(3, 64), (3, 37), (3, 40000)])
def test_nan_is_the_largest_and_the_smallest(emulated, shape):
    x = np.random.default_rng(4).standard_normal(shape).astype(np.float32)
    x[0, shape[1] // 2] = x[0, -1] = x[1, 3] = np.nan
    x[2, 5] = np.inf
    for dtype in (np.float32, np.float16, bfloat16):
        values = x.astype(dtype)
        for kind, expected in EXTREMES.items():
            for dim in (0, 1):
                found = reduce(emulated, kind, emulated.asarray(values), (dim,), False).get()
                want = expected(values.astype(np.float32), axis=(dim,), keepdims=False)
                np.testing.assert_array_equal(found.astype(np.float64), want, f"{kind} {dim}")


@pytest.mark.parametrize("shape", [(4096,), (70000,), (2000, 8)])
def test_of_equals_the_first_counts_and_zeros_are_equal(emulated, shape):
    x = np.zeros(shape, np.float32)
    x[::3] = -0.0
    for kind in ("place of the largest", "place of the smallest"):
        for values in (x, np.full_like(x, -np.inf), np.full_like(x, np.nan), x + 1):
            found = reduce(emulated, kind, emulated.asarray(values), (0,), False).get()
            assert not found.any()


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
def test_the_extremes_of_integers_reach_their_bounds(emulated, dtype):
    info = np.iinfo(dtype)
    x = np.array([[3, info.max, 5], [info.min, 7, 1], [info.min] * 3, [info.max] * 3], dtype)
    for kind in EXTREMES:
        if "magnitude" not in kind:
            found = reduce(emulated, kind, emulated.asarray(x), (1,), False).get()
            assert np.array_equal(found, EXTREMES[kind](x, axis=(1,), keepdims=False))


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
def test_sums_and_products_of_integers_wrap_around(emulated, dtype):
    rng, info = np.random.default_rng(5), np.iinfo(dtype)
    x = rng.integers(info.min, info.max, (9, 40), dtype, endpoint=True) | dtype.type(1)
    for kind, expected in (("sum", np.sum), ("product", np.prod)):
        for dim in (0, 1):
            found = reduce(emulated, kind, emulated.asarray(x), (dim,), False).get()
            assert np.array_equal(found, expected(x, axis=dim, dtype=dtype)), kind


def test_nansum_leaves_out_nan_alone(emulated):
    x = np.array([[np.nan, 1, 2], [np.nan] * 3, [np.inf, 1, np.nan]], np.float32)
    found = reduce(emulated, "nansum", emulated.asarray(x), (1,), False).get()
    assert np.array_equal(found, [3, 0, np.inf])


def test_a_zero_with_a_sign_is_0_and_nan_is_not(emulated):
    x = np.array([[-0.0, 0.0], [np.nan, 0.0], [1e-40, np.nan]], np.float32)
    for dtype in (np.float32, np.float16, bfloat16, np.float64):
        values = emulated.asarray(x.astype(dtype))
        expected = np.sum(x.astype(dtype) != 0, axis=1)
        assert np.array_equal(reduce(emulated, "count", values, (1,), False).get(), expected)


def test_logsumexp_neither_overflows_nor_makes_nan_of_infinities(emulated):
    infinity = np.inf
    rows = [
        ([1e30, 1e30, 0.0], 1e30),
        ([-infinity] * 3, -infinity),
        ([infinity, infinity, 0.0], infinity),
        ([-infinity, 2.0, -infinity], 2.0),
        ([-1000.0, -1000.0, -infinity], -1000 + math.log(2)),
        ([infinity, -infinity, 5.0], infinity),
        ([1.0, np.nan, 2.0], np.nan),
        ([infinity, np.nan, 2.0], np.nan),
    ]
    x = np.array([row for row, _ in rows], np.float32)
    expected = np.array([value for _, value in rows], np.float32)
    for array, dim in ((x, 1), (np.ascontiguousarray(x.T), 0)):
        found = reduce(emulated, "logsumexp", emulated.asarray(array), (dim,), False).get()
        np.testing.assert_allclose(found, expected, 1e-6)


# Launches


@pytest.mark.parametrize(
    ("shape", "dims", "launches"),
    [
        ((64, 256), (0,), 1),  # the gradient of a bias
        ((512, 10), (0,), 1),
        ((64, 10), (0, 1), 1),
        ((32, 64, 28), (0, 2), 1),
        ((256, 4096), (1,), 1),
        ((200_000,), (0,), 2),
        ((100_000, 8), (0,), 2),
    ],
    ids=str,
)
def test_a_second_launch_is_for_few_outputs_of_many_elements_alone(
    recording, gpu, shape, dims, launches
):
    x = gpu.asarray(np.ones(shape, np.float32))
    recording.clear()
    found = reduce(gpu, "sum", x, dims, False)
    assert len(recording.launches) == launches
    assert (found.get() == math.prod(shape) // found.size).all()


def test_a_grid_smaller_than_the_outputs_goes_round(emulated, monkeypatch):
    monkeypatch.setattr(reductions, "_MOST_BLOCKS", 2)
    reductions._plan.cache_clear()
    try:
        for name in ("many short rows", "many columns", "long rows", "tall columns", "apart"):
            agrees(emulated, "sum", np.float32, name)
            agrees(emulated, "place of the largest", np.float32, name)
    finally:
        reductions._plan.cache_clear()


def test_every_kernel_that_is_launched_is_among_the_variants(recording, gpu):
    for kind, dtype in DTYPES:
        for name in ("a few rows", "columns", "long rows"):
            shape, _, dims = LAYOUTS[name]
            reduce(gpu, kind, gpu.asarray(np.ones(shape, dtype)), dims, False)
    ours = {launch for launch in recording.launches if "<" in launch}
    assert ours <= {kernel.name for kernel in variants()}
    assert len(ours) > 100


def test_division_is_right_in_32_and_in_64_bits(gpu):
    text = source("reductions.cu") + (
        'extern "C" __global__ void divide_all(const long long* a, const long long* b,'
        " long long* quotients, long long* remainders) {"
        " long long rest = a[threadIdx.x];"
        " quotients[threadIdx.x] = divide(rest, b[threadIdx.x]);"
        " remainders[threadIdx.x] = rest; }"
    )
    a = np.array([0, 7, 2**32 - 1, 2**32, 2**40 + 3, 2**62, 2**62], np.int64)
    b = np.array([5, 7, 2**32 - 1, 3, 2**33, 2**31 + 1, 1], np.int64)
    quotients, remainders = np.empty_like(a), np.empty_like(a)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (a, b, quotients, remainders)]
    block = (ctypes.c_void_p * 4)(*map(ctypes.addressof, pointers))
    module = EmulatedModule(text, ["divide_all"])
    module.launch("divide_all", (1, 1, 1), (a.size, 1, 1), 0, ctypes.addressof(block))
    assert np.array_equal(quotients, a // b)
    assert np.array_equal(remainders, a % b)


# Gates


REDUCTIONS = [
    lambda x: x.sum(1),
    lambda x: x.mean((0, 2)),
    lambda x: x.var(1),
    lambda x: x.amax((0, 1)),
    lambda x: x.amin(2),
    lambda x: x.nansum(0),
    lambda x: x.prod(1),
    lambda x: x.logsumexp((1, 2)),
    lambda x: x.norm(),
    lambda x: x.norm(1, 0),
    lambda x: x.norm(3, (0, 1)),
    lambda x: x.norm(math.inf, 1),
    lambda x: x.norm(0, 1),
]


@pytest.mark.parametrize("function", REDUCTIONS)
def test_gates_agree_with_a_cpu_and_never_wait_for_the_gpu(recording, function):
    values = np.random.default_rng(6).standard_normal((3, 4, 5)).round(1)
    found = {}
    for device in ("cpu", "cuda"):
        x = tg.tensor(values, device=device, requires_grad=True)
        recording.clear()
        out = function(x)
        (out * out).sum().backward()
        assert recording.synchronisations == []
        found[device] = out.detach().cpu().data, x.grad.cpu().data
    for on_cpu, on_gpu in zip(found["cpu"], found["cuda"], strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, 1e-10, 1e-12)


def test_several_largest_share_the_gradient_on_a_gpu_and_nan_is_one_of_them(gpu):
    x = tg.tensor([[1.0, 3.0, 3.0], [math.nan, 5.0, math.nan]], device="cuda", requires_grad=True)
    x.amax(1).sum().backward()
    assert x.grad.cpu().tolist() == [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5]]


def test_a_product_with_zeros_has_its_gradient_on_a_gpu(recording):
    x = tg.tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0]], device="cuda", requires_grad=True)
    recording.clear()
    x.prod(1).sum().backward()
    assert recording.synchronisations == []
    assert x.grad.cpu().tolist() == [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0]]


def test_counting_what_is_true_is_one_launch(recording):
    mask = tg.tensor([[True, False], [True, True]], device="cuda")
    recording.clear()
    counted = mask.sum(1)
    assert len(recording.launches) == 1
    assert counted.dtype == tg.int64
    assert counted.cpu().tolist() == [1, 2]
