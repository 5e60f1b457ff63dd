"""Convolution on a GPU against NumPy in float64: any window and layout, bias, groups, no places."""

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad import nn
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import convolution, precision
from tapegrad.kernels.cuda import convolution as on_gpu
from tapegrad.kernels.cuda import convolution_tiles as tiles
from tapegrad.kernels.cuda import launching
from tapegrad.kernels.cuda.convolution_windows import Window
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.emulator import EmulatedBackend
from tapegrad.kernels.strides import is_channels_last

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = [np.float32, np.float64, np.float16, bfloat16]
NAMES = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
ONE, NONE = (1, 1), (0, 0)

# The size of images, then kernel, stride, padding, dilation and groups; ragged on purpose.
CASES = [
    ((5, 7), (3, 3), ONE, NONE, ONE, 1),
    ((6, 5), (2, 3), (2, 1), (0, 1), ONE, 2),
    ((9, 8), (2, 3), (3, 2), (2, 3), (2, 1), 2),
    ((8, 9), (3, 3), ONE, (2, 2), (2, 2), 1),
    ((7, 6), (3, 2), (4, 2), (0, 1), (3, 4), 1),
    ((5, 4), (1, 1), (2, 2), (1, 1), ONE, 1),
    ((3, 3), (2, 2), ONE, (3, 4), ONE, 1),
    ((7,), (3,), (1,), (2,), (2,), 1),
    ((7,), (2,), (3,), (1,), (1,), 2),
    ((3, 4, 5), (2, 2, 3), (1, 1, 1), (1, 0, 2), (2, 1, 1), 1),
    ((3, 5, 4), (2, 1, 3), (2, 1, 1), (0, 1, 1), (1, 2, 1), 2),
]
WINDOWS = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1]}".replace(" ", ""))
PLAIN = ((9, 8), (3, 3), (2, 1), (1, 1), ONE, 1)


@pytest.fixture
def tf32():
    precision.allow_tf32_convolution()
    yield
    precision.allow_tf32_convolution(False)


def drawn(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def placed(xp, values, last):
    """An array on the GPU, with its channels next to each other or not."""
    if not last:
        return xp.asarray(values)
    order = (0, *range(2, values.ndim), 1)
    back = (0, values.ndim - 1, *range(1, values.ndim - 1))
    return xp.asarray(np.ascontiguousarray(values.transpose(order))).transpose(back)


def agree(found, exact, dtype):
    """Whether the errors are small beside the largest value, and nothing is left unwritten."""
    values, tolerance = found.get().astype(np.float64), TOLERANCE[np.dtype(dtype).name]
    if dtype == np.float32 and precision.tf32_convolution_allowed():
        tolerance = 1e-3
    assert (found.dtype, found.shape) == (dtype, exact.shape)
    np.testing.assert_allclose(values, exact, 0, tolerance * np.abs(exact).max(initial=1.0))


def operands(case, dtype, images=2, channels=4, filters=6):
    size, kernel, *_, groups = case
    x = drawn((images, channels, *size), dtype)
    w = drawn((filters, channels // groups, *kernel), dtype, 1)
    scale = 1 / np.sqrt(w[0].size)
    return x, (w * scale).astype(dtype), drawn(filters, dtype, 2)


def check(xp, x, w, bias, window, last=False, filters_last=False):
    """A convolution and its gradients."""
    given = placed(xp, x, last), placed(xp, w, filters_last)
    y = convolution.convolve(xp, *given, None if bias is None else xp.asarray(bias), *window)
    wide = [None if array is None else array.astype(np.float64) for array in (x, w, bias)]
    agree(y, convolution.convolve(np, *wide, *window), x.dtype)
    grad = drawn(y.shape, x.dtype, 3)
    given_grad, wide_grad = placed(xp, grad, last), grad.astype(np.float64)
    added = None if bias is None else drawn(x.shape[1], x.dtype, 4)
    more = (x.shape[2:], *window)
    there = None if added is None else xp.asarray(added)
    to_x = convolution.convolve_input_gradient(xp, given_grad, given[1], *more, there)
    wide_added = None if added is None else added.astype(np.float64)
    exact = convolution.convolve_input_gradient(np, wide_grad, wide[1], *more, wide_added)
    agree(to_x, exact, x.dtype)
    to_w = convolution.convolve_weight_gradient(xp, given_grad, given[0], w.shape[2:], *window)
    exact = convolution.convolve_weight_gradient(np, wide_grad, wide[0], w.shape[2:], *window)
    agree(to_w, exact, x.dtype)
    if last:
        for found in (y, to_x, to_w):
            assert is_channels_last(found.shape, found.strides) or found.shape[1] == 1


@WINDOWS
def test_every_window(emulated, case):
    window = case[2:]
    for last, channels, filters in ((False, 4, 6), (True, 8, 16), (True, 6, 6)):
        given = operands(case, np.float32, 2, channels, filters)
        check(emulated, *given, window, last, last)


@NAMES
def test_more_channels_and_filters_than_a_tile_has(emulated, dtype):
    for last, channels in ((False, 21), (True, 40)):
        case = ((7, 6), (3, 2), ONE, (1, 0), ONE, 1)
        check(emulated, *operands(case, dtype, 2, channels, 72), case[2:], last)


@pytest.mark.usefixtures("tf32")
@WINDOWS
def test_every_window_in_tf32(emulated, case):
    for last, channels, filters in ((False, 4, 6), (True, 8, 16)):
        given = operands(case, np.float32, 2, channels, filters)
        check(emulated, *given, case[2:], last, last)


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize(
    "dtype", [np.float32, np.float16, bfloat16], ids=lambda d: np.dtype(d).name
)
def test_tensor_cores(emulated, dtype):
    for last, channels, filters in ((False, 21, 70), (True, 40, 72), (True, 24, 8)):
        case = ((7, 6), (3, 2), (1, 2), (1, 0), ONE, 1)
        check(emulated, *operands(case, dtype, 2, channels, filters), case[2:], last)


@pytest.mark.parametrize("kind", ["float32", "tf32", "float16", "bfloat16"])
def test_large_tiles(emulated, monkeypatch, request, kind):
    dtype = np.dtype("float32" if kind == "tf32" else kind)
    if kind == "tf32":
        request.getfixturevalue("tf32")
    monkeypatch.setattr(tiles, "ENOUGH_BLOCKS", 1)
    forget_plans()
    case = ((13, 11), (3, 3), ONE, (1, 1), ONE, 1)
    names = set()
    for channels, filters in ((72, 72), (16, 136)):
        with record() as seen:
            check(emulated, *operands(case, dtype, 1, channels, filters), case[2:], True)
        names |= {name for name in seen.launches if "128" in name}
    assert len(names) == (1 if kind == "float32" else 3)
    forget_plans()


HOPPER_CASES = [
    ((13, 11), (3, 3), ONE, (1, 1), ONE, 1),
    ((13, 15), (1, 1), (1, 2), NONE, ONE, 1),
    ((17, 14), (3, 2), (2, 1), (1, 2), (1, 2), 2),
    ((4, 6, 7), (2, 1, 3), (1, 1, 2), (1, 0, 1), (*ONE, 1), 1),
]


@pytest.fixture
def hopper(emulated, monkeypatch):
    """A GPU with Hopper's instructions, whose tiles are used for small images too."""
    current = launching.backend()
    if isinstance(current, EmulatedBackend):
        current.arch = "sm_90a"
    elif current.architecture() != "sm_90a":
        pytest.skip("the GPU is no Hopper")
    monkeypatch.setattr(tiles, "ENOUGH_BLOCKS", 1)
    forget_plans()
    yield emulated
    forget_plans()


@pytest.mark.parametrize("dtype", [np.float16, bfloat16], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("case", HOPPER_CASES, ids=lambda c: f"{c[0]}-{c[1]}".replace(" ", ""))
def test_warpgroups_of_hopper(hopper, dtype, case):
    """Forward, data gradient and, where both sides of the product are long, that to the filters."""
    given = operands(case, dtype, 2, 80, 144)
    filters_last = dtype == bfloat16
    with record() as seen:
        check(hopper, *given, case[2:], True, filters_last)
    walks = [name for name in seen.launches if name.startswith("convolve<Warpgroup")]
    assert len(walks) == 2
    assert sum("true, false" in name for name in walks) == filters_last


@pytest.mark.parametrize(
    ("images", "channels", "filters", "tiles"),
    [
        (2, 136, 72, ["256, 128", "256, 128", "128, 128"]),
        (1, 64, 128, ["128, 128", "128, 64", "128, 128"]),
        (1, 8, 24, ["128, 64", "128, 64", "64, 128"]),
    ],
)
def test_every_tile_of_warpgroups(hopper, images, channels, filters, tiles):
    case = ((13, 11), (3, 3), ONE, (1, 1), ONE, 1)
    with record() as seen:
        check(hopper, *operands(case, bfloat16, images, channels, filters), case[2:], True)
    found = [name for name in seen.launches if name.startswith(("convolve", "weight"))]
    assert all(
        "Warpgroup" in name and tile in name for name, tile in zip(found, tiles, strict=True)
    )


@pytest.mark.usefixtures("tf32")
@WINDOWS
def test_a_data_gradient_reads_filters_that_lie_last_as_they_are(emulated, case):
    groups = case[5]
    for dtype, width in ((np.float32, 4), (np.float16, 8)):
        given = operands(case, dtype, 2, 3 * width * groups, 5 * width * groups)
        with record() as seen:
            check(emulated, *given, case[2:], True, True)
        if max(case[1]) > 1 or max(case[2]) > 1:
            assert sum("true, false" in name for name in seen.launches) == 1
            assert not any("transpose" in name for name in seen.launches)


def forget_plans():
    on_gpu._plan.cache_clear()
    on_gpu._weight_plan.cache_clear()


def test_planes_are_converted_where_there_is_much_to_do(emulated, monkeypatch):
    monkeypatch.setattr(on_gpu, "_MANY", 1)
    forget_plans()
    with record() as seen:
        check(emulated, *operands(PLAIN, np.float16, 2, 16, 24), PLAIN[2:])
    assert sum("Tensor<float16" in name and name.endswith(", 8>") for name in seen.launches) == 3


@NAMES
def test_filters_of_one_place_are_products_of_matrices(emulated, dtype):
    for size, one in (((5, 7), (1, 1)), ((7,), (1,)), ((2, 3, 4), (1, 1, 1))):
        none = (0,) * len(one)
        x, w, bias = operands((size, one, 1), dtype, 3, 12, 20)
        with record() as seen:
            check(emulated, x, w, bias, (one, none, one, 1), True, True)
            check(emulated, x, w, None, (one, none, one, 1), True, True)
        assert not any("convolve" in name or "gradient" in name for name in seen.launches)


def test_products_of_matrices_are_in_tf32_as_convolutions_are(gpu, tf32):
    x, w, _ = operands(((4, 4), (1, 1), 1), np.float32, 2, 8, 8)
    given = placed(gpu, x, True), gpu.asarray(w), None, ONE, NONE, ONE, 1
    rounded = convolution.convolve(gpu, *given).get()
    precision.allow_tf32_convolution(False)
    exact = convolution.convolve(gpu, *given).get()
    error = np.abs(rounded - exact).max()
    assert 1e-5 < error < 1e-2


@WINDOWS
def test_groups_of_few_channels(emulated, case):
    *window, _ = case[2:]
    for last, groups, inputs, outputs in (
        (False, 6, 1, 1), (True, 8, 1, 1), (False, 3, 2, 3), (True, 3, 2, 1)
    ):  # fmt: skip
        grouped = (*case[:5], groups)
        given = operands(grouped, np.float32, 2, groups * inputs, groups * outputs)
        with record() as seen:
            check(emulated, *given, (*window, groups), last, last)
        assert sum("directly" in name for name in seen.launches) == 3


@NAMES
def test_many_groups_of_every_dtype(emulated, dtype):
    case = ((6, 5), (3, 4), (1, 2), (1, 2), ONE, 40)
    for last in (False, True):
        check(emulated, *operands(case, dtype, 2, 40, 40), case[2:], last)


@pytest.mark.parametrize("channels", [3, 8])
def test_a_gradient_to_filters_in_many_parts(emulated, monkeypatch, channels):
    monkeypatch.setattr(tiles, "LEAST_PLACES", 11)
    forget_plans()
    for last in (False, True):
        check(emulated, *operands(PLAIN, np.float32, 3, channels, 4), PLAIN[2:], last)
    forget_plans()


def test_every_order_of_the_threads_gives_the_same_bits(gpu):
    x, w, bias = map(gpu.asarray, operands(PLAIN, np.float32, 8))
    found = set()
    for order in (0, 1, 7):
        with use_backend(EmulatedBackend(order=order)):
            y = convolution.convolve(gpu, x, w, bias, *PLAIN[2:])
            to_w = convolution.convolve_weight_gradient(gpu, y, x, (3, 3), *PLAIN[2:])
            to_x = convolution.convolve_input_gradient(gpu, y, w, (9, 8), *PLAIN[2:])
        found.add(b"".join(array.get().tobytes() for array in (y, to_w, to_x)))
    assert len(found) == 1


def test_views_that_are_permuted_sliced_flipped_and_repeated(emulated):
    xp, window = emulated, PLAIN[2:]
    x = xp.asarray(drawn((4, 12, 9, 8), np.float32))
    w = xp.asarray(drawn((10, 3, 3, 12), np.float32))
    views = [
        (x[::2, 1:5], w[::2, :, :, ::3].transpose(0, 3, 1, 2)),
        (x[:, ::-3, ::-1], w[::-1, :, :, 1:5].transpose(0, 3, 1, 2)),
        (x.transpose(1, 0, 3, 2), w[:, :, :, :4].transpose(0, 3, 2, 1)),
        (xp.broadcast_to(x[:1, :4], (3, 4, 9, 8)), w[:2, :, :, 8:].transpose(0, 3, 1, 2)),
        (xp.broadcast_to(x[:, :1], (4, 4, 9, 8)), w[:2, :, :, 8:].transpose(0, 3, 1, 2)),
    ]
    for image, filters in views:
        y = convolution.convolve(xp, image, filters, None, *window)
        wide = image.get().astype(np.float64), filters.get().astype(np.float64)
        agree(y, convolution.convolve(np, *wide, None, *window), np.float32)
        to_w = convolution.convolve_weight_gradient(xp, y[::-1], image, (3, 3), *window)
        given = y[::-1].get().astype(np.float64), wide[0], (3, 3), *window
        agree(to_w, convolution.convolve_weight_gradient(np, *given), np.float32)


def test_images_that_begin_anywhere_in_memory(emulated):
    x, w, bias = operands(PLAIN, np.float32, 1, 8)
    memory = emulated.asarray(np.concatenate([np.zeros(1, np.float32), x.reshape(-1)]))
    y = convolution.convolve(
        emulated, memory[1:].reshape(x.shape), emulated.asarray(w), emulated.asarray(bias),
        *PLAIN[2:],
    )  # fmt: skip
    wide = (array.astype(np.float64) for array in (x, w, bias))
    agree(y, convolution.convolve(np, *wide, *PLAIN[2:]), np.float32)


def test_negative_results_become_zero_where_one_asks_and_nan_stays(emulated):
    x, w, bias = operands(PLAIN, np.float32)
    x[0, 0, 4, 4] = np.nan
    plain = convolution.convolve(np, x, w, bias, *PLAIN[2:])
    given = map(emulated.asarray, (x, w, bias))
    y = on_gpu.convolve(emulated, *given, Window(*PLAIN[2:]), relu=True).get()
    np.testing.assert_array_equal(np.isnan(y), np.isnan(plain))
    assert (plain < -0.1).any()
    np.testing.assert_allclose(y, np.where(plain < 0, 0, plain), 1e-5, 1e-5)


def test_a_layer_with_relu_is_one_launch_and_one_more_back(recording):
    model = nn.Conv2d(4, 8, 3, activation="relu").to("cuda")
    x = tg.randn(2, 4, 6, 6, device="cuda", requires_grad=True)
    plain = tg.relu(tg.conv2d(x, model.weight, model.bias))
    gradients = tg.autograd.grad(plain.square().sum(), [x, *model.parameters()])
    with record() as seen:
        out = model(x)
    assert [name for name in seen.launches if "convolve" not in name] == []
    with record() as seen:
        found = tg.autograd.grad(out.square().sum(), [x, *model.parameters()])
    assert [name for name in seen.launches if "relu" in name or "where" in name] == [
        "fused_relu_gradient"
    ]
    assert out.equal(plain)
    assert all(map(tg.equal, found, gradients))


def test_sums_of_whole_numbers_wrap_around(emulated):
    stream = np.random.default_rng(0)
    for dtype in (np.int64, np.int32, np.uint8):
        info = np.iinfo(dtype)
        x, w = (
            stream.integers(info.min, info.max, shape, dtype)
            for shape in ((2, 4, 9, 8), (6, 4, 3, 3))
        )
        for last in (False, True):
            given = placed(emulated, x, last), emulated.asarray(w)
            y = convolution.convolve(emulated, *given, None, *PLAIN[2:])
            exact = convolution.convolve(np, x, w, None, *PLAIN[2:])
            np.testing.assert_array_equal(y.get(), exact)
            more = (9, 8), *PLAIN[2:]
            to_x = convolution.convolve_input_gradient(emulated, y, given[1], *more)
            exact = convolution.convolve_input_gradient(np, exact, w, *more)
            np.testing.assert_array_equal(to_x.get(), exact)


def test_nothing_is_launched_for_nothing_and_no_channels_are_the_bias(emulated):
    x, w, bias = operands(PLAIN, np.float32)
    x, w, bias = map(emulated.asarray, (x, w, bias))
    with record() as seen:
        for images, filters in ((x[:0], w), (x, w[:0])):
            y = convolution.convolve(emulated, images, filters, None, *PLAIN[2:])
            assert y.shape == (len(images), len(filters), 5, 8)
    assert seen.launches == []
    with record() as seen:
        grad = emulated.empty((2, 6, 5, 8), np.float32)
        for given in ((grad[:0], x[:0]), (grad, x[:, :0])):
            to_w = convolution.convolve_weight_gradient(emulated, *given, (3, 3), *PLAIN[2:])
            np.testing.assert_array_equal(to_w.get(), np.zeros(to_w.shape))
        to_x = convolution.convolve_input_gradient(emulated, grad[:0], w, (9, 8), *PLAIN[2:])
        assert to_x.shape == (0, 4, 9, 8)
    assert not any("gradient" in name or "convolve" in name for name in seen.launches)
    y = convolution.convolve(emulated, x[:, :0], w[:, :0], bias, *PLAIN[2:])
    np.testing.assert_array_equal(y.get(), np.broadcast_to(bias.get()[:, None, None], y.shape))


def test_a_plan_is_made_once(gpu, emulated):
    x, w, bias = map(emulated.asarray, operands(PLAIN, np.float32))
    for _ in range(2):
        convolution.convolve(emulated, x, w, bias, *PLAIN[2:])
    before = on_gpu._plan.cache_info()
    with record() as seen:
        convolution.convolve(emulated, x, w, bias, *PLAIN[2:])
    after = on_gpu._plan.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)
    assert seen.launches == ["convolve<Fma<float, 64, 64, true>, 1>"]


# The whole operation


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
@pytest.mark.parametrize(("size", "groups"), [((3, 2), 1), ((1, 1), 1), ((2, 3), 4)])
def test_values_and_gradients_to_second_order_are_the_cpus(gpu, name, size, groups):
    results = []
    for device in ("cpu", "cuda"):
        shapes = (2, 4, 5, 6), (4, 4 // groups, *size), (4,)
        x, w, bias = (
            tg.tensor(drawn(shape, np.float64, i), device=device, requires_grad=True)
            for i, shape in enumerate(shapes)
        )
        stride = 1 if size == (1, 1) else (2, 1)
        if size == (1, 1):
            x = x.detach().to(memory_format=tg.channels_last).requires_grad_()
        out = getattr(nn.functional, name)(x, w, bias, stride=stride, groups=groups)
        first = tg.autograd.grad((out * out).sum(), (x, w, bias), create_graph=True)
        second = tg.autograd.grad(sum((g * g).sum() for g in first), (x, w, bias))
        results.append([value.detach().cpu().numpy() for value in (out, *first, *second)])
    for cpu, cuda in zip(*results, strict=True):
        np.testing.assert_allclose(cuda, cpu, 1e-10, 1e-10 * np.abs(cpu).max())


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_a_bias_is_added_in_the_same_launch(recording, name):
    x = tg.randn(2, 4, 5, 6, device="cuda")
    w, bias = tg.randn(4, 4, 3, 3, device="cuda"), tg.randn(4, device="cuda")
    recording.clear()
    getattr(nn.functional, name)(x, w, bias)
    assert recording.launches == ["convolve<Fma<float, 64, 64, true>, 1>"]
    assert recording.synchronisations == []
