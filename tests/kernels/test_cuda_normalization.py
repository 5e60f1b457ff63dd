"""Norms on a GPU against NumPy in float64: layers, groups, batches, large means, many elements."""

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import normalization as on_cpu
from tapegrad.kernels.cuda import channels, rows
from tapegrad.kernels.cuda import groups as last_groups
from tapegrad.kernels.cuda import normalization as on_gpu
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.emulator import EmulatedBackend
from tapegrad.nn import functional as F

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = [np.float32, np.float64, np.float16, bfloat16]
FLOATING = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
EVERYTHING = (True, True, True)


def drawn(shape, dtype, seed=0, scale=3.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def agree(found, exact, dtype, size=0.0):
    """Whether the errors are small beside the largest of what is exact, or beside `size`."""
    found, tolerance = found.astype(np.float64), TOLERANCE[np.dtype(dtype).name]
    largest = np.abs(exact).max(initial=size)
    np.testing.assert_allclose(found, exact, tolerance, tolerance * largest)


def wide(*arrays):
    return [v if v is None else v.get().astype(np.float64) for v in arrays]


def check(xp, x, spread, dims, eps=1e-3, weighted=True):
    """Forward and backward of a norm, its weights of shape `spread`."""
    weight = xp.asarray(drawn(spread, x.dtype, 1)) if weighted else None
    bias = xp.asarray(drawn(spread, x.dtype, 2)) if weighted else None
    out, *statistics = on_gpu.normalize(xp, x, weight, bias, dims, eps)
    assert (out.dtype, out.shape) == (x.dtype, x.shape)
    exact, *known = on_cpu.normalize(np, *wide(x, weight, bias), dims, eps)
    agree(out.get(), exact, x.dtype)
    mean, rest, var = wide(*statistics)
    precision = np.float32 if x.dtype.itemsize == 2 else x.dtype
    agree(mean + rest, known[0] + known[1], precision)
    agree(var, known[2], precision)
    grad = xp.asarray(drawn(x.shape, x.dtype, 3))
    found = on_gpu.normalize_gradient(xp, grad, x, weight, tuple(statistics), dims, eps, EVERYTHING)
    expected = on_cpu.normalize_gradient(
        np, *wide(grad, x, weight), tuple(known), dims, eps, EVERYTHING
    )
    summand = np.abs(wide(grad)[0]).max() / np.sqrt(known[2] + eps).max()  # of what may cancel
    assert found[0].dtype == x.dtype
    for part, right in zip(found[: 3 if weighted else 1], expected, strict=False):
        assert part is found[0] or part.dtype == precision
        more = tuple(d for d, n in enumerate(part.shape) if n != right.shape[d])
        agree(part.get(), right.sum(more, keepdims=True), x.dtype, summand)


def check_square(xp, x, weighted=True):
    weight = xp.asarray(drawn((1, x.shape[1]), x.dtype, 1)) if weighted else None
    out, square = on_gpu.normalize_square(xp, x, weight, (1,), 1e-3)
    exact, known = on_cpu.normalize_square(np, *wide(x, weight), (1,), 1e-3)
    agree(out.get(), exact, x.dtype)
    agree(square.get(), known, np.float32 if x.dtype.itemsize == 2 else x.dtype)
    grad = xp.asarray(drawn(x.shape, x.dtype, 3))
    found = on_cpu.normalize_square_gradient(xp, grad, x, weight, square, (1,), 1e-3, (True, True))
    expected = on_cpu.normalize_square_gradient(
        np, *wide(grad, x, weight), known, (1,), 1e-3, (True, True)
    )
    computed = square.dtype  # what the gradient of the weight is of
    for part, right in zip(found[: 2 if weighted else 1], expected, strict=False):
        dtype = x.dtype if part is found[0] else computed
        assert (part.dtype, part.shape) == (dtype, right.shape)
        agree(part.get(), right, x.dtype)


@FLOATING
@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "bare"])
def test_rows_of_any_length(emulated, dtype, weighted):
    for shape in [(70, 2), (9, 5), (3, 31), (5, 33), (200, 127), (3, 1000), (2, 9001)]:
        x = emulated.asarray(drawn(shape, dtype))
        check(emulated, x, (1, shape[1]), (1,), weighted=weighted)
        check_square(emulated, x, weighted)


@FLOATING
def test_channels_of_examples_and_groups_of_channels(emulated, dtype):
    for count, groups, each, size in [(3, 4, 1, 5), (2, 3, 2, 49), (2, 1, 5, 300), (5, 6, 1, 16)]:
        shape = (count, groups, each, size)
        x = emulated.asarray(drawn(shape, dtype))
        check(emulated, x, (1, groups, each, 1), (2, 3))
        check(emulated, x[:, :, 0], (1, groups, 1), (2,))
        check(emulated, x[..., 0], (1, groups, each), (2,))


def with_channels_last(xp, shape, dtype, axis=1):
    """Values whose memory has the dimensions from `axis` to the last but one innermost."""
    order = (*range(axis), len(shape) - 1, *range(axis, len(shape) - 1))
    values = xp.asarray(drawn(tuple(shape[d] for d in order), dtype))
    return values.transpose(tuple(np.argsort(order).tolist()))


@FLOATING
def test_groups_of_channels_that_lie_last_are_normalised_as_they_lie(emulated, dtype):
    shapes = [(3, 2, 3, 5), (2, 5, 8, 40), (2, 1, 70, 9), (1, 3, 1, 50), (2, 13, 3, 7)]
    for count, groups, each, size in shapes:
        x = with_channels_last(emulated, (count, groups, each, size), dtype)
        with record() as seen:
            check(emulated, x, (1, groups, each, 1), (2, 3))
            check(emulated, x, (1, groups, each, 1), (2, 3), weighted=False)
        assert {name.split("<")[0] for name in seen.launches if "group" in name} == {
            "group_statistics",
            "group_gradients",
        }
        flat = with_channels_last(emulated, (count, groups * each, size), dtype)
        check(emulated, flat, (1, groups * each, 1), (2,))


@pytest.mark.parametrize("name", ["batch", "group", "instance"])
def test_a_norm_of_images_with_channels_last_copies_nothing_and_keeps_them_so(recording, name):
    norm = {
        "batch": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        "group": lambda x, w, b: F.group_norm(x, 2, w, b),
        "instance": lambda x, w, b: F.instance_norm(x, None, None, w, b),
    }[name]
    x = tg.tensor(drawn((2, 4, 3, 5), np.float32), device="cuda")
    x = x.to(memory_format=tg.channels_last).requires_grad_()
    weight, bias = (tg.ones(4, device="cuda", requires_grad=True) for _ in range(2))
    recording.clear()
    out = norm(x, weight, bias)
    assert len(recording.launches) == 1
    assert out.is_contiguous(memory_format=tg.channels_last)
    grad = tg.ones_like(out)
    recording.clear()
    out.backward(grad)
    assert {name for name in recording.launches if "<" not in name} <= {"copy"}  # into .grad
    assert x.grad.is_contiguous(memory_format=tg.channels_last)


@FLOATING
def test_batches_of_any_shape(emulated, dtype):
    for shape in [(70, 1), (9, 5), (200, 16), (33, 100), (3, 2, 5), (4, 3, 49), (2, 5, 1000)]:
        spread = (1, shape[1]) + (1,) * (len(shape) - 2)
        dims = (0,) if len(shape) == 2 else (0, 2)
        x = emulated.asarray(drawn(shape, dtype))
        check(emulated, x, spread, dims)
        check(emulated, x, spread, dims, weighted=False)


def test_a_channel_of_many_elements_is_shared_by_blocks(emulated):
    for shape in [(40, 3, 4000), (2, 2, 30_001), (9000, 8), (3000, 5)]:
        seen = channels.plan((*shape, 1)[:3], 4, True)
        assert seen.grid[1] > 1
        spread = (1, shape[1]) + (1,) * (len(shape) - 2)
        dims = (0,) if len(shape) == 2 else (0, 2)
        check(emulated, emulated.asarray(drawn(shape, np.float32)), spread, dims)
    for shape in [(5000, 12), (3000, 7)]:
        check(emulated, emulated.asarray(drawn(shape, np.float32)), (1, shape[1]), (1,))
    x = emulated.asarray(drawn((30, 2, 2, 3000), np.float32))
    check(emulated, x, (1, 2, 2, 1), (2, 3))


def test_what_many_blocks_found_is_put_together_in_a_launch_of_its_own(emulated):
    for dtype in (np.float32, np.float64):
        x = emulated.asarray(drawn((8500, 31), dtype))
        assert channels.plan((8500, 31, 1), x.itemsize, True).grid[1] > 64
        with record() as seen:
            check(emulated, x, (1, 31), (0,))
        kernels = [name.split("<")[0] for name in seen.launches if "<" in name]
        forward, backward = "channel_statistics_columns", "channel_gradients_columns"
        assert kernels == [
            *(forward, "settle_statistics", forward), *(backward, "channel_totals", backward)
        ]  # fmt: skip


def test_views_that_are_permuted_sliced_and_repeated(emulated):
    x = emulated.asarray(drawn((6, 4, 10), np.float32))
    views = (x.transpose(2, 0, 1), x.transpose(0, 2, 1), x[:, ::2], x[::-1, 1:, 3:])
    for view in (*views, emulated.broadcast_to(x[1:2], x.shape)):
        check(emulated, view, (1, view.shape[1], 1), (0, 2))
        check(emulated, view, (1, view.shape[1], 1), (2,))
        check(emulated, view, (1, *view.shape[1:]), (1, 2))


def test_channels_last_in_memory_are_not_copied(emulated):
    x = emulated.asarray(drawn((2, 15, 4), np.float32)).transpose(0, 2, 1)
    with record() as seen:
        out, *statistics = on_gpu.normalize(emulated, x, None, None, (0, 2), 1e-5)
        arguments = tuple(statistics), (0, 2), 1e-5, EVERYTHING
        to_x, *_ = on_gpu.normalize_gradient(emulated, out, x, None, *arguments)
    assert seen.launches == [
        "channel_statistics_columns<float, 4>",
        "channel_gradients_columns<float, 4>",
    ]
    assert out.strides == to_x.strides == x.strides


def test_a_row_that_begins_anywhere_in_memory(emulated):
    for offset in range(1, 9):
        for n in (2, 7, 150):
            x = emulated.asarray(drawn(offset + 6 * n, np.float16))[offset:].reshape(3, 2, n)
            check(emulated, x, (1, 2, 1), (2,))
            check(emulated, x, (1, 2, 1), (0, 2))
            check(emulated, x.reshape(6, n), (1, n), (1,))


@pytest.mark.parametrize("mean", [1e4, -3e5])
@pytest.mark.parametrize("outlier", [False, True], ids=["alike", "with an outlier"])
def test_a_large_mean_costs_no_digits(emulated, mean, outlier):
    layers = [((3, 700), (1,)), ((2, 20_000), (1,))]
    batches = [((500, 6), (0,)), ((9000, 3), (0,)), ((3, 2, 900), (0, 2)), ((60, 2, 2000), (0, 2))]
    for shape, dims in layers + batches:
        host = drawn(shape, np.float32, scale=1.0) + np.float32(mean)
        if outlier:
            host[0] = host[0] * 0
        x = emulated.asarray(host)
        out = on_gpu.normalize(emulated, x, None, None, dims, 1e-5)[0].get()
        exact = on_cpu.normalize(np, host.astype(np.float64), None, None, dims, 1e-5)[0]
        np.testing.assert_allclose(out, exact, 1e-5, 2e-5)


def test_what_is_equal_is_normalised_to_0(emulated):
    for shape, dims in [
        ((2, 7000), (1,)),
        ((3, 700), (1,)),
        ((900, 3), (0,)),
        ((4, 3, 700), (0, 2)),
    ]:
        x = emulated.asarray(np.full(shape, 12345.67, np.float32))
        out, _, _, var = on_gpu.normalize(emulated, x, None, None, dims, 1e-5)
        assert not out.get().any()
        assert not var.get().any()


def test_a_nan_stays_where_it_is(emulated):
    host = drawn((4, 3, 50), np.float32)
    host[1, 2, 3] = np.nan
    x = emulated.asarray(host)
    out = on_gpu.normalize(emulated, x, None, None, (2,), 1e-5)[0].get()
    assert np.isnan(out).all(2).tolist() == np.isnan(host).any(2).tolist()
    out = on_gpu.normalize(emulated, x, None, None, (0, 2), 1e-5)[0].get()
    assert np.isnan(out).any((0, 2)).tolist() == [False, False, True]


def test_nothing_is_launched_for_nothing(emulated):
    with record() as seen:
        for shape, dims in [((0, 3), (1,)), ((3, 0), (1,)), ((0, 3), (0,)), ((2, 0, 3), (0, 2))]:
            x = emulated.empty(shape, np.float32)
            spread = (1, shape[1]) + (1,) * (len(shape) - 2)
            weight = emulated.asarray(np.ones(spread, np.float32))
            out, *statistics = on_gpu.normalize(emulated, x, weight, weight, dims, 1e-5)
            arguments = tuple(statistics), dims, 1e-5, EVERYTHING
            found = on_gpu.normalize_gradient(emulated, out, x, weight, *arguments)
            assert [part.shape for part in found] == [shape, spread, spread]
            assert not found[1].get().any()
    assert [name for name in seen.launches if "<" in name] == []


def test_only_what_is_wanted_is_computed(emulated):
    x = emulated.asarray(drawn((3, 4, 6), np.float32))
    weight = emulated.asarray(np.ones((1, 4, 1), np.float32))
    for dims in ((2,), (0, 2)):
        _, *statistics = on_gpu.normalize(emulated, x, weight, weight, dims, 1e-5)
        for wants in ((True, False, False), (False, True, False), (False, False, True)):
            found = on_gpu.normalize_gradient(
                emulated, x, x, weight, tuple(statistics), dims, 1e-5, wants
            )
            assert [part is not None for part in found] == list(wants)


def test_every_order_of_the_threads_gives_the_same_bits(gpu):
    cases = [((3, 1000), (1,)), ((2, 9001), (1,)), ((4000, 6), (0,)), ((40, 3, 4000), (0, 2))]
    for shape, dims in cases:
        found = set()
        spread = (1, shape[1]) + (1,) * (len(shape) - 2)
        for order in (0, 1, 7):
            with use_backend(EmulatedBackend(order=order)):
                x = gpu.asarray(drawn(shape, np.float32))
                weight = gpu.asarray(drawn(spread, np.float32, 1))
                out, *statistics = on_gpu.normalize(gpu, x, weight, weight, dims, 1e-5)
                arguments = tuple(statistics), dims, 1e-5, EVERYTHING
                gradients = on_gpu.normalize_gradient(gpu, out, x, weight, *arguments)
            arrays = (out, *statistics, *gradients)
            found.add(b"".join(array.get().tobytes() for array in arrays))
        assert len(found) == 1


@pytest.mark.parametrize("size", [2, 4, 8])
def test_blocks_cover_every_channel(size):
    for sizes in [(1, 1, 1), (7, 3, 1), (10**6, 5, 1), (64, 4096, 1), (3, 2, 7), (128, 64, 3136),
                  (1, 3, 10**8), (2**20, 2, 9), (1, 10**6, 49)]:  # fmt: skip
        outer, count, inner = sizes
        kind, number, grid, block, tile, tiles, chunk = channels.plan(sizes, size, True)
        assert grid[1] * chunk >= outer * tiles > (grid[1] - 1) * chunk
        assert tile * tiles >= inner
        assert block[0] * block[1] % 32 == 0
        if kind == "columns":
            assert inner == 1
            assert grid[0] * block[0] * number >= count
        else:
            assert grid[0] == count


def test_the_list_of_variants_is_complete(emulated):
    modules = (on_gpu, channels, last_groups)
    names = {kernel.name for module in modules for kernel in module.variants()}
    assert len(names) == 16 + 36 + 2 + 2 + 8
    with record() as seen:
        for dtype in DTYPES:
            layers = [((2, 3), (1,)), ((2, 600), (1,)), ((4000, 3), (1,))]
            batches = [((5, 3), (0,)), ((5, 8), (0,)), ((2, 3, 7), (0, 2)), ((2, 3, 900), (0, 2))]
            for shape, dims in layers + batches:
                spread = (1, shape[1]) + (1,) * (len(shape) - 2)
                check(emulated, emulated.asarray(drawn(shape, dtype)), spread, dims)
            check(emulated, with_channels_last(emulated, (2, 3, 4), dtype), (1, 3, 1), (2,))
            running = emulated.asarray(np.ones(3, dtype))
            found = [emulated.asarray(np.ones(3, rows.wide(running.dtype)))] * 3
            channels.track(emulated, (running, None), found, 0.1, 1.0)
    settling = {f"settle_statistics<{name}>" for name in ("float", "double")}  # see above
    assert {name for name in seen.launches if "<" in name} == names - settling


# The whole operation

NORMS = {
    "batch": ((6, 4, 3, 2), 4, lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
    "batch of rows": ((6, 4), 4, lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
    "instance": ((3, 4, 5), 4, lambda x, w, b: F.instance_norm(x, None, None, w, b)),
    "layer": ((3, 4, 5), (4, 5), lambda x, w, b: F.layer_norm(x, (4, 5), w, b)),
    "group": ((3, 4, 5), 4, lambda x, w, b: F.group_norm(x, 2, w, b)),
    "rms": ((3, 4, 5), (4, 5), lambda x, w, b: F.rms_norm(x, (4, 5), w)),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "bare"])
def test_values_and_gradients_to_second_order_are_the_cpus(gpu, name, weighted):
    shape, sizes, norm = NORMS[name]
    results = []
    for device in ("cpu", "cuda"):
        x = tg.tensor(drawn(shape, np.float64), device=device, requires_grad=True)
        scales = [
            tg.tensor(drawn(sizes, np.float64, seed), device=device, requires_grad=True)
            for seed in (1, 2)
        ]
        inputs = [x, *scales[: 1 if name == "rms" else 2]] if weighted else [x]
        out = norm(x, *scales) if weighted else norm(x, None, None)
        grad = tg.tensor(drawn(shape, np.float64, 3), device=device)
        back = tg.tensor(drawn(shape, np.float64, 4), device=device)
        fused = tg.autograd.grad(out, inputs, grad, retain_graph=True)
        first = tg.autograd.grad(out, inputs, grad, create_graph=True)
        second = tg.autograd.grad(first[0], inputs[:2], back, allow_unused=True)
        found = [value for value in (out, *fused, *first, *second) if value is not None]
        results.append([value.detach().cpu().numpy() for value in found])
    for cpu, cuda in zip(*results, strict=True):
        np.testing.assert_allclose(cuda, cpu, 1e-9, 1e-10)


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_one_launch_and_two_back(recording, name):
    shape, sizes, norm = NORMS[name]
    x = tg.tensor(drawn(shape, np.float32), device="cuda", requires_grad=True)
    scales = [
        tg.tensor(drawn(sizes, np.float32, seed), device="cuda", requires_grad=True)
        for seed in (1, 2)
    ]
    recording.clear()
    out = norm(x, *scales)
    assert len(recording.launches) == 1
    grad = out.detach()
    recording.clear()
    tg.autograd.grad(out, [x, *scales[: 1 if name == "rms" else 2]], grad)
    kernels = [launch for launch in recording.launches if launch != "copy"]  # of what it returns
    assert len(kernels) == (1 if "batch" in name else 2)
    assert recording.synchronisations == []


@pytest.mark.parametrize("dtypes", ["float32 float32", "float64 float64", "float16 float16",
                                    "bfloat16 float32"])  # fmt: skip
@pytest.mark.parametrize("shape", [(6, 4, 3, 2), (6, 4)], ids=str)
def test_running_statistics_move_as_on_a_cpu_and_without_a_wait(recording, dtypes, shape):
    dtype, running = (getattr(tg, name) for name in dtypes.split())
    results = []
    for device in ("cpu", "cuda"):
        x = tg.tensor(drawn(shape, np.float32), device=device).to(dtype)
        mean, var = tg.ones(4, dtype=running, device=device), tg.ones(4, device=device).to(running)
        recording.clear()
        for _ in range(3):
            F.batch_norm(x, mean, var, training=True, momentum=0.3)
        assert recording.synchronisations == []
        if device == "cuda":
            assert len(recording.launches) == 3 * (2 if running == tg.float16 else 1)
        assert mean.dtype == var.dtype == running
        results.append([value.double().cpu().numpy() for value in (mean, var)])
    for cpu, cuda in zip(*results, strict=True):
        np.testing.assert_allclose(
            cuda, cpu, *([2e-3] * 2 if running == tg.float16 else [1e-6] * 2)
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(6, 4), (3, 5, 7), (2, 8, 4, 4)], ids=str)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_batch_norm_of_halves_with_parameters_of_float32_casts_nothing(
    recording, dtype, shape, device
):
    """Values and gradients are those in float64 of the same halves, each rounded once."""
    x = tg.tensor(drawn(shape, np.float32), device=device).to(getattr(tg, dtype)).requires_grad_()
    scales = [
        tg.tensor(drawn(shape[1], np.float32, seed), device=device).requires_grad_()
        for seed in (1, 2)
    ]
    running = tg.zeros(shape[1], device=device), tg.ones(shape[1], device=device)
    recording.clear()
    out = F.batch_norm(x, *running, *scales, training=True)
    assert len(recording.launches) == (device == "cuda")
    grads = tg.autograd.grad(out, [x, *scales], out.detach())
    assert not any("cast" in launch for launch in recording.launches)
    exact = [part.detach().cpu().double().requires_grad_() for part in (x, *scales)]
    theirs = tg.zeros(shape[1]).double(), tg.ones(shape[1]).double()
    right = F.batch_norm(exact[0], *theirs, *exact[1:], training=True)
    seed = out.detach().cpu().double()
    expected = [right, *tg.autograd.grad(right, exact, seed)]
    for part, known, like in zip((out, *grads), expected, (x, x, *scales), strict=True):
        assert part.dtype == like.dtype
        agree(part.detach().cpu().data, known.detach().data, np.dtype(part.dtype), 8)
    for part, known in zip(running, theirs, strict=True):
        agree(part.cpu().data, known.data, np.float32)


@pytest.mark.parametrize(
    "shape", [(6, 4), (3, 4, 5), (40, 3, 4000), (9000, 8), (8500, 31)], ids=str
)
def test_running_statistics_move_in_the_launch_that_applies_those_of_a_batch(emulated, shape):
    x = emulated.asarray(drawn(shape, np.float32))
    mean, var = (emulated.asarray(drawn(shape[1], np.float32, seed)) for seed in (1, 2))
    batches = emulated.asarray(np.array(7))
    dims = tuple(d for d in range(len(shape)) if d != 1)
    exact = wide(x)[0].mean(dims), wide(x)[0].var(dims) * 1.25
    expected = [0.7 * old + 0.3 * new for old, new in zip(wide(mean, var), exact, strict=True)]
    moving = channels.Moving(mean, var, batches, 0.3, 1.25)
    for _ in range(2):  # the second time, as where a tape is checked, nothing moves
        channels.normalize(emulated, x, None, None, 1e-5, moving)
        for found, right in zip((mean, var), expected, strict=True):
            agree(found.get(), right, np.float32)
        assert batches.get() == 8


def test_a_layer_counts_its_batches_in_the_same_launch(recording):
    layer = tg.nn.BatchNorm2d(4).to("cuda")
    x = tg.tensor(drawn((2, 4, 3, 3), np.float32), device="cuda")
    for _ in range(3):
        recording.clear()
        layer(x)
        assert len(recording.launches) == 1
    layer.eval()(x)
    assert layer.num_batches_tracked.item() == 3


def test_running_statistics_of_examples_move_as_on_a_cpu(gpu):
    results = []
    for device in ("cpu", "cuda"):
        x = tg.tensor(drawn((3, 4, 5), np.float32), device=device)
        mean, var = tg.ones(4, device=device), tg.ones(4, device=device)
        F.instance_norm(x, mean, var)
        F.batch_norm(x, mean[::2].repeat(2), None, training=True)
        results.append([value.cpu().numpy() for value in (mean, var)])
    for cpu, cuda in zip(*results, strict=True):
        np.testing.assert_allclose(cuda, cpu, 1e-6)


def test_what_was_saved_of_running_statistics_is_known_to_be_overwritten(gpu):
    mean, var = tg.zeros(4, device="cuda"), tg.ones(4, device="cuda")
    x = tg.ones(3, 4, device="cuda", requires_grad=True)
    out = (x * mean).sum()
    F.batch_norm(x.detach(), mean, var, training=True)
    with pytest.raises(RuntimeError, match="mul"):
        out.backward()


@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "bare"])
def test_in_evaluation_batch_norm_is_one_launch(recording, weighted):
    results = []
    for device in ("cpu", "cuda"):
        x = tg.tensor(drawn((3, 4, 5), np.float32), device=device, requires_grad=True)
        mean, var, weight, bias = (
            tg.tensor(np.abs(drawn(4, np.float32, seed)) + 0.5, device=device) for seed in range(4)
        )
        weight, bias = (weight, bias) if weighted else (None, None)
        recording.clear()
        out = F.batch_norm(x, mean, var, weight, bias)
        if device == "cuda":
            assert len(recording.launches) == 1
        (to_x,) = tg.autograd.grad(out, x, out.detach())
        results.append([value.detach().cpu().numpy() for value in (out, to_x)])
    for cpu, cuda in zip(*results, strict=True):
        np.testing.assert_allclose(cuda, cpu, 1e-5, 1e-6)
