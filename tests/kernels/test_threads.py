"""Work dealt out to threads: in order and wholly."""

import multiprocessing
import threading

import pytest

from tapegrad.kernels import threads


@pytest.fixture
def three_threads():
    before = threads.get_num_threads()
    threads.set_num_threads(3)
    yield
    threads.set_num_threads(before)


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


def _total(_):
    return sum(sum(stretch) for stretch in threads.share(list, range(10)))


@pytest.mark.usefixtures("three_threads")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own():
    threads.share(list, range(3))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map_async(_total, [0]).get(30) == [45]
