"""Cross-entropy of classes on a GPU against NumPy in float64: rows, columns, weights, mistakes."""

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import cross_entropy as on_cpu
from tapegrad.kernels.cuda import checks
from tapegrad.kernels.cuda.cross_entropy import (
    Settings,
    cross_entropy,
    cross_entropy_gradient,
    variants,
)
from tapegrad.kernels.cuda.launching import use_backend
from tapegrad.kernels.emulator import EmulatedBackend

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
DTYPES = [np.float32, np.float64, np.float16, bfloat16]
FLOATING = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
IGNORED = 1


def drawn(shape, dtype, seed=0, scale=3.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def classes_of(shape, dim, kind=np.int64):
    """Targets, one in five of them ignored."""
    count = shape[dim]
    across = shape[:dim] + shape[dim + 1 :]
    found = np.random.default_rng(1).integers(0, count, across)
    if count > IGNORED:
        found[np.random.default_rng(2).random(across) < 0.2] = IGNORED
    return found.astype(kind)


def agree(found, exact, dtype, size=0.0):
    """Whether the errors are small beside the largest of what is exact, or beside `size`."""
    found, tolerance = found.astype(np.float64), TOLERANCE[np.dtype(dtype).name]
    largest = np.abs(exact).max(initial=size)
    np.testing.assert_allclose(found, exact, tolerance, tolerance * largest)


def check(xp, x, target, weight, settings):
    """Forward and backward of arrays on the device."""
    host, dtype = x.get(), np.dtype(x.dtype)
    exact_x = host.astype(np.float64)
    exact_weight = None if weight is None else weight.get().astype(np.float64)
    loss, *statistics = cross_entropy(xp, x, target, weight, settings)
    exact, *known = on_cpu.cross_entropy(np, exact_x, target.get(), exact_weight, settings)
    assert (loss.dtype, loss.shape) == (dtype, exact.shape)
    agree(loss.get(), exact, dtype)
    grad = drawn(loss.shape, dtype, 3)
    to_x = cross_entropy_gradient(
        xp, xp.asarray(grad), x, target, weight, tuple(statistics), settings
    )
    assert (to_x.dtype, to_x.shape) == (dtype, x.shape)
    expected = on_cpu.cross_entropy_gradient(
        np, grad.astype(np.float64), exact_x, target.get(), exact_weight, tuple(known), settings
    )
    agree(to_x.get(), expected, dtype, np.abs(grad.astype(np.float64)).max() / known[2][0])
    checks.raise_pending()


def check_every_way(xp, x, dim, target=None):
    weight = xp.asarray(np.abs(drawn(x.shape[dim], x.dtype, 4)) + x.dtype.type(0.25))
    target = xp.asarray(classes_of(x.shape, dim)) if target is None else target
    for reduction, used, smoothing in (
        ("mean", None, 0.0),
        ("mean", weight, 0.3),
        ("sum", None, 0.3),
        ("none", weight, 0.0),
        ("none", None, 1.0),
    ):
        check(xp, x, target, used, Settings(dim, IGNORED, reduction, smoothing))


@FLOATING
def test_rows_of_any_length(emulated, dtype):
    for shape in [(70, 1), (9, 5), (3, 31), (2, 127), (3, 1000), (2, 9001)]:
        check_every_way(emulated, emulated.asarray(drawn(shape, dtype)), 1)


@FLOATING
def test_classes_before_other_dimensions(emulated, dtype):
    for shape in [(2, 5, 1, 7), (1, 21, 16), (3, 127, 8), (2, 300, 3)]:
        check_every_way(emulated, emulated.asarray(drawn(shape, dtype)), 1)


def test_one_row_and_nothing_but_classes(emulated):
    check_every_way(emulated, emulated.asarray(drawn((40,), np.float32)), 0)


def test_views_that_are_permuted_sliced_and_repeated(emulated):
    x = emulated.asarray(drawn((4, 6, 10), np.float32))
    target = emulated.asarray(np.arange(30).reshape(6, 10 // 2) % 4)
    for view in (x.transpose(2, 0, 1), x.transpose(0, 2, 1), x[:, ::2], x[::-1, 1:, 3:]):
        check_every_way(emulated, view, 1)
    check_every_way(emulated, emulated.broadcast_to(x[:1], x.shape), 1)
    check_every_way(emulated, x[:, :, :5].transpose(2, 0, 1), 1, target.T)


def test_a_permuted_array_is_not_copied(emulated):
    x = emulated.asarray(drawn((2, 5, 4, 3), np.float32)).transpose(0, 3, 1, 2)
    target = emulated.asarray(classes_of(x.shape, 1))
    settings = Settings(1, IGNORED, "sum", 0.0)
    with record() as seen:
        loss, *statistics = cross_entropy(emulated, x, target, None, settings)
        cross_entropy_gradient(emulated, loss, x, target, None, tuple(statistics), settings)
    assert seen.launches == [
        "cross_entropy_rows<float, 1>",
        "cross_entropy_total<float>",
        "cross_entropy_rows_gradient<float, 1>",
    ]


@pytest.mark.parametrize("kind", [*"bhilBHIL"])
def test_targets_of_any_whole_numbers(emulated, kind):
    x = emulated.asarray(drawn((30, 100), np.float32))
    target = emulated.asarray(classes_of((30, 100), 1, np.dtype(kind)))
    check(emulated, x, target, None, Settings(1, -100, "mean", 0.0))


def test_many_rows_are_shared_by_a_limited_number_of_blocks(emulated):
    x = emulated.asarray(drawn((40_000, 2), np.float32))
    check(emulated, x, emulated.asarray(classes_of(x.shape, 1)), None, Settings(1, 9, "mean", 0.0))
    x = emulated.asarray(drawn((2, 3, 20_000), np.float32))
    check(emulated, x, emulated.asarray(classes_of(x.shape, 1)), None, Settings(1, 9, "mean", 0.1))


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("dim", [0, 1])
def test_scores_far_out_cost_no_digits(emulated, smoothing, dim):
    x = drawn((6, 50), np.float32)
    x += np.float32([[1e4], [-1e4], [0], [3e4], [1e6], [-1e6]])
    x[2, 7], x[3, 7] = 1e4, -1e4
    x = x if dim else np.ascontiguousarray(x.T)
    target = np.array([7, 0, 7, 7, 3, 49])
    settings = Settings(dim, -100, "none", smoothing)
    losses, *_ = cross_entropy(
        emulated, emulated.asarray(x), emulated.asarray(target), None, settings
    )
    exact = on_cpu.cross_entropy(np, x.astype(np.float64), target, None, settings)[0]
    np.testing.assert_allclose(losses.get(), exact, 1e-5, 1e-6)


def test_infinities_and_nan_as_on_a_cpu(emulated):
    x = drawn((8, 40), np.float32)
    x[0], x[1, 1:], x[2, 1], x[3, 2] = -np.inf, -np.inf, np.inf, np.nan
    x[4, 5:], x[5, 5] = -np.inf, -np.inf
    target = np.array([3, 0, 1, 0, 2, 5, 9, 9])
    settings = Settings(1, 9, "none", 0.0)
    with np.errstate(all="ignore"):
        expected = on_cpu.cross_entropy(np, x, target, None, settings)[0]
    found = cross_entropy(emulated, emulated.asarray(x), emulated.asarray(target), None, settings)
    np.testing.assert_allclose(found[0].get(), expected, 1e-5, 1e-6)


@pytest.mark.parametrize("shape", [(4, 30), (4, 30, 8)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_where_all_is_ignored_the_loss_and_its_gradient_are_0(emulated, shape, reduction):
    x = emulated.asarray(np.full(shape, np.nan, np.float32))
    target = emulated.asarray(np.full((4, *shape[2:]), -100))
    settings = Settings(1, -100, reduction, 0.1)
    loss, *statistics = cross_entropy(emulated, x, target, None, settings)
    assert not loss.get().any()
    grad = emulated.asarray(np.ones(loss.shape, np.float32))
    to_x = cross_entropy_gradient(emulated, grad, x, target, None, tuple(statistics), settings)
    assert not to_x.get().any()


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 4)], ids=str)
@pytest.mark.parametrize("wrong", [9, -1])
def test_a_target_that_is_no_class_is_reported(emulated, shape, wrong):
    target = classes_of(shape, 1)
    target[5] = wrong
    x, target = emulated.asarray(drawn(shape, np.float32)), emulated.asarray(target)
    loss, *_ = cross_entropy(emulated, x, target, None, Settings(1, -100, "mean", 0.0))
    assert np.isfinite(loss.get())
    with pytest.raises(IndexError, match=rf"^cross_entropy: target {wrong} .* for 9 classes$"):
        checks.raise_pending()


def test_no_rows_and_no_classes(emulated):
    nothing = emulated.empty((0, 3), np.float32), emulated.empty((0,), np.int64)
    with record() as seen:
        loss, *statistics = cross_entropy(emulated, *nothing, None, Settings(1, 0, "none", 0.0))
        settings = Settings(1, 0, "none", 0.0)
        to_x = cross_entropy_gradient(emulated, loss, *nothing, None, tuple(statistics), settings)
    assert (loss.shape, to_x.shape) == ((0,), (0, 3))
    assert [name for name in seen.launches if "entropy" in name] == []
    assert cross_entropy(emulated, *nothing, None, Settings(1, 0, "mean", 0.0))[0].get() == 0
    x, target = emulated.empty((2, 0), np.float32), emulated.asarray(np.array([0, -100]))
    cross_entropy(emulated, x, target, None, Settings(1, -100, "mean", 0.0))
    with pytest.raises(IndexError, match="target 0 is out of range for 0 classes"):
        checks.raise_pending()


def test_every_order_of_the_threads_gives_the_same_bits(gpu):
    for shape in ((5000, 10), (3, 1000), (2, 9001), (3, 40, 50)):
        found = set()
        target = gpu.asarray(classes_of(shape, 1))
        for order in (0, 1, 7):
            with use_backend(EmulatedBackend(order=order)):
                x = gpu.asarray(drawn(shape, np.float32))
                settings = Settings(1, IGNORED, "mean", 0.1)
                loss, *statistics = cross_entropy(gpu, x, target, None, settings)
                to_x = cross_entropy_gradient(
                    gpu, loss, x, target, None, tuple(statistics), settings
                )
            found.add(loss.get().tobytes() + to_x.get().tobytes())
        assert len(found) == 1


def test_the_list_of_variants_is_complete(emulated):
    names = {kernel.name for kernel in variants()}
    assert len(names) == 36
    with record() as seen:
        for dtype in DTYPES:
            for shape in ((2, 3), (2, 600), (2, 4, 3), (2, 4, 8)):
                x, target = emulated.asarray(drawn(shape, dtype)), classes_of(shape, 1)
                settings = Settings(1, IGNORED, "mean", 0.0)
                check(emulated, x, emulated.asarray(target), None, settings)
    assert {name for name in seen.launches if name.startswith("cross_entropy")} == names


# The whole operation


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5, 40), (2, 5, 3, 4), (6,)], ids=str)
def test_values_and_gradients_to_second_order_are_the_cpus(
    gpu, reduction, smoothing, weighted, shape
):
    results = []
    labels = classes_of(shape, len(shape) > 1)
    for device in ("cpu", "cuda"):
        x = tg.tensor(drawn(shape, np.float64), device=device, requires_grad=True)
        count = x.shape[int(len(shape) > 1)]
        weight = tg.arange(1, count + 1, device=device).double() if weighted else None
        loss = tg.cross_entropy(
            x,
            tg.tensor(labels, device=device),
            weight,
            IGNORED,
            reduction,
            smoothing,
        )
        grad = tg.tensor(drawn(loss.shape, np.float64, 5), device=device)
        back = tg.tensor(drawn(shape, np.float64, 6), device=device)
        (fused,) = tg.autograd.grad(loss, x, grad, retain_graph=True)
        (first,) = tg.autograd.grad(loss, x, grad, create_graph=True)
        (second,) = tg.autograd.grad(first, x, back)
        results.append([value.detach().cpu().numpy() for value in (loss, fused, first, second)])
    for cpu, cuda in zip(*results, strict=True):
        np.testing.assert_allclose(cuda, cpu, 1e-10, 1e-12)
    np.testing.assert_allclose(results[0][1], results[0][2], 1e-10, 1e-12)


def test_cross_entropy_is_two_launches_and_one_and_nobody_waits(recording):
    x = tg.tensor(drawn((4, 9), np.float32), device="cuda", requires_grad=True)
    target = tg.tensor(classes_of((4, 9), 1), device="cuda")
    recording.clear()
    loss = tg.cross_entropy(x, target)
    assert recording.launches == ["cross_entropy_rows<float, 1>", "cross_entropy_total<float>"]
    loss.backward()
    assert [name for name in recording.launches[2:] if "entropy" in name] == [
        "cross_entropy_rows_gradient<float, 1>"
    ]
    assert recording.synchronisations == []


def test_a_wrong_target_is_raised_where_the_host_waits(gpu):
    loss = tg.cross_entropy(tg.zeros(2, 3, device="cuda"), tg.tensor([0, 3], device="cuda"))
    with pytest.raises(IndexError, match="cross_entropy: target 3 is out of range for 3 classes"):
        loss.item()
