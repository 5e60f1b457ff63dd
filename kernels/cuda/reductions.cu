// Reductions over any dimensions of an array with any strides, one output for what is kept.
//
// `reduce_rows` puts the threads of a row side by side along the reduced elements, where those lie
// closest in memory; `reduce_columns` puts them along the outputs, and rows of threads walk down.
// With few outputs of many elements the grid's y splits them into chunks, whose states
// `combine_partials` brings together. Who adds what to what depends on the shape alone.
#include "reducers.cuh"

constexpr int KEPT = 6, REDUCED = 4;  // dimensions at most, after collapsing
constexpr int THREADS = 512;          // of a block at most

// Sizes in units, which are single elements or, if `packed`, packs of `Op::PACK`: of the innermost
// reduced dimension in rows, of the innermost kept one in columns. Strides are in elements. Innermost
// dimensions come first.
struct Shape {
    long long outputs, length, chunk;  // kept units; reduced units of each; of these, in one split
    int kept, reduced, packed;         // dimensions that are kept, and reduced; whether packed
    int rest;                          // elements after the last pack of a row
    long long neighbour;               // from the output of a pack's element to that of the next
    long long kept_size[KEPT], kept_stride[KEPT], out_stride[KEPT];
    long long size[REDUCED], stride[REDUCED];
    // How a walk goes on by as many units as threads share it: the digits of that number in the base
    // of the sizes, the elements it moves, and what to add when a dimension begins anew.
    long long digit[REDUCED], wrap[REDUCED], jump;
};

// a / b, with the remainder left in a; 32-bit division takes a quarter of the instructions.
__device__ __forceinline__ long long divide(long long& a, long long b) {
    long long quotient;
    if (((unsigned long long)a | (unsigned long long)b) >> 32 == 0) {
        quotient = (unsigned)a / (unsigned)b;
    } else {
        quotient = a / b;
    }
    a -= quotient * b;
    return quotient;
}

// Where the elements of kept unit `unit` begin in the input, and where its output goes.
struct Origin {
    long long in, out;
    __device__ __forceinline__ Origin(const Shape& shape, long long unit) : in(0), out(0) {
        for (int d = 0; d < shape.kept; d++) {
            const long long above = d + 1 < shape.kept ? divide(unit, shape.kept_size[d]) : 0;
            in += unit * shape.kept_stride[d];
            out += unit * shape.out_stride[d];
            unit = above;
        }
    }
};

// A walk over the reduced units of one output, from `position` on in equal steps.
struct Walk {
    long long position, offset;
    long long at[REDUCED - 1];
    __device__ __forceinline__ Walk(const Shape& shape, long long position)
        : position(position), offset(0) {
        long long rest = position;
#pragma unroll
        for (int d = 0; d < REDUCED; d++) {
            if (d >= shape.reduced) break;
            const long long above = d + 1 < shape.reduced ? divide(rest, shape.size[d]) : 0;
            if (d < REDUCED - 1) at[d] = rest;
            offset += rest * shape.stride[d];
            rest = above;
        }
    }
    __device__ __forceinline__ void advance(const Shape& shape, int step) {
        position += step;
        offset += shape.jump;
        bool carry = false;
#pragma unroll
        for (int d = 0; d < REDUCED - 1; d++) {
            if (d + 1 >= shape.reduced) break;
            at[d] += shape.digit[d] + carry;
            carry = at[d] >= shape.size[d];
            if (carry) {
                at[d] -= shape.size[d];
                offset += shape.wrap[d];
            }
        }
    }
};

// What a thread makes of the units from `first` to `end`, `step` apart. Of a pack in a row, element
// v joins state v of V; of a pack of columns it belongs to output v, and so do the first elements.
// Several loads are on their way before one is needed.
template <class Op, int V, bool ROW>
__device__ __forceinline__ void accumulate(typename Op::State (&states)[V],
                                           const typename Op::Input (&first)[ROW ? 1 : V],
                                           const typename Op::Input* x, const Shape& shape,
                                           long long begin, long long end, int step,
                                           const Options& options) {
    constexpr int LOADS = Op::PACK == 1 ? 1 : V == 1 && !ROW ? 8 : 4;
    using Unit = Pack<typename Op::Input, V>;
    Walk walk(shape, begin);
    Unit units[LOADS];
    while (walk.position + (LOADS - 1) * (long long)step < end) {
        const long long position = walk.position;
#pragma unroll
        for (int u = 0; u < LOADS; u++) {
            units[u] = *reinterpret_cast<const Unit*>(x + walk.offset);
            walk.advance(shape, step);
        }
#pragma unroll
        for (int u = 0; u < LOADS; u++) {
            const long long place = (position + u * (long long)step) * (ROW ? V : 1);
#pragma unroll
            for (int v = 0; v < V; v++)
                Op::take(states[v], units[u].at[v], first[ROW ? 0 : v], place + (ROW ? v : 0),
                         options);
        }
    }
#pragma unroll 1
    while (walk.position < end) {
        units[0] = *reinterpret_cast<const Unit*>(x + walk.offset);
        const long long place = walk.position * (ROW ? V : 1);
#pragma unroll
        for (int v = 0; v < V; v++)
            Op::take(states[v], units[0].at[v], first[ROW ? 0 : v], place + (ROW ? v : 0), options);
        walk.advance(shape, step);
    }
}

// The states of all threads with the same y, in each of them; blockDim.x is a power of 2.
template <class Op> __device__ __forceinline__ typename Op::State row_reduce(typename Op::State x) {
    __shared__ typename Op::State of_warp[THREADS / 32];
    const int lanes = blockDim.x, thread = threadIdx.x + lanes * threadIdx.y;
    if (lanes <= 32) return warp_reduce<Op>(x, lanes);
    x = warp_reduce<Op>(x);
    __syncthreads();
    if (thread % 32 == 0) of_warp[thread / 32] = x;
    __syncthreads();
    const int warps = lanes / 32;
    return warp_reduce<Op>(of_warp[thread / lanes * warps + thread % warps], warps);
}

// The states of all threads with the same x, in the first of them; blockDim.y is a power of 2.
template <class Op, int V>
__device__ __forceinline__ void column_reduce(typename Op::State (&states)[V]) {
    __shared__ typename Op::State held[V][THREADS / 2];
    const int x = threadIdx.x, y = threadIdx.y, width = blockDim.x;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (y >= half && y < 2 * half) {
#pragma unroll
            for (int v = 0; v < V; v++) held[v][(y - half) * width + x] = states[v];
        }
        __syncthreads();
        if (y < half) {
#pragma unroll
            for (int v = 0; v < V; v++)
                states[v] = Op::combine(states[v], held[v][y * width + x]);
        }
    }
}

// The output, or, where its elements are split, what this split made of them.
template <class Op>
__device__ __forceinline__ void write(void* out, typename Op::State* partials, long long outputs,
                                      long long at, typename Op::State state,
                                      const Options& options) {
    if (gridDim.y == 1) Op::finish(out, at, state, options);
    else partials[blockIdx.y * outputs + at] = state;
}

template <class Op>
__device__ __forceinline__ typename Op::State row(const typename Op::Input* x, const Shape& shape,
                                                  bool exists, const Options& options) {
    constexpr int PACK = Op::PACK;
    using State = typename Op::State;
    const long long begin = blockIdx.y * shape.chunk, last = begin + shape.chunk;
    const long long end = last < shape.length ? last : shape.length;
    const long long start = exists ? begin + threadIdx.x : end;
    typename Op::Input first[1] = {};
    if (Op::RELATIVE && start < end) first[0] = x[0];
    State states[PACK];
#pragma unroll
    for (int v = 0; v < PACK; v++) states[v] = Op::template identity<State>();
    if (PACK > 1 && shape.packed) {
        accumulate<Op, PACK, true>(states, first, x, shape, start, end, blockDim.x, options);
        if (exists && blockIdx.y + 1 == gridDim.y) {
#pragma unroll 1
            for (int i = threadIdx.x; i < shape.rest; i += blockDim.x) {
                const long long place = shape.length * PACK + i;
                Op::take(states[0], x[place], first[0], place, options);
            }
        }
#pragma unroll
        for (int half = PACK / 2; half > 0; half /= 2)
#pragma unroll
            for (int v = 0; v < half; v++) states[v] = Op::combine(states[v], states[v + half]);
        return states[0];
    }
    State alone[1] = {states[0]};
    accumulate<Op, 1, true>(alone, first, x, shape, start, end, blockDim.x, options);
    return alone[0];
}

template <class Op>
__global__ void __launch_bounds__(THREADS)
    reduce_rows(const typename Op::Input* x, void* out, typename Op::State* partials,
                const __grid_constant__ Shape shape, const __grid_constant__ Options options) {
    const long long step = (long long)gridDim.x * blockDim.y;
    for (long long base = (long long)blockIdx.x * blockDim.y; base < shape.outputs; base += step) {
        const bool exists = base + threadIdx.y < shape.outputs;
        const Origin origin(shape, exists ? base + threadIdx.y : base);
        typename Op::State state = row_reduce<Op>(row<Op>(x + origin.in, shape, exists, options));
        if (exists && threadIdx.x == 0)
            write<Op>(out, partials, shape.outputs, origin.out, state, options);
    }
}

template <class Op, int V>
__device__ __forceinline__ void column(const typename Op::Input* x, void* out,
                                       typename Op::State* partials, const Shape& shape,
                                       const Options& options) {
    using State = typename Op::State;
    const long long begin = blockIdx.y * shape.chunk, last = begin + shape.chunk;
    const long long end = last < shape.length ? last : shape.length;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long base = (long long)blockIdx.x * blockDim.x; base < shape.outputs; base += step) {
        const bool exists = base + threadIdx.x < shape.outputs;
        const Origin origin(shape, exists ? base + threadIdx.x : base);
        State states[V];
#pragma unroll
        for (int v = 0; v < V; v++) states[v] = Op::template identity<State>();
        const long long start = exists ? begin + threadIdx.y : end;
        typename Op::Input first[V] = {};
        if (Op::RELATIVE && start < end) {
#pragma unroll
            for (int v = 0; v < V; v++) first[v] = x[origin.in + v];
        }
        accumulate<Op, V, false>(states, first, x + origin.in, shape, start, end, blockDim.y,
                                 options);
        column_reduce<Op, V>(states);
        if (exists && threadIdx.y == 0) {
#pragma unroll
            for (int v = 0; v < V; v++)
                write<Op>(out, partials, shape.outputs * V, origin.out + v * shape.neighbour,
                          states[v], options);
        }
    }
}

template <class Op>
__global__ void __launch_bounds__(THREADS)
    reduce_columns(const typename Op::Input* x, void* out, typename Op::State* partials,
                   const __grid_constant__ Shape shape, const __grid_constant__ Options options) {
    if (Op::PACK > 1 && shape.packed) column<Op, Op::PACK>(x, out, partials, shape, options);
    else column<Op, 1>(x, out, partials, shape, options);
}

template <class Op>
__global__ void __launch_bounds__(THREADS)
    combine_partials(const typename Op::State* partials, void* out, long long outputs, int splits,
                     const __grid_constant__ Options options) {
    using State = typename Op::State;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long base = (long long)blockIdx.x * blockDim.x; base < outputs; base += step) {
        const long long at = base + threadIdx.x;
        State states[1] = {Op::template identity<State>()};
        for (int split = threadIdx.y; split < splits && at < outputs; split += blockDim.y)
            states[0] = Op::combine(states[0], partials[split * outputs + at]);
        column_reduce<Op, 1>(states);
        if (at < outputs && threadIdx.y == 0) Op::finish(out, at, states[0], options);
    }
}
