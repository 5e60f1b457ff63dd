// Cross-entropy of logits against classes: one read of the logits forward, one read and one write
// backward, and no array of their size in between.
//
// With w the weight of a class (1 without weights) and s the label smoothing, a row of n logits with
// the class t loses
//     (1 - s) w[t] (L - x[t]) + s / n sum_c w[c] (L - x[c]),    L = log(sum(exp(x))),
// and its gradient is softmax(x) Q - q with q[c] = s w[c] / n + (1 - s) w[t] [c = t] and Q = sum(q).
// L is kept as the largest logit and the sum of exponentials beside it, so that large logits cost no
// digits. Rows whose class is `ignored` count for nothing; neither do those whose class is none,
// which are reported.
//
// A row is one of (rows, n), or a column of (outer, n, inner), as in rows.cuh.
#include "checks.cuh"
#include "rows.cuh"

struct Classes {
    long long n, ignored;
    int kind;  // of the targets: the size of an integer, negative for one without a sign
    double smoothing;
};

__device__ __forceinline__ long long class_at(const void* targets, long long i, int kind) {
    switch (kind) {
        case 1: return static_cast<const signed char*>(targets)[i];
        case 2: return static_cast<const short*>(targets)[i];
        case 4: return static_cast<const int*>(targets)[i];
        case -1: return static_cast<const unsigned char*>(targets)[i];
        case -2: return static_cast<const unsigned short*>(targets)[i];
        case -4: return static_cast<const unsigned*>(targets)[i];
        default: return static_cast<const long long*>(targets)[i];
    }
}

// The class of row i, or -1 if it does not count.
__device__ __forceinline__ long long counted(const void* targets, long long i, const Classes& given) {
    const long long found = class_at(targets, i, given.kind);
    return found != given.ignored && found >= 0 && found < given.n ? found : -1;
}

// What is known of a row after it was read: its exponentials; for smoothing the sum of w (x - shift)
// and of w; and the shift, which keeps digits.
template <class C> struct Summary {
    Exponentials<C> all;
    Two<C> spread;
    C shift;
};

// An infinite shift would take all digits.
template <class T> __device__ __forceinline__ Compute<T> shift_of(T first) {
    const Compute<T> shift = load(first);
    return shift - shift == 0 ? shift : Compute<T>(0);
}

// Where the forward's results go.
template <class T> struct Results {
    using C = Compute<T>;
    T* losses;         // of each row, or null
    C *largest, *sums;  // of each row
    C* total;          // the divisor of the loss, and the sum of the weights of all classes
    Two<C>* parts;     // of each block, the sum of its losses and of their weights; or null
    IndexReport* report;
    int message;

    // Finishes a row: its loss, and the weight with which that counts. `stride` leads to the next
    // logit of the row.
    __device__ __forceinline__ Two<C> finish(long long row, const T* logits, long long stride,
                                             const Summary<C>& seen, const void* targets,
                                             const T* weight, const Classes& given) const {
        const long long label = counted(targets, row, given);
        const C sum = seen.all.sum + (seen.all.largest - seen.all.largest);  // NaN of an infinity
        Two<C> loss{};
        if (label >= 0) {
            const C smoothing = (C)given.smoothing, beyond = log(sum);
            const C counts = weight ? load(weight[label]) : C(1);
            loss.first = counts * (seen.all.largest - load(logits[label * stride]) + beyond);
            loss.second = counts;
            if (smoothing != 0) {
                const C up = seen.all.largest - seen.shift + beyond;
                const C uniform = (seen.spread.second * up - seen.spread.first) / (C)given.n;
                loss.first = loss.first * (1 - smoothing) + uniform * smoothing;
            }
        } else {
            const long long found = class_at(targets, row, given.kind);
            if (found != given.ignored) report_index(report, message, found);
        }
        largest[row] = seen.all.largest;
        sums[row] = sum;
        if (row == 0) {
            total[0] = 1;
            total[1] = seen.spread.second;
        }
        if (losses) losses[row] = store<T>(loss.first);
        return loss;
    }
    __device__ __forceinline__ void write_part(Two<C> mine) const {
        if (!parts) return;
        mine = block_reduce<Sum>(mine);
        if (threadIdx.x == 0 && threadIdx.y == 0) parts[blockIdx.x] = mine;
    }
};

template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    cross_entropy_rows(const T* x, const void* targets, const T* weight, T* losses,
                       Compute<T>* largest, Compute<T>* sums, Compute<T>* total,
                       Two<Compute<T>>* parts, IndexReport* report, int message, Classes given,
                       long long rows) {
    using C = Compute<T>;
    const Results<T> results{losses, largest, sums, total, parts, report, message};
    const bool smoothed = given.smoothing != 0;
    Two<C> mine{};
    each_row(rows, [&](long long number) {
        const T* logits = x + number * given.n;
        // Threads beyond the last row keep step with the others, over a row of nothing.
        const Row<const T> row(logits, number < rows ? given.n : 0);
        Summary<C> seen{AddExponentials::identity<Exponentials<C>>(), {}, 0};
        if (smoothed && row.n) seen.shift = shift_of(logits[0]);
        Batch<T, PACKS> batch, weights;
        for (long long first = 0; first < row.packs(); first += batch.stride()) {
            batch.read(logits, row, first, Bounds<C>::lowest());
            seen.all = add_exponentials(seen.all, batch);
            if (!smoothed) continue;
            if (weight) weights.read(weight, row, first);
#pragma unroll
            for (int p = 0; p < PACKS; p++)
#pragma unroll
                for (int i = 0; i < WIDTH<T>; i++) {
                    const long long j = row.place(batch.pack(first, p)) + i;
                    if (j < 0 || j >= row.n) continue;
                    const C counts = weight ? weights.at[p][i] : C(1);
                    seen.spread = seen.spread + Two<C>{counts * (batch.at[p][i] - seen.shift), counts};
                }
        }
        seen.all = row_reduce<AddExponentials>(seen.all);
        if (smoothed) seen.spread = row_reduce<Sum>(seen.spread);
        if (threadIdx.x == 0 && number < rows)
            mine = mine + results.finish(number, logits, 1, seen, targets, weight, given);
    });
    results.write_part(mine);
}

template <class T, int V>
__global__ void __launch_bounds__(256, 1)
    cross_entropy_columns(const T* x, const void* targets, const T* weight, T* losses,
                          Compute<T>* largest, Compute<T>* sums, Compute<T>* total,
                          Two<Compute<T>>* parts, IndexReport* report, int message, Classes given,
                          long long outer, long long inner) {
    using C = Compute<T>;
    const Results<T> results{losses, largest, sums, total, parts, report, message};
    const bool smoothed = given.smoothing != 0;
    Two<C> mine{};
    each_column<V>(outer, given.n, inner, [&](const Column<V>& column) {
        Exponentials<C> all[V];
        Two<C> spread[V] = {};
        C shift[V] = {};
#pragma unroll
        for (int i = 0; i < V; i++) all[i] = AddExponentials::identity<Exponentials<C>>();
        if (smoothed && column.n) {
#pragma unroll
            for (int i = 0; i < V; i++) shift[i] = shift_of(x[column.start + i]);
        }
#pragma unroll 4
        for (long long j = threadIdx.y; j < column.n; j += blockDim.y) {
            const auto pack = column.read(x, j, inner);
            const C counts = smoothed && weight ? load(weight[j]) : C(1);
#pragma unroll
            for (int i = 0; i < V; i++) {
                const C logit = load(pack.at[i]);
                all[i] = AddExponentials::add(all[i], logit);
                if (smoothed) spread[i] = spread[i] + Two<C>{counts * (logit - shift[i]), counts};
            }
        }
        column_reduce<AddExponentials, V>(all);
        if (smoothed) column_reduce<Sum, V>(spread);
        if (threadIdx.y == 0 && column.number < outer * inner) {
#pragma unroll
            for (int i = 0; i < V; i++) {
                const Summary<C> seen{all[i], spread[i], shift[i]};
                mine = mine + results.finish(column.number + i, x + column.start + i, inner, seen,
                                             targets, weight, given);
            }
        }
    });
    results.write_part(mine);
}

// One block adds up what the others left: the loss, divided by the sum of the weights if a mean is
// wanted. That divisor is never 0, so that nothing divided by nothing is 0.
template <class T>
__global__ void __launch_bounds__(256)
    cross_entropy_total(const Two<Compute<T>>* parts, T* loss, Compute<T>* total, int blocks,
                        bool mean) {
    using C = Compute<T>;
    Two<C> all{};
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) all = all + parts[i];
    all = block_reduce<Sum>(all);
    if (threadIdx.x != 0) return;
    const C divisor = mean && all.second != 0 ? all.second : C(1);
    *loss = store<T>(all.first / divisor);
    total[0] = divisor;
}

// A row's gradient: exp(x - largest) * scale - w * even - [c = label] * more, 0 if it did not count.
template <class C> struct Line {
    C largest, scale, even, more;
    long long label;
    __device__ __forceinline__ C operator()(C x, C weight, long long c) const {
        if (label < 0) return 0;
        const C share = exponential(x - largest) * scale - weight * even;
        return c == label ? share - more : share;
    }
};

// `total` is what the forward left; `grad` is of the loss, or, with `each`, of each row.
template <class T>
__device__ __forceinline__ Line<Compute<T>> line_of(long long row, const T* grad,
                                                    const void* targets, const T* weight,
                                                    const Compute<T>* largest,
                                                    const Compute<T>* sums, const Compute<T>* total,
                                                    const Classes& given, bool each) {
    using C = Compute<T>;
    const long long label = counted(targets, row, given);
    if (label < 0) return {0, 0, 0, 0, -1};
    const C smoothing = (C)given.smoothing;
    const C upon = load(grad[each ? row : 0]) / total[0];
    const C even = upon * smoothing / (C)given.n;
    const C more = upon * (1 - smoothing) * (weight ? load(weight[label]) : C(1));
    return {largest[row], (even * total[1] + more) / sums[row], even, more, label};
}

template <class T, int PACKS>
__global__ void __launch_bounds__(512, 1)
    cross_entropy_rows_gradient(const T* grad, const T* x, const void* targets, const T* weight,
                                const Compute<T>* largest, const Compute<T>* sums,
                                const Compute<T>* total, T* to_x, Classes given, bool each,
                                long long rows) {
    using C = Compute<T>;
    const bool weighted = weight && given.smoothing != 0;
    each_row(rows, [&](long long number) {
        if (number >= rows) return;
        const auto line =
            line_of(number, grad, targets, weight, largest, sums, total, given, each);
        const Row<const T> row(x + number * given.n, given.n);
        Batch<T, PACKS> batch, weights;
        for (long long first = 0; first < row.packs(); first += batch.stride()) {
            batch.read(row.at, row, first);
            if (weighted) weights.read(weight, row, first);
#pragma unroll
            for (int p = 0; p < PACKS; p++)
#pragma unroll
                for (int i = 0; i < WIDTH<T>; i++)
                    batch.at[p][i] = line(batch.at[p][i], weighted ? weights.at[p][i] : C(1),
                                          row.place(batch.pack(first, p)) + i);
            batch.write(to_x + number * given.n, row, first);
        }
    });
}

template <class T, int V>
__global__ void __launch_bounds__(256, 1)
    cross_entropy_columns_gradient(const T* grad, const T* x, const void* targets, const T* weight,
                                   const Compute<T>* largest, const Compute<T>* sums,
                                   const Compute<T>* total, T* to_x, Classes given, bool each,
                                   long long outer, long long inner) {
    using C = Compute<T>;
    const bool weighted = weight && given.smoothing != 0;
    each_column<V>(outer, given.n, inner, [&](const Column<V>& column) {
        if (!column.n) return;
        Line<C> line[V];
#pragma unroll
        for (int i = 0; i < V; i++)
            line[i] = line_of(column.number + i, grad, targets, weight, largest, sums, total, given,
                              each);
#pragma unroll 4
        for (long long j = threadIdx.y; j < column.n; j += blockDim.y) {
            auto pack = column.read(x, j, inner);
            const C factor = weighted ? load(weight[j]) : C(1);
#pragma unroll
            for (int i = 0; i < V; i++) pack.at[i] = store<T>(line[i](load(pack.at[i]), factor, j));
            column.write(to_x, j, inner, pack);
        }
    });
}
