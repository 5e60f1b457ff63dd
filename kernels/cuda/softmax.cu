// Softmax and its logarithm along one dimension, forward and backward, of rows and of columns.
//
// One read of a row gives both the largest element and the sum of exponentials (`Exponentials`). A
// row with a NaN, with nothing but -inf, or with +inf comes out as NaN.
#include "rows.cuh"

// What the logarithm of the softmax subtracts, or the softmax is multiplied by, after the largest is
// taken away. NaN if the largest is infinite.
template <class C> __device__ __forceinline__ C normalizer(Exponentials<C> all, bool logarithm) {
    const C sum = all.sum + (all.largest - all.largest);
    return logarithm ? log(sum) : 1 / sum;
}

template <class C>
__device__ __forceinline__ C normalized(C x, C largest, C by, bool logarithm) {
    return logarithm ? x - largest - by : exponential(x - largest) * by;
}

// s (g - sum(g s)), or g - exp(out) sum(g): what is summed, and what becomes of it.
template <class C> __device__ __forceinline__ C summand(C grad, C out, bool logarithm) {
    return logarithm ? grad : grad * out;
}
template <class C>
__device__ __forceinline__ C gradient(C grad, C out, C sum, bool logarithm) {
    return logarithm ? grad - exponential(out) * sum : out * (grad - sum);
}

template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    softmax_rows(const T* x, T* out, long long rows, long long n, bool logarithm) {
    using C = Compute<T>;
    const C lowest = Bounds<C>::lowest();
    const long long stride = Batch<T, PACKS>::stride();
    each_row(rows, [&](long long number) {
        // Threads beyond the last row keep step with the others, over a row of nothing.
        const Row<const T> row(x + number * n, number < rows ? n : 0);
        T* to = out + number * n;
        Batch<T, PACKS> kept, batch;
        kept.read(row.at, row, 0, lowest);
        C largest = lowest, sum = 0;
        kept.each([&](C x) { largest = x > largest ? x : largest; });
        kept.each([&](C& x) {
            const C power = AddExponentials::factor(x, largest);
            sum += power;
            if (!logarithm) x = power;
        });
        Exponentials<C> all{largest, sum};
        for (long long first = stride; first < row.packs(); first += stride) {
            batch.read(row.at, row, first, lowest);
            all = add_exponentials(all, batch);
        }
        all = row_reduce<AddExponentials>(all);
        const C by = normalizer(all, logarithm);
        const C scale = AddExponentials::factor(largest, all.largest) * by;
        kept.each([&](C& x) { x = logarithm ? x - all.largest - by : x * scale; });
        kept.write(to, row, 0);
        for (long long first = stride; first < row.packs(); first += stride) {
            batch.read(row.at, row, first);
            batch.each([&](C& x) { x = normalized(x, all.largest, by, logarithm); });
            batch.write(to, row, first);
        }
    });
}

template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    softmax_rows_gradient(const T* grad, const T* out, T* to_x, long long rows, long long n,
                          bool logarithm) {
    using C = Compute<T>;
    const long long stride = Batch<T, PACKS>::stride();
    each_row(rows, [&](long long number) {
        const Row<const T> row(out + number * n, number < rows ? n : 0);
        const T* gradients = grad + number * n;
        T* to = to_x + number * n;
        Batch<T, PACKS> kept_g, kept_s, g, s;
        C sum = 0;
        kept_g.read(gradients, row, 0);
        kept_s.read(row.at, row, 0);
        kept_g.each(kept_s, [&](C g, C s) { sum += summand(g, s, logarithm); });
        for (long long first = stride; first < row.packs(); first += stride) {
            g.read(gradients, row, first);
            s.read(row.at, row, first);
            g.each(s, [&](C g, C s) { sum += summand(g, s, logarithm); });
        }
        sum = row_reduce<Sum>(sum);
        kept_g.each(kept_s, [&](C& g, C s) { g = gradient(g, s, sum, logarithm); });
        kept_g.write(to, row, 0);
        for (long long first = stride; first < row.packs(); first += stride) {
            g.read(gradients, row, first);
            s.read(row.at, row, first);
            g.each(s, [&](C& g, C s) { g = gradient(g, s, sum, logarithm); });
            g.write(to, row, first);
        }
    });
}

// A column is read twice, the second time from the cache.

template <class T, int V>
__global__ void __launch_bounds__(256, 1)
    softmax_columns(const T* x, T* out, long long outer, long long n, long long inner,
                    bool logarithm) {
    using C = Compute<T>;
    each_column<V>(outer, n, inner, [&](const Column<V>& column) {
        Exponentials<C> all[V];
        C by[V];
#pragma unroll
        for (int i = 0; i < V; i++) all[i] = AddExponentials::identity<Exponentials<C>>();
#pragma unroll 4
        for (long long j = threadIdx.y; j < column.n; j += blockDim.y) {
            const auto pack = column.read(x, j, inner);
#pragma unroll
            for (int i = 0; i < V; i++) all[i] = AddExponentials::add(all[i], load(pack.at[i]));
        }
        column_reduce<AddExponentials, V>(all);
#pragma unroll
        for (int i = 0; i < V; i++) by[i] = normalizer(all[i], logarithm);
#pragma unroll 4
        for (long long j = threadIdx.y; j < column.n; j += blockDim.y) {
            auto pack = column.read(x, j, inner);
#pragma unroll
            for (int i = 0; i < V; i++)
                pack.at[i] =
                    store<T>(normalized(load(pack.at[i]), all[i].largest, by[i], logarithm));
            column.write(out, j, inner, pack);
        }
    });
}

template <class T, int V>
__global__ void __launch_bounds__(256, 1)
    softmax_columns_gradient(const T* grad, const T* out, T* to_x, long long outer, long long n,
                             long long inner, bool logarithm) {
    using C = Compute<T>;
    each_column<V>(outer, n, inner, [&](const Column<V>& column) {
        C sum[V] = {};
#pragma unroll 4
        for (long long j = threadIdx.y; j < column.n; j += blockDim.y) {
            const auto g = column.read(grad, j, inner), s = column.read(out, j, inner);
#pragma unroll
            for (int i = 0; i < V; i++) sum[i] += summand(load(g.at[i]), load(s.at[i]), logarithm);
        }
        column_reduce<Sum, V>(sum);
#pragma unroll 4
        for (long long j = threadIdx.y; j < column.n; j += blockDim.y) {
            auto g = column.read(grad, j, inner);
            const auto s = column.read(out, j, inner);
#pragma unroll
            for (int i = 0; i < V; i++)
                g.at[i] = store<T>(gradient(load(g.at[i]), load(s.at[i]), sum[i], logarithm));
            column.write(to_x, j, inner, g);
        }
    });
}
