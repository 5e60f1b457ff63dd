"""Switches: what is recorded where, and that what was found is put back."""

import asyncio
import threading

import pytest

import tapegrad as tg
from tapegrad import autograd
from tapegrad.autograd.records import get_mode


@pytest.fixture(autouse=True)
def recording_is_left_as_found():
    assert tg.is_grad_enabled()
    yield
    found = tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    assert found


@pytest.fixture
def x():
    return tg.tensor([1.0, 2.0], requires_grad=True)


def test_no_grad_records_nothing(x):
    with tg.no_grad():
        y = x * 2
    assert not y.requires_grad
    assert y.is_leaf


def test_enable_grad_records_within_no_grad(x):
    with tg.no_grad(), tg.enable_grad():
        assert (x * 2).requires_grad


def test_inference_mode_records_nothing_unless_told_to(x):
    with tg.inference_mode():
        assert not (x * 2).requires_grad
        with tg.inference_mode(False):
            assert (x * 2).requires_grad
    with tg.no_grad(), tg.inference_mode(mode=False):  # as in PyTorch
        assert (x * 2).requires_grad


def test_inference_mode_as_a_decorator(x):
    def double(x):
        return x * 2

    for decorator in (tg.inference_mode, tg.inference_mode()):
        assert not decorator(double)(x).requires_grad
    assert tg.inference_mode(mode=False)(double)(x).requires_grad


def test_set_grad_enabled_in_a_block(x):
    with tg.set_grad_enabled(False):
        assert not (x * 2).requires_grad
        with tg.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not tg.is_grad_enabled()


def test_set_grad_enabled_as_a_call_holds():
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    assert tg.is_grad_enabled()


def test_set_grad_enabled_as_a_call_inside_a_block_ends_with_the_block():
    with tg.no_grad():
        tg.set_grad_enabled(True)
        assert tg.is_grad_enabled()
    assert tg.is_grad_enabled()
    with tg.enable_grad():
        tg.set_grad_enabled(False)
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_set_grad_enabled_used_twice_as_a_block():
    switch = tg.set_grad_enabled(False)
    for _ in range(2):
        with switch:
            assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_a_tensor_made_under_no_grad_can_require_a_gradient():
    with tg.no_grad():
        x = tg.ones(2, requires_grad=True)
    assert (x * 2).requires_grad


@pytest.mark.parametrize(
    "switch", [tg.no_grad, tg.enable_grad, tg.inference_mode, autograd.detect_anomaly]
)
def test_an_exception_restores_the_mode(switch):
    found = get_mode()
    with pytest.raises(KeyError), switch():
        raise KeyError
    assert get_mode() is found


def test_one_instance_can_be_used_again_and_nested():
    switch = tg.no_grad()
    for _ in range(2):
        with switch:
            with switch:
                assert not tg.is_grad_enabled()
            assert not tg.is_grad_enabled()
        assert tg.is_grad_enabled()


def test_nested_switches_unwind_one_by_one():
    states = []
    with tg.no_grad():
        states.append(tg.is_grad_enabled())
        with tg.enable_grad():
            states.append(tg.is_grad_enabled())
            with tg.no_grad():
                states.append(tg.is_grad_enabled())
            states.append(tg.is_grad_enabled())
        states.append(tg.is_grad_enabled())
    assert states == [False, True, False, True, False]


def test_no_grad_keeps_anomaly_detection_on():
    with autograd.detect_anomaly(), tg.no_grad():
        assert get_mode().anomaly
    assert not get_mode().anomaly


# Decorators


def test_a_decorated_function_records_nothing(x):
    @tg.no_grad()
    def double(x):
        """Twice."""
        return x * 2

    assert not double(x).requires_grad
    assert tg.is_grad_enabled()
    assert (double.__name__, double.__doc__) == ("double", "Twice.")


def test_a_decorator_without_parentheses_works_as_in_pytorch(x):
    @tg.no_grad
    def double(x):
        return x * 2

    assert not double(x).requires_grad


def test_a_decorated_method(x):
    class Model:
        @tg.no_grad()
        def predict(self, x):
            return x * 2

    assert not Model().predict(x).requires_grad


def test_a_decorated_function_that_raises_restores_the_mode():
    @tg.no_grad()
    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert tg.is_grad_enabled()


def test_a_decorated_function_may_call_itself():
    @tg.no_grad()
    def countdown(n):
        return [tg.is_grad_enabled()] + (countdown(n - 1) if n else [])

    assert countdown(5) == [False] * 6


def test_set_grad_enabled_as_a_decorator_does_not_switch_where_it_is_written():
    @tg.set_grad_enabled(False)
    def state():
        return tg.is_grad_enabled()

    assert tg.is_grad_enabled()
    assert state() is False
    with tg.enable_grad():
        assert state() is False
    assert tg.is_grad_enabled()


def test_enable_grad_as_a_decorator(x):
    @tg.enable_grad()
    def double(x):
        return x * 2

    with tg.no_grad():
        assert double(x).requires_grad


# Generators


def test_a_generator_switches_only_while_it_runs():
    @tg.no_grad()
    def states():
        for _ in range(2):
            yield tg.is_grad_enabled()

    outside = []
    inside = []
    for state in states():
        inside.append(state)
        outside.append(tg.is_grad_enabled())
    assert inside == [False, False]
    assert outside == [True, True]


def test_a_generator_keeps_its_mode_when_resumed_under_another():
    @tg.enable_grad()
    def states():
        while True:
            yield tg.is_grad_enabled()

    generator = states()
    assert next(generator)
    with tg.no_grad():
        assert next(generator)
        assert not tg.is_grad_enabled()
    generator.close()


def test_a_generator_receives_what_is_sent():
    @tg.no_grad()
    def echo():
        received = yield "ready"
        while True:
            received = yield received, tg.is_grad_enabled()

    generator = echo()
    assert next(generator) == "ready"
    assert generator.send(1) == (1, False)
    assert generator.send(2) == (2, False)
    generator.close()


def test_a_generator_handles_what_is_thrown_in():
    @tg.no_grad()
    def patient():
        while True:
            try:
                yield "waiting"
            except KeyError:
                yield "caught", tg.is_grad_enabled()

    generator = patient()
    next(generator)
    assert generator.throw(KeyError) == ("caught", False)
    assert tg.is_grad_enabled()
    assert next(generator) == "waiting"
    generator.close()


def test_an_exception_thrown_through_a_generator_comes_out():
    @tg.no_grad()
    def numbers():
        yield 1

    generator = numbers()
    next(generator)
    with pytest.raises(KeyError):
        generator.throw(KeyError)
    assert tg.is_grad_enabled()


def test_a_generator_returns_its_value():
    @tg.no_grad()
    def numbers():
        yield 1
        return "done"

    def outer():
        return (yield from numbers())

    generator = outer()
    next(generator)
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "done"


def test_a_closed_generator_cleans_up_in_its_own_mode():
    states = []

    @tg.no_grad()
    def numbers():
        try:
            yield 1
        finally:
            states.append(tg.is_grad_enabled())

    generator = numbers()
    next(generator)
    generator.close()
    assert states == [False]
    assert tg.is_grad_enabled()


def test_a_generator_that_fails_restores_the_mode():
    @tg.no_grad()
    def numbers():
        yield 1
        raise KeyError

    generator = numbers()
    next(generator)
    with pytest.raises(KeyError):
        next(generator)
    assert tg.is_grad_enabled()


def test_two_generators_do_not_disturb_each_other():
    @tg.no_grad()
    def off():
        while True:
            yield tg.is_grad_enabled()

    @tg.enable_grad()
    def on():
        while True:
            yield tg.is_grad_enabled()

    a, b = off(), on()
    assert [next(g) for g in (a, b, a, b, b, a)] == [False, True, False, True, True, False]
    a.close()
    b.close()


# Tasks and threads


def test_a_decorated_coroutine_keeps_its_mode_over_awaits():
    @tg.no_grad()
    async def states():
        before = tg.is_grad_enabled()
        await asyncio.sleep(0)
        return before, tg.is_grad_enabled()

    async def main():
        return await asyncio.gather(states(), states()), tg.is_grad_enabled()

    inside, outside = asyncio.run(main())
    assert inside == [(False, False)] * 2
    assert outside


def test_tasks_have_modes_of_their_own():
    async def off(entered):
        with tg.no_grad():
            entered.set()
            await asyncio.sleep(0.001)
            return tg.is_grad_enabled()

    async def on(entered):
        await entered.wait()
        return tg.is_grad_enabled()

    async def main():
        entered = asyncio.Event()
        return await asyncio.gather(off(entered), on(entered))

    assert asyncio.run(main()) == [False, True]


def test_a_decorated_asynchronous_generator_keeps_its_mode():
    @tg.no_grad()
    async def states():
        for _ in range(2):
            await asyncio.sleep(0)
            yield tg.is_grad_enabled()

    async def main():
        return [(state, tg.is_grad_enabled()) async for state in states()]

    assert asyncio.run(main()) == [(False, True)] * 2


def test_a_new_thread_records():
    states = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: states.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert states == [True]


def test_a_thread_does_not_switch_its_neighbour():
    states = []
    entered, looked = threading.Event(), threading.Event()

    def off():
        with tg.no_grad():
            entered.set()
            looked.wait(5)

    thread = threading.Thread(target=off)
    thread.start()
    entered.wait(5)
    states.append(tg.is_grad_enabled())
    looked.set()
    thread.join()
    assert states == [True]


def test_one_instance_shared_by_threads_restores_each():
    switch = tg.no_grad()
    entered, left = threading.Event(), threading.Event()
    after = []

    def other():
        with tg.no_grad():
            with switch:
                entered.set()
                left.wait(5)
            after.append(tg.is_grad_enabled())

    thread = threading.Thread(target=other)
    with switch:
        thread.start()
        entered.wait(5)
    here = tg.is_grad_enabled()
    left.set()
    thread.join()
    tg.set_grad_enabled(True)
    assert (here, after) == (True, [False])
