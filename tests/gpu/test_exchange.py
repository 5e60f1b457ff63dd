"""Arrays on a real GPU from and to CuPy and PyTorch, without a copy."""

import numpy as np
import pytest

import tapegrad as tg

pytestmark = pytest.mark.gpu

DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "uint8", "bool"]


@pytest.fixture
def cupy():
    return pytest.importorskip("cupy")


@pytest.fixture
def torch():
    found = pytest.importorskip("torch")
    if not found.cuda.is_available():
        pytest.skip("needs a PyTorch that is built for CUDA")
    return found


def test_an_array_of_cupy_goes_in_and_out_in_place(cupy):
    array = cupy.arange(6, dtype=cupy.float32).reshape(2, 3)
    for take in (tg.as_tensor, tg.from_dlpack):
        x = take(array)
        assert x.data.data.ptr == array.data.ptr
        assert x.device == f"cuda:{array.device.id}"
    for back in (cupy.asarray(x), cupy.from_dlpack(x), x.data):
        assert back.data.ptr == array.data.ptr
    array += 1
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("name", DTYPES)
def test_a_tensor_of_pytorch_goes_in_and_out_in_place(torch, name):
    theirs = torch.arange(6, device="cuda").reshape(2, 3).to(getattr(torch, name))
    for take in (tg.as_tensor, tg.from_dlpack):
        x = take(theirs)
        assert x.data.data.ptr == theirs.data_ptr()
        assert x.dtype == getattr(tg, name)
    back = torch.from_dlpack(x)
    assert back.data_ptr() == theirs.data_ptr()
    assert back.dtype == theirs.dtype
    theirs.zero_()
    torch.cuda.synchronize()
    assert not x.to(tg.float32).cpu().numpy().any()


def test_a_strided_tensor_crosses_as_it_is(torch):
    theirs = torch.arange(24, device="cuda").reshape(4, 6)[::2, ::3]
    x = tg.from_dlpack(theirs)
    assert x.tolist() == theirs.tolist()
    assert tg.as_tensor(theirs.T).tolist() == theirs.T.tolist()


def test_work_of_pytorch_is_waited_for(torch):
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        y = torch.full((4096, 4096), 1 / 4096, device="cuda")
        for _ in range(20):
            y = y @ y
        x = tg.from_dlpack(y)
    np.testing.assert_allclose(x.cpu().numpy()[0, 0], 1 / 4096, rtol=1e-3)


def test_a_stream_of_pytorch_can_be_current(torch):
    theirs = torch.cuda.Stream()
    with tg.cuda.stream(tg.cuda.ExternalStream(theirs.cuda_stream)):
        x = tg.ones(1000, device="cuda") * 2
    theirs.synchronize()
    assert x.sum().item() == 2000
