"""The residual network and the U-Net of the examples learn, as whole programs and step by step."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import optim
from tapegrad.data import DataLoader
from tapegrad.nn import load

pytest.importorskip("sklearn", reason="the examples need pip install tapegrad[demo]")
pytest.importorskip("matplotlib", reason="the examples need pip install tapegrad[demo]")
tqdm = pytest.importorskip("tqdm", reason="the examples need pip install tapegrad[demo]")

import unet  # noqa: E402 - which needs these

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def program(monkeypatch, capsys):
    """Runs a program of the folder with arguments; what it printed, and on the error stream."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr()

    return run


def test_a_small_residual_network_learns_digits_in_two_epochs(program, tmp_path):
    small = ("--width", 4, "--size", 16, "--images", 400, "--epochs", 2, "--batch-size", 16)
    printed = program("resnet", *small, "--out", tmp_path)
    last = printed.out.splitlines()[-1]
    assert re.fullmatch(r"test accuracy 0\.\d{4}", last)
    assert float(last.split()[-1]) > 0.4  # by chance 0.1
    assert "800/800" in printed.err
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["learning_curves.png", "weights.safetensors"]
    weights = load(tmp_path / "weights.safetensors")
    assert weights["layer4.1.conv2.weight"].shape == (32, 32, 3, 3)


def test_a_small_u_net_runs_as_a_program(program, tmp_path):
    small = ("--width", 2, "--size", 16, "--images", 32, "--epochs", 1, "--batch-size", 8)
    printed = program("unet", *small, "--out", tmp_path)
    assert re.fullmatch(r"mean intersection over union 0\.\d{4}", printed.out.splitlines()[-1])
    assert [line.split()[0] for line in printed.out.splitlines()[1:5]] == list(unet.CLASSES)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["found.png", "learning_curve.png", "weights.safetensors"]


def test_the_loss_of_a_small_u_net_falls_to_a_half():
    tg.manual_seed(0)
    pictures = unet.dataset(80, 16, seed=0, device="cpu")
    model = unet.UNet(1, len(unet.CLASSES), width=4)
    adam = optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    with tqdm.tqdm(disable=True) as bar:
        for _ in range(3):
            losses += unet.train_epoch(model, adam, DataLoader(pictures, 8, shuffle=True), bar)
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < losses[0] / 2


def test_the_classes_of_pixels_are_scored_by_intersection_over_union():
    labels = np.array([[0, 0, 1, 1, 2]])
    found = np.array([[0, 1, 1, 1, 0]])
    assert unet.intersection_over_union(found, labels) == [1 / 3, 2 / 3, 0.0, 0.0]


@pytest.mark.parametrize("name", ["resnet", "unet"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--width", "0"], "--width: must be a positive whole number, not '0'"),
        (["--size", "2.5"], "--size: must be a positive whole number, not '2.5'"),
        (["--device", "tpu"], "unknown device 'tpu'"),
    ],
    ids=lambda value: " ".join(value) if type(value) is list else "",
)
def test_bad_input_ends_in_one_line_and_status_2(program, capsys, name, arguments, message):
    with pytest.raises(SystemExit) as ended:
        program(name, *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert message in said


def test_a_u_net_needs_sizes_that_can_be_halved(program, capsys):
    with pytest.raises(SystemExit):
        program("unet", "--size", "12")
    assert "--size: must be a multiple of 8, not 12" in capsys.readouterr().err
