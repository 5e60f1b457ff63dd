"""What is kept and what is freed: by reference counting alone, without recursion, early."""

import contextlib
import gc
import resource
import tracemalloc
import weakref

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import autograd
from tapegrad.autograd.records import Node


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def array_bytes():
    """Bytes of NumPy arrays that tracemalloc has seen."""
    only_arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(t.size for t in tracemalloc.take_snapshot().filter_traces([only_arrays]).traces)


def ours_alive():
    """How many nodes, tensors and tapes the collector knows."""
    return sum(issubclass(type(o), (Node, tg.Tensor, tg.Tape)) for o in gc.get_objects())


def big(value=1.0, n=1000):
    return tg.full((n,), value)


def kept_by(result):
    """The arrays that the gate of `result` keeps for backward."""
    saved = result.grad_fn.saved or ()
    flat = [part for value in saved for part in (value if isinstance(value, tuple) else (value,))]
    return [value for value in flat if value is not None]


def keeps(result, *tensors):
    return {id(a) for a in kept_by(result)} == {id(t.data) for t in tensors}


# Long chains


def test_a_chain_of_a_million_gates_runs_backward_and_is_freed():
    x = tg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = -y
    first = weakref.ref(y.grad_fn)
    y.backward()
    assert x.grad.item() == 1.0
    del y
    assert first() is None


def test_a_chain_of_a_million_gates_is_freed_without_backward():
    x = tg.tensor(1.0, requires_grad=True)
    y = (x + 1).exp()
    bottom = weakref.ref(y.grad_fn)
    for _ in range(1_000_000):
        y = y + 1.0
    del y
    assert bottom() is None


def test_a_deep_graph_can_be_looked_at():
    y = tg.tensor(1.0, requires_grad=True)
    for _ in range(20_000):
        y = y * 1.0
    assert len(tg.Tape.of(y)) == 20_000
    assert len(str(tg.Tape.of(y)).splitlines()) > 20_000


def test_a_deep_graph_is_differentiated_twice():
    x = tg.tensor(1.0, dtype=tg.float64, requires_grad=True)
    y = x
    for _ in range(5_000):
        y = y * x
    (g,) = autograd.grad(y, x, create_graph=True)
    assert autograd.grad(g, x)[0].item() == 5001 * 5000


def test_a_deep_chain_of_split_and_cat_is_freed():
    y = tg.ones(2, requires_grad=True)
    for _ in range(20_000):
        a, b = y.split(1)
        y = tg.cat([b, a])
    node = weakref.ref(y.grad_fn)
    del y, a, b
    assert node() is None


# No cycles


def plain(x):
    (x * x).sum().backward()


def with_grad_of_grad(x):
    (g,) = autograd.grad((x**3).sum(), x, create_graph=True)
    (g * g).sum().backward()


def with_create_graph_into_dot_grad(x):
    (x**3).sum().backward(create_graph=True)
    x.grad.sum().backward()
    x.grad = None


def with_hooks(x):
    y = x * 2
    handle = x.register_hook(lambda g: g * 1)
    y.register_hook(lambda g: None)
    y.sum().backward()
    handle.remove()


def with_retain_grad(x):
    y = x.exp()
    y.retain_grad()
    (y * y).sum().backward()


def with_a_tape(x):
    with tg.Tape() as tape:
        y = (x.exp() * 2).sum()
    y.backward()
    str(tape)


def with_the_tape_of(x):
    str(tg.Tape.of((x.exp() * 2).sum()))


def with_anomaly_detection(x):
    with autograd.detect_anomaly():
        (x.exp() * 2).sum().backward()


def with_in_place_writes(x):
    y = x * 2
    y[0] = 5.0
    y += 1
    y.relu_()
    y.sum().backward()
    with tg.no_grad():
        x -= 0.0 * x.grad


def with_split(x):
    a, _ = x.split(x.shape[0] // 2)
    (a * a).sum().backward(create_graph=True)
    x.grad = None


def with_an_error_in_forward(x):
    with pytest.raises(ValueError):  # noqa: PT011
        (x * 2) + tg.ones(3)


def with_an_error_in_backward(x):
    def fail(g):
        raise KeyError

    y = x.exp() * 2
    y.register_hook(fail)
    with pytest.raises(KeyError):
        y.sum().backward()


def with_a_second_backward(x):
    y = x.exp().sum()
    y.backward()
    with pytest.raises(RuntimeError):
        y.backward()


def with_a_generator(x):
    @tg.no_grad()
    def numbers():
        while True:
            with contextlib.suppress(KeyError):
                yield x * 2

    generator = numbers()
    next(generator)
    generator.throw(KeyError)
    generator.close()


def without_backward(x):
    (x.exp() * x).softmax(0).sum()


STEPS = {name: f for name, f in list(globals().items()) if name.startswith(("with", "plain"))}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_reference_counting_alone_frees_every_graph(step, no_collector):
    x = tg.ones(100, requires_grad=True)
    step(x)
    x.grad = None
    gc.collect()
    before = ours_alive()
    for _ in range(5):
        step(x)
        x.grad = None
    assert ours_alive() == before


def test_a_thousand_training_steps_do_not_grow(no_collector):
    w1 = tg.full((20, 50), 0.01, requires_grad=True)
    w2 = tg.full((50, 3), 0.01, requires_grad=True)
    x, target = tg.ones(16, 20), tg.zeros(16, dtype=tg.int64)

    def step():
        loss = tg.cross_entropy((x @ w1).relu() @ w2, target)
        loss.backward()
        with tg.no_grad():
            for w in (w1, w2):
                w -= 0.01 * w.grad
                w.grad = None

    for _ in range(20):
        step()
    objects = len(gc.get_objects())
    tracemalloc.start()
    try:
        step()
        before = array_bytes()
        for _ in range(200):
            step()
        grown = array_bytes() - before
    finally:
        tracemalloc.stop()
    assert abs(len(gc.get_objects()) - objects) < 50
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        step()
    assert grown < 1_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 4_000


def test_a_thousand_penalised_steps_do_not_grow(no_collector):
    w, x = tg.full((100, 100), 0.01, requires_grad=True), tg.ones(100, requires_grad=True)

    def step():
        (g,) = autograd.grad((w @ x).tanh().sum(), x, create_graph=True)
        (g * g).sum().backward(inputs=[w])
        w.grad = None

    for _ in range(50):
        step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        step()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 4_000


def test_the_book_of_writes_forgets_freed_memory():
    from tapegrad.autograd import versions

    before = len(versions._writes)
    for _ in range(100):
        tg.zeros(10).fill_(1.0)
    assert len(versions._writes) <= before + 1


def test_an_exception_keeps_no_graph_once_it_is_dropped(no_collector):
    x = tg.ones(1000, requires_grad=True)
    y = x.exp()
    saved = weakref.ref(y.data)
    z = y * tg.full((1000,), 2.0)
    del y
    z.register_hook(lambda g: 1 / 0)
    with contextlib.suppress(ZeroDivisionError):
        z.sum().backward()
    del z
    assert saved() is None


# Freed as the walk goes


def test_backward_frees_what_the_graph_saved():
    x = big()
    x.requires_grad_()
    y = x.exp()
    saved = weakref.ref(y.data)
    z = y.sum()
    del y
    assert saved() is not None
    z.backward()
    assert saved() is None


def test_backward_frees_while_it_walks():
    x = tg.ones(1000, requires_grad=True)
    early = x.exp()
    late = (early + 0).exp()
    saved = weakref.ref(late.data)
    alive = []
    early.register_hook(lambda g: alive.append(saved() is not None))
    loss = late.sum()
    del late
    loss.backward()
    assert alive == [False]


def test_the_gradient_of_an_intermediate_is_freed_as_the_walk_goes():
    x = tg.ones(1000, requires_grad=True)
    a = x * 2
    b = a * tg.full((1000,), 3.0)
    seen = []
    b.register_hook(lambda g: seen.append(weakref.ref(g.data)))
    alive = []
    x.register_hook(lambda g: alive.append(seen[0]() is not None))
    (b * tg.full((1000,), 3.0)).sum().backward()
    assert alive == [False]


def test_backward_peaks_at_a_few_buffers_for_a_long_chain():
    n = 1 << 18
    x = tg.ones(n, requires_grad=True)
    y = x
    for _ in range(10):
        y = y.tanh()
    loss = y.sum()
    del y
    tracemalloc.start()
    try:
        loss.backward()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * n * 4


def test_retain_graph_keeps_what_was_saved():
    x = tg.ones(1000, requires_grad=True)
    y = x.exp()
    saved = weakref.ref(y.data)
    z = y.sum()
    del y
    z.backward(retain_graph=True)
    assert saved() is not None
    z.backward()
    assert saved() is None


def test_grad_frees_only_where_it_walked():
    x, w = tg.ones(10, requires_grad=True), tg.ones(10, requires_grad=True)
    shared = x.exp() + w.exp()
    for leaf_ in (x, w):
        (gradient,) = autograd.grad(shared.sum(), leaf_)
        assert gradient.tolist() == pytest.approx([np.e] * 10)


# What each gate keeps


def leaf(n=5):
    return tg.full((n,), 0.5, requires_grad=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + tg.ones(5),
        lambda x: x - tg.ones(5),
        lambda x: -x,
        lambda x: x.sum(),
        lambda x: x.reshape(5, 1),
        lambda x: x[1:3],
        lambda x: x.flip(0),
        lambda x: x.expand(3, 5),
        lambda x: x.clone(),
        lambda x: x.double(),
        lambda x: tg.cat([x, x]),
        lambda x: x + 3.0,
    ],
    ids=[
        "add",
        "sub",
        "neg",
        "sum",
        "reshape",
        "slice",
        "flip",
        "expand",
        "clone",
        "cast",
        "cat",
        "shift",
    ],
)
def test_linear_gates_keep_nothing(function):
    assert kept_by(function(leaf())) == []


def test_mul_by_a_constant_keeps_only_the_constant():
    x, c = leaf(), tg.ones(5)
    assert keeps(x * c, c)
    assert keeps(c * x, c)


def test_mul_of_two_variables_keeps_both():
    x, y = leaf(), leaf()
    assert keeps(x * y, x, y)


def test_mul_by_a_number_keeps_the_number():
    assert kept_by(leaf() * 3.0) == [3.0]


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "sqrt", "relu"])
def test_gates_with_a_derivative_of_the_output_keep_only_the_output(name):
    y = getattr(leaf(), name)()
    assert keeps(y, y)


def test_softmax_keeps_only_its_output():
    y = leaf().softmax(0)
    assert keeps(y, y)


@pytest.mark.parametrize("name", ["log", "sin", "abs"])
def test_gates_with_a_derivative_of_the_input_keep_only_the_input(name):
    x = leaf()
    assert keeps(getattr(x, name)(), x)


def test_where_keeps_only_the_condition():
    x, condition = leaf(), tg.tensor([True, False, True, False, True])
    assert keeps(tg.where(condition, x, 0.0), condition)
    assert keeps(tg.where(condition, x, leaf()), condition)


def test_div_keeps_no_numerator():
    x, y = leaf(), tg.ones(5)
    assert keeps(x / y, y)
    q = tg.ones(5) / x
    assert keeps(q, x, q)


def test_matmul_with_a_constant_keeps_only_the_constant():
    w, x = tg.ones(3, 5, requires_grad=True), tg.ones(5, 2)
    assert keeps(w @ x, x)


def test_no_grad_keeps_nothing():
    x = tg.ones(1000, requires_grad=True)
    with tg.no_grad():
        y = x.exp()
        inner = weakref.ref(y.data)
        z = y * 2
        del y
    assert inner() is None
    assert z.grad_fn is None


def test_operations_on_plain_tensors_keep_nothing():
    x = tg.ones(1000)
    y = x.exp()
    inner = weakref.ref(y.data)
    z = y * y
    del y
    assert inner() is None
    assert z.grad_fn is None


def test_nodes_keep_no_tensor_alive():
    x = tg.ones(5, requires_grad=True)
    y = x.exp()
    tensor = weakref.ref(y)
    z = y * y
    del y
    assert tensor() is None
    z.sum().backward()


def test_a_dropped_leaf_is_not_kept_alive_by_the_graph():
    x = tg.ones(5, requires_grad=True)
    y = x + 1
    tensor = weakref.ref(x)
    del x
    assert tensor() is None
    y.sum().backward()


def test_a_dropped_tape_frees_its_values():
    x = tg.ones(1000, requires_grad=True)
    with tg.Tape() as tape:
        y = x + 1
        z = y + 1
    inner = weakref.ref(y.data)
    del y
    assert inner() is not None
    del tape
    assert inner() is None
    assert z.requires_grad


def test_views_are_not_copies():
    x = tg.ones(1000, requires_grad=True)
    for view in (x.reshape(10, 100), x[:5], x.expand(2, 1000), x.T, x.split(500)[1], x.detach()):
        assert np.shares_memory(view.detach().data, x.data)


def test_the_gradient_of_a_sum_is_no_full_copy_before_it_is_needed():
    x = tg.ones(1000, requires_grad=True)
    seen = []
    y = x + 0.0
    y.register_hook(lambda g: seen.append(g.data.strides))
    y.sum().backward()
    assert seen == [(0,)]
