// Random numbers of several distributions, each element a function of seed, offset and its index.
//
// A thread fills a pack of 16 bytes at a time, and a grid of any size walks over all of them. What a
// counter gives is Draw::COUNT elements: four of 32 bits, or two of 64.
#include "checks.cuh"
#include "philox.cuh"
#include "types.cuh"

template <class Draw, class T>
__device__ __forceinline__ void fill(T* out, unsigned long long seed, unsigned long long offset,
                                     long long n, Draw draw) {
    constexpr int PACK = 16 / sizeof(T);
    constexpr int STEP = PACK > Draw::COUNT ? PACK : Draw::COUNT;  // elements of one turn
    constexpr int CALLS = STEP / Draw::COUNT;
    const long long turns = (n + STEP - 1) / STEP, stride = (long long)gridDim.x * blockDim.x;
    for (long long turn = (long long)blockIdx.x * blockDim.x + threadIdx.x; turn < turns;
         turn += stride) {
        const long long first = turn * STEP;
        Pack<T, PACK> drawn[STEP / PACK];
        T* at = drawn[0].at;
#pragma unroll
        for (int call = 0; call < CALLS; call++) {
            draw(philox(seed, offset + turn * CALLS + call), first + call * Draw::COUNT,
                 at + call * Draw::COUNT);
        }
        if (first + STEP <= n) {
#pragma unroll
            for (int i = 0; i < STEP; i += PACK) {
                *reinterpret_cast<Pack<T, PACK>*>(out + first + i) = drawn[i / PACK];
            }
        } else {
#pragma unroll
            for (int i = 0; i < STEP; i++) {
                if (first + i < n) out[first + i] = at[i];
            }
        }
    }
}

// Uniform on [0, 1), in as many bits as the type's significand has, so that nothing rounds up to 1.

template <class T> constexpr int SIGNIFICAND = 24;
template <> constexpr int SIGNIFICAND<float16> = 11;
template <> constexpr int SIGNIFICAND<bfloat16> = 8;

template <class T> struct Uniform {
    static constexpr int COUNT = 4;
    __device__ __forceinline__ void operator()(Words words, long long, T* out) const {
        constexpr int BITS = SIGNIFICAND<T>;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out[i] = store<T>((words.at[i] >> (32 - BITS)) * (1.0f / (1 << BITS)));
        }
    }
};
template <> struct Uniform<double> {
    static constexpr int COUNT = 2;
    __device__ __forceinline__ void operator()(Words words, long long, double* out) const {
        out[0] = from_zero(words.at[0], words.at[1]);
        out[1] = from_zero(words.at[2], words.at[3]);
    }
};

// Normal, from two uniform numbers u in (0, 1] and v in [0, 1): a radius sqrt(-2 log u) and an angle
// 2 pi v give two independent numbers (Box and Muller, 1958).

template <class T> struct Normal {
    static constexpr int COUNT = 4;
    __device__ __forceinline__ void operator()(Words words, long long, T* out) const {
#pragma unroll
        for (int i = 0; i < 4; i += 2) {
            float sine, cosine, radius = sqrtf(-2.0f * logf(up_to_one(words.at[i])));
            sincospif(2.0f * from_zero(words.at[i + 1]), &sine, &cosine);
            out[i] = store<T>(radius * cosine);
            out[i + 1] = store<T>(radius * sine);
        }
    }
};
template <> struct Normal<double> {
    static constexpr int COUNT = 2;
    __device__ __forceinline__ void operator()(Words words, long long, double* out) const {
        double sine, cosine, radius = sqrt(-2.0 * log(up_to_one(words.at[0], words.at[1])));
        sincospi(2.0 * from_zero(words.at[2], words.at[3]), &sine, &cosine);
        out[0] = radius * cosine;
        out[1] = radius * sine;
    }
};

// Exponential: -log u. Where u has rounded to 1, that of the number next to 1, as a waiting time is
// above 0.

template <class T> struct Exponential {
    static constexpr int COUNT = 4;
    __device__ __forceinline__ void operator()(Words words, long long, T* out) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out[i] = store<T>(fmaxf(-logf(up_to_one(words.at[i])), 0x1p-24f));
        }
    }
};
template <> struct Exponential<double> {
    static constexpr int COUNT = 2;
    __device__ __forceinline__ void operator()(Words words, long long, double* out) const {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            out[i] = fmax(-log(up_to_one(words.at[2 * i], words.at[2 * i + 1])), 0x1p-53);
        }
    }
};

// Integers of [low, low + range), as the whole part of range times a fraction (Lemire, 2019, without
// the rejection): one number is likelier than another by range / 2^64 at most, which is 2^-32 for
// ranges to 2^32; larger ones take a fraction of 128 bits. A range of 0 stands for 2^64.

struct Integers {
    static constexpr int COUNT = 2;
    unsigned long long low, range;
    __device__ __forceinline__ void operator()(Words words, long long, long long* out) const {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            unsigned long long bits = (unsigned long long)words.at[2 * i + 1] << 32 | words.at[2 * i];
            out[i] = (long long)(low + (range ? __umul64hi(bits, range) : bits));
        }
    }
};
struct WideIntegers {
    static constexpr int COUNT = 1;
    unsigned long long low, range;
    __device__ __forceinline__ void operator()(Words words, long long, long long* out) const {
        unsigned long long high = (unsigned long long)words.at[3] << 32 | words.at[2];
        unsigned long long rest = (unsigned long long)words.at[1] << 32 | words.at[0];
        unsigned long long carried = high * range + __umul64hi(rest, range);
        *out = (long long)(low + __umul64hi(high, range) + (carried < high * range));
    }
};

// 1 where a uniform number is below the chance, which is one for all or one for each element.

template <class T> struct Bernoulli {
    static constexpr int COUNT = 4;
    const float* chances;
    float chance;
    long long n;
    IndexReport* report;
    int message;
    __device__ __forceinline__ void operator()(Words words, long long first, T* out) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float p = chances == nullptr ? chance : first + i < n ? chances[first + i] : 0.0f;
            if (!(p >= 0.0f && p <= 1.0f)) report_index(report, message, first + i);
            out[i] = store<T>(from_zero(words.at[i]) < p ? 1.0f : 0.0f);
        }
    }
};

// Counts, which reject and draw anew: each element has a counter of its own and goes through its
// laps. All in double, as the counts may be large.

struct Source {
    unsigned long long seed, counter, taken = 0;
    Words words;
    __device__ __forceinline__ Source(unsigned long long seed, unsigned long long counter)
        : seed(seed), counter(counter) {}
    __device__ __forceinline__ double operator()() {  // in (0, 1]
        if (taken % 2 == 0) words = philox(seed, counter, taken / 2);
        return taken++ % 2 ? up_to_one(words.at[2], words.at[3])
                           : up_to_one(words.at[0], words.at[1]);
    }
};

// How many arrivals in a time, by their waiting times where they are few, else by rejection from a
// transformed uniform number (Hoermann, "The transformed rejection method for generating Poisson
// random variables", 1993, algorithm PTRS).
__device__ __forceinline__ double poisson_count(double rate, Source& uniform) {
    if (!(rate > 0.0)) return 0.0;
    if (rate < 10.0) {
        double end = exp(-rate), product = uniform(), count = 0.0;
        for (; product > end; product *= uniform()) count += 1.0;
        return count;
    }
    double root = sqrt(rate), log_rate = log(rate), b = 0.931 + 2.53 * root;
    double a = -0.059 + 0.02483 * b, inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    double inside = 0.9277 - 3.6224 / (b - 2.0);
    for (;;) {
        double u = uniform() - 0.5, v = uniform(), edge = 0.5 - fabs(u);
        double k = floor((2.0 * a / edge + b) * u + rate + 0.43);
        if (edge >= 0.07 && v <= inside) return k;
        if (k < 0.0 || (edge < 0.013 && v > edge)) continue;
        if (log(v * inverse_alpha / (a / (edge * edge) + b)) <=
            k * log_rate - rate - lgamma(k + 1.0)) {
            return k;
        }
    }
}

// How many of n trials succeed: by the gaps between successes where they are few, else by rejection
// (Hoermann, "The generation of binomial random variates", 1993, algorithm BTRS).
__device__ __forceinline__ double binomial_count(double n, double chance, Source& uniform) {
    double p = fmin(chance, 1.0 - chance), found = 0.0;
    if (!(n > 0.0 && chance >= 0.0 && chance <= 1.0)) return 0.0;
    if (n * p < 10.0) {
        double log_miss = log1p(-p), at = 0.0;
        while (p > 0.0 && (at += fmax(ceil(log(uniform()) / log_miss), 1.0)) <= n) found += 1.0;
        return chance > 0.5 ? n - found : found;
    }
    double root = sqrt(n * p * (1.0 - p)), b = 1.15 + 2.53 * root;
    double a = -0.0873 + 0.0248 * b + 0.01 * p, alpha = (2.83 + 5.1 / b) * root;
    double inside = 0.92 - 4.2 / b, mode = floor((n + 1.0) * p), log_odds = log(p / (1.0 - p));
    double highest = lgamma(mode + 1.0) + lgamma(n - mode + 1.0);
    for (;;) {
        double u = uniform() - 0.5, v = uniform(), edge = 0.5 - fabs(u);
        found = floor((2.0 * a / edge + b) * u + n * p + 0.5);
        if (edge >= 0.07 && v <= inside) break;
        if (!(found >= 0.0 && found <= n)) continue;
        if (log(v * alpha / (a / (edge * edge) + b)) <=
            highest - lgamma(found + 1.0) - lgamma(n - found + 1.0) + (found - mode) * log_odds) {
            break;
        }
    }
    return chance > 0.5 ? n - found : found;
}

// The kernels

template <class T>
__global__ void uniform(T* out, unsigned long long seed, unsigned long long offset, long long n) {
    fill(out, seed, offset, n, Uniform<T>{});
}
template <class T>
__global__ void normal(T* out, unsigned long long seed, unsigned long long offset, long long n) {
    fill(out, seed, offset, n, Normal<T>{});
}
template <class T>
__global__ void exponential(T* out, unsigned long long seed, unsigned long long offset,
                            long long n) {
    fill(out, seed, offset, n, Exponential<T>{});
}
template <class Draw>
__global__ void integers(long long* out, unsigned long long seed, unsigned long long offset,
                         unsigned long long low, unsigned long long range, long long n) {
    fill(out, seed, offset, n, Draw{low, range});
}
template <class T>
__global__ void bernoulli(T* out, unsigned long long seed, unsigned long long offset,
                          const float* chances, float chance, IndexReport* report, int message,
                          long long n) {
    fill(out, seed, offset, n, Bernoulli<T>{chances, chance, n, report, message});
}
extern "C" __global__ void poisson(long long* out, unsigned long long seed,
                                   unsigned long long offset, const double* rates,
                                   IndexReport* report, int message, long long n) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        if (!(rates[i] >= 0.0)) report_index(report, message, i);
        Source source(seed, offset + i);
        out[i] = (long long)poisson_count(rates[i], source);
    }
}
extern "C" __global__ void __launch_bounds__(256) binomial(long long* out, unsigned long long seed,
                                    unsigned long long offset, const double* counts,
                                    const double* chances, IndexReport* report, int message,
                                    long long n) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        if (!(counts[i] >= 0.0 && chances[i] >= 0.0 && chances[i] <= 1.0)) {
            report_index(report, message, i);
        }
        Source source(seed, offset + i);
        out[i] = (long long)binomial_count(counts[i], chances[i], source);
    }
}
