// The words of CUDA C++ that C++ lacks: qualifiers and vector types.
//
// No system header is included anywhere in what a kernel sees, as under NVRTC: a kernel that needs
// one fails here too, and may give its functions any name that CUDA leaves free.
#pragma once

#define TAPEGRAD_EMULATOR 1

#define __global__
#define __device__
#define __host__
#define __managed__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))

// One block runs at a time, so that its shared memory can be static.
#define __shared__ static

using size_t = decltype(sizeof 0);

#define TAPEGRAD_VECTOR(scalar, name, align2, align4)                                             \
    struct name##1 { scalar x; };                                                                 \
    struct alignas(align2) name##2 { scalar x, y; };                                              \
    struct name##3 { scalar x, y, z; };                                                           \
    struct alignas(align4) name##4 { scalar x, y, z, w; };                                        \
    static inline name##1 make_##name##1(scalar x) { return {x}; }                                \
    static inline name##2 make_##name##2(scalar x, scalar y) { return {x, y}; }                   \
    static inline name##3 make_##name##3(scalar x, scalar y, scalar z) { return {x, y, z}; }      \
    static inline name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) {                \
        return {x, y, z, w};                                                                      \
    }
TAPEGRAD_VECTOR(signed char, char, 2, 4)
TAPEGRAD_VECTOR(unsigned char, uchar, 2, 4)
TAPEGRAD_VECTOR(short, short, 4, 8)
TAPEGRAD_VECTOR(unsigned short, ushort, 4, 8)
TAPEGRAD_VECTOR(int, int, 8, 16)
TAPEGRAD_VECTOR(unsigned, uint, 8, 16)
TAPEGRAD_VECTOR(long, long, 16, 16)
TAPEGRAD_VECTOR(unsigned long, ulong, 16, 16)
TAPEGRAD_VECTOR(long long, longlong, 16, 16)
TAPEGRAD_VECTOR(unsigned long long, ulonglong, 16, 16)
TAPEGRAD_VECTOR(float, float, 8, 16)
TAPEGRAD_VECTOR(double, double, 16, 16)
#undef TAPEGRAD_VECTOR

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
