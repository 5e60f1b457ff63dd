"""Work dealt out to threads: in order, wholly, and with BLAS left as it was."""

import multiprocessing
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tapegrad.kernels import threads


@pytest.fixture
def three_threads():
    before = threads.get_num_threads()
    threads.set_num_threads(3)
    yield
    threads.set_num_threads(before)


def blas_threads():
    return [
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    ]


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_every_item_is_dealt_out_once_and_in_order(count):
    stretches = threads.share(list, range(count))
    assert [item for stretch in stretches for item in stretch] == list(range(count))
    assert len(stretches) == max(1, min(3, count))


@pytest.mark.usefixtures("three_threads")
def test_shares_run_at_once():
    all_there = threading.Barrier(3, timeout=30)
    threads.share(lambda _: all_there.wait(), range(3))


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("bad", [0, 2])
def test_an_error_in_one_share_is_raised_when_the_others_are_done(bad):
    done = []

    def work(items):
        if bad in items:
            raise ValueError("bad item")
        done.extend(items)

    with pytest.raises(ValueError, match="bad item"):
        threads.share(work, range(3))
    assert sorted(done) == [item for item in range(3) if item != bad]


def test_products_are_serial_within_and_as_before_after():
    np.ones((2, 2)) @ np.ones((2, 2))
    before = blas_threads()
    with threads.serial_products():
        with threads.serial_products():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_a_thread_that_outlasts_the_first_leaves_blas_as_it_was():
    before = blas_threads()
    inside, leave = threading.Event(), threading.Event()

    def outlast():
        with threads.serial_products():
            inside.set()
            leave.wait(30)

    with threads.serial_products():
        other = threading.Thread(target=outlast)
        other.start()
        inside.wait(30)
    leave.set()
    other.join()
    assert blas_threads() == before


def _total(_):
    return sum(sum(stretch) for stretch in threads.share(list, range(10)))


@pytest.mark.usefixtures("three_threads")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own():
    threads.share(list, range(3))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map_async(_total, [0]).get(30) == [45]
