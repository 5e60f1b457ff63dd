// Rows combined at positions that may repeat, always in the order in which they stand.
//
// The rows come with an order that sorts their positions, so that those of one position follow each
// other: a segment. A thread walks through a chunk of that order in one column. What begins and ends
// within a chunk is written at once; of what crosses chunks each leaves its part, and a second launch
// puts the parts of a segment together.
#include "digits.cuh"
#include "types.cuh"

struct Segments {
    long long n, chunks;
    Divisor width, chunk;
    long long skipped;  // the position whose rows count for nothing; -1 for none
    int way;
};
enum Way { ADD, MULTIPLY, MAXIMUM, MINIMUM };

// The larger and the smaller propagate NaN, as in NumPy.
template <class C> __device__ __forceinline__ C combine(int way, C a, C b) {
    switch (way) {
        case ADD: return a + b;
        case MULTIPLY: return a * b;
        case MAXIMUM: return a > b || a != a ? a : b;
        default: return a < b || a != a ? a : b;
    }
}

// The positions in the order that sorts them.
struct Sorted {
    const long long *positions, *order;
    __device__ __forceinline__ long long operator[](long long k) const {
        return positions[order[k]];
    }
};

template <class T>
__device__ __forceinline__ void put(T* out, Compute<T> value, long long position,
                                    const Segments& given, long long column) {
    if (position == given.skipped) return;
    T* at = out + position * given.width.size + column;
    *at = store<T>(combine(given.way, load(*at), value));
}

// `parts` (chunks, 2, width): of a segment that goes on from the chunk before, and of one that goes on
// in the next.
template <class T>
__global__ void __launch_bounds__(256)
    combine_chunks(const T* rows, const long long* positions, const long long* order, T* out,
                   Compute<T>* parts, Segments given) {
    const Sorted sorted{positions, order};
    const long long item = this_item();
    if (item >= given.chunks * given.width.size) return;
    long long chunk = item;
    const long long column = take_digit(chunk, given.width);
    const long long begin = chunk * given.chunk.size;
    const long long end = begin + given.chunk.size < given.n ? begin + given.chunk.size : given.n;
    long long position = sorted[begin];
    bool begins_here = begin == 0 || sorted[begin - 1] != position;
    Compute<T> value = load(rows[order[begin] * given.width.size + column]);
    Compute<T>* part = parts + chunk * 2 * given.width.size + column;
#pragma unroll 2
    for (long long k = begin + 1; k < end; k++) {
        const long long row = order[k], next = positions[row];
        const Compute<T> brought = load(rows[row * given.width.size + column]);
        if (next == position) {
            value = combine(given.way, value, brought);
            continue;
        }
        if (begins_here)
            put(out, value, position, given, column);
        else
            part[0] = value;
        position = next, value = brought, begins_here = true;
    }
    const bool ends_here = end == given.n || sorted[end] != position;
    if (begins_here && ends_here)
        put(out, value, position, given, column);
    else
        part[begins_here ? given.width.size : 0] = value;
}

// The first place after `begin` where the sorted positions are no longer `position`.
__device__ __forceinline__ long long end_of(const Sorted& sorted, long long position,
                                            long long begin, long long n) {
    long long low = begin, high = n;
    while (low < high) {
        const long long middle = low + (high - low) / 2;
        if (sorted[middle] > position)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

template <class T>
__global__ void __launch_bounds__(256)
    combine_across(const long long* positions, const long long* order, T* out,
                   const Compute<T>* parts, Segments given) {
    const Sorted sorted{positions, order};
    const long long item = this_item();
    if (item >= (given.chunks - 1) * given.width.size) return;
    long long chunk = item;
    const long long column = take_digit(chunk, given.width);
    const long long begin = chunk * given.chunk.size, end = begin + given.chunk.size;
    const long long position = sorted[end - 1];
    const bool goes_on = sorted[end] == position;
    const bool begins_here = begin == 0 || sorted[begin - 1] != position;
    if (!goes_on || !begins_here || position == given.skipped) return;
    const long long last = divide(end_of(sorted, position, end, given.n) - 1, given.chunk);
    const Compute<T>* part = parts + chunk * 2 * given.width.size + column;
    Compute<T> value = part[given.width.size];
#pragma unroll 4
    for (long long i = 1; i <= last - chunk; i++)
        value = combine(given.way, value, part[i * 2 * given.width.size]);
    put(out, value, position, given, column);
}
