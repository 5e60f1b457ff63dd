// How a block multiplies two tiles of shared memory: BM rows of A by BN rows of B, over a depth BK.
//
// A tile lies DEEP where the depth runs along a line of it, as a matrix and a transposed one are
// multiplied, or WIDE where the rows do. Lines are padded so that the threads that read together
// meet in no bank. `Fma` adds exactly what floats make of it, with the arithmetic units. It holds
// its sums in registers, and `each` says which they are. Tiles are copied from global memory by
// loaders of the kernels, beside the multiplication of those before.
#pragma once
#include "copies.cuh"
#include "types.cuh"

constexpr bool DEEP = true, WIDE = false;

// Lines of shared memory; `at(row, k)` is an element.
template <class T, int ROWS, int BK, bool deep, int PAD> struct Lines {
    static constexpr int PITCH = (deep ? BK : ROWS) + PAD;
    T line[deep ? ROWS : BK][PITCH];
    __device__ __forceinline__ T* at(int row, int k) {
        return deep ? &line[row][k] : &line[k][row];
    }
    __device__ __forceinline__ const T* at(int row, int k) const {
        return deep ? &line[row][k] : &line[k][row];
    }
};

// What a tile has to do beside the multiplication: nothing, if its threads multiply themselves. Then
// a stage is free as soon as they have, and all but one of the stages are copied ahead.
struct AtOnce {
    static __device__ __forceinline__ void show() {}    // after copies of this thread have landed
    template <class Sums>
    static __device__ __forceinline__ void finish(Sums& sums) {}  // before sums are read
};

// BM x BN tiles of T, by threads in 16 columns. Visitors of `each` get (row, column, W sums of
// neighbouring columns).
template <class T, int BM_, int BN_, bool deep> struct Fma : AtOnce {
    using Element = T;
    using Sum = Compute<T>;
    static constexpr int BM = BM_, BN = BN_, BK = 64 / sizeof(T), STAGES = 3, AHEAD = STAGES - 1;
    static constexpr int THREADS = BM * BN >= 128 * 128 ? 256 : 128;
    static constexpr int PACK = 16 / sizeof(T);
    static constexpr bool DEEP_B = deep;
    struct __align__(16) Stage {
        Lines<T, BM, BK, deep, PACK> a;
        Lines<T, BN, BK, deep, PACK> b;
    };
    static constexpr int DOWN = THREADS / 16, MI = BM / DOWN, NJ = BN / 16;
    static constexpr int W = deep ? 1 : PACK < 4 ? PACK : 4;  // neighbouring rows and columns of a thread
    using Vector = Pack<T, deep ? PACK : W>;
    struct Sums {
        Sum at[MI][NJ];
    };

    static __device__ __forceinline__ int row(int i) {
        return i / W * DOWN * W + (int)threadIdx.x / 16 * W + i % W;
    }
    static __device__ __forceinline__ int column(int j) {
        return j / W * 16 * W + (int)threadIdx.x % 16 * W + j % W;
    }
    static __device__ __forceinline__ Vector vector(const T* from) {
        return *reinterpret_cast<const Vector*>(from);
    }
    static __device__ __forceinline__ void multiply(Sums& sums, const Stage& stage) {
        if constexpr (deep) {
#pragma unroll 2
            for (int k = 0; k < BK; k += PACK) {
                Vector b[NJ];
#pragma unroll
                for (int j = 0; j < NJ; j++) b[j] = vector(stage.b.at(column(j), k));
#pragma unroll
                for (int i = 0; i < MI; i++) {
                    const Vector a = vector(stage.a.at(row(i), k));
#pragma unroll
                    for (int j = 0; j < NJ; j++)
#pragma unroll
                        for (int v = 0; v < PACK; v++)
                            sums.at[i][j] += load(a.at[v]) * load(b[j].at[v]);
                }
            }
        } else {
#pragma unroll 4
            for (int k = 0; k < BK; k++) {
                Vector b[NJ / W];
#pragma unroll
                for (int j = 0; j < NJ / W; j++) b[j] = vector(stage.b.at(column(j * W), k));
#pragma unroll
                for (int i = 0; i < MI / W; i++) {
                    const Vector a = vector(stage.a.at(row(i * W), k));
#pragma unroll
                    for (int v = 0; v < W; v++)
#pragma unroll
                        for (int j = 0; j < NJ; j++)
                            sums.at[i * W + v][j] += load(a.at[v]) * load(b[j / W].at[j % W]);
                }
            }
        }
    }
    template <class Visit> static __device__ __forceinline__ void each(Sums& sums, Visit visit) {
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
            for (int j = 0; j < NJ; j += W) {
                Sum values[W];
#pragma unroll
                for (int v = 0; v < W; v++) values[v] = sums.at[i][j + v];
                visit(row(i), column(j), values);
            }
    }
};

// Copies V elements that lie together; zeros if not `wanted`.
template <int V, class T>
__device__ __forceinline__ void copy(T* to, const T* from, bool wanted) {
    if constexpr (V * sizeof(T) >= 4)
        copy_async<V * sizeof(T)>(to, from, wanted);
    else
        *to = wanted ? *from : T{};
}

// Which tile a block has: neighbouring blocks share the rows, which are more to read.
struct Share {
    int number;  // of the product, where several are one launch
    long long first_row;
    int first_column;
    __device__ __forceinline__ Share(long long rows, int columns, int BM, int BN) {
        const int across = (columns + BN - 1) / BN;
        const int down = (int)((rows + BM - 1) / BM);
        const int block = blockIdx.x / across;
        first_column = (int)(blockIdx.x % across) * BN;
        first_row = (long long)(block % down) * BM;
        number = block / down;
    }
};

// Multiplies tiles while the next ones are copied: `load` copies one, `depths` times in all.
template <class Tile, class Load>
__device__ __forceinline__ void multiply_all(typename Tile::Sums& sums,
                                             typename Tile::Stage* stages, int depths, Load load) {
    constexpr int AHEAD = Tile::AHEAD;
    for (int k = 0; k < AHEAD; k++) {
        if (k < depths) load(stages[k]);
        commit_copies();
    }
    int now = 0, next = AHEAD;
#pragma unroll 1
    for (int k = 0; k < depths; k++) {
        wait_copies<AHEAD - 1>();
        Tile::show();
        __syncthreads();  // all have their part of this stage, and are done with the one before it
        if (k + AHEAD < depths) load(stages[next]);
        commit_copies();
        __syncwarp();  // loading may have parted the lanes, and tensor cores want all of a warp
        Tile::multiply(sums, stages[now]);
        now = now + 1 == Tile::STAGES ? 0 : now + 1;
        next = next + 1 == Tile::STAGES ? 0 : next + 1;
    }
    Tile::finish(sums);
}
