// The matrix instructions of a warp, which kernels call by their names in kernels/cuda.
//
// Each is a collective of all 32 lanes. What is done for them lies in tensor_cores.cpp, which is
// compiled once, with optimisation, and which no sanitizer watches: lanes exchange registers there.
// A lane's own accesses of shared memory are made by its kernel, and watched.
#pragma once

#include "block.hpp"
#include "keywords.hpp"

namespace emulator {

enum class Number { tf32, float16, bfloat16 };

// sums += a * b: 16 x 8 sums, over a depth of 8 (tf32) or 16.
void multiply_fragments(
    Number number, float* sums, const unsigned* a, const unsigned* b, Place place);

// Hands out 8 x 8 matrices of 16 bits, of each of which eight lanes have brought the rows.
struct MatrixRow {
    unsigned words[4];
};
void distribute_rows(MatrixRow row, int matrices, bool transposed, unsigned* to, Place place);


template <int matrices>
static inline void load_matrices(
    unsigned (&to)[matrices], const void* row, bool transposed, Place place) {
    static_assert(matrices == 2 || matrices == 4, "ldmatrix reads 2 or 4 matrices here");
    MatrixRow mine{};
    if (current->lane < 8 * matrices) {
        if ((size_t)row % 16) fail("the address of a row is not aligned to 16 bytes", place);
        if (!is_shared(row)) fail("the address of a row is not of shared memory", place);
        mine = *(const MatrixRow*)row;
    }
    distribute_rows(mine, matrices, transposed, to, place);
}

}  // namespace emulator
