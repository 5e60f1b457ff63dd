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
template <class T> struct Same { using type = T; };
template <class T> using Value = typename Same<T>::type;  // not deduced: converted to the address's
}  // namespace emulator

#define TAPEGRAD_ATOMIC(name, expression)                                                         \
    template <class T> static inline T name(T* address, emulator::Value<T> value) {               \
        return emulator::update(address, [value](T old) -> T { return expression; });             \
    }                                                                                             \
    template <class T> static inline T name##_block(T* address, emulator::Value<T> value) {       \
        return name(address, value);                                                              \
    }                                                                                             \
    template <class T> static inline T name##_system(T* address, emulator::Value<T> value) {      \
        return name(address, value);                                                              \
    }
TAPEGRAD_ATOMIC(atomicAdd, (T)(old + value))
TAPEGRAD_ATOMIC(atomicSub, (T)(old - value))
TAPEGRAD_ATOMIC(atomicExch, value)
TAPEGRAD_ATOMIC(atomicMin, old < value ? old : value)
TAPEGRAD_ATOMIC(atomicMax, old > value ? old : value)
TAPEGRAD_ATOMIC(atomicInc, old >= value ? T(0) : T(old + 1))
TAPEGRAD_ATOMIC(atomicDec, old == 0 || old > value ? value : T(old - 1))
TAPEGRAD_ATOMIC(atomicAnd, (T)(old & value))
TAPEGRAD_ATOMIC(atomicOr, (T)(old | value))
TAPEGRAD_ATOMIC(atomicXor, (T)(old ^ value))
#undef TAPEGRAD_ATOMIC

template <class T>
static inline T atomicCAS(T* address, emulator::Value<T> expected, emulator::Value<T> value) {
    return emulator::update(address, [=](T old) -> T { return old == expected ? value : old; });
}

// Blocks run one after another and threads of a block switch only where they wait: there is nothing
// to fence. Under ThreadSanitizer a fence alone orders nothing either, as in CUDA's memory model.
static inline void __threadfence_block() { __asm__ volatile("" ::: "memory"); }
static inline void __threadfence() { __asm__ volatile("" ::: "memory"); }
static inline void __threadfence_system() { __asm__ volatile("" ::: "memory"); }
