"""Generated kernels: right for every layout, dtype and number of outputs; few launches."""

import itertools

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd.engine import Gate
from tapegrad.kernels.cuda import pointwise
from tapegrad.kernels.expression import FusionError, Program, Scalar, ScalarValue, Step, Value
from tapegrad.kernels.strides import broadcast_strides, collapse

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}


def values(shape, dtype="float32", seed=0):
    return (
        np.random.default_rng(seed)
        .standard_normal(shape)
        .astype(tg.autograd.arrays.as_dtype(dtype))
    )


def on_device(array):
    return tg.tensor(array, device="cuda")


def host(tensor):
    return tensor.data.get().astype(np.float64)


def expected(function, *arrays):
    return function(*(tg.tensor(a.astype(np.float64)) for a in arrays)).numpy()


def mixture(x, y):
    return tg.tanh(x * y) + tg.where(x > y, x, y * 0.3)


def check(function, *arrays, views=lambda *tensors: tensors):
    """Run a fused function on the device, on views of arrays, and compare with float64 NumPy."""
    tensors = views(*(on_device(a) for a in arrays))
    result = tg.fused(function)(*tensors)
    plain = views(*arrays)
    dtype = arrays[0].dtype.name
    np.testing.assert_allclose(
        host(result), expected(function, *plain), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )
    return result


# Layouts


@pytest.mark.parametrize("size", [1, 3, 4, 1021, 1024, 5000])
def test_whole_arrays_of_any_size_are_read_16_bytes_at_a_time(emulated, size):
    check(mixture, values(size), values(size, seed=1))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_every_floating_dtype_is_computed_at_least_in_float32(emulated, dtype):
    result = check(mixture, values((3, 17), dtype), values((3, 17), dtype, seed=1))
    assert result.dtype.name == dtype


@pytest.mark.parametrize(
    "shapes",
    [
        ((5, 8), (8,)),
        ((5, 7), (7,)),
        ((5, 8), (5, 1)),
        ((5, 1), (1, 6)),
        ((2, 3, 4, 8), (3, 1, 8)),
        ((), (6,)),
        ((), ()),
        ((1, 1), (1,)),
        ((4, 1, 3, 1), (2, 1, 5)),
    ],
)
def test_arrays_broadcast_by_strides_of_0(emulated, shapes):
    check(mixture, values(shapes[0]), values(shapes[1], seed=1))


VIEWS = {
    "transposed": lambda x, y: (x.T, y),
    "both transposed": lambda x, y: (x.T, y.T),
    "every second": lambda x, y: (x[:, ::2], y[:, ::2]),
    "a part": lambda x, y: (x[1:, 2:5], y[1:, :3]),
    "unaligned": lambda x, y: (x.reshape(-1)[1:], y.reshape(-1)[:-1]),
    "a column": lambda x, y: (x[:, 3], y[:, 2]),
}


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_walked_where_they_lie(emulated, view):
    check(mixture, values((8, 8)), values((8, 8), seed=1), views=VIEWS[view])


def test_arrays_that_are_all_transposed_stay_so(emulated):
    x = on_device(values((4, 6))).T
    y = tg.fused(lambda x: tg.exp(x) * 2)(x)
    assert y.data.strides == x.data.strides
    np.testing.assert_allclose(host(y), np.exp(host(x)) * 2, rtol=1e-5)


def test_nothing_is_launched_for_no_elements(recording):
    x = tg.zeros(0, 3, device="cuda")
    recording.launches.clear()
    assert tg.fused(mixture)(x, x).shape == (0, 3)
    assert recording.launches == []


# Outputs, dtypes, numbers


def test_outputs_of_one_shape_come_from_one_launch(recording):
    x = tg.ones(5, device="cuda")
    recording.launches.clear()
    doubled, positive, whole = tg.fused(lambda x: (x * 2, x > 0, tg.floor(x).long()))(x)
    assert recording.launches == ["fused_lambda"]
    assert (doubled.dtype, positive.dtype, whole.dtype) == (tg.float32, tg.bool, tg.int64)
    assert (doubled.tolist(), positive.tolist(), whole.tolist()) == ([2.0] * 5, [True] * 5, [1] * 5)


def test_outputs_of_different_shapes_are_a_launch_each(recording):
    x, b = tg.ones(3, 4, device="cuda"), tg.ones(4, device="cuda")
    recording.launches.clear()
    first, second = tg.fused(lambda x, b: (x + b, b * 3))(x, b)
    assert (first.shape, second.shape) == ((3, 4), (4,))
    assert len(recording.launches) == 2
    assert second.tolist() == [3.0] * 4


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64"])
def test_whole_numbers_wrap_as_numpys_do(emulated, dtype):
    given = np.arange(-3, 200, 7).astype(dtype)
    x = on_device(given)
    y = x ^ x if dtype == "bool" else x * x + 3
    wanted = given ^ given if dtype == "bool" else given * given + np.asarray(3, dtype)
    assert y.data.get().tolist() == wanted.tolist()


def test_mixed_dtypes_are_promoted_within_the_kernel(emulated):
    x, y = values(9, "float16"), values(9, "float32", seed=1)
    found = tg.fused(lambda x, y: x * y)(on_device(x), on_device(y))
    assert found.dtype == tg.float32
    np.testing.assert_allclose(host(found), x.astype(float) * y, rtol=1e-5)


def ran(xp, step, arrays, numbers=()):
    """The result of one step on the device."""
    places = tuple(Scalar(lambda values, i=i: values[i]) for i in range(len(numbers)))
    program = Program(tuple(a.dtype for a in arrays), places, (step,), (len(arrays),))
    return pointwise.run(xp, program, [on_device(a).data for a in arrays], numbers)[0].get()


def test_a_choice_between_numbers_is_made_in_the_dtype_of_the_result(emulated):
    mask = np.array([True, False, True])
    step = Step(Gate.all["where"], (Value(0), 1.5, ScalarValue(0)), {}, np.dtype(np.float32))
    assert ran(emulated, step, [mask], [2.5]).tolist() == [1.5, 2.5, 1.5]


def test_a_step_of_two_dtypes_is_computed_in_the_wider(emulated):
    x, y = values(5), values(5, "float64", seed=1)
    step = Step(Gate.all["hypot"], (Value(0), Value(1)), {}, y.dtype)
    np.testing.assert_allclose(ran(emulated, step, [x, y]), np.hypot(x.astype(float), y), 1e-12)


def test_a_changing_number_compiles_nothing(gpu):
    scaled = tg.fused(lambda x, rate: x * (1 - rate))
    x = tg.ones(3, device="cuda")
    programs = {scaled.program(x, rate).plans is None for rate in (0.1, 0.2)}
    assert [scaled(x, rate).tolist()[0] for rate in (0.25, 0.5)] == [0.75, 0.5]
    (gate,) = scaled.gates.values()
    assert len(gate.program.plans) == 1
    assert len(programs) == 1


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_on_the_device_are_those_on_the_cpu(emulated, order):
    def gradients(x, w):
        x.requires_grad_(), w.requires_grad_()
        y = tg.fused(mixture)(x, w)
        found = tg.autograd.grad(y.sum(), (x, w), create_graph=order == 2)
        if order == 2:
            found = tg.autograd.grad(sum((g * g).sum() for g in found), (x, w))
        return [g.detach().cpu().numpy() for g in found]

    x, w = values((5, 6)), values(6, seed=1)
    ours = gradients(on_device(x), on_device(w))
    plain = gradients(tg.tensor(x), tg.tensor(w))
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_an_eager_gate_is_one_kernel_forward_and_one_backward(recording):
    x = tg.ones(5, device="cuda", requires_grad=True)
    y = tg.nn.functional.gelu(x)
    recording.launches.clear()
    y.backward(tg.ones(5, device="cuda"))
    assert "fused_gelu_backward" in recording.launches
    assert len([name for name in recording.launches if name.startswith("fused")]) <= 2


def test_a_gate_without_an_expression_is_refused_by_name():
    class Odd(tg.autograd.Gate):
        """Has no expression."""

        pointwise = True

        def forward(self, xp, x):
            return x

    odd = Odd()
    del tg.autograd.Gate.all[odd.name]
    program = tg.fused(lambda x: odd(x)).program(tg.ones(2))
    with pytest.raises(FusionError, match="'odd' has no CUDA expression"):
        pointwise.source(program)


# Walks


def test_dimensions_through_which_all_step_evenly_become_one():
    shape = (2, 3, 4, 5)
    rows = [(60, 20, 5, 1), broadcast_strides((4, 5), (5, 1), shape)]
    assert collapse(shape, rows) == ((6, 20), [(20, 1), (0, 1)])


IMAGES = {
    "channels last": lambda x: x.to(memory_format=tg.channels_last),
    "a slice of the channels": lambda x: x.to(memory_format=tg.channels_last)[:, 1:4],
    "places apart": lambda x: x.to(memory_format=tg.channels_last)[:, :, ::2],
}


@pytest.mark.parametrize("view", IMAGES)
def test_the_output_lies_as_the_first_whole_input(emulated, view):
    x = IMAGES[view](on_device(values((2, 5, 6, 3))))
    other = on_device(values(x.shape, seed=1))  # in the order of its dimensions
    scale = on_device(values((x.shape[1], 1, 1), seed=2))
    result = scale * x + other
    assert result.is_contiguous(memory_format=tg.channels_last)
    np.testing.assert_allclose(host(result), host(scale) * host(x) + host(other), 1e-6, 1e-6)
    assert (other + x).is_contiguous()


def test_a_gradient_lies_as_what_it_is_the_gradient_of(emulated):
    joined = tg.fused(lambda x, y: tg.relu(x + y))
    x, y = (on_device(values((2, 3, 4, 5), seed=seed)) for seed in (0, 1))
    x, y = (v.to(memory_format=tg.channels_last).requires_grad_() for v in (x, y))
    for function in (lambda x, y: tg.relu(x), joined, lambda x, y: x * y):
        grad = on_device(values((2, 3, 4, 5), seed=2))  # in the order of the dimensions
        (found,) = tg.autograd.grad(function(x, y), x, grad)
        assert found.is_contiguous(memory_format=tg.channels_last)


@pytest.mark.parametrize("shape", [(2, 5, 6, 3), (2, 8, 4, 4), (1, 3, 1, 7)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_dropout_drops_the_same_elements_in_any_layout_and_on_the_way_back(emulated, shape, dtype):
    kept = []
    for layout in (tg.contiguous_format, tg.channels_last):
        tg.manual_seed(3)
        x = on_device(values(shape, dtype)).to(memory_format=layout).requires_grad_()
        out = tg.dropout(x, 0.4, True)
        assert out.stride() == x.stride()
        out.backward(tg.ones(*shape, dtype=out.dtype, device="cuda"))
        assert ((host(out) != 0) == (host(x.grad) != 0)).all()
        kept.append(host(out))
    assert (kept[0] == kept[1]).all()


def test_a_collapsed_walk_visits_the_same_places():
    rng = np.random.default_rng(0)
    for _ in range(50):
        shape = tuple(rng.integers(1, 4, rng.integers(1, 5)))
        strides = [tuple(rng.integers(0, 3, len(shape))) for _ in range(2)]
        sizes, steps = collapse(shape, strides)
        for old, new in zip(strides, steps, strict=True):
            assert places(shape, old) == places(sizes, new)


def places(shape, strides):
    return [
        sum(i * s for i, s in zip(index, strides, strict=True))
        for index in itertools.product(*map(range, shape))
    ]
