// Intrinsics of CUDA on bits, wide products, conversions and cache hints.
#pragma once

#include "keywords.hpp"

namespace emulator {
template <class To, class From> static inline To bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
// To a whole number as the hardware does it: out of range to the nearest one, NaN to 0.
template <class To> static inline To saturate(double x) {
    constexpr bool is_signed = To(-1) < To(0);
    constexpr To most = is_signed ? To(~0ull >> (65 - 8 * sizeof(To))) : To(~0ull);
    constexpr To least = is_signed ? To(-most - 1) : To(0);
    return x != x ? To(0) : x >= (double)most ? most : x <= (double)least ? least : To(x);
}
}  // namespace emulator

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __clzll(long long x) {
    return x ? __builtin_clzll((unsigned long long)x) : 64;
}
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; i++) reversed |= (x >> i & 1) << (31 - i);
    return reversed;
}
static inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    unsigned long long both = (unsigned long long)y << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        unsigned choice = selector >> (4 * i) & 15;
        unsigned byte = (unsigned)(both >> (8 * (choice & 7))) & 255;
        result |= (choice & 8 ? (byte & 128 ? 255u : 0u) : byte) << (8 * i);
    }
    return result;
}
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) << (shift & 31) >> 32);
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift & 31));
}
static inline unsigned __umulhi(unsigned x, unsigned y) {
    return (unsigned)((unsigned long long)x * y >> 32);
}
static inline int __mulhi(int x, int y) { return (int)((long long)x * y >> 32); }
static inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}
static inline long long __mul64hi(long long x, long long y) {
    return (long long)((__int128)x * y >> 64);
}
static inline int __mul24(int x, int y) { return (x << 8 >> 8) * (y << 8 >> 8); }

static inline unsigned __float_as_uint(float x) { return emulator::bits<unsigned>(x); }
static inline int __float_as_int(float x) { return emulator::bits<int>(x); }
static inline float __uint_as_float(unsigned x) { return emulator::bits<float>(x); }
static inline float __int_as_float(int x) { return emulator::bits<float>(x); }
static inline long long __double_as_longlong(double x) { return emulator::bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return emulator::bits<double>(x); }
static inline int __double2hiint(double x) { return (int)(__double_as_longlong(x) >> 32); }
static inline int __double2loint(double x) { return (int)__double_as_longlong(x); }
static inline double __hiloint2double(int high, int low) {
    return __longlong_as_double((long long)((unsigned long long)(unsigned)high << 32 | (unsigned)low));
}

// Floating to whole in the four roundings: to the nearest even, to zero, down, up.
#define TAPEGRAD_TO_WHOLE(from, type, to, whole)                                                  \
    static inline whole __##from##2##to##_rn(type x) {                                            \
        return emulator::saturate<whole>(__builtin_rint(x));                                      \
    }                                                                                             \
    static inline whole __##from##2##to##_rz(type x) {                                            \
        return emulator::saturate<whole>(__builtin_trunc(x));                                     \
    }                                                                                             \
    static inline whole __##from##2##to##_rd(type x) {                                            \
        return emulator::saturate<whole>(__builtin_floor(x));                                     \
    }                                                                                             \
    static inline whole __##from##2##to##_ru(type x) {                                            \
        return emulator::saturate<whole>(__builtin_ceil(x));                                      \
    }
TAPEGRAD_TO_WHOLE(float, float, int, int)
TAPEGRAD_TO_WHOLE(float, float, uint, unsigned)
TAPEGRAD_TO_WHOLE(float, float, ll, long long)
TAPEGRAD_TO_WHOLE(float, float, ull, unsigned long long)
TAPEGRAD_TO_WHOLE(double, double, int, int)
TAPEGRAD_TO_WHOLE(double, double, uint, unsigned)
TAPEGRAD_TO_WHOLE(double, double, ll, long long)
TAPEGRAD_TO_WHOLE(double, double, ull, unsigned long long)
#undef TAPEGRAD_TO_WHOLE
static inline float __int2float_rn(int x) { return (float)x; }
static inline float __uint2float_rn(unsigned x) { return (float)x; }
static inline float __ll2float_rn(long long x) { return (float)x; }
static inline float __ull2float_rn(unsigned long long x) { return (float)x; }
static inline double __int2double_rn(int x) { return x; }
static inline double __uint2double_rn(unsigned x) { return x; }
static inline double __ll2double_rn(long long x) { return (double)x; }
static inline double __ull2double_rn(unsigned long long x) { return (double)x; }
static inline float __double2float_rn(double x) { return (float)x; }

// Loads and stores with cache hints.
#define TAPEGRAD_LOAD(name)                                                                       \
    template <class T> static inline T name(const T* address) { return *address; }
TAPEGRAD_LOAD(__ldg)
TAPEGRAD_LOAD(__ldca)
TAPEGRAD_LOAD(__ldcg)
TAPEGRAD_LOAD(__ldcs)
TAPEGRAD_LOAD(__ldcv)
TAPEGRAD_LOAD(__ldlu)
#undef TAPEGRAD_LOAD
#define TAPEGRAD_STORE(name)                                                                      \
    template <class T> static inline void name(T* address, T value) { *address = value; }
TAPEGRAD_STORE(__stcg)
TAPEGRAD_STORE(__stcs)
TAPEGRAD_STORE(__stwb)
TAPEGRAD_STORE(__stwt)
#undef TAPEGRAD_STORE

static inline size_t __cvta_generic_to_shared(const void* address) { return (size_t)address; }
static inline void __nanosleep(unsigned) {}
static inline long long clock64() { return __builtin_ia32_rdtsc(); }
static inline int clock() { return (int)clock64(); }

extern "C" void* memcpy(void* target, const void* source, size_t bytes);
extern "C" void* memset(void* target, int byte, size_t bytes);
