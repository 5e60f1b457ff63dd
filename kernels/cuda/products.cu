// Products of matrices of whole numbers, and of booleans; cuBLAS has those of floats.
//
// Each block computes tiles of 16 by 16, whose factors it brings into shared memory by and by. The
// matrices may have any strides.
#include "types.cuh"

constexpr int TILE = 16;
constexpr int MOST_DIMS = 8;

// A stack of products: sizes, and how far it is from one element to the next.
struct Sizes {
    long long m, n, k;
    long long a_row, a_column, b_row, b_column;
    long long count;                  // of products
    int dims;                         // of the stack, innermost first
    long long shape[MOST_DIMS], a_step[MOST_DIMS], b_step[MOST_DIMS];
};

// Sums wrap around as the type itself does; a sum of booleans is whether one is true.
template <class T> struct Sum { using type = unsigned long long; };
template <> struct Sum<bool> { using type = bool; };
template <> struct Sum<unsigned char> { using type = unsigned; };
template <> struct Sum<signed char> { using type = unsigned; };
template <> struct Sum<short> { using type = unsigned; };
template <> struct Sum<unsigned short> { using type = unsigned; };
template <> struct Sum<int> { using type = unsigned; };
template <> struct Sum<unsigned> { using type = unsigned; };

template <class T>
__global__ void whole_product(const T* a, const T* b, T* out, Sizes sizes) {
    using S = typename Sum<T>::type;
    __shared__ T left[TILE][TILE + 1], right[TILE][TILE + 1];
    const int x = threadIdx.x, y = threadIdx.y;
    const long long across = (sizes.n + TILE - 1) / TILE, down = (sizes.m + TILE - 1) / TILE;
    for (long long tile = blockIdx.x; tile < sizes.count * down * across; tile += gridDim.x) {
        const long long product = tile / (down * across);
        const long long row = tile / across % down * TILE + y, column = tile % across * TILE + x;
        const T *from_a = a, *from_b = b;
        long long rest = product;
        for (int d = 0; d < sizes.dims; d++) {
            const long long place = rest % sizes.shape[d];
            rest /= sizes.shape[d];
            from_a += place * sizes.a_step[d];
            from_b += place * sizes.b_step[d];
        }
        S sum = 0;
        for (long long first = 0; first < sizes.k; first += TILE) {
            const bool in_a = row < sizes.m && first + x < sizes.k;
            const bool in_b = column < sizes.n && first + y < sizes.k;
            left[y][x] = in_a ? from_a[row * sizes.a_row + (first + x) * sizes.a_column] : T(0);
            right[y][x] = in_b ? from_b[(first + y) * sizes.b_row + column * sizes.b_column] : T(0);
            __syncthreads();
#pragma unroll
            for (int i = 0; i < TILE; i++) sum += S(left[y][i]) * S(right[i][x]);
            __syncthreads();
        }
        if (row < sizes.m && column < sizes.n)
            out[(product * sizes.m + row) * sizes.n + column] = T(sum);
    }
}
