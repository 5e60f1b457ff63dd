"""Prepared launches: their arguments, threads, devices, and what goes wrong by name."""

import ctypes
import inspect
import struct
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tapegrad.kernels.cuda import launching
from tapegrad.kernels.cuda.compiling import CompileError
from tapegrad.kernels.cuda.launching import (
    CupyBackend,
    Kernel,
    RecordingBackend,
    on_device_of,
    pointer,
    use_backend,
)

SCALE = Kernel(
    """
    template <class T> __global__ void scale(const T* x, T* out, T factor, long long n) {
        long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
        if (i < n) out[i] = factor * x[i];
    }
    """,
    "scale<float>",
    filename="scale.cu",
)


def prepared(n, kernel=SCALE):
    return kernel.prepare(
        (-(-n // 64), 1, 1),
        (64, 1, 1),
        varying=(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float),
        constant=(ctypes.c_longlong(n),),
    )


def test_a_prepared_launch_takes_new_values_each_time(emulated):
    launch = prepared(100)
    x, out = emulated.asarray(np.arange(100, dtype=np.float32)), emulated.empty(100, np.float32)
    for factor in (2.0, -0.5):
        launch(pointer(x), pointer(out), factor)
        assert np.array_equal(out.get(), np.arange(100, dtype=np.float32) * np.float32(factor))


def test_a_view_is_read_and_written_where_it_lies(emulated):
    x = emulated.asarray(np.arange(10, dtype=np.float32))
    prepared(3)(pointer(x[2:]), pointer(x[5:]), 10.0)
    assert x.get().tolist() == [0, 1, 2, 3, 4, 20, 30, 40, 8, 9]


KINDS = {
    "bool": (ctypes.c_bool, True, 1),
    "unsigned char": (ctypes.c_uint8, 200, 200),
    "signed char": (ctypes.c_int8, -7, -7),
    "unsigned short": (ctypes.c_uint16, 65535, 65535),
    "short": (ctypes.c_int16, -300, -300),
    "unsigned": (ctypes.c_uint32, 2**32 - 1, 2**32 - 1),
    "int": (ctypes.c_int32, -(2**31), -(2**31)),
    "unsigned long long": (ctypes.c_uint64, 2**52, 2**52),
    "long long": (ctypes.c_int64, -(2**52), -(2**52)),
    "float": (ctypes.c_float, 0.1, float(np.float32(0.1))),
    "double": (ctypes.c_double, 0.1, 0.1),
}
PARAMETERS = ", ".join(f"{kind} a{i}" for i, kind in enumerate(KINDS))
WRITES = " ".join(f"out[{i}] = (double)a{i};" for i in range(len(KINDS)))
ALL_KINDS = Kernel(
    f'extern "C" __global__ void kinds({PARAMETERS}, double* out) {{ {WRITES} }}', "kinds"
)


@pytest.mark.parametrize("order", ["given", "reversed"])
def test_every_kind_of_scalar_arrives_whatever_lies_beside_it(gpu, order):
    kinds = list(KINDS.values())
    kernel = ALL_KINDS
    if order == "reversed":
        kinds.reverse()
        names = ", ".join(f"{kind} a{i}" for i, kind in enumerate(reversed(KINDS)))
        kernel = Kernel(f"__global__ void kinds({names}, double* out) {{ {WRITES} }}", "kinds")
    out = gpu.empty(len(kinds), np.float64)
    launch = kernel.prepare(
        (1, 1, 1), (1, 1, 1), varying=[kind for kind, _, _ in kinds] + [ctypes.c_void_p]
    )
    launch(*(value for _, value, _ in kinds), pointer(out))
    assert out.get().tolist() == [seen for _, _, seen in kinds]


class Layout(ctypes.Structure):
    _fields_ = (("rank", ctypes.c_int), ("sizes", ctypes.c_longlong * 3))


STRUCTURES = Kernel(
    """
    struct Layout { int rank; long long sizes[3]; };
    struct Table { double* at[2]; };
    __global__ void sum_up(char first, Layout a, Table table, Layout b) {
        for (int i = 0; i < 2; i++)
            table.at[i][0] = first + a.rank * a.sizes[i] + 1000 * b.rank * b.sizes[i];
    }
    """,
    "sum_up",
)


def test_structures_arrive_whether_they_vary_or_stay(gpu):
    one, two = gpu.empty(1, np.float64), gpu.empty(1, np.float64)
    launch = STRUCTURES.prepare(
        (1, 1, 1),
        (1, 1, 1),
        varying=(ctypes.c_byte, Layout, ctypes.c_void_p * 2),
        constant=(Layout(2, (3, 4, 5)),),
    )
    for rank in (1, 6):
        table = (ctypes.c_void_p * 2)(pointer(one), pointer(two))
        launch(5, Layout(rank, (7, 8, 9)), table)
        assert one.get().tolist() == [5 + rank * 7 + 6000]
        assert two.get().tolist() == [5 + rank * 8 + 8000]


def test_constants_stay_alive_with_the_launch(gpu):
    launches = [prepared(n) for n in (1, 2, 3)]
    garbage = [ctypes.c_longlong(7) for _ in range(100)]
    x = gpu.asarray(np.ones(4, np.float32))
    for n, launch in enumerate(launches, start=1):
        out = gpu.zeros(4, np.float32)
        launch(pointer(x), pointer(out), 1.0)
        assert out.get().sum() == n
    assert len(garbage) == 100


def test_threads_that_launch_at_once_do_not_meet_in_one_argument_block():
    """Every block that reaches the back end holds the values of the thread that launched it."""
    wrong = []
    mine = threading.local()

    class Reader:
        def prepare(self, kernel, grid, block, shared):
            def run(address):
                expected = mine.value
                for _ in range(20):
                    table = (ctypes.c_void_p * 3).from_address(address)
                    seen = ctypes.c_longlong.from_address(table[0]).value
                    stays = ctypes.c_longlong.from_address(table[2]).value
                    if (seen, stays) != (expected, 11):
                        wrong.append(seen)

            return run

    launch = Kernel("", "k").prepare(
        (1, 1, 1),
        (1, 1, 1),
        varying=(ctypes.c_longlong, ctypes.c_double),
        constant=(ctypes.c_longlong(11),),
    )

    def work(value):
        mine.value = value
        for _ in range(200):
            launch(value, 0.5)

    with use_backend(Reader()), ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert wrong == []


def test_a_launch_that_fails_leaves_the_next_one_right(gpu):
    launch = prepared(4)
    x, out = gpu.asarray(np.ones(4, np.float32)), gpu.empty(4, np.float32)
    with pytest.raises(struct.error, match="expected 3 items"):
        launch(pointer(x), pointer(out))
    launch(pointer(x), pointer(out), 3.0)
    assert out.get().tolist() == [3.0] * 4


def test_a_whole_number_that_does_not_fit_is_an_error_not_another_number():
    launch = Kernel("", "k").prepare((1, 1, 1), (1, 1, 1), varying=(ctypes.c_int,))
    with use_backend(Quiet()), pytest.raises(struct.error, match="number"):
        launch(2**40)


@pytest.mark.parametrize(
    ("grid", "block"),
    [
        ((0, 1, 1), (32, 1, 1)),
        ((1, 65536, 1), (32, 1, 1)),
        ((2**31, 1, 1), (32, 1, 1)),
        ((1, 1, 1), (1025, 1, 1)),
        ((1, 1, 1), (32, 33, 1)),
        ((1, 1, 1), (1, 1, 65)),
    ],
)
def test_a_grid_that_no_gpu_launches_is_refused_when_it_is_prepared(grid, block):
    with pytest.raises(ValueError, match=r"^scale<float>: .*cannot be launched"):
        SCALE.prepare(grid, block)


def test_a_recording_back_end_lists_kernels_in_order(gpu):
    x, out = gpu.asarray(np.ones(4, np.float32)), gpu.empty(4, np.float32)
    launch, other = prepared(4), ALL_KINDS.prepare((1, 1, 1), (1, 1, 1))
    launch(pointer(x), pointer(out), 1.0)  # prepared before, and for another back end
    with use_backend(RecordingBackend(Quiet())) as recording:
        launch(pointer(x), pointer(out), 1.0)
        other()
        launch(pointer(x), pointer(out), 1.0)
    launch(pointer(x), pointer(out), 1.0)
    assert recording.launches == ["scale<float>", "kinds", "scale<float>"]


class Quiet:
    """Runs nothing."""

    def prepare(self, kernel, grid, block, shared):
        return lambda address: None


def test_the_device_of_an_array_becomes_current_and_the_one_before_comes_back(gpu):
    with gpu.cuda.Device(1):
        there = gpu.empty(1, np.float32)
    assert there.device.id == 1
    with on_device_of(there):
        assert gpu.cuda.runtime.getDevice() == 1
    assert gpu.cuda.runtime.getDevice() == 0


# CuPy's side: real NVRTC and argument blocks, on a driver that only writes down what it is told


class Driver:
    """`cupy_backends.cuda.api.driver` and `.runtime` for GPUs that only keep a log."""

    class CUDADriverError(RuntimeError):
        def __init__(self, message, status):
            super().__init__(message)
            self.status = status

    CUDARuntimeError = CUDADriverError

    def __init__(self):
        self.current, self.capability = 0, {0: (9, 0), 1: (8, 0)}
        self.loaded, self.launches, self.attributes, self.failures = [], [], [], []
        self.bound, self.without_context = 0, set()  # threads that have not used a GPU

    def ctxGetCurrent(self):
        return int(threading.get_ident() not in self.without_context)

    def getDevice(self):
        return self.current

    def setDevice(self, device):
        self.bound += 1

    def memGetInfo(self):
        self.without_context.discard(threading.get_ident())
        return 1, 1

    def deviceGetAttribute(self, attribute, device):
        return self.capability[device][attribute - 75]

    def moduleLoadData(self, image):
        self._expect_context()
        assert image.startswith(b"\x7fELF")
        self.loaded.append(self.current)
        return len(self.loaded)

    def moduleGetFunction(self, module, funcname):
        self._expect_context()
        assert funcname == "_Z5scaleIfEvPKT_PS0_S0_x"
        return 10 * module

    def funcSetAttribute(self, f, attribute, value):
        self._expect_context()
        self.attributes.append((f, attribute, value))

    def launchKernel(
        self, f, grid_dim_x, grid_dim_y, grid_dim_z, block_dim_x, block_dim_y, block_dim_z,
        shared_mem_bytes, stream, kernel_params, extra,
    ):  # fmt: skip
        if self.failures:
            raise self.failures.pop(0)
        self._expect_context()
        table = (ctypes.c_void_p * 4).from_address(kernel_params)
        self.launches.append(
            (f, self.current, (grid_dim_x, grid_dim_y, grid_dim_z),
             (block_dim_x, block_dim_y, block_dim_z), shared_mem_bytes, stream,
             ctypes.c_float.from_address(table[2]).value,
             ctypes.c_longlong.from_address(table[3]).value)
        )  # fmt: skip

    def _expect_context(self):
        if not self.ctxGetCurrent():
            raise self.CUDADriverError("CUDA_ERROR_INVALID_CONTEXT", 201)


def test_the_driver_that_keeps_a_log_has_nothing_that_cupys_lacks():
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from cupy_backends.cuda.api import driver, runtime

    names = [name for name in vars(Driver) if not name.startswith("_")]
    assert [name for name in names if not (hasattr(driver, name) or hasattr(runtime, name))] == []


@pytest.fixture
def driver(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    from cupy_backends.cuda import api

    found = Driver()
    monkeypatch.setattr(api, "driver", found)
    monkeypatch.setattr(api, "runtime", found)
    monkeypatch.setattr(cupy.cuda, "get_current_stream", lambda: types.SimpleNamespace(ptr=77))
    with use_backend(CupyBackend()):
        yield found


def test_cupy_launches_on_the_current_stream_with_the_block_as_it_is(driver):
    launch = prepared(100)
    launch(8, 16, 0.5)
    launch(8, 16, 0.25)
    assert driver.loaded == [0]
    assert [seen[2:] for seen in driver.launches] == [
        ((2, 1, 1), (64, 1, 1), 0, 77, factor, 100) for factor in (0.5, 0.25)
    ]


def test_each_device_has_its_own_binary_and_prepared_launches_share_it(driver):
    one, two = prepared(100), prepared(5)
    for driver.current in (0, 1, 0, 1):
        one(8, 16, 1.0)
        two(8, 16, 1.0)
    assert driver.loaded == [0, 1]
    assert {(seen[0], seen[1]) for seen in driver.launches} == {(10, 0), (20, 1)}


def test_much_shared_memory_is_asked_for_once(driver):
    launch = SCALE.prepare(
        (1, 1, 1),
        (32, 1, 1),
        shared=100_000,
        varying=(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float),
        constant=(ctypes.c_longlong(1),),
    )
    launch(8, 16, 1.0)
    launch(8, 16, 1.0)
    assert driver.attributes == [(10, 8, 100_000)]


def test_a_thread_without_a_context_gets_one(driver):
    driver.failures = [driver.CUDADriverError("CUDA_ERROR_INVALID_CONTEXT", 201)]
    prepared(100)(8, 16, 1.0)
    assert driver.bound == 1
    assert len(driver.launches) == 1


@pytest.mark.parametrize("earlier", [None, "another launch", "the same launch"])
def test_a_thread_that_has_not_used_the_gpu_launches_what_is_loaded_or_not(driver, earlier):
    pointers = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float)
    one, other = (
        SCALE.prepare(
            (1, 1, 1),
            (32, 1, 1),
            shared=100_000,
            varying=pointers,
            constant=(ctypes.c_longlong(1),),
        )
        for _ in range(2)
    )
    if earlier:
        (one if earlier == "the same launch" else other)(8, 16, 1.0)

    def launch():
        driver.without_context.add(threading.get_ident())
        one(8, 16, 2.0)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(launch).result()
    assert driver.bound == 1
    assert driver.launches[-1][-2] == 2.0


@pytest.mark.parametrize(("status", "elsewhere"), [(1, False), (701, False), (700, True)])
def test_an_error_of_the_driver_names_the_kernel(driver, status, elsewhere):
    driver.failures = [driver.CUDADriverError("CUDA_ERROR_SOMETHING: no", status)]
    with pytest.raises(RuntimeError, match=r"^scale<float>: .*\(64, 1, 1\).*SOMETHING") as caught:
        prepared(100)(8, 16, 1.0)
    assert ("earlier launch" in str(caught.value)) == elsewhere


def test_a_kernel_that_does_not_compile_says_so_at_its_first_launch(driver):
    launch = Kernel("\n__global__ void k() { missing(); }", "k", filename="mine.cu").prepare(
        (1, 1, 1), (1, 1, 1)
    )
    with pytest.raises(CompileError, match=r"(?s)^k does not compile for sm_90a.*mine\.cu:2: "):
        launch()


def test_a_gpu_that_is_too_old_is_refused(driver):
    driver.capability[0] = (7, 5)
    with pytest.raises(RuntimeError, match=r"compute capability 7\.5.*need 8\.0"):
        prepared(100)(8, 16, 1.0)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "driver",
            [
                "ctxGetCurrent",
                "launchKernel",
                "moduleGetFunction",
                "moduleLoadData",
                "funcSetAttribute",
            ],
        ),
        ("runtime", ["deviceGetAttribute", "getDevice", "memGetInfo", "setDevice"]),
    ],
)
def test_the_driver_of_these_tests_takes_what_cupys_takes(module, names):
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from cupy_backends.cuda import api

    for name in names:
        theirs = getattr(getattr(api, module), name).__doc__.split("\n")[0]
        listed = theirs[theirs.index("(") + 1 : theirs.rindex(")")]
        parameters = [one.split()[-1].split("=")[0] for one in listed.split(",") if one]
        ours = list(inspect.signature(getattr(Driver(), name)).parameters)
        assert len(ours) == len(parameters), theirs
        if module == "driver":
            assert ours == parameters or name == "moduleLoadData", theirs


@pytest.mark.gpu
def test_a_gpu_computes_what_the_emulator_computes():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    x, out = cupy.arange(1000, dtype=np.float32), cupy.empty(1000, np.float32)
    with use_backend(CupyBackend()):
        prepared(1000)(pointer(x), pointer(out), 0.1)
    assert np.array_equal(out.get(), np.arange(1000, dtype=np.float32) * np.float32(0.1))


def test_a_launch_costs_little_more_than_its_back_end():
    """A bound for a busy machine; `launch` takes about 0.2 us on an idle one."""
    import timeit

    with use_backend(Quiet()):
        launch = prepared(100)
        took = min(timeit.repeat(lambda: launch(8, 16, 0.5), number=10_000, repeat=5)) / 10_000
    assert took < 2e-6


def test_the_back_end_is_cupys_unless_another_is_chosen(driver, monkeypatch):
    monkeypatch.setattr(launching, "_backend", None)
    assert isinstance(launching.backend(), CupyBackend)
