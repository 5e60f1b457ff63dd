"""Resizing and borders on a GPU against NumPy in float64: every mode, both ways, channels last."""

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import resampling as r
from tapegrad.kernels.cuda import digits, images
from tapegrad.nn import functional as F

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = [np.float32, np.float64, np.float16, bfloat16]
FLOATING = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)

# Plans and the shapes they are for.
PLANS = {
    "nearest": ((2, 3, 5), [(2, r.nearest(5, 13, None, False))]),
    "nearest, exact": (
        (2, 3, 7, 6),
        [(2, r.nearest(7, 3, 0.5, True)), (3, r.nearest(6, 12, None, True))],
    ),
    "linear": ((1, 2, 5), [(2, r.linear(5, 8, 1.7, False, np.float64))]),
    "bilinear, aligned": (
        (2, 3, 6, 4),
        [(2, r.linear(6, 11, None, True, np.float64)), (3, r.linear(4, 3, None, True, np.float64))],
    ),
    "bicubic": (
        (1, 4, 6, 5),
        [(3, r.cubic(5, 8, None, False, np.float64)), (2, r.cubic(6, 4, None, False, np.float64))],
    ),
    "trilinear": (
        (1, 2, 2, 3, 4),
        [(d, r.linear(n, 2 * n, 2.0, False, np.float64)) for d, n in ((2, 2), (3, 3), (4, 4))],
    ),
    "antialiased": (
        (1, 2, 17, 13),
        [(d, r.smoothed(n, 4, None, False, "bicubic", np.float64)) for d, n in ((2, 17), (3, 13))],
    ),
    "one axis of three": ((2, 1, 3, 4, 2), [(3, r.linear(4, 6, None, False, np.float64))]),
    "borders": ((2, 2, 4, 5), [(2, r.reflected(4, 3, 1)), (3, r.wrapped(5, 2, -1))]),
    "no batch": ((3, 5), [(1, r.replicated(5, 2, 3))]),
    "from the first axis": (
        (4, 1, 3),
        [(0, r.cubic(4, 3, 0.8, True, float)), (2, r.wrapped(3, 1, 2))],
    ),
    "nothing read": ((2, 1, 3), [(2, r.reading(3, [2, 2]).transposed)]),
}


def numbers(shape, dtype, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 2).astype(dtype)


def agree(found, exact, dtype):
    tolerance = TOLERANCE[np.dtype(dtype).name]
    assert (found.dtype, found.shape) == (dtype, exact.shape)
    scale = np.abs(exact).max(initial=1.0)
    np.testing.assert_allclose(found.get().astype(float), exact, tolerance, tolerance * scale)


def back(plan):
    return [(axis, taps.transposed) for axis, taps in reversed(plan)]


def check(xp, x, plan, given):
    """Next to the same in float64 on a CPU."""
    agree(r.resample(xp, given, plan), r.resample(np, x.astype(float), plan), x.dtype)


@FLOATING
@pytest.mark.parametrize("name", PLANS)
def test_reading_is_that_of_a_cpu_both_ways(emulated, dtype, name):
    shape, plan = PLANS[name]
    x = numbers(shape, dtype)
    check(emulated, x, plan, emulated.asarray(x))
    grad = numbers(r.resample(np, x, plan).shape, dtype, 1)
    check(emulated, grad, back(plan), emulated.asarray(grad))


@pytest.mark.parametrize(
    ("dtype", "channels"), [(np.float32, 8), (np.float16, 16), (np.float32, 3)]
)
def test_channels_next_to_each_other_stay_so(emulated, dtype, channels):
    _, plan = PLANS["bicubic"]
    x = numbers((2, channels, 6, 5), dtype)
    last = emulated.asarray(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    found = r.resample(emulated, last, plan)
    agree(found, r.resample(np, x.astype(float), plan), dtype)
    to_x = r.resample(emulated, found, back(plan))
    tall = r.resample(emulated, last, plan[1:])
    agree(tall, r.resample(np, x.astype(float), plan[1:]), dtype)
    wide = r.resample(emulated, last, plan[:1])
    agree(wide, r.resample(np, x.astype(float), plan[:1]), dtype)
    for made in (found, to_x, tall, wide):
        assert images.layout(made.shape, made.strides, made.itemsize).last


def test_views_are_read_where_they_lie(emulated):
    _, plan = PLANS["bicubic"]
    x = numbers((3, 8, 12, 7), np.float32)
    for key in (np.s_[:, :, ::2, 1:6], np.s_[1:2, 3:, 5::-1, 2:], np.s_[::2, ::3, 6:, :5]):
        check(emulated, x[key], plan, emulated.asarray(x)[key])


def test_infinity_and_nan_stay_where_they_are_read(emulated):
    x = np.array([[[np.inf, 1, np.nan, 2, -np.inf]]], np.float32)
    plan = [(2, r.nearest(5, 10, None, False))]
    found = r.resample(emulated, emulated.asarray(x), plan)
    np.testing.assert_array_equal(found.get(), r.resample(np, x, plan))


def test_each_way_is_one_launch_once_the_tables_are_there(emulated):
    x = emulated.asarray(numbers((2, 4, 6, 5), np.float32))
    last = emulated.asarray(numbers((2, 6, 5, 4), np.float32)).transpose(0, 3, 1, 2)
    _, plan = PLANS["bicubic"]
    for given, width in ((x, 1), (last, 4)):
        y = r.resample(emulated, given, plan)
        r.resample(emulated, y, back(plan))
        with record() as seen:
            r.resample(emulated, given, plan)
            r.resample(emulated, y, back(plan))
        assert seen.launches == [f"resample<float, {width}>"] * 2


def test_each_stream_and_dtype_has_tables_of_its_own(gpu):
    taps = r.linear(5, 8, None, False, np.float64)
    taps.tables.clear()
    for dtype in (np.float32, np.float64, np.float32):
        r.resample(gpu, gpu.asarray(numbers((1, 1, 5), dtype)), [(2, taps)])
    assert len(taps.tables) == 2
    with tg.cuda.stream(tg.cuda.Stream()):
        r.resample(gpu, gpu.asarray(numbers((1, 1, 5), np.float32)), [(2, taps)])
    assert len(taps.tables) == 3


def test_whole_numbers_and_images_of_nothing(emulated):
    x = np.arange(12, dtype=np.uint8).reshape(1, 2, 6)
    plan = [(2, r.nearest(6, 9, None, False))]
    found = r.resample(emulated, emulated.asarray(x), plan)
    np.testing.assert_array_equal(found.get(), r.resample(np, x, plan))
    nothing = emulated.asarray(np.zeros((0, 2, 6), np.float32))
    assert r.resample(emulated, nothing, plan).shape == (0, 2, 9)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
def test_interpolate_and_its_gradient_are_those_of_a_cpu(emulated, mode):
    x = numbers((2, 3, 5, 7), np.float32)
    results = []
    for device in ("cpu", "cuda"):
        image = tg.tensor(x, device=device, requires_grad=True)
        resized = F.interpolate(image, scale_factor=(1.7, 0.6), mode=mode)
        (resized * resized).sum().backward()
        results.append((resized.detach().cpu().numpy(), image.grad.cpu().numpy()))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 255, 256, 257, 2**31 - 1, 2**31, 2**40 + 3, 2**62 + 1])
def test_a_divisor_gives_the_quotient_of_every_whole_number(n):
    by = digits.Divisor.of(n)
    assert by.factor < 1 << 64
    some = [0, 1, n - 1, n, n + 1, 2 * n - 1, 2**31, 2**53 + 1, 2**63 - 1, (2**63 - 1) // n * n]
    some += [max(a - 1, 0) for a in some]
    for a in some:
        if a < 1 << 63:
            assert (2 * a * by.factor >> 64) >> by.shift == a // n
