"""Memory of a real GPU: what is in use, and running out of it."""

import gc

import pytest

import tapegrad as tg

pytestmark = pytest.mark.gpu

MIB = 2**20


@pytest.fixture
def little():
    """No more than 256 MiB for arrays."""
    import cupy

    gc.collect()
    tg.cuda.empty_cache()
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=pool.total_bytes() + 256 * MIB)
    yield pool
    pool.set_limit(size=0)
    tg.cuda.empty_cache()


def floats(mebibytes):
    return tg.zeros(mebibytes * MIB // 4, device="cuda")


def test_memory_in_use_is_counted():
    gc.collect()
    before = tg.cuda.memory_allocated()
    x = floats(8)
    assert tg.cuda.memory_allocated() - before == 8 * MIB
    assert tg.cuda.memory_reserved() >= tg.cuda.memory_allocated()
    del x
    assert tg.cuda.memory_allocated() == before


def test_the_peak_is_watched():
    x = floats(8)
    tg.cuda.reset_peak_memory_stats()
    before = tg.cuda.memory_allocated()
    y = (x + 1) * 2
    assert 16 * MIB <= tg.cuda.max_memory_allocated() - before <= 17 * MIB
    assert "at most" in tg.cuda.memory_summary()
    del y


def test_the_peak_of_what_is_reserved_stays_when_the_cache_is_emptied(little):
    tg.cuda.reset_peak_memory_stats()
    before = tg.cuda.memory_reserved()
    assert tg.cuda.max_memory_reserved() == before
    x = floats(100)
    del x
    tg.cuda.empty_cache()
    assert tg.cuda.memory_reserved() <= before
    assert tg.cuda.max_memory_reserved() - before >= 100 * MIB


def test_what_the_pool_keeps_is_given_back_for_a_larger_array(little):
    kept = [floats(40) for _ in range(4)]  # 160 MiB in blocks that are too small for what follows
    del kept
    x = floats(60)
    assert (x + 1).sum().item() == 60 * MIB // 4


def test_running_out_says_what_was_saved(little):
    x = floats(32).requires_grad_()
    kept = [x.exp() for _ in range(4)]
    with pytest.raises(tg.cuda.OutOfMemoryError) as caught:
        [kept.append(kept[-1] * 2) for _ in range(8)]
    text = str(caught.value)
    assert text.startswith("out of memory on cuda:0 in gate 'mul': asked for 32.00 MiB")
    assert "exp 128.00 MiB in 4 values, the largest float32[8388608]" in text
    assert "limited to" in text


def test_after_running_out_all_goes_on(little):
    with pytest.raises(tg.cuda.OutOfMemoryError):
        floats(4096)
    assert floats(1).sum().item() == 0


def test_gradients_free_what_they_consumed(little):
    x = floats(16).requires_grad_()
    for _ in range(20):
        (x.exp() * 2).sum().backward()
        x.grad = None
    assert x.exp().detach().sum().item() == 16 * MIB // 4
