// Reading and writing at positions along one dimension: gather and take, their adjoint where few meet,
// and writing where the last of several stays.
#include "digits.cuh"
#include "types.cuh"

constexpr int MOST = 8;  // dimensions

// How an output of dimensions `sizes`, innermost first, walks through x and the positions.
struct Walk {
    long long total, length, along;  // positions are below `length`, and `along` apart in x
    int dims;
    Divisor sizes[MOST];
    long long x_steps[MOST], index_steps[MOST];
};

// out = x at the positions of `index`, negative ones counted from the end.
template <class Word>
__global__ void __launch_bounds__(256)
    gather(const Word* x, const long long* index, Word* out, Walk walk) {
    const long long item = this_item();
    if (item >= walk.total) return;
    long long rest = item, from = 0, at = 0;
    for (int d = 0; d < walk.dims; d++) {
        const long long digit = take_digit(rest, walk.sizes[d]);
        from += digit * walk.x_steps[d];
        at += digit * walk.index_steps[d];
    }
    const long long position = index[at];
    out[item] = x[from + (position < 0 ? position + walk.length : position) * walk.along];
}

constexpr int ARRAYS = 4;  // of positions, of one dimension each

// How rows walk through the arrays of positions that name them, `sizes` innermost first. What is left
// of a number counts the blocks of `span` rows, in each of which the same are named.
struct Keys {
    long long total, span;
    int dims, arrays;
    Divisor sizes[MOST];
    long long lengths[ARRAYS], steps[ARRAYS][MOST];
};

// The number of the row that the positions in several dimensions name, negative ones counted from the
// end.
extern "C" __global__ void __launch_bounds__(256)
    rows_named(const long long* first, const long long* second, const long long* third,
               const long long* fourth, long long* rows, Keys keys) {
    const long long item = this_item();
    if (item >= keys.total) return;
    long long rest = item, at[ARRAYS] = {};
    for (int d = 0; d < keys.dims; d++) {
        const long long digit = take_digit(rest, keys.sizes[d]);
#pragma unroll
        for (int i = 0; i < ARRAYS; i++) at[i] += digit * keys.steps[i][d];
    }
    const long long* arrays[ARRAYS] = {first, second, third, fourth};
    long long row = 0;
#pragma unroll
    for (int i = 0; i < ARRAYS; i++) {
        if (i >= keys.arrays) continue;
        const long long position = arrays[i][at[i]];
        row = row * keys.lengths[i] + (position < 0 ? position + keys.lengths[i] : position);
    }
    rows[item] = rest * keys.span + row;
}

// How an output of dimensions `sizes`, innermost first, walks through what is added to it. Along
// `dim` there are `length` positions for each line, and beyond the `bounds` of the others none.
struct Lines {
    long long total, length, x_along, index_along;
    int dims, dim;
    Divisor sizes[MOST];
    long long bounds[MOST], x_steps[MOST], index_steps[MOST];
};

// Each output adds up those of the few elements of its line whose positions are its own.
template <class T>
__global__ void __launch_bounds__(256)
    scatter_lines(const T* x, const long long* index, T* out, Lines lines) {
    const long long item = this_item();
    if (item >= lines.total) return;
    long long rest = item, from = 0, at = 0, own = 0;
    bool inside = true;
    for (int d = 0; d < lines.dims; d++) {
        const long long digit = take_digit(rest, lines.sizes[d]);
        if (d == lines.dim) {
            own = digit;
            continue;
        }
        inside = inside && digit < lines.bounds[d];
        from += digit * lines.x_steps[d];
        at += digit * lines.index_steps[d];
    }
    Compute<T> sum = 0;
    if (inside)
        for (long long i = 0; i < lines.length; i++)
            if (index[at + i * lines.index_along] == own) sum += load(x[from + i * lines.x_along]);
    out[item] = store<T>(sum);
}

// owners[p] = the last k with positions[k] = p.
extern "C" __global__ void __launch_bounds__(256)
    claim(const long long* positions, long long* owners, long long n) {
    const long long k = this_item();
    if (k >= n) return;
    atomicMax(owners + positions[k], k);
}

// Writes the rows that own their position.
template <class Word>
__global__ void __launch_bounds__(256)
    put_rows(const Word* rows, const long long* positions, const long long* owners, Word* out,
             long long n, Divisor width) {
    const long long item = this_item();
    if (item >= n * width.size) return;
    long long k = item;
    const long long column = take_digit(k, width), position = positions[k];
    if (owners[position] == k) out[position * width.size + column] = rows[item];
}
