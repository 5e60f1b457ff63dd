"""The emulator and the sanitizers find bugs that were planted; their correct twins pass.

Each kernel is written right, with the piece that the planted bug takes away or changes.
"""

import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from tapegrad.kernels.cuda.compiling import expand
from tapegrad.kernels.emulator import EmulatedModule, EmulatorError, sanitizing

THREADS = 64
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")


class Planted(NamedTuple):
    """A kernel of `x`, `out` and `n` that writes the elements of x in reverse; and its bug."""

    text: str
    right: str
    wrong: str
    report: str  # of what finds it

    @property
    def bug(self) -> str:
        assert self.right in self.text
        return self.text.replace(self.right, self.wrong)


def kernel(body: str) -> str:
    return f"""#include "copies.cuh"
#include "tensor_cores.cuh"
#include "types.cuh"
extern "C" __global__ void k(const float* x, float* out, int n) {{
    int i = threadIdx.x, lane = i % 32;
{body}
}}
"""


THROUGH_SHARED = kernel("""
    __shared__ float tile[64];
    tile[i] = x[i];
    __syncthreads();
    out[i] = tile[63 - i];""")
ASYNCHRONOUS = kernel("""
    __shared__ __align__(16) float tile[64];
    if (i < 16) copy_async<16>(tile + 4 * i, x + 4 * i);
    commit_copies();
    wait_copies<0>();
    __syncthreads();
    out[i] = tile[63 - i];""")
TWO_COPIES = kernel("""
    __shared__ float tile[2][64];
    copy_async<4>(&tile[0][i], x + i);
    commit_copies();
    copy_async<4>(&tile[1][i], x + 63 - i);
    commit_copies();
    wait_copies<0>();
    out[i] = tile[1][i];""")
IN_A_WARP = kernel("""
    __shared__ float tile[64];
    tile[i] = x[63 - i];
    __syncwarp();
    out[i ^ 31] = tile[i ^ 31];""")
AS_MATRICES = kernel("""
    __shared__ __align__(16) float tile[64];
    tile[i] = x[63 - i];
    __syncthreads();
    unsigned held[2];
    load_matrices(held, tile + lane % 16 * 4);
    out[i] = __uint_as_float(held[i / 32]);""")
TWICE_SHARED = kernel("""
    __shared__ float tile[64];
    tile[i] = x[i];
    __syncthreads();
    float other = tile[63 - i];
    __syncthreads();
    tile[i] = other;
    out[i] = tile[i];""")
PACKED = kernel("""
    if (i >= 16) return;
    const Pack<float, 4> held = *reinterpret_cast<const Pack<float, 4>*>(x + 60 - 4 * i);
    const Pack<float, 4> turned{held.at[3], held.at[2], held.at[1], held.at[0]};
    *reinterpret_cast<Pack<float, 4>*>(out + 4 * i) = turned;""")
PACKS_OF_SHARED = kernel("""
    __shared__ __align__(8) float tile[64];
    tile[i] = x[i];
    __syncthreads();
    out[i] = reinterpret_cast<const Pack<float, 2>*>(tile + 62 - i / 2 * 2)->at[1 - i % 2];""")
BOUNDED = kernel("    out[i] = x[63 - i];").replace(
    'extern "C" __global__ void k',
    """template <int threads, int blocks> struct Bounds { static constexpr int most = threads; };
extern "C" __global__ void __launch_bounds__(64) k(const float*, float*, int n);
extern "C" __global__ void __launch_bounds__(min(Bounds<64, 4>::most, 1024), 1) k""",
)

# What the order of the threads gives away: wrong in one of the three.
BY_RESULT = {
    "a missing barrier": Planted(THROUGH_SHARED, "__syncthreads();", "", ""),
    "a missing wait": Planted(ASYNCHRONOUS, "wait_copies<0>();", "", ""),
    "a copy that starts before all have read": Planted(
        kernel("""
    __shared__ float tile[64];
    tile[i] = x[i];
    __syncthreads();
    out[i] = tile[63 - i];
    __syncthreads();
    copy_async<4>(&tile[i], x + 63 - i);
    commit_copies();
    wait_copies<0>();"""),
        "63 - i];\n    __syncthreads();",
        "63 - i];",
        "",
    ),
    "a wait for too few copies": Planted(TWO_COPIES, "wait_copies<0>", "wait_copies<1>", ""),
    "a copy that is not committed": Planted(
        ASYNCHRONOUS, "commit_copies();", "", ""
    ),
    "a missing barrier of the warp": Planted(IN_A_WARP, "__syncwarp();", "", ""),
    "a missing barrier before matrices are loaded": Planted(
        AS_MATRICES, "__syncthreads();", "", ""
    ),
    "an accumulator in shared memory that is not set to 0": Planted(
        kernel("""
    __shared__ float sum[64];
    sum[i] = 0;
    sum[i] += x[63 - i];
    out[i] = sum[i];"""),
        "sum[i] = 0;",
        "",
        "",
    ),
}  # fmt: skip

# What the emulator stops at.
BY_ERROR = {
    "a barrier under a branch": Planted(
        THROUGH_SHARED,
        "__syncthreads();",
        "if (i < 32) __syncthreads();",
        "__syncthreads.*not all threads of the block come.*has returned",
    ),
    "different barriers in two branches": Planted(
        THROUGH_SHARED,
        "__syncthreads();",
        "if (i < 32) { __syncthreads(); } else {\n __syncthreads(); }",
        "the block waits at different barriers",
    ),
    "a shuffle under a branch": Planted(
        kernel("""
    float other = __shfl_xor_sync(~0u, x[63 - i], 1);
    if (lane < 32) other = __shfl_xor_sync(~0u, other, 1);
    out[i] = other;"""),
        "lane < 32",
        "lane < 16",
        "shfl_xor_sync.*a lane of the mask does not come",
    ),
    "a lane outside its mask": Planted(
        kernel("    out[i] = __shfl_sync(~0u, x[63 - i], lane);"),
        "~0u",
        "0xffffu",
        "reads a lane outside the mask",
    ),
    "a copy to an address that is not aligned": Planted(
        ASYNCHRONOUS, "copy_async<16>(tile + 4 * i,", "copy_async<16>(tile + 1,", "not aligned"
    ),
    "a pack that is read where none is aligned": Planted(
        PACKED, "(x + 60 -", "(x + 61 -", "an access: its address is not aligned to 16 bytes"
    ),
    "a pack that is written where none is aligned": Planted(
        PACKED,
        "(out + 4 * i) =",
        "(out + 1 + 4 * i) =",
        "an access: its address is not aligned to 16 bytes",
    ),
    "a pack of shared memory that is not aligned": Planted(
        PACKS_OF_SHARED,
        "tile + 62 -",
        "tile + 61 -",
        "an access: its address is not aligned to 8 bytes",
    ),
    "more threads than a kernel is bounded to": Planted(
        BOUNDED, "Bounds<64, 4>", "Bounds<32, 4>", "__launch_bounds__: a block has more threads"
    ),
    "an assertion": Planted(
        kernel("    assert(i < n); out[i] = x[63 - i];"), "i < n", "i < n - 1", "assert"
    ),
}

# What AddressSanitizer reports.
BY_ADDRESS = {
    "a read past the end of an array": Planted(
        kernel("    out[i] = x[63 - i];"), "63 - i", "63 - i + (i == 0)", "heap-buffer-overflow"
    ),
    "a write before an array": Planted(
        kernel("    out[63 - i] = x[i];"), "out[63 - i]", "out[62 - i]", "heap-buffer-overflow"
    ),
    "an index beyond shared memory": Planted(
        THROUGH_SHARED, "tile[63 - i]", "tile[64 - i]", "global-buffer-overflow"
    ),
    "more dynamic shared memory than was asked for": Planted(
        kernel("""
    extern __shared__ float tile[];
    tile[i] = x[63 - i];
    out[i] = tile[i];"""),
        "tile[i] = x[63 - i];",
        "tile[i + 1] = x[63 - i];",
        "use-after-poison",
    ),
    "a row of a matrix beyond shared memory": Planted(
        AS_MATRICES, "lane % 16 * 4", "lane % 16 * 4 + 4", "global-buffer-overflow"
    ),
    "an index beyond a thread's own array": Planted(
        kernel("""
    float held[4];
    for (int j = 0; j < 4; j++) held[j] = x[63 - i];
    out[i] = held[n / 16 - 1];"""),
        "n / 16 - 1",
        "n / 16",
        "stack-buffer-overflow",
    ),
}

# What ThreadSanitizer reports, though these results may be right in every order of the emulator.
BY_THREAD = {
    "a missing barrier": Planted(THROUGH_SHARED, "__syncthreads();", "", "data race"),
    "a barrier that is missing before shared memory is used again": Planted(
        TWICE_SHARED, "63 - i];\n    __syncthreads();", "63 - i];\n", "data race"
    ),
    "a missing barrier of the warp": Planted(IN_A_WARP, "__syncwarp();", "", "data race"),
    "a barrier of the warp for what other warps read": Planted(
        THROUGH_SHARED, "__syncthreads();", "__syncwarp();", "data race"
    ),
    "threads that write to one element": Planted(
        kernel("    out[63 - i] = x[i];\n    if (i == 63) out[0] = x[63];"),
        "if (i == 63)",
        "if (i > 61)",
        "data race",
    ),
    "matrices that are loaded without a barrier": Planted(
        AS_MATRICES, "__syncthreads();", "", "data race"
    ),
    "a copy that is seen without a barrier": Planted(
        ASYNCHRONOUS, "__syncthreads();", "", "data race"
    ),
}  # fmt: skip


def parametrized(planted):
    return pytest.mark.parametrize("planted", planted.values(), ids=planted)


def run(text, order):
    """What the kernel makes of 0, 1, ..."""
    x, out = np.arange(THREADS, dtype=np.float32), np.full(THREADS, np.nan, np.float32)
    module = EmulatedModule(expand(text, "k.cu"), ["k"], filename="k.cu")
    module.run("k", (1, 1, 1), (THREADS, 1, 1), x, out, THREADS, shared=4 * THREADS, order=order)
    return out


def right(out):
    return out.tolist() == list(range(THREADS - 1, -1, -1))


@parametrized(BY_RESULT | BY_ERROR | BY_ADDRESS | BY_THREAD)
@pytest.mark.parametrize("order", [0, 1, 7])
def test_the_correct_twin_is_right_in_every_order(planted, order):
    assert right(run(planted.text, order))


@parametrized(BY_RESULT)
def test_a_wrong_result_gives_the_bug_away_in_some_order(planted):
    assert not all(right(run(planted.bug, order)) for order in (0, 1, 7))


@parametrized(BY_ERROR)
@pytest.mark.parametrize("order", [0, 1, 7])
def test_the_emulator_stops_at_the_bug(planted, order):
    with pytest.raises(EmulatorError, match=rf"k\.cu:\d+: .*{planted.report}"):
        run(planted.bug, order)


def watched(sanitizer, folder, text):
    """A kernel run by the command under a sanitizer."""
    folder.mkdir()
    (folder / "k.cu").write_text(text)
    command = [sys.executable, "-m", "tapegrad.kernels.emulator", "k.cu", "k"]
    command += [f"x=float32:{THREADS}:arange", f"out=float32:{THREADS}:poison", f"n={THREADS}"]
    command += ["--block", str(THREADS), "--shared", str(4 * THREADS), "--sanitize", sanitizer]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=folder, **pipes)


SANITIZED = [
    pytest.param(sanitizer, planted, id=f"{sanitizer}: {name}")
    for sanitizer, found in (("address", BY_ADDRESS), ("thread", BY_THREAD))
    for name, planted in found.items()
]


@pytest.mark.sanitize
@pytest.mark.parametrize(("sanitizer", "planted"), SANITIZED)
def test_a_sanitizer_reports_the_bug_and_not_its_twin(tmp_path, sanitizer, planted):
    try:
        sanitizing.environment(sanitizer)
    except EmulatorError as error:
        pytest.skip(str(error))
    with (
        watched(sanitizer, tmp_path / "bug", planted.bug) as bug,
        watched(sanitizer, tmp_path / "twin", planted.text) as twin,
    ):
        report, clean = bug.communicate()[1], twin.communicate()[1]
    assert clean == ""
    assert twin.returncode == 0
    assert bug.returncode > 0
    assert planted.report in report
    assert "k.cu:" in report
