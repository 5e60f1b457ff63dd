// What a warp or a block of threads makes of one value of each: sums, products, extremes.
//
// An operation is a struct with `identity<T>()` and `combine(a, b)`, commutative and, up to rounding,
// associative. Values meet in an order that depends on nothing but the shape of the block, so that
// results repeat to the last bit. A struct of several values is reduced at once, in a third of the
// barriers, if `exchange` and `combine` know it.
#pragma once
#include "types.cuh"

constexpr unsigned EVERY_LANE = 0xffffffffu;

template <class T> __device__ __forceinline__ bool is_nan(T x) { return x != x; }

// The smallest and the largest value that every other one replaces; infinite where there is infinity.
template <class T> struct Bounds;
template <> struct Bounds<float> {
    static __device__ __forceinline__ float highest() { return __int_as_float(0x7f800000); }
    static __device__ __forceinline__ float lowest() { return -highest(); }
};
template <> struct Bounds<double> {
    static __device__ __forceinline__ double highest() { return Bounds<float>::highest(); }
    static __device__ __forceinline__ double lowest() { return -highest(); }
};
template <> struct Bounds<int> {
    static __device__ __forceinline__ int highest() { return 0x7fffffff; }
    static __device__ __forceinline__ int lowest() { return -0x7fffffff - 1; }
};
template <> struct Bounds<long long> {
    static __device__ __forceinline__ long long highest() { return 0x7fffffffffffffffLL; }
    static __device__ __forceinline__ long long lowest() { return -0x7fffffffffffffffLL - 1; }
};

struct Sum {
    template <class T> static __device__ __forceinline__ T identity() { return T{}; }
    template <class T> static __device__ __forceinline__ T combine(T a, T b) { return a + b; }
};

struct Product {
    template <class T> static __device__ __forceinline__ T identity() { return T(1); }
    template <class T> static __device__ __forceinline__ T combine(T a, T b) { return a * b; }
};

// NaN where one is NaN, as NumPy's maximum and minimum.
struct Max {
    template <class T> static __device__ __forceinline__ T identity() { return Bounds<T>::lowest(); }
    template <class T> static __device__ __forceinline__ T combine(T a, T b) {
        return a > b || is_nan(a) ? a : b;
    }
};

struct Min {
    template <class T> static __device__ __forceinline__ T identity() { return Bounds<T>::highest(); }
    template <class T> static __device__ __forceinline__ T combine(T a, T b) {
        return a < b || is_nan(a) ? a : b;
    }
};

// Two sums at once.
template <class T> struct Two {
    T first, second;
};
template <class T> __device__ __forceinline__ Two<T> operator+(Two<T> a, Two<T> b) {
    return {a.first + b.first, a.second + b.second};
}

// A value and where it was found; `ArgMax` prefers NaN, then the largest, of equals the first place.
template <class T> struct Placed {
    T value;
    long long place;
};

struct ArgMax {
    template <class P> static __device__ __forceinline__ P identity() {
        return {Bounds<decltype(P::value)>::lowest(), Bounds<long long>::highest()};
    }
    template <class T> static __device__ __forceinline__ Placed<T> combine(Placed<T> a, Placed<T> b) {
        const bool same = a.value == b.value || (is_nan(a.value) && is_nan(b.value));
        const bool larger = a.value > b.value || is_nan(a.value);
        return (same ? a.place < b.place : larger) ? a : b;
    }
};
// A sum of exponentials, held as sum * exp(largest) so that none overflows: the log-sum-exp and the
// softmax in one read (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
template <class T> struct Exponentials {
    T largest, sum;
};

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }

struct AddExponentials {
    template <class E> static __device__ __forceinline__ E identity() {
        return {Bounds<decltype(E::sum)>::lowest(), 0};
    }
    // The factor exp(from - to); 1 between equals, of which both may be infinite.
    template <class T> static __device__ __forceinline__ T factor(T from, T to) {
        return from == to ? T(1) : exponential(from - to);
    }
    // The same bits whichever comes first, so that all threads of a reduction agree: of the sum of two
    // products, the compiler would round one at once with the sum (FMA) and the other before.
    template <class T>
    static __device__ __forceinline__ Exponentials<T> combine(Exponentials<T> a, Exponentials<T> b) {
        if (b.largest > a.largest || (b.largest == a.largest && b.sum > a.sum)) {
            const Exponentials<T> larger = b;
            b = a;
            a = larger;
        }
        return {a.largest, a.sum + b.sum * factor(b.largest, a.largest)};
    }
    // One element more, at the price of one exponential.
    template <class T>
    static __device__ __forceinline__ Exponentials<T> add(Exponentials<T> a, T x) {
        const bool grows = x > a.largest;
        const T scale = grows ? factor(a.largest, x) : factor(x, a.largest);
        return grows ? Exponentials<T>{x, a.sum * scale + 1} : Exponentials<T>{a.largest, a.sum + scale};
    }
};
// What the lane whose number differs in the bits of `across` holds.
template <class T> __device__ __forceinline__ T exchange(T x, int across) {
    return __shfl_xor_sync(EVERY_LANE, x, across);
}
template <class T> __device__ __forceinline__ Two<T> exchange(Two<T> x, int across) {
    return {exchange(x.first, across), exchange(x.second, across)};
}
template <class T> __device__ __forceinline__ Placed<T> exchange(Placed<T> x, int across) {
    return {exchange(x.value, across), exchange(x.place, across)};
}
template <class T> __device__ __forceinline__ Exponentials<T> exchange(Exponentials<T> x, int across) {
    return {exchange(x.largest, across), exchange(x.sum, across)};
}

// The reduction over a warp, or over each group of `lanes` (a power of 2) of it, in every lane. All
// lanes of the warp call it.
template <class Op, class T> __device__ __forceinline__ T warp_reduce(T x, int lanes = 32) {
    for (int across = lanes / 2; across > 0; across /= 2)
        x = Op::combine(x, exchange(x, across));
    return x;
}

// The reduction over a block, in every thread; blocks have a multiple of 32 threads, in any shape.
// All threads of the block call it. It waits twice, and once more than needed the first time, so
// that it may be called again at once.
template <class Op, class T> __device__ __forceinline__ T block_reduce(T x) {
    __shared__ T of_warp[32];
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const int warps = blockDim.x * blockDim.y * blockDim.z / 32;
    x = warp_reduce<Op>(x);
    if (warps == 1) return x;
    __syncthreads();
    if (thread % 32 == 0) of_warp[thread / 32] = x;
    __syncthreads();
    x = thread % 32 < warps ? of_warp[thread % 32] : Op::template identity<T>();
    return warp_reduce<Op>(x);
}
