"""Softmax and its logarithm on a GPU against NumPy in float64: rows, columns, infinities."""

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import softmax as on_cpu
from tapegrad.kernels.cuda import rows
from tapegrad.kernels.cuda.compiling import source
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.cuda.softmax import softmax, softmax_gradient, variants
from tapegrad.kernels.emulator import EmulatedBackend, EmulatedModule

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = [np.float32, np.float64, np.float16, bfloat16]
KINDS = pytest.mark.parametrize("logarithm", [False, True], ids=["softmax", "logarithm"])


def drawn(shape, dtype, seed=0, scale=3.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def agree(found, exact, dtype):
    """Whether the errors are small beside the largest of what is exact, element by element."""
    found, tolerance = found.astype(np.float64), TOLERANCE[np.dtype(dtype).name]
    np.testing.assert_allclose(found, exact, tolerance, tolerance * np.abs(exact).max(initial=0))


def check(xp, x, dim, logarithm):
    """Forward and backward of an array on the device."""
    host = x.get()
    out = softmax(xp, x, dim, logarithm)
    assert (out.dtype, out.shape) == (x.dtype, x.shape)
    agree(out.get(), on_cpu.softmax(np, host.astype(np.float64), dim, logarithm), host.dtype)
    grad = drawn(x.shape, host.dtype, 1)
    to_x = softmax_gradient(xp, xp.asarray(grad), out, dim, logarithm)
    wide = out.get().astype(np.float64)
    exact = on_cpu.softmax_gradient(np, grad.astype(np.float64), wide, dim, logarithm)
    agree(to_x.get(), exact, host.dtype)


@KINDS
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_rows_of_any_length(emulated, dtype, logarithm):
    for shape in [(70, 1), (9, 5), (3, 31), (5, 33), (2, 127), (3, 1000), (2, 4097), (2, 9001)]:
        check(emulated, emulated.asarray(drawn(shape, dtype)), 1, logarithm)


@KINDS
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_a_dimension_before_others(emulated, dtype, logarithm):
    for shape in [(70, 3), (2, 5, 1, 7), (1, 21, 16), (3, 127, 8), (2, 1000, 3)]:
        dim = 0 if len(shape) == 2 else 1
        check(emulated, emulated.asarray(drawn(shape, dtype)), dim, logarithm)


# A float that is added to a product without rounding that, as compilers contract the two on a GPU:
# to the left one of two products.
CONTRACTED = """
struct Fused {
    float at;
    __device__ Fused(float at) : at(at) {}
};
struct Unrounded { Fused a, b; };
__device__ bool operator>(Fused a, Fused b) { return a.at > b.at; }
__device__ bool operator==(Fused a, Fused b) { return a.at == b.at; }
__device__ Fused operator-(Fused a, Fused b) { return a.at - b.at; }
__device__ Unrounded operator*(Fused a, Fused b) { return {a, b}; }
__device__ Fused operator+(Fused c, Unrounded p) { return fmaf(p.a.at, p.b.at, c.at); }
__device__ Fused operator+(Unrounded p, Unrounded q) { return Fused(q.a.at * q.b.at) + p; }
__device__ Fused exponential(Fused x) { return expf(x.at); }
__device__ Fused exchange(Fused x, int across) { return exchange(x.at, across); }
extern "C" __global__ void k(const float* largest, const float* sums, float* of_all) {
    const int i = threadIdx.x;
    of_all[i] = warp_reduce<AddExponentials>(Exponentials<Fused>{largest[i], sums[i]}).sum.at;
}
"""


def test_all_lanes_find_the_same_sum_of_exponentials_to_the_last_bit():
    module = EmulatedModule(source("collectives.cuh") + CONTRACTED, ["k"])
    for seed in range(10):
        largest, sums = drawn(32, np.float32, seed), abs(drawn(32, np.float32, 10 + seed)) + 1
        of_all = np.zeros(32, np.float32)
        module.run("k", (1, 1, 1), (32, 1, 1), largest, sums, of_all)
        exact = np.sum(sums * np.exp(largest.astype(np.float64) - largest.max()))
        assert np.unique(of_all).size == 1
        assert np.isclose(of_all[0], exact, rtol=1e-6)


@KINDS
def test_a_row_that_begins_anywhere_in_memory(emulated, logarithm):
    for offset in range(1, 9):
        for n in (1, 7, 150):
            x = emulated.asarray(drawn(offset + 2 * n, np.float16))[offset:].reshape(2, n)
            check(emulated, x, 1, logarithm)


@KINDS
def test_views_that_are_permuted_sliced_flipped_and_repeated(emulated, logarithm):
    x = emulated.asarray(drawn((4, 6, 10), np.float32))
    for view in (
        x.transpose(2, 0, 1),
        x.transpose(0, 2, 1),
        x[:, ::2],
        x[::-1, 1:, 3:],
        emulated.broadcast_to(x[:1], x.shape),
    ):
        for dim in range(3):
            check(emulated, view, dim, logarithm)


def test_a_permuted_array_is_not_copied(emulated):
    x = emulated.asarray(drawn((2, 5, 4, 3), np.float32)).transpose(0, 3, 1, 2)
    with record() as seen:
        out = softmax(emulated, x, 1, False)
        softmax_gradient(emulated, out, out, 1, False)
    assert seen.launches == ["softmax_rows<float, 1>", "softmax_rows_gradient<float, 1>"]


@KINDS
@pytest.mark.parametrize("shape", [(9, 5), (9, 300), (9, 2500)], ids=str)
@pytest.mark.parametrize("dim", [0, 1])
def test_infinities_and_nan_as_on_a_cpu(emulated, shape, dim, logarithm):
    x = drawn(shape, np.float32)
    x[0] = -np.inf
    x[1, 1:], x[2, 1], x[3, 2], x[4, 4] = -np.inf, -np.inf, np.inf, np.nan
    x[5], x[6, :2], x[7, 3] = np.inf, (np.inf, -np.inf), 1e30
    x = x if dim else np.ascontiguousarray(x.T)
    with np.errstate(all="ignore"):
        expected = on_cpu.softmax(np, x, dim, logarithm)
    found = softmax(emulated, emulated.asarray(x), dim, logarithm).get()
    np.testing.assert_allclose(found, expected, 1e-5, 1e-6)


@KINDS
def test_what_overflows_unless_it_is_shifted(emulated, logarithm):
    for dtype, size in ((np.float32, 1e4), (np.float16, 6e4), (np.float64, 1e300)):
        for shape, dim in (((2, 40), 1), ((2, 3000), 1), ((40, 2), 0)):
            x = drawn(shape, dtype, scale=0) + np.array([size, -size], dtype).reshape(
                (2, 1) if dim else (1, 2)
            )
            exact = 1 / shape[dim]
            found = softmax(emulated, emulated.asarray(x), dim, logarithm).get()
            agree(found, np.full(shape, np.log(exact) if logarithm else exact), dtype)


def test_nothing_is_launched_for_nothing(emulated):
    with record() as seen:
        for shape in ((0, 3), (3, 0), (2, 0, 3)):
            out = softmax(emulated, emulated.empty(shape, np.float32), 1, False)
            assert softmax_gradient(emulated, out, out, 1, False).shape == shape
    assert seen.launches == []


@KINDS
def test_every_order_of_the_threads_gives_the_same_bits(gpu, logarithm):
    for shape, dim in (((3, 1000), 1), ((2, 9001), 1), ((500, 40), 0)):
        found = set()
        for order in (0, 1, 7):
            with use_backend(EmulatedBackend(order=order)):
                out = softmax(gpu, gpu.asarray(drawn(shape, np.float32)), dim, logarithm)
                to_x = softmax_gradient(gpu, out[::-1], out, dim, logarithm)
            found.add(out.get().tobytes() + to_x.get().tobytes())
        assert len(found) == 1


@pytest.mark.parametrize("size", [2, 4, 8])
def test_a_row_has_enough_threads_and_whole_warps(size):
    for n in (1, 2, 3, 5, 8, 13, 31, 33, 64, 100, 129, 513, 1000, 4097, 10**6):
        for count in (1, 3, 1000, 2**33):
            grid, (lanes, high, _), packs = rows.row_threads(count, n, size)
            assert lanes * high % 32 == 0
            assert (lanes <= 32 and lanes & (lanes - 1) == 0) or (lanes % 32 == 0 and high == 1)
            assert lanes * packs * 16 >= min(n, 512 * packs) * size
            assert grid[0] * high >= min(count, rows.MOST_BLOCKS)


def test_the_list_of_variants_is_complete(emulated):
    names = {kernel.name for kernel in variants()}
    assert len(names) == 32
    with record() as seen:
        for dtype in DTYPES:
            for shape in ((2, 3), (2, 600), (2, 4, 3), (2, 4, 8)):
                out = softmax(emulated, emulated.asarray(drawn(shape, dtype)), 1, False)
                softmax_gradient(emulated, out, out, 1, False)
    assert {name for name in seen.launches if name.startswith("softmax")} == names


# The whole operation


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [((3, 40), -1), ((2, 5, 3, 4), 1), ((6,), 0), ((), 0)])
def test_values_and_gradients_to_second_order_are_the_cpus(gpu, name, shape, dim):
    results = []
    for device in ("cpu", "cuda"):
        x = tg.tensor(drawn(shape, np.float64), device=device, requires_grad=True)
        weight = tg.tensor(drawn(shape, np.float64, 1), device=device)
        out = getattr(tg, name)(x, dim)
        (fused,) = tg.autograd.grad(out, x, weight, retain_graph=True)
        (first,) = tg.autograd.grad(out, x, weight, create_graph=True)
        (second,) = tg.autograd.grad(first, x, weight)
        results.append([value.detach().cpu().numpy() for value in (out, fused, first, second)])
    for cpu, cuda in zip(*results, strict=True):
        np.testing.assert_allclose(cuda, cpu, 1e-10, 1e-12)


def test_softmax_is_one_launch_each_way(recording):
    x = tg.tensor(drawn((4, 9), np.float32), device="cuda", requires_grad=True)
    out = tg.softmax(x, 1)
    recording.clear()
    tg.softmax(x, 1)
    tg.autograd.grad(out, x, tg.ones(4, 9, device="cuda"))
    assert [name for name in recording.launches if name.startswith("softmax")] == [
        "softmax_rows<float, 1>",
        "softmax_rows_gradient<float, 1>",
    ]
    assert recording.synchronisations == []
