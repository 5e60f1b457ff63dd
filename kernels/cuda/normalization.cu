// Rows normalised by their own statistics, forward and backward: layer, RMS, group, instance norm.
//
// A row of n elements that is no longer than the registers of its threads is read once, a longer one
// twice. A row has a scale and a shift for each stretch of `inner` elements: for each element of a
// layer norm, for the whole row of an instance norm.
#include "statistics.cuh"

// Where a row's weights are: weight[row % groups * each + j / inner] for element j, n = each * inner.
struct Spread {
    long long groups, each, inner;
    __device__ __forceinline__ long long start(long long row) const { return row % groups * each; }
};

__device__ __forceinline__ long long quotient(long long a, long long b) {
    return ((a | b) >> 32) == 0 ? (long long)((unsigned)a / (unsigned)b) : a / b;
}

// The weights of the elements at places j, j + 1, ... of a row of n.
template <class T>
__device__ __forceinline__ void read_weights(Compute<T>* to, const T* weights, long long j,
                                             long long n, const Spread& spread) {
    if (spread.inner == 1) {
        const auto pack = read_pack(weights, j, n, T{});
#pragma unroll
        for (int i = 0; i < WIDTH<T>; i++) to[i] = load(pack.at[i]);
        return;
    }
    if (j >= n) return;
    long long place = j > 0 ? j : 0, which = quotient(place, spread.inner);
    long long left = (which + 1) * spread.inner - place;
    Compute<T> weight = load(weights[which]);
#pragma unroll
    for (int i = 0; i < WIDTH<T>; i++) {
        if (j + i > place && j + i < n && --left == 0) {
            left = spread.inner;
            weight = load(weights[++which]);
        }
        to[i] = weight;
    }
}

// Writes (x - mean) * scale * weight + bias for a batch of a row.
template <class T, int PACKS>
__device__ __forceinline__ void write_normalized(Batch<T, PACKS>& x, const Row<const T>& row,
                                                 long long first, const Normal<Compute<T>>& normal,
                                                 const T* weight, const T* bias, T* to,
                                                 const Spread& spread) {
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const long long place = row.place(x.pack(first, p));
        Compute<T> weights[WIDTH<T>], biases[WIDTH<T>];
        if (weight) read_weights(weights, weight, place, row.n, spread);
        if (bias) read_weights(biases, bias, place, row.n, spread);
#pragma unroll
        for (int i = 0; i < WIDTH<T>; i++) {
            Compute<T> value = normal(x.at[p][i]);
            if (weight) value *= weights[i];
            if (bias) value += biases[i];
            x.at[p][i] = value;
        }
    }
    x.write(to, row, first);
}

// `mean` and `rest` are null for the mean square.
template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    normalize_rows(const T* x, const T* weight, const T* bias, T* out, Compute<T>* mean,
                   Compute<T>* rest, Compute<T>* var, long long rows, long long n, Spread spread,
                   double eps) {
    using C = Compute<T>;
    const long long stride = Batch<T, PACKS>::stride();
    const bool centered = mean != nullptr;
    each_row(rows, [&](long long number) {
        // Threads beyond the last row keep step with the others, over a row of nothing.
        const Row<const T> row(x + number * n, number < rows ? n : 0);
        T* to = out + number * n;
        const T* weights = weight ? weight + spread.start(number) : nullptr;
        const T* biases = bias ? bias + spread.start(number) : nullptr;
        Batch<T, PACKS> kept, batch;
        kept.read(row.at, row, 0);
        auto all = statistics_of(kept, row, 0, centered);
        for (long long first = stride; first < row.packs(); first += stride) {
            batch.read(row.at, row, first);
            all = AddStatistics::combine(all, statistics_of(batch, row, first, centered));
        }
        all = row_reduce<AddStatistics>(all);
        const bool writes = threadIdx.x == 0 && number < rows;
        const auto normal = settle(all, (C)eps, mean, rest, var, number, writes);
        write_normalized(kept, row, 0, normal, weights, biases, to, spread);
        for (long long first = stride; first < row.packs(); first += stride) {
            batch.read(row.at, row, first);
            write_normalized(batch, row, first, normal, weights, biases, to, spread);
        }
    });
}

// What a thread holds of a row backward: its elements normalised, and the gradient times the weight.
template <class T, int PACKS> struct Pair {
    using C = Compute<T>;
    Batch<T, PACKS> h, u;

    __device__ __forceinline__ void read(const T* gradients, const Row<const T>& row,
                                         long long first, const Normal<C>& normal, const T* weights,
                                         const Spread& spread) {
        u.read(gradients, row, first);
        h.read(row.at, row, first);
        h.each([&](C& x) { x = normal(x); });
        if (!weights) return;
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            C weight[WIDTH<T>];
            read_weights(weight, weights, row.place(h.pack(first, p)), row.n, spread);
#pragma unroll
            for (int i = 0; i < WIDTH<T>; i++) u.at[p][i] *= weight[i];
        }
    }
    // The sums of u and of u h; u is 0 outside of the row.
    __device__ __forceinline__ Two<C> sums(const Row<const T>& row, long long first) {
        Two<C> sums{};
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            const long long place = row.place(h.pack(first, p));
#pragma unroll
            for (int i = 0; i < WIDTH<T>; i++) {
                if (place + i < 0 || place + i >= row.n) continue;
                sums = sums + Two<C>{u.at[p][i], u.at[p][i] * h.at[p][i]};
            }
        }
        return sums;
    }
    __device__ __forceinline__ void write(T* to, const Row<const T>& row, long long first,
                                          const Two<C>& means, C scale) {
        u.each(h, [&](C& u, C h) { u = (u - means.first - h * means.second) * scale; });
        u.write(to, row, first);
    }
};

template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    normalize_rows_gradient(const T* grad, const T* x, const T* weight, const Compute<T>* mean,
                            const Compute<T>* rest, const Compute<T>* var, T* to_x, long long rows,
                            long long n, Spread spread, double eps) {
    using C = Compute<T>;
    const long long stride = Batch<T, PACKS>::stride();
    each_row(rows, [&](long long number) {
        const Row<const T> row(x + number * n, number < rows ? n : 0);
        const T* gradients = grad + number * n;
        const T* weights = weight ? weight + spread.start(number) : nullptr;
        T* to = to_x + number * n;
        Normal<C> normal{0, 0, 0};
        if (number < rows) normal = normal_at(mean, rest, var, number, (C)eps);
        Pair<T, PACKS> kept;
        Pair<T, (PACKS + 1) / 2> pair;  // of what is beyond: so many fit into the registers
        const long long step = pair.h.stride();
        kept.read(gradients, row, 0, normal, weights, spread);
        Two<C> sums = kept.sums(row, 0);
        for (long long first = stride; first < row.packs(); first += step) {
            pair.read(gradients, row, first, normal, weights, spread);
            sums = sums + pair.sums(row, first);
        }
        sums = row_reduce<Sum>(sums);
        const Two<C> means{mean ? sums.first / (C)n : C(0), sums.second / (C)n};
        kept.write(to, row, 0, means, normal.scale);
        for (long long first = stride; first < row.packs(); first += step) {
            pair.read(gradients, row, first, normal, weights, spread);
            pair.write(to, row, first, means, normal.scale);
        }
    });
}
