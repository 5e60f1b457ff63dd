// Hopper's matrix instructions (wgmma, sm_90a): a warpgroup multiplies two tiles of shared memory.
//
// A warpgroup is 128 threads, four warps in a row. It multiplies A, 64 rows, by B, N columns, over a
// depth of 16 of a half type, and adds to 64 x N sums of float in registers, while its threads go on:
//
//     wait_copies<...>(); show_tiles(); __syncthreads();  // tiles were written by threads
//     begin_products();                                   // the sums are in registers
//     add_product<T, N, DEEP, DEEP>(sums, tile<DEEP, BK>(a), tile<DEEP, BK>(b));
//     commit_products();                                  // closes a group of them
//     wait_products<0>();                                 // now tiles may be written,
//     settle(sums);                                       // and sums be read
//
// A tile is aligned to 1024 bytes and consists of lines of 128 bytes, 64 elements. DEEP, a line is a
// row of A or a column of B, along the depth: 16 further along it is 32 bytes on. WIDE, a line is 64
// rows or columns at one depth, and BK such lines are a panel, after which that of the next 64 rows
// or columns comes: 16 further along the depth is 2048 bytes on. In either, the 16 bytes at an offset
// lie where `swizzled` says, so that lines of one column of packs meet in no bank.
//
// With g = lane / 4 and t = lane % 4, a lane of warp w (of four) has as sums[4 j + i] that of row
// 16 w + g + 8 (i / 2) and column 8 j + 2 t + i % 2.
#pragma once
#include "tensor_cores.cuh"

// Where the pack of 16 bytes at an offset into a tile lies.
__device__ __forceinline__ unsigned swizzled(unsigned offset) {
    return offset ^ (offset >> 7 & 7) << 4;
}

// What is said of a tile whose first element lies at `start`: address, distance of panels, distance of
// 8 lines (each in 16 bytes) and the pattern of 128 bytes.
__device__ __forceinline__ unsigned long long described(unsigned start, unsigned panel) {
    return (unsigned long long)((start & 0x3ffff) >> 4) | (unsigned long long)(panel >> 4) << 16 |
           64ull << 32 | 1ull << 62;
}

#ifndef TAPEGRAD_EMULATOR
template <bool deep, int BK> __device__ __forceinline__ unsigned long long tile(const void* start) {
    return described((unsigned)__cvta_generic_to_shared(start), deep ? 16 : BK * 128);
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// What this thread has written to shared memory becomes visible to the tensor cores, after a barrier.
__device__ __forceinline__ void show_tiles() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void begin_products() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void commit_products() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most so many groups are on their way.
template <int groups> __device__ __forceinline__ void wait_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(groups) : "memory");
}

// The compiler moves no use of sums up to before the wait that stands before this.
template <int count> __device__ __forceinline__ void settle(float (&sums)[count]) {
#pragma unroll
    for (int i = 0; i < count; i++) asm volatile("" : "+f"(sums[i]) :: "memory");
}

template <class T, int N, bool a_deep, bool b_deep> struct AddProduct;
#define TAPEGRAD_NAMES_64                                                                         \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "                 \
    "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TAPEGRAD_NAMES_128                                                                        \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "                 \
    "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                 \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, "                 \
    "%47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, "                 \
    "%62, %63"
#define TAPEGRAD_NAMES_256                                                                        \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "                 \
    "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                 \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, "                 \
    "%47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, "                 \
    "%62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, "                 \
    "%77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, "                 \
    "%92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, "                \
    "%106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, "                    \
    "%118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define TAPEGRAD_SUMS_8(i)                                                                        \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]),   \
        "+f"(d[i + 6]), "+f"(d[i + 7])
#define TAPEGRAD_SUMS_64(i)                                                                       \
    TAPEGRAD_SUMS_8(i), TAPEGRAD_SUMS_8(i + 8), TAPEGRAD_SUMS_8(i + 16), TAPEGRAD_SUMS_8(i + 24)
#define TAPEGRAD_SUMS_128(i) TAPEGRAD_SUMS_64(i), TAPEGRAD_SUMS_64(i + 32)
#define TAPEGRAD_SUMS_256(i) TAPEGRAD_SUMS_128(i), TAPEGRAD_SUMS_128(i + 64)
#define TAPEGRAD_ADD_PRODUCT(type, name, N, a, b, a_wide, b_wide, add)                            \
    template <bool a_deep, bool b_deep> struct AddProduct<type, N, a_deep, b_deep> {              \
        static __device__ __forceinline__ void to(                                                \
            float (&d)[N / 2], unsigned long long a_tile, unsigned long long b_tile, int add_up) {\
            asm volatile("{ .reg .pred adds; setp.ne.b32 adds, " add ", 0; "                      \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." name "." name " {"     \
                         TAPEGRAD_NAMES_##N "}, " a ", " b ", adds, 1, 1, " a_wide ", " b_wide "; }"\
                         : TAPEGRAD_SUMS_##N(0)                                                   \
                         : "l"(a_tile), "l"(b_tile), "n"(!a_deep), "n"(!b_deep), "r"(add_up));    \
        }                                                                                         \
    };
#define TAPEGRAD_ADD_PRODUCTS(type, name)                                                         \
    TAPEGRAD_ADD_PRODUCT(type, name, 64, "%32", "%33", "%34", "%35", "%36")                       \
    TAPEGRAD_ADD_PRODUCT(type, name, 128, "%64", "%65", "%66", "%67", "%68")                      \
    TAPEGRAD_ADD_PRODUCT(type, name, 256, "%128", "%129", "%130", "%131", "%132")
TAPEGRAD_ADD_PRODUCTS(float16, "f16")
TAPEGRAD_ADD_PRODUCTS(bfloat16, "bf16")
#undef TAPEGRAD_ADD_PRODUCTS
#undef TAPEGRAD_ADD_PRODUCT
#undef TAPEGRAD_SUMS_256
#undef TAPEGRAD_SUMS_128
#undef TAPEGRAD_SUMS_64
#undef TAPEGRAD_SUMS_8
#undef TAPEGRAD_NAMES_256
#undef TAPEGRAD_NAMES_128
#undef TAPEGRAD_NAMES_64

// sums += a * b, later, or sums = a * b if it is not to `add`; of tiles of elements of type T.
template <class T, int N, bool a_deep, bool b_deep>
__device__ __forceinline__ void add_product(
    float (&sums)[N / 2], unsigned long long a, unsigned long long b, bool add = true) {
    AddProduct<T, N, a_deep, b_deep>::to(sums, a, b, add);
}
#else  // the text compiles for any GPU, though kernels that come here are for sm_90a
__device__ __forceinline__ void show_tiles() { __trap(); }
__device__ __forceinline__ void begin_products() { __trap(); }
__device__ __forceinline__ void commit_products() { __trap(); }
template <int groups> __device__ __forceinline__ void wait_products() { __trap(); }
template <int count> __device__ __forceinline__ void settle(float (&sums)[count]) {}
template <class T, int N, bool a_deep, bool b_deep>
__device__ __forceinline__ void add_product(
    float (&sums)[N / 2], unsigned long long a, unsigned long long b, bool add = true) {
    __trap();
}
#endif
#else
template <bool deep, int BK>
static inline unsigned long long tile(const void* start, TAPEGRAD_PLACE) {
    return described(emulator::tile_offset(start, {"tile", file, line}), deep ? 16 : BK * 128);
}
static inline void show_tiles() { emulator::show_tiles(); }
static inline void begin_products() { emulator::begin_products(); }
static inline void commit_products() { emulator::commit_products(); }
template <int groups> static inline void wait_products(TAPEGRAD_PLACE) {
    emulator::wait_products(groups, {"wait_products", file, line});
}
template <int count> static inline void settle(float (&sums)[count]) {}
template <class T, int N, bool a_deep, bool b_deep>
static inline void add_product(
    float (&sums)[N / 2], unsigned long long a, unsigned long long b, bool add = true,
    TAPEGRAD_PLACE) {
    emulator::add_product(
        {number_of(T{}), N, sums, add, {a, a_deep}, {b, b_deep}}, {"add_product", file, line});
}
#endif
