// Atomic operations and fences. They are GCC's atomics, relaxed as CUDA's are, so that
// ThreadSanitizer knows them as such; each returns the old value.
#pragma once

#include "block.hpp"

namespace emulator {
template <class T, class Change> static inline T update(T* address, Change change) {
    T before, after;
    __atomic_load(address, &before, __ATOMIC_RELAXED);
    do after = change(before);
    while (!__atomic_compare_exchange(
        address, &before, &after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
}
}  // namespace emulator

// The types of each are those that CUDA has for every GPU from sm_80 on.
#define TAPEGRAD_ATOMIC(name, type, expression)                                                   \
    static inline type name(type* address, type value) {                                          \
        return emulator::update(address, [value](type old) -> type { return expression; });       \
    }                                                                                             \
    static inline type name##_block(type* address, type value) { return name(address, value); }   \
    static inline type name##_system(type* address, type value) { return name(address, value); }
#define TAPEGRAD_ATOMIC_WORDS(name, expression)                                                   \
    TAPEGRAD_ATOMIC(name, int, expression)                                                        \
    TAPEGRAD_ATOMIC(name, unsigned, expression)                                                   \
    TAPEGRAD_ATOMIC(name, unsigned long long, expression)
TAPEGRAD_ATOMIC_WORDS(atomicAdd, old + value)
TAPEGRAD_ATOMIC(atomicAdd, float, old + value)
TAPEGRAD_ATOMIC(atomicAdd, double, old + value)
TAPEGRAD_ATOMIC(atomicSub, int, old - value)
TAPEGRAD_ATOMIC(atomicSub, unsigned, old - value)
TAPEGRAD_ATOMIC_WORDS(atomicExch, value)
TAPEGRAD_ATOMIC(atomicExch, float, value)
TAPEGRAD_ATOMIC_WORDS(atomicMin, old < value ? old : value)
TAPEGRAD_ATOMIC(atomicMin, long long, old < value ? old : value)
TAPEGRAD_ATOMIC_WORDS(atomicMax, old > value ? old : value)
TAPEGRAD_ATOMIC(atomicMax, long long, old > value ? old : value)
TAPEGRAD_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
TAPEGRAD_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)
TAPEGRAD_ATOMIC_WORDS(atomicAnd, old & value)
TAPEGRAD_ATOMIC_WORDS(atomicOr, old | value)
TAPEGRAD_ATOMIC_WORDS(atomicXor, old ^ value)
#undef TAPEGRAD_ATOMIC_WORDS
#undef TAPEGRAD_ATOMIC

#define TAPEGRAD_SWAP(type)                                                                       \
    static inline type atomicCAS(type* address, type expected, type value) {                      \
        return emulator::update(                                                                  \
            address, [=](type old) -> type { return old == expected ? value : old; });            \
    }                                                                                             \
    static inline type atomicCAS_block(type* address, type expected, type value) {                \
        return atomicCAS(address, expected, value);                                               \
    }                                                                                             \
    static inline type atomicCAS_system(type* address, type expected, type value) {               \
        return atomicCAS(address, expected, value);                                               \
    }
TAPEGRAD_SWAP(int)
TAPEGRAD_SWAP(unsigned)
TAPEGRAD_SWAP(unsigned long long)
TAPEGRAD_SWAP(unsigned short)
#undef TAPEGRAD_SWAP

// Blocks run one after another and threads of a block switch only where they wait: there is nothing
// to fence. Under ThreadSanitizer a fence alone orders nothing either, as in CUDA's memory model.
static inline void __threadfence_block() { __asm__ volatile("" ::: "memory"); }
static inline void __threadfence() { __asm__ volatile("" ::: "memory"); }
static inline void __threadfence_system() { __asm__ volatile("" ::: "memory"); }
