"""Launches that are timed against each other, once per GPU and per size."""

import numpy as np
import pytest

from tapegrad.kernels import convolution
from tapegrad.kernels.cuda import choosing
from tapegrad.kernels.cuda import convolution as on_gpu
from tapegrad.kernels.cuda.choosing import Choice
from tapegrad.kernels.cuda.launching import RecordingBackend, use_backend
from tapegrad.kernels.emulator import EmulatedBackend


class Timed(EmulatedBackend):
    """The emulator as a GPU on which everything takes as long as is said here.

    Args:
        device: the GPU's name.
        log: where what is launched is written.
        times: of what is written there.
    """

    def __init__(self, device, log, times):
        super().__init__()
        self.device_name, self.log, self.times, self.timings = device, log, times, 0

    def stopwatch(self):
        return Stopwatch(self)


class Stopwatch:
    def __init__(self, backend):
        self.backend, self.device = backend, backend.device_name

    def milliseconds(self, work):
        work()
        self.backend.timings += 1
        return self.backend.times[self.backend.log[-1]]


@pytest.fixture(autouse=True)
def cold(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPEGRAD_CACHE_DIR", str(tmp_path))


def choice(log, key="sizes"):
    """Among three launches that write their number."""
    return Choice(key, [lambda out, number=number: log.append(number) for number in range(3)])


def chosen(times, key="sizes", device="a GPU"):
    """Which of three launches is chosen by a program that starts, and how often it has timed."""
    log = []
    made, backend = choice(log, key), Timed(device, log, times)
    with use_backend(backend):
        made(0)
        first = log[-1]
        log.clear()
        made(0)
    assert log == [first]
    return first, backend.timings


def test_the_fastest_is_taken():
    assert chosen([3.0, 2.0, 1.0])[0] == 2


def test_the_first_one_stays_unless_another_is_clearly_faster():
    assert chosen([1.0, 0.99, 2.0])[0] == 0


def test_what_is_known_of_a_gpu_is_not_timed_again():
    assert chosen([3.0, 1.0, 2.0]) == (1, 9)
    assert chosen([1.0, 3.0, 2.0]) == (1, 0)
    assert chosen([1.0, 3.0, 2.0], device="another")[0] == 0
    assert chosen([2.0, 3.0, 1.0], key="other sizes")[0] == 2


def test_a_rule_chooses_where_that_is_asked_for():
    choosing.measure_variants(False)
    try:
        assert chosen([3.0, 2.0, 1.0]) == (0, 0)
    finally:
        choosing.measure_variants()


def test_nothing_is_timed_in_the_emulator(gpu):
    log = []
    made = choice(log)
    made(0)
    made(0)
    assert log == [0, 0]


def test_a_convolution_takes_the_tile_that_is_fastest(gpu):
    x = gpu.asarray(np.ones((2, 9, 9, 8), np.float16)).transpose(0, 3, 1, 2)
    w = gpu.asarray(np.ones((72, 3, 3, 8), np.float16)).transpose(0, 3, 1, 2)
    window = (1, 1), (1, 1), (1, 1), 1
    sizes = {"128, 128": 3.0, "128, 64": 1.0, "64, 64": 2.0}
    times = {f"convolve<Tensor<float16, {tile}, true>, 8>": t for tile, t in sizes.items()}
    on_gpu._plan.cache_clear()
    log = []
    backend = Timed("a GPU", log, times)
    with use_backend(RecordingBackend(backend, log)):
        for _ in range(2):
            log.clear()
            y = convolution.convolve(gpu, x, w, None, *window)
    on_gpu._plan.cache_clear()
    assert backend.timings == 9
    assert log == ["convolve<Tensor<float16, 128, 64, true>, 8>"]
    exact = convolution.convolve(np, x.get(), w.get(), None, *window)
    np.testing.assert_array_equal(y.get(), exact)
