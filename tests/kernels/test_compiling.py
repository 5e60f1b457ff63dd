"""From text to binary: includes, the cache on disk, and messages that say where."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tapegrad.kernels import cache
from tapegrad.kernels.cuda import compiling
from tapegrad.kernels.cuda.compiling import (
    CompileError,
    architecture,
    compiled,
    expand,
    resources,
    source,
)

TWICE = """template <class T> __global__ void twice(T* x) { x[0] = 2 * x[0]; }
extern "C" __global__ void plain(float* x) { __shared__ float y[4]; y[x[0] > 0] = 1; x[1] = y[1]; }
"""


@pytest.fixture
def nvrtc():
    try:
        return compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPEGRAD_CACHE_DIR", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


@pytest.fixture
def compilations(nvrtc, monkeypatch):
    """The names of the programs that NVRTC was asked to compile."""
    names = []

    def create(text, name, *others):
        names.append(name)
        return original(text, name, *others)

    original = nvrtc.createProgram
    monkeypatch.setattr(nvrtc, "createProgram", create)
    return names


# Text


def test_an_included_file_is_pasted_once_and_line_numbers_stay_right():
    text = expand('#include "types.cuh"\n#include "types.cuh"\nint here;', "mine.cu")
    assert text.count("struct bfloat16 {") == 1
    assert "#include" not in text
    assert "#pragma once" not in text
    assert text.endswith('#line 2 "mine.cu"\n#line 3 "mine.cu"\nint here;\n')


def test_an_error_in_an_included_text_has_its_own_file_and_line(nvrtc, folder):
    text = source("types.cuh")
    lines = text.count("\n")
    with pytest.raises(CompileError, match=rf"types\.cuh:{lines + 1}: error.*missing"):
        compiled(text + "__global__ void k() { missing(); }", ["k"], "sm_80", "types.cuh")


def test_an_error_names_the_kernel_the_architecture_and_the_line(nvrtc, folder):
    text = expand('#include "types.cuh"\n\n__global__ void k() { missing(); }\n', "mine.cu")
    with pytest.raises(CompileError) as caught:
        compiled(text, ["k"], "sm_80", "mine.cu")
    message = str(caught.value)
    assert message.startswith("k does not compile for sm_80:\n")
    assert 'mine.cu:3: error: identifier "missing" is undefined' in message


def test_a_name_that_the_text_does_not_have_is_an_error(nvrtc, folder):
    with pytest.raises(CompileError, match=r"thrice<float> does not compile"):
        compiled(TWICE, ["thrice<float>"], "sm_80")


# Binary


def test_templates_and_plain_names_are_found_in_one_binary(nvrtc, folder):
    binary = compiled(TWICE, ["twice<float>", "twice<long long>", "plain"], "sm_90a")
    assert binary.cubin.startswith(b"\x7fELF")
    assert binary.lowered["plain"] == "plain"
    assert binary.lowered["twice<float>"] == "_Z5twiceIfEvPT_"
    found = resources(binary)
    assert set(found) == {"twice<float>", "twice<long long>", "plain"}
    assert found["plain"].shared == 16
    assert found["twice<float>"].shared == found["twice<float>"].spills == 0
    assert 0 < found["twice<float>"].registers < 32


def test_denormals_are_kept_and_division_is_exact(nvrtc, folder):
    text = 'extern "C" __global__ void divide(float* x) { x[0] = x[1] / x[2]; }'
    program = nvrtc.createProgram(text, "k.cu", (), ())
    nvrtc.compileProgram(program, ("--gpu-architecture=compute_80", *compiling.OPTIONS))
    ptx = nvrtc.getPTX(program)
    nvrtc.destroyProgram(program)
    ptx = ptx if isinstance(ptx, str) else ptx.decode()
    assert "div.rn.f32" in ptx


@pytest.mark.parametrize(
    ("capability", "name"), [((8, 0), "sm_80"), ((8, 6), "sm_86"), ((9, 0), "sm_90a")]
)
def test_hopper_gets_its_own_instructions_and_others_what_all_have(nvrtc, capability, name):
    assert architecture(*capability) == name


def test_a_gpu_that_nvrtc_does_not_know_is_refused_with_what_to_do(nvrtc):
    with pytest.raises(RuntimeError, match=r"compute capability 99\.0.*install a newer CuPy"):
        architecture(99, 0)


# Cache


def test_what_was_compiled_once_is_read_the_second_time(folder, compilations):
    first = compiled(TWICE, ["twice<float>"], "sm_80", "twice.cu")
    assert compiled(TWICE, ["twice<float>"], "sm_80", "twice.cu") == first
    assert compilations == ["twice.cu"]


@pytest.mark.parametrize("changed", ["text", "names", "arch", "options", "version"])
def test_all_that_a_binary_is_made_from_is_in_its_name(folder, compilations, monkeypatch, changed):
    text, names, arch = TWICE, ["twice<float>"], "sm_80"
    compiled(text, names, arch)
    if changed == "text":
        text += " "
    elif changed == "names":
        names = ["twice<int>"]
    elif changed == "arch":
        arch = "sm_90a"
    elif changed == "options":
        monkeypatch.setattr(
            compiling, "OPTIONS", (*compiling.OPTIONS, "--extra-device-vectorization")
        )
    else:
        monkeypatch.setattr(compiling.nvrtc(), "getVersion", lambda: (99, 9))
    compiled(text, names, arch)
    assert len(compilations) == 2


def test_another_process_finds_the_binary(nvrtc, folder):
    program = f"""
import json, sys
from tapegrad.kernels.cuda import compiling
nvrtc, compilations = compiling.nvrtc(), []
create = nvrtc.createProgram
nvrtc.createProgram = lambda *a: compilations.append(a) or create(*a)
binary = compiling.compiled({TWICE!r}, ["twice<float>"], "sm_80")
print(json.dumps([len(compilations), binary.lowered]))
"""
    seen = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(2)
    ]
    assert seen == [
        [1, {"twice<float>": "_Z5twiceIfEvPT_"}],
        [0, {"twice<float>": "_Z5twiceIfEvPT_"}],
    ]


@pytest.mark.parametrize("damage", ["cut short", "a byte changed", "empty", "no header"])
def test_a_damaged_file_is_compiled_again(folder, compilations, damage):
    first = compiled(TWICE, ["plain"], "sm_80")
    (path,) = folder.iterdir()
    content = path.read_bytes()
    path.write_bytes({
        "cut short": content[:-100],
        "a byte changed": content[:500] + bytes([content[500] ^ 1]) + content[501:],
        "empty": b"",
        "no header": b"\x7fELF" * 30,
    }[damage])  # fmt: skip
    again = compiled(TWICE, ["plain"], "sm_80")
    assert (again.cubin, again.lowered) == (first.cubin, first.lowered)
    assert cache.read(path.name) is not None
    assert len(compilations) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(folder, compilations):
    folder.write_text("a file where the folder should be")
    for _ in range(2):
        assert compiled(TWICE, ["plain"], "sm_80").cubin
    assert len(compilations) == 2


def test_a_file_appears_whole_or_not_at_all(folder):
    contents = [bytes([i]) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            writes = [pool.submit(cache.write, "same", content) for content in contents]
            reads = [pool.submit(cache.read, "same") for _ in range(8)]
            [write.result() for write in writes]
            assert all(read.result() in (None, *contents) for read in reads)
    assert [path.name for path in folder.iterdir()] == ["same"]


def test_the_folder_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("TAPEGRAD_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "tapegrad"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "tapegrad"
