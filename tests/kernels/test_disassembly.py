"""The matrix instructions that were meant stand in the compiled code: in its disassembly."""

import itertools
import re

import pytest

from tapegrad.kernels.cuda import compiling, convolution_tiles, disassembly
from tapegrad.kernels.cuda.compiling import ARCHITECTURES, compiled, expand
from tapegrad.kernels.cuda.disassembly import opcodes
from tapegrad.kernels.cuda.inventory import together
from tapegrad.kernels.cuda.launching import Kernel

PRODUCT = """#include "tensor_cores.cuh"
extern "C" __global__ void product(const unsigned* a, float* sums) {
    __shared__ __align__(16) unsigned tile[32][4];
    for (int i = 0; i < 4; i++) tile[threadIdx.x][i] = a[4 * threadIdx.x + i];
    __syncwarp();
    unsigned held[4];
    load_matrices(held, tile[threadIdx.x]);
    float sum[4] = {};
    multiply_add<bfloat16>(sum, held, held[0], held[1]);
    for (int i = 0; i < 4; i++) sums[4 * threadIdx.x + i] = sum[i];
}
"""
OF_A_WARP = {"float": "HMMA.1688.F32.TF32", "float16": "HMMA.16816.F32",
             "bfloat16": "HMMA.16816.F32.BF16"}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def tools():
    try:
        compiling.nvrtc()
        disassembly.disassembler()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def convolutions():
    """What stands how often in every kernel of convolution, by the architecture and its name."""
    groups = together(convolution_tiles.variants())
    return {
        (arch, name): found
        for arch, group in itertools.product(ARCHITECTURES, groups)
        for name, found in opcodes(group, arch).items()
    }


def test_a_small_product_is_one_instruction():
    kernel = Kernel(expand(PRODUCT, "product.cu"), "product")
    found = opcodes([kernel], "sm_80")["product"]
    assert found["HMMA.16816.F32.BF16"] == found["LDSM.16.M88.4"] == 1


def matrix_instructions(found):
    return {opcode for opcode in found if opcode.startswith(("HMMA", "HGMMA", "DMMA"))}


def test_convolution_multiplies_by_the_instruction_of_its_type(convolutions):
    """As often as a warp has parts of 16 x 8 x 32 bytes in a tile, and by no other one."""
    seen = set()
    for (arch, name), found in convolutions.items():
        tile = re.match(r"(\w+)<Tensor<(\w+), (\d+), (\d+), (\w+)>", name)
        if tile is None:
            continue
        kind, down, across = tile[2], int(tile[3]), int(tile[4])
        assert matrix_instructions(found) == {OF_A_WARP[kind]}, (arch, name)
        wanted = down // 16 * (across // 8) // 4 * 2  # of four warps, two along the depth of a tile
        assert found[OF_A_WARP[kind]] % wanted == 0, (arch, name)
        seen.add(kind)
    assert seen == set(OF_A_WARP)


def test_convolution_on_hopper_multiplies_by_warpgroups(convolutions):
    """For each 64 rows of a warpgroup once per 16 of the depth, which is 64 in a tile."""
    tiles = set()
    for (arch, name), found in convolutions.items():
        tile = re.match(r"(\w+)<Warpgroup<(\w+), (\d+), (\d+), (\w+)>", name)
        if tile is None:
            continue
        if arch != "sm_90a":
            assert matrix_instructions(found) == set(), name
            continue
        wanted = f"HGMMA.64x{tile[4]}x16.F32" + ".BF16" * (tile[2] == "bfloat16")
        assert matrix_instructions(found) == {wanted}, name
        assert found[wanted] == max(int(tile[3]) // 128, 1) * 4, name
        tiles.add(tile.groups()[1:])
    assert len(tiles) == 2 * 5


def test_products_of_warpgroups_do_not_wait_for_one_another():
    """The compiler says so where it has to make them wait."""
    logs = [
        compiled(group[0].text, [kernel.name for kernel in group], "sm_90a", group[0].filename).log
        for group in together(convolution_tiles.variants())
    ]
    warning = re.compile(r"serialized|C75\d\d")
    assert not [line for log in logs for line in log.splitlines() if warning.search(line)]


def test_matrices_of_half_types_are_loaded_by_ldmatrix(convolutions):
    for (arch, name), found in convolutions.items():
        if "<Tensor<float16" in name or "<Tensor<bfloat16" in name:
            transposed = "false" in name  # what lies across the depth
            assert found["LDSM.16.MT88.4" if transposed else "LDSM.16.M88.4"], (arch, name)


def test_tiles_are_copied_beside_the_product(convolutions):
    """By cp.async: 16 bytes at once where channels are packs."""
    for (arch, name), found in convolutions.items():
        if re.search(r", [48]>$", name):
            assert found["LDGSTS.E.BYPASS.128"], (arch, name)


def test_exact_convolution_has_no_matrix_instruction(convolutions):
    exact = [(key, found) for key, found in convolutions.items() if "<Fma<" in key[1]]
    assert exact
    for (arch, name), found in exact:
        assert not matrix_instructions(found), (arch, name)
        assert found["DFMA" if "double" in name else "FFMA"] >= 64, (arch, name)
