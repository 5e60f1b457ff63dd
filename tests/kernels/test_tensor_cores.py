"""Matrix instructions of a warp give what NumPy gives, and their misuse is found.

Kernels here hold whole fragments: they read matrices from shared memory, as kernels do, by
`ldmatrix` or element by element, multiply and write the sums.
"""

import re
import shutil
from ctypes import c_void_p

import ml_dtypes
import numpy as np
import pytest

from tapegrad.kernels.cuda import compiling, convolution_tiles
from tapegrad.kernels.cuda.compiling import ARCHITECTURES, compiled, expand
from tapegrad.kernels.cuda.launching import Kernel, pointer
from tapegrad.kernels.emulator import EmulatedModule, EmulatorError

ORDERS = (0, 1, 7)
HALF_TYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")

# A (16 x depth), B (8 x depth, a column to a row) -> sums (16 x 8), added to what is there.
HALF = """#include "tensor_cores.cuh"
template <class T> __global__ void product(const T* a, const T* b, float* sums) {
    __shared__ __align__(16) T tile[24][16];
    const int lane = threadIdx.x;
    for (int i = lane; i < 24 * 16; i += 32) tile[i / 16][i % 16] = i < 256 ? a[i] : b[i - 256];
    __syncwarp();
    unsigned fa[4], fb[2];
    load_matrices(fa, &tile[lane % 16][lane / 16 * 8]);
    load_matrices(fb, &tile[16 + lane % 8][lane / 8 % 2 * 8]);
    float held[4];
    for (int i = 0; i < 4; i++) held[i] = sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
    multiply_add<T>(held, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; i++) sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = held[i];
}
"""
# The same of matrices that lie across the depth: A (16 deep, 16 rows), B (16 deep, 8 columns).
ACROSS = """#include "tensor_cores.cuh"
template <class T> __global__ void product(const T* a, const T* b, float* sums) {
    __shared__ __align__(16) T tile_a[16][16], tile_b[16][8];
    const int lane = threadIdx.x;
    for (int i = lane; i < 256; i += 32) tile_a[i / 16][i % 16] = a[i];
    for (int i = lane; i < 128; i += 32) tile_b[i / 8][i % 8] = b[i];
    __syncwarp();
    unsigned fa[4], fb[2];
    load_matrices_transposed(fa, &tile_a[lane % 8 + lane / 16 * 8][lane / 8 % 2 * 8]);
    load_matrices_transposed(fb, &tile_b[lane % 16][0]);
    float held[4];
    for (int i = 0; i < 4; i++) held[i] = sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
    multiply_add<T>(held, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; i++) sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = held[i];
}
"""
# Depth 8, as load_matrices reads floats or, for B, element by element.
TF32 = """#include "tensor_cores.cuh"
extern "C" __global__ void product(const float* a, const float* b, float* sums) {
    __shared__ __align__(16) float tile[24][8];
    const int lane = threadIdx.x;
    for (int i = lane; i < 24 * 8; i += 32) tile[i / 8][i % 8] = i < 128 ? a[i] : b[i - 128];
    __syncwarp();
    unsigned fa[4];
    load_matrices(fa, &tile[lane % 16][lane / 16 * 4]);
    for (int i = 0; i < 4; i++) fa[i] = round_to_tf32(__uint_as_float(fa[i]));
    const unsigned b0 = round_to_tf32(tile[16 + lane / 4][lane % 4]);
    const unsigned b1 = round_to_tf32(tile[16 + lane / 4][lane % 4 + 4]);
    float held[4];
    for (int i = 0; i < 4; i++) held[i] = sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
    multiply_add<tf32>(held, fa, b0, b1);
    for (int i = 0; i < 4; i++) sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = held[i];
}
"""


def in_order(order, block=32):
    """How a kernel is run in the emulator, by one warp."""

    def run(text, name, *arrays):
        module = EmulatedModule(expand(text, "kernel.cu"), [name])
        module.run(name, (1, 1, 1), (block, 1, 1), *arrays, order=order)
        return arrays[-1]

    return run


def where_kernels_run(xp):
    """How one is run by the back end: in the emulator, or on a GPU."""

    def run(text, name, *arrays):
        given = [xp.asarray(array) for array in arrays]
        kernel = Kernel(expand(text, "kernel.cu"), name)
        launch = kernel.prepare((1, 1, 1), (32, 1, 1), varying=(c_void_p,) * len(given))
        launch(*map(pointer, given))
        return given[-1].get()

    return run


def drawn(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def tf32(x):
    """x rounded to 10 bits of the fraction, halves away from 0."""
    bits = x.view(np.uint32)
    return np.where(np.isfinite(x), bits + np.uint32(0x1000) & ~np.uint32(0x1FFF), bits).view(
        np.float32
    )


def half_product(run, text, dtype):
    """What the kernel makes, and what is right."""
    a, b = drawn(16, 16).astype(dtype), drawn(8, 16).astype(dtype)
    sums = drawn(16, 8)
    right = sums + a.astype(np.float64) @ b.astype(np.float64).T
    if "transposed" in text:
        a, b = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    return run(text, f"product<{np.dtype(dtype).name}>", a, b, sums), right


def tf32_product(run, text):
    a, b, sums = drawn(16, 8), drawn(8, 8), drawn(16, 8)
    right = sums + tf32(a).astype(np.float64) @ tf32(b).astype(np.float64).T
    return run(text, "product", a, b, sums), right


def close(found, right):
    return np.allclose(found, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", HALF_TYPES.values(), ids=HALF_TYPES)
@pytest.mark.parametrize("text", [HALF, ACROSS], ids=["along the depth", "across the depth"])
def test_matrices_of_half_types_are_multiplied(emulated, text, dtype):
    assert close(*half_product(where_kernels_run(emulated), text, dtype))


def test_matrices_of_tf32_are_multiplied(emulated):
    assert close(*tf32_product(where_kernels_run(emulated), TF32))


def test_rounding_to_tf32_is_exact(emulated):
    x = np.concatenate(
        [
            drawn(1000),
            np.float32(2) ** np.arange(-149, 128, dtype=np.float32),
            (np.arange(2**11, dtype=np.uint32) * 0x1000 + 0x3F800000).view(np.float32),  # halves
            (np.arange(2**11, dtype=np.uint32) * 0x1000 + 0xBF7FFFFF).view(np.float32),
            np.float32([0, -0.0, np.inf, -np.inf, 3.4028235e38, 1e-40]),
        ]
    ).astype(np.float32)
    text = f"""#include "tensor_cores.cuh"
        extern "C" __global__ void k(const float* x, float* out) {{
            for (int i = threadIdx.x; i < {x.size}; i += 32)
                out[i] = __uint_as_float(round_to_tf32(x[i]));
        }}"""
    out = where_kernels_run(emulated)(text, "k", x, np.zeros_like(x))
    assert out.tobytes() == tf32(x).tobytes()
    finite = np.isfinite(out)
    assert (np.abs(out[finite] - x[finite]) <= np.abs(x[finite]) * 2.0**-11 + 2.0**-137).all()


def test_ldmatrix_hands_each_lane_its_pair(emulated):
    """x4, x2 and both transposed, of matrices whose elements say where they lie."""
    out = where_kernels_run(emulated)(
        """#include "tensor_cores.cuh"
        extern "C" __global__ void k(unsigned* out) {
            __shared__ __align__(16) unsigned short tile[32][8];
            const int lane = threadIdx.x;
            for (int i = lane; i < 256; i += 32) tile[i / 8][i % 8] = i;
            __syncwarp();
            unsigned four[4], two[2];
            load_matrices(four, tile[lane]);
            for (int i = 0; i < 4; i++) out[lane * 4 + i] = four[i];
            load_matrices(two, tile[lane % 16]);
            for (int i = 0; i < 2; i++) out[128 + lane * 4 + i] = two[i];
            load_matrices_transposed(four, tile[lane]);
            for (int i = 0; i < 4; i++) out[256 + lane * 4 + i] = four[i];
            load_matrices_transposed(two, lane < 16 ? tile[lane] : nullptr);
            for (int i = 0; i < 2; i++) out[384 + lane * 4 + i] = two[i];
        }""",
        "k",
        np.zeros((4, 32, 4), np.uint32),
    )
    matrices = np.arange(256, dtype=np.uint16).reshape(4, 8, 8)
    for found, given in ((out[:2], matrices), (out[2:], matrices.transpose(0, 2, 1))):
        pairs = np.ascontiguousarray(given).view(np.uint32).reshape(4, 32).T
        assert np.array_equal(found[0], pairs)
        assert np.array_equal(found[1][:, :2], pairs[:, :2])


PLANTED = {
    "a lane that takes the fragment of another": (HALF, "lane % 16][", "(lane + 1) % 16]["),
    "halves of the depth that are exchanged": (HALF, "lane / 16 * 8]", "(1 - lane / 16) * 8]"),
    "a transposition that is forgotten": (
        ACROSS, "load_matrices_transposed(fb", "load_matrices(fb",
    ),
    "sums of another row": (HALF, "sums[(lane / 4 + i / 2 * 8)", "sums[(lane / 4 + i % 2 * 8)"),
    "a missing wait before ldmatrix": (HALF, "__syncwarp();", ""),
}  # fmt: skip


@pytest.mark.parametrize(("text", "right", "wrong"), PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_makes_the_sums_wrong(text, right, wrong):
    assert right in text
    bug = text.replace(right, wrong)
    assert not all(close(*half_product(in_order(order), bug, np.float16)) for order in ORDERS)


def test_an_element_of_tf32_in_the_wrong_register_makes_the_sums_wrong():
    assert not close(*tf32_product(in_order(0), TF32.replace("lane % 4 + 4]", "lane % 4]")))


MISUSED = {
    "a factor that is not rounded": (
        TF32,
        "b0 = round_to_tf32(tile[16 + lane / 4][lane % 4]);",
        "b0 = __float_as_uint(tile[16 + lane / 4][lane % 4]);",
        "multiply_add: a factor is not rounded to TF32",
    ),
    "a lane that does not multiply": (
        TF32, "multiply_add<", "if (lane != 5) multiply_add<",
        "multiply_add: a lane of the mask does not come",
    ),
    "a lane that does not load": (
        TF32, "load_matrices(fa", "if (lane < 16) load_matrices(fa",
        "load_matrices: lanes of one warp meet at different calls",
    ),
    "a row that is not aligned": (
        TF32, "lane / 16 * 4]", "lane / 16 * 4 + 1]", "not aligned to 16 bytes",
    ),
    "a row in global memory": (
        TF32, "&tile[lane % 16][lane / 16 * 4]", "a + lane % 16 * 8", "not of shared memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "right", "wrong", "report"), MISUSED.values(), ids=MISUSED)
def test_misuse_stops_with_an_error(text, right, wrong, report):
    assert right in text
    with pytest.raises(EmulatorError, match=report):
        tf32_product(in_order(0), text.replace(right, wrong))


def test_a_warp_that_is_not_full_multiplies_nothing():
    with pytest.raises(EmulatorError, match="fewer than 32 threads"):
        tf32_product(in_order(0, block=31), TF32)


def ptx(kernel, arch):
    library = compiling.nvrtc()
    program = library.createProgram(kernel.text, kernel.filename, (), ())
    try:
        library.addNameExpression(program, kernel.name)
        options = compiling.OPTIONS[:-1]  # the last is for ptxas
        library.compileProgram(program, (f"--gpu-architecture={arch}", *options))
        return library.getPTX(program).decode()
    finally:
        library.destroyProgram(program)


@pytest.mark.parametrize(
    ("name", "arch", "first"),
    [
        ("convolve<Tensor<float, 64, 64, true>, 1>", "compute_80", "ldmatrix"),
        ("convolve<Tensor<float16, 64, 64, true, false>, 8>", "compute_80", "ldmatrix"),
        ("weight_gradient<Tensor<bfloat16, 64, 64, false>, 8>", "compute_80", "ldmatrix"),
        ("convolve<Warpgroup<float16, 128, 64, true>, 8>", "compute_90a", "wgmma.fence"),
        ("weight_gradient<Warpgroup<bfloat16, 64, 128, false>, 8>", "compute_90a", "wgmma.fence"),
    ],
)
def test_lanes_that_loading_has_parted_meet_before_the_matrix_instructions(name, arch, first):
    """These are `.aligned`: no jump may stand between."""
    try:
        compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))
    (kernel,) = (kernel for kernel in convolution_tiles.variants() if kernel.name == name)
    before, _, _ = ptx(kernel, arch).partition(f"{first}.sync.aligned")
    met = before.rpartition("bar.warp.sync")[2]
    assert met != before
    assert not re.search(r"\bbra\b|^\$", met, re.MULTILINE)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("text", [HALF, ACROSS, TF32], ids=["half", "across", "tf32"])
def test_the_instructions_compile_without_headers(text, arch):
    try:
        compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))
    names = ["product"] if text is TF32 else [f"product<{name}>" for name in HALF_TYPES]
    assert compiled(expand(text, "kernel.cu"), names, arch).cubin
