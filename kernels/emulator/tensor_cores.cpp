// What the tensor cores do for a warp, from the registers of its lanes (declared in tensor_cores.hpp).
//
// Layouts of fragments are those of the PTX ISA, section "Matrix multiply-accumulate operation using
// mma instruction". A lane has row (of A and of the sums) or column (of B) `lane / 4`, and others 8
// further on, and neighbouring columns from `lane % 4 * 2` on. Products are exact; sums are floats.
#include "machine.hpp"

#include <string.h>

namespace emulator {

template <class To, class From> static To as(From from) {
    To to;
    static_assert(sizeof to == sizeof from);
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}

float widen(Number number, unsigned bits) {
    static float float16[1 << 16];
    if (number == Number::bfloat16) return as<float>(bits << 16);
    if (!float16[0x3c00])  // the first time
        for (unsigned i = 0; i < 1 << 16; i++) float16[i] = as<_Float16>((unsigned short)i);
    return float16[bits];
}

// ---- mma.sync ----------------------------------------------------------------------------------

struct Fragments {
    Number number;
    float* sums;
    const unsigned *a, *b;
};

// Puts what register `r` of a lane holds to its places: neighbours along the depth, if it holds two.
template <int depth>
static void put(Number number, unsigned bits, int r, float (*matrix)[16], int row, int along) {
    if constexpr (depth == 8) {
        matrix[row][along + 4 * r] = as<float>(bits);
    } else {
        matrix[row][2 * along + 8 * r] = widen(number, bits & 0xffff);
        matrix[row][2 * along + 8 * r + 1] = widen(number, bits >> 16);
    }
}

template <int depth> static void multiply(void* const* of_lane) {
    float a[16][16], b[8][16], sums[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const Fragments& its = *(const Fragments*)of_lane[lane];
        const int g = lane / 4, t = lane % 4;
        for (int r = 0; r < 4; r++)
            put<depth>(its.number, its.a[r], r / 2, a, g + r % 2 * 8, t);
        for (int r = 0; r < 2; r++) put<depth>(its.number, its.b[r], r, b, g, t);
        for (int i = 0; i < 4; i++) sums[g + i / 2 * 8][2 * t + i % 2] = its.sums[i];
    }
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < depth; k++)
            for (int column = 0; column < 8; column++)
                sums[row][column] += a[row][k] * b[column][k];
    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4, t = lane % 4;
        float* its = ((const Fragments*)of_lane[lane])->sums;
        for (int i = 0; i < 4; i++) its[i] = sums[g + i / 2 * 8][2 * t + i % 2];
    }
}

static bool is_rounded_to_tf32(unsigned bits) {
    return !(bits & 0x1fff) || (bits & 0x7fffffff) > 0x7f800000;  // NaN has them all
}

void multiply_fragments(
    Number number, float* sums, const unsigned* a, const unsigned* b, Place place) {
    bool rounded = true;
    if (number == Number::tf32) {
        for (int i = 0; i < 4; i++) rounded = rounded && is_rounded_to_tf32(a[i]);
        for (int i = 0; i < 2; i++) rounded = rounded && is_rounded_to_tf32(b[i]);
    }
    if (!rounded) fail("a factor is not rounded to TF32", place);
    Fragments fragments{number, sums, a, b};
    work_together(&fragments, number == Number::tf32 ? multiply<8> : multiply<16>, place);
}

// ---- ldmatrix ----------------------------------------------------------------------------------

struct Rows {
    MatrixRow row;
    int matrices;
    bool transposed;
    unsigned* to;
};

static void distribute(void* const* of_lane) {
    unsigned short elements[4][8][8];  // matrix, row, column
    const Rows& first = *(const Rows*)of_lane[0];
    for (int lane = 0; lane < 32; lane++)
        memcpy(elements[lane / 8][lane % 8], ((const Rows*)of_lane[lane])->row.words, 16);
    for (int lane = 0; lane < 32; lane++)
        for (int m = 0; m < first.matrices; m++) {
            const int along = lane / 4, pair = lane % 4 * 2;
            const unsigned short low = first.transposed ? elements[m][pair][along]
                                                        : elements[m][along][pair];
            const unsigned short high = first.transposed ? elements[m][pair + 1][along]
                                                         : elements[m][along][pair + 1];
            ((const Rows*)of_lane[lane])->to[m] = (unsigned)high << 16 | low;
        }
}

void distribute_rows(MatrixRow row, int matrices, bool transposed, unsigned* to, Place place) {
    Rows rows{row, matrices, transposed, to};
    work_together(&rows, distribute, place);
}

}  // namespace emulator
