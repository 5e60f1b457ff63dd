// Tiles of shared memory that Hopper's warpgroups multiply, in the place of `Tensor` of tensor_tiles.cuh.
//
// Lines are 128 bytes, swizzled (warpgroups.cuh), and so is a step of the depth, or a panel of rows.
// A block is one or two warpgroups, each with BM / 64 or half as many times 64 rows by all columns.
// The products of a step run while the next steps are copied, so that a stage is free two steps later.
#pragma once
#include "tiles.cuh"
#include "warpgroups.cuh"

template <class T, int ROWS, bool deep> struct SwizzledLines {
    static constexpr int BK = 64, LINE = 128;
    unsigned char bytes[ROWS * LINE];

    __device__ __forceinline__ T* at(int row, int k) {
        const int offset = deep ? row * LINE + k * 2 : (row / 64 * BK + k) * LINE + row % 64 * 2;
        return reinterpret_cast<T*>(bytes + swizzled(offset));
    }
    // From the 64th part of the rows with this number on, and the 16th of the depth.
    __device__ __forceinline__ unsigned long long part(int rows, int depth) const {
        // An address is said in 16 bytes, in the lowest bits.
        return tile<deep, BK>(bytes) + (rows * 64 * LINE + depth * (deep ? 32 : 16 * LINE)) / 16;
    }
};

template <class T, int BM_, int BN_, bool deep, bool deep_b = deep> struct Warpgroup {
    using Element = T;
    using Sum = float;
    static constexpr int BM = BM_, BN = BN_, BK = 64, STAGES = BM * BN == 128 * 128 ? 3 : 4;
    static constexpr int GROUPS = BM >= 128 ? 2 : 1, MI = BM / 64 / GROUPS;
    static constexpr int THREADS = 128 * GROUPS, AHEAD = STAGES - 2;
    static constexpr bool DEEP_B = deep_b;
    struct __align__(1024) Stage {
        SwizzledLines<T, BM, deep> a;
        SwizzledLines<T, BN, deep_b> b;
    };
    // Not 0 at first: the first product does not add to what is there. Sums that other instructions
    // set would make each product wait for the one before it.
    struct Sums {
        float at[MI][BN / 2];
        bool begun;
        __device__ __forceinline__ Sums() : begun(false) {}
    };

    static __device__ __forceinline__ void show() { show_tiles(); }
    static __device__ __forceinline__ void multiply(Sums& sums, const Stage& stage) {
        const int group = threadIdx.x / 128;
        begin_products();
#pragma unroll
        for (int k = 0; k < BK / 16; k++)
#pragma unroll
            for (int i = 0; i < MI; i++)
                add_product<T, BN, deep, deep_b>(
                    sums.at[i], stage.a.part(group * MI + i, k), stage.b.part(0, k), sums.begun || k > 0);
        commit_products();
        sums.begun = true;
        wait_products<1>();
    }
    static __device__ __forceinline__ void finish(Sums& sums) {
        wait_products<0>();
#pragma unroll
        for (int i = 0; i < MI; i++) settle(sums.at[i]);
        if (sums.begun) return;
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
            for (int j = 0; j < BN / 2; j++) sums.at[i][j] = 0;
    }
    // Visitors get (row, column, the sums of two neighbouring columns).
    template <class Visit> static __device__ __forceinline__ void each(Sums& sums, Visit visit) {
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
            for (int j = 0; j < BN / 2; j += 2) {
                float values[2] = {sums.at[i][j], sums.at[i][j + 1]};
                visit((warp / 4 * MI + i) * 64 + warp % 4 * 16 + j / 2 % 2 * 8 + lane / 4,
                      j / 4 * 8 + lane % 4 * 2, values);
            }
    }
};
