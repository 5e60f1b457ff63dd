"""Every kernel and every variant compiles for both architectures, without spills, without a GPU."""

from pathlib import Path

import pytest

from tapegrad.kernels import cuda
from tapegrad.kernels.cuda import compiling, inventory
from tapegrad.kernels.cuda.compiling import ARCHITECTURES
from tapegrad.kernels.cuda.inventory import compile_all, table, totals
from tapegrad.kernels.cuda.launching import Kernel

FOLDER = Path(cuda.__file__).parent


@pytest.fixture(scope="module")
def nvrtc():
    try:
        return compiling.nvrtc()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def reports(nvrtc):
    found = list(compile_all(inventory.variants()))
    print(totals(found))
    return found


def test_every_variant_compiles_for_every_architecture(reports):
    assert len(reports) == len(ARCHITECTURES) * len(inventory.variants())


def test_no_variant_spills_registers(reports):
    spilling = [report for report in reports if report.takes.spills]
    assert not spilling, table(spilling)


def test_local_memory_is_used_only_where_a_kernel_says_so(reports):
    using = [report for report in reports if report.takes.stack > report.kernel.stack]
    assert not using, table(using)


def test_a_block_of_the_most_threads_finds_enough_registers(reports):
    """65,536 registers over 1,024 threads, unless a kernel bounds its launches."""
    crowded = [
        report
        for report in reports
        if report.takes.registers > 64 and "__launch_bounds__" not in report.kernel.text
    ]
    assert not crowded, table(crowded)


def test_every_source_file_is_among_the_variants():
    listed = {kernel.filename for kernel in inventory.variants()}
    assert {path.name for path in FOLDER.glob("*.cu")} <= listed


def test_a_kernel_that_spills_is_found(nvrtc):
    """A planted one: more values alive at once than the registers that it is allowed."""
    text = """
    extern "C" __global__ void __launch_bounds__(1024, 2) crowded(const float* x, float* out) {
        float held[96];
    #pragma unroll
        for (int i = 0; i < 96; i++) held[i] = x[i * 1024 + threadIdx.x];
        float sum = 0;
        for (int j = 0; j < 8; j++) {
    #pragma unroll
            for (int i = 0; i < 96; i++) { held[i] = held[i] * held[95 - i] + sum; sum += held[i]; }
            __syncthreads();
        }
    #pragma unroll
        for (int i = 0; i < 96; i++) out[i * 1024 + threadIdx.x] = held[i];
    }
    """
    found = list(compile_all([Kernel(text, "crowded")]))
    assert all(report.takes.spills > 0 for report in found)
    assert totals(found) == "1 kernels, 1 variants, 2 compilations, 2 with spills"


def test_a_kernel_that_indexes_its_registers_is_found(nvrtc):
    text = """
    extern "C" __global__ void indexed(const float* x, float* out, int at) {
        float held[8];
        for (int i = 0; i < 8; i++) held[i] = x[i] * x[at];
        for (int i = 0; i < 8; i++) held[(i * at) & 7] += held[i];
        for (int i = 0; i < 8; i++) out[i] = held[(at + i) & 7];
    }
    """
    (report,) = compile_all([Kernel(text, "indexed")], ["sm_90a"])
    assert report.takes.stack == 32
