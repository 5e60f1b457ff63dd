// What is reduced to what: for each operation its state, how an element joins it, how two states
// become one, and what is written in the end. `reductions.cu` brings the elements together.
//
//     Input                 the type of the elements in memory
//     State                 what a thread holds; a plain struct or a number
//     PACK                  how many elements may be read in one access
//     RELATIVE              whether it asks for the first element
//     take(state, x, first, place, options)   x, element number `place` of what is reduced, joins
//     finish(out, at, state, options)         out[at] from everything
#pragma once
#include "collectives.cuh"

// What the operations take beside the elements; the same for all, so that it is filled in once.
struct Options {
    int mode;                       // which of an operation's kinds
    unsigned long long keep, flip;  // bits of an element that count, and that are inverted
    double number;                  // a divisor, a power or a count
};

template <class T, int N = sizeof(T) == 1 ? 8 : 16 / sizeof(T)> struct Reads {
    using Input = T;
    static constexpr int PACK = N;
    static constexpr bool RELATIVE = false;
};

// In what a type is summed: halves in float, integers in 64 bits, whose overflow wraps around.
template <class T> struct Accumulator { using type = unsigned long long; };
template <> struct Accumulator<float16> { using type = float; };
template <> struct Accumulator<bfloat16> { using type = float; };
template <> struct Accumulator<float> { using type = float; };
template <> struct Accumulator<double> { using type = double; };

template <class T> constexpr bool FRACTIONAL = T(0.5) != T(0);

// In what a type is compared: what arithmetic promotes it to.
template <class T> using Compared = decltype(+Compute<T>());

__device__ __forceinline__ float magnitude(float x) { return fabsf(x); }
__device__ __forceinline__ double magnitude(double x) { return fabs(x); }
__device__ __forceinline__ float root(float x) { return sqrtf(x); }
__device__ __forceinline__ double root(double x) { return sqrt(x); }
__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }
__device__ __forceinline__ float power(float x, float y) { return powf(x, y); }
__device__ __forceinline__ double power(double x, double y) { return pow(x, y); }

// The sum divided by `number`: 1, or how many there are for a mean.
template <class T> struct SumOf : Reads<T>, Sum {
    using State = typename Accumulator<T>::type;
    static __device__ __forceinline__ void take(State& sum, T x, T, long long, const Options&) {
        sum += load(x);
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State sum,
                                                  const Options& options) {
        if constexpr (FRACTIONAL<State>) sum /= (State)options.number;
        static_cast<T*>(out)[at] = store<T>(sum);
    }
};

// The sum of a simple function of the elements.
template <class T> struct SumOfEach : Reads<T>, Sum {
    enum Mode { PRESENT, MAGNITUDES, SQUARES, LENGTH };  // PRESENT: what is not NaN
    using State = Compute<T>;
    static __device__ __forceinline__ void take(State& sum, T stored, T, long long,
                                                const Options& options) {
        const State x = load(stored);
        if (options.mode == PRESENT) sum += is_nan(x) ? State(0) : x;
        else if (options.mode == MAGNITUDES) sum += magnitude(x);
        else sum += x * x;
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State sum,
                                                  const Options& options) {
        static_cast<T*>(out)[at] = store<T>(options.mode == LENGTH ? root(sum) : sum);
    }
};

// (sum |x|^p)^(1/p). One element at a time: a power takes too many instructions to unroll.
template <class T> struct PowerNormOf : Reads<T, 1>, Sum {
    using State = Compute<T>;
    static __device__ __forceinline__ void take(State& sum, T x, T, long long,
                                                const Options& options) {
        sum += power(magnitude(load(x)), (State)options.number);
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State sum,
                                                  const Options& options) {
        static_cast<T*>(out)[at] = store<T>(power(sum, State(1) / (State)options.number));
    }
};

template <class T> struct ProductOf : Reads<T>, Product {
    using State = typename Accumulator<T>::type;
    static __device__ __forceinline__ void take(State& product, T x, T, long long, const Options&) {
        product *= load(x);
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State product,
                                                  const Options&) {
        static_cast<T*>(out)[at] = store<T>(product);
    }
};

// An element with its bits masked and inverted as the options say. Inverting the sign of a float, or
// all bits of an integer, turns the order round; inverting the highest bit orders unsigned integers
// as signed ones; without its sign a float is its magnitude. So one kernel finds the largest, the
// smallest, and the largest and smallest magnitude.
template <int BYTES> struct Word;
template <> struct Word<1> { using type = unsigned char; };
template <> struct Word<2> { using type = unsigned short; };
template <> struct Word<4> { using type = unsigned int; };
template <> struct Word<8> { using type = unsigned long long; };
template <class T> __device__ __forceinline__ T masked(T x, unsigned long long keep,
                                                       unsigned long long flip) {
    using Bits = typename Word<sizeof(T)>::type;
    Bits bits;
    memcpy(&bits, &x, sizeof(T));
    bits = (bits & (Bits)keep) ^ (Bits)flip;
    memcpy(&x, &bits, sizeof(T));
    return x;
}

template <class T> struct LargestOf : Reads<T>, Max {
    using State = Compared<T>;
    static __device__ __forceinline__ void take(State& largest, T x, T, long long,
                                                const Options& options) {
        largest = combine(largest, (State)load(masked(x, options.keep, options.flip)));
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State largest,
                                                  const Options& options) {
        static_cast<T*>(out)[at] = masked(store<T>(largest), ~0ull, options.flip);
    }
};

template <class T> struct PlaceOfLargest : Reads<T>, ArgMax {
    using State = Placed<Compared<T>>;
    static __device__ __forceinline__ void take(State& largest, T x, T, long long place,
                                                const Options& options) {
        const Compared<T> value = load(masked(x, options.keep, options.flip));
        largest = combine(largest, State{value, place});
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State largest,
                                                  const Options&) {
        static_cast<long long*>(out)[at] = largest.place;
    }
};

// How many elements, given as words, have a bit set among those that count.
template <class T> struct CountOf : Reads<T>, Sum {
    enum Mode { NUMBER, ANY, ALL };
    using State = long long;
    static __device__ __forceinline__ void take(State& count, T x, T, long long,
                                                const Options& options) {
        count += (x & (T)options.keep) != 0;
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State count,
                                                  const Options& options) {
        if (options.mode == NUMBER) static_cast<long long*>(out)[at] = count;
        else if (options.mode == ANY) static_cast<bool*>(out)[at] = count != 0;
        else static_cast<bool*>(out)[at] = count == (long long)options.number;
    }
};

template <class T> struct LogSumExpOf : Reads<T>, AddExponentials {
    using State = Exponentials<Compute<T>>;
    static __device__ __forceinline__ void take(State& sum, T x, T, long long, const Options&) {
        sum = add(sum, load(x));
    }
    static __device__ __forceinline__ void finish(void* out, long long at, State sum,
                                                  const Options&) {
        static_cast<T*>(out)[at] = store<T>(sum.largest + logarithm(sum.sum));
    }
};

// A mean and the sum of squared distances from it, in one read: Welford, "Note on a method for
// calculating corrected sums of squares" (1962), and for two parts Chan, Golub and LeVeque (1979).
template <class T> struct Moments {
    T count, mean, squares;
};
template <class T> __device__ __forceinline__ Moments<T> exchange(Moments<T> x, int across) {
    return {exchange(x.count, across), exchange(x.mean, across), exchange(x.squares, across)};
}

// Of the distances from the first element, which are exactly 0 for a constant, and small where all
// are far from 0: a mean near 0 is rounded to more digits.
template <class T> struct VarianceOf : Reads<T> {
    static constexpr bool RELATIVE = true;
    using Number = Compute<T>;
    using State = Moments<Number>;
    template <class S> static __device__ __forceinline__ S identity() { return S{}; }
    static __device__ __forceinline__ State combine(State a, State b) {
        if (a.count == 0) return b;
        if (b.count == 0) return a;
        const Number count = a.count + b.count;
        const Number distance = b.mean - a.mean, share = b.count / count;
        return {count, a.mean + distance * share,
                a.squares + b.squares + distance * distance * (a.count * share)};
    }
    static __device__ __forceinline__ void take(State& moments, T stored, T first, long long,
                                                const Options&) {
        const Number x = load(stored) - load(first), distance = x - moments.mean;
        moments.count += 1;
        moments.mean += distance / moments.count;
        moments.squares += distance * (x - moments.mean);
    }
    // `number` is how many there are less the correction, at least 0.
    static __device__ __forceinline__ void finish(void* out, long long at, State moments,
                                                  const Options& options) {
        static_cast<T*>(out)[at] = store<T>(moments.squares / (Number)options.number);
    }
};
