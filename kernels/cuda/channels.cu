// What channels have in common: their statistics (batch norm), running and of a batch, and the
// gradients of scale and shift of every norm.
//
// x is (outer, channels, inner). Where inner is 1, blocks take stretches of channels side by side and
// threadIdx.y the rows (`_columns`); else a block has one channel, whose planes of `inner` elements
// its threads share (`_planes`). A channel may be divided among blocks: then a launch gathers what
// each finds, and the next puts that together, in a fixed order, and applies it; where blocks are many,
// one between the two puts it together for all. Scales, shifts, their gradients and the running
// statistics that a norm moves are of the type computed in.
#include "statistics.cuh"

struct Channels {
    long long outer, channels, inner;
    long long tile, tiles;           // elements of a plane that threads take at once; how many of those
    long long chunk;                 // rows, or tiles of planes, of a block
    long long of_outer, of_channel;  // the statistics of (o, c) are number
    long long of_place;              //     o / of_place * of_outer + c / of_channel
    double eps;
    int stage;
};
// At once where gridDim.y is 1; or a launch that gathers and one that applies, which puts together what
// was found if nobody has.
enum Stage { WHOLE, GATHER, APPLY, SETTLED };

// The part of a channel's tiles or rows that a block has.
struct Part {
    long long begin, end;
    __device__ __forceinline__ Part(const Channels& given, long long all)
        : begin(blockIdx.y * given.chunk), end(begin + given.chunk < all ? begin + given.chunk : all) {}
};

// Running statistics, any of which may be missing, that a batch moves and is counted in.
template <class T> struct Moving {
    T* mean;
    T* var;
    long long* batches;
    double momentum, unbiased;

    // `share` is the momentum, divided by how many batches `batch_mean` and `batch_var` are sums of.
    __device__ __forceinline__ void move(long long c, Compute<T> batch_mean, Compute<T> batch_var,
                                         Compute<T> share) const {
        using C = Compute<T>;
        const C kept = (C)(1 - momentum);
        if (mean) mean[c] = store<T>(load(mean[c]) * kept + batch_mean * share);
        if (var) var[c] = store<T>(load(var[c]) * kept + batch_var * (share * (C)unbiased));
        if (c == 0 && batches) ++*batches;
    }
};

// visit(batch's row, its first pack, the number of its statistics) for a block's part of a channel.
template <class T, int PACKS, class Visit>
__device__ __forceinline__ void each_tile(const T* x, const Channels& given, Visit visit) {
    const long long c = blockIdx.x;
    const Part part(given, given.outer * given.tiles);
    for (long long t = part.begin + threadIdx.y; t < part.end; t += blockDim.y) {
        const long long o = t / given.tiles, start = t % given.tiles * given.tile;
        const long long left = given.inner - start;
        const long long at = (o * given.channels + c) * given.inner + start;
        const Row<const T> row(x + at, left < given.tile ? left : given.tile);
        const long long number = o / given.of_place * given.of_outer + c / given.of_channel;
        for (long long first = 0; first < row.packs(); first += Batch<T, PACKS>::stride())
            visit(row, first, at, number);
    }
}

template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    channel_statistics_planes(const T* x, const Compute<T>* weight, const Compute<T>* bias, T* out,
                              Compute<T>* mean, Compute<T>* rest, Compute<T>* var,
                              Statistics<Compute<T>>* parts, Compute<T>* running_mean,
                              Compute<T>* running_var, long long* batches, double momentum,
                              double unbiased, Channels given) {
    using C = Compute<T>;
    const Moving<Compute<T>> running{running_mean, running_var, batches, momentum, unbiased};
    const long long c = blockIdx.x;
    const int thread = threadIdx.x + blockDim.x * threadIdx.y, threads = blockDim.x * blockDim.y;
    Batch<T, PACKS> batch;
    Statistics<C> all{};
    if (given.stage < APPLY) {
        each_tile<T, PACKS>(x, given, [&](const Row<const T>& row, long long first, long long,
                                          long long) {
            batch.read(row.at, row, first);
            all = AddStatistics::combine(all, statistics_of(batch, row, first, true));
        });
    } else if (given.stage == APPLY) {
        for (int i = thread; i < gridDim.y; i += threads)
            all = AddStatistics::combine(all, parts[i * given.channels + c]);
    }
    if (given.stage != SETTLED) all = block_reduce<AddStatistics>(all);
    if (given.stage == GATHER) {
        if (thread == 0) parts[blockIdx.y * given.channels + c] = all;
        return;
    }
    const bool writes = thread == 0 && blockIdx.y == 0;
    const auto normal = given.stage == SETTLED
                            ? normal_at(mean, rest, var, c, (C)given.eps)
                            : settle(all, (C)given.eps, mean, rest, var, c, writes);
    if (writes) running.move(c, mean[c] + rest[c], var[c], (C)momentum);
    const C scale = weight ? weight[c] : C(1), shift = bias ? bias[c] : C(0);
    each_tile<T, PACKS>(x, given, [&](const Row<const T>& row, long long first, long long at,
                                      long long) {
        batch.read(row.at, row, first);
        batch.each([&](C& x) { x = normal(x) * scale + shift; });
        batch.write(out + at, row, first);
    });
}

// Sums of the gradient times the normalised x, and of the gradient, of each channel; with `to_x` also
// the gradient of x where the statistics are those of the channels.
template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    channel_gradients_planes(const T* grad, const T* x, const Compute<T>* weight, const Compute<T>* mean,
                             const Compute<T>* rest, const Compute<T>* var, T* to_x,
                             Compute<T>* to_weight, Compute<T>* to_bias, Two<Compute<T>>* parts,
                             Channels given) {
    using C = Compute<T>;
    const long long c = blockIdx.x;
    const int thread = threadIdx.x + blockDim.x * threadIdx.y, threads = blockDim.x * blockDim.y;
    Batch<T, PACKS> g, h;
    Two<C> sums{};
    if (given.stage < APPLY) {
        each_tile<T, PACKS>(x, given, [&](const Row<const T>& row, long long first, long long at,
                                          long long number) {
            const auto normal = normal_at(mean, rest, var, number, (C)given.eps);
            g.read(grad + at, row, first);
            h.read(row.at, row, first);
#pragma unroll
            for (int p = 0; p < PACKS; p++) {
                const long long place = row.place(h.pack(first, p));
#pragma unroll
                for (int i = 0; i < WIDTH<T>; i++) {
                    if (place + i < 0 || place + i >= row.n) continue;
                    const C grad = g.at[p][i];
                    sums = sums + Two<C>{grad * normal(h.at[p][i]), grad};
                }
            }
        });
    } else if (given.stage == APPLY) {
        for (int i = thread; i < gridDim.y; i += threads)
            sums = sums + parts[i * given.channels + c];
    } else {
        sums = parts[c];
    }
    if (given.stage != SETTLED) sums = block_reduce<Sum>(sums);
    if (given.stage == GATHER) {
        if (thread == 0) parts[blockIdx.y * given.channels + c] = sums;
        return;
    }
    if (thread == 0 && blockIdx.y == 0 && given.stage != SETTLED) {
        if (to_weight) to_weight[c] = sums.first;
        if (to_bias) to_bias[c] = sums.second;
    }
    if (!to_x) return;
    const auto normal = normal_at(mean, rest, var, c, (C)given.eps);
    const C scale = normal.scale * (weight ? weight[c] : C(1));
    const C count = (C)(given.outer * given.inner);
    const C along = sums.first / count, level = sums.second / count;
    each_tile<T, PACKS>(x, given, [&](const Row<const T>& row, long long first, long long at,
                                      long long) {
        g.read(grad + at, row, first);
        h.read(row.at, row, first);
        g.each(h, [&](C& g, C x) { g = (g - level - normal(x) * along) * scale; });
        g.write(to_x + at, row, first);
    });
}

// The V channels of a thread.
template <int V> struct Stretch {
    long long c;
    bool is_there;
    __device__ __forceinline__ Stretch(const Channels& given)
        : c(((long long)blockIdx.x * blockDim.x + threadIdx.x) * V), is_there(c < given.channels) {}
};

// Adds up what the blocks of a stretch of channels left in `parts`, in every thread of it.
template <class Op, int V, class S>
__device__ __forceinline__ void gathered(S* all, const S* parts, const Channels& given,
                                         const Stretch<V>& mine) {
    for (int k = threadIdx.y; mine.is_there && k < gridDim.y; k += blockDim.y)
#pragma unroll
        for (int i = 0; i < V; i++)
            all[i] = Op::combine(all[i], parts[k * given.channels + mine.c + i]);
    column_reduce<Op, V>(all);
}

// Rows that a thread looks at together.
constexpr int TOGETHER = 4;

template <class T, int V>
__global__ void __launch_bounds__(256, 1)
    channel_statistics_columns(const T* x, const Compute<T>* weight, const Compute<T>* bias, T* out,
                               Compute<T>* mean, Compute<T>* rest, Compute<T>* var,
                               Statistics<Compute<T>>* parts, Compute<T>* running_mean,
                               Compute<T>* running_var, long long* batches, double momentum,
                               double unbiased, Channels given) {
    using C = Compute<T>;
    const Moving<Compute<T>> running{running_mean, running_var, batches, momentum, unbiased};
    const Stretch<V> mine(given);
    const Part part(given, given.outer);
    const long long end = mine.is_there ? part.end : 0;
    Statistics<C> all[V] = {};
    if (given.stage < APPLY) {
        for (long long o = part.begin + threadIdx.y; o < end; o += TOGETHER * blockDim.y) {
            Pack<T, V> packs[TOGETHER];
#pragma unroll
            for (int k = 0; k < TOGETHER; k++) {
                const long long row = o + k * (int)blockDim.y < end ? o + k * (int)blockDim.y : o;
                packs[k] = *reinterpret_cast<const Pack<T, V>*>(x + row * given.channels + mine.c);
            }
#pragma unroll
            for (int i = 0; i < V; i++) {
                C column[TOGETHER];
#pragma unroll
                for (int k = 0; k < TOGETHER; k++) column[k] = load(packs[k].at[i]);
                const auto found = statistics_of<TOGETHER>(column, true, [&](int k) {
                    return o + k * (int)blockDim.y < end;
                });
                all[i] = AddStatistics::combine(all[i], found);
            }
        }
        column_reduce<AddStatistics, V>(all);
    } else if (given.stage == APPLY) {
        gathered<AddStatistics>(all, parts, given, mine);
    }
    if (!mine.is_there) return;
    if (given.stage == GATHER) {
        if (threadIdx.y == 0)
#pragma unroll
            for (int i = 0; i < V; i++) parts[blockIdx.y * given.channels + mine.c + i] = all[i];
        return;
    }
    Normal<C> normal[V];
    C scale[V], shift[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
        const bool writes = threadIdx.y == 0 && blockIdx.y == 0;
        const long long c = mine.c + i;
        normal[i] = given.stage == SETTLED
                        ? normal_at(mean, rest, var, c, (C)given.eps)
                        : settle(all[i], (C)given.eps, mean, rest, var, c, writes);
        if (writes) running.move(c, mean[c] + rest[c], var[c], (C)momentum);
        scale[i] = weight ? weight[mine.c + i] : C(1);
        shift[i] = bias ? bias[mine.c + i] : C(0);
    }
#pragma unroll 4
    for (long long o = part.begin + threadIdx.y; o < end; o += blockDim.y) {
        const long long at = o * given.channels + mine.c;
        auto pack = *reinterpret_cast<const Pack<T, V>*>(x + at);
#pragma unroll
        for (int i = 0; i < V; i++)
            pack.at[i] = store<T>(normal[i](load(pack.at[i])) * scale[i] + shift[i]);
        *reinterpret_cast<Pack<T, V>*>(out + at) = pack;
    }
}

template <class T, int V>
__global__ void __launch_bounds__(256, 1)
    channel_gradients_columns(const T* grad, const T* x, const Compute<T>* weight, const Compute<T>* mean,
                              const Compute<T>* rest, const Compute<T>* var, T* to_x,
                              Compute<T>* to_weight, Compute<T>* to_bias, Two<Compute<T>>* parts,
                              Channels given) {
    using C = Compute<T>;
    const Stretch<V> mine(given);
    const Part part(given, given.outer);
    const long long end = mine.is_there ? part.end : 0;
    const bool by_row = given.of_outer != 0;  // else one for each channel
    Normal<C> normal[V];
    long long group[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
        normal[i] = {0, 0, 0};
        group[i] = by_row ? (mine.c + i) / given.of_channel : 0;
        if (!by_row && mine.is_there)
            normal[i] = normal_at(mean, rest, var, mine.c + i, (C)given.eps);
    }
    Two<C> sums[V] = {};
    if (given.stage < APPLY) {
#pragma unroll 4
        for (long long o = part.begin + threadIdx.y; o < end; o += blockDim.y) {
            const long long at = o * given.channels + mine.c;
            const auto g = *reinterpret_cast<const Pack<T, V>*>(grad + at);
            const auto h = *reinterpret_cast<const Pack<T, V>*>(x + at);
            const long long number = by_row ? o / given.of_place * given.of_outer : 0;
            if (by_row && given.of_channel >= given.channels) {
                const auto shared = normal_at(mean, rest, var, number, (C)given.eps);
#pragma unroll
                for (int i = 0; i < V; i++) normal[i] = shared;
            } else if (by_row) {
#pragma unroll
                for (int i = 0; i < V; i++)
                    normal[i] = normal_at(mean, rest, var, number + group[i], (C)given.eps);
            }
#pragma unroll
            for (int i = 0; i < V; i++) {
                const C gradient = load(g.at[i]);
                sums[i] = sums[i] + Two<C>{gradient * normal[i](load(h.at[i])), gradient};
            }
        }
        column_reduce<Sum, V>(sums);
    } else if (given.stage == APPLY) {
        gathered<Sum>(sums, parts, given, mine);
    } else if (mine.is_there) {
#pragma unroll
        for (int i = 0; i < V; i++) sums[i] = parts[mine.c + i];
    }
    if (!mine.is_there) return;
    if (given.stage == GATHER) {
        if (threadIdx.y == 0)
#pragma unroll
            for (int i = 0; i < V; i++) parts[blockIdx.y * given.channels + mine.c + i] = sums[i];
        return;
    }
    if (threadIdx.y == 0 && blockIdx.y == 0 && given.stage != SETTLED) {
#pragma unroll
        for (int i = 0; i < V; i++) {
            if (to_weight) to_weight[mine.c + i] = sums[i].first;
            if (to_bias) to_bias[mine.c + i] = sums[i].second;
        }
    }
    if (!to_x) return;
    C scale[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
        scale[i] = normal[i].scale * (weight ? weight[mine.c + i] : C(1));
        sums[i] = {sums[i].first / (C)given.outer, sums[i].second / (C)given.outer};
    }
#pragma unroll 4
    for (long long o = part.begin + threadIdx.y; o < end; o += blockDim.y) {
        const long long at = o * given.channels + mine.c;
        auto g = *reinterpret_cast<const Pack<T, V>*>(grad + at);
        const auto h = *reinterpret_cast<const Pack<T, V>*>(x + at);
#pragma unroll
        for (int i = 0; i < V; i++) {
            const C normalized = normal[i](load(h.at[i]));
            g.at[i] = store<T>((load(g.at[i]) - sums[i].second - normalized * sums[i].first) *
                               scale[i]);
        }
        *reinterpret_cast<Pack<T, V>*>(to_x + at) = g;
    }
}

// What several blocks found of a channel, in each of its threads: threadIdx.x is a channel's, and
// threadIdx.y goes through the blocks.
template <class Op, class S>
__device__ __forceinline__ S found_by_all(const S* parts, long long c, long long channels,
                                          int chunks) {
    S all{};
#pragma unroll 4
    for (int k = threadIdx.y; c < channels && k < chunks; k += blockDim.y)
        all = Op::combine(all, parts[k * channels + c]);
    column_reduce<Op, 1>(&all);
    return all;
}

// Statistics from what the blocks of `channel_statistics` left.
template <class C>
__global__ void __launch_bounds__(256)
    settle_statistics(const Statistics<C>* parts, C* mean, C* rest, C* var, long long channels,
                      int chunks) {
    const long long c = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const auto all = found_by_all<AddStatistics>(parts, c, channels, chunks);
    if (threadIdx.y == 0 && c < channels) settle(all, C(0), mean, rest, var, c, true);
}

// Sums from what the blocks of `channel_gradients` left; they take the place of the first block's.
template <class C>
__global__ void __launch_bounds__(256)
    channel_totals(Two<C>* parts, C* to_weight, C* to_bias, long long channels, int chunks) {
    const long long c = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const auto sums = found_by_all<Sum>(parts, c, channels, chunks);
    if (threadIdx.y != 0 || c >= channels) return;
    parts[c] = sums;
    if (to_weight) to_weight[c] = sums.first;
    if (to_bias) to_bias[c] = sums.second;
}

// Running statistics moved towards those of a batch, or the average of several (outer, channels), and
// one more batch counted.
template <class T>
__global__ void __launch_bounds__(256)
    move_statistics(const Compute<T>* mean, const Compute<T>* rest, const Compute<T>* var,
                    T* running_mean, T* running_var, long long* batches, double momentum,
                    double unbiased, long long outer, long long channels) {
    using C = Compute<T>;
    const long long c = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    Two<C> sums{};
    for (long long i = c; i < outer * channels; i += channels)
        sums = sums + Two<C>{mean[i] + rest[i], var[i]};
    const Moving<T> running{running_mean, running_var, batches, momentum, unbiased};
    running.move(c, sums.first, sums.second, (C)momentum / (C)outer);
}
