// Rows of numbers and the threads that share them.
//
// A block is blockDim.x threads to a row (a power of 2 up to a warp, or whole warps) by blockDim.y
// rows. A thread takes PACKS packs of 16 bytes at a time, a batch. Packs lie on 16-byte boundaries of
// memory, not of the row, so that a row of any length from any address is read in whole accesses; of
// its first and its last pack only what is inside the row counts. The first batch stays in registers:
// a row that is no longer is read once.
//
// A row whose elements lie apart is a column: x is (outer, n, inner), and a thread has V neighbours
// along the inner dimension, which it shares with the other threads of its threadIdx.x.
#pragma once
#include "collectives.cuh"

template <class T> constexpr int WIDTH = 16 / sizeof(T);  // elements of a pack

// The packs of a row of n elements that begins at an address.
template <class T> struct Row {
    T* at;
    long long n;
    int before;  // elements of the first pack that lie before the row

    __device__ __forceinline__ Row(T* at, long long n)
        : at(at), n(n), before((int)((unsigned long long)at % 16 / sizeof(T))) {}
    __device__ __forceinline__ long long packs() const {
        return (before + n + WIDTH<T> - 1) / WIDTH<T>;
    }
    // The place in the row of a pack's first element, less than 0 if that is not in the row.
    __device__ __forceinline__ long long place(long long pack) const {
        return pack * WIDTH<T> - before;
    }
};

template <class T>
__device__ __forceinline__ bool is_whole(const T* row, long long j, long long n) {
    return j >= 0 && j + WIDTH<T> <= n && (unsigned long long)(row + j) % 16 == 0;
}

// The pack at places j, j + 1, ... of a row of n elements, `outside` for what is not in it.
template <class T>
__device__ __forceinline__ Pack<T, WIDTH<T>> read_pack(const T* row, long long j, long long n,
                                                       T outside) {
    if (is_whole(row, j, n)) return *reinterpret_cast<const Pack<T, WIDTH<T>>*>(row + j);
    Pack<T, WIDTH<T>> pack;
#pragma unroll
    for (int i = 0; i < WIDTH<T>; i++)
        pack.at[i] = j + i >= 0 && j + i < n ? row[j + i] : outside;
    return pack;
}

template <class T>
__device__ __forceinline__ void write_pack(T* row, long long j, long long n,
                                           const Compute<T>* from) {
    Pack<T, WIDTH<T>> pack;
#pragma unroll
    for (int i = 0; i < WIDTH<T>; i++) pack.at[i] = store<T>(from[i]);
    if (is_whole(row, j, n)) {
        *reinterpret_cast<Pack<T, WIDTH<T>>*>(row + j) = pack;
    } else {
#pragma unroll
        for (int i = 0; i < WIDTH<T>; i++)
            if (j + i >= 0 && j + i < n) row[j + i] = pack.at[i];
    }
}

// What a thread holds of a row: PACKS packs, blockDim.x apart.
template <class T, int PACKS> struct Batch {
    Compute<T> at[PACKS][WIDTH<T>];

    // The number of the thread's pack p, in the batch whose first pack is `first`.
    static __device__ __forceinline__ long long pack(long long first, int p) {
        return first + p * (int)blockDim.x + (int)threadIdx.x;
    }
    static __device__ __forceinline__ long long stride() { return (long long)PACKS * blockDim.x; }

    // Reads from `row`, whose packs are laid out as those of `like`. All packs are on their way
    // before the first is looked at.
    template <class R>
    __device__ __forceinline__ void read(const T* row, const Row<R>& like, long long first,
                                         Compute<T> outside = 0) {
        Pack<T, WIDTH<T>> packs[PACKS];
#pragma unroll
        for (int p = 0; p < PACKS; p++)
            packs[p] = read_pack(row, like.place(pack(first, p)), like.n, store<T>(outside));
#pragma unroll
        for (int p = 0; p < PACKS; p++)
#pragma unroll
            for (int i = 0; i < WIDTH<T>; i++) at[p][i] = load(packs[p].at[i]);
    }
    template <class R>
    __device__ __forceinline__ void write(T* row, const Row<R>& like, long long first) const {
#pragma unroll
        for (int p = 0; p < PACKS; p++)
            write_pack(row, like.place(pack(first, p)), like.n, at[p]);
    }
    // visit(element), or visit(element, element of the other batch at the same place).
    template <class Visit> __device__ __forceinline__ void each(Visit visit) {
#pragma unroll
        for (int p = 0; p < PACKS; p++)
#pragma unroll
            for (int i = 0; i < WIDTH<T>; i++) visit(at[p][i]);
    }
    template <class Visit>
    __device__ __forceinline__ void each(const Batch& other, Visit visit) {
#pragma unroll
        for (int p = 0; p < PACKS; p++)
#pragma unroll
            for (int i = 0; i < WIDTH<T>; i++) visit(at[p][i], other.at[p][i]);
    }
};

// visit(row) for the rows of a block, one after another; the same number of times in every thread.
template <class Visit> __device__ __forceinline__ void each_row(long long rows, Visit visit) {
    for (long long first = (long long)blockIdx.x * blockDim.y; first < rows;
         first += (long long)gridDim.x * blockDim.y)
        visit(first + threadIdx.y);
}

// The reduction over the threads of a row, in each of them. All threads of the block call it.
template <class Op, class T> __device__ __forceinline__ T row_reduce(T x) {
    return blockDim.x > 32 ? block_reduce<Op>(x) : warp_reduce<Op>(x, blockDim.x);
}

// The V columns of a thread, of all outer * inner of them.
template <int V> struct Column {
    long long number;  // of the first of them
    long long start;   // the place of its first element
    long long n;       // elements of each, or 0 for a thread beyond the last one
    __device__ __forceinline__ Column(long long group, long long outer, long long n, long long inner)
        : number(group * V), start(number / inner * n * inner + number % inner),
          n(number < outer * inner ? n : 0) {}
    // Element j of each.
    template <class T>
    __device__ __forceinline__ Pack<T, V> read(const T* x, long long j, long long inner) const {
        return *reinterpret_cast<const Pack<T, V>*>(x + start + j * inner);
    }
    template <class T>
    __device__ __forceinline__ void write(T* x, long long j, long long inner,
                                          const Pack<T, V>& pack) const {
        *reinterpret_cast<Pack<T, V>*>(x + start + j * inner) = pack;
    }
};

// visit(column) for the columns of a thread, as often in every thread of the block.
template <int V, class Visit>
__device__ __forceinline__ void each_column(long long outer, long long n, long long inner,
                                            Visit visit) {
    const long long groups = outer * inner / V;
    for (long long first = (long long)blockIdx.x * blockDim.x; first < groups;
         first += (long long)gridDim.x * blockDim.x)
        visit(Column<V>(first + threadIdx.x, outer, n, inner));
}

// The reduction of V values over the threads of one threadIdx.x, in each of them. Blocks have at most
// 256 threads, all of which call it.
template <class Op, int V, class T> __device__ __forceinline__ void column_reduce(T* values) {
    if (blockDim.y == 1) return;
    __shared__ T of_thread[256][V];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < V; i++) of_thread[threadIdx.y * blockDim.x + threadIdx.x][i] = values[i];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < V; i++) {
        T all = of_thread[threadIdx.x][i];
        for (int y = 1; y < blockDim.y; y++)
            all = Op::combine(all, of_thread[y * blockDim.x + threadIdx.x][i]);
        values[i] = all;
    }
}

// The elements of a batch more in a sum of exponentials, at the price of one exponential each and
// one for all.
template <class T, int PACKS>
__device__ __forceinline__ Exponentials<Compute<T>> add_exponentials(Exponentials<Compute<T>> all,
                                                                     Batch<T, PACKS>& batch) {
    using C = Compute<T>;
    C largest = all.largest;
    batch.each([&](C x) { largest = x > largest ? x : largest; });
    C sum = all.sum * AddExponentials::factor(all.largest, largest);
    batch.each([&](C x) { sum += AddExponentials::factor(x, largest); });
    return {largest, sum};
}
