// Copies from global to shared memory that run beside the computation (cp.async), from sm_80 on.
//
// A thread starts copies, closes those since the last time into a group, and waits until at most so
// many groups are on their way. Then its copies are there for itself; for the other threads of the
// block they are after a barrier. A copy may land at any time between: in the emulator its target is
// NaN from the start, and it lands when it is waited for, so that neither too late a wait nor too
// early a start goes unseen.
#pragma once

#ifndef TAPEGRAD_EMULATOR
// Copies 4, 8 or 16 bytes, both addresses aligned to that; zeros if not `wanted`, reading nothing.
template <int bytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool wanted = true) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async copies 4, 8 or 16 bytes");
    unsigned target = (unsigned)__cvta_generic_to_shared(shared);
    int taken = wanted ? bytes : 0;
    if constexpr (bytes == 16)  // past the first-level cache
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                     :: "r"(target), "l"(global), "r"(taken) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                     :: "r"(target), "l"(global), "n"(bytes), "r"(taken) : "memory");
}
__device__ __forceinline__ void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int groups> __device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_group %0;" :: "n"(groups) : "memory");
}
#else
template <int bytes>
static inline void copy_async(
    void* shared, const void* global, bool wanted = true, TAPEGRAD_PLACE) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async copies 4, 8 or 16 bytes");
    emulator::copy_later(
        {shared, global, bytes, wanted ? bytes : 0}, {"copy_async", file, line});
    for (int i = 0; i < bytes / 4; i++) ((unsigned*)shared)[i] = ~0u;
}
static inline void commit_copies() { emulator::commit_copies(); }
template <int groups> static inline void wait_copies() {
    emulator::Copy copy;
    while (emulator::next_landing(groups, &copy))
        for (int i = 0; i < copy.bytes / 4; i++)
            ((unsigned*)copy.target)[i] =
                i < copy.source_bytes / 4 ? ((const unsigned*)copy.source)[i] : 0;
}
#endif
