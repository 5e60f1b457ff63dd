// Copies of permuted arrays.
//
// Where lines stay whole, such as those of heads of attention, each thread copies a word of one.
//
// Where what lies side by side afterwards lay apart before, a block reads a tile along the lines of
// the source and writes it along those of the copy, by way of shared memory, so that both sides are
// read and written in whole lines. A line of the tile is padded so that the threads of a warp meet no
// bank of shared memory twice in a column.
#include "types.cuh"

constexpr int MOST_DIMS = 6;

// Lines one after another in the copy; dimensions innermost first, of which the first is a line.
struct Lines {
    long long count;  // of words
    int dims;
    long long shape[MOST_DIMS], from[MOST_DIMS];  // in words
};

template <class Word, class Index>
__global__ void __launch_bounds__(256) copy_lines(const Word* from, Word* to, Lines lines) {
    const Index stride = (Index)gridDim.x * blockDim.x, count = lines.count;
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        Index rest = i;
        long long source = 0;
#pragma unroll
        for (int d = 0; d < MOST_DIMS; d++)
            if (d + 1 < lines.dims) {
                const Index next = rest / (Index)lines.shape[d];
                source += (long long)(rest - next * (Index)lines.shape[d]) * lines.from[d];
                rest = next;
            } else if (d + 1 == lines.dims) {
                source += (long long)rest * lines.from[d];
            }
        to[i] = from[source];
    }
}

// An element of the copy is at (stack, row, column); columns lie side by side in the copy, and rows
// in the source.
struct Places {
    long long rows, columns;
    long long from_column, to_row;  // from one to the next, in elements, in the source and the copy
    long long count;                // of matrices in the stack
    int dims;                       // of the stack, innermost first
    long long shape[MOST_DIMS], from[MOST_DIMS], to[MOST_DIMS];
};

template <class T, int TILE>
__global__ void __launch_bounds__(256) transpose(const T* from, T* to, Places places) {
    constexpr int WARP = 32, LINES = 8, PADDING = sizeof(T) < 4 ? 4 / sizeof(T) : 1;
    __shared__ T tile[TILE][TILE + PADDING];
    const int x = threadIdx.x, y = threadIdx.y;
    const long long down = (places.rows + TILE - 1) / TILE;
    const long long across = (places.columns + TILE - 1) / TILE;
    for (long long number = blockIdx.x; number < places.count * down * across;
         number += gridDim.x) {
        const long long row = number % down * TILE, column = number / down % across * TILE;
        long long rest = number / (down * across), source = 0, target = 0;
        for (int d = 0; d < places.dims; d++) {
            const long long place = rest % places.shape[d];
            rest /= places.shape[d];
            source += place * places.from[d];
            target += place * places.to[d];
        }
#pragma unroll
        for (int j = y; j < TILE; j += LINES)
#pragma unroll
            for (int i = x; i < TILE; i += WARP)
                if (column + j < places.columns && row + i < places.rows)
                    tile[j][i] = from[source + (column + j) * places.from_column + row + i];
        __syncthreads();
#pragma unroll
        for (int i = y; i < TILE; i += LINES)
#pragma unroll
            for (int j = x; j < TILE; j += WARP)
                if (column + j < places.columns && row + i < places.rows)
                    to[target + (row + i) * places.to_row + column + j] = tile[j][i];
        __syncthreads();
    }
}
