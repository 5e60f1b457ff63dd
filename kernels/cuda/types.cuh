// The element types of arrays, and how each is read into a register and written back.
//
// Half types are stored in 16 bits and computed with in float. Their conversions are the only inline
// PTX here; the emulator gets the same functions with C++ bodies. Nothing is included: NVRTC has no
// headers of its own, and these lines are all that is wanted of cuda_fp16.h and cuda_bf16.h.
#pragma once

struct float16 {
    unsigned short bits;
};
struct bfloat16 {
    unsigned short bits;
};

// In which type a stored type is computed with.
template <class T> struct ComputeType { using type = T; };
template <> struct ComputeType<float16> { using type = float; };
template <> struct ComputeType<bfloat16> { using type = float; };
template <class T> using Compute = typename ComputeType<T>::type;

#ifndef TAPEGRAD_EMULATOR
__device__ __forceinline__ float widen(float16 x) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
    return wide;
}
__device__ __forceinline__ float16 narrow_to_float16(float x) {
    float16 narrow;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(narrow.bits) : "f"(x));
    return narrow;
}
__device__ __forceinline__ bfloat16 narrow_to_bfloat16(float x) {
    bfloat16 narrow;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(narrow.bits) : "f"(x));
    return narrow;
}
#else
static inline float widen(float16 x) {
    _Float16 half;
    __builtin_memcpy(&half, &x.bits, 2);
    return (float)half;
}
static inline float16 narrow_to_float16(float x) {
    _Float16 half = (_Float16)x;
    float16 narrow;
    __builtin_memcpy(&narrow.bits, &half, 2);
    return narrow;
}
static inline bfloat16 narrow_to_bfloat16(float x) {  // to the nearest, ties to even
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return bfloat16{0x7fff};
    return bfloat16{(unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
#endif

__device__ __forceinline__ float widen(bfloat16 x) {
    return __uint_as_float((unsigned)x.bits << 16);
}

// A stored element as the type it is computed with, and back.
template <class T> __device__ __forceinline__ Compute<T> load(T x) { return x; }
__device__ __forceinline__ float load(float16 x) { return widen(x); }
__device__ __forceinline__ float load(bfloat16 x) { return widen(x); }

template <class T> struct Store {
    template <class C> static __device__ __forceinline__ T from(C x) { return (T)x; }
};
template <> struct Store<float16> {
    static __device__ __forceinline__ float16 from(float x) { return narrow_to_float16(x); }
};
template <> struct Store<bfloat16> {
    static __device__ __forceinline__ bfloat16 from(float x) { return narrow_to_bfloat16(x); }
};
template <class T, class C> __device__ __forceinline__ T store(C x) { return Store<T>::from(x); }

// N elements that are read or written in one access, aligned as the hardware wants them.
template <class T, int N> struct __align__(sizeof(T) * N) Pack {
    T at[N];
};
