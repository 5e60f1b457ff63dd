"""Whole numbers on a GPU, with Python's numbers and with 0: all is as on a CPU, or is refused."""

from functools import partial

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd.gates import comparison, selection
from tapegrad.kernels.cuda import checks, ranges

DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NUMBERS = [-(2**70), -(2**63), -300, -1, 0, 1, 127, 128, 255, 256, 2**31, 2**63 - 1, 2**63, 2**70]
COMPARISONS = {
    "==": lambda x, n: x == n,
    "!=": lambda x, n: x != n,
    "<": lambda x, n: x < n,
    "<=": lambda x, n: x <= n,
    ">": lambda x, n: x > n,
    ">=": lambda x, n: x >= n,
}
BITS = {
    "&": lambda x: x & 5,
    "|": lambda x: 5 | x,
    "^": lambda x: x ^ 200,
    "<<": lambda x: x << 2,
    ">>": lambda x: x >> 1,
    "+": lambda x: x + 300,
    "-": lambda x: 1000 - x,
    "*": lambda x: x * 2**40,
    "//": lambda x: x // 3,
    "%": lambda x: -7 % (x + 1),
    "**": lambda x: x**3,
    "gcd": lambda x: tg.gcd(x, tg.tensor(6).to(x.device, x.dtype)),
}
BY_ZERO = {
    "floor_divide": lambda x, y: x // y,
    "remainder": lambda x, y: x % y,
    "fmod": tg.fmod,
    "trunc_divide": lambda x, y: tg.div(x, y, rounding_mode="trunc"),
}


@pytest.fixture(autouse=True)
def nothing_is_left_over():
    yield
    checks.raise_pending()


def against(compare, n, x):
    return compare(x, n)


def extremes(dtype):
    limits = np.iinfo(dtype)
    return np.array([limits.min, 0, 1, 5, limits.max], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COMPARISONS)
def test_comparing_with_a_number_of_any_size_is_exact(gpu, name, dtype):
    values = extremes(dtype)
    x = tg.tensor(values, device="cuda")
    for n in NUMBERS:
        expected = [COMPARISONS[name](int(v), n) for v in values]
        assert COMPARISONS[name](x, n).tolist() == expected, n


def test_a_comparison_that_is_decided_takes_no_kernel_of_its_own(recording):
    x = tg.tensor([1, 2, 3], device="cuda")
    recording.clear()
    assert (x < 2**70).tolist() == [True, True, True]
    assert recording.launches == ["full"]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("name", COMPARISONS)
def test_a_fused_comparison_is_exact_as_well(gpu, name, dtype):
    values = extremes(dtype)
    for n in (-300, -1, 255, 256, 2**40):
        fixed = tg.fused(partial(against, COMPARISONS[name], n))
        varying = tg.fused(COMPARISONS[name])
        x = tg.tensor(values, device="cuda")
        expected = [COMPARISONS[name](int(v), n) for v in values]
        assert fixed(x).tolist() == varying(x, n).tolist() == expected


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize("name", BITS)
def test_arithmetic_with_numbers_wraps_as_on_a_cpu(gpu, name, dtype):
    x = tg.tensor(np.array([3, 5, 7, 100, 126], dtype))
    expected, found = BITS[name](x), BITS[name](x.cuda())
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()


def test_a_number_of_64_bits_wraps_around_and_none_beyond(gpu):
    for x in (tg.tensor([1, -1]), tg.tensor([1, -1], device="cuda")):
        assert (x + (2**64 - 5)).tolist() == [-4, -6]
        with pytest.raises(OverflowError, match=r"too large|out of bounds"):
            x + 2**64


def test_what_a_dtype_cannot_hold_is_refused(gpu):
    x = tg.tensor([1, 2], dtype=tg.int8)
    for where in (x, x.cuda()):
        with pytest.raises(OverflowError, match=r"maximum.*300 out of bounds for int8"):
            selection.maximum(where, 300)


@pytest.mark.parametrize("name", BY_ZERO)
def test_a_divisor_of_0_is_refused_at_once_if_it_is_a_number(gpu, name):
    for x in (tg.tensor([1, 2]), tg.tensor([1, 2], device="cuda")):
        with pytest.raises(ZeroDivisionError, match=rf"{name}.*division of whole numbers by zero"):
            BY_ZERO[name](x, 0)


@pytest.mark.parametrize("name", BY_ZERO)
def test_a_divisor_of_0_in_a_tensor_is_refused_at_the_next_wait(recording, name):
    x, y = tg.tensor([1, 2, 3], device="cuda"), tg.tensor([1, 0, 2], device="cuda")
    recording.clear()
    found = BY_ZERO[name](x, y)
    assert recording.synchronisations == []
    with pytest.raises(ZeroDivisionError, match=rf"{name}.*by zero \(element 1\)"):
        found.cpu()
    assert BY_ZERO[name](x, y.abs() + 1).tolist() == BY_ZERO[name](x.cpu(), y.cpu() + 1).tolist()


@pytest.mark.parametrize("name", BY_ZERO)
def test_floats_are_divided_by_0_without_a_word(recording, name):
    x, y = tg.tensor([1.0], device="cuda"), tg.zeros(1, device="cuda")
    recording.clear()
    BY_ZERO[name](x, y)
    BY_ZERO[name](x, 0)
    assert len(recording.launches) == 2


@pytest.mark.parametrize("power", [-1, -2, -17, -1000])
def test_negative_powers_of_whole_numbers_are_refused(gpu, power):
    for x in (tg.tensor([1, 2]), tg.tensor([1, 2], device="cuda")):
        with pytest.raises(ValueError, match="no negative powers"):
            x**power


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16])
@pytest.mark.parametrize("size", [1, 31, 1000])
def test_a_zero_among_many_is_found_by_its_place(emulated, size, dtype):
    given = np.ones(size, dtype)
    ranges.nonzero(emulated, emulated.asarray(given), "element {value}", ZeroDivisionError)
    checks.raise_pending()
    given[size // 2] = 0
    ranges.nonzero(emulated, emulated.asarray(given), "element {value}", ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match=rf"^element {size // 2}$"):
        checks.raise_pending()


def test_a_fused_number_of_a_gate_of_whole_numbers_stays_a_float(gpu):
    @tg.fused
    def near(x, y, tolerance):
        return comparison.isclose(x, y, rtol=0.0, atol=tolerance, equal_nan=False)

    x, y = tg.tensor([10, 20]), tg.tensor([11, 23])
    for a, b in ((x, y), (x.cuda(), y.cuda())):
        assert near(a, b, 1.5).tolist() == [True, False]
        assert near(a, b, 3.5).tolist() == [True, True]


def test_a_fused_float_makes_floats_of_whole_numbers(gpu):
    scaled = tg.fused(lambda x, s: x * s + 1)
    x = tg.tensor([1, 2])
    assert scaled(x.cuda(), 0.5).tolist() == scaled(x, 0.5).tolist() == [1.5, 2.0]
    assert scaled(x.cuda(), 3).dtype == tg.int64
    assert scaled(x.cuda(), 3).tolist() == [4, 7]


def test_a_fused_number_beyond_64_bits_is_refused_by_name(gpu):
    def scaled(x, s):
        return x * s

    x = tg.tensor([1, 2])
    for where in (x, x.cuda()):
        with pytest.raises(OverflowError, match=r"scaled.*(too large|more than 64 bits)"):
            tg.fused(scaled)(where, 2**70)
