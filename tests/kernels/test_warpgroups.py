"""Matrix instructions of a warpgroup give what NumPy gives, and their misuse is found.

The kernel here multiplies matrices as the kernels of this project do: copies that run beside the
products, of tiles that lie along the depth or across it, in a ring of stages.
"""

import itertools
import re
import shutil
import struct
from ctypes import c_int, c_void_p

import ml_dtypes
import numpy as np
import pytest

from tapegrad.kernels.cuda import compiling, convolution_tiles, launching
from tapegrad.kernels.cuda.compiling import ARCHITECTURES, compiled, expand, resources
from tapegrad.kernels.cuda.inventory import together
from tapegrad.kernels.cuda.launching import Kernel, pointer
from tapegrad.kernels.emulator import EmulatedBackend, EmulatedModule, EmulatorError

ORDERS = (0, 1, 7)
TYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
STEPS, BK, ROWS = 5, 64, 128
SLOWED = re.compile(r"serialized|C75\d\d")  # what ptxas warns of
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")

# sums (128 x N) = A B, over a depth of `steps` tiles of 64. A lies (128, depth) if deep, or else
# (depth, 128); B (N, depth) or (depth, N). Each of two warpgroups makes 64 rows.
TEXT = """#include "copies.cuh"
#include "warpgroups.cuh"
constexpr int STAGES = 3;
template <class T, bool deep>
__device__ void fetch(unsigned char* to, const T* from, int rows, int step, int depth) {
    for (int pack = threadIdx.x; pack < rows * 8; pack += blockDim.x) {
        if (deep) {
            const int row = pack / 8, column = pack % 8;
            copy_async<16>(to + swizzled(pack * 16), from + row * depth + step * 64 + column * 8);
        } else {
            const int line = pack / 8 % 64, panel = pack / 512, column = panel * 8 + pack % 8;
            copy_async<16>(to + swizzled(pack * 16),
                           from + (step * 64 + line) * rows + column * 8);
        }
    }
}
template <class T, int N, bool a_deep, bool b_deep>
__global__ void __launch_bounds__(256) product(const T* a, const T* b, float* out, int steps) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const int A = 128 * 128, STAGE = A + N * 128, group = threadIdx.x / 128, depth = steps * 64;
    auto load = [&](int step) {
        unsigned char* stage = memory + step % STAGES * STAGE;
        if (step < steps) {
            fetch<T, a_deep>(stage, a, 128, step, depth);
            fetch<T, b_deep>(stage + A, b, N, step, depth);
        }
        commit_copies();
    };
    float sums[N / 2];
    load(0);
    for (int step = 0; step < steps; step++) {
        wait_copies<0>();
        show_tiles();
        __syncthreads();
        load(step + 1);
        const unsigned char* stage = memory + step % STAGES * STAGE;
        begin_products();
#pragma unroll
        for (int k = 0; k < 4; k++)
            add_product<T, N, a_deep, b_deep>(
                sums, tile<a_deep, 64>(stage + group * 8192 + k * (a_deep ? 32 : 2048)),
                tile<b_deep, 64>(stage + A + k * (b_deep ? 32 : 2048)), step + k > 0);
        commit_products();
        wait_products<1>();
    }
    wait_products<0>();
    settle(sums);
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 % 2 * 8;
        out[row * N + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2] = sums[i];
    }
}
"""


def instance(dtype=np.float16, columns=64, a_deep=True, b_deep=True):
    flags = ", ".join(str(flag).lower() for flag in (a_deep, b_deep))
    return f"product<{np.dtype(dtype).name}, {columns}, {flags}>"


def in_order(order):
    """How a kernel is run in the emulator."""

    def run(text, name, block, shared, a, b, out):
        module = EmulatedModule(expand(text, "kernel.cu"), [name])
        module.run(name, (1, 1, 1), (block, 1, 1), a, b, out, STEPS, shared=shared, order=order)
        return out

    return run


def where_kernels_run(xp):
    """How one is run by the back end: in the emulator, or on a GPU."""

    def run(text, name, block, shared, *arrays):
        kernel = Kernel(expand(text, "kernel.cu"), name)
        a, b, out = map(xp.asarray, arrays)
        varying, constant = (c_void_p,) * 3, (c_int(STEPS),)
        launch = kernel.prepare(
            (1, 1, 1), (block, 1, 1), shared=shared, varying=varying, constant=constant
        )
        launch(pointer(a), pointer(b), pointer(out))
        return out.get()

    return run


def product(run, text=TEXT, dtype=np.float16, columns=64, a_deep=True, b_deep=True, block=256):
    """What the kernel makes, and what is right."""
    random, depth = np.random.default_rng(0), STEPS * BK
    a = random.standard_normal((ROWS, depth)).astype(dtype)
    b = random.standard_normal((columns, depth)).astype(dtype)
    right = a.astype(np.float64) @ b.astype(np.float64).T
    out = np.full((ROWS, columns), np.nan, np.float32)
    name = instance(dtype, columns, a_deep, b_deep)
    laid = [np.ascontiguousarray(m if deep else m.T) for m, deep in ((a, a_deep), (b, b_deep))]
    return run(text, name, block, 3 * (ROWS + columns) * 128, *laid, out), right


def close(found, right):
    return np.allclose(found, right, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "columns", "a_deep", "b_deep"),
    [
        (np.float16, 64, True, True),
        (ml_dtypes.bfloat16, 128, False, False),
        (ml_dtypes.bfloat16, 256, True, False),
        (np.float16, 128, False, True),
    ],
)
def test_tiles_are_multiplied(emulated, dtype, columns, a_deep, b_deep):
    current = launching.backend()
    if not isinstance(current, EmulatedBackend) and current.architecture() != "sm_90a":
        pytest.skip("the GPU is no Hopper")
    run = where_kernels_run(emulated)
    assert close(*product(run, TEXT, dtype, columns, a_deep, b_deep))


# Each is found by a wrong result in one of the orders, or by an error.
PLANTED = {
    "a missing swizzle": ("swizzled(pack * 16)", "pack * 16", True, ""),
    "packs of one of the tiles exchanged": (
        "swizzled(pack * 16)", "swizzled(pack * 16 ^ (rows == 128) * 16)", True, "",
    ),
    "a tile said to lie the other way": (
        "add_product<T, N, a_deep, b_deep>", "add_product<T, N, a_deep, !b_deep>", True,
        "does not start at a multiple of 1024 bytes",
    ),
    "panels too near": ("tile<b_deep, 64>", "tile<b_deep, 32>", False, ""),
    "sums read before they are there": ("    wait_products<0>();", "", True, "nothing waits"),
    "sums read too early": (
        "    wait_products<0>();\n", "    float early = sums[0];\n    wait_products<0>();\n"
        "    sums[0] = early;\n", True, "",
    ),
    "too many products left on their way": (
        "wait_products<1>();", "wait_products<2>();", True, "written while a product",
    ),
    "a stage too few": ("STAGES = 3", "STAGES = 2", True, "written while a product"),
    "a copy that starts before all are done": (
        "__syncthreads();\n        load(step + 1);", "load(step + 1);\n        __syncthreads();",
        True, "written while a product",
    ),
    "a missing wait for copies": ("wait_copies<0>();", "", True, ""),
    "a missing barrier": ("__syncthreads();", "", True, "show_tiles is missing, or a barrier"),
    "copies that are not shown": ("show_tiles();", "", True, "show_tiles is missing"),
    "copies shown before they land": (
        "wait_copies<0>();\n        show_tiles();", "show_tiles();\n        wait_copies<0>();",
        True, "show_tiles is missing",
    ),
    "a missing beginning": ("begin_products();", "", True, "begin_products is missing"),
    "a missing commit": ("        commit_products();", "", True, "nothing waits"),
    "sums that begin with what is there": (", step + k > 0)", ")", True, ""),
    "a lane that adds alone": ("step + k > 0", "threadIdx.x == 3", True, "not all lanes"),
    "a warp that does not multiply": (
        "        begin_products();", "if (threadIdx.x / 32 == 5) continue;\n begin_products();",
        True, "not all warps",
    ),
    "a lane that does not multiply": (
        "        begin_products();", "if (threadIdx.x == 5) continue;\n begin_products();",
        True, "lanes of one warp meet at different calls|a lane of the mask does not come",
    ),
    "lanes with different tiles": (
        "stage + group * 8192", "stage + threadIdx.x / 16 * 1024", True, "name different tiles",
    ),
    "a tile beyond shared memory": (
        "tile<a_deep, 64>(stage", "tile<a_deep, 64>(stage + 3 * STAGE", True, "reaches beyond",
    ),
    "a tile in global memory": (
        "tile<a_deep, 64>(stage + group", "tile<a_deep, 64>((const unsigned char*)a + group", True,
        "not lie in the dynamic shared",
    ),
}  # fmt: skip


# What is wrong of a descriptor, some of which the tiles here would have been read right by.
MISDESCRIBED = {
    "no swizzle": ("64ull << 32 | 1ull << 62", "64ull << 32", "swizzled in 128 bytes"),
    "a swizzle of 64 bytes": ("1ull << 62", "2ull << 62", "swizzled in 128 bytes"),
    "a base offset": ("1ull << 62", "1ull << 62 | 4ull << 49", "base offset"),
    "lines that are too near": ("64ull << 32", "32ull << 32", "1024 bytes apart"),
    "tiles that begin in the middle of a swizzle": (
        "memory + step", "memory + 512 + step", "at a multiple of 1024 bytes",
    ),
    "a step beyond a line": ("(a_deep ? 32", "(a_deep ? 64", "at a multiple of 1024 bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "report"), MISDESCRIBED.values(), ids=MISDESCRIBED)
def test_a_tile_that_is_described_wrong_is_found(right, wrong, report):
    text = expand(TEXT, "kernel.cu")
    assert right in text
    with pytest.raises(EmulatorError, match=rf"kernel\.cu:\d+: add_product: .*{report}"):
        product(in_order(0), text.replace(right, wrong))


STORES = re.sub(
    r"copy_async<16>\((.*?),\s*(from .*?)\);",
    r"*(Pack<T, 8>*)(\1) = *(const Pack<T, 8>*)(\2);",
    TEXT,
)
UNSHOWN = {
    "are not shown": "",
    "are shown only once": "if (step == 0) show_tiles();",
    "one thread does not show": "if (threadIdx.x != 77) show_tiles();",
}


@pytest.mark.parametrize("order", ORDERS)
def test_threads_may_write_tiles_themselves_and_show_them(order):
    assert STORES.count("*(Pack<T, 8>*)") == 2
    assert close(*product(in_order(order), STORES))


@pytest.mark.parametrize("shown", UNSHOWN.values(), ids=UNSHOWN)
@pytest.mark.parametrize("order", ORDERS)
def test_tiles_that_threads_write_and_do_not_show_are_found(order, shown):
    with pytest.raises(EmulatorError, match=r"kernel\.cu:\d+: .*show_tiles is missing"):
        product(in_order(order), STORES.replace("show_tiles();", shown))


@pytest.mark.parametrize(("right", "wrong", "b_deep", "report"), PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_is_found(right, wrong, b_deep, report):
    assert right in TEXT
    text = TEXT.replace(right, wrong)
    columns = 64 if b_deep else 128

    def in_every_order():
        runs = map(in_order, ORDERS)
        return [product(run, text, np.float16, columns, True, b_deep) for run in runs]

    if report:
        with pytest.raises(EmulatorError, match=rf"kernel\.cu:\d+: .*{report}"):
            in_every_order()
    else:
        assert not all(close(*result) for result in in_every_order())


def test_a_warpgroup_that_is_not_whole_is_found():
    with pytest.raises(EmulatorError, match="not all warps of a warpgroup"):
        product(in_order(0), block=192)


@pytest.fixture(scope="module")
def nvrtc():
    try:
        return compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_instructions_compile_for_every_architecture(nvrtc, arch):
    """For Hopper without spills, and with nothing that makes products wait for one another."""
    shapes = [*itertools.product(TYPES.values(), (64,), (True, False), (True, False))]
    shapes += [(np.float16, 128, True, True), (np.float16, 256, True, True)]
    names = [instance(*shape) for shape in shapes]
    binary = compiled(expand(TEXT, "kernel.cu"), names, arch)
    assert not any(takes.spills for takes in resources(binary).values())
    assert not SLOWED.search(binary.log)


def alignment_of_shared_memory(binary, name):
    """What the binary, an ELF file, wants of the address of a kernel's shared memory."""
    (table,) = struct.unpack_from("<Q", binary.cubin, 40)
    size, count, names = struct.unpack_from("<3H", binary.cubin, 58)
    sections = [
        struct.unpack_from("<2I4Q2I2Q", binary.cubin, table + i * size) for i in range(count)
    ]
    for section in sections:
        at = sections[names][4] + section[0]
        if binary.cubin[at:].startswith(f".nv.shared.{binary.lowered[name]}\0".encode()):
            return section[8]
    return 0


def test_shared_memory_is_aligned_as_the_tiles_of_convolution_want_it(nvrtc):
    found = {}
    for group in together(convolution_tiles.variants()):
        names = [kernel.name for kernel in group]
        binary = compiled(group[0].text, names, "sm_90a", group[0].filename)
        found |= {
            name: alignment_of_shared_memory(binary, name) for name in names if "Warpgroup" in name
        }
    assert len(found) == 2 * (3 * 2 + 2)
    assert set(found.values()) == {1024}


def test_shared_memory_that_is_not_aligned_is_found(nvrtc):
    text = expand(TEXT, "kernel.cu").replace("__align__(1024) unsigned", "__align__(512) unsigned")
    binary = compiled(text, [instance()], "sm_90a")
    assert alignment_of_shared_memory(binary, instance()) == 512
