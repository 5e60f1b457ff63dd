"""The emulator runs kernels as a GPU would: language, arguments, threads, collectives, copies."""

import ctypes
import shutil

import ml_dtypes
import numpy as np
import pytest

from tapegrad.kernels.cuda.compiling import expand
from tapegrad.kernels.emulator import EmulatedModule, EmulatorError

ORDERS = (0, 1, 7)
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")


def run(text, *arguments, kernel="k", grid=(1, 1, 1), block=(32, 1, 1), shared=0, order=0):
    module = EmulatedModule(expand(text, "kernel.cu"), [kernel])
    module.run(kernel, grid, block, *arguments, shared=shared, order=order)


# ---- the language ------------------------------------------------------------------------------


def test_a_thread_knows_its_place_in_the_grid():
    out = np.zeros((2, 3, 2, 2, 2, 4, 3), np.uint32)
    run(
        """
        extern "C" __global__ void k(unsigned* out) {
            unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
            unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
            unsigned size = blockDim.x * blockDim.y * blockDim.z;
            unsigned* mine = out + 3 * (block * size + thread);
            mine[0] = blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z;
            mine[1] = threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z;
            mine[2] = warpSize;
        }
        """,
        out,
        grid=(2, 3, 2),
        block=(4, 2, 2),
    )
    blocks, threads = out[..., 0].reshape(2, 3, 2, -1), out[..., 1].reshape(12, 2, 2, 4)
    assert blocks[1, 2, 0].tolist() == [120] * 16
    assert threads[5, 1, 0].tolist() == [100, 101, 102, 103]
    assert (out[..., 2] == 32).all()


def test_every_kind_of_argument_arrives():
    kinds = {
        "bool": np.bool_(True),
        "signed char": np.int8(-7),
        "unsigned char": np.uint8(200),
        "short": np.int16(-300),
        "float16": np.float16(0.5),
        "bfloat16": ml_dtypes.bfloat16(-3),
        "int": np.int32(-70_000),
        "unsigned": np.uint32(4_000_000_000),
        "long long": np.int64(-(2**40)),
        "float": np.float32(0.25),
        "double": np.float64(0.125),
    }
    parameters = ", ".join(f"{kind} a{i}" for i, kind in enumerate(kinds))
    writes = "".join(f"out[{i}] = (double)load(a{i});" for i in range(len(kinds)))
    out = np.zeros(len(kinds))
    run(
        f'#include "types.cuh"\n'
        f'extern "C" __global__ void k({parameters}, double* out) {{ {writes} }}',
        *kinds.values(),
        out,
        block=(1, 1, 1),
    )
    assert out.tolist() == [float(value) for value in kinds.values()]


def test_a_structure_arrives_by_value_wherever_its_bytes_lie():
    class Shape(ctypes.Structure):
        _fields_ = (("rank", ctypes.c_int), ("sizes", ctypes.c_longlong * 3))

    text = """
        struct Shape { int rank; long long sizes[3]; };
        struct __align__(16) Four { float at[4]; };
        extern "C" __global__ void k(const Shape shape, Four four, double* out) {
            long long count = 1;
            for (int i = 0; i < shape.rank; i++) count *= shape.sizes[i];
            out[0] = count;
            out[1] = four.at[0] + four.at[3];
        }
    """
    out = np.zeros(2)
    memory = ctypes.create_string_buffer(33)  # at an address where no float may lie
    four = (ctypes.c_char * 16).from_buffer(memory, 1)
    four[:] = np.array([1, 2, 3, 4], np.float32).tobytes()
    run(text, Shape(2, (3, 4, 5)), four, out, block=(1, 1, 1))
    assert out.tolist() == [12, 5]


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("scale<float, 2, true>", [0, 3, 6, 9]),
        ("scale<double, -1, false>", [0, -1, -2, -3]),
        ("scale<int, 1 + 1, true>", [0, 3, 6, 9]),
        ("( scale<long long, 5, false> )", [0, 5, 10, 15]),
    ],
)
def test_a_template_is_launched_by_its_name_expression(kernel, expected):
    text = """
        template <class T, int factor, bool more> __global__ void scale(T* x) {
            x[threadIdx.x] = x[threadIdx.x] * (factor + more);
        }
    """
    dtypes = {"float": "f4", "double": "f8", "int": "i4", "long long": "i8"}
    dtype = dtypes[kernel.split("<")[1].split(",")[0]]
    x = np.arange(4, dtype=dtype)
    run(text, x, kernel=kernel, block=(4, 1, 1))
    assert x.tolist() == expected


def test_vectors_have_the_size_and_alignment_of_cuda():
    kinds = ["char2", "uchar4", "short4", "int2", "uint4", "float2", "float3", "float4", "double2",
             "longlong2", "ulonglong4", "Pack<float16, 8>"]  # fmt: skip
    sizes = "".join(
        f"out[{2 * i}] = sizeof({kind}); out[{2 * i + 1}] = alignof({kind});"
        for i, kind in enumerate(kinds)
    )
    out = np.zeros(2 * len(kinds), np.int32)
    run(f'#include "types.cuh"\nextern "C" __global__ void k(int* out) {{ {sizes} }}', out)
    assert out.reshape(-1, 2).tolist() == [
        [2, 2], [4, 4], [8, 8], [8, 8], [16, 16], [8, 8], [12, 4], [16, 16], [16, 16],
        [16, 16], [32, 16], [16, 16],
    ]  # fmt: skip


def test_a_kernel_may_use_names_of_the_c_library():
    x = np.zeros(1, np.float32)
    run(
        """
        __device__ float select(float index, float time) { return index + time; }
        struct std {};
        extern "C" __global__ void k(float* read) { read[0] = select(1, 2); }
        """,
        x,
        block=(1, 1, 1),
    )
    assert x[0] == 3


def test_device_variables_keep_their_values_between_launches():
    module = EmulatedModule(
        "__device__ int count; __constant__ int step = 2;"
        'extern "C" __global__ void k(int* out) { out[0] = atomicAdd(&count, step); }',
        ["k"],
    )
    out = np.zeros(1, np.int32)
    for _ in range(3):
        module.run("k", (1, 1, 1), (1, 1, 1), out)
    assert out[0] == 4


def test_a_kernel_that_g_plus_plus_rejects_is_an_error_with_its_line():
    with pytest.raises(EmulatorError, match=r"wrong\.cu:2:.*(?s:.)*undeclared"):
        EmulatedModule("\n__global__ void k(float* x) { x[0] = undeclared; }", ["k"],
                       filename="wrong.cu")  # fmt: skip


@pytest.mark.parametrize("expression", ["exp(3)", "max(1.f, 2)", "INFINITY", "sizeof(uint32_t)"])
def test_what_nvrtc_does_not_know_is_rejected_here_too(expression):
    with pytest.raises(EmulatorError, match=r"ambiguous|not declared|does not name"):
        EmulatedModule(f"__global__ void k(float* x) {{ x[0] = {expression}; }}", ["k"])


def test_a_launch_beyond_the_limits_is_refused():
    text = 'extern "C" __global__ void k() {}'
    with pytest.raises(EmulatorError, match="1 to 1024 threads"):
        run(text, block=(32, 33, 1))
    with pytest.raises(EmulatorError, match="227 KiB"):
        run(text, shared=228 << 10)


def test_printf_prints(capfd):
    run('extern "C" __global__ void k() { printf("thread %d\\n", threadIdx.x); }', block=(2, 1, 1))
    assert capfd.readouterr().out == "thread 0\nthread 1\n"


# ---- blocks and shared memory ------------------------------------------------------------------

REVERSE = """
template <class T> __global__ void reverse(const T* x, T* out) {
    __shared__ T tile[64];
    tile[threadIdx.x] = x[64 * blockIdx.x + threadIdx.x];
    __syncthreads();
    out[64 * blockIdx.x + threadIdx.x] = tile[63 - threadIdx.x];
}
"""


@pytest.mark.parametrize("order", ORDERS)
def test_threads_meet_at_barriers_and_share_memory(order):
    x, out = np.arange(128.0), np.full(128, np.nan)
    run(REVERSE, x, out, kernel="reverse<double>", grid=(2, 1, 1), block=(64, 1, 1), order=order)
    assert out.tolist() == [*range(63, -1, -1), *range(127, 63, -1)]


@pytest.mark.parametrize("order", ORDERS)
def test_threads_take_turns_in_the_order_that_was_asked_for(order):
    out = np.zeros(64, np.int32)
    run(
        'extern "C" __global__ void k(int* out, int* next) { out[(*next)++] = threadIdx.x; }',
        out,
        np.zeros(1, np.int32),
        block=(64, 1, 1),
        order=order,
    )
    assert sorted(out) == list(range(64))
    ascending, descending = list(range(64)), list(range(63, -1, -1))
    if order < 2:
        assert out.tolist() == (descending if order else ascending)
    else:
        assert out.tolist() not in (ascending, descending)


@pytest.mark.parametrize("declared", ["__shared__ float s[4];", "extern __shared__ float s[];",
                                      "extern __shared__ __align__(16) float s[];",
                                      "extern\n__shared__ float s[\n];"])  # fmt: skip
@pytest.mark.parametrize("template", ["", "template <class T>"])
def test_shared_memory_is_nan_at_the_beginning_of_every_block(declared, template):
    text = f"""{template} __global__ void k({"T" if template else "float"}* out) {{
        {declared}
        out[blockIdx.x] = s[1];
        s[1] = blockIdx.x;
    }}"""
    out = np.zeros(3, np.float32)
    kernel = "k<float>" if template else "k"
    run(text, out, kernel=kernel, grid=(3, 1, 1), block=(1, 1, 1), shared=16)
    assert np.isnan(out).all()


def test_dynamic_shared_memory_keeps_the_lines_of_the_text():
    text = """extern "C" __global__ void k(float* out) {
        extern __shared__
            float s[];
        assert(out == nullptr);
    }"""
    with pytest.raises(EmulatorError, match=r"kernel\.cu:4: "):
        run(text, np.zeros(1, np.float32))


def test_barriers_count_what_the_threads_say():
    out = np.zeros((3, 40), np.int32)
    run(
        """
        extern "C" __global__ void k(int* out) {
            int i = threadIdx.x;
            out[i] = __syncthreads_count(i < 33);
            out[40 + i] = __syncthreads_or(i == 39) + 10 * __syncthreads_or(i > 39);
            out[80 + i] = __syncthreads_and(i < 40) + 10 * __syncthreads_and(i != 7);
        }
        """,
        out,
        block=(40, 1, 1),
        order=7,
    )
    assert (out == [[33], [1], [1]]).all()


# ---- warps -------------------------------------------------------------------------------------

SHUFFLES = """
extern "C" __global__ void k(int* out) {
    int i = threadIdx.x, all = 0xffffffff;
    out[i] = __shfl_sync(all, i, 5);
    out[32 + i] = __shfl_sync(all, i, 9, 8);
    out[64 + i] = __shfl_up_sync(all, i, 3);
    out[96 + i] = __shfl_down_sync(all, i, 3, 16);
    out[128 + i] = __shfl_xor_sync(all, i, 5);
}
"""


@pytest.mark.parametrize("order", ORDERS)
def test_shuffles_hand_values_from_lane_to_lane(order):
    out, lane = np.zeros((5, 32), np.int32), np.arange(32)
    run(SHUFFLES, out, order=order)
    assert out.tolist() == [
        [5] * 32,
        (lane // 8 * 8 + 1).tolist(),
        np.where(lane < 3, lane, lane - 3).tolist(),
        np.where(lane % 16 > 12, lane, lane + 3).tolist(),
        (lane ^ 5).tolist(),
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_halves_of_a_warp_shuffle_on_their_own(order):
    out = np.zeros(32, np.float64)
    run(
        """
        extern "C" __global__ void k(double* out) {
            unsigned half = threadIdx.x < 16 ? 0xffff : 0xffff0000;
            double sum = threadIdx.x;
            for (int step = 8; step; step /= 2) sum += __shfl_xor_sync(half, sum, step);
            out[threadIdx.x] = sum;
        }
        """,
        out,
        order=order,
    )
    assert out.tolist() == [120] * 16 + [376] * 16


@pytest.mark.parametrize("order", ORDERS)
def test_votes_matches_and_reductions_see_every_lane(order):
    out, lane = np.zeros((9, 64), np.uint32), np.arange(64) % 32
    run(
        """
        extern "C" __global__ void k(unsigned* out) {
            unsigned i = threadIdx.x, lane = i % 32, all = ~0u;
            out[i] = __ballot_sync(all, lane % 3 == 0);
            out[64 + i] = __any_sync(all, lane == 31) + 2 * __any_sync(all, lane > 31);
            out[128 + i] = __all_sync(all, lane < 32) + 2 * __all_sync(all, lane < 31);
            out[192 + i] = __match_any_sync(all, (int)lane / 10);
            out[256 + i] = __reduce_add_sync(all, lane);
            out[320 + i] = __reduce_max_sync(all, lane) + 100 * __reduce_min_sync(all, lane + 1);
            out[384 + i] = __reduce_or_sync(all, 1u << lane) + __reduce_and_sync(all, 2u);
            out[448 + i] = __reduce_xor_sync(all, lane == 3 ? 9u : 0u);
            out[512 + i] = __reduce_min_sync(all, (int)lane - 20) + 1000;
        }
        """,
        out,
        block=(64, 1, 1),
        order=order,
    )
    groups = np.array([(1 << 10) - 1, ((1 << 10) - 1) << 10, ((1 << 10) - 1) << 20, 3 << 30])
    assert (out[0] == sum(1 << i for i in range(0, 32, 3))).all()
    assert (out[1:3] == 1).all()
    assert (out[3] == groups[lane // 10]).all()
    assert (out[4] == 496).all()
    assert (out[5] == 131).all()
    assert (out[6] == 1).all()  # all bits and two: wrapped around
    assert (out[7] == 9).all()
    assert (out[8] == 980).all()


def test_a_lane_beyond_the_block_has_no_value():
    out = np.zeros(40, np.float32)
    run(
        """
        extern "C" __global__ void k(float* out) {
            out[threadIdx.x] = __shfl_down_sync(0xffffffff, 1.0f, 4);
        }
        """,
        out,
        block=(40, 1, 1),
    )
    assert (out[:36] == 1).all()
    assert np.isnan(out[36:]).all()  # lanes 8 to 11 of the second warp do not exist


@pytest.mark.parametrize("order", ORDERS)
def test_syncwarp_is_a_barrier_of_the_warp(order):
    out = np.zeros(64, np.int32)
    run(
        """
        extern "C" __global__ void k(int* out) {
            __shared__ int tile[64];
            int i = threadIdx.x;
            tile[i] = i;
            __syncwarp();
            out[i] = tile[i ^ 1];
        }
        """,
        out,
        block=(64, 1, 1),
        order=order,
    )
    assert out.tolist() == [i ^ 1 for i in range(64)]


# ---- copies that land late ---------------------------------------------------------------------

PIPELINE = """
#include "copies.cuh"
extern "C" __global__ void k(const float* x, float* out, int tiles, int n) {
    __shared__ __align__(16) float tile[3][128];
    int i = threadIdx.x;
    auto fetch = [&](int t) {
        int from = 128 * t + 4 * i;
        if (t < tiles) copy_async<16>(&tile[t % 3][4 * i], x + from, from < n);
        commit_copies();
    };
    fetch(0);
    fetch(1);
    for (int t = 0; t < tiles; t++) {
        wait_copies<1>();
        __syncthreads();
        fetch(t + 2);
        for (int j = i; j < 128; j += 32) out[128 * t + j] = tile[t % 3][127 - j];
    }
}
"""


@pytest.mark.parametrize("order", ORDERS)
def test_asynchronous_copies_arrive_when_waited_for_and_fill_with_zeros(order):
    x, out = np.arange(640, dtype=np.float32), np.full(640, np.nan, np.float32)
    run(PIPELINE, x, out, 5, 600, order=order)
    kept = np.where(x < 600, x, 0).reshape(5, 128)
    assert np.array_equal(out.reshape(5, 128), kept[:, ::-1])
