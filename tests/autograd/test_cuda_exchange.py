"""Arrays on a GPU from and to other libraries, without a copy: DLPack, the CUDA array interface."""

import numpy as np
import pytest
from standin import FakeArray

import tapegrad as tg

DTYPES = [tg.float32, tg.float64, tg.float16, tg.int64, tg.uint8, tg.bfloat16]


class ByDlpack:
    """Another library's array that has DLPack alone."""

    def __init__(self, array, device=0):
        self.array, self.device, self.streams = array, device, []

    def __dlpack_device__(self):
        return 2, self.device

    def __dlpack__(self, *, stream=None, **asked):
        self.streams.append(stream)
        return self.array.__dlpack__()


class ByInterface:
    """Another library's array that has the CUDA array interface alone."""

    def __init__(self, array, typestr=None):
        self.array = array
        found = array.__array_interface__
        self.__cuda_array_interface__ = {
            "shape": found["shape"],
            "typestr": typestr or found["typestr"],
            "data": found["data"],
            "strides": found["strides"],
            "version": 3,
        }


def shares(x, array):
    return np.shares_memory(x.data.host.view(np.uint8), array.view(np.uint8))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("take", [tg.from_dlpack, tg.as_tensor], ids=["from_dlpack", "as_tensor"])
def test_dlpack_comes_in_without_a_copy(recording, dtype, take):
    given = np.arange(6).reshape(2, 3).astype(dtype)
    theirs = ByDlpack(tg.from_numpy(given) if dtype == tg.bfloat16 else given, device=1)
    x = take(theirs)
    assert (x.dtype, x.device, x.shape) == (dtype, "cuda:1", (2, 3))
    assert shares(x, given)
    assert recording.launches == recording.synchronisations == []
    assert len(theirs.streams) == 1  # asked to be in order with a stream
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dlpack_goes_out_without_a_copy(recording, dtype):
    x = tg.tensor([[1, 2], [3, 4]], dtype=dtype, device="cuda")
    recording.clear()
    assert x.__dlpack_device__() == (2, 0)
    back = tg.from_dlpack(ByDlpack(x))
    assert (back.dtype, back.device) == (dtype, "cuda:0")
    assert shares(back, x.data.host)
    assert recording.launches == recording.synchronisations == []


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_cuda_array_interface_comes_in_without_a_copy(recording, dtype):
    given = np.arange(6).astype(dtype)
    x = tg.as_tensor(ByInterface(given))
    assert (x.dtype, x.device) == (dtype, "cuda:0")
    assert shares(x, given)
    assert recording.launches == []


def test_the_cuda_array_interface_goes_out_as_the_array_has_it(gpu):
    x = tg.zeros(2, 3, device="cuda")
    described = x.T.__cuda_array_interface__
    assert described["data"][0] == x.data.data.ptr
    assert (described["shape"], described["strides"]) == ((3, 2), (4, 12))
    assert described["typestr"] == "<f4"


def test_strides_cross_as_they_are(gpu):
    given = np.arange(24.0).reshape(4, 6)[::2, ::3]
    for x in (tg.as_tensor(ByInterface(given)), tg.from_dlpack(ByDlpack(given))):
        assert x.data.strides == (96, 24)
        assert x.tolist() == [[0, 3], [12, 15]]


def test_the_owner_of_the_memory_lives_as_long_as_the_tensor(gpu):
    x = tg.as_tensor(ByInterface(np.arange(1 << 16)))
    y = tg.from_dlpack(ByDlpack(np.arange(1 << 16)))
    np.zeros(1 << 16)  # which would take the memory, if it were free
    assert x[-1].item() == y[-1].item() == (1 << 16) - 1


def test_the_memory_of_a_cupy_array_is_taken_as_it_is(recording):
    array = FakeArray(np.ones(3), 1)
    x = tg.as_tensor(array)
    assert shares(x, array.host)
    assert x.device == "cuda:1"
    assert recording.launches == []
    assert not shares(tg.tensor(array), array.host)  # which copies, whatever it is given


def test_a_copy_by_dlpack_of_what_requires_a_gradient_is_refused(gpu):
    x = tg.ones(2, device="cuda", requires_grad=True)
    with pytest.raises(BufferError, match=r"use \.detach\(\)"):
        tg.from_dlpack(x)
    with pytest.raises(RuntimeError, match=r"use \.detach\(\)"):
        x.__cuda_array_interface__  # noqa: B018 - reading is what is refused
    assert tg.from_dlpack(x.detach()).tolist() == [1.0, 1.0]


def test_an_array_elsewhere_is_refused(gpu):
    theirs = ByDlpack(np.ones(2))
    theirs.__class__ = type("Metal", (ByDlpack,), {"__dlpack_device__": lambda self: (8, 0)})
    with pytest.raises(TypeError, match="a Metal lies neither on a CPU nor on a GPU"):
        tg.from_dlpack(theirs)


def test_gpu_memory_of_others_without_cupy_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(RuntimeError, match="needs CuPy, which is not installed"):
        tg.as_tensor(ByInterface(np.ones(2)))
