"""Threads: graphs are independent, modes are per thread, shared leaves accumulate under a lock."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import autograd


def at_once(function, count=4):
    """`function(i)` in `count` threads that start together; the results, or the first exception."""
    barrier = threading.Barrier(count)

    def run(i):
        barrier.wait(10)
        return function(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def train(seed, steps=30):
    rng = np.random.default_rng(seed)
    w = tg.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    x, y = tg.tensor(rng.standard_normal((8, 5))), tg.tensor(rng.integers(0, 3, 8))
    for _ in range(steps):
        w.grad = None
        tg.cross_entropy((x @ w).tanh(), y).backward()
        with tg.no_grad():
            w -= 0.1 * w.grad
    return w.detach().data


def test_training_in_four_threads_gives_what_one_thread_gives():
    for found, seed in zip(at_once(train), range(4), strict=True):
        assert np.array_equal(found, train(seed))


def test_double_backward_in_four_threads():
    def third(i):
        x = tg.tensor(1.0 + i, dtype=tg.float64, requires_grad=True)
        y = x**4
        for _ in range(3):
            (y,) = autograd.grad(y, x, create_graph=True)
        return y.item()

    assert at_once(third) == [24.0, 48.0, 72.0, 96.0]


def test_threads_may_read_one_leaf_and_ask_for_their_own_gradients():
    w = tg.ones(1000, dtype=tg.float64, requires_grad=True)

    def gradient(i):
        return [autograd.grad((w * float(i + k)).sum(), w)[0].data[0] for k in range(50)]

    assert at_once(gradient) == [[float(i + k) for k in range(50)] for i in range(4)]
    assert w.grad is None


def test_a_shared_leaf_adds_up_what_threads_bring_under_a_lock():
    w = tg.zeros(100, dtype=tg.float64, requires_grad=True)
    lock = threading.Lock()

    def work(i):
        for _ in range(50):
            loss = (w * float(i + 1)).sum()
            with lock:
                loss.backward()

    at_once(work)
    assert w.grad.tolist() == [50.0 * (1 + 2 + 3 + 4)] * 100


def test_one_graph_recorded_here_can_be_walked_in_another_thread():
    x = tg.ones(3, requires_grad=True)
    loss = (x * x).sum()
    thread = threading.Thread(target=loss.backward)
    thread.start()
    thread.join()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_numbers_are_never_given_twice():
    def numbers(i):
        x = tg.tensor(1.0, requires_grad=True)
        return [(x * 2.0).grad_fn.number for _ in range(2000)]

    found = [n for part in at_once(numbers) for n in part]
    assert len(set(found)) == len(found)


def test_a_tape_sees_only_the_thread_that_opened_it():
    x = tg.ones(3, requires_grad=True)
    with tg.Tape() as tape:
        x.exp()
        thread = threading.Thread(target=x.sin)
        thread.start()
        thread.join()
    assert [step.gate for step in tape] == ["exp"]


def test_writes_in_one_thread_do_not_raise_alarms_in_another():
    def work(i):
        x = tg.ones(50, requires_grad=True)
        for _ in range(200):
            scale = tg.ones(50)
            if i % 2:
                scale.fill_(2.0)
            (x * scale).sum().backward()
            tg.zeros(50).fill_(3.0)
        return x.grad.data[0]

    assert at_once(work) == [200.0, 400.0, 200.0, 400.0]


def test_a_write_in_another_thread_is_noticed():
    x, scale = tg.ones(3, requires_grad=True), tg.ones(3)
    loss = (x * scale).sum()
    thread = threading.Thread(target=scale.fill_, args=(2.0,))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="overwritten"):
        loss.backward()


def test_convolution_in_threads_agrees_with_one():
    rng = np.random.default_rng(0)
    image, filters = rng.standard_normal((4, 3, 12, 12)), rng.standard_normal((5, 3, 3, 3))

    def run(i):
        x, w = tg.tensor(image, requires_grad=True), tg.tensor(filters, requires_grad=True)
        tg.max_pool2d(tg.conv2d(x, w, padding=1).relu(), 2).sum().backward()
        return x.grad.data, w.grad.data

    first, *others = at_once(run)
    for other in others:
        assert np.array_equal(first[0], other[0])
        assert np.array_equal(first[1], other[1])
