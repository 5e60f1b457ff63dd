// Mean and variance in one read of many numbers, so that a large mean costs no digits.
//
// A mean is kept as two numbers, itself and the `rest` that rounding took from it. Each thread takes
// the few numbers it holds relative to one of them, and what several found is put together by Chan,
// Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
// (1979). Without a mean (`centered` false) it is the mean square.
#pragma once
#include "rows.cuh"

template <class C> struct Statistics {
    C count, mean, rest, squares;  // the sum of squared distances from mean + rest
};
template <class C> __device__ __forceinline__ Statistics<C> exchange(Statistics<C> x, int across) {
    return {exchange(x.count, across), exchange(x.mean, across), exchange(x.rest, across),
            exchange(x.squares, across)};
}

struct AddStatistics {
    template <class S> static __device__ __forceinline__ S identity() { return S{}; }
    // The same bits whichever comes first, so that all threads of a reduction agree.
    template <class C>
    static __device__ __forceinline__ Statistics<C> combine(Statistics<C> a, Statistics<C> b) {
        if (b.mean > a.mean || (b.mean == a.mean && b.rest > a.rest)) {
            const Statistics<C> larger = b;
            b = a;
            a = larger;
        }
        if (a.count == 0) return b;
        if (b.count == 0) return a;
        const C count = a.count + b.count, share = b.count / count;
        const C distance = (b.mean - a.mean) + (b.rest - a.rest);
        const C move = a.rest + distance * share;
        // The sum of a.mean and `move`, and exactly what rounding takes from it (Knuth).
        const C mean = a.mean + move, moved = mean - a.mean;
        const C rest = (a.mean - (mean - moved)) + (move - moved);
        return {count, mean, rest, a.squares + b.squares + distance * distance * (a.count * share)};
    }
};

// Those of N numbers, of which `is_there(i)` says whether number i counts.
template <int N, class C, class IsThere>
__device__ __forceinline__ Statistics<C> statistics_of(const C* x, bool centered, IsThere is_there) {
    C count = 0, near = 0, rest = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
        if (!is_there(i)) continue;
        count += 1;
        near = x[i];
    }
    if (!centered) near = 0;
    if (centered && count != 0) {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (is_there(i)) rest += x[i] - near;
        rest /= count;
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        const C distance = (x[i] - near) - rest;
        if (is_there(i)) squares += distance * distance;
    }
    return {count, near, rest, squares};
}

// Those of a batch of a row.
template <class T, int PACKS, class R>
__device__ __forceinline__ Statistics<Compute<T>> statistics_of(const Batch<T, PACKS>& batch,
                                                                const Row<R>& row, long long first,
                                                                bool centered) {
    constexpr int N = WIDTH<T>;
    int from[PACKS], to[PACKS];  // the elements of each pack that are in the row
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const long long place = row.place(batch.pack(first, p)), left = row.n - place;
        from[p] = place < 0 ? (int)-place : 0;
        to[p] = left < N ? (int)(left < 0 ? 0 : left) : N;
    }
    return statistics_of<PACKS * N>(&batch.at[0][0], centered, [&](int i) {
        return i % N >= from[i / N] && i % N < to[i / N];
    });
}

// What normalising takes: (x - mean - rest) * scale.
template <class C> struct Normal {
    C mean, rest, scale;
    __device__ __forceinline__ C operator()(C x) const { return ((x - mean) - rest) * scale; }
};
template <class C> __device__ __forceinline__ Normal<C> normal_of(C mean, C rest, C var, C eps) {
    return {mean, rest, rsqrt(var + eps)};
}

// Number i of statistics in memory; `means` and `rests` are null where there is no mean.
template <class C>
__device__ __forceinline__ Normal<C> normal_at(const C* means, const C* rests, const C* vars,
                                               long long i, C eps) {
    return normal_of(means ? means[i] : C(0), rests ? rests[i] : C(0), vars[i], eps);
}

// Writes the variance, and the mean if there is one; and what normalising takes.
template <class C>
__device__ __forceinline__ Normal<C> settle(const Statistics<C>& all, C eps, C* means, C* rests,
                                            C* vars, long long i, bool writes) {
    const C var = all.squares / all.count;
    if (writes) {
        if (means) means[i] = all.mean;
        if (rests) rests[i] = all.rest;
        vars[i] = var;
    }
    return normal_of(all.mean, all.rest, var, eps);
}
