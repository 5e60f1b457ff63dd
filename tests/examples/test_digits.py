"""The digits example as a user runs it: what it writes, says, and refuses."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tapegrad.nn import load

pytest.importorskip("sklearn", reason="the example needs pip install tapegrad[demo]")
pytest.importorskip("matplotlib", reason="the example needs pip install tapegrad[demo]")
pytest.importorskip("tqdm", reason="the example needs pip install tapegrad[demo]")

SCRIPT = Path(__file__).parents[2] / "examples" / "digits.py"


def digits(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs of one epoch with the same seed."""
    folders = [tmp_path_factory.mktemp("digits") / "new" / "out" for _ in range(2)]
    return [(digits("--epochs", 1, "--seed", 3, "--out", folder), folder) for folder in folders]


def test_the_last_line_is_the_test_accuracy(trained):
    for run, _ in trained:
        assert run.returncode == 0, run.stderr
        assert re.fullmatch(r"test accuracy 0\.\d{4}", run.stdout.splitlines()[-1])


def test_one_epoch_already_teaches(trained):
    assert float(trained[0][0].stdout.split()[-1]) > 0.6


def test_the_bar_shows_loss_accuracy_and_speed(trained):
    last = trained[0][0].stderr.replace("\r", "\n").strip().splitlines()[-1]
    assert re.search(r"1437/1437 .*images/s, accuracy=\d\.\d+, loss=\d\.\d+", last)


def test_the_folder_holds_weights_pictures_and_the_tape(trained):
    _, folder = trained[0]
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion_matrix.png",
        "filters.png",
        "learning_curves.png",
        "network.svg",
        "tape.txt",
        "weights.safetensors",
    ]
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 10_000
    assert load(folder / "weights.safetensors")["conv1.weight"].shape == (32, 1, 3, 3)


def test_the_tape_shows_the_networks_gates_in_order(trained):
    _, folder = trained[0]
    gates = [line.split()[1] for line in (folder / "tape.txt").read_text().splitlines()[2:]]
    seen = [g for g in gates if g in ("convolution", "relu", "max_pool", "dropout", "linear")]
    assert seen == [
        "convolution",
        "relu",
        "convolution",
        "relu",
        "max_pool",
        "dropout",
        "linear",
        "relu",
        "dropout",
        "linear",
    ]


def test_the_same_seed_gives_the_same_numbers(trained):
    (first, one), (second, other) = trained
    assert first.stdout.splitlines()[-1] == second.stdout.splitlines()[-1]
    for name in ("weights.safetensors", "tape.txt"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--device", "cuda:99"], "cuda"),
        (["--epochs", "0"], "--epochs: must be a positive whole number, not '0'"),
        (["--epochs", "-1"], "--epochs: must be a positive whole number, not '-1'"),
        (["--epochs", "2.5"], "--epochs: must be a positive whole number, not '2.5'"),
        (["--batch-size", "0"], "--batch-size: must be a positive whole number, not '0'"),
        (["--lr", "0"], "--lr: must be a positive number, not '0'"),
        (["--lr=-1e-3"], "--lr: must be a positive number, not '-1e-3'"),
        (["--lr", "nan"], "--lr: must be a positive number, not 'nan'"),
        (["--lr", "inf"], "--lr: must be a positive number, not 'inf'"),
        (["--seed", "x"], "--seed: invalid int value: 'x'"),
        (["--speed", "9"], "unrecognized arguments: --speed 9"),
        (["--out", str(SCRIPT)], f"cannot write to the output folder {SCRIPT}"),
        (["--out", f"{SCRIPT}/sub"], f"cannot write to the output folder {SCRIPT}"),
        (["--out", "/proc/nowhere"], "cannot write to the output folder /proc/nowhere"),
    ],
    ids=lambda value: " ".join(value).replace(str(SCRIPT), "FILE") if type(value) is list else "",
)
def test_bad_input_ends_in_one_line_and_status_2(arguments, message, tmp_path):
    out = [] if "--out" in arguments else ["--out", tmp_path / "out"]
    run = digits(*arguments, *out)
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert message in run.stderr
    assert not (tmp_path / "out").exists()


def test_help_lists_the_options():
    run = digits("--help")
    assert run.returncode == 0
    for option in ("--epochs", "--batch-size", "--lr", "--seed", "--device", "--out"):
        assert option in run.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_an_interrupt_ends_cleanly(tmp_path):
    command = [sys.executable, str(SCRIPT), "--epochs", "1000", "--out", str(tmp_path)]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # A job in the background of a shell ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        seen = b""
        deadline = time.monotonic() + 120
        while b"accuracy" not in seen and time.monotonic() < deadline:
            seen += process.stderr.read(64)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().decode()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].endswith("interrupted")
