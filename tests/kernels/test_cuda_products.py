"""Products of matrices on a GPU against NumPy in float64: every layout, type and rank."""

import inspect
import itertools

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels.cuda import blas
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.cuda.products import matmul
from tapegrad.kernels.emulator import EmulatedBackend, EmulatorError
from tapegrad.kernels.emulator.blas import EmulatedBlas
from tapegrad.kernels.products import scaled_matmul

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, bfloat16], ids=lambda d: np.dtype(d).name
)
WHOLE = ["bool", "int8", "int32", "int64"]


def drawn(shape, dtype=np.float32, seed=0):
    found = np.random.default_rng(seed).standard_normal(shape)
    return (found if np.dtype(dtype).kind in "fV" else 10 * found).astype(dtype)


def check(xp, a, b, tolerance=None):
    """The product of two arrays on the device."""
    out = matmul(xp, a, b)
    exact = np.matmul(a.get().astype(np.float64), b.get().astype(np.float64))
    assert (out.dtype, out.shape) == (a.dtype, exact.shape)
    assert out.flags.c_contiguous
    tolerance = tolerance or TOLERANCE[a.dtype.name]
    scale = np.abs(exact).max(initial=1)
    np.testing.assert_allclose(out.get().astype(np.float64), exact, 0, tolerance * scale)


def calls_of(xp, a, b):
    """Which functions a product calls."""
    with record() as found:
        matmul(xp, a, b)
    return found.launches


def views(xp, shape, dtype=np.float32, seed=0):
    """Arrays of a shape in every layout of matrices, by name."""
    *lead, rows, columns = shape

    def of(*size):
        return xp.asarray(drawn((*lead, *size), dtype, seed))

    yield "in rows", of(rows, columns)
    yield "transposed", of(columns, rows).swapaxes(-1, -2)
    yield "in wider rows", of(rows, columns + 3)[..., 1:-2]
    yield "in longer columns", of(columns, rows + 2).swapaxes(-1, -2)[..., 2:, :]
    yield "every other row", of(2 * rows, columns)[..., ::2, :]
    yield "every other column", of(rows, 2 * columns)[..., ::2]
    yield "both with gaps", of(2 * rows, 3 * columns)[..., ::2, ::3]
    yield "upside down", of(rows, columns)[..., ::-1, :]
    yield "one row repeated", xp.broadcast_to(of(1, columns), (*lead, rows, columns))


COPIED = {"both with gaps", "upside down", "one row repeated"}


@DTYPES
def test_any_layouts_of_two_matrices(emulated, dtype):
    for m, k, n in ((3, 5, 4), (1, 7, 2), (6, 1, 3), (2, 8, 1), (1, 1, 1), (1, 9, 1)):
        for (_, a), (_, b) in itertools.product(
            views(emulated, (m, k), dtype), views(emulated, (k, n), dtype, 1)
        ):
            check(emulated, a, b)


@pytest.mark.parametrize("lead", [(4,), (2, 3)], ids=str)
def test_any_layouts_of_stacks(emulated, lead):
    for (_, a), (_, b) in itertools.product(
        views(emulated, (*lead, 3, 5)), views(emulated, (*lead, 5, 2), seed=1)
    ):
        check(emulated, a, b)


def test_only_what_blas_has_no_words_for_is_copied(emulated):
    for (how, a), (_, b) in itertools.product(views(emulated, (3, 5)), views(emulated, (5, 4))):
        plan = blas.product_plan(a.shape, a.strides, b.shape, b.strides, 4)
        # A column with gaps between its elements is a matrix of one column all the same.
        assert plan.copied[0] == (how in COPIED or how == "every other column"), how
    for (how, a), (_, b) in itertools.product(
        views(emulated, (4, 3, 5)), views(emulated, (4, 5, 2))
    ):
        plan = blas.product_plan(a.shape, a.strides, b.shape, b.strides, 4)
        assert plan.copied[0] == (how in COPIED or how == "every other column"), how


def test_vectors_with_gaps_are_not_copied(emulated):
    a, b = emulated.asarray(drawn((12, 5))), emulated.asarray(drawn((12, 7)))
    column, row = a[::2, 2:3], b.T[3:4, ::2]
    for x, y in ((row, column), (column, row), (column.T, row.T)):
        check(emulated, x, y)
        assert calls_of(emulated, x, y) == ["gemmEx"]


def test_leading_dimensions_are_rows_of_one_product(emulated):
    weight = emulated.asarray(drawn((5, 6), seed=1))
    x = emulated.asarray(drawn((2, 3, 4, 5)))
    for a, b in (
        (x, weight),
        (x, emulated.asarray(drawn((6, 5))).T),
        (x[:, :, :1], weight),
        (emulated.asarray(drawn((2, 3, 4, 7)))[..., 1:6], weight),
        (x, emulated.asarray(drawn((2, 1, 1, 5, 6)))[:1, 0]),
    ):
        check(emulated, a, b)
        assert calls_of(emulated, a, b) == ["gemmEx"]


def test_rows_that_do_not_go_on_evenly_are_a_stack(emulated):
    x, weight = emulated.asarray(drawn((3, 2, 5))), emulated.asarray(drawn((5, 6), seed=1))
    for a in (x.swapaxes(0, 1), emulated.asarray(drawn((2, 4, 5)))[:, 1:]):
        check(emulated, a, weight)
        assert calls_of(emulated, a, weight) == ["gemmStridedBatchedEx"]


def test_stacks_broadcast_without_copies(emulated):
    for first, second in (
        ((4,), ()),
        ((), (4,)),
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((2, 3), (2, 1)),
        ((1, 3), (2, 3)),
        ((2, 1, 4), (3, 1)),
    ):
        a = emulated.asarray(drawn((*first, 3, 5)))
        b = emulated.asarray(drawn((*second, 5, 2), seed=1))
        check(emulated, a, b)
        check(emulated, a[..., :1, :], b)
        whole = np.broadcast_shapes(first, second)
        check(emulated, emulated.broadcast_to(a[..., :1, :], (2, *whole, 1, 5)), b)
        assert set(calls_of(emulated, a, b)) <= {"gemmEx", "gemmStridedBatchedEx"}


def test_grouped_queries_of_one_key_are_one_product(emulated):
    queries = emulated.asarray(drawn((2, 3, 4, 5, 6)))  # of 4 heads that share a key
    keys = emulated.asarray(drawn((2, 3, 1, 7, 6), seed=1)).swapaxes(-1, -2)
    check(emulated, queries, keys)
    plan = blas.product_plan(queries.shape, queries.strides, keys.shape, keys.strides, 4)
    assert (plan.length, [call.m for call in plan.calls]) == (6, [20])


def test_heads_of_few_sequences_are_a_call_each_and_else_copied(emulated):
    for sequences, calls, copied in ((3, 3, False), (9, 1, True)):
        queries, keys = (
            emulated.asarray(drawn((sequences, 6, 8, 5), seed=seed)).transpose(0, 2, 1, 3)
            for seed in range(2)
        )
        keys = keys.swapaxes(-1, -2)
        check(emulated, queries, keys)
        assert calls_of(emulated, queries, keys).count("gemmStridedBatchedEx") == calls
        plan = blas.product_plan(queries.shape, queries.strides, keys.shape, keys.strides, 4)
        assert plan.copied == (copied, copied)


def test_windows_that_overlap(emulated):
    line = emulated.asarray(drawn((20,)))
    windows = emulated.lib.stride_tricks.as_strided(line, (9, 4), (8, 4))
    check(emulated, windows, emulated.asarray(drawn((4, 3), seed=1)))
    check(emulated, windows.T, emulated.asarray(drawn((9, 3), seed=1)))


def test_nothing_to_multiply(emulated):
    for a, b in (
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((2, 3), (3, 0)),
        ((0, 2, 3), (3, 4)),
        ((3, 2, 0), (3, 0, 4)),
    ):
        for dtype in (np.float32, bfloat16, np.int64):
            x, y = emulated.asarray(drawn(a, dtype)), emulated.asarray(drawn(b, dtype))
            out = matmul(emulated, x, y)
            np.testing.assert_array_equal(out.get(), np.zeros(np.matmul(x.get(), y.get()).shape))


def test_half_types_are_added_in_float32(emulated):
    for dtype in (np.float16, bfloat16):
        ones = emulated.asarray(np.ones((1, 5000), dtype))
        assert float(matmul(emulated, ones, ones.T).get()[0, 0]) == np.float32(5000).astype(dtype)


@DTYPES
def test_a_product_takes_a_factor_and_that_of_halves_may_stay_in_float32(emulated, dtype):
    a, b = (emulated.asarray(drawn(s, dtype)) for s in ((2, 3, 5), (2, 5, 4)))
    wide = np.float64 if dtype is np.float64 else np.float32
    exact = np.matmul(*(x.get().astype(np.float64) for x in (a, b))) * 0.3
    for keep in (False, True):
        out = scaled_matmul(emulated, a, b, 0.3, keep)
        assert out.dtype == (wide if keep else a.dtype)
        tolerance = 1e-5 if keep else TOLERANCE[a.dtype.name]
        np.testing.assert_allclose(out.get().astype(np.float64), exact, 0, tolerance * 5)
        on_cpu = scaled_matmul(np, a.get(), b.get(), 0.3, keep)
        assert on_cpu.dtype == out.dtype
        np.testing.assert_allclose(on_cpu.astype(np.float64), exact, 0, tolerance * 5)


def test_sizes_that_are_no_int_are_parts(emulated, monkeypatch):
    monkeypatch.setattr(blas, "MOST", 4)
    blas.product_plan.cache_clear()
    a, b = emulated.asarray(drawn((9, 4))), emulated.asarray(drawn((4, 3)))
    check(emulated, a, b)
    assert calls_of(emulated, a, b) == ["gemmEx"] * 3
    check(emulated, emulated.asarray(drawn((2, 11))), emulated.asarray(drawn((11, 3))))
    with pytest.raises(ValueError, match="5 columns of 4 products are more than BLAS takes"):
        matmul(emulated, a, emulated.asarray(drawn((4, 5))))
    blas.product_plan.cache_clear()


@pytest.fixture
def tf32():
    tg.set_float32_matmul_precision("high")
    yield
    tg.set_float32_matmul_precision("highest")


def test_tf32_keeps_ten_bits_where_it_is_asked_for(emulated, tf32):
    a, b = emulated.asarray(drawn((30, 40))), emulated.asarray(drawn((40, 20), seed=1))
    check(emulated, a, b, tolerance=1e-3)
    with pytest.raises(AssertionError):
        check(emulated, a, b)
    for dtype in (np.float64, np.float16):
        check(emulated, a.astype(dtype), b.astype(dtype))


def test_what_cublas_does_not_take_is_refused_by_the_stand_in():
    library, x = EmulatedBlas(), drawn((4, 4))
    (one, _), (zero, _), at = blas.number(1.0, False), blas.number(0.0, False), x.ctypes.data

    def call(lda=4, op=0, compute=blas.COMPUTE_32, kind=blas.FLOAT32, at=at):
        library.gemmEx(1, op, 0, 4, 4, 4, one, at, kind, lda, at, 0, 4, zero, at, 0, 4, compute, -1)

    call()
    for wrong in ({"lda": 3}, {"op": 3}, {"compute": 70}, {"kind": 2}, {"at": at + 1}):
        with pytest.raises(EmulatorError, match="cuBLAS does not take"):
            call(**wrong)


@pytest.mark.parametrize("name", ["gemmEx", "gemmStridedBatchedEx", "setMathMode"])
def test_the_stand_in_takes_what_cupys_functions_take(name):
    try:
        from cupy_backends.cuda.libs import cublas
    except ImportError as error:
        pytest.skip(f"cuBLAS is not installed: {error}")
    documented = getattr(cublas, name).__doc__  # such as "gemmEx(intptr_t handle, int transa, ...)"
    takes = [each.split()[-1] for each in documented.split("(")[1].split(")")[0].split(",")]
    assert list(inspect.signature(getattr(EmulatedBlas(), name)).parameters) == takes


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_wrap_around_and_booleans_are_or(emulated, dtype):
    xp = emulated
    for a, b in (
        ((3, 5), (5, 4)),
        ((17, 33), (33, 18)),
        ((2, 1, 3, 4), (3, 4, 2)),
        ((1, 0), (0, 2)),
    ):
        x, y = xp.asarray(drawn(a, dtype)), xp.asarray(drawn(b, dtype, 1))
        np.testing.assert_array_equal(matmul(xp, x, y).get(), np.matmul(x.get(), y.get()))


def test_views_of_whole_numbers(emulated):
    xp = emulated
    for (_, a), (_, b) in itertools.product(
        views(xp, (2, 3, 5), np.int32), views(xp, (2, 5, 4), np.int32, 1)
    ):
        np.testing.assert_array_equal(matmul(xp, a, b).get(), np.matmul(a.get(), b.get()))


def test_whole_numbers_in_stacks_of_many_dimensions(emulated):
    a = emulated.asarray(drawn((2, 1) * 5 + (1, 2), np.int32))
    b = emulated.asarray(drawn((1, 2) * 5 + (2, 1), np.int32))
    np.testing.assert_array_equal(matmul(emulated, a, b).get(), np.matmul(a.get(), b.get()))


def test_gradients_of_a_layer_are_one_product_each(recording):
    tg.manual_seed(0)
    x = tg.randn(2, 3, 4, device="cuda", requires_grad=True)
    weight = tg.randn(5, 4, device="cuda", requires_grad=True)
    grad = tg.ones(2, 3, 5, device="cuda")
    for product in (lambda: tg.linear(x, weight), lambda: x @ weight.T):
        recording.clear()
        product().backward(grad)
        assert recording.launches.count("gemmEx") == 3
        assert "gemmStridedBatchedEx" not in recording.launches


def test_products_of_the_emulator_are_found_by_the_back_end():
    with use_backend(EmulatedBackend()) as backend:
        assert backend.blas() is backend.blas()
