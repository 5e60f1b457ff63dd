// Philox4x32-10: random numbers as a function of a seed and a counter, with no state to carry.
//
// A counter and a seed give four words of 32 random bits (Salmon, Moraes, Dror and Shaw, "Parallel
// random numbers: as easy as 1, 2, 3", 2011). A draw owns the counters from its offset on, so that
// its element i depends on the seed, the offset and i alone, not on how threads share the work.
// `tapegrad.kernels.philox` is the same in NumPy.
#pragma once

struct Words {
    unsigned at[4];
};

// The words of a counter. `lap` is its upper half: what draws again and again for one element, to
// reject and try anew, counts its attempts there and stays within its own numbers.
__device__ __forceinline__ Words philox(unsigned long long seed, unsigned long long counter,
                                        unsigned long long lap = 0) {
    unsigned a = (unsigned)counter, b = (unsigned)(counter >> 32);
    unsigned c = (unsigned)lap, d = (unsigned)(lap >> 32);
    unsigned low = (unsigned)seed, high = (unsigned)(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned first = 0xD2511F53u * a, first_high = __umulhi(0xD2511F53u, a);
        unsigned second = 0xCD9E8D57u * c, second_high = __umulhi(0xCD9E8D57u, c);
        a = second_high ^ b ^ low;
        b = second;
        c = first_high ^ d ^ high;
        d = first;
        low += 0x9E3779B9u;   // the golden ratio
        high += 0xBB67AE85u;  // sqrt(3) - 1
    }
    return Words{{a, b, c, d}};
}

// Words as numbers. [0, 1): 24 bits in float, 53 in double, each number as likely as the others, so
// that 1 is never reached by rounding. (0, 1]: for logarithms; all 32 bits, so that the tails reach far.
__device__ __forceinline__ float from_zero(unsigned word) { return (word >> 8) * 0x1p-24f; }
__device__ __forceinline__ double from_zero(unsigned low, unsigned high) {
    return (((unsigned long long)high << 32 | low) >> 11) * 0x1p-53;
}
__device__ __forceinline__ float up_to_one(unsigned word) {
    return fmaf((float)word, 0x1p-32f, 0x1p-33f);
}
__device__ __forceinline__ double up_to_one(unsigned low, unsigned high) {
    return ((((unsigned long long)high << 32 | low) >> 11) + 1) * 0x1p-53;
}

// Element `index` of a uniform draw on [0, 1): word index % 4 of counter offset + index / 4. Four
// neighbours share a counter, which the compiler sees where one thread computes them all.
__device__ __forceinline__ float philox_uniform(unsigned long long seed, unsigned long long offset,
                                                unsigned long long index) {
    unsigned long long lane = index % 4;
    return from_zero(philox(seed, offset + (index - lane) / 4).at[lane]);
}
