"""Where there is no GPU: one sentence that says what is missing, and what works all the same."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import hardware
import pytest

import tapegrad as tg

ASK = """
import tapegrad as tg
assert tg.cuda.device_count() == 0 and not tg.cuda.is_available()
uses = [lambda: tg.zeros(2, device="cuda"), lambda: tg.ones(2).cuda(),
        lambda: tg.ones(2).to("cuda:0"), lambda: tg.nn.Linear(2, 2).to("cuda"),
        tg.cuda.synchronize, tg.cuda.current_device, lambda: tg.cuda.Stream(),
        lambda: tg.ones(2).pin_memory(), tg.cuda.reset_peak_memory_stats, tg.cuda.mem_get_info]
for use in uses:
    try:
        use()
    except RuntimeError as error:
        assert str(error) == tg.cuda.why_unavailable(), error
    else:
        raise AssertionError("nothing was raised")
tg.cuda.manual_seed_all(0)  # does nothing, as in PyTorch
print(tg.cuda.why_unavailable())
"""


def said(beginning="", path=()):
    """What a new process says is missing, having run `beginning` first."""
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(beginning) + ASK],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
    )
    assert found.stderr == ""
    (sentence,) = found.stdout.splitlines()
    return sentence


def test_without_cupy_it_is_named_with_how_to_install_it():
    sentence = said("import sys; sys.modules['cupy'] = None")
    assert sentence == (
        "device 'cuda' needs CuPy, which is not installed: pip install 'tapegrad[cuda12]' or "
        "'tapegrad[cuda13]', whichever matches the driver"
    )


def test_a_cupy_that_cannot_be_imported_is_named_with_why(tmp_path):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text(
        "raise ImportError('''\\nCuPy is not correctly installed.\\n"
        "Original error:\\n  ImportError: libcudart.so.12: cannot open shared object file\\n''')\n"
    )
    sentence = said(path=[tmp_path])
    assert "installed but cannot be imported" in sentence
    assert "libcudart.so.12" in sentence
    assert "pip uninstall it, then pip install 'tapegrad[cuda12]' or" in sentence


def test_a_cupy_that_lacks_a_module_of_its_own_is_broken_and_not_missing(tmp_path):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text("import cupy_backends_of_another_release\n")
    sentence = said(path=[tmp_path])
    assert "installed but cannot be imported" in sentence
    assert "cupy_backends_of_another_release" in sentence


DRIVERS = """
import sys, types
class CUDARuntimeError(RuntimeError):
    status = {status}
def getDeviceCount():
    raise CUDARuntimeError("cudaError")
runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=getDeviceCount,
    driverGetVersion=lambda: {driver}, runtimeGetVersion=lambda: 13000)
cupy = types.ModuleType("cupy")
cupy.ndarray = type("ndarray", (), {{}})
cupy.cuda = types.SimpleNamespace(runtime=runtime)
sys.modules["cupy"] = cupy
"""


@pytest.mark.parametrize(
    ("status", "driver", "wanted"),
    [
        (35, 0, "this machine has no driver"),
        (35, 12040, "built for CUDA 13.0 and the driver runs CUDA 12.4"),
        (100, 13000, "the driver, which is installed, finds none"),
        (999, 13000, "an NVIDIA GPU with a working driver"),
    ],
)
def test_what_stands_between_cupy_and_a_gpu_is_named(status, driver, wanted):
    assert wanted in said(DRIVERS.format(status=status, driver=driver))


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="needs CuPy, without a GPU")
@pytest.mark.skipif(hardware.missing() is None, reason="needs a machine without a GPU")
def test_the_real_cupy_without_a_gpu_is_one_sentence():
    assert said().startswith("device 'cuda' needs an NVIDIA GPU")


# What scripts for any machine ask for


@pytest.fixture
def no_gpu(monkeypatch):
    """A machine without CuPy, and so without a GPU."""
    monkeypatch.setitem(sys.modules, "cupy", None)


def test_no_memory_is_in_use_where_there_is_no_gpu(no_gpu):
    cuda = tg.cuda
    assert cuda.memory_allocated() == cuda.max_memory_allocated() == 0
    assert cuda.memory_reserved() == cuda.max_memory_reserved() == 0
    assert cuda.memory_allocated("cuda:1") == cuda.max_memory_allocated(0) == 0


def test_emptying_the_cache_does_nothing_where_there_is_no_gpu(no_gpu):
    tg.cuda.empty_cache()
    assert not tg.cuda.is_initialized()
    assert tg.cuda.memory_reserved() == 0


def test_nothing_is_taken_up_or_supported_where_there_is_no_gpu(no_gpu):
    assert not tg.cuda.is_initialized()
    assert not tg.cuda.is_bf16_supported()


@pytest.mark.parametrize("dtype", [None, tg.bfloat16, tg.float32], ids=str)
def test_autocast_warns_and_stays_off_where_there_is_no_gpu(no_gpu, dtype):
    with pytest.warns(UserWarning, match="autocast: CUDA is not available") as caught:
        region = tg.autocast("cuda", dtype=dtype)
    assert [found.filename for found in caught] == [__file__]
    with region:
        assert not tg.is_autocast_enabled("cuda")
        assert tg.get_autocast_dtype("cuda") == (dtype or tg.float16)


def test_autocast_that_is_off_warns_of_nothing(no_gpu):
    with tg.autocast("cuda", enabled=False):
        assert tg.amp.is_autocast_available("cuda")  # which asks for lists, not for a GPU


def test_a_scaler_warns_and_stays_off_where_there_is_no_gpu(no_gpu):
    with pytest.warns(UserWarning, match="GradScaler: CUDA is not available") as caught:
        scaler = tg.amp.GradScaler()
    assert [found.filename for found in caught] == [__file__]
    assert not scaler.is_enabled()
    assert scaler.get_scale() == 1.0
    loss = tg.ones(())
    assert scaler.scale(loss) is loss
    assert not tg.amp.GradScaler(enabled=False).is_enabled()
    assert tg.amp.GradScaler("cpu").is_enabled()


def test_a_training_loop_written_for_a_gpu_runs_without_one(no_gpu):
    place = "cuda" if tg.cuda.is_available() else "cpu"
    model = tg.nn.Linear(3, 1).to(place)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    before = model.weight.tolist()
    with pytest.warns(UserWarning, match="disabled"):
        scaler = tg.amp.GradScaler()
    with pytest.warns(UserWarning, match="disabled"):
        region = tg.autocast("cuda")
    with region:
        loss = model(tg.ones(2, 3, device=place)).sum()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    tg.cuda.empty_cache()
    assert loss.dtype == tg.float32
    assert model.weight.tolist() != before
