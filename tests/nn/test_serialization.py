"""Weights in safetensors files: everything comes back, and nothing is lost when saving fails."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.nn import load, save

DTYPES = [
    tg.float16, tg.bfloat16, tg.float32, tg.float64,
    tg.int8, tg.int16, tg.int32, tg.int64, tg.uint8, tg.bool,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back(dtype, tmp_path):
    value = tg.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    save({"value": value}, tmp_path / "a.safetensors")
    found = load(tmp_path / "a.safetensors")["value"]
    assert found.dtype == value.dtype
    assert found.tolist() == value.tolist()


def test_scalars_empty_and_strided_tensors_come_back(tmp_path):
    base = tg.arange(12.0).reshape(3, 4)
    state = {"scalar": tg.tensor(2.5), "empty": tg.zeros(0, 3), "view": base.T, "step": base[:, 1]}
    save(state, tmp_path / "a.safetensors")
    found = load(tmp_path / "a.safetensors")
    assert {name: (value.shape, value.tolist()) for name, value in found.items()} == {
        name: (value.shape, value.tolist()) for name, value in state.items()
    }


def test_a_module_with_shared_weights_comes_back(tmp_path):
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    save(net, tmp_path / "a.safetensors")
    twin = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    twin.load_state_dict(load(tmp_path / "a.safetensors"))
    assert twin[1].weight.tolist() == twin[0].weight.tolist() == net[0].weight.tolist()


def test_what_is_loaded_is_ones_own(tmp_path):
    path = tmp_path / "a.safetensors"
    save({"x": tg.ones(3)}, path)
    found = load(path)["x"]
    found.zero_()
    assert load(path)["x"].tolist() == [1.0, 1.0, 1.0]
    path.unlink()
    assert found.tolist() == [0.0, 0.0, 0.0]


def test_metadata_is_kept(tmp_path):
    from safetensors import safe_open

    save({"x": tg.ones(1)}, tmp_path / "a.safetensors", metadata={"epoch": "3"})
    with safe_open(tmp_path / "a.safetensors", framework="numpy") as file:
        assert file.metadata() == {"epoch": "3"}


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save({"x": tg.ones(1)}, path)

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot save .*a\.safetensors: No space left"):
        save({"x": tg.zeros(1)}, path)
    assert load(path)["x"].tolist() == [1.0]
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_saving_into_a_missing_folder_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot save .*nowhere"):
        save({"x": tg.ones(1)}, tmp_path / "nowhere" / "a.safetensors")


def test_files_are_as_readable_as_any(tmp_path):
    save({"x": tg.ones(1)}, tmp_path / "a.safetensors")
    (tmp_path / "plain").write_bytes(b"")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({1: tg.ones(1)}, "names must be strings, not 1"),
        ({"x": 3.0}, "'x' must be a tensor, not float"),
        ({"x": np.array(["a"])}, "'x' has the dtype <U1"),
    ],
)
def test_what_is_no_tensor_is_refused(state, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        save(state, tmp_path / "a.safetensors")
    assert os.listdir(tmp_path) == []


def test_loading_a_missing_file_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot load .*gone\.safetensors"):
        load(tmp_path / "gone.safetensors")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, this is no such file", struct.pack("<Q", 1 << 40) + b"{}"],
    ids=["empty", "text", "giant header"],
)
def test_loading_something_else_names_the_file(content, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot load .*a\.safetensors: not a whole"):
        load(path)


def test_loading_a_file_cut_short_names_it(tmp_path):
    path = tmp_path / "a.safetensors"
    save({"x": tg.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"cannot load .*a\.safetensors: not a whole"):
        load(path)


def test_loading_a_folder_names_it(tmp_path):
    with pytest.raises(OSError, match="cannot load"):
        load(tmp_path)
