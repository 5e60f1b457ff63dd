// The matrix instructions of a warp (mma.sync and ldmatrix), from sm_80 on.
//
// A warp multiplies A, 16 rows of a depth, by B, 8 columns of it, and adds to 16 x 8 sums of float.
// The depth is 8 of tf32 or 16 of a half type. All 32 lanes come to a call together, each with its
// fragment of the matrices. With g = lane / 4 and t = lane % 4:
//
//     a[0] row g      depth t    | 2t, 2t + 1         sums[0], sums[1]  row g      columns 2t, 2t + 1
//     a[1] row g + 8  the same                        sums[2], sums[3]  row g + 8  the same
//     a[2] row g      depth t + 4 | 2t + 8, 2t + 9    b0  column g  depth as of a[0]
//     a[3] row g + 8  the same                        b1  column g  depth as of a[2]
//
// where the depth on the left is of tf32, one of which fills a register, and that on the right of
// half types, the lower of two in the lower bits. These registers are what load_matrices makes of
// rows of 16 bytes that lie along the depth; the transposed one, of rows that lie across it.
#pragma once
#include "types.cuh"

struct tf32 {};  // a float of which 10 bits of the fraction are kept; in a register of 32 bits

#ifndef TAPEGRAD_EMULATOR
// The nearest tf32, of two as near the one away from 0.
__device__ __forceinline__ unsigned round_to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// sums += a * b, of elements of type T.
template <class T>
__device__ __forceinline__ void multiply_add(
    float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);

#define TAPEGRAD_MULTIPLY_ADD(type, shape, name)                                                  \
    template <>                                                                                   \
    __device__ __forceinline__ void multiply_add<type>(                                           \
        float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {                     \
        asm volatile("mma.sync.aligned." shape ".row.col.f32." name "." name ".f32 "              \
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"            \
                     : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])                 \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));             \
    }
TAPEGRAD_MULTIPLY_ADD(tf32, "m16n8k8", "tf32")
TAPEGRAD_MULTIPLY_ADD(float16, "m16n8k16", "f16")
TAPEGRAD_MULTIPLY_ADD(bfloat16, "m16n8k16", "bf16")
#undef TAPEGRAD_MULTIPLY_ADD

// Reads 8 x 8 matrices of 16 bits (or 8 x 4 of 32) from shared memory, a register of each to a lane.
// Lane 8m + r says where row r of matrix m lies: 16 bytes, aligned to 16. Of two matrices, lanes 16
// and above say nothing that is read.
#define TAPEGRAD_LOAD_MATRICES(function, kind)                                                    \
    __device__ __forceinline__ void function(unsigned (&to)[4], const void* row) {                \
        asm volatile("ldmatrix.sync.aligned.m8n8.x4" kind ".shared.b16 {%0, %1, %2, %3}, [%4];"   \
                     : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])                         \
                     : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");                  \
    }                                                                                             \
    __device__ __forceinline__ void function(unsigned (&to)[2], const void* row) {                \
        asm volatile("ldmatrix.sync.aligned.m8n8.x2" kind ".shared.b16 {%0, %1}, [%2];"           \
                     : "=r"(to[0]), "=r"(to[1])                                                   \
                     : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");                  \
    }
TAPEGRAD_LOAD_MATRICES(load_matrices, "")
TAPEGRAD_LOAD_MATRICES(load_matrices_transposed, ".trans")
#undef TAPEGRAD_LOAD_MATRICES
#else
static inline unsigned round_to_tf32(float x) {
    const unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffffffu;  // NaN
    return bits + 0x1000u & ~0x1fffu;  // beyond the largest follows infinity, which stays
}

static inline emulator::Number number_of(tf32) { return emulator::Number::tf32; }
static inline emulator::Number number_of(float16) { return emulator::Number::float16; }
static inline emulator::Number number_of(bfloat16) { return emulator::Number::bfloat16; }

template <class T>
static inline void multiply_add(
    float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, TAPEGRAD_PLACE) {
    const unsigned b[2] = {b0, b1};
    emulator::multiply_fragments(number_of(T{}), sums, a, b, {"multiply_add", file, line});
}
template <int matrices>
static inline void load_matrices(unsigned (&to)[matrices], const void* row, TAPEGRAD_PLACE) {
    emulator::load_matrices(to, row, false, {"load_matrices", file, line});
}
template <int matrices>
static inline void load_matrices_transposed(
    unsigned (&to)[matrices], const void* row, TAPEGRAD_PLACE) {
    emulator::load_matrices(to, row, true, {"load_matrices_transposed", file, line});
}
#endif
