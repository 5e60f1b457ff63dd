// Tiles of shared memory that tensor cores multiply, in the place of `Fma` of tiles.cuh.
//
// Floats are rounded to tf32 on their way to registers. A block has two by two warps, so that a
// fragment is used as often as registers allow. What lies DEEP is read by load_matrices, and so is
// what lies WIDE of half types, transposed; a float that lies WIDE is read by itself.
#pragma once
#include "tensor_cores.cuh"
#include "tiles.cuh"

template <class T> struct FactorType { using type = T; };
template <> struct FactorType<float> { using type = tf32; };

template <class T, int BM_, int BN_, bool deep, bool deep_b = deep> struct Tensor : AtOnce {
    using Element = T;
    using Sum = float;
    using Factor = typename FactorType<T>::type;
    static constexpr int BM = BM_, BN = BN_, BK = 64 / sizeof(T), STAGES = 4, AHEAD = STAGES - 1;
    static constexpr int THREADS = 128;
    static constexpr int DEPTH = 32 / sizeof(T);  // of one instruction
    static constexpr int WM = BM / 2, WN = BN / 2;
    static constexpr int MI = WM / 16, NJ = WN / 8;
    static constexpr bool HALF = sizeof(T) == 2;
    static constexpr bool DEEP_B = deep_b;
    static constexpr int PAD = deep || HALF ? 16 / sizeof(T) : 8;
    static constexpr int PAD_B = deep_b || HALF ? 16 / sizeof(T) : 8;
    struct __align__(16) Stage {
        Lines<T, BM, BK, deep, PAD> a;
        Lines<T, BN, BK, deep_b, PAD_B> b;
    };
    struct Sums {
        float at[MI][NJ][4];
    };

    static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }
    static __device__ __forceinline__ int first_row() { return (int)threadIdx.x / 32 % 2 * WM; }
    static __device__ __forceinline__ int first_column() { return (int)threadIdx.x / 64 * WN; }

    // 16 rows of A as `multiply_add` takes them, or 16 of B: the first 8 in registers 0 and 1.
    template <bool of_b, class Rows>
    static __device__ __forceinline__ void read(unsigned (&to)[4], const Rows& rows, int row,
                                                int k) {
        // Which 8 of 16 rows and which half of the depth the matrix of a lane, or a register, is.
        const int matrix = lane() / 8, low = matrix % 2, high = matrix / 2;
        const int part = of_b ? high : low, half = of_b ? low : high, within = lane() % 8;
        if constexpr (of_b ? deep_b : deep) {
            load_matrices(to, rows.at(row + part * 8 + within, k + half * (DEPTH / 2)));
        } else if constexpr (HALF) {
            load_matrices_transposed(to, rows.at(row + part * 8, k + half * 8 + within));
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++)
                to[i] = __float_as_uint(*rows.at(row + (of_b ? i / 2 : i % 2) * 8 + lane() / 4,
                                                 k + (of_b ? i % 2 : i / 2) * 4 + lane() % 4));
        }
        if constexpr (!HALF) {
#pragma unroll
            for (int i = 0; i < 4; i++) to[i] = round_to_tf32(__uint_as_float(to[i]));
        }
    }
    static __device__ __forceinline__ void multiply(Sums& sums, const Stage& stage) {
#pragma unroll
        for (int k = 0; k < BK; k += DEPTH) {
            unsigned a[MI][4], b[NJ / 2][4];
#pragma unroll
            for (int i = 0; i < MI; i++) read<false>(a[i], stage.a, first_row() + i * 16, k);
#pragma unroll
            for (int j = 0; j < NJ / 2; j++) read<true>(b[j], stage.b, first_column() + j * 16, k);
#pragma unroll
            for (int i = 0; i < MI; i++)
#pragma unroll
                for (int j = 0; j < NJ; j++)
                    multiply_add<Factor>(sums.at[i][j], a[i], b[j / 2][j % 2 * 2],
                                         b[j / 2][j % 2 * 2 + 1]);
        }
    }
    // Visitors get (row, column, the sums of two neighbouring columns).
    template <class Visit> static __device__ __forceinline__ void each(Sums& sums, Visit visit) {
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
            for (int j = 0; j < NJ; j++)
#pragma unroll
                for (int part = 0; part < 2; part++) {
                    float values[2] = {sums.at[i][j][part * 2], sums.at[i][j][part * 2 + 1]};
                    visit(first_row() + i * 16 + part * 8 + lane() / 4,
                          first_column() + j * 8 + lane() % 4 * 2, values);
                }
    }
};
