"""Philox and the kernels that draw: word by word, and by their distributions."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from scipy import stats

from tapegrad.autograd import arrays
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import philox
from tapegrad.kernels.cuda import checks, random
from tapegrad.kernels.cuda.compiling import expand, source
from tapegrad.kernels.cuda.launching import Kernel
from tapegrad.kernels.cuda.random import PhiloxStream

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 255, 1030]
FLOATS = [np.float16, bfloat16, np.float32, np.float64]
DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
CLOSE = [(np.float16, 1e-2), (bfloat16, 1e-2), (np.float32, 1e-5), (np.float64, 1e-13)]
SEED, OFFSET = 0x1234_5678_9ABC_DEF0, 2**32 - 3  # a draw carries into the counter's second word


def words_of(seed, counter):
    """Philox4x32-10 in Python's integers, as the paper has it: counter of 128 bits, key of 64."""
    c = [counter >> 32 * i & 0xFFFFFFFF for i in range(4)]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [q >> 32 ^ c[1] ^ k[0], q & 0xFFFFFFFF, p >> 32 ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [k[0] + 0x9E3779B9 & 0xFFFFFFFF, k[1] + 0xBB67AE85 & 0xFFFFFFFF]
    return c


def words(n, each, offset=OFFSET, seed=SEED):
    """`each` words for each of n elements, in the order in which they are drawn."""
    counters = -(-n * each // 4)
    found = [words_of(seed, (offset + i) % 2**64) for i in range(counters)]
    return np.array(found, np.uint64).reshape(-1, each)[:n]


def doubles(pairs):
    """The 53 upper bits of two words, the second above the first."""
    return (pairs[:, 1] << np.uint64(32) | pairs[:, 0]) >> np.uint64(11)


@pytest.fixture
def stream(emulated):
    def make(seed=SEED, offset=OFFSET):
        made = PhiloxStream(lambda: arrays.on("cuda"), seed)
        made.offset = offset
        return made

    return make


# The generator


@pytest.mark.parametrize(
    ("counter", "seed", "expected"),  # Random123 1.14, kat_vectors, philox4x32 with 10 rounds
    [
        (0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**128 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            0x03707344_13198A2E_85A308D3_243F6A88,
            0x299F31D0_A4093822,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_the_published_vectors(counter, seed, expected):
    expected = [int(word, 16) for word in expected.split()]
    assert words_of(seed, counter) == expected
    low, high = np.array([counter % 2**64], np.uint64), np.array([counter >> 64], np.uint64)
    assert philox.words(seed, low, high).tolist() == [expected]


WORDS = """
#include "philox.cuh"
extern "C" __global__ void words(const unsigned long long* given, unsigned* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Words found = philox(given[3 * i], given[3 * i + 1], given[3 * i + 2]);
    for (int k = 0; k < 4; k++) out[4 * i + k] = found.at[k];
}
"""


def test_the_kernels_numpys_and_the_papers_words_are_the_same(emulated):
    given = np.random.default_rng(0).integers(0, 2**64, (50, 3), np.uint64)
    given[:4] = [[0, 0, 0], [2**64 - 1] * 3, [0, 2**64 - 1, 0], [1, 2**32 - 1, 2**32]]
    on_device, out = emulated.asarray(given), emulated.empty((50, 4), np.uint32)
    kernel = Kernel(expand(WORDS, "words.cu"), "words", filename="words.cu")
    types = (ctypes.c_void_p, ctypes.c_void_p)
    launch = kernel.prepare((2, 1, 1), (32, 1, 1), varying=types, constant=(ctypes.c_int(50),))
    launch(on_device.data.ptr, out.data.ptr)
    expected = [words_of(int(s), int(c) | int(lap) << 64) for s, c, lap in given]
    assert out.get().tolist() == expected
    here = [philox.words(int(s), np.array([c]), np.array([lap]))[0] for s, c, lap in given]
    assert np.array(here).tolist() == expected


def test_numpys_uniform_numbers_are_the_words_in_order():
    expected = (words(11, 1)[:, 0] >> np.uint64(8)) / 2**24
    assert philox.uniform(SEED, OFFSET, 11).tolist() == expected.tolist()
    assert philox.uniform(SEED, 0, 0).shape == (0,)


# The draws, element by element


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_numbers_are_the_upper_bits(stream, dtype, n):
    drawn = stream().random((n,), dtype).get()
    if dtype is np.float64:
        expected = doubles(words(n, 2)) / 2.0**53
    else:
        digits = DIGITS[np.dtype(dtype).name]
        expected = (words(n, 1)[:, 0] >> np.uint64(32 - digits)) / 2.0**digits
    assert drawn.dtype == dtype
    assert drawn.astype(np.float64).tolist() == expected.tolist()


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), CLOSE)
def test_normal_numbers_are_box_and_mullers(stream, dtype, tolerance, n):
    drawn = stream().standard_normal((n,), dtype).get()
    if dtype is np.float64:
        bits = doubles(words(n + n % 2, 4)[: -(-n // 2)].reshape(-1, 2)).reshape(-1, 2)
        u, v = (bits[:, 0] + 1.0) / 2.0**53, bits[:, 1] / 2.0**53
    else:
        pairs = words(n + n % 2, 1).reshape(-1, 2)
        u, v = (pairs[:, 0] + 0.5) / 2.0**32, (pairs[:, 1] >> np.uint64(8)) / 2.0**24
    radius, angle = np.sqrt(-2 * np.log(u)), 2 * math.pi * v
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n]
    assert drawn.dtype == dtype
    np.testing.assert_allclose(drawn.astype(float), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), CLOSE)
def test_exponential_numbers_are_logarithms(stream, dtype, tolerance, n):
    drawn = stream().standard_exponential((n,), dtype).get()
    if dtype is np.float64:
        u = (doubles(words(n, 2)) + 1.0) / 2.0**53
    else:
        u = (words(n, 1)[:, 0] + 0.5) / 2.0**32
    assert drawn.dtype == dtype
    np.testing.assert_allclose(drawn.astype(float), -np.log(u), rtol=tolerance, atol=1e-6)


RANGES = [
    (0, 1),
    (-3, 4),
    (5, 2**32 + 5),
    (0, 2**32 + 1),
    (-(2**63), 2**63),
    (0, 2**63),
    (7, 2**64),
]


@pytest.mark.parametrize("n", [1, 2, 5, 257])
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_integers_are_a_fraction_of_their_range(stream, low, high, n):
    drawn = stream().integers(low, high, (n,)).get()
    each = 2 if high - low <= 2**32 or high - low == 2**64 else 4
    parts = [sum(int(w) << 32 * i for i, w in enumerate(row)) for row in words(n, each)]
    assert drawn.tolist() == [low + (part * (high - low) >> 32 * each) for part in parts]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", [*FLOATS, np.bool_, np.int64])
def test_bernoullis_numbers_compare_a_uniform_one(stream, dtype, n):
    uniform = philox.uniform(SEED, OFFSET, n)
    drawn = stream().bernoulli(0.3, (n,), dtype).get()
    assert drawn.dtype == dtype
    assert drawn.astype(float).tolist() == (uniform < 0.3).tolist()


def test_each_element_may_have_a_probability_of_its_own(stream, emulated):
    chances = np.linspace(0, 1, 5)
    drawn = stream().bernoulli(emulated.asarray(chances), (7, 5), np.float32).get()
    expected = philox.uniform(SEED, OFFSET, 35).reshape(7, 5) < chances
    assert drawn.tolist() == expected.tolist()


# The stream


def test_draws_go_on_where_the_one_before_ended(stream):
    whole, parts = stream(), stream()
    expected = whole.random((24,), np.float32).get()
    found = [parts.random((n,), np.float32).get() for n in (8, 12, 4)]
    assert np.concatenate(found).tolist() == expected.tolist()
    assert parts.offset == whole.offset == OFFSET + 6


def test_a_draw_takes_whole_counters_and_an_empty_one_none(stream):
    taken = stream(offset=0)
    for draw, counters in [
        (lambda: taken.random((5,), np.float32), 2),
        (lambda: taken.random((5,), np.float64), 3),
        (lambda: taken.standard_normal((4,), np.float16), 1),
        (lambda: taken.integers(0, 9, (3,)), 2),
        (lambda: taken.integers(0, 2**40, (3,)), 3),
        (lambda: taken.random((0, 3), np.float32), 0),
        (lambda: taken.random((), np.float32), 1),
    ]:
        before = taken.offset
        draw()
        assert taken.offset - before == counters


def test_the_offset_runs_round_at_64_bits(stream):
    taken = stream(offset=2**64 - 1)
    drawn = taken.random((8,), np.float32).get()
    assert taken.offset == 1
    first = [words_of(SEED, 2**64 - 1), words_of(SEED, 0)]
    assert drawn.tolist() == [(w >> 8) / 2**24 for row in first for w in row]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("uniform<float>", np.float32),
        ("normal<float16>", np.float16),
        ("exponential<double>", np.float64),
    ],
)
def test_numbers_do_not_depend_on_the_grid(emulated, name, dtype):
    kernel = Kernel(source("random.cu"), name, filename="random.cu")
    types = (ctypes.c_void_p, ctypes.c_ulonglong, ctypes.c_ulonglong)
    found = []
    for grid, block in [(1, 1), (1, 32), (3, 64), (40, 32)]:
        out = emulated.empty((1001,), dtype)
        kernel.prepare(
            (grid, 1, 1), (block, 1, 1), varying=types, constant=(ctypes.c_longlong(1001),)
        )(out.data.ptr, SEED, OFFSET)
        found.append(out.get().tolist())
    assert found[0] == found[1] == found[2] == found[3]


def test_large_draws_go_round_a_limited_grid(stream, monkeypatch):
    expected = stream().random((5000,), np.float32).get()
    random._prepared.cache_clear()
    monkeypatch.setattr(random, "_BLOCKS", 2)
    assert stream().random((5000,), np.float32).get().tolist() == expected.tolist()
    random._prepared.cache_clear()


# The distributions

LARGE = 20_000


@pytest.mark.parametrize(
    ("kind", "distribution"),
    [("random", "uniform"), ("standard_normal", "norm"), ("standard_exponential", "expon")],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_have_their_distribution(stream, kind, distribution, dtype):
    drawn = getattr(stream(seed=1, offset=0), kind)((LARGE,), dtype).get()
    assert stats.kstest(drawn, distribution).pvalue > 0.01
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4 / math.sqrt(LARGE)


def test_seeds_and_offsets_give_streams_that_have_nothing_in_common(stream):
    draws = [
        stream(seed, offset).standard_normal((LARGE,), np.float32).get()
        for seed, offset in [(1, 0), (2, 0), (1 + 2**32, 0), (1, 2**40)]
    ]
    apart = np.corrcoef(draws) - np.eye(4)
    assert abs(apart).max() < 4 / math.sqrt(LARGE)


EDGES = """
#include "random.cu"
template <class T> __global__ void edges(T* out) {
    T drawn[12];
    for (int i = 0; i < 12; i++) drawn[i] = store<T>(0.0f);
    for (int high = 0; high < 2; high++) {
        unsigned w = high ? 0xffffffffu : 0u;
        Words words{{w, w, w, w}};
        Uniform<T>{}(words, 0, drawn);
        out[3 * high] = drawn[0];
        Normal<T>{}(words, 0, drawn);
        out[3 * high + 1] = drawn[0];
        Exponential<T>{}(words, 0, drawn);
        out[3 * high + 2] = drawn[0];
    }
}
"""


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_least_and_the_largest_words_stay_in_range(emulated, dtype):
    name = f"edges<{random._FLOATS[np.dtype(dtype)]}>"
    out = emulated.empty((6,), dtype)
    text = expand(EDGES, "edges.cu")
    Kernel(text, name).prepare((1, 1, 1), (1, 1, 1), varying=(ctypes.c_void_p,))(out.data.ptr)
    least, far, late, most, near, soon = out.get().astype(float).tolist()
    assert least == 0
    assert most == 1 - 2.0 ** -DIGITS[np.dtype(dtype).name]
    assert 6 < far < 9
    assert abs(near) < 1e-6
    assert 20 < late < 40
    assert 0 < soon < 1e-7


def test_integers_come_equally_often(stream):
    counts = np.bincount(stream(seed=2, offset=0).integers(0, 7, (LARGE,)).get(), minlength=7)
    assert stats.chisquare(counts).pvalue > 0.01


def test_a_permutation_holds_every_number_once(stream):
    drawn = stream().permutation(100).get()
    assert drawn.dtype == np.int64
    assert sorted(drawn.tolist()) == list(range(100)) != drawn.tolist()
    assert stream().permutation(0).get().shape == (0,)


def test_permutations_come_equally_often(stream):
    taken = stream(seed=3, offset=0)
    found = [tuple(taken.permutation(3).get().tolist()) for _ in range(600)]
    counts = [found.count(order) for order in sorted(set(found))]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 0.01


def goodness(drawn, distribution):
    """The chance of counts that fit a distribution worse; rare values are taken together."""
    low, high = (int(q) for q in distribution.ppf([0.01, 0.99]))
    edges = np.arange(low, high + 1)
    expected = np.concatenate([[distribution.cdf(low)], distribution.pmf(edges[1:])])
    expected = np.append(expected, 1 - expected.sum()) * len(drawn)
    found = np.bincount(np.clip(drawn, low, high + 1) - low, minlength=len(expected))
    return stats.chisquare(found, expected).pvalue


@pytest.mark.parametrize("rate", [0.3, 4.0, 9.9, 10.0, 40.0])
def test_counts_of_arrivals_have_their_distribution(stream, emulated, rate):
    rates = emulated.full((LARGE,), rate)
    drawn = stream(seed=4, offset=0).poisson(rates).get()
    assert drawn.dtype == np.int64
    assert goodness(drawn, stats.poisson(rate)) > 0.01


@pytest.mark.parametrize(("n", "p"), [(5, 0.5), (9, 0.9), (1000, 0.004), (40, 0.5), (200, 0.85)])
def test_counts_of_successes_have_their_distribution(stream, emulated, n, p):
    counts, chances = emulated.full((LARGE,), n), emulated.full((LARGE,), p)
    drawn = stream(seed=5, offset=0).binomial(counts, chances).get()
    assert drawn.dtype == np.int64
    assert goodness(drawn, stats.binom(n, p)) > 0.01


def test_counts_without_a_choice(stream, emulated):
    assert stream().poisson(emulated.zeros((3,))).get().tolist() == [0, 0, 0]
    counts = emulated.asarray(np.array([0.0, 7.0, 7.0, 500.0]))
    chances = emulated.asarray(np.array([0.5, 0.0, 1.0, 1.0]))
    assert stream().binomial(counts, chances).get().tolist() == [0, 0, 7, 500]


def test_a_count_depends_on_its_own_place_alone(stream, emulated):
    rates = np.array([3.0, 50.0, 0.5, 12.0, 8.0])
    together = stream().poisson(emulated.asarray(rates)).get()
    others = stream().poisson(emulated.asarray(np.where([0, 1, 0, 1, 0], rates, 30.0))).get()
    assert together[[1, 3]].tolist() == others[[1, 3]].tolist()


# What is wrong is found by the kernel, and raised where the host waits


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda s, x: s.bernoulli(x([0.5, 1.5]), (3, 2), np.float32, "bernoulli_"), "bernoulli_: "),
        (lambda s, x: s.poisson(x([1.0, -1.0])), "poisson: the rate of element 1 is negative"),
        (lambda s, x: s.poisson(x([np.nan])), "poisson: the rate of element 0"),
        (lambda s, x: s.binomial(x([3.0, 3.0]), x([0.5, -0.1])), "binomial: element 1"),
        (lambda s, x: s.binomial(x([-3.0, 3.0]), x([0.5, 0.1])), "binomial: element 0"),
    ],
)
def test_values_out_of_range_are_reported(stream, emulated, draw, message):
    draw(stream(), lambda values: emulated.asarray(np.array(values)))
    with pytest.raises(ValueError, match=message):
        checks.raise_pending()
    checks.raise_pending()
