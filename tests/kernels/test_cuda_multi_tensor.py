"""One launch for many tensors: optimizers' steps and the norm of gradients on a GPU."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn, optim
from tapegrad.autograd import foreach
from tapegrad.kernels.cuda import compiling, launching, multi_tensor
from tapegrad.optim.grad_scaler import adapted
from tapegrad.optim.updates import unless_overflowed

DTYPES = [tg.float16, tg.bfloat16, tg.float32, tg.float64]
EVERY = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    (optim.Adam, {"lr": 0.1, "eps": 1e-3}),
    (optim.Adam, {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1}),
    (optim.AdamW, {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
]
EACH = pytest.mark.parametrize(("kind", "settings"), EVERY)


def whole(x):
    return x


VIEWS = [  # shapes, and what the parameter is of them
    ((3, 4), whole),
    ((0, 3), whole),
    ((), whole),
    ((5,), whole),
    ((1031,), whole),
    ((4096 * 2 + 7,), whole),
    ((7, 11), lambda x: x.T),
    ((6, 5), lambda x: x[:, ::2]),
    ((33,), lambda x: x[1:]),
    ((2, 3, 5), lambda x: x.permute(2, 0, 1)),
    ((9, 1), whole),
]


def values(seed=0):
    stream = np.random.default_rng(seed)
    return [stream.standard_normal(shape) for shape, _ in VIEWS]


def parameters(device, dtype, views=VIEWS):
    return [
        nn.Parameter(view(tg.tensor(value, dtype=dtype, device=device)))
        for value, (_, view) in zip(values(), views, strict=True)
    ]


def give_gradients(given, seed=1):
    stream = np.random.default_rng(seed)
    for parameter in given:
        drawn = stream.standard_normal(parameter.shape)
        drawn += np.copysign(0.5, drawn)  # half types have no squares of small numbers
        parameter.grad = tg.tensor(drawn, dtype=parameter.dtype, device=parameter.device)


def doubles(tensor):
    return tensor.detach().cpu().double().numpy()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@EACH
def test_a_step_on_a_gpu_is_that_on_a_cpu(emulated, kind, settings, dtype):
    """Half types are computed in float32 and rounded once: they are near the exact step."""
    halves = dtype in (tg.float16, tg.bfloat16)
    tolerance = 3e-2 if halves else 1e-6
    here, there = parameters("cpu", tg.float64 if halves else dtype), parameters("cuda", dtype)
    optimizers = kind(here, **settings), kind(there, **settings)
    for step in range(3):
        for given, optimizer in zip((here, there), optimizers, strict=True):
            give_gradients(given, step)
            optimizer.step()
    for mine, other in zip(there, here, strict=True):
        np.testing.assert_allclose(doubles(mine), doubles(other), rtol=tolerance, atol=tolerance)
        for name, expected in optimizers[0].state[other].items():
            found = optimizers[1].state[mine][name]
            if name == "step":
                assert found == expected
            else:
                np.testing.assert_allclose(
                    doubles(found), doubles(expected), rtol=tolerance, atol=tolerance
                )


def test_what_lies_between_the_elements_of_a_view_is_not_written(emulated):
    memory = tg.zeros(4, 6, device="cuda")
    x = nn.Parameter(memory[:, ::2])
    x.grad = tg.ones(4, 3, device="cuda")
    optim.SGD([x], lr=1.0).step()
    assert memory.tolist() == [[-1.0, 0.0] * 3] * 4


def small(count=20):
    made = [nn.Parameter(tg.ones(n % 5, n, device="cuda")) for n in range(count)]
    give_gradients(made)
    return made


@EACH
def test_a_step_is_one_launch_for_all_parameters(emulated, recording, kind, settings):
    optimizer = kind(small(), **settings)
    optimizer.step()
    optimizer.step()
    recording.clear()
    optimizer.step()
    assert recording.launches == [f"multi_{'sgd' if kind is optim.SGD else 'adam'}"]
    assert recording.synchronisations == []


def test_addresses_are_copied_again_only_when_one_has_changed(emulated, recording):
    given = small()
    optimizer = optim.SGD(given, lr=0.1)
    optimizer.step()
    give_gradients(given, 5)
    recording.clear()
    optimizer.step()
    assert recording.launches == ["copy to the device", "multi_sgd"]


def test_filters_of_one_channel_lie_likewise_in_any_layout(emulated, recording):
    filters = tg.ones(4, 1, 3, 3, device="cuda").to(memory_format=tg.channels_last)
    parameter = nn.Parameter(filters)
    momentum = optim.SGD([parameter], lr=0.5, momentum=0.9)
    parameter.grad = tg.ones(4, 1, 3, 3, device="cuda")
    assert parameter.grad.stride() != parameter.stride()
    recording.clear()
    momentum.step()
    kernels = [name for name in recording.launches if not name.startswith("copy to")]
    assert kernels == ["zeros", "multi_sgd"]
    assert (parameter.cpu() == 0.5).all()


def test_each_dtype_and_each_group_is_a_launch(emulated, recording):
    half = [nn.Parameter(tg.ones(3, device="cuda", dtype=tg.float16))]
    give_gradients(half)
    optimizer = optim.SGD([{"params": small() + half}, {"params": small(), "lr": 0.2}], lr=0.1)
    optimizer.step()
    recording.clear()
    optimizer.step()
    assert recording.launches == ["multi_sgd"] * 3


def test_a_parameter_that_joins_later_has_a_step_of_its_own(emulated):
    first, second = parameters("cuda", tg.float64)[:1], parameters("cpu", tg.float64)[:1]
    late, other = nn.Parameter(tg.ones(3, device="cuda")), nn.Parameter(tg.ones(3))
    for given, joining in ((first, late), (second, other)):
        optimizer = optim.Adam([*given, joining], lr=0.1)
        give_gradients(given)
        optimizer.step()
        give_gradients([*given, joining])
        optimizer.step()
        assert optimizer.state[joining]["step"] == 1
    np.testing.assert_allclose(doubles(first[0]), doubles(second[0]), rtol=1e-12)
    np.testing.assert_allclose(doubles(late), doubles(other), rtol=1e-6)


@EACH
def test_a_new_learning_rate_compiles_nothing(emulated, kind, settings):
    optimizer = kind(small(), **settings)
    optimizer.step()
    optimizer.step()
    before = foreach.traced.cache_info().misses, multi_tensor.kernel.cache_info().misses
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    after = foreach.traced.cache_info().misses, multi_tensor.kernel.cache_info().misses
    assert before == after


def test_streams_have_tables_of_their_own(emulated, recording):
    optimizer = optim.SGD(small(), lr=0.1)
    optimizer.step()
    recording.clear()
    with tg.cuda.stream(tg.cuda.Stream()):
        optimizer.step()
    assert recording.launches == ["copy to the device"] * 2 + ["multi_sgd"]


def test_parameters_on_two_devices_are_updated_where_they_are(gpu):
    given = [nn.Parameter(tg.ones(3, device=device)) for device in ("cuda:0", "cuda:1", "cpu")]
    give_gradients(given, 2)
    optim.Adam(given, lr=0.1).step()
    expected = [1 - 0.1 * np.sign(doubles(x.grad)) for x in given]
    for x, value in zip(given, expected, strict=True):
        np.testing.assert_allclose(doubles(x), value, rtol=1e-5)


# Norms


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
def test_the_norm_of_many_is_that_of_one_vector(emulated, dtype, p):
    given = [x.detach() for x in parameters("cuda", dtype)]
    found = multi_tensor.norm(emulated, [[x._data for x in given]], p, np.dtype(dtype))
    vector = np.concatenate([doubles(x).reshape(-1) for x in given])
    tolerance = 1e-5 if dtype in (tg.float32, tg.float64) else 1e-2
    assert found.dtype == dtype
    assert float(found.get()) == pytest.approx(np.linalg.norm(vector, p), rel=tolerance)


def test_a_norm_of_two_dtypes_is_of_all_elements(emulated):
    groups = [
        [tg.full((3,), 2.0, device="cuda", dtype=dtype)._data] for dtype in (tg.float16, tg.float64)
    ]
    found = multi_tensor.norm(emulated, groups, 2.0, np.dtype(np.float32))
    assert float(found.get()) == pytest.approx(math.sqrt(24))


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_nan_is_not_lost_and_nothing_has_norm_0(emulated, p):
    x = tg.ones(5000, device="cuda")
    x[4321] = math.nan
    empty = tg.zeros(0, device="cuda")
    for data, expected in ((x, math.nan), (empty, 0.0)):
        found = multi_tensor.norm(emulated, [[data._data]], p, np.dtype(np.float32))
        assert float(found.get()) == pytest.approx(expected, nan_ok=True)


# Clipping


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bound", [0.5, 1e6])
@pytest.mark.parametrize("p", [2.0, math.inf])
def test_clipping_on_a_gpu_is_that_on_a_cpu(emulated, dtype, bound, p):
    tolerance = 1e-6 if dtype in (tg.float32, tg.float64) else 2e-2
    here, there = parameters("cpu", tg.float64), parameters("cuda", dtype)
    for given in (here, there):
        give_gradients(given)
        total = nn.utils.clip_grad_norm_(given, bound, p)
        assert (total.shape, total.dtype, total.device) == ((), given[0].dtype, given[0].device)
    for mine, other in zip(there, here, strict=True):
        np.testing.assert_allclose(
            doubles(mine.grad), doubles(other.grad), rtol=tolerance, atol=tolerance
        )
    for given in (here, there):
        nn.utils.clip_grad_value_(given, 0.25)
    for mine, other in zip(there, here, strict=True):
        np.testing.assert_allclose(
            doubles(mine.grad), doubles(other.grad), rtol=tolerance, atol=tolerance
        )


def test_clipping_is_three_launches_and_nothing_waits(emulated, recording):
    given = small()
    for bound in (1.0, 0.5):
        recording.clear()
        nn.utils.clip_grad_norm_(given, bound)
    names = [name.split("<")[0] for name in recording.launches]
    assert names == ["norm_partials", "norm_of_partials", "multi_clipped"]
    recording.clear()
    nn.utils.clip_grad_value_(given, 0.1)
    assert recording.launches == ["multi_bounded"]
    assert recording.synchronisations == []


def test_clipping_by_a_norm_found_before(emulated):
    given = small(5)
    total = nn.utils.get_total_norm([x.grad for x in given])
    nn.utils.clip_grads_with_norm_(given, 2.0, total)
    clipped = nn.utils.get_total_norm([x.grad for x in given])
    assert total.item() > 2.0
    assert clipped.item() == pytest.approx(2.0, rel=1e-5)


def test_a_norm_that_is_not_finite_raises_and_changes_nothing(emulated):
    given = small(5)
    given[-1].grad[0] = math.inf
    before = given[-2].grad.tolist()
    with pytest.raises(RuntimeError, match="the norm of the gradients is inf"):
        nn.utils.clip_grad_norm_(given, 1.0, error_if_nonfinite=True)
    assert given[-2].grad.tolist() == before


def test_gradients_of_several_dtypes_and_devices_have_one_norm(gpu):
    given = [
        nn.Parameter(tg.zeros(2, device=device, dtype=dtype))
        for device, dtype in [("cuda", tg.float32), ("cuda", tg.float16), ("cuda:1", tg.float32)]
    ]
    for x, gradient in zip(given, ([3.0, 0.0], [4.0, 0.0], [0.0, 12.0]), strict=True):
        x.grad = tg.tensor(gradient, device=x.device, dtype=x.dtype)
    assert nn.utils.clip_grad_norm_(given, 6.5).item() == pytest.approx(13.0)
    for x, expected in zip(given, ([1.5, 0.0], [2.0, 0.0], [0.0, 6.0]), strict=True):
        assert x.grad.cpu().tolist() == pytest.approx(expected, rel=1e-3)


# Unscaling


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_unscaling_divides_every_element(emulated, dtype):
    given = [x.detach() for x in parameters("cuda", dtype)]
    expected = [doubles(x) / 3.0 for x in given]
    scale, found = (tg.tensor(value, device="cuda") for value in (3.0, 0.0))
    foreach.unscale(given, scale, found)
    tolerance = 1e-6 if dtype in (tg.float32, tg.float64) else 1e-2
    for x, value in zip(given, expected, strict=True):
        np.testing.assert_allclose(doubles(x), value, rtol=tolerance)
    assert found.item() == 0.0


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_unscaling_finds_what_is_not_finite(emulated, dtype, bad):
    scale = tg.tensor(2.0, device="cuda")
    for place in (0, 1029, 4103):
        value = np.ones(4104)
        value[place] = bad
        given = [tg.ones(5, dtype=dtype, device="cuda"), tg.tensor(value, dtype=dtype).to("cuda")]
        found = tg.tensor(0.0, device="cuda")
        foreach.unscale(given, scale, found)
        assert found.item() == 1.0


def test_unscaling_is_a_launch_for_each_dtype_and_nothing_waits(emulated, recording):
    given = [*small(), tg.ones(3, dtype=tg.float64, device="cuda")]
    scale, found = (tg.tensor(value, device="cuda") for value in (2.0, 0.0))
    foreach.unscale(given, scale, found)
    recording.clear()
    foreach.unscale(given, scale, found)
    assert recording.launches == ["unscale<float>", "unscale<double>"]
    assert recording.synchronisations == []


# What is compiled


def programs():
    for kind, settings in EVERY:
        optimizer = kind([nn.Parameter(tg.zeros(1))], **settings)
        (group,) = optimizer.param_groups
        for prepared in (0, 1):
            update = optimizer.update(group, prepared)
            numbers, options = tuple(update.numbers), tuple(update.options.items())
            for dtype in DTYPES:
                inputs = (np.dtype(dtype),) * (2 + len(update.state))
                yield foreach.traced(update.formula, inputs, 0, numbers, options), 0
    yield from programs_that_skip()
    for dtype in map(np.dtype, DTYPES):
        yield foreach.traced(nn.utils.bounded, (dtype,), 0, ("clip_value",), ()), 0
        for total in map(np.dtype, DTYPES):
            yield foreach.traced(nn.utils.clipped, (total, dtype), 1, ("max_norm",), ()), 1


def programs_that_skip():
    """Those of a `GradScaler`, which take first what was found, and the number of steps."""
    single = np.dtype(np.float32)
    for kind, settings in (EVERY[4], EVERY[8]):
        optimizer = kind([nn.Parameter(tg.zeros(1))], **settings)
        counts = kind is not optim.SGD
        update = optimizer.update(
            optimizer.param_groups[0], (tg.zeros(()), tg.device("cpu")) if counts else False
        )
        numbers, options = tuple(update.numbers), tuple(update.options.items())
        for dtype in (tg.bfloat16, tg.float32):
            shared = (single,) * (1 + counts)
            inputs = (*shared, *(np.dtype(dtype),) * (2 + len(update.state)))
            formula = unless_overflowed(update.formula)
            yield foreach.traced(formula, inputs, len(shared), numbers, options), len(shared)
    names = ("growth", "backoff", "interval")
    yield foreach.traced(adapted, (single,) * 3, 0, names, ()), 0


def test_every_step_and_clipping_compiles_without_spills():
    try:
        compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))
    kernels = [multi_tensor.kernel(program, shared) for program, shared in set(programs())]
    for kernel in kernels:
        for arch in compiling.ARCHITECTURES:
            binary = compiling.compiled(kernel.text, (kernel.name,), arch, kernel.filename)
            takes = compiling.resources(binary)[kernel.name]
            assert (takes.spills, takes.stack) == (0, 0), (kernel.name, arch, takes)


def test_chunks_cover_every_element_once(emulated):
    where = (launching.backend().device(), 0)
    sizes = (1, 4096, 4097, 70_000, 3)
    chunks, blocks = multi_tensor._chunks(emulated, where, sizes)
    seen = [np.zeros(size, int) for size in sizes]
    for tensor, start, end in chunks.get():
        assert start % 8 == 0
        seen[tensor][start:end] += 1
    assert all((counts == 1).all() for counts in seen)
    assert blocks == len(chunks)
